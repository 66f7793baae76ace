"""Readers of single values: for each element of a layout a function (walk, base) -> value.

`base` is where the block or composite begins that holds the element. A reader takes the short way
for a value that is in order, and reports one that is not to the walk as a problem.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from sbe.errors import DecodeError
from sbe.layout import CONSTANT, Composite, Element, Enum, Scalar, Set, is_character

#: Longer than any block.
_ANY = 1 << 62


class NotText(bytes):
    """Bytes that stand where text should, and are none in its encoding."""


class Walk:
    """How far one message has been read, and what was found; `trail` leads to where it is."""

    __slots__ = ("absent", "data", "lenient", "position", "problems", "trail", "version")

    def __init__(self, data: bytes, version: int, lenient: bool = False) -> None:
        self.data = data
        self.version = version
        self.lenient = lenient
        self.position = 0
        self.trail: list[str] = []
        self.problems: list[str] = []
        self.absent: list[str] = []

    def path(self, name: str | None = None) -> str:
        """Where the walk is, or of an element there: `Quote.legs[2].price`."""
        return ".".join(self.trail if name is None else (*self.trail, name))

    def problem(self, name: str, what: str) -> None:
        self.problems.append(f"{self.path(name)}: {what}")

    def need(self, size: int, name: str | None = None) -> None:
        """Refuse to go on where fewer than `size` bytes are left. Raises DecodeError."""
        if size > len(self.data) - self.position:
            raise DecodeError("truncated", f"{self.path(name)} needs {size} bytes")


Reader: TypeAlias = Callable[[Walk, int], Any]
TextReader: TypeAlias = Callable[[Walk, bytes], "str | bytes"]


class Members:
    """Readers of the fields of a block or the members of a composite."""

    def __init__(self, elements: Sequence[Element], readers: Readers) -> None:
        self._items = [
            (e.name, 0 if e.presence == CONSTANT else e.since, e.end, e.is_optional, readers.of(e))
            for e in elements
        ]

    def read(self, walk: Walk, base: int, since: int, length: int = _ANY) -> dict[str, Any]:
        """Their values; what the sender's version did not have is null, or absent if required.

        So is what ends behind `length`, where the sender cut the block short.
        """
        version = max(walk.version, since)
        values = {}
        for name, since, end, optional, read in self._items:
            if since <= version and end <= length:
                values[name] = read(walk, base)
            elif optional:
                values[name] = None
            else:
                walk.absent.append(walk.path(name))
        return values


class Readers:
    """Makes readers for one byte order; `raw` leaves enums and sets as numbers."""

    def __init__(self, order: str, raw: bool) -> None:
        self.order = order
        self.raw = raw

    def members(self, elements: Sequence[Element]) -> Members:
        return Members(elements, self)

    def of(self, element: Element) -> Reader:
        """The reader of one element."""
        kind = element.type
        if element.presence == CONSTANT:
            return self._constant(element)
        if isinstance(kind, Composite):
            return self._composite(element, kind)
        if isinstance(kind, Enum):
            return self._enum(element, kind)
        if isinstance(kind, Set):
            return self._set(element, kind)
        if kind.length == 1:
            return self._number(element, kind)
        if kind.primitive.size == 1 and (kind.is_text or kind.primitive.kind == "uint"):
            return self._fixed(element, kind)
        return self._array(element, kind)

    def _unpack(self, kind: Scalar | Enum | Set) -> Callable[..., tuple[Any, ...]]:
        return struct.Struct(self.order + kind.primitive.letter).unpack_from

    def _constant(self, element: Element) -> Reader:
        kind, value = element.type, element.constant
        if isinstance(kind, Enum) and not self.raw:
            value = next(c.name for c in kind.choices if c.value == value)
        elif isinstance(value, int) and is_character(kind):
            value = chr(value)
        return lambda walk, base: value

    def _composite(self, element: Element, kind: Composite) -> Reader:
        members, offset, since = self.members(kind.members), element.offset, kind.since
        is_null = self._null_test(kind) if element.is_optional else None

        def read(walk: Walk, base: int) -> Any:
            if is_null is not None and is_null(walk, base + offset):
                return None
            walk.trail.append(element.name)
            values = members.read(walk, base + offset, since)
            walk.trail.pop()
            return values

        return read

    def _null_test(self, kind: Composite) -> Reader | None:
        """Whether the first member that takes bytes holds its null."""
        first = next(
            (m for m in kind.members if m.presence != CONSTANT and not isinstance(m.type, Set)),
            None,
        )
        if first is None:
            return None
        inner, offset = first.type, first.offset
        if isinstance(inner, Composite):
            deeper = self._null_test(inner)
            return None if deeper is None else lambda walk, base: deeper(walk, base + offset)
        assert isinstance(inner, (Scalar, Enum))
        unpack, null = self._unpack(inner), inner.null

        def is_null(walk: Walk, base: int) -> bool:
            value = unpack(walk.data, base + offset)[0]
            return bool(value == null or value != value)

        return is_null

    def _enum(self, element: Element, kind: Enum) -> Reader:
        unpack, offset, name = self._unpack(kind), element.offset, element.name
        values: dict[int, Any] = {
            c.value: c.value if self.raw else c.name for c in reversed(kind.choices)
        }
        if element.is_optional:
            values[int(kind.null)] = None

        def read(walk: Walk, base: int) -> Any:
            value = unpack(walk.data, base + offset)[0]
            if value in values:
                return values[value]
            what = "is null, but required" if value == kind.null else "is unknown"
            walk.problem(name, f"{what}: {value}")
            return value

        return read

    def _set(self, element: Element, kind: Set) -> Reader:
        unpack, offset, mask = self._unpack(kind), element.offset, kind.mask
        choices, raw, bits = kind.choices, self.raw, range(8 * kind.primitive.size)

        def read(walk: Walk, base: int) -> Any:
            value = unpack(walk.data, base + offset)[0]
            unknown = value & ~mask
            if unknown:
                walk.problem(element.name, f"has unknown bits: {unknown:#x}")
            if raw:
                return value
            names: list[Any] = [c.name for c in choices if value >> c.value & 1] if value else []
            return names + [bit for bit in bits if unknown >> bit & 1] if unknown else names

        return read

    def _judge(self, element: Element, kind: Scalar) -> Callable[[Walk, Any, str], Any]:
        """What to make of a number that is null or out of range."""
        optional, null, low, high = element.is_optional, kind.null, kind.minimum, kind.maximum
        char = kind.primitive.kind == "char"

        def judge(walk: Walk, value: Any, name: str) -> Any:
            if value == null or value != value:
                if optional:
                    return None
                walk.problem(name, "is null, but required")
            elif not low <= value <= high:
                walk.problem(name, f"is not in {low} to {high}: {value}")
            return chr(value) if char else value

        return judge

    def _number(self, element: Element, kind: Scalar) -> Reader:
        unpack, offset, judge = self._unpack(kind), element.offset, self._judge(element, kind)
        null, low, high, name = kind.null, kind.minimum, kind.maximum, element.name
        char = kind.primitive.kind == "char"

        def read(walk: Walk, base: int) -> Any:
            value = unpack(walk.data, base + offset)[0]
            if low <= value <= high and value != null:
                return chr(value) if char else value
            return judge(walk, value, name)

        return read

    def _array(self, element: Element, kind: Scalar) -> Reader:
        shape = struct.Struct(f"{self.order}{kind.length}{kind.primitive.letter}")
        offset, name, optional = element.offset, element.name, element.is_optional
        judge = self._judge(element, kind)

        def read(walk: Walk, base: int) -> Any:
            numbers = shape.unpack_from(walk.data, base + offset)
            values = [judge(walk, v, f"{name}[{i}]") for i, v in enumerate(numbers)]
            return None if optional and all(v is None for v in values) else values

        return read

    def _fixed(self, element: Element, kind: Scalar) -> Reader:
        offset, end = element.offset, element.offset + kind.length
        text, optional, is_text = self.text(element.name, kind), element.is_optional, kind.is_text
        null = bytes([int(kind.null) & 0xFF])
        empty, nul = null * kind.length, bytes(_unit(kind.encoding))
        is_nul = null == b"\0"

        def read(walk: Walk, base: int) -> Any:
            value = walk.data[base + offset : base + end]
            if optional and (value == empty or (is_nul and value.startswith(nul))):
                return None
            return text(walk, _until(value, nul) if is_text else value)

        return read

    def text(self, name: str, kind: Scalar) -> TextReader:
        """Makes text of bytes in its encoding; what is none stays bytes, and other bytes do too."""
        if not kind.is_text:
            return lambda walk, value: value
        encoding = kind.encoding or "ascii"

        def read(walk: Walk, value: bytes) -> str | bytes:
            try:
                return value.decode(encoding)
            except UnicodeDecodeError as error:
                walk.problem(name, str(error))
                return NotText(value)

        return read


def _unit(encoding: str | None) -> int:
    """How many bytes the NUL of an encoding takes."""
    return {"utf-16": 2, "utf-32": 4}.get((encoding or "")[:6], 1)


def _until(value: bytes, nul: bytes) -> bytes:
    """What stands in front of the first NUL."""
    if len(nul) == 1:
        return value.partition(nul)[0]
    step = len(nul)
    ends = (at for at in range(0, len(value), step) if value[at : at + step] == nul)
    return value[: next(ends, len(value))]
