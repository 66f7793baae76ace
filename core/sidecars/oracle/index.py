"""The index: a weighted median of the sources that are fresh and agree.

    quotes ─▶ not older than their limit ─▶ within their deviation of the median ─▶ median again

    sources that decide   state       price
    at least the minimum  LIVE        their weighted median
    fewer, up to a minute DEGRADED    the last live one: no new risk and no liquidation by it
    fewer for longer      DEGRADED    the median of those there are: liquidation goes by it again
    no other for longer   STALE       the last live one: marks freeze, only reducing orders

No source outweighs the others: in a weighted median one that lies moves the result to its
neighbour at most. Our own book is one source among the N that decide, whatever weight it was given:
it weighs at most a share of 1/N, and alone it makes no index. Whoever moves it
moves the price by which he is judged no further than any other venue's.
"""

from collections.abc import Sequence
from typing import NamedTuple

from core.sidecars.oracle.sources import SECOND, Quote, Source

LIVE, DEGRADED, STALE = 0, 1, 2
DEGRADED_NS = 60 * SECOND
MILLION = 1_000_000


class Weighed(NamedTuple):
    """A source with its weight and its limits: age in ns, deviation in parts per million."""

    name: str
    source: Source
    weight: int
    stale_ns: int
    deviation: int
    own: bool = False  # our own book


class IndexPrice(NamedTuple):
    """What the index says: price (exponent −8), state, how many and which sources decided."""

    price: int
    state: int
    sources: int
    names: tuple[str, ...]


class Index:
    """The index of one asset."""

    def __init__(self, sources: Sequence[Weighed], sources_min: int) -> None:
        self._sources = list(sources)
        self._sources_min = sources_min
        self._price = 0
        self._live_at = 0

    def update(self, now: int) -> IndexPrice | None:
        """The index at `now`; None as long as it has never been live."""
        fresh = self._fresh(now)
        agreeing = agree(fresh)
        others = sum(not source.own for source, _ in agreeing)
        if others >= self._sources_min:
            self._price = weighted_median(capped(agreeing))
            self._live_at = now
            names = tuple(s.name for s, _ in agreeing)
            return IndexPrice(self._price, LIVE, len(agreeing), names)
        if self._price == 0:
            return None
        price, state = self._price, DEGRADED
        if now - self._live_at > DEGRADED_NS:
            if others:
                price = weighted_median(capped(agreeing))
            else:
                state = STALE
        return IndexPrice(price, state, len(agreeing), tuple(s.name for s, _ in agreeing))

    def add(self, source: Weighed) -> None:
        """One more source."""
        self._sources.append(source)

    def resume(self, price: int, live_at: int) -> None:
        """Go on from what a process before this one last knew."""
        self._price, self._live_at = price, live_at

    def _fresh(self, now: int) -> list[tuple[Weighed, Quote]]:
        fresh = []
        for source in self._sources:
            quote = source.source.latest(now)
            # A quote from the future is as suspect as one from the past.
            if quote is not None and abs(now - quote.time) <= source.stale_ns:
                fresh.append((source, quote))
        return fresh


def agree(quotes: Sequence[tuple[Weighed, Quote]]) -> list[tuple[Weighed, Quote]]:
    """Those within their own deviation limit of the weighted median of all."""
    if not quotes:
        return []
    middle = weighted_median(capped(quotes))
    return [
        (source, quote)
        for source, quote in quotes
        if abs(quote.price - middle) * MILLION <= source.deviation * middle
    ]


def capped(quotes: Sequence[tuple[Weighed, Quote]]) -> list[tuple[int, int]]:
    """Prices with their weights, that of our own book at most the mean of the others'."""
    others = [source.weight for source, _ in quotes if not source.own]
    if not others:
        return [(quote.price, source.weight) for source, quote in quotes]
    # Weights times the number of others, so that the mean of those is a whole number.
    return [
        (quote.price, min(source.weight * len(others), sum(others)) if source.own
         else source.weight * len(others))
        for source, quote in quotes
    ]


def weighted_median(values: Sequence[tuple[int, int]]) -> int:
    """The value at which half of the weight lies on either side; between two, their mean."""
    ordered = sorted(values)
    half = sum(weight for _, weight in ordered)
    passed = 0
    for place, (value, weight) in enumerate(ordered):
        passed += 2 * weight
        if passed == half:
            return (value + ordered[place + 1][0]) // 2
        if passed > half:
            return value
    raise ValueError("a median needs at least one value with a weight")
