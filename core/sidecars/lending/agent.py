"""The lending sidecar: rates by utilisation, interest by two indices an asset.

    balances ─▶ pools ─▶ utilisation ─▶ rate ─▶ AccrueInterest, each period ─▶ IndicesAccrued

Borrowing and redeeming happen in the core by themselves, whenever a balance passes zero; this
process decides only what that costs. An accrual is for the time since the last one, so nothing is
lost while the process is away (up to a day, lest a clock that jumped charges a year), and none is
charged twice when a clock is set back: it goes on where it had been.

With the indices goes the bound up to which a pool may be used until the next accrual, so that a run
on it is met by rising rates before it is met by the ceiling.
"""

import sqlite3
from typing import Any, ClassVar

from core.producers import Producer
from core.reference import Asset
from core.sidecars.books import Books, Posting
from core.sidecars.follow import Sidecar
from core.sidecars.lending.curve import Knot, Throttle, bound_at, rate_at
from core.sidecars.lending.pool import ONE, Pool, Pools

SECOND = 1_000_000_000
ELAPSED_MAX_NS = 86_400 * SECOND
MILLION = 1_000_000
FIRST_CLIENT = 100

MIGRATION = """
    CREATE TABLE balance (
        asset INTEGER NOT NULL,
        account INTEGER NOT NULL,
        amount INTEGER NOT NULL,
        touched_index INTEGER NOT NULL,
        PRIMARY KEY (asset, account)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE pool (
        asset INTEGER PRIMARY KEY,
        borrow_index INTEGER NOT NULL,
        lend_index INTEGER NOT NULL,
        accrued_at INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE accrual (
        time INTEGER NOT NULL,
        asset INTEGER NOT NULL,
        utilisation INTEGER NOT NULL,
        borrow_rate INTEGER NOT NULL,
        lend_rate INTEGER NOT NULL,
        borrowed INTEGER NOT NULL,
        lent INTEGER NOT NULL,
        paid INTEGER NOT NULL,
        received INTEGER NOT NULL,
        PRIMARY KEY (asset, time)
    ) STRICT, WITHOUT ROWID;
"""

BOUND = "ALTER TABLE pool ADD COLUMN bound INTEGER NOT NULL DEFAULT 0;"


class Lending(Sidecar):
    """See the module. `curve` is of every asset; ceiling and reserve share are the asset's own."""

    producer: ClassVar[Producer] = Producer.LENDING
    migrations: ClassVar[tuple[str, ...]] = (MIGRATION, BOUND)

    def __init__(
        self,
        *arguments: Any,
        curve: tuple[Knot, ...],
        throttle: Throttle | None = None,
        period_ns: int = 60 * SECOND,
        **options: Any,
    ) -> None:
        super().__init__(*arguments, **options)
        self.curve = curve
        self.throttle = throttle
        self.period_ns = period_ns
        self.pools = Pools(self.reference)
        self._accrued_at: dict[int, int] = {}
        self._changed: set[tuple[int, int]] = set()
        self._stopped: set[int] = set()
        self.books = Books(self.reference, self._post)
        self._load()
        for template, handler in self.books.handlers.items():
            self.handle_template(template, handler)
        self.handle_fields("IndicesAccrued", self._on_accrued)

    def _load(self) -> None:
        select = self.store.connection.execute
        for asset, borrow, lend, accrued_at, bound in select("SELECT * FROM pool"):
            self.pools[asset] = Pool(asset, borrow, lend, bound=bound)
            self._accrued_at[asset] = accrued_at
        for asset, account, amount, index in select("SELECT * FROM balance"):
            self.books.balances[account, asset] = amount
            if account >= FIRST_CLIENT:
                self.pools.place(account, asset, amount, index)

    # ---- learning --------------------------------------------------------------------------------

    def _post(self, posting: Posting) -> None:
        asset = posting.asset
        for account in (posting.account, posting.contra):
            self._changed.add((asset, account))
            if account >= FIRST_CLIENT:
                self.pools.touch(account, asset, self.books.balances[account, asset])

    def _on_accrued(self, fields: dict[str, Any]) -> None:
        pool = self.pools[fields["asset"]]
        pool.accrued(fields["borrowIndex"], fields["lendIndex"])
        pool.bound = fields["utilisationBound"]
        self._save_pool(pool)

    # ---- deciding --------------------------------------------------------------------------------

    def decide(self, now: int) -> int:
        """Accrue on every pool whose period is over."""
        work = 0
        for asset in self.reference.assets.values():
            if not (asset.lendable or asset.borrowable):
                continue
            begun = self._accrued_at.setdefault(asset.number, now)
            if now < begun - ELAPSED_MAX_NS:  # The clock was wrong by days, and no longer is.
                self._accrued_at[asset.number] = now
            elif now - begun >= self.period_ns and not self.waits_for("AccrueInterest"):
                work += self._accrue(asset, min(now - begun, ELAPSED_MAX_NS), now)
        return work

    def _accrue(self, asset: Asset, elapsed_ns: int, now: int) -> int:
        pool = self.pools[asset.number]
        utilisation = pool.utilisation
        rate = rate_at(self.curve, utilisation)
        self._accrued_at[asset.number] = now
        self._say_if_stopped(asset, utilisation)
        step = pool.step(rate, elapsed_ns, asset.reserve_share)
        self._save_pool(pool)
        lend_rate = rate * utilisation // MILLION * (MILLION - asset.reserve_share) // MILLION
        row = (
            now, asset.number, utilisation, rate, lend_rate, pool.borrowed, pool.lent,
            step.paid if step else 0, step.received if step else 0,
        )
        self.store.connection.execute(
            "INSERT OR REPLACE INTO accrual VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", row
        )
        bound = 0
        if self.throttle is not None and asset.utilisation_ceiling:
            bound = bound_at(self.throttle, utilisation, asset.utilisation_ceiling)
        if step is not None or bound != pool.bound:
            self.command(
                "AccrueInterest", asset=asset.number, utilisationBound=bound,
                borrowIndex=step.borrow_index if step else pool.borrow_index,
                lendIndex=step.lend_index if step else pool.lend_index,
            )
        return 1

    def _say_if_stopped(self, asset: Asset, utilisation: int) -> None:
        """At the ceiling the core refuses new borrowing and withdrawals; say so once."""
        stopped = utilisation >= asset.utilisation_ceiling > 0
        if stopped and asset.number not in self._stopped:
            self._stopped.add(asset.number)
            self.log.warning("borrowing and redeeming stopped", asset=asset.name,
                             utilisation=utilisation, ceiling=asset.utilisation_ceiling)
        elif not stopped and asset.number in self._stopped:
            self._stopped.discard(asset.number)
            self.log.info("borrowing and redeeming again", asset=asset.name,
                          utilisation=utilisation, ceiling=asset.utilisation_ceiling)

    # ---- saving ----------------------------------------------------------------------------------

    def _save_pool(self, pool: Pool) -> None:
        at = self._accrued_at.setdefault(pool.asset, self.clock())
        self.store.connection.execute(
            "INSERT OR REPLACE INTO pool VALUES (?, ?, ?, ?, ?)",
            (pool.asset, pool.borrow_index, pool.lend_index, at, pool.bound),
        )

    def before_commit(self) -> None:
        """Write the balances that changed."""
        rows = []
        for asset, account in self._changed:
            amount = self.books.balances[account, asset]
            _, index = self.pools[asset].touched.get(account, (0, ONE))
            rows.append((asset, account, amount, index))
        self.store.connection.executemany(
            "INSERT OR REPLACE INTO balance VALUES (?, ?, ?, ?)", rows
        )
        self._changed.clear()


def latest_accruals(connection: sqlite3.Connection) -> dict[int, tuple[int, ...]]:
    """The newest row of each asset's history, without its asset: time, utilisation, rates, sums."""
    rows = connection.execute(
        "SELECT asset, max(time), utilisation, borrow_rate, lend_rate, borrowed, lent, paid,"
        " received FROM accrual GROUP BY asset"
    )
    return {row[0]: tuple(row[1:]) for row in rows}
