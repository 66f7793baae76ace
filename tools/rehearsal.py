"""A recorded venue's five-minute markets, run through as a recurring series of ours.

    one-minute bars ─▶ an index sample each second, straight between open and close
                            │ recorded as the oracle records what the core publishes
                            ▼
    each period ─▶ Series.listing ─▶ strike ─▶ … ─▶ settlement_average ─▶ comes_true
                                                                              │ the same?
    the venue's own resolutions ──────────────────────────────────────────────┘

These are the oracle's own functions over its own tables; there is no exchange and no waiting. The
recorded venue settles on an on-chain feed at one instant, we on the mean of a window of another
exchange's prices: where the two ends of a period are close together the two may differ, and that is
what a difference is held against.
"""

import csv
import gzip
import itertools
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from core.errors import CoreError
from core.reference import Instrument
from core.sidecars.oracle import history
from core.sidecars.oracle.history import Sample
from core.sidecars.oracle.index import LIVE
from core.sidecars.oracle.outcomes import comes_true
from core.sidecars.oracle.rules import DOCUMENTS
from core.sidecars.oracle.series import Series

SECOND, MINUTE = 1_000_000_000, 60
ONE = 10**8
ASSET = 1
BARS, MARKETS = "binance_btc.csv.gz", "polymarket_btc.csv.gz"
DECIDED = (0.0, 1.0)  # Other prices are of markets that had not ended when they were recorded.


class NoRecording(CoreError):
    """The folder does not hold what is needed."""


class Bar(NamedTuple):
    """One minute: prices at its beginning and its end, USD."""

    open: float
    close: float


class Market(NamedTuple):
    """One market of ours beside the recorded one: did it go up, and by how much (exponent −8)."""

    begin: int  # seconds UTC
    ours: bool
    recorded: bool
    moved: int
    window_moved: int  # by how much the index moved within the window that settled it


@dataclass
class Rehearsal:
    """What came out."""

    markets: list[Market] = field(default_factory=list)
    unlisted: int = 0  # periods whose beginning had no live index
    unresolved: int = 0
    undecided: int = 0  # recorded without a resolution
    uncovered: int = 0  # recorded, and the bars do not reach there

    @property
    def agreeing(self) -> int:
        """Markets that both sides resolved in the same way."""
        return sum(market.ours == market.recorded for market in self.markets)

    @property
    def apart(self) -> list[Market]:
        """The others, those that moved most first."""
        found = [market for market in self.markets if market.ours != market.recorded]
        return sorted(found, key=lambda market: -abs(market.moved))


def read_bars(folder: Path) -> dict[int, Bar]:
    """By the second UTC in which the minute begins. Raises NoRecording."""
    return {
        int(datetime.fromisoformat(row["open_time"]).replace(tzinfo=UTC).timestamp()):
        Bar(float(row["open"]), float(row["close"]))
        for row in _rows(folder / BARS)
    }


def read_markets(folder: Path) -> dict[int, float]:
    """What one YES was worth in the end, by the second UTC in which the period begins."""
    return {
        int(row["slug"].rpartition("-")[2]): float(row["yes_price"])
        for row in _rows(folder / MARKETS)
    }


def _rows(path: Path) -> Iterator[dict[str, str]]:
    try:
        with gzip.open(path, "rt") as file:
            yield from csv.DictReader(file)
    except OSError as error:
        raise NoRecording(f"{path}: {error.strerror or error}") from error


def rehearse(folder: Path, window_seconds: int = 30, period_seconds: int = 300) -> Rehearsal:
    """Run all recorded markets of a folder through. Raises NoRecording."""
    bars, recorded = read_bars(folder), read_markets(folder)
    series = Series("BTC", period_seconds * SECOND, window_seconds * SECOND, ONE // 100, ONE, 64)
    connection = sqlite3.connect(":memory:")
    connection.executescript(history.MIGRATION + DOCUMENTS)
    _record(connection, bars)
    result = Rehearsal()
    for begin, price in sorted(recorded.items()):
        if begin - MINUTE not in bars or begin + period_seconds not in bars:
            result.uncovered += 1
        elif price not in DECIDED:
            result.undecided += 1
        else:
            _one(connection, series, begin, price == 1.0, result)
    connection.close()
    return result


def _record(connection: sqlite3.Connection, bars: dict[int, Bar]) -> None:
    """The index of every second that a bar covers; stale behind the last before a gap."""
    numbers = itertools.count(1)
    for minute, bar in sorted(bars.items()):
        for second in range(MINUTE):
            price = round((bar.open + (bar.close - bar.open) * second / MINUTE) * ONE)
            sample = Sample((minute + second) * SECOND, next(numbers), price, LIVE)
            history.record(connection, ASSET, sample)


def _one(
    connection: sqlite3.Connection, series: Series, begin: int, recorded: bool, result: Rehearsal
) -> None:
    listing = series.listing(connection, ASSET, begin * SECOND, {})
    if listing is None:
        result.unlisted += 1
        return
    expiry = listing["expiry"]
    found = history.settlement_average(
        connection, ASSET, expiry, series.window_ns, expiry + series.window_ns
    )
    if found is None:
        result.unresolved += 1
        return
    mean, end = found
    market = Instrument(
        1, listing["symbol"], 4, 2, ASSET, 0, 0, 0, series.tick, series.lot, series.lot,
        series.lot, ONE, listing["lowerStrike"], None, expiry, 1, bytes(32), listing["title"],
        listed_time=begin * SECOND, state_time=begin * SECOND,
    )
    window = history.samples(connection, ASSET, end - series.window_ns, end)
    moved = max(sample.price for sample in window) - min(sample.price for sample in window)
    ours = comes_true(market, mean.price)
    result.markets.append(
        Market(begin, ours, recorded, mean.price - listing["lowerStrike"], moved)
    )
