"""The reserves sidecar: what is owed and what is there, running all day, attested each hour.

    events ─▶ balances and positions ─▶ running ledger, each second
                     │ one cut, between two commands, nothing being cleared
                     ▼
              tree of liabilities ─┐
              custody's statement ─┼─▶ attestation n, signed by two keys, carries the hash of n − 1
              journal head         ┘        <data>/reserves/attestations/<n>.json, public
                                            <data>/reserves/leaves/<n>.npz, for proofs, private

A large tree takes seconds: leaves are read and hashed beside the polls, from a copy of the instant
(instant.py), so that the running ledger stays within a second of the core meanwhile.

It asks the core for the margin of accounts (a question changes nothing) and sends no other command.
While it is down nothing is attested, and the chain shows the gap by its times. What has been
published is the memory of this process: a lost store loses no epoch.
"""

import sqlite3
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from threading import Thread
from typing import Any, ClassVar, NamedTuple

from core.link import Event
from core.producers import Producer
from core.sidecars.books import CLEARING, Books, Position, Posting
from core.sidecars.custody import Custody, CustodyError, Statement
from core.sidecars.follow import Sidecar
from core.sidecars.keys import SigningKey
from core.sidecars.lending.pool import ONE, Pool, Pools
from core.sidecars.pick import pick
from core.sidecars.reserves import attestation
from core.sidecars.reserves.attestation import GENESIS, Cut
from core.sidecars.reserves.files import ReserveFiles
from core.sidecars.reserves.instant import Instant, instant_of
from core.sidecars.reserves.liabilities import (
    FIRST_CLIENT,
    columns_of,
    leaves_of,
    parameters_hash,
)
from core.sidecars.reserves.tree import Tree

SECOND = 1_000_000_000
CLEARING_WAIT_NS = 5 * SECOND
CUSTODY_WAIT_NS = 30 * SECOND
ANSWER_WAIT_NS = 3 * SECOND
ASIDE_FROM = 1 << 16  # balances; the tree of fewer takes a fraction of a second
REQUEST = int.from_bytes(b"reserves", "big")  # marks the answers to our own questions
SECRETS = "onebook reserves secrets 1"

MIGRATION = """
    CREATE TABLE balance (
        asset INTEGER NOT NULL,
        account INTEGER NOT NULL,
        amount INTEGER NOT NULL,
        touched_index INTEGER NOT NULL,
        PRIMARY KEY (asset, account)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE position (
        account INTEGER NOT NULL,
        instrument INTEGER NOT NULL,
        quantity INTEGER NOT NULL,
        cost INTEGER NOT NULL,
        PRIMARY KEY (account, instrument)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE pool (
        asset INTEGER PRIMARY KEY,
        borrow_index INTEGER NOT NULL,
        lend_index INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE running (
        asset INTEGER PRIMARY KEY,
        held INTEGER NOT NULL,
        owed INTEGER NOT NULL,
        reserves INTEGER NOT NULL,
        time INTEGER NOT NULL,
        sequence INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE request (id INTEGER PRIMARY KEY) STRICT;
"""

RISK = """
    CREATE TABLE risk (
        parameter INTEGER NOT NULL,
        scope INTEGER NOT NULL,
        value INTEGER NOT NULL,
        PRIMARY KEY (parameter, scope)
    ) STRICT, WITHOUT ROWID;
"""
APPLIED = 1  # RiskProposalState
OF_INSTRUMENTS = range(20, 40)  # RiskParameter

_margin = pick("MarginReport", "account", "maintenanceMargin")
_end = pick("AccountReportEnd", "requestId", "account")


class Page(NamedTuple):
    """An attestation as of one instant, but for its leaves and their tree."""

    epoch: int
    previous: bytes
    cut: Cut
    columns: list[str]
    instant: Instant
    maintenance: dict[int, int]
    statement: Statement


class Grown(NamedTuple):
    """What is made of a page: the tree, and the house's balances."""

    tree: Tree
    house: dict[tuple[int, int], int]


class Making(NamedTuple):
    """An attestation whose tree is being made."""

    page: Page
    grown: "Future[Grown]"


def _grow(page: Page, files: ReserveFiles, master: bytes) -> Grown:
    """The leaves, kept for proofs, and their tree."""
    leaves, house = leaves_of(page.instant, page.columns, page.maintenance)
    tree = Tree(leaves, page.epoch, master)
    files.keep(page.epoch, leaves, page.columns)
    return Grown(tree, house)


def _grow_aside(
    future: "Future[Grown]", page: Page, files: ReserveFiles, master: bytes
) -> None:
    """A tree for whoever waits, or why there is none; killed with the process, nothing is lost."""
    try:
        future.set_result(_grow(page, files, master))
    except BaseException as error:
        future.set_exception(error)


class Reserves(Sidecar):
    """See the module. `journal_head` gives (sequence, hash) of the journal frame that holds one."""

    producer: ClassVar[Producer] = Producer.RESERVES
    migrations: ClassVar[tuple[str, ...]] = (MIGRATION, RISK)

    def __init__(
        self,
        *arguments: Any,
        directory: Path,
        custody: Custody,
        keys: dict[str, SigningKey],
        journal_head: Callable[[int], tuple[int, bytes]] = lambda _sequence: (0, GENESIS),
        period_ns: int = 3600 * SECOND,
        **options: Any,
    ) -> None:
        super().__init__(*arguments, **options)
        self.files = ReserveFiles(directory)
        self.custody = custody
        self.keys = keys
        self.master = master_of(next(iter(keys.values())))
        self.period_ns = period_ns
        self.pools = Pools(self.reference)
        self.books = Books(self.reference, self._post)
        self._journal_head = journal_head
        self._maintenance: dict[int, int] = {}
        self._asked: set[int] = set()  # accounts whose margin the core has not told yet
        self._changed: set[tuple[int, int]] = set()
        self._gross: dict[int, tuple[int, int]] = {}  # asset → held, owed, of clients
        self._making: Making | None = None
        self._ran_at = 0
        self._wanted_at = 0
        self._load()
        for template, handler in self.books.handlers.items():
            self.handle_template(template, handler)
        self.handle_fields("IndicesAccrued", self._on_accrued)
        self.handle_fields("RiskParameterChanged", self._on_risk)
        self.handle_fields("InstrumentListed", self._on_listed)
        self.handle("MarginReport", self._on_margin)
        self.handle("AccountReportEnd", self._on_answered)

    def _load(self) -> None:
        select = self.store.connection.execute
        for asset, borrow, lend in select("SELECT * FROM pool"):
            self.pools[asset] = Pool(asset, borrow, lend)
        for asset, account, amount, index in select("SELECT * FROM balance"):
            self.books.balances[account, asset] = amount
            if account >= FIRST_CLIENT:
                self.pools.place(account, asset, amount, index)
                self._count(asset, 0, amount)
        for account, instrument, quantity, cost in select("SELECT * FROM position"):
            self.books.positions[account, instrument] = Position(quantity, cost)

    # ---- learning --------------------------------------------------------------------------------

    def _post(self, posting: Posting) -> None:
        asset = posting.asset
        for account, change in (
            (posting.account, posting.amount), (posting.contra, -posting.amount)
        ):
            self._changed.add((asset, account))
            if account >= FIRST_CLIENT:
                balance = self.books.balances[account, asset]
                self.pools.touch(account, asset, balance)
                self._count(asset, balance - change, balance)

    def _count(self, asset: int, before: int, after: int) -> None:
        """Keep the sums of what is held and owed, gross."""
        held, owed = self._gross.get(asset, (0, 0))
        held += max(after, 0) - max(before, 0)
        owed += max(-after, 0) - max(-before, 0)
        self._gross[asset] = held, owed

    def _on_accrued(self, fields: dict[str, Any]) -> None:
        pool = self.pools[fields["asset"]]
        pool.accrued(fields["borrowIndex"], fields["lendIndex"])
        self.store.connection.execute(
            "INSERT OR REPLACE INTO pool VALUES (?, ?, ?)",
            (pool.asset, pool.borrow_index, pool.lend_index),
        )

    def _on_risk(self, fields: dict[str, Any]) -> None:
        """What the venue goes by from now on is part of what is signed."""
        if fields["state"] == APPLIED:
            self.store.connection.execute(
                "INSERT OR REPLACE INTO risk VALUES (?, ?, ?)",
                (fields["parameter"], fields["scope"], fields["value"]),
            )

    def _on_listed(self, fields: dict[str, Any]) -> None:
        """A number may have been another market's before, whose parameters are gone."""
        self.store.connection.execute(
            "DELETE FROM risk WHERE scope = ? AND parameter BETWEEN ? AND ?",
            (fields["instrument"], OF_INSTRUMENTS[0], OF_INSTRUMENTS[-1]),
        )

    def _on_answered(self, event: Event) -> None:
        end = _end(event.body)
        if end.requestId == REQUEST:
            self._asked.discard(end.account)

    def _on_margin(self, event: Event) -> None:
        report = _margin(event.body)
        self._maintenance[report.account] = report.maintenanceMargin

    # ---- deciding --------------------------------------------------------------------------------

    def decide(self, now: int) -> int:
        """The running ledger each second; an attestation when one is due or asked for."""
        try:
            return self._decide(now)
        except CustodyError as error:  # The running ledger shows its age; an attestation waits.
            self.log.warning("custody", error=str(error))
            return 0

    def _decide(self, now: int) -> int:
        work = 0
        if not self._ran_at <= now < self._ran_at + SECOND:
            self._ran_at = now
            self._run(now)
            work = 1
        if self._making is not None:
            if self._making.grown.done():
                making, self._making = self._making, None
                self._publish(making.page, making.grown.result())
                work += 1
        elif self._is_wanted(now):
            if self._wanted_at == 0:
                self._wanted_at = now
                work += self._ask()
            waited = now - self._wanted_at
            if (not self._asked or waited >= ANSWER_WAIT_NS) and self._is_quiet(waited):
                self._attest(now)
                self._wanted_at = 0
                self._asked.clear()
                work += 1
        return work

    def _ask(self) -> int:
        """Ask the core for the margin of everybody who has a position or a debt."""
        accounts = {account for (account, _), p in self.books.positions.items() if p.quantity}
        accounts.update(
            account for (account, _), amount in self.books.balances.items()
            if amount < 0 and account >= FIRST_CLIENT
        )
        self._maintenance.clear()
        for account in sorted(accounts):
            request = {
                "header": {"sendingTime": 0, "msgSeqNum": 0}, "account": account,
                "requestId": REQUEST, "echo": b"",
            }
            if not self.link.send_message(self.link.encode("AccountRequest", request)):
                break
            self._asked.add(account)
        return len(self._asked)

    def _is_quiet(self, waited_ns: int) -> bool:
        """Whether this is an instant to attest: nothing being cleared, custody up to date.

        Waiting has an end for both: a hole that stays is attested, as the hole that it is.
        """
        balances = self.books.balances
        if waited_ns < CLEARING_WAIT_NS and any(
            balances.get((CLEARING, asset)) for asset in self.reference.assets
        ):
            return False
        holdings, departed = self.custody.holdings(), self.custody.departed()
        for asset in self.reference.assets:
            if holdings.get(asset, 0) + departed.get(asset, 0) < self.books.total(asset):
                if waited_ns < CUSTODY_WAIT_NS:
                    return False
                self.alarm("custody holds less than was deposited", asset=asset,
                           deposited=self.books.total(asset), holds=holdings.get(asset, 0))
        return True

    def _is_wanted(self, now: int) -> bool:
        last = self.files.last()
        if last is None or now - last.time >= self.period_ns:
            return bool(self.reference.assets)
        row = self.store.connection.execute("SELECT 1 FROM request").fetchone()
        return row is not None

    def _run(self, now: int) -> None:
        """What is held, owed and there, asset by asset, as of the last event read."""
        reserves = self.custody.holdings()
        rows = [
            (asset, *self._gross.get(asset, (0, 0)), reserves.get(asset, 0), now,
             self.last_sequence)
            for asset in self.reference.assets
        ]
        self.store.connection.executemany(
            "INSERT OR REPLACE INTO running VALUES (?, ?, ?, ?, ?, ?)", rows
        )

    def _attest(self, now: int) -> None:
        """Begin the next attestation, of the books as they are; a small one is done at once."""
        last = self.files.last()
        epoch, previous = (last.epoch + 1, last.hash) if last is not None else (1, GENESIS)
        columns = columns_of(self.reference)
        risk = self.store.connection.execute("SELECT parameter, scope, value FROM risk").fetchall()
        parameters = parameters_hash(self.reference, {(p, s): value for p, s, value in risk})
        cut = Cut(
            now, self.follower.position, self.last_sequence,
            *self._journal_head(self.last_sequence), parameters,
        )
        page = Page(
            epoch, previous, cut, columns, instant_of(self.books, self.pools),
            dict(self._maintenance), self.custody.statement(epoch),
        )
        if len(self.books.balances) < ASIDE_FROM:
            self._publish(page, _grow(page, self.files, self.master))
            return
        future: Future[Grown] = Future()
        self._making = Making(page, future)
        arguments = (future, page, self.files, self.master)
        Thread(target=_grow_aside, args=arguments, daemon=True).start()

    def _publish(self, page: Page, grown: Grown) -> None:
        """Sign and publish what was begun."""
        tree, house = grown
        text = attestation.compose(
            page.epoch, page.previous, page.cut, (tree.size, tree.root),
            list(zip(page.columns, tree.totals, strict=True)),
            [(*key, amount) for key, amount in house.items()], page.statement,
        )
        self.files.publish(attestation.sign(page.epoch, text, self.keys))
        self.store.connection.execute("DELETE FROM request")
        self.log.info("attested", epoch=page.epoch, accounts=len(tree.leaves.accounts),
                      sequence=page.cut.sequence, root=tree.root.hex())

    def before_commit(self) -> None:
        """Write the balances and positions that changed."""
        rows = []
        for asset, account in self._changed:
            amount = self.books.balances[account, asset]
            _, index = self.pools[asset].touched.get(account, (0, ONE))
            rows.append((asset, account, amount, index))
        execute = self.store.connection.executemany
        execute("INSERT OR REPLACE INTO balance VALUES (?, ?, ?, ?)", rows)
        kept, gone = self.books.changed_position_rows()
        execute("INSERT OR REPLACE INTO position VALUES (?, ?, ?, ?)", kept)
        execute("DELETE FROM position WHERE account = ? AND instrument = ?", gone)
        self._changed.clear()
        self.books.changed_balances.clear()


def running_ledger(connection: sqlite3.Connection) -> list[tuple[int, ...]]:
    """Rows of (asset, held, owed, reserves, time, sequence), as of at most a second ago."""
    rows = connection.execute("SELECT * FROM running ORDER BY asset").fetchall()
    return [tuple(map(int, row)) for row in rows]


def master_of(key: SigningKey) -> bytes:
    """The master key of all secrets, from the first of the signing keys."""
    return key.derive(SECRETS)

