"""The double-entry ledger: every event that moved money, and the proof that the core agrees.

    posting     amount of asset from contra to account; a row balances by itself
    balance     the sum of an account's postings, saved with the position in the event stream
    position    signed quantity, and what it cost since it was last settled
    cycle       one row per reconciliation: what was compared, what differed
    difference  every disagreement with the core, kept for ever

The core states balances as it changes them and, once a cycle, all that changed since it last did
(`ReportBalances`); all there are when this process starts, and once an hour. Each stated balance is
compared with the ledger at that very position of the event stream, so the two must be equal to the
unit, and whatever the ledger moved the core must state; any difference is an alarm. A difference is
not repaired: it is reported once and stays until a person has understood it.
"""

import sqlite3
from typing import Any

from core.reference import ReferenceData
from core.sidecars.books import CLEARING, OUTSIDE, TRANSIT, Books, Position, Stated

MIGRATION = """
    CREATE TABLE posting (
        id INTEGER PRIMARY KEY,
        time INTEGER NOT NULL,
        sequence INTEGER NOT NULL,
        account INTEGER NOT NULL,
        contra INTEGER NOT NULL,
        asset INTEGER NOT NULL,
        amount INTEGER NOT NULL,
        reason INTEGER NOT NULL,
        instrument INTEGER NOT NULL,
        reference INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX posting_of_account ON posting (account, time);
    CREATE TABLE balance (
        account INTEGER NOT NULL,
        asset INTEGER NOT NULL,
        amount INTEGER NOT NULL,
        PRIMARY KEY (account, asset)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE position (
        account INTEGER NOT NULL,
        instrument INTEGER NOT NULL,
        quantity INTEGER NOT NULL,
        cost INTEGER NOT NULL,
        PRIMARY KEY (account, instrument)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE cycle (
        cycle INTEGER PRIMARY KEY,
        time INTEGER NOT NULL,
        sequence INTEGER NOT NULL,
        compared INTEGER NOT NULL,
        differences INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE difference (
        time INTEGER NOT NULL,
        sequence INTEGER NOT NULL,
        account INTEGER NOT NULL,
        asset INTEGER NOT NULL,
        ledger INTEGER NOT NULL,
        core INTEGER NOT NULL
    ) STRICT;
"""

PASSED = (OUTSIDE, TRANSIT, CLEARING)  # The core has no such account, or leaves a trade out of it.
INSERT = "INSERT INTO posting VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?)"

class Ledger:
    """The books with their store."""

    def __init__(self, connection: sqlite3.Connection, reference: ReferenceData) -> None:
        self._connection = connection
        self._rows: list[tuple[int, ...]] = []
        self._fresh: list[tuple[int, int, int, int]] = []
        self._differing: set[tuple[int, int]] = set()
        self._compared = self._cycle_differences = 0
        self._unsaved: set[tuple[int, int]] = set()
        self._unstated: set[tuple[int, int]] = set()  # moved, and not stated in a report since
        self._owed: set[tuple[int, int]] = set()  # those of them that the running report must state
        self.books = Books(reference, self._rows.append, self._state)
        self._load()

    def _load(self) -> None:
        select = self._connection.execute
        for account, asset, amount in select("SELECT account, asset, amount FROM balance"):
            self.books.balances[account, asset] = amount
        for account, instrument, quantity, cost in select("SELECT * FROM position"):
            self.books.positions[account, instrument] = Position(quantity, cost)
        self._differing.update(select("SELECT DISTINCT account, asset FROM difference"))

    # ---- while events come -----------------------------------------------------------------------

    def _state(self, stated: Stated) -> None:
        key = (stated.account, stated.asset)
        same = self.books.balances.get(key, 0) == stated.balance
        if stated.snapshot:
            self._compared += 1
            self._cycle_differences += not same
            self._absorb()
            self._unstated.discard(key)
            self._owed.discard(key)
        if not same and key not in self._differing:
            self._differing.add(key)
            self._fresh.append((*key, self.books.balances.get(key, 0), stated.balance))

    def _absorb(self) -> None:
        """What has been moved up to here is to be saved, and to be stated."""
        changed = self.books.changed_balances
        if changed:
            self._unsaved |= changed
            self._unstated |= changed
            changed.clear()

    def new_differences(self, time: int, sequence: int) -> list[tuple[int, int, int, int]]:
        """Disagreements since the last call that were not known before, recorded.

        Each is (account, asset, ledger, core). An account that differs is reported once, not at
        every event that follows from it.
        """
        fresh, self._fresh = self._fresh, []
        self._connection.executemany(
            "INSERT INTO difference VALUES (?, ?, ?, ?, ?, ?)",
            [(time, sequence, *row) for row in fresh],
        )
        return fresh

    def begin_cycle(self) -> None:
        """The core is asked to state all balances."""
        self._compared = self._cycle_differences = 0

    def close_cycle(self, cycle: int, time: int, sequence: int) -> tuple[int, int]:
        """The core has stated all balances: record it; (balances compared, differences).

        A transfer is one command, so between commands nothing is in transit. What the ledger moved
        before the last report ended, and this one does not state, the core did not move.
        """
        for asset in self.books.reference.assets:
            self._cycle_differences += self.books.balances.get((TRANSIT, asset), 0) != 0
        self._absorb()
        self._cycle_differences += len(self._owed)
        self._owed = {key for key in self._unstated if key[0] not in PASSED}
        self._unstated = set(self._owed)
        result = self._compared, self._cycle_differences
        self._connection.execute(
            "INSERT OR REPLACE INTO cycle VALUES (?, ?, ?, ?, ?)", (cycle, time, sequence, *result)
        )
        self.begin_cycle()
        return result

    def save(self) -> None:
        """Write what changed since the last call."""
        execute, books = self._connection.executemany, self.books
        self._absorb()
        if self._rows:
            execute(INSERT, self._rows)
            self._rows.clear()
        execute(
            "INSERT OR REPLACE INTO balance VALUES (?, ?, ?)",
            [(*key, books.balances[key]) for key in self._unsaved],
        )
        self._unsaved.clear()
        kept, gone = books.changed_position_rows()
        execute("INSERT OR REPLACE INTO position VALUES (?, ?, ?, ?)", kept)
        execute("DELETE FROM position WHERE account = ? AND instrument = ?", gone)

    # ---- questions -------------------------------------------------------------------------------

    def balance(self, account: int, asset: int) -> int:
        """What the account has of the asset; below zero is borrowed."""
        return self.books.balances.get((account, asset), 0)

    def clearing(self, asset: int) -> int:
        """What is between accounts at this moment: zero when nothing is half done."""
        return self.balance(CLEARING, asset)


def last_cycle(connection: sqlite3.Connection) -> tuple[Any, ...] | None:
    """The newest reconciliation: (cycle, time, sequence, compared, differences)."""
    row: tuple[Any, ...] | None = connection.execute(
        "SELECT cycle, time, sequence, compared, differences FROM cycle ORDER BY cycle DESC LIMIT 1"
    ).fetchone()
    return row
