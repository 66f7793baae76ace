"""A price link: what it pays at a price, and what it would be worth in a scenario.

The value of one that is still open is the only thing here that is not exact: a normal distribution
in double precision, rounded to 1e-6 at once.
"""

import math
from collections.abc import Mapping
from fractions import Fraction
from statistics import NormalDist

from core.margin_reference.case import Digital

YEAR = 365 * 86_400
MARK_MIN, MARK_MAX = 0.001, 0.999
_normal = NormalDist()


def pays(digital: Digital, price: Fraction, side: int) -> bool:
    """Whether it pays at a price, or where the price is a strike, just above (1) or below (-1)."""
    low, high = digital.low, digital.high
    if low is not None and (price < low or (price == low and side < 0)):
        return False
    return high is None or price < high or (price == high and side < 0)


def value(
    digital: Digital, index: Fraction, move: Fraction, spread: float
) -> Fraction:
    """Of one that is open: its value after a move, on a millionth. spread: standard deviation."""
    mark = float(digital.mark)
    if digital.low is not None and digital.high is not None:
        moved = mark + _between(digital, float(index * (1 + move)), spread) - _between(
            digital, float(index), spread)
    else:
        anchor = min(max(mark, MARK_MIN), MARK_MAX)
        shift = math.log1p(float(move)) / spread
        if digital.low is None:
            shift = -shift
        moved = mark + _normal.cdf(_normal.inv_cdf(anchor) + shift) - anchor
    return Fraction(round(min(max(moved, 0.0), 1.0) * 1_000_000), 1_000_000)


def _between(digital: Digital, price: float, spread: float) -> float:
    def beyond(strike: Fraction | None) -> float:
        assert strike is not None
        return _normal.cdf(math.log(price / float(strike)) / spread - spread / 2)

    return beyond(digital.low) - beyond(digital.high)


def spread(
    digital: Digital, volatility: str, vol: Fraction, model: Mapping[str, Fraction]
) -> float:
    """The standard deviation until the expiry under the high ("hi") or the low ("lo") case."""
    seconds = digital.seconds
    if volatility == "lo" and seconds > model["horizon_s"]:
        seconds -= model["horizon_s"]
    scale = model["vol_hi"] if volatility == "hi" else model["vol_lo"]
    return float(scale * vol) * math.sqrt(float(seconds / YEAR))


def strikes(digital: Digital) -> list[Fraction]:
    """Where its payoff jumps."""
    return [strike for strike in (digital.low, digital.high) if strike is not None]


def strip_loss(strip: list[Digital]) -> Fraction:
    """The greatest loss of links with one expiry against their marks, over all prices."""
    points = [(Fraction(0), 1)]
    points += [(k, side) for digital in strip for k in strikes(digital) for side in (-1, 1)]
    worst = min(sum(d.quantity for d in strip if pays(d, *point)) for point in points)
    return sum((d.quantity * d.mark for d in strip), Fraction(0)) - worst
