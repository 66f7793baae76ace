"""The distribution of the sum of all losses, on a lattice, by convolution.

    given the factors    product over components of the transforms of their atoms
    over the factors     weighted sum of those products

Where all losses are multiples of a common amount the lattice has just that step and nothing is
rounded; else an atom between two points is split between them so that its mean stays. A *world* is
what links between events and prices leave: in each the linked outcomes are known.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tools.risk.component import EVENTS, NODES, PRICES, Array, Component, factor

_MICRO = 1_000_000
_WORD = 2.0**62
_LEAST = 1e-12  # Probability that is noise of the transform.

Complex = NDArray[np.complex128]


@dataclass(frozen=True, slots=True)
class World:
    """Components, and how likely each node of the events' factor is together with this world."""

    weights: Array
    components: tuple[Component, ...]


@dataclass(frozen=True, slots=True)
class Lattice:
    """Losses `first + i × step` (USD)."""

    first: float
    step: float
    size: int

    def losses(self) -> Array:
        """Of every point."""
        return np.asarray(self.first + self.step * np.arange(self.size), np.float64)

    def split(self, component: Component) -> tuple[NDArray[np.int64], Array]:
        """Each atom's lower point, from the component's own least loss, and the upper's share."""
        totals = component.totals
        place = (totals - totals.min()) / self.step
        lower = np.floor(place + 1e-9).astype(np.int64)
        return lower, np.maximum(place - lower, 0.0)


def lattice_of(worlds: list[World], bins: int) -> Lattice:
    """The common one: exact if the losses have a common step that fits."""
    spans, firsts, common = [], [], 0
    for world in worlds:
        first = span = 0.0
        for component in world.components:
            totals = component.totals
            first += float(totals.min())
            span += float(totals.max() - totals.min())
            units = np.rint((totals - totals.min()) * _MICRO)
            if units.max() >= _WORD:  # No step of so much would fit the lattice.
                common = 1
                continue
            common = math.gcd(common, *np.unique(units.astype(np.int64))[:bins].tolist())
        firsts.append(first)
        spans.append(span)
    first = min(firsts)
    span = max(f + s for f, s in zip(firsts, spans, strict=True)) - first
    for offset in firsts:
        common = math.gcd(common, round((offset - first) * _MICRO))
    exact = common > 0 and span * _MICRO / common < bins
    step = common / _MICRO if exact else max(span / (bins - 1), 1e-6)
    count = max(len(world.components) for world in worlds)
    return Lattice(first, step, 1 << (round(span / step) + count + 2).bit_length())


class Distribution:
    """Probabilities on the lattice, with what is needed to take one component out again."""

    def __init__(self, worlds: list[World], bins: int) -> None:
        self.worlds = worlds
        self.lattice = lattice_of(worlds, bins)
        self._transforms = [
            [self._transform(component) for component in world.components] for world in worlds
        ]
        total = sum(
            self._shift(world) * self._combined(world, transforms)
            for world, transforms in zip(worlds, self._transforms, strict=True)
        )
        self.probabilities = self._back(np.asarray(total))

    # ---- figures -------------------------------------------------------------------------------

    def value_at_risk(self, level: float) -> float:
        """The least loss that isn't exceeded with this probability (USD)."""
        return float(self.lattice.losses()[self._place(level)])

    def expected_shortfall(self, level: float) -> float:
        """The mean of the worst 1 − level (USD)."""
        weights = self.tail(level) * self.probabilities
        return float((weights * self.lattice.losses()).sum() / weights.sum())

    def tail(self, level: float) -> Array:
        """How much of each lattice point belongs to the worst 1 − level: 0, 1, or a part of one."""
        place = self._place(level)
        beyond = float(self.probabilities[place + 1 :].sum())
        weights = np.zeros(self.lattice.size)
        weights[place + 1 :] = 1.0
        here = float(self.probabilities[place])
        weights[place] = min(1.0, max(0.0, (1 - level - beyond) / here)) if here > 0 else 0.0
        return weights

    def contributions(self, level: float) -> dict[str, float]:
        """What each position contributes to the shortfall: its mean in the tail (Euler)."""
        tail = self.tail(level)
        mass = float((tail * self.probabilities).sum())
        found: dict[str, float] = {}
        for world, transforms in zip(self.worlds, self._transforms, strict=True):
            for place, component in enumerate(world.components):
                if not component.positions:
                    continue
                means = self._tail_means(world, transforms, place, tail)
                for name, mean in zip(component.positions, means, strict=True):
                    found[name] = found.get(name, 0.0) + float(mean) / mass
        return found

    # ---- transforms ----------------------------------------------------------------------------

    def _place(self, level: float) -> int:
        reached = np.cumsum(self.probabilities) >= level - _LEAST
        return int(np.argmax(reached))

    def _transform(self, component: Component) -> Complex:
        """A row a node of its factor; one row if it doesn't depend on it."""
        lower, share = self.lattice.split(component)
        given = component.given_factor() if component.rho else component.probabilities[None, :]
        rows = np.zeros((len(given), self.lattice.size))
        for row, likely in zip(rows, given, strict=True):
            row += np.bincount(lower, likely * (1 - share), self.lattice.size)
            row += np.bincount(lower + 1, likely * share, self.lattice.size)
        return np.fft.rfft(rows, axis=1)

    def _shift(self, world: World) -> Complex:
        """Where the world's least loss lies from the lattice's first."""
        first = sum(float(component.totals.min()) for component in world.components)
        place = round((first - self.lattice.first) / self.lattice.step)
        frequency = np.arange(self.lattice.size // 2 + 1) / self.lattice.size
        return np.asarray(np.exp(-2j * np.pi * frequency * place))

    def _back(self, transform: Complex) -> Array:
        """Probabilities again, without the noise."""
        rows = np.fft.irfft(transform, self.lattice.size, axis=-1)
        return np.where(rows < 1e-15, 0.0, rows)

    def _products(self, transforms: list[Complex], of: list[int]) -> Complex:
        """The product of some, node by node."""
        product = np.ones((1, self.lattice.size // 2 + 1), np.complex128)
        for place in of:
            product = product * transforms[place]
        return product

    def _combined(self, world: World, transforms: list[Complex], without: int = -1) -> Complex:
        """Over both factors, of all components but one."""
        _, normal = factor()
        both = np.ones(self.lattice.size // 2 + 1, np.complex128)
        for kind, weights in ((EVENTS, world.weights), (PRICES, normal)):
            of = [i for i, c in enumerate(world.components) if c.kind == kind and i != without]
            both = both * (weights[:, None] * np.broadcast_to(
                self._products(transforms, of), (NODES, len(both)))).sum(axis=0)
        return both

    def _tail_means(
        self, world: World, transforms: list[Complex], place: int, tail: Array
    ) -> Array:
        """Of each position of a component: its loss, weighted by the tail of the whole."""
        component = world.components[place]
        _, normal = factor()
        own, others = world.weights, normal
        if component.kind == PRICES:
            own, others = others, own
        kinds = [c.kind for c in world.components]
        same = [i for i, kind in enumerate(kinds) if kind == component.kind and i != place]
        different = [i for i, kind in enumerate(kinds) if kind != component.kind]
        rest = self._products(transforms, same)
        other = (others[:, None] * np.broadcast_to(
            self._products(transforms, different), (NODES, rest.shape[1]))).sum(axis=0)
        lower, share = self.lattice.split(component)
        upper = np.minimum(lower + 1, len(tail) - 1)
        given = component.given_factor()
        mass = np.zeros(len(component.losses))
        for node in range(NODES):
            if node == 0 or len(rest) > 1:
                row = rest[node if len(rest) > 1 else 0]
                likely = self._back(self._shift(world) * row * other)
                # How much of the tail is reached from each point: a correlation.
                reach = np.fft.irfft(
                    np.fft.rfft(tail, 2 * len(tail)) * np.conj(np.fft.rfft(likely, 2 * len(tail)))
                )[: len(tail)]
            mass += own[node] * given[node] * ((1 - share) * reach[lower] + share * reach[upper])
        return np.asarray(mass @ component.losses)
