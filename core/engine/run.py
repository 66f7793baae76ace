"""One command: stamp, dispatch, and what follows from it.

    frame ─► session and number ─► handler ─► protections, stops, timers, jobs ─► events

The only place that knows all commands. A handler either reports to its client itself or returns a
reason, which is answered here: to an operator or sidecar by CommandResult, to a client by
BusinessReject.
"""

from typing import Any

import numpy as np

import sbe.generated.control as ct
import sbe.generated.order_entry as oe
from core.engine.account_reports import account_request
from core.engine.auction import auction_tick, still_crosses, uncross
from core.engine.cancels import cancel_request, mass_cancel, open_orders, order_status
from core.engine.controls.clients import client_protection, set_client_protection
from core.engine.controls.disputes import set_event_dispute
from core.engine.controls.order_limits import set_order_limits
from core.engine.controls.owners import (
    set_controls,
    set_gate,
    set_market_conflict,
    set_owner_profile,
)
from core.engine.controls.switches import set_kill_switch
from core.engine.destinations import withdrawal_rule
from core.engine.emit import business_reject, event_begin, mark_last_in_event
from core.engine.fees import set_fees
from core.engine.following import tell_changes
from core.engine.governance.proposals import (
    decide_risk_proposal,
    run_risk_timers,
    set_risk_parameter,
)
from core.engine.halts import trading_halt
from core.engine.jobs import run_jobs
from core.engine.lending import accrue_interest
from core.engine.liquidation.backstop import set_backstop
from core.engine.liquidation.progress import run_liquidations
from core.engine.liquidation.watch import run_watch
from core.engine.listing import delist_instrument, list_instrument
from core.engine.margin.arrays import set_risk_array, set_unit_rates
from core.engine.markets import (
    open_market,
    set_index_price,
    set_mark_price,
    set_trading_state,
)
from core.engine.new_order import EVERYWHERE, new_order, run_triggers
from core.engine.preview import order_preview
from core.engine.protection import protection_reset, protection_set
from core.engine.quotes import mass_quote, quote_cancel, run_protections
from core.engine.registry import (
    register_account,
    register_asset,
    register_event,
    register_owner,
    register_session,
    set_account_state,
)
from core.engine.replace import replace_order
from core.engine.resolution import resolve_event, resolve_instrument
from core.engine.sessions import (
    session_close,
    session_inbound,
    session_numbers,
    session_open,
    session_reset,
    session_signed,
)
from core.engine.settlement import (
    funding_estimate,
    funding_start,
    report_balances,
    settlement_start,
)
from core.engine.timers import run_timers, set_cancel_timer
from core.engine.transfers import deposit, transfer, transfer_request
from core.engine.withdrawals import withdrawal_request, withdrawal_step
from core.jit import jit
from core.linked import linked
from sbe.raw import load_i16, load_i32, load_i64, load_u32

HEADER_AT = 32
BODY_AT = 40
# Positions, orders or accounts that a client's command is followed by: few, so that no order waits
# for them. Sidecars' and operators' commands are rare, a tick comes only when nothing else does.
JOB_SLICE, JOB_SLICE_RARE = 8, 64
WATCH_SLICE = 32  # Watches and accounts looked at behind a command while prices have moved.
_CLIENT_TEMPLATES = 400  # Below: from clients, numbered; from here on internal.
_KEYED = 410
_MESSAGE_NUMBER_AT = 8
_FIRST_REPORT = 200


@linked
def apply(s: Any, frame: int) -> None:
    """Apply the stamped command at the address; its events are in the stream afterwards."""
    work = s.work
    work.sequence = load_i64(frame + 16)
    work.time = load_i64(frame + 24)
    work.session = load_i32(frame + 8)
    work.producer = load_i16(frame + 4)
    work.message_sequence = 0
    work.echo = 0
    work.detail = 0
    work.limit = 0
    work.event_index = 0
    work.fills = 0
    work.last_event = 0
    work.taker_report = 0
    work.triggered = 0
    work.changed_first = 0
    work.changed_last = 0
    s.sequence = work.sequence
    s.time = work.time
    _advance_producer(s, load_u32(frame + 12))
    template = oe.header_template(frame + HEADER_AT)
    a = frame + BODY_AT
    if template < _CLIENT_TEMPLATES:
        if _take_number(s, load_u32(a + _MESSAGE_NUMBER_AT)):
            _client_command(s, template, a, oe.header_block_length(frame + HEADER_AT))
    elif template < _KEYED:
        _session_command(s, template, a, ct.header_block_length(frame + HEADER_AT))
    elif template != ct.TICK_TEMPLATE:
        _keyed_command(s, template, a, ct.header_block_length(frame + HEADER_AT))
    _follow_up(s, JOB_SLICE if template < _KEYED else JOB_SLICE_RARE)
    mark_last_in_event(s)
    if work.changed_first != 0:
        tell_changes(s)


@jit
def _advance_producer(s, low_position):
    """Remember how far the producer's ring is consumed; the frame holds position >> 5, 32 bits."""
    producer = s.producers[s.work.producer]
    known = producer.ring_position >> 5
    step = (low_position - known) & 0xFFFFFFFF
    producer.ring_position = (known + step) << 5
    producer.commands += 1


@jit
def _take_number(s, number):
    """Whether a client's message is new: each number is applied at most once."""
    session = s.work.session
    if session == 0:
        return True
    if session >= len(s.sessions) or s.sessions[session].registered == 0:
        return False
    sender = s.sessions[session]
    if number < sender.next_inbound and number != 0:
        return False
    if number != 0:
        sender.next_inbound = number + 1
    s.work.message_sequence = number
    return True


@jit
def _client_command(s, template, a, block):
    if template == oe.NEW_ORDER_SINGLE_TEMPLATE:
        s.work.echo = a + block
        new_order(s, a)
    elif template == oe.ORDER_CANCEL_REQUEST_TEMPLATE:
        s.work.echo = a + block
        cancel_request(s, a)
    elif template == oe.ORDER_CANCEL_REPLACE_REQUEST_TEMPLATE:
        s.work.echo = a + block
        replace_order(s, a)
    elif template == oe.MASS_QUOTE_TEMPLATE:
        mass_quote(s, a, block)
    else:
        _rare_client_command(s, template, a, block)


@jit
def _rare_client_command(s, template, a, block):
    reason = 0
    if template == oe.QUOTE_CANCEL_TEMPLATE:
        reason = quote_cancel(s, a)
    elif template == oe.PROTECTION_SET_TEMPLATE:
        reason = protection_set(s, a)
    elif template == oe.PROTECTION_RESET_TEMPLATE:
        reason = protection_reset(s, a)
    elif template == oe.SET_CANCEL_TIMER_TEMPLATE:
        reason = set_cancel_timer(s, a)
    else:
        s.work.echo = a + block
        reason = _request(s, template, a)
    if reason != 0:
        business_reject(s, template, reason)


@jit
def _request(s, template, a):
    """Client messages that carry an echo and are answered by reports of their own."""
    if template == oe.ORDER_MASS_CANCEL_REQUEST_TEMPLATE:
        mass_cancel(s, a)
    elif template == oe.ORDER_STATUS_REQUEST_TEMPLATE:
        order_status(s, a)
    elif template == oe.OPEN_ORDERS_REQUEST_TEMPLATE:
        open_orders(s, a)
    elif template == oe.ACCOUNT_REQUEST_TEMPLATE:
        account_request(s, a)
    elif template == oe.TRANSFER_REQUEST_TEMPLATE:
        transfer_request(s, a)
    elif template == oe.WITHDRAWAL_REQUEST_TEMPLATE:
        withdrawal_request(s, a)
    elif template == oe.WITHDRAWAL_RULE_TEMPLATE:
        withdrawal_rule(s, a)
    elif template == oe.CLIENT_PROTECTION_REQUEST_TEMPLATE:
        client_protection(s, a)
    elif template == oe.ORDER_PREVIEW_REQUEST_TEMPLATE:
        order_preview(s, a)
    elif template == oe.TRADING_HALT_TEMPLATE:
        trading_halt(s, a)
    else:
        s.work.echo = 0
        return oe.REASON_INVALID_FIELD
    return 0


@jit
def _session_command(s, template, a, block):
    session = s.work.session
    if session <= 0 or session >= len(s.sessions) or s.sessions[session].registered == 0:
        return
    if template == ct.SESSION_OPEN_TEMPLATE:
        session_open(s, a)
    elif template == ct.SESSION_CLOSE_TEMPLATE:
        session_close(s, a)
    elif template == ct.SESSION_NUMBERS_TEMPLATE:
        session_numbers(s, a, block)
    elif template == ct.SESSION_RESET_TEMPLATE:
        session_reset(s, a)
    elif template == ct.SESSION_INBOUND_TEMPLATE:
        session_inbound(s, a)
    elif template == ct.SESSION_SIGNED_TEMPLATE:
        session_signed(s, a)


@jit
def _keyed_command(s, template, a, block):
    """Commands of operators and sidecars: applied once per key, always answered."""
    producer = s.producers[s.work.producer]
    key = load_i64(a)
    if key <= producer.last_key:
        s.work.detail = key
        s.work.limit = producer.last_key
        reason = oe.REASON_DUPLICATE_KEY
    else:
        producer.last_key = key
        if template >= ct.SET_KILL_SWITCH_TEMPLATE:
            reason = _control_command(s, template, a)
        elif template >= ct.SET_BACKSTOP_TEMPLATE:
            reason = _risk_command(s, template, a)
        elif template < ct.DEPOSIT_TEMPLATE or template == ct.SET_ACCOUNT_STATE_TEMPLATE:
            reason = _operator_command(s, template, a, block)
        else:
            reason = _sidecar_command(s, template, a, block)
    r = event_begin(s, ct.COMMAND_RESULT_BLOCK, 0, 0)
    ct.write_command_result_header(r - 8)
    ct.set_command_result_key(r, key)
    ct.set_command_result_producer(r, s.work.producer)
    ct.set_command_result_ref_template_id(r, template)
    ct.set_command_result_reason(r, reason)
    ct.set_command_result_detail(r, s.work.detail)
    ct.set_command_result_limit(r, s.work.limit)


@jit
def _operator_command(s, template, a, block):
    if template == ct.REGISTER_ASSET_TEMPLATE:
        return register_asset(s, a)
    if template == ct.REGISTER_OWNER_TEMPLATE:
        return register_owner(s, a)
    if template == ct.REGISTER_ACCOUNT_TEMPLATE:
        return register_account(s, a)
    if template == ct.REGISTER_SESSION_TEMPLATE:
        return register_session(s, a)
    if template == ct.LIST_INSTRUMENT_TEMPLATE:
        return list_instrument(s, a, block)
    if template == ct.REGISTER_EVENT_TEMPLATE:
        return register_event(s, a, block)
    if template == ct.SET_TRADING_STATE_TEMPLATE:
        return set_trading_state(s, a)
    if template == ct.DELIST_INSTRUMENT_TEMPLATE:
        return delist_instrument(s, a)
    if template == ct.SET_FEES_TEMPLATE:
        return set_fees(s, a)
    if template == ct.SET_ACCOUNT_STATE_TEMPLATE:
        return set_account_state(s, a)
    return oe.REASON_INVALID_FIELD


@jit
def _risk_command(s, template, a):
    if template == ct.SET_BACKSTOP_TEMPLATE:
        return set_backstop(s, a)
    if template == ct.SET_RISK_PARAMETER_TEMPLATE:
        return set_risk_parameter(s, a)
    if template == ct.DECIDE_RISK_PROPOSAL_TEMPLATE:
        return decide_risk_proposal(s, a)
    return oe.REASON_INVALID_FIELD


@jit
def _control_command(s, template, a):
    if template == ct.SET_KILL_SWITCH_TEMPLATE:
        return set_kill_switch(s, a)
    if template == ct.SET_OWNER_PROFILE_TEMPLATE:
        return set_owner_profile(s, a)
    if template == ct.SET_GATE_TEMPLATE:
        return set_gate(s, a)
    if template == ct.SET_CONTROLS_TEMPLATE:
        return set_controls(s, a)
    if template == ct.SET_ORDER_LIMITS_TEMPLATE:
        return set_order_limits(s, a)
    if template == ct.SET_CLIENT_PROTECTION_TEMPLATE:
        return set_client_protection(s, a)
    if template == ct.SET_MARKET_CONFLICT_TEMPLATE:
        return set_market_conflict(s, a)
    if template == ct.SET_EVENT_DISPUTE_TEMPLATE:
        return set_event_dispute(s, a)
    if template == ct.REPORT_CLOCK_TEMPLATE:
        return 0  # That it is in the journal is all.
    return oe.REASON_INVALID_FIELD


@jit
def _sidecar_command(s, template, a, block):
    if template == ct.SET_INDEX_PRICE_TEMPLATE:
        return set_index_price(s, a)
    if template == ct.SET_MARK_PRICE_TEMPLATE:
        return set_mark_price(s, a)
    if template == ct.SET_RISK_ARRAY_TEMPLATE:
        return set_risk_array(s, a, block)
    if template == ct.SET_UNIT_RATES_TEMPLATE:
        return set_unit_rates(s, a)
    if template == ct.DEPOSIT_TEMPLATE:
        return deposit(s, a)
    if template == ct.WITHDRAWAL_STEP_TEMPLATE:
        return withdrawal_step(s, a)
    if template == ct.TRANSFER_TEMPLATE:
        return transfer(s, a)
    if template == ct.SETTLEMENT_START_TEMPLATE:
        return settlement_start(s, a)
    if template == ct.FUNDING_START_TEMPLATE:
        return funding_start(s, a)
    if template == ct.FUNDING_ESTIMATE_TEMPLATE:
        return funding_estimate(s, a)
    if template == ct.RESOLVE_EVENT_TEMPLATE:
        return resolve_event(s, a, block)
    if template == ct.RESOLVE_INSTRUMENT_TEMPLATE:
        return resolve_instrument(s, a)
    if template == ct.ACCRUE_INTEREST_TEMPLATE:
        return accrue_interest(s, a)
    if template == ct.REPORT_BALANCES_TEMPLATE:
        return report_balances(s, a)
    return oe.REASON_INVALID_FIELD


@jit
def _follow_up(s, slice_of_jobs):
    """What a command sets off besides its own effect, each part bounded."""
    if s.protection_pending != 0:
        run_protections(s)
    if s.work.triggered != 0:
        run_triggers(s, s.work.triggered)
    pending = s.trigger_pending
    if pending != 0 and pending != s.work.triggered:
        s.trigger_pending = 0
        _trigger_left_over(s, pending)
    if s.auction_pending != 0:
        _continue_auction(s)
    run_timers(s)
    if s.jobs != 0:
        run_jobs(s, slice_of_jobs)
    if s.risk_due != 0 and s.risk_due <= s.work.time:
        run_risk_timers(s)
    if s.watching != 0:
        run_watch(s, WATCH_SLICE)
    if s.liquidations != 0:
        _liquidate(s)
    if s.protection_pending != 0:
        run_protections(s)


@jit
def _liquidate(s):
    """The next steps of liquidations, and the stops that their trades trigger."""
    triggered = s.work.triggered
    s.work.triggered = 0
    run_liquidations(s)
    if s.work.triggered != 0 and s.work.triggered != triggered:
        run_triggers(s, s.work.triggered)


@jit
def _trigger_left_over(s, pending):
    """Execute the stops for which there was no room in the command that triggered them."""
    if pending != EVERYWHERE:
        run_triggers(s, pending)
        return
    for number in range(1, s.instruments_listed + 1):
        run_triggers(s, number)


@jit
def _continue_auction(s):
    """Trade at the auction's price; when nothing crosses any more the market opens."""
    number = s.auction_pending
    book = s.instruments[number]
    book.auction_lots += uncross(s, number, book.auction_tick)
    if still_crosses(s, number, book.auction_tick):
        return
    again = auction_tick(s, book)
    if again != 0:
        book.auction_tick = again
        return
    s.auction_pending = 0
    open_market(s, number)
    run_triggers(s, number)


@jit
def run_batch(state, commands, end):
    """Apply the stamped frames that stand one behind the other from one address to another.

    Returns the number of commands. For replay and tests; the live loop stamps as it goes.
    """
    s = state[0]
    frame = commands
    count = 0
    while frame < end:
        apply(s, frame)
        frame += load_i32(frame)
        count += 1
    return count


def bind_events(state: np.ndarray, data_address: int, size: int) -> None:
    """Let events go to the (mirrored, power of two) memory at an address."""
    state["work"]["event_data"] = data_address
    state["work"]["event_mask"] = size - 1
