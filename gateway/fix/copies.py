"""Reports that go out a second time under a number of their own: drop copies and possible resends.

The number is taken with a reference that says which event it is for (gateway/fix/replay.py), so a
copy is as recoverable as an original: any gateway finds the event behind the number and writes the
same message again.

    drop copy     each report of the owner's orders, to the owner's drop-copy sessions
    again         97=Y: reports from before a Logon that set numbers back, which the client may
                  not have; and the answer to an order marked PossResend that is known already
    capture       each trade of an account, to the sessions that subscribed by AD
    balance       money that came or went, to the sessions that subscribed by BB
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from core.errors import EventsLost
from core.messages import decode_body
from gateway.fix.backlog import Backlog
from gateway.fix.message import Message, body, parse
from gateway.fix.owed import REPORTS, TOLD_AGAIN, Finder, Owed
from gateway.fix.records import EVENT_BODY_AT
from gateway.fix.references import AGAIN, CAPTURE, COPY, copy_reference
from gateway.fix.report import POSSIBLE_RESEND
from gateway.fix.resend import locate
from gateway.fix.search import Backward, Forward, Searches
from gateway.fix.trades import trade_fields
from sbe.generated import order_entry as oe

if TYPE_CHECKING:
    from gateway.fix.client import Client
    from gateway.fix.gateway import FixGateway
    from gateway.fix.logon import Entry
    from gateway.fix.session import Session

FOUND_MAX = 4096


class Copies:
    """See the module; one for the gateway."""

    def __init__(self, gateway: "FixGateway", repeat_seconds: float) -> None:
        self._gateway = gateway
        self._listeners: dict[int, list[int]] = {}  # owner: drop-copy sessions
        self._listening: set[int] = set()  # of these those that have all there was before
        self._behind: dict[int, Backlog] = {}
        self._searches = Searches()
        self.owed = Owed(
            gateway, self._searches, repeat_seconds,
            lambda session, at: self._take_number(session, AGAIN, at))

    def refresh(self) -> None:
        """Sessions came or went: who wants copies?"""
        listeners: dict[int, list[int]] = {}
        gateway = self._gateway
        for number in gateway.profiles.by_number:
            known = gateway.reference.sessions.get(number)
            if gateway.client_of(number) is None:
                self._listening.discard(number)
                if number in self._behind:
                    self._behind.pop(number).stopped = True
            elif number in self._listening and known is not None:
                listeners.setdefault(known.owner, []).append(number)
        self._listeners = listeners
        gateway.watch()

    @property
    def listening(self) -> bool:
        """Whether a drop-copy session is there."""
        return bool(self._listeners)

    def report(self, frame: bytes, position: int) -> None:
        """A report of anybody: copy it to the drop-copy sessions of its owner."""
        at = EVENT_BODY_AT + oe.EXECUTION_REPORT_OWNER_OFFSET
        owner = int.from_bytes(frame[at : at + 4], "little")
        for session in self._listeners.get(owner, ()):
            self._take_number(session, COPY, position)
        for reader in self._gateway.trades.report(frame):
            self._take_number(reader.id, CAPTURE, position)

    def balance(self, frame: bytes, position: int) -> None:
        """Money came, went or was moved: tell those who watch the account, unless told anyway."""
        told = int.from_bytes(frame[4:8], "little")  # Who follows it (AN).
        at = EVENT_BODY_AT + oe.BALANCE_UPDATE_ACCOUNT_OFFSET
        account = int.from_bytes(frame[at : at + 4], "little")
        for reader in self._gateway.balances.watchers(account):
            if reader.id != told:
                self._take_number(reader.id, COPY, position)

    def again(self, session: int, position: int) -> None:
        """Send a report again under a new number, marked as a possible resend."""
        self._take_number(session, AGAIN, position)

    def _take_number(self, session: int, kind: int, position: int) -> None:
        fields = {"count": 1, "reference": copy_reference(kind, position), "text": ""}
        self._gateway.command("SessionNumbers", fields, session)

    def session_opened(
        self, fields: dict[str, Any], position: int, entry: "Entry | None"
    ) -> None:
        """A session was opened; entry: the Logon that asked for it if its connection is ours."""
        session = fields["session"]
        if entry is not None and entry.session.drop_copy and session not in self._listening:
            self._catch_up(session, fields["nextOutbound"] - 1, position)

    def _catch_up(self, session: int, last: int, position: int) -> None:
        """A drop-copy session logged on: what it missed is copied first, if its numbers go on.

        last: its last number.
        """

        def listen() -> None:
            self._behind.pop(session, None)
            self._listening.add(session)
            self.refresh()

        gateway = self._gateway
        begin = locate(gateway.context, session, last, gateway.begin) if last else None
        known = gateway.reference.sessions.get(session)
        if begin is None or known is None:
            listen()
            return
        self._behind[session] = Backlog(
            gateway, session, known.owner, begin, position,
            lambda at: self._take_number(session, COPY, at), listen)
        self._behind[session].go_on()

    def reports(self, session: "Session", start: int, end: int) -> list[Message]:
        """The session's newest reports between two positions, oldest first, as it was told them."""
        found = (self.report_at(session, at) for at in self._find(session.id, start, end))
        return [report for report in found if report is not None]

    def report_at(self, session: "Session", position: int) -> Message | None:
        """The report at a position as the session was told it; None at 0 or if it is gone."""
        text = self.message(session, COPY, position, 0, 0, 0) if position else None
        return None if text is None else parse(text)

    def look_for(
        self, session: "Session", begin: int, orders: list[int],
        found: Callable[[list[int]], None],
    ) -> None:
        """Find the newest reports of orders of the session (64-bit ids) behind a position."""
        self._searches.begin(Forward(
            self._gateway, session.id, max(begin, self._gateway.begin), orders, found))

    def look(self, client: "Client", orders: tuple[int, ...]) -> None:
        """Find the newest reports of orders that may have been entered at any time."""
        gateway = self._gateway

        def found(known: dict[int, int]) -> None:
            client.session.looked(known, gateway.now())
            gateway.carry_out(client)
            client.go_on()

        self._searches.begin(Backward(gateway, client, orders, found))

    def _find(self, session: int, start: int, end: int) -> list[int]:
        """Positions of a session's newest reports between two, the oldest first."""
        found: list[int] = []
        finder = Finder(self._gateway, session, start, end, 0, REPORTS | TOLD_AGAIN)
        while not finder.done:
            found += [place for place, _ in finder.step()]
        return sorted(found)[-FOUND_MAX:]

    def message(
        self, session: "Session", kind: int, position: int, number: int, time: int, again: int
    ) -> bytes | None:
        """The copy of the event at a position, for a session; None if it is gone.

        time: when it got its number, ns; that may be long after the event. again: 0, or now.
        """
        try:
            head = self._gateway.read(position, 32)
            size = int.from_bytes(head[:4], "little")
            frame = self._gateway.read(position, size)
        except EventsLost:
            return None
        if len(frame) < size or size < 32:
            return None
        if kind == CAPTURE:
            trade = "AE", trade_fields(frame, self._gateway.reference, [])
            return session.spell(trade, number, time, again)
        renderer = self._gateway.renderer
        if int.from_bytes(frame[18:20], "little") == oe.BALANCE_UPDATE_TEMPLATE:
            fields = decode_body(oe.BALANCE_UPDATE_TEMPLATE, frame[EVENT_BODY_AT:])
            told = renderer.accounts.balance(session.id, fields)
            return None if told is None else session.spell(told, number, time, again)
        fields = decode_body(oe.EXECUTION_REPORT_TEMPLATE, frame[EVENT_BODY_AT:])
        words = renderer.copy_fields if kind == COPY else renderer.reason_fields
        if kind == AGAIN:
            again = -again or POSSIBLE_RESEND
        return self._gateway.report(
            session.connection, frame, number, time, again, body(words(fields)))
