"""Dicts to bytes, with every rule checked.

A block is written into zeroed bytes, so gaps and padding are zero whatever was there before. An
optional field that is left out is null; a required one that is left out is an error, and so is a
name the schema does not have. Each block becomes a list of writers (`write_values`) once.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from sbe.errors import EncodeError
from sbe.layout import (
    CONSTANT,
    Block,
    Composite,
    Data,
    Element,
    Group,
    Message,
    Scalar,
    Schema,
    count_max,
    count_min,
)
from sbe.write_values import Members, Writers

Fields: TypeAlias = Mapping[str, Any]


class Encoder:
    """Writes messages of one schema.

    `strict` holds values to their ranges and enums to their names; without it anything that fits
    the bytes is written, which is how a test makes a message that is wrong on purpose.
    """

    def __init__(self, schema: Schema, strict: bool = True) -> None:
        self.schema = schema
        self._writers = Writers(schema.order, strict)
        self._header = _Counters(schema.header, self._writers)
        self._blocks: dict[str, _BlockWriter] = {}

    def message(self, message: Message, fields: Fields, header: Fields) -> bytes:
        """Header, root block, groups and data of one message. Raises EncodeError."""
        writer = self._blocks.get(message.name)
        if writer is None:
            writer = self._blocks[message.name] = _BlockWriter(message, self._writers)
        known: dict[str, Any] = {
            "blockLength": message.block_length,
            "templateId": message.id,
            "schemaId": self.schema.id,
            "version": self.schema.version,
            "numGroups": len(message.groups),
            "numVarDataFields": len(message.data),
        }
        out = bytearray()
        try:
            self._header.write(out, {**known, **header})
        except EncodeError as error:
            raise error.under("header") from None
        try:
            writer.write(out, fields)
        except EncodeError as error:
            raise error.under(message.name) from None
        return bytes(out)


#: What the schema itself says of a message stands, were it the null of the header's type.
_OWN = frozenset(
    ("blockLength", "templateId", "schemaId", "version", "numGroups", "numVarDataFields")
)


class _Counters:
    """A header or dimension: what it is not given is null if optional, else zero."""

    def __init__(self, composite: Composite, writers: Writers) -> None:
        self._size = composite.size
        loose = Writers(writers.order, strict=False)
        self._items = []
        for member in composite.members:
            if member.presence != CONSTANT:
                write = (loose if member.name in _OWN else writers).of(member)
                self._items.append((member.name, member.is_optional, write))

    def write(self, out: bytearray, values: Fields) -> None:
        base = len(out)
        out += bytes(self._size)
        for name, optional, write in self._items:
            value = values.get(name)
            if value is None and not optional:
                continue
            try:
                write(out, base, value)
            except EncodeError as error:
                raise error.under(name) from None


class _BlockWriter:
    """Fields of a block, then its groups and data, in the order of the schema."""

    def __init__(self, block: Block, writers: Writers) -> None:
        self._length = block.block_length
        self._names = block.names
        self._fields = Members(block.fields, writers, "field", self._names)
        self._groups = [(group.name, _GroupWriter(group, writers)) for group in block.groups]
        self._data = [(data.name, _DataWriter(data, writers)) for data in block.data]

    def write(self, out: bytearray, fields: Any) -> None:
        base = len(out)
        out += bytes(self._length)
        self._fields.write(out, base, fields)
        for name, group in self._groups:
            try:
                group.write(out, fields.get(name))
            except EncodeError as error:
                raise error.under(name) from None
        for name, data in self._data:
            try:
                data.write(out, fields.get(name))
            except EncodeError as error:
                raise error.under(name) from None


class _GroupWriter:
    """The dimension of a group, then its entries."""

    def __init__(self, group: Group, writers: Writers) -> None:
        self._least, self._most = count_min(group.count), count_max(group.count)
        self._dimension = _Counters(group.dimension, writers)
        self._entry = _BlockWriter(group, writers)
        self._known = {
            "blockLength": group.block_length,
            "numGroups": len(group.groups),
            "numVarDataFields": len(group.data),
        }

    def write(self, out: bytearray, entries: Any) -> None:
        entries = [] if entries is None else entries
        if not isinstance(entries, Sequence) or isinstance(entries, (str, bytes)):
            raise EncodeError("", f"expected a list of entries, was {entries!r}")
        count = len(entries)
        if not self._least <= count <= self._most:
            raise EncodeError("", f"{count} entries, expected {self._least} to {self._most}")
        self._dimension.write(out, {**self._known, "numInGroup": count})
        for index, entry in enumerate(entries):
            try:
                self._entry.write(out, entry)
            except EncodeError as error:
                raise error.under(f"[{index}]") from None


class _DataWriter:
    """A length, then the bytes."""

    def __init__(self, data: Data, writers: Writers) -> None:
        content = data.type.member("varData")
        assert content is not None
        self._size = content.offset
        self._least, self._most = count_min(data.length), data.length_max
        self._bytes = writers.bytes_of(data.bytes)
        self._length = _packer(data.length, writers.order)
        self._length_at = data.length.offset

    def write(self, out: bytearray, value: Any) -> None:
        content = b"" if value is None else self._bytes(value)
        if not self._least <= len(content) <= self._most:
            what = f"{len(content)} bytes, expected {self._least} to {self._most}"
            raise EncodeError("", what)
        front = bytearray(self._size)
        self._length.pack_into(front, self._length_at, len(content))
        out += front + content


def _packer(element: Element, order: str) -> struct.Struct:
    kind = element.type
    assert isinstance(kind, Scalar)
    return struct.Struct(order + kind.primitive.letter)
