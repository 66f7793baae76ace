"""Snapshots: the state's bytes behind one command, so that recovery need not begin at the first.

```
snapshots/<last sequence in it, 20 digits>.snapshot

   0  8 B  magic "OBSNAP\\0\\1"
   8  i64  last sequence        every command up to it is in the state
  16  i64  event position       where the events of the next command begin
  24  i64  state length         bytes
  32  32 B layout               names limits and layout of the state; another one is not loaded
  64  32 B digest               BLAKE3 of the state's bytes
  96  32 B hash                 BLAKE3 of bytes 0..95
 128  zeros
4096  state
```

A snapshot is made by a follower, which replays the journal into a state of its own, and never by
the loop. It appears whole or not at all, and not before the journal up to its sequence and the
event archive up to its position are durable: so whatever a power cut takes, it is behind the newest
snapshot. A damaged one is passed over, with a warning, for the one before.
"""

import struct
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, Protocol

import structlog
from blake3 import blake3

from core.journal.archive import EventArchive
from core.journal.disk import Buffer, Disk, RealDisk, replace_file
from core.journal.reader import Follower
from core.journal.segment import SNAPSHOTS_NAME, Segment, numbered, numbered_path, segments

log = structlog.get_logger(component="snapshot")

MAGIC = b"OBSNAP\0\1"
SUFFIX = ".snapshot"
HEADER_SIZE = 4096
LAYOUT_SIZE = 32
KEPT = 2

_HEADER = struct.Struct("<8s3q32s32s")
_HASH_SIZE = 32


class Snapshot(NamedTuple):
    """A whole snapshot; `state` is a read-only view into the mapped file."""

    sequence: int
    event_position: int
    layout: bytes
    digest: bytes
    state: memoryview


def state_digest(state: Buffer) -> bytes:
    """The 32 bytes that stand for a state in snapshots and in the journal."""
    return blake3(state).digest()


def write(
    data: Path,
    state: Buffer,
    sequence: int,
    event_position: int,
    layout: bytes,
    *,
    disk: Disk | None = None,
) -> Path:
    """Put a snapshot in place, durably; the caller sees to it that journal and archive are.

    `layout` has 32 bytes at most. Raises `DiskError`, having left no half of anything.
    """
    disk = disk if disk is not None else RealDisk()
    assert len(layout) <= LAYOUT_SIZE, f"Expected at most {LAYOUT_SIZE} bytes, was {len(layout)}."
    head = _HEADER.pack(MAGIC, sequence, event_position, len(state), layout, state_digest(state))
    header = (head + blake3(head).digest()).ljust(HEADER_SIZE, b"\0")
    disk.make_directory(data / SNAPSHOTS_NAME)
    path = numbered_path(data / SNAPSHOTS_NAME, sequence, SUFFIX)
    replace_file(disk, path, [header, state])
    return path


def load_header(path: Path, *, disk: Disk | None = None) -> Snapshot | None:
    """The snapshot in a file, its state not checked; None if the header isn't whole."""
    view = (disk if disk is not None else RealDisk()).view(path)
    if len(view) < HEADER_SIZE:
        return None
    magic, sequence, position, length, layout, digest = _HEADER.unpack_from(view, 0)
    hash_stored = view[_HEADER.size : _HEADER.size + _HASH_SIZE]
    if magic != MAGIC or blake3(view[: _HEADER.size]).digest() != hash_stored:
        return None
    state = view[HEADER_SIZE:]
    return Snapshot(sequence, position, layout, digest, state) if len(state) == length else None


def load(path: Path, *, disk: Disk | None = None) -> Snapshot | None:
    """The snapshot in a file, or None if it isn't whole."""
    found = load_header(path, disk=disk)
    if found is None or state_digest(found.state) != found.digest:
        return None
    return found


def newest(data: Path, layout: bytes, *, disk: Disk | None = None) -> Snapshot | None:
    """The newest whole snapshot of this layout, or None; says which it passed over and why."""
    disk = disk if disk is not None else RealDisk()
    for item in reversed(listing(data, disk=disk)):
        found = load(item.path, disk=disk)
        if found is None:
            log.warning("damaged snapshot passed over", file=item.path.name)
        elif found.layout != layout.ljust(LAYOUT_SIZE, b"\0"):
            log.warning("snapshot of another layout passed over", file=item.path.name)
        else:
            return found
    return None


def listing(data: Path, *, disk: Disk | None = None) -> list[Segment]:
    """The snapshot files of a data directory, oldest first, by their last sequence."""
    return numbered(disk if disk is not None else RealDisk(), data / SNAPSHOTS_NAME, SUFFIX)


def durable_events(data: Path, *, disk: Disk | None = None) -> int:
    """Position up to which the newest whole snapshot has made the event archive durable."""
    for item in reversed(listing(data, disk=disk)):
        found = load(item.path, disk=disk)
        if found is not None:
            return found.event_position
    return 0


def archive_needed(data: Path, layout: bytes, *, disk: Disk | None = None) -> int:
    """Where the event archive has to reach at least, or the newest snapshot is of no use."""
    for item in reversed(listing(data, disk=disk)):
        found = load_header(item.path, disk=disk)
        if found is not None and found.layout == layout.ljust(LAYOUT_SIZE, b"\0"):
            return found.event_position
    return 0


class Replica(Protocol):
    """A state of its own that a follower replays the journal into (see core/recovery.py)."""

    @property
    def sequence(self) -> int:
        """The last command applied."""

    @property
    def event_position(self) -> int:
        """Where the events of the next command will begin."""

    @property
    def layout(self) -> bytes:
        """What names limits and layout of the state, 32 bytes at most."""

    def apply(self, commands: memoryview) -> None:
        """Execute whole command frames, dense from `sequence + 1`."""

    def state(self) -> Buffer:
        """The bytes of the state, valid until the next `apply`."""


class SnapshotAgent:
    """Follows the journal with a replica and writes a snapshot whenever one is due.

    Due is: `interval_ns` since the last one and at least one command since. `clock` gives
    nanoseconds that never fall.
    """

    def __init__(
        self,
        data: Path,
        replica: Replica,
        clock: Callable[[], int],
        interval_ns: int,
        *,
        kept: int = KEPT,
        disk: Disk | None = None,
    ) -> None:
        self._disk: Disk = disk if disk is not None else RealDisk()
        self._data = data
        self._replica = replica
        self._clock = clock
        self._interval_ns = interval_ns
        self._kept = kept
        self._archive = EventArchive(data, disk=self._disk)
        self._follower = Follower(self._disk, data, replica.sequence + 1)
        self._due_ns = clock() + interval_ns
        # It comes from a snapshot itself, or begins at 0: up to there the archive is durable.
        self._last, self._position = replica.sequence, replica.event_position

    def poll(self) -> int:
        """Apply one batch, or write a snapshot if one is due; commands applied or files written."""
        batch = self._follower.poll()
        if batch is not None:
            before = self._replica.sequence
            self._replica.apply(batch)
            done = self._replica.sequence - before
            assert self._replica.sequence == self._follower.sequence - 1, (
                "Invariant: a replica applies every command it is given."
            )
        else:
            done = 0
        if self._clock() >= self._due_ns and self._replica.sequence > self._last:
            done += self.take()
        return done

    def take(self) -> int:
        """Write a snapshot of the replica as it is; 0 if the archive isn't that far yet, else 1."""
        replica = self._replica
        if self._archive.end() < replica.event_position:
            return 0
        self._archive.sync(self._position)
        for item in segments(self._disk, self._data)[-2:]:
            handle = self._disk.open(item.path)
            try:
                self._disk.sync(handle)
            finally:
                self._disk.close(handle)
        path = write(
            self._data,
            replica.state(),
            replica.sequence,
            replica.event_position,
            replica.layout,
            disk=self._disk,
        )
        log.info("snapshot", file=path.name, event_position=replica.event_position)
        for item in listing(self._data, disk=self._disk)[: -self._kept]:
            self._disk.remove(item.path)
        self._last, self._position = replica.sequence, replica.event_position
        self._due_ns = self._clock() + self._interval_ns
        return 1
