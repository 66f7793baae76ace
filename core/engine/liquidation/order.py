"""Orders of the exchange for an account in liquidation: what they may cost, and placing them.

    sell    mark − max(least, spread × (MM − E) / MM × margin of a lot)   the fillable price (dYdX)
            but no lower than 1 % below the best bid                       the impact band

With a spread of 1 a lot is given away, at E = MM / 2, at exactly its bankruptcy price. They are
immediate or cancel, take their own owner's orders out of the way, and pay the usual fee.
"""

import sbe.generated.order_entry as oe
from core.engine.book import crosses
from core.engine.emit import report
from core.engine.margin.door import margin_reserve
from core.engine.money import multiply_divide, share_down, share_up, value_down
from core.engine.new_order import execute, impact_tick
from core.engine.orders import open_order, take_slot
from core.jit import jit
from core.linked import linked


@jit
def lot_value(s, book):
    """USDC units of one lot at its mark, of a pair at the index; of no mark at the best price."""
    if book.kind == oe.INSTRUMENT_KIND_SPOT:
        return value_down(s.assets[book.base], book.base_per_lot)
    return book.mark_value


@jit
def lot_margin(s, book, side):
    """About what one lot makes the account maintain, USDC units; `side` is that of its closing."""
    mark = lot_value(s, book)
    if book.kind == oe.INSTRUMENT_KIND_PERPETUAL:
        return share_up(mark, book.margin_base_maintenance)
    if book.kind == oe.INSTRUMENT_KIND_SPOT:
        asset = s.assets[book.base]
        buys = side == oe.SIDE_BUY
        rate = asset.borrow_margin_maintenance if buys else asset.haircut_maintenance
        return share_up(mark, rate)
    return book.one_value - mark if side == oe.SIDE_BUY else mark


@linked
def fillable_tick(s, book, side, equity, maintenance):
    """The worst tick at which a lot may be closed now; 0 when nobody trades within it."""
    best = book.best[2 - side]
    if best == 0 or book.state != oe.TRADING_STATE_OPEN:
        return 0
    mark = lot_value(s, book)
    if mark == 0:
        mark = (best - 1) * book.value_per_tick_lot
    give = share_up(mark, s.risk.fillable_minimum)
    if maintenance > 0 and equity < maintenance:
        missing = min(maintenance, maintenance - equity)
        share = multiply_divide(missing, s.risk.fillable_spread, maintenance)
        give = max(give, share_down(lot_margin(s, book, side), share))
    return bounded_tick(book, side, mark - give if side == oe.SIDE_SELL else mark + give)


@jit
def bounded_tick(book, side, value):
    """The tick at which a lot brings (costs) no less (more) than a value, in the impact band.

    0 when nothing on the book is within it.
    """
    if book.best[2 - side] == 0:
        return 0
    unit = book.value_per_tick_lot
    impact = impact_tick(book, side - 1)
    if side == oe.SIDE_SELL:
        tick = max(impact, -(-max(value, 0) // unit))
    else:
        tick = min(impact, max(value, 0) // unit)
    return tick if tick > 0 and crosses(book, side - 1, tick) else 0


@linked
def place(s, record, number, side, lots, tick):
    """Send an order for a position in; (lots filled, their value in quote units)."""
    slot = take_slot(s)
    if slot == 0:
        return 0, 0
    position = s.positions[number]
    order = s.orders[slot]
    detail = s.details[slot]
    order.account = position.account
    order.owner = s.accounts[position.account].owner
    order.instrument = position.instrument
    order.position = number
    order.side = side
    order.tick = tick
    order.leaves = lots
    order.visible = 0
    order.state = 0
    order.level = 0
    order.flags = 0
    mode = s.owners[order.owner].self_trade_prevention
    if mode != oe.SELF_TRADE_PREVENTION_NOT_APPLIED:
        mode = oe.SELF_TRADE_PREVENTION_CANCEL_MAKER
    order.self_trade_prevention = mode
    detail.client_order_id = 0
    detail.session = 0
    detail.tag = record.certificate & 0xFFFFFFFF
    detail.order_type = oe.ORD_TYPE_LIMIT
    detail.time_in_force = oe.TIME_IN_FORCE_IMMEDIATE_OR_CANCEL
    detail.exec_inst = 0
    detail.trigger_type = 0
    detail.outcome_side = 0
    detail.quantity = lots
    detail.filled = 0
    detail.filled_value = 0
    detail.expire_time = 0
    detail.expiry_place = 0
    detail.display = 0
    detail.limit_tick = tick
    detail.stop_tick = -1
    detail.quote_set = 0
    detail.protection = 0
    detail.echo_length = 0
    detail.status = oe.ORD_STATUS_NEW
    detail.reserved_tick = tick
    detail.entry_sequence = s.work.sequence
    detail.entry_time = s.work.time
    margin_reserve(s, number, side, tick, lots)
    open_order(s, slot)
    report(s, slot, oe.EXEC_TYPE_NEW, oe.REASON_LIQUIDATION)
    execute(s, slot, 0)
    return detail.filled, detail.filled_value


@jit
def part_of(lots, parts_per_million):
    """A share of so many lots, at least one."""
    return max(1, min(lots, share_up(lots, parts_per_million)))


@jit
def whole_shares(total, part, whole):
    """floor(total × part / whole) for any sign of the total."""
    if total >= 0:
        return multiply_divide(total, part, whole)
    return -multiply_divide(-total, part, whole)
