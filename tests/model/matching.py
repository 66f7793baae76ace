"""Matching in the model: price, then time; one loop that says the rules in their order."""

from typing import TYPE_CHECKING

import sbe.generated.order_entry as oe
from tests.model.books import fee, position_of
from tests.model.records import DONE, RESTING, STOPPED, Instrument, Order
from tests.model.reports import report, report_trade
from tests.model.settling import fill

if TYPE_CHECKING:
    from tests.model.exchange import Exchange

KEPT = oe.REPORT_FLAGS_PRIORITY_KEPT
FILLS_MAX = 2048


def first(book: Instrument, side: int) -> Order:
    """Who trades first on a side that isn't empty."""
    best = book.best(side)
    order: Order = book.levels[side][best][0]
    return order


def reducible(x: "Exchange", order: Order) -> int:
    """Lots by which an order may trade and only reduce its position."""
    held = position_of(x, order.account, x.instruments[order.instrument]).quantity
    return max(0, -held if order.side == oe.SIDE_BUY else held)


def reserve(x: "Exchange", order: Order, tick: int, lots: int) -> None:
    """From now on margin is held for the order."""
    order.reserved_tick, order.reserved = tick, lots
    if order not in x.reserving:
        x.reserving.append(order)


def release(x: "Exchange", order: Order, lots: int) -> None:
    """So many lots of the order are filled, cancelled or reduced."""
    order.reserved -= lots
    assert order.reserved >= 0
    if order.reserved == 0:
        x.reserving.remove(order)


def withdraw(x: "Exchange", order: Order) -> None:
    """Off the book, or off the stops."""
    book = x.instruments[order.instrument]
    if order.state == RESTING:
        book.take(order)
        release(x, order, order.leaves)
    elif order.state == STOPPED:
        book.take_stop(order)


def close(x: "Exchange", order: Order) -> None:
    """The order has ended; its record goes to the end of the line."""
    order.state = DONE
    x.accounts[order.account].orders.remove(order)
    x.expiring.discard(order.slot)
    x.ended.append(order.slot)


def end(x: "Exchange", order: Order, reason: int) -> dict[str, object]:
    """Report the end of an order that is off the book."""
    expired = reason == oe.REASON_EXPIRY
    order.status = "C" if expired else "4"
    order.leaves = order.visible = 0
    order.state = DONE
    fields = report(x, order, order.status, reason)
    close(x, order)
    return fields


def cancel(x: "Exchange", order: Order, reason: int) -> dict[str, object]:
    """Cancel an open order."""
    withdraw(x, order)
    return end(x, order, reason)


def is_self_trade(taker: Order, maker: Order) -> bool:
    """Whether two orders may not trade."""
    return (
        taker.owner == maker.owner
        and taker.prevention != oe.SELF_TRADE_PREVENTION_NOT_APPLIED
    )


def match(x: "Exchange", taker: Order) -> int:
    """Trade with the book; 0, or the reason for which the rest may not rest."""
    book = x.instruments[taker.instrument]
    while taker.leaves > 0 and book.crosses(taker.side, taker.tick):
        maker = first(book, 3 - taker.side)
        if is_self_trade(taker, maker):
            if _prevent(x, taker, maker):
                return oe.REASON_SELF_TRADE
            continue
        lots = min(taker.leaves, maker.visible)
        if taker.has(oe.EXEC_INST_REDUCE_ONLY):
            lots = min(lots, reducible(x, taker))
            if lots == 0:
                return oe.REASON_REDUCE_ONLY_EXCEEDED
        if maker.has(oe.EXEC_INST_REDUCE_ONLY):
            lots = min(lots, reducible(x, maker))
            if lots == 0:
                cancel(x, maker, oe.REASON_REDUCE_ONLY_EXCEEDED)
                continue
        if x.fills >= FILLS_MAX:
            return oe.REASON_CAPACITY_REACHED
        _trade(x, book, taker, maker, lots)
    return 0


def settle_fill(x: "Exchange", order: Order, tick: int, lots: int, charge: int) -> None:
    """One side of a trade: margin, account, and the order's own sums."""
    book = x.instruments[order.instrument]
    release(x, order, lots)
    fill(x, order.account, book, order.side, tick, lots, charge)
    x.controls.count_trade(order.account, x.time)
    order.leaves -= lots
    order.filled += lots
    order.filled_value += book.value(tick, lots)
    order.status = "2" if order.leaves == 0 else "1"


def _trade(x: "Exchange", book: Instrument, taker: Order, maker: Order, lots: int) -> None:
    tick = maker.tick
    value = book.value(tick, lots)
    x.fills += 1
    x.trades += 1
    book.count_lots(x.time, lots)
    book.last_tick = tick
    x.triggered = book.number
    maker_fee = fee(x, maker.account, book, value, True)
    taker_fee = fee(x, taker.account, book, value, False)
    maker.visible -= lots
    if maker.visible == 0:
        book.take(maker)
    settle_fill(x, maker, tick, lots, maker_fee)
    settle_fill(x, taker, tick, lots, taker_fee)
    refilled = maker.visible == 0 and maker.leaves > 0
    if refilled:
        maker.visible = min(maker.leaves, maker.display)
        book.put(maker)
    elif maker.leaves == 0:
        maker.state = DONE
    fields = report_trade(x, maker, tick, lots, maker_fee, oe.LAST_LIQUIDITY_MAKER)
    if not refilled:
        fields["flags"] |= KEPT
    if maker.quote and maker.protection is not None:
        _count_fill(x, maker, lots, value)
    if maker.leaves == 0:
        close(x, maker)
    x.taker_report = report_trade(x, taker, tick, lots, taker_fee, oe.LAST_LIQUIDITY_TAKER)


def _count_fill(x: "Exchange", order: Order, lots: int, value: int) -> None:
    """A quote was filled: its protection counts, and trips when a limit is passed."""
    protection = order.protection
    assert protection is not None
    if protection.tripped:
        return
    if protection.count == 0 or x.time - protection.start > protection.window:
        protection.reset()
        protection.start = x.time
    protection.quantity += lots * x.instruments[order.instrument].lot_size
    protection.value += value
    protection.count += 1
    measured = (protection.quantity, protection.value, protection.count)
    limits = (protection.quantity_limit, protection.value_limit, protection.count_limit)
    for trigger, (seen, limit) in enumerate(zip(measured, limits, strict=True), start=1):
        if 0 < limit < seen:
            protection.tripped = True
            protection.trigger = trigger
            x.tripped.insert(0, protection)
            return


def _prevent(x: "Exchange", taker: Order, maker: Order) -> bool:
    """What the taker chose for two orders of one owner; whether the taker must go."""
    mode = taker.prevention
    if mode == oe.SELF_TRADE_PREVENTION_CANCEL_TAKER:
        return True
    if mode == oe.SELF_TRADE_PREVENTION_DECREMENT:
        return _decrement(x, taker, maker)
    cancel(x, maker, oe.REASON_SELF_TRADE)
    return mode == oe.SELF_TRADE_PREVENTION_CANCEL_BOTH


def _decrement(x: "Exchange", taker: Order, maker: Order) -> bool:
    """Both lose what they would have traded; whether the taker is empty."""
    lot = x.instruments[taker.instrument].lot_size
    lots = min(taker.leaves, maker.leaves)
    if lots == maker.leaves:
        cancel(x, maker, oe.REASON_SELF_TRADE)
    else:
        release(x, maker, lots)
        maker.leaves -= lots
        maker.quantity -= lots
        maker.visible = max(1, maker.visible - lots)  # It keeps its place by at least one lot.
        fields = report(x, maker, "D", oe.REASON_SELF_TRADE, lastQty=lots * lot)
        fields["flags"] |= KEPT
    release(x, taker, lots)
    taker.leaves -= lots
    taker.quantity -= lots
    if taker.leaves == 0:
        return True
    report(x, taker, "D", oe.REASON_SELF_TRADE, lastQty=lots * lot)
    return False


def fillable(x: "Exchange", taker: Order) -> bool:
    """Whether a taker can be filled whole at once.

    Reduce-only orders count for what is left of their position when the other orders of the
    account that trade before them, or at the same price, have traded.
    """
    book = x.instruments[taker.instrument]
    wanted = taker.leaves
    side = 3 - taker.side
    ticks = list(book.levels[side])
    for tick in ticks if side == oe.SIDE_SELL else reversed(ticks):
        if (tick > taker.tick) if side == oe.SIDE_SELL else (tick < taker.tick):
            break
        for maker in book.levels[side][tick]:
            if is_self_trade(taker, maker):
                if taker.prevention != oe.SELF_TRADE_PREVENTION_CANCEL_MAKER:
                    return False
                continue
            wanted -= _available(x, book, maker)
            if wanted <= 0:
                return True
    return False


def _available(x: "Exchange", book: Instrument, maker: Order) -> int:
    """Lots of a maker that are certain to be there."""
    if not maker.has(oe.EXEC_INST_REDUCE_ONLY):
        return maker.leaves
    left = reducible(x, maker)
    for level in book.levels[maker.side].values():
        for other in level:
            ahead = other.tick < maker.tick
            if maker.side == oe.SIDE_BUY:
                ahead = other.tick > maker.tick
            level_mate = other.tick == maker.tick
            queue = level.index(other) < level.index(maker) if level_mate else ahead
            ordinary = not other.has(oe.EXEC_INST_REDUCE_ONLY)
            if other.account == maker.account and (queue or (level_mate and ordinary)):
                left -= other.leaves
    return min(maker.leaves, max(0, left))


def rest(x: "Exchange", order: Order) -> None:
    """Put what is left on the book."""
    order.visible = min(order.display or order.leaves, order.leaves)
    x.instruments[order.instrument].put(order)
    order.state = RESTING
