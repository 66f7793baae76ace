"""The journal process: commands onto the disk, events into the archive, reports set free.

```
   sequenced ring ──one batch──► one frame ──pwrite──► [fdatasync] ──► durable_sequence ──► bells
        ▲                                                                  │
        └────────────── released: the core may reuse the space ◄───────────┘

   event log ──────whole frames──────► archive files ──► `archived`: the core may overwrite
```

Order is everything here: a batch is given back to the core only when it is as durable as the policy
says, so whatever kills this process, the batch is either whole in the files or still in the ring.
The next journal process finds the last sequence in the files, passes over what it already has and
goes on; a sequence missing between the two ends it.

The archiver is the only reader the event log waits for. On attaching it stores how far the archive
reaches into the log's `archived` word; a log that begins later than that is a gap and refused.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import structlog

from core.events import log_archive, log_archived, log_oldest, log_published
from core.journal.archive import SEGMENT_SIZE as ARCHIVE_SEGMENT_SIZE
from core.journal.archive import ArchiveWriter
from core.journal.disk import Disk, RealDisk
from core.journal.errors import JournalGap
from core.journal.scan import last_sequence, scan, walk, warm, whole_bytes
from core.journal.segment import SEGMENT_SIZE, segments
from core.journal.writer import Journal, Policy
from core.memory import HEADER_SIZE, Segment
from core.ring import ring_consumed, ring_readable, ring_release
from core.snapshot import durable_events, listing, load_header

log = structlog.get_logger(component="journal")

# One poll takes at most this much of either stream. Commands are waited for: events take turns.
COMMANDS_BYTES_MAX = 4 << 20
EVENTS_BYTES_MAX = 1 << 20
# A power cut under `async` takes at most what came in this time.
SYNC_INTERVAL_NS = 1_000_000_000
ATTACH_INTERVAL_NS = 10_000_000
# A journal of this size is verified whole at each start, which takes a second or two; of a longer
# one what no snapshot covers (`onebook journal verify` checks the rest).
VERIFY_WHOLE_BYTES = 256 << 20


class Sizes(NamedTuple):
    """Bytes of a journal and an archive segment, and how much of the archive is kept at least."""

    segment: int = SEGMENT_SIZE
    archive_segment: int = ARCHIVE_SEGMENT_SIZE
    archive_retention: int | None = None


class _Stream:
    """The data of a mirrored segment, as addresses and as a view that is never copied."""

    def __init__(self, segment: Segment) -> None:
        self.segment = segment
        self.control = segment.address
        self._mask = segment.size - 1
        self._view = memoryview(segment.array(np.uint8, 2 * segment.size))

    def view(self, position: int, length: int) -> memoryview:
        start = position & self._mask
        return self._view[start : start + length]

    def whole(self, position: int, end: int, limit: int) -> int:
        """Bytes of whole frames from `position`: up to `end`, `limit` at most, one at least."""
        address = self.control + HEADER_SIZE + (position & self._mask)
        size: int = whole_bytes(address, end - position, limit)
        if size < 0:
            raise JournalGap(f"{self.segment.path.name} holds no whole frames at {position}")
        return size

    def last_sequence(self, position: int, length: int, expected: int) -> int:
        address = self.control + HEADER_SIZE + (position & self._mask)
        last: int = last_sequence(address, length, expected)
        if last < 0:
            raise JournalGap(f"expected command {expected} or later in order at {position}")
        return last

    def replaced(self) -> bool:
        """Whether the name now means another segment, made by a restarted core."""
        try:
            return self.segment.path.stat().st_ino != self.segment.inode
        except FileNotFoundError:
            return False

    def close(self) -> None:
        self._view.release()
        self.segment.close()


class JournalAgent:
    """Drains the sequenced ring into the journal and the event log into the archive.

    `publish(sequence)` is called when commands up to `sequence` are as durable as the policy says.
    `attach` opens the two segments, or returns None while there are none. `clock` gives nanoseconds
    that never fall. Raises `JournalError`s; after one the agent must not be polled again.
    """

    def __init__(
        self,
        data: Path,
        policy: Policy,
        attach: Callable[[], tuple[Segment, Segment] | None],
        publish: Callable[[int], None],
        *,
        clock: Callable[[], int] = time.monotonic_ns,
        disk: Disk | None = None,
        sizes: Sizes = Sizes(),  # noqa: B008 — a tuple of numbers
    ) -> None:
        warm()
        disk = disk if disk is not None else RealDisk()
        self._data = data
        self._disk = disk
        self._policy = policy
        self._attach = attach
        self._publish = publish
        self._clock = clock
        self._ring: _Stream | None = None
        self._log: _Stream | None = None
        self._next_attach_ns = self._next_sync_ns = 0
        self.frames = self.bytes = 0
        self.journal = Journal(
            data,
            policy,
            disk=disk,
            segment_size=sizes.segment,
            verify_from=verify_from(disk, data),
            scan=scan,
        )
        self.journal.takeover(self.journal.epoch + 1)
        self.sequence = self.journal.last()[0]
        self._digest_sequence = self.sequence
        self.archive = ArchiveWriter(
            data,
            disk=disk,
            segment_size=sizes.archive_segment,
            retention_bytes=sizes.archive_retention,
            trusted=durable_events(data, disk=disk),
            walk=walk,
        )
        # What a dead core left in the ring counts as journaled; events behind it are cut.
        self._attach_ring()
        while self._drain_ring():
            pass
        self.archive.cut_after(self.sequence)
        self._attach_log()
        self._publish(self.sequence)

    def poll(self) -> int:
        """One batch of commands and one of events; bytes moved, 0 if there was nothing to do."""
        if self._log is None or self._ring is None:
            return self._try_attach()
        work = self._drain_ring() + self._drain_log()
        now = self._clock()
        if now >= self._next_sync_ns:
            self._next_sync_ns = now + SYNC_INTERVAL_NS
            self._keep_house(idle=work == 0)
        if work == 0 and self._policy == Policy.FSYNC:
            return int(self.journal.prepare())
        return work

    def close(self) -> None:
        """Take what is still there, make it durable, and end the journal cleanly."""
        while self._ring is not None and self._drain_ring():
            pass
        while self._log is not None and self._drain_log():
            pass
        self.archive.close()
        self.journal.close()
        self._detach()

    @property
    def position(self) -> int:
        """Position behind the last archived event."""
        return self.archive.end()

    # ---- commands -----------------------------------------------------------------------------

    def _drain_ring(self) -> int:
        ring = self._ring
        if ring is None:
            return 0
        position: int = ring_consumed(ring.control)
        end: int = ring_readable(ring.control)
        if position == end:
            return 0
        length = ring.whole(position, end, COMMANDS_BYTES_MAX)
        if self._policy == Policy.NONE:
            self.sequence = ring.last_sequence(position, length, self.sequence + 1)
        else:
            self.journal.append(ring.view(position, length))
            self.sequence = self.journal.last()[0]
        self.frames += 1
        self.bytes += length
        self._publish(self.sequence)
        ring_release(ring.control, position + length)
        return length

    def _attach_ring(self) -> None:
        """Pass over what the ring still holds and the files already have."""
        attached = self._attach()
        if attached is None:
            return
        ring, log_segment = attached
        self._ring = _Stream(ring)
        self._log = _Stream(log_segment)
        position: int = ring_consumed(ring.address)
        end: int = ring_readable(ring.address)
        while position < end:
            (length, sequence) = _command_at(self._ring.view(position, 32))
            if sequence > self.sequence + 1:
                raise JournalGap(
                    f"journal ends at command {self.sequence}, the ring begins at {sequence}"
                )
            if sequence == self.sequence + 1:
                break
            position += length
        ring_release(ring.address, position)

    # ---- events -------------------------------------------------------------------------------

    def _drain_log(self) -> int:
        assert self._log is not None
        position = self.archive.end()
        end: int = log_published(self._log.control)
        if end <= position:
            return 0
        length = self._log.whole(position, end, EVENTS_BYTES_MAX)
        self.archive.append(self._log.view(position, length))
        log_archive(self._log.control, position + length)
        return length

    def _attach_log(self) -> None:
        """Say how far the archive reaches, if the log still has what comes behind it."""
        if self._log is None:
            return
        control = self._log.control
        end = self.archive.end()
        published: int = log_published(control)
        oldest: int = log_oldest(control)
        if published > end and oldest > end:
            raise JournalGap(f"archive ends at {end}, the event log begins at {oldest}")
        stored: int = log_archived(control)
        if stored != end:
            log_archive(control, end)
        log.info("attached", sequence=self.sequence, archived=end, published=published)

    # ---- the rest -----------------------------------------------------------------------------

    def _try_attach(self) -> int:
        now = self._clock()
        if now >= self._next_attach_ns:
            self._next_attach_ns = now + ATTACH_INTERVAL_NS
            self._attach_ring()
            self._attach_log()
        return int(self._ring is not None)

    def _keep_house(self, idle: bool) -> None:
        """Once in a while: chain a digest, sync under `async`, see whether the core is new."""
        if self._policy != Policy.NONE:
            self._record_digest()
            self.journal.sync()
        assert self._ring is not None
        assert self._log is not None
        if idle and (self._ring.replaced() or self._log.replaced()):
            self._detach()

    def _record_digest(self) -> None:
        """Chain the digest of a new snapshot into the journal, for later replays to meet."""
        found = listing(self._data, disk=self._disk)
        if not found or not self._digest_sequence < found[-1].first <= self.sequence:
            return
        self._digest_sequence = found[-1].first
        header = load_header(found[-1].path, disk=self._disk)
        if header is not None:
            self.journal.append_digest(header.sequence, header.digest)

    def _detach(self) -> None:
        """Let go of the two segments, which hold nothing new any more."""
        if self._ring is not None and self._log is not None:
            self._ring.close()
            self._log.close()
        self._ring = self._log = None


def verify_from(disk: Disk, data: Path) -> int:
    """The sequence from which a start verifies the journal: see VERIFY_WHOLE_BYTES.

    It goes back to the older of the kept snapshots, in case the newest turns out to be damaged.
    """
    found = segments(disk, data)
    snapshots = listing(data, disk=disk)
    size = sum(disk.size(item.path) for item in found)
    if size <= VERIFY_WHOLE_BYTES or not snapshots:
        return 1
    return max(snapshots[0].first, 1)


def _command_at(view: memoryview) -> tuple[int, int]:
    """Length and sequence of the command frame that begins at `view`."""
    return int.from_bytes(view[:4], "little"), int.from_bytes(view[16:24], "little")
