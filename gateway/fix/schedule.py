"""The session's day: numbers that start again at a time of day, or never."""

from collections import defaultdict

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


class Beginnings:
    """When each session's numbers were last taken up, ns UTC: as the core said, or is to say."""

    def __init__(self) -> None:
        self._known: defaultdict[int, int] = defaultdict(int)
        self._asked: dict[int, int] = {}

    def asked(self, session: int, now: int) -> None:
        """The core was asked to open the session: another Logon doesn't begin the day as well."""
        self._asked[session] = now

    def answered(self, session: int) -> None:
        """The core opened it, or refused: then nothing has begun."""
        self._asked.pop(session, None)

    def learn(self, session: int, time: int) -> None:
        """The core took its numbers up."""
        self._known[session] = time

    def at(self, session: int) -> int:
        """When that was, 0: never."""
        return self._asked.get(session) or self._known[session]
