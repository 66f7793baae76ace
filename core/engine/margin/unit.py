"""An underlying: spot, borrow, perpetuals and price links judged together, exactly as UPM-1 says.

    U = max(min(Scan + Stand + Size + Spot, Cap), Floor) + Hedge + Borrow

of an account's view (core.margin_records), with D = spot + perpetual, N the greatest |D| that its
orders can bring about, and per link λ, ML the greatest loss of a strip against its marks:

    Scan    the worst loss over nodes and columns (core.engine.margin.scenarios), at least 0
    Stand   Σ strips (1 − λ) max(0, ML) + Σ orders on links (1 − λ) n (p or 1 − p)
    Size    max(0, min(1, f √N) − σ) N
    Spot    [initial 1, maintenance ½] × (1 − w(n)) n,  n = max(0, min(spot, D)),
            w = min(w0, wb / (1 + pen √n))
    Hedge   c min(long, short)             Borrow   β × what is borrowed
    Cap     max(0, D + Σ ML + what orders can lose), when nothing linear is short or sold
    Floor   [initial]  (1 − γ) max(0, Σ q m + Σ bids n p)

Nothing is rounded but products with rates, to the nearest 1e-20 USDC, and √ down to 1e-12.
"""

from core.engine.margin.expiries import opens_strip, strip_loss
from core.engine.margin.rates import amount, keep, quotient, rate_of, thousandth
from core.engine.margin.scenarios import THOUSAND, scan
from core.engine.margin.size import one, root_of, share_of, size_rate
from core.jit import jit
from core.margin_records import INITIAL, NO_ORDER, RATE_UNIT
from core.wide import (
    clip,
    greater,
    halved,
    lesser,
    multiple,
    product,
    times,
    wide,
)


@jit
def judge_unit(unit, lines, linear_orders, link_orders, nodes, kind, result):
    """Fill in a RESULT: the requirement of a unit, initial or maintenance, by component."""
    worst, result.node, result.column = scan(
        unit, lines, linear_orders, link_orders, nodes, kind)
    strips, stand = _stand(unit, lines, link_orders)
    held = amount(unit.spot) + amount(unit.perpetual)
    size = _size(unit, linear_orders, held, kind)
    spot = _spot(unit, held, kind)
    hedge = _hedge(unit, kind)
    borrow = _part(clip(-amount(unit.spot)), unit.borrow[kind])
    required = worst + stand + size + spot
    result.capped = _has_cap(unit, linear_orders, held)
    if result.capped:
        cap = clip(held + strips + _orders_lose(unit, linear_orders, lines, link_orders))
        keep(result.cap, cap)
        required = lesser(required, cap)
    least = wide(0)
    if kind == INITIAL:
        least = _floor(unit, lines, link_orders)
    required = greater(required, least)
    keep(result.scan, worst)
    keep(result.stand, stand)
    keep(result.size, size)
    keep(result.spot, spot)
    keep(result.hedge, hedge)
    keep(result.borrow, borrow)
    keep(result.floor, least)
    keep(result.core, required)
    keep(result.total, required + hedge + borrow)


@jit(forceinline=True)
def _part(money, rate):
    """Money × a rate in 1e-12; most of what may be required for isn't there."""
    if money == wide(0):
        return money
    return times(money, rate_of(rate))


@jit(forceinline=True)
def _stand(unit, lines, orders):
    """(Σ ML of the strips, Stand)."""
    losses, alone = wide(0), wide(0)
    for number in range(unit.lines):
        line = lines[number]
        share = THOUSAND - line.netted
        if opens_strip(lines, number):
            loss = strip_loss(lines, unit.lines, number)
            losses += loss
            alone += multiple(clip(loss), share)
        if line.first_order != NO_ORDER:
            alone += multiple(_most_lost(line, orders), share)
    return losses, amount(unit.beyond) + thousandth(alone)


@jit(forceinline=True)
def _most_lost(line, orders):
    """What the orders on a link can lose: what a bid pays, what an offer doesn't bring of one."""
    lost = wide(0)
    number = line.first_order
    while number != NO_ORDER:
        order = orders[number]
        lost += product(order.face, RATE_UNIT - order.price if order.sell != 0 else order.price)
        number = order.next
    return lost


@jit(forceinline=True)
def _size(unit, orders, held, kind):
    """What √N requires beyond σ."""
    buys, sells = wide(0), wide(0)
    for number in range(unit.linear_orders):
        if orders[number].sell != 0:
            sells += amount(orders[number].notional)
        else:
            buys += amount(orders[number].notional)
    notional = greater(_magnitude(held), greater(_magnitude(held + buys), _magnitude(held - sells)))
    rate = size_rate(unit.size_factor[kind], notional) - product(unit.sigma[kind], RATE_UNIT)
    if rate <= wide(0):
        return wide(0)
    return share_of(notional, rate)


@jit
def _magnitude(x):
    return greater(x, -x)


@jit
def _spot(unit, held, kind):
    """What spot counts less than its value as collateral, by its weight."""
    counted = clip(lesser(clip(amount(unit.spot)), held))
    if counted == wide(0):
        return counted
    penalty = one() + product(unit.weight_penalty, root_of(counted))
    weight = quotient(product(unit.weight_base, RATE_UNIT), penalty)
    weight = lesser(weight, rate_of(unit.weight))
    share = times(counted, rate_of(RATE_UNIT) - weight)
    return share if kind == INITIAL else halved(share)


@jit(forceinline=True)
def _hedge(unit, kind):
    """What the lesser of long and short notional costs: hedged price risk has a basis."""
    spot, perpetual = amount(unit.spot), amount(unit.perpetual)
    long = clip(spot) + clip(perpetual)
    short = clip(-spot) + clip(-perpetual)
    return _part(lesser(long, short), unit.hedge[kind])


@jit(forceinline=True)
def _has_cap(unit, orders, held):
    """Whether the loss is bounded: nothing linear is short or may be sold."""
    bounded = held >= wide(0)
    for number in range(unit.linear_orders):
        bounded = bounded and orders[number].sell == 0
    return bounded


@jit(forceinline=True)
def _orders_lose(unit, linear_orders, lines, link_orders):
    lost = amount(unit.beyond)
    for number in range(unit.linear_orders):
        lost += amount(linear_orders[number].paid)
    for number in range(unit.lines):
        lost += _most_lost(lines[number], link_orders)
    return lost


@jit(forceinline=True)
def _floor(unit, lines, orders):
    """What links are marked at, and bids on them would pay for: never free collateral."""
    marked = wide(0)
    for number in range(unit.lines):
        line = lines[number]
        marked += product(line.face, line.mark)
        place = line.first_order
        while place != NO_ORDER:
            if orders[place].sell == 0:
                marked += product(orders[place].face, orders[place].price)
            place = orders[place].next
    return _part(clip(marked), unit.floor_share)
