"""An account's sums over its units and events, and what belongs to neither, in wide money.

    R_k = Σ units + Σ events + β_usdc × debt + [initial] STRICT
    STRICT = Σ b⁺ (P − min(P, stable)) + b⁻ (max(P, stable) − P)

An event requires its positions' marks less the least it can pay: G = Σ q m − min W(v), with

    W(v) = Σ q v − Σ bids max(0, n (p − v)) − Σ offers max(0, n (v − p))
"""

from core.engine.margin.events import least_payoff
from core.engine.margin.rates import amount, keep, rate_of
from core.jit import jit
from core.margin_records import NO_ORDER, RATE_UNIT
from core.wide import clip, join, lesser, product, times, wide

EXPLICIT = 0  # The kind of an event whose vertices are listed.


@jit
def sum_of(parts, total):
    """Add up wide numbers, two words each, into `total`."""
    found = wide(0)
    for number in range(len(parts)):
        found += join(parts[number, 0], parts[number, 1])
    keep(total, found)


@jit
def borrow_cost(usdc, rate, cost):
    """What a debt in USDC requires."""
    keep(cost, times(clip(-amount(usdc)), rate_of(rate)))


@jit
def strict_cost(at_index, at_stable, cost):
    """What a balance requires for counting at the worse of index and stable price."""
    worth = amount(at_index)
    keep(cost, worth - lesser(worth, amount(at_stable)))


@jit
def judge_group(kind, lines, orders, vertices, gains, required):
    """G of an event: `lines` are its outcomes; `vertices` 1e-12, used if the kind is EXPLICIT.

    `gains` is scratch, two words for each outcome.
    """
    marked, none = wide(0), wide(0)
    for outcome in range(len(lines)):
        line = lines[outcome]
        marked += product(line.face, line.mark)
        without = _worth(line, orders, 0)
        none += without
        keep(gains[outcome], _worth(line, orders, RATE_UNIT) - without)
    if kind == EXPLICIT:
        least = _least_listed(lines, orders, vertices)
    else:
        least = least_payoff(kind, none, gains, len(lines))
    keep(required, marked - least)


@jit
def _worth(line, orders, payoff):
    """What an outcome is worth where it pays so much, each order at its worst."""
    worth = product(line.face, payoff)
    number = line.first_order
    while number != NO_ORDER:
        order = orders[number]
        gap = payoff - order.price if order.sell != 0 else order.price - payoff
        worth -= clip(product(order.face, gap))
        number = order.next
    return worth


@jit
def _least_listed(lines, orders, vertices):
    least = wide(0)
    for vertex in range(len(vertices)):
        worth = wide(0)
        for outcome in range(len(lines)):
            worth += _worth(lines[outcome], orders, vertices[vertex, outcome])
        if vertex == 0 or worth < least:
            least = worth
    return least
