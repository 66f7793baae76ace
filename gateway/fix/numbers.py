"""Decimals, times and checksums between FIX text and int64, compiled.

Prices and quantities are int64 with exponent −8, times int64 nanoseconds UTC; text is bytes at an
address. A parser answers `BAD` for text that has no such value; nothing is rounded, ever: a ninth
decimal that isn't zero is `BAD` too.
"""

from core.jit import jit
from sbe.raw import load_u8, store_u8

BAD = -(1 << 63)
INTEGER_DIGITS_MAX = 18
SCALE_DIGITS = 8
INTEGER_PART_MAX = 92_233_720_367  # times 1e8 still an int64
SECOND_NS = 1_000_000_000
DAY_NS = 86_400 * SECOND_NS
NINE_DIGITS = 9

ZERO, NINE, DOT, MINUS, COLON, SOH, EQUALS = 48, 57, 46, 45, 58, 1, 61

# "YYYYMMDD-HH:MM:SS" and at most nine decimals of the second
TIME_LENGTH = 17


@jit
def parse_integer(a: int, length: int) -> int:
    """An unsigned whole number, leading zeros allowed; BAD if empty, too long or anything else."""
    if length < 1:
        return BAD
    value = 0
    digits = 0
    for i in range(length):
        digit = load_u8(a + i) - ZERO
        if digit < 0 or digit > 9:
            return BAD
        value = value * 10 + digit
        if value:
            digits += 1
            if digits > INTEGER_DIGITS_MAX:
                return BAD
    return value


@jit
def parse_decimal(a: int, length: int) -> int:
    """A decimal like `12.5`, `-0.25`, `.5`, `7.` with exponent −8.

    BAD for an empty text, a plus sign, an exponent, no digit at all, a value beyond int64, or more
    decimals than eight unless the further ones are zeros.
    """
    i = 0
    negative = length > 0 and load_u8(a) == MINUS
    if negative:
        i = 1
    whole = 0
    digits = 0
    while i < length:
        digit = load_u8(a + i) - ZERO
        if digit < 0 or digit > 9:
            break
        whole = whole * 10 + digit
        if whole > INTEGER_PART_MAX:
            return BAD
        digits += 1
        i += 1
    value = whole * 100_000_000
    if i < length:
        if load_u8(a + i) != DOT:
            return BAD
        i += 1
        unit = 10_000_000
        while i < length:
            digit = load_u8(a + i) - ZERO
            if digit < 0 or digit > 9 or (unit == 0 and digit > 0):
                return BAD
            value += digit * unit
            unit //= 10
            digits += 1
            i += 1
    if digits == 0:
        return BAD
    return -value if negative else value


@jit
def _two(a: int, limit: int) -> int:
    """Two digits below `limit`, or BAD."""
    high = load_u8(a) - ZERO
    low = load_u8(a + 1) - ZERO
    if high < 0 or high > 9 or low < 0 or low > 9:
        return BAD
    value = high * 10 + low
    return value if value < limit else BAD


@jit
def days_from_civil(year: int, month: int, day: int) -> int:
    """Days since 1970-01-01 of a date of the Gregorian calendar (year ≥ 1600)."""
    y = year - 1 if month <= 2 else year
    era = y // 400
    year_of_era = y - era * 400
    month_shifted = month - 3 if month > 2 else month + 9
    day_of_year = (153 * month_shifted + 2) // 5 + day - 1
    return era * 146_097 + year_of_era * 365 + year_of_era // 4 - year_of_era // 100 \
        + day_of_year - 719_468


@jit
def month_days(year: int, month: int) -> int:
    """How many days the month has."""
    if month == 2:
        leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
        return 29 if leap else 28
    return 30 if month in (4, 6, 9, 11) else 31


@jit
def parse_day(a: int) -> int:
    """Eight digits YYYYMMDD at an address as days since 1970-01-01, or BAD."""
    century, rest = _two(a, 100), _two(a + 2, 100)
    month, day = _two(a + 4, 13), _two(a + 6, 32)
    if century < 16 or rest < 0 or month < 1 or day < 1:
        return BAD
    year = century * 100 + rest
    if day > month_days(year, month):
        return BAD
    return days_from_civil(year, month, day)


@jit
def parse_time(a: int, length: int) -> int:
    """A UTCTimestamp in nanoseconds: whole seconds, or 3, 6, 9 or 12 decimals of the second.

    Picoseconds are cut to nanoseconds. A leap second (60) counts as the next second. BAD for
    anything else.
    """
    if length < TIME_LENGTH:
        return BAD
    day = parse_day(a)
    hour, minute, second = _two(a + 9, 24), _two(a + 12, 60), _two(a + 15, 61)
    if day == BAD or hour < 0 or minute < 0 or second < 0:
        return BAD
    if load_u8(a + 8) != MINUS or load_u8(a + 11) != COLON or load_u8(a + 14) != COLON:
        return BAD
    nanoseconds = 0
    if length > TIME_LENGTH:
        decimals = length - TIME_LENGTH - 1
        if load_u8(a + TIME_LENGTH) != DOT or decimals not in (3, 6, 9, 12):
            return BAD
        unit = 100_000_000
        for i in range(TIME_LENGTH + 1, length):
            digit = load_u8(a + i) - ZERO
            if digit < 0 or digit > 9:
                return BAD
            nanoseconds += digit * unit
            unit //= 10
    return day * DAY_NS + ((hour * 60 + minute) * 60 + second) * SECOND_NS + nanoseconds


@jit
def checksum(a: int, length: int) -> int:
    """The sum of the bytes modulo 256."""
    total = 0
    for i in range(length):
        total += load_u8(a + i)
    return total & 255


# ---- writing: each puts text at an address and returns the address after it -------------------


@jit
def put_digits(a: int, value: int, count: int) -> int:
    """Exactly `count` decimal digits of a value ≥ 0."""
    for i in range(count):
        store_u8(a + count - 1 - i, ZERO + value % 10)
        value //= 10
    return a + count


@jit
def digit_count(value: int) -> int:
    """How many digits a value ≥ 0 has."""
    count = 1
    while value >= 10:
        value //= 10
        count += 1
    return count


@jit
def put_integer(a: int, value: int) -> int:
    """A whole number, with a minus sign below zero."""
    if value < 0:
        store_u8(a, MINUS)
        a += 1
        value = -value
    return put_digits(a, value, digit_count(value))


@jit
def put_scaled(a: int, value: int, decimals: int) -> int:
    """A number with exponent −`decimals`, without trailing zeros or a needless point."""
    if value < 0:
        store_u8(a, MINUS)
        a += 1
        value = -value
    scale = 1
    for _ in range(decimals):
        scale *= 10
    a = put_integer(a, value // scale)
    rest = value % scale
    if rest:
        while rest % 10 == 0:
            rest //= 10
            decimals -= 1
        store_u8(a, DOT)
        a = put_digits(a + 1, rest, decimals)
    return a


@jit
def put_decimal(a: int, value: int) -> int:
    """A price or quantity (exponent −8), without trailing zeros."""
    return put_scaled(a, value, SCALE_DIGITS)


@jit
def put_time(a: int, time: int) -> int:
    """A UTCTimestamp with nanoseconds, 27 bytes."""
    days = time // DAY_NS
    rest = time - days * DAY_NS
    z = days + 719_468
    era = z // 146_097
    day_of_era = z - era * 146_097
    year_of_era = (
        day_of_era - day_of_era // 1460 + day_of_era // 36_524 - day_of_era // 146_096
    ) // 365
    day_of_year = day_of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    shifted = (5 * day_of_year + 2) // 153
    day = day_of_year - (153 * shifted + 2) // 5 + 1
    month = shifted + 3 if shifted < 10 else shifted - 9
    year = year_of_era + era * 400 + (1 if month <= 2 else 0)
    a = put_digits(a, year, 4)
    a = put_digits(a, month, 2)
    a = put_digits(a, day, 2)
    seconds = rest // SECOND_NS
    store_u8(a, MINUS)
    a = put_digits(a + 1, seconds // 3600, 2)
    store_u8(a, COLON)
    a = put_digits(a + 1, seconds // 60 % 60, 2)
    store_u8(a, COLON)
    a = put_digits(a + 1, seconds % 60, 2)
    store_u8(a, DOT)
    return put_digits(a + 1, rest % SECOND_NS, NINE_DIGITS)


@jit
def average(value: int, quantity: int, decimals: int) -> int:
    """Average price (exponent −8) of `quantity` (exponent −8) that cost `value` asset units.

    Cut towards zero, exactly: the product value · 10^(16 − decimals) needs more than 64 bits, so
    the division is done in steps that keep the remainder.
    """
    if quantity == 0:
        return 0
    result = value // quantity
    rest = value % quantity
    steps = 16 - decimals
    while steps > 0:
        step, power = 1, 10
        if quantity < 9_000_000_000_000 and steps >= 5:
            step, power = 5, 100_000
        rest *= power
        result = result * power + rest // quantity
        rest %= quantity
        steps -= step
    return result
