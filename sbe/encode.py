"""Dicts to bytes, slowly and with every rule checked.

A block is written into zeroed bytes, so gaps and padding are zero whatever was there before. An
optional field that is left out is null; a required one that is left out is an error, and so is a
name the schema does not have.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from typing import Any

from sbe.errors import EncodeError
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
    Value,
    count_max,
    count_min,
    single_member,
)
from sbe.primitives import Primitive

Fields = Mapping[str, Any]

_NOT_FINITE = {"NaN": float("nan"), "Infinity": float("inf"), "-Infinity": float("-inf")}


class Encoder:
    """Writes messages of one schema.

    `strict` holds values to their ranges and enums to their names; without it anything that fits
    the bytes is written, which is how a test makes a message that is wrong on purpose.
    """

    def __init__(self, schema: Schema, strict: bool = True) -> None:
        self.schema = schema
        self.order = schema.order
        self.strict = strict

    def message(self, message: Message, fields: Fields, header: Fields) -> bytes:
        """Header, root block, groups and data of one message."""
        out = bytearray(self.header(message, header))
        self._block(out, message, fields, message.name)
        return bytes(out)

    def header(self, message: Message, extra: Fields) -> bytes:
        """The message header; members that no standard names come from `extra`, else are null."""
        known: dict[str, Any] = {
            "blockLength": message.block_length,
            "templateId": message.id,
            "schemaId": self.schema.id,
            "version": self.schema.version,
            "numGroups": len(message.groups),
            "numVarDataFields": len(message.data),
        }
        return self._dimension(self.schema.header, {**known, **extra}, "header")

    def _dimension(self, composite: Composite, values: Fields, path: str) -> bytes:
        """A composite of counts: what `values` does not have is null if optional, else zero."""
        out = bytearray(composite.size)
        for member in composite.members:
            if member.presence == CONSTANT:
                continue
            value = values.get(member.name)
            if value is None and not member.is_optional:
                continue
            self._element(out, 0, member, value, f"{path}.{member.name}")
        return bytes(out)

    # Blocks

    def _block(self, out: bytearray, block: Block, fields: Fields, path: str) -> None:
        if not isinstance(fields, Mapping):
            raise EncodeError(path, f"expected an object, was {fields!r}")
        known = block.names
        for name in fields:
            if name not in known:
                raise EncodeError(f"{path}.{name}", "no such field")
        base = len(out)
        out += bytes(block.block_length)
        for field in block.fields:
            here = f"{path}.{field.name}"
            if field.name not in fields and not _may_be_left_out(field):
                raise EncodeError(here, "required, but missing")
            self._element(out, base, field, fields.get(field.name), here)
        for group in block.groups:
            self._group(out, group, fields.get(group.name), f"{path}.{group.name}")
        for data in block.data:
            self._data(out, data, fields.get(data.name), f"{path}.{data.name}")

    def _group(self, out: bytearray, group: Group, entries: Any, path: str) -> None:
        entries = [] if entries is None else entries
        if not isinstance(entries, Sequence) or isinstance(entries, (str, bytes)):
            raise EncodeError(path, f"expected a list of entries, was {entries!r}")
        least, most = count_min(group.count), count_max(group.count)
        if not least <= len(entries) <= most:
            raise EncodeError(path, f"{len(entries)} entries, expected {least} to {most}")
        known = {
            "blockLength": group.block_length,
            "numInGroup": len(entries),
            "numGroups": len(group.groups),
            "numVarDataFields": len(group.data),
        }
        out += self._dimension(group.dimension, known, path)
        for index, entry in enumerate(entries):
            self._block(out, group, entry, f"{path}[{index}]")

    def _data(self, out: bytearray, data: Data, value: Any, path: str) -> None:
        content = b"" if value is None else self._bytes(data.bytes, value, path)
        least, most = count_min(data.length), data.length_max
        if not least <= len(content) <= most:
            raise EncodeError(path, f"{len(content)} bytes, expected {least} to {most}")
        front = self._dimension_of_data(data, len(content))
        out += front + content

    def _dimension_of_data(self, data: Data, length: int) -> bytes:
        content = data.type.member("varData")
        assert content is not None
        out = bytearray(content.offset)
        scalar = data.length.type
        assert isinstance(scalar, Scalar)
        self._pack(out, data.length.offset, scalar.primitive, length, data.name)
        return bytes(out)

    # Elements

    def _element(self, out: bytearray, base: int, element: Element, value: Any, path: str) -> None:
        if element.presence == CONSTANT:
            self._constant(element, value, path)
            return
        kind, offset = element.type, base + element.offset
        if isinstance(kind, Composite):
            self._composite(out, offset, element, kind, value, path)
        elif isinstance(kind, Enum):
            self._enum(out, offset, element, kind, value, path)
        elif isinstance(kind, Set):
            self._set(out, offset, kind, value, path)
        elif kind.length == 1:
            self._single(out, offset, element, kind, value, path)
        elif kind.primitive.size == 1 and (kind.is_text or kind.primitive.kind == "uint"):
            self._fixed(out, offset, element, kind, value, path)
        else:
            self._array(out, offset, element, kind, value, path)

    def _constant(self, element: Element, value: Any, path: str) -> None:
        allowed: list[Any] = [None, element.constant]
        kind = element.type
        if isinstance(kind, Enum):
            allowed += [c.name for c in kind.choices if c.value == element.constant]
        if value not in allowed:
            raise EncodeError(path, f"constant {element.constant!r}, was {value!r}")

    def _composite(
        self,
        out: bytearray,
        offset: int,
        element: Element,
        kind: Composite,
        value: Any,
        path: str,
    ) -> None:
        if value is None:
            self._null_composite(out, offset, element, kind, path)
            return
        only = single_member(kind)
        if only is not None and not isinstance(value, Mapping):
            value = {only.name: value}
        if not isinstance(value, Mapping):
            raise EncodeError(path, f"expected an object, was {value!r}")
        known = {member.name for member in kind.members}
        for name in value:
            if name not in known:
                raise EncodeError(f"{path}.{name}", "no such member")
        for member in kind.members:
            here = f"{path}.{member.name}"
            if member.name not in value and not _may_be_left_out(member):
                raise EncodeError(here, "required, but missing")
            self._element(out, offset, member, value.get(member.name), here)

    def _null_composite(
        self, out: bytearray, offset: int, element: Element, kind: Composite, path: str
    ) -> None:
        """A composite is null when its first member is; the others are made null along with it."""
        if not element.is_optional and not _may_be_left_out(element):
            raise EncodeError(path, "required, was null")
        for member in kind.members:
            if member.presence == CONSTANT:
                continue
            inner, here = member.type, offset + member.offset
            if isinstance(inner, Composite):
                self._null_composite(out, here, element, inner, path)
            elif isinstance(inner, Enum):
                self._pack(out, here, inner.primitive, inner.null, path)
            elif isinstance(inner, Scalar):
                self._numbers(out, here, inner, path, [inner.null] * inner.length)

    def _enum(
        self, out: bytearray, offset: int, element: Element, kind: Enum, value: Any, path: str
    ) -> None:
        if value is None:
            self._require_optional(element, path)
            self._pack(out, offset, kind.primitive, kind.null, path)
            return
        for choice in kind.choices:
            if value == choice.name or (_is_int(value) and value == choice.value):
                self._pack(out, offset, kind.primitive, choice.value, path)
                return
        if self.strict or not _is_int(value):
            raise EncodeError(path, f"{kind.name} has no value {value!r}")
        self._pack(out, offset, kind.primitive, value, path)

    def _set(self, out: bytearray, offset: int, kind: Set, value: Any, path: str) -> None:
        bits = 0
        if _is_int(value):
            bits = value
        elif value is not None:
            if isinstance(value, (str, bytes, Mapping)) or not hasattr(value, "__iter__"):
                raise EncodeError(path, f"expected a list of names, was {value!r}")
            by_name = {choice.name: choice.value for choice in kind.choices}
            for name in value:
                bit = name if _is_int(name) and not self.strict else by_name.get(name)
                if bit is None:
                    raise EncodeError(path, f"{kind.name} has no choice {name!r}")
                bits |= 1 << bit
        if self.strict and bits & ~kind.mask:
            raise EncodeError(path, f"{kind.name} has no bits {bits & ~kind.mask:#x}")
        self._pack(out, offset, kind.primitive, bits, path)

    def _single(
        self, out: bytearray, offset: int, element: Element, kind: Scalar, value: Any, path: str
    ) -> None:
        if value is None:
            self._require_optional(element, path)
            self._pack(out, offset, kind.primitive, kind.null, path)
            return
        number = self._number(kind, value, element.is_optional, path)
        self._pack(out, offset, kind.primitive, number, path)

    def _number(self, kind: Scalar, value: Any, optional: bool, path: str) -> int | float:
        """A value as the number on the wire, within its range."""
        primitive = kind.primitive
        if primitive.kind == "char":
            if isinstance(value, str) and len(value) == 1 and ord(value) < 256:
                value = ord(value)
            elif not _is_int(value):
                raise EncodeError(path, f"expected one character, was {value!r}")
        elif primitive.is_float:
            value = _NOT_FINITE.get(value, value) if isinstance(value, str) else value
            if isinstance(value, bool) or not isinstance(value, (int, float)):
                raise EncodeError(path, f"expected a number, was {value!r}")
        elif not _is_int(value):
            raise EncodeError(path, f"expected a whole number, was {value!r}")
        number: int | float = value
        if self.strict:
            if number != number or number == kind.null:
                raise EncodeError(path, f"{value!r} means null" if optional else "is null")
            if not kind.minimum <= number <= kind.maximum:
                what = f"{value!r} is not in {kind.minimum} to {kind.maximum}"
                raise EncodeError(path, what)
        return number

    def _fixed(
        self, out: bytearray, offset: int, element: Element, kind: Scalar, value: Any, path: str
    ) -> None:
        """Characters or bytes of a fixed length; text is padded with NUL, never cut."""
        if value is None:
            self._require_optional(element, path)
            self._numbers(out, offset, kind, path, [kind.null] * kind.length)
            return
        content = self._bytes(kind, value, path)
        if len(content) > kind.length:
            raise EncodeError(path, f"{len(content)} bytes, at most {kind.length}")
        if not kind.is_text and len(content) != kind.length:
            raise EncodeError(path, f"{len(content)} bytes, expected {kind.length}")
        out[offset : offset + kind.length] = content.ljust(kind.length, b"\0")

    def _array(
        self, out: bytearray, offset: int, element: Element, kind: Scalar, value: Any, path: str
    ) -> None:
        if value is None:
            self._require_optional(element, path)
            value = [None] * kind.length
        if not isinstance(value, Sequence) or len(value) != kind.length:
            raise EncodeError(path, f"expected {kind.length} numbers, was {value!r}")
        numbers: list[int | float] = []
        for index, item in enumerate(value):
            if item is None:
                self._require_optional(element, f"{path}[{index}]")
                numbers.append(kind.null)
            else:
                here = f"{path}[{index}]"
                numbers.append(self._number(kind, item, element.is_optional, here))
        self._numbers(out, offset, kind, path, numbers)

    def _bytes(self, kind: Scalar, value: Any, path: str) -> bytes:
        """Text in its encoding, or bytes given as bytes, hex, or a list of numbers."""
        if isinstance(value, Mapping) and set(value) == {"hex"}:
            return _from_hex(value["hex"], path)
        if isinstance(value, (bytes, bytearray, memoryview)):
            return bytes(value)
        if isinstance(value, str):
            if not kind.is_text:
                return _from_hex(value, path)
            try:
                return value.encode(kind.encoding or "ascii")
            except UnicodeEncodeError as error:
                raise EncodeError(path, str(error)) from None
        if isinstance(value, list) and all(_is_int(item) and 0 <= item <= 255 for item in value):
            return bytes(value)
        raise EncodeError(path, f"expected text or bytes, was {value!r}")

    def _require_optional(self, element: Element, path: str) -> None:
        if not element.is_optional and self.strict:
            raise EncodeError(path, "required, was null")

    def _numbers(
        self, out: bytearray, offset: int, kind: Scalar, path: str, numbers: Sequence[Value]
    ) -> None:
        for index, number in enumerate(numbers):
            self._pack(out, offset + index * kind.primitive.size, kind.primitive, number, path)

    def _pack(
        self, out: bytearray, offset: int, primitive: Primitive, value: Any, path: str
    ) -> None:
        try:
            out[offset : offset + primitive.size] = primitive.pack(value, self.order)
        except (struct.error, OverflowError):
            raise EncodeError(path, f"{value!r} does not fit {primitive.name}") from None


def _may_be_left_out(element: Element) -> bool:
    """Whether the value of an element may be missing: constants, optionals, empty sets."""
    if element.presence != "required" or isinstance(element.type, Set):
        return True
    kind = element.type
    if not isinstance(kind, Composite):
        return False
    wire = [member for member in kind.members if member.presence != CONSTANT]
    return not wire or _may_be_left_out(wire[0])


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _from_hex(text: Any, path: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except (TypeError, ValueError):
        raise EncodeError(path, f"expected hex, was {text!r}") from None
