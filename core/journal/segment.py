"""Segment files: their names, their creation, and the version of the data directory.

```
DIR/
  VERSION                            one line; a directory of another version is refused
  lock                               owned (flock) by the journal process
  journal/00000000000000000001.journal    named by its first command sequence, 20 digits
  journal/00000000000003145729.journal    256 MB each, allocated whole before its first frame
  events/00000000000000000000.events      named by the stream position of its first byte
  snapshots/00000000000003000000.snapshot named by the last command in it
```

A segment has no header: its first frame carries epoch, numbers and chain. Behind its last frame it
holds only zeros. It appears under its name by a rename, already allocated and synced, and only when
everything in the segment before it is durable.

Under `fsync` its zeros are really written, not only reserved: then a later fdatasync has no block
map to change, needs no commit of the file system's own journal, and doesn't wait for what others
have written (ext4, 2 KB frames beside a busy archive: 90 µs instead of 140 µs at the median). That
takes a while for a whole segment, so the next one is made ahead, in steps, when there is nothing
else to do.
"""

from pathlib import Path
from typing import NamedTuple

from core.journal.disk import Disk, replace_file, zero
from core.journal.errors import DataVersion, DiskFull

DATA_VERSION = 1
VERSION_TEXT = f"onebook data {DATA_VERSION}\n".encode()
VERSION_NAME = "VERSION"
LOCK_NAME = "lock"
JOURNAL_NAME = "journal"
EVENTS_NAME = "events"
SNAPSHOTS_NAME = "snapshots"

SEGMENT_SIZE = 256 << 20
SUFFIX = ".journal"
_DIGITS = 20


class Segment(NamedTuple):
    """One file of a numbered series."""

    first: int
    path: Path


def numbered(disk: Disk, directory: Path, suffix: str) -> list[Segment]:
    """The files `<20 digits><suffix>` of a directory, in order of their number."""
    found = []
    for name in disk.names(directory):
        stem = name.removesuffix(suffix)
        if len(stem) == _DIGITS and stem.isdigit() and name.endswith(suffix):
            found.append(Segment(int(stem), directory / name))
    return sorted(found)


def numbered_path(directory: Path, first: int, suffix: str) -> Path:
    """The file of that number in a series."""
    return directory / f"{first:0{_DIGITS}d}{suffix}"


def segments(disk: Disk, data: Path) -> list[Segment]:
    """The journal's segments in a data directory."""
    return numbered(disk, data / JOURNAL_NAME, SUFFIX)


class Maker:
    """Makes segments of `size` bytes, one of them ahead of need."""

    STEP_BYTES = 256 << 10

    def __init__(self, disk: Disk, data: Path, size: int, written: bool) -> None:
        """`written`: whether the zeros in a new segment are written out (see above)."""
        self._disk = disk
        self._directory = data / JOURNAL_NAME
        self._size = size
        self._written = written
        self._spare = self._directory / "spare.new"
        self._handle = -1
        self._done = 0
        for name in disk.names(self._directory):
            if name.endswith(".new"):
                disk.remove(self._directory / name)

    def step(self) -> bool:
        """Do a little for the spare segment; False if it is ready or can't be made now."""
        if not self._written or self._done >= self._size:
            return False
        try:
            if self._handle < 0:
                self._start(self._size)
            end = min(self._size, self._done + self.STEP_BYTES)
            zero(self._disk, self._handle, self._done, end)
            self._disk.sync(self._handle)
        except DiskFull:  # It is needed later, if at all, and complained about then.
            self.discard()
            self._done = self._size
            return False
        self._done = end
        return True

    def make(self, first: int, size: int, written: bool = False) -> tuple[Path, int]:
        """Put a segment of at least `size` bytes in place, the spare one if it is ready.

        Returns its path and an open handle. `written`: take the time to write its zeros.
        """
        if self._handle < 0 or self._done < self._size or size > self._size:
            self.discard()
            try:
                self._start(max(size, self._size))
                if written and self._written:
                    zero(self._disk, self._handle, 0, max(size, self._size))
                self._disk.sync(self._handle)
            except DiskFull:
                self.discard()
                raise
        handle, self._handle, self._done = self._handle, -1, 0
        path = numbered_path(self._directory, first, SUFFIX)
        self._disk.rename(self._spare, path)
        self._disk.sync_directory(self._directory)
        return path, handle

    def discard(self) -> None:
        """Forget the spare segment."""
        if self._handle >= 0:
            self._disk.close(self._handle)
            self._disk.remove(self._spare)
        self._handle, self._done = -1, 0

    def _start(self, size: int) -> None:
        self._handle = self._disk.open(self._spare)
        self._done = 0
        self._disk.allocate(self._handle, size)


def prepare(disk: Disk, data: Path) -> None:
    """Make `data` a data directory of this version, or raise `DataVersion` and change nothing."""
    names = disk.names(data)
    if VERSION_NAME in names:
        check_version(disk, data)
    elif {JOURNAL_NAME, EVENTS_NAME, SNAPSHOTS_NAME} & set(names):
        raise DataVersion(f"data directory {data} has files but no {VERSION_NAME}")
    else:
        disk.make_directory(data)
        replace_file(disk, data / VERSION_NAME, [VERSION_TEXT])
    for name in (JOURNAL_NAME, EVENTS_NAME, SNAPSHOTS_NAME):
        if name not in names:
            disk.make_directory(data / name)
    disk.sync_directory(data)


def check_version(disk: Disk, data: Path) -> None:
    """Raise `DataVersion` unless `data` is a data directory of this version."""
    if VERSION_NAME not in disk.names(data):
        raise DataVersion(f"{data} is not a data directory: it has no {VERSION_NAME}")
    text = bytes(disk.view(data / VERSION_NAME)[:80])
    if text != VERSION_TEXT:
        found = text.decode("ascii", "replace").strip()
        expected = VERSION_TEXT.decode().strip()
        raise DataVersion(
            f"data directory {data} is of another version: expected '{expected}', was '{found}'"
        )
