"""A layout as plain dicts, for people and tools: one of the schema, one a type, one a message."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sbe.layout import CONSTANT, Block, Composite, Data, Element, Enum, Group, Scalar, Schema, Set


def describe(schema: Schema) -> Iterator[dict[str, Any]]:
    """The lines of `onebook sbe layout`."""
    yield {
        "schema": schema.package,
        "id": schema.id,
        "version": schema.version,
        "byteOrder": "bigEndian" if schema.order == ">" else "littleEndian",
        "header": composite_of(schema.header),
        "warnings": list(schema.warnings),
    }
    for kind in schema.types:
        if isinstance(kind, (Enum, Set)):
            yield choices_of(kind)
        elif isinstance(kind, Composite):
            yield {"composite": kind.name, **composite_of(kind)}
        else:
            yield {"type": kind.name, **_scalar(kind)}
    for message in schema.messages:
        yield {"message": message.name, "template": message.id, **_block(message)}


def choices_of(kind: Enum | Set) -> dict[str, Any]:
    """Names and values of an enum, names and bits of a set."""
    word, column = ("enum", "values") if isinstance(kind, Enum) else ("set", "bits")
    values = {choice.name: choice.value for choice in kind.choices}
    return {word: kind.name, "encoding": kind.primitive.name, column: values}


def composite_of(kind: Composite) -> dict[str, Any]:
    """Size and members of a composite."""
    return {"size": kind.size, "members": [_element(member) for member in kind.members]}


def _block(block: Block) -> dict[str, Any]:
    told: dict[str, Any] = {"blockLength": block.block_length, "since": block.since}
    if block.deprecated is not None:
        told["deprecated"] = block.deprecated
    told["fields"] = [_element(field) for field in block.fields]
    told["groups"] = [_group(group) for group in block.groups]
    told["data"] = [_data(data) for data in block.data]
    return told


def _group(group: Group) -> dict[str, Any]:
    return {
        "name": group.name,
        "id": group.id,
        "dimension": group.dimension.name,
        "dimensionSize": group.dimension.size,
        **_block(group),
    }


def _data(data: Data) -> dict[str, Any]:
    length = data.length.type
    assert isinstance(length, Scalar)
    return {
        "name": data.name,
        "id": data.id,
        "length": length.primitive.name,
        "lengthMax": data.length_max,
        "encoding": data.bytes.encoding,
        "since": data.since,
    }


def _element(element: Element) -> dict[str, Any]:
    told: dict[str, Any] = {"name": element.name}
    if element.id is not None:
        told["id"] = element.id
    told |= {"type": element.type.name, "presence": element.presence}
    if element.presence == CONSTANT:
        told["value"] = element.constant
    else:
        told |= {"offset": element.offset, "size": element.size}
    if element.since:
        told["since"] = element.since
    if element.deprecated is not None:
        told["deprecated"] = element.deprecated
    if isinstance(element.type, Scalar):
        told |= _scalar(element.type) | {"presence": element.presence}
    return told


def _scalar(kind: Scalar) -> dict[str, Any]:
    told: dict[str, Any] = {"primitive": kind.primitive.name, "presence": kind.presence}
    if kind.length != 1:
        told["length"] = kind.length
    if kind.encoding is not None:
        told["encoding"] = kind.encoding
    return told
