"""Where a FIX message begins and ends in a stream of bytes, compiled.

    8=FIX.4.4␁9=163␁35=D␁ … ␁10=087␁
    └ begin        └ body, 163 bytes ┘└ trailer, 7 bytes

There are exactly two bad inputs. A *partial* message is waited for. A *garbled* one is skipped and
its number not counted: begin, length and type aren't the first three fields, the trailer isn't
where the length says, or the sum is wrong. After it the next `8=FIX` is looked for, from the place
after its own if its length can't be trusted, so that nothing behind it is lost.
"""

from core.jit import jit
from gateway.fix.numbers import NINE, SOH, ZERO, checksum
from sbe.raw import load_i32, load_u8

MESSAGE_BYTES_MAX = 32_768
BEGIN_BYTES_MAX = 16
LENGTH_DIGITS_MAX = 9
TRAILER = 7

PARTIAL = 0
GARBLED = -1
OVERLONG = -2

_8_IS_F = int.from_bytes(b"8=FI", "little")
_X = ord("X")
_9, _3, _5, _1, _0, _IS = (ord(c) for c in "9351" + "0=")


@jit
def find_begin(a: int, at: int, filled: int) -> int:
    """The next place from `at` on where `8=FIX` stands or may be about to; `filled` if none."""
    while at < filled:
        if load_u8(a + at) == ord("8"):
            left = filled - at
            if left >= 5:
                if load_i32(a + at) == _8_IS_F and load_u8(a + at + 4) == _X:
                    return at
            elif begins_like(a + at, left):
                return at
        at += 1
    return filled


@jit
def begins_like(a: int, length: int) -> bool:
    """Whether fewer than five bytes are the first of `8=FIX`."""
    same = True
    for i in range(length):
        same &= load_u8(a + i) == (_8_IS_F >> (8 * i)) & 255
    return same


@jit
def body_start(a: int, length: int) -> int:
    """Offset of the body of the message at `a`, of which `length` bytes are there.

    PARTIAL, or GARBLED if begin and length aren't its first two fields.
    """
    at = 2
    while at < length and load_u8(a + at) != SOH:
        at += 1
        if at > BEGIN_BYTES_MAX:
            return GARBLED
    at += 1
    if at + 2 > length:
        return PARTIAL
    if load_u8(a + at) != _9 or load_u8(a + at + 1) != _IS:
        return GARBLED
    at += 2
    digits = 0
    while at < length and load_u8(a + at) != SOH:
        digit = load_u8(a + at)
        if digit < ZERO or digit > NINE:
            return GARBLED
        digits += 1
        if digits > LENGTH_DIGITS_MAX:
            return OVERLONG
        at += 1
    if at >= length:
        return PARTIAL
    return at + 1 if digits else GARBLED


@jit
def body_length(a: int, start: int) -> int:
    """The value of the length field that ends right before `start`."""
    at = start - 2
    value = 0
    unit = 1
    while load_u8(a + at) != _IS:
        value += (load_u8(a + at) - ZERO) * unit
        unit *= 10
        at -= 1
    return value


@jit
def measure(a: int, length: int) -> int:
    """Bytes of the whole message at `a`, or PARTIAL, GARBLED or OVERLONG."""
    start = body_start(a, length)
    if start <= 0:
        return start
    body = body_length(a, start)
    if body > MESSAGE_BYTES_MAX - BEGIN_BYTES_MAX - 32:
        return OVERLONG
    end = start + body
    if end + TRAILER > length:
        return PARTIAL
    if body < 5 or load_u8(a + end - 1) != SOH:
        return GARBLED
    if load_u8(a + end) != _1 or load_u8(a + end + 1) != _0 or load_u8(a + end + 2) != _IS:
        return GARBLED
    return end + TRAILER if load_u8(a + end + 6) == SOH else GARBLED


@jit
def is_sound(a: int, length: int, start: int) -> bool:
    """Whether a measured message has its type third and the right sum in three digits."""
    if load_u8(a + start) != _3 or load_u8(a + start + 1) != _5 or load_u8(a + start + 2) != _IS:
        return False
    value = 0
    for i in range(length - 4, length - 1):
        digit = load_u8(a + i) - ZERO
        if digit < 0 or digit > 9:
            return False
        value = value * 10 + digit
    return value == checksum(a, length - TRAILER)
