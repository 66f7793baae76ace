"""The two ends that every process but the core needs: commands in, released events out.

    CommandLink      ──▶ ring commands.<producer> ──▶ core
    EventFollower    ◀── event log, and the archive behind it ◀── core

Neither imports numba, so a sidecar starts without the second that takes.

The header of a command frame, as `CommandLink` writes it (sequence and time are the sequencer's):

     0  i32 length        whole frame, a multiple of 32
     4  i16 producer
     6  i16 flags
     8  i32 session
    12  u32 ring position after this frame >> 5, low 32 bits
    16  i64 sequence      stamped by the sequencer
    24  i64 time          stamped by the sequencer
    32  SBE message header, root block, groups, data

The header of an event frame, as `EventFollower` reads it:

     0  i32 length        whole frame, a multiple of 32
     4  i32 session       addressee, 0 for nobody in particular
     8  i64 sequence      the command that caused it
    16  SBE message header: u16 blockLength, templateId, schemaId, version
    24  root block, groups, data
"""

import ctypes
import os
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from core.doorbell import Doorbell
from core.errors import EventsLost, SegmentInUse, SegmentMissing
from core.journal.archive import EventArchive
from core.memory import HEADER_SIZE, Segment
from core.messages import encode
from core.producers import producer_name, producer_number, ring_kind
from core.status import StatusTable
from core.stream import EventStream
from core.words import (
    CONSUMED,
    FRAME_ALIGNMENT,
    FREE_UNTIL,
    PENDING,
    PUBLISHED,
    load_word,
    store_word,
)

COMMAND_HEADER = struct.Struct("<ihhiI16x")
EVENT_HEADER = struct.Struct("<iiqHHHH")
COMMAND_HEADER_SIZE = COMMAND_HEADER.size
EVENT_HEADER_SIZE = EVENT_HEADER.size
MESSAGE_AT = 16
assert (COMMAND_HEADER_SIZE, EVENT_HEADER_SIZE) == (32, 24)

RING_BYTES = 1 << 22
BATCH_BYTES = 1 << 18


class Bell(Protocol):
    """What wakes the core if it sleeps."""

    def ring(self) -> object:
        """Wake it if it is asleep; called after every command."""


class CoreBell:
    """The core's doorbell and the row that says whether it sleeps, as one thing to ring."""

    def __init__(self, rundir: Path, status: StatusTable) -> None:
        self._bell = Doorbell(rundir, "core")
        self._row = status.row("core")

    def ring(self) -> bool:
        """Wake the core if it is asleep; whether it was."""
        return self._bell.ring_if_asleep(self._row)

    def close(self) -> None:
        """Close the FIFO."""
        self._bell.close()


def released(status: StatusTable, policy: str) -> Callable[[], int]:
    """The gate of a policy: a function that tells the newest sequence number to be acted upon."""
    if policy == "fsync":
        return lambda: status.durable_sequence
    return lambda: status.published_sequence


class CommandLink:
    """A producer's end of its ring: encodes commands, publishes them, wakes the core.

    instance: the exchange's name. producer: a number or name of core/producers.py. The ring is
    opened if it is there, taken over if its owner died, else made with `capacity` bytes. Compiled
    code may write into the same ring by its header's address, `ring`; each side leaves the ring's
    words as the other expects them, but the two must not run at once.
    """

    def __init__(
        self,
        instance: str,
        producer: int | str,
        *,
        capacity: int = RING_BYTES,
        bell: Bell | None = None,
    ) -> None:
        self.producer = producer_number(producer) if isinstance(producer, str) else int(producer)
        self.segment = _ring_segment(instance, ring_kind(self.producer), capacity)
        self.ring = self.segment.address
        self.capacity = self.segment.size
        self._bell = bell
        # What was claimed and never published by who had the ring before was never there.
        store_word(self.ring + PENDING, load_word(self.ring + PUBLISHED))
        store_word(self.ring + FREE_UNTIL, load_word(self.ring + CONSUMED) + self.capacity)

    @property
    def name(self) -> str:
        """The producer's name."""
        return producer_name(self.producer)

    @property
    def depth(self) -> int:
        """Bytes that the core has not taken yet."""
        return load_word(self.ring + PUBLISHED) - load_word(self.ring + CONSUMED)

    def encode(self, name: str, fields: dict[str, Any]) -> bytes:
        """A message with its SBE header. Raises KeyError for a name that no schema has."""
        return encode(name, fields)

    def send(self, name: str, fields: dict[str, Any], session: int = 0) -> bool:
        """Publish one command; False, and nothing done, if the ring has no room for it now."""
        return self.send_message(self.encode(name, fields), session)

    def send_message(self, message: bytes, session: int = 0) -> bool:
        """Publish an encoded message (SBE header included); False if there is no room now."""
        length = (COMMAND_HEADER_SIZE + len(message) + FRAME_ALIGNMENT - 1) & -FRAME_ALIGNMENT
        begin = load_word(self.ring + PENDING)
        end = begin + length
        free_until = load_word(self.ring + CONSUMED) + self.capacity
        if end > free_until:
            return False
        position = (end >> 5) & 0xFFFFFFFF
        frame = COMMAND_HEADER.pack(length, self.producer, 0, session, position) + message
        address = self.ring + HEADER_SIZE + (begin & (self.capacity - 1))
        ctypes.memmove(address, frame.ljust(length, b"\0"), length)
        store_word(self.ring + FREE_UNTIL, free_until)
        store_word(self.ring + PENDING, end)
        store_word(self.ring + PUBLISHED, end)
        if self._bell is not None:
            self._bell.ring()
        return True

    def close(self) -> None:
        """Unmap the ring; what was published stays there for the core."""
        self.segment.close()
        self.ring = 0


def _ring_segment(instance: str, kind: str, capacity: int) -> Segment:
    """The ring as it is if somebody alive made it; a dead owner's with its frames; or a new one."""
    try:
        return Segment.attach_or_create(instance, kind, capacity, True)
    except SegmentInUse:
        return Segment.open(instance, kind)


class Event(NamedTuple):
    """One event as the core wrote it.

    position: of its frame in the stream. session: addressee, 0 for nobody in particular.
    sequence: of the command that caused it. body: from the root block on, padding included.
    message: the same with its SBE header in front.
    """

    position: int
    session: int
    sequence: int
    template: int
    body: memoryview
    message: memoryview


class EventFollower:
    """Reads the event stream from a position on: the archive first, then the live log.

        follower = EventFollower(instance, data, position, gate=released(status, policy))
        for event in follower:          # ends when there is nothing more for now
            …
        store(follower.position)        # a restarted process goes on there

    Only released events come out: those whose command is at or before `gate()`, the newest sequence
    number that is as durable as the configuration promises. Without a gate all published ones do.
    A follower that was overtaken by the writer finds what it missed in the archive by itself.
    """

    def __init__(
        self,
        instance: str,
        data: Path | None,
        position: int = 0,
        *,
        gate: Callable[[], int] | None = None,
        segment: Segment | None = None,
    ) -> None:
        self.position = position
        self._instance = instance
        self._archive = EventArchive(Path(data)) if data is not None else None
        self._gate = gate
        self._segment = segment or Segment.open(instance, "events", writable=False)
        self._stream = EventStream(self._segment, self._archive)

    @property
    def published(self) -> int:
        """The position up to which the core has written events, released or not."""
        return self._stream.published

    @property
    def lag(self) -> int:
        """Bytes of events written and not read yet."""
        return max(self.published - self.position, 0)

    def __iter__(self) -> Iterator[Event]:
        """The released events there are now; `position` is behind each as it comes out."""
        while True:
            batch = memoryview(self.batch())
            if not batch:
                return
            start, offset = self.position, 0
            while offset < len(batch):
                length, session, sequence, _, template, _, _ = EVENT_HEADER.unpack_from(
                    batch, offset
                )
                end = offset + length
                self.position = start + end
                message = batch[offset + MESSAGE_AT : end]
                body = batch[offset + EVENT_HEADER_SIZE : end]
                yield Event(start + offset, session, sequence, template, body, message)
                offset = end

    def batch(self, limit: int = BATCH_BYTES) -> bytes:
        """Whole released frames from the position on, about `limit` bytes of them; maybe none.

        Does not move the position: whoever has used `n` of the bytes adds `n` to it.
        Raises EventsLost if neither log nor archive has what stands there.
        """
        # The gate is read before the log: what it covers was written before it moved.
        gate = self._gate() if self._gate is not None else None
        while True:
            data = self._stream.read(self.position, limit)
            used = _whole(data, gate)
            if used or len(data) < 4:
                return data[:used]
            length = int.from_bytes(data[:4], "little")
            if length <= len(data) or len(data) < limit:
                return b""  # Not released yet.
            limit = length

    def reopen(self) -> bool:
        """Take the log's new segment if the core had to make one; whether it had."""
        try:
            if os.stat(self._segment.path).st_ino == self._segment.inode:
                return False
            fresh = Segment.open(self._instance, "events", writable=False)
        except (FileNotFoundError, SegmentMissing):
            return False
        self._segment.close()
        self._segment = fresh
        self._stream = EventStream(fresh, self._archive)
        return True

    def close(self) -> None:
        """Unmap the log."""
        self._segment.close()


def _whole(data: bytes, gate: int | None) -> int:
    """How many bytes of `data` are whole frames that are released."""
    offset, size = 0, len(data)
    while offset + EVENT_HEADER_SIZE <= size:
        length, _, sequence, _, _, _, _ = EVENT_HEADER.unpack_from(data, offset)
        if length < FRAME_ALIGNMENT or length % FRAME_ALIGNMENT:
            raise EventsLost(f"no event frame {offset} bytes on: length={length}")
        if offset + length > size or (gate is not None and sequence > gate):
            break
        offset += length
    return offset
