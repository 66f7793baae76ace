"""Order previews of the model: judged as an order, looked at as if it stood, and forgotten."""

from typing import TYPE_CHECKING, Any

import sbe.generated.order_entry as oe
from tests.model.books import fee, position_of
from tests.model.controls import UNCOUNTED, judge_entry
from tests.model.entry import admit, judge_terms, read_terms
from tests.model.margin import levels, orders_of, reserved
from tests.model.matching import release, reserve
from tests.model.records import DONE, Instrument, Order
from tests.model.reports import own_price

if TYPE_CHECKING:
    from tests.model.exchange import Exchange


def order_preview(x: "Exchange", c: dict[str, Any]) -> None:
    """OrderPreviewRequest."""
    account = x.account_of(c["account"])
    fields: dict[str, Any] = {
        "requestId": c["requestId"], "account": account, "instrument": c["instrument"],
        "price": None, "value": 0, "fee": 0, "borrowed": 0, "equity": 0, "initialBefore": 0,
        "maintenanceBefore": 0, "initialAfter": 0, "maintenanceAfter": 0, "echo": c["echo"],
    }
    reason = x.judge_account(account)
    if reason == 0:
        equity, initial, maintenance = levels(x, x.accounts[account])
        fields |= {"equity": equity, "initialBefore": initial, "initialAfter": initial,
                   "maintenanceBefore": maintenance, "maintenanceAfter": maintenance}
        reason = _judge(x, c, fields)
    fields |= {"reason": reason, "detail": x.detail if reason else 0,
               "limit": x.limit if reason else 0}
    x.emit(x.session, "OrderPreview", **fields)


def _judge(x: "Exchange", c: dict[str, Any], fields: dict[str, Any]) -> int:
    order = x.take_record()
    if order is None:
        return x.refuse(oe.REASON_CAPACITY_REACHED, 0, x.limits.orders_max)
    read_terms(x, order, c)
    reason = judge_terms(x, order, c)
    if reason == 0 and not order.trigger:
        reason = _look_ahead(x, order, fields)
    order.state, order.leaves = DONE, 0
    order.status = "8"  # It never was one: nobody asks for it.
    x.give_back(order)
    return reason


def _look_ahead(x: "Exchange", order: Order, fields: dict[str, Any]) -> int:
    """The levels with the order open, even where it would be refused for them."""
    book = x.instruments[order.instrument]
    position_of(x, order.account, book)
    reason = admit(x, order)
    if order.tick <= 0 or reason == oe.REASON_POSITION_LIMIT:
        return reason
    detail, limit = x.detail, x.limit
    if reason:
        reserve(x, order, order.tick, order.leaves)
    _, initial, maintenance = levels(x, x.accounts[order.account])
    value = book.value(order.tick, order.leaves)
    fields |= {
        "price": own_price(book, order, order.tick), "value": value,
        "fee": fee(x, order.account, book, value, False), "borrowed": _uncovered(x, order, book),
        "initialAfter": initial, "maintenanceAfter": maintenance}
    release(x, order, order.leaves)
    x.detail, x.limit = detail, limit
    return reason or judge_entry(x, order, UNCOUNTED)


def _uncovered(x: "Exchange", order: Order, book: Instrument) -> int:
    """How much of what the account's orders give away its balance doesn't hold."""
    buys = order.side == oe.SIDE_BUY
    if book.is_perpetual or not (buys or book.is_spot):
        return 0
    account, given = x.accounts[order.account], book.quote if buys else book.base
    taken = reserved(x, orders_of(x, account, None))[given]
    return max(0, taken - account.balances.get(given, 0))
