"""Trading states of instruments, and the prices that come in from outside.

              ┌──────────── auction ─────────────┐
    PreOpen ──┴─► Open ◄──► CancelOnly ◄──► Halted ──► Closed ──► PreOpen …
    any of them ──► Resolving ──► Resolved          (core.engine.resolution)
    any without holders ──► Delisted                (core.engine.listing)

Opening uncrosses the book first if it crosses. A price changes what accounts require, so each
moves `price_version`, by which the margin room knows that its sums are old.
"""

import sbe.generated.control as control
import sbe.generated.order_entry as oe
from core.engine.auction import auction_tick
from core.engine.emit import event_begin
from core.engine.job_queue import JOB_CLOSE, job_pending, queue_full, start_job
from core.engine.liquidation.queue import index_source, mark_source, price_moved
from core.engine.margin.collateral_cap import follow_collateral
from core.engine.margin.interest_scale import follow_interest
from core.engine.money import set_value_factor
from core.engine.new_order import run_triggers
from core.engine.order_terms import refuse
from core.engine.positions import is_prediction
from core.engine.registry import known_asset
from core.jit import jit
from core.linked import linked

LIVE = 0
PRICE_STATES = 3  # live, degraded, stale
INDEX_MAX = 1 << 52
_RULES = 4


@jit
def known_instrument(s, number):
    """0, or UnknownInstrument with the number noted."""
    if 0 < number < len(s.instruments) and s.instruments[number].state != 0:
        return 0
    return refuse(s, oe.REASON_UNKNOWN_INSTRUMENT, number, 0)


@linked
def set_trading_state(s, a):
    """SetTradingState: 0 or the reason against it. Opening a crossed book holds an auction."""
    number = control.set_trading_state_instrument(a)
    state = control.set_trading_state_state(a)
    reason = known_instrument(s, number)
    if reason != 0:
        return reason
    book = s.instruments[number]
    if book.state > oe.TRADING_STATE_CLOSED or book.state == state:
        return refuse(s, oe.REASON_INVALID_TRANSITION, book.state, state)
    if state < oe.TRADING_STATE_PRE_OPEN or state > oe.TRADING_STATE_CLOSED:
        return refuse(s, oe.REASON_INVALID_TRANSITION, book.state, state)
    if s.auction_pending == number or job_pending(s, JOB_CLOSE, number):
        return refuse(s, oe.REASON_IN_PROGRESS, book.state, state)
    if state == oe.TRADING_STATE_OPEN:
        return _open(s, number)
    if state == oe.TRADING_STATE_CLOSED:
        if queue_full(s):
            return oe.REASON_CAPACITY_REACHED
        start_job(s, JOB_CLOSE, number, book.first_holder)
    change_state(s, number, state)
    return 0


@jit
def _open(s, number):
    """Open at once if nothing crosses, else after the auction."""
    book = s.instruments[number]
    tick = auction_tick(s, book)
    if tick == 0:
        change_state(s, number, oe.TRADING_STATE_OPEN)
        s.work.triggered = number  # Prices may have moved while its stops could not follow.
        return 0
    if s.auction_pending != 0:
        return refuse(s, oe.REASON_IN_PROGRESS, s.auction_pending, 0)
    book.auction_tick = tick
    book.auction_lots = 0
    s.auction_pending = number
    return 0


@linked
def open_market(s, number):
    """The auction is over."""
    change_state(s, number, oe.TRADING_STATE_OPEN)
    s.instruments[number].auction_tick = 0
    s.instruments[number].auction_lots = 0


@linked
def change_state(s, number, state):
    """Put an instrument into a state and say so."""
    book = s.instruments[number]
    book.state = state
    price = oe.EXECUTION_REPORT_PRICE_NULL
    quantity = oe.EXECUTION_REPORT_PRICE_NULL
    if book.auction_tick > 0 and book.auction_lots > 0:
        price = book.auction_tick * book.tick_size
        quantity = book.auction_lots * book.lot_size
    e = event_begin(s, control.TRADING_STATE_CHANGED_BLOCK, 0, 0)
    control.write_trading_state_changed_header(e - 8)
    control.set_trading_state_changed_instrument(e, number)
    control.set_trading_state_changed_state(e, state)
    control.set_trading_state_changed_auction_price(e, price)
    control.set_trading_state_changed_auction_qty(e, quantity)


@linked
def set_index_price(s, a):
    """SetIndexPrice: 0 or the reason against it."""
    number = control.set_index_price_asset(a)
    price = control.set_index_price_price(a)
    state = control.set_index_price_state(a)
    stable = control.set_index_price_stable(a)
    reason = known_asset(s, number)
    if reason != 0:
        return reason
    if number == 0 or state >= PRICE_STATES:
        return refuse(s, oe.REASON_INVALID_FIELD, state, PRICE_STATES - 1)
    if price <= 0 or price > INDEX_MAX:
        return refuse(s, oe.REASON_PRICE_OUT_OF_RANGE, price, INDEX_MAX)
    if stable == control.SET_INDEX_PRICE_STABLE_NULL:
        stable = 0
    if stable < 0 or stable > INDEX_MAX:
        return refuse(s, oe.REASON_PRICE_OUT_OF_RANGE, stable, INDEX_MAX)
    asset = s.assets[number]
    asset.index_state = state
    if state == LIVE:
        s.sources[number].live_at = s.work.time
    asset.index_sources = control.set_index_price_sources(a)
    if asset.index_price != price:
        asset.index_price = price
        set_value_factor(asset, asset.unit, price)
        s.price_version += 1
    asset.stable_price = stable
    follow_collateral(s, number)
    e = event_begin(s, control.INDEX_PRICE_CHANGED_BLOCK, 0, 0)
    control.write_index_price_changed_header(e - 8)
    control.set_index_price_changed_asset(e, number)
    control.set_index_price_changed_state(e, state)
    control.set_index_price_changed_sources(e, asset.index_sources)
    control.set_index_price_changed_price(e, price)
    control.set_index_price_changed_stable(e, stable)
    price_moved(s, index_source(number))
    _follow_index(s, asset.first_instrument, price)
    return 0


@jit
def _follow_index(s, first, price):
    """Tell the instruments on an underlying its index; stops on it may trigger."""
    number = first
    while number != 0:
        book = s.instruments[number]
        book.index = price
        if book.stop_best[2, 0] != 0 or book.stop_best[2, 1] != 0:
            run_triggers(s, number)
        number = book.next_of_underlying


@linked
def set_mark_price(s, a):
    """SetMarkPrice: 0 or the reason against it. The mark is kept on the instrument's grain."""
    number = control.set_mark_price_instrument(a)
    price = control.set_mark_price_price(a)
    rule = control.set_mark_price_rule(a)
    reason = known_instrument(s, number)
    if reason != 0:
        return reason
    book = s.instruments[number]
    highest = book.ticks_maximum * book.tick_size
    lowest = 0 if is_prediction(book.kind) else 1
    if price < lowest or price > highest:
        return refuse(s, oe.REASON_PRICE_OUT_OF_RANGE, price, highest)
    if rule >= _RULES:
        return refuse(s, oe.REASON_INVALID_FIELD, rule, _RULES - 1)
    if book.state > oe.TRADING_STATE_CLOSED:
        return refuse(s, oe.REASON_INVALID_TRANSITION, book.state, 0)
    grains = max(lowest, (price + book.grain // 2) // book.grain)
    mark = grains * book.grain
    if mark != book.mark:
        book.mark = mark
        book.mark_value = grains * book.value_per_grain
        if book.kind == oe.INSTRUMENT_KIND_PERPETUAL:
            s.price_version += 1
            price_moved(s, mark_source(s, number))
            follow_interest(s, number)
        elif book.base != 0:
            price_moved(s, index_source(book.base))
    s.markets[number].premium = control.set_mark_price_premium(a)
    s.work.triggered = number
    e = event_begin(s, control.MARK_PRICE_CHANGED_BLOCK, 0, 0)
    control.write_mark_price_changed_header(e - 8)
    control.set_mark_price_changed_instrument(e, number)
    control.set_mark_price_changed_rule(e, rule)
    control.set_mark_price_changed_price(e, mark)
    control.set_mark_price_changed_index(e, control.set_mark_price_index(a))
    control.set_mark_price_changed_premium(e, control.set_mark_price_premium(a))
    control.set_mark_price_changed_book(e, control.set_mark_price_book(a))
    control.set_mark_price_changed_model(e, control.set_mark_price_model(a))
    control.set_mark_price_changed_last_trade(e, control.set_mark_price_last_trade(a))
    control.set_mark_price_changed_sources(e, control.set_mark_price_sources(a))
    control.set_mark_price_changed_index_state(e, control.set_mark_price_index_state(a))
    control.set_mark_price_changed_initial_base(e, s.markets[number].base_wanted)
    return 0
