"""Why an order is refused, in words, compiled: a client that runs wild gets its rejects as fast.

    "open orders " 3 " at their limit " 4 " of the account"     a row of REFUSAL
    58=open orders 4096 at their limit 4096 of the account      with the event's numbers

The words are those of gateway/fix/texts.py. A reason without a row there, or one whose words need
more than the event's numbers, is left to Python.
"""

from core.jit import jit
from gateway.fix.numbers import SOH, put_decimal, put_integer, put_scaled
from gateway.fix.records import (
    F_CODE,
    F_LENGTH,
    F_TEXT,
    NUMBER_COUNT,
    NUMBER_LIMIT,
    NUMBER_MOST,
    NUMBER_NEEDED,
    NUMBER_VALUE,
    REFUSAL_SIZE,
    T_REFUSAL_COUNT,
    T_REFUSALS,
)
from sbe.raw import load_i64, load_u8, store_i64, store_u8

SPACE = 32
_103 = int.from_bytes(b"103=", "little")
_58 = int.from_bytes(b"58=", "little")


@jit
def refusal_of(t: int, reason: int) -> int:
    """Address of a reason's REFUSAL; 0 where Python has to find the words."""
    if reason < 0 or reason >= load_i64(t + T_REFUSAL_COUNT):
        return 0
    row = load_i64(t + T_REFUSALS) + reason * REFUSAL_SIZE
    return row if load_i64(row + F_LENGTH) else 0


@jit
def put_number(a: int, which: int, value: int, limit: int, decimals: int) -> int:
    """One of an event's two numbers in the unit its place in the text has; the address after."""
    number = limit
    if which in (NUMBER_VALUE, NUMBER_COUNT, NUMBER_NEEDED):
        number = value
    if which in (NUMBER_VALUE, NUMBER_LIMIT):
        return put_decimal(a, number)
    if which in (NUMBER_COUNT, NUMBER_MOST):
        return put_integer(a, number)
    return put_scaled(a, number, decimals)


@jit
def put_refusal(a: int, row: int, value: int, limit: int, decimals: int) -> int:
    """OrdRejReason (103) and Text (58) at an address; the address after them.

    row: a REFUSAL; 0 puts nothing. value, limit: `detail` and `limit` of the event. decimals: of
    the quote asset.
    """
    if row == 0:
        return a
    store_i64(a, _103)
    a = put_integer(a + 4, load_i64(row + F_CODE))
    store_u8(a, SOH)
    store_i64(a + 1, _58)
    a += 4
    for at in range(load_i64(row + F_LENGTH)):
        letter = load_u8(row + F_TEXT + at)
        if letter >= SPACE:
            store_u8(a, letter)
            a += 1
        else:
            a = put_number(a, letter, value, limit, decimals)
    store_u8(a, SOH)
    return a + 1
