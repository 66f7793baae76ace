"""Limits on what an account sends: an order's value, a day's, how many stand, how fast they come.

The rate is a virtual schedule (GCRA): an order is due one interval behind the one before, and may
come earlier by the burst's tolerance. Who comes earlier still is refused, and, where a pause is
set, may only cancel for so long. Who sends more orders than his trades of the day allow may only
cancel until what stands has traded, or the day is over. Who has traded too often within a window
may only cancel until a person has set his limits again. An order that is more than a share of what
its market traded in 24 hours is a slip of the finger, unless it is worth little.
"""

import numpy as np

import sbe.generated.control as control
import sbe.generated.order_entry as oe
from core.engine.accounts import account_exists
from core.engine.controls.switches import refresh_active
from core.engine.money import MILLION, multiply_divide
from core.engine.order_terms import OPEN_ORDERS_MAX, refuse
from core.engine.traded import traded_lately
from core.jit import jit
from core.linked import linked
from core.records import FIRST_CLIENT

SECOND_NS = 1_000_000_000
DAY_NS = 86_400 * SECOND_NS
MILLISECOND_NS = 1_000_000
PER_SECOND_MAX = 1_000_000


@linked
def set_order_limits(s, a):
    """SetOrderLimits: 0 or the reason against it. All of zero takes the account's own away."""
    number = control.set_order_limits_account(a)
    value = control.set_order_limits_value(a)
    daily = control.set_order_limits_daily_value(a)
    free = control.set_order_limits_volume_free(a)
    rate = control.set_order_limits_per_second(a)
    if number != 0 and (number < FIRST_CLIENT or not account_exists(s, number)):
        return refuse(s, oe.REASON_UNKNOWN_ACCOUNT, number, 0)
    if value < 0 or daily < 0 or free < 0 or rate > PER_SECOND_MAX:
        return refuse(s, oe.REASON_INVALID_FIELD, rate, PER_SECOND_MAX)
    if control.set_order_limits_open_orders(a) > OPEN_ORDERS_MAX:
        return refuse(s, oe.REASON_INVALID_FIELD, control.set_order_limits_open_orders(a),
                      OPEN_ORDERS_MAX)
    limit = s.order_limits[number]
    limit.open_orders = control.set_order_limits_open_orders(a)
    limit.value = value
    limit.daily_value = daily
    limit.interval = SECOND_NS // rate if rate > 0 else 0
    limit.tolerance = limit.interval * max(0, control.set_order_limits_burst(a) - 1)
    limit.pause = np.int64(control.set_order_limits_pause_milliseconds(a)) * MILLISECOND_NS
    before = limit.given
    limit.order_to_trade = control.set_order_limits_order_to_trade(a)
    limit.free_orders = control.set_order_limits_free_orders(a)
    limit.executions = control.set_order_limits_executions(a)
    limit.execution_window = np.int64(control.set_order_limits_execution_seconds(a)) * SECOND_NS
    limit.volume_share = control.set_order_limits_volume_share(a)
    limit.volume_free = free
    limit.window_trades = 0
    limit.disabled = 0
    counted = (limit.open_orders + limit.order_to_trade + limit.executions
               + limit.volume_share)
    limit.given = value != 0 or daily != 0 or rate != 0 or counted != 0
    s.controls.limited += limit.given - before
    refresh_active(s)
    return 0


@linked
def judge_limits(s, position, tick, lots, counted):
    """0, or the limit that the order is beyond; it is counted if it is within all of them."""
    account = position.account
    used = s.order_limits[account]
    chosen = account if used.given != 0 else 0
    limit = s.order_limits[chosen]
    value = tick * lots * s.instruments[position.instrument].value_per_tick_lot
    if limit.value != 0 and value > limit.value:
        return refuse(s, oe.REASON_ORDER_VALUE_LIMIT, value, limit.value)
    if limit.volume_share != 0 and value > limit.volume_free:
        book = s.instruments[position.instrument]
        most = multiply_divide(traded_lately(s, book), limit.volume_share, MILLION)
        if lots > most:
            return refuse(s, oe.REASON_FAT_FINGER, lots * book.lot_size, most * book.lot_size)
    stand = s.accounts[account].open_orders
    if limit.open_orders != 0 and stand >= limit.open_orders and counted == 1:
        return refuse(s, oe.REASON_OPEN_ORDERS_LIMIT, stand, limit.open_orders)
    now = s.work.time
    if used.disabled != 0:
        return refuse(s, oe.REASON_REPEATED_EXECUTIONS, used.window_trades, limit.executions)
    _begin_day(used, now)
    if limit.daily_value != 0 and used.day_value + value > limit.daily_value:
        return refuse(s, oe.REASON_VOLUME_LIMIT, used.day_value + value, limit.daily_value)
    if counted != 0:
        if limit.order_to_trade != 0:
            allowed = limit.free_orders + used.day_trades * limit.order_to_trade
            if used.day_orders >= allowed:
                return refuse(s, oe.REASON_ORDER_TO_TRADE_LIMIT, used.day_orders + 1, allowed)
        if not _in_time(limit, used, now):
            return refuse(s, oe.REASON_THROTTLED, max(used.paused_until, used.arrival) - now,
                          limit.interval)
        used.day_value += value
        used.day_orders += 1
    return 0


@linked
def count_trade(s, account):
    """An account has traded: so many more orders may it send today, if it isn't too often."""
    used = s.order_limits[account]
    now = s.work.time
    _begin_day(used, now)
    used.day_trades += 1
    limit = s.order_limits[account if used.given != 0 else 0]
    if limit.executions == 0:
        return
    if now - used.window >= limit.execution_window:
        used.window = now
        used.window_trades = 0
    used.window_trades += 1
    if used.window_trades >= limit.executions:
        used.disabled = 1


@jit
def _begin_day(used, now):
    """Nothing is used up at the beginning of a day of UTC."""
    if now - used.day >= DAY_NS:
        used.day = now - now % DAY_NS
        used.day_value = 0
        used.day_orders = 0
        used.day_trades = 0


@jit
def _in_time(limit, used, now):
    """Whether an order may come now; if so the next is due an interval later."""
    if limit.interval == 0:
        return True
    if now < used.paused_until:
        return False
    if used.arrival - now > limit.tolerance:
        used.paused_until = now + limit.pause
        return False
    used.arrival = max(used.arrival, now) + limit.interval
    return True
