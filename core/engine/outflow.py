"""The circuit breaker of withdrawals: so much of an asset's mean of 24 hours may be gone, not more.

    mean  ←  mean + (there − mean) × passed / 24 h             before what is there changes
    there − amount  ≥  mean × (1 − share)                      else WithdrawalBreaker

`there` is what was deposited less what has left or is about to. A sudden drain meets the breaker
and one that takes days does not; deposits of the last hours count little, so nobody opens it by
paying in first. The share is a risk parameter: it can be lowered at once and raised only by two
roles after a delay, and no operator passes a withdrawal by it.
"""

import sbe.generated.order_entry as oe
from core.engine.money import multiply_divide, share_down
from core.engine.order_terms import refuse
from core.jit import jit
from core.linked import linked
from core.records import WITHDRAWALS

DAY_NS, SECOND_NS = 86_400_000_000_000, 1_000_000_000


@jit
def _there(s, number):
    asset = s.assets[number]
    return asset.deposited - asset.withdrawn - s.accounts[WITHDRAWALS].assets[number].balance


@linked
def follow_mean(s, number):
    """Bring an asset's mean up to now; called before what there is of it changes."""
    asset = s.assets[number]
    passed = min(DAY_NS, s.work.time - asset.mean_at)
    if passed < SECOND_NS:  # Many changes at once must not round the time away.
        return
    gap = _there(s, number) - asset.mean
    step = multiply_divide(abs(gap), passed, DAY_NS)
    asset.mean += step if gap > 0 else -step
    asset.mean_at = s.work.time


@jit
def judge_outflow(s, number, amount):
    """0, or WithdrawalBreaker with the amount and what may still leave."""
    asset = s.assets[number]
    if asset.withdrawal_share == 0:
        return 0
    follow_mean(s, number)
    room = _there(s, number) - (asset.mean - share_down(asset.mean, asset.withdrawal_share))
    if amount > room:
        return refuse(s, oe.REASON_WITHDRAWAL_BREAKER, amount, max(0, room))
    return 0
