"""The scan: what a unit loses in each scenario, a move of the underlying and a state of its links.

    loss    −(D δ + Σ λ q (V − m)) + Σ linear orders + Σ λ digital orders

Each order adds what it would lose if it were filled and the scenario came, or nothing: the exact
worst case over all subsets of orders that may fill, so an order never lowers a requirement. Losses
that differ by less than TOLERANCE are the same; of equal ones the first is the worst.
"""

from core.engine.margin.rates import amount, thousandth
from core.engine.margin.rough import note_rough_losses
from core.jit import jit
from core.margin_records import NO_ORDER
from core.wide import RATE_ONE, clip, join, multiple, product, times, wide, words
from sbe.raw import load_i32

TOLERANCE = 100_000  # 1e-15 USDC; products with rates are exact to a few 1e-20
THOUSAND = 1000  # λ is so many thousandths, so losses add up exactly in thousandths of money
MILLION = 1_000_000
_NARROW = ((1 << 63) - 1) // THOUSAND  # A face that fits a word in thousandths, too.
_NONE = -1
_ONE_HIGH, _ONE_LOW = words(RATE_ONE)


@jit
def scan(unit, lines, linear_orders, link_orders, nodes, kind):
    """(the worst loss, at least 0; its node; its column) over the scenarios of a kind."""
    worst = wide(0)
    worst_node, worst_column = _NONE, _NONE
    single = unit.lines == 1 and _tells_values_apart(lines[0])
    column = _NONE
    least, first, after = note_rough_losses(
        unit, lines, linear_orders, link_orders, nodes, kind)
    for number in range(first, after):
        node = nodes[number]
        weight = amount(node.weight[kind])
        if node.rough < least or weight == wide(0):
            continue
        loss = multiple(linear_loss(unit, linear_orders, amount(node.move)), THOUSAND)
        if single:
            place = node.place * unit.column_stride
            column = _extreme_column(lines[0], place, unit.columns)
            loss += link_loss(lines[0], link_orders, place + column)
        else:
            loss, column = _worst_column(unit, lines, link_orders, node.place, loss)
        if weight != join(_ONE_HIGH, _ONE_LOW):
            loss = times(loss, weight)
        if loss > worst + wide(TOLERANCE * THOUSAND):
            worst = loss
            worst_node, worst_column = number, column
    return thousandth(worst), worst_node, worst_column


@jit(forceinline=True)
def is_plain(line):
    """Whether a link has no orders and what it loses, in thousandths, is a product of words."""
    return line.first_order == NO_ORDER and abs(line.face) <= _NARROW


@jit(forceinline=True)
def _tells_values_apart(line):
    """Whether such a link loses more than TOLERANCE more for each millionth of value."""
    return is_plain(line) and abs(line.face * line.netted) > TOLERANCE * THOUSAND // MILLION


@jit(forceinline=True)
def _extreme_column(line, first, columns):
    """The first column in which such a link is worth least; most, if it is owed."""
    values = line.values + 4 * first
    owed = line.face < 0
    extreme, found = load_i32(values), 0
    for column in range(1, columns):
        value = load_i32(values + 4 * column)
        if (value > extreme) if owed else (value < extreme):
            extreme, found = value, column
    return found


@jit(forceinline=True)
def _worst_column(unit, lines, orders, node, linear):
    """(the worst loss in thousandths, its column) of a node."""
    if unit.lines == 0:
        return linear, 0
    worst, worst_column = linear, _NONE
    for column in range(unit.columns):
        loss = linear
        for line in range(unit.lines):
            loss += link_loss(lines[line], orders, node * unit.column_stride + column)
        if worst_column == _NONE or loss > worst + wide(TOLERANCE * THOUSAND):
            worst, worst_column = loss, column
    return worst, worst_column


@jit(forceinline=True)
def linear_loss(unit, orders, move):
    """What spot, perpetuals and their orders lose in a move.

    An order to sell loses more the further the price rises, one to buy the further it falls: there
    it counts like a holding. On the other side it loses what its limit is worse than the reference,
    less the move, if anything. So there is one product with the move, hardly ever one for an order.
    """
    held = amount(unit.spot) + amount(unit.perpetual)
    loss = wide(0)
    for number in range(unit.linear_orders):
        order = orders[number]
        notional, excess = amount(order.notional), amount(order.excess)
        sold = -notional if order.sell != 0 else notional
        if (move >= wide(0)) == (order.sell != 0) or move == wide(0):
            held += sold
            loss += excess
        elif excess > wide(0):
            loss += clip(excess - times(sold, move))
    return loss - times(held, move)


@jit(forceinline=True)
def link_loss(line, orders, place):
    """What the netted part of a link and of its orders loses where its array says it is worth V."""
    value = load_i32(line.values + 4 * place) * MILLION
    number = line.first_order
    if is_plain(line):
        return product(line.face * line.netted, line.mark - value)
    loss = product(line.face, line.mark - value)
    while number != NO_ORDER:
        order = orders[number]
        gap = value - order.price if order.sell != 0 else order.price - value
        loss += clip(product(order.face, gap))
        number = order.next
    return multiple(loss, line.netted)
