"""Wide numbers in compiled code, against Python's own integers."""

import math
from fractions import Fraction
from random import Random
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core import wide
from core.engine.margin.rates import amount, keep, quotient, rate_of, root
from core.jit import jit
from core.wide import RATE_BITS, times

Words = NDArray[np.int64]


@jit
def _arithmetic(x: Words, y: Words, results: Words) -> None:
    a, b = amount(x), amount(y)
    keep(results[0], a + b)
    keep(results[1], a - b)
    keep(results[2], -a)
    keep(results[3], wide.greater(a, b))
    keep(results[4], wide.clip(a))
    results[5, 0] = (a < b) * 1 + (a == b) * 2 + (a >= b) * 4
    keep(results[6], wide.product(x[0], y[1]))
    keep(results[7], wide.halved(a))


@jit
def _times(x: Words, rate: Words, result: Words) -> None:
    keep(result, times(amount(x), amount(rate)))


@jit
def _quotient(x: Words, y: Words, result: Words) -> None:
    keep(result, quotient(amount(x), amount(y)))


@jit
def _root(x: Words) -> Any:
    return root(amount(x))


@jit
def _rate(decimal: int, result: Words) -> None:
    keep(result, rate_of(decimal))


def words(x: int) -> Words:
    return np.array(wide.words(x), np.int64)


def number(pair: Any) -> int:
    return wide.join(int(pair[0]), int(pair[1]))


def signed(random: Random, bits: int) -> int:
    return random.choice((-1, 1)) * random.getrandbits(random.randint(1, bits))


def test_sums_differences_and_comparisons_are_those_of_integers() -> None:
    random = Random(1)
    results = np.zeros((8, 2), np.int64)
    for _ in range(2_000):
        a, b = signed(random, 125), signed(random, 125)
        _arithmetic(words(a), words(b), results)
        found = [number(pair) for pair in results]
        assert found[:5] == [a + b, a - b, -a, max(a, b), max(a, 0)]
        assert results[5, 0] == (a < b) + 2 * (a == b) + 4 * (a >= b)
        assert found[6] == wide.high(a) * wide.low(b)
        assert found[7] == a // 2


def test_a_product_with_a_rate_is_rounded_to_the_nearest() -> None:
    random = Random(2)
    result = np.zeros(2, np.int64)
    for _ in range(2_000):
        x, rate = signed(random, 120), signed(random, RATE_BITS + 3)
        _times(words(x), words(rate), result)
        assert number(result) == wide.times(x, rate)
        assert abs(number(result) - Fraction(x * rate, 1 << RATE_BITS)) <= Fraction(1, 2)


def test_quotients_and_roots_are_rounded_down_exactly() -> None:
    random = Random(3)
    result = np.zeros(2, np.int64)
    for _ in range(2_000):
        y = random.getrandbits(random.randint(1, 105)) + 1
        x = random.randint(0, y * random.choice((1, 2, 1_000)))
        _quotient(words(x), words(y), result)
        assert number(result) == (x << RATE_BITS) // y
        square = random.choice((random.getrandbits(125), random.getrandbits(62) ** 2))
        for near in (square, max(square - 1, 0), square + 1):
            assert _root(words(near)) == math.isqrt(near)


def test_a_decimal_becomes_the_nearest_rate() -> None:
    random = Random(4)
    result = np.zeros(2, np.int64)
    for decimal in (0, 1, 10**12, 16 * 10**12, *(random.randint(0, 10**12) for _ in range(500))):
        _rate(decimal, result)
        assert abs(number(result) - Fraction(decimal << RATE_BITS, 10**12)) <= 1
