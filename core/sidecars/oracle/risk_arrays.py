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
INITIAL, MAINTENANCE, EXTREME = 1, 2, 4  # scans of a node
EXTREMES = (-660_000, -330_000, 500_000, 1_000_000, 2_000_000)
LEVEL_FIELDS = ("firstExpiry", "secondExpiry", "thirdExpiry")
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
    """A move, which scans it belongs to, and at a strike which one and from which side."""

    move: Fraction
    scans: int
    strike: int = 0
    beyond: bool = True

    def fields(self) -> dict[str, int]:
        """As SetRiskArray has it."""
        return {
            "delta": round(self.move * MILLION), "scans": self.scans, "strike": self.strike,
            "numerator": self.move.numerator, "denominator": self.move.denominator,
        }


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
    near = _near_strikes(front, index, max(ranges))
    fitting = near[: (NODES_MAX - len(nodes)) // 2]
    nodes += [node for strike in fitting for node in sides(strike, index, ranges)]
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
        **dict(zip(LEVEL_FIELDS, (*levels, 0, 0, 0), strict=False)),
        "nodes": [node.fields() for node in nodes],
        "arrays": arrays, "values": [{"value": value} for value in values],
    }


def grid(ranges: Ranges) -> list[Node]:
    """Thirds of both ranges, and the extremes."""
    scans: dict[Fraction, int] = {}
    for sigma, scan in ((ranges.maintenance, MAINTENANCE), (ranges.initial, INITIAL)):
        for move in valuation.thirds(Fraction(sigma, MILLION)):
            # The initial scan takes both ranges.
            scans[move] = scans.get(move, 0) | INITIAL | scan
    moves = [Node(move, scan) for move, scan in scans.items()]
    return [*moves, *(Node(Fraction(extreme, MILLION), EXTREME) for extreme in EXTREMES)]


def sides(strike: int, index: int, ranges: Ranges) -> list[Node]:
    """Both sides of a strike, for the scans whose range it lies in."""
    move = Fraction(strike - index, index)
    reach = abs(move) * MILLION
    scans = INITIAL * (reach <= ranges.initial) | MAINTENANCE * (reach <= ranges.maintenance)
    return [Node(move, scans, strike, beyond) for beyond in (False, True)]


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
        alive = [valuation.alive(contract, index, node.move, spread) for spread in spreads]
        price = node.strike or index * (1 + node.move)
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
