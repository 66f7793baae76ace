"""What borrowing costs: straight lines between knots of utilisation.

    rate a year
      full |                                  /
           |                              ⟋
           |                         ⟋
   optimal |            ________----            knee at the optimal utilisation, then steeper
      base |____--------                        and steeper: segments as Drift has them
           +------------------+----------+---▶  utilisation
           0                optimal         1

Everything in parts per million, in integers: a rate is a decision, and must be the same wherever it
is computed.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

MILLION = 1_000_000

# Beyond the knee: up to this utilisation, this share (of 1000) of the way from optimal to full.
# Source: Drift protocol v2, spot market interest, six segments.
SEGMENTS = (
    (850_000, 50), (900_000, 150), (950_000, 300), (990_000, 500), (995_000, 750), (1_000_000, 1000)
)


class Knot(NamedTuple):
    """Utilisation and the yearly rate there, parts per million."""

    utilisation: int
    rate: int


def knots(base: int, optimal_utilisation: int, optimal: int, full: int) -> tuple[Knot, ...]:
    """The curve with a knee at the optimal utilisation and segments beyond it."""
    curve = [Knot(0, base), Knot(optimal_utilisation, optimal)]
    for utilisation, share in SEGMENTS:
        if utilisation > optimal_utilisation:
            curve.append(Knot(utilisation, optimal + (full - optimal) * share // 1000))
    return tuple(curve)


class Throttle(NamedTuple):
    """How fast a pool may be used up, parts per million: freely to `threshold`, then by steps.

    Each period the bound is what is used and this fraction of the way from there to the ceiling.
    """

    threshold: int
    fraction: int


def bound_at(throttle: Throttle, utilisation: int, ceiling: int) -> int:
    """How much of a pool may be used until the next period; 0 where only the ceiling bounds it."""
    step = max(0, ceiling - utilisation) * throttle.fraction // MILLION
    bound = max(throttle.threshold, utilisation + step)
    return bound if bound < ceiling else 0


def rate_at(curve: Sequence[Knot], utilisation: int) -> int:
    """The yearly borrow rate at a utilisation; beyond the last knot that of the last."""
    for left, right in pairwise(curve):
        if utilisation < right.utilisation:
            width = right.utilisation - left.utilisation
            rise = (right.rate - left.rate) * (utilisation - left.utilisation)
            return left.rate + rise // width
    return curve[-1].rate
