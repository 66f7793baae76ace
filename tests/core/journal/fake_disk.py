"""A disk that remembers every operation and can show what a power cut would have left of them.

A write becomes durable with the sync of its file, a name with the sync of its directory. Until then
sectors are kept or lost independently, each as it was after some write to it (a later one brings
the earlier ones along, because it is written from the page that has them all), and directory
changes are kept up to some point of their order. `after_cut` makes the disk that a chosen subset
leaves behind.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

SECTOR = 512


@dataclass(frozen=True)
class Op:
    """One logged operation; `file` is the file's number, not its name."""

    kind: str
    file: int = -1
    offset: int = 0
    data: bytes = b""
    path: Path = Path()
    target: Path = Path()


@dataclass
class _Image:
    """Names and contents as a platter would hold them."""

    names: dict[Path, int] = field(default_factory=dict)
    contents: dict[int, bytearray] = field(default_factory=dict)
    directories: set[Path] = field(default_factory=set)

    def apply(self, op: Op) -> None:
        if op.kind == "make_directory":
            self.directories.add(op.path)
        elif op.kind == "create":
            self.names[op.path] = op.file
            self.contents.setdefault(op.file, bytearray())
        elif op.kind == "rename":
            if op.path in self.names:
                self.names[op.target] = self.names.pop(op.path)
        elif op.kind == "remove":
            self.names.pop(op.path, None)
        elif op.kind == "write":
            self._grow(op.file, op.offset + len(op.data))
            self.contents[op.file][op.offset : op.offset + len(op.data)] = op.data
        elif op.kind == "allocate":
            self._grow(op.file, op.offset)
        elif op.kind == "truncate":
            content = self.contents.setdefault(op.file, bytearray())
            self.contents[op.file] = bytearray(content[: op.offset].ljust(op.offset, b"\0"))

    def copy(self) -> "_Image":
        """Another of the same."""
        contents = {number: bytearray(content) for number, content in self.contents.items()}
        return _Image(dict(self.names), contents, set(self.directories))

    def _grow(self, number: int, size: int) -> None:
        content = self.contents.setdefault(number, bytearray())
        if size > len(content):  # A new one, because views of the old one may be held.
            self.contents[number] = bytearray(bytes(content).ljust(size, b"\0"))


@dataclass
class _Point:
    """Some point in the log: what is durable there, and what is pending."""

    until: int = 0
    image: _Image = field(default_factory=_Image)
    writes: list[Op] = field(default_factory=list)
    names: list[Op] = field(default_factory=list)
    parts: dict[int, list[Op]] = field(default_factory=dict)

    def advance(self, op: Op) -> None:
        """Go on by one operation."""
        self.until += 1
        self.parts = {}
        if op.kind in ("write", "allocate", "truncate"):
            self.writes.append(op)
        elif op.kind == "make_directory":
            self.image.apply(op)
        elif op.kind in ("create", "rename", "remove"):
            self.names.append(op)
        elif op.kind == "sync":
            for write in self.writes:
                if write.file == op.file:
                    self.image.apply(write)
            self.writes = [write for write in self.writes if write.file != op.file]
        elif op.kind == "sync_directory":
            for change in self.names:
                if change.path.parent == op.path:
                    self.image.apply(change)
            self.names = [change for change in self.names if change.path.parent != op.path]


class FakeDisk:
    """Implements `core.journal.disk.Disk` in memory."""

    def __init__(self) -> None:
        self.log: list[Op] = []
        self.image = _Image()
        self._handles: dict[int, int] = {}
        self._next = 1
        self._point = _Point()

    # ---- Disk ---------------------------------------------------------------------------------

    def open(self, path: Path) -> int:
        if path not in self.image.names:
            self._do(Op("create", file=self._number(), path=path))
        handle = self._number()
        self._handles[handle] = self.image.names[path]
        return handle

    def close(self, handle: int) -> None:
        del self._handles[handle]

    def allocate(self, handle: int, size: int) -> None:
        self._do(Op("allocate", self._handles[handle], size))

    def write(self, handle: int, buffers: Sequence[bytes], offset: int) -> None:
        data = b"".join(bytes(buffer) for buffer in buffers)
        self._do(Op("write", self._handles[handle], offset, data))

    def sync(self, handle: int) -> None:
        self._do(Op("sync", self._handles[handle]))

    def sync_directory(self, path: Path) -> None:
        self._do(Op("sync_directory", path=path))

    def truncate(self, handle: int, size: int) -> None:
        self._do(Op("truncate", self._handles[handle], size))

    def rename(self, source: Path, target: Path) -> None:
        self._do(Op("rename", path=source, target=target))

    def remove(self, path: Path) -> None:
        if path in self.image.names:
            self._do(Op("remove", path=path))

    def make_directory(self, path: Path) -> None:
        if path not in self.image.directories:
            self._do(Op("make_directory", path=path))

    def names(self, path: Path) -> list[str]:
        found = {name.name for name in self.image.names if name.parent == path}
        found |= {name.name for name in self.image.directories if name.parent == path}
        return sorted(found)

    def size(self, path: Path) -> int:
        return len(self._content(path))

    def view(self, path: Path) -> memoryview:
        return memoryview(self._content(path)).toreadonly()

    def read(self, path: Path, offset: int, length: int) -> bytes:
        return bytes(self._content(path)[offset : offset + length])

    def lock(self, path: Path) -> int:
        return self.open(path)

    # ---- for tests ----------------------------------------------------------------------------

    def acknowledge(self, sequence: int) -> None:
        """Note that somebody was told that commands up to `sequence` are safe."""
        self._do(Op("acknowledge", offset=sequence))

    def patch(self, path: Path, offset: int, data: bytes) -> None:
        """Change bytes behind everybody's back."""
        self._content(path)[offset : offset + len(data)] = data

    def copy(self) -> "FakeDisk":
        """A disk of the same contents, all of it durable, with an empty log."""
        return self._from(self.image.copy())

    def after_crash(self, until: int) -> "FakeDisk":
        """The disk after the first `until` operations when only the process died."""
        image = _Image()
        for op in self.log[:until]:
            image.apply(op)
        return self._from(image)

    def pending(self, until: int, sector: int = SECTOR) -> tuple[list[Op], int]:
        """What of the first `until` operations a power cut may lose.

        Returns the sector writes (each kept or lost by itself) and how many directory changes there
        are (kept up to some number of them).
        """
        return self._parts(until, sector), len(self._point_at(until).names)

    def after_cut(
        self, until: int, kept: Sequence[Op], names_kept: int, sector: int = SECTOR
    ) -> "FakeDisk":
        """The disk that a power cut after `until` operations leaves, by what it kept."""
        point = self._point_at(until)
        parts = self._parts(until, sector)
        last_kept = {(part.file, part.offset // sector): part for part in kept}
        image = point.image.copy()
        for op in point.names[:names_kept]:
            image.apply(op)
        for part in parts:
            place = part.file, part.offset // sector
            if place in last_kept:
                image.apply(part)
                if part is last_kept[place]:
                    del last_kept[place]
        return self._from(image)

    def _point_at(self, until: int) -> "_Point":
        """The cut point after `until` operations; cheap when asked in ascending order."""
        if self._point.until > until:
            self._point = _Point()
        while self._point.until < until:
            self._point.advance(self.log[self._point.until])
        return self._point

    def _parts(self, until: int, sector: int) -> list[Op]:
        point = self._point_at(until)
        if sector not in point.parts:
            point.parts = {sector: [p for op in point.writes for p in _sectors(op, sector)]}
        return point.parts[sector]

    def _from(self, image: _Image) -> "FakeDisk":
        made = FakeDisk()
        made.image = image
        for number in image.names.values():
            image.contents.setdefault(number, bytearray())
        made._next = self._next
        return made

    def _do(self, op: Op) -> None:
        self.log.append(op)
        self.image.apply(op)

    def _content(self, path: Path) -> bytearray:
        if path not in self.image.names:
            raise FileNotFoundError(path)
        return self.image.contents[self.image.names[path]]

    def _number(self) -> int:
        self._next += 1
        return self._next


def _sectors(op: Op, sector: int) -> list[Op]:
    """A write as the sector writes that the device does, each atomic; other operations as one."""
    if op.kind != "write":
        return [op]
    parts = []
    at = op.offset
    while at < op.offset + len(op.data):
        end = min((at // sector + 1) * sector, op.offset + len(op.data))
        data = op.data[at - op.offset : end - op.offset]
        parts.append(replace(op, offset=at, data=data))
        at = end
    return parts
