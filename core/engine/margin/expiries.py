"""Strips: the links of a unit that settle at one time by one price, and their exact worst case.

    ML = Σ q m − min over S of Σ q payoff(S)        S in {0, each strike from both sides}

Between two strikes nothing changes, so the worst price is next to one of them or at zero.
"""

from core.jit import jit
from core.margin_records import NO_STRIKE, RATE_UNIT
from core.wide import lesser, product, wide


@jit(forceinline=True)
def opens_strip(lines, number):
    """Whether a line is the first of its expiry."""
    first = 0
    while lines[first].expiry != lines[number].expiry:
        first += 1
    return first == number


@jit
def pays(line, price, beyond):
    """Whether a link pays at a price, at a strike just above it (beyond) or just below."""
    if price < line.lower or (price == line.lower and not beyond):
        return False
    return price < line.upper or (price == line.upper and not beyond)


@jit(forceinline=True)
def strip_loss(lines, count, first):
    """ML of the strip that a line opens; below zero if it can't lose."""
    if count == 1 and _has_strike(lines[0]):
        held = lines[0].face
        return product(held, lines[0].mark) - lesser(wide(0), product(held, RATE_UNIT))
    return _loss_of_many(lines, count, first)


@jit
def _loss_of_many(lines, count, first):
    expiry = lines[first].expiry
    marked = wide(0)
    least = worth_at(lines, count, expiry, 0, True)
    for number in range(first, count):
        line = lines[number]
        if line.expiry != expiry:
            continue
        marked += product(line.face, line.mark)
        for strike in (line.lower, line.upper):
            if strike <= 0 or strike == NO_STRIKE:
                continue
            for beyond in (False, True):
                worth = worth_at(lines, count, expiry, strike, beyond)
                if worth < least:
                    least = worth
    return marked - least


@jit(forceinline=True)
def _has_strike(line):
    """Whether there are prices at which a link pays and prices at which it doesn't."""
    return line.lower > 0 or 0 < line.upper < NO_STRIKE


@jit
def worth_at(lines, count, expiry, price, beyond):
    """What a strip pays at a price."""
    worth = wide(0)
    for number in range(count):
        line = lines[number]
        if line.expiry == expiry and pays(line, price, beyond):
            worth += product(line.face, RATE_UNIT)
    return worth
