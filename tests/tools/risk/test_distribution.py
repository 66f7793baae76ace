"""The convolution against going through all combinations, and the published figures."""

import itertools
from math import sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools.risk.component import EVENTS, PRICES, Component, cdf, factor, quantile, tail_mean
from tools.risk.distribution import Distribution, World

BINS = 1 << 14


def event(name: str, probability: float, loss: float, otherwise: float = 0.0,
          rho: float = 0.0) -> Component:
    losses = np.array([[loss], [otherwise]])
    return Component(name, EVENTS, (name,), losses, np.array([probability, 1 - probability]), rho)


def whole(*components: Component, bins: int = BINS) -> Distribution:
    return Distribution([World(factor()[1], components)], bins)


def test_the_short_of_a_rare_outcome() -> None:
    """Short 10,000 YES at 0.8 %: the value at risk is a gain, the shortfall tells."""
    risk = whole(event("rare", 0.008, 9920.0, -80.0))
    assert risk.value_at_risk(0.99) == -80
    assert risk.expected_shortfall(0.975) == pytest.approx(3120, abs=1e-6)


@pytest.mark.parametrize(
    ("rho", "shortfall_975", "shortfall_99"),
    [(0.0, 20_600, 21_500), (0.3, 21_593, 23_982), (0.7, 23_933, 25_000), (0.999, 25_000, 25_000)],
)
def test_two_events(rho: float, shortfall_975: float, shortfall_99: float) -> None:
    """10 % of losing 5,000 and 3 % of losing 20,000, however they hang together."""
    risk = whole(event("a", 0.10, 5000.0, rho=rho), event("b", 0.03, 20_000.0, rho=rho))
    assert round(risk.expected_shortfall(0.975)) == shortfall_975
    assert round(risk.expected_shortfall(0.99)) == shortfall_99
    assert sum(risk.contributions(0.975).values()) == pytest.approx(shortfall_975, abs=0.5)


@st.composite
def components(draw: st.DrawFn) -> list[Component]:
    rho = draw(st.sampled_from((0.0, 0.3, 0.6)))
    found = []
    for number in range(draw(st.integers(1, 4))):
        kind = draw(st.sampled_from((EVENTS, PRICES)))
        atoms, positions = draw(st.integers(1, 4)), draw(st.integers(1, 2))
        losses = draw(st.lists(st.integers(-500, 500), min_size=atoms * positions,
                               max_size=atoms * positions))
        weights = np.array(draw(st.lists(st.integers(1, 9), min_size=atoms, max_size=atoms)), float)
        names = tuple(f"{number}.{i}" for i in range(positions))
        table = np.array(losses, float).reshape(atoms, positions)
        found.append(Component(str(number), kind, names, table, weights / weights.sum(), rho))
    return found


@given(components(), st.sampled_from((0.5, 0.9, 0.975)))
def test_against_all_combinations(given_components: list[Component], level: float) -> None:
    """Value, shortfall and each position's part, summed over every path through the factors."""
    risk = whole(*given_components)
    _, weights = factor()
    losses, likely, parts = [], [], []
    for chosen in itertools.product(*(range(len(c.losses)) for c in given_components)):
        probability = 1.0
        for kind in (EVENTS, PRICES):
            rows = [c.given_factor()[:, a] for c, a in zip(given_components, chosen, strict=True)
                    if c.kind == kind]
            probability *= float((weights * np.prod(rows, axis=0)).sum()) if rows else 1.0
        each = np.concatenate(
            [c.losses[a] for c, a in zip(given_components, chosen, strict=True)])
        losses.append(each.sum())
        likely.append(probability)
        parts.append(each)
    total, chance = np.array(losses), np.array(likely)
    assert risk.probabilities.sum() == pytest.approx(1, abs=1e-9)
    assert risk.expected_shortfall(level) == pytest.approx(
        tail_mean(total, chance, level), abs=1e-5)
    order = np.argsort(total, kind="stable")
    reached = np.cumsum(chance[order])
    assert risk.value_at_risk(level) in (
        pytest.approx(total[order][np.argmax(reached >= level - 1e-9)]),
        pytest.approx(total[order][np.argmax(reached >= level + 1e-9)]),
    )
    place = risk.value_at_risk(level)
    share = min(1.0, max(0.0, (1 - level - chance[total > place + 1e-6].sum())
                         / chance[abs(total - place) < 1e-6].sum()))
    tail = np.where(total > place + 1e-6, 1.0, np.where(abs(total - place) < 1e-6, share, 0.0))
    expected = (np.array(parts) * (tail * chance)[:, None]).sum(axis=0) / (tail * chance).sum()
    names = [name for c in given_components for name in c.positions]
    got = risk.contributions(level)
    assert [got[name] for name in names] == pytest.approx(list(expected), abs=1e-4)


def test_the_factor_leaves_the_marginals() -> None:
    for probability, rho in itertools.product((0.01, 0.2, 0.5), (0.1, 0.5)):
        component = event("a", probability, 1.0, rho=rho)
        _, weights = factor()
        assert weights @ component.given_factor()[:, 0] == pytest.approx(probability, rel=1e-6)
        nodes, _ = factor()
        formula = cdf((quantile(probability) + sqrt(rho) * nodes) / sqrt(1 - rho))
        assert component.given_factor()[:, 0] == pytest.approx(formula)


def test_what_has_no_common_step_is_split_and_keeps_its_mean() -> None:
    losses = np.sqrt(np.arange(1.0, 400.0))[:, None] * 37
    likely = np.full(len(losses), 1 / len(losses))
    risk = whole(Component("p", PRICES, ("p",), losses, likely), event("a", 0.1, 333.3), bins=4096)
    mean = float((risk.probabilities * risk.lattice.losses()).sum())
    assert mean == pytest.approx(float(losses.mean()) + 33.33, abs=1e-6)
    assert risk.lattice.step > 0.1
    sums = np.concatenate([losses[:, 0] + 333.3, losses[:, 0]])
    chances = np.concatenate([likely * 0.1, likely * 0.9])
    assert risk.expected_shortfall(0.975) == pytest.approx(
        tail_mean(sums, chances, 0.975), abs=risk.lattice.step)
