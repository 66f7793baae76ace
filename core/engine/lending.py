"""Lending: the two cumulative indices of an asset.

What they mean for a balance is in core.engine.accounts.
The lending sidecar decides the rates; here an index may only rise, so interest is never taken back.
With them comes the bound up to which the pool may be used for now, at most its ceiling: it lets
utilisation rise by steps, so that a run on the pool is met by rates before it is met by the end.
Nothing is walked: each balance posts its interest when it is next touched.
"""

import sbe.generated.control as control
import sbe.generated.order_entry as oe
from core.engine.emit import event_begin
from core.engine.money import MILLION
from core.engine.order_terms import refuse
from core.engine.registry import known_asset
from core.linked import linked

INDEX_MAX = 1 << 60


@linked
def accrue_interest(s, a):
    """AccrueInterest: 0 or the reason against it. Where nothing would change it is refused."""
    number = control.accrue_interest_asset(a)
    borrow = control.accrue_interest_borrow_index(a)
    lend = control.accrue_interest_lend_index(a)
    bound = control.accrue_interest_utilisation_bound(a)
    reason = known_asset(s, number)
    if reason == 0 and bound > MILLION:
        reason = refuse(s, oe.REASON_INVALID_FIELD, bound, MILLION)
    if reason != 0:
        return reason
    asset = s.assets[number]
    if borrow < asset.borrow_index or borrow > INDEX_MAX:
        return refuse(s, oe.REASON_INVALID_TRANSITION, borrow, asset.borrow_index)
    if lend < asset.lend_index or lend > INDEX_MAX:
        return refuse(s, oe.REASON_INVALID_TRANSITION, lend, asset.lend_index)
    same = borrow == asset.borrow_index and lend == asset.lend_index
    if same and bound == asset.utilisation_bound:
        return refuse(s, oe.REASON_INVALID_TRANSITION, borrow, borrow)
    asset.borrow_index = borrow
    asset.lend_index = lend
    asset.utilisation_bound = bound
    s.price_version += not same
    e = event_begin(s, control.INDICES_ACCRUED_BLOCK, 0, 0)
    control.write_indices_accrued_header(e - 8)
    control.set_indices_accrued_asset(e, number)
    control.set_indices_accrued_borrow_index(e, borrow)
    control.set_indices_accrued_lend_index(e, lend)
    control.set_indices_accrued_borrowed(e, asset.borrowed)
    control.set_indices_accrued_lent(e, asset.lent)
    control.set_indices_accrued_utilisation_bound(e, bound)
    return 0
