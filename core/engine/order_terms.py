"""What a client asks for in a new order, read into the order's record and judged rule by rule.

Rules are judged in the order of the schema's Reason; the first that fails is the one reported,
with the value that broke it (`detail`) and the rule's bound (`limit`).
"""

import numpy as np

import sbe.generated.order_entry as oe
from core.engine.client_index import find_client_order
from core.engine.units import lots_of, ticks_of
from core.jit import jit
from core.linked import linked
from core.records import ECHO_MAX, NO_TERMS, POST_ONLY, QUOTE, REDUCE_ONLY, SURVIVES_DISCONNECT
from sbe.raw import copy, load_u8

OPEN_ORDERS_MAX = 4096  # Of one account: a mass cancel of all must fit in the event log.
DAY_NS = 86_400_000_000_000


@jit
def refuse(s, reason, detail, limit):
    """Note what was wrong for the report; gives back the reason."""
    s.work.detail = detail
    s.work.limit = limit
    return reason


@jit
def account_of(s, account):
    """The account a message means: 0 is the session's own."""
    if account == 0 and s.work.session > 0:
        return s.sessions[s.work.session].account
    return account


@jit
def judge_account(s, account):
    """Whether the running command's session may act for the account."""
    if account <= 0 or account >= len(s.accounts) or s.accounts[account].state == 0:
        return refuse(s, oe.REASON_UNKNOWN_ACCOUNT, account, 0)
    session = s.work.session
    if session > 0 and s.sessions[session].owner != s.accounts[account].owner:
        return refuse(s, oe.REASON_NOT_AUTHORIZED, account, s.sessions[session].owner)
    return 0


@linked
def read_terms(s, slot, a):
    """Copy a NewOrderSingle into an order's records, unjudged but for what could not be stored."""
    order = s.orders[slot]
    detail = s.details[slot]
    account = account_of(s, oe.new_order_single_account(a))
    instrument = oe.new_order_single_instrument(a)
    order.account = account if account < len(s.accounts) else 0
    order.owner = s.accounts[order.account].owner
    order.instrument = instrument if instrument < len(s.instruments) else 0
    order.side = oe.new_order_single_side(a)
    order.position = 0
    order.leaves = 0
    order.visible = 0
    order.state = 0
    order.level = 0
    order.flags = 0
    order.tick = 0
    mode = oe.new_order_single_self_trade_prevention(a)
    if mode == oe.SELF_TRADE_PREVENTION_OWNER_DEFAULT:
        mode = s.owners[order.owner].self_trade_prevention
    if mode == oe.SELF_TRADE_PREVENTION_OWNER_DEFAULT:
        mode = oe.SELF_TRADE_PREVENTION_CANCEL_TAKER
    order.self_trade_prevention = mode
    detail.client_order_id = np.int64(oe.new_order_single_cl_ord_id(a))
    detail.session = s.work.session
    detail.tag = oe.new_order_single_tag(a)
    detail.order_type = oe.new_order_single_ord_type(a)
    detail.time_in_force = oe.new_order_single_time_in_force(a)
    detail.exec_inst = oe.new_order_single_exec_inst(a)
    detail.trigger_type = oe.new_order_single_trigger_type(a)
    detail.outcome_side = oe.new_order_single_outcome_side(a)
    _clear_progress(s, slot)
    keep_echo(s, slot, s.work.echo)


@jit
def _clear_progress(s, slot):
    detail = s.details[slot]
    detail.quantity = 0
    detail.filled = 0
    detail.filled_value = 0
    detail.expire_time = 0
    detail.display = 0
    detail.limit_tick = -1
    detail.stop_tick = -1
    detail.quote_set = 0
    detail.protection = 0
    detail.expiry_place = 0
    detail.reserved_tick = 0
    detail.status = oe.ORD_STATUS_NEW
    detail.entry_sequence = s.work.sequence
    detail.entry_time = s.work.time


@jit
def keep_echo(s, slot, echo):
    """Store the client's bytes with the order, to be given back in each of its reports."""
    size = min(load_u8(echo), ECHO_MAX) if echo != 0 else 0
    s.details[slot].echo_length = size
    if size > 0:
        copy(s.echoes[slot].ctypes.data, echo + 1, size)


@linked
def judge_terms(s, slot, a):
    """All rules that need no book and no margin, in order; 0 or the first reason."""
    reason = judge_account(s, account_of(s, oe.new_order_single_account(a)))
    if reason == 0:
        reason = _judge_place(s, slot, a)
    if reason == 0:
        reason = _judge_choices(s, slot)
    if reason == 0:
        reason = _judge_prices(s, slot, a)
    if reason == 0:
        reason = _judge_quantities(s, slot, a)
    if reason == 0:
        reason = _judge_time(s, slot, a)
    return reason


@jit
def _judge_place(s, slot, a):
    """Account state, instrument, its state, and the client's id."""
    order = s.orders[slot]
    state = s.accounts[order.account].state
    if state > oe.ACCOUNT_STATE_REDUCE_ONLY:
        return refuse(s, oe.REASON_ACCOUNT_STATE, state, 0)
    if order.instrument == 0 or s.instruments[order.instrument].state == 0:
        return refuse(s, oe.REASON_UNKNOWN_INSTRUMENT, oe.new_order_single_instrument(a), 0)
    state = s.instruments[order.instrument].state
    if state != oe.TRADING_STATE_OPEN and state != oe.TRADING_STATE_PRE_OPEN:
        return refuse(s, oe.REASON_INSTRUMENT_STATE, state, 0)
    detail = s.details[slot]
    if detail.client_order_id != 0:
        known = find_client_order(s, detail.client_order_id, detail.session)
        if known != 0:
            return refuse(s, oe.REASON_DUPLICATE_CL_ORD_ID, s.orders[known].order_id, 0)
    return 0


@jit
def _judge_choices(s, slot):
    """Enumerations, and which of them go together."""
    order = s.orders[slot]
    detail = s.details[slot]
    kind = detail.order_type
    force = detail.time_in_force
    preopen = s.instruments[order.instrument].state == oe.TRADING_STATE_PRE_OPEN
    at_once = (
        force == oe.TIME_IN_FORCE_IMMEDIATE_OR_CANCEL or force == oe.TIME_IN_FORCE_FILL_OR_KILL
    )
    if order.side != oe.SIDE_BUY and order.side != oe.SIDE_SELL:
        return refuse(s, oe.REASON_INVALID_SIDE, order.side, 2)
    if kind < oe.ORD_TYPE_MARKET or kind > oe.ORD_TYPE_STOP_LIMIT:
        return refuse(s, oe.REASON_INVALID_ORD_TYPE, kind, 4)
    if preopen and kind == oe.ORD_TYPE_MARKET:
        return refuse(s, oe.REASON_INVALID_ORD_TYPE, kind, oe.ORD_TYPE_LIMIT)
    if force < 0 or force > oe.TIME_IN_FORCE_GOOD_TILL_DATE or force == 2 or force == 5:
        return refuse(s, oe.REASON_INVALID_TIME_IN_FORCE, force, 0)
    if preopen and at_once:
        return refuse(s, oe.REASON_INVALID_TIME_IN_FORCE, force, 0)
    resting_only = detail.exec_inst & oe.EXEC_INST_POST_ONLY
    if resting_only and (at_once or kind != oe.ORD_TYPE_LIMIT):
        return refuse(s, oe.REASON_INVALID_EXEC_INST, detail.exec_inst, 0)
    mode = order.self_trade_prevention
    omnibus = s.owners[order.owner].self_trade_prevention == oe.SELF_TRADE_PREVENTION_NOT_APPLIED
    most = oe.SELF_TRADE_PREVENTION_DECREMENT + omnibus
    if mode < oe.SELF_TRADE_PREVENTION_CANCEL_TAKER or mode > most:
        return refuse(s, oe.REASON_INVALID_SELF_TRADE_PREVENTION, mode, 4)
    stop = kind == oe.ORD_TYPE_STOP or kind == oe.ORD_TYPE_STOP_LIMIT
    trigger = detail.trigger_type
    if stop and trigger == oe.TRIGGER_TYPE_NONE:
        detail.trigger_type = oe.TRIGGER_TYPE_LAST
    elif trigger < 0 or trigger > oe.TRIGGER_TYPE_INDEX or (trigger != 0 and not stop):
        return refuse(s, oe.REASON_INVALID_TRIGGER, trigger, 3)
    _set_flags(order, detail)
    prediction = s.instruments[order.instrument].kind >= oe.INSTRUMENT_KIND_OUTCOME
    if detail.outcome_side < 0 or detail.outcome_side > prediction:
        return refuse(s, oe.REASON_INVALID_FIELD, detail.outcome_side, 0)
    return 0


@jit
def _set_flags(order, detail):
    """From here on the order stands in YES terms: selling NO is buying YES."""
    flags = order.flags & QUOTE
    if detail.exec_inst & oe.EXEC_INST_POST_ONLY:
        flags |= POST_ONLY
    if detail.exec_inst & oe.EXEC_INST_REDUCE_ONLY:
        flags |= REDUCE_ONLY
    if detail.exec_inst & oe.EXEC_INST_SURVIVE_DISCONNECT:
        flags |= SURVIVES_DISCONNECT
    if detail.outcome_side == oe.OUTCOME_SIDE_NO:
        flags |= NO_TERMS
        order.side = 3 - order.side
    order.flags = flags


@jit
def price_to_tick(s, book, flags, price, not_on_tick, out_of_range):
    """A wire price as a YES tick; below 0 when refused with one of the two reasons."""
    tick = ticks_of(book, price)
    if tick < 0:
        refuse(s, 0, price, book.tick_size)
        return -not_on_tick
    if flags & NO_TERMS:
        tick = book.one_tick - tick
    highest = book.ticks_maximum if book.one_tick == 0 else book.one_tick - 1
    if tick < 1 or tick > highest:
        refuse(s, 0, price, highest * book.tick_size)
        return -out_of_range
    return tick


@jit
def judge_band(s, book, side, tick):
    """The limit band around the mark: no buying far above it, no selling far below."""
    if book.price_band == 0 or book.mark == 0:
        return 0
    width = (book.mark // 1_000_000) * book.price_band
    price = tick * book.tick_size
    if side == oe.SIDE_BUY and price > book.mark + width:
        return refuse(s, oe.REASON_PRICE_BAND, price, book.mark + width)
    if side == oe.SIDE_SELL and price < book.mark - width:
        return refuse(s, oe.REASON_PRICE_BAND, price, book.mark - width)
    return 0


@jit
def _judge_prices(s, slot, a):
    order = s.orders[slot]
    detail = s.details[slot]
    book = s.instruments[order.instrument]
    price = oe.new_order_single_price(a)
    limited = detail.order_type == oe.ORD_TYPE_LIMIT or detail.order_type == oe.ORD_TYPE_STOP_LIMIT
    stop_price = oe.new_order_single_stop_px(a)
    waits = detail.trigger_type != oe.TRIGGER_TYPE_NONE
    if limited and price == oe.NEW_ORDER_SINGLE_PRICE_NULL:
        return refuse(s, oe.REASON_PRICE_REQUIRED, 0, 0)
    if not limited and price != oe.NEW_ORDER_SINGLE_PRICE_NULL:
        return refuse(s, oe.REASON_PRICE_NOT_ALLOWED, price, 0)
    if not waits and stop_price != oe.NEW_ORDER_SINGLE_STOP_PX_NULL:
        return refuse(s, oe.REASON_PRICE_NOT_ALLOWED, stop_price, 0)
    if limited:
        tick = price_to_tick(s, book, order.flags, price,
                             oe.REASON_PRICE_NOT_ON_TICK, oe.REASON_PRICE_OUT_OF_RANGE)
        if tick < 0:
            return -tick
        detail.limit_tick = tick
        order.tick = tick
    if waits:
        if stop_price == oe.NEW_ORDER_SINGLE_STOP_PX_NULL:
            return refuse(s, oe.REASON_STOP_PRICE_REQUIRED, 0, 0)
        tick = price_to_tick(s, book, order.flags, stop_price,
                             oe.REASON_STOP_PRICE_NOT_ON_TICK, oe.REASON_STOP_PRICE_OUT_OF_RANGE)
        if tick < 0:
            return -tick
        detail.stop_tick = tick
    return 0


@jit
def judge_lots(s, book, quantity):
    """A wire quantity as lots; below 0 when refused."""
    lots = lots_of(book, quantity)
    if quantity <= 0:
        return -refuse(s, oe.REASON_QUANTITY_NOT_POSITIVE, quantity, 0)
    if lots < 0:
        return -refuse(s, oe.REASON_QUANTITY_NOT_ON_LOT, quantity, book.lot_size)
    if lots < book.lots_minimum:
        least = book.lots_minimum * book.lot_size
        return -refuse(s, oe.REASON_QUANTITY_BELOW_MINIMUM, quantity, least)
    if lots > book.lots_maximum:
        most = book.lots_maximum * book.lot_size
        return -refuse(s, oe.REASON_QUANTITY_ABOVE_MAXIMUM, quantity, most)
    return lots


@jit
def _judge_quantities(s, slot, a):
    order = s.orders[slot]
    detail = s.details[slot]
    book = s.instruments[order.instrument]
    lots = judge_lots(s, book, oe.new_order_single_order_qty(a))
    if lots < 0:
        return -lots
    detail.quantity = lots
    order.leaves = lots
    display = oe.new_order_single_display_qty(a)
    if display != oe.NEW_ORDER_SINGLE_DISPLAY_QTY_NULL:
        shown = lots_of(book, display)
        if shown < 1 or shown > lots:
            whole = lots * book.lot_size
            return refuse(s, oe.REASON_INVALID_DISPLAY_QUANTITY, display, whole)
        detail.display = shown if shown < lots else 0
    return 0


@jit
def _judge_time(s, slot, a):
    """Expiry, and how many orders the account may have open."""
    detail = s.details[slot]
    expire = np.int64(oe.new_order_single_expire_time(a))
    if detail.time_in_force == oe.TIME_IN_FORCE_GOOD_TILL_DATE:
        if expire == -1:
            return refuse(s, oe.REASON_EXPIRE_TIME_REQUIRED, 0, 0)
        if expire <= s.work.time:
            return refuse(s, oe.REASON_EXPIRE_TIME_PASSED, expire, s.work.time)
        detail.expire_time = expire
    elif detail.time_in_force == oe.TIME_IN_FORCE_DAY:
        detail.expire_time = (s.work.time // DAY_NS + 1) * DAY_NS  # Midnight UTC.
    open_orders = s.accounts[s.orders[slot].account].open_orders
    if open_orders >= OPEN_ORDERS_MAX:
        return refuse(s, oe.REASON_OPEN_ORDERS_LIMIT, open_orders, OPEN_ORDERS_MAX)
    return 0
