"""Exact integer arithmetic on money: 128-bit products, and shares.

Nothing here overflows silently: a product that may not fit goes through `multiply_divide`, and the
listing and deposit limits of `core.engine.registry` keep everything else below 2^62.
"""

from core.atomics import multiply_high
from core.jit import jit

MILLION = 1_000_000
UNITS_MAX = 1 << 56  # of an asset ever deposited, and of the value of one position
PRICE_ONE = 100_000_000  # exponent -8


@jit
def multiply_divide(a, b, divisor):
    """floor(a × b / divisor) with a 128-bit product; a, b ≥ 0, 0 < divisor < 2^62.

    The quotient must fit int64; the listing limits see to that.
    """
    high = multiply_high(a, b)
    low = a * b
    if high == 0 and low >= 0:
        return low // divisor
    assert high < divisor, "Invariant: a quotient of money fits 63 bits."
    quotient = 0
    for bit in range(63, -1, -1):
        high = (high << 1) | ((low >> bit) & 1)
        quotient <<= 1
        if high >= divisor:
            high -= divisor
            quotient |= 1
    return quotient


@jit
def multiply_divide_up(a, b, divisor):
    """ceil(a × b / divisor); like `multiply_divide`."""
    quotient = multiply_divide(a, b, divisor)
    return quotient + (a * b - quotient * divisor != 0)  # The remainder is exact modulo 2^64.


@jit
def share_up(value, parts_per_million):
    """ceil(value × parts / 1e6) for both ≥ 0, without a division at run time."""
    whole = value // MILLION
    rest = value - whole * MILLION
    return whole * parts_per_million + (rest * parts_per_million + MILLION - 1) // MILLION


@jit
def share_down(value, parts_per_million):
    """floor(value × parts / 1e6) for both ≥ 0, without a division at run time."""
    whole = value // MILLION
    rest = value - whole * MILLION
    return whole * parts_per_million + rest * parts_per_million // MILLION


@jit
def set_value_factor(asset, unit, price):
    """Prepare `value_down` of an asset whose whole is `unit` units, at an index price > 0.

    factor / 2^shift is just below price / (100 × unit), USDC units per unit of the asset.
    """
    divisor = 100 * unit
    factor = price // divisor
    rest = price - factor * divisor
    shift = 0
    while factor < 1 << 61:
        factor <<= 1
        rest <<= 1
        shift += 1
        if rest >= divisor:
            rest -= divisor
            factor += 1
    asset.value_divisor = divisor
    asset.value_factor = factor
    asset.value_shift = shift


@jit
def value_down(asset, amount):
    """USDC units of an amount ≥ 0 of an asset at its index, rounded down exactly; 0 without one."""
    price = asset.index_price
    if price == 0:
        return 0
    high = multiply_high(amount, asset.value_factor)
    low = amount * asset.value_factor
    shift = asset.value_shift
    if shift >= 64:
        value = high >> (shift - 64)
    elif shift > 0:
        value = (high << (64 - shift)) | ((low >> shift) & ((1 << (64 - shift)) - 1))
    else:
        value = low
    # The estimate may be one too small; the remainder is exact modulo 2^64.
    return value + (amount * price - value * asset.value_divisor >= asset.value_divisor)


@jit
def value_up(asset, amount):
    """USDC units of an amount ≥ 0 of an asset at its index, rounded up exactly; 0 without one."""
    value = value_down(asset, amount)
    if asset.index_price == 0:
        return 0
    return value + (amount * asset.index_price - value * asset.value_divisor != 0)
