"""Exact arithmetic against Python's own integers."""

from math import isqrt

import numpy as np
from hypothesis import assume, given
from hypothesis import strategies as st

from core.engine.margin.linear import notional_requirement, size_requirement, size_threshold
from core.engine.money import (
    multiply_divide,
    multiply_divide_up,
    set_value_factor,
    share_down,
    share_up,
    value_down,
    value_up,
)
from core.jit import jit
from core.records import ASSET

LARGE = st.integers(0, (1 << 62) - 1)
RECORD = np.zeros(1, ASSET)


@given(LARGE, LARGE, st.integers(1, (1 << 62) - 1))
def test_products_are_divided_exactly(a: int, b: int, divisor: int) -> None:
    assume(a * b // divisor < 1 << 62)
    assert multiply_divide(a, b, divisor) == a * b // divisor
    assert multiply_divide_up(a, b, divisor) == -(-a * b // divisor)


@given(st.integers(0, 1 << 58), st.integers(0, 10**6))
def test_shares_round_as_they_say(value: int, parts: int) -> None:
    assert share_down(value, parts) == value * parts // 10**6
    assert share_up(value, parts) == -(-value * parts // 10**6)


@jit
def _worth(state: np.ndarray, unit: int, price: int, amount: int) -> tuple[int, int]:
    asset = state[0]
    asset.index_price = price
    set_value_factor(asset, unit, price)
    return value_down(asset, amount), value_up(asset, amount)


@given(st.integers(0, 1 << 56), st.integers(0, 12), st.integers(1, 1 << 52))
def test_values_at_the_index_are_exact(amount: int, decimals: int, price: int) -> None:
    divisor = 100 * 10**decimals
    assume(amount * price // divisor < 1 << 62)
    down, up = _worth(RECORD, 10**decimals, price, amount)
    assert down == amount * price // divisor
    assert up == -(-amount * price // divisor)


@given(st.integers(1, 1 << 56), st.integers(1, 10**6), st.integers(0, 10**6))
def test_requirements_are_the_greater_of_base_and_size(
    notional: int, base: int, factor: int
) -> None:
    required = notional_requirement(notional, base, factor, size_threshold(base, factor))
    by_base = -(-notional * base // 10**6)
    # factor × 1e-9 × √(notional / 1e6) × notional, to the unit.
    by_size = factor * isqrt(notional**3) // 10**12
    assert required >= min(notional, by_base)
    assert required >= min(notional, by_size)
    assert required <= max(by_base, min(notional, by_size + 2))
    assert size_requirement(notional, factor) <= notional
