"""What an owner asks to be kept from: trading at all for a while, losing more than so much a day.

    tighter, longer ─► at once
    looser          ─► a day later; an exclusion ends when it was to end, never before

    excluded            ─► every order is cancelled, positions may only be closed
    lost ≥ the limit    ─► positions may only be closed until the next day of UTC

What is lost is what perpetuals and predictions have lost, realised and at the marks, without fees,
since the owner's first order of the day.
"""

import numpy as np

import sbe.generated.control as control
import sbe.generated.order_entry as oe
from core.control_records import SELF_EXCLUSION
from core.engine.controls.beta import owner_profit
from core.engine.controls.switches import refresh_active
from core.engine.job_queue import JOB_KILL, queue_full, start_job
from core.engine.order_terms import refuse
from core.jit import jit
from core.linked import linked
from core.records import JOBS_MAX

DAY_NS = 86_400_000_000_000
_FIRST_CLIENT_OWNER = 2


@linked
def set_client_protection(s, a):
    """SetClientProtection: 0 or the reason against it."""
    number = control.set_client_protection_owner(a)
    loss = control.set_client_protection_daily_loss(a)
    until = max(0, np.int64(control.set_client_protection_excluded_until(a)))  # Null is −1.
    if (number < _FIRST_CLIENT_OWNER or number >= len(s.owners)
            or s.owners[number].registered == 0):
        return refuse(s, oe.REASON_UNKNOWN_OWNER, number, 0)
    if loss < 0:
        return refuse(s, oe.REASON_INVALID_FIELD, loss, 0)
    owner = s.owner_controls[number]
    now = s.work.time
    if owner.excluded_until > now and until < owner.excluded_until:
        return refuse(s, oe.REASON_SELF_EXCLUDED, owner.excluded_until - now, 0)
    if until > now and queue_full(s):
        return refuse(s, oe.REASON_BUSY, s.jobs, JOBS_MAX)
    owner.excluded_until = until
    _limit_losses(owner, loss, now)
    before = owner.protected
    owner.protected = until > now or owner.loss_limit != 0
    s.controls.protected += owner.protected - before
    refresh_active(s)
    if until > now:
        job = start_job(s, JOB_KILL, number, 1)
        s.job[job].place = SELF_EXCLUSION
    return 0


@jit
def _limit_losses(owner, loss, now):
    """Another limit of a day's losses: at once if it is tighter, else a day later."""
    _mature(owner, now)
    owner.loss_next_at = 0
    if owner.loss_limit != 0 and (loss == 0 or loss > owner.loss_limit):
        owner.loss_next = loss
        owner.loss_next_at = now + DAY_NS
    else:
        owner.loss_limit = loss


@jit
def _mature(owner, now):
    """A looser limit comes into force when its day has passed."""
    if owner.loss_next_at != 0 and now >= owner.loss_next_at:
        owner.loss_limit = owner.loss_next
        owner.loss_next_at = 0


@linked
def judge_client(s, position, closes):
    """0, or SelfExcluded with the ns it lasts, or LossLimit with what is lost and the limit."""
    number = s.accounts[position.account].owner
    owner = s.owner_controls[number]
    if owner.protected == 0:
        return 0
    now = s.work.time
    _mature(owner, now)
    lost = 0
    if owner.loss_limit != 0:
        profit = owner_profit(s, number)
        if now - owner.day >= DAY_NS:
            owner.day = now - now % DAY_NS
            owner.day_profit = profit
        lost = owner.day_profit - profit
    if closes:
        return 0
    if now < owner.excluded_until:
        return refuse(s, oe.REASON_SELF_EXCLUDED, owner.excluded_until - now, 0)
    if owner.loss_limit != 0 and lost >= owner.loss_limit:
        return refuse(s, oe.REASON_LOSS_LIMIT, lost, owner.loss_limit)
    return 0
