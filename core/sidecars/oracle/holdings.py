"""Who holds outcomes of events: what a dispute's bond is scaled to, and who may not report.

Only outcomes of events are counted, from trades, transfers in liquidations and payouts, in YES
terms; everything else passes by at the price of one look at the instrument's number.
"""

import sqlite3

from core.link import Event
from core.reference import ReferenceData
from core.sidecars.pick import offset_of, pick

MIGRATION = """
    CREATE TABLE holding (
        account INTEGER NOT NULL,
        instrument INTEGER NOT NULL,
        quantity INTEGER NOT NULL,
        PRIMARY KEY (account, instrument)
    ) STRICT, WITHOUT ROWID;
"""
OUTCOME = 3
_BUY, _NO = 1, 1
_EXEC_TRADE = ord("F")
_EXEC_TYPE = offset_of("ExecutionReport", "execType")
_QUANTITY_PER_UNIT = 100  # exponent −8 against −6: one YES pays at most one USDC

_trade = pick("ExecutionReport", "account", "instrument", "side", "lastQty", "outcomeSide")
_resolved = pick("PositionResolved", "account", "instrument")
_transferred = pick("PositionTransferred", "account", "instrument", "quantity")


class Holdings:
    """See the module. Quantities have exponent −8."""

    def __init__(self, connection: sqlite3.Connection, reference: ReferenceData) -> None:
        self._connection = connection
        self._reference = reference
        self._quantities: dict[tuple[int, int], int] = {
            (account, instrument): quantity
            for account, instrument, quantity in connection.execute("SELECT * FROM holding")
        }
        self._changed: set[tuple[int, int]] = set()

    def on_report(self, event: Event) -> None:
        """A trade changes what two accounts hold; each has a report of its own."""
        if event.body[_EXEC_TYPE] != _EXEC_TRADE:
            return
        t = _trade(event.body)
        if self._reference.instruments[t.instrument].kind == OUTCOME:
            bought = (t.side == _BUY) != (t.outcomeSide == _NO)
            self._add(t.account, t.instrument, t.lastQty if bought else -t.lastQty)

    def on_transferred(self, event: Event) -> None:
        """A position changed hands in a liquidation."""
        t = _transferred(event.body)
        if self._reference.instruments[t.instrument].kind == OUTCOME:
            self._add(t.account, t.instrument, t.quantity)

    def on_resolved(self, event: Event) -> None:
        """A position was paid out."""
        p = _resolved(event.body)
        self._add(p.account, p.instrument, -self._quantities.get((p.account, p.instrument), 0))

    def _add(self, account: int, instrument: int, quantity: int) -> None:
        key = account, instrument
        self._quantities[key] = self._quantities.get(key, 0) + quantity
        self._changed.add(key)

    def open_interest(self, event: int) -> int:
        """What all longs in an event could be paid at most, USDC units."""
        instruments = self._instruments(event)
        held = sum(
            quantity for (_, instrument), quantity in self._quantities.items()
            if quantity > 0 and instrument in instruments
        )
        return held // _QUANTITY_PER_UNIT

    def owner_holds(self, owner: int, event: int) -> bool:
        """Whether any account of an owner has a position in an event."""
        instruments, accounts = self._instruments(event), self._reference.accounts
        return any(
            quantity and instrument in instruments and accounts[account].owner == owner
            for (account, instrument), quantity in self._quantities.items()
            if account in accounts
        )

    def _instruments(self, event: int) -> set[int]:
        known = self._reference.events.get(event)
        return set(known.instruments) if known is not None else set()

    def save(self) -> None:
        """Write what changed since the last call; what is nothing any more is forgotten."""
        gone = [key for key in self._changed if not self._quantities[key]]
        rows = [(*key, self._quantities[key]) for key in self._changed if self._quantities[key]]
        execute = self._connection.executemany
        execute("INSERT OR REPLACE INTO holding VALUES (?, ?, ?)", rows)
        execute("DELETE FROM holding WHERE account = ? AND instrument = ?", gone)
        for key in gone:
            del self._quantities[key]
        self._changed.clear()
