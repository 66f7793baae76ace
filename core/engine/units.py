"""From wire prices and quantities to ticks and lots, exactly and without dividing.

A price is valid when it is a multiple of the tick. For a fixed divisor d = odd × 2^shift both the
test and the quotient are one multiplication (Granlund and Montgomery 1994, section 9): the odd part
has an inverse modulo 2^64, and x is a multiple of it exactly when x × inverse comes out small.

    quotient = (x >> shift) × inverse mod 2^64,   valid when x's low bits are 0 and
                                                  0 ≤ quotient ≤ (2^63 − 1) / d
"""

from core.jit import jit

INT64_MAX = (1 << 63) - 1
NOT_A_MULTIPLE = -1


def division_constants(divisor: int) -> tuple[int, int, int]:
    """(inverse as int64, shift, greatest quotient) for `exact_quotient`; plain Python."""
    assert divisor > 0, "Invariant: a tick and a lot are positive."
    shift = (divisor & -divisor).bit_length() - 1
    inverse = pow(divisor >> shift, -1, 1 << 64)
    return inverse - (1 << 64) if inverse >= 1 << 63 else inverse, shift, INT64_MAX // divisor


@jit
def inverse_of_odd(odd):
    """The inverse of an odd number modulo 2^64: Newton's iteration, each step doubles the bits."""
    inverse = odd * 3 ^ 2  # Right in the low 5 bits.
    for _ in range(4):
        inverse *= 2 - odd * inverse
    return inverse


@jit
def exact_quotient(value, inverse, shift, quotient_maximum):
    """value / divisor, or NOT_A_MULTIPLE; value must not be negative."""
    quotient = (value >> shift) * inverse
    if value & ((1 << shift) - 1) != 0 or quotient < 0 or quotient > quotient_maximum:
        return NOT_A_MULTIPLE
    return quotient


@jit
def ticks_of(book, price):
    """A wire price in ticks, or NOT_A_MULTIPLE."""
    if price < 0:
        return NOT_A_MULTIPLE
    return exact_quotient(price, book.tick_inverse, book.tick_shift, book.tick_quotient_maximum)


@jit
def lots_of(book, quantity):
    """A wire quantity in lots, or NOT_A_MULTIPLE."""
    if quantity < 0:
        return NOT_A_MULTIPLE
    return exact_quotient(quantity, book.lot_inverse, book.lot_shift, book.lot_quotient_maximum)


@jit
def value_of(book, tick, lots):
    """Quote units of lots at a tick; cannot overflow by the listing rule."""
    return tick * lots * book.value_per_tick_lot
