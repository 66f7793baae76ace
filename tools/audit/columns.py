"""Columns of a message: from fields as they stand on the wire to what SQL understands.

    Price, Quantity      DECIMAL(19,8), exact            enum    ENUM of the schema's names
    UTCTimestamp         TIMESTAMP_NS, UTC               set     names joined by a bar
    uint64, int64 …      UBIGINT, BIGINT …               Hash    BLOB
    Symbol, Name         VARCHAR                         Echo    BLOB

Null values of the schema are NULL; so is a number that an enum has no name for.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from sbe.dtypes import wire_place
from sbe.layout import Composite, Element, Enum, Scalar, Set
from sbe.naming import snake

DECIMAL = pa.decimal128(19, 8)
_INTEGERS = {"u1": "UTINYINT", "u2": "USMALLINT", "u4": "UINTEGER", "u8": "UBIGINT",
             "i1": "TINYINT", "i2": "SMALLINT", "i4": "INTEGER", "i8": "BIGINT"}  # fmt: skip

Values = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its name, its type in SQL, where its numbers are, and how they become values."""

    name: str
    sql: str
    path: tuple[str, ...]
    convert: Callable[[Values], pa.Array]

    def of(self, rows: Values) -> pa.Array:
        """The column of some rows of the message's root block."""
        for name in self.path:
            rows = rows[name]
        return self.convert(np.ascontiguousarray(rows))


def columns_of(element: Element, path: tuple[str, ...] = ()) -> list[Column]:
    """The columns of one field; a composite of several members has several."""
    kind, _ = wire_place(element)
    here = (*path, element.name)
    if isinstance(kind, Composite):
        return [c for member in kind.members for c in columns_of(member, here)
                if member.constant is None]  # fmt: skip
    name = snake(element.name)
    if isinstance(kind, Enum):
        return [Column(name, f'"{kind.name}"', here, _names(kind))]
    if isinstance(kind, Set):
        return [Column(name, "VARCHAR", here, _flags(kind))]
    return [_scalar(name, here, element, kind)]


def _scalar(name: str, path: tuple[str, ...], element: Element, kind: Scalar) -> Column:
    null = int(kind.null) if kind.presence == "optional" or element.is_optional else None
    if kind.is_text:
        return Column(name, "VARCHAR", path, _text)
    if kind.length > 1:
        return Column(name, "BLOB", path, _bytes)
    outer = element.type
    if isinstance(outer, Composite) and outer.member("exponent") is not None:
        return Column(name, "DECIMAL(19,8)", path, lambda values: decimals(values, null))
    if kind.name.endswith("Timestamp") or name in ("sending_time", "transact_time"):
        return Column(name, "TIMESTAMP_NS", path, lambda values: moments(values, null))
    letter = {"int": "i", "uint": "u", "char": "u"}[kind.primitive.kind]
    sql = _INTEGERS[f"{letter}{kind.primitive.size}"]
    return Column(name, sql, path, lambda values: pa.array(values, mask=_missing(values, null)))


def _missing(values: Values, null: int | None) -> Values | None:
    return None if null is None else values == np.asarray(null).astype(values.dtype)


def decimals(values: Values, null: int | None = None) -> pa.Array:
    """Mantissas with exponent −8 as exact decimals."""
    wide = np.empty((len(values), 2), np.int64)
    wide[:, 0] = values
    wide[:, 1] = wide[:, 0] >> 63
    known = None
    if null is not None:
        known = pa.array(values != null).buffers()[1]
    return pa.Array.from_buffers(DECIMAL, len(values), [known, pa.py_buffer(wide)])


def moments(values: Values, null: int | None = None) -> pa.Array:
    """Nanoseconds since 1970 as times."""
    whole = pa.array(values.astype(np.int64), mask=_missing(values, null))
    return whole.cast(pa.timestamp("ns"))


def _names(kind: Enum) -> Callable[[Values], pa.Array]:
    """By a table from the code to the place of its name; −1 for codes without one."""
    codes = {int(choice.value): place for place, choice in enumerate(kind.choices)}
    places = np.full(1 << (8 * kind.primitive.size), -1, np.int16)
    for code, place in codes.items():
        places[code] = place
    names = pa.array([choice.name for choice in kind.choices])

    def convert(values: Values) -> pa.Array:
        found = places[values]
        return pa.DictionaryArray.from_arrays(pa.array(found, mask=found < 0), names)

    return convert


def _flags(kind: Set) -> Callable[[Values], pa.Array]:
    names = pa.array([
        "|".join(choice.name for choice in kind.choices if value >> choice.value & 1)
        for value in range(kind.mask + 1)
    ])  # fmt: skip
    return lambda values: pa.DictionaryArray.from_arrays(
        pa.array((values & kind.mask).astype(np.int16)), names
    )


def _text(values: Values) -> pa.Array:
    return pa.array([bytes(v).decode("utf-8", "replace") for v in values.tolist()], pa.string())


def _bytes(values: Values) -> pa.Array:
    return pa.array([bytes(v) for v in values], pa.binary())


def variable(ends: NDArray[np.int32], content: NDArray[np.uint8], text: bool) -> pa.Array:
    """Byte strings one behind the other as one column; text that isn't UTF-8 is mended."""
    buffers = [None, pa.py_buffer(ends), pa.py_buffer(content)]
    whole = pa.Array.from_buffers(pa.binary(), len(ends) - 1, buffers)
    if not text:
        return whole
    return pa.array([v.decode("utf-8", "replace") for v in whole.to_pylist()], pa.string())


def enums(element: Element) -> list[Enum]:
    """The enums that a field's columns need."""
    kind, _ = wire_place(element)
    if isinstance(kind, Composite):
        return [e for member in kind.members for e in enums(member)]
    return [kind] if isinstance(kind, Enum) else []
