"""Messages before their turn: above a gap, or behind an order that is being looked for."""

from collections.abc import Iterable

from gateway.fix.message import Message

MESSAGES_MAX = 4096
BYTES_MAX = 4 << 20


class Ahead:
    """They are kept by number, and dealt with when it is their turn."""

    def __init__(self) -> None:
        self._waiting: dict[int, Message] = {}
        self._bytes = 0
        self.served: set[int] = set()  # ResendRequests among them that were answered at once

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def __contains__(self, number: int) -> bool:
        return number in self._waiting

    def __getitem__(self, number: int) -> Message:
        return self._waiting[number]

    @property
    def messages(self) -> Iterable[Message]:
        """All of them."""
        return self._waiting.values()

    @property
    def is_full(self) -> bool:
        """Whether there are too many to go on."""
        return len(self._waiting) > MESSAGES_MAX or self._bytes > BYTES_MAX

    @property
    def is_half_full(self) -> bool:
        """Whether it is time to read no more for now."""
        return 2 * len(self._waiting) > MESSAGES_MAX or 2 * self._bytes > BYTES_MAX

    def add(self, number: int, message: Message) -> None:
        """Keep a message; the first one of a number counts."""
        if number not in self._waiting:
            self._waiting[number] = message
            self._bytes += len(message.raw)

    def pop(self, number: int) -> Message:
        """Take out the message whose turn it is."""
        message = self._waiting.pop(number)
        self._bytes -= len(message.raw)
        return message

    def forget(self, expected: int) -> None:
        """The number that is expected next is this one: what is below will not have a turn."""
        for number in [number for number in self._waiting if number < expected]:
            self.pop(number)
        if not self._waiting:
            self.served.clear()
