"""The eleven primitive types: width, null, range and `struct` letter of each.

    type     bytes  null            least        greatest
    char       1    0               0x20         0x7e
    int8..64  1..8  least of width  null + 1     greatest of width
    uint8..64 1..8  greatest        0            null - 1
    float      4    any NaN         -inf         +inf
    double     8    any NaN         -inf         +inf

Source: SBE 1.0 standard, chapter 2, "Range attributes for integer fields" and after.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from math import inf, nan


@dataclass(frozen=True, slots=True)
class Primitive:
    """One primitive type.

    `kind` is `char`, `int`, `uint` or `float`; `letter` is the format letter of `struct`;
    `lowest` and `highest` are what the bytes can hold, `null`, `minimum`, `maximum` the defaults
    of the standard.
    """

    name: str
    kind: str
    size: int
    letter: str
    null: int | float
    minimum: int | float
    maximum: int | float
    lowest: int | float
    highest: int | float

    @property
    def is_float(self) -> bool:
        return self.kind == "float"

    def pack(self, value: int | float, order: str) -> bytes:
        """Bytes of `value`; a NaN becomes the canonical quiet NaN. Raises struct.error."""
        if self.is_float and value != value:
            value = nan
        return struct.pack(order + self.letter, value)

    def unpack(self, data: bytes | memoryview, offset: int, order: str) -> int | float:
        """The value at `offset`; raises struct.error where the bytes end."""
        value: int | float = struct.unpack_from(order + self.letter, data, offset)[0]
        return value


def _signed(bits: int, letter: str) -> Primitive:
    low, high = -(1 << (bits - 1)), (1 << (bits - 1)) - 1
    return Primitive(f"int{bits}", "int", bits // 8, letter, low, low + 1, high, low, high)


def _unsigned(bits: int, letter: str) -> Primitive:
    high = (1 << bits) - 1
    return Primitive(f"uint{bits}", "uint", bits // 8, letter, high, 0, high - 1, 0, high)


PRIMITIVES: dict[str, Primitive] = {
    p.name: p
    for p in (
        Primitive("char", "char", 1, "B", 0, 0x20, 0x7E, 0, 255),
        _signed(8, "b"),
        _signed(16, "h"),
        _signed(32, "i"),
        _signed(64, "q"),
        _unsigned(8, "B"),
        _unsigned(16, "H"),
        _unsigned(32, "I"),
        _unsigned(64, "Q"),
        Primitive("float", "float", 4, "f", nan, -inf, inf, -inf, inf),
        Primitive("double", "float", 8, "d", nan, -inf, inf, -inf, inf),
    )
}
