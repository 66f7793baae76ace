"""Bytes to dicts: the same walk as the compiled `check`, and the values along the way.

Structure that can't be trusted raises; a value that breaks its type is returned as it is and
reported as a *problem*, so that a tool can show what a peer really sent. Each block of a schema
becomes a list of readers (`read_values`) once; a message is then a walk over such lists.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from sbe.errors import DecodeError
from sbe.layout import (
    CONSTANT,
    Block,
    Data,
    Element,
    Group,
    Scalar,
    Schema,
    count_max,
    count_min,
)
from sbe.read_values import Readers, Walk

_STANDARD_HEADER = frozenset(
    ("blockLength", "templateId", "schemaId", "version", "numGroups", "numVarDataFields")
)

#: Beyond this the compiled walk, which counts in int64, sees a negative number.
_COUNT_LIMIT = (1 << 63) - 1


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
    """Reads messages of one schema; `raw` leaves enums and sets as numbers."""

    def __init__(self, schema: Schema, raw: bool = False) -> None:
        self.schema = schema
        self._readers = Readers(schema.order, raw)
        self._header = [
            (member.name, self._header_reader(member)) for member in schema.header.members
        ]
        identified = schema.header.member("schemaId")
        # A constant says nothing of who sent it.
        self._identified = identified is not None and identified.presence != CONSTANT
        self._messages = {message.id: message for message in schema.messages}
        self._blocks: dict[int, _BlockReader] = {}

    def decode(self, data: bytes, exact: bool, lenient: bool = False) -> Decoded:
        """One message; with `exact`, bytes left over are an error unless its version is newer.

        With `lenient`, a block may end before the optional fields at its end.
        """
        walk = Walk(data, self.schema.version, lenient)
        header = self._read_header(walk)
        walk.version = header["version"]
        message = self._messages.get(header["templateId"])
        length = header["blockLength"]
        if not 0 <= length <= len(data) - walk.position:
            raise DecodeError("truncated", f"root block of {length} bytes")
        if message is None:
            raise DecodeError("template", f"no message has template {header['templateId']}")
        reader = self._blocks.get(message.id)
        if reader is None:
            reader = self._blocks[message.id] = _BlockReader(message, self._readers)
        walk.trail.append(message.name)
        fields = reader.read(walk, length)
        if exact and walk.position < len(data) and walk.version <= self.schema.version:
            what = f"{len(data) - walk.position} bytes after {message.name}"
            raise DecodeError("trailing-bytes", what)
        return Decoded(message.name, fields, header, walk.position, walk.problems, walk.absent)

    def _header_reader(self, member: Element) -> Callable[[Walk, int], Any]:
        if member.name in _STANDARD_HEADER:
            return counter(member, self.schema.order)
        return self._readers.of(member)

    def _read_header(self, walk: Walk) -> dict[str, Any]:
        size = self.schema.header.size
        if size > len(walk.data):
            raise DecodeError("truncated", f"header needs {size} bytes")
        walk.trail.append("header")
        header = {name: read(walk, 0) for name, read in self._header}
        walk.trail.pop()
        walk.position = size
        if self._identified and header["schemaId"] != self.schema.id:
            what = f"schema {header['schemaId']}, expected {self.schema.id}"
            raise DecodeError("schema", what)
        return header


class _BlockReader:
    """Fields of a block, then the groups and data behind it."""

    def __init__(self, block: Block, readers: Readers) -> None:
        self.since = block.since
        self.steps = block.extensions()
        self.required = tuple(
            (f.since, f.end) for f in block.fields if not f.is_optional and f.size > 0
        )
        self.fields = readers.members(block.fields)
        self.groups = [(g.name, g.since, _GroupReader(g, readers)) for g in block.groups]
        self.data = [(d.name, d.since, _DataReader(d, readers)) for d in block.data]

    def least(self, walk: Walk) -> int:
        """Where the last field ends that the sender's version knew, or, leniently, must have."""
        known = max(walk.version, self.since)
        if walk.lenient:
            return max((end for since, end in self.required if since <= known), default=0)
        return max(length for since, length in self.steps if since <= known)

    def read(self, walk: Walk, wire_length: int) -> dict[str, Any]:
        """The block at the walk's position, which is moved behind its last element."""
        least = self.least(walk)
        if wire_length < least:
            what = f"{walk.path()} has {wire_length} bytes, its fields take {least}"
            raise DecodeError("block-length", what)
        walk.need(wire_length)
        values = self.fields.read(walk, walk.position, self.since, wire_length)
        walk.position += wire_length
        version = max(walk.version, self.since)
        for name, since, group in self.groups:
            values[name] = group.read(walk) if since <= version else []
        for name, since, data in self.data:
            values[name] = data.read(walk) if since <= version else data.empty
        return values


class _GroupReader:
    """The dimension of a group, then its entries."""

    def __init__(self, group: Group, readers: Readers) -> None:
        limit = group.count.type
        assert isinstance(limit, Scalar)
        self.name = group.name
        self.size = group.dimension.size
        self.count = counter(group.count, readers.order)
        self.stride = counter(group.stride, readers.order)
        self.count_min = count_min(group.count)
        self.count_max = count_max(group.count) if limit.maximum_given else _COUNT_LIMIT
        self.is_flat = not group.groups and not group.data
        self.entry = _BlockReader(group, readers)

    def read(self, walk: Walk) -> list[dict[str, Any]]:
        walk.trail.append(self.name)
        walk.need(self.size)
        count = self.count(walk, walk.position)
        stride = self.stride(walk, walk.position)
        walk.position += self.size
        self.check(walk, count, stride)
        entries = []
        for index in range(count):
            walk.trail[-1] = f"{self.name}[{index}]"
            entries.append(self.entry.read(walk, stride))
        walk.trail.pop()
        return entries

    def check(self, walk: Walk, count: int, stride: int) -> None:
        """Refuse a dimension that its limits or the bytes behind it contradict."""
        left, path = len(walk.data) - walk.position, walk.path()
        if count and stride < self.entry.least(walk):
            raise DecodeError("block-length", f"{path} has entries of {stride} bytes")
        if not self.count_min <= count <= self.count_max or not 0 <= stride <= _COUNT_LIMIT:
            raise DecodeError("group-count", f"{path} has {count} entries of {stride} bytes")
        if stride == 0 and count > left:
            raise DecodeError("group-count", f"{path} has {count} empty entries")
        if self.is_flat and count * stride > left:
            raise DecodeError("truncated", f"{path} needs {count * stride} bytes")


class _DataReader:
    """A length, then as many bytes."""

    def __init__(self, data: Data, readers: Readers) -> None:
        content = data.type.member("varData")
        assert content is not None
        self.name = data.name
        self.size = content.offset
        self.length = counter(data.length, readers.order)
        self.length_min, self.length_max = count_min(data.length), data.length_max
        self.text = readers.text(data.name, data.bytes)
        self.empty: str | bytes = "" if data.bytes.is_text else b""

    def read(self, walk: Walk) -> str | bytes:
        walk.need(self.size, self.name)
        length = self.length(walk, walk.position)
        walk.position += self.size
        if not self.length_min <= length <= self.length_max:
            raise DecodeError("data-length", f"{walk.path(self.name)} has {length} bytes")
        walk.need(length, self.name)
        value = walk.data[walk.position : walk.position + length]
        walk.position += length
        return self.text(walk, value)


def counter(element: Element, order: str) -> Callable[[Walk, int], int]:
    """A reader of a count, a length or a number of the header, whatever its range."""
    kind = element.type
    assert isinstance(kind, Scalar)
    if element.presence == CONSTANT:
        constant = int(element.constant or 0)
        return lambda walk, base: constant
    unpack = struct.Struct(order + kind.primitive.letter).unpack_from
    offset = element.offset

    def read(walk: Walk, base: int) -> int:
        value: int = unpack(walk.data, base + offset)[0]
        return value

    return read
