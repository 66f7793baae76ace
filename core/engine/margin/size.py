"""The rate that grows with a position, as large ones are harder to close: min(1, f √N).

√ of N in USDC, down to 1e-12. The rate is in units of 1e-24, so that nothing of it is rounded; what
of an amount it is, to the nearest 1e-20 USDC.
"""

from fractions import Fraction

from core.engine.margin.rates import root
from core.jit import jit
from core.wide import join, lesser, multiple, product, shifted, times, words

_TO_24 = 10_000  # from money to units of 1e-24, whose root has 12 places
_PER_24_HIGH, _PER_24_LOW = words(round(Fraction(1 << 190, 10**24)))  # 2^80 of a rate's worth
_ONE_24_HIGH, _ONE_24_LOW = words(10**24)


@jit
def one():
    """All of an amount."""
    return join(_ONE_24_HIGH, _ONE_24_LOW)


@jit
def root_of(money):
    """√ in USDC, in units of 1e-12, rounded down."""
    return root(multiple(money, _TO_24))


@jit
def size_rate(factor, notional):
    """min(1, f √N) for a factor in units of 1e-12."""
    return lesser(product(factor, root_of(notional)), one())


@jit
def share_of(money, rate):
    """What of an amount a rate in units of 1e-24, from 0 to 1, is."""
    return times(money, times(shifted(rate, 30), join(_PER_24_HIGH, _PER_24_LOW)))
