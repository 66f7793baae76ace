"""Shared-memory segments: named, owned, private to the user, and mapped twice where rings need it.

A segment is the file `/dev/shm/onebook.<instance>.<kind>`: one header page, then the data.

      0        8         16        24        32        40        48        56
      +---------+---------+---------+---------+---------+---------+---------+---------+
    0 |  magic  | version |  flags  |data size| owner   | owner's | created | heart-  |
      |"ONEBOOK\\1"|         |         | (bytes) |  pid    |  start  |   ns    | beat ns |
      +---------+---------+---------+---------+---------+---------+---------+---------+
   64 |                  instance (32 bytes)  |                      kind (32 bytes)  |
      +---------+---------+---------+---------+---------+---------+---------+---------+
  128 |  unused                                                                       |
 1024 |  control words of whoever lives in the segment (core/ring.py, core/events.py) |
 4096 +-------------------------------------------------------------------------------+
      |  data                                                                         |
      +-------------------------------------------------------------------------------+
      |  data again, the same memory, if mirrored: no frame ever wraps                |
      +-------------------------------------------------------------------------------+

Every header word is a little-endian int64. A segment appears whole or not at all: it is filled
as a file without a name and then linked. It is *live* while the owner in its header runs (pid and
start time, so that a reused pid does not count), *stale* afterwards. A live one is refused to any
other owner; a stale one is reclaimed by `create` and taken over, contents and all, by
`attach_or_create`. All its memory is reserved at creation, so a full /dev/shm is a clear error
then and never a SIGBUS later.
"""

import contextlib
import ctypes
import errno
import fcntl
import mmap
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from core.errors import (
    SegmentDamaged,
    SegmentError,
    SegmentInUse,
    SegmentMismatch,
    SegmentMissing,
    SegmentNoSpace,
    SegmentVersion,
)
from core.pages import LARGE, settle

DIRECTORY = Path("/dev/shm")
MAGIC = int.from_bytes(b"ONEBOOK\1", "little")
LAYOUT_VERSION = 1
HEADER_SIZE = 4096
CONTROL_OFFSET = 1024
MIRRORED = 1
NAME_LENGTH_MAX = 32

HEADER = np.dtype(
    [
        ("magic", "<i8"),
        ("version", "<i8"),
        ("flags", "<i8"),
        ("data_size", "<i8"),
        ("owner", "<i8"),
        ("owner_start", "<i8"),
        ("created_ns", "<i8"),
        ("heartbeat_ns", "<i8"),
        ("instance", f"S{NAME_LENGTH_MAX}"),
        ("kind", f"S{NAME_LENGTH_MAX}"),
    ]
)
assert HEADER.itemsize == 128

_MAP_FAILED = ctypes.c_void_p(-1).value
_MAP_FIXED = 0x10
_libc = ctypes.CDLL(None, use_errno=True)
_libc.mmap.restype = ctypes.c_void_p
_libc.mmap.argtypes = [
    ctypes.c_void_p,
    ctypes.c_size_t,
    ctypes.c_int,
    ctypes.c_int,
    ctypes.c_int,
    ctypes.c_int64,
]
_libc.munmap.restype = ctypes.c_int
_libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]


def process_start(pid: int) -> int:
    """When a process started, in kernel ticks since boot; 0 if it does not run (or is a zombie)."""
    try:
        text = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return 0
    fields = text[text.rindex(b")") + 2 :].split()
    return 0 if fields[0] in b"ZXx" else int(fields[19])


def is_running(pid: int, start: int) -> bool:
    """Whether this very process, not another of the same number, still runs."""
    return start != 0 and process_start(pid) == start


def segment_path(instance: str, kind: str) -> Path:
    """Where a segment lives; the names are checked."""
    for name in (instance, kind):
        words = name.replace(".", "").replace("-", "").replace("_", "")
        if not (words.isalnum() and words.isascii() and len(name) < NAME_LENGTH_MAX):
            raise SegmentError(f"not a name for shared memory: {name!r}")
    if "." in instance:
        raise SegmentError(f"an instance name has no dot: {instance!r}")
    return DIRECTORY / f"onebook.{instance}.{kind}"


def _map(address: int | None, size: int, protection: int, flags: int, fd: int, offset: int) -> int:
    result: int | None = _libc.mmap(address, size, protection, flags, fd, offset)
    if result is None or result == _MAP_FAILED:
        code = ctypes.get_errno()
        raise SegmentError(f"cannot map {size} bytes of shared memory: {os.strerror(code)}")
    return result


def _reserve(size: int) -> int:
    """Addresses for a mapping, beginning where a large page can."""
    reserve = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
    address = _map(None, size + LARGE, 0, reserve, -1, 0)
    begin = -(-address // LARGE) * LARGE
    for start, end in ((address, begin), (begin + size, address + size + LARGE)):
        if end > start:
            _libc.munmap(start, end - start)
    return begin


class Segment:
    """One mapped segment. Addresses are plain ints, valid until `close`.

    `address` is the header's, `data_address` the data's, `size` the data's length in bytes (the
    mirror not counted), `created` whether this object made it (False: attached or opened).
    """

    def __init__(self, path: Path, descriptor: int, *, writable: bool, created: bool) -> None:
        self.path = path
        self.writable = writable
        self.created = created
        header = _read_header(path, descriptor)
        self.size = int(header["data_size"])
        self.mirrored = bool(int(header["flags"]) & MIRRORED)
        self.instance = bytes(header["instance"]).decode()
        self.kind = bytes(header["kind"]).decode()
        self.inode = os.fstat(descriptor).st_ino
        whole = HEADER_SIZE + self.size
        self._mapped = whole + (self.size if self.mirrored else 0)
        protection = mmap.PROT_READ | (mmap.PROT_WRITE if writable else 0)
        self.address = _reserve(self._mapped)
        self.data_address = self.address + HEADER_SIZE
        fixed = mmap.MAP_SHARED | _MAP_FIXED
        _map(self.address, whole, protection, fixed, descriptor, 0)
        if self.mirrored:
            mirror = self.data_address + self.size
            _map(mirror, self.size, protection, fixed, descriptor, HEADER_SIZE)

    @classmethod
    def create(
        cls,
        instance: str,
        kind: str,
        data_bytes: int,
        mirrored: bool = False,
        owner: int | None = None,
    ) -> "Segment":
        """Make a new, zeroed segment; one left by a dead owner is reclaimed.

        owner: pid it belongs to (this process if None). Raises SegmentInUse, SegmentVersion,
        SegmentNoSpace.
        """
        path = segment_path(instance, kind)
        descriptor = _new_file(instance, kind, data_bytes, mirrored, owner or os.getpid())
        try:
            while not _link(descriptor, path):
                _reclaim(path)
            return cls(path, descriptor, writable=True, created=True)
        finally:
            os.close(descriptor)

    @classmethod
    def open(cls, instance: str, kind: str, writable: bool = True) -> "Segment":
        """Map an existing segment, whoever owns it. Raises SegmentMissing, SegmentVersion."""
        path = segment_path(instance, kind)
        descriptor = _open_file(path, os.O_RDWR if writable else os.O_RDONLY)
        try:
            return cls(path, descriptor, writable=writable, created=False)
        finally:
            os.close(descriptor)

    @classmethod
    def attach_or_create(
        cls,
        instance: str,
        kind: str,
        data_bytes: int,
        mirrored: bool = False,
        owner: int | None = None,
    ) -> "Segment":
        """Take over the segment with its contents if its owner is dead or is `owner`, else make it.

        Raises SegmentInUse, SegmentVersion, and SegmentMismatch if it has another size or shape.
        """
        owner = owner or os.getpid()
        while True:
            try:
                descriptor = _open_file(segment_path(instance, kind), os.O_RDWR)
            except SegmentMissing:
                with contextlib.suppress(SegmentInUse):  # Made by another since: look again.
                    return cls.create(instance, kind, data_bytes, mirrored, owner)
                continue
            try:
                segment = cls._take_over(instance, kind, descriptor, owner)
            finally:
                # Closing alone would not do it: the mapping keeps the file open, lock and all.
                fcntl.flock(descriptor, fcntl.LOCK_UN)
                os.close(descriptor)
            if (segment.size, segment.mirrored) != (data_bytes, mirrored):
                shape = f"{segment.size} bytes{' mirrored' * segment.mirrored}"
                wanted = f"{data_bytes} bytes{' mirrored' * mirrored}"
                segment.close()
                raise SegmentMismatch(f"{segment.path} has {shape}, the configuration {wanted}")
            return segment

    @classmethod
    def _take_over(cls, instance: str, kind: str, descriptor: int, owner: int) -> "Segment":
        path = segment_path(instance, kind)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        header = _read_header(path, descriptor)
        _refuse_if_live(path, header, owner)
        segment = cls(path, descriptor, writable=True, created=False)
        segment.header["owner"] = owner
        segment.header["owner_start"] = process_start(owner)
        return segment

    @property
    def header(self) -> Any:
        """The header as a structured numpy scalar over the memory itself."""
        return self.array(HEADER, 1, -HEADER_SIZE)[0]

    def array(self, dtype: Any, count: int = 1, offset: int = 0) -> Any:
        """A numpy array over the memory, `offset` bytes from the data's start; gone after close."""
        dtype = np.dtype(dtype)
        size = dtype.itemsize * count
        if offset < -HEADER_SIZE or offset + size > self._mapped - HEADER_SIZE:
            raise ValueError(f"beyond the segment: offset={offset} bytes={size} of {self.size}")
        memory = (ctypes.c_char * size).from_address(self.data_address + offset)
        result = np.frombuffer(memory, dtype, count)
        result.flags.writeable = self.writable
        return result

    def settle(self) -> bool:
        """Map all of it now, in large pages if the kernel can; whether it did."""
        settled = settle(self.address, HEADER_SIZE + self.size)
        if self.mirrored:
            settled = settle(self.data_address + self.size, self.size) and settled
        return settled

    def beat(self, now_ns: int) -> None:
        """Write the heartbeat (ns UTC)."""
        self.header["heartbeat_ns"] = now_ns

    def close(self) -> None:
        """Unmap; every address and array of this object is invalid from here on."""
        if self.address:
            _libc.munmap(self.address, self._mapped)
            self.address = self.data_address = 0

    def unlink(self) -> None:
        """Remove the name if it still means this segment; mappings stay valid until closed."""
        with contextlib.suppress(FileNotFoundError):
            if os.stat(self.path).st_ino == self.inode:
                os.unlink(self.path)

    def __enter__(self) -> "Segment":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def _new_file(instance: str, kind: str, data_bytes: int, mirrored: bool, owner: int) -> int:
    """A nameless file with a whole header and all its memory reserved; its descriptor."""
    page = mmap.PAGESIZE
    if data_bytes <= 0 or data_bytes % page:
        raise SegmentError(f"a segment is a multiple of {page} bytes: data_bytes={data_bytes}")
    if mirrored and data_bytes & (data_bytes - 1):
        raise SegmentError(f"a mirrored segment is a power of two: data_bytes={data_bytes}")
    start = process_start(owner)
    if start == 0:
        raise SegmentError(f"the owner of a segment must run: pid={owner}")
    header = np.zeros(1, HEADER)
    flags = MIRRORED if mirrored else 0
    names = (instance.encode(), kind.encode())
    now = time.time_ns()
    header[0] = (MAGIC, LAYOUT_VERSION, flags, data_bytes, owner, start, now, now, *names)
    descriptor = os.open(DIRECTORY, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        os.posix_fallocate(descriptor, 0, HEADER_SIZE + data_bytes)
        os.pwrite(descriptor, header.tobytes(), 0)
    except OSError as error:
        os.close(descriptor)
        if error.errno != errno.ENOSPC:
            raise
        raise SegmentNoSpace(f"{DIRECTORY} has no room for {data_bytes} bytes of {kind}") from None
    return descriptor


def _link(descriptor: int, path: Path) -> bool:
    """Give the nameless file its name; False if the name is taken."""
    try:
        # A directory descriptor is what makes os.link follow the /proc link, and nothing more.
        os.link(f"/proc/self/fd/{descriptor}", path, src_dir_fd=descriptor, follow_symlinks=True)
    except FileExistsError:
        return False
    return True


def _open_file(path: Path, flags: int) -> int:
    try:
        return os.open(path, flags | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        raise SegmentMissing(f"{path} does not exist: the instance is not running") from None
    except OSError as error:
        raise SegmentError(f"{path} cannot be opened: {error.strerror}") from None


def _read_header(path: Path, descriptor: int) -> Any:
    """The header, checked."""
    data = os.pread(descriptor, HEADER.itemsize, 0)
    if len(data) < HEADER.itemsize or int.from_bytes(data[:8], "little") != MAGIC:
        raise SegmentDamaged(f"{path} is not a segment of Onebook; remove it by hand")
    header = np.frombuffer(data, HEADER)[0]
    version = int(header["version"])
    if version != LAYOUT_VERSION:
        raise SegmentVersion(
            f"{path} is of layout version {version}, this Onebook uses {LAYOUT_VERSION}: "
            "stop the other one, or remove the file"
        )
    if os.fstat(descriptor).st_size != HEADER_SIZE + int(header["data_size"]):
        raise SegmentDamaged(f"{path} is cut short; remove it by hand")
    return header


def _refuse_if_live(path: Path, header: Any, owner: int) -> None:
    pid, start = int(header["owner"]), int(header["owner_start"])
    if pid != owner and is_running(pid, start):
        raise SegmentInUse(f"{path} belongs to the running process {pid}")


def _reclaim(path: Path) -> None:
    """Remove the segment of a dead owner, or raise."""
    try:
        descriptor = _open_file(path, os.O_RDWR)
    except SegmentMissing:
        return
    try:
        # Two that reclaim at once: the second waits here and finds another file under the name.
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        header = _read_header(path, descriptor)
        _refuse_if_live(path, header, 0)
        with contextlib.suppress(FileNotFoundError):
            if os.stat(path).st_ino == os.fstat(descriptor).st_ino:
                os.unlink(path)
    finally:
        os.close(descriptor)


def segments(instance: str) -> list[Path]:
    """The files of an instance's segments, live or stale, in order of name."""
    segment_path(instance, "any")
    return sorted(DIRECTORY.glob(f"onebook.{instance}.*"))


def live_owners(instance: str) -> Iterator[tuple[Path, int]]:
    """Segments of an instance whose owner runs, with its pid; damaged ones are passed over."""
    for path in segments(instance):
        with contextlib.suppress(SegmentError):
            descriptor = _open_file(path, os.O_RDONLY)
            try:
                header = _read_header(path, descriptor)
            finally:
                os.close(descriptor)
            pid = int(header["owner"])
            if is_running(pid, int(header["owner_start"])):
                yield path, pid


def unlink_all(instance: str) -> int:
    """Remove every segment of an instance, whoever owns it; how many there were."""
    paths = segments(instance)
    for path in paths:
        path.unlink(missing_ok=True)
    return len(paths)
