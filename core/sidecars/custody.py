"""The outside world: who holds the assets themselves, and one real embedded implementation.

    receipts ──▶ settlement credits each once          send ──▶ sent ──▶ confirmed | failed

`Custody` is all that the exchange asks of whoever holds the coins. Every call may be repeated: a
receipt has a number and the transaction's own id, a sending is known by the withdrawal it is for,
and asking again for the same one changes nothing.

`EmbeddedCustody` keeps everything in one SQLite file of its own and writes it through to the disk
before it answers. It signs what it holds (Ed25519), which is one half of a proof of reserves.
"""

import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, Protocol

from core.sidecars.keys import SigningKey

SENT, CONFIRMED, FAILED = 2, 3, 4  # WithdrawalState of the schema

_SCHEMA = """
    CREATE TABLE IF NOT EXISTS receipt (
        number INTEGER PRIMARY KEY,
        transaction_id TEXT NOT NULL UNIQUE,
        account INTEGER NOT NULL,
        asset INTEGER NOT NULL,
        amount INTEGER NOT NULL CHECK (amount > 0),
        time INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE IF NOT EXISTS recognised (
        reference TEXT PRIMARY KEY,
        asset INTEGER NOT NULL,
        amount INTEGER NOT NULL CHECK (amount > 0)
    ) STRICT;
    CREATE TABLE IF NOT EXISTS sending (
        withdrawal INTEGER PRIMARY KEY,
        account INTEGER NOT NULL,
        asset INTEGER NOT NULL,
        amount INTEGER NOT NULL CHECK (amount > 0),
        state INTEGER NOT NULL,
        time INTEGER NOT NULL,
        booked INTEGER NOT NULL DEFAULT 0,
        destination TEXT NOT NULL DEFAULT ''
    ) STRICT;
    CREATE INDEX IF NOT EXISTS sending_by_state ON sending (state, time);
    CREATE INDEX IF NOT EXISTS sending_unbooked ON sending (state, asset) WHERE booked = 0;
"""
# What is held is a sum that moves with every row, so that asking costs the same for ever.
_HELD = f"""
    BEGIN;
    CREATE TABLE held (asset INTEGER PRIMARY KEY, amount INTEGER NOT NULL) STRICT;
    INSERT INTO held SELECT asset, sum(amount) FROM (
        SELECT asset, amount FROM receipt UNION ALL SELECT asset, amount FROM recognised
        UNION ALL SELECT asset, -amount FROM sending WHERE state = {CONFIRMED}
    ) GROUP BY asset;
    CREATE TRIGGER received AFTER INSERT ON receipt BEGIN
        INSERT INTO held VALUES (new.asset, new.amount)
            ON CONFLICT DO UPDATE SET amount = amount + excluded.amount;
    END;
    CREATE TRIGGER recognised_more AFTER INSERT ON recognised BEGIN
        INSERT INTO held VALUES (new.asset, new.amount)
            ON CONFLICT DO UPDATE SET amount = amount + excluded.amount;
    END;
    CREATE TRIGGER gone AFTER UPDATE OF state ON sending
        WHEN new.state = {CONFIRMED} AND old.state <> {CONFIRMED} BEGIN
        UPDATE held SET amount = amount - new.amount WHERE asset = new.asset;
    END;
    COMMIT;
"""
RECEIPTS_MAX = 100  # in one answer


class CustodyError(Exception):
    """Custody did not do it, or could not say; ask again later."""


class CustodySilent(CustodyError):
    """Custody gave no answer in time; asking something else now would only wait again."""


class Receipt(NamedTuple):
    """Assets that arrived for an account, beyond doubt."""

    number: int
    transaction: str
    account: int
    asset: int
    amount: int


class Sending(NamedTuple):
    """What custody says of a withdrawal: SENT, CONFIRMED or FAILED, and what it means by it."""

    state: int
    asset: int
    amount: int
    destination: str = ""


class Statement(NamedTuple):
    """What custody says it holds, for one epoch, signed.

    departed: sent and confirmed by custody, and not yet booked by the exchange.
    """

    epoch: int
    time: int
    holdings: dict[int, int]
    departed: dict[int, int]
    public_key: bytes
    signature: bytes


class Custody(Protocol):
    """Who holds the assets. Each method may raise CustodyError, and may be called again."""

    def receipts(self, after: int) -> list[Receipt]:
        """What arrived, the next with numbers above `after`, in order; numbers are dense from 1.

        Maybe not all that there are: then the rest when asked again.
        """

    def recognise(self, reference: str, asset: int, amount: int) -> None:
        """An operator credited this without a receipt; it must be held nevertheless."""

    def send(
        self, withdrawal: int, account: int, asset: int, amount: int, destination: str = ""
    ) -> None:
        """Pay out, to an address or where the account is at home; twice is one payment."""

    def sending(self, withdrawal: int) -> Sending | None:
        """How far a withdrawal is; None if custody knows nothing of it."""

    def booked(self, withdrawal: int) -> None:
        """The exchange has booked the end of this withdrawal."""

    def holdings(self) -> dict[int, int]:
        """Units of each asset that are there."""

    def departed(self) -> dict[int, int]:
        """Units of each asset that are gone and not yet booked as such by the exchange."""

    def statement(self, epoch: int) -> Statement:
        """What is held now, signed for an epoch: a statement for one cannot serve for another."""


def custody_path(data: Path) -> Path:
    """Where the embedded custody of a data directory keeps what it holds."""
    return data / "custody" / "custody.sqlite"


def statement_bytes(
    epoch: int, time_ns: int, holdings: dict[int, int], departed: dict[int, int]
) -> bytes:
    """What is signed: one line for each thing stated, in order.

        onebook custody 1
        epoch <number>
        time <ns UTC>
        holds <asset> <amount>
        departed <asset> <amount>
    """
    lines = ["onebook custody 1", f"epoch {epoch}", f"time {time_ns}"]
    lines += [f"holds {asset} {amount}" for asset, amount in sorted(holdings.items())]
    lines += [f"departed {asset} {amount}" for asset, amount in sorted(departed.items())]
    return ("\n".join(lines) + "\n").encode()


class EmbeddedCustody:
    """Custody in a file. A sending is confirmed `confirm_ns` after it was asked for.

    path: of the SQLite file; the signing key stands beside it, made at first use.
    """

    def __init__(
        self,
        path: Path,
        *,
        clock: Callable[[], int] = time.time_ns,
        confirm_ns: int = 1_000_000_000,
    ) -> None:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.path = path
        self._clock = clock
        self._confirm_ns = confirm_ns
        self._connection = sqlite3.connect(path, isolation_level=None)
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = FULL")
        self._connection.executescript(_SCHEMA)
        known = [row[1] for row in self._connection.execute("PRAGMA table_info(sending)")]
        if "destination" not in known:  # A file of before withdrawals said where to.
            self._connection.execute(
                "ALTER TABLE sending ADD COLUMN destination TEXT NOT NULL DEFAULT ''"
            )
        if not self._connection.execute("PRAGMA table_info(held)").fetchall():
            self._connection.executescript(_HELD)
        self._key = SigningKey.load_or_make(path.with_suffix(".key"))

    # ---- the exchange's side ---------------------------------------------------------------------

    def receipts(self, after: int) -> list[Receipt]:
        """What arrived, the next with numbers above `after`, in order."""
        rows = self._connection.execute(
            "SELECT number, transaction_id, account, asset, amount FROM receipt"
            " WHERE number > ? ORDER BY number LIMIT ?", (after, RECEIPTS_MAX)
        )
        return [Receipt(*row) for row in rows]

    def recognise(self, reference: str, asset: int, amount: int) -> None:
        """Hold what an operator credited without a receipt; once for each reference."""
        self._connection.execute(
            "INSERT OR IGNORE INTO recognised VALUES (?, ?, ?)", (reference, asset, amount)
        )

    def send(
        self, withdrawal: int, account: int, asset: int, amount: int, destination: str = ""
    ) -> None:
        """Pay out; asked again for the same withdrawal, nothing more is paid."""
        known = self.sending(withdrawal)
        if known is not None and known[1:] != (asset, amount, destination):
            raise CustodyError(f"withdrawal {withdrawal} was asked for with other terms before")
        state = SENT if self.holdings().get(asset, 0) >= amount else FAILED
        self._connection.execute(
            "INSERT OR IGNORE INTO sending VALUES (?, ?, ?, ?, ?, ?, 0, ?)",
            (withdrawal, account, asset, amount, state, self._clock(), destination),
        )

    def sending(self, withdrawal: int) -> Sending | None:
        """How far a withdrawal is."""
        self._connection.execute(
            "UPDATE sending SET state = ? WHERE state = ? AND time <= ?",
            (CONFIRMED, SENT, self._clock() - self._confirm_ns),
        )
        row = self._connection.execute(
            "SELECT state, asset, amount, destination FROM sending WHERE withdrawal = ?",
            (withdrawal,),
        ).fetchone()
        return None if row is None else Sending(*row)

    def booked(self, withdrawal: int) -> None:
        """The exchange has booked the end of this withdrawal."""
        statement = "UPDATE sending SET booked = 1 WHERE withdrawal = ?"
        self._connection.execute(statement, (withdrawal,))

    # ---- the world's side ------------------------------------------------------------------------

    def receive(self, transaction: str, account: int, asset: int, amount: int) -> bool:
        """Assets arrive for an account; False if this transaction was known already."""
        cursor = self._connection.execute(
            "INSERT OR IGNORE INTO receipt SELECT coalesce(max(number), 0) + 1, ?, ?, ?, ?, ?"
            " FROM receipt", (transaction, account, asset, amount, self._clock()),
        )
        return cursor.rowcount == 1

    def fail(self, withdrawal: int) -> None:
        """The world refuses a payment that was sent and not confirmed."""
        self._connection.execute(
            "UPDATE sending SET state = ? WHERE withdrawal = ? AND state = ?",
            (FAILED, withdrawal, SENT),
        )

    # ---- what is held ----------------------------------------------------------------------------

    def holdings(self) -> dict[int, int]:
        """Units of each asset that are here: received, less what was confirmed as gone."""
        return self._sums("SELECT asset, amount FROM held ORDER BY asset")

    def departed(self) -> dict[int, int]:
        """Units of each asset that are gone and not yet booked as such by the exchange."""
        return self._sums(
            "SELECT asset, sum(amount) FROM sending"
            f" WHERE state = {CONFIRMED} AND booked = 0 GROUP BY asset"
        )

    def statement(self, epoch: int) -> Statement:
        """What is held now, signed for an epoch: a statement for one cannot serve for another."""
        self._connection.execute("BEGIN")
        holdings, departed = self.holdings(), self.departed()
        self._connection.execute("COMMIT")
        now = self._clock()
        text = statement_bytes(epoch, now, holdings, departed)
        return Statement(
            epoch, now, holdings, departed, self._key.public, self._key.sign(text)
        )

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def _sums(self, query: str) -> dict[int, int]:
        return {asset: amount for asset, amount in self._connection.execute(query) if amount}
