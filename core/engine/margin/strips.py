"""Strips: the price links of an account that settle at one time by one price, their exact worst.

    loss = Σ q × mark − min over S of Σ q × payoff(S)        S in {0, each strike from both sides}

Between two strikes nothing changes, so the worst price is next to one of them or at zero.
"""

import sbe.generated.order_entry as oe
from core.jit import jit

_POSITION = 0  # Field of a line of work.scan, as in core.engine.margin.scan.


@jit
def pays(book, price, beyond):
    """Whether a price link pays just above a price (beyond) or just below it."""
    if book.kind != oe.INSTRUMENT_KIND_PRICE_BELOW:
        lower = book.lower_strike
        if price < lower or (price == lower and not beyond):
            return False
    if book.kind != oe.INSTRUMENT_KIND_PRICE_ABOVE:
        upper = book.upper_strike
        if price > upper or (price == upper and beyond):
            return False
    return True


@jit
def strip_loss(s, lines, count, line):
    """The greatest loss against the marks of the strip that begins at a line.

    0 if an earlier line has the same expiry and so has counted it; below zero if it can't lose.
    """
    expiry = _book(s, lines, line).expiry
    for earlier in range(line):
        if _book(s, lines, earlier).expiry == expiry:
            return 0
    marked = 0
    least = _worth(s, lines, count, expiry, 0, True)
    for other in range(line, count):
        book = _book(s, lines, other)
        if book.expiry != expiry:
            continue
        marked += s.positions[lines[other, _POSITION]].quantity * book.mark_value
        if book.kind != oe.INSTRUMENT_KIND_PRICE_BELOW:
            least = min(least, _worth(s, lines, count, expiry, book.lower_strike, False))
            least = min(least, _worth(s, lines, count, expiry, book.lower_strike, True))
        if book.kind != oe.INSTRUMENT_KIND_PRICE_ABOVE:
            least = min(least, _worth(s, lines, count, expiry, book.upper_strike, False))
            least = min(least, _worth(s, lines, count, expiry, book.upper_strike, True))
    return marked - least


@jit
def _book(s, lines, line):
    return s.instruments[s.positions[lines[line, _POSITION]].instrument]


@jit
def _worth(s, lines, count, expiry, price, beyond):
    """What the strip pays just beyond or before a price."""
    worth = 0
    for line in range(count):
        book = _book(s, lines, line)
        if book.expiry == expiry and pays(book, price, beyond):
            worth += s.positions[lines[line, _POSITION]].quantity * book.one_value
    return worth
