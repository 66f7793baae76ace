"""Layouts as numpy dtypes: a block becomes a record whose item size is its block length.

Names are those of the schema. A composite of one wire member is that member; others nest. Constants
have no bytes and so no field.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np

from sbe.layout import (
    CONSTANT,
    Block,
    Composite,
    Element,
    Scalar,
    Type,
    single_member,
    wire_members,
)

#: (name, format, offset); the format is a numpy type string, (string, count), or a nested record.
Column: TypeAlias = tuple[str, "str | tuple[str, int] | np.dtype[np.void]", int]


def record(size: int, *columns: Column) -> np.dtype[np.void]:
    """A dtype of `size` bytes with columns at given offsets."""
    dtype: np.dtype[np.void] = np.dtype(
        {
            "names": [name for name, _, _ in columns],
            "formats": [kind for _, kind, _ in columns],
            "offsets": [offset for _, _, offset in columns],
            "itemsize": size,
        }
    )
    return dtype


def block_dtype(block: Block, order: str) -> np.dtype[np.void]:
    """The root block of a message, or an entry of a group."""
    fields = [f for f in block.fields if f.presence != CONSTANT]
    return record(block.block_length, *(column(f, order) for f in fields))


def column(element: Element, order: str) -> Column:
    """One element of a block or composite."""
    kind, offset = wire_place(element)
    if isinstance(kind, Composite):
        members = [column(member, order) for member in wire_members(kind)]
        return element.name, record(kind.size, *members), offset
    return element.name, scalar_format(kind, order), offset


def wire_place(element: Element) -> tuple[Type, int]:
    """The type and offset on the wire: through a composite of one member to that member."""
    kind, offset = element.type, element.offset
    while (member := single_member(kind)) is not None:
        kind, offset = member.type, offset + member.offset
    return kind, offset


def scalar_format(kind: Type, order: str) -> str | tuple[str, int]:
    """The numpy type string of a simple type, enum or set."""
    assert not isinstance(kind, Composite)
    primitive = kind.primitive
    length = kind.length if isinstance(kind, Scalar) else 1
    if primitive.kind == "char":
        return f"S{length}" if length > 1 else "u1"
    letter = {"int": "i", "uint": "u", "float": "f"}[primitive.kind]
    text = f"{order}{letter}{primitive.size}" if primitive.size > 1 else f"{letter}1"
    return text if length == 1 else (text, length)
