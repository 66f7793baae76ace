"""Deposits and withdrawals: between custody, which holds the assets, and the core's balances.

    custody receipt n ─▶ Deposit ─▶ credited | refused                      in the order of n

    core: Held ─▶ may it go? (outflow.py) ─▶ custody.send ─▶ step Sent ─▶ core: Sent
    core: Sent ─┬─ confirmed ─▶ step Confirmed
                └─ failed    ─▶ step Failed, returned

A receipt becomes one command, whose answer is awaited before the next: so the number of answers in
the event stream is the number of receipts done, and even a store made anew finds its place without
crediting anything twice. Custody knows a withdrawal by the core's number and pays it once, however
often it is asked. A withdrawal has one state in the core; a step that does not fit it is refused.

Custody is not trusted further than that. What it is told is written down first and told again until
it has heard; whatever it says that does not agree with what is known is an alarm and moves nothing:
a transaction that comes twice, an amount or a destination that was another one, a withdrawal it no
longer knows, or one that it gave up and paid all the same.
"""

import json
import sqlite3
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from core.link import Event
from core.messages import template
from core.producers import Producer
from core.sidecars.books import DEPOSIT, WITHDRAWAL, WITHDRAWAL_RETURNED, WITHDRAWALS
from core.sidecars.custody import (
    CONFIRMED,
    FAILED,
    SENT,
    Custody,
    CustodyError,
    CustodySilent,
    Receipt,
)
from core.sidecars.follow import Result
from core.sidecars.pick import pick
from core.sidecars.settlement.outflow import TOO_LARGE, Cap, Outflow, Waiting

if TYPE_CHECKING:
    from core.sidecars.settlement.agent import Settlement

HELD = 1
RETRY_NS = 1_000_000_000
AUDIT_NS = 60_000_000_000
AUDITED = 100  # of the withdrawals that custody gave up, the latest

MIGRATION = """
    CREATE TABLE deposit (
        receipt INTEGER PRIMARY KEY,
        transaction_id TEXT NOT NULL,
        account INTEGER NOT NULL,
        asset INTEGER NOT NULL,
        amount INTEGER NOT NULL,
        key INTEGER NOT NULL,
        reason INTEGER
    ) STRICT;
    CREATE TABLE withdrawal (
        id INTEGER PRIMARY KEY,
        account INTEGER NOT NULL,
        asset INTEGER NOT NULL,
        amount INTEGER NOT NULL,
        state INTEGER NOT NULL,
        asked INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX withdrawal_by_state ON withdrawal (state);
"""

DUTIES = """
    CREATE TABLE custody_duty (
        id INTEGER PRIMARY KEY,
        call TEXT NOT NULL,
        arguments TEXT NOT NULL
    ) STRICT;
    CREATE INDEX deposit_by_transaction ON deposit (transaction_id);
"""

_DEPOSIT_TEMPLATE = template("Deposit")
_result = pick("CommandResult", "key", "producer", "refTemplateId", "reason")
_balance = pick("BalanceUpdate", "header.transactTime", "account", "asset", "reason", "change")
DUPLICATE_KEY = 47


class Transfers:
    """The part of the settlement sidecar that talks to custody."""

    def __init__(
        self, settlement: "Settlement", custody: Custody, caps: Mapping[int, Cap],
        delays: Mapping[int, int],
    ) -> None:
        self._settlement = settlement
        self._outflow = Outflow(settlement.store.connection, caps, delays)
        self._custody = custody
        self._done = int(settlement.store.note("receipts") or 0)  # last receipt answered
        self._remembered = False  # whether the store has every receipt that was answered
        self._credited: dict[int, list[tuple[int, int]]] = {}  # sequence → (asset, amount)
        self._asked_at = self._audited_at = 0
        self._suspected: set[tuple[str, int]] = set()  # what an alarm was given about

    @property
    def _connection(self) -> sqlite3.Connection:
        return self._settlement.store.connection

    def register(self) -> None:
        """Take the events that concern transfers, leaving the books theirs."""
        settlement = self._settlement
        self._book = settlement.ledger.books.apply
        settlement.handle("BalanceUpdate", self._on_balance)
        settlement.handle("CommandResult", self._on_result)
        settlement.handle_fields("WithdrawalChanged", self._on_withdrawal)

    # ---- events ----------------------------------------------------------------------------------

    def _on_balance(self, event: Event) -> None:
        self._book(event)
        update = _balance(event.body)
        if update.reason in (DEPOSIT, WITHDRAWAL, WITHDRAWAL_RETURNED) and (
            update.account != WITHDRAWALS  # It left when it was held.
        ):
            self._outflow.moved(update.asset, update.change, update.header_transactTime)
        if update.reason == DEPOSIT:
            self._credited.setdefault(event.sequence, []).append((update.asset, update.change))

    def _on_result(self, event: Event) -> None:
        """Whose deposit it was stands in its answer, which follows the credit."""
        result = _result(event.body)
        credits = self._credited.pop(event.sequence, [])
        if result.refTemplateId == _DEPOSIT_TEMPLATE and result.reason != DUPLICATE_KEY:
            if result.producer == Producer.SETTLEMENT:
                self._done += 1
                self._settlement.store.set_note("receipts", str(self._done))
            for number, (asset, amount) in enumerate(credits):
                if result.producer != Producer.SETTLEMENT:
                    self._owe("recognise", f"{event.sequence}.{number}", asset, amount)
        self._settlement.on_result(event)

    def _on_withdrawal(self, fields: dict[str, Any]) -> None:
        number, state = fields["withdrawalId"], fields["state"]
        time = fields["header"]["transactTime"]
        self._connection.execute(
            "INSERT INTO withdrawal VALUES (?, ?, ?, ?, ?, 0, ?, 0, '', ?, ?)"
            " ON CONFLICT (id) DO UPDATE SET state = excluded.state, asked = 0, waits = ''",
            (number, fields["account"], fields["asset"], fields["amount"], state, time,
             fields["releaseTime"], fields["destination"]),
        )
        if state == SENT:
            self._connection.execute(
                "UPDATE withdrawal SET sent_at = ? WHERE id = ? AND sent_at = 0", (time, number)
            )
        if state in (CONFIRMED, FAILED):
            self._owe("booked", number)

    def _owe(self, call: str, *arguments: int | str) -> None:
        """Custody is to hear this, as soon as it listens."""
        self._connection.execute(
            "INSERT INTO custody_duty VALUES (NULL, ?, ?)", (call, json.dumps(arguments))
        )

    # ---- deciding --------------------------------------------------------------------------------

    def decide(self, now: int) -> int:
        """The next receipt, and the next step of every withdrawal; how many commands."""
        if -RETRY_NS <= now - self._asked_at < RETRY_NS // 10:
            return 0
        self._asked_at = now
        work = 0
        steps = (
            self._tell, self._deposit, lambda: self._withdraw(now), lambda: self._audit(now)
        )
        for step in steps:
            try:
                work += step()
            except CustodyError as error:
                self._asked_at = now + RETRY_NS
                self._settlement.log.warning("custody", error=str(error))
                if isinstance(error, CustodySilent):
                    break
        return work

    def _tell(self) -> int:
        """What custody is to hear, in order."""
        rows = self._connection.execute("SELECT * FROM custody_duty ORDER BY id").fetchall()
        for number, call, arguments in rows:
            getattr(self._custody, call)(*json.loads(arguments))
            self._connection.execute("DELETE FROM custody_duty WHERE id = ?", (number,))
        return len(rows)

    def _deposit(self) -> int:
        if self._settlement.waits_for("Deposit"):
            return 0
        self._remember_receipts()
        for receipt in self._custody.receipts(self._done)[:1]:
            if receipt.number != self._done + 1:
                raise CustodyError(f"expected receipt {self._done + 1}, was {receipt.number}")
            # A transaction that was credited is answered for with nothing: the core refuses that,
            # and its answer counts the receipt as done, also for a store made anew.
            amount = 0 if self._was_credited(receipt) else receipt.amount
            key = self._settlement.command(
                "Deposit", account=receipt.account, asset=receipt.asset, amount=amount
            )
            self._keep(receipt, key)
            return 1
        return 0

    def _keep(self, receipt: Receipt, key: int) -> None:
        number, transaction, account, asset, amount = receipt
        self._connection.execute(
            "INSERT OR REPLACE INTO deposit VALUES (?, ?, ?, ?, ?, ?, NULL)",
            (number, transaction, account, asset, amount, key),
        )

    def _remember_receipts(self) -> None:
        """A store made anew asks custody once more for what was credited before it."""
        if self._remembered:
            return
        (kept,) = self._connection.execute("SELECT count(*) FROM deposit").fetchone()
        after, page = 0, kept < self._done
        while page and after < self._done:
            receipts = self._custody.receipts(after)
            for receipt in receipts:
                if receipt.number <= self._done:
                    self._keep(receipt, 0)
            page = bool(receipts) and receipts[-1].number > after
            after = receipts[-1].number if page else after
        self._remembered = True

    def _was_credited(self, receipt: Receipt) -> bool:
        row = self._connection.execute(
            "SELECT receipt FROM deposit WHERE transaction_id = ? AND receipt <> ?",
            (receipt.transaction, receipt.number),
        ).fetchone()
        if row is not None:
            self._settlement.alarm(
                "custody gives a transaction twice", transaction=receipt.transaction,
                receipt=receipt.number, credited=row[0],
            )
        return row is not None

    def _audit(self, now: int) -> int:
        """Withdrawals that custody gave up went back to their accounts: they must not be paid."""
        if 0 <= now - self._audited_at < AUDIT_NS:
            return 0
        self._audited_at = now
        rows = self._connection.execute(
            "SELECT id FROM withdrawal WHERE state = ? ORDER BY id DESC LIMIT ?", (FAILED, AUDITED)
        ).fetchall()
        for (number,) in rows:
            sending = self._custody.sending(number)
            if sending is not None and sending.state != FAILED:
                self._suspect("custody paid what it had given up", number, state=sending.state)
        return 0

    def _suspect(self, what: str, withdrawal: int, **details: int) -> None:
        """An alarm, once while this process lives."""
        if (what, withdrawal) not in self._suspected:
            self._suspected.add((what, withdrawal))
            self._settlement.alarm(what, withdrawal=withdrawal, **details)

    def _withdraw(self, now: int) -> int:
        rows = self._connection.execute(
            "SELECT id, account, asset, amount, held_at, release, destination, state, sent_at"
            " FROM withdrawal WHERE state IN (?, ?) AND asked = 0 ORDER BY id", (HELD, SENT)
        ).fetchall()
        self._outflow.begin()
        work = 0
        for *known, destination, state, sent_at in rows:
            waiting = Waiting(*known)
            if state == SENT or sent_at or self._may_go(waiting, now):
                work += self._advance(waiting, destination, state)
        return work

    def _may_go(self, waiting: Waiting, now: int) -> bool:
        """Whether custody may be asked for it; if not, the reason stands beside it."""
        known = self._settlement.reference.accounts.get(waiting.account)
        reason = self._outflow.reason(waiting, known.owner if known is not None else 0, now)
        if reason == "":
            # From here on it counts as sent, whatever custody and we ourselves do meanwhile.
            self._connection.execute(
                "UPDATE withdrawal SET sent_at = ?, waits = '' WHERE id = ?", (now, waiting.number)
            )
            return True
        changed = self._connection.execute(
            "UPDATE withdrawal SET waits = ? WHERE id = ? AND waits <> ?",
            (reason, waiting.number, reason),
        ).rowcount
        if reason == TOO_LARGE:
            self._suspect("withdrawal above the asset's cap", waiting.number, amount=waiting.amount)
        elif changed:
            self._settlement.log.warning("withdrawal waits", withdrawal=waiting.number, why=reason)
        return False

    def _advance(self, withdrawal: Waiting, destination: str, state: int) -> int:
        """The next step of one withdrawal, if custody says that there is one."""
        number, account, asset, amount = withdrawal[:4]
        if state == HELD:
            # Custody knows it by its number: asked twice because we died here, it pays once.
            self._custody.send(number, account, asset, amount, destination)
        sending = self._custody.sending(number)
        if sending is None and state == SENT:
            self._suspect("custody has forgotten a withdrawal that it sent", number)
        if sending is None or (state == SENT and sending.state == SENT):
            return 0
        if (sending.asset, sending.amount) != (asset, amount):
            self._settlement.alarm("custody means another amount", withdrawal=number,
                                   asset=asset, amount=amount, custody=sending.amount)
            step = None
        elif sending.destination != destination:
            self._settlement.alarm("custody means another destination", withdrawal=number,
                                   destination=destination, custody=sending.destination)
            step = None
        else:
            step = SENT if state == HELD else sending.state
            self._settlement.command("WithdrawalStep", withdrawalId=number, state=step)
        self._connection.execute("UPDATE withdrawal SET asked = 1 WHERE id = ?", (number,))
        return step is not None

    # ---- answers ---------------------------------------------------------------------------------

    def answered(self, name: str, result: Result) -> None:
        """Remember what became of a deposit."""
        if name == "Deposit":
            self._connection.execute(
                "UPDATE deposit SET reason = ? WHERE key = ?", (result.reason, result.key)
            )

    def rekeyed(self, old: int, new: int) -> None:
        """A deposit goes out under another key."""
        self._connection.execute("UPDATE deposit SET key = ? WHERE key = ?", (new, old))
