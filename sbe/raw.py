"""Unaligned loads and stores at raw addresses, from compiled code and from plain Python.

An *address* is an int64; nothing here checks it. Every operation is one function object with two
bodies: in numba code it is lowered in place to a few machine instructions (no call, and a hundredth
of the compile time that an `njit` function of one line costs: measured 3 ms against 35 ms); called
from the interpreter it goes through ctypes, which also serves NUMBA_DISABLE_JIT=1.

    kind   bytes  comes as          kind       the same, big-endian
    i8 u8    1    int64             i16_be … f64_be
    i16 u16  2    int64
    i32 u32  4    int64
    i64      8    int64
    u64      8    uint64 (never mix it with int64: numba would make the result a float)
    f32 f64  4 8  float64
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import cache
from typing import Any, TypeVar, cast

import numba
import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import lower_builtin, type_callable

_Function = TypeVar("_Function", bound=Callable[..., Any])

_BYTE = ir.IntType(8)
_WORD = ir.IntType(64)

#: kind -> (bits, signed, floating)
_SHAPES = {
    "i8": (8, True, False),
    "u8": (8, False, False),
    "i16": (16, True, False),
    "u16": (16, False, False),
    "i32": (32, True, False),
    "u32": (32, False, False),
    "i64": (64, True, False),
    "u64": (64, False, False),
    "f32": (32, True, True),
    "f64": (64, True, True),
}
_CTYPES: dict[str, Any] = {
    "i8": ctypes.c_int8,
    "u8": ctypes.c_uint8,
    "i16": ctypes.c_int16,
    "u16": ctypes.c_uint16,
    "i32": ctypes.c_int32,
    "u32": ctypes.c_uint32,
    "i64": ctypes.c_int64,
    "u64": ctypes.c_uint64,
    "f32": ctypes.c_float,
    "f64": ctypes.c_double,
}


def compiled(function: _Function) -> _Function:
    """The decorator of the few generated functions that hold logic.

    No cache: a cached function that calls them has them in its own.
    """
    return cast(_Function, numba.njit(nogil=True, error_model="python")(function))


def _split(kind: str) -> tuple[str, bool]:
    """The little-endian kind, and whether the bytes are the other way round."""
    base, _, suffix = kind.partition("_")
    if base not in _SHAPES or suffix not in ("", "be"):
        raise ValueError(f"a kind is one of {', '.join(_SHAPES)}, or ends in _be: was {kind}")
    return base, suffix == "be" and _SHAPES[base][0] > 8


def _ctype(kind: str) -> Any:
    base, swapped = _split(kind)
    return _CTYPES[base].__ctype_be__ if swapped else _CTYPES[base]


def _operation(python: Callable[..., Any], typer: Callable[..., Any], lower: Any) -> Any:
    """Give the Python function `python` a compiled body of its own."""
    type_callable(python)(lambda context: typer)
    lower_builtin(python, types.VarArg(types.Any))(lower)
    return python


def _is_address(kind: types.Type) -> bool:
    return isinstance(kind, types.Integer)


def _word(context: Any, builder: Any, value: Any, kind: types.Type) -> Any:
    return context.cast(builder, value, kind, types.int64)


def _pointer(builder: Any, address: Any, offset: int, pointee: Any) -> Any:
    if offset:
        address = builder.add(address, ir.Constant(_WORD, offset))
    return builder.inttoptr(address, pointee.as_pointer())


def _put(builder: Any, address: Any, offset: int, value: Any) -> None:
    """Store an LLVM integer at any alignment."""
    builder.store(value, _pointer(builder, address, offset, value.type), align=1)


@cache
def load(kind: str, offset: int = 0) -> Callable[[int], int]:
    """A function that reads a value of `kind` at its address plus `offset` bytes."""
    base, swapped = _split(kind)
    bits, signed, floating = _SHAPES[base]
    ctype = _ctype(kind)
    result = types.float64 if floating else types.uint64 if base == "u64" else types.int64

    def read(address: int) -> int:
        value: int = ctype.from_address(address + offset).value
        return value

    def typer(address: types.Type) -> Any:
        return result(types.int64) if _is_address(address) else None

    def lower(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        raw = ir.IntType(bits)
        value = builder.load(_pointer(builder, args[0], offset, raw), align=1)
        if swapped:
            value = builder.bswap(value)
        if floating:
            value = builder.bitcast(value, ir.FloatType() if bits == 32 else ir.DoubleType())
            return builder.fpext(value, ir.DoubleType()) if bits == 32 else value
        if bits == 64:
            return value
        return builder.sext(value, _WORD) if signed else builder.zext(value, _WORD)

    return _operation(read, typer, lower)


def _stored(context: Any, builder: Any, kind: str, value: Any, given: types.Type) -> Any:
    """The LLVM integer that holds `value` on the wire."""
    base, swapped = _split(kind)
    bits, signed, floating = _SHAPES[base]
    wanted = getattr(types, f"float{bits}" if floating else f"{'' if signed else 'u'}int{bits}")
    value = context.cast(builder, value, given, wanted)
    if floating:
        value = builder.bitcast(value, ir.IntType(bits))
    return builder.bswap(value) if swapped else value


def _is_value(kind: str, given: types.Type) -> bool:
    whole = isinstance(given, (types.Integer, types.Boolean, types.IntEnumMember))
    return whole or (_SHAPES[_split(kind)[0]][2] and isinstance(given, types.Float))


@cache
def store(kind: str, offset: int = 0) -> Callable[[int, int], None]:
    """A function (address, value) that writes a value of `kind` at address plus `offset` bytes.

    Of an integer too wide the low bits are stored.
    """
    ctype = _ctype(kind)
    convert: Callable[[Any], Any] = float if _SHAPES[_split(kind)[0]][2] else int

    def write(address: int, value: int) -> None:
        ctype.from_address(address + offset).value = convert(value)

    def typer(address: types.Type, value: types.Type) -> Any:
        if _is_address(address) and _is_value(kind, value):
            return types.none(types.int64, value)
        return None

    def lower(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        value = _stored(context, builder, kind, args[1], signature.args[1])
        _put(builder, args[0], offset, value)
        return context.get_dummy_value()

    return _operation(write, typer, lower)


@cache
def place(offset: int) -> Callable[[int], int]:
    """A function that gives its address plus `offset`: where an array of bytes lies."""

    def where(address: int) -> int:
        return address + offset

    def typer(address: types.Type) -> Any:
        return types.int64(types.int64) if _is_address(address) else None

    def lower(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.add(args[0], ir.Constant(_WORD, offset))

    return _operation(where, typer, lower)


def _put_image(builder: Any, address: Any, image: bytes) -> None:
    """Store constant bytes in the fewest whole words."""
    position = 0
    for width in (8, 4, 2, 1):
        while len(image) - position >= width:
            word = int.from_bytes(image[position : position + width], "little")
            _put(builder, address, position, ir.Constant(ir.IntType(8 * width), word))
            position += width


@cache
def image(hexadecimal: str) -> Callable[[int], None]:
    """A function that writes fixed bytes at its address: a whole message header in one store."""
    data = bytes.fromhex(hexadecimal)

    def write(address: int) -> None:
        ctypes.memmove(address, data, len(data))

    def typer(address: types.Type) -> Any:
        return types.none(types.int64) if _is_address(address) else None

    def lower(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        _put_image(builder, args[0], data)
        return context.get_dummy_value()

    return _operation(write, typer, lower)


@cache
def image_with(hexadecimal: str, kind: str, offset: int) -> Callable[[int, int], None]:
    """A function (address, value) that writes fixed bytes, then `value` at `offset` in them."""
    data = bytes.fromhex(hexadecimal)
    put = store(kind, offset)

    def write(address: int, value: int) -> None:
        ctypes.memmove(address, data, len(data))
        put(address, value)

    def typer(address: types.Type, value: types.Type) -> Any:
        if _is_address(address) and _is_value(kind, value):
            return types.none(types.int64, value)
        return None

    def lower(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        _put_image(builder, args[0], data)
        value = _stored(context, builder, kind, args[1], signature.args[1])
        _put(builder, args[0], offset, value)
        return context.get_dummy_value()

    return _operation(write, typer, lower)


def address_of(buffer: Any) -> int:
    """The address of the first byte of any buffer; keep the buffer alive as long as you use it."""
    return int(np.frombuffer(buffer, np.uint8).ctypes.data)


def copy(destination: int, source: int, length: int) -> None:
    """Copy `length` bytes; the two places may overlap."""
    ctypes.memmove(destination, source, length)


def fill(address: int, byte: int, length: int) -> None:
    """Set `length` bytes to `byte`."""
    ctypes.memset(address, byte, length)


def equal(left: int, right: int, length: int) -> bool:
    """Whether `length` bytes at two places are the same."""
    return ctypes.string_at(left, length) == ctypes.string_at(right, length)


def _bytes_at(builder: Any, address: Any) -> Any:
    return builder.inttoptr(address, _BYTE.as_pointer())


def _type_copy(destination: types.Type, source: types.Type, length: types.Type) -> Any:
    return types.none(types.int64, types.int64, types.int64)


def _lower_copy(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    target, source = _bytes_at(builder, args[0]), _bytes_at(builder, args[1])
    cgutils.raw_memmove(builder, target, source, args[2], 1)
    return context.get_dummy_value()


def _type_fill(address: types.Type, byte: types.Type, length: types.Type) -> Any:
    return types.none(types.int64, types.int64, types.int64)


def _lower_fill(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    byte = builder.trunc(args[1], _BYTE)
    cgutils.memset(builder, _bytes_at(builder, args[0]), args[2], byte)
    return context.get_dummy_value()


def _type_equal(left: types.Type, right: types.Type, length: types.Type) -> Any:
    return types.boolean(types.int64, types.int64, types.int64)


def _lower_equal(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    pointer = _BYTE.as_pointer()
    shape = ir.FunctionType(ir.IntType(32), [pointer, pointer, _WORD])
    memcmp = cgutils.get_or_insert_function(builder.module, shape, "memcmp")
    left, right = _bytes_at(builder, args[0]), _bytes_at(builder, args[1])
    order = builder.call(memcmp, [left, right, args[2]])
    return builder.icmp_signed("==", order, ir.Constant(ir.IntType(32), 0))


_operation(copy, _type_copy, _lower_copy)
_operation(fill, _type_fill, _lower_fill)
_operation(equal, _type_equal, _lower_equal)

load_i8, load_u8 = load("i8"), load("u8")
load_i16, load_u16 = load("i16"), load("u16")
load_i32, load_u32 = load("i32"), load("u32")
load_i64, load_u64 = load("i64"), load("u64")
load_f32, load_f64 = load("f32"), load("f64")
load_i16_be, load_u16_be = load("i16_be"), load("u16_be")
load_i32_be, load_u32_be = load("i32_be"), load("u32_be")
load_i64_be, load_u64_be = load("i64_be"), load("u64_be")
load_f32_be, load_f64_be = load("f32_be"), load("f64_be")
store_i8, store_u8 = store("i8"), store("u8")
store_i16, store_u16 = store("i16"), store("u16")
store_i32, store_u32 = store("i32"), store("u32")
store_i64, store_u64 = store("i64"), store("u64")
store_f32, store_f64 = store("f32"), store("f64")
store_i16_be, store_u16_be = store("i16_be"), store("u16_be")
store_i32_be, store_u32_be = store("i32_be"), store("u32_be")
store_i64_be, store_u64_be = store("i64_be"), store("u64_be")
store_f32_be, store_f64_be = store("f32_be"), store("f64_be")
