"""What came true: from signed reports to one final resolution, with a record nobody can rewrite.

                 quorum of equal reports
        OPEN ───────────────────────────▶ PROPOSED ──── delay over ───▶ FINAL ──▶ RESOLVED
          │   cut-off passed: void ──────▶   │ dispute                   ▲  ResolveEvent, once
          └ reports collected                ▼                           │
                                         DISPUTED ────── arbiter ────────┘

A reporter whose owner holds a position in the event is refused; a dispute costs a bond (bonds.py).
Every step, and every report that was refused, is a record that carries the hash of the one before.
A proposal moves no money. A market's rules name who may report; without rules (no reporters) an
event waits for an operator. Price-linked markets need nobody: the recorded index decides.
"""

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from blake3 import blake3

from core.config import load
from core.reference import Instrument
from core.sidecars.follow import REASON_NONE, Result
from core.sidecars.oracle.bonds import MILLION, USDC, Bonds
from core.sidecars.oracle.history import Average
from core.sidecars.oracle.holdings import Holdings
from core.sidecars.oracle.marks import PRICE_ABOVE, PRICE_BELOW
from core.sidecars.oracle.reports import (
    ARBITRATION,
    DISPUTE,
    ONE,
    REPORT,
    Signed,
    from_json,
    in_hull,
    void_payouts,
)

if TYPE_CHECKING:
    from core.sidecars.oracle.agent import Oracle

OPEN, PROPOSED, DISPUTED, FINAL, RESOLVED = "open", "proposed", "disputed", "final", "resolved"
TRY_AGAIN = (39, 54)  # CapacityReached, InProgress
GENESIS = bytes(32)

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


@dataclass(frozen=True, slots=True)
class Rules:
    """Who decides an event, and when; keys are raw Ed25519 public keys, times ns UTC.

    disputers: who may dispute besides reporters and arbiter, for a bond of bond_minimum USDC units
    or bond_share millionths of the open interest. accounts: whose keys they are, by account.
    """

    symbol: str
    hash: bytes
    reporters: tuple[bytes, ...] = ()
    quorum: int = 1
    dispute_ns: int = 0
    arbiter: bytes = b""
    cutoff: int = 0  # 0: none
    void_price: int = 0
    disputers: tuple[bytes, ...] = ()
    bond_minimum: int = 0
    bond_share: int = 0
    accounts: Mapping[bytes, int] = field(default_factory=dict)


class Outcomes:
    """The part of the oracle that decides what came true."""

    def __init__(self, oracle: "Oracle", rules: dict[int, Rules] | Any) -> None:
        self._oracle = oracle
        self._rules: dict[int, Rules] = dict(rules)
        self.holdings = Holdings(self._connection, oracle.reference)
        self.bonds = Bonds(self, self._connection)

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
        if s.kind == ARBITRATION and self.bonds.is_asked(s.event):
            return "arbitration: the dispute's bond is still being paid"
        if len(s.payouts) != event.outcomes or not in_hull(event.kind, s.payouts):
            return "no possible outcome pays this"
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
            "INSERT OR REPLACE INTO report VALUES (?, ?, ?, ?)",
            (s.event, signed.signer.hex(), json.dumps(s.payouts), s.evidence.hex()),
        )
        self.note(now, "report", s.symbol, statement=signed.to_json())
        (equal,) = self._connection.execute(
            "SELECT count(*) FROM report WHERE event = ? AND payouts = ?",
            (s.event, json.dumps(s.payouts)),
        ).fetchone()
        if equal >= self._rules[s.event].quorum:
            self._propose(s.event, s.payouts, s.evidence, "quorum", now)

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

    def _arbitrate(self, signed: Signed, now: int) -> None:
        s = signed.statement
        digest = self.note(now, "arbitration", s.symbol, statement=signed.to_json())
        self._put(s.event, DISPUTED, s.payouts, s.evidence, now)
        self.bonds.decided(s.event, s.payouts, now)
        self._finish(s.event, s.payouts, digest, now)

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

    def _propose(
        self, event: int, payouts: tuple[int, ...], evidence: bytes, why: str, now: int
    ) -> None:
        rules = self._rules[event]
        final_at = now + rules.dispute_ns
        self._put(event, PROPOSED, payouts, evidence, final_at)
        self.note(now, "proposed", rules.symbol, payouts=list(payouts), why=why,
                  final_at=final_at, evidence=evidence.hex())

    def _put(
        self, event: int, state: str, payouts: tuple[int, ...], evidence: bytes, final_at: int
    ) -> None:
        self._connection.execute(
            "INSERT OR REPLACE INTO market VALUES (?, ?, ?, ?, ?, 0)",
            (event, state, json.dumps(payouts), evidence.hex(), final_at),
        )

    def _advance(self, number: int, rules: Rules, now: int) -> int:
        """What time alone does to an event."""
        row = self._connection.execute(
            "SELECT state, payouts, final_at FROM market WHERE event = ?", (number,)
        ).fetchone()
        event = self._oracle.reference.events.get(number)
        if event is None:
            return 0
        if row is None:
            if not rules.cutoff or now < rules.cutoff or not rules.reporters:
                return 0
            steps = [
                self._oracle.reference.instruments[i].tick_size for i in event.instruments
            ]
            payouts = void_payouts(event.kind, event.outcomes, rules.void_price, max(steps))
            self._propose(number, payouts, GENESIS, "void: no quorum by the cut-off", now)
            return 1
        state, payouts, final_at = row
        if state != PROPOSED or now < final_at:
            return 0
        vector = tuple(json.loads(payouts))
        digest = self.note(now, "final", rules.symbol, payouts=list(vector))
        self._finish(number, vector, digest, now)
        return 1

    def _finish(self, event: int, payouts: tuple[int, ...], digest: bytes, now: int) -> None:
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
                "INSERT INTO market VALUES (?, ?, ?, ?, 0, 0)"
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


def rules_hash(config: Path, market: str) -> tuple[int, bytes]:
    """Number and rules' hash of an event of a configuration, by its symbol. Raises ValueError."""
    configuration = load(config)
    for event in configuration.event:
        if event.symbol == market:
            return configuration.numbers().events[market], hash_of_rules(event.rules)
    raise ValueError(f"no event of the symbol {market}")


def hash_of_rules(rules: str) -> bytes:
    """The hash under which a market's rules are listed and signed."""
    return blake3(rules.encode()).digest()


def record_hash(
    previous: bytes, ordinal: int, time: int, kind: str, subject: str, body: str
) -> bytes:
    """BLAKE3 over the record before and all of this one."""
    head = f"{ordinal}\n{time}\n{kind}\n{subject}\n{body}\n".encode()
    return blake3(previous + head).digest()


def verify_records(connection: sqlite3.Connection) -> int:
    """Walk the record from its beginning; how many there are. Raises ValueError at a break."""
    previous, expected = GENESIS, 1
    for ordinal, *fields, digest in connection.execute("SELECT * FROM record ORDER BY ordinal"):
        if ordinal != expected or record_hash(previous, ordinal, *fields) != digest:
            raise ValueError(f"the record is broken at {expected}")
        previous, expected = digest, expected + 1
    return expected - 1
