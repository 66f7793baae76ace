"""Say and see what came true: reports, disputes and arbitration of markets, and their record.

    onebook oracle show [MARKET]                       states, rules, reports and the hash chain
    onebook oracle report MARKET RULE --key FILE       a reporter's signed word
    onebook oracle dispute MARKET RULE --key FILE      against a proposal, with what is right
    onebook oracle arbitrate MARKET RULE --key FILE    the arbiter's last word
    onebook oracle key FILE                            make a key, print its public half
    onebook oracle rehearse FOLDER                     a recorded venue's markets as a series

RULE is the name of what fired: a trigger or a carve-out of the market's rules, or void.
"""

import itertools
import json
import sqlite3
import time
from pathlib import Path
from typing import Annotated

import msgspec
from cyclopts import App, Parameter
from rich.console import Console
from rich.table import Table

from core.config import ConfigurationError
from core.errors import CoreError
from core.reference import ReferenceData
from core.sidecars.keys import SigningKey
from core.sidecars.oracle.record import verify_records
from core.sidecars.oracle.reports import (
    ARBITRATION,
    DISPUTE,
    REPORT,
    Statement,
    evidence_of,
)
from core.sidecars.oracle.rules import kept, rules_at
from tools.inspection import configuration_of
from tools.rehearsal import ONE, SECOND, Rehearsal, rehearse
from tools.stores import (
    Data,
    Instance,
    data_directory,
    fail,
    moment,
    read_store,
    reference_of,
    wait_for,
    write_store,
)

ANSWER_SECONDS = 5.0
Market = Annotated[str, Parameter(help="Symbol of the event or instrument.")]
Rule = Annotated[
    str, Parameter(help="Name of what fired: a trigger or carve-out of its rules, or void.")
]
Key = Annotated[Path, Parameter(help="File with the Ed25519 key that signs.")]
Evidence = Annotated[
    Path | None, Parameter(help="File whose hash the statement is to contain.")
]

oracle = App(name="oracle", help=(__doc__ or "").partition("\n")[0])


@oracle.command
def show(
    market: str | None = None, *, instance: Instance = "onebook", data: Data = None
) -> int:
    """Show where markets stand and every step of the record; exit code 1 if its chain is broken.

    Parameters
    ----------
    market
        Only this one, with the rules it was listed under: the symbol of an event or instrument.
    """
    console = Console()
    try:
        with read_store(instance, data, "oracle") as connection:
            states = connection.execute(
                "SELECT event, state, rule, final_at FROM market"
            ).fetchall()
            rows = connection.execute("SELECT * FROM record ORDER BY ordinal").fetchall()
            reference = reference_of(connection)
            count = verify_records(connection)
            symbols = symbols_of(instance, data, reference)
            if market is not None and not show_rules(connection, reference, symbols, market):
                return fail(f"no market {market}, or its rules are not known")
    except (CoreError, ConfigurationError, ValueError) as error:
        return fail(error)
    table = Table("market", "", "state", "rule", "final at", title="markets", title_justify="left")
    for event, state, rule, final_at in states:
        symbol = symbols.get(event, "")
        if market in (None, symbol):
            table.add_row(symbol, reference.events[event].title, state, rule, moment(final_at))
    console.print(table)
    table = Table("", "time", "what", "market", "said", "hash")
    for ordinal, at, kind, subject, body, digest in rows:
        if market in (None, subject):
            table.add_row(str(ordinal), moment(at), kind, subject, said(body), digest.hex()[:12])
    console.print(table)
    print(f"{count} records, each carries the hash of the one before.")
    return 0


def symbols_of(instance: str, data: Path | None, reference: ReferenceData) -> dict[int, str]:
    """What events are called; the core knows only their numbers. Raises ConfigurationError."""
    configuration = configuration_of(data_directory(instance, data))
    return {
        number: name for name, number in configuration.numbers().events.items()
        if number in reference.events
    }


def show_rules(
    connection: sqlite3.Connection, reference: ReferenceData, symbols: dict[int, str], market: str
) -> bool:
    """Print the rules under whose hash a market is listed; whether they are known."""
    listed = reference.instruments_by_symbol.get(market)
    hashes = {name: reference.events[number].rules_hash for number, name in symbols.items()}
    digest = listed.rules_hash if listed is not None else hashes.get(market)
    document = kept(connection, digest) if digest is not None else None
    if digest is None or document is None:
        return False
    print(msgspec.json.format(document, indent=2))
    print(f"rules hash {digest.hex()}, as listed")
    return True


def said(body: str) -> str:
    """The body of a record in one line."""
    value = json.loads(body)
    statement = value.pop("statement", None)
    parts = [f"{name}={item}" for name, item in value.items()]
    if statement is not None:
        rule = statement.get("rule", "")
        parts.append(f"rule={rule} payouts={statement['payouts']} by {statement['signer'][:12]}")
        parts.append(f"evidence={statement['evidence'][:12]}")
    return " ".join(parts)


@oracle.command
def key(file: Path) -> int:
    """Make a signing key (or read it, if it is there) and print its public half.

    Parameters
    ----------
    file
        Where the key is kept.
    """
    try:
        print(SigningKey.load_or_make(file).public.hex())
    except CoreError as error:
        return fail(error)
    return 0


@oracle.command
def report(
    market: Market, rule: Rule, *, key: Key, evidence: Evidence = None,
    instance: Instance = "onebook", data: Data = None,
) -> int:
    """Sign and hand in what came true."""
    return hand_in(REPORT, market, rule, key, evidence, instance, data)


@oracle.command
def dispute(
    market: Market, rule: Rule, *, key: Key, evidence: Evidence = None,
    instance: Instance = "onebook", data: Data = None,
) -> int:
    """Sign and hand in that a proposal is wrong."""
    return hand_in(DISPUTE, market, rule, key, evidence, instance, data)


@oracle.command
def arbitrate(
    market: Market, rule: Rule, *, key: Key, evidence: Evidence = None,
    instance: Instance = "onebook", data: Data = None,
) -> int:
    """Sign and hand in the arbiter's decision."""
    return hand_in(ARBITRATION, market, rule, key, evidence, instance, data)


def hand_in(
    kind: str, market: str, rule: str, key: Path, evidence: Path | None,
    instance: str, data: Path | None,
) -> int:
    """Sign a statement with a key file and put it into the oracle's inbox."""
    try:
        number, rules = rules_at(data_directory(instance, data) / "run" / "config.json", market)
        if rule not in rules.fired:
            return fail(f"{market} has no rule {rule}, but {', '.join(rules.fired)}")
        statement = Statement(
            kind, number, market, rules.hash, rule, rules.fired[rule],
            evidence_of(evidence.read_bytes() if evidence else b""), time.time_ns(),
        )
        signed = statement.sign(SigningKey.load(key))
        with write_store(instance, data, "oracle") as connection:
            body = json.dumps(signed.to_json())
            connection.execute("INSERT INTO inbox (body) VALUES (?)", (body,))
            print(statement.text().decode(), end="")
            return taken(connection, body, signed.signature.hex())
    except (CoreError, ConfigurationError, ValueError, OSError) as error:
        return fail(error)


def taken(connection: sqlite3.Connection, body: str, signature: str) -> int:
    """Say what the oracle made of what was handed in; 1 if it refused."""
    select = connection.execute
    waits = "SELECT 1 FROM inbox WHERE body = ?"
    if not wait_for(ANSWER_SECONDS, lambda: select(waits, (body,)).fetchone() is None):
        print("Handed in; the oracle isn't there now and will take it when it is.")
        return 0
    for ordinal, kind, said_of_it in select(
        "SELECT ordinal, kind, body FROM record ORDER BY ordinal DESC LIMIT 100"
    ):
        value = json.loads(said_of_it)
        if value.get("statement", {}).get("signature") == signature:
            if kind == "refused":
                return fail(f"refused: {value['reason']}")
            print(f"Taken, record {ordinal}.")
            return 0
    return fail("taken, but not in the record")


@oracle.command(name="rehearse")
def rehearse_recorded(folder: Path, *, window: int = 30) -> int:
    """Run a recorded venue's five-minute up/down markets through, and say how many agree.

    Parameters
    ----------
    folder
        It holds binance_btc.csv.gz (one-minute bars) and polymarket_btc.csv.gz (resolutions).
    window
        Seconds over which the index is averaged at both ends of a market.
    """
    try:
        result = rehearse(folder, window)
    except (CoreError, ValueError, KeyError) as error:
        return fail(error)
    show_rehearsal(result, window)
    return 0 if result.markets else fail("no recorded market is covered by the bars")


def show_rehearsal(result: Rehearsal, window: int) -> None:
    """The share that agrees, and what the others have in common."""
    count = len(result.markets)
    if count == 0:
        return
    share = 100 * result.agreeing / count
    print(f"{count} recorded markets resolved by themselves; {result.agreeing} ({share:.1f} %) as "
          f"recorded, with a window of {window} s.")
    left = {"without a live index": result.unlisted, "without a settlement": result.unresolved,
            "undecided in the recording": result.undecided, "not covered": result.uncovered}
    print("Left out: " + ", ".join(f"{number} {why}" for why, number in left.items()) + ".")
    table = Table("index moved by", "markets", "differ", title="the nearer the ends, the likelier")
    bounds = (0, 5, 10, 20, 40, 80, 1 << 40)
    for low, high in itertools.pairwise(bounds):
        here = [m for m in result.markets if low <= abs(m.moved) / ONE < high]
        differing = sum(m.ours != m.recorded for m in here)
        name = f"{low} to {high} USD" if high < 1 << 40 else f"{low} USD and more"
        table.add_row(name, str(len(here)), str(differing))
    Console().print(table)
    inside = sum(abs(m.moved) <= m.window_moved for m in result.apart)
    print(f"Of the {len(result.apart)} that differ, {inside} moved by no more than the index did "
          "within the window that settled them: the recorded venue settles at one instant of "
          "another feed. The rest, largest first:")
    for market in [m for m in result.apart if abs(m.moved) > m.window_moved][:10]:
        print(f"  {moment(market.begin * SECOND)}  moved by {market.moved / ONE:+.2f} USD, "
              f"{market.window_moved / ONE:.2f} within the window")
