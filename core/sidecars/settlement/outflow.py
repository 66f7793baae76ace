"""What may leave, and when: the owner's delay, and a circuit breaker for each asset.

    Held ──▶ delay over? ──▶ room in the asset's window? ──▶ in the account's? ──▶ custody.send
               │ no              │ no                           │ no
               └─────────────────┴──── it waits, held, and the reason stands beside it

The delay is the longer one of that which the owner set in the core, whose end comes with the
withdrawal, and that which the venue's configuration has for him. A window is what was sent in the
last so many seconds, counted from the events, so a store made anew knows it as well; one account's
may also be a share of what there was of the asset in the last 24 hours, on the mean, as the core's
own breaker reckons it (core/engine/outflow.py). Withdrawals of
an asset that its cap stops wait in order; one that is larger than the cap itself can never go and
holds up nobody, but is an alarm.
"""

import sqlite3
from collections.abc import Mapping
from typing import NamedTuple

FAILED = 4  # WithdrawalState: it came back
DELAY, ASSET_CAP, ACCOUNT_CAP, TOO_LARGE = "delay", "asset cap", "account cap", "above the cap"

MIGRATION = """
    ALTER TABLE withdrawal ADD COLUMN held_at INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE withdrawal ADD COLUMN sent_at INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE withdrawal ADD COLUMN waits TEXT NOT NULL DEFAULT '';
"""

DESTINATIONS = """
    ALTER TABLE withdrawal ADD COLUMN release INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE withdrawal ADD COLUMN destination TEXT NOT NULL DEFAULT '';
"""


MEAN = """
    CREATE TABLE there (
        asset INTEGER PRIMARY KEY,
        amount INTEGER NOT NULL,
        mean INTEGER NOT NULL,
        mean_at INTEGER NOT NULL
    ) STRICT;
"""
DAY_NS, SECOND_NS = 86_400_000_000_000, 1_000_000_000
MILLION = 1_000_000


class Cap(NamedTuple):
    """Units of an asset that may leave within a window, in all and from one account; 0: any.

    account_share: parts per million of the asset's mean of 24 hours that one account may take out
    within the window; 0: any.
    """

    asset: int
    account: int
    window_ns: int
    account_share: int = 0


class Waiting(NamedTuple):
    """A withdrawal that custody has not been asked for."""

    number: int
    account: int
    asset: int
    amount: int
    held_at: int
    release: int = 0  # the owner's delay is over, by the core's clock


class Outflow:
    """Judges withdrawals. caps: by asset. delays: ns, by owner."""

    def __init__(
        self, connection: sqlite3.Connection, caps: Mapping[int, Cap], delays: Mapping[int, int]
    ) -> None:
        self._connection = connection
        self._caps = caps
        self._delays = delays
        self._stopped: set[int] = set()  # assets whose cap was reached, in this round

    def begin(self) -> None:
        """A new round over all that wait, in order of their numbers."""
        self._stopped.clear()

    def reason(self, waiting: Waiting, owner: int, now: int) -> str:
        """Why a withdrawal has to wait; empty when it may go."""
        if now < max(waiting.release, waiting.held_at + self._delays.get(owner, 0)):
            return DELAY
        cap = self._caps.get(waiting.asset)
        if cap is None:
            return ""
        if cap.asset and waiting.amount > cap.asset:
            return TOO_LARGE
        if cap.account and waiting.amount > cap.account:
            return TOO_LARGE
        since = now - cap.window_ns
        sent = self._sent("asset = ?", (waiting.asset,), since)
        if cap.asset and (waiting.asset in self._stopped or sent + waiting.amount > cap.asset):
            self._stopped.add(waiting.asset)
            return ASSET_CAP
        own = self._sent("asset = ? AND account = ?", (waiting.asset, waiting.account), since)
        if cap.account and own + waiting.amount > cap.account:
            return ACCOUNT_CAP
        if cap.account_share:
            share = self._mean(waiting.asset, now) * cap.account_share // MILLION
            if own + waiting.amount > share:
                return ACCOUNT_CAP
        return ""

    def moved(self, asset: int, change: int, time: int) -> None:
        """So many units more of an asset are there from now on, or fewer."""
        amount, _, mean_at = self._there(asset)
        mean = self._mean(asset, time)
        if time - mean_at >= SECOND_NS:
            mean_at = time
        self._connection.execute(
            "INSERT OR REPLACE INTO there VALUES (?, ?, ?, ?)",
            (asset, amount + change, mean, mean_at),
        )

    def _mean(self, asset: int, now: int) -> int:
        amount, mean, mean_at = self._there(asset)
        passed = min(DAY_NS, now - mean_at)
        return mean + (amount - mean) * passed // DAY_NS if passed >= SECOND_NS else mean

    def _there(self, asset: int) -> tuple[int, int, int]:
        row = self._connection.execute(
            "SELECT amount, mean, mean_at FROM there WHERE asset = ?", (asset,)
        ).fetchone()
        return row if row is not None else (0, 0, 0)

    def _sent(self, which: str, values: tuple[int, ...], since: int) -> int:
        (total,) = self._connection.execute(
            f"SELECT coalesce(sum(amount), 0) FROM withdrawal WHERE {which} AND sent_at > ?"
            " AND state <> ?", (*values, since, FAILED)
        ).fetchone()
        return int(total)
