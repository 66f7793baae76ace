"""What an order would need, without entering it: judged as one, its margin looked at, forgotten.

    terms ─► admitted ─► reserved ─► levels ─► released        OrderPreview

The request has the fields of NewOrderSingle at the same places, so that one reader and one set of
rules judge both. A stop is judged by its terms only, as it is when it comes: it needs no margin
until its price is there.
"""

import numpy as np

import sbe.generated.order_entry as oe
from core.engine.controls.judge import judge_order
from core.engine.emit import echo_size, event_begin, own_price, put_echo
from core.engine.fees import fill_fee
from core.engine.margin.door import margin_ask, margin_levels, margin_release, margin_reserve
from core.engine.new_order import admit
from core.engine.order_terms import account_of, judge_account, judge_terms, read_terms, refuse
from core.engine.orders import give_back_slot, take_slot
from core.engine.positions import position_of
from core.engine.units import value_of
from core.jit import jit
from core.linked import linked
from core.records import DONE

assert oe.ORDER_PREVIEW_REQUEST_OUTCOME_SIDE_OFFSET == oe.NEW_ORDER_SINGLE_OUTCOME_SIDE_OFFSET
assert oe.ORDER_PREVIEW_REQUEST_ORDER_QTY_OFFSET == oe.NEW_ORDER_SINGLE_ORDER_QTY_OFFSET


@linked
def order_preview(s, a):
    """Handle an OrderPreviewRequest: one OrderPreview, and the books as they were."""
    account = account_of(s, oe.order_preview_request_account(a))
    block = oe.ORDER_PREVIEW_BLOCK
    r = event_begin(s, block, echo_size(s.work.echo), s.work.session)
    oe.write_order_preview_header(r - 8)
    oe.set_order_preview_request_id(r, np.int64(oe.order_preview_request_request_id(a)))
    oe.set_order_preview_account(r, account)
    oe.set_order_preview_instrument(r, oe.order_preview_request_instrument(a))
    oe.set_order_preview_price(r, oe.ORDER_PREVIEW_PRICE_NULL)
    put_echo(r, block, s.work.echo)
    reason = judge_account(s, account)
    if reason == 0:
        margin_levels(s, account)
        oe.set_order_preview_equity(r, s.work.scratch[0])
        oe.set_order_preview_initial_before(r, s.work.scratch[1])
        oe.set_order_preview_maintenance_before(r, s.work.scratch[2])
        oe.set_order_preview_initial_after(r, s.work.scratch[1])
        oe.set_order_preview_maintenance_after(r, s.work.scratch[2])
        reason = _judge(s, a, r)
    oe.set_order_preview_reason(r, reason)
    oe.set_order_preview_detail(r, s.work.detail if reason != 0 else 0)
    oe.set_order_preview_limit(r, s.work.limit if reason != 0 else 0)
    if reason == oe.REASON_INSUFFICIENT_MARGIN:
        oe.set_order_preview_worst_expiry(r, s.work.worst_expiry)
        oe.set_order_preview_worst_outcome(r, s.work.worst_outcome)
        oe.set_order_preview_worst_move(r, s.work.worst_move)
        oe.set_order_preview_worst_asset(r, s.work.worst_asset)


@jit
def _judge(s, a, r):
    """Judge the order in a slot of its own, which is given back."""
    slot = take_slot(s)
    if slot == 0:
        return refuse(s, oe.REASON_CAPACITY_REACHED, 0, len(s.orders))
    read_terms(s, slot, a)
    reason = judge_terms(s, slot, a)
    if reason == 0 and s.details[slot].trigger_type == oe.TRIGGER_TYPE_NONE:
        reason = _look_ahead(s, slot, r)
    s.orders[slot].state = DONE
    s.orders[slot].leaves = 0
    s.details[slot].client_order_id = 0
    give_back_slot(s, slot)
    return reason


@jit
def _look_ahead(s, slot, r):
    """The account's levels with the order open, even where it would be refused for them."""
    order = s.orders[slot]
    book = s.instruments[order.instrument]
    order.position = position_of(s, order.account, order.instrument)
    if order.position == 0:
        return refuse(s, oe.REASON_CAPACITY_REACHED, 0, len(s.positions))
    reason = admit(s, slot)
    if order.tick <= 0 or reason == oe.REASON_POSITION_LIMIT:
        return reason  # No price to judge it at; more than the arithmetic is exact for.
    detail = s.work.detail
    limit = s.work.limit
    side, tick, lots = order.side, order.tick, order.leaves
    value = value_of(book, tick, lots)
    if reason != 0:
        margin_reserve(s, order.position, side, tick, lots)
    margin_ask(s, order.position, side, tick, lots)
    margin_levels(s, order.account)
    margin_ask(s, 0, 0, 0, 0)
    oe.set_order_preview_price(r, own_price(book, order.flags, tick))
    oe.set_order_preview_value(r, value)
    oe.set_order_preview_fee(r, fill_fee(s, order.account, order.instrument, value, False))
    oe.set_order_preview_borrowed(r, _uncovered(s, order, book))
    oe.set_order_preview_initial_after(r, s.work.scratch[1])
    oe.set_order_preview_maintenance_after(r, s.work.scratch[2])
    margin_release(s, order.position, side, tick, lots)
    s.work.detail = detail
    s.work.limit = limit
    if reason == 0 and s.controls.active != 0:
        reason = judge_order(s, slot, 0)
    return reason


@jit
def _uncovered(s, order, book):
    """How much of what the account's orders give away its balance doesn't hold."""
    perpetual = book.kind == oe.INSTRUMENT_KIND_PERPETUAL
    if perpetual or (order.side == oe.SIDE_SELL and book.kind != oe.INSTRUMENT_KIND_SPOT):
        return 0
    given = book.quote if order.side == oe.SIDE_BUY else book.base
    entry = s.accounts[order.account].assets[given]
    return max(0, entry.reserved - entry.balance)
