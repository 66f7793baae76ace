"""Events: frames of SBE messages, written straight into their place in the event stream.

    0  i32 length     4  i32 session     8  i64 sequence     16 SBE header     24 root block …

The stream's position is part of the state, so a replay writes the same bytes to the same places.
Each session's outbound number is given here, which makes what a client receives a function of the
journal. One report tells all about an order: `report` fills it from the order's own records.
"""

import sbe.generated.order_entry as oe
from core.engine.units import value_of
from core.jit import jit
from core.linked import linked
from core.records import ECHO_MAX, NO_TERMS, QUOTE, RESTING, STOPPED
from sbe.raw import copy, fill, load_u8, store_i32, store_i64, store_u8

FRAME_HEADER = 16
BLOCK_AT = 24
FRAME_ALIGNMENT = 32
_FLAGS = oe.EXECUTION_REPORT_FLAGS_OFFSET


@jit
def event_begin(s, block, data_bytes, session):
    """Claim a zero-filled event; the address of its root block, with the outbound header set."""
    work = s.work
    length = (BLOCK_AT + block + data_bytes + FRAME_ALIGNMENT - 1) & -FRAME_ALIGNMENT
    frame = work.event_data + (s.event_position & work.event_mask)
    fill(frame, 0, length)
    store_i32(frame, length)
    store_i32(frame + 4, session)
    store_i64(frame + 8, work.sequence)
    a = frame + BLOCK_AT
    store_i64(a, work.time)
    if session > 0:
        receiver = s.sessions[session]
        store_i32(a + 8, receiver.next_outbound)
        store_i32(a + 12, receiver.next_inbound - 1)
        receiver.next_outbound += 1
        work.addressed |= 1 << receiver.producer
    s.event_position += length
    work.event_index += 1
    return a


@jit
def put_echo(a, block, echo):
    """Copy an echo (its length byte first) behind the root block."""
    if echo != 0:
        size = min(load_u8(echo), ECHO_MAX)
        store_u8(a + block, size)
        copy(a + block + 1, echo + 1, size)


@jit
def echo_size(echo):
    """Bytes of an echo behind its block: the length byte and the text."""
    return 1 + (min(load_u8(echo), ECHO_MAX) if echo != 0 else 0)


@jit
def stored_echo(s, slot):
    """Address of the echo kept with an order."""
    return s.echoes[slot].ctypes.data


@jit
def own_price(book, flags, tick):
    """Wire price of a YES tick in the terms of the order's owner."""
    if flags & NO_TERMS:
        return (book.one_tick - tick) * book.tick_size
    return tick * book.tick_size


@jit
def report(s, slot, exec_type, reason):
    """ExecutionReport of an order as it now stands, to its session; see `report_to`."""
    return report_to(s, slot, exec_type, reason, s.details[slot].session)


@linked
def report_to(s, slot, exec_type, reason, session):
    """ExecutionReport of an order as it now stands; the address of its root block.

    Trade, reject and cancel fields stay null or 0 for the caller to set.
    """
    order = s.orders[slot]
    detail = s.details[slot]
    stored = stored_echo(s, slot)
    size = detail.echo_length
    a = event_begin(s, oe.EXECUTION_REPORT_BLOCK, 1 + size, session)
    oe.write_execution_report_header(a - 8)
    s.events += 1
    oe.set_execution_report_order_id(a, order.order_id)
    oe.set_execution_report_cl_ord_id(a, detail.client_order_id)
    oe.set_execution_report_exec_id(a, s.events)
    oe.set_execution_report_account(a, order.account)
    oe.set_execution_report_instrument(a, order.instrument)
    oe.set_execution_report_owner(a, order.owner)
    oe.set_execution_report_exec_type(a, exec_type)
    oe.set_execution_report_ord_status(a, detail.status)
    oe.set_execution_report_reason(a, reason)
    oe.set_execution_report_last_px(a, oe.EXECUTION_REPORT_LAST_PX_NULL)
    oe.set_execution_report_last_qty(a, oe.EXECUTION_REPORT_LAST_QTY_NULL)
    oe.set_execution_report_trade_id(a, -1)
    _put_terms(s, a, order, detail)
    _put_quantities(s, a, order, detail)
    store_u8(a + oe.EXECUTION_REPORT_BLOCK, size)
    if size > 0:
        copy(a + oe.EXECUTION_REPORT_BLOCK + 1, stored, size)
    s.work.last_event = a + _FLAGS
    return a


@jit
def _put_terms(s, a, order, detail):
    """What the client asked for."""
    book = s.instruments[order.instrument]
    side = order.side
    if order.flags & NO_TERMS:
        side = 3 - side
    oe.set_execution_report_side(a, side)
    oe.set_execution_report_ord_type(a, detail.order_type)
    oe.set_execution_report_time_in_force(a, detail.time_in_force)
    oe.set_execution_report_exec_inst(a, detail.exec_inst)
    oe.set_execution_report_self_trade_prevention(a, order.self_trade_prevention)
    oe.set_execution_report_trigger_type(a, detail.trigger_type)
    oe.set_execution_report_outcome_side(a, detail.outcome_side)
    oe.set_execution_report_tag(a, detail.tag)
    oe.set_execution_report_quote_set_id(a, detail.quote_set)
    price = oe.EXECUTION_REPORT_PRICE_NULL
    if detail.limit_tick >= 0:
        price = own_price(book, order.flags, detail.limit_tick)
    oe.set_execution_report_price(a, price)
    stop = oe.EXECUTION_REPORT_STOP_PX_NULL
    if detail.stop_tick >= 0:
        stop = own_price(book, order.flags, detail.stop_tick)
    oe.set_execution_report_stop_px(a, stop)
    oe.set_execution_report_expire_time(a, detail.expire_time if detail.expire_time > 0 else -1)


@jit
def _put_quantities(s, a, order, detail):
    """How far the order has come."""
    book = s.instruments[order.instrument]
    lot = book.lot_size
    oe.set_execution_report_order_qty(a, detail.quantity * lot)
    oe.set_execution_report_cum_qty(a, detail.filled * lot)
    oe.set_execution_report_leaves_qty(a, order.leaves * lot)
    value = detail.filled_value
    if order.flags & NO_TERMS:
        value = value_of(book, book.one_tick, detail.filled) - value
    oe.set_execution_report_cum_value(a, value)
    display = oe.EXECUTION_REPORT_DISPLAY_QTY_NULL
    if detail.display > 0:
        display = detail.display * lot
    oe.set_execution_report_display_qty(a, display)
    flags = 0
    if order.state == RESTING:
        flags = oe.REPORT_FLAGS_ON_BOOK
        oe.set_execution_report_visible_qty(a, order.visible * lot)
    elif order.state == STOPPED:
        flags = oe.REPORT_FLAGS_STOPPED
    if order.flags & QUOTE:
        flags |= oe.REPORT_FLAGS_QUOTE
    oe.set_execution_report_flags(a, flags)


@jit
def add_report_flag(a, flag):
    """Set one more of the ReportFlags of a report."""
    store_u8(a + _FLAGS, load_u8(a + _FLAGS) | flag)


@jit
def mark_last_in_event(s):
    """Flag the newest report as the last of its command: the book is consistent after it."""
    last = s.work.last_event
    if last != 0:
        store_u8(last, load_u8(last) | oe.REPORT_FLAGS_LAST_IN_EVENT)


@linked
def report_trade(s, slot, tick, lots, fee, liquidity):
    """ExecutionReport of one side of the trade numbered `s.trades`."""
    a = report(s, slot, oe.EXEC_TYPE_TRADE, 0)
    order = s.orders[slot]
    book = s.instruments[order.instrument]
    oe.set_execution_report_last_px(a, own_price(book, order.flags, tick))
    oe.set_execution_report_last_qty(a, lots * book.lot_size)
    oe.set_execution_report_trade_id(a, s.trades)
    oe.set_execution_report_fee(a, fee)
    oe.set_execution_report_last_liquidity(a, liquidity)
    return a


@jit
def put_refusal(s, a, reason):
    """What a report says about a refusal: the rule's two numbers, and of margin where it binds."""
    oe.set_execution_report_detail(a, s.work.detail)
    oe.set_execution_report_limit(a, s.work.limit)
    if reason == oe.REASON_INSUFFICIENT_MARGIN:
        oe.set_execution_report_worst_expiry(a, s.work.worst_expiry)
        oe.set_execution_report_worst_outcome(a, s.work.worst_outcome)
        oe.set_execution_report_worst_move(a, s.work.worst_move)
        oe.set_execution_report_worst_asset(a, s.work.worst_asset)


@linked
def cancel_reject(s, slot, response_to, reason, client_order_id, orig_client_order_id, account):
    """OrderCancelReject for the running command; slot 0 when the order is unknown."""
    echo = s.work.echo
    block = oe.ORDER_CANCEL_REJECT_BLOCK
    a = event_begin(s, block, echo_size(echo), s.work.session)
    oe.write_order_cancel_reject_header(a - 8)
    oe.set_order_cancel_reject_order_id(a, s.orders[slot].order_id if slot > 0 else -1)
    oe.set_order_cancel_reject_cl_ord_id(a, client_order_id)
    oe.set_order_cancel_reject_orig_cl_ord_id(a, orig_client_order_id)
    oe.set_order_cancel_reject_account(a, account)
    oe.set_order_cancel_reject_reason(a, reason)
    oe.set_order_cancel_reject_response_to(a, response_to)
    status = s.details[slot].status if slot > 0 else oe.ORD_STATUS_REJECTED
    oe.set_order_cancel_reject_ord_status(a, status)
    oe.set_order_cancel_reject_detail(a, s.work.detail)
    oe.set_order_cancel_reject_limit(a, s.work.limit)
    if reason == oe.REASON_INSUFFICIENT_MARGIN:
        oe.set_order_cancel_reject_worst_expiry(a, s.work.worst_expiry)
        oe.set_order_cancel_reject_worst_outcome(a, s.work.worst_outcome)
        oe.set_order_cancel_reject_worst_move(a, s.work.worst_move)
        oe.set_order_cancel_reject_worst_asset(a, s.work.worst_asset)
    put_echo(a, block, echo)


@linked
def business_reject(s, template, reason):
    """BusinessReject for the running command, to its sender."""
    echo = s.work.echo
    block = oe.BUSINESS_REJECT_BLOCK
    a = event_begin(s, block, echo_size(echo), s.work.session)
    oe.write_business_reject_header(a - 8)
    oe.set_business_reject_ref_seq_no(a, s.work.message_sequence)
    oe.set_business_reject_ref_template_id(a, template)
    oe.set_business_reject_reason(a, reason)
    oe.set_business_reject_detail(a, s.work.detail)
    oe.set_business_reject_limit(a, s.work.limit)
    put_echo(a, block, echo)
