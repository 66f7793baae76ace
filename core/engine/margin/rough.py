"""Which scenarios can be the worst: floats leave out those that are far from it.

What a scenario loses is added up exactly by core.engine.margin.scenarios, at some ten nanoseconds
for each node of a unit that has a single link. Nearly all of them lose so much less than the worst
that a float tells. So each node's loss is first taken roughly, and only those nodes are judged
exactly whose rough loss is within `doubt` of the greatest. No result depends on a float: `doubt` is
far more than floats can be off by, and if a node's loss is so near the bound that it may be on
either side, every node is judged.

    off by      2^-53 for each of up to 6,000 terms, 2^-46 for a move or a weight of which the upper
                word is taken; a weight is at most 500 and a move 10 (core.margin_reference.case)
    doubt       2^-28 of 16 × everything that can lose, gross
"""

from core.engine.margin.rates import amount
from core.jit import jit
from core.margin_records import NO_ORDER, RATE_UNIT
from core.wide import RATE_BITS, high, low
from sbe.raw import load_i32

_MILLION = 1_000_000.0
_THOUSAND = 1000.0
_TWO_64 = 18446744073709551616.0
_UPPER_WORD = 1.0 / (1 << (RATE_BITS - 64))  # what 1 of a rate's upper word is
_DOUBT = 16.0 / (1 << 28)
_EVERY = -1e300
_TOLERANCES = 400_000_000.0  # four times what losses of the same size may differ by, in thousandths


@jit
def note_rough_losses(unit, lines, linear_orders, link_orders, nodes, kind):
    """Write the nodes' `rough`, thousandths of money; return which of them are to be judged.

    (the least rough loss of those, the first of them, the one after the last). A loss below 0 is
    never the worst, so 0 takes part like a node.
    """
    most = 0.0
    risen, risen_loss, risen_limits = _as_filled(unit, linear_orders, True)
    fallen, fallen_loss, fallen_limits = _as_filled(unit, linear_orders, False)
    face, mark, owed = _only_link(unit, lines)
    values = lines[0].values
    for number in range(unit.nodes):
        node = nodes[number]
        move = float(node.move[0]) * _UPPER_WORD
        if move >= 0.0:
            loss = risen_loss - risen * move
        else:
            loss = fallen_loss - fallen * move
        if risen_limits if move >= 0.0 else fallen_limits:
            loss += _lost_to_limits(unit, linear_orders, move)
        if face != 0.0:
            place = values + 4 * node.place * unit.column_stride
            loss += face * (mark - _MILLION * _extreme(place, unit.columns, owed))
        elif unit.lines != 0:
            loss += _links(unit, lines, link_orders, node.place)
        loss *= float(node.weight[kind, 0]) * _UPPER_WORD
        node.rough = loss
        if loss > most:
            most = loss
    doubt = _gross(unit, lines, linear_orders, link_orders) * _DOUBT + _TOLERANCES
    least = most - doubt
    first, after = unit.nodes, 0
    for number in range(unit.nodes):
        loss = nodes[number].rough
        if loss >= least:
            first, after = min(first, number), number + 1
        elif loss >= least - doubt:
            return _EVERY, 0, unit.nodes
    return least, first, after


@jit(forceinline=True)
def _float(x):
    upper, lower = high(x), float(low(x))
    return float(upper) * _TWO_64 + (lower if lower >= 0.0 else lower + _TWO_64)


@jit(forceinline=True)
def _as_filled(unit, orders, rises):
    held = _float(amount(unit.spot)) + _float(amount(unit.perpetual))
    loss = 0.0
    others_lose = False
    for number in range(unit.linear_orders):
        order = orders[number]
        if (order.sell != 0) == rises:
            notional = _float(amount(order.notional))
            held += -notional if rises else notional
            loss += _float(amount(order.excess))
        else:
            others_lose = others_lose or order.excess[0] != 0 or order.excess[1] != 0
    return held * _THOUSAND, loss * _THOUSAND, others_lose


@jit(forceinline=True)
def _only_link(unit, lines):
    """(its face in thousandths, its mark, whether it is owed) of a lone link without orders."""
    if unit.lines != 1 or lines[0].first_order != NO_ORDER:
        return 0.0, 0.0, False
    face = float(lines[0].face)
    return face * float(lines[0].netted), float(lines[0].mark), face < 0.0


@jit(forceinline=True)
def _extreme(values, columns, owed):
    """The least that a link is worth in a column; the most, if it is owed."""
    extreme = load_i32(values)
    if owed:
        for column in range(1, columns):
            extreme = max(extreme, load_i32(values + 4 * column))
    else:
        for column in range(1, columns):
            extreme = min(extreme, load_i32(values + 4 * column))
    return float(extreme)


@jit(forceinline=True)
def _lost_to_limits(unit, orders, move):
    lost = 0.0
    for number in range(unit.linear_orders):
        order = orders[number]
        if (order.sell != 0) != (move >= 0.0):
            gain = _float(amount(order.notional)) * move
            lost += max(0.0, _float(amount(order.excess)) + (gain if order.sell != 0 else -gain))
    return lost * _THOUSAND


@jit(forceinline=True)
def _links(unit, lines, orders, node):
    """What links and the orders on them lose in the worst column of a node, in thousandths."""
    worst = _EVERY
    for column in range(unit.columns):
        place = node * unit.column_stride + column
        loss = 0.0
        for number in range(unit.lines):
            loss += _link(lines[number], orders, place)
        if loss > worst:
            worst = loss
    return worst


@jit(forceinline=True)
def _link(line, orders, place):
    value = float(load_i32(line.values + 4 * place)) * _MILLION
    loss = float(line.face) * (float(line.mark) - value)
    number = line.first_order
    while number != NO_ORDER:
        order = orders[number]
        gap = value - float(order.price)
        loss += max(0.0, float(order.face) * (gap if order.sell != 0 else -gap))
        number = order.next
    return loss * float(line.netted)


@jit(forceinline=True)
def _gross(unit, lines, linear_orders, link_orders):
    """Everything in a unit that can lose, whatever its side, in thousandths of money."""
    gross = abs(_float(amount(unit.spot))) + abs(_float(amount(unit.perpetual)))
    for number in range(unit.linear_orders):
        order = linear_orders[number]
        gross += _float(amount(order.notional)) + _float(amount(order.excess))
    faces = 0.0
    for number in range(unit.lines):
        line = lines[number]
        faces += abs(float(line.face))
        place = line.first_order
        while place != NO_ORDER:
            faces += float(link_orders[place].face)
            place = link_orders[place].next
    return (gross + faces * float(RATE_UNIT)) * _THOUSAND
