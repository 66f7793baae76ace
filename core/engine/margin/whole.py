"""What an account requires by UPM-1, in USDC units, where that is not the sum of its parts.

A unit is judged whole if the account has price links on the underlying and there are fresh arrays
to judge them by, or if the asset's own rates say so (SetUnitRates) and the account has had some of
it or ordered it. A perpetual is judged alone, order by order, if some are so far beyond the mark
that they may lose at both ends of the range, or bids so far below it that all there is to lose may
be less than what the range asks for. Everything else is known from sums that are kept up to
date (core.engine.margin.linear, events, collateral), which say the same; `saved` is the difference,
below zero where the whole requires more than its parts.
"""

import sbe.generated.order_entry as oe
from core.atomics import count_trailing_zeros
from core.engine.margin.collateral import asset_requirement
from core.engine.margin.events import lone_floor
from core.engine.margin.grid import arrays_are_fresh
from core.engine.margin.linear import (
    perpetual_initial,
    perpetual_maintenance,
    spot_order_haircut,
    spot_order_loss,
)
from core.engine.margin.look import is_line, look
from core.engine.margin.rates import amount, units_up
from core.engine.margin.unit import judge_unit
from core.jit import jit
from core.linked import linked
from core.margin_records import INITIAL, MAINTENANCE


@jit
def whole_units(s, account):
    """The underlyings of an account that are judged whole, a bit each."""
    holder = s.accounts[account]
    found = holder.assets_seen & s.risk.joint_assets
    if holder.linked == 0:
        return found
    number = holder.first_position
    while number != 0:
        book = s.instruments[s.positions[number].instrument]
        linked = book.kind >= oe.INSTRUMENT_KIND_PRICE_ABOVE
        if linked and arrays_are_fresh(s, s.risk_grids[book.base]):
            found |= 1 << book.base
        number = s.positions[number].account_next
    return found


@linked
def saved(s, account, initial):
    """How much less the account requires than the sum of its parts."""
    found = 0
    underlyings = whole_units(s, account)
    while underlyings != 0:
        found += unit_saved(s, account, count_trailing_zeros(underlyings), initial)
        underlyings &= underlyings - 1
    alone = s.accounts[account].reaching & ~whole_units(s, account)
    while alone != 0:
        found += _perpetual_saved(s, account, count_trailing_zeros(alone), initial)
        alone &= alone - 1
    return found


@jit
def _perpetual_saved(s, account, underlying, initial):
    """The same for the perpetuals of an underlying alone, each order by itself at every node."""
    s.work.alone = 1
    look(s, account, underlying)
    s.work.alone = 0
    work = s.work
    judge_unit(work.unit, work.lines, work.linear_orders, work.link_orders, work.nodes,
               INITIAL if initial else MAINTENANCE, work.result)
    required = 0
    number = s.accounts[account].first_linear
    while number != 0:
        position = s.positions[number]
        book = s.instruments[position.instrument]
        if book.base == underlying and book.kind == oe.INSTRUMENT_KIND_PERPETUAL:
            required += _of_perpetual(position, book, initial)
        number = position.linear_next
    return required - units_up(amount(work.result.total))


@jit
def _of_perpetual(position, book, initial):
    if initial:
        return perpetual_initial(position, book)
    return perpetual_maintenance(position, book)


@linked
def unit_saved(s, account, underlying, initial):
    """The same for one underlying; work.result holds the whole by component."""
    look(s, account, underlying)
    work = s.work
    kind = INITIAL if initial else MAINTENANCE
    judge_unit(work.unit, work.lines, work.linear_orders, work.link_orders, work.nodes, kind,
               work.result)
    return _parts(s, account, underlying, initial) - units_up(amount(work.result.total))


@jit
def _parts(s, account, underlying, initial):
    """What the unit requires one by one, marks of the links counted in."""
    required = asset_requirement(s, account, underlying, initial)
    number = s.accounts[account].first_position
    while number != 0:
        position = s.positions[number]
        book = s.instruments[position.instrument]
        if book.base == underlying and book.kind == oe.INSTRUMENT_KIND_PERPETUAL:
            required += _of_perpetual(position, book, initial)
        elif book.base == underlying and book.kind == oe.INSTRUMENT_KIND_SPOT and book.quote == 0:
            required += spot_order_loss(s, position, book)
            required += spot_order_haircut(s, position, book, initial)
        elif is_line(s, position, book, underlying):
            required += position.quantity * book.mark_value - lone_floor(position, book.one_value)
        number = position.account_next
    return required
