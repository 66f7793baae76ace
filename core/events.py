"""The event log: one writer that never waits for a reader, any number of readers that can tell.

The log is a byte stream of frames over a mirrored segment, like a ring (core/ring.py), with one
difference: only the archiver (the journal process) holds the writer back. Everybody else keeps a
position of their own and may be *lapped*: overwritten while away or even while copying.

                    oldest whole byte
    claimed − capacity |      archived       published      claimed (rounded up)
    -------------------+----------+-------------+--------------+
     overwritten       |##########|#############|  being       |
    -------------------+----------+-------------+--------------+
                                   frames         written

Control words in the segment's header, each on its own pair of cache lines:

      24  capacity    the data size, in bytes                  written at creation
    1152  pending     end of what the writer has claimed       writer, private
    1160  archived    the archiver's position, as last seen    writer, private
    1280  published   end of what readers may read             writer → readers
    1408  archived    end of what the archiver has stored      archiver → writer
    1536  claimed     nothing from here on is touched yet      writer → readers

A reader copies first and asks afterwards. The writer moves `claimed` forward *before* it writes
a byte there (with a release fence in between), so a reader that copied from `position` and then,
behind an acquire fence, still finds `position >= claimed − capacity` has copied whole bytes. To
keep that word out of the writer's way it moves in steps of an eighth of the log, at most 64 KiB.

A log is handed to compiled code as one int64, `log`: the address of its segment's header.
"""

import ctypes
from collections.abc import Iterator
from typing import Protocol

from core.atomics import fence_acquire, fence_release, load_acquire, store_release
from core.errors import EventsLost
from core.jit import jit
from core.memory import HEADER_SIZE, Segment
from core.words import (
    ARCHIVED,
    ARCHIVED_SEEN,
    CAPACITY,
    CLAIM_STEP_MAX,
    CLAIMED,
    PENDING,
    PUBLISHED,
)
from sbe.raw import copy, fill, load_i64, store_i64

BATCH_BYTES = 65536


# ---- writer -----------------------------------------------------------------------------------


@jit
def log_address(log: int, position: int) -> int:
    """The address of a position."""
    return log + HEADER_SIZE + (position & (load_i64(log + CAPACITY) - 1))


@jit
def claim_step(log: int) -> int:
    """By how many bytes `claimed` moves at a time; a power of two."""
    return min(load_i64(log + CAPACITY) >> 3, CLAIM_STEP_MAX)


@jit
def log_room(log: int) -> int:
    """Bytes the writer may claim without overwriting what is not archived yet.

    One step of the log is kept free, so that what is not archived never looks overwritten. While
    more than half is free this is what was last seen, and touches no shared line.
    """
    capacity = load_i64(log + CAPACITY)
    pending = load_i64(log + PENDING)
    room = load_i64(log + ARCHIVED_SEEN) + capacity - claim_step(log) - pending
    if room < capacity >> 1:
        archived = load_acquire(log + ARCHIVED)
        store_i64(log + ARCHIVED_SEEN, archived)
        room = archived + capacity - claim_step(log) - pending
    return room


@jit
def log_claim(log: int, length: int) -> int:
    """The address of the next frame, of `length` bytes (a positive multiple of 32). Never blocks.

    The caller has asked `log_room` before. The last 32 bytes are zeroed, so that the padding of
    equal events is equal.
    """
    pending = load_i64(log + PENDING)
    end = pending + length
    if end > load_i64(log + CLAIMED):
        step = claim_step(log)
        store_release(log + CLAIMED, (end + step - 1) & -step)
        fence_release()
    store_i64(log + PENDING, end)
    address = log_address(log, pending)
    fill(address + length - 32, 0, 32)
    return address


@jit
def log_position(log: int) -> int:
    """The end of what the writer has claimed: where the next frame will begin."""
    return load_i64(log + PENDING)


@jit
def log_publish(log: int, position: int) -> None:
    """Let readers have everything before `position`."""
    store_release(log + PUBLISHED, position)


@jit
def log_resume(log: int, position: int) -> bool:
    """A restarted writer, or one with a new log, goes on at `position`.

    Beyond what was published, everything before `position` counts as overwritten: it is not here.
    False, and nothing done, if more than that is published: published bytes may be being read and
    are never rewritten, not even with the same values. A replay writes into a log of its own, and
    `log_transfer` brings over what is new.
    """
    published = load_i64(log + PUBLISHED)
    if position < published:
        return False
    if position > published:
        claimed = max(load_i64(log + CLAIMED), position + load_i64(log + CAPACITY))
        store_release(log + CLAIMED, claimed)
        fence_release()
        store_release(log + PUBLISHED, position)
    store_i64(log + PENDING, position)
    store_i64(log + ARCHIVED_SEEN, load_acquire(log + ARCHIVED))
    return True


@jit
def log_transfer(log: int, source: int, end: int) -> bool:
    """Append and publish what `source`, a log of equal positions, holds before `end`.

    False if there is no room for it yet (then nothing was done); at most `log_room` of an empty
    log can be brought over at once. For the writer's end only.
    """
    start = load_i64(log + PUBLISHED)
    if end <= start:
        return True
    assert not log_lapped(source, start), "Invariant: the source still holds what the log lacks."
    store_i64(log + PENDING, start)
    if log_room(log) < end - start:
        return False
    address = log_claim(log, end - start)
    copy(address, log_address(source, start), end - start)
    log_publish(log, end)
    return True


# ---- archiver ---------------------------------------------------------------------------------


@jit
def log_archived(log: int) -> int:
    """The position up to which the archiver has stored the stream."""
    return load_acquire(log + ARCHIVED)


@jit
def log_archive(log: int, position: int) -> None:
    """The archiver has stored everything before `position`; the writer may overwrite it."""
    store_release(log + ARCHIVED, position)


# ---- readers ----------------------------------------------------------------------------------


@jit
def log_published(log: int) -> int:
    """The position up to which there are frames to read."""
    return load_acquire(log + PUBLISHED)


@jit
def log_oldest(log: int) -> int:
    """The oldest position that is certainly not overwritten yet (it may be at any moment)."""
    return max(load_acquire(log + CLAIMED) - load_i64(log + CAPACITY), 0)


@jit
def log_lapped(log: int, position: int) -> bool:
    """After copying from `position`: whether any of it may have been overwritten meanwhile."""
    fence_acquire()
    return position < load_acquire(log + CLAIMED) - load_i64(log + CAPACITY)


class Archive(Protocol):
    """Where a lapped reader finds what the log no longer holds."""

    def read(self, position: int, length: int) -> bytes:
        """Up to `length` bytes of the event stream from `position`; fewer at the end, maybe 0."""


class EventReader:
    """Reads the events from a position on, falling back to the archive when it was lapped.

        reader = EventReader(segment, position, archive)
        for position, frame in reader:      # ends when there is nothing more for now
            …

    Frames are bytes, length word included, in order, each once. `position` is where the next one
    begins: store it, and a restarted process goes on there.
    """

    def __init__(self, segment: Segment, position: int, archive: Archive | None = None) -> None:
        self.position = position
        self._log = segment.address
        self._archive = archive
        self._batch = b""
        self._batch_start = position

    @property
    def published(self) -> int:
        """The position up to which there are events."""
        return log_published(self._log)

    @property
    def lag(self) -> int:
        """Bytes of events not read yet."""
        return self.published - self.position

    def __iter__(self) -> Iterator[tuple[int, bytes]]:
        """The frames there are now, each with its position."""
        while self._whole_frame():
            offset = self.position - self._batch_start
            length = int.from_bytes(self._batch[offset : offset + 4], "little")
            start = self.position
            self.position += length
            yield start, self._batch[offset : offset + length]

    def read(self, limit: int = BATCH_BYTES) -> bytes:
        """The next bytes of the stream, at most `limit`, maybe ending within a frame.

        Does not move the position. Raises EventsLost if neither log nor archive has them.
        """
        available = min(self.published - self.position, limit)
        if available <= 0:
            return b""
        if not log_lapped(self._log, self.position):
            data = ctypes.string_at(log_address(self._log, self.position), available)
            if not log_lapped(self._log, self.position):
                return data
        if self._archive is None:
            raise EventsLost(
                f"events from {self.position} are overwritten; oldest here: {log_oldest(self._log)}"
            )
        return self._archive.read(self.position, available)

    def _whole_frame(self) -> bool:
        """See to it that a whole frame stands at the position; False if there is none for now."""
        limit = BATCH_BYTES
        while True:
            offset = self.position - self._batch_start
            available = len(self._batch) - offset
            if available >= 32:
                length = int.from_bytes(self._batch[offset : offset + 4], "little")
                if length < 32 or length & 31:
                    raise EventsLost(f"no event frame at {self.position}: length={length}")
                if length <= available:
                    return True
                limit = max(limit, length)
            batch = self.read(limit)
            if len(batch) <= max(available, 0):
                return False
            self._batch, self._batch_start = batch, self.position
