"""The event stream from any position that somebody still has: the log, and the archive behind it.

                begin of the archive      oldest in the log     published
    position      |                              |                  |
    ──────────────┼──────────────────────────────┼──────────────────┼──▶
                  |  archive files only          |  log             |

A reader that keeps up is served from shared memory (core/events.py). One that was overtaken, even
while copying, gets the same bytes from the archive; it never sees torn ones. No numba here.
"""

import ctypes
from typing import Protocol

from core.errors import EventsLost
from core.journal.errors import JournalError
from core.memory import HEADER_SIZE, Segment
from core.words import CAPACITY, CLAIMED, PUBLISHED, acquire_fence, load_word

READ_BYTES = 1 << 18


class Archive(Protocol):
    """Where a reader that was overtaken finds what the log no longer holds."""

    def read(self, position: int, length: int) -> bytes:
        """Up to `length` bytes of the stream from `position`; fewer at its end, maybe none."""


class EventStream:
    """Reads bytes of the stream at positions the caller keeps; several readers may share one."""

    def __init__(self, segment: Segment, archive: Archive | None = None) -> None:
        self._log = segment.address
        self._capacity = load_word(self._log + CAPACITY)
        self._archive = archive

    @property
    def published(self) -> int:
        """The position up to which there are events."""
        return load_word(self._log + PUBLISHED)

    @property
    def oldest(self) -> int:
        """The oldest position that is in the log at this moment."""
        return max(load_word(self._log + CLAIMED) - self._capacity, 0)

    def read(self, position: int, limit: int = READ_BYTES) -> bytes:
        """At most `limit` bytes from `position` on, maybe ending within a frame; none if none yet.

        Raises EventsLost if they are in neither log nor archive.
        """
        available = min(self.published - position, limit)
        if available <= 0:
            return b""
        if position >= self.oldest:
            offset = position & (self._capacity - 1)
            data = ctypes.string_at(self._log + HEADER_SIZE + offset, available)
            acquire_fence()
            if position >= self.oldest:  # Still whole, so the copy is.
                return data
        return self._read_archive(position, available)

    def _read_archive(self, position: int, length: int) -> bytes:
        try:
            data = self._archive.read(position, length) if self._archive is not None else b""
        except JournalError as error:
            raise EventsLost(str(error)) from error
        if not data:
            raise EventsLost(f"events from position {position} are in neither log nor archive")
        return data
