"""Withdrawals: requested and held at once, then what custody says.

    request ──► Held ──► Sent ──► Confirmed       the amount has left the exchange
                  └───────┴─────► Failed          it is back in the account

While it is under way the amount is in account WITHDRAWALS. Where it may go and how long it is held
at least are the owner's rules (destinations.py); custody may not send it before. A withdrawal's
number picks its place in a table of those under way; a place that is taken is stepped over. A
circuit breaker for each asset (outflow.py) stands before all of it.
"""

import numpy as np

import sbe.generated.control as control
import sbe.generated.order_entry as oe
from core.engine.accounts import balance_update, credit, move
from core.engine.destinations import TEXT, delay_of, judge_destination
from core.engine.emit import echo_size, event_begin, put_echo
from core.engine.margin.door import margin_withdrawable
from core.engine.order_terms import account_of, judge_account, refuse
from core.engine.outflow import follow_mean, judge_outflow
from core.engine.registry import known_asset
from core.engine.transfers import positive
from core.jit import jit
from core.linked import linked
from core.records import WITHDRAWALS, WITHDRAWALS_MAX
from sbe.raw import copy, fill


@linked
def withdrawal_request(s, a):
    """Handle a WithdrawalRequest of a client; answered by a WithdrawalReport."""
    account = account_of(s, oe.withdrawal_request_account(a))
    asset = oe.withdrawal_request_asset(a)
    amount = oe.withdrawal_request_amount(a)
    request = np.int64(oe.withdrawal_request_request_id(a))
    text = _destination(s, a)
    reason = _judge(s, account, asset, amount, text)
    number = 0
    if reason == 0:
        number = _take_number(s)
        held = s.withdrawal[number & (WITHDRAWALS_MAX - 1)]
        held.id = number
        held.account = account
        held.asset = asset
        held.amount = amount
        held.state = oe.WITHDRAWAL_STATE_HELD
        held.session = s.work.session
        held.request_id = request
        held.release = s.work.time + delay_of(s, s.accounts[account].owner)
        copy(held.destination.ctypes.data, text, TEXT)
        follow_mean(s, asset)
        move(s, account, WITHDRAWALS, asset, amount)
        out = oe.BALANCE_REASON_WITHDRAWAL
        balance_update(s, account, asset, out, -amount, WITHDRAWALS, request)
        _changed(s, held)
    block = oe.WITHDRAWAL_REPORT_BLOCK
    r = event_begin(s, block, echo_size(s.work.echo), s.work.session)
    _report(r, request, number, account, asset, oe.WITHDRAWAL_STATE_HELD, amount)
    copy(oe.withdrawal_report_destination_address(r), text, TEXT)
    if reason == 0:
        held = s.withdrawal[number & (WITHDRAWALS_MAX - 1)]
        oe.set_withdrawal_report_release_time(r, held.release)
    else:
        oe.set_withdrawal_report_state(r, oe.WITHDRAWAL_STATE_FAILED)
        oe.set_withdrawal_report_reason(r, reason)
        oe.set_withdrawal_report_detail(r, s.work.detail)
        oe.set_withdrawal_report_limit(r, s.work.limit)
    put_echo(r, block, s.work.echo)


@jit
def _destination(s, a):
    """Where a request's destination stands; in one of before there were any, none."""
    if oe.header_block_length(a - 8) >= oe.WITHDRAWAL_REQUEST_BLOCK:
        return oe.withdrawal_request_destination_address(a)
    text = np.int64(s.work.scratch.ctypes.data)
    fill(text, 0, TEXT)
    return text


@jit
def _judge(s, account, asset, amount, text):
    reason = judge_account(s, account)
    if reason == 0 and s.accounts[account].state == oe.ACCOUNT_STATE_SUSPENDED:
        reason = refuse(s, oe.REASON_ACCOUNT_STATE, oe.ACCOUNT_STATE_SUSPENDED, 0)
    if reason == 0:
        reason = positive(s, amount)
    if reason == 0:
        reason = known_asset(s, asset)
    if reason == 0:
        reason = judge_destination(s, s.accounts[account].owner, text)
    if reason == 0:
        reason = margin_withdrawable(s, account, asset, amount)
    if reason == 0:
        reason = judge_outflow(s, asset, amount)
    if reason == 0 and s.withdrawals >= WITHDRAWALS_MAX - 1:
        reason = refuse(s, oe.REASON_CAPACITY_REACHED, s.withdrawals, WITHDRAWALS_MAX - 1)
    return reason


@jit
def _take_number(s):
    """The next number whose place is free; there is one."""
    s.withdrawals += 1
    s.withdrawal_ids += 1
    while s.withdrawal[s.withdrawal_ids & (WITHDRAWALS_MAX - 1)].state != 0:
        s.withdrawal_ids += 1
    return s.withdrawal_ids


@linked
def withdrawal_step(s, a):
    """WithdrawalStep: what custody did. 0 or the reason against it."""
    number = np.int64(control.withdrawal_step_withdrawal_id(a))
    state = control.withdrawal_step_state(a)
    held = s.withdrawal[number & (WITHDRAWALS_MAX - 1)]
    if number <= 0 or held.id != number or held.state == 0:
        return refuse(s, oe.REASON_UNKNOWN_WITHDRAWAL, number, s.withdrawal_ids)
    if state <= held.state or state > oe.WITHDRAWAL_STATE_FAILED:
        return refuse(s, oe.REASON_INVALID_TRANSITION, held.state, state)
    if state != oe.WITHDRAWAL_STATE_FAILED and s.work.time < held.release:
        return refuse(s, oe.REASON_WITHDRAWAL_DELAY, held.release, s.work.time)
    held.state = state
    asset, amount = held.asset, held.amount
    if state == oe.WITHDRAWAL_STATE_CONFIRMED:
        credit(s, WITHDRAWALS, asset, -amount)
        s.assets[asset].withdrawn += amount
        balance_update(s, WITHDRAWALS, asset, oe.BALANCE_REASON_WITHDRAWAL, -amount, 0, number)
    elif state == oe.WITHDRAWAL_STATE_FAILED:
        follow_mean(s, asset)
        move(s, WITHDRAWALS, held.account, asset, amount)
        back = oe.BALANCE_REASON_WITHDRAWAL_RETURNED
        balance_update(s, held.account, asset, back, amount, WITHDRAWALS, held.request_id)
    _changed(s, held)
    r = event_begin(s, oe.WITHDRAWAL_REPORT_BLOCK, 1, held.session)
    _report(r, held.request_id, number, held.account, asset, state, amount)
    oe.set_withdrawal_report_release_time(r, held.release)
    copy(oe.withdrawal_report_destination_address(r), held.destination.ctypes.data, TEXT)
    if state >= oe.WITHDRAWAL_STATE_CONFIRMED:
        held.state = 0
        s.withdrawals -= 1
    return 0


@jit
def _changed(s, held):
    """WithdrawalChanged, for custody and the books."""
    e = event_begin(s, control.WITHDRAWAL_CHANGED_BLOCK, 0, 0)
    control.write_withdrawal_changed_header(e - 8)
    control.set_withdrawal_changed_withdrawal_id(e, held.id)
    control.set_withdrawal_changed_account(e, held.account)
    control.set_withdrawal_changed_asset(e, held.asset)
    control.set_withdrawal_changed_state(e, held.state)
    control.set_withdrawal_changed_amount(e, held.amount)
    control.set_withdrawal_changed_release_time(e, held.release)
    copy(control.withdrawal_changed_destination_address(e), held.destination.ctypes.data, TEXT)


@jit
def _report(r, request, number, account, asset, state, amount):
    oe.write_withdrawal_report_header(r - 8)
    oe.set_withdrawal_report_request_id(r, request)
    oe.set_withdrawal_report_withdrawal_id(r, number)
    oe.set_withdrawal_report_account(r, account)
    oe.set_withdrawal_report_asset(r, asset)
    oe.set_withdrawal_report_state(r, state)
    oe.set_withdrawal_report_amount(r, amount)
