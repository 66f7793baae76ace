"""What a dispute costs him who is wrong: a bond, scaled to what is at stake.

    dispute ─▶ asked ──▶ held ──┬── the arbiter says the same ─▶ returned
                 │              └── something else ────────────▶ forfeited
                 └─ the account cannot pay: there was no dispute

A bond is a transfer from the disputer's account to that of the house's fees and, if he was right,
one back. Reporters and the arbiter are named by the market's rules and answer with their names;
everybody else whom the rules let dispute pays max(minimum, share of the open interest).
"""

import json
import sqlite3
from typing import TYPE_CHECKING

from core.sidecars.books import FEES
from core.sidecars.follow import REASON_NONE, Result

if TYPE_CHECKING:
    from core.sidecars.oracle.outcomes import Outcomes

ASKED, HELD, RETURNED, FORFEITED = "asked", "held", "returned", "forfeited"
MILLION = 1_000_000
USDC = 0

MIGRATION = """
    CREATE TABLE bond (
        event INTEGER PRIMARY KEY,
        account INTEGER NOT NULL,
        amount INTEGER NOT NULL,
        payouts TEXT NOT NULL,
        state TEXT NOT NULL,
        key INTEGER NOT NULL
    ) STRICT;
"""


class Bonds:
    """The bonds of all disputes; one an event at most."""

    def __init__(self, outcomes: "Outcomes", connection: sqlite3.Connection) -> None:
        self._outcomes = outcomes
        self._connection = connection

    def ask(self, event: int, account: int, amount: int, payouts: tuple[int, ...]) -> None:
        """Take the bond from an account."""
        key = self._outcomes.move(account, FEES, amount)
        self._connection.execute(
            "INSERT OR REPLACE INTO bond VALUES (?, ?, ?, ?, ?, ?)",
            (event, account, amount, json.dumps(payouts), ASKED, key),
        )

    def is_asked(self, event: int) -> bool:
        """Whether a bond is being paid at this moment."""
        row = self._connection.execute(
            "SELECT 1 FROM bond WHERE event = ? AND state = ?", (event, ASKED)
        ).fetchone()
        return row is not None

    def decided(self, event: int, payouts: tuple[int, ...], now: int) -> None:
        """The arbiter has spoken."""
        row = self._connection.execute(
            "SELECT account, amount, payouts FROM bond WHERE event = ? AND state = ?", (event, HELD)
        ).fetchone()
        if row is None:
            return
        account, amount, said = row
        right = tuple(json.loads(said)) == payouts
        key = self._outcomes.move(FEES, account, amount) if right else 0
        state = RETURNED if right else FORFEITED
        self._connection.execute(
            "UPDATE bond SET state = ?, key = ? WHERE event = ?", (state, key, event)
        )
        self._outcomes.note(now, "bond", self._outcomes.symbol(event), became=state,
                            account=account, amount=amount)

    def answered(self, result: Result, now: int) -> None:
        """A transfer was done, or refused: then there is no dispute, or a person must look."""
        row = self._connection.execute(
            "SELECT event, account, amount, state FROM bond WHERE key = ?", (result.key,)
        ).fetchone()
        if row is None:
            return
        event, account, amount, state = row
        symbol = self._outcomes.symbol(event)
        if state == ASKED and result.reason == REASON_NONE:
            self._connection.execute("UPDATE bond SET state = ? WHERE event = ?", (HELD, event))
            self._outcomes.note(now, "bond", symbol, became=HELD, account=account, amount=amount)
            self._outcomes.stop(event)
        elif state == ASKED:
            self._connection.execute("DELETE FROM bond WHERE event = ?", (event,))
            self._outcomes.reopen(event)
            self._outcomes.note(now, "refused", symbol, reason="dispute: its bond was not paid",
                                account=account, amount=amount, code=result.reason)
        elif result.reason != REASON_NONE:
            self._outcomes.alarm_of("bond not returned", event, account=account, amount=amount,
                                    reason=result.reason)

    def rekeyed(self, old: int, new: int) -> None:
        """A transfer goes out under another key."""
        self._connection.execute("UPDATE bond SET key = ? WHERE key = ?", (new, old))
