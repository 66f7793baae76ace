"""Mass quotes: for each entry a bid and an offer, replaced as a pair.

A quote is an order with a name of its own, made of its quote set, instrument and side, so that a
new quote finds the one it replaces in the index of client ids:

    bit 63    62 … 33          32 … 1        0
       1      quoteSetId       instrument    side (0 bid, 1 offer)
"""

import numpy as np

import sbe.generated.order_entry as oe
from core.engine.client_index import find_client_order
from core.engine.emit import event_begin
from core.engine.new_order import enter
from core.engine.order_terms import account_of, judge_account, judge_lots, price_to_tick, refuse
from core.engine.orders import cancel_order, give_back_slot, is_open, take_slot
from core.engine.protection import protection_of, reset
from core.engine.replace import change_order, judge_growth, reduce_order
from core.jit import jit
from core.linked import linked
from core.records import QUOTE

QUOTES_MAX = 500
_QUOTE_SET_MASK = (1 << 30) - 1
# Places in work.scratch for the answer: instrument, reasons and order ids of each entry.
_ANSWERS = 64
_ANSWER = 5


@jit
def quote_name(quote_set, instrument, side):
    """The client order id of a quote."""
    return (-1 << 63) | ((quote_set & _QUOTE_SET_MASK) << 33) | (instrument << 1) | side


@jit
def open_quote(s, quote_set, instrument, side):
    """The open quote of the running session on a side (0 bid, 1 offer), else 0."""
    slot = find_client_order(s, quote_name(quote_set, instrument, side), s.work.session)
    return slot if slot != 0 and is_open(s, slot) else 0


@linked
def mass_quote(s, a, wire_block):
    """Handle a MassQuote: each entry is judged by itself, one acknowledgement answers all."""
    account = account_of(s, oe.mass_quote_account(a))
    quote_set = oe.mass_quote_quote_set_id(a)
    group = a + wire_block
    count = oe.mass_quote_quotes_count(group)
    stride = oe.mass_quote_quotes_stride(group)
    reason = judge_account(s, account)
    if reason == 0 and (count > QUOTES_MAX or quote_set > _QUOTE_SET_MASK):
        reason = refuse(s, oe.REASON_INVALID_FIELD, count, QUOTES_MAX)
    if reason == 0 and s.accounts[account].state > oe.ACCOUNT_STATE_REDUCE_ONLY:
        reason = refuse(s, oe.REASON_ACCOUNT_STATE, s.accounts[account].state, 0)
    judged = count if reason == 0 else 0
    for i in range(judged):
        entry = group + oe.MASS_QUOTE_QUOTES_HEADER_SIZE + i * stride
        _quote_entry(s, a, entry, account, quote_set, _ANSWERS + i * _ANSWER)
    _acknowledge(s, a, account, quote_set, reason, judged)


@jit
def _quote_entry(s, a, entry, account, quote_set, answer):
    """Both sides of one entry; the side that makes room for the other goes first."""
    instrument = oe.mass_quote_quotes_instrument(entry)
    answers = s.work.scratch
    answers[answer] = instrument
    for i in range(1, _ANSWER):
        answers[answer + i] = 0
    answers[answer + 3] = -1
    answers[answer + 4] = -1
    reason = _judge_entry(s, a, entry, account, instrument)
    if reason != 0:
        answers[answer + 1] = reason
        answers[answer + 2] = reason
        return
    book = s.instruments[instrument]
    own_offer = open_quote(s, quote_set, instrument, 1)
    bid = oe.mass_quote_quotes_bid_px(entry)
    offer_first = own_offer != 0 and bid >= s.orders[own_offer].tick * book.tick_size
    for turn in range(2):
        side = 1 - turn if offer_first else turn
        price = bid if side == 0 else oe.mass_quote_quotes_offer_px(entry)
        size = oe.mass_quote_quotes_bid_size(entry)
        if side == 1:
            size = oe.mass_quote_quotes_offer_size(entry)
        answers[answer + 1 + side] = _quote_side(
            s, account, quote_set, instrument, side, price, size, answer + 3 + side
        )


@jit
def _judge_entry(s, a, entry, account, instrument):
    if instrument <= 0 or instrument >= len(s.instruments):
        return refuse(s, oe.REASON_UNKNOWN_INSTRUMENT, instrument, 0)
    book = s.instruments[instrument]
    if book.state == 0:
        return refuse(s, oe.REASON_UNKNOWN_INSTRUMENT, instrument, 0)
    if book.state != oe.TRADING_STATE_OPEN and book.state != oe.TRADING_STATE_PRE_OPEN:
        return refuse(s, oe.REASON_INSTRUMENT_STATE, book.state, 0)
    protection = protection_of(s, account, book.base)
    if protection != 0 and s.protections[protection].tripped != 0:
        if oe.mass_quote_reset_protection(a) == 0:
            return refuse(s, oe.REASON_PROTECTION_TRIPPED, book.base, 0)
        reset(s.protections[protection])
    bid = oe.mass_quote_quotes_bid_px(entry)
    offer = oe.mass_quote_quotes_offer_px(entry)
    null = oe.MASS_QUOTE_QUOTES_BID_PX_NULL
    if bid != null and offer != null and bid >= offer:
        return refuse(s, oe.REASON_PRICE_OUT_OF_RANGE, bid, offer)
    return 0


@jit
def _quote_side(s, account, quote_set, instrument, side, price, size, answer):
    """Bring one side of a quote to a price and size; a refused side has no quote any more."""
    book = s.instruments[instrument]
    slot = open_quote(s, quote_set, instrument, side)
    null = oe.MASS_QUOTE_QUOTES_BID_PX_NULL
    if price == null or size == null or size == 0:
        if slot != 0:
            cancel_order(s, slot, oe.REASON_USER_REQUEST)
        return 0
    tick = price_to_tick(s, book, 0, price, oe.REASON_PRICE_NOT_ON_TICK,
                         oe.REASON_PRICE_OUT_OF_RANGE)
    lots = judge_lots(s, book, size) if tick >= 0 else 0
    reason = -tick if tick < 0 else (-lots if lots < 0 else 0)
    if reason == 0 and slot != 0:
        reason = _move_quote(s, slot, tick, lots)
    elif reason == 0:
        slot = take_slot(s)
        if slot == 0:
            return refuse(s, oe.REASON_CAPACITY_REACHED, 0, len(s.orders))
        _quote_order(s, slot, account, quote_set, instrument, side)
        s.orders[slot].tick = tick
        s.orders[slot].leaves = lots
        s.details[slot].limit_tick = tick
        s.details[slot].quantity = lots
        reason = enter(s, slot)
        if reason != 0:
            give_back_slot(s, slot)
            return reason
    if reason != 0:
        if slot != 0 and is_open(s, slot):
            cancel_order(s, slot, reason)
        return reason
    s.work.scratch[answer] = s.orders[slot].order_id
    return 0


@jit
def _move_quote(s, slot, tick, lots):
    """Another price or size for an open quote; equal terms change nothing."""
    order = s.orders[slot]
    if order.tick == tick and order.leaves == lots:
        return 0
    total = s.details[slot].filled + lots
    if order.tick == tick and lots < order.leaves:
        reduce_order(s, slot, total, 0)
        return 0
    reason = judge_growth(s, slot, tick, total)
    return reason if reason != 0 else change_order(s, slot, tick, total, 0, 0)


@jit
def _quote_order(s, slot, account, quote_set, instrument, side):
    """The record of a fresh quote."""
    order = s.orders[slot]
    detail = s.details[slot]
    order.account = account
    order.owner = s.accounts[account].owner
    order.instrument = instrument
    order.side = side + 1
    order.position = 0
    order.visible = 0
    order.state = 0
    order.level = 0
    order.flags = QUOTE
    mode = s.owners[order.owner].self_trade_prevention
    order.self_trade_prevention = mode if mode != 0 else oe.SELF_TRADE_PREVENTION_CANCEL_TAKER
    detail.client_order_id = quote_name(quote_set, instrument, side)
    detail.session = s.work.session
    detail.tag = 0
    detail.order_type = oe.ORD_TYPE_LIMIT
    detail.time_in_force = oe.TIME_IN_FORCE_GOOD_TILL_CANCEL
    detail.exec_inst = 0
    detail.trigger_type = 0
    detail.outcome_side = 0
    detail.filled = 0
    detail.filled_value = 0
    detail.expire_time = 0
    detail.display = 0
    detail.stop_tick = -1
    detail.quote_set = quote_set
    detail.protection = protection_of(s, account, s.instruments[instrument].base)
    detail.expiry_place = 0
    detail.reserved_tick = 0
    detail.echo_length = 0
    detail.status = oe.ORD_STATUS_NEW
    detail.entry_sequence = s.work.sequence
    detail.entry_time = s.work.time


@jit
def _acknowledge(s, a, account, quote_set, reason, count):
    header = oe.MASS_QUOTE_ACK_QUOTES_HEADER_SIZE
    size = oe.MASS_QUOTE_ACK_QUOTES_BLOCK
    block = oe.MASS_QUOTE_ACK_BLOCK
    r = event_begin(s, block, header + count * size, s.work.session)
    oe.write_mass_quote_ack_header(r - 8)
    oe.set_mass_quote_ack_quote_id(r, np.int64(oe.mass_quote_quote_id(a)))
    oe.set_mass_quote_ack_account(r, account)
    oe.set_mass_quote_ack_quote_set_id(r, quote_set)
    oe.set_mass_quote_ack_reason(r, reason)
    oe.write_mass_quote_ack_quotes_header(r + block, count)
    answers = s.work.scratch
    for i in range(count):
        e = r + block + header + i * size
        answer = _ANSWERS + i * _ANSWER
        oe.set_mass_quote_ack_quotes_instrument(e, answers[answer])
        oe.set_mass_quote_ack_quotes_bid_reason(e, answers[answer + 1])
        oe.set_mass_quote_ack_quotes_offer_reason(e, answers[answer + 2])
        oe.set_mass_quote_ack_quotes_bid_order_id(e, answers[answer + 3])
        oe.set_mass_quote_ack_quotes_offer_order_id(e, answers[answer + 4])


@linked
def quote_cancel(s, a):
    """Handle a QuoteCancel: the account's quotes, of one instrument or of all; 0 or a reason."""
    account = account_of(s, oe.quote_cancel_account(a))
    reason = judge_account(s, account)
    if reason != 0:
        return reason
    instrument = oe.quote_cancel_instrument(a)
    everywhere = instrument == oe.QUOTE_CANCEL_INSTRUMENT_NULL
    slot = s.accounts[account].first_order
    while slot != 0:
        following = s.details[slot].account_next
        if s.orders[slot].flags & QUOTE and (everywhere or s.orders[slot].instrument == instrument):
            cancel_order(s, slot, oe.REASON_USER_REQUEST)
        slot = following
    return 0


@linked
def run_protections(s):
    """Cancel the quotes of every protection that tripped in this command, and say so."""
    while s.protection_pending != 0:
        number = s.protection_pending
        protection = s.protections[number]
        s.protection_pending = protection.pending_next
        protection.pending_next = 0
        cancelled = 0
        slot = s.accounts[protection.account].first_order
        while slot != 0:
            following = s.details[slot].account_next
            if s.details[slot].protection == number:
                cancel_order(s, slot, oe.REASON_MARKET_MAKER_PROTECTION)
                cancelled += 1
            slot = following
        _report_tripped(s, protection, cancelled)


@jit
def _report_tripped(s, protection, cancelled):
    a = event_begin(s, oe.PROTECTION_TRIGGERED_BLOCK, 0, protection.session)
    oe.write_protection_triggered_header(a - 8)
    oe.set_protection_triggered_account(a, protection.account)
    oe.set_protection_triggered_underlying(a, protection.underlying)
    oe.set_protection_triggered_trigger(a, protection.trigger)
    oe.set_protection_triggered_canceled(a, cancelled)
    measured, limit = protection.quantity, protection.quantity_limit
    if protection.trigger == 2:
        measured, limit = protection.value, protection.value_limit
    elif protection.trigger == 3:
        measured, limit = protection.count, protection.count_limit
    oe.set_protection_triggered_measured(a, measured)
    oe.set_protection_triggered_limit(a, limit)
