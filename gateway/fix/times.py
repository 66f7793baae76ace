"""UTC timestamps of FIX for the Python half: text to nanoseconds and back."""

import ctypes

from gateway.fix.numbers import BAD, parse_time

MILLISECOND = 1_000_000
SECOND = 1_000_000_000
DAY = 86_400 * SECOND


def time_of(text: bytes | None) -> int | None:
    """Nanoseconds UTC of a UTCTimestamp, or None if it is none."""
    if not text:
        return None
    buffer = ctypes.create_string_buffer(text, len(text) + 1)
    value = int(parse_time(ctypes.addressof(buffer), len(text)))
    return None if value == BAD else value


def date_text(time: int) -> str:
    """YYYYMMDD."""
    year, month, day = civil(time // DAY)
    return f"{year:04d}{month:02d}{day:02d}"


def clock_text(time: int, digits: int = 9) -> str:
    """HH:MM:SS with decimals of the second."""
    seconds, rest = divmod(time % DAY, SECOND)
    text = f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
    return f"{text}.{rest:09d}"[: 9 + digits] if digits else text


def time_text(time: int, digits: int = 3) -> str:
    """A UTCTimestamp, with milliseconds unless told otherwise."""
    return f"{date_text(time)}-{clock_text(time, digits)}"


def civil(days: int) -> tuple[int, int, int]:
    """Year, month and day of the Gregorian calendar, `days` after 1970-01-01."""
    z = days + 719_468
    era, of_era = divmod(z, 146_097)
    year = (of_era - of_era // 1460 + of_era // 36_524 - of_era // 146_096) // 365
    of_year = of_era - (365 * year + year // 4 - year // 100)
    shifted = (5 * of_year + 2) // 153
    month = shifted + 3 if shifted < 10 else shifted - 9
    day = of_year - (153 * shifted + 2) // 5 + 1
    return year + era * 400 + (month <= 2), month, day
