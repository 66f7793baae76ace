"""What an owner asks to be kept from: trading at all for a while, losing or paying in too much.

    tighter, longer ─► at once
    looser          ─► a day later; an exclusion ends when it was to end, never before

    excluded            ─► every order is cancelled, positions may only be closed
    lost ≥ the limit    ─► positions may only be closed until the next day of UTC
    deposits > the cap  ─► not credited

Asked for by a session of the owner's (ClientProtectionRequest, one thing at a time) or for him by
an operator (SetClientProtection, all of it). What is lost is what perpetuals and predictions have
lost, realised and at the marks, without fees, since the owner's first order of the day. Deposits
count in USDC at the index; those of an asset that has none yet count nothing.
"""

import numpy as np

import sbe.generated.control as control
import sbe.generated.order_entry as oe
from core.control_records import SELF_EXCLUSION
from core.engine.controls.beta import owner_profit
from core.engine.controls.switches import refresh_active
from core.engine.emit import echo_size, event_begin, put_echo
from core.engine.job_queue import JOB_KILL, queue_full, start_job
from core.engine.money import value_up
from core.engine.order_terms import account_of, judge_account, refuse
from core.jit import jit
from core.linked import linked
from core.records import FIRST_CLIENT, JOBS_MAX

DAY_NS = 86_400_000_000_000
_FIRST_CLIENT_OWNER = 2


@linked
def set_client_protection(s, a):
    """SetClientProtection: 0 or the reason against it."""
    number = control.set_client_protection_owner(a)
    loss = control.set_client_protection_daily_loss(a)
    deposits = control.set_client_protection_daily_deposits(a)
    until = max(0, np.int64(control.set_client_protection_excluded_until(a)))  # Null is −1.
    if (number < _FIRST_CLIENT_OWNER or number >= len(s.owners)
            or s.owners[number].registered == 0):
        return refuse(s, oe.REASON_UNKNOWN_OWNER, number, 0)
    if min(loss, deposits) < 0:
        return refuse(s, oe.REASON_INVALID_FIELD, min(loss, deposits), 0)
    reason = _exclude(s, number, until)
    if reason == 0:
        _limit_day(s.owner_controls[number].losses, loss, s.work.time)
        _limit_day(s.owner_controls[number].deposits, deposits, s.work.time)
        _protect(s, number)
    return reason


@linked
def client_protection(s, a):
    """Handle a ClientProtectionRequest; answered by a ClientProtectionReport."""
    account = account_of(s, oe.client_protection_request_account(a))
    action = oe.client_protection_request_action(a)
    reason = judge_account(s, account)
    if reason == 0 and s.work.session == 0:
        reason = refuse(s, oe.REASON_NOT_AUTHORIZED, account, 0)
    owner, begins = 0, 0
    if reason == 0:
        owner = s.accounts[account].owner
        until = max(0, np.int64(oe.client_protection_request_until(a)))
        reason, begins = _ask(s, owner, action, until, oe.client_protection_request_amount(a))
    block = oe.CLIENT_PROTECTION_REPORT_BLOCK
    r = event_begin(s, block, echo_size(s.work.echo), s.work.session)
    oe.write_client_protection_report_header(r - 8)
    oe.set_client_protection_report_request_id(
        r, np.int64(oe.client_protection_request_request_id(a)))
    oe.set_client_protection_report_account(r, account)
    oe.set_client_protection_report_action(r, action)
    oe.set_client_protection_report_reason(r, reason)
    oe.set_client_protection_report_excluded_until(r, -1)
    if owner != 0:
        held = s.owner_controls[owner]
        if held.excluded_until > s.work.time:
            oe.set_client_protection_report_excluded_until(r, held.excluded_until)
        oe.set_client_protection_report_daily_loss(r, held.losses.most)
        oe.set_client_protection_report_daily_deposits(r, held.deposits.most)
    if reason == 0:
        oe.set_client_protection_report_effective_time(r, begins)
    else:
        oe.set_client_protection_report_detail(r, s.work.detail)
        oe.set_client_protection_report_limit(r, s.work.limit)
    put_echo(r, block, s.work.echo)


@jit
def _ask(s, number, action, until, amount):
    """(0 or the reason against it, the time from which it holds)."""
    owner = s.owner_controls[number]
    now = s.work.time
    _mature(owner.losses, now)
    _mature(owner.deposits, now)
    if action == oe.CLIENT_PROTECTION_ACTION_SELF_EXCLUDE:
        if until <= now:
            return refuse(s, oe.REASON_INVALID_FIELD, until, now), 0
        reason = _exclude(s, number, until)
        _protect(s, number)
        return reason, now
    if amount < 0:
        return refuse(s, oe.REASON_INVALID_FIELD, amount, 0), 0
    if action == oe.CLIENT_PROTECTION_ACTION_LIMIT_DAILY_LOSS:
        _limit_day(owner.losses, amount, now)
        _protect(s, number)
        return 0, max(now, owner.losses.next_at)
    if action == oe.CLIENT_PROTECTION_ACTION_LIMIT_DAILY_DEPOSITS:
        _limit_day(owner.deposits, amount, now)
        return 0, max(now, owner.deposits.next_at)
    return refuse(s, oe.REASON_INVALID_FIELD, action, 0), 0


@jit
def _exclude(s, number, until):
    """Exclude an owner until a time, 0 for not at all: 0, or the reason against it."""
    owner = s.owner_controls[number]
    now = s.work.time
    if owner.excluded_until > now and until < owner.excluded_until:
        return refuse(s, oe.REASON_SELF_EXCLUDED, owner.excluded_until - now, 0)
    if until > now and queue_full(s):
        return refuse(s, oe.REASON_BUSY, s.jobs, JOBS_MAX)
    owner.excluded_until = until
    if until > now:
        job = start_job(s, JOB_KILL, number, 1)
        s.job[job].place = SELF_EXCLUSION
    return 0


@jit
def _protect(s, number):
    """Let the path of an order see whether the owner asked to be kept from anything."""
    owner = s.owner_controls[number]
    before = owner.protected
    limited = owner.losses.most != 0 or owner.losses.next_at != 0
    owner.protected = owner.excluded_until > s.work.time or limited
    s.controls.protected += owner.protected - before
    refresh_active(s)


@jit
def _limit_day(limit, most, now):
    """Another limit of a day's losses or deposits: at once if it is tighter, else a day later."""
    _mature(limit, now)
    limit.next_at = 0
    if limit.most != 0 and (most == 0 or most > limit.most):
        limit.next = most
        limit.next_at = now + DAY_NS
    else:
        limit.most = most


@jit
def _mature(limit, now):
    """A looser limit comes into force when its day has passed."""
    if limit.next_at != 0 and now >= limit.next_at:
        limit.most = limit.next
        limit.next_at = 0


@linked
def judge_client(s, position, closes):
    """0, or SelfExcluded with the ns it lasts, or LossLimit with what is lost and the limit."""
    number = s.accounts[position.account].owner
    owner = s.owner_controls[number]
    if owner.protected == 0:
        return 0
    now = s.work.time
    _mature(owner.losses, now)
    lost = 0
    if owner.losses.most != 0:
        profit = owner_profit(s, number)
        if now - owner.day >= DAY_NS:
            owner.day = now - now % DAY_NS
            owner.day_profit = profit
        lost = owner.day_profit - profit
    if closes:
        return 0
    if now < owner.excluded_until:
        return refuse(s, oe.REASON_SELF_EXCLUDED, owner.excluded_until - now, 0)
    if owner.losses.most != 0 and lost >= owner.losses.most:
        return refuse(s, oe.REASON_LOSS_LIMIT, lost, owner.losses.most)
    return 0


@linked
def judge_deposit(s, account, asset, amount):
    """0 and the deposit is counted, or DepositLimit with what the day's would be and the limit."""
    if account < FIRST_CLIENT:
        return 0
    owner = s.owner_controls[s.accounts[account].owner]
    now = s.work.time
    _mature(owner.deposits, now)
    if now - owner.deposit_day >= DAY_NS:
        owner.deposit_day = now - now % DAY_NS
        owner.deposited = 0
    total = owner.deposited + (amount if asset == 0 else value_up(s.assets[asset], amount))
    if owner.deposits.most != 0 and total > owner.deposits.most:
        return refuse(s, oe.REASON_DEPOSIT_LIMIT, total, owner.deposits.most)
    owner.deposited = total
    return 0
