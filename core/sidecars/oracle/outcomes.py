"""What came true: from signed reports to one final resolution, with a record nobody can rewrite.

                 quorum of equal reports
        OPEN ───────────────────────────▶ PROPOSED ──── delay over ───▶ FINAL ──▶ RESOLVED
          │   deadline passed: void ──────▶   │ dispute                   ▲  ResolveEvent, once
          └ reports collected                ▼                           │
                                         DISPUTED ────── arbiter ────────┘

A reporter whose owner holds a position in the event is refused; a dispute costs a bond (bonds.py).
Every step, and every report that was refused, is a record that carries the hash of the one before.
A statement cites the rule that fired, and pays what that rule was listed with, nothing else.
A proposal moves no money. While it is disputed positions in the event may only be closed, which the
core sees to, from when the bond is paid until it resolves. A market's rules name who may report;
without reporters an event waits for an operator. Price-linked markets need nobody: the recorded
index decides.
"""

import json
import sqlite3
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from core.market_rules import VOID, in_hull
from core.reference import Instrument
from core.sidecars.follow import REASON_NONE, Result
from core.sidecars.oracle.bonds import MILLION, USDC, Bonds
from core.sidecars.oracle.history import Average
from core.sidecars.oracle.holdings import Holdings
from core.sidecars.oracle.marks import PRICE_ABOVE, PRICE_BELOW
from core.sidecars.oracle.record import GENESIS, record_hash
from core.sidecars.oracle.reports import ARBITRATION, DISPUTE, ONE, REPORT, Signed, from_json
from core.sidecars.oracle.rules import Rules, keep

if TYPE_CHECKING:
    from core.sidecars.oracle.agent import Oracle

OPEN, PROPOSED, DISPUTED, FINAL, RESOLVED = "open", "proposed", "disputed", "final", "resolved"
TRY_AGAIN = (39, 54)  # CapacityReached, InProgress
BUSY = 44

MIGRATION = """
    CREATE TABLE record (
        ordinal INTEGER PRIMARY KEY,
        time INTEGER NOT NULL,
        kind TEXT NOT NULL,
        subject TEXT NOT NULL,
        body TEXT NOT NULL,
        hash BLOB NOT NULL
    ) STRICT;
    CREATE TABLE inbox (id INTEGER PRIMARY KEY, body TEXT NOT NULL) STRICT;
    CREATE TABLE report (
        event INTEGER NOT NULL,
        signer TEXT NOT NULL,
        payouts TEXT NOT NULL,
        evidence TEXT NOT NULL,
        PRIMARY KEY (event, signer)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE market (
        event INTEGER PRIMARY KEY,
        state TEXT NOT NULL,
        payouts TEXT NOT NULL,
        evidence TEXT NOT NULL,
        final_at INTEGER NOT NULL,
        key INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE linked (
        instrument INTEGER PRIMARY KEY,
        key INTEGER NOT NULL,
        price INTEGER NOT NULL,
        payout INTEGER NOT NULL,
        window_begin INTEGER NOT NULL,
        window_end INTEGER NOT NULL
    ) STRICT;
"""


class Outcomes:
    """The part of the oracle that decides what came true."""

    def __init__(
        self, oracle: "Oracle", rules: dict[int, Rules] | Any, documents: Sequence[bytes] = ()
    ) -> None:
        self._oracle = oracle
        self._rules: dict[int, Rules] = dict(rules)
        self.holdings = Holdings(self._connection, oracle.reference)
        self.bonds = Bonds(self, self._connection)
        self._unkept = list(documents)

    @property
    def _connection(self) -> sqlite3.Connection:
        return self._oracle.store.connection

    # ---- the record ------------------------------------------------------------------------------

    def note(self, now: int, kind: str, subject: str, **body: Any) -> bytes:
        """Append to the record; its hash."""
        row = self._connection.execute(
            "SELECT ordinal, hash FROM record ORDER BY ordinal DESC LIMIT 1"
        ).fetchone()
        ordinal, previous = (row[0] + 1, row[1]) if row else (1, GENESIS)
        text = json.dumps(body, sort_keys=True, separators=(",", ":"))
        digest = record_hash(previous, ordinal, now, kind, subject, text)
        self._connection.execute(
            "INSERT INTO record VALUES (?, ?, ?, ?, ?, ?)",
            (ordinal, now, kind, subject, text, digest),
        )
        self._oracle.log.info(kind, subject=subject, **body)
        return digest

    # ---- events of predictions -------------------------------------------------------------------

    def decide(self, now: int) -> int:
        """Take what was handed in, let delays run out, void what nobody reported."""
        while self._unkept:
            keep(self._connection, self._unkept.pop())
        rows = self._connection.execute("SELECT id, body FROM inbox ORDER BY id").fetchall()
        for number, body in rows:
            self._take(body, now)
            self._connection.execute("DELETE FROM inbox WHERE id = ?", (number,))
        work = len(rows)
        for event, rules in self._rules.items():
            work += self._advance(event, rules, now)
        return work

    def state(self, event: int) -> str:
        """Where an event stands."""
        row = self._connection.execute(
            "SELECT state FROM market WHERE event = ?", (event,)
        ).fetchone()
        return OPEN if row is None else str(row[0])

    def _take(self, body: str, now: int) -> None:
        try:
            signed = from_json(json.loads(body))
        except ValueError as error:
            self.note(now, "refused", "unreadable", reason=str(error))
            return
        reason = self._judge(signed)
        statement = signed.statement
        if reason:
            self.note(now, "refused", statement.symbol, reason=reason, statement=signed.to_json())
            return
        accept = {REPORT: self._report, DISPUTE: self._dispute, ARBITRATION: self._arbitrate}
        accept[statement.kind](signed, now)

    def _judge(self, signed: Signed) -> str:
        """Why a statement cannot be taken; empty if it can."""
        s = signed.statement
        rules, event = self._rules.get(s.event), self._oracle.reference.events.get(s.event)
        if rules is None or event is None:
            return f"no event {s.event} with rules"
        if s.symbol != rules.symbol or s.rules != rules.hash:
            return "other rules than this market's"
        if not signed.holds():
            return "the signature is wrong"
        allowed = {
            REPORT: rules.reporters, ARBITRATION: (rules.arbiter,),
            DISPUTE: (*rules.reporters, rules.arbiter, *rules.disputers),
        }[s.kind]
        if signed.signer not in allowed:
            return f"{s.kind}: not one of those who may"
        if s.kind != DISPUTE and self._is_interested(rules, signed.signer, s.event):
            return f"{s.kind}: its signer holds a position in the market"
        if s.kind == REPORT and s.time < rules.opens:
            return "report: from before the source's window"
        if s.kind == ARBITRATION and self.bonds.is_asked(s.event):
            return "arbitration: the dispute's bond is still being paid"
        if len(s.payouts) != event.outcomes or not in_hull(event.kind, s.payouts):
            return "no possible outcome pays this"
        against = rules.against(s.rule, s.payouts, s.kind == REPORT)
        if against:
            return f"{s.kind}: {against}"
        wanted = {REPORT: OPEN, DISPUTE: PROPOSED, ARBITRATION: DISPUTED}[s.kind]
        state = self.state(s.event)
        return "" if state == wanted else f"{s.kind}: the market is {state}, not {wanted}"

    def _is_interested(self, rules: Rules, signer: bytes, event: int) -> bool:
        """Whether the owner behind a key would win or lose by the outcome."""
        account = self._oracle.reference.accounts.get(rules.accounts.get(signer, 0))
        return account is not None and self.holdings.owner_holds(account.owner, event)

    def bond_of(self, event: int) -> int:
        """What a dispute of an event costs now, USDC units."""
        rules = self._rules[event]
        scaled = self.holdings.open_interest(event) * rules.bond_share // MILLION
        return max(rules.bond_minimum, scaled)

    def _report(self, signed: Signed, now: int) -> None:
        s = signed.statement
        self._connection.execute(
            "INSERT OR REPLACE INTO report VALUES (?, ?, ?, ?, ?)",
            (s.event, signed.signer.hex(), json.dumps(s.payouts), s.evidence.hex(), s.rule),
        )
        self.note(now, "report", s.symbol, statement=signed.to_json())
        (equal,) = self._connection.execute(
            "SELECT count(*) FROM report WHERE event = ? AND rule = ?",
            (s.event, s.rule),
        ).fetchone()
        if equal >= self._rules[s.event].quorum:
            self._propose(s.event, s.rule, s.evidence, "quorum", now)

    def _dispute(self, signed: Signed, now: int) -> None:
        s = signed.statement
        rules, bond = self._rules[s.event], self.bond_of(s.event)
        named = signed.signer in (*rules.reporters, rules.arbiter)
        if bond and not named:
            account = rules.accounts.get(signed.signer, 0)
            self.bonds.ask(s.event, account, bond, s.payouts)
        self.note(now, "dispute", s.symbol, statement=signed.to_json(), bond=0 if named else bond)
        self._connection.execute(
            "UPDATE market SET state = ? WHERE event = ?", (DISPUTED, s.event)
        )
        if named or not bond:
            self.stop(s.event)

    def stop(self, event: int) -> None:
        """From now on positions in the event may only be closed; it ends when it is resolved."""
        key = self._oracle.command("SetEventDispute", event=event, active=1)
        self._connection.execute("UPDATE market SET key = ? WHERE event = ?", (key, event))

    def _arbitrate(self, signed: Signed, now: int) -> None:
        s = signed.statement
        digest = self.note(now, "arbitration", s.symbol, statement=signed.to_json())
        self._put(s.event, DISPUTED, s.rule, s.evidence, now)
        self.bonds.decided(s.event, s.payouts, now)
        self._finish(s.event, s.payouts, digest)

    def reopen(self, event: int) -> None:
        """A dispute came to nothing: the proposal stands as it did."""
        self._connection.execute(
            "UPDATE market SET state = ? WHERE event = ? AND state = ?", (PROPOSED, event, DISPUTED)
        )

    def move(self, origin: int, target: int, amount: int) -> int:
        """Transfer USDC between two accounts; the key of the command."""
        return self._oracle.command(
            "Transfer", fromAccount=origin, toAccount=target, asset=USDC, amount=amount
        )

    def symbol(self, event: int) -> str:
        """What an event is called."""
        return self._rules[event].symbol

    def alarm_of(self, what: str, event: int, **details: Any) -> None:
        """Something about an event that must never be."""
        self._oracle.alarm(what, market=self.symbol(event), **details)

    def _propose(self, event: int, rule: str, evidence: bytes, why: str, now: int) -> None:
        rules = self._rules[event]
        final_at = now + rules.dispute_ns
        self._put(event, PROPOSED, rule, evidence, final_at)
        self.note(now, "proposed", rules.symbol, rule=rule, payouts=list(rules.fired[rule]),
                  why=why, final_at=final_at, evidence=evidence.hex())

    def _put(self, event: int, state: str, rule: str, evidence: bytes, final_at: int) -> None:
        payouts = json.dumps(self._rules[event].fired[rule])
        self._connection.execute(
            "INSERT OR REPLACE INTO market VALUES (?, ?, ?, ?, ?, 0, ?)",
            (event, state, payouts, evidence.hex(), final_at, rule),
        )

    def _advance(self, number: int, rules: Rules, now: int) -> int:
        """What time alone does to an event."""
        row = self._connection.execute(
            "SELECT state, payouts, final_at, rule FROM market WHERE event = ?", (number,)
        ).fetchone()
        event = self._oracle.reference.events.get(number)
        if event is None:
            return 0
        if row is None:
            if not rules.reporters or not rules.is_late(now, event.listed_time):
                return 0
            self._propose(number, VOID, GENESIS, "no quorum by the deadline", now)
            return 1
        state, payouts, final_at, rule = row
        if state != PROPOSED or now < final_at:
            return 0
        vector = tuple(json.loads(payouts))
        digest = self.note(now, "final", rules.symbol, rule=rule, payouts=list(vector))
        self._finish(number, vector, digest)
        return 1

    def _finish(self, event: int, payouts: tuple[int, ...], digest: bytes) -> None:
        key = self._oracle.command(
            "ResolveEvent", event=event, evidenceHash=digest,
            payouts=[{"payout": payout} for payout in payouts],
        )
        self._connection.execute(
            "UPDATE market SET state = ?, key = ? WHERE event = ?", (FINAL, key, event)
        )

    # ---- price-linked predictions ----------------------------------------------------------------

    def is_resolving(self, instrument: int) -> bool:
        """Whether its resolution was decided already."""
        row = self._connection.execute(
            "SELECT 1 FROM linked WHERE instrument = ?", (instrument,)
        ).fetchone()
        return row is not None

    def forget_linked(self, instrument: int) -> None:
        """The number is another market's from now on."""
        self._connection.execute("DELETE FROM linked WHERE instrument = ?", (instrument,))

    def resolve_linked(
        self, instrument: Instrument, mean: Average, window_end: int, *, window_ns: int, now: int
    ) -> int:
        """Resolve by the average of the recorded index."""
        payout = ONE if comes_true(instrument, mean.price) else 0
        begin = window_end - window_ns
        digest = self.note(
            now, "price", instrument.symbol, average=mean.price, payout=payout,
            window=[begin, window_end], covered_percent=mean.covered_percent,
            samples=mean.evidence.hex(),
        )
        key = self._oracle.command(
            "ResolveInstrument", instrument=instrument.number, payout=payout,
            settlementPrice=mean.price, evidenceHash=digest,
        )
        self._connection.execute(
            "INSERT OR REPLACE INTO linked VALUES (?, ?, ?, ?, ?, ?)",
            (instrument.number, key, mean.price, payout, begin, window_end),
        )
        return 1

    # ---- answers ---------------------------------------------------------------------------------

    def answered(self, name: str, result: Result) -> None:
        """A refused resolution is tried again if the core was busy; else a person must look."""
        if name == "Transfer":
            self.bonds.answered(result, self._oracle.clock())
        if name == "SetEventDispute" and result.reason == BUSY:
            for (event,) in self._connection.execute(
                "SELECT event FROM market WHERE key = ? AND state = ?", (result.key, DISPUTED)
            ).fetchall():
                self.stop(event)
        if name not in ("ResolveEvent", "ResolveInstrument") or result.reason == REASON_NONE:
            return
        if result.reason in TRY_AGAIN:
            self._connection.execute("DELETE FROM linked WHERE key = ?", (result.key,))
            self._connection.execute(
                "UPDATE market SET state = ? WHERE key = ?", (PROPOSED, result.key)
            )
            return
        self._oracle.alarm("resolution refused", command=name, key=result.key,
                           reason=result.reason, detail=result.detail, limit=result.limit)

    def rekeyed(self, old: int, new: int) -> None:
        """A resolution goes out under another key."""
        self.bonds.rekeyed(old, new)
        self._connection.execute("UPDATE linked SET key = ? WHERE key = ?", (new, old))
        self._connection.execute("UPDATE market SET key = ? WHERE key = ?", (new, old))

    def on_resolved(self, fields: dict[str, Any]) -> None:
        """The core pays out: from here on nothing can change, whatever this store knew of it."""
        event = fields["event"]
        if event:
            self._connection.execute(
                "INSERT INTO market VALUES (?, ?, ?, ?, 0, 0, '')"
                " ON CONFLICT (event) DO UPDATE SET state = excluded.state",
                (event, RESOLVED, "[]", fields["evidenceHash"].hex()),
            )


def comes_true(instrument: Instrument, price: int) -> bool:
    """Whether a price-linked prediction is true at a settlement price: low ≤ price < high.

    So of "above" and "below" the same strike exactly one comes true, on the strike itself "above".
    """
    low, high = instrument.lower_strike or 0, instrument.upper_strike or 0
    if instrument.kind == PRICE_ABOVE:
        return price >= low
    if instrument.kind == PRICE_BELOW:
        return price < high
    return low <= price < high
