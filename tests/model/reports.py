"""What the model says about orders: the same fields as the schema's messages, in plain values."""

from typing import TYPE_CHECKING, Any

import sbe.generated.order_entry as oe
from tests.model.records import RESTING, STOPPED, Instrument, Order

if TYPE_CHECKING:
    from tests.model.exchange import Exchange

NOBODY = 2**64


def own_price(book: Instrument | None, order: Order, tick: int | None) -> int | None:
    """A YES tick as the price its client would say."""
    if tick is None or book is None:
        return None
    return (book.one_tick - tick if order.no_terms else tick) * book.tick_size


def report(
    x: "Exchange", order: Order, kind: str, reason: int = 0, *, to: int | None = None, **more: Any
) -> dict[str, Any]:
    """ExecutionReport of an order as it stands; the fields, which may still be changed.

    to: the session that is told, if that isn't the order's own.
    """
    book = x.instruments.get(order.instrument)
    lot = book.lot_size if book is not None else 0
    x.exec_id += 1
    flags = oe.REPORT_FLAGS_QUOTE if order.quote else 0
    if order.state == RESTING:
        flags |= oe.REPORT_FLAGS_ON_BOOK
    elif order.state == STOPPED:
        flags |= oe.REPORT_FLAGS_STOPPED
    value = order.filled_value
    if order.no_terms and book is not None:
        value = book.value(book.one_tick, order.filled) - value
    fields: dict[str, Any] = {
        "orderId": order.order_id, "clOrdId": order.client_id % NOBODY, "execId": x.exec_id,
        "account": order.account, "instrument": order.instrument, "owner": order.owner,
        "execType": kind, "ordStatus": order.status, "reason": reason,
        "side": 3 - order.side if order.no_terms else order.side,
        "ordType": order.order_type, "timeInForce": order.force,
        "execInst": order.instructions, "selfTradePrevention": order.prevention,
        "triggerType": order.trigger, "outcomeSide": order.outcome_side, "tag": order.tag,
        "quoteSetId": order.quote_set, "price": own_price(book, order, order.limit_tick),
        "stopPx": own_price(book, order, order.stop_tick),
        "expireTime": order.expire_time or None, "orderQty": order.quantity * lot,
        "cumQty": order.filled * lot, "leavesQty": order.leaves * lot, "cumValue": value,
        "displayQty": order.display * lot or None,
        "visibleQty": order.visible * lot if order.state == RESTING else 0, "flags": flags,
        "lastPx": None, "lastQty": None, "tradeId": None, "fee": 0, "lastLiquidity": 0,
        "origClOrdId": 0, "detail": 0, "limit": 0, "echo": order.echo,
    }
    x.emit(order.session if to is None else to, "ExecutionReport", **(fields | more))
    x.last_report = x.events[-1].fields
    return x.last_report


def report_trade(
    x: "Exchange", order: Order, tick: int, lots: int, fee: int, liquidity: int
) -> dict[str, Any]:
    """One side of the newest trade."""
    book = x.instruments[order.instrument]
    return report(
        x, order, "F", lastPx=own_price(book, order, tick), lastQty=lots * book.lot_size,
        tradeId=x.trades, fee=fee, lastLiquidity=liquidity,
    )


def cancel_reject(
    x: "Exchange", order: Order | None, response_to: int, reason: int, command: dict[str, Any],
    account: int,
) -> None:
    """OrderCancelReject."""
    x.emit(
        x.session, "OrderCancelReject", orderId=order.order_id if order is not None else None,
        clOrdId=command["clOrdId"], origClOrdId=command["origClOrdId"], account=account,
        reason=reason, responseTo=response_to, ordStatus=order.status if order is not None else "8",
        detail=x.detail, limit=x.limit, echo=command["echo"],
    )
