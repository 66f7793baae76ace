"""The public books of all instruments, rebuilt from the core's ExecutionReports; one record, numba.

    book = new_books(limits)                  one array of one record (gateway/feed/book_layout.py)
    apply_report(book, a)                     one report; `book["change"]` says what it changed
    copy_levels(book, instrument, side, out)  the best levels of a side

Everything is in YES terms: side and price of an order that speaks of NO are turned round here.

    instrument ── best[side] ─▶ level ──worse──▶ level ──worse──▶ …     best price first
                                 │ first                                 prices strictly worse
                                 ▼
                               order ──next──▶ order ──next──▶ …         oldest first: time priority

Orders are found by order id, levels by instrument, side and price, each through a table of chains.
Index 0 is nobody. What the rules of priority are, the core alone knows; a report says what the book
shows of its order afterwards:

    not OnBook, or nothing visible      it is gone
    OnBook and PriorityKept             it stays in its place with the visible quantity
    OnBook otherwise                    it stands at the back of its level
"""

from typing import Any

import numpy as np

from core.jit import jit
from gateway.feed.book_layout import (
    ADDED,
    BUY,
    CHANGED,
    DEPTH,
    MOVED,
    NOTHING,
    ONE,
    ORDER,
    REMOVED,
    SELL,
    Limits,
    new_books,
)
from sbe.generated import order_entry as oe

__all__ = [
    "ADDED",
    "BUY",
    "CHANGED",
    "DEPTH",
    "MOVED",
    "NOTHING",
    "ONE",
    "ORDER",
    "REMOVED",
    "SELL",
    "Limits",
    "apply_report",
    "copy_levels",
    "copy_orders",
    "find_order",
    "forget_instrument",
    "new_books",
]


@jit
def apply_report(book: Any, a: int) -> int:
    """Take an ExecutionReport (address of its root block); 1 if anything public changed."""
    b = book[0]
    c = b.change
    c.action = NOTHING
    c.levels_used = 0
    c.trade = 0
    exec_type = oe.execution_report_exec_type(a)
    instrument = oe.execution_report_instrument(a)
    if exec_type == oe.EXEC_TYPE_ORDER_STATUS or instrument >= b.instruments.shape[0]:
        return 0
    side = oe.execution_report_side(a) - 1
    price = oe.execution_report_price(a)
    last_price = oe.execution_report_last_px(a)
    if oe.execution_report_outcome_side(a) == oe.OUTCOME_SIDE_NO:
        side = 1 - side
        price = ONE - price
        last_price = ONE - last_price
    flags = oe.execution_report_flags(a)
    c.instrument = instrument
    c.time = np.int64(oe.execution_report_header_transact_time(a))
    c.last_in_event = flags & oe.REPORT_FLAGS_LAST_IN_EVENT
    c.order = np.int64(oe.execution_report_order_id(a))
    c.side = side + 1
    c.price = price
    if exec_type == oe.EXEC_TYPE_TRADE:
        _note_trade(b, a, side, last_price)
    visible = oe.execution_report_visible_qty(a)
    if flags & oe.REPORT_FLAGS_ON_BOOK == 0:
        visible = 0
    _place(b, instrument, side, price, visible, flags & oe.REPORT_FLAGS_PRIORITY_KEPT != 0)
    return 1 if c.action != NOTHING or c.trade != 0 else 0


@jit
def _note_trade(b: Any, a: int, side: int, price: int) -> None:
    """The first of a trade's two reports makes the print; it is the maker's."""
    c = b.change
    trade = np.int64(oe.execution_report_trade_id(a))
    if trade == b.last_trade:
        return
    b.last_trade = trade
    quantity = oe.execution_report_last_qty(a)
    liquidity = oe.execution_report_last_liquidity(a)
    c.trade = trade
    c.trade_price = price
    c.trade_quantity = quantity
    c.auction = 1 if liquidity == oe.LAST_LIQUIDITY_AUCTION else 0
    c.aggressor = 0 if c.auction else 2 - side
    i = b.instruments[c.instrument]
    if i.trades == 0:
        i.open_price = price
        i.high_price = price
        i.low_price = price
    i.high_price = max(i.high_price, price)
    i.low_price = min(i.low_price, price)
    i.last_price = price
    i.last_quantity = quantity
    i.last_time = c.time
    i.volume += quantity
    i.trades += 1


@jit
def _place(b: Any, instrument: int, side: int, price: int, visible: int, kept: bool) -> None:
    """Make the book show `visible` of the order of the current change."""
    c = b.change
    c.quantity = visible
    index = find_order(b, c.order)
    if index == 0:
        if visible > 0:
            c.action = ADDED
            _add(b, instrument, side, price, visible)
        return
    order = b.orders[index]
    c.side = order.side + 1
    if visible == 0:
        c.action = REMOVED
        c.price = order.price
        _remove(b, index)
    elif kept and order.price == price:
        if order.quantity != visible:
            c.action = CHANGED
            level = b.levels[order.level]
            level.quantity += visible - order.quantity
            order.quantity = visible
            _note_level(b, order.level)
    else:
        c.action = MOVED
        _remove(b, index)
        _add(b, instrument, side, price, visible)


@jit
def _note_level(b: Any, index: int) -> None:
    """Put a level's new state into the change; a level named before is overwritten."""
    c = b.change
    level = b.levels[index]
    place = c.levels_used
    for n in range(c.levels_used):
        if c.levels[n].side == level.side + 1 and c.levels[n].price == level.price:
            place = n
    if place == c.levels_used:
        c.levels_used += 1
    row = c.levels[place]
    row.side = level.side + 1
    row.price = level.price
    row.quantity = level.quantity
    row.orders = level.orders


# ---- orders -----------------------------------------------------------------------------------


@jit
def _order_chain(b: Any, order: int) -> int:
    # Fibonacci hashing: the high bits of the product are well mixed.
    mixed = (order * 0x1E3779B97F4A7C15) >> 17
    chain: int = mixed & (b.order_chains.shape[0] - 1)
    return chain


@jit
def find_order(b: Any, order: int) -> int:
    """The index of an order by its id; 0 if the book doesn't show it."""
    index = b.order_chains[_order_chain(b, order)]
    while index != 0 and b.orders[index].id != order:
        index = b.orders[index].chain
    return int(index)


@jit
def _add(b: Any, instrument: int, side: int, price: int, visible: int) -> None:
    """Append the order of the current change to the back of its level."""
    c = b.change
    index = b.orders_free
    if index != 0:
        b.orders_free = b.orders[index].next
    elif b.orders_used + 1 < b.orders.shape[0]:
        b.orders_used += 1
        index = b.orders_used
    level_index = _level(b, instrument, side, price) if index != 0 else 0
    if level_index == 0:
        b.dropped += 1
        c.action = NOTHING
        return
    level = b.levels[level_index]
    order = b.orders[index]
    order.id = c.order
    order.price = price
    order.quantity = visible
    order.instrument = instrument
    order.side = side
    order.level = level_index
    order.previous = level.last
    order.next = 0
    if level.last != 0:
        b.orders[level.last].next = index
    else:
        level.first = index
    level.last = index
    level.quantity += visible
    level.orders += 1
    chain = _order_chain(b, c.order)
    order.chain = b.order_chains[chain]
    b.order_chains[chain] = index
    b.instruments[instrument].orders += 1
    _note_level(b, level_index)


@jit
def _remove(b: Any, index: int) -> None:
    """Take an order out of its level, and the level out of its side if it was the last."""
    order = b.orders[index]
    level_index = int(order.level)
    level = b.levels[level_index]
    if order.previous != 0:
        b.orders[order.previous].next = order.next
    else:
        level.first = order.next
    if order.next != 0:
        b.orders[order.next].previous = order.previous
    else:
        level.last = order.previous
    level.quantity -= order.quantity
    level.orders -= 1
    chain = _order_chain(b, order.id)
    at = int(b.order_chains[chain])
    if at == index:
        b.order_chains[chain] = order.chain
    else:
        while b.orders[at].chain != index:
            at = int(b.orders[at].chain)
        b.orders[at].chain = order.chain
    b.instruments[order.instrument].orders -= 1
    order.id = 0
    order.next = b.orders_free
    b.orders_free = index
    _note_level(b, level_index)
    if level.orders == 0:
        _drop_level(b, level_index)


# ---- levels -----------------------------------------------------------------------------------


@jit
def _level_chain(b: Any, instrument: int, side: int, price: int) -> int:
    mixed = ((price * 2 + side) * 0x1E3779B97F4A7C15 + instrument * 0x2545F4914F6CDD1D) >> 17
    chain: int = mixed & (b.level_chains.shape[0] - 1)
    return chain


@jit
def _level(b: Any, instrument: int, side: int, price: int) -> int:
    """The level of a price, made if there is none; 0 if there is no room."""
    chain = _level_chain(b, instrument, side, price)
    index: int = int(b.level_chains[chain])
    while index != 0:
        level = b.levels[index]
        if level.price == price and level.side == side and level.instrument == instrument:
            return index
        index = int(level.chain)
    index = b.levels_free
    if index != 0:
        b.levels_free = b.levels[index].worse
    elif b.levels_used + 1 < b.levels.shape[0]:
        b.levels_used += 1
        index = b.levels_used
    else:
        return 0
    level = b.levels[index]
    level.price = price
    level.quantity = 0
    level.orders = 0
    level.instrument = instrument
    level.side = side
    level.first = 0
    level.last = 0
    level.chain = b.level_chains[chain]
    b.level_chains[chain] = index
    _insert_level(b, instrument, side, price, index)
    return index


@jit
def _insert_level(b: Any, instrument: int, side: int, price: int, index: int) -> None:
    """Link a level into its side, looking from the best: most changes are close to it."""
    i = b.instruments[instrument]
    better = 0
    worse = int(i.best[side])
    while worse != 0:
        other = b.levels[worse].price
        if (other < price) if side == BUY else (other > price):
            break
        better = worse
        worse = int(b.levels[worse].worse)
    level = b.levels[index]
    level.better = better
    level.worse = worse
    if better != 0:
        b.levels[better].worse = index
    else:
        i.best[side] = index
    if worse != 0:
        b.levels[worse].better = index
    i.levels[side] += 1


@jit
def _drop_level(b: Any, index: int) -> None:
    level = b.levels[index]
    i = b.instruments[level.instrument]
    if level.better != 0:
        b.levels[level.better].worse = level.worse
    else:
        i.best[level.side] = level.worse
    if level.worse != 0:
        b.levels[level.worse].better = level.better
    i.levels[level.side] -= 1
    chain = _level_chain(b, level.instrument, level.side, level.price)
    at = int(b.level_chains[chain])
    if at == index:
        b.level_chains[chain] = level.chain
    else:
        while b.levels[at].chain != index:
            at = int(b.levels[at].chain)
        b.levels[at].chain = level.chain
    level.worse = b.levels_free
    b.levels_free = index


# ---- reading ----------------------------------------------------------------------------------


@jit
def copy_levels(book: Any, instrument: int, side: int, out: Any) -> int:
    """Write the best levels of a side (BUY or SELL) into `out` (dtype DEPTH); how many."""
    b = book[0]
    index = int(b.instruments[instrument].best[side])
    count = 0
    while index != 0 and count < out.shape[0]:
        level = b.levels[index]
        out[count].price = level.price
        out[count].quantity = level.quantity
        out[count].orders = level.orders
        count += 1
        index = int(level.worse)
    return count


@jit
def copy_orders(book: Any, instrument: int, side: int, out: Any) -> int:
    """Write a side's orders into `out` (dtype ORDER), best first, oldest first; how many there are.

    What `out` has no room for is counted and not written.
    """
    b = book[0]
    level = int(b.instruments[instrument].best[side])
    count = 0
    while level != 0:
        index = int(b.levels[level].first)
        while index != 0:
            if count < out.shape[0]:
                order = b.orders[index]
                row = out[count]
                row.id = order.id
                row.price = order.price
                row.quantity = order.quantity
                row.instrument = instrument
                row.side = side
            count += 1
            index = int(b.orders[index].next)
        level = int(b.levels[level].worse)
    return count


@jit
def forget_instrument(book: Any, instrument: int) -> int:
    """Take every order of an instrument off the book (it was delisted); how many."""
    b = book[0]
    count = 0
    for side in range(2):
        while b.instruments[instrument].best[side] != 0:
            b.change.levels_used = 0
            _remove(b, int(b.levels[b.instruments[instrument].best[side]].first))
            count += 1
    b.change.levels_used = 0
    return count
