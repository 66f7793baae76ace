"""Writers of single values: for each element of a layout a function (out, base, value).

`base` is where the block or composite begins that holds the element. An error names no path of its
own: each level that it passes on its way up puts its name in front.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence
from math import nan
from typing import Any, TypeAlias

from sbe.errors import EncodeError
from sbe.layout import (
    CONSTANT,
    Composite,
    Element,
    Enum,
    Scalar,
    Set,
    is_character,
    single_member,
)
from sbe.primitives import Primitive

Writer: TypeAlias = Callable[[bytearray, int, Any], None]
Pack: TypeAlias = Callable[[bytearray, int, Any], None]

_NOT_FINITE = {"NaN": nan, "Infinity": float("inf"), "-Infinity": float("-inf")}


class Members:
    """Writers of the fields of a block or the members of a composite.

    `names` are all that may be given, `word` is what one is called.
    """

    def __init__(
        self, elements: Sequence[Element], writers: Writers, word: str, names: frozenset[str]
    ) -> None:
        self._word = word
        self._names = names
        self._items = [(e.name, may_be_left_out(e), writers.of(e)) for e in elements]

    def write(self, out: bytearray, base: int, values: Any) -> None:
        """Write each; one that is not given must be optional."""
        if not isinstance(values, Mapping):
            raise EncodeError("", f"expected an object, was {values!r}")
        if not values.keys() <= self._names:
            unknown = next(name for name in values if name not in self._names)
            raise EncodeError(str(unknown), f"no such {self._word}")
        for name, optional, write in self._items:
            value = values.get(name)
            if value is None and not optional and name not in values:
                raise EncodeError(name, "required, but missing")
            try:
                write(out, base, value)
            except EncodeError as error:
                raise error.under(name) from None


class Writers:
    """Makes writers for one byte order; see `Encoder` for `strict`."""

    def __init__(self, order: str, strict: bool) -> None:
        self.order = order
        self.strict = strict

    def of(self, element: Element) -> Writer:
        """The writer of one element."""
        kind = element.type
        if element.presence == CONSTANT:
            return self._constant(element)
        if isinstance(kind, Composite):
            return self._composite(element, kind)
        if isinstance(kind, Enum):
            return self._enum(element, kind)
        if isinstance(kind, Set):
            return self._set(element, kind)
        if kind.length == 1:
            return self._single(element, kind)
        if kind.primitive.size == 1 and (kind.is_text or kind.primitive.kind == "uint"):
            return self._fixed(element, kind)
        return self._array(element, kind)

    def _pack(self, primitive: Primitive) -> Pack:
        """Puts a number into place; a NaN as the canonical quiet one."""
        pack_into = struct.Struct(self.order + primitive.letter).pack_into
        is_float, name = primitive.is_float, primitive.name

        def pack(out: bytearray, at: int, value: Any) -> None:
            try:
                pack_into(out, at, nan if is_float and value != value else value)
            except (struct.error, OverflowError):
                raise EncodeError("", f"{value!r} does not fit {name}") from None

        return pack

    def _constant(self, element: Element) -> Writer:
        kind, constant = element.type, element.constant
        allowed: list[Any] = [None, constant]
        if isinstance(kind, Enum):
            allowed += [c.name for c in kind.choices if c.value == constant]
        elif isinstance(constant, int) and is_character(kind):
            allowed.append(chr(constant))

        def write(out: bytearray, base: int, value: Any) -> None:
            if value not in allowed:
                raise EncodeError("", f"constant {constant!r}, was {value!r}")

        return write

    def _composite(self, element: Element, kind: Composite) -> Writer:
        names = frozenset(member.name for member in kind.members)
        members = Members(kind.members, self, "member", names)
        offset, only, null = element.offset, single_member(kind), self._null_of(kind)
        nullable = may_be_left_out(element)

        def write(out: bytearray, base: int, value: Any) -> None:
            if value is None:
                if not nullable:
                    raise EncodeError("", "required, was null")
                null(out, base + offset)
                return
            if only is not None and not isinstance(value, Mapping):
                value = {only.name: value}
            members.write(out, base + offset, value)

        return write

    def _null_of(self, kind: Composite) -> Callable[[bytearray, int], None]:
        """A composite is null when its first member is; the others are made null along with it."""
        actions: list[tuple[Callable[[bytearray, int], None], int]] = []
        for member in kind.members:
            inner = member.type
            if member.presence == CONSTANT:
                continue
            if isinstance(inner, Composite):
                actions.append((self._null_of(inner), member.offset))
            elif isinstance(inner, (Enum, Scalar)):
                actions.append((self._null_number(inner), member.offset))

        def null(out: bytearray, at: int) -> None:
            for action, offset in actions:
                action(out, at + offset)

        return null

    def _null_number(self, kind: Enum | Scalar) -> Callable[[bytearray, int], None]:
        count = kind.length if isinstance(kind, Scalar) else 1
        shape = struct.Struct(f"{self.order}{count}{kind.primitive.letter}")
        image = shape.pack(*[nan if kind.null != kind.null else kind.null] * count)

        def null(out: bytearray, at: int) -> None:
            out[at : at + len(image)] = image

        return null

    def _enum(self, element: Element, kind: Enum) -> Writer:
        pack, null, offset = self._pack(kind.primitive), self._null_number(kind), element.offset
        values: dict[Any, int] = {c.value: c.value for c in kind.choices}
        values |= {c.name: c.value for c in kind.choices}
        strict, optional = self.strict, element.is_optional

        def write(out: bytearray, base: int, value: Any) -> None:
            if value is None:
                _require(optional or not strict)
                null(out, base + offset)
            elif isinstance(value, (str, int)) and value in values and value is not True:
                pack(out, base + offset, values[value])
            elif strict or not is_int(value):
                raise EncodeError("", f"{kind.name} has no value {value!r}")
            else:
                pack(out, base + offset, value)

        return write

    def _set(self, element: Element, kind: Set) -> Writer:
        pack, offset, mask = self._pack(kind.primitive), element.offset, kind.mask
        bit_of: dict[Any, int] = {choice.name: choice.value for choice in kind.choices}
        strict = self.strict

        def bits_of(value: Any) -> int:
            if isinstance(value, (str, bytes, Mapping)) or not hasattr(value, "__iter__"):
                raise EncodeError("", f"expected a list of names, was {value!r}")
            bits = 0
            for name in value:
                bit = name if is_int(name) and not strict else bit_of.get(name)
                if bit is None:
                    raise EncodeError("", f"{kind.name} has no choice {name!r}")
                bits |= 1 << bit
            return bits

        def write(out: bytearray, base: int, value: Any) -> None:
            bits = 0 if value is None else value if is_int(value) else bits_of(value)
            if strict and bits & ~mask:
                raise EncodeError("", f"{kind.name} has no bits {bits & ~mask:#x}")
            pack(out, base + offset, bits)

        return write

    def _single(self, element: Element, kind: Scalar) -> Writer:
        pack, null, offset = self._pack(kind.primitive), self._null_number(kind), element.offset
        number, nullable = self._number(element, kind), element.is_optional or not self.strict

        def write(out: bytearray, base: int, value: Any) -> None:
            if value is None:
                _require(nullable)
                null(out, base + offset)
            else:
                pack(out, base + offset, number(value))

        return write

    def _number(self, element: Element, kind: Scalar) -> Callable[[Any], int | float]:
        """Turns a value into the number on the wire, within its range."""
        convert = _CONVERSIONS.get(kind.primitive.kind, _whole)
        null, low, high = kind.null, kind.minimum, kind.maximum
        means = "means null" if element.is_optional else "is the null of its type"
        strict = self.strict

        def number(value: Any) -> int | float:
            result = convert(value)
            if strict and not (low <= result <= high and result != null):
                if result == null or result != result:
                    raise EncodeError("", f"{value!r} {means}")
                raise EncodeError("", f"{value!r} is not in {low} to {high}")
            return result

        return number

    def _fixed(self, element: Element, kind: Scalar) -> Writer:
        """Characters or bytes of a fixed length; text is padded with NUL, never cut."""
        to_bytes, null, offset = self.bytes_of(kind), self._null_number(kind), element.offset
        length, is_text = kind.length, kind.is_text
        nullable = element.is_optional or not self.strict

        def write(out: bytearray, base: int, value: Any) -> None:
            if value is None:
                _require(nullable)
                null(out, base + offset)
                return
            content = to_bytes(value)
            if len(content) > length:
                raise EncodeError("", f"{len(content)} bytes, at most {length}")
            if not is_text and len(content) != length:
                raise EncodeError("", f"{len(content)} bytes, expected {length}")
            out[base + offset : base + offset + len(content)] = content

        return write

    def _array(self, element: Element, kind: Scalar) -> Writer:
        pack, number = self._pack(kind.primitive), self._number(element, kind)
        null, offset, size = kind.null, element.offset, kind.primitive.size
        nullable = element.is_optional or not self.strict

        def write(out: bytearray, base: int, value: Any) -> None:
            if value is None:
                _require(nullable)
                value = [None] * kind.length
            if not isinstance(value, Sequence) or len(value) != kind.length:
                raise EncodeError("", f"expected {kind.length} numbers, was {value!r}")
            for index, item in enumerate(value):
                try:
                    if item is None:
                        _require(nullable)
                    wire = null if item is None else number(item)
                    pack(out, base + offset + index * size, wire)
                except EncodeError as error:
                    raise error.under(f"[{index}]") from None

        return write

    def bytes_of(self, kind: Scalar) -> Callable[[Any], bytes]:
        """Makes bytes of text in its encoding, or of bytes, hex, or a list of numbers."""
        encoding, is_text = kind.encoding or "ascii", kind.is_text

        def to_bytes(value: Any) -> bytes:
            if isinstance(value, str):
                if not is_text:
                    return _from_hex(value)
                try:
                    return value.encode(encoding)
                except UnicodeEncodeError as error:
                    raise EncodeError("", str(error)) from None
            if isinstance(value, (bytes, bytearray, memoryview)):
                return bytes(value)
            if isinstance(value, Mapping) and set(value) == {"hex"}:
                return _from_hex(value["hex"])
            if isinstance(value, list) and all(is_int(v) and 0 <= v <= 255 for v in value):
                return bytes(value)
            raise EncodeError("", f"expected text or bytes, was {value!r}")

        return to_bytes


def may_be_left_out(element: Element) -> bool:
    """Whether the value of an element may be missing: constants, optionals, empty sets."""
    if element.presence != "required" or isinstance(element.type, Set):
        return True
    kind = element.type
    if not isinstance(kind, Composite):
        return False
    wire = [member for member in kind.members if member.presence != CONSTANT]
    return not wire or may_be_left_out(wire[0])


def is_int(value: Any) -> bool:
    """Whether a value is a whole number, and not True or False."""
    return isinstance(value, int) and not isinstance(value, bool)


def _require(allowed: bool) -> None:
    if not allowed:
        raise EncodeError("", "required, was null")


def _whole(value: Any) -> int:
    if not is_int(value):
        raise EncodeError("", f"expected a whole number, was {value!r}")
    return int(value)


def _character(value: Any) -> int:
    if isinstance(value, str) and len(value) == 1 and ord(value) < 256:
        return ord(value)
    if not is_int(value):
        raise EncodeError("", f"expected one character, was {value!r}")
    return int(value)


def _real(value: Any) -> float:
    value = _NOT_FINITE.get(value, value) if isinstance(value, str) else value
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise EncodeError("", f"expected a number, was {value!r}")
    return value


_CONVERSIONS: dict[str, Callable[[Any], int | float]] = {"char": _character, "float": _real}


def _from_hex(text: Any) -> bytes:
    try:
        return bytes.fromhex(text)
    except (TypeError, ValueError):
        raise EncodeError("", f"expected hex, was {text!r}") from None
