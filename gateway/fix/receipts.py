"""What a client is known to have received of what it was sent.

TCP says what its machine took, FIX only what it then says. These are the proofs:

    789 = n, 7 = n            it has everything below n
    369 = n                   it has n
    0 with our 112            it has our TestRequest, and what went before
    being heard from          what went out more than a heartbeat interval earlier
    an orderly end            nothing sent was unread when it closed its side, see client
    5                         everything

A gateway that dies takes this with it: nothing that it had sent counts as received.

While a resend is under way only what the client says by number counts: the rest came before it.
"""

from gateway.fix.message import Message

TEST = b"TEST"  # the TestReqID (112) of ours


class Receipts:
    """Of one connection; `number` is the last one the client is known to have."""

    def __init__(self, number: int = 0) -> None:
        self.number = number
        self.resending = False
        self._tested = 0  # number of our last TestRequest
        self._mark = (0, 0)  # time, and the last number sent by then

    def prove(self, number: int, last: int) -> None:
        """The client has a number; `last` is the last one sent: beyond that it says nothing."""
        if self.number < number <= last:
            self.number = number

    def tested(self, number: int) -> None:
        """A TestRequest of ours went out."""
        self._tested = number

    def heard(self, message: Message, last: int) -> None:
        """What a message of the client proves."""
        self.prove(message.number(369) or 0, last)
        if message.kind == "0" and message.get(112) == TEST and not self.resending:
            self.prove(self._tested, last)
        elif message.kind == "2":
            self.prove((message.number(7) or 0) - 1, last)

    def passed(self, now: int, heard: int, last: int, interval: int) -> None:
        """Time has passed. now, heard: ns, the latter when the client last spoke; interval: ns."""
        time, number = self._mark
        if heard >= time + interval:
            self.prove(0 if self.resending else number, last)
            self._mark = (now, last)

    def ended(self, last: int) -> None:
        """The client closed its side in order, with nothing left unread."""
        if not self.resending:
            self.prove(last, last)
