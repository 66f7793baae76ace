"""Writing the journal: one frame per batch, one file at a time, one process.

A `Journal` is opened over whatever the last writer left: every frame is checked, a torn tail is cut
and said so, damage before a good frame stops the start with nothing changed. Then it must be taken
over with an epoch above all before it, and takes batches:

```
append(batch) ─► scan: dense? ─► header + hash ─► pwritev(header, batch) ─► [fdatasync]
```

The batch is handed to the kernel where it lies; it is never copied here. After any `DiskError` the
object is dead: an error of fdatasync may have thrown away what it could not write, so it is never
asked twice. The process ends, the next one reads what is there.
"""

from collections.abc import Callable, Iterator
from enum import StrEnum
from pathlib import Path

import structlog

from core.journal import frame, reader, segment
from core.journal.disk import Buffer, Disk, RealDisk, zero
from core.journal.errors import DiskError, JournalDamaged
from core.journal.frame import HEADER_SIZE, START, Kind

log = structlog.get_logger(component="journal")

Scan = Callable[[memoryview, int], int]


class Policy(StrEnum):
    """When a command counts as journaled, which is when its reports may leave."""

    NONE = "none"  # Nothing is written. For benchmarks: nothing survives.
    ASYNC = "async"  # Survives the death of any process; a power cut may take the last second.
    FSYNC = "fsync"  # Survives a power cut.


class Journal:
    """The one writer of a data directory's journal. Four verbs: append, read_from, last, takeover.

    `durable_sequence` is the last command known to be on the disk.
    """

    def __init__(
        self,
        data: Path,
        policy: Policy = Policy.FSYNC,
        *,
        disk: Disk | None = None,
        segment_size: int = segment.SEGMENT_SIZE,
        verify_from: int = 1,
        scan: Scan = frame.scan,
    ) -> None:
        """Open or make the journal in `data`, holding the directory's lock.

        Frames are verified from the segment that holds command `verify_from`. Raises `DataBusy`,
        `DataVersion`, `JournalDamaged`, `DiskError`.
        """
        self._disk: Disk = disk if disk is not None else RealDisk()
        self._data = data
        self._sync_each = policy == Policy.FSYNC
        self._scan = scan
        self._dead = False
        self._taken = False
        self._handle = -1
        self._offset = self._capacity = self._first = 0
        self._chain = START
        self._durable_number = 0
        self.durable_sequence = 0
        segment.prepare(self._disk, data)
        self._lock = self._disk.lock(data / segment.LOCK_NAME)
        self._maker = segment.Maker(self._disk, data, segment_size, self._sync_each)
        try:
            self._recover(verify_from)
        except BaseException:
            self._release()
            raise

    def append(self, commands: memoryview) -> None:
        """Write one frame: whole command frames, dense from the last. Durable under `fsync`."""
        assert self._taken, "Invariant: a journal is taken over before it is written."
        last = self._scan(commands, self._chain.sequence + 1)
        self._write(Kind.COMMANDS, last, commands)
        if self._sync_each:
            self.sync()

    def append_digest(self, sequence: int, digest: bytes) -> None:
        """Record what the core's state hashed to behind command `sequence`, for replays to meet."""
        assert self._taken, "Invariant: a journal is taken over before it is written."
        assert sequence <= self._chain.sequence, "Invariant: a digest follows its command."
        self._write(Kind.DIGEST, self._chain.sequence, frame.pack_digest(sequence, digest))
        if self._sync_each:  # Never two frames at once that a power cut may take: see reader.tail.
            self.sync()

    def read_from(
        self, sequence: int, verify_digest: reader.VerifyDigest | None = None
    ) -> Iterator[memoryview]:
        """Whole command frames from `sequence` to the end, a batch at a time."""
        return reader.read_from(self._disk, self._data, sequence, verify_digest)

    def last(self) -> tuple[int, int, bytes]:
        """Last command sequence, number and hash of the last frame; (0, 0, zeros) when empty."""
        return self._chain.sequence, self._chain.number, self._chain.hash

    def takeover(self, epoch: int) -> None:
        """Become the writer of `epoch`, durably. Raises ValueError unless it is above the last."""
        if epoch <= self._chain.epoch:
            raise ValueError(f"epoch must be above {self._chain.epoch}: epoch={epoch}")
        self._chain = self._chain._replace(epoch=epoch)
        self._taken = True
        self._write(Kind.TAKEOVER, self._chain.sequence, b"")
        self.sync()

    @property
    def epoch(self) -> int:
        """Epoch of the last frame, or of this writer once it has taken over."""
        return self._chain.epoch

    def sync(self) -> None:
        """Make all that was appended durable."""
        self._check_alive()
        if self._handle >= 0 and self._durable_number < self._chain.number:
            try:
                self._disk.sync(self._handle)
            except DiskError:
                self._dead = True
                raise
        self._durable_number = self._chain.number
        self.durable_sequence = self._chain.sequence

    def prepare(self) -> bool:
        """Do a little ahead of need, for idle moments; False if there is nothing to do."""
        return not self._dead and self._maker.step()

    def close(self) -> None:
        """End cleanly: a last frame vouches for all before it, and the lock is given back."""
        if self._taken and not self._dead:
            self.sync()  # So that the last frame can say that all before it is durable.
            self._write(Kind.CLOSE, self._chain.sequence, b"")
            self.sync()
        self._release()

    def _recover(self, verify_from: int) -> None:
        """Find the end of the journal, verify up to it, and cut what was torn behind it."""
        found = segment.segments(self._disk, self._data)
        start = max(verify_from, found[0].first) if found else verify_from
        if found and start > found[-1].first:
            start = found[-1].first
        walker = reader.Walker(self._disk, self._data, start)
        for _ in walker.to_the_end():
            pass
        if not found:
            return
        tail = walker.tail()
        assert tail is not None, "Invariant: the lock is held, nobody else writes."
        if walker.chain is None:
            raise JournalDamaged(tail.path, 0, "no whole frame, and nothing before it is left")
        self._chain = walker.chain
        self._handle = self._disk.open(tail.path)
        self._first = found[-1].first
        self._offset = tail.offset
        self._capacity = self._disk.size(tail.path)
        if tail.torn_bytes:
            zero(self._disk, self._handle, tail.offset, tail.offset + tail.torn_bytes)
            log.warning(
                "torn tail cut",
                segment=tail.path.name,
                offset=tail.offset,
                bytes=tail.torn_bytes,
                last_sequence=self._chain.sequence,
            )
        self.sync()

    def _write(self, kind: Kind, last: int, payload: Buffer) -> None:
        self._check_alive()
        chain = self._chain
        head, after = frame.pack(kind, chain, last, chain.epoch, self._durable_number, payload)
        try:
            self._make_room(HEADER_SIZE + len(payload))
            self._disk.write(self._handle, [head, payload], self._offset)
        except DiskError:
            self._dead = True
            raise
        self._offset += HEADER_SIZE + len(payload)
        self._chain = after

    def _make_room(self, size: int) -> None:
        """See to it that a frame of `size` bytes fits in the open segment.

        A segment that holds no command yet grows instead of making place for another, because
        both would have the same name.
        """
        if self._offset + size <= self._capacity:
            return
        if self._handle >= 0 and self._chain.sequence < self._first:
            self._disk.allocate(self._handle, self._offset + size)
            self._capacity = self._offset + size
            return
        if self._handle >= 0:
            self.sync()
            self._disk.close(self._handle)
            self._handle = -1
        first = self._chain.sequence + 1
        path, self._handle = self._maker.make(first, size, written=self._chain.number == 0)
        self._first, self._offset = first, 0
        self._capacity = self._disk.size(path)

    def _check_alive(self) -> None:
        if self._dead:
            raise DiskError("the journal met a disk error before and takes nothing more")

    def _release(self) -> None:
        self._maker.discard()
        if self._handle >= 0:
            self._disk.close(self._handle)
            self._handle = -1
        self._disk.close(self._lock)
