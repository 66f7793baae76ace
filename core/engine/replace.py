"""OrderCancelReplaceRequest: another price or quantity for an open order.

Only a lower total quantity at the same price keeps the place in the queue; anything else is as if
the order came anew, under its old order id. A refused replace leaves the order as it was.
"""

import numpy as np

import sbe.generated.order_entry as oe
from core.engine.book import crosses, dequeue, reduce_visible
from core.engine.client_index import add_client_order, find_client_order, remove_client_order
from core.engine.controls.judge import judge_controls
from core.engine.emit import add_report_flag, cancel_reject, report
from core.engine.limits import admit_order
from core.engine.liquidation.queue import look_again
from core.engine.margin.door import margin_release, margin_reserve
from core.engine.matching import reducible
from core.engine.new_order import execute
from core.engine.order_terms import (
    account_of,
    judge_account,
    judge_band,
    judge_lots,
    keep_echo,
    price_to_tick,
    refuse,
)
from core.engine.orders import find_order, is_open
from core.engine.stops import add_stop, remove_stop
from core.engine.units import lots_of
from core.jit import jit
from core.linked import linked
from core.records import POST_ONLY, REDUCE_ONLY, STOPPED

_REPLACE = 2  # FIX CxlRejResponseTo
# Places in work.scratch for the new terms.
_LOTS, _TICK, _STOP, _DISPLAY = 0, 1, 2, 3


@linked
def replace_order(s, a):
    """Handle an OrderCancelReplaceRequest."""
    client_order_id = np.int64(oe.order_cancel_replace_request_cl_ord_id(a))
    original = np.int64(oe.order_cancel_replace_request_orig_cl_ord_id(a))
    account = account_of(s, oe.order_cancel_replace_request_account(a))
    slot = find_order(s, np.int64(oe.order_cancel_replace_request_order_id(a)), original)
    reason = judge_account(s, account)
    if reason == 0 and (slot == 0 or s.orders[slot].account != account):
        slot = 0
        reason = oe.REASON_UNKNOWN_ORDER
    elif reason == 0 and not is_open(s, slot):
        reason = oe.REASON_ORDER_DONE
    if reason == 0:
        reason = _judge(s, slot, client_order_id, a)
    if reason == 0:
        reason = _apply(s, slot, client_order_id)
    if reason != 0:
        cancel_reject(s, slot, _REPLACE, reason, client_order_id, original, account)


@jit
def _judge(s, slot, client_order_id, a):
    """The new terms into scratch; 0 or the first reason against them."""
    order = s.orders[slot]
    detail = s.details[slot]
    book = s.instruments[order.instrument]
    state = s.accounts[order.account].state
    if state > oe.ACCOUNT_STATE_REDUCE_ONLY:
        return refuse(s, oe.REASON_ACCOUNT_STATE, state, 0)
    if book.state != oe.TRADING_STATE_OPEN and book.state != oe.TRADING_STATE_PRE_OPEN:
        return refuse(s, oe.REASON_INSTRUMENT_STATE, book.state, 0)
    if client_order_id != 0 and client_order_id != detail.client_order_id:
        known = find_client_order(s, client_order_id, s.work.session)
        if known != 0:
            return refuse(s, oe.REASON_DUPLICATE_CL_ORD_ID, s.orders[known].order_id, 0)
    terms = s.work.scratch
    terms[_TICK] = detail.limit_tick
    price = oe.order_cancel_replace_request_price(a)
    if price != oe.ORDER_CANCEL_REPLACE_REQUEST_PRICE_NULL:
        if detail.limit_tick < 0:
            return refuse(s, oe.REASON_PRICE_NOT_ALLOWED, price, 0)
        terms[_TICK] = price_to_tick(s, book, order.flags, price,
                                     oe.REASON_PRICE_NOT_ON_TICK, oe.REASON_PRICE_OUT_OF_RANGE)
        if terms[_TICK] < 0:
            return -terms[_TICK]
    terms[_STOP] = detail.stop_tick
    stop = oe.order_cancel_replace_request_stop_px(a)
    if stop != oe.ORDER_CANCEL_REPLACE_REQUEST_STOP_PX_NULL:
        if order.state != STOPPED:
            return refuse(s, oe.REASON_PRICE_NOT_ALLOWED, stop, 0)
        terms[_STOP] = price_to_tick(s, book, order.flags, stop, oe.REASON_STOP_PRICE_NOT_ON_TICK,
                                     oe.REASON_STOP_PRICE_OUT_OF_RANGE)
        if terms[_STOP] < 0:
            return -terms[_STOP]
    return _judge_quantity(s, slot, a)


@jit
def _judge_quantity(s, slot, a):
    detail = s.details[slot]
    book = s.instruments[s.orders[slot].instrument]
    terms = s.work.scratch
    terms[_LOTS] = detail.quantity
    quantity = oe.order_cancel_replace_request_order_qty(a)
    if quantity != oe.ORDER_CANCEL_REPLACE_REQUEST_ORDER_QTY_NULL:
        terms[_LOTS] = judge_lots(s, book, quantity)
        if terms[_LOTS] < 0:
            return -terms[_LOTS]
    if terms[_LOTS] <= detail.filled:
        filled = detail.filled * book.lot_size
        return refuse(s, oe.REASON_REPLACE_BELOW_FILLED, terms[_LOTS] * book.lot_size, filled)
    terms[_DISPLAY] = detail.display
    display = oe.order_cancel_replace_request_display_qty(a)
    if display != oe.ORDER_CANCEL_REPLACE_REQUEST_DISPLAY_QTY_NULL:
        shown = lots_of(book, display)
        if shown < 1 or shown > terms[_LOTS]:
            whole = terms[_LOTS] * book.lot_size
            return refuse(s, oe.REASON_INVALID_DISPLAY_QUANTITY, display, whole)
        terms[_DISPLAY] = shown if shown < terms[_LOTS] else 0
    return judge_growth(s, slot, terms[_TICK], terms[_LOTS])


@jit
def judge_growth(s, slot, tick, lots):
    """The controls' word on an order's new terms; less of the same at the same price needs none."""
    detail = s.details[slot]
    if s.controls.active == 0 or (tick == detail.limit_tick and lots <= detail.quantity):
        return 0
    order = s.orders[slot]
    at = tick if tick >= 0 else detail.stop_tick
    leaves = lots - detail.filled
    return judge_controls(s, order.position, order.side, at, leaves, detail.session, 2)


@jit
def _apply(s, slot, client_order_id):
    """Put good terms into effect; 0 or the reason the book or the account has against them."""
    order = s.orders[slot]
    detail = s.details[slot]
    terms = s.work.scratch
    if order.state == STOPPED:
        return _replace_stop(s, slot, client_order_id)
    same = terms[_TICK] == order.tick and terms[_DISPLAY] == detail.display
    if same and terms[_LOTS] <= detail.quantity:
        reduce_order(s, slot, terms[_LOTS], client_order_id)
        return 0
    return change_order(s, slot, terms[_TICK], terms[_LOTS], terms[_DISPLAY], client_order_id)


@jit
def _rename(s, slot, client_order_id, a):
    """Finish the report of a replace: the new id, with the old one beside it."""
    detail = s.details[slot]
    oe.set_execution_report_orig_cl_ord_id(a, detail.client_order_id)
    if client_order_id != 0:
        oe.set_execution_report_cl_ord_id(a, client_order_id)
        _index_again(s, slot, client_order_id)


@jit
def _index_again(s, slot, client_order_id):
    detail = s.details[slot]
    if detail.client_order_id != 0:
        remove_client_order(s, detail.client_order_id, detail.session, slot)
    detail.client_order_id = client_order_id
    add_client_order(s, client_order_id, detail.session, slot)


@jit
def reduce_order(s, slot, lots, client_order_id):
    """Less of the same at the same price: the order keeps its place."""
    order = s.orders[slot]
    detail = s.details[slot]
    less = detail.quantity - lots
    hidden = order.leaves - order.visible
    if less > hidden:
        reduce_visible(s, slot, less - hidden)
    margin_release(s, order.position, order.side, detail.reserved_tick, less)
    order.leaves -= less
    detail.quantity = lots
    if s.work.echo != 0:
        keep_echo(s, slot, s.work.echo)
    a = report(s, slot, oe.EXEC_TYPE_REPLACED, 0)
    add_report_flag(a, oe.REPORT_FLAGS_PRIORITY_KEPT)
    _rename(s, slot, client_order_id, a)


@jit
def _replace_stop(s, slot, client_order_id):
    order = s.orders[slot]
    detail = s.details[slot]
    terms = s.work.scratch
    remove_stop(s, slot)
    order.tick = terms[_STOP]
    add_stop(s, slot)  # There is room: a level was just given back or had more orders.
    detail.stop_tick = terms[_STOP]
    detail.limit_tick = terms[_TICK]
    detail.quantity = terms[_LOTS]
    detail.display = terms[_DISPLAY] if terms[_DISPLAY] < terms[_LOTS] else 0
    order.leaves = terms[_LOTS]
    order.state = STOPPED
    if s.work.echo != 0:
        keep_echo(s, slot, s.work.echo)
    _rename(s, slot, client_order_id, report(s, slot, oe.EXEC_TYPE_REPLACED, 0))
    s.work.triggered = order.instrument
    return 0


@jit
def _judge_again(s, slot, tick, leaves):
    """The rules of the book and the account for the order in its new form; reserved if all hold."""
    order = s.orders[slot]
    book = s.instruments[order.instrument]
    reason = judge_band(s, book, order.side, tick)
    if reason != 0:
        return reason
    taking = book.state == oe.TRADING_STATE_OPEN and crosses(book, order.side - 1, tick)
    if order.flags & POST_ONLY and taking:
        best = (book.best[2 - order.side] - 1) * book.tick_size
        return refuse(s, oe.REASON_POST_ONLY_WOULD_TRADE, tick * book.tick_size, best)
    only = s.accounts[order.account].state == oe.ACCOUNT_STATE_REDUCE_ONLY
    if (order.flags & REDUCE_ONLY or only) and reducible(s, order) < leaves:
        most = reducible(s, order) * book.lot_size
        return refuse(s, oe.REASON_REDUCE_ONLY_WOULD_INCREASE, leaves * book.lot_size, most)
    return admit_order(s, order.position, order.side, tick, leaves)


@linked
def change_order(s, slot, tick, lots, display, client_order_id):
    """Judge the order in its new form with its old reservation set aside, then send it in anew.

    `lots` is the new total quantity. Returns 0, or the reason and changes nothing.
    """
    order = s.orders[slot]
    detail = s.details[slot]
    leaves = lots - detail.filled
    margin_release(s, order.position, order.side, detail.reserved_tick, order.leaves)
    s.work.aside = slot
    reason = _judge_again(s, slot, tick, leaves)
    s.work.aside = 0
    if reason != 0:
        margin_reserve(s, order.position, order.side, detail.reserved_tick, order.leaves)
        return reason
    dequeue(s, s.instruments[order.instrument], slot)
    order.state = 0
    order.visible = 0
    order.tick = tick
    order.leaves = leaves
    detail.limit_tick = tick
    detail.quantity = lots
    detail.display = display if display < lots else 0
    detail.reserved_tick = tick
    look_again(s, order.account)
    if s.work.echo != 0:
        keep_echo(s, slot, s.work.echo)
    original = detail.client_order_id
    if client_order_id != 0:
        _index_again(s, slot, client_order_id)
    first = s.event_position
    execute(s, slot, oe.EXEC_TYPE_REPLACED)
    # The first report of `execute` is the one of the replace.
    a = s.work.event_data + (first & s.work.event_mask) + 24
    oe.set_execution_report_orig_cl_ord_id(a, original)
    return 0
