"""Layout to source text: constants, dtypes and accessors of one schema.

Every accessor is one line that builds an operation of `sbe.raw`. Only fields that a later version
brought need a function with logic: it gives null to a message of an older sender.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from math import isnan

from sbe.dtypes import scalar_format, wire_place
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
    single_member,
    wire_members,
)
from sbe.naming import Names, snake, upper
from sbe.primitives import Primitive

_INDENT = "    "


def kind_of(primitive: Primitive, order: str) -> str:
    """The kind of `sbe.raw` that loads a primitive."""
    letter = {"int": "i", "uint": "u", "char": "u", "float": "f"}[primitive.kind]
    return f"{letter}{8 * primitive.size}" + ("_be" if order == ">" and primitive.size > 1 else "")


def counter_kind(element: Element, order: str) -> str:
    """The kind that loads a count or length: always as int64, an absurd u64 turns negative."""
    scalar = element.type
    assert isinstance(scalar, Scalar)
    return kind_of(scalar.primitive, order).replace("u64", "i64")


def counter_load(element: Element, base: str, order: str) -> str:
    """An expression that reads a count or length of the dimension at `base`."""
    if element.presence == CONSTANT:
        return literal(element.constant)
    place = f"{base} + {element.offset}" if element.offset else base
    return f"load_{counter_kind(element, order)}({place})"


def literal(value: object) -> str:
    """A value as source text; a NaN has to be asked for."""
    if isinstance(value, float) and value - value != 0.0:
        return 'float("nan")' if isnan(value) else f'float("{value}")'
    return repr(value)


class Source:
    """Collects the lines of one module."""

    def __init__(self, schema: Schema, reserved: frozenset[str]) -> None:
        self.schema = schema
        self.order = schema.order
        self.names = Names(reserved)
        self.lines: list[str] = []
        self._records: dict[str, str] = {}

    def line(self, text: str = "") -> None:
        self.lines.append(text)

    def constant(self, name: str, value: object) -> str:
        name = self.names.take(name)
        self.line(f"{name} = {literal(value)}")
        return name

    def assign(self, name: str, expression: str) -> str:
        name = self.names.take(name)
        self.line(f"{name} = {expression}")
        return name

    def heading(self, text: str, description: str = "") -> None:
        self.line()
        self.line()
        self.line(f"# {text}")
        if description:
            self.line(f"# {' '.join(description.split())}")

    def function(self, signature: str, *body: str) -> None:
        """A compiled function; the caller has taken its name."""
        self.line()
        self.line()
        self.line("@compiled")
        self.line(f"def {signature}:")
        for text in body:
            self.line(_INDENT + text)
        self.line()
        self.line()

    # Enums and sets

    def enum(self, enum: Enum) -> None:
        self.heading(f"{enum.name}: {enum.primitive.name}", enum.description)
        for choice in enum.choices:
            self.constant(upper(enum.name, choice.name), choice.value)
        self.constant(upper(enum.name, "null"), enum.null)

    def set(self, choices: Set) -> None:
        self.heading(f"{choices.name}: bits of {choices.primitive.name}", choices.description)
        for choice in choices.choices:
            self.constant(upper(choices.name, choice.name), 1 << choice.value)

    def composite(self, composite: Composite) -> None:
        """The dtype of a composite that has several members on the wire."""
        members = wire_members(composite)
        if len(members) > 1 and all(member.size > 0 for member in members):
            name = self.names.take(upper(composite.name))
            self._record(name, composite.size, members)
            self._records[composite.name] = name

    # Blocks

    def message(self, message: Message) -> None:
        title = f"{message.name}: template {message.id}, {message.block_length} bytes"
        self.heading(title, message.description)
        self.constant(upper(message.name, "template"), message.id)
        self.constant(upper(message.name, "block"), message.block_length)
        header = header_image(self.schema, message)
        self.assign(f"write_{snake(message.name)}_header", f'image("{header.hex()}")')
        self._block(message, (message.name,))

    def _block(self, block: Block, path: tuple[str, ...]) -> None:
        self._record(self.names.take(upper(*path)), block.block_length, block.fields)
        for field in block.fields:
            self._element(field, (*path, field.name), 0, block.since, field.since)
        for group in block.groups:
            self._group(group, (*path, group.name))
        for data in block.data:
            self._data(data, (*path, data.name))

    def _record(self, name: str, size: int, elements: Sequence[Element]) -> None:
        columns = [self._column(e) for e in elements if e.presence != CONSTANT]
        if not columns:
            self.line(f"{name} = record({size})")
            return
        self.line(f"{name} = record(")
        self.line(f"{_INDENT}{size},")
        for text in columns:
            self.line(f"{_INDENT}{text},")
        self.line(")")

    def _column(self, element: Element) -> str:
        kind, offset = wire_place(element)
        if not isinstance(kind, Composite):
            text = scalar_format(kind, self.order)
            shape = f'"{text}"' if isinstance(text, str) else f'("{text[0]}", {text[1]})'
        elif kind.name in self._records:
            shape = self._records[kind.name]
        else:
            inner = ", ".join(self._column(member) for member in wire_members(kind))
            shape = f"record({kind.size}, {inner})"
        return f'("{element.name}", {shape}, {offset})'

    def _element(
        self, element: Element, path: tuple[str, ...], base: int, floor: int, since: int
    ) -> None:
        """Accessors of an element at `base`; `floor` is the version its block came with."""
        since = max(since, element.since)
        if element.presence == CONSTANT:
            self.constant(upper(*path), element.constant)
            return
        kind, offset = element.type, base + element.offset
        if isinstance(kind, Composite):
            only = single_member(kind)
            for member in kind.members:
                deeper = path if member is only else (*path, member.name)
                self._element(member, deeper, offset, floor, since)
            return
        self.constant(upper(*path, "offset"), offset)
        if isinstance(kind, Scalar) and kind.length != 1:
            self._array(kind, path, offset, floor, since)
            return
        null = 0 if isinstance(kind, Set) else kind.null
        if not isinstance(kind, Set):
            self.constant(upper(*path, "null"), null)
        raw = kind_of(kind.primitive, self.order)
        self._getter(snake(*path), f'load("{raw}", {offset})', literal(null), path, floor, since)
        self.assign(f"set_{snake(*path)}", f'store("{raw}", {offset})')

    def _array(
        self, kind: Scalar, path: tuple[str, ...], offset: int, floor: int, since: int
    ) -> None:
        self.constant(upper(*path, "length"), kind.length)
        expression = f"place({offset})"
        self._getter(snake(*path, "address"), expression, "0", path, floor, since)
        if kind.primitive.size == 1:
            return
        raw, width = kind_of(kind.primitive, self.order), kind.primitive.size
        name, setter = self.names.take(snake(*path)), self.names.take(f"set_{snake(*path)}")
        self.function(
            f"{name}(a: int, i: int) -> int", f"return load_{raw}(a + {offset} + i * {width})"
        )
        self.function(
            f"{setter}(a: int, i: int, value: int) -> None",
            f"store_{raw}(a + {offset} + i * {width}, value)",
        )

    def _getter(
        self, name: str, expression: str, null: str, path: tuple[str, ...], floor: int, since: int
    ) -> None:
        """A reader; of a field younger than its block, one that asks for the version first."""
        if since <= floor:
            self.assign(name, expression)
            return
        plain = self.assign(f"_{name}", expression)
        name = self.names.take(name)
        if len(path) > 1 and self._in_group(path):
            signature, version = f"{name}(e: int, version: int) -> int", "version"
            call = f"{plain}(e)"
        else:
            signature, version = f"{name}(a: int) -> int", "header_version(a - HEADER_SIZE)"
            call = f"{plain}(a)"
        self.function(
            signature,
            f'"""Null for a sender before version {since}."""',
            f"if {version} < {since}:",
            f"{_INDENT}return {null}",
            f"return {call}",
        )

    def _in_group(self, path: tuple[str, ...]) -> bool:
        message = self.schema.message(path[0])
        assert message is not None
        return any(group.name == path[1] for group in message.groups)

    # Groups and data

    def _group(self, group: Group, path: tuple[str, ...]) -> None:
        self.heading(f"{'.'.join(path)}: entries of {group.block_length} bytes", group.description)
        name, capitals = snake(*path), upper(*path)
        self.constant(f"{capitals}_HEADER_SIZE", group.dimension.size)
        self.constant(f"{capitals}_BLOCK", group.block_length)
        for suffix, element in (("count", group.count), ("stride", group.stride)):
            self._counter(f"{name}_{suffix}", element)
        image = dimension_image(group, self.order).hex()
        raw = counter_kind(group.count, self.order)
        expression = f'image_with("{image}", "{raw}", {group.count.offset})'
        self.assign(f"write_{name}_header", expression)
        self._block(group, path)

    def _counter(self, name: str, element: Element) -> None:
        if element.presence == CONSTANT:
            name = self.names.take(name)
            self.function(f"{name}(g: int) -> int", f"return {literal(element.constant)}")
            return
        raw = counter_kind(element, self.order)
        self.assign(name, f'load("{raw}", {element.offset})')

    def _data(self, data: Data, path: tuple[str, ...]) -> None:
        name, size = snake(*path), data_header_size(data)
        self.heading(f"{'.'.join(path)}: data", data.description)
        self.constant(f"{upper(*path)}_HEADER_SIZE", size)
        self._counter(f"{name}_length", data.length)
        self.assign(f"{name}_address", f"place({size})")
        raw = counter_kind(data.length, self.order)
        expression = f'image_with("{bytes(size).hex()}", "{raw}", {data.length.offset})'
        self.assign(f"write_{name}_length", expression)


def data_header_size(data: Data) -> int:
    """Bytes in front of the data itself."""
    content = data.type.member("varData")
    assert content is not None
    return content.offset


def header_image(schema: Schema, message: Message) -> bytes:
    """The message header as a sender of this schema writes it; unknown members are zero."""
    values = {
        "blockLength": message.block_length,
        "templateId": message.id,
        "schemaId": schema.id,
        "version": schema.version,
        "numGroups": len(message.groups),
        "numVarDataFields": len(message.data),
    }
    return _image(schema.header, values, schema.order)


def dimension_image(group: Group, order: str) -> bytes:
    """The dimension of a group, with a count of zero."""
    values = {
        "blockLength": group.block_length,
        "numGroups": len(group.groups),
        "numVarDataFields": len(group.data),
    }
    return _image(group.dimension, values, order)


def _image(composite: Composite, values: dict[str, int], order: str) -> bytes:
    image = bytearray(composite.size)
    for member in wire_members(composite):
        kind = member.type
        if isinstance(kind, Scalar) and member.name in values:
            struct.pack_into(
                order + kind.primitive.letter, image, member.offset, values[member.name]
            )
    return bytes(image)
