"""The opening auction of the model: every price is tried, the best by the rule is taken."""

from typing import TYPE_CHECKING

import sbe.generated.order_entry as oe
from tests.model.books import fee
from tests.model.matching import (
    FILLS_MAX,
    KEPT,
    cancel,
    close,
    first,
    is_self_trade,
    reducible,
    settle_fill,
)
from tests.model.records import DONE, Instrument, Order
from tests.model.reports import report_trade

if TYPE_CHECKING:
    from tests.model.exchange import Exchange

BUY, SELL = oe.SIDE_BUY, oe.SIDE_SELL


def auction_tick(book: Instrument) -> int:
    """Most volume, then least surplus, then nearest to the reference, then lowest; 0 for none."""
    bid, offer = book.best(BUY), book.best(SELL)
    if bid is None or offer is None or bid < offer:
        return 0
    reference = book.mark // book.tick_size if book.last_tick is None else book.last_tick

    def merit(tick: int) -> tuple[int, int, int, int]:
        demand = _lots(book, BUY, [t for t in book.levels[BUY] if t >= tick])
        supply = _lots(book, SELL, [t for t in book.levels[SELL] if t <= tick])
        return -min(demand, supply), abs(demand - supply), abs(tick - reference), tick

    return min(range(offer, bid + 1), key=merit)


def _lots(book: Instrument, side: int, ticks: list[int]) -> int:
    return sum(order.leaves for tick in ticks for order in book.levels[side][tick])


def uncross(x: "Exchange", book: Instrument, tick: int) -> int:
    """Trade what crosses at the price; lots traded."""
    traded = 0
    while x.fills < FILLS_MAX and still_crosses(book, tick):
        buy, sell = first(book, BUY), first(book, SELL)
        if is_self_trade(buy, sell):
            cancel(x, sell if buy.entered < sell.entered else buy, oe.REASON_SELF_TRADE)
            continue
        lots = min(buy.leaves, sell.leaves)
        spent = None
        for order in (buy, sell):
            if order.has(oe.EXEC_INST_REDUCE_ONLY):
                lots = min(lots, reducible(x, order))
                spent = order if lots == 0 and spent is None else spent
        if spent is not None:
            cancel(x, spent, oe.REASON_REDUCE_ONLY_EXCEEDED)
            continue
        x.fills += 1
        x.trades += 1
        book.count_lots(x.time, lots)
        for order in (sell, buy):
            _fill(x, book, order, lots, tick)
        traded += lots
    if traded:
        book.last_tick = tick
        x.triggered = book.number
    return traded


def still_crosses(book: Instrument, tick: int) -> bool:
    """Whether there is more to trade at the price."""
    bid, offer = book.best(BUY), book.best(SELL)
    return bid is not None and offer is not None and offer <= tick <= bid


def _fill(x: "Exchange", book: Instrument, order: Order, lots: int, tick: int) -> None:
    charge = fee(x, order.account, book, book.value(tick, lots), True)
    order.visible = max(0, order.visible - lots)
    kept = order.visible > 0
    if not kept:
        book.take(order)
    settle_fill(x, order, tick, lots, charge)
    if order.leaves == 0:
        order.state = DONE
    elif not kept:
        order.visible = min(order.display or order.leaves, order.leaves)
        book.put(order)
    fields = report_trade(x, order, tick, lots, charge, oe.LAST_LIQUIDITY_AUCTION)
    if kept:
        fields["flags"] |= KEPT
    if order.leaves == 0:
        close(x, order)
