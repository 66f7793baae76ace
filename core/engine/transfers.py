"""Money that moves by command: deposits, transfers within an owner, transfers of operators."""

import numpy as np

import sbe.generated.control as control
import sbe.generated.order_entry as oe
from core.engine.accounts import account_exists, balance_update, credit, move
from core.engine.controls.clients import judge_deposit
from core.engine.emit import echo_size, event_begin, put_echo
from core.engine.margin.collateral_cap import follow_collateral, is_capped
from core.engine.margin.door import margin_withdrawable
from core.engine.money import UNITS_MAX
from core.engine.order_terms import account_of, judge_account, refuse
from core.engine.outflow import follow_mean
from core.engine.registry import known_asset
from core.jit import jit
from core.linked import linked
from core.records import FIRST_CLIENT


@jit
def known_account(s, account):
    """0, or UnknownAccount with the number noted."""
    return 0 if account_exists(s, account) else refuse(s, oe.REASON_UNKNOWN_ACCOUNT, account, 0)


@jit
def positive(s, amount):
    """0, or QuantityNotPositive with the amount noted."""
    return 0 if amount > 0 else refuse(s, oe.REASON_QUANTITY_NOT_POSITIVE, amount, 1)


@linked
def deposit(s, a):
    """Deposit: custody has received an amount for an account. 0 or the reason against it."""
    account = control.deposit_account(a)
    number = control.deposit_asset(a)
    amount = control.deposit_amount(a)
    reason = known_account(s, account)
    if reason == 0:
        reason = positive(s, amount)
    if reason == 0:
        reason = known_asset(s, number)
    if reason != 0:
        return reason
    asset = s.assets[number]
    if amount > UNITS_MAX - asset.deposited:
        return refuse(s, oe.REASON_CAPACITY_REACHED, amount, UNITS_MAX - asset.deposited)
    reason = judge_deposit(s, account, number, amount)
    if reason != 0:
        return reason
    follow_mean(s, number)
    asset.deposited += amount
    if is_capped(asset):
        follow_collateral(s, number)
    credit(s, account, number, amount)
    key = np.int64(control.deposit_key(a))
    balance_update(s, account, number, oe.BALANCE_REASON_DEPOSIT, amount, 0, key)
    return 0


@linked
def transfer(s, a):
    """Transfer: an operator moves money between any two accounts. 0 or the reason against it.

    A client's account may give only what its margin leaves free; the house's what they hold.
    """
    origin = control.transfer_from_account(a)
    target = control.transfer_to_account(a)
    asset = control.transfer_asset(a)
    amount = control.transfer_amount(a)
    reason = known_account(s, origin)
    if reason == 0:
        reason = _judge_transfer(s, origin, target, asset, amount)
    if reason == 0:
        _do_transfer(s, origin, target, asset, amount, np.int64(control.transfer_key(a)))
    return reason


@jit
def _judge_transfer(s, origin, target, asset, amount):
    reason = known_account(s, target)
    if reason == 0 and origin == target:
        reason = refuse(s, oe.REASON_INVALID_FIELD, target, origin)
    if reason == 0:
        reason = positive(s, amount)
    if reason == 0:
        reason = known_asset(s, asset)
    if reason != 0:
        return reason
    if origin >= FIRST_CLIENT:
        return margin_withdrawable(s, origin, asset, amount)
    held = s.accounts[origin].assets[asset].balance
    return 0 if held >= amount else refuse(s, oe.REASON_INSUFFICIENT_BALANCE, amount, held)


@jit
def _do_transfer(s, origin, target, asset, amount, request):
    move(s, origin, target, asset, amount)
    out, into = oe.BALANCE_REASON_TRANSFER_OUT, oe.BALANCE_REASON_TRANSFER_IN
    balance_update(s, origin, asset, out, -amount, target, request)
    balance_update(s, target, asset, into, amount, origin, request)


@linked
def transfer_request(s, a):
    """Handle a TransferRequest of a client: between accounts of one owner; answered by a report."""
    origin = account_of(s, oe.transfer_request_account(a))
    target = oe.transfer_request_to_account(a)
    asset = oe.transfer_request_asset(a)
    amount = oe.transfer_request_amount(a)
    request = np.int64(oe.transfer_request_request_id(a))
    reason = judge_account(s, origin)
    if reason == 0:
        reason = judge_account(s, target)
    if reason == 0 and s.accounts[origin].owner != s.accounts[target].owner:
        reason = refuse(s, oe.REASON_NOT_AUTHORIZED, target, s.accounts[origin].owner)
    if reason == 0 and s.accounts[origin].state == oe.ACCOUNT_STATE_SUSPENDED:
        reason = refuse(s, oe.REASON_ACCOUNT_STATE, oe.ACCOUNT_STATE_SUSPENDED, 0)
    if reason == 0:
        reason = _judge_transfer(s, origin, target, asset, amount)
    if reason == 0:
        _do_transfer(s, origin, target, asset, amount, request)
    block = oe.TRANSFER_REPORT_BLOCK
    r = event_begin(s, block, echo_size(s.work.echo), s.work.session)
    oe.write_transfer_report_header(r - 8)
    oe.set_transfer_report_request_id(r, request)
    oe.set_transfer_report_account(r, origin)
    oe.set_transfer_report_to_account(r, target)
    oe.set_transfer_report_asset(r, asset)
    oe.set_transfer_report_reason(r, reason)
    oe.set_transfer_report_amount(r, amount)
    oe.set_transfer_report_detail(r, s.work.detail if reason != 0 else 0)
    oe.set_transfer_report_limit(r, s.work.limit if reason != 0 else 0)
    put_echo(r, block, s.work.echo)
