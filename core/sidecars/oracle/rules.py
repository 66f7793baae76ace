"""The rules by which the oracle decides an event, as it needs them: keys raw, times in ns UTC.

They come from the configuration's documents (core/market_rules.py), of which each is kept in the
store under its hash, so that whoever has a listing's hash finds what it says.
"""

import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from core.config import Configuration, load
from core.market_rules import VOID, Event, PriceRules, canonical, document_hash, event_document
from core.venue import Instrument

SECOND = 1_000_000_000
DOCUMENTS = "CREATE TABLE document (hash BLOB PRIMARY KEY, body TEXT NOT NULL) STRICT;"
MIGRATION = DOCUMENTS + """
    ALTER TABLE report ADD COLUMN rule TEXT NOT NULL DEFAULT '';
    ALTER TABLE market ADD COLUMN rule TEXT NOT NULL DEFAULT '';
"""


@dataclass(frozen=True, slots=True)
class Rules:
    """Who decides an event, when, and what each rule that may fire pays.

    disputers: who may dispute besides reporters and arbiter, for a bond of bond_minimum USDC units
    or bond_share millionths of the open interest. accounts: whose keys they are, by account.
    deadline: 0 none; else a time, or with deadline_after that long after the listing. opens: before
    it the source's word doesn't count.
    """

    symbol: str
    hash: bytes
    fired: Mapping[str, tuple[int, ...]]
    reporters: tuple[bytes, ...] = ()
    quorum: int = 1
    dispute_ns: int = 0
    arbiter: bytes = b""
    deadline: int = 0
    deadline_after: int = 0
    opens: int = 0
    disputers: tuple[bytes, ...] = ()
    bond_minimum: int = 0
    bond_share: int = 0
    accounts: Mapping[bytes, int] = field(default_factory=dict)

    def is_late(self, now: int, listed: int) -> bool:
        """Whether the deadline of an event listed then has passed."""
        if self.deadline_after:
            return now >= listed + self.deadline_after
        return bool(self.deadline) and now >= self.deadline

    def against(self, rule: str, payouts: tuple[int, ...], reports: bool) -> str:
        """Why a statement can't cite a rule; empty if it can."""
        vector = self.fired.get(rule)
        if vector is None:
            return f"the rules have no {rule or 'rule without a name'}"
        if vector != payouts:
            return f"{rule} pays something else"
        if reports and rule == VOID:
            return "void is for the deadline and the arbiter"
        return ""


def rules_of(configuration: Configuration) -> dict[int, Rules]:
    """The rules of each event, by its number."""
    numbers = configuration.numbers()
    return {
        numbers.events[event.symbol]: _rules(event, configuration) for event in configuration.event
    }


def _rules(event: Event, configuration: Configuration) -> Rules:
    rules, accounts = event.rules, configuration.numbers().accounts
    document = event_document(event, outcomes(configuration, event))
    return Rules(
        event.symbol, document_hash(document), rules.fired(), keys(rules.reporters), rules.quorum,
        rules.dispute_seconds * SECOND, bytes.fromhex(rules.arbiter), nanoseconds(rules.deadline),
        rules.deadline_in_seconds * SECOND, nanoseconds(rules.source.begins),
        keys(rules.disputers), rules.bond_minimum // 100, rules.bond_millionths,
        {bytes.fromhex(key): accounts[name] for key, name in event.key_accounts.items()},
    )


def outcomes(configuration: Configuration, event: Event) -> tuple[str, ...]:
    """The symbols of an event's outcomes, in their order."""
    return tuple(i.symbol for i in configuration.instrument if i.event == event.symbol)


def price_document(listed: Instrument) -> bytes:
    """The rules of a price link of the configuration."""
    expires = listed.expires or f"{listed.expires_in_seconds} s after the listing"
    return canonical(PriceRules(
        market=listed.symbol, underlying=listed.base, condition=listed.condition, low=listed.low,
        high=listed.high, expires=expires, averaging_seconds=listed.averaging_seconds,
    ))


def documents(configuration: Configuration) -> Iterator[bytes]:
    """All rules of the configuration."""
    for event in configuration.event:
        yield event_document(event, outcomes(configuration, event))
    for listed in configuration.instrument:
        if listed.condition:
            yield price_document(listed)


def keep(connection: sqlite3.Connection, document: bytes) -> None:
    """Keep a document under its hash."""
    connection.execute("INSERT OR IGNORE INTO document VALUES (?, ?)",
                       (document_hash(document), document.decode()))


def kept(connection: sqlite3.Connection, digest: bytes) -> str | None:
    """The document of a hash, if it is known and is what was hashed."""
    row = connection.execute("SELECT body FROM document WHERE hash = ?", (digest,)).fetchone()
    return row[0] if row and document_hash(row[0].encode()) == digest else None


def rules_at(config: Path, market: str) -> tuple[int, Rules]:
    """Number and rules of an event of a configuration, by its symbol. Raises ValueError."""
    for number, rules in rules_of(load(config)).items():
        if rules.symbol == market:
            return number, rules
    raise ValueError(f"no event of the symbol {market}")


def keys(texts: tuple[str, ...]) -> tuple[bytes, ...]:
    """Public keys from their hexadecimal."""
    return tuple(bytes.fromhex(text) for text in texts)


def nanoseconds(text: str) -> int:
    """A time of RFC 3339; 0 for none."""
    return round(datetime.fromisoformat(text).timestamp()) * SECOND if text else 0
