"""Cancels: one order, or all that a scope names; and the answers to who asks for status."""

import numpy as np

import sbe.generated.order_entry as oe
from core.engine.emit import cancel_reject, echo_size, event_begin, put_echo, report_to
from core.engine.order_terms import account_of, judge_account, keep_echo
from core.engine.orders import cancel_order, find_order, is_open
from core.jit import jit
from core.linked import linked
from core.records import QUOTE, SURVIVES_DISCONNECT

_CANCEL = 1  # FIX CxlRejResponseTo


@linked
def cancel_request(s, a):
    """Handle an OrderCancelRequest."""
    client_order_id = np.int64(oe.order_cancel_request_cl_ord_id(a))
    original = np.int64(oe.order_cancel_request_orig_cl_ord_id(a))
    account = account_of(s, oe.order_cancel_request_account(a))
    slot = find_order(s, np.int64(oe.order_cancel_request_order_id(a)), original)
    reason = judge_account(s, account)
    if reason == 0 and (slot == 0 or s.orders[slot].account != account):
        slot = 0
        reason = oe.REASON_UNKNOWN_ORDER
    elif reason == 0 and not is_open(s, slot):
        reason = oe.REASON_ORDER_DONE
    if reason != 0:
        cancel_reject(s, slot, _CANCEL, reason, client_order_id, original, account)
        return
    if s.work.echo != 0:
        keep_echo(s, slot, s.work.echo)
    own = s.details[slot].client_order_id
    report_address = cancel_order(s, slot, oe.REASON_USER_REQUEST)
    oe.set_execution_report_orig_cl_ord_id(report_address, own)
    if client_order_id != 0:
        oe.set_execution_report_cl_ord_id(report_address, client_order_id)


@jit
def _in_scope(s, slot, a):
    order = s.orders[slot]
    book = s.instruments[order.instrument]
    scope = oe.order_mass_cancel_request_scope(a)
    side = oe.order_mass_cancel_request_side(a)
    if side != 0:
        no_terms = s.details[slot].outcome_side == oe.OUTCOME_SIDE_NO
        if side != (3 - order.side if no_terms else order.side):
            return False
    if scope == oe.MASS_CANCEL_SCOPE_INSTRUMENT:
        return order.instrument == oe.order_mass_cancel_request_instrument(a)
    if scope == oe.MASS_CANCEL_SCOPE_UNDERLYING:
        return book.base == oe.order_mass_cancel_request_underlying(a)
    if scope == oe.MASS_CANCEL_SCOPE_KIND:
        return book.kind == oe.order_mass_cancel_request_kind(a)
    if scope == oe.MASS_CANCEL_SCOPE_SESSION:
        return s.details[slot].session == s.work.session
    return True


@linked
def mass_cancel(s, a):
    """Handle an OrderMassCancelRequest: a report for each order, then one for the whole."""
    account = account_of(s, oe.order_mass_cancel_request_account(a))
    reason = judge_account(s, account)
    scope = oe.order_mass_cancel_request_scope(a)
    instrument = oe.order_mass_cancel_request_instrument(a)
    if reason == 0 and (scope < oe.MASS_CANCEL_SCOPE_ALL or scope > oe.MASS_CANCEL_SCOPE_SESSION):
        reason = oe.REASON_INVALID_FIELD
    if reason == 0 and scope == oe.MASS_CANCEL_SCOPE_INSTRUMENT:
        listed = 0 < instrument < len(s.instruments) and s.instruments[instrument].state != 0
        reason = 0 if listed else oe.REASON_UNKNOWN_INSTRUMENT
    affected = 0
    if reason == 0:
        slot = s.accounts[account].first_order
        while slot != 0:
            following = s.details[slot].account_next
            if _in_scope(s, slot, a):
                cancel_order(s, slot, oe.REASON_MASS_CANCEL)
                affected += 1
            slot = following
    block = oe.ORDER_MASS_CANCEL_REPORT_BLOCK
    r = event_begin(s, block, echo_size(s.work.echo), s.work.session)
    oe.write_order_mass_cancel_report_header(r - 8)
    client_order_id = np.int64(oe.order_mass_cancel_request_cl_ord_id(a))
    oe.set_order_mass_cancel_report_cl_ord_id(r, client_order_id)
    oe.set_order_mass_cancel_report_account(r, account)
    oe.set_order_mass_cancel_report_affected(r, affected)
    oe.set_order_mass_cancel_report_instrument(r, instrument)
    oe.set_order_mass_cancel_report_reason(r, reason)
    oe.set_order_mass_cancel_report_scope(r, scope)
    put_echo(r, block, s.work.echo)


@linked
def cancel_account(s, account, session, quotes_only, spare_survivors, reason):
    """Cancel an account's orders (of one session, if it isn't 0); how many there were.

    `spare_survivors` leaves those that asked to survive a disconnect.
    """
    cancelled = 0
    slot = s.accounts[account].first_order
    while slot != 0:
        following = s.details[slot].account_next
        flags = s.orders[slot].flags
        mine = session == 0 or s.details[slot].session == session
        spared = spare_survivors and flags & SURVIVES_DISCONNECT
        if mine and not spared and (not quotes_only or flags & QUOTE):
            cancel_order(s, slot, reason)
            cancelled += 1
        slot = following
    return cancelled


@linked
def order_status(s, a):
    """Handle an OrderStatusRequest: to who asks, the order as it stands, or that it is unknown."""
    client_order_id = np.int64(oe.order_status_request_cl_ord_id(a))
    account = account_of(s, oe.order_status_request_account(a))
    slot = find_order(s, np.int64(oe.order_status_request_order_id(a)), client_order_id)
    if judge_account(s, account) != 0 or slot == 0 or s.orders[slot].account != account:
        block = oe.EXECUTION_REPORT_BLOCK
        r = event_begin(s, block, echo_size(s.work.echo), s.work.session)
        oe.write_execution_report_header(r - 8)
        oe.set_execution_report_cl_ord_id(r, client_order_id)
        oe.set_execution_report_account(r, account)
        oe.set_execution_report_exec_type(r, oe.EXEC_TYPE_ORDER_STATUS)
        oe.set_execution_report_ord_status(r, oe.ORD_STATUS_REJECTED)
        oe.set_execution_report_reason(r, oe.REASON_UNKNOWN_ORDER)
        put_echo(r, block, s.work.echo)
        return
    report_to(s, slot, oe.EXEC_TYPE_ORDER_STATUS, 0, s.work.session)


@linked
def open_orders(s, a):
    """Handle an OpenOrdersRequest: to who asks, the status of each open order, then the end.

    Whichever session entered it: orders are an account's.
    """
    account = account_of(s, oe.open_orders_request_account(a))
    reason = judge_account(s, account)
    reports = 0
    if reason == 0:
        slot = s.accounts[account].first_order
        while slot != 0:
            report_to(s, slot, oe.EXEC_TYPE_ORDER_STATUS, 0, s.work.session)
            reports += 1
            slot = s.details[slot].account_next
    block = oe.ACCOUNT_REPORT_END_BLOCK
    r = event_begin(s, block, echo_size(s.work.echo), s.work.session)
    oe.write_account_report_end_header(r - 8)
    oe.set_account_report_end_request_id(r, np.int64(oe.open_orders_request_request_id(a)))
    oe.set_account_report_end_account(r, account)
    oe.set_account_report_end_reports(r, reports)
    oe.set_account_report_end_reason(r, reason)
    put_echo(r, block, s.work.echo)
