"""Initial sigma by open interest: the larger a market, the more a new position requires.

    base'  =  base + (most − base) × clamp((OI − start) / (end − start), 0, 1)

as dYdX scales its initial margin fraction (whose `most` is 1), OI in USDC at the mark, rounded up
to a tenth of a percent so that it does not change with every trade. It is looked at with each mark;
maintenance does not follow, so nobody is liquidated because others came. Where price links of the
underlying are netted, the new base holds from the arrays on that span it, or once these are stale.
"""

from core.engine.liquidation.queue import look_at_all
from core.engine.margin.grid import arrays_are_fresh
from core.engine.margin.linear import size_threshold
from core.engine.money import multiply_divide_up
from core.jit import jit
from core.linked import linked

STEP = 1_000  # parts per million
MOST = 900_000  # A range that reaches a price of zero has no scenarios.


@jit
def wanted_base(book, market):
    """The initial margin base that the open interest asks for, parts per million."""
    base = market.base_initial
    if market.scale_start == 0 or market.scale_most <= base:
        return base
    over = book.open_interest * book.mark_value - market.scale_start
    if over <= 0:
        return base
    width = market.scale_end - market.scale_start
    if over >= width:
        return market.scale_most
    more = multiply_divide_up(market.scale_most - base, over, width)
    return min(market.scale_most, base + (more + STEP - 1) // STEP * STEP)


@linked
def follow_interest(s, number):
    """A mark came, or a parameter changed: see what base the perpetual needs now."""
    market, book = s.markets[number], s.instruments[number]
    market.base_wanted = wanted_base(book, market)
    if market.base_wanted == book.margin_base_initial:
        return
    leads = s.assets[book.base].perpetual == number
    if not leads or not arrays_are_fresh(s, s.risk_grids[book.base]):
        take_base(s, number)


@jit
def take_base(s, number):
    """Let the wanted base count from now on."""
    book = s.instruments[number]
    book.margin_base_initial = s.markets[number].base_wanted
    book.size_threshold_initial = size_threshold(
        book.margin_base_initial, book.margin_factor_initial)
    s.price_version += 1
    look_at_all(s)
