"""The gateway: clients on one side, ring and event log on the other, sessions in between.

    socket ─▶ scan ─▶ ring ─▶ core ─▶ event log ─▶ walk ─▶ socket
                └▶ Session ─▶ actions ─┐   ┌─ rows ◀─┘
                        commands, bytes ◀──┘

It holds nothing that isn't in the event stream: started again, it walks the stream from its begin
and knows what is listed, which numbers each session has used and where they are.
"""

import ctypes
import time
from typing import Any

import numpy as np
from structlog.typing import FilteringBoundLogger

from core.config import FixGateway as Settings
from core.config import Limits
from core.events import log_address, log_oldest, log_published
from core.link import CommandLink
from core.messages import decode_body, template
from core.reference import ReferenceData
from core.status import StatusTable
from core.stream import EventStream
from core.wake import ring_bell
from core.words import load_word
from gateway.fix.actions import Close, Command, Look, Replay, Send
from gateway.fix.balances import Balances
from gateway.fix.bulletin import Bulletin
from gateway.fix.client import Client
from gateway.fix.copies import Copies
from gateway.fix.dialect import Dialect
from gateway.fix.lists import is_recipe, recipe_of
from gateway.fix.logon import Admission
from gateway.fix.market_data import MarketData
from gateway.fix.message import body
from gateway.fix.outbound import Renderer
from gateway.fix.outbox import kept_message
from gateway.fix.overflow import Overflow
from gateway.fix.profile import USED, Profiles
from gateway.fix.queries import Queries
from gateway.fix.records import EVENT_BODY_AT, T_DIRTY_COUNT, T_INDEX_COUNT, T_ROWS_COUNT
from gateway.fix.references import PLAIN, reference_kind
from gateway.fix.report import REPORT_BYTES_MAX, put_report
from gateway.fix.resend import Resends, gap_message
from gateway.fix.schedule import Beginnings, is_over
from gateway.fix.session import Session, State
from gateway.fix.tables import Connection, Context
from gateway.fix.trades import Trades
from gateway.fix.walk import EVERYONE, walk
from sbe.generated import control
from sbe.generated import order_entry as oe

READ_BYTES = 1 << 20
PAUSE_NS = 500_000_000  # between two ticks: longer than that this process wasn't running


class FixGateway:
    """See the module; `gate` is the address of the word that releases events."""

    def __init__(
        self, settings: Settings, profiles: Profiles, link: CommandLink, log: int,
        stream: EventStream, begin: int, status: StatusTable, gate: int,
        core_bell: int, limits: Limits, logger: FilteringBoundLogger, first_number: int,
    ) -> None:
        self.reference = ReferenceData()
        self.context = Context(limits.sessions_max)
        self.clients: dict[int, Client] = {}
        self._settings, self.profiles, self._link = settings, profiles, link
        self._log, self._stream, self._begin, self._gate = log, stream, begin, gate
        self._status, self._logger = status, logger
        self._core_bell, self._core_asleep = core_bell, status.row("core").asleep_address
        self._number, self._version = first_number, -1
        self._by_session: dict[int, Client] = {}
        self._grants: dict[int, dict[str, int]] = {}
        self._open: dict[int, int] = {}  # session: the connection the core believes in
        self._began = Beginnings()
        self.overflow, self._ready, self._ticked = Overflow(link), False, 0
        self._scratch = np.zeros(REPORT_BYTES_MAX + 4096, np.uint8)
        fields = self.context.fields
        fields["ring"], fields["producer"] = link.ring, link.producer
        fields["core_ready"], fields["gate"], fields["log"] = status.ready_address, gate, log
        self.context.position = begin
        self._admission = Admission(
            profiles, settings.logon_seconds, self._by_session.__contains__,
            lambda session: int(self.context.numbers[session]) + 1, self._began.at,
            lambda session, proof: self.command("SessionSigned", proof.fields, session))
        self.market_data = MarketData(self, limits)
        self.bulletin, self.trades, self.balances = Bulletin(self), Trades(self), Balances()
        self._queries = Queries(self.reference, self.market_data, {
            "g": self.bulletin.request, "AD": self.trades.request})
        self.copies = Copies(self, settings.repeat_seconds)
        self._dialect = Dialect(self, self._queries)
        self._renderer = Renderer(self.reference, self._dialect.quoting)
        self._resends = Resends(self)
        self._session_events = {
            template("SessionOpened"): self._session_opened,
            template("SessionWasReset"): self._numbers_set,
            template("SessionClosed"): self._session_closed,
            template("SessionNumbersAssigned"): self._numbers_assigned,
        }
        self._instrument_events = {
            template("TradingStateChanged"): (self._queries.changed, self.bulletin.state_changed),
            template("InstrumentListed"): (self._queries.listed,),
        }

    # ---- what the dialect asks -----------------------------------------------------------------

    def core_ready(self) -> bool:
        """Whether the core takes commands."""
        return bool(self._status.core_ready)

    def now(self) -> int:
        """ns UTC."""
        return time.time_ns()

    def accounts_of(self, session: int) -> dict[str, int]:
        """The accounts a session may name."""
        return self._grants.get(session, {})

    def watch(self) -> None:
        """Somebody began or ceased to want events of others: let the walk know which."""
        reports = self.copies.listening or self.trades.listening
        self.context.fields["copies"] = int(reports) | 2 * int(self.balances.listening)

    def client_of(self, session: int) -> Client | None:
        """The client of a session that is logged on or about to be."""
        return self._by_session.get(session)

    def sessions(self) -> list[Session]:
        """All sessions that are logged on."""
        return [client.session for client in self._by_session.values() if client.session.live]

    def send(self, command: Command, session: int) -> bool:
        """Put a command into the ring, behind what its session asked for before."""
        if (client := self._by_session.get(session)) is not None:
            self.carry_out(client)
        return self._link.send(command.name, command.fields, session)

    def watch_balances(self, session: Session, account: int, how: str) -> None:
        """Begin (1) or cease (2) to tell the session of money that comes and goes."""
        self.balances.ask(session, account, how)
        self.watch()

    def read(self, position: int, limit: int = READ_BYTES) -> bytes:
        """Bytes of the event stream."""
        return self._stream.read(position, limit)

    def released(self) -> int:
        """The newest command whose events may be told."""
        return load_word(self._gate)

    @property
    def renderer(self) -> Renderer:
        """Who words events."""
        return self._renderer

    @property
    def begin(self) -> int:
        """The oldest position of the stream there is."""
        return self._begin

    @property
    def wants_copies(self) -> bool:
        """Whether a drop-copy session listens: what is told to others then concerns us, too."""
        return bool(self.context.fields["copies"])

    @property
    def position(self) -> int:
        """How far the stream was walked."""
        return self.context.position

    # ---- clients -------------------------------------------------------------------------------

    def accept(self) -> Client:
        """A new connection."""
        self._number += 1
        return Client(self, self._number, self._settings.send_buffer_bytes)

    def welcome(self, client: Client) -> Session:
        """The connection stands: a session that waits for its Logon."""
        session = Session(
            self._admission, client.record, client.number, client.peer, time.time_ns())
        session.application = self._dialect.handle
        if len(self.clients) >= self._settings.connections_max:
            client.abort()
        self.clients[client.number] = client
        return session

    def farewell(self, client: Client) -> None:
        """The connection is over: its session is free for the next one."""
        if self.clients.pop(client.number, None) is None:
            return
        session = client.session
        session.disconnected()
        for answering in (self._queries, self.bulletin, self.trades, self.balances):
            answering.forget(session)
        self.watch()
        self.market_data.forget(session)
        for action in session.take_actions():
            if isinstance(action, Command):
                self._command(action, session.id)
        if self._by_session.get(session.id) is client:
            self._by_session.pop(session.id)
            self.context.attach(session.id, None)
            self._logger.info("disconnected", session=session.id, reason=session.reason)
            self.copies.refresh()

    def carry_out(self, client: Client) -> None:
        """Do what a session asks for."""
        session = client.session
        for action in session.take_actions():
            if isinstance(action, Send):
                client.write(action.data)
            elif isinstance(action, Command):
                if action.name == "SessionOpen":
                    self._attach(client)
                    self._began.asked(session.id, time.time_ns())
                elif action.name == "SessionReset":
                    client.reset_from = self.position
                self._command(action, session.id)
            elif isinstance(action, Replay):
                self._resends.start(client, action)
            elif isinstance(action, Look):
                self.copies.look(client, action.orders)
            elif isinstance(action, Close):
                client.finish()
                self.farewell(client)

    def _attach(self, client: Client) -> None:
        """The Logon proved who it is: events of the session go to this connection from now on."""
        number = client.session.id
        known = self.reference.sessions.get(number)
        client.record.fields["account"] = known.account if known else 0
        self._by_session[number] = client
        self.context.attach(number, client.record)
        self._logger.info("logon", session=number, peer=client.peer)
        self.copies.refresh()

    def _command(self, action: Command, session: int) -> None:
        self.overflow.send(action, session)

    def command(self, name: str, fields: dict[str, Any], session: int) -> None:
        """A command of the gateway's own for a session; kept back while the ring is full."""
        self._command(Command(name, fields), session)

    # ---- words --------------------------------------------------------------------------------

    def word(
        self, client: Client, frame: bytes, number: int, again: int, at: int
    ) -> bytes | None:
        """The message for an event as bytes, or None where FIX has none.

        again: 0 or the time of a resend. at: the event's position in the stream.
        """
        template_id = int.from_bytes(frame[18:20], "little")
        fields = decode_body(template_id, frame[EVENT_BODY_AT:])
        when = fields["header"]["transactTime"]
        if template_id == control.SESSION_NUMBERS_ASSIGNED_TEMPLATE:
            kind, position = reference_kind(fields["reference"])
            if kind == PLAIN:
                if not fields["text"]:
                    return None
                kept = kept_message(fields["text"])
                if is_recipe(kept):
                    kept.body = body(self._dialect.lists.words(
                        client.session, recipe_of(kept.body), at, when))
                return client.session.wire(kept, number, when, again)
            return self.copies.message(client.session, kind, position, number, when, again)
        if template_id == oe.EXECUTION_REPORT_TEMPLATE and fields["orderId"]:
            extra = body(self._renderer.reason_fields(fields))
            return self.report(client.record, frame, number, when, again, extra)
        rendered = self._renderer.render(template_id, client.session.id, fields)
        if rendered is None:
            return None
        return client.session.spell(rendered, number, when, again)

    def report(
        self, record: Connection, frame: bytes, number: int, time: int, again: int,
        extra: bytes = b"",
    ) -> bytes:
        """An execution report event as its message for a connection, numbered at `time`."""
        source = ctypes.create_string_buffer(frame + extra, len(frame) + len(extra) + 8)
        address = ctypes.addressof(source)
        out = int(self._scratch.ctypes.data)
        length = int(put_report(
            out, record.address, self.context.address, address, number, time, again,
            address + len(frame), len(extra)))
        return self._scratch[:length].tobytes()

    # ---- events --------------------------------------------------------------------------------

    def catch_up(self) -> None:
        """Walk the stream from its begin."""
        while data := self._stream.read(self.position, READ_BYTES):
            if self._walk(int(np.frombuffer(data, np.uint8).ctypes.data), len(data)) == 0:
                break
        self.copies.owed.live = True
        self._refresh()
        for session, connection in self._open.items():
            # It died with the last gateway; cancel-on-disconnect hangs on the core knowing.
            if session in self.profiles.by_number:
                gone = {"connection": connection, "logout": 0, "acknowledged": 0}  # for all we know
                self.command("SessionClose", gone, session)
        self.ring_core()

    def turn(self) -> int:
        """Deal with the events released since the last time; how many bytes of them."""
        total = 0
        while True:
            position = self.position
            available = int(log_published(self._log)) - position
            if available <= 0:
                break
            if position >= int(log_oldest(self._log)):
                used = self._walk(int(log_address(self._log, position)), available)
            else:
                data = self._stream.read(position, READ_BYTES)
                array = np.frombuffer(data, np.uint8)
                used = self._walk(int(array.ctypes.data), len(data))
            total += used
            if used == 0:
                break
        if self._version != self.reference.version:
            self._refresh()
        return total

    def _walk(self, address: int, length: int) -> int:
        context, words = self.context, self.context.words
        start = context.position
        used = int(walk(context.address, address, length, start))
        context.position = start + used
        self._flush()
        rows = words[T_ROWS_COUNT >> 3]
        if rows:
            words[T_ROWS_COUNT >> 3] = 0
            for position, session in context.rows[:rows].tolist():
                self._row(address + position - start, session, position)
            for session in {session for _, session in context.rows[:rows].tolist()}:
                client = self._by_session.get(session)
                if client is not None:
                    client.record.fields["blocked"] = 0
        if words[T_INDEX_COUNT >> 3] >= len(context.index):
            grown = np.zeros((2 * len(context.index), context.index.shape[1]), np.int64)
            grown[: len(context.index)] = context.index
            context.use_index(grown)
        return used

    def _flush(self) -> None:
        """Send the reports that the walk formatted."""
        words = self.context.words
        count = words[T_DIRTY_COUNT >> 3]
        if count:
            now = time.time_ns()
            words[T_DIRTY_COUNT >> 3] = 0
            for session in self.context.dirty[:count].tolist():
                client = self._by_session.get(session)
                if client is not None:
                    client.write(client.record.take_sent())
                    client.session.wrote(now)

    def _row(self, address: int, session: int, position: int) -> None:
        """An event that Python deals with."""
        length = int.from_bytes(ctypes.string_at(address, 4), "little")
        frame = ctypes.string_at(address, length)
        if session == EVERYONE:
            self._public(frame, position)
            return
        if (client := self._by_session.get(session)) is None:
            return
        number = int.from_bytes(frame[32:36], "little")
        if int.from_bytes(frame[18:20], "little") == control.SESSION_NUMBERS_ASSIGNED_TEMPLATE:
            fields = decode_body(control.SESSION_NUMBERS_ASSIGNED_TEMPLATE, frame[EVENT_BODY_AT:])
            if reference_kind(fields["reference"])[0] == PLAIN:
                client.session.numbered(
                    fields["reference"], number, fields["count"],
                    fields["header"]["transactTime"], time.time_ns(), position)
                self.carry_out(client)
                return
        if client.session.live:
            data = self.word(client, frame, number, 0, position)
            if data is None:
                data = gap_message(
                    client.record, number, int.from_bytes(frame[24:32], "little"))
            client.write(data)
            client.session.passed(number, time.time_ns())

    def _public(self, frame: bytes, position: int) -> None:
        """An event for nobody in particular."""
        template_id = int.from_bytes(frame[18:20], "little")
        if template_id == oe.EXECUTION_REPORT_TEMPLATE:
            self.copies.report(frame, position)
            return
        if template_id == oe.BALANCE_UPDATE_TEMPLATE:
            self.copies.balance(frame, position)
            return
        if (special := self._session_events.get(template_id)) is not None:
            special(decode_body(template_id, frame[EVENT_BODY_AT:]), position)
            return
        self.reference.apply(template_id, frame[EVENT_BODY_AT:])
        if template_id in self._instrument_events:
            number = decode_body(template_id, frame[EVENT_BODY_AT:])["instrument"]
            for tell in self._instrument_events[template_id]:
                tell(self.reference.instruments[number])
            for client in list(self._by_session.values()):
                self.carry_out(client)

    def _session_opened(self, fields: dict[str, Any], position: int) -> None:
        client = self.clients.get(fields["connection"])
        self._began.answered(fields["session"])
        if not fields["reason"]:
            self._open[fields["session"]] = fields["connection"]
            self._numbers_set(fields, position)
        elif client is not None and client.session.id == fields["session"]:
            client.session.refused(USED, time.time_ns())  # here before us, or at another gateway
            self.carry_out(client)

    def _numbers_assigned(self, fields: dict[str, Any], position: int) -> None:
        """Those of a ListStatus or of a Logon of ours, whoever serves the session."""
        of_list, owed = fields["text"].startswith("N"), self.copies.owed
        (self._dialect.lists.learn if of_list else owed.logon_numbered)(fields, position)

    def _session_closed(self, fields: dict[str, Any], position: int) -> None:
        self._open.pop(fields["session"], None)
        self.copies.owed.closed(fields, position)

    def _numbers_set(self, fields: dict[str, Any], position: int) -> None:
        """A session was opened, or had its numbers set within it; for our client it goes on."""
        connection = fields["connection" if "connection" in fields else "reference"]
        self._began.learn(fields["session"], fields["header"]["transactTime"])
        client, entry, start, proved = self.clients.get(connection), None, 0, 0
        if client is not None and client.session.id == fields["session"]:
            entry, start = client.session.logon, client.reset_from
            proved = client.session.receipts.number
            client.session.opened(fields["nextInbound"], fields["nextOutbound"], time.time_ns())
            self.carry_out(client)
        self.copies.session_opened(fields, position, entry)
        self.copies.owed.opened(fields, position, entry, start, proved)

    def _refresh(self) -> None:
        """Definitions changed: fill the tables that compiled code reads."""
        self._version = self.reference.version
        accounts = self.reference.accounts_by_name
        self._grants = {
            number: {name: accounts[name].number for name in (entry.account, *entry.accounts)
                     if name in accounts}
            for number, entry in self.profiles.by_number.items()
        }
        self.context.refresh(self.reference, [
            (name, account, session)
            for session, names in self._grants.items() for name, account in names.items()])

    # ---- time ----------------------------------------------------------------------------------

    def ring_core(self) -> None:
        """Wake the core if it sleeps."""
        ring_bell(self._core_bell, self._core_asleep)

    def after_input(self, published: bool) -> None:
        """What the process does after a client's bytes were dealt with; see __main__."""
        if published:
            self.ring_core()
        self.turn()

    def tick(self) -> None:
        """Time has passed: timers of all sessions, what waited for room.

        After a pause of this process nobody is blamed for silence before the sockets were read.
        """
        now = time.time_ns()
        paused, self._ticked = now - self._ticked > PAUSE_NS, now
        self.overflow.go_on()
        ready = self.core_ready()
        if ready != self._ready:
            self._ready = ready
            self.bulletin.core_changed(ready)
        self.market_data.tick(now)
        self.bulletin.tick(now)
        for client in list(self.clients.values()):
            entry = client.session.entry
            if entry and is_over(self._began.at(entry.session), now, entry.reset_time):
                client.session.say_goodbye(
                    f"the day ended at {entry.reset_time} UTC; start again", now)
            client.read_on(now)
            if not paused:
                client.session.tick(now)
            self.carry_out(client)

    def close(self, text: str) -> None:
        """Log everybody out."""
        self.bulletin.closing(text)
        for client in list(self.clients.values()):
            if client.session.state == State.WAITING:
                client.finish()
            else:
                client.session.say_goodbye(text, time.time_ns())
                self.carry_out(client)

