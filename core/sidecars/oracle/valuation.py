"""What one price link would be worth in a scenario: the formulas behind risk arrays.

One that is alive keeps its distance from the mark in standard deviations, moved by the move:
Φ(Φ⁻¹(m) ± ln(1 + δ) / s), or for a range m plus what the model says the move changes. s is the
listed volatility over the time left, times 1.3 (high) or 0.7 (low, aged by the horizon). A settled
one pays 0 or 1, at a strike by the side from which the price came.

Prices, moves, marks and times are exact (int or Fraction); strikes and index only need to be in the
same unit. Floats decide here and nowhere else: what leaves are integers, parts per million.
"""

import math
from collections.abc import Iterable
from fractions import Fraction
from statistics import NormalDist
from typing import NamedTuple

MILLION = 1_000_000
YEAR_SECONDS = 365 * 86_400
MARK_MIN, MARK_MAX = 0.001, 0.999

Exact = int | Fraction

_normal = NormalDist()


class Contract(NamedTuple):
    """What a link pays for: from `lower` on, below `upper`; None has no such end. Mark 0 … 1."""

    lower: Exact | None
    upper: Exact | None
    mark: Exact


def alive(contract: Contract, index: Exact, move: Exact, spread: float) -> int:
    """The value after a move of one that is still open, parts per million; spread: √ variance."""
    mark = float(contract.mark)
    if move <= -1:
        moved = 0.0 if contract.lower is not None else 1.0
    elif contract.lower is not None and contract.upper is not None:
        price = float(index * (1 + move))
        moved = mark + _between(contract, price, spread) - _between(contract, float(index), spread)
    else:
        anchor = min(max(mark, MARK_MIN), MARK_MAX)
        shift = math.log1p(float(move)) / spread
        if contract.lower is None:
            shift = -shift
        moved = mark + _normal.cdf(_normal.inv_cdf(anchor) + shift) - anchor
    return round(min(max(moved, 0.0), 1.0) * MILLION)


def _between(contract: Contract, price: float, spread: float) -> float:
    def beyond(strike: Exact | None) -> float:
        assert strike is not None
        return _normal.cdf(math.log(price / float(strike)) / spread - spread / 2)

    return beyond(contract.lower) - beyond(contract.upper)


def pays(contract: Contract, price: Exact, beyond: bool) -> bool:
    """Whether one pays that settles at a price; where that is a strike, just above it or below."""
    lower, upper = contract.lower, contract.upper
    if lower is not None and (price < lower or (price == lower and not beyond)):
        return False
    return upper is None or price < upper or (price == upper and not beyond)


def strikes(contract: Contract) -> list[Exact]:
    """Where the payoff jumps."""
    return [strike for strike in (contract.lower, contract.upper) if strike is not None]


def spread(volatility: Exact, scale: Exact, seconds: Exact, horizon: Exact) -> float:
    """The standard deviation over what is left, less the horizon if it is longer than that."""
    left = seconds - horizon if seconds > horizon else seconds
    return float(scale * volatility) * math.sqrt(float(Fraction(left) / YEAR_SECONDS))


def netted(seconds: Exact, kept: Exact, roll: Exact) -> int:
    """λ in 1e-3: the fraction that may be netted fades away over the roll before the expiry."""
    return int(1000 * (1 - kept) * min(Fraction(1), Fraction(seconds) / roll))


def thirds(sigma: Exact) -> list[Fraction]:
    """Moves over a range: both ends, thirds, none."""
    return [Fraction(third, 3) * sigma for third in range(-3, 4)]


def near(contracts: Iterable[Contract], index: Exact, sigma: Exact) -> list[Exact]:
    """Strikes within the range of a move, in order."""
    found = {strike for contract in contracts for strike in strikes(contract)}
    return sorted(k for k in found if abs(Fraction(k) / index - 1) <= sigma)
