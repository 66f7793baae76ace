"""The joint scan: a perpetual and the price links on its underlying, lost or won together.

For one account and underlying, over nodes (moves δ of the price) and columns (expiries settled or
not, high or low volatility), with n lots of an order at p, D the perpetual at its mark, V the value
of a price link there (core.engine.margin.arrays), m its mark, λ the fraction that is netted:

    loss    −(D·δ + Σ λ q (V − m)) + Σ perpetual orders against δ + Σ digital orders
    Scan    max(0, loss at |δ| ≤ σ, ½σ/|δ| × loss at the extremes beyond)
    Stand   Σ per expiry (1 − λ) max(0, greatest loss of the strip) + Σ orders (1 − λ) n (p or 1−p)
    Size    what √notional adds to σ × notional
    Cap     D + greatest loss of the strips and of the orders, if nothing linear is short or sold
    Floor   [initial]  max(0, Σ q m + Σ buys n p)
    joint   max(min(Scan + Stand + Size, Cap), Floor)

The unit requires the lesser of that and what its parts require alone; `netting` is the difference.

Of UPM-1 this has nodes, columns, strikes from both sides, λ, Stand, Size, Cap and Floor exactly.
Not yet: spot balances are charged their own haircut and don't enter D, so there is neither Spot,
Hedge nor Borrow here; a second perpetual on the underlying stands alone; σ is the perpetual's base.
Orders are known by their sums only. A link's n lots for v in all lose at most v (1 − V) as bids,
and (n − v) V as offers, which bounds their exact worst case from above and meets it at V = 0 and 1;
the perpetual's lose |δ| of their notional against them and Σ n (p − mark) on top, as they do alone.
A link without a fresh array has λ = 0; beyond 32 of them in an account, links stand alone.
"""

import numpy as np

import sbe.generated.order_entry as oe
from core.atomics import count_trailing_zeros
from core.engine.margin.arrays import arrays_are_fresh
from core.engine.margin.events import lone_floor
from core.engine.margin.linear import (
    notional_requirement,
    perpetual_initial,
    perpetual_maintenance,
    perpetual_notional,
    perpetual_order_loss,
)
from core.engine.margin.strips import strip_loss
from core.engine.money import MILLION, multiply_divide_up, share_up
from core.jit import jit
from core.linked import linked
from core.records import SCAN_LINES_MAX

# Fields of a line of work.scan, which is one price link of the account.
POSITION, NETTED, MARKED, BUYS, SELLS, LAMBDA = 0, 1, 2, 3, 4, 5
_ROUNDING = 4  # units a line may be off by, always charged
_UNLIMITED = 1 << 62


@linked
def netting(s, account, initial):
    """How much less an account requires than the sum of its parts, over all underlyings."""
    if s.accounts[account].linked == 0:
        return 0
    underlyings = 0
    number = s.accounts[account].first_position
    while number != 0:
        book = s.instruments[s.positions[number].instrument]
        if book.kind >= oe.INSTRUMENT_KIND_PRICE_ABOVE:
            underlyings |= 1 << book.base
        number = s.positions[number].account_next
    saved = 0
    while underlyings != 0:
        saved += unit_netting(s, account, count_trailing_zeros(underlyings), initial)
        underlyings &= underlyings - 1
    return saved


@linked
def unit_netting(s, account, underlying, initial):
    """The same for one underlying; 0 when its arrays are missing or old."""
    grid = s.risk_grids[underlying]
    if not arrays_are_fresh(s, grid):
        return 0
    count, perpetual = _gather(s, account, underlying, grid)
    if count == 0:
        return 0
    together = _joint(s, grid, count, perpetual, initial) + _ROUNDING * (count + 1)
    return max(0, _alone(s, count, perpetual, initial) - together)


@jit
def _gather(s, account, underlying, grid):
    """The account's live price links into work.scan: (how many, its position in the perpetual)."""
    count = 0
    perpetual = 0
    number = s.accounts[account].first_position
    while number != 0:
        position = s.positions[number]
        book = s.instruments[position.instrument]
        if position.instrument == grid.perpetual:
            perpetual = number
        elif book.kind >= oe.INSTRUMENT_KIND_PRICE_ABOVE and book.base == underlying:
            live = book.state <= oe.TRADING_STATE_CLOSED and s.time < book.expiry
            stake = position.quantity | position.open_buy | position.open_sell
            if live and stake != 0 and count < SCAN_LINES_MAX:
                array = s.risk_arrays[position.instrument]
                s.work.scan[count, POSITION] = number
                s.work.scan[count, LAMBDA] = array.netted if array.version == grid.version else 0
                count += 1
        number = position.account_next
    _net_strips_alike(s, count)
    for line in range(count):
        _fill_line(s, line)
    return count, perpetual


@jit
def _net_strips_alike(s, count):
    """Give all links of one expiry the least λ among them."""
    lines = s.work.scan
    for line in range(count):
        expiry = s.instruments[s.positions[lines[line, POSITION]].instrument].expiry
        for other in range(count):
            if s.instruments[s.positions[lines[other, POSITION]].instrument].expiry == expiry:
                least = min(lines[line, LAMBDA], lines[other, LAMBDA])
                lines[line, LAMBDA] = least
                lines[other, LAMBDA] = least


@jit
def _fill_line(s, line):
    """What a link brings into every scenario: λ of its face value, mark and orders."""
    lines = s.work.scan
    position = s.positions[lines[line, POSITION]]
    book = s.instruments[position.instrument]
    netted = lines[line, LAMBDA]
    offered = position.open_sell * book.one_value - position.open_sell_value
    lines[line, NETTED] = _thousandths(position.quantity * book.one_value, netted)
    lines[line, MARKED] = _thousandths(position.quantity * book.mark_value, netted)
    lines[line, BUYS] = _thousandths_up(position.open_buy_value, netted)
    lines[line, SELLS] = _thousandths_up(offered, netted)


@jit
def _thousandths(value, thousandths):
    """floor(value × thousandths / 1000) for any sign, without overflow."""
    whole = value // 1000
    return whole * thousandths + (value - whole * 1000) * thousandths // 1000


@jit
def _thousandths_up(value, thousandths):
    return -_thousandths(-value, thousandths)


@jit
def _share(value, parts_per_million):
    """floor(value × parts / 1e6) for any signs, without overflow."""
    whole = value // MILLION
    return whole * parts_per_million + (value - whole * MILLION) * parts_per_million // MILLION


@jit
def _alone(s, count, perpetual, initial):
    """What the parts require one by one, marks of the links counted in."""
    required = 0
    if perpetual != 0:
        position = s.positions[perpetual]
        book = s.instruments[position.instrument]
        if initial:
            required = perpetual_initial(position, book)
        else:
            required = perpetual_maintenance(position, book)
    for line in range(count):
        position = s.positions[s.work.scan[line, POSITION]]
        book = s.instruments[position.instrument]
        required += position.quantity * book.mark_value - lone_floor(position, book.one_value)
    return required


@jit
def _joint(s, grid, count, perpetual, initial):
    """What the unit requires as one."""
    held, bid, offered, lost, size, at_worst = 0, 0, 0, 0, 0, 0
    if perpetual != 0:
        position = s.positions[perpetual]
        mark = s.instruments[position.instrument].mark_value
        held = position.quantity * mark
        bid = position.open_buy * mark
        offered = position.open_sell * mark
        lost = perpetual_order_loss(position, mark)
        book = s.instruments[position.instrument]
        size = _size(book, perpetual_notional(position, mark), initial)
        at_worst = held + position.open_buy_value
    stand, strips, marks, bought, orders = 0, 0, 0, 0, 0
    for line in range(count):
        position = s.positions[s.work.scan[line, POSITION]]
        book = s.instruments[position.instrument]
        apart = 1000 - s.work.scan[line, LAMBDA]
        worst = strip_loss(s, s.work.scan, count, line)  # 0 but for the first of its expiry.
        strips += worst
        order = position.open_buy_value
        order += position.open_sell * book.one_value - position.open_sell_value
        orders += order
        stand += _thousandths_up(max(0, worst) + order, apart)
        marks += position.quantity * book.mark_value
        bought += position.open_buy_value
    required = _scan(s, grid, count, held, bid, offered, initial) + lost + stand + size
    cap = _UNLIMITED
    if held >= 0 and offered == 0:
        cap = max(0, at_worst + strips + orders)
    required = min(required, cap)
    return max(required, marks + bought) if initial else required


@jit
def _size(book, notional, initial):
    """What the root of the notional requires beyond the base rate."""
    if initial:
        base, factor = book.margin_base_initial, book.margin_factor_initial
        threshold = book.size_threshold_initial
    else:
        base, factor = book.margin_base_maintenance, book.margin_factor_maintenance
        threshold = book.size_threshold_maintenance
    return notional_requirement(notional, base, factor, threshold) - share_up(notional, base)


@jit
def _scan(s, grid, count, held, bid, offered, initial):
    """The worst loss over the scenarios, at least 0."""
    sigma = grid.sigma_initial if initial else grid.sigma_maintenance
    worst = 0
    for node in range(grid.nodes):
        delta = np.int64(grid.delta[node])
        reach = abs(delta)
        extreme = reach > grid.sigma_initial
        if reach > sigma and not extreme:
            continue
        linear = _share(held, delta)
        linear -= share_up(bid, -delta) if delta < 0 else share_up(offered, delta)
        loss = 0
        for column in range(grid.columns):
            place = node * grid.columns + column
            loss = max(loss, -linear - _links_gain(s, count, place))
        if extreme:
            loss = multiply_divide_up(loss, sigma, 2 * reach)
        worst = max(worst, loss)
    return worst


@jit
def _links_gain(s, count, place):
    """What the netted part of the links gains in a scenario, their orders at their worst."""
    lines = s.work.scan
    gain = 0
    for line in range(count):
        value = np.int64(0)
        if lines[line, LAMBDA] != 0:
            instrument = s.positions[lines[line, POSITION]].instrument
            value = np.int64(s.risk_arrays[instrument].value[place])
        gain += _share(lines[line, NETTED], value) - lines[line, MARKED]
        gain -= share_up(lines[line, BUYS], MILLION - value) + share_up(lines[line, SELLS], value)
    return gain
