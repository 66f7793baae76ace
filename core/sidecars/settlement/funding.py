"""Funding of perpetuals: the mean premium over the hour, a fraction of it, clamped.

    rate = clamp(mean of premium × interval / 8 h, ± bound, ± the market's cap)    1e-9 of notional

Every MarkPriceChanged carries the premium of the impact mid over the index at that moment (1e-9);
they come once a second, and their mean over the interval is taken. As a premium of p is paid off
over eight hours, an hour's funding is an eighth of it. Above zero longs pay shorts. The bound is
the configuration's, the cap a risk parameter: beyond it the core refuses.
"""

import sqlite3
from typing import Any

PREMIUM_PERIOD_NS = 8 * 3600 * 1_000_000_000

MIGRATION = """
    CREATE TABLE premium (
        instrument INTEGER PRIMARY KEY,
        total INTEGER NOT NULL,
        samples INTEGER NOT NULL
    ) STRICT;
"""

CAPS = """
    CREATE TABLE funding_cap (instrument INTEGER PRIMARY KEY, rate INTEGER NOT NULL) STRICT;
"""
FUNDING_RATE_CAP, APPLIED = 33, 1  # RiskParameter, RiskProposalState


class Premiums:
    """Sums of premiums since the last funding, instrument by instrument, kept over restarts."""

    def __init__(self, connection: sqlite3.Connection, bound: int, interval_ns: int) -> None:
        self._connection = connection
        self._bound = bound
        self._interval_ns = interval_ns
        self._sums: dict[int, tuple[int, int]] = {
            instrument: (total, samples)
            for instrument, total, samples in connection.execute("SELECT * FROM premium")
        }
        self._caps: dict[int, int] = dict(
            connection.execute("SELECT instrument, rate FROM funding_cap").fetchall()
        )
        self._changed: set[int] = set()

    def on_parameter(self, fields: dict[str, Any]) -> None:
        """A market's cap on the rate has changed; 0 is none."""
        if fields["parameter"] == FUNDING_RATE_CAP and fields["state"] == APPLIED:
            self._caps[fields["scope"]] = fields["value"]
            self._connection.execute(
                "INSERT OR REPLACE INTO funding_cap VALUES (?, ?)",
                (fields["scope"], fields["value"]),
            )

    def on_mark(self, fields: dict[str, Any]) -> None:
        """Take one sample; marks without an index (of predictions, say) have none."""
        if fields["index"] > 0:
            instrument = fields["instrument"]
            total, samples = self._sums.get(instrument, (0, 0))
            self._sums[instrument] = (total + fields["premium"], samples + 1)
            self._changed.add(instrument)

    def close(self) -> dict[int, int]:
        """The rate of each instrument for the interval that ends now; a new one begins."""
        rates = {}
        for instrument, (total, samples) in self._sums.items():
            if samples:
                rates[instrument] = self.rate(instrument, total, samples)
            self._sums[instrument] = (0, 0)
            self._changed.add(instrument)
        return rates

    def estimates(self) -> dict[int, int]:
        """The rate of each instrument if the interval ended now."""
        return {instrument: self.rate(instrument, total, samples)
                for instrument, (total, samples) in self._sums.items() if samples}

    def rate(self, instrument: int, total: int, samples: int) -> int:
        """The rate from a sum of premiums, 1e-9, rounded towards zero."""
        numerator, denominator = total * self._interval_ns, samples * PREMIUM_PERIOD_NS
        rate = abs(numerator) // denominator
        rate = min(rate, self._bound, self._caps.get(instrument, 0) or self._bound)
        return rate if numerator >= 0 else -rate

    def save(self) -> None:
        """Write what changed since the last call."""
        self._connection.executemany(
            "INSERT OR REPLACE INTO premium VALUES (?, ?, ?)",
            [(instrument, *self._sums[instrument]) for instrument in self._changed],
        )
        self._changed.clear()
