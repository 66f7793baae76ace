"""What margin does with wide numbers beyond + − ×: records' fields, rates, quotients, roots.

Floats only estimate a root here, which integers then correct: no result depends on their rounding.
"""

import math
from fractions import Fraction

from core.jit import jit
from core.wide import RATE_BITS, high, join, low, product, shifted, times, wide, words

_PER_TRILLION = round(Fraction(1 << (RATE_BITS + 50), 10**12))
_PER_TRILLION_HIGH, _PER_TRILLION_LOW = words(_PER_TRILLION)
_THOUSANDTH_HIGH, _THOUSANDTH_LOW = words(round(Fraction(1 << RATE_BITS, 1000)))
_TWO_64 = 18446744073709551616.0
_QUOTIENT_BITS = 16
MICRO = 100_000_000_000_000  # money of margin_records in one USDC unit
_TOLERANCE = 100_000  # As of losses: what products with rates may be off by, and more.
_PER_UNIT_HIGH, _PER_UNIT_LOW = words((1 << RATE_BITS) // MICRO)


@jit
def amount(words):
    """The wide number in a record's field of two words."""
    return join(words[0], words[1])


@jit
def keep(words, x):
    """Write a wide number into a field of two words."""
    words[0] = high(x)
    words[1] = low(x)


@jit
def units_up(money):
    """Wide money in USDC units, rounded up unless it is whole but for the last digits."""
    below = money - wide(_TOLERANCE + MICRO // 2)
    return low(times(below, join(_PER_UNIT_HIGH, _PER_UNIT_LOW))) + 1


@jit
def thousandth(x):
    """x / 1000, rounded to the nearest."""
    return times(x, join(_THOUSANDTH_HIGH, _THOUSANDTH_LOW))


@jit
def rate_of(decimal):
    """A decimal in units of 1e-12, at most 16, as a rate."""
    return times(shifted(wide(decimal), 60), join(_PER_TRILLION_HIGH, _PER_TRILLION_LOW))


@jit
def quotient(x, y):
    """x / y as a rate, rounded down; 0 ≤ x, 0 < y < 2^126, and the quotient below 2^16."""
    bits = RATE_BITS
    while x >= y and bits > RATE_BITS - _QUOTIENT_BITS:
        y = shifted(y, 1)
        bits -= 1
    found = wide(0)
    for _ in range(2 * RATE_BITS - bits):
        x = shifted(x, 1)
        found = shifted(found, 1)
        if x >= y:
            x = x - y
            found += wide(1)
    return found


@jit
def root(x):
    """floor(√x) of a wide number, 0 ≤ x < 2^125, as int64."""
    estimate = int(math.sqrt(float(high(x)) * _TWO_64 + _unsigned(low(x))))
    if estimate == 0:
        return 0
    rest = x - product(estimate, estimate)
    estimate += int((float(high(rest)) * _TWO_64 + _unsigned(low(rest))) / (2.0 * estimate))
    while product(estimate, estimate) > x:
        estimate -= 1
    while product(estimate + 1, estimate + 1) <= x:
        estimate += 1
    return estimate


@jit
def _unsigned(word):
    return float(word) if word >= 0 else float(word) + _TWO_64
