"""The agent: compiled turns, and in Python what is rare — handshakes, silences, retransmissions.

    poll ─▶ turn (compiled) ─▶ rows ─▶ Session ─▶ effects ─▶ commands, replies, sockets
                                 ▲
              timers, every 20 ms┘
"""

import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from structlog.typing import FilteringBoundLogger

from core.config import BinaryGateway as Settings
from core.errors import EventsLost
from core.link import CommandLink
from core.messages import decode, encode
from core.status import StatusRow, StatusTable
from core.stream import EventStream
from core.venue import BinarySession
from gateway.binary.connections import MARKS_MAX, SESSIONS_MAX, ConnectionState, Kind
from gateway.binary.effects import Bind, Close, Disconnect, Effect, Open, Reply, Retransmit
from gateway.binary.frames import framed
from gateway.binary.history import Retransmission, locate
from gateway.binary.session import RETRANSMIT_OUT_OF_RANGE, Known, Opened, Phase, Session
from gateway.binary.sockets import Sockets
from gateway.binary.turn import flush_all, replay, resume, turn
from sbe.generated import order_entry as oe

TIMER_NS = 20_000_000
LINGER_NS = 1_000_000_000  # how long a connection may take to read its Terminate
BURST_NS = 1_000_000_000  # a client may use a second's worth of its rate at once


@dataclass(slots=True)
class Connection:
    """One client's socket and conversation; `token` is its number in SessionOpen."""

    slot: int
    token: int
    session: Session
    retransmission: Retransmission | None = None
    ending_at: int = 0  # monotonic ns by which it is closed, read or not; 0 while it lives


class BinaryGateway:
    """Serves the configured sessions; see `poll`.

    memory: a record of connections.new_gateway, its addresses filled in. first_token: above every
    connection number used before.
    """

    def __init__(
        self,
        settings: Settings,
        memory: Any,
        marks: Any,
        sockets: Sockets,
        link: CommandLink,
        stream: EventStream,
        status: StatusTable,
        row: StatusRow,
        log: FilteringBoundLogger,
        first_token: int,
    ) -> None:
        self._settings = settings
        self._memory = memory
        self._g = memory[0]
        self._rows_used = memory["rows_used"]
        self._marks = marks
        self._sockets = sockets
        self._link = link
        self._stream = stream
        self._status = status
        self._row = row
        self._log = log
        self._token = first_token
        self._configured = {session.session: session for session in settings.session}
        self._known: dict[int, Known] = {number: Known() for number in self._configured}
        self._places: dict[int, int] = {}
        self._connections: dict[int, Connection] = {}
        self._by_token: dict[int, Connection] = {}
        self._unsent: deque[tuple[str, dict[str, Any], int]] = deque()
        self._jobs: list[Connection] = []  # those with a retransmission
        self._live = False  # False while the archived events are read
        self._next_timer = 0
        for place, number in enumerate(self._configured):
            if place >= SESSIONS_MAX:
                raise ValueError(f"at most {SESSIONS_MAX} binary sessions")
            self._places[number] = place
            self._g["places"][number] = place
            self._g["sessions"][place]["number"] = number

    # ---- the exchange as a session sees it -----------------------------------------------------

    def configured(self, session: int) -> BinarySession | None:
        """The session's configuration, or None if there is no such binary session."""
        return self._configured.get(session)

    def known(self, session: int) -> Known:
        """What is known of the session, the newest numbers included."""
        known, place = self._known.get(session), self._places.get(session)
        if known is None or place is None:
            return Known()
        h = self._g["sessions"][place]
        known.next_outbound = int(h["next_outbound"])
        known.last_applied = int(h["last_applied"])
        return known

    def is_taken(self, session: int) -> bool:
        """Whether a connection has the session, or is about to."""
        return any(c.session.number == session for c in self._by_token.values())

    def available(self) -> bool:
        """Whether the core takes commands."""
        return bool(self._status.core_ready)

    @property
    def connections(self) -> int:
        """How many sockets are open."""
        return len(self._connections)

    # ---- the loop ------------------------------------------------------------------------------

    def catch_up(self) -> None:
        """Read what the sessions need to know from the archived events; bind nobody yet.

        A connection the core still believes in died with the last gateway: the core is told.
        """
        while self._replay():
            self._handle_rows()
        self._live = True
        for number, place in self._places.items():
            token = int(self._g["sessions"][place]["connection"])
            if token:
                gone = {"connection": token, "logout": 0, "acknowledged": 0}
                self._command("SessionClose", gone, number)

    def poll(self) -> int:
        """Do what there is to do, without waiting; how much that was."""
        work = int(turn(self._memory))
        while self._rows_used[0]:
            work += self._handle_rows()
        for connection in tuple(self._jobs):
            work += self._step(connection)
        now = time.monotonic_ns()
        if now >= self._next_timer:
            self._next_timer = now + TIMER_NS
            self._timers(now)
        return work

    def stop(self) -> None:
        """Tell every client that this is the end, and let go."""
        for connection in list(self._connections.values()):
            code = oe.TERMINATION_CODE_SHUTDOWN
            self._do(connection, connection.session.violation(code))
        self._flush()
        deadline = time.monotonic_ns() + LINGER_NS
        while (self._connections or self._unsent) and time.monotonic_ns() < deadline:
            if self.poll() == 0:
                time.sleep(0.002)
        self.close()

    def close(self) -> None:
        """Close every socket at once; as far as anybody outside can tell, this process died."""
        self._sockets.close()

    def _replay(self) -> bool:
        """Deal out events from the archive; False if there is nothing released left there."""
        data = self._stream.read(int(self._g["position"]))
        if not data:
            return False
        view = np.frombuffer(data, np.uint8)
        gate = self._gate()
        used = int(replay(self._memory, view.ctypes.data, len(data), gate))
        self._handle_control(view)
        return used > 0

    def _gate(self) -> int:
        fsync = self._g["gate_address"] == self._status.durable_address
        return int(self._status.durable_sequence if fsync else self._status.published_sequence)

    # ---- rows ----------------------------------------------------------------------------------

    def _take_rows(self) -> list[tuple[int, int, int, int]]:
        used = int(self._rows_used[0])
        rows: list[tuple[int, int, int, int]] = self._g["rows"][:used].tolist()
        self._rows_used[0] = 0
        return rows

    def _handle_control(self, stream: Any) -> None:
        """The control row of the piece of stream just walked, if there is one, before any other."""
        used = int(self._rows_used[0])
        if used and self._g["rows"][used - 1]["kind"] == Kind.CONTROL:
            self._rows_used[0] = used - 1
            row = self._g["rows"][used - 1]
            offset, length = int(row["offset"]), int(row["length"])
            self._control(stream[offset : offset + length].tobytes())

    def _handle_rows(self) -> int:
        rows = self._take_rows()
        for kind, slot, offset, length in rows:
            if kind == Kind.CONTROL:
                self._control(self._sockets.scratch[offset : offset + length].tobytes())
            elif kind == Kind.LAPPED:
                self._replay()
            elif kind == Kind.ACCEPT:
                self._accept()
            else:
                connection = self._connections.get(slot)
                if connection is not None:
                    self._connection_row(connection, kind, offset, length)
        self._flush()
        return len(rows)

    def _connection_row(self, connection: Connection, kind: int, offset: int, length: int) -> None:
        if kind == Kind.MESSAGE:
            message = self._sockets.received(connection.slot, offset, length)
            name, fields = decode(message)
            self._do(connection, connection.session.message(name, fields, time.time_ns()))
        elif kind == Kind.BROKEN:
            self._do(connection, connection.session.violation(offset))
        elif kind == Kind.OVERFLOW:
            code = oe.TERMINATION_CODE_SLOW_CONSUMER
            self._do(connection, connection.session.violation(code))
        elif kind == Kind.BLOCKED:
            self._sockets.watch(connection.slot, writable=True)
        elif kind == Kind.WRITABLE:
            self._sockets.watch(connection.slot, writable=False)
            if connection.ending_at:
                self._sockets.finish(connection.slot)
        elif kind == Kind.CLOSED:
            self._do(connection, connection.session.ended("the client is gone"))
            self._free(connection)

    def _accept(self) -> None:
        for slot, peer in self._sockets.accept():
            timeout = int(self._settings.negotiate_seconds * 1e9)
            session = Session(self, peer, timeout, time.monotonic_ns())
            self._token += 1
            connection = Connection(slot, self._token, session)
            self._connections[slot] = self._by_token[self._token] = connection

    def _control(self, frame: bytes) -> None:
        """An event about one of our sessions: SessionOpened, SessionClosed, SessionWasReset."""
        name, fields = decode(frame[16:])
        number = fields["session"]
        place, known = self._places[number], self._known[number]
        h = self._g["sessions"][place]
        if name == "SessionOpened" and fields["reason"] != oe.REASON_NONE:
            self._opened(fields)
            return
        known.next_inbound = fields["nextInbound"]
        h["next_outbound"] = fields["nextOutbound"]
        h["last_applied"] = fields["nextInbound"] - 1
        if fields["nextOutbound"] == 1:
            h["first_mark"] = 0
            self._marks[place * MARKS_MAX] = int(self._g["position"]) - len(frame)
        if name == "SessionOpened":
            known.version = fields["versionId"]
            h["connection"] = fields["connection"]
            self._opened(fields)
        elif name == "SessionClosed":
            h["connection"] = 0
        else:
            self._was_reset(number)

    def _opened(self, fields: dict[str, Any]) -> None:
        connection = self._by_token.get(fields["connection"])
        if connection is None:
            if self._live and fields["reason"] == oe.REASON_NONE:
                # Asked for by a gateway that died, or for a client that has gone meanwhile.
                closed = {"connection": fields["connection"], "logout": 0, "acknowledged": 0}
                self._command("SessionClose", closed, fields["session"])
            return
        answer = Opened(
            fields["reason"], fields["versionId"], fields["nextInbound"], fields["nextOutbound"]
        )
        self._do(connection, connection.session.opened(answer, time.monotonic_ns()))

    def _was_reset(self, number: int) -> None:
        """An operator reset the numbers: whoever is connected must come again."""
        for connection in list(self._by_token.values()):
            if connection.session.number == number:
                code = oe.TERMINATION_CODE_INVALID_SESSION
                self._do(connection, connection.session.violation(code))

    # ---- effects -------------------------------------------------------------------------------

    def _do(self, connection: Connection, effects: Iterable[Effect]) -> None:
        for effect in effects:
            match effect:
                case Reply(name, fields):
                    self._sockets.put(connection.slot, framed(encode(name, fields)))
                case Open():
                    self._open(connection, effect)
                case Close(session, logout):
                    fields = {
                        "connection": connection.token, "logout": int(logout), "acknowledged": 0}
                    self._command("SessionClose", fields, session)
                case Bind():
                    self._bind(connection, effect)
                case Retransmit():
                    self._retransmit(connection, effect)
                case Disconnect(reason):
                    self._end(connection, reason)
        if connection.session.phase in (Phase.CONNECTED, Phase.NEGOTIATED, Phase.ESTABLISHED):
            self._continue(connection)

    def _continue(self, connection: Connection) -> None:
        """Let compiled code parse on, if it was stopped for us."""
        c = self._g["connections"][connection.slot]
        if c["held"]:
            c["held"] = 0
            resume(self._memory, connection.slot)

    def _open(self, connection: Connection, effect: Open) -> None:
        fields = {
            "versionId": effect.version,
            "nextInbound": 0,
            "reset": int(effect.reset),
            "cancelOnDisconnect": effect.cancel_on_disconnect,
            "cancelWindow": effect.cancel_window,
            "connection": connection.token,
            "signedTime": effect.signed_time,
            "signedMark": effect.signed_mark,
        }
        self._command("SessionOpen", fields, effect.session)

    def _bind(self, connection: Connection, effect: Bind) -> None:
        place = self._places[effect.session]
        c = self._g["connections"][connection.slot]
        c["session"], c["place"] = effect.session, place
        c["expected"] = effect.expected
        c["token_ns"] = 1_000_000_000 // effect.throttle if effect.throttle else 0
        c["burst_ns"] = BURST_NS if effect.throttle else 0
        c["bucket_ns"] = c["throttled"] = 0
        c["state"] = ConnectionState.ESTABLISHED
        self._g["sessions"][place]["slot"] = connection.slot
        self._log.info("established", session=effect.session, expected=effect.expected)

    def _retransmit(self, connection: Connection, effect: Retransmit) -> None:
        number = connection.session.number
        place = self._places[number]
        marks = self._marks[place * MARKS_MAX : (place + 1) * MARKS_MAX]
        position = locate(self._g["sessions"][place], marks, effect.first)
        if position is None:
            self._retransmit_failed(connection, effect.request_timestamp)
            return
        end = int(self._g["position"])
        connection.retransmission = Retransmission(
            self._stream, position, number, effect.first, effect.count,
            effect.request_timestamp, end,
        )
        self._jobs.append(connection)

    def _retransmit_failed(self, connection: Connection, timestamp: int) -> None:
        fields = {"requestTimestamp": timestamp, "code": RETRANSMIT_OUT_OF_RANGE}
        self._sockets.put(connection.slot, framed(encode("RetransmitReject", fields)))
        self._retransmit_over(connection)

    def _retransmit_over(self, connection: Connection) -> None:
        if connection.retransmission is not None:
            connection.retransmission = None
            self._jobs.remove(connection)
        connection.session.retransmitted()

    def _end(self, connection: Connection, reason: str) -> None:
        """Nothing more is read; what is in the send buffer still leaves."""
        self._by_token.pop(connection.token, None)
        self._retransmit_over(connection)
        connection.ending_at = time.monotonic_ns() + LINGER_NS
        c = self._g["connections"][connection.slot]
        if c["state"] == ConnectionState.ESTABLISHED:
            self._g["sessions"][int(c["place"])]["slot"] = -1
        c["state"] = ConnectionState.ENDING
        self._log.info("ended", session=connection.session.number, reason=reason)
        self._flush()
        if c["sent"] == c["filled"]:
            self._sockets.finish(connection.slot)

    def _free(self, connection: Connection) -> None:
        self._connections.pop(connection.slot, None)
        self._sockets.free(connection.slot)

    def _command(self, name: str, fields: dict[str, Any], session: int) -> None:
        """To the core, at the latest when its ring has room again."""
        if self._unsent or not self._link.send(name, fields, session):
            self._unsent.append((name, fields, session))

    def _flush(self) -> None:
        if self._g["dirty_used"]:
            flush_all(self._memory)

    # ---- time ----------------------------------------------------------------------------------

    def _timers(self, now: int) -> None:
        while self._unsent and self._link.send(*self._unsent[0]):
            self._unsent.popleft()
        for connection in list(self._connections.values()):
            c = self._g["connections"][connection.slot]
            if connection.ending_at:
                if now >= connection.ending_at:
                    self._free(connection)
                continue
            heard, sent = int(c["last_received_ns"]), int(c["last_sent_ns"])
            self._do(connection, connection.session.timer(now, heard, sent))
        self._flush()
        self._row.beat()
        self._row.position = int(self._g["position"])

    def _step(self, connection: Connection) -> int:
        """Work on a retransmission; once all of it was found, send it as the client reads."""
        job = connection.retransmission
        assert job is not None, "Invariant: who is on the list has a retransmission."
        if not job.message:
            try:
                if not job.step():
                    return 1
            except EventsLost as error:
                self._log.warning("retransmission", session=job.session, error=str(error))
                self._retransmit_failed(connection, job.request_timestamp)
                return 1
            job.message = memoryview(self._retransmission(job))
        # It may be larger than the send buffer, of which live events keep a half for themselves.
        c = self._g["connections"][connection.slot]
        capacity, waiting = int(c["send_capacity"]), int(c["filled"] - c["sent"])
        room = capacity // 2 - waiting
        taken = job.take(room, room if waiting else capacity)
        if not taken:
            return 0
        self._sockets.put(connection.slot, taken)
        if not job.message:
            self._retransmit_over(connection)
        self._flush()
        return 1

    def _retransmission(self, job: Retransmission) -> bytes:
        """The events that were found, between what announces them and what ends them."""
        head = {
            "requestTimestamp": job.request_timestamp,
            "nextSeqNo": job.first,
            "count": job.count,
        }
        known = self.known(job.session)
        tail = {
            "nextSeqNo": known.next_outbound,
            "lastAppliedSeqNo": known.last_applied,
            "lapsed": 0,
        }
        begin, end = framed(encode("Retransmission", head)), framed(encode("Sequence", tail))
        return begin + bytes(job.frames) + end
