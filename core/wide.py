"""Wide integers: 128-bit signed numbers for compiled code, and rates to multiply them by.

Margin multiplies money by rates whose product doesn't fit 64 bits and mustn't be rounded early. A
wide number is an LLVM i128: + − and comparisons are two instructions, and a product with a rate is
taken in 256 bits. From Python the same functions work on plain integers.

    wide(a)            an int64 as a wide number        product(a, b)   a × b of two int64, exact
    join(high, low)    from two words                   high(x), low(x) back into two words
    times(x, rate)     x × rate / 2^RATE_BITS, rounded to the nearest
    greater(x, y), lesser(x, y), clip(x)                clip: the greater of x and 0
    shifted(x, bits)   x × 2^bits                       multiple(x, a)   x × an int64
    at(array, place)   of an array of pairs of words, or of a flat array of int64

Rates are wide numbers with RATE_BITS binary places. What else is done with them is in
core.engine.margin.rates.
"""

import operator
from collections.abc import Callable
from typing import Any, TypeVar

from llvmlite import ir
from numba.core import types
from numba.core.typing.templates import ConcreteTemplate, infer_global, signature
from numba.extending import (
    lower_builtin,
    models,
    overload,
    register_model,
    type_callable,
)

RATE_BITS = 110
RATE_ONE = 1 << RATE_BITS
_I64, _I128 = ir.IntType(64), ir.IntType(128)
_LOW = (1 << 64) - 1


Generate = TypeVar("Generate", bound=Callable[..., Any])


class Wide(types.Type):
    """numba's type of a wide number."""

    def __init__(self) -> None:
        super().__init__(name="wide")


WIDE = Wide()


@register_model(Wide)
class _WideModel(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: Any) -> None:
        super().__init__(manager, kind, _I128)  # type: ignore[no-untyped-call]


# ---- operators -----------------------------------------------------------------------------------


def _operate(operation: Any, result: Any, operands: int, generate: Any) -> None:
    class Operation(ConcreteTemplate):
        cases = (signature(result, *[WIDE] * operands),)

    infer_global(operation)(Operation)
    lower_builtin(operation, *[WIDE] * operands)(
        lambda context, builder, sign, numbers: generate(builder, *numbers))


def _compares(relation: str) -> Any:
    return lambda builder, a, b: builder.icmp_signed(relation, a, b)


_operate(operator.add, WIDE, 2, lambda builder, a, b: builder.add(a, b))
_operate(operator.iadd, WIDE, 2, lambda builder, a, b: builder.add(a, b))
_operate(operator.sub, WIDE, 2, lambda builder, a, b: builder.sub(a, b))
_operate(operator.isub, WIDE, 2, lambda builder, a, b: builder.sub(a, b))
_operate(operator.neg, WIDE, 1, lambda builder, a: builder.neg(a))
_operate(operator.lt, types.boolean, 2, _compares("<"))
_operate(operator.le, types.boolean, 2, _compares("<="))
_operate(operator.gt, types.boolean, 2, _compares(">"))
_operate(operator.ge, types.boolean, 2, _compares(">="))
_operate(operator.eq, types.boolean, 2, _compares("=="))
_operate(operator.ne, types.boolean, 2, _compares("!="))


# ---- functions -----------------------------------------------------------------------------------


def _function(
    name: Callable[..., Any], result: Any, given: tuple[Any, ...]
) -> Callable[[Generate], Generate]:
    """Decorate what emits a function's instructions, given a builder and its arguments."""

    def fits(*kinds: Any) -> Any:
        for kind, wanted in zip(kinds, given, strict=True):
            if kind != wanted and not (wanted is types.int64 and isinstance(kind, types.Integer)):
                return None
        return result(*given)

    typer = (lambda a: fits(a), lambda a, b: fits(a, b))[len(given) - 1]

    def decorate(generate: Generate) -> Generate:
        type_callable(name)(lambda context: typer)
        lower_builtin(name, *given)(
            lambda context, builder, sign, values: generate(builder, *values))
        return generate

    return decorate


def wide(a: int) -> int:
    """An int64 as a wide number."""
    return a


def product(a: int, b: int) -> int:
    """a × b of two int64, exact."""
    return a * b


def join(high: int, low: int) -> int:
    """The wide number of which these are the words."""
    return (high << 64) | (low & _LOW)


def high(x: int) -> int:
    """The upper word, signed."""
    return x >> 64


def low(x: int) -> int:
    """The lower word, as int64."""
    word = x & _LOW
    return word - (1 << 64) if word >> 63 else word


def times(x: int, rate: int) -> int:
    """x × rate, rounded to the nearest; it must fit."""
    return (x * rate + (1 << (RATE_BITS - 1))) >> RATE_BITS


def greater(x: int, y: int) -> int:
    """The greater of two wide numbers."""
    return max(x, y)


def lesser(x: int, y: int) -> int:
    """The lesser of two wide numbers."""
    return min(x, y)


def clip(x: int) -> int:
    """A wide number, or 0 if it is below."""
    return max(x, 0)


def shifted(x: int, bits: int) -> int:
    """x × 2^bits."""
    return x << bits


def halved(x: int) -> int:
    """x / 2, rounded down."""
    return x >> 1


def multiple(x: int, count: int) -> int:
    """x × an int64; it must fit."""
    return x * count


def words(x: int) -> tuple[int, int]:
    """The words of a wide number, for constants of compiled code and records."""
    return high(x), low(x)


def at(pairs, place):  # type: ignore[no-untyped-def]
    """A wide number of an array whose last axis is its two words; of a flat array, its int64."""
    return pairs[place] if pairs.ndim == 1 else join(int(pairs[place, 0]), int(pairs[place, 1]))


@_function(wide, WIDE, (types.int64,))
def _wide(builder: Any, a: Any) -> Any:
    return builder.sext(a, _I128)


@_function(product, WIDE, (types.int64, types.int64))
def _product(builder: Any, a: Any, b: Any) -> Any:
    return builder.mul(builder.sext(a, _I128), builder.sext(b, _I128))


@_function(join, WIDE, (types.int64, types.int64))
def _join(builder: Any, high: Any, low: Any) -> Any:
    upper = builder.shl(builder.zext(high, _I128), ir.Constant(_I128, 64))
    return builder.or_(upper, builder.zext(low, _I128))


@_function(high, types.int64, (WIDE,))
def _high(builder: Any, x: Any) -> Any:
    return builder.trunc(builder.lshr(x, ir.Constant(_I128, 64)), _I64)


@_function(low, types.int64, (WIDE,))
def _low_word(builder: Any, x: Any) -> Any:
    return builder.trunc(x, _I64)


@_function(times, WIDE, (WIDE, WIDE))
def _times(builder: Any, x: Any, rate: Any) -> Any:
    """Four products of words, as of unsigned numbers, and what the signs take from the upper half.

    LLVM multiplies sign-extended i256 with ten and their carries, in three times the time.
    """
    def word(number: Any, shift: int) -> Any:
        moved = builder.lshr(number, ir.Constant(_I128, shift))
        return builder.zext(builder.trunc(moved, _I64), _I128)

    x_low, x_high, rate_low, rate_high = word(x, 0), word(x, 64), word(rate, 0), word(rate, 64)
    lowest, highest = builder.mul(x_low, rate_low), builder.mul(x_high, rate_high)
    across = builder.mul(x_low, rate_high), builder.mul(x_high, rate_low)
    middle = builder.add(word(lowest, 64), builder.add(word(across[0], 0), word(across[1], 0)))
    lower = builder.or_(builder.shl(middle, ir.Constant(_I128, 64)), word(lowest, 0))
    upper = highest
    for part in (*across, middle):
        upper = builder.add(upper, word(part, 64))
    sign = ir.Constant(_I128, 127)
    upper = builder.sub(upper, builder.and_(builder.ashr(x, sign), rate))
    upper = builder.sub(upper, builder.and_(builder.ashr(rate, sign), x))
    rounded = builder.add(lower, ir.Constant(_I128, 1 << (RATE_BITS - 1)))
    upper = builder.add(upper, builder.zext(builder.icmp_unsigned("<", rounded, lower), _I128))
    return builder.or_(
        builder.shl(upper, ir.Constant(_I128, 128 - RATE_BITS)),
        builder.lshr(rounded, ir.Constant(_I128, RATE_BITS)),
    )


@_function(greater, WIDE, (WIDE, WIDE))
def _greater(builder: Any, x: Any, y: Any) -> Any:
    return builder.select(builder.icmp_signed(">", x, y), x, y)


@_function(lesser, WIDE, (WIDE, WIDE))
def _lesser(builder: Any, x: Any, y: Any) -> Any:
    return builder.select(builder.icmp_signed("<", x, y), x, y)


@_function(clip, WIDE, (WIDE,))
def _clip(builder: Any, x: Any) -> Any:
    zero = ir.Constant(_I128, 0)
    return builder.select(builder.icmp_signed(">", x, zero), x, zero)


@_function(shifted, WIDE, (WIDE, types.int64))
def _shifted(builder: Any, x: Any, bits: Any) -> Any:
    return builder.shl(x, builder.zext(bits, _I128))


@_function(halved, WIDE, (WIDE,))
def _halved(builder: Any, x: Any) -> Any:
    return builder.ashr(x, ir.Constant(_I128, 1))


@_function(multiple, WIDE, (WIDE, types.int64))
def _multiple(builder: Any, x: Any, count: Any) -> Any:
    return builder.mul(x, builder.sext(count, _I128))


@overload(at, inline="always")
def _at(pairs, place):  # type: ignore[no-untyped-def]  # numba compares the bare signatures.
    if pairs.ndim == 1:
        return lambda pairs, place: pairs[place]
    return lambda pairs, place: join(pairs[place, 0], pairs[place, 1])
