"""Replaces, cancels, mass quotes of the model: what happens to orders that are there already."""

from typing import TYPE_CHECKING, Any

import sbe.generated.order_entry as oe
from tests.model.controls import judge_change
from tests.model.entry import (
    PRICE,
    STOP_PRICE,
    TAKES_ORDERS,
    enter,
    execute,
    judge_band,
    judge_book,
    judge_display,
    judge_lots,
    to_tick,
)
from tests.model.matching import KEPT, cancel, release, reserve
from tests.model.records import DONE, NEW, RESTING, STOPPED, Instrument, Order, Protection
from tests.model.reports import cancel_reject, report

if TYPE_CHECKING:
    from tests.model.exchange import Exchange

OPEN = (RESTING, STOPPED)
QUOTES_MAX = 500
QUOTE_SET_MAX = 2**30 - 1


def _named(x: "Exchange", c: dict[str, Any], account: int) -> tuple[Order | None, int]:
    """The open order a command means, and the reason why there is none."""
    order = x.find_order(c["orderId"], c["origClOrdId"])
    reason = x.judge_account(account)
    if reason:
        return order, reason
    if order is None or order.account != account:
        return None, oe.REASON_UNKNOWN_ORDER
    return order, 0 if order.state in OPEN else oe.REASON_ORDER_DONE


def cancel_request(x: "Exchange", c: dict[str, Any]) -> None:
    """OrderCancelRequest."""
    account = x.account_of(c["account"])
    order, reason = _named(x, c, account)
    if reason or order is None:
        cancel_reject(x, order, 1, reason, c, account)
        return
    order.echo = c["echo"]
    fields = cancel(x, order, oe.REASON_USER_REQUEST)
    fields["origClOrdId"] = order.client_id % 2**64
    fields["clOrdId"] = c["clOrdId"] or order.client_id % 2**64


def mass_cancel(x: "Exchange", c: dict[str, Any]) -> None:
    """OrderMassCancelRequest."""
    account = x.account_of(c["account"])
    scope, instrument = c["scope"], c["instrument"]
    reason = x.judge_account(account)
    if reason == 0 and not oe.MASS_CANCEL_SCOPE_ALL <= scope <= oe.MASS_CANCEL_SCOPE_SESSION:
        reason = oe.REASON_INVALID_FIELD
    by_instrument = scope == oe.MASS_CANCEL_SCOPE_INSTRUMENT
    if reason == 0 and by_instrument and instrument not in x.instruments:
        reason = oe.REASON_UNKNOWN_INSTRUMENT
    affected = 0
    if reason == 0:
        for order in list(x.accounts[account].orders):
            if _in_scope(x, order, c):
                cancel(x, order, oe.REASON_MASS_CANCEL)
                affected += 1
    x.emit(
        x.session, "OrderMassCancelReport", clOrdId=c["clOrdId"], account=account,
        affected=affected, instrument=instrument, reason=reason, scope=scope, echo=c["echo"],
    )


def _in_scope(x: "Exchange", order: Order, c: dict[str, Any]) -> bool:
    book = x.instruments[order.instrument]
    said = 3 - order.side if order.no_terms else order.side
    if c["side"] and c["side"] != said:
        return False
    return {
        oe.MASS_CANCEL_SCOPE_ALL: True,
        oe.MASS_CANCEL_SCOPE_INSTRUMENT: order.instrument == c["instrument"],
        oe.MASS_CANCEL_SCOPE_UNDERLYING: book.base == c["underlying"],
        oe.MASS_CANCEL_SCOPE_KIND: book.kind == c["kind"],
        oe.MASS_CANCEL_SCOPE_SESSION: order.session == x.session,
    }[c["scope"]]


def replace_order(x: "Exchange", c: dict[str, Any]) -> None:
    """OrderCancelReplaceRequest."""
    account = x.account_of(c["account"])
    order, reason = _named(x, c, account)
    if reason == 0 and order is not None:
        reason = _replace(x, order, c)
    if reason:
        cancel_reject(x, order, 2, reason, c, account)


def _replace(x: "Exchange", order: Order, c: dict[str, Any]) -> int:
    book = x.instruments[order.instrument]
    state = x.accounts[order.account].state
    if state > oe.ACCOUNT_STATE_REDUCE_ONLY:
        return x.refuse(oe.REASON_ACCOUNT_STATE, state, 0)
    if book.state not in TAKES_ORDERS:
        return x.refuse(oe.REASON_INSTRUMENT_STATE, book.state, 0)
    known = x.client_ids.get((x.session, c["clOrdId"]))
    if c["clOrdId"] and c["clOrdId"] != order.client_id and known is not None:
        return x.refuse(oe.REASON_DUPLICATE_CL_ORD_ID, known.order_id, 0)
    reason, tick, stop = _judge_prices(x, order, c)
    if reason:
        return reason
    lots = order.quantity
    if c["orderQty"] is not None:
        reason = judge_lots(x, book, c["orderQty"])
        lots = c["orderQty"] // book.lot_size
    if reason == 0 and lots <= order.filled:
        reason = x.refuse(oe.REASON_REPLACE_BELOW_FILLED, lots * book.lot_size,
                          order.filled * book.lot_size)
    display = order.display
    if reason == 0 and c["displayQty"] is not None:
        reason = judge_display(x, book, c["displayQty"], lots)
        display = c["displayQty"] // book.lot_size % lots  # All of it is no display.
    reason = reason or judge_change(x, order, tick, lots)
    if reason:
        return reason
    if order.state == STOPPED:
        _change_stop(x, order, c, (tick, stop, lots, display))
        return 0
    assert tick is not None
    if tick == order.tick and display == order.display and lots <= order.quantity:
        reduce(x, order, lots, c["clOrdId"], c["echo"])
        return 0
    return change(x, order, (tick, lots, display), c["clOrdId"], c["echo"])


def _judge_prices(
    x: "Exchange", order: Order, c: dict[str, Any]
) -> tuple[int, int | None, int | None]:
    """(reason, limit tick, stop tick) of the order in its new form."""
    book = x.instruments[order.instrument]
    tick, stop = order.limit_tick, order.stop_tick
    if c["price"] is not None:
        if order.limit_tick is None:
            return x.refuse(oe.REASON_PRICE_NOT_ALLOWED, c["price"], 0), tick, stop
        new = to_tick(x, book, order.no_terms, c["price"])
        if isinstance(new, str):
            return PRICE[new], tick, stop
        tick = new
    if c["stopPx"] is not None:
        if order.state != STOPPED:
            return x.refuse(oe.REASON_PRICE_NOT_ALLOWED, c["stopPx"], 0), tick, stop
        new = to_tick(x, book, order.no_terms, c["stopPx"])
        if isinstance(new, str):
            return STOP_PRICE[new], tick, stop
        stop = new
    return 0, tick, stop


def _rename(x: "Exchange", order: Order, client_id: int) -> None:
    if client_id:
        if x.client_ids.get((order.session, order.client_id)) is order:
            del x.client_ids[order.session, order.client_id]
        order.client_id = client_id
        x.client_ids[order.session, client_id] = order


def _rename_in(
    x: "Exchange", order: Order, client_id: int, fields: dict[str, Any]
) -> None:
    """The report of a replace gives the new id with the old one beside it."""
    fields["origClOrdId"] = order.client_id % 2**64
    if client_id:
        fields["clOrdId"] = client_id
    _rename(x, order, client_id)


def _change_stop(
    x: "Exchange", order: Order, c: dict[str, Any],
    terms: tuple[int | None, int | None, int, int],
) -> None:
    book = x.instruments[order.instrument]
    book.take_stop(order)
    order.limit_tick, order.stop_tick, order.quantity, display = terms
    assert order.stop_tick is not None
    order.display = display if display < order.quantity else 0
    order.leaves = order.quantity
    order.tick = order.stop_tick
    book.put_stop(order)
    order.echo = c["echo"]
    _rename_in(x, order, c["clOrdId"], report(x, order, "5"))
    x.triggered = book.number


def reduce(
    x: "Exchange", order: Order, lots: int, client_id: int, echo: bytes | None
) -> None:
    """Less at the same price: hidden lots go first, the place stays."""
    less = order.quantity - lots
    order.visible = min(order.visible, order.leaves - less)
    release(x, order, less)
    order.leaves -= less
    order.quantity = lots
    if echo is not None:
        order.echo = echo
    fields = report(x, order, "5")
    fields["flags"] |= KEPT
    _rename_in(x, order, client_id, fields)


def change(
    x: "Exchange", order: Order, terms: tuple[int, int, int], client_id: int, echo: bytes | None
) -> int:
    """As if the order came anew, under its old order id; or the reason, and nothing changed."""
    book = x.instruments[order.instrument]
    tick, lots, display = terms
    leaves = lots - order.filled
    held_tick, held = order.reserved_tick, order.reserved
    release(x, order, held)
    only = x.accounts[order.account].state == oe.ACCOUNT_STATE_REDUCE_ONLY
    only = only or order.has(oe.EXEC_INST_REDUCE_ONLY)
    reason = judge_band(x, book, order.side, tick) or judge_book(x, order, tick, leaves, only)
    if reason:
        reserve(x, order, held_tick, held)
        return reason
    book.take(order)
    order.state = NEW
    order.visible = 0
    order.tick = order.limit_tick = tick
    order.leaves, order.quantity = leaves, lots
    order.display = display if display < lots else 0
    reserve(x, order, tick, leaves)
    if echo is not None:
        order.echo = echo
    original = order.client_id % 2**64
    _rename(x, order, client_id)
    first = len(x.events)
    execute(x, order, "5")
    x.events[first].fields["origClOrdId"] = original
    return 0


def mass_quote(x: "Exchange", c: dict[str, Any]) -> None:
    """MassQuote: each entry by itself, one answer."""
    account, entries = x.account_of(c["account"]), c["quotes"]
    reason = x.judge_account(account)
    if reason == 0 and (len(entries) > QUOTES_MAX or c["quoteSetId"] > QUOTE_SET_MAX):
        reason = oe.REASON_INVALID_FIELD
    if reason == 0 and x.accounts[account].state > oe.ACCOUNT_STATE_REDUCE_ONLY:
        reason = oe.REASON_ACCOUNT_STATE
    answers = [] if reason else [_quote_entry(x, c, account, entry) for entry in entries]
    x.emit(
        x.session, "MassQuoteAck", quoteId=c["quoteId"], account=account,
        quoteSetId=c["quoteSetId"], reason=reason, quotes=answers,
    )


def protection_of(x: "Exchange", account: int, underlying: int) -> Protection | None:
    """The account's protection on an underlying."""
    for protection in x.accounts[account].protections:
        if protection.underlying == underlying:
            return protection
    return None


def _quote_entry(
    x: "Exchange", c: dict[str, Any], account: int, entry: dict[str, Any]
) -> dict[str, Any]:
    number = entry["instrument"]
    answer = {"instrument": number, "bidReason": 0, "offerReason": 0,
              "bidOrderId": None, "offerOrderId": None}
    reason = _judge_entry(x, c, account, entry)
    if reason:
        return answer | {"bidReason": reason, "offerReason": reason}
    book = x.instruments[number]
    own_offer = _open_quote(x, c["quoteSetId"], number, 1)
    bid = entry["bidPx"]
    moves_up = own_offer is not None and bid is not None and bid >= own_offer.tick * book.tick_size
    for side in (1, 0) if moves_up else (0, 1):
        name = ("bid", "offer")[side]
        answer[name + "Reason"], answer[name + "OrderId"] = _quote_side(
            x, c["quoteSetId"], account, book, side, entry[name + "Px"], entry[name + "Size"])
    return answer


def _judge_entry(x: "Exchange", c: dict[str, Any], account: int, entry: dict[str, Any]) -> int:
    book = x.instruments.get(entry["instrument"])
    if book is None:
        return oe.REASON_UNKNOWN_INSTRUMENT
    if book.state not in TAKES_ORDERS:
        return oe.REASON_INSTRUMENT_STATE
    protection = protection_of(x, account, book.base)
    if protection is not None and protection.tripped:
        if not c["resetProtection"]:
            return oe.REASON_PROTECTION_TRIPPED
        protection.reset()
    bid, offer = entry["bidPx"], entry["offerPx"]
    crossed = bid is not None and offer is not None and bid >= offer
    return oe.REASON_PRICE_OUT_OF_RANGE if crossed else 0


def quote_name(quote_set: int, instrument: int, side: int) -> int:
    """The client order id of a quote, as the core makes it."""
    return -(2**63) + (quote_set << 33) + (instrument << 1) + side


def _open_quote(x: "Exchange", quote_set: int, instrument: int, side: int) -> Order | None:
    order = x.client_ids.get((x.session, quote_name(quote_set, instrument, side)))
    return order if order is not None and order.state in OPEN else None


def _quote_side(
    x: "Exchange", quote_set: int, account: int, book: Instrument, side: int,
    price: int | None, size: int | None,
) -> tuple[int, int | None]:
    """One side of a quote: (reason, order id)."""
    order = _open_quote(x, quote_set, book.number, side)
    if price is None or not size:
        if order is not None:
            cancel(x, order, oe.REASON_USER_REQUEST)
        return 0, None
    tick = to_tick(x, book, False, price)
    reason = PRICE[tick] if isinstance(tick, str) else judge_lots(x, book, size)
    lots = size // book.lot_size
    if reason == 0 and order is None:
        order = x.take_record()
        if order is None:
            return oe.REASON_CAPACITY_REACHED, None
        _make_quote(x, order, quote_set, account, book, side)
        assert isinstance(tick, int)
        order.tick = order.limit_tick = tick
        order.leaves = order.quantity = lots
        reason = enter(x, order)
        if reason:
            x.give_back(order)
        return reason, None if reason else order.order_id
    if reason == 0 and order is not None:
        assert isinstance(tick, int)
        reason = _move_quote(x, order, tick, lots)
    if reason and order is not None and order.state in OPEN:
        cancel(x, order, reason)
    return reason, order.order_id if order is not None and not reason else None


def _move_quote(x: "Exchange", order: Order, tick: int, lots: int) -> int:
    if (order.tick, order.leaves) == (tick, lots):
        return 0
    if order.tick == tick and lots < order.leaves:
        reduce(x, order, order.filled + lots, 0, None)
        return 0
    total = order.filled + lots
    return judge_change(x, order, tick, total) or change(x, order, (tick, total, 0), 0, None)


def _make_quote(
    x: "Exchange", order: Order, quote_set: int, account: int, book: Instrument, side: int
) -> None:
    order.account = account
    order.owner = x.accounts[account].owner
    order.instrument = book.number
    order.side = side + 1
    order.quote = True
    order.prevention = x.owners[order.owner].self_trade_prevention or 1
    order.client_id = quote_name(quote_set, book.number, side)
    order.session = x.session
    order.quote_set = quote_set
    order.protection = protection_of(x, account, book.base)
    order.entered = x.sequence


def quote_cancel(x: "Exchange", c: dict[str, Any]) -> int:
    """QuoteCancel."""
    account = x.account_of(c["account"])
    reason = x.judge_account(account)
    if reason:
        return reason
    for order in list(x.accounts[account].orders):
        if order.quote and c["instrument"] in (None, order.instrument):
            cancel(x, order, oe.REASON_USER_REQUEST)
    return 0


def run_protections(x: "Exchange") -> None:
    """Cancel the quotes of what tripped, and say so."""
    while x.tripped:
        protection = x.tripped.pop(0)
        mine = [o for o in x.accounts[protection.account].orders if o.protection is protection]
        for order in mine:
            cancel(x, order, oe.REASON_MARKET_MAKER_PROTECTION)
        measured, limit = (
            (protection.quantity, protection.quantity_limit),
            (protection.value, protection.value_limit),
            (protection.count, protection.count_limit),
        )[protection.trigger - 1]
        x.emit(
            protection.session, "ProtectionTriggered", account=protection.account,
            underlying=protection.underlying, trigger=protection.trigger, canceled=len(mine),
            measured=measured, limit=limit,
        )


def protection_set(x: "Exchange", c: dict[str, Any]) -> int:
    """ProtectionSet."""
    account, underlying = x.account_of(c["account"]), c["underlying"]
    reason = x.judge_account(account)
    if reason:
        return reason
    if underlying not in x.assets:
        return x.refuse(oe.REASON_UNKNOWN_ASSET, underlying, 0)
    protection = protection_of(x, account, underlying)
    if protection is None:
        protection = Protection(account, underlying)
        x.accounts[account].protections.insert(0, protection)
    protection.window = c["window"]
    protection.quantity_limit = c["quantityLimit"]
    protection.value_limit = c["valueLimit"]
    protection.count_limit = c["countLimit"]
    protection.session = x.session
    protection.reset()
    return 0


def protection_reset(x: "Exchange", c: dict[str, Any]) -> int:
    """ProtectionReset."""
    account = x.account_of(c["account"])
    reason = x.judge_account(account)
    if reason:
        return reason
    protection = protection_of(x, account, c["underlying"])
    if protection is None:
        return x.refuse(oe.REASON_UNKNOWN_ASSET, c["underlying"], 0)
    protection.reset()
    return 0


def order_status(x: "Exchange", c: dict[str, Any]) -> None:
    """OrderStatusRequest of an order that is known, by whoever may act for its account."""
    account = x.account_of(c["account"])
    order = x.find_order(c["orderId"], c["clOrdId"])
    assert order is not None
    assert order.account == account
    assert order.state in (*OPEN, DONE)
    report(x, order, "I", to=x.session)
