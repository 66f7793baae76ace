"""The opening auction: everything that crosses trades at one price.

The price is the one at which most trades; among those the one that leaves least unfilled, then the
one nearest to the reference (last, else mark), then the lowest. Orders trade in price-time
priority, hidden quantity included, in slices between commands when there are many. When orders that
made the price go without trading (self-trade prevention, nothing left to reduce) and others still
cross without them, those have another round at a price of their own.
"""

import sbe.generated.order_entry as oe
from core.engine.book import dequeue, enqueue, reduce_visible
from core.engine.emit import add_report_flag, report_trade
from core.engine.fees import fill_fee
from core.engine.matching import (
    FILLS_MAX,
    first_in_line,
    is_self_trade,
    reducible,
    settle_fill,
)
from core.engine.orders import cancel_order, close_order
from core.engine.price_levels import level_of, next_above, page_of
from core.engine.traded import count_lots
from core.engine.units import value_of
from core.jit import jit
from core.linked import linked
from core.records import DONE, REDUCE_ONLY


@jit
def _leaves_at(s, book, side, tick):
    """Lots, shown and hidden, of one side at a tick."""
    if page_of(s, book.root[side], book.depth, tick) == 0:
        return 0
    number = level_of(s, book.root[side], book.depth, tick)
    slot = s.pages[number >> 6].level[number & 63].first
    lots = 0
    while slot != 0:
        lots += s.orders[slot].leaves
        slot = s.orders[slot].next
    return lots


@jit
def _next_tick(s, book, tick, last):
    """The next tick up to `last` at which either side has orders; last + 1 when there is none."""
    bid = next_above(s, book.root[0], book.depth, tick)
    offer = next_above(s, book.root[1], book.depth, tick)
    found = last + 1
    if bid != 0:
        found = min(found, bid - 1)
    if offer != 0:
        found = min(found, offer - 1)
    return found


@linked
def auction_tick(s, book):
    """The auction's price in ticks, 0 when nothing crosses."""
    first = book.best[1] - 1
    last = book.best[0] - 1
    if book.best[0] == 0 or book.best[1] == 0 or last < first:
        return 0
    reference = book.last_tick - 1 if book.last_tick > 0 else book.mark // book.tick_size
    demand = 0
    tick = _next_tick(s, book, first - 1, last)
    while tick <= last:
        demand += _leaves_at(s, book, 0, tick)
        tick = _next_tick(s, book, tick, last)
    supply = 0
    best, most, least = 0, 0, 0
    tick = _next_tick(s, book, first - 1, last)
    while tick <= last:
        supply += _leaves_at(s, book, 1, tick)
        if _better(tick, demand, supply, reference, best, most, least):
            best, most, least = tick, min(demand, supply), abs(demand - supply)
        demand -= _leaves_at(s, book, 0, tick)
        following = _next_tick(s, book, tick, last)
        # Between two ticks with orders all prices trade the same: the nearest is as good as any.
        between = max(tick + 1, min(following - 1, reference))
        inside = tick < between < following <= last
        if inside and _better(between, demand, supply, reference, best, most, least):
            best, most, least = between, min(demand, supply), abs(demand - supply)
        tick = following
    return best


@jit
def _better(tick, demand, supply, reference, best, most, least):
    """Whether a tick is a better price than the best so far, which is lower."""
    volume = min(demand, supply)
    surplus = abs(demand - supply)
    if volume != most:
        return volume > most
    if surplus != least:
        return surplus < least
    return abs(tick - reference) < abs(best - reference)


@jit
def _tradable(s, slot, lots):
    """How many of the lots an order can trade."""
    order = s.orders[slot]
    lots = min(lots, order.leaves)
    return min(lots, reducible(s, order)) if order.flags & REDUCE_ONLY else lots


@linked
def uncross(s, instrument, tick):
    """Trade what crosses at the price, as far as one command may; lots traded."""
    book = s.instruments[instrument]
    traded = 0
    while s.work.fills < FILLS_MAX:
        if book.best[0] == 0 or book.best[1] == 0:
            break
        if book.best[0] - 1 < tick or book.best[1] - 1 > tick:
            break
        buy = first_in_line(s, book, 0)
        sell = first_in_line(s, book, 1)
        if is_self_trade(s.orders[buy], s.orders[sell]):
            earlier = s.details[buy].entry_sequence < s.details[sell].entry_sequence
            cancel_order(s, sell if earlier else buy, oe.REASON_SELF_TRADE)
            continue
        lots = _tradable(s, sell, _tradable(s, buy, s.orders[sell].leaves))
        if lots == 0:
            spent = buy if _tradable(s, buy, 1) == 0 else sell
            cancel_order(s, spent, oe.REASON_REDUCE_ONLY_EXCEEDED)
            continue
        _auction_trade(s, book, instrument, buy, sell, lots, tick)
        traded += lots
    if traded > 0:
        book.last_tick = tick + 1
        s.work.triggered = instrument
    return traded


@jit
def still_crosses(s, instrument, tick):
    """Whether the auction has more to trade."""
    book = s.instruments[instrument]
    if book.best[0] == 0 or book.best[1] == 0:
        return False
    return book.best[0] - 1 >= tick and book.best[1] - 1 <= tick


@jit
def _auction_trade(s, book, instrument, buy, sell, lots, tick):
    count_lots(s, book, lots)
    value = value_of(book, tick, lots)
    for slot in (sell, buy):
        order = s.orders[slot]
        fee = fill_fee(s, order.account, instrument, value, True)
        left = order.leaves - lots
        if lots >= order.visible:
            dequeue(s, book, slot)
            order.visible = 0
        else:
            reduce_visible(s, slot, lots)
        settle_fill(s, slot, tick, lots, value, fee)
        kept = order.visible > 0
        if left == 0:
            order.state = DONE
        elif not kept:
            display = s.details[slot].display
            order.visible = left if display == 0 else min(left, display)
            enqueue(s, book, slot)
        a = report_trade(s, slot, tick, lots, fee, oe.LAST_LIQUIDITY_AUCTION)
        if kept:
            add_report_flag(a, oe.REPORT_FLAGS_PRIORITY_KEPT)
        if left == 0:
            close_order(s, slot)
