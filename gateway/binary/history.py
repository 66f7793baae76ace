"""Retransmissions: a session's events, read once more from the event stream.

A retransmission starts at the mark before its first number (gateway/binary/connections.py) and
reads forward in slices, so that a request for events long past never holds up anybody else.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from core.errors import EventsLost
from core.stream import EventStream
from gateway.binary.connections import MARK_STRIDE, MARKS_MAX
from gateway.binary.frames import SOFH_SIZE
from gateway.binary.walk import collect

SLICE_BYTES = 4 << 20  # of the stream, in one poll


def locate(session: Any, marks: Any, first: int) -> int | None:
    """A position at or before the session's event `first`; None if it is too long ago.

    session: a record of connections.SESSION. marks: int64, its MARKS_MAX words.
    """
    mark, newest = first // MARK_STRIDE, (int(session["next_outbound"]) - 1) // MARK_STRIDE
    oldest = int(session["first_mark"])
    if oldest < 0 or mark < oldest or newest - mark >= MARKS_MAX:
        return None
    return int(marks[mark % MARKS_MAX])


@dataclass(slots=True)
class Retransmission:
    """One request being answered: events `first` to `first + count − 1` of a session.

    After `step` gave True, `frames` are the framed events, all of them, in order. What is then to
    be sent around them is put into `message`, and `take` gives it away as there is room.
    """

    stream: EventStream
    position: int
    session: int
    first: int
    count: int
    request_timestamp: int
    end: int  # of the stream that was dealt out when the request came
    wanted: Any = None
    out: Any = None
    message: memoryview = field(default_factory=lambda: memoryview(b""))

    def __post_init__(self) -> None:
        self.wanted = np.array([self.first, self.first + self.count, 0], np.int64)
        self.out = np.empty(1 << 16, np.uint8)

    @property
    def frames(self) -> memoryview:
        """What to send."""
        return memoryview(self.out)[: int(self.wanted[2])]

    def step(self) -> bool:
        """Read a slice; True once everything was found. Raises EventsLost."""
        until = self.position + SLICE_BYTES
        while self.wanted[0] < self.wanted[1]:
            if self.position >= until:
                return False
            data = self.stream.read(self.position)
            if not data or self.position >= self.end:
                raise EventsLost(f"event {self.wanted[0]} of session {self.session} is not there")
            view = np.frombuffer(data, np.uint8)
            used = collect(view.ctypes.data, len(data), self.session, self.wanted, self.out)
            self.position += used
            if used == 0:
                self._grow(len(data))
        return True

    def take(self, room: int, first: int) -> bytes:
        """Whole frames from the beginning of `message`; they leave it.

        As many as fit into `room` bytes, but the first may have `first` bytes.
        """
        end = 0
        while end < len(self.message):
            length = int.from_bytes(self.message[end : end + 4], "big")
            if end + length > (room if end else first):
                break
            end += length
        taken, self.message = self.message[:end], self.message[end:]
        return bytes(taken)

    def _grow(self, size: int) -> None:
        """More room: the frames so far and those that `size` bytes of stream can hold."""
        if self.out.shape[0] - int(self.wanted[2]) > size + SOFH_SIZE:
            raise EventsLost(f"no event frame at {self.position}")
        grown = np.empty(2 * self.out.shape[0] + size + SOFH_SIZE, np.uint8)
        grown[: self.out.shape[0]] = self.out
        self.out = grown
