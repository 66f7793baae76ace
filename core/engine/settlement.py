"""Settlement, funding and the report of all balances: commands that start a walk, and its slices.

A settlement takes one cut of the marks of all perpetuals and then visits their holders, in slices
between commands:

    debits       those who owe pay into CLEARING what they have and may borrow   S is left owing
    the fund     account LIQUIDITY advances what of S it hasn't yet, or gets back what it needn't
    waiting      winners whom earlier cycles left unpaid, if any
    credits      all who are owed

so that the fund's claim is what losers owe, unless the fund ran dry; then the winners who came last
wait for the rest, and are first in the next cycle. When the walk is over CLEARING is where it was.

Funding is the same for one perpetual: payers, then receivers. What a payer can't bear by the order
of a settlement's debits he owes, and what a receiver is not paid he is owed: both are unsettled,
and the next settlement finds them, with the fund behind the one and the first place for the other.
What rounding leaves goes to account ROUNDING as far as it was paid, else it is the fund's claim.
"""

import numpy as np

import sbe.generated.control as control
import sbe.generated.order_entry as oe
from core.engine.accounts import account_exists, balance_update, move
from core.engine.emit import event_begin
from core.engine.job_queue import (
    JOB_FUNDING,
    JOB_REPORT,
    JOB_SETTLEMENT,
    job_pending,
    queue_full,
    start_job,
)
from core.engine.markets import known_instrument
from core.engine.order_terms import refuse
from core.engine.settling import (
    BILLION,
    collect,
    fund_position,
    funding_due,
    pay_claim,
    pay_waiting,
    settlement_due,
)
from core.jit import jit
from core.linked import linked
from core.records import CLEARING, HOUSE_ACCOUNTS, LIQUIDITY, ROUNDING

SKIPPED_MAX = 64  # Accounts without a change, walked over for the cost of one; a power of two.
RATE_MAX = BILLION  # Of the notional, in one funding.
DEBITS, WAITING, CREDITS, DONE = 0, 1, 2, 3  # phases of a settlement


@linked
def settlement_start(s, a):
    """SettlementStart: 0 or the reason against it. The cut is taken now."""
    cycle = np.int64(control.settlement_start_cycle(a))
    if job_pending(s, JOB_SETTLEMENT, 0):
        return refuse(s, oe.REASON_IN_PROGRESS, cycle, s.settlement_cycle)
    if cycle <= s.settlement_cycle:
        return refuse(s, oe.REASON_INVALID_TRANSITION, cycle, s.settlement_cycle)
    if queue_full(s):
        return oe.REASON_CAPACITY_REACHED
    s.settlement_cycle = cycle
    s.settlement_positions = 0
    s.settlement_debits = 0
    s.settlement_credits = 0
    s.settlement_short = 0
    s.settlement_advanced = 0
    s.settlement_carried = s.settlement_pot
    for number in range(1, s.instruments_listed + 1):
        book = s.instruments[number]
        if book.kind == oe.INSTRUMENT_KIND_PERPETUAL and book.mark_value > 0:
            book.settled_mark = book.mark
            book.settled_value = book.mark_value
            book.settled_cut += 1
    start_job(s, JOB_SETTLEMENT, 0, 0)
    e = event_begin(s, control.SETTLEMENT_STARTED_BLOCK, 0, 0)
    control.write_settlement_started_header(e - 8)
    control.set_settlement_started_cycle(e, cycle)
    return 0


@linked
def settlement_slice(s, job, budget):
    """Visit up to `budget` positions; how much of the budget is left, −1 when more remains."""
    while budget > 0:
        if job.cursor == 0:
            job.place += 1
            if job.place > s.instruments_listed:
                job.place = 0
                job.phase = _next_phase(s, job.phase)
                if job.phase == DONE:
                    _settlement_completed(s)
                    return budget
                continue
            book = s.instruments[job.place]
            if book.kind == oe.INSTRUMENT_KIND_PERPETUAL:
                job.cursor = book.first_holder
            continue
        _visit(s, job.cursor, job.phase)
        job.cursor = s.positions[job.cursor].holder_next
        budget -= 1
    return -1


@jit
def _visit(s, number, phase):
    """Do with a position what the phase is for."""
    position = s.positions[number]
    book = s.instruments[position.instrument]
    behind = position.settled_cut != book.settled_cut
    if phase == DEBITS:
        if behind and settlement_due(position, book) < 0:
            collect(s, number, False)
    elif phase == WAITING:
        if s.claims[number].waiting > 0:
            pay_waiting(s, number)
    elif behind or s.claims[number].due > 0:
        pay_claim(s, number)


@jit
def _next_phase(s, phase):
    """What follows; behind the debits stands the fund, and without claims nobody waits."""
    if phase == DEBITS:
        _ask_the_fund(s)
        return WAITING if s.claims_waiting > 0 else CREDITS
    return phase + 1


@jit
def _ask_the_fund(s):
    """Let LIQUIDITY advance what losers still owe, or take back what they no longer do."""
    missing = s.settlement_short - s.fund_claim
    amount = min(missing, max(0, s.accounts[LIQUIDITY].assets[0].balance))
    if amount == 0:
        return
    move(s, LIQUIDITY, CLEARING, 0, amount)
    s.fund_claim += amount
    s.settlement_pot += amount
    s.settlement_advanced += amount
    balance_update(s, LIQUIDITY, 0, oe.BALANCE_REASON_SETTLEMENT, -amount, CLEARING, 0)


@jit
def _settlement_completed(s):
    e = event_begin(s, control.SETTLEMENT_COMPLETED_BLOCK, 0, 0)
    control.write_settlement_completed_header(e - 8)
    control.set_settlement_completed_cycle(e, s.settlement_cycle)
    control.set_settlement_completed_positions(e, s.settlement_positions)
    control.set_settlement_completed_debits(e, s.settlement_debits)
    control.set_settlement_completed_credits(e, s.settlement_credits)
    control.set_settlement_completed_advanced(e, s.settlement_advanced)
    control.set_settlement_completed_carried(e, s.settlement_pot - s.settlement_carried)
    control.set_settlement_completed_fund_claim(e, s.fund_claim)
    control.set_settlement_completed_waiting(e, s.claims_waiting)


@linked
def funding_start(s, a):
    """FundingStart: 0 or the reason against it. Quantities and mark are those of now."""
    number = control.funding_start_instrument(a)
    rate = control.funding_start_rate(a)
    reason = known_instrument(s, number)
    if reason != 0:
        return reason
    book = s.instruments[number]
    if book.kind != oe.INSTRUMENT_KIND_PERPETUAL or abs(rate) > RATE_MAX:
        return refuse(s, oe.REASON_INVALID_FIELD, rate, RATE_MAX)
    cap = s.markets[number].funding_cap
    if cap != 0 and abs(rate) > cap:
        return refuse(s, oe.REASON_FUNDING_RATE_CAP, rate, cap)
    if book.mark_value == 0:
        return refuse(s, oe.REASON_INDEX_STALE, 0, 0)
    if job_pending(s, JOB_FUNDING, number):
        return refuse(s, oe.REASON_IN_PROGRESS, number, 0)
    if queue_full(s):
        return oe.REASON_CAPACITY_REACHED
    book.funded_cut += 1
    book.funding_rate = rate
    book.funding_value = book.mark_value
    book.funding_positions = 0
    book.funding_remainder = 0
    book.funding_pot = 0
    start_job(s, JOB_FUNDING, number, book.first_holder)
    return 0


@linked
def funding_estimate(s, a):
    """FundingEstimate: 0 or the reason against it. It is told on; nothing else hangs on it."""
    number = control.funding_estimate_instrument(a)
    rate = control.funding_estimate_rate(a)
    reason = known_instrument(s, number)
    if reason != 0:
        return reason
    if s.instruments[number].kind != oe.INSTRUMENT_KIND_PERPETUAL or abs(rate) > RATE_MAX:
        return refuse(s, oe.REASON_INVALID_FIELD, rate, RATE_MAX)
    e = event_begin(s, control.FUNDING_ESTIMATED_BLOCK, 0, 0)
    control.write_funding_estimated_header(e - 8)
    control.set_funding_estimated_instrument(e, number)
    control.set_funding_estimated_rate(e, rate)
    control.set_funding_estimated_funding_time(e, control.funding_estimate_funding_time(a))
    return 0


@linked
def funding_slice(s, job, budget):
    """Visit up to `budget` positions; how much of the budget is left, −1 when more remains."""
    book = s.instruments[job.subject]
    while budget > 0:
        if job.cursor == 0:
            job.cursor = book.first_holder
            job.phase += 1
            if job.phase == 2:
                _funding_completed(s, job.subject)
                return budget
            budget -= 1
            continue
        position = s.positions[job.cursor]
        behind = position.funded_cut != book.funded_cut
        if behind and (job.phase == 1 or funding_due(position, book) < 0):
            fund_position(s, job.cursor)
        job.cursor = position.holder_next
        budget -= 1
    return -1


@jit
def _funding_completed(s, number):
    """Give ROUNDING what was rounded; what is left or missing is for the next settlement."""
    book = s.instruments[number]
    owed = book.funding_remainder
    assert owed >= 0, "Invariant: funding rounds against the customer."
    assert book.funding_pot >= 0, "Invariant: funding gives what was taken."
    remainder = min(owed, book.funding_pot)
    if remainder != 0:
        move(s, CLEARING, ROUNDING, book.quote, remainder)
        reason = oe.BALANCE_REASON_FUNDING
        balance_update(s, ROUNDING, book.quote, reason, remainder, CLEARING, 0)
    left = book.funding_pot - remainder
    s.settlement_pot += left
    s.settlement_carried += left  # One that is queued behind this began without it.
    s.fund_claim += owed - remainder
    book.funding_remainder = 0
    book.funding_pot = 0
    e = event_begin(s, control.FUNDING_COMPLETED_BLOCK, 0, 0)
    control.write_funding_completed_header(e - 8)
    control.set_funding_completed_instrument(e, number)
    control.set_funding_completed_rate(e, book.funding_rate)
    control.set_funding_completed_positions(e, book.funding_positions)
    control.set_funding_completed_remainder(e, remainder)


@linked
def report_balances(s, a):
    """ReportBalances: 0 or the reason against it."""
    if job_pending(s, JOB_REPORT, 0):
        return oe.REASON_IN_PROGRESS
    if queue_full(s):
        return oe.REASON_CAPACITY_REACHED
    number = start_job(s, JOB_REPORT, 0, 1)
    s.job[number].place = control.report_balances_changed(a)
    s.job[number].cycle = np.int64(control.report_balances_cycle(a))
    s.job[number].key = np.int64(control.report_balances_key(a))
    return 0


@linked
def report_slice(s, job, budget):
    """Report up to `budget` accounts; how much of the budget is left, −1 when more remains.

    Those without a change cost next to nothing, of a report of changes.
    """
    last = max(s.accounts_used, HOUSE_ACCOUNTS - 1)
    while budget > 0:
        if job.cursor > last:
            e = event_begin(s, control.BALANCES_REPORTED_BLOCK, 0, 0)
            control.write_balances_reported_header(e - 8)
            control.set_balances_reported_cycle(e, job.cycle)
            control.set_balances_reported_accounts(e, job.count)
            return budget
        holder = s.accounts[job.cursor]
        if job.place == 0:
            holder.assets_unreported = holder.assets_seen
        if account_exists(s, job.cursor) and (job.place == 0 or holder.assets_unreported != 0):
            _report_account(s, job.cursor, job.key)
            job.count += 1
            budget -= 1
        else:
            budget -= (job.cursor & (SKIPPED_MAX - 1)) == 0
        job.cursor += 1
    return -1


@jit
def _report_account(s, account, key):
    seen = s.accounts[account].assets_unreported
    s.accounts[account].assets_unreported = 0
    asset = 0
    while seen != 0:
        if seen & 1:
            balance_update(s, account, asset, oe.BALANCE_REASON_SNAPSHOT, 0, 0, key)
        seen >>= 1
        asset += 1
