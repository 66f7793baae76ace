"""An account's risk: the figures of one case, with its worst scenarios and what made them.

    loss > 0 is money lost against today's marks, over the horizon; resting orders are not in it

The exact maximum loss is over all prices and outcomes there can be, whatever their probability:
each event's worst vertex, each strip's worst price, a linear position to the end of its road.
"""

import itertools
from fractions import Fraction

import msgspec
import numpy as np

from core.margin_reference.case import Case, Group, Model, Underlying
from core.margin_reference.links import strip_loss
from tools.risk import events, prices
from tools.risk.assumptions import AssumptionError, Assumptions, Link
from tools.risk.component import Component, factor, standalone, tail_mean
from tools.risk.distribution import Distribution, World
from tools.risk.scenarios import Scenario, Standing, after_outcomes, standing, worst

SHORTFALL, VALUE = 0.975, 0.99
WORLDS_MAX = 64


class Figures(msgspec.Struct, frozen=True):
    """Everything said of one account; amounts in USD. `maximum_loss` is None without a bound."""

    id: str
    now: Standing
    expected_shortfall: float
    value_at_risk: float
    maximum_loss: float | None
    band: dict[str, float]  # the shortfall if independent, as assumed, and at worst
    contributions: dict[str, float]  # to the shortfall, by position
    worst: list[Scenario]
    outcomes: list[Scenario]
    lattice_step: float


def measure(case: Case, model: Model, assumptions: Assumptions) -> tuple[Figures, Distribution]:
    """The figures of a case and the distribution behind them. Raises AssumptionError."""
    worlds = worlds_of(case, assumptions)
    whole = Distribution(worlds, assumptions.bins)
    apart = msgspec.structs.replace(assumptions, rho=0.0, rho_of={}, price_correlation=0.0)
    alone = Distribution(worlds_of(case, apart), assumptions.bins)
    shortfall = whole.expected_shortfall(SHORTFALL)
    contributions = whole.contributions(SHORTFALL)
    independent = alone.expected_shortfall(SHORTFALL)
    largest = maximum_loss(case)
    return Figures(
        case.id, standing(case, model), shortfall, whole.value_at_risk(VALUE),
        None if largest is None else float(largest),
        {
            "independent": independent, "assumed": shortfall,
            "worst": max(comonotonic(worlds), shortfall, independent),  # To the lattice's step.
        },
        dict(sorted(contributions.items(), key=lambda item: -item[1])),
        worst(case, model, assumptions), after_outcomes(case, model), whole.lattice.step,
    ), whole


def comonotonic(worlds: list[World]) -> float:
    """The sum of the shortfalls of all components alone: the most that any dependence can do.

    Of several worlds, which are apart for what is linked, the mean.
    """
    total = 0.0
    for world in worlds:
        sums = [tail_mean(*standalone(component), SHORTFALL) for component in world.components]
        total += float(world.weights.sum()) * sum(sums)
    return total


def worlds_of(case: Case, assumptions: Assumptions) -> list[World]:
    """The components of the account, in each combination of linked outcomes."""
    made = [events.component(group, assumptions) for group in case.groups]
    linked = _linked(case, assumptions.links)
    held = [u for u in case.underlyings if _at_stake(u)]
    correlation = assumptions.price_correlation if len(held) > 1 else 0.0
    _, normal = factor()
    worlds = []
    places = [range(len(made[i][1])) if case.groups[i].name in linked else (-1,)
              for i in range(len(made))]  # fmt: skip
    for chosen in itertools.product(*places):
        weights = normal.copy()
        components: list[Component] = []
        links: dict[str, Link] = {}
        for place, group, (component, names) in zip(chosen, case.groups, made, strict=True):
            if place < 0:
                components.append(component)
                continue
            weights = weights * component.given_factor()[:, place]
            components.append(component.at(place))
            links |= {
                link.underlying: link for link in assumptions.links
                if link.group == group.name and link.outcome == names[place]
            }
        components += [
            prices.component(u, assumptions, correlation, links.get(u.name)) for u in held
        ]
        worlds.append(World(weights, tuple(components)))
    if len(worlds) > WORLDS_MAX:
        raise AssumptionError(f"links: {len(worlds)} combinations, expected at most {WORLDS_MAX}")
    return worlds if any(w.components for w in worlds) else [_nothing(worlds[0])]


def _nothing(world: World) -> World:
    """Of an account without positions: one source that loses nothing."""
    none = Component("nothing", "events", (), np.zeros((1, 0)), np.ones(1))
    return World(world.weights, (none,))


def _linked(case: Case, links: tuple[Link, ...]) -> set[str]:
    """The events that links speak of. Raises AssumptionError for one that isn't there."""
    groups = {group.name: events.outcome_names(group) for group in case.groups}
    for link in links:
        if link.group not in groups or link.outcome not in groups[link.group]:
            raise AssumptionError(f"links: there is no outcome {link.outcome} of {link.group}")
        if link.underlying not in [u.name for u in case.underlyings]:
            raise AssumptionError(f"links: there is no underlying {link.underlying}")
    return {link.group for link in links}


def _at_stake(underlying: Underlying) -> bool:
    digitals = any(digital.quantity != 0 for digital in underlying.digitals)
    return underlying.balance != 0 or underlying.quantity != 0 or digitals


def maximum_loss(case: Case) -> Fraction | None:
    """The most that can be lost, exactly; None if there is no such number."""
    total = sum((_event_loss(group) for group in case.groups), Fraction(0))
    for underlying in case.underlyings:
        loss = _price_loss(underlying)
        if loss is None:
            return None
        total += loss
    return total


def _event_loss(group: Group) -> Fraction:
    return max(
        sum((o.quantity * (o.mark - v) for o, v in zip(group.outcomes, vertex, strict=True)),
            Fraction(0))
        for vertex in group.vertices
    )  # fmt: skip


def _price_loss(underlying: Underlying) -> Fraction | None:
    """Linear positions can lose all they are worth, strips at each expiry what they lose at worst.

    Between two expiries the price can go anywhere, so the worst of each adds up.
    """
    linear = underlying.balance * underlying.index + underlying.quantity * underlying.mark
    if linear < 0:
        return None
    expiries = {digital.seconds for digital in underlying.digitals}
    return linear + sum(
        (strip_loss([d for d in underlying.digitals if d.seconds == expiry])
         for expiry in expiries), Fraction(0),
    )  # fmt: skip
