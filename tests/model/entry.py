"""New orders in the model: judged rule by rule, admitted, executed, or waiting as stops."""

from typing import TYPE_CHECKING, Any

import sbe.generated.order_entry as oe
from tests.model.books import position_of
from tests.model.controls import NEW_ORDER, UNCOUNTED, judge_entry
from tests.model.margin import admit as margin_admit
from tests.model.matching import (
    FILLS_MAX,
    close,
    end,
    fillable,
    match,
    reducible,
    release,
    reserve,
    rest,
)
from tests.model.records import DONE, NEW, STOPPED, Instrument, Order
from tests.model.reports import report

if TYPE_CHECKING:
    from tests.model.exchange import Exchange

DAY_NS = 86_400 * 10**9
OPEN_ORDERS_MAX = 4096
TRIGGERS_MAX = 64
MARKET, LIMIT, STOP, STOP_LIMIT = 1, 2, 3, 4
AT_ONCE = (oe.TIME_IN_FORCE_IMMEDIATE_OR_CANCEL, oe.TIME_IN_FORCE_FILL_OR_KILL)
TAKES_ORDERS = (oe.TRADING_STATE_OPEN, oe.TRADING_STATE_PRE_OPEN)


def new_order(x: "Exchange", c: dict[str, Any]) -> None:
    """NewOrderSingle."""
    order = x.take_record()
    if order is None:
        order = Order(0, 0)
        read_terms(x, order, c)
        reason = oe.REASON_CAPACITY_REACHED
    else:
        read_terms(x, order, c)
        reason = judge_terms(x, order, c) or enter(x, order)
    if reason:
        order.status = "8"
        order.state = DONE
        order.leaves = 0
        report(x, order, "8", reason, detail=x.detail, limit=x.limit)
        x.give_back(order)


def read_terms(x: "Exchange", order: Order, c: dict[str, Any]) -> None:
    """What the client asks for, as far as it needs no judging."""
    account = x.account_of(c["account"])
    order.account = account if account < x.limits.accounts_max else 0
    known = x.accounts.get(order.account)
    order.owner = known.owner if known is not None else 0
    order.instrument = c["instrument"] if c["instrument"] < x.limits.instruments_max else 0
    order.side = c["side"]
    default = x.owners[order.owner].self_trade_prevention if order.owner in x.owners else 0
    order.prevention = c["selfTradePrevention"] or default or oe.SELF_TRADE_PREVENTION_CANCEL_TAKER
    order.client_id = c["clOrdId"]
    order.session = x.session
    order.tag = c["tag"]
    order.order_type = c["ordType"]
    order.force = c["timeInForce"]
    order.instructions = c["execInst"]
    order.trigger = c["triggerType"]
    order.outcome_side = c["outcomeSide"]
    order.echo = c["echo"]
    order.entered = x.sequence


def judge_terms(x: "Exchange", order: Order, c: dict[str, Any]) -> int:
    """Every rule that needs no book and no margin; the first that fails."""
    return (
        x.judge_account(x.account_of(c["account"]))
        or _judge_place(x, order, c)
        or _judge_choices(x, order)
        or _judge_prices(x, order, c)
        or _judge_quantities(x, order, c)
        or _judge_time(x, order, c)
    )


def _judge_place(x: "Exchange", order: Order, c: dict[str, Any]) -> int:
    state = x.accounts[order.account].state
    if state > oe.ACCOUNT_STATE_REDUCE_ONLY:
        return x.refuse(oe.REASON_ACCOUNT_STATE, state, 0)
    book = x.instruments.get(order.instrument)
    if book is None:
        return x.refuse(oe.REASON_UNKNOWN_INSTRUMENT, c["instrument"], 0)
    if book.state not in TAKES_ORDERS:
        return x.refuse(oe.REASON_INSTRUMENT_STATE, book.state, 0)
    known = x.client_ids.get((order.session, order.client_id))
    if order.client_id and known is not None:
        return x.refuse(oe.REASON_DUPLICATE_CL_ORD_ID, known.order_id, 0)
    return 0


def _judge_choices(x: "Exchange", order: Order) -> int:
    book = x.instruments[order.instrument]
    preopen = book.state == oe.TRADING_STATE_PRE_OPEN
    kind, force, stop = order.order_type, order.force, order.order_type in (STOP, STOP_LIMIT)
    if order.side not in (1, 2):
        return x.refuse(oe.REASON_INVALID_SIDE, order.side, 2)
    if kind not in (MARKET, LIMIT, STOP, STOP_LIMIT):
        return x.refuse(oe.REASON_INVALID_ORD_TYPE, kind, 4)
    if preopen and kind == MARKET:
        return x.refuse(oe.REASON_INVALID_ORD_TYPE, kind, LIMIT)
    if force not in (0, 1, 3, 4, 6) or (preopen and force in AT_ONCE):
        return x.refuse(oe.REASON_INVALID_TIME_IN_FORCE, force, 0)
    if order.has(oe.EXEC_INST_POST_ONLY) and (force in AT_ONCE or kind != LIMIT):
        return x.refuse(oe.REASON_INVALID_EXEC_INST, order.instructions, 0)
    omnibus = x.owners[order.owner].self_trade_prevention == oe.SELF_TRADE_PREVENTION_NOT_APPLIED
    if not 1 <= order.prevention <= (5 if omnibus else 4):
        return x.refuse(oe.REASON_INVALID_SELF_TRADE_PREVENTION, order.prevention, 4)
    if stop and order.trigger == 0:
        order.trigger = oe.TRIGGER_TYPE_LAST
    elif order.trigger > 3 or (order.trigger and not stop):
        return x.refuse(oe.REASON_INVALID_TRIGGER, order.trigger, 3)
    if order.outcome_side == oe.OUTCOME_SIDE_NO:
        order.no_terms = True
        order.side = 3 - order.side
    if order.outcome_side > (1 if book.is_prediction else 0):
        return x.refuse(oe.REASON_INVALID_FIELD, order.outcome_side, 0)
    return 0


def to_tick(x: "Exchange", book: Instrument, no_terms: bool, price: int) -> int | str:
    """A wire price as a YES tick, or what is wrong with it."""
    if price < 0 or price % book.tick_size:
        x.refuse(0, price, book.tick_size)
        return "not on tick"
    tick = price // book.tick_size
    tick = book.one_tick - tick if no_terms else tick
    highest = book.one_tick - 1 if book.is_prediction else book.ticks_maximum
    if not 1 <= tick <= highest:
        x.refuse(0, price, highest * book.tick_size)
        return "out of range"
    return tick


PRICE = {"not on tick": oe.REASON_PRICE_NOT_ON_TICK, "out of range": oe.REASON_PRICE_OUT_OF_RANGE}
STOP_PRICE = {
    "not on tick": oe.REASON_STOP_PRICE_NOT_ON_TICK,
    "out of range": oe.REASON_STOP_PRICE_OUT_OF_RANGE,
}


def _judge_prices(x: "Exchange", order: Order, c: dict[str, Any]) -> int:
    book = x.instruments[order.instrument]
    limited = order.order_type in (LIMIT, STOP_LIMIT)
    if limited and c["price"] is None:
        return x.refuse(oe.REASON_PRICE_REQUIRED, 0, 0)
    if not limited and c["price"] is not None:
        return x.refuse(oe.REASON_PRICE_NOT_ALLOWED, c["price"], 0)
    if not order.trigger and c["stopPx"] is not None:
        return x.refuse(oe.REASON_PRICE_NOT_ALLOWED, c["stopPx"], 0)
    if limited:
        tick = to_tick(x, book, order.no_terms, c["price"])
        if isinstance(tick, str):
            return PRICE[tick]
        order.limit_tick = order.tick = tick
    if order.trigger:
        if c["stopPx"] is None:
            return x.refuse(oe.REASON_STOP_PRICE_REQUIRED, 0, 0)
        tick = to_tick(x, book, order.no_terms, c["stopPx"])
        if isinstance(tick, str):
            return STOP_PRICE[tick]
        order.stop_tick = tick
    return 0


def judge_lots(x: "Exchange", book: Instrument, quantity: int) -> int:
    """The reason against a wire quantity, 0 when it is good."""
    lots, rest_of_it = divmod(quantity, book.lot_size)
    if quantity <= 0:
        return x.refuse(oe.REASON_QUANTITY_NOT_POSITIVE, quantity, 0)
    if rest_of_it:
        return x.refuse(oe.REASON_QUANTITY_NOT_ON_LOT, quantity, book.lot_size)
    if lots < book.lots_minimum:
        least = book.lots_minimum * book.lot_size
        return x.refuse(oe.REASON_QUANTITY_BELOW_MINIMUM, quantity, least)
    if lots > book.lots_maximum:
        most = book.lots_maximum * book.lot_size
        return x.refuse(oe.REASON_QUANTITY_ABOVE_MAXIMUM, quantity, most)
    return 0


def judge_display(x: "Exchange", book: Instrument, display: int, lots: int) -> int:
    """The reason against a display quantity."""
    if display % book.lot_size or not 1 <= display // book.lot_size <= lots:
        return x.refuse(oe.REASON_INVALID_DISPLAY_QUANTITY, display, lots * book.lot_size)
    return 0


def _judge_quantities(x: "Exchange", order: Order, c: dict[str, Any]) -> int:
    book = x.instruments[order.instrument]
    reason = judge_lots(x, book, c["orderQty"])
    if reason:
        return reason
    order.quantity = order.leaves = c["orderQty"] // book.lot_size
    if c["displayQty"] is not None:
        reason = judge_display(x, book, c["displayQty"], order.quantity)
        if reason:
            return reason
        shown = c["displayQty"] // book.lot_size
        order.display = shown if shown < order.quantity else 0
    return 0


def _judge_time(x: "Exchange", order: Order, c: dict[str, Any]) -> int:
    if order.force == oe.TIME_IN_FORCE_GOOD_TILL_DATE:
        if c["expireTime"] is None:
            return x.refuse(oe.REASON_EXPIRE_TIME_REQUIRED, 0, 0)
        if c["expireTime"] <= x.time:
            return x.refuse(oe.REASON_EXPIRE_TIME_PASSED, c["expireTime"], x.time)
        order.expire_time = c["expireTime"]
    elif order.force == oe.TIME_IN_FORCE_DAY:
        order.expire_time = (x.time // DAY_NS + 1) * DAY_NS
    count = len(x.accounts[order.account].orders)
    if count >= OPEN_ORDERS_MAX:
        return x.refuse(oe.REASON_OPEN_ORDERS_LIMIT, count, OPEN_ORDERS_MAX)
    return 0


def enter(x: "Exchange", order: Order) -> int:
    """Admit a judged order and execute it, or let it wait; 0 or the reason."""
    book = x.instruments[order.instrument]
    position_of(x, order.account, book)
    refused = judge_entry(x, order, NEW_ORDER)
    if refused:
        return refused
    if order.trigger:
        assert order.stop_tick is not None
        order.tick = order.stop_tick
    else:
        reason = admit(x, order)
        if reason:
            return reason
    if order.client_id:
        x.client_ids[order.session, order.client_id] = order
    x.accounts[order.account].orders.insert(0, order)
    if order.expire_time:
        x.expiring.add(order.slot)
    if order.trigger:
        book.put_stop(order)
        order.state = STOPPED
        report(x, order, "0")
        x.triggered = book.number
    else:
        execute(x, order, "0")
    return 0


def judge_band(x: "Exchange", book: Instrument, side: int, tick: int) -> int:
    """No buying far above the mark, no selling far below."""
    if book.price_band == 0 or book.mark == 0:
        return 0
    width = book.mark // 1_000_000 * book.price_band
    price = tick * book.tick_size
    if side == oe.SIDE_BUY and price > book.mark + width:
        return x.refuse(oe.REASON_PRICE_BAND, price, book.mark + width)
    if side == oe.SIDE_SELL and price < book.mark - width:
        return x.refuse(oe.REASON_PRICE_BAND, price, book.mark - width)
    return 0


def judge_book(x: "Exchange", order: Order, tick: int, lots: int, reduce_only: bool) -> int:
    """The rules that need the book or the account, for the order at a tick."""
    book = x.instruments[order.instrument]
    taking = book.state == oe.TRADING_STATE_OPEN and book.crosses(order.side, tick)
    if order.has(oe.EXEC_INST_POST_ONLY) and taking:
        best = book.best(3 - order.side)
        assert best is not None
        return x.refuse(oe.REASON_POST_ONLY_WOULD_TRADE, tick * book.tick_size,
                        best * book.tick_size)
    most = reducible(x, order)
    if reduce_only and most < lots:
        return x.refuse(oe.REASON_REDUCE_ONLY_WOULD_INCREASE, lots * book.lot_size,
                        most * book.lot_size)
    wanted = (order.instrument, order.side, tick, lots)
    return margin_admit(x, x.accounts[order.account], wanted)


def admit(x: "Exchange", order: Order) -> int:
    """Judge by book and account; hold margin when all is well."""
    book = x.instruments[order.instrument]
    if order.limit_tick is None:
        best = book.best(3 - order.side)
        if best is None:
            return x.refuse(oe.REASON_NO_LIQUIDITY, 0, 0)
        order.tick = impact_tick(book, order.side, best)
    else:
        order.tick = order.limit_tick
        reason = judge_band(x, book, order.side, order.tick)
        if reason:
            return reason
    only = x.accounts[order.account].state == oe.ACCOUNT_STATE_REDUCE_ONLY
    only = only or order.has(oe.EXEC_INST_REDUCE_ONLY)
    reason = judge_book(x, order, order.tick, order.leaves, only)
    if reason:
        return reason
    if order.force == oe.TIME_IN_FORCE_FILL_OR_KILL and not fillable(x, order):
        lots = order.leaves * book.lot_size
        return x.refuse(oe.REASON_FILL_OR_KILL_NOT_FILLABLE, lots, 0)
    reserve(x, order, order.tick, order.leaves)
    return 0


def impact_tick(book: Instrument, side: int, best: int) -> int:
    """How far a market order may go: 1 % of the best price, a twentieth of a prediction's 1."""
    width = max(1, book.one_tick // 20 if book.is_prediction else best // 100)
    highest = book.one_tick - 1 if book.is_prediction else book.ticks_maximum
    return min(highest, best + width) if side == oe.SIDE_BUY else max(1, best - width)


def execute(x: "Exchange", order: Order, kind: str) -> None:
    """Match an admitted order; rest or end what is left. `kind` "" when it was reported already."""
    book = x.instruments[order.instrument]
    x.taker_report = None
    reason = 0
    if book.state == oe.TRADING_STATE_OPEN and book.crosses(order.side, order.tick):
        if kind:
            report(x, order, kind)
        kind = ""
        reason = match(x, order)
        if order.leaves == 0 and reason == 0:
            close(x, order)
            return
    if reason == 0 and (order.force in AT_ONCE or order.limit_tick is None):
        reason = oe.REASON_IMMEDIATE_OR_CANCEL
    if reason == 0:
        rest(x, order)
        if kind:
            report(x, order, kind)
        elif x.taker_report is not None:
            x.taker_report["flags"] |= oe.REPORT_FLAGS_ON_BOOK
            x.taker_report["visibleQty"] = order.visible * book.lot_size
        else:
            report(x, order, "D")
        return
    if kind:
        report(x, order, kind)
    if order.leaves:
        release(x, order, order.leaves)
    end(x, order, reason)


def trigger(x: "Exchange", order: Order) -> None:
    """A stop's price has come."""
    order.state = NEW
    reason = judge_entry(x, order, UNCOUNTED) or admit(x, order)
    report(x, order, "L")
    if reason == 0:
        execute(x, order, "")
        return
    short = reason == oe.REASON_INSUFFICIENT_MARGIN
    fields = end(x, order, oe.REASON_MARGIN_AT_TRIGGER if short else reason)
    fields["detail"], fields["limit"] = x.detail, x.limit


def run_triggers(x: "Exchange", number: int) -> None:
    """Execute the stops that an instrument's prices trigger, TRIGGERS_MAX at the most."""
    book = x.instruments[number]
    for _ in range(TRIGGERS_MAX):
        order = None
        if book.last_tick is not None:
            order = book.triggered(1, book.last_tick)
        if order is None and book.mark:
            order = book.triggered(2, book.mark // book.tick_size)
        if order is None and book.index:
            order = book.triggered(3, book.index // book.tick_size)
        if order is None or book.state != oe.TRADING_STATE_OPEN:
            return
        if x.fills >= FILLS_MAX:
            break
        x.fills += 1
        book.take_stop(order)
        trigger(x, order)
    x.triggers_left.add(number)
