"""An account's stake in one underlying as the records that a judgement looks at, from the state.

Positions and balances come at the marks and the index of now, orders one by one. Orders that cannot
lose against their reference but by its move add up without loss of anything, so each side of those
is one record. The order that is being asked for is among the position's sums but not yet among the
account's orders; `work.asked` has it, and `work.aside` an order that a replace has set aside.
"""

import sbe.generated.order_entry as oe
from core.engine.margin.grid import arrays_are_fresh, fill_nodes
from core.engine.margin.rates import MICRO, amount, keep
from core.jit import jit
from core.linked import linked
from core.margin_records import (
    LINEAR_ORDERS_MAX,
    LINES_MAX,
    LINK_ORDERS_MAX,
    NO_ORDER,
    NO_STRIKE,
    RATE_UNIT,
)
from core.records import RESTING
from core.wide import greater, multiple, product, wide

PRICE_TO_RATE = 10_000  # from exponent −8
SHARE_TO_RATE = 1_000_000  # from parts per million
FACTOR_TO_RATE = 1_000  # from 1e-9
UNIT_TO_FACE = 100
_PLAIN_BUYS, _PLAIN_SELLS = 0, 1  # Places of the orders that add up.
_NO_LOWER = -1


@linked
def look(s, account, underlying):
    """Fill work.unit, lines, linear_orders, link_orders and nodes."""
    unit = s.work.unit
    _rates(s, unit, underlying)
    fresh = _nets(s, unit, s.risk_grids[underlying])
    _spot(s, account, unit, underlying)
    _positions(s, account, unit, underlying, fresh)
    _orders(s, account, unit, underlying)
    fill_nodes(s, unit, underlying, fresh)


@jit
def _nets(s, unit, grid):
    """Whether there are fresh arrays, made for the ranges that hold now."""
    return (
        arrays_are_fresh(s, grid)
        and grid.sigma_initial * SHARE_TO_RATE == unit.sigma[0]
        and grid.sigma_maintenance * SHARE_TO_RATE == unit.sigma[1]
    )


@jit
def _rates(s, unit, underlying):
    asset = s.assets[underlying]
    unit.borrow[0] = asset.borrow_margin_initial * SHARE_TO_RATE
    unit.borrow[1] = asset.borrow_margin_maintenance * SHARE_TO_RATE
    unit.hedge[0] = asset.hedge_initial * SHARE_TO_RATE
    unit.hedge[1] = asset.hedge_maintenance * SHARE_TO_RATE
    unit.weight = RATE_UNIT
    unit.weight_base = RATE_UNIT
    unit.weight_penalty = 0
    if asset.weight != 0:
        unit.weight = asset.weight * SHARE_TO_RATE
        unit.weight_base = asset.weight_base * SHARE_TO_RATE
        unit.weight_penalty = asset.weight_penalty * FACTOR_TO_RATE
    unit.floor_share = RATE_UNIT
    unit.sigma[0] = asset.haircut_initial * SHARE_TO_RATE
    unit.sigma[1] = asset.haircut_maintenance * SHARE_TO_RATE
    unit.size_factor[0] = 0
    unit.size_factor[1] = 0
    if asset.perpetual != 0:
        book = s.instruments[asset.perpetual]
        unit.sigma[0] = book.margin_base_initial * SHARE_TO_RATE
        unit.sigma[1] = book.margin_base_maintenance * SHARE_TO_RATE
        unit.size_factor[0] = book.margin_factor_initial * FACTOR_TO_RATE
        unit.size_factor[1] = book.margin_factor_maintenance * FACTOR_TO_RATE


@jit
def _spot(s, account, unit, underlying):
    asset = s.assets[underlying]
    balance = 0
    if s.work.alone == 0:
        balance = s.accounts[account].assets[underlying].balance
    keep(unit.spot, _at_index(asset, balance))


@jit
def _at_index(asset, units):
    """Units of an asset of at most 12 decimals at its index, exact."""
    scale = 1
    for _ in range(asset.decimals, 12):
        scale *= 10
    return multiple(product(units, asset.index_price), scale)


@jit
def _positions(s, account, unit, underlying, fresh):
    """Perpetuals, and lines for the live links."""
    unit.lines = 0
    held = wide(0)
    number = s.accounts[account].first_position
    while number != 0:
        position = s.positions[number]
        book = s.instruments[position.instrument]
        if book.base == underlying and book.kind == oe.INSTRUMENT_KIND_PERPETUAL:
            held += multiple(product(position.quantity, book.mark_value), MICRO)
        elif s.work.alone != 0:
            pass  # The next may be one.
        elif is_line(s, position, book, underlying) and unit.lines < LINES_MAX:
            _line(s, s.work.lines[unit.lines], number, position, book, fresh)
            unit.lines += 1
        number = position.account_next
    keep(unit.perpetual, held)
    _net_strips_alike(s, unit)


@jit
def is_line(s, position, book, underlying):
    """Whether a position is a live price link of an underlying, with a stake in it."""
    if book.kind < oe.INSTRUMENT_KIND_PRICE_ABOVE or book.base != underlying:
        return False
    if book.state > oe.TRADING_STATE_CLOSED or s.time >= book.expiry:
        return False
    return position.quantity | position.open_buy | position.open_sell != 0


@jit
def _line(s, line, number, position, book, fresh):
    array = s.risk_arrays[position.instrument]
    line.position = number
    line.face = position.quantity * book.one_value * UNIT_TO_FACE
    line.mark = book.mark * PRICE_TO_RATE
    line.netted = 0
    if fresh and array.version == s.risk_grids[book.base].version:
        line.netted = array.netted
    line.expiry = book.expiry
    line.lower = _NO_LOWER if book.kind == oe.INSTRUMENT_KIND_PRICE_BELOW else book.lower_strike
    line.upper = NO_STRIKE if book.kind == oe.INSTRUMENT_KIND_PRICE_ABOVE else book.upper_strike
    line.values = array.value.ctypes.data
    line.first_order = NO_ORDER


@jit
def _net_strips_alike(s, unit):
    """Give all links of one expiry the least λ among them."""
    lines = s.work.lines
    for line in range(unit.lines):
        for other in range(unit.lines):
            if lines[other].expiry == lines[line].expiry:
                lines[line].netted = min(lines[line].netted, lines[other].netted)


@jit
def _orders(s, account, unit, underlying):
    """All resting orders on the underlying, and the one asked for."""
    unit.link_orders = 0
    unit.linear_orders = 2
    keep(unit.beyond, wide(0))
    for side in range(2):
        plain = s.work.linear_orders[side]
        keep(plain.notional, wide(0))
        keep(plain.excess, wide(0))
        keep(plain.paid, wide(0))
        plain.sell = side
    slot = s.accounts[account].first_order
    while slot != 0:
        order = s.orders[slot]
        detail = s.details[slot]
        if order.state == RESTING and slot != s.work.aside:
            _order(s, unit, underlying, order.position, order.side, detail.reserved_tick,
                   order.leaves)
        slot = detail.account_next
    asked = s.work.asked
    if asked[0] != 0 and s.positions[asked[0]].account == account:
        _order(s, unit, underlying, asked[0], asked[1], asked[2], asked[3])
    _drop_unused_sides(s, unit)


@jit
def _order(s, unit, underlying, number, side, tick, lots):
    """Count an order if it is on the underlying."""
    position = s.positions[number]
    book = s.instruments[position.instrument]
    perpetual = book.kind == oe.INSTRUMENT_KIND_PERPETUAL
    if book.base != underlying or (s.work.alone != 0 and not perpetual):
        return
    value = tick * lots * book.value_per_tick_lot
    if perpetual:
        paid = multiple(wide(value), MICRO)
        _linear_order(s, unit, side, multiple(product(lots, book.mark_value), MICRO), paid)
    elif book.kind == oe.INSTRUMENT_KIND_SPOT and book.quote == 0:
        notional = _at_index(s.assets[underlying], lots * book.base_per_lot)
        _linear_order(s, unit, side, notional, multiple(wide(value), MICRO))
    elif book.kind >= oe.INSTRUMENT_KIND_PRICE_ABOVE:
        _link_order(s, unit, number, book, side, tick, lots)


@jit
def _linear_order(s, unit, side, notional, paid):
    worse = paid - notional if side == oe.SIDE_BUY else notional - paid
    sell = side != oe.SIDE_BUY
    place = _PLAIN_SELLS if sell else _PLAIN_BUYS
    if worse > wide(0) and unit.linear_orders < LINEAR_ORDERS_MAX:
        place = unit.linear_orders
        unit.linear_orders += 1
        order = s.work.linear_orders[place]
        order.sell = sell
        keep(order.notional, notional)
        keep(order.excess, worse)
        keep(order.paid, paid)
        return
    plain = s.work.linear_orders[place]
    keep(plain.notional, amount(plain.notional) + notional)
    keep(plain.excess, amount(plain.excess) + greater(worse, wide(0)))
    keep(plain.paid, amount(plain.paid) + paid)


@jit
def _drop_unused_sides(s, unit):
    """An empty record of sells would deny the unit its cap."""
    sells = s.work.linear_orders[_PLAIN_SELLS]
    if amount(sells.paid) == wide(0):
        sells.sell = 0


@jit
def _link_order(s, unit, number, book, side, tick, lots):
    """Chain an order to its line; where there is no room for it, require what it can lose."""
    face = lots * book.one_value * UNIT_TO_FACE
    price = tick * book.tick_size * PRICE_TO_RATE
    sell = side != oe.SIDE_BUY
    line = 0
    while line < unit.lines and s.work.lines[line].position != number:
        line += 1
    if line == unit.lines:
        return  # It stands alone, with its position.
    if unit.link_orders == LINK_ORDERS_MAX:
        lost = product(face, RATE_UNIT - price if sell else price)
        keep(unit.beyond, amount(unit.beyond) + lost)
        return
    order = s.work.link_orders[unit.link_orders]
    order.face = face
    order.price = price
    order.sell = sell
    order.next = s.work.lines[line].first_order
    s.work.lines[line].first_order = unit.link_orders
    unit.link_orders += 1
