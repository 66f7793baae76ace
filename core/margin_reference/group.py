"""An event: what it requires is its exact worst case over the points it can be resolved to.

    W(v) = Σ q v − Σ buys max(0, n (p − v)) − Σ sells max(0, n (v − p))
    G    = Σ q m − min W(v)
"""

from fractions import Fraction

from core.margin_reference.case import Group


def requirement(group: Group) -> Fraction:
    """G; the same initially and for maintenance. Below zero for a profit that is locked in."""
    marked = sum((o.quantity * o.mark for o in group.outcomes), Fraction(0))
    return marked - min(_worth(group, vertex) for vertex in group.vertices)


def _worth(group: Group, vertex: tuple[Fraction, ...]) -> Fraction:
    worth = Fraction(0)
    for outcome, payoff in zip(group.outcomes, vertex, strict=True):
        worth += outcome.quantity * payoff
        for order in outcome.orders:
            loss = order.price - payoff if order.buy else payoff - order.price
            worth -= max(Fraction(0), order.quantity * loss)
    return worth
