"""The worst pairs of outcome and price, and what each leaves of the account.

A scenario is a move of all prices, perhaps to one underlying's strike, and an outcome of each
event. Losses add up over its parts, so the ten worst come out of the sorted parts without going
through all combinations. What is left then is judged by the margin model: equity, requirements, and
whether the account would be liquidated.
"""

import heapq
from collections.abc import Mapping, Sequence
from dataclasses import replace
from fractions import Fraction

import msgspec
import numpy as np

from core.margin_reference.account import equity, requirement
from core.margin_reference.case import Case, Group, Model, Outcome, Underlying
from tools.risk import prices
from tools.risk.assumptions import Assumptions
from tools.risk.events import outcome_names

WORST = 10
_NEAR = Fraction(1, 10**9)
_PLACES = 10**12


class Standing(msgspec.Struct, frozen=True):
    """An account by its three numbers (USD)."""

    equity: float
    initial: float
    maintenance: float

    @property
    def liquidated(self) -> bool:
        """Whether it is below what maintains it."""
        return self.equity < self.maintenance


class Scenario(msgspec.Struct, frozen=True):
    """What happens (`outcomes` by event, `moves` by underlying), and what is left."""

    outcomes: dict[str, str]
    moves: dict[str, float]
    loss: float
    after: Standing
    liquidated: bool


def standing(case: Case, model: Model) -> Standing:
    """The three numbers of an account as it is."""
    return Standing(
        float(equity(case)), float(requirement(case, model, "im")[0]),
        float(requirement(case, model, "mm")[0]),
    )


def worst(case: Case, model: Model, assumptions: Assumptions) -> list[Scenario]:
    """The ten that cost most."""
    horizon = assumptions.horizon_seconds
    tables: list[list[tuple[float, object]]] = [[
        (_price_loss(case, moves, horizon), moves) for moves in _moves(case, assumptions)
    ]]  # fmt: skip
    tables += [
        [(_outcome_loss(group, place), place) for place in range(len(group.vertices))]
        for group in case.groups
    ]
    for table in tables:
        table.sort(key=lambda entry: -entry[0])
    found = []
    for chosen in _best(tables, WORST):
        moves = tables[0][chosen[0]][1]
        places = [tables[i + 1][place][1] for i, place in enumerate(chosen[1:])]
        assert isinstance(moves, dict)
        outcome = {g.name: p for g, p in zip(case.groups, places, strict=True)}
        found.append(_scenario(case, model, moves, outcome, horizon))  # type: ignore[arg-type]
    return found


def after_outcomes(case: Case, model: Model) -> list[Scenario]:
    """Each outcome of each event by itself, prices as they are."""
    return [
        _scenario(case, model, {}, {group.name: place}, 0.0)
        for group in case.groups
        for place in range(len(group.vertices))
    ]


def _best(tables: Sequence[Sequence[tuple[float, object]]], count: int) -> list[tuple[int, ...]]:
    """Places, one a table (each sorted, greatest first), of the greatest sums, greatest first."""
    start = (0,) * len(tables)
    heap = [(-sum(table[0][0] for table in tables), start)]
    seen = {start}
    found: list[tuple[int, ...]] = []
    while heap and len(found) < count:
        total, places = heapq.heappop(heap)
        found.append(places)
        for i, place in enumerate(places):
            following = (*places[:i], place + 1, *places[i + 1 :])
            if place + 1 < len(tables[i]) and following not in seen:
                seen.add(following)
                step = tables[i][place][0] - tables[i][place + 1][0]
                heapq.heappush(heap, (total + step, following))
    return found


def _moves(case: Case, assumptions: Assumptions) -> list[dict[str, Fraction]]:
    """All prices together by each assumed move, and each underlying alone around its strikes."""
    held = [u.name for u in case.underlyings]
    if not held:
        return [{}]
    grid = [Fraction(repr(move)) for move in assumptions.moves]
    together = [dict.fromkeys(held, move) for move in grid]
    for underlying in case.underlyings:
        for digital in underlying.digitals:
            for strike in (digital.low, digital.high):
                if strike is not None and digital.quantity != 0:
                    to = strike / underlying.index - 1
                    near = (to, to - _NEAR) if to - _NEAR > -1 else (to,)
                    together += [{underlying.name: move} for move in near]
    return [moves for i, moves in enumerate(together) if moves not in together[:i]]


def _price_loss(case: Case, moves: Mapping[str, Fraction], horizon: float) -> float:
    return sum(float(_moved(u, moves.get(u.name, Fraction(0)), horizon)[2])
               for u in case.underlyings)  # fmt: skip


def _outcome_loss(group: Group, place: int) -> float:
    return float(sum(
        (o.quantity * (o.mark - v)
         for o, v in zip(group.outcomes, group.vertices[place], strict=True)), Fraction(0),
    ))  # fmt: skip


def _moved(
    underlying: Underlying, move: Fraction, horizon: float
) -> tuple[Underlying, Fraction, Fraction]:
    """The underlying after a move: itself, USDC that expired links paid, and what was lost."""
    paid = lost = Fraction(0)
    alive = []
    for digital in underlying.digitals:
        worth = prices.value(digital, underlying, horizon, np.array([float(move)]))
        then = Fraction(round(float(worth[0]) * _PLACES), _PLACES)
        lost += digital.quantity * (digital.mark - then)
        left = digital.seconds - Fraction(horizon)
        if left <= 0:
            paid += digital.quantity * then
        else:
            alive.append(replace(digital, mark=then, seconds=left))
    linear = underlying.balance * underlying.index + underlying.quantity * underlying.mark
    grown = 1 + move
    after = replace(
        underlying, index=underlying.index * grown, stable=underlying.stable * grown,
        mark=underlying.mark * grown, digitals=tuple(alive),
    )
    return after, paid, lost - linear * move


def _scenario(
    case: Case, model: Model, moves: Mapping[str, Fraction], outcome: Mapping[str, int],
    horizon: float,
) -> Scenario:
    """The account after the moves and the outcomes; events not named stay open."""
    usdc = case.usdc
    underlyings = []
    for underlying in case.underlyings:
        move = moves.get(underlying.name)
        if move is not None or horizon:
            underlying, paid, _ = _moved(underlying, move or Fraction(0), horizon)
            usdc += paid
        underlyings.append(underlying)
    groups = []
    names = {}
    for group in case.groups:
        place = outcome.get(group.name)
        if place is None:
            groups.append(group)
            continue
        names[group.name] = outcome_names(group)[place]
        usdc += sum((o.quantity * v for o, v in _paid(group, place)), Fraction(0))
    after = replace(case, usdc=usdc, underlyings=tuple(underlyings), groups=tuple(groups))
    left = standing(after, model)
    return Scenario(
        names, {name: float(move) for name, move in moves.items()},
        float(equity(case) - equity(after)), left, left.liquidated,
    )


def _paid(group: Group, place: int) -> list[tuple[Outcome, Fraction]]:
    return list(zip(group.outcomes, group.vertices[place], strict=True))
