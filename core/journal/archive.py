"""The event archive: the core's event stream, kept in files by stream position.

```
events/<position, 20 digits>.events     bytes [position, position + size) of the event stream
```

There is no index and no header: a position is a file and an offset. A file ends with a whole event
frame, so no frame lies in two files. The archive is a cache of the journal: a replay makes the same
bytes again, so nothing waits for it to be durable. Only a snapshot syncs it, up to its own
position, from where a recovery will make events again. Behind that position the next start walks
all frames and cuts at the first that isn't whole; before it, what doesn't fit together is damage.

```
event frame:   0  i32 length, a multiple of 32      4  i32 session      8  i64 sequence   ...
```
"""

import struct
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import structlog

from core.journal.disk import Buffer, Disk, RealDisk
from core.journal.errors import JournalDamaged, JournalGap
from core.journal.segment import EVENTS_NAME, Segment, numbered, numbered_path

log = structlog.get_logger(component="archive")

SUFFIX = ".events"
SEGMENT_SIZE = 64 << 20
_ALIGNMENT = 32
_FRAME = struct.Struct("<iiq")
_CHUNK = 1 << 20
_ANY = 2**63 - 1
_PAGE = 4096


class EventArchive:
    """Reads the archive of a data directory, also while the journal process appends to it."""

    def __init__(self, data: Path, *, disk: Disk | None = None) -> None:
        self._disk: Disk = disk if disk is not None else RealDisk()
        self.directory = data / EVENTS_NAME

    def begin(self) -> int:
        """Position of the oldest byte kept."""
        found = self._segments()
        return found[0].first if found else 0

    def end(self) -> int:
        """Position behind the last byte kept."""
        found = self._segments()
        return found[-1].first + self._disk.size(found[-1].path) if found else 0

    def read(self, position: int, length: int) -> bytes:
        """At most `length` bytes of the stream from `position`; fewer at its end.

        Raises `JournalGap` if what stood there has been removed.
        """
        found = self._segments()
        if found and position < found[0].first:
            raise JournalGap(f"events before position {found[0].first} are gone: {position}")
        parts: list[bytes] = []
        for item in found:
            if length > 0 and position >= item.first:
                part = self._disk.read(item.path, position - item.first, length)
                parts.append(part)
                position += len(part)
                length -= len(part)
        return b"".join(parts)

    def frames(self, position: int) -> Iterator[memoryview]:
        """Each whole event frame from `position`, which must be a frame's beginning."""
        while chunk := memoryview(self.read(position, _CHUNK)):
            end, _ = whole_frames(chunk)
            if end == 0:
                needed = _FRAME.unpack_from(chunk)[0] if len(chunk) >= _FRAME.size else 0
                chunk = memoryview(self.read(position, needed))
                end, _ = whole_frames(chunk)
                if end == 0:
                    return
            offset = 0
            while offset < end:
                (length,) = struct.unpack_from("<i", chunk, offset)
                yield chunk[offset : offset + length]
                offset += length
            position += end

    def sync(self, since: int = 0) -> None:
        """Make the archive durable from `since` to where it ends now; any process may ask."""
        for item in self._segments():
            if item.first + self._disk.size(item.path) <= since:
                continue
            handle = self._disk.open(item.path)
            try:
                self._disk.sync(handle)
            finally:
                self._disk.close(handle)
        self._disk.sync_directory(self.directory)

    def _segments(self) -> list[Segment]:
        return numbered(self._disk, self.directory, SUFFIX)


Walk = Callable[[memoryview, int], tuple[int, int]]


class ArchiveWriter(EventArchive):
    """The one writer of the archive. Cuts what a crash tore off when opened and says so.

    `trusted` is the position up to which a snapshot has synced the archive; what isn't whole before
    it raises `JournalDamaged`. `retention_bytes` is how much of the stream is kept at least; None
    keeps everything. `walk` is `whole_frames` or a faster one of the same meaning.
    """

    def __init__(
        self,
        data: Path,
        *,
        disk: Disk | None = None,
        segment_size: int = SEGMENT_SIZE,
        retention_bytes: int | None = None,
        trusted: int = 0,
        walk: Walk | None = None,
    ) -> None:
        super().__init__(data, disk=disk)
        self._segment_size = segment_size
        self._retention_bytes = retention_bytes
        self._walk = walk or whole_frames
        self._handle = -1
        self._first = self._end = 0
        self._disk.make_directory(self.directory)
        self._recover(self._segments(), trusted)

    def end(self) -> int:
        return self._end

    def append(self, frames: Buffer) -> int:
        """Write whole event frames behind the last; returns the new end."""
        used = self._end - self._first
        if self._handle < 0 or (used > 0 and used + len(frames) > self._segment_size):
            self._roll()
        self._disk.write(self._handle, [frames], self._end - self._first)
        self._end += len(frames)
        return self._end

    def cut(self, position: int) -> None:
        """Forget everything at and behind `position`, a frame's beginning not past the end."""
        assert position <= self._end, f"Expected at most {self._end}, was {position}."
        self.close()
        for item in reversed(self._segments()):
            if item.first <= position and item.first + self._disk.size(item.path) >= position:
                break
            self._disk.remove(item.path)
        self._end = self._first = position
        found = self._segments()
        if found:
            self._handle = self._disk.open(found[-1].path)
            self._first = found[-1].first
            self._disk.truncate(self._handle, position - self._first)

    def cut_after(self, sequence: int) -> None:
        """Forget the events of commands behind `sequence`, which the journal doesn't have.

        After a power cut under `async` the archive may know more than the journal.
        """
        before = self._end
        for item in reversed(self._segments()):
            keep, _ = self._walk(self._disk.view(item.path), sequence)
            if item.first + keep == before:
                return
            self.cut(item.first + keep)
            if keep:
                break
        if self._end < before:
            log.warning("events of lost commands cut", position=self._end, bytes=before - self._end)

    def close(self) -> None:
        """Give up the open file; what was appended is the kernel's and will reach the disk."""
        if self._handle >= 0:
            self._disk.close(self._handle)
            self._handle = -1

    def _recover(self, found: list[Segment], trusted: int) -> None:
        """Find where the archive ends, and cut what is behind."""
        position = found[0].first if found else 0
        for item in found:
            size = self._disk.size(item.path)
            whole = size
            if item.first + size > trusted:
                whole = self._sound(self._disk.view(item.path), trusted - item.first)
            if item.first != position:
                break
            position += whole
            if whole < size:
                break
        if position < trusted:
            raise JournalDamaged(
                numbered_path(self.directory, position, SUFFIX), 0,
                f"no events from position {position} on, a snapshot begins at {trusted}",
            )  # fmt: skip
        if not found:
            return
        last = found[-1]
        torn = last.first + self._disk.size(last.path) - position
        self._end = position
        self.cut(position)
        if torn:
            log.warning("torn tail cut", position=position, bytes=torn)

    def _sound(self, view: memoryview, trusted: int) -> int:
        """Bytes of `view` that a crash has left as they were written.

        Zeros where a frame should begin are a page that a power cut lost, and so may be the end of
        the frame before it: then only what ends before that page counts.
        """
        whole, _ = self._walk(view, _ANY)
        if whole > trusted and whole < len(view) and not any(view[whole : whole + 4]):
            before, _ = self._walk(view[: whole & -_PAGE], _ANY)
            return max(before, trusted)
        return whole

    def _roll(self) -> None:
        self.close()
        self._first = self._end
        self._handle = self._disk.open(numbered_path(self.directory, self._end, SUFFIX))
        if self._retention_bytes is not None:
            found = self._segments()
            for item, following in pairwise(found):
                if self._end - following.first < self._retention_bytes:
                    break
                self._disk.remove(item.path)


def whole_frames(view: memoryview, last: int = _ANY) -> tuple[int, int]:
    """Bytes of `view` up to the end of its last whole event frame, and that frame's sequence.

    A frame is whole if its length is possible and its sequence not below the one before it; those
    of commands behind `last` don't count.
    """
    offset = sequence = 0
    end = len(view)
    while offset + _ALIGNMENT <= end:
        length, _session, number = _FRAME.unpack_from(view, offset)
        if length < _ALIGNMENT or length % _ALIGNMENT or offset + length > end:
            break
        if number < sequence or number > last:
            break
        sequence = number
        offset += length
    return offset, sequence
