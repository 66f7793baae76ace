"""Listing and delisting instruments: the rules that make all later arithmetic exact and bounded.

With L units of the quote asset for one lot at price 1 (as a fraction of 10^16), the *grain* is the
least price step at which a lot is worth whole units:

    h = gcd(10^16, L)      grain = 10^16 / h      value of a lot at one grain = L / h

The tick must be a multiple of the grain, so no trade ever rounds; marks and payouts are kept on the
grain, so no settlement does. Ticks stay below 2^24, and position_maximum keeps the value of any
position with its orders, at any price, below 2^56 quote units and its quantity within int64.

The number of a delisted prediction that belonged to no event may be listed again: series of them
come and go every few minutes, for ever.
"""

import numpy as np

import sbe.generated.control as control
import sbe.generated.order_entry as oe
from core.atomics import count_trailing_zeros
from core.engine.accounts import asset_exists
from core.engine.emit import event_begin
from core.engine.job_queue import JOB_DELIST, queue_full, start_job
from core.engine.margin.linear import size_threshold
from core.engine.money import MILLION, PRICE_ONE, UNITS_MAX
from core.engine.order_terms import refuse
from core.engine.positions import is_prediction
from core.engine.price_levels import new_node
from core.engine.units import INT64_MAX, inverse_of_odd
from core.jit import jit
from core.linked import linked
from sbe.raw import copy

TICKS_MAX = (1 << 24) - 1
_SCALE = PRICE_ONE * PRICE_ONE  # Of price times quantity.
_QUANTITY_MAX = 1 << 62


@jit
def _greatest_common_divisor(a, b):
    while b != 0:
        a, b = b, a % b
    return a


@linked
def list_instrument(s, a, block):
    """ListInstrument: 0 or the reason against it."""
    number = control.list_instrument_instrument(a)
    if number < 1 or number >= len(s.instruments):
        return refuse(s, oe.REASON_CAPACITY_REACHED, number, len(s.instruments))
    book = s.instruments[number]
    again = book.state == oe.TRADING_STATE_DELISTED and is_prediction(book.kind) and book.event == 0
    if book.state != 0 and not again:
        return refuse(s, oe.REASON_ALREADY_EXISTS, number, 0)
    if s.nodes_used + 2 >= len(s.nodes):
        return refuse(s, oe.REASON_CAPACITY_REACHED, s.nodes_used, len(s.nodes))
    reason = _judge_kind(s, a)
    if reason == 0:
        reason = _judge_steps(s, a)
    if reason == 0:
        reason = _judge_margins(s, a)
    if reason != 0:
        return reason
    reason = _keep_sizes(s, book, a)
    if reason != 0:
        return reason
    if again:
        _forget(s, book, number)
    _keep_identity(s, book, number, a)
    _keep_divisions(book)
    _keep_margins(book, a)
    s.markets[number].base_initial = book.margin_base_initial
    s.markets[number].base_wanted = book.margin_base_initial
    if book.root[0] == 0:
        book.root[0] = new_node(s)
        book.root[1] = new_node(s)
    s.instruments_listed = max(s.instruments_listed, number)
    _instrument_listed(s, book, number, a, a + block)
    return 0


@jit
def _judge_kind(s, a):
    """The kind, its assets, its event, its strikes, its first state."""
    kind = control.list_instrument_kind(a)
    base = control.list_instrument_base_asset(a)
    quote = control.list_instrument_quote_asset(a)
    state = control.list_instrument_state(a)
    event = control.list_instrument_event(a)
    if kind < oe.INSTRUMENT_KIND_SPOT or kind > oe.INSTRUMENT_KIND_PRICE_RANGE:
        return refuse(s, oe.REASON_INVALID_FIELD, kind, oe.INSTRUMENT_KIND_PRICE_RANGE)
    if state < oe.TRADING_STATE_PRE_OPEN or state > oe.TRADING_STATE_HALTED:
        return refuse(s, oe.REASON_INVALID_TRANSITION, state, oe.TRADING_STATE_HALTED)
    if not asset_exists(s, quote) or (quote != 0 and kind != oe.INSTRUMENT_KIND_SPOT):
        return refuse(s, oe.REASON_UNKNOWN_ASSET, quote, 0)
    if kind != oe.INSTRUMENT_KIND_OUTCOME and (not asset_exists(s, base) or base == quote):
        return refuse(s, oe.REASON_UNKNOWN_ASSET, base, 0)
    if kind == oe.INSTRUMENT_KIND_OUTCOME:
        return _judge_outcome(s, event, control.list_instrument_outcome(a))
    if event != 0:
        return refuse(s, oe.REASON_UNKNOWN_EVENT, event, 0)
    return _judge_strikes(s, kind, control.list_instrument_lower_strike(a),
                          control.list_instrument_upper_strike(a))


@jit
def _judge_outcome(s, event, outcome):
    if event == 0:
        return 0
    if event >= len(s.event_groups) or s.event_groups[event].kind == 0:
        return refuse(s, oe.REASON_UNKNOWN_EVENT, event, 0)
    if s.event_groups[event].state != 0:
        return refuse(s, oe.REASON_INVALID_TRANSITION, event, 0)
    if outcome >= s.event_groups[event].outcomes:
        return refuse(s, oe.REASON_INVALID_FIELD, outcome, s.event_groups[event].outcomes - 1)
    if s.event_groups[event].instrument[outcome] != 0:
        return refuse(s, oe.REASON_ALREADY_EXISTS, outcome, 0)
    return 0


@jit
def _judge_strikes(s, kind, lower, upper):
    needs_lower = kind == oe.INSTRUMENT_KIND_PRICE_ABOVE or kind == oe.INSTRUMENT_KIND_PRICE_RANGE
    needs_upper = kind == oe.INSTRUMENT_KIND_PRICE_BELOW or kind == oe.INSTRUMENT_KIND_PRICE_RANGE
    if needs_lower and lower <= 0:  # Null is the least int64.
        return refuse(s, oe.REASON_INVALID_FIELD, lower, 1)
    if needs_upper and upper <= 0:
        return refuse(s, oe.REASON_INVALID_FIELD, upper, 1)
    if needs_lower and needs_upper and lower >= upper:
        return refuse(s, oe.REASON_INVALID_FIELD, upper, lower)
    return 0


@jit
def _judge_steps(s, a):
    """Tick and lot: positive, and a tick times a lot a whole number of quote units."""
    tick = control.list_instrument_tick_size(a)
    lot = control.list_instrument_lot_size(a)
    kind = control.list_instrument_kind(a)
    unit = s.assets[control.list_instrument_quote_asset(a)].unit
    if tick <= 0 or tick > _QUANTITY_MAX >> 24:
        return refuse(s, oe.REASON_INVALID_FIELD, tick, _QUANTITY_MAX >> 24)
    if lot <= 0 or lot > _QUANTITY_MAX // unit:
        return refuse(s, oe.REASON_INVALID_FIELD, lot, _QUANTITY_MAX // unit)
    grain = _SCALE // _greatest_common_divisor(_SCALE, lot * unit)
    if tick % grain != 0:
        return refuse(s, oe.REASON_NOT_EXACTLY_REPRESENTABLE, tick, grain)
    if is_prediction(kind) and PRICE_ONE % tick != 0:
        return refuse(s, oe.REASON_NOT_EXACTLY_REPRESENTABLE, tick, PRICE_ONE)
    if kind == oe.INSTRUMENT_KIND_SPOT:
        base = s.assets[control.list_instrument_base_asset(a)].unit
        if lot > _QUANTITY_MAX // base:
            return refuse(s, oe.REASON_INVALID_FIELD, lot, _QUANTITY_MAX // base)
        if lot * base % PRICE_ONE != 0:
            return refuse(s, oe.REASON_NOT_EXACTLY_REPRESENTABLE, lot, PRICE_ONE)
    return 0


@jit
def _judge_margins(s, a):
    initial = control.list_instrument_margin_base_initial(a)
    maintenance = control.list_instrument_margin_base_maintenance(a)
    factor = control.list_instrument_margin_factor_initial(a)
    if control.list_instrument_kind(a) != oe.INSTRUMENT_KIND_PERPETUAL:
        return 0
    if maintenance < 1 or maintenance > initial or initial > MILLION:
        return refuse(s, oe.REASON_INVALID_FIELD, maintenance, initial)
    if control.list_instrument_margin_factor_maintenance(a) > factor:
        return refuse(s, oe.REASON_INVALID_FIELD, factor, 0)
    return 0


@jit
def _keep_sizes(s, book, a):
    """Steps, and the bounds on prices and quantities; 0, or the reason and nothing changed."""
    tick = control.list_instrument_tick_size(a)
    lot = control.list_instrument_lot_size(a)
    kind = control.list_instrument_kind(a)
    per_lot = lot * s.assets[control.list_instrument_quote_asset(a)].unit
    common = _greatest_common_divisor(_SCALE, per_lot)
    grain = _SCALE // common
    prediction = is_prediction(kind)
    highest = PRICE_ONE // tick if prediction else TICKS_MAX
    price = control.list_instrument_maximum_price(a)
    if not prediction and price > 0:
        if price // tick < 1 or price // tick > TICKS_MAX:
            return refuse(s, oe.REASON_PRICE_OUT_OF_RANGE, price, TICKS_MAX * tick)
        highest = price // tick
    if highest > TICKS_MAX:
        return refuse(s, oe.REASON_PRICE_OUT_OF_RANGE, highest, TICKS_MAX)
    if (per_lot // common) > UNITS_MAX // highest // (tick // grain):
        return refuse(s, oe.REASON_CAPACITY_REACHED, highest, TICKS_MAX)
    value = (tick // grain) * (per_lot // common)
    limit = min(UNITS_MAX // (highest * value), _QUANTITY_MAX // lot)
    base_per_lot = 0
    if kind == oe.INSTRUMENT_KIND_SPOT:
        base_per_lot = lot * s.assets[control.list_instrument_base_asset(a)].unit // PRICE_ONE
        limit = min(limit, UNITS_MAX // base_per_lot)
    least = max(1, control.list_instrument_minimum_qty(a) // lot)
    most = control.list_instrument_maximum_qty(a) // lot
    if most < 0 or most > limit or least > limit or (most > 0 and least > most):
        return refuse(s, oe.REASON_QUANTITY_ABOVE_MAXIMUM, max(most, least) * lot, limit * lot)
    book.tick_size = tick
    book.lot_size = lot
    book.grain = grain
    book.value_per_grain = per_lot // common
    book.value_per_tick_lot = value
    book.ticks_maximum = highest
    book.base_per_lot = base_per_lot
    book.lots_minimum = least
    book.lots_maximum = most if most > 0 else limit
    book.position_maximum = limit
    s.markets[control.list_instrument_instrument(a)].position_bound = limit
    book.one_tick = highest if prediction else 0
    book.one_value = highest * value if prediction else 0
    return 0


@jit
def _keep_identity(s, book, number, a):
    book.kind = control.list_instrument_kind(a)
    book.state = control.list_instrument_state(a)
    book.base = control.list_instrument_base_asset(a)
    book.quote = control.list_instrument_quote_asset(a)
    book.event = control.list_instrument_event(a)
    book.outcome = control.list_instrument_outcome(a)
    book.lower_strike = control.list_instrument_lower_strike(a)
    book.upper_strike = control.list_instrument_upper_strike(a)
    book.expiry = np.int64(control.list_instrument_expiry(a))
    book.price_band = control.list_instrument_price_band(a)
    book.depth = 1 if book.ticks_maximum < 1 << 12 else 2 if book.ticks_maximum < 1 << 18 else 3
    copy(book.symbol.ctypes.data, control.list_instrument_symbol_address(a),
         control.LIST_INSTRUMENT_SYMBOL_LENGTH)
    copy(book.rules_hash.ctypes.data, control.list_instrument_rules_hash_address(a),
         control.LIST_INSTRUMENT_RULES_HASH_LENGTH)
    if book.kind == oe.INSTRUMENT_KIND_OUTCOME:
        book.base = 0
        if book.event != 0:
            event = s.event_groups[book.event]
            event.instrument[book.outcome] = number
            book.limited |= event.account_limit != 0 or event.owner_limit != 0
    else:
        book.index = s.assets[book.base].index_price
        book.next_of_underlying = s.assets[book.base].first_instrument
        s.assets[book.base].first_instrument = number
        if book.kind == oe.INSTRUMENT_KIND_PERPETUAL and s.assets[book.base].perpetual == 0:
            s.assets[book.base].perpetual = number


@jit
def _forget(s, book, number):
    """Nothing of the prediction that had the number before is left, but its empty trees."""
    if book.kind != oe.INSTRUMENT_KIND_OUTCOME:
        _leave_underlying(s, s.assets[book.base], number)
    book.next_of_underlying = 0
    book.last_tick = 0
    book.trades = 0
    book.traded = 0
    book.hour_ends = 0
    book.mark = 0
    book.mark_value = 0
    book.index = 0
    book.payout = 0
    book.payout_value = 0
    book.resolved_positions = 0
    book.resolved_paid = 0
    book.auction_tick = 0
    book.auction_lots = 0
    book.limited = 0
    s.risk_arrays[number].version = 0


@jit
def _leave_underlying(s, asset, number):
    """Take an instrument out of the list of those that follow an underlying."""
    after = s.instruments[number].next_of_underlying
    if asset.first_instrument == number:
        asset.first_instrument = after
        return
    before = asset.first_instrument
    while s.instruments[before].next_of_underlying != number:
        before = s.instruments[before].next_of_underlying
    s.instruments[before].next_of_underlying = after


@jit
def _keep_divisions(book):
    book.tick_shift = count_trailing_zeros(book.tick_size)
    book.tick_inverse = inverse_of_odd(book.tick_size >> book.tick_shift)
    book.tick_quotient_maximum = INT64_MAX // book.tick_size
    book.lot_shift = count_trailing_zeros(book.lot_size)
    book.lot_inverse = inverse_of_odd(book.lot_size >> book.lot_shift)
    book.lot_quotient_maximum = INT64_MAX // book.lot_size


@jit
def _keep_margins(book, a):
    book.margin_base_initial = control.list_instrument_margin_base_initial(a)
    book.margin_base_maintenance = control.list_instrument_margin_base_maintenance(a)
    book.margin_factor_initial = control.list_instrument_margin_factor_initial(a)
    book.margin_factor_maintenance = control.list_instrument_margin_factor_maintenance(a)
    book.size_threshold_initial = size_threshold(
        book.margin_base_initial, book.margin_factor_initial)
    book.size_threshold_maintenance = size_threshold(
        book.margin_base_maintenance, book.margin_factor_maintenance)
    limit = control.list_instrument_position_limit(a) // book.lot_size
    if limit > 0:
        book.position_maximum = min(book.position_maximum, limit)


@jit
def _instrument_listed(s, book, number, a, title):
    size = control.LIST_INSTRUMENT_TITLE_HEADER_SIZE + control.list_instrument_title_length(title)
    e = event_begin(s, control.INSTRUMENT_LISTED_BLOCK, size, 0)
    control.write_instrument_listed_header(e - 8)
    control.set_instrument_listed_instrument(e, number)
    copy(control.instrument_listed_symbol_address(e), control.list_instrument_symbol_address(a),
         control.LIST_INSTRUMENT_SYMBOL_LENGTH)
    control.set_instrument_listed_kind(e, book.kind)
    control.set_instrument_listed_state(e, book.state)
    control.set_instrument_listed_base_asset(e, control.list_instrument_base_asset(a))
    control.set_instrument_listed_quote_asset(e, book.quote)
    control.set_instrument_listed_event(e, book.event)
    control.set_instrument_listed_outcome(e, book.outcome)
    control.set_instrument_listed_tick_size(e, book.tick_size)
    control.set_instrument_listed_lot_size(e, book.lot_size)
    control.set_instrument_listed_minimum_qty(e, book.lots_minimum * book.lot_size)
    control.set_instrument_listed_maximum_qty(e, book.lots_maximum * book.lot_size)
    control.set_instrument_listed_maximum_price(e, book.ticks_maximum * book.tick_size)
    control.set_instrument_listed_lower_strike(e, book.lower_strike)
    control.set_instrument_listed_upper_strike(e, book.upper_strike)
    control.set_instrument_listed_expiry(e, book.expiry)
    control.set_instrument_listed_value_per_tick_lot(e, book.value_per_tick_lot)
    copy(control.instrument_listed_rules_hash_address(e), book.rules_hash.ctypes.data,
         control.LIST_INSTRUMENT_RULES_HASH_LENGTH)
    copy(e + control.INSTRUMENT_LISTED_BLOCK, title, size)


@linked
def delist_instrument(s, a):
    """DelistInstrument: 0 or the reason against it. Nobody may hold it; its orders go."""
    number = control.delist_instrument_instrument(a)
    if number < 1 or number >= len(s.instruments) or s.instruments[number].state == 0:
        return refuse(s, oe.REASON_UNKNOWN_INSTRUMENT, number, 0)
    book = s.instruments[number]
    if book.state == oe.TRADING_STATE_DELISTED or book.state == oe.TRADING_STATE_RESOLVING:
        return refuse(s, oe.REASON_INVALID_TRANSITION, book.state, oe.TRADING_STATE_DELISTED)
    if book.open_interest != 0:
        return refuse(s, oe.REASON_INVALID_TRANSITION, book.open_interest * book.lot_size, 0)
    if s.auction_pending == number:
        return oe.REASON_IN_PROGRESS
    if queue_full(s):
        return oe.REASON_CAPACITY_REACHED
    book.state = oe.TRADING_STATE_CLOSED
    start_job(s, JOB_DELIST, number, book.first_holder)
    return 0
