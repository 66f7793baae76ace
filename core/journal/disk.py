"""All disk access of journal, archive and snapshots goes through this small interface.

`RealDisk` is the operating system. The crash tests put a disk in its place that logs every
operation and then materialises what a power cut could have left behind, so nothing in this package
may touch a file in any other way. The verbs are those whose order matters to durability:

```
write      bytes at an offset of an open file     not durable before sync
sync       fdatasync                              everything written to that file is durable
allocate   the file has this size, zeros inside   not durable before sync
rename     atomic                                 not durable before sync_directory
```
"""

import errno
import fcntl
import mmap
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from core.journal.errors import DataBusy, DiskFailed, DiskFull

NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_ZEROS = bytes(1 << 20)

Buffer = bytes | bytearray | memoryview


class Disk(Protocol):
    """What the package needs of a disk. Handles are small integers; errors are `DiskError`s."""

    def open(self, path: Path) -> int:
        """Open for reading and writing, creating an empty file of mode 0600 if there is none."""

    def close(self, handle: int) -> None: ...

    def allocate(self, handle: int, size: int) -> None:
        """Make the file `size` bytes at least; what is new reads as zeros and has its space."""

    def write(self, handle: int, buffers: Sequence[Buffer], offset: int) -> None:
        """Write the buffers one behind the other at `offset`, all of them or raise."""

    def sync(self, handle: int) -> None:
        """Return only when all that was written to the file would survive a power cut."""

    def sync_directory(self, path: Path) -> None:
        """The same for the names in a directory."""

    def truncate(self, handle: int, size: int) -> None: ...

    def rename(self, source: Path, target: Path) -> None: ...

    def remove(self, path: Path) -> None: ...

    def make_directory(self, path: Path) -> None:
        """Make a directory, mode 0700, and its parents, durably; no error if it exists."""

    def names(self, path: Path) -> list[str]:
        """The sorted names in a directory; none if there is no such directory."""

    def size(self, path: Path) -> int: ...

    def view(self, path: Path) -> memoryview:
        """The file's bytes as they are now, read-only; later writes may show through."""

    def read(self, path: Path, offset: int, length: int) -> bytes:
        """At most `length` bytes at `offset`; fewer at the end of the file."""

    def lock(self, path: Path) -> int:
        """Own the file until the handle closes or the process ends, or raise `DataBusy`."""


def _refused(error: OSError, what: str) -> DiskFull | DiskFailed:
    text = f"{what}: {os.strerror(error.errno or 0)}"
    return DiskFull(text) if error.errno in NO_SPACE else DiskFailed(text)


def _name(handle: int) -> str:
    """The path of an open file, for those who have to make room for it."""
    try:
        return os.readlink(f"/proc/self/fd/{handle}")
    except OSError:
        return "a file"


class RealDisk:
    """The operating system's files."""

    def open(self, path: Path) -> int:
        try:
            return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise _refused(error, f"cannot open {path}") from error

    def close(self, handle: int) -> None:
        os.close(handle)

    def allocate(self, handle: int, size: int) -> None:
        try:
            os.posix_fallocate(handle, 0, size)
        except OSError as error:
            raise _refused(error, f"{_name(handle)}: cannot allocate {size:,} bytes") from error

    def write(self, handle: int, buffers: Sequence[Buffer], offset: int) -> None:
        try:
            total = sum(len(buffer) for buffer in buffers)
            done = os.pwritev(handle, buffers, offset)
            while done < total:  # A signal or a file size limit may shorten a write.
                done += os.pwrite(handle, _rest(buffers, done), offset + done)
        except OSError as error:
            raise _refused(error, f"{_name(handle)}: cannot write at offset {offset:,}") from error

    def sync(self, handle: int) -> None:
        try:
            os.fdatasync(handle)
        except OSError as error:
            reason = os.strerror(error.errno or 0)
            raise DiskFailed(f"{_name(handle)}: fdatasync failed: {reason}") from error

    def sync_directory(self, path: Path) -> None:
        handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(handle)
        except OSError as error:
            raise DiskFailed(f"fsync of {path} failed: {os.strerror(error.errno or 0)}") from error
        finally:
            os.close(handle)

    def truncate(self, handle: int, size: int) -> None:
        try:
            os.ftruncate(handle, size)
        except OSError as error:
            raise _refused(error, f"{_name(handle)}: cannot truncate to {size:,} bytes") from error

    def rename(self, source: Path, target: Path) -> None:
        try:
            os.rename(source, target)
        except OSError as error:
            raise _refused(error, f"cannot rename {source} to {target.name}") from error

    def remove(self, path: Path) -> None:
        path.unlink(missing_ok=True)

    def make_directory(self, path: Path) -> None:
        if path.is_dir():
            return
        self.make_directory(path.parent)
        try:
            path.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise _refused(error, f"cannot make directory {path}") from error
        self.sync_directory(path.parent)

    def names(self, path: Path) -> list[str]:
        try:
            return sorted(os.listdir(path))
        except FileNotFoundError:
            return []

    def size(self, path: Path) -> int:
        return path.stat().st_size

    def view(self, path: Path) -> memoryview:
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_size == 0:
                return memoryview(b"")
            return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))

    def read(self, path: Path, offset: int, length: int) -> bytes:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            return os.pread(handle, length, offset)
        finally:
            os.close(handle)

    def lock(self, path: Path) -> int:
        handle = self.open(path)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(handle)
            raise DataBusy(f"data directory in use by another process: {path}") from error
        return handle


def _rest(buffers: Sequence[Buffer], done: int) -> memoryview:
    """What is left of the first buffer that was not written whole."""
    for buffer in buffers:
        if done < len(buffer):
            return memoryview(buffer)[done:]
        done -= len(buffer)
    raise AssertionError("Invariant: a short write leaves something to write.")


def replace_file(disk: Disk, path: Path, buffers: Sequence[Buffer]) -> None:
    """Put a whole file in place or none at all: temporary file, sync, rename, sync directory."""
    temporary = path.with_name(path.name + ".new")
    disk.remove(temporary)
    handle = disk.open(temporary)
    try:
        disk.write(handle, buffers, 0)
        disk.sync(handle)
    except DiskFull:
        disk.remove(temporary)
        raise
    finally:
        disk.close(handle)
    disk.rename(temporary, path)
    disk.sync_directory(path.parent)


def zero(disk: Disk, handle: int, start: int, end: int) -> None:
    """Overwrite `[start, end)` with zeros; the file keeps its size, so maps of it stay valid."""
    while start < end:
        length = min(len(_ZEROS), end - start)
        disk.write(handle, [memoryview(_ZEROS)[:length]], start)
        start += length


def data_end(view: memoryview, start: int) -> int:
    """Offset behind the last byte at or after `start` that isn't zero; `start` if none is."""
    end = len(view)
    while end > start:
        low = max(start, end - len(_ZEROS))
        chunk = bytes(view[low:end])
        if chunk != _ZEROS[: end - low]:
            return low + len(chunk.rstrip(b"\0"))
        end = low
    return start
