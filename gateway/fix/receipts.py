"""What a client is known to have received of what it was sent.

That its machine took it, that it is heard from, even that it logs out says nothing of what it has
read: an engine that ends its day hangs up at once. What counts is said by number, or follows from
the order of the stream:

    789 = n, 369 = n    it has everything below n; it has n
    7 = n               it has everything below n, if that is the first it asks for: what it asks
                        for before the next test may be another part of the same gap
    0 with a 112        it has our TestRequest and all before: above a gap it would first ask

An orderly end makes it likely at the most, see gateway/fix/owed.py. So that something is said,
reports that stood unproven for a while are followed by a TestRequest. One that went out before a
resend, or during it, proves nothing: it may be passed over.

A gateway that dies takes this with it: nothing it had sent since the connection's begin counts.
"""

from gateway.fix.message import Message

SECOND = 1_000_000_000
UNPROVEN_NS = 10 * SECOND  # at least, and a heartbeat interval, before we ask
MANY = 10_000  # so many reports unproven are asked about within a second
OUTSTANDING_MAX = 8


class Receipts:
    """Of one connection; `number` is the last one the client is known to have."""

    def __init__(self, number: int = 0) -> None:
        self.number = number
        self.resending = False
        self.orderly = False  # it ended by Logout, or with nothing unread as far as TCP can tell
        self._requested = False  # it asked for a resend since the last proof by order
        self._tests: dict[bytes, int] = {}  # TestReqID: number, of those unanswered
        self._count = 0
        self._unnumbered = False  # one waits for its number
        self._since = 0  # ns since there are reports unproven and not asked about
        self._asked = 0  # ns of the last TestRequest

    def prove(self, number: int, last: int) -> None:
        """The client has a number; `last` is the last one sent: beyond that it says nothing."""
        if self.number < number <= last:
            self.number = number

    def is_due(self, reported: int, now: int, interval: int) -> bool:
        """Whether to ask now. reported: number of the newest report; interval: ns, heartbeats."""
        covered = max(self.number, *self._tests.values(), 0)
        if reported <= covered or self.resending or self._unnumbered:
            self._since = now
            return False
        self._since = self._since or now
        many = reported - covered >= MANY and now - self._asked >= SECOND
        return many or now - self._since >= max(interval, UNPROVEN_NS)

    def ask(self, now: int) -> bytes:
        """The TestReqID of a TestRequest that is about to be sent."""
        self._count += 1
        self._asked = self._since = now
        self._unnumbered = True
        return b"RECEIVED-%d" % self._count

    def asked(self, name: bytes, number: int) -> None:
        """It went out."""
        self._unnumbered = False
        if not self.resending:
            self._tests[name] = number
            if len(self._tests) > OUTSTANDING_MAX:
                del self._tests[next(iter(self._tests))]

    def heard(self, message: Message, last: int, in_order: bool) -> None:
        """What a message of the client proves. in_order: nothing of it is missing before that."""
        self.prove(message.number(369) or 0, last)
        if message.kind == "0" and in_order:
            self._answered(message.get(112) or b"", last)
        elif message.kind == "2":
            if not self._requested:
                self.prove((message.number(7) or 0) - 1, last)
            self._requested = True
            self._tests.clear()

    def _answered(self, name: bytes, last: int) -> None:
        number = self._tests.get(name)
        if number is not None and not self.resending:
            self.prove(number, last)
            self._tests = {n: later for n, later in self._tests.items() if later > number}
            self._requested = False
