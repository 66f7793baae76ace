"""One source of loss: an event's outcomes, or an underlying's price, as atoms in an order.

Events hang together through one factor, underlyings through another. Given the factor all are
independent, and an atom's probability is what lies between two quantiles:

    C_j(Z) = Φ((Φ⁻¹(C_j) + √ρ Z) / √(1 − ρ))          C_j: the first j atoms together

For two outcomes that is p(Z) of the one-factor model; for prices in the order of their returns it
is a Gaussian copula. Over Z, by Gauss–Hermite, the marginals come out again: with 16 points off by
a part in a hundred thousand at ρ = 0.7, which is three dollars in 24,000 for the shortfall of two
rare events; so there are 32.
"""

from dataclasses import dataclass
from math import inf, sqrt
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

NODES = 32
EVENTS, PRICES = "events", "prices"

Array = NDArray[np.float64]

_normal = NormalDist()
_cdf = np.frompyfunc(_normal.cdf, 1, 1)


def cdf(values: Array) -> Array:
    """Φ of each."""
    return np.asarray(_cdf(values), np.float64)


def quantile(probability: float) -> float:
    """Φ⁻¹, with its ends."""
    return -inf if probability <= 0 else inf if probability >= 1 else _normal.inv_cdf(probability)


def factor() -> tuple[Array, Array]:
    """Nodes and weights of a standard normal factor."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(NODES)
    return nodes, weights / weights.sum()


@dataclass(frozen=True, slots=True)
class Component:
    """Atoms of one source; `losses` has a row an atom and a column a position, in USD.

    The order of the atoms is that in which they are tied to the factor: first those that come with
    a high one.
    """

    name: str
    kind: str
    positions: tuple[str, ...]
    losses: Array
    probabilities: Array
    rho: float = 0.0

    @property
    def totals(self) -> Array:
        """The loss of each atom over all positions."""
        return np.asarray(self.losses.sum(axis=1))

    def given_factor(self) -> Array:
        """Probabilities given each node of the factor: a row a node, a column an atom."""
        if self.rho == 0 or len(self.probabilities) == 1:
            return np.tile(self.probabilities, (NODES, 1))
        nodes, _ = factor()
        below = np.clip(np.concatenate([[0.0], np.cumsum(self.probabilities)]), 0, 1)
        below[-1] = 1.0
        scores = np.array([quantile(float(p)) for p in below])
        moved = (scores[None, :] + sqrt(self.rho) * nodes[:, None]) / sqrt(1 - self.rho)
        return np.diff(cdf(moved), axis=1)

    def at(self, place: int) -> "Component":
        """The same with one atom only: that this came true is known."""
        losses = self.losses[place : place + 1]
        return Component(self.name, self.kind, self.positions, losses, np.ones(1))


def standalone(component: Component) -> tuple[Array, Array]:
    """Losses and probabilities of one component alone."""
    return component.totals, component.probabilities


def tail_mean(losses: Array, probabilities: Array, level: float) -> float:
    """Expected shortfall of atoms: the mean of the worst 1 − level."""
    order = np.argsort(-losses, kind="stable")
    before = np.concatenate([[0.0], np.cumsum(probabilities[order])[:-1]])
    taken = np.clip(1 - level - before, 0, probabilities[order])
    return float((taken * losses[order]).sum() / taken.sum())


def floats(values: Any) -> Array:
    """Fractions as doubles."""
    return np.array([float(value) for value in values], np.float64)
