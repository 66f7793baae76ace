"""Reads chosen fields of one message at once, for messages that come by the thousand.

    TRADE = pick("ExecutionReport", "account", "lastPx", "lastQty")
    trade = TRADE(body)            # a named tuple, in the order the fields have on the wire
    trade.account

One `struct` with padding between the fields, made from the schema: no dictionary, no numba. A name
with a dot is a member of a composite (`header.transactTime`). Numbers come as they stand: a null is
its null value (`NULL_INT64` for optional prices), a char enum its code, an array bytes.
"""

import struct
from collections import namedtuple
from collections.abc import Callable
from typing import Any

import numpy as np

from core.messages import layout
from sbe.dtypes import block_dtype

NULL_INT64 = -(2**63)
NULL_UINT32 = 2**32 - 1

_LETTERS = {
    "i1": "b", "u1": "B", "i2": "h", "u2": "H", "i4": "i", "u4": "I", "i8": "q", "u8": "Q",
    "f4": "f", "f8": "d",
}


def offset_of(message: str, field: str) -> int:
    """Where a field begins in the body, in bytes."""
    return _place(_block(message), field)[0]


def pick(message: str, *fields: str) -> Callable[[memoryview | bytes], Any]:
    """A function from a body (root block first) to a named tuple of `fields`, wire order.

    Raises KeyError for a message or field that no schema has.
    """
    unpack, names = _unpacker(message, fields)
    record = namedtuple(message, [name.replace(".", "_") for name in names])  # type: ignore[misc]
    make = record._make

    def read(body: memoryview | bytes) -> Any:
        return make(unpack(body))

    return read


def pick_plain(message: str, *fields: str) -> Callable[[memoryview | bytes], tuple[Any, ...]]:
    """The same to a plain tuple, at half the cost; the fields must be named in wire order.

    Raises ValueError if they are not, KeyError as `pick`.
    """
    unpack, names = _unpacker(message, fields)
    if names != fields:
        raise ValueError(f"{message}: expected {names}, was {fields}")
    return unpack


def _unpacker(message: str, fields: tuple[str, ...]) -> tuple[Callable[..., Any], tuple[str, ...]]:
    block = _block(message)
    places = sorted((_place(block, field), field) for field in fields)
    form, end = "<", 0
    for (offset, letters, size), _ in places:
        form += f"{offset - end}x{letters}"
        end = offset + size
    return struct.Struct(form).unpack_from, tuple(field for _, field in places)


def _block(message: str) -> np.dtype[Any]:
    return block_dtype(layout(message), "<")


def _place(block: np.dtype[Any], field: str) -> tuple[int, str, int]:
    """Offset, struct letters and size of a field."""
    offset = 0
    dtype: np.dtype[Any] = block
    for name in field.split("."):
        assert dtype.fields is not None
        found = dtype.fields[name]
        dtype, offset = found[0], offset + found[1]
    if dtype.subdtype is not None or dtype.kind in "SV":
        return offset, f"{dtype.itemsize}s", dtype.itemsize
    return offset, _LETTERS[dtype.str[1:]], dtype.itemsize
