"""A taker meets the book: price-time priority, self-trade prevention, trades.

    taker ──► best level of the other side ──► first order ──► trade at the maker's price
                       ▲                                          │
                       └── until nothing crosses or is left ◄─────┘
"""

from typing import Any

import sbe.generated.order_entry as oe
from core.engine.book import crosses, dequeue, enqueue, reduce_visible
from core.engine.emit import add_report_flag, report, report_trade
from core.engine.fees import fill_fee
from core.engine.lines import prefetch_next_trade
from core.engine.margin.door import margin_fill, margin_release
from core.engine.orders import cancel_order, close_order
from core.engine.price_levels import level_of, next_worse
from core.engine.protection import protection_fill
from core.engine.traded import count_lots
from core.engine.trades import account_fill
from core.engine.units import value_of
from core.jit import jit
from core.linked import linked
from core.records import DONE, QUOTE, REDUCE_ONLY, RESTING

# Trades one command may cause, its stops' included: no command outgrows the event log. A sweep that
# comes so far ends there and its rest is cancelled.
FILLS_MAX = 2048


@jit
def first_in_line(s: Any, book: Any, side: int) -> int:
    """The order that trades first on a side (0 buy, 1 sell); the side must not be empty."""
    number = level_of(s, book.root[side], book.depth, book.best[side] - 1)
    return s.pages[number >> 6].level[number & 63].first


@jit
def reducible(s, order):
    """Lots by which an order may trade and still only reduce its position."""
    quantity = s.positions[order.position].quantity
    return max(0, -quantity if order.side == 1 else quantity)


@linked
def match(s, taker):
    """Trade an order that isn't on the book against it.

    Returns the reason for which its rest may not rest, 0 when it may.
    """
    order = s.orders[taker]
    book = s.instruments[order.instrument]
    side = order.side - 1
    while order.leaves > 0 and crosses(book, side, order.tick):
        maker = first_in_line(s, book, 1 - side)
        if is_self_trade(order, s.orders[maker]):
            if prevent_self_trade(s, taker, maker):
                return oe.REASON_SELF_TRADE
            continue
        prefetch_next_trade(s, maker)
        lots = min(order.leaves, s.orders[maker].visible)
        if order.flags & REDUCE_ONLY:
            lots = min(lots, reducible(s, order))
            if lots == 0:
                return oe.REASON_REDUCE_ONLY_EXCEEDED
        if s.orders[maker].flags & REDUCE_ONLY:
            lots = min(lots, reducible(s, s.orders[maker]))
            if lots == 0:
                cancel_order(s, maker, oe.REASON_REDUCE_ONLY_EXCEEDED)
                continue
        if s.work.fills >= FILLS_MAX:
            return oe.REASON_CAPACITY_REACHED
        trade(s, taker, maker, lots)
    return 0


@jit
def trade(s, taker, maker, lots):
    """One trade at the maker's price: both accounts, the book, both reports."""
    order = s.orders[maker]
    book = s.instruments[order.instrument]
    tick = order.tick
    value = value_of(book, tick, lots)
    count_lots(s, book, lots)
    book.last_tick = tick + 1
    s.work.triggered = s.orders[taker].instrument
    maker_fee = fill_fee(s, order.account, order.instrument, value, True)
    taker_fee = fill_fee(s, s.orders[taker].account, order.instrument, value, False)
    _take_from_maker(s, book, maker, lots)
    settle_fill(s, maker, tick, lots, value, maker_fee)
    settle_fill(s, taker, tick, lots, value, taker_fee)
    _report_maker(s, book, maker, tick, lots, maker_fee, value)
    report_trade(s, taker, tick, lots, taker_fee, oe.LAST_LIQUIDITY_TAKER)
    s.work.taker_report = s.work.last_event


@jit
def settle_fill(s, slot, tick, lots, value, fee):
    """One side of a trade: margin, account and the order's own sums."""
    order = s.orders[slot]
    detail = s.details[slot]
    margin_fill(s, order.position, order.side, detail.reserved_tick, lots)
    account_fill(s, order.position, order.side, tick, lots, fee)
    order.leaves -= lots
    detail.filled += lots
    detail.filled_value += value
    full = order.leaves == 0
    detail.status = oe.ORD_STATUS_FILLED if full else oe.ORD_STATUS_PARTIALLY_FILLED


@jit
def _take_from_maker(s, book, maker, lots):
    """The book shows less; an order whose shown part is gone leaves its queue."""
    if lots == s.orders[maker].visible:
        dequeue(s, book, maker)
        s.orders[maker].visible = 0
    else:
        reduce_visible(s, maker, lots)


@jit
def _report_maker(s, book, maker, tick, lots, fee, value):
    """Refill what an iceberg shows (at the back of its price), report, close what is done."""
    order = s.orders[maker]
    kept = order.visible > 0 or order.leaves == 0
    if not kept:
        order.visible = min(order.leaves, s.details[maker].display)
        enqueue(s, book, maker)  # Its level's place was freed by this very trade: there is room.
    elif order.leaves == 0:
        order.state = DONE
    a = report_trade(s, maker, tick, lots, fee, oe.LAST_LIQUIDITY_MAKER)
    if kept:
        add_report_flag(a, oe.REPORT_FLAGS_PRIORITY_KEPT)
    if order.flags & QUOTE and s.details[maker].protection != 0:
        protection_fill(s, maker, lots, value)
    if order.leaves == 0:
        close_order(s, maker)


@jit
def is_self_trade(order, other):
    """Whether two orders may not trade with each other."""
    return (
        order.owner == other.owner
        and order.self_trade_prevention != oe.SELF_TRADE_PREVENTION_NOT_APPLIED
    )


@jit
def prevent_self_trade(s, taker, maker):
    """The taker's choice between two orders of one owner; True when the taker must go."""
    order = s.orders[taker]
    other = s.orders[maker]
    mode = order.self_trade_prevention
    if mode == oe.SELF_TRADE_PREVENTION_CANCEL_TAKER:
        return True
    if mode == oe.SELF_TRADE_PREVENTION_DECREMENT:
        return _decrement(s, taker, maker)
    cancel_order(s, maker, oe.REASON_SELF_TRADE)
    return mode == oe.SELF_TRADE_PREVENTION_CANCEL_BOTH or other.owner != order.owner


@jit
def _decrement(s, taker, maker):
    """Both orders lose what they would have traded; nobody trades. True when the taker is empty."""
    order = s.orders[taker]
    other = s.orders[maker]
    lots = min(order.leaves, other.leaves)
    if lots == other.leaves:
        cancel_order(s, maker, oe.REASON_SELF_TRADE)
    else:
        shown = min(lots, other.visible)
        if shown == other.visible:
            shown -= 1  # One lot stays in its place, so that priority and level stand.
        reduce_visible(s, maker, shown)
        margin_release(s, other.position, other.side, s.details[maker].reserved_tick, lots)
        other.leaves -= lots
        s.details[maker].quantity -= lots
        a = report(s, maker, oe.EXEC_TYPE_RESTATED, oe.REASON_SELF_TRADE)
        oe.set_execution_report_last_qty(a, lots * s.instruments[other.instrument].lot_size)
        add_report_flag(a, oe.REPORT_FLAGS_PRIORITY_KEPT)
    margin_release(s, order.position, order.side, s.details[taker].reserved_tick, lots)
    order.leaves -= lots
    s.details[taker].quantity -= lots
    if order.leaves == 0:
        return True
    a = report(s, taker, oe.EXEC_TYPE_RESTATED, oe.REASON_SELF_TRADE)
    oe.set_execution_report_last_qty(a, lots * s.instruments[order.instrument].lot_size)
    return False


@jit
def _certain(s, maker):
    """Lots of a reduce-only order that will be there when its turn comes.

    That is what the other orders of its position leave to be reduced: those at better prices, those
    before it in its queue, and at its price all that aren't reduce-only (icebergs come again).
    """
    order = s.orders[maker]
    left = reducible(s, order)
    slot = s.accounts[order.account].first_order
    while slot != 0:
        other = s.orders[slot]
        competes = other.position == order.position and other.side == order.side
        ahead = other.tick - order.tick if order.side == oe.SIDE_BUY else order.tick - other.tick
        before = ahead > 0 or (ahead == 0 and not other.flags & REDUCE_ONLY)
        if other.state == RESTING and competes and before:
            left -= other.leaves
        slot = s.details[slot].account_next
    slot = order.previous
    while slot != 0:
        other = s.orders[slot]
        if other.position == order.position and other.flags & REDUCE_ONLY:
            left -= other.leaves
        slot = other.previous
    return min(order.leaves, max(0, left))


@linked
def fillable(s, slot):
    """Whether an order could be filled whole at once, its own owner's orders left alone."""
    order = s.orders[slot]
    book = s.instruments[order.instrument]
    side = order.side - 1
    wanted = order.leaves
    best = book.best[1 - side]
    while best != 0 and (order.tick + 1 >= best if side == 0 else order.tick + 1 <= best):
        number = level_of(s, book.root[1 - side], book.depth, best - 1)
        maker = s.pages[number >> 6].level[number & 63].first
        while maker != 0:
            other = s.orders[maker]
            if is_self_trade(order, other):
                if order.self_trade_prevention != oe.SELF_TRADE_PREVENTION_CANCEL_MAKER:
                    return False
            elif other.flags & REDUCE_ONLY:
                wanted -= _certain(s, maker)
            else:
                wanted -= other.leaves
            if wanted <= 0:
                return True
            maker = other.next
        best = next_worse(s, book.root[1 - side], book.depth, 1 - side, best - 1)
    return False


@jit
def rest(s, slot):
    """Put what is left of an order on the book; False when the price levels are exhausted."""
    order = s.orders[slot]
    display = s.details[slot].display
    order.visible = order.leaves if display == 0 else min(display, order.leaves)
    if not enqueue(s, s.instruments[order.instrument], slot):
        order.visible = 0
        return False
    order.state = RESTING
    return True
