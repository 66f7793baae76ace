"""The session's day: numbers that start again at a time of day, or never."""

from gateway.fix.times import DAY, SECOND


def last_boundary(now: int, clock: str) -> int:
    """The latest moment not after `now` at which the clock (HH:MM:SS, UTC) showed this; ns."""
    hours, minutes, seconds = (int(part) for part in clock.split(":"))
    of_day = ((hours * 60 + minutes) * 60 + seconds) * SECOND
    return (now - of_day) // DAY * DAY + of_day


def next_boundary(now: int, clock: str) -> int:
    """The first moment after `now` at which the clock shows this; ns."""
    return last_boundary(now, clock) + DAY


def is_over(began: int, now: int, clock: str) -> bool:
    """Whether numbers that began (or were taken up) at `began` are those of a day that is over."""
    return bool(clock) and 0 < began < last_boundary(now, clock)
