"""Comparing products without overflow."""

from core.atomics import multiply_high
from core.jit import jit


@jit
def product_above(a, b, c, d):
    """a × b > c × d for all ≥ 0, in 128 bits."""
    left, right = multiply_high(a, b), multiply_high(c, d)
    if left != right:
        return left > right
    low_left, low_right = (a * b) ^ (-1 << 63), (c * d) ^ (-1 << 63)  # Order as if unsigned.
    return low_left > low_right
