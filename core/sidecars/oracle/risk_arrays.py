"""Risk arrays: what each price link would be worth after a move of its underlying, by column.

    nodes     the grid of the initial and of the maintenance range, the extremes, and both sides
              of every strike that may settle within the horizon and lies within the range
    columns   (0, high) (0, low) (first expiry settled, high) … up to three expiries ahead

What a link is worth in each is in `valuation`. A link whose strike or expiry finds no room among
nodes and columns is given λ = 0: it stands alone, which is never too little (UPM-1, 3.3).
"""

from collections.abc import Sequence
from fractions import Fraction
from typing import Any, NamedTuple

from core.sidecars.oracle import valuation
from core.sidecars.oracle.marks import PRICE_ABOVE, PRICE_BELOW
from core.sidecars.oracle.sources import ONE, SECOND
from core.sidecars.oracle.valuation import MILLION, Contract

NETTED = 900  # 1e-3: 1 − κ₀
ROLL_NS = 3600 * SECOND  # before an expiry the hedge fades away over this time
HORIZON_NS = 24 * 3600 * SECOND
HORIZON = HORIZON_NS // SECOND
HIGH, LOW = Fraction(13, 10), Fraction(7, 10)
EXTREMES = (-660_000, -330_000, 500_000, 1_000_000, 2_000_000)
NODES_MAX, LEVELS_MAX, LINKS_MAX = 64, 3, 64


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
    contract = _contract(link)
    seconds = Fraction(link.expiry - now, SECOND)
    exact = Fraction(volatility)
    spreads = (
        valuation.spread(exact, HIGH, seconds, seconds),
        valuation.spread(exact, LOW, seconds, HORIZON),
    )
    values = []
    for node in nodes:
        move = Fraction(node.delta, MILLION)
        alive = [valuation.alive(contract, index, move, spread) for spread in spreads]
        price = node.strike or index * (MILLION + node.delta) // MILLION
        settled = MILLION * valuation.pays(contract, price, node.beyond)
        for level in (0, *levels):
            values += [settled, settled] if link.expiry <= level else alive
    return values


def _contract(link: Link) -> Contract:
    return Contract(
        None if link.kind == PRICE_BELOW else link.lower,
        None if link.kind == PRICE_ABOVE else link.upper,
        Fraction(link.mark, ONE),
    )
