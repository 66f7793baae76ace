"""Resolution: predictions stop, their orders go, their holders are paid.

    Resolving ──► orders cancelled ──► shorts pay into CLEARING ──► longs are paid ──► Resolved

in slices between commands. What an account holds in one event is paid at once, net over its
outcomes, so that between two slices nobody's margin counts half an event. Payouts must be a point
of the event's hull (then no account is worse off than at its worst outcome) and a whole number of
quote units a lot.
"""

import sbe.generated.control as control
import sbe.generated.order_entry as oe
from core.engine.accounts import credit
from core.engine.controls.disputes import settle_dispute
from core.engine.emit import event_begin
from core.engine.job_queue import JOB_RESOLUTION, queue_full, start_job
from core.engine.margin.door import margin_changed
from core.engine.markets import change_state, known_instrument
from core.engine.money import PRICE_ONE
from core.engine.order_terms import refuse
from core.engine.orders import cancel_order
from core.engine.positions import free_first_holder, is_prediction
from core.engine.trades import enter
from core.jit import jit
from core.linked import linked
from core.records import CLEARING
from sbe.raw import copy

EVENT_RESOLVING, EVENT_RESOLVED = 1, 2
_CANCELLING, _DEBITS, _CREDITS, _FREEING = 0, 1, 2, 3


@linked
def resolve_event(s, a, block):
    """ResolveEvent: 0 or the reason against it."""
    number = control.resolve_event_event(a)
    if number < 1 or number >= len(s.event_groups) or s.event_groups[number].kind == 0:
        return refuse(s, oe.REASON_UNKNOWN_EVENT, number, 0)
    event = s.event_groups[number]
    if event.state != 0:
        return refuse(s, oe.REASON_INVALID_TRANSITION, event.state, 0)
    group = a + block
    if control.resolve_event_payouts_count(group) != event.outcomes:
        count = control.resolve_event_payouts_count(group)
        return refuse(s, oe.REASON_INVALID_PAYOUT, count, event.outcomes)
    reason = _judge_payouts(s, event, group)
    if reason != 0:
        return reason
    if queue_full(s):
        return oe.REASON_CAPACITY_REACHED
    event.state = EVENT_RESOLVING
    settle_dispute(s, number)
    for outcome in range(event.outcomes):
        instrument = event.instrument[outcome]
        if instrument != 0:
            payout = _payout(group, outcome)
            evidence = control.resolve_event_evidence_hash_address(a)
            none = control.INSTRUMENT_RESOLVED_SETTLEMENT_PRICE_NULL
            _begin(s, instrument, payout, none, evidence)
    start_job(s, JOB_RESOLUTION, number, 0)
    return 0


@jit
def _payout(group, outcome):
    stride = control.resolve_event_payouts_stride(group)
    e = group + control.RESOLVE_EVENT_PAYOUTS_HEADER_SIZE + outcome * stride
    return control.resolve_event_payouts_payout(e)


@jit
def _judge_payouts(s, event, group):
    """Whether the vector lies in the hull of the event's vertices, and pays whole units."""
    total = 0
    before = PRICE_ONE
    for outcome in range(event.outcomes):
        payout = _payout(group, outcome)
        if payout < 0 or payout > PRICE_ONE:
            return refuse(s, oe.REASON_INVALID_PAYOUT, payout, PRICE_ONE)
        if event.kind == oe.EVENT_KIND_NESTED and payout > before:
            return refuse(s, oe.REASON_INVALID_PAYOUT, payout, before)
        total += payout
        before = payout
        instrument = event.instrument[outcome]
        if instrument != 0:
            reason = _judge_payout(s, instrument, payout)
            if reason != 0:
                return reason
    if event.kind == oe.EVENT_KIND_EXCLUSIVE and total > PRICE_ONE:
        return refuse(s, oe.REASON_INVALID_PAYOUT, total, PRICE_ONE)
    if event.kind == oe.EVENT_KIND_EXHAUSTIVE and total != PRICE_ONE:
        return refuse(s, oe.REASON_INVALID_PAYOUT, total, PRICE_ONE)
    return 0


@jit
def _judge_payout(s, instrument, payout):
    book = s.instruments[instrument]
    if book.state > oe.TRADING_STATE_CLOSED and book.state != oe.TRADING_STATE_DELISTED:
        return refuse(s, oe.REASON_INVALID_TRANSITION, book.state, 0)
    if s.auction_pending == instrument:
        return refuse(s, oe.REASON_IN_PROGRESS, instrument, 0)
    if payout % book.grain != 0:
        return refuse(s, oe.REASON_NOT_EXACTLY_REPRESENTABLE, payout, book.grain)
    return 0


@linked
def resolve_instrument(s, a):
    """ResolveInstrument: 0 or the reason against it. For predictions that belong to no event."""
    number = control.resolve_instrument_instrument(a)
    payout = control.resolve_instrument_payout(a)
    reason = known_instrument(s, number)
    if reason != 0:
        return reason
    book = s.instruments[number]
    if not is_prediction(book.kind) or book.event != 0:
        return refuse(s, oe.REASON_INVALID_FIELD, book.kind, book.event)
    if book.state > oe.TRADING_STATE_CLOSED:
        return refuse(s, oe.REASON_INVALID_TRANSITION, book.state, 0)
    if payout < 0 or payout > PRICE_ONE:
        return refuse(s, oe.REASON_INVALID_PAYOUT, payout, PRICE_ONE)
    reason = _judge_payout(s, number, payout)
    if reason != 0:
        return reason
    if queue_full(s):
        return oe.REASON_CAPACITY_REACHED
    price = control.resolve_instrument_settlement_price(a)
    _begin(s, number, payout, price, control.resolve_instrument_evidence_hash_address(a))
    start_job(s, JOB_RESOLUTION, -number, 0)
    return 0


@jit
def _begin(s, instrument, payout, price, evidence):
    """No more orders; the payout is known."""
    book = s.instruments[instrument]
    book.payout = payout
    book.payout_value = payout // book.grain * book.value_per_grain
    book.resolved_positions = 0
    book.resolved_paid = 0
    if book.state != oe.TRADING_STATE_DELISTED:
        change_state(s, instrument, oe.TRADING_STATE_RESOLVING)
    e = event_begin(s, control.INSTRUMENT_RESOLVED_BLOCK, 0, 0)
    control.write_instrument_resolved_header(e - 8)
    control.set_instrument_resolved_instrument(e, instrument)
    control.set_instrument_resolved_event(e, book.event)
    control.set_instrument_resolved_payout(e, payout)
    control.set_instrument_resolved_settlement_price(e, price)
    copy(control.instrument_resolved_evidence_hash_address(e), evidence,
         control.INSTRUMENT_RESOLVED_EVIDENCE_HASH_LENGTH)


@jit
def _instrument_at(s, subject, place):
    """The instrument at a place of the walk, 0 when nothing is listed there, −1 behind the last."""
    if subject < 0:
        return -subject if place == 1 else -1
    event = s.event_groups[subject]
    return event.instrument[place - 1] if place <= event.outcomes else -1


@linked
def resolution_slice(s, job, budget):
    """Work on up to `budget` positions and orders; the budget left, −1 when more remains.

    `subject` is an event, or below zero an instrument.
    """
    while budget > 0:
        if job.cursor == 0:
            job.place += 1
            instrument = _instrument_at(s, job.subject, job.place)
            if instrument < 0:
                job.place = 0
                job.phase += 1
                if job.phase > _FREEING:
                    _completed(s, job.subject)
                    return budget
            elif instrument > 0:
                job.cursor = s.instruments[instrument].first_holder
            budget -= 1
            continue
        instrument = _instrument_at(s, job.subject, job.place)
        if job.phase == _FREEING:
            free_first_holder(s, instrument)
            job.cursor = s.instruments[instrument].first_holder
            budget -= 1
        elif job.phase == _CANCELLING:
            cost, whole = cancel_orders_of(s, job.cursor, oe.REASON_RESOLUTION, budget)
            budget -= cost
            if whole:
                job.cursor = s.positions[job.cursor].holder_next
        else:
            budget -= _pay(s, job.cursor, job.phase == _DEBITS)
            job.cursor = s.positions[job.cursor].holder_next
    return -1


@linked
def cancel_orders_of(s, number, reason, most):
    """Cancel the orders of a position, `most` at the most: (what it cost a job, whether all)."""
    position = s.positions[number]
    instrument = position.instrument
    cost = 0
    slot = s.accounts[position.account].first_order
    while slot != 0:
        following = s.details[slot].account_next
        if s.orders[slot].instrument == instrument:
            if cost >= most:
                return cost, False
            cancel_order(s, slot, reason)
            cost += 1
        slot = following
    return cost + 1, True


@jit
def _pay(s, number, debits):
    """Pay what the account of a position holds in its event, if it is this phase's turn."""
    position = s.positions[number]
    if position.group == 0:
        due = position.quantity * s.instruments[position.instrument].payout_value
        if position.quantity != 0 and (due < 0) == debits:
            _pay_position(s, number)
        return 1
    group = s.groups[position.group]
    due = 0
    held = 0
    for outcome in range(group.outcomes):
        sibling = group.position[outcome]
        if sibling != 0:
            quantity = s.positions[sibling].quantity
            due += quantity * s.instruments[s.positions[sibling].instrument].payout_value
            held += quantity != 0
    if held == 0 or (due < 0) != debits:
        return 1
    for outcome in range(group.outcomes):
        sibling = group.position[outcome]
        if sibling != 0 and s.positions[sibling].quantity != 0:
            _pay_position(s, sibling)
    return held


@jit
def _pay_position(s, number):
    position = s.positions[number]
    book = s.instruments[position.instrument]
    quantity = position.quantity
    amount = quantity * book.payout_value
    book.resolved_positions += 1
    book.resolved_paid += max(0, amount)
    book.open_interest -= max(0, quantity)
    enter(position, -quantity, -amount)
    credit(s, position.account, book.quote, amount)
    credit(s, CLEARING, book.quote, -amount)
    s.payouts_in_clearing -= amount
    margin_changed(s, number)
    a = event_begin(s, oe.POSITION_RESOLVED_BLOCK, 0, s.accounts[position.account].follower)
    oe.write_position_resolved_header(a - 8)
    oe.set_position_resolved_account(a, position.account)
    oe.set_position_resolved_instrument(a, position.instrument)
    oe.set_position_resolved_position(a, quantity * book.lot_size)
    oe.set_position_resolved_payout(a, book.payout)
    oe.set_position_resolved_amount(a, amount)
    oe.set_position_resolved_balance(a, s.accounts[position.account].assets[book.quote].balance)


@jit
def _completed(s, subject):
    place = 1
    instrument = _instrument_at(s, subject, place)
    while instrument >= 0:
        if instrument > 0:
            book = s.instruments[instrument]
            assert book.open_interest == 0, "Invariant: a resolved prediction has no holder."
            e = event_begin(s, control.RESOLUTION_COMPLETED_BLOCK, 0, 0)
            control.write_resolution_completed_header(e - 8)
            control.set_resolution_completed_instrument(e, instrument)
            control.set_resolution_completed_positions(e, book.resolved_positions)
            control.set_resolution_completed_paid(e, book.resolved_paid)
            if book.state != oe.TRADING_STATE_DELISTED:
                change_state(s, instrument, oe.TRADING_STATE_RESOLVED)
        place += 1
        instrument = _instrument_at(s, subject, place)
    if subject > 0:
        s.event_groups[subject].state = EVENT_RESOLVED
