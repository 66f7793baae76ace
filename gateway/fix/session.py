"""One FIX session on one connection: messages and time in, actions out.

It owns no socket, no clock and no thread: `receive`, `tick` and the three answers of the core
(`opened`, `numbered`, `was_reset`) append to `actions`, which the gateway carries out.

    WAITING ──Logon──> OPENING ──SessionOpened──> ACTIVE ──Logout──> LEAVING ──> CLOSED
       │ anything else     │ what follows the Logon  │ 141=Y: OPENING again
       └──> CLOSED         └ is held until then      └ silence, faults: Logout, LEAVING
"""

from collections.abc import Callable
from enum import IntEnum

from core.venue import FixSession
from gateway.fix.actions import Close, Command, Look, Replay, Send
from gateway.fix.ahead import Ahead
from gateway.fix.dictionary.messages import INBOUND, is_message_type
from gateway.fix.dictionary.validate import BAD_FORMAT, BAD_VALUE, MISSING, MSG_TYPE, Fault, check
from gateway.fix.identity import identity_fault
from gateway.fix.logon import Admission, Entry, refusal_of
from gateway.fix.message import Garbled, Message, body, parse
from gateway.fix.outbox import Field, Outbox, unsupported
from gateway.fix.profile import Refusal
from gateway.fix.receipts import Receipts
from gateway.fix.records import FLAG_LIVE, FLAG_READY
from gateway.fix.search import possible_resends
from gateway.fix.tables import Connection

SECOND = 1_000_000_000
HELD_BYTES_MAX = 4 << 20
LEAVE_SECONDS = 2  # how long we wait for the answer to our Logout
GARBLED_GRACE = SECOND // 2
GARBLED_SECONDS = 2  # how long a connection that began with garbage may go on without a Logon
NUMBER_MAX = 0xFFFF_FFFE
TEST = b"TEST"  # TestReqID (112) of ours when the client is silent


class State(IntEnum):
    """Where a connection is in its life."""

    WAITING = 0
    OPENING = 1
    ACTIVE = 2
    LEAVING = 3
    CLOSED = 4


class Session(Outbox):
    """See the module; `number` is the connection's own, given to the core with each SessionOpen."""

    def __init__(
        self, admission: Admission, connection: Connection, number: int, peer: str, now: int
    ) -> None:
        super().__init__(connection, number)
        self.state = State.WAITING
        self.peer = peer
        self.entry: FixSession | None = None
        self.application: Callable[[Session, Message, int], bool] = unsupported
        self._admission = admission
        self._deadline = now + int(admission.logon_seconds * SECOND)
        self.logon: Entry | None = None
        self._unanswered: Message | None = None  # the Logon, until the core opened the session
        self._held: list[bytes] = []
        self._ahead = Ahead()
        self._gap_asked = 0  # ns of our ResendRequest, 0: nothing missing
        self._gap_due = 0  # when to ask for what is missing after garbage, 0: not so
        self._disturbed = 0  # ns of the last garbage since all was in order
        self._test_sent = False
        self._looking = False  # orders marked PossResend are being looked for
        self.known: dict[int, int] = {}  # what was found of them: 64-bit id, position or 0
        self.throttled = 0  # orders refused by the throttle

    # ---- what others look at -------------------------------------------------------------------

    @property
    def id(self) -> int:
        """The session's number at the core, 0 while unknown."""
        return self.entry.session if self.entry else 0

    @property
    def expected(self) -> int:
        """The number of the next message in."""
        return int(self._fields["expected"])

    @property
    def live(self) -> bool:
        """Whether the Logon was answered and the session not left."""
        return bool(self._fields["flags"] & FLAG_LIVE)

    # ---- in ------------------------------------------------------------------------------------

    def receive(self, raw: bytes, now: int) -> None:
        """One framed message."""
        if self.state == State.CLOSED:
            return
        try:
            message = parse(raw)
        except Garbled:
            self.garbled(now)
            return
        if self.state == State.WAITING:
            self._first(message, now)
        elif self.state == State.OPENING:
            self._hold(raw)
        elif self.state == State.LEAVING:
            self.receipts.heard(message, self.last_sent, not self._ahead)
            if message.kind == "5" and self._pending:
                self._pending[-1].last = True  # ours is still on its way
            elif message.kind == "5":
                self._end("logged out")
        else:
            self._test_sent = False
            self._judge(message, now)
        self._set_ready()

    def garbled(self, now: int) -> None:
        """Bytes came that are no message.

        Before a Logon that shortens our patience. In a session a gap right after it is likely, and
        a client that noticed may be sending again already: the gap is given a moment to close.
        """
        self._disturbed = now
        if self.state == State.WAITING:
            self._deadline = min(self._deadline, now + GARBLED_SECONDS * SECOND)

    def too_long(self) -> None:
        """A BodyLength beyond what we buffer: Logout where there is somebody, and the end."""
        self._leave("BodyLength (tag 9) is beyond the limit of 32768", at_once=True)

    def _hold(self, raw: bytes) -> None:
        self._held.append(raw)
        if sum(map(len, self._held)) > HELD_BYTES_MAX:
            self._end("too much before the Logon was answered")

    def _judge(self, message: Message, now: int) -> None:
        """A message of a session that is up: identity, time, number, then its content."""
        if message.text(8) != self.version:
            self._leave("Incorrect BeginString")
            return
        number = message.number(34)
        if number is None:
            self._leave("MsgSeqNum (tag 34) is missing or not a number", at_once=True)
            return
        if message.kind == "A":
            self._logon_again(message, number, now)
            return
        fault = identity_fault(self._fields, message, now)
        in_order = fault is None and number == self.expected and not self._ahead
        self.receipts.heard(message, self.last_sent, in_order)
        if fault is not None:
            if number == self.expected:
                self._advance(number + 1)
            self._reject(message, number, fault)
            self._leave(fault.text)
        elif message.kind == "4" and message.get(123) != b"Y":
            self._reset_sequence(message, number, now)
        elif number > self.expected:
            self._too_high(message, number, now)
        elif number < self.expected:
            self._too_low(message, number)
        elif self._must_wait(message):
            self._ahead.add(number, message)
        else:
            self._in_order(message, number, now)
            self._drain(now)

    def _advance(self, number: int) -> None:
        """The next inbound number, and the core is told."""
        self._fields["expected"] = number
        self._command("SessionInbound", nextInbound=number)

    def _too_low(self, message: Message, number: int) -> None:
        again = message.get(43) == b"Y"
        if message.kind == "5" and not again:
            self._logout(message)
        elif message.kind == "2" and not again and check(message) is None:
            self._resend(message, number)
        elif not again:
            self._leave(
                f"MsgSeqNum too low, expecting {self.expected} but received {number}", at_once=True)
        elif not message.get(122) and message.kind != "4":
            self._reject(message, number, Fault(MISSING, 122))

    def _too_high(self, message: Message, number: int, now: int) -> None:
        if message.kind == "5":
            self._logout(message)
            return
        if message.kind == "2" and number not in self._ahead and check(message) is None:
            self._ahead.served.add(number)
            self._resend(message, number)
        self._ahead.add(number, message)
        if self._ahead.is_full:
            self._leave("too many messages above a gap", at_once=True)
        elif not self._looking:
            self._miss(now)

    def _miss(self, now: int) -> None:
        """There is a gap before what waits."""
        if self._disturbed:
            self._gap_due = self._gap_due or self._disturbed + GARBLED_GRACE
        elif not self._gap_asked:
            self._ask_again(now)

    def _ask_again(self, now: int) -> None:
        self._gap_asked = now
        self._gap_due = self._disturbed = 0
        self.emit("2", [(7, self.expected), (16, 0)])

    def _drain(self, now: int) -> None:
        """Deal with queued messages that are in order now."""
        self._ahead.forget(self.expected)
        while self.state == State.ACTIVE and self.expected in self._ahead:
            if self._must_wait(self._ahead[self.expected]):
                return
            self._in_order(self._ahead.pop(self.expected), self.expected, now)
            self._ahead.forget(self.expected)
        self.known = {}
        if not self._ahead:
            self._gap_asked = self._gap_due = self._disturbed = 0

    def _must_wait(self, message: Message) -> bool:
        """Whether it may be an order that is known already; then those that may are looked for."""
        if not self._looking and not possible_resends(message) <= self.known.keys():
            self._looking = True
            wanted = [message, *self._ahead.messages]
            self.actions.append(Look(tuple(sorted(set().union(*map(possible_resends, wanted))))))
        return self._looking

    @property
    def crowded(self) -> bool:
        """Whether no more should be read until what is looked for was found."""
        return self._looking and self._ahead.is_half_full

    def looked(self, known: dict[int, int], now: int) -> None:
        """Orders were looked for: their newest report's position by their 64-bit id, or 0."""
        self._looking, self.known = False, known
        if self.state == State.ACTIVE:
            self._drain(now)
            if self._ahead and not self._looking:
                self._miss(now)
        self._set_ready()

    def _in_order(self, message: Message, number: int, now: int) -> None:
        """The message whose turn it is."""
        self._fields["expected"] = number + 1
        if not self._content(message, number):
            self._command("SessionInbound", nextInbound=self.expected)

    def _content(self, message: Message, number: int) -> bool:
        """Act on it; True if a command of the core carries its number."""
        kind = message.kind
        if number in self._ahead.served:
            return False
        if message.get(43) == b"Y" and not message.get(122) and kind != "4":
            self._reject(message, number, Fault(MISSING, 122))
        elif not is_message_type(kind):
            self._reject(message, number, Fault(MSG_TYPE, None))
        elif kind not in INBOUND:
            self.business_reject(message, number, 3, "Unsupported Message Type")
        elif (fault := check(message)) is not None:
            self._reject(message, number, fault)
        elif kind in "01235":
            self._administer(message, kind, number)
        elif kind == "4":
            self._gap_fill(message, number)
        else:
            return self.application(self, message, number)
        return False

    def _administer(self, message: Message, kind: str, number: int) -> None:
        if kind == "1":
            self.emit("0", [(112, message.get(112))])
        elif kind == "2":
            self._resend(message, number)
        elif kind == "5":
            self._logout(message)

    def _gap_fill(self, message: Message, number: int) -> None:
        following = message.number(36)
        if following is None or following <= number:
            self._reject(message, number, Fault(BAD_VALUE, 36), hide=True)
        else:
            self._fields["expected"] = following

    def _reset_sequence(self, message: Message, number: int, now: int) -> None:
        """SequenceReset in reset mode, whatever its own number is."""
        given, following = message.get(36), message.number(36)
        if given is None:
            self._reject(message, number, Fault(MISSING, 36))
        elif following is None or following > NUMBER_MAX:
            self._reject(message, number, Fault(BAD_FORMAT, 36))
        elif following < self.expected:
            self._reject(message, number, Fault(BAD_VALUE, 36), hide=True)
        else:
            self._advance(following)
            self._drain(now)

    def _resend(self, message: Message, number: int) -> None:
        begin, end = message.number(7), message.number(16)
        last = self.last_sent
        if begin is None or not 0 < begin <= last or (end and begin > end):
            self._reject(message, number, Fault(BAD_VALUE, 7))
        else:
            self.actions.append(Replay(begin, min(end or last, last)))

    def _logout(self, message: Message) -> None:
        text = message.text(58)
        self.reason = f"client logged out{': ' if text else ''}{text}"
        self.emit("5", [], last=True)
        self._stop()

    # ---- logon ---------------------------------------------------------------------------------

    def _first(self, message: Message, now: int) -> None:
        judged, self._unanswered = self._admission.judge(message, self.peer, now), message
        if isinstance(judged, str):
            self._end(judged)
        elif isinstance(judged, Entry):
            self._enter(judged, now)
        else:
            self.refused(judged, now)

    def refused(self, refusal: Refusal, now: int) -> None:
        """Turn away who isn't let in, by our rules or by the core."""
        if self._unanswered is not None:
            self._opened = False
            self.actions.append(Send(self._admission.farewell(self._unanswered, refusal, now)))
            self._end(refusal.text)

    def _enter(self, entry: Entry, now: int) -> None:
        """Take a Logon that proved who it is: ask the core to open the session."""
        session, record = entry.session, self.connection
        self.entry, self.version = session, entry.version
        self.heartbeat = entry.heartbeat * SECOND
        self.logon = entry
        record.text("begin", b"8=" + entry.version.encode() + b"\x019=")
        record.text("sender", session.sender_comp_id.encode())
        record.text("target", session.target_comp_id.encode())
        record.text("prefix", body([(49, session.target_comp_id), (56, session.sender_comp_id)]))
        self._fields["session"] = session.session
        self._fields["window_ns"] = session.sending_time_seconds * SECOND
        self._fields["throttle"] = session.throttle
        self.state = State.OPENING
        self._command(
            "SessionOpen", versionId=0, nextInbound=0,
            reset=int(entry.reset or self._admission.begins_again(session, now)),
            cancelOnDisconnect=entry.cancel_on_disconnect,
            cancelWindow=session.cancel_window_milliseconds, connection=self.number,
            **entry.proof.fields,
        )
        self._opened = True

    def opened(self, next_inbound: int, next_outbound: int, now: int) -> None:
        """The core opened the session (or, in mid-session, set its numbers back)."""
        entry = self.logon
        if self.state != State.OPENING or entry is None:
            return
        self._unanswered = None
        self._fields["expected"] = next_inbound
        self.last_number = self._fields["send_seq"] = self.reported = next_outbound - 1
        self.receipts = Receipts(max(0, entry.next_expected - 1))
        refused = refusal_of(entry, next_inbound, next_outbound)
        if refused:
            self.state = State.ACTIVE
            self._leave(refused, at_once=True)
            return
        fields: list[Field] = [(98, 0), (108, entry.heartbeat)]
        if entry.reset:
            fields.append((141, "Y"))
        above = entry.number > next_inbound
        if entry.next_expected:
            fields.append((789, next_inbound + (not above)))
        if entry.version == "FIXT.1.1":
            fields.append((1137, 9))
        self.emit("A", fields, sent=lambda number: self._logged_on(now, number))
        if not above:
            self._advance(next_inbound + 1)
        else:
            self._ask_again(now)

    def _logged_on(self, now: int, number: int) -> None:
        """The Logon has been answered: reports flow, and what the client sent since is read."""
        entry, held, self._held = self.logon, self._held, []
        assert entry is not None
        self.state = State.ACTIVE
        self._fields["flags"] |= FLAG_LIVE
        self._fields["last_heard"] = max(int(self._fields["last_heard"]), now)
        self._beat_due = now + self.heartbeat
        missing = entry.next_expected
        if missing and missing < number:
            self.actions.append(Replay(missing, number - 1))
        for raw in held:
            self.receive(raw, now)
        self._set_ready()

    def _logon_again(self, message: Message, number: int, now: int) -> None:
        """A Logon inside the session: only to start the numbers again."""
        if message.get(141) != b"Y" or number != 1:
            why = "with MsgSeqNum not 1" if message.get(141) == b"Y" else "without ResetSeqNumFlag"
            self._leave(f"Logon inside a session {why}", at_once=True)
            return
        judged = self._admission.judge_again(message, now)
        if isinstance(judged, Entry):
            self.logon = judged
            self.heartbeat = judged.heartbeat * SECOND
            self.state = State.OPENING
            self._deadline = now + int(self._admission.logon_seconds * SECOND)
            self._ahead, self._gap_asked = Ahead(), 0
            self._fields["flags"] = 0
            self._command("SessionReset", nextInbound=1, nextOutbound=1, reference=self.number)
        else:
            self._leave(judged if isinstance(judged, str) else judged.text, at_once=True)

    # ---- time and the end ----------------------------------------------------------------------

    def tick(self, now: int) -> None:
        """Time has passed: heartbeats, silences, patience."""
        if self.state in (State.WAITING, State.OPENING):
            if now > self._deadline:
                self._end("no Logon in time")
        elif self.state == State.LEAVING:
            if not self._deadline:
                self._deadline = now + LEAVE_SECONDS * SECOND
            elif now > self._deadline:
                self._end(self.reason)
        elif self.state == State.ACTIVE:
            self._watch(now)

    def _watch(self, now: int) -> None:
        if self.crowded:
            self._fields["last_heard"] = now  # It isn't being listened to.
        silent = now - int(self._fields["last_heard"])
        if silent > 2.4 * self.heartbeat:
            self._leave("nothing heard for 2.4 heartbeat intervals", at_once=True)
            return
        if silent > 1.2 * self.heartbeat and not self._test_sent:
            self._test_sent = True
            self.emit("1", [(112, TEST)])
        elif not self._test_sent and self.receipts.is_due(self.reported, now, self.heartbeat):
            self.ask_for_a_receipt(now)
        elif now >= self._beat_due and not self._test_sent:
            self._beat_due += self.heartbeat
            self.emit("0", [])
        if self._gap_due and now >= self._gap_due:
            self._ask_again(now)
        if self._gap_asked and now - self._gap_asked > max(self.heartbeat, 10 * SECOND):
            self._ask_again(now)

    def say_goodbye(self, text: str, now: int) -> None:
        """Log the client out, as at the end of the day; what it has by then it can say first."""
        if self.state == State.ACTIVE and self.reported > self.receipts.number:
            self.ask_for_a_receipt(now)
        self._leave(text)

    def _leave(self, text: str, at_once: bool = False) -> None:
        """Logout with a reason; the connection ends behind it, or when it is answered."""
        if self.state in (State.LEAVING, State.CLOSED):
            return
        self.reason = text
        if not self._opened:
            self._end(text)
            return
        self.emit("5", [(58, text or None)], last=at_once)
        self._stop()

    def _stop(self) -> None:
        self.state = State.LEAVING
        self._fields["flags"] = int(self._fields["flags"]) & ~FLAG_READY
        self._deadline = 0  # the next tick sets it

    def _end(self, reason: str) -> None:
        if self.state != State.CLOSED:
            self.state = State.CLOSED
            self.reason = self.reason or reason
            self._fields["flags"] = 0
            self.actions.append(Close(self.reason))

    def disconnected(self) -> None:
        """The connection is gone, whoever ended it: the core is told once."""
        self._end("connection lost")
        self.actions = [a for a in self.actions if isinstance(a, Command)]
        if self._opened and self.entry is not None:
            self._opened = False
            out = self.reason.startswith(("client logged out", "logged out"))
            self._command(
                "SessionClose", connection=self.number, logout=int(out or self.receipts.orderly),
                acknowledged=self.receipts.number)
            resets = (out and self.entry.reset_on_logout) or self.entry.reset_on_disconnect
            if resets and self._unanswered is None:  # else the core may yet refuse
                self._command("SessionReset", nextInbound=1, nextOutbound=1, reference=0)

    def _set_ready(self) -> None:
        """Whether compiled code may take the next order by itself."""
        flags = int(self._fields["flags"]) & ~FLAG_READY
        entry = self.entry
        if self.state == State.ACTIVE and not self._ahead and not self._gap_asked and entry:
            flags |= 0 if entry.drop_copy else FLAG_READY
        self._fields["flags"] = flags
