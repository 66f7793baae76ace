"""The outgoing half of a FIX session: messages that wait for their number, and how they are spelt.

The core numbers everything that leaves. A message made here waits in `pending` until the core's
SessionNumbersAssigned says which number it has, and is sent with the time that event bears. So the
order on the wire is the order of the event log, and any gateway could have written it.
"""

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import islice

from gateway.fix.actions import Action, Command, Send
from gateway.fix.dictionary.fields import FIELDS
from gateway.fix.dictionary.validate import Fault, routing
from gateway.fix.message import Message, body, frame
from gateway.fix.receipts import Receipts
from gateway.fix.tables import Connection
from gateway.fix.times import time_text

Field = tuple[int, object]

# Told again word for word: their text goes into the journal with their number. The rest of what we
# make ourselves is gap-filled in a resend: it is an answer of its moment, or can be asked again.
KEPT = frozenset(("j", "8", "9", "r", "b", "AZ", "DI", "U4", "N"))
KEPT_BYTES_MAX = 4096

# What a client may call its message, for BusinessRejectRefID (379).
REFERENCES = (11, 262, 320, 324, 335, 584, 710, 909, 117)


@dataclass(slots=True)
class Pending:
    """A message of ours that waits for its number."""

    kind: str
    head: bytes
    body: bytes
    last: bool = False  # the connection ends behind it
    sent: Callable[[int], None] | None = None
    # The body, made when the number is known, of its position in the stream and its time.
    late: Callable[[int, int], bytes] | None = None
    keep: str = ""  # what the journal keeps of that

    @property
    def text(self) -> str:
        """What the journal keeps of it: type, header fields and body; empty if nothing."""
        if self.keep:
            return self.keep
        if self.kind not in KEPT or len(self.head) + len(self.body) > KEPT_BYTES_MAX:
            return ""
        return f"{self.kind}\x01{(self.head + self.body).decode('latin-1')}"


def kept_message(text: str) -> Pending:
    """The message that `Pending.text` stands for."""
    kind, _, fields = text.partition("\x01")
    return Pending(kind, b"", fields.encode("latin-1"))


class Outbox(ABC):
    """What a session has to say; `number` is the connection's own."""

    def __init__(self, connection: Connection, number: int) -> None:
        self.actions: list[Action] = []
        self.connection = connection
        self.number = number
        self.version = ""
        self.heartbeat = 0  # ns
        self.last_number = 0  # newest outbound number that passed by
        self.reported = 0  # that of the newest report, or other event told
        self.receipts = Receipts()
        self.reason = ""  # why it ended
        self._fields = connection.fields
        self._pending: deque[Pending] = deque()
        self._asked = 0  # how many of the pending have asked for a number
        self._reference = 0
        self._beat_due = 0
        self._opened = False  # the core knows of the connection

    @property
    def last_sent(self) -> int:
        """Number of the last message that went out, whoever wrote it."""
        return max(self.last_number, int(self._fields["send_seq"]))

    @abstractmethod
    def _end(self, reason: str) -> None:
        """The connection is over."""

    def take_actions(self) -> list[Action]:
        """What is to be done, in order; asks for the numbers of what waits for some."""
        if self._opened:
            plain = 0
            for message in list(islice(self._pending, self._asked, None)):
                text = message.text
                if text:
                    self._ask(plain)
                    self._ask(1, text)
                    plain = 0
                else:
                    plain += 1
            self._ask(plain)
        actions, self.actions = self.actions, []
        return actions

    def _ask(self, count: int, text: str = "") -> None:
        """Ask the core for numbers of the oldest messages that have not asked yet."""
        if count:
            first = self._reference
            self._reference += count
            self._asked += count
            self._command(
                "SessionNumbers", count=count, reference=self.number << 32 | first, text=text)

    def emit(
        self, kind: str, fields: Iterable[Field], *, head: Iterable[Field] = (),
        last: bool = False, sent: Callable[[int], None] | None = None,
        late: Callable[[int, int], Iterable[Field]] | None = None, keep: str = "",
    ) -> None:
        """Send a message of our own, as soon as the core has numbered it.

        late: further fields, made of the position in the stream where it got its number, and of
        the time: behind all that the core said before. keep: what the journal keeps of them.
        """
        made = None if late is None else lambda position, time: body(late(position, time))
        self._pending.append(Pending(kind, body(head), body(fields), last, sent, made, keep))

    @property
    def newest(self) -> Pending | None:
        """The last message that waits for its number."""
        return self._pending[-1] if self._pending else None

    def numbered(
        self, reference: int, first: int, count: int, time: int, now: int, position: int
    ) -> None:
        """The core numbered our oldest waiting messages. Stale answers are left alone.

        position: of that event in the stream.
        """
        if reference >> 32 != self.number:
            return
        for number in range(first, first + count):
            if not self._pending:
                return
            message = self._pending.popleft()
            self._asked -= 1
            if message.late is not None:
                message.body += message.late(position, time)
            self._write(message, number, time, now)

    def _write(self, message: Pending, number: int, time: int, now: int) -> None:
        self.last_number = number
        self.actions.append(Send(self.wire(message, number, time)))
        self._beat_due = now + self.heartbeat
        if message.sent is not None:
            message.sent(number)
        if message.last:
            self._end(self.reason)

    def wire(self, message: Pending, number: int, time: int, again: int = 0) -> bytes:
        """The whole message; `again`: the time of a resend, 0 for the first time."""
        length = int(self._fields["prefix_length"])
        start: list[Field] = [(34, number)]
        if again:
            start += [(43, "Y"), (52, time_text(again)), (122, time_text(time))]
        else:
            start.append((52, time_text(time)))
        rest = b"35=%b\x01%b%b%b%b" % (
            message.kind.encode(), bytes(self._fields["prefix"][:length]), body(start),
            message.head, message.body,
        )
        return frame(self.version.encode(), rest)

    def spell(
        self, rendered: tuple[str, list[Field]], number: int, time: int, again: int
    ) -> bytes:
        """A message for an event the core has numbered already; again: 0, or the time."""
        kind, fields = rendered
        return self.wire(Pending(kind, b"", body(fields)), number, time, again)

    def passed(self, number: int, now: int) -> None:
        """A message for an event went out under this number."""
        self.last_number = self.reported = number
        self._beat_due = now + self.heartbeat

    def wrote(self, now: int) -> None:
        """Compiled code sent reports of this session."""
        self.reported = max(self.reported, int(self._fields["send_seq"]))
        self._beat_due = now + self.heartbeat

    def ask_for_a_receipt(self, now: int) -> None:
        """A TestRequest, whose answer proves that what went before was received."""
        receipts, name = self.receipts, self.receipts.ask(now)
        self.emit("1", [(112, name)], sent=lambda number: receipts.asked(name, number))

    def command(self, name: str, fields: dict[str, object]) -> None:
        """Send a command of this session."""
        self.actions.append(Command(name, fields))

    def _command(self, name: str, **fields: object) -> None:
        self.actions.append(Command(name, fields))

    def _reject(self, message: Message, number: int, fault: Fault, hide: bool = False) -> None:
        fields: list[Field] = [(45, number)]
        if fault.tag is not None and not hide:
            fields.append((371, fault.tag))
        fields += [(372, message.kind), (373, fault.reason), (58, _words(fault))]
        self.emit("3", fields, head=routing(message))

    def business_reject(
        self, message: Message, number: int, reason: int, text: str, code: int | None = None
    ) -> None:
        """A message that is sound but can't be served."""
        reference = next((message.get(t) for t in REFERENCES if message.get(t)), None)
        fields: list[Field] = [(45, number), (372, message.kind)]
        if reference is not None and reason != 3:
            fields.append((379, reference))
        fields += [(380, reason), (58, text)]
        if code is not None:
            fields.append((21020, code))
        if self.version == "FIXT.1.1":
            fields.append((1137, 9))
        self.emit("j", fields, head=routing(message))


def _words(fault: Fault) -> str:
    field = FIELDS.get(fault.tag) if fault.tag is not None else None
    return f"{fault.text} ({field.name})" if field else fault.text


def unsupported(session: Outbox, message: Message, number: int) -> bool:
    """The application of a session that has none."""
    session.business_reject(message, number, 4, "Application not available")
    return False
