"""Deposits, withdrawals and transfers of the model."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sbe.generated.order_entry as oe
from tests.model.books import WITHDRAWALS, balance_update, credit, move
from tests.model.caps import follow_collateral, follow_mean, judge_outflow
from tests.model.controls import judge_deposit
from tests.model.destinations import delay_of, judge
from tests.model.margin import withdrawable, worth_up

if TYPE_CHECKING:
    from tests.model.exchange import Exchange

MILLISECOND = 1_000_000


@dataclass
class Withdrawal:
    """An amount on its way out."""

    account: int
    asset: int
    amount: int
    state: int
    session: int
    request: int
    release: int
    destination: str


def deposit(x: "Exchange", c: dict[str, Any]) -> int:
    """Deposit."""
    if c["account"] not in x.accounts:
        return x.refuse(oe.REASON_UNKNOWN_ACCOUNT, c["account"], 0)
    if c["amount"] <= 0:
        return x.refuse(oe.REASON_QUANTITY_NOT_POSITIVE, c["amount"], 1)
    if c["asset"] not in x.assets:
        return x.refuse(oe.REASON_UNKNOWN_ASSET, c["asset"], 0)
    worth = c["amount"]
    if c["asset"]:
        worth = worth_up(x.assets[c["asset"]], worth)
    reason = judge_deposit(x, c["account"], worth)
    if reason:
        return reason
    follow_mean(x, c["asset"])
    x.assets[c["asset"]].deposited += c["amount"]
    if x.assets[c["asset"]].cap or x.assets[c["asset"]].ramp:
        follow_collateral(x, x.assets[c["asset"]])
    credit(x, c["account"], c["asset"], c["amount"])
    balance_update(
        x, c["account"], c["asset"], oe.BALANCE_REASON_DEPOSIT, c["amount"], 0, c["key"])
    return 0


def transfer_request(x: "Exchange", c: dict[str, Any]) -> None:
    """TransferRequest: between the accounts of one owner."""
    origin, target = x.account_of(c["account"]), c["toAccount"]
    asset, amount, request = c["asset"], c["amount"], c["requestId"]
    reason = x.judge_account(origin) or x.judge_account(target)
    if reason == 0 and x.accounts[origin].owner != x.accounts[target].owner:
        reason = x.refuse(oe.REASON_NOT_AUTHORIZED, target, x.accounts[origin].owner)
    if reason == 0 and x.accounts[origin].state == oe.ACCOUNT_STATE_SUSPENDED:
        reason = x.refuse(oe.REASON_ACCOUNT_STATE, oe.ACCOUNT_STATE_SUSPENDED, 0)
    if reason == 0 and origin == target:
        reason = x.refuse(oe.REASON_INVALID_FIELD, target, origin)
    if reason == 0 and amount <= 0:
        reason = x.refuse(oe.REASON_QUANTITY_NOT_POSITIVE, amount, 1)
    if reason == 0 and asset not in x.assets:
        reason = x.refuse(oe.REASON_UNKNOWN_ASSET, asset, 0)
    if reason == 0:
        reason = withdrawable(x, x.accounts[origin], asset, amount)
    if reason == 0:
        move(x, origin, target, asset, amount)
        out, into = oe.BALANCE_REASON_TRANSFER_OUT, oe.BALANCE_REASON_TRANSFER_IN
        balance_update(x, origin, asset, out, -amount, target, request)
        balance_update(x, target, asset, into, amount, origin, request)
    x.emit(
        x.session, "TransferReport", requestId=request, account=origin, toAccount=target,
        asset=asset, reason=reason, amount=amount, detail=x.detail if reason else 0,
        limit=x.limit if reason else 0, echo=c["echo"],
    )


def withdrawal_request(x: "Exchange", c: dict[str, Any]) -> None:
    """WithdrawalRequest: held at once, or refused."""
    account, asset, amount = x.account_of(c["account"]), c["asset"], c["amount"]
    reason = x.judge_account(account)
    if reason == 0 and x.accounts[account].state == oe.ACCOUNT_STATE_SUSPENDED:
        reason = x.refuse(oe.REASON_ACCOUNT_STATE, oe.ACCOUNT_STATE_SUSPENDED, 0)
    if reason == 0 and amount <= 0:
        reason = x.refuse(oe.REASON_QUANTITY_NOT_POSITIVE, amount, 1)
    if reason == 0 and asset not in x.assets:
        reason = x.refuse(oe.REASON_UNKNOWN_ASSET, asset, 0)
    if reason == 0:
        reason = judge(x, x.owners[x.accounts[account].owner], c["destination"])
    if reason == 0:
        reason = withdrawable(x, x.accounts[account], asset, amount)
    if reason == 0:
        reason = judge_outflow(x, asset, amount)
    number = release = 0
    if reason == 0:
        x.withdrawal_ids += 1
        number = x.withdrawal_ids
        release = x.time + delay_of(x, x.owners[x.accounts[account].owner])
        x.withdrawals[number] = Withdrawal(
            account, asset, amount, oe.WITHDRAWAL_STATE_HELD, x.session, c["requestId"], release,
            c["destination"])
        follow_mean(x, asset)
        move(x, account, WITHDRAWALS, asset, amount)
        balance_update(x, account, asset, oe.BALANCE_REASON_WITHDRAWAL, -amount, WITHDRAWALS,
                       c["requestId"])
    state = oe.WITHDRAWAL_STATE_FAILED if reason else oe.WITHDRAWAL_STATE_HELD
    _report(x, x.session, c["requestId"], number, (account, asset, amount), state, reason,
            c["echo"], (release, c["destination"]))


def _report(
    x: "Exchange", session: int, request: int, number: int, what: tuple[int, int, int],
    state: int, reason: int, echo: bytes, rules: tuple[int, str],
) -> None:
    account, asset, amount = what
    x.emit(
        session, "WithdrawalReport", requestId=request, withdrawalId=number, account=account,
        asset=asset, state=state, reason=reason, amount=amount,
        detail=x.detail if reason else 0, limit=x.limit if reason else 0, echo=echo,
        releaseTime=rules[0], destination=rules[1],
    )


def withdrawal_step(x: "Exchange", c: dict[str, Any]) -> int:
    """WithdrawalStep: what custody did."""
    number, state = c["withdrawalId"], c["state"]
    held = x.withdrawals.get(number)
    if held is None:
        return x.refuse(oe.REASON_UNKNOWN_WITHDRAWAL, number, x.withdrawal_ids)
    if not held.state < state <= oe.WITHDRAWAL_STATE_FAILED:
        return x.refuse(oe.REASON_INVALID_TRANSITION, held.state, state)
    if state != oe.WITHDRAWAL_STATE_FAILED and x.time < held.release:
        return x.refuse(oe.REASON_WITHDRAWAL_DELAY, held.release, x.time)
    held.state = state
    asset, amount = held.asset, held.amount
    if state == oe.WITHDRAWAL_STATE_CONFIRMED:
        credit(x, WITHDRAWALS, asset, -amount)
        x.assets[asset].withdrawn += amount
        balance_update(
            x, WITHDRAWALS, asset, oe.BALANCE_REASON_WITHDRAWAL, -amount, 0, number)
    elif state == oe.WITHDRAWAL_STATE_FAILED:
        follow_mean(x, asset)
        move(x, WITHDRAWALS, held.account, asset, amount)
        balance_update(x, held.account, asset, oe.BALANCE_REASON_WITHDRAWAL_RETURNED, amount,
                       WITHDRAWALS, held.request)
    _report(x, held.session, held.request, number, (held.account, asset, amount), state, 0, b"",
            (held.release, held.destination))
    if state >= oe.WITHDRAWAL_STATE_CONFIRMED:
        del x.withdrawals[number]
    return 0


def set_cancel_timer(x: "Exchange", c: dict[str, Any]) -> int:
    """SetCancelTimer."""
    account = x.account_of(c["account"])
    reason = x.judge_account(account)
    if reason == 0:
        wait = c["milliseconds"] * MILLISECOND
        x.accounts[account].cancel_at = x.time + wait if wait else 0
    return reason
