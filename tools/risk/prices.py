"""An underlying as a source of loss: one path of its price, and everything that hangs on it.

Spot, perpetual and price-linked predictions are functions of the same return; there is no copula
between a BTC perpetual and a BTC prediction. A prediction that expires within the horizon pays at
the price there; a later one is worth what the margin model says, anchored at its mark:

    above, below     Φ(Φ⁻¹(m) ± ln(1 + δ) / s)          s = volatility √(what is left)
    range            m + g(P (1 + δ)) − g(P)            g = N(d(L)) − N(d(H))
"""

import math
from statistics import NormalDist

import numpy as np

from core.margin_reference.case import Digital, Underlying
from core.margin_reference.links import MARK_MAX, MARK_MIN, YEAR
from tools.risk.assumptions import AssumptionError, Assumptions, Link
from tools.risk.component import PRICES, Array, Component, cdf

STEP_MAX = 20  # of a price's logarithm: beyond, it says nothing of prices
_normal = NormalDist()


def student_four(probabilities: Array) -> Array:
    """Quantiles of Student's t with four degrees of freedom, in closed form."""
    alpha = np.sqrt(4 * probabilities * (1 - probabilities))
    size = 2 * np.sqrt(np.cos(np.arccos(alpha) / 3) / alpha - 1)
    return np.asarray(np.sign(probabilities - 0.5) * size)


def moves(underlying: Underlying, assumptions: Assumptions, link: Link | None) -> Array:
    """Equally likely moves δ of the price, lowest first. Raises AssumptionError."""
    deviation = yearly(underlying, assumptions) * math.sqrt(assumptions.horizon_seconds / YEAR)
    path = assumptions.returns.get(underlying.name)
    if path is None:
        count = assumptions.price_atoms
        scores = student_four((np.arange(count) + 0.5) / count) / math.sqrt(2)
    else:
        scores = np.sort(np.log1p(np.array(path)))
        spread = float(scores.std())
        scores = scores / spread if spread > 0 else scores
    steps = scores * deviation
    if link is not None:
        steps = steps * link.volatility_times + math.log1p(link.drift)
    if float(np.abs(steps).max(initial=0)) > STEP_MAX:
        raise AssumptionError(
            f"volatility: {yearly(underlying, assumptions):g} a year would move {underlying.name} "
            f"by more than e^{STEP_MAX} within {assumptions.horizon_seconds:g} seconds")
    return np.expm1(steps)


def yearly(underlying: Underlying, assumptions: Assumptions) -> float:
    """The volatility a year: as assumed, else as the parameters list it."""
    listed = float(underlying.parameters["vol"])
    return assumptions.volatility.get(underlying.name, listed)


def value(digital: Digital, underlying: Underlying, horizon: float, delta: Array) -> Array:
    """What one is worth at the horizon after each move."""
    price = float(underlying.index)
    left = float(digital.seconds) - horizon
    after = price * (1 + delta)
    if left <= 0:
        pays = np.ones(len(delta), bool)
        if digital.low is not None:
            pays &= after >= float(digital.low)
        if digital.high is not None:
            pays &= after < float(digital.high)
        return pays.astype(np.float64)
    spread = float(underlying.parameters["vol"]) * math.sqrt(left / YEAR)
    mark = float(digital.mark)
    if digital.low is not None and digital.high is not None:
        before = _between(digital, np.array([price]), spread)
        return np.clip(mark + _between(digital, after, spread) - before, 0, 1)
    anchor = min(max(mark, MARK_MIN), MARK_MAX)
    sign = 1 if digital.low is not None else -1
    with np.errstate(divide="ignore"):  # Of a price of which nothing is left.
        moved = cdf(_normal.inv_cdf(anchor) + sign * np.log1p(delta) / spread)
    return np.clip(mark + moved - anchor, 0, 1)


def _between(digital: Digital, prices: Array, spread: float) -> Array:
    low, high = digital.low, digital.high
    assert low is not None
    assert high is not None
    with np.errstate(divide="ignore"):
        upper = cdf(np.log(prices / float(low)) / spread - spread / 2)
        return upper - cdf(np.log(prices / float(high)) / spread - spread / 2)


def component(
    underlying: Underlying, assumptions: Assumptions, rho: float, link: Link | None = None
) -> Component:
    """The underlying as atoms; rho: its tie to the other underlyings."""
    delta = moves(underlying, assumptions, link)
    held: list[str] = []
    losses: list[Array] = []
    spot = float(underlying.balance * underlying.index)
    perpetual = float(underlying.quantity * underlying.mark)
    for name, worth in ((underlying.name, spot), (f"{underlying.name}-PERP", perpetual)):
        if worth != 0:
            held.append(name)
            losses.append(-worth * delta)
    for digital in underlying.digitals:
        if digital.quantity != 0:
            worth_then = value(digital, underlying, assumptions.horizon_seconds, delta)
            held.append(f"{underlying.name}:{digital.name}")
            losses.append(float(digital.quantity) * (float(digital.mark) - worth_then))
    table = np.array(losses).T if losses else np.zeros((len(delta), 0))
    likely = np.full(len(delta), 1 / len(delta))
    return Component(underlying.name, PRICES, tuple(held), table, likely, rho)
