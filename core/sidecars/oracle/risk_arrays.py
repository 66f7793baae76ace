"""Risk arrays: what each price link would be worth after a move of its underlying, by column.

    nodes     the grid of the initial and of the maintenance range, the extremes, and both sides
              of every strike that may settle within the horizon and lies within the range
    columns   (0, high) (0, low) (first expiry settled, high) … up to three expiries ahead

A link that is alive in a column keeps its distance from the mark in standard deviations, moved by
the move: Φ(Φ⁻¹(m) ± ln(1 + δ) / s), or for a range m plus what the model says the move changes. s
is the listed volatility over the time left, times 1.3 (high) or 0.7 (low, aged by the horizon). A
settled one pays 0 or 1 on that side of its strike. A link whose strike or expiry finds no room
among nodes and columns is given λ = 0: it stands alone, which is never too little.

Floats decide here and nowhere else: what leaves are integers, parts per million (UPM-1, 3.3).
"""

import math
from collections.abc import Sequence
from fractions import Fraction
from statistics import NormalDist
from typing import Any, NamedTuple

from core.sidecars.oracle.marks import PRICE_ABOVE, PRICE_BELOW, PRICE_RANGE, years_until
from core.sidecars.oracle.sources import ONE, SECOND

MILLION = 1_000_000
NETTED = 900  # 1e-3: 1 − κ₀
ROLL_NS = 3600 * SECOND  # before an expiry the hedge fades away over this time
HORIZON_NS = 24 * 3600 * SECOND
HIGH, LOW = 1.3, 0.7
EXTREMES = (-660_000, -330_000, 500_000, 1_000_000, 2_000_000)
NODES_MAX, LEVELS_MAX, LINKS_MAX = 64, 3, 64
MARK_MIN = 0.001

_normal = NormalDist()


class Link(NamedTuple):
    """A live price link: strikes and mark with exponent −8, expiry in ns UTC."""

    instrument: int
    kind: int
    lower: int
    upper: int
    expiry: int
    mark: int


class Node(NamedTuple):
    """A move in parts per million; at a strike, which one and from which side."""

    delta: int
    strike: int = 0
    beyond: bool = True


class Ranges(NamedTuple):
    """The initial and the maintenance range of an underlying, parts per million."""

    initial: int
    maintenance: int


def risk_arrays(
    links: Sequence[Link], index: int, now: int, volatility: float, ranges: Ranges
) -> dict[str, Any]:
    """The fields of SetRiskArray but for key and asset; index with exponent −8, volatility a year.

    Links that have expired must not be given.
    """
    chosen = sorted(links, key=lambda link: (link.expiry, link.instrument))[:LINKS_MAX]
    front = [link for link in chosen if link.expiry - now <= HORIZON_NS]
    levels = sorted({link.expiry for link in front})[:LEVELS_MAX]
    nodes = grid(ranges)
    near = _near_strikes(front, index, ranges.initial)
    fitting = near[: (NODES_MAX - len(nodes)) // 2]
    nodes += [Node(move_to(k, index), k, beyond) for k in fitting for beyond in (False, True)]
    left_out = set(near[len(fitting):])
    arrays, values = [], []
    for link in chosen:
        ages = link.expiry - now <= HORIZON_NS and link.expiry not in levels
        alone = ages or not left_out.isdisjoint(_strikes(link))
        netted = 0 if alone else NETTED * min(link.expiry - now, ROLL_NS) // ROLL_NS
        arrays.append({"instrument": link.instrument, "netted": netted})
        values += _array(link, index, now, volatility, nodes, levels)
    return {
        "columns": 2 * (1 + len(levels)), "version": now, "sigmaInitial": ranges.initial,
        "sigmaMaintenance": ranges.maintenance, "index": index,
        "nodes": [{"delta": node.delta} for node in nodes],
        "arrays": arrays, "values": [{"value": value} for value in values],
    }


def grid(ranges: Ranges) -> list[Node]:
    """Thirds of both ranges, and the extremes."""
    moves = {round(sigma * third / 3) for sigma in ranges for third in range(-3, 4)}
    return [Node(delta) for delta in (*sorted(moves), *EXTREMES)]


def move_to(price: int, index: int) -> int:
    """How far a price is from the index, parts per million."""
    return round(Fraction((price - index) * MILLION, index))


def _strikes(link: Link) -> tuple[int, ...]:
    if link.kind == PRICE_ABOVE:
        return (link.lower,)
    if link.kind == PRICE_BELOW:
        return (link.upper,)
    return (link.lower, link.upper)


def _near_strikes(front: Sequence[Link], index: int, range_: int) -> list[int]:
    """Strikes within the range, nearest first."""
    strikes = {strike for link in front for strike in _strikes(link)}
    near = [strike for strike in strikes if abs(strike - index) * MILLION <= range_ * index]
    return sorted(near, key=lambda strike: (abs(strike - index), strike))


def _array(
    link: Link, index: int, now: int, volatility: float, nodes: Sequence[Node],
    levels: Sequence[int],
) -> list[int]:
    """Values of one link, node by node, in each the columns."""
    left = link.expiry - now
    aged = left - HORIZON_NS if left > HORIZON_NS else left
    spreads = (
        HIGH * volatility * math.sqrt(years_until(link.expiry, now)),
        LOW * volatility * math.sqrt(years_until(now + aged, now)),
    )
    values = []
    for node in nodes:
        alive = [_alive(link, index, node.delta / MILLION, spread) for spread in spreads]
        settled = MILLION * pays(link, index, node)
        for level in (0, *levels):
            values += [settled, settled] if link.expiry <= level else alive
    return values


def _alive(link: Link, index: int, delta: float, spread: float) -> int:
    """Value of a link that is still open, parts per million."""
    mark = link.mark / ONE
    if delta <= -1.0:
        moved = 0.0 if link.kind != PRICE_BELOW else 1.0
    elif link.kind == PRICE_RANGE:
        price = index * (1 + delta)
        moved = mark + _between(link, price, spread) - _between(link, index, spread)
    else:
        anchor = min(max(mark, MARK_MIN), 1 - MARK_MIN)
        shift = math.log1p(delta) / spread * (1 if link.kind == PRICE_ABOVE else -1)
        moved = mark + _normal.cdf(_normal.inv_cdf(anchor) + shift) - anchor
    return round(min(max(moved, 0.0), 1.0) * MILLION)


def _between(link: Link, price: float, spread: float) -> float:
    def beyond(strike: int) -> float:
        return _normal.cdf(math.log(price / strike) / spread - spread / 2)

    return beyond(link.lower) - beyond(link.upper)


def pays(link: Link, index: int, node: Node) -> bool:
    """Whether a link pays at a node: low < or <= price < high, at a strike by its side."""
    price = node.strike or index * (MILLION + node.delta) // MILLION
    beyond = node.beyond
    if link.kind != PRICE_BELOW and (price < link.lower or (price == link.lower and not beyond)):
        return False
    return link.kind == PRICE_ABOVE or price < link.upper or (price == link.upper and not beyond)
