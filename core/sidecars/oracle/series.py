"""Recurring predictions: every period a new market that lists, trades, resolves and pays by itself.

      12:00                     12:05                     12:10        UTC, whole periods
        │ BTC-UP-…-1200 ──────────▶│ resolves, pays, is delisted
        │ strike: average before it│ BTC-UP-…-1205 ─────────▶│
       [w]                        [w]                       [w]

"Up" pays 1 if the average of the index over the last `window_ns` before the end is at or above the
one before the beginning: the strike of a market is what settled the one before it. A period whose
beginning had no live index has no market.

Series share the NUMBERS highest instrument numbers that the core has room for, so that a venue can
still grow by appending. When all were used, that of the market which has been gone longest is used
again: a number means another market after hours, never after minutes.
"""

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from core.market_rules import PriceRules, canonical, document_hash
from core.reference import Instrument
from core.sidecars.books import PERPETUAL
from core.sidecars.oracle import history
from core.sidecars.oracle.history import COVERAGE_MIN_PERCENT, Average
from core.sidecars.oracle.rules import keep
from core.venue import Fixed

OPEN, DELISTED = 2, 8
NUMBERS = 64
LATE_SHARE = 2  # A market is not listed once half of its period is over.


@dataclass(frozen=True, slots=True)
class Series:
    """One series; periods in ns, tick and lot with exponent −8, numbers as the core has them."""

    asset: str
    period_ns: int
    window_ns: int
    tick: int
    lot: int
    highest_number: int

    @property
    def prefix(self) -> str:
        """How the symbols of the series begin; periods of different length have different ones."""
        return f"{self.asset}-UP{self.period_ns // 60_000_000_000}-"

    def symbol(self, begin: int) -> str:
        """The symbol of the market that begins at a time."""
        return self.prefix + datetime.fromtimestamp(begin / 1e9, UTC).strftime("%y%m%d%H%M")

    def has(self, symbol: str) -> bool:
        """Whether a symbol is one of this series."""
        return symbol.startswith(self.prefix)

    def listing(
        self, connection: sqlite3.Connection, asset: int, now: int,
        listed: Mapping[int, Instrument],
    ) -> dict[str, Any] | None:
        """The fields of ListInstrument for the period of `now`; None if there is to be no market.

        asset: the underlying's number. listed: what the core has ever listed, by number.
        """
        begin = now - now % self.period_ns
        if now - begin > self.period_ns // LATE_SHARE:
            return None
        start = begin - self.window_ns
        found = history.samples(connection, asset, start, begin)
        mean = history.average(found, start, begin)
        if mean is None or mean.covered_percent < COVERAGE_MIN_PERCENT:
            return None
        number = free_number(listed, self.highest_number)
        if number == 0:
            return None
        end = begin + self.period_ns
        rules = self.rules(begin, end, mean)
        keep(connection, rules)
        return {
            "instrument": number, "symbol": self.symbol(begin), "kind": "PriceAbove",
            "state": OPEN, "baseAsset": asset, "quoteAsset": 0, "event": 0, "outcome": 0,
            "tickSize": self.tick, "lotSize": self.lot, "minimumQty": 0, "maximumQty": 0,
            "maximumPrice": 0, "lowerStrike": mean.price, "upperStrike": None, "expiry": end,
            "marginBaseInitial": 0, "marginBaseMaintenance": 0, "marginFactorInitial": 0,
            "marginFactorMaintenance": 0, "positionLimit": 0, "priceBand": 0,
            "rulesHash": document_hash(rules), "title": self.title(begin, end),
        }

    def rules(self, begin: int, end: int, strike: Average) -> bytes:
        """What a market is listed under: all that decides it, with where its strike came from."""
        return canonical(PriceRules(
            market=self.symbol(begin), underlying=self.asset, condition="above",
            low=Fixed(strike.price), expires=datetime.fromtimestamp(end / 1e9, UTC).isoformat(),
            averaging_seconds=self.window_ns // 1_000_000_000, strike_samples=strike.evidence.hex(),
        ))

    def title(self, begin: int, end: int) -> str:
        """What the market asks."""
        first, last = (datetime.fromtimestamp(t / 1e9, UTC) for t in (begin, end))
        return f"{self.asset} up from {first:%Y-%m-%d %H:%M} to {last:%H:%M} UTC"


def free_number(listed: Mapping[int, Instrument], highest: int) -> int:
    """The number for the next market of a series; 0 while all are taken."""
    numbers = range(highest, max(highest - NUMBERS, 0), -1)
    for number in numbers:
        if number not in listed:
            return number
    gone = [
        (listed[number].state_time, number) for number in numbers
        if listed[number].state == DELISTED and listed[number].kind > PERPETUAL
        and not listed[number].event
    ]
    return min(gone)[1] if gone else 0
