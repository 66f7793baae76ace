"""Jobs in slices: long walks that go on behind the commands, a bounded piece after each.

The oldest job goes first and the next begins when it is done. The budget counts positions, orders
or accounts; each slice function gives back what it left of it, or −1 when there is more to do.
"""

import sbe.generated.order_entry as oe
from core.engine.controls.switches import kill_slice
from core.engine.job_queue import (
    JOB_CLOSE,
    JOB_DELIST,
    JOB_FUNDING,
    JOB_KILL,
    JOB_REPORT,
    JOB_RESOLUTION,
    JOB_SETTLEMENT,
)
from core.engine.markets import change_state
from core.engine.positions import free_first_holder
from core.engine.resolution import cancel_orders_of, resolution_slice
from core.engine.settlement import funding_slice, report_slice, settlement_slice
from core.engine.settling import settle_before_trade, settle_whole
from core.jit import jit
from core.linked import linked


@linked
def run_jobs(s, budget):
    """Work on the pending jobs, at most `budget` units."""
    while budget > 0 and s.jobs > 0:
        budget = _slice(s, s.job[0], budget)
        if budget >= 0:
            _remove_first(s)


@jit
def _slice(s, job, budget):
    kind = job.kind
    if kind == JOB_SETTLEMENT:
        return settlement_slice(s, job, budget)
    if kind == JOB_FUNDING:
        return funding_slice(s, job, budget)
    if kind == JOB_RESOLUTION:
        return resolution_slice(s, job, budget)
    if kind == JOB_REPORT:
        return report_slice(s, job, budget)
    if kind == JOB_KILL:
        return kill_slice(s, job, budget)
    if kind == JOB_DELIST:
        return _delist_slice(s, job, budget)
    assert kind == JOB_CLOSE, "Invariant: a job has a kind."
    return _cancel_slice(s, job, oe.REASON_MARKET_CLOSED, budget)


@jit
def _remove_first(s):
    s.jobs -= 1
    for number in range(s.jobs):
        job = s.job[number]
        after = s.job[number + 1]
        job.kind = after.kind
        job.phase = after.phase
        job.subject = after.subject
        job.place = after.place
        job.cursor = after.cursor
        job.cycle = after.cycle
        job.count = after.count
        job.key = after.key
    s.job[s.jobs].kind = 0


@jit
def _cancel_slice(s, job, reason, budget):
    """Cancel the orders of all holders of an instrument."""
    while job.cursor != 0:
        if budget <= 0:
            return -1
        cost, whole = cancel_orders_of(s, job.cursor, reason, budget)
        budget -= cost
        if whole:
            job.cursor = s.positions[job.cursor].holder_next
    return max(0, budget)


@jit
def _delist_slice(s, job, budget):
    """Cancel all orders, then settle and free the positions; then the instrument is gone."""
    if job.phase == 0:
        budget = _cancel_slice(s, job, oe.REASON_DELISTING, budget)
        if budget < 0:
            return -1
        job.phase = 1
    book = s.instruments[job.subject]
    while book.first_holder != 0:
        if budget <= 0:
            return -1
        settle_before_trade(s, book.first_holder)
        if book.kind == oe.INSTRUMENT_KIND_PERPETUAL:
            settle_whole(s, book.first_holder)
        free_first_holder(s, job.subject)
        budget -= 1
    change_state(s, job.subject, oe.TRADING_STATE_DELISTED)
    return budget
