"""Bytes to dicts, slowly: the same walk as the compiled `check`, and the values along the way.

Structure that can't be trusted raises; a value that breaks its type is returned as it is and
reported as a *problem*, so that a tool can show what a peer really sent.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from sbe.errors import DecodeError
from sbe.layout import (
    CONSTANT,
    Block,
    Composite,
    Data,
    Element,
    Enum,
    Group,
    Message,
    Scalar,
    Schema,
    Set,
    count_max,
    count_min,
)

_STANDARD_HEADER = frozenset(
    ("blockLength", "templateId", "schemaId", "version", "numGroups", "numVarDataFields")
)

#: Beyond this the compiled walk, which counts in int64, sees a negative number.
_COUNT_LIMIT = (1 << 63) - 1


class NotText(bytes):
    """Bytes that stand where text should, and are none in its encoding."""


@dataclass(slots=True)
class Decoded:
    """One message and all there is to say of it.

    `end` is where its last element ends in the bytes given. `problems` are values that break their
    type, `absent` the required fields that the sender's version did not have; both are paths.
    """

    name: str
    fields: dict[str, Any]
    header: dict[str, Any]
    end: int = 0
    problems: list[str] = field(default_factory=list)
    absent: list[str] = field(default_factory=list)

    @property
    def extra_header(self) -> dict[str, Any]:
        """Header members beyond those the standard names."""
        return {k: v for k, v in self.header.items() if k not in _STANDARD_HEADER}


class Decoder:
    """Reads one message; `raw` leaves enums and sets as numbers."""

    def __init__(self, schema: Schema, data: bytes, raw: bool = False) -> None:
        self.schema = schema
        self.order = schema.order
        self.data = data
        self.raw = raw
        self.version = schema.version
        self.position = 0
        self.out = Decoded("", {}, {})

    def run(self, exact: bool) -> Decoded:
        """The message; with `exact`, bytes left over are an error unless its version is newer."""
        header = self._header()
        identified = self.schema.header.member("schemaId")
        assert identified is not None
        # A constant says nothing of who sent it.
        if identified.presence != CONSTANT and header["schemaId"] != self.schema.id:
            what = f"schema {header['schemaId']}, expected {self.schema.id}"
            raise DecodeError("schema", what)
        self.version = header["version"]
        message = self._message(header)
        self.position = self.schema.header.size
        self.out.name, self.out.header = message.name, header
        self.out.fields = self._block(message, header["blockLength"], message.name)
        self.out.end = self.position
        if exact and self.position < len(self.data) and self.version <= self.schema.version:
            what = f"{len(self.data) - self.position} bytes after {message.name}"
            raise DecodeError("trailing-bytes", what)
        return self.out

    def _header(self) -> dict[str, Any]:
        self._need(self.schema.header.size, "header")
        return {
            member.name: self._counter(member, 0)
            if member.name in _STANDARD_HEADER
            else self._element(member, 0, f"header.{member.name}")
            for member in self.schema.header.members
        }

    def _message(self, header: dict[str, Any]) -> Message:
        message = self.schema.template(header["templateId"])
        if header["blockLength"] > len(self.data) - self.schema.header.size:
            raise DecodeError("truncated", f"root block of {header['blockLength']} bytes")
        if message is None:
            raise DecodeError("template", f"no message has template {header['templateId']}")
        return message

    def _counter(self, element: Element, base: int) -> int:
        """A count, a length or a number of the header, whatever its range."""
        kind = element.type
        assert isinstance(kind, Scalar)
        if element.presence == CONSTANT:
            return int(element.constant or 0)
        return int(kind.primitive.unpack(self.data, base + element.offset, self.order))

    # Blocks

    def _need(self, size: int, path: str) -> None:
        if size > len(self.data) - self.position:
            raise DecodeError("truncated", f"{path} needs {size} bytes")

    def _block(self, block: Block, wire_length: int, path: str) -> dict[str, Any]:
        """Fields of a block at the position, then the groups and data behind it."""
        if wire_length < 0:
            raise DecodeError("block-length", f"{path} has a block of {wire_length} bytes")
        least = max(block.length_at(block.since), block.length_at(self.version))
        if wire_length < least:
            what = f"{path} has {wire_length} bytes, its fields take {least}"
            raise DecodeError("block-length", what)
        self._need(wire_length, path)
        values: dict[str, Any] = {}
        for element in block.fields:
            here = f"{path}.{element.name}"
            if element.presence != CONSTANT and element.since > max(self.version, block.since):
                self._absent(values, element, here)
            else:
                values[element.name] = self._element(element, self.position, here)
        self.position += wire_length
        for group in block.groups:
            known = group.since <= max(self.version, block.since)
            here = f"{path}.{group.name}"
            values[group.name] = self._group(group, here) if known else []
        for data in block.data:
            known = data.since <= max(self.version, block.since)
            here = f"{path}.{data.name}"
            values[data.name] = self._data(data, here) if known else _empty(data)
        return values

    def _absent(self, values: dict[str, Any], element: Element, path: str) -> None:
        if element.is_optional:
            values[element.name] = None
        else:
            self.out.absent.append(path)

    def _group(self, group: Group, path: str) -> list[dict[str, Any]]:
        self._need(group.dimension.size, path)
        count = self._counter(group.count, self.position)
        stride = self._counter(group.stride, self.position)
        self.position += group.dimension.size
        left = len(self.data) - self.position
        if count and stride < max(group.length_at(group.since), group.length_at(self.version)):
            raise DecodeError("block-length", f"{path} has entries of {stride} bytes")
        limit = group.count.type
        assert isinstance(limit, Scalar)
        most = count_max(group.count) if limit.maximum_given else _COUNT_LIMIT
        if not count_min(group.count) <= count <= most or not 0 <= stride <= _COUNT_LIMIT:
            raise DecodeError("group-count", f"{path} has {count} entries of {stride} bytes")
        if stride == 0 and count > left:
            raise DecodeError("group-count", f"{path} has {count} empty entries")
        if not group.groups and not group.data and count * stride > left:
            raise DecodeError("truncated", f"{path} needs {count * stride} bytes")
        return [self._block(group, stride, f"{path}[{index}]") for index in range(count)]

    def _data(self, data: Data, path: str) -> str | bytes:
        content = data.type.member("varData")
        assert content is not None
        self._need(content.offset, path)
        length = self._counter(data.length, self.position)
        self.position += content.offset
        if not count_min(data.length) <= length <= data.length_max:
            raise DecodeError("data-length", f"{path} has {length} bytes")
        self._need(length, path)
        value = self.data[self.position : self.position + length]
        self.position += length
        return self._text(data.bytes, value, path)

    # Elements

    def _element(self, element: Element, base: int, path: str) -> Any:
        kind = element.type
        if element.presence == CONSTANT:
            if isinstance(kind, Enum) and not self.raw:
                return next(c.name for c in kind.choices if c.value == element.constant)
            return element.constant
        offset = base + element.offset
        if isinstance(kind, Composite):
            return self._composite(element, kind, offset, path)
        if isinstance(kind, Enum):
            return self._enum(element, kind, offset, path)
        if isinstance(kind, Set):
            return self._set(kind, offset, path)
        if kind.length == 1:
            value = kind.primitive.unpack(self.data, offset, self.order)
            return self._number(element, kind, value, path)
        if kind.primitive.size == 1 and (kind.is_text or kind.primitive.kind == "uint"):
            return self._fixed(element, kind, offset, path)
        return self._array(element, kind, offset, path)

    def _composite(self, element: Element, kind: Composite, offset: int, path: str) -> Any:
        if element.is_optional and self._is_null(kind, offset):
            return None
        values: dict[str, Any] = {}
        for member in kind.members:
            here = f"{path}.{member.name}"
            if member.presence != CONSTANT and member.since > max(self.version, kind.since):
                self._absent(values, member, here)
            else:
                values[member.name] = self._element(member, offset, here)
        return values

    def _is_null(self, kind: Composite, offset: int) -> bool:
        """Whether the first member that takes bytes holds its null."""
        for member in kind.members:
            if member.presence == CONSTANT or isinstance(member.type, Set):
                continue
            if isinstance(member.type, Composite):
                return self._is_null(member.type, offset + member.offset)
            value = member.type.primitive.unpack(self.data, offset + member.offset, self.order)
            return value != value or value == member.type.null
        return False

    def _enum(self, element: Element, kind: Enum, offset: int, path: str) -> Any:
        value = kind.primitive.unpack(self.data, offset, self.order)
        if value == kind.null and element.is_optional:
            return None
        for choice in kind.choices:
            if choice.value == value:
                return value if self.raw else choice.name
        what = "is null, but required" if value == kind.null else "is unknown"
        self.out.problems.append(f"{path}: {what}: {value}")
        return value

    def _set(self, kind: Set, offset: int, path: str) -> Any:
        value = int(kind.primitive.unpack(self.data, offset, self.order))
        unknown = value & ~kind.mask
        if unknown:
            self.out.problems.append(f"{path}: has unknown bits: {unknown:#x}")
        if self.raw:
            return value
        names: list[Any] = [c.name for c in kind.choices if value >> c.value & 1]
        names += [bit for bit in range(8 * kind.primitive.size) if unknown >> bit & 1]
        return names

    def _number(self, element: Element, kind: Scalar, value: int | float, path: str) -> Any:
        char = kind.primitive.kind == "char"
        if value == kind.null or value != value:
            if element.is_optional:
                return None
            self.out.problems.append(f"{path}: is null, but required")
        elif not kind.minimum <= value <= kind.maximum:
            span = f"{kind.minimum} to {kind.maximum}"
            self.out.problems.append(f"{path}: is not in {span}: {value}")
        return chr(int(value)) if char else value

    def _fixed(self, element: Element, kind: Scalar, offset: int, path: str) -> Any:
        value = self.data[offset : offset + kind.length]
        if element.is_optional:
            null = bytes([int(kind.null)])
            if value == null * kind.length or (null == b"\0" and value[:1] == b"\0"):
                return None
        if not kind.is_text:
            return value
        return self._text(kind, value.partition(b"\0")[0], path)

    def _array(self, element: Element, kind: Scalar, offset: int, path: str) -> Any:
        size = kind.primitive.size
        values = []
        for index in range(kind.length):
            value = kind.primitive.unpack(self.data, offset + index * size, self.order)
            values.append(self._number(element, kind, value, f"{path}[{index}]"))
        return None if element.is_optional and all(v is None for v in values) else values

    def _text(self, kind: Scalar, value: bytes, path: str) -> str | bytes:
        """Text in its encoding; bytes that are none stay bytes."""
        if not kind.is_text:
            return value
        try:
            return value.decode(kind.encoding or "ascii")
        except UnicodeDecodeError as error:
            self.out.problems.append(f"{path}: {error}")
            return NotText(value)


def _empty(data: Data) -> str | bytes:
    return "" if data.bytes.is_text else b""
