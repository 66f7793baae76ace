"""How much of an instrument was traded lately: a sum that only grows, and what it was each hour.

A trade adds to the sum; the first of an hour notes what it was before. The difference to what it
was 23 hours before this one is what was traded in a day, without a walk or a list of trades.
"""

from core.jit import jit
from core.linked import linked
from core.records import TRADED_HOURS

HOUR_NS = 3_600_000_000_000


@jit
def count_lots(s, book, lots):
    """A trade more, of so many lots."""
    s.work.fills += 1
    s.trades += 1
    book.trades += 1
    if s.work.time >= book.hour_ends:
        begin_hour(book, s.work.time)
    book.traded += lots


@linked
def begin_hour(book, now):
    """So much was traded before this hour of UTC, and before those in which nothing was."""
    passed = min(TRADED_HOURS, (now - book.hour_ends) // HOUR_NS + 1)
    for _ in range(passed):
        book.hour = book.hour + 1 if book.hour + 1 < TRADED_HOURS else 0
        book.traded_before[book.hour] = book.traded
    book.hour_ends = now - now % HOUR_NS + HOUR_NS


@jit
def traded_lately(s, book):
    """Lots traded in the running hour of UTC and the 23 before it."""
    if s.work.time >= book.hour_ends:
        begin_hour(book, s.work.time)
    oldest = book.hour + 1 if book.hour + 1 < TRADED_HOURS else 0
    return book.traded - book.traded_before[oldest]
