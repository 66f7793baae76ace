"""What the sidecars keep pace with: settlements, attestations, proofs, and the ledger.

    settlement    of a million accounts, and the latency of the orders meanwhile (settling.py)
    attestation   from the books of so many accounts with eight assets each to the signed page
                  beside BLAKE3 alone over rows of the tree's sizes and number
    proof         a customer's check of one leaf against the root, by the stand-alone verifier
    ledger        trade reports posted to the double-entry ledger in batches, saved each time
                  beside the same number of bare rows into the same kind of SQLite file

An attestation is timed by the wall, on two processors if there are; the rest is processor time of
one process. The ledger writes to a file in the temporary directory.
"""

import gc
import sqlite3
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from blake3 import blake3

from core.link import Event
from core.messages import encode, template
from core.reference import ReferenceData
from core.sidecars.books import Books
from core.sidecars.custody import EmbeddedCustody
from core.sidecars.keys import SigningKey
from core.sidecars.lending.pool import ONE as INDEX_ONE
from core.sidecars.lending.pool import Pools
from core.sidecars.reserves.attestation import GENESIS, Cut, compose, sign
from core.sidecars.reserves.files import ReserveFiles
from core.sidecars.reserves.instant import instant_of
from core.sidecars.reserves.liabilities import columns_of, leaves_of
from core.sidecars.reserves.tree import Tree, customer_secret
from core.sidecars.serve import collect_seldom
from core.sidecars.settlement import ledger
from core.sidecars.settlement.ledger import Ledger
from tools import verify_reserves
from tools.bench.settling import measure_settlement

LEAVES = 1_000_000
ASSETS = 8
RATE = 200_000
MASTER = bytes(32)
PROOFS = 200
REPORTS = 100_000
BATCH = 20_000
ONE = 10**8
HEADER = {"transactTime": 1, "msgSeqNum": 0, "lastAppliedSeqNo": 0}


def measure(operations: int = LEAVES, rate: int = RATE) -> dict[str, Any]:
    """Time all; `operations` is the number of accounts, `rate` that of orders. Plain JSON."""
    settlement, latencies = measure_settlement(operations, rate)
    result = {"accounts": operations, "assets": ASSETS, "settlement": settlement}
    if not settlement["rate_reached"]:
        return result
    tree, attestation = _attestation(operations)
    proof = _proofs(tree)
    del tree
    return result | {
        "attestation": attestation,
        "proof": proof,
        "ledger": _ledger(),
        "samples": {"settlement": latencies},
    }


def _timed(action: Callable[[], Any]) -> tuple[Any, float, float]:
    wall, processor = time.perf_counter(), time.process_time()
    result = action()
    return result, time.perf_counter() - wall, time.process_time() - processor


def _attestation(count: int) -> tuple[Tree, dict[str, Any]]:
    """An attestation of accounts that have every asset, a tenth of them borrowed."""
    reference = _reference(_assets(ASSETS))
    books, pools = Books(reference), Pools(reference)
    random = np.random.default_rng(1)
    for asset in range(ASSETS):
        amounts = random.integers(-(10**11), 10**12, count).tolist()
        books.balances.update(((account, asset), n) for account, n in enumerate(amounts, 100))
        pools[asset].touched = {account: (n, INDEX_ONE) for account, n in enumerate(amounts, 100)}
        pools[asset].accrued(INDEX_ONE + 10**9, INDEX_ONE + 10**8)
    gc.freeze()  # What a process of its own would not have made just now.
    columns = columns_of(reference)
    with tempfile.TemporaryDirectory() as directory:
        custody = EmbeddedCustody(Path(directory) / "custody.sqlite")
        files = ReserveFiles(Path(directory) / "reserves")
        keys = {name: SigningKey(bytes([n]) * 32) for n, name in enumerate(("engine", "attestor"))}
        instant, held_wall, held = _timed(lambda: instant_of(books, pools))
        instants = [instant]
        del instant
        (leaves, house), cut_wall, cut = _timed(lambda: leaves_of(instants.pop(), columns, {}))
        tree, tree_wall, tree_processor = _timed(lambda: Tree(leaves, 1, MASTER))

        def publish() -> None:
            page = compose(
                1, GENESIS, Cut(1, 1, 1, 1, GENESIS, GENESIS), (tree.size, tree.root),
                list(zip(columns, tree.totals, strict=True)),
                [(*key, amount) for key, amount in house.items()], custody.statement(1),
            )
            files.keep(1, leaves, columns)
            files.publish(sign(1, page, keys))

        _, files_wall, _ = _timed(publish)
        custody.close()
    gc.unfreeze()
    rows = [bytes(150 + 16 * len(columns))] * tree.size + [
        bytes(80 + 32 * len(columns))
    ] * (tree.size - 1)
    _, _, bare = _timed(lambda: [blake3(row).digest() for row in rows])
    return tree, {
        "seconds": held_wall + cut_wall + tree_wall + files_wall,
        "instant_seconds": held_wall,
        "leaves_from_books_seconds": cut_wall,
        "tree_seconds": tree_wall,
        "signed_and_written_seconds": files_wall,
        "processor_seconds_of_this_process": held + cut + tree_processor,
        "blake3_alone_seconds": bare,
        "leaves_per_second": count / (held_wall + cut_wall + tree_wall + files_wall),
    }


def _proofs(tree: Tree) -> dict[str, Any]:
    columns = [f"held {n}" for n in range(tree.leaves.values.shape[1])]
    page = verify_reserves.Attestation(
        1, b"", {}, leaves=tree.size, root=tree.root,
        columns=dict(zip(columns, tree.totals, strict=True)),
    )
    proofs: list[dict[str, Any]] = []
    for row in np.linspace(0, len(tree.leaves.accounts) - 1, PROOFS).astype(int).tolist():
        index, account = int(tree.places[row]), int(tree.leaves.accounts[row])
        proofs.append({
            "epoch": 1, "columns": columns, "index": index, "account": account,
            "secret": customer_secret(MASTER, account).hex(), "salt": tree.salt(index).hex(),
            "values": [str(value) for value in tree.leaves.values[row]],
            "equity": str(tree.leaves.equity[row]), "maintenance": "0",
            "positions": bytes(32).hex(),
            "path": [
                {"hash": step.hash.hex(), "values": [str(value) for value in step.values]}
                for step in tree.path(index)
            ],
        })

    def check() -> None:
        for proof in proofs:
            verify_reserves.check_proof(proof, page)

    _, _, processor = _timed(check)
    return {"milliseconds": 1000 * processor / PROOFS, "steps": len(proofs[0]["path"])}


def _ledger() -> dict[str, Any]:
    reference = _reference(_venue())
    body = memoryview(encode("ExecutionReport", _trade())[8:])
    events = [Event(0, 0, n, template("ExecutionReport"), body, body) for n in range(REPORTS)]
    with tempfile.TemporaryDirectory() as directory:
        connection = _database(Path(directory) / "ledger.sqlite")
        books = Ledger(connection, reference)
        usual = gc.get_threshold()
        collect_seldom()  # As its process does.

        def post() -> None:
            for begin in range(0, REPORTS, BATCH):
                connection.execute("BEGIN")
                for event in events[begin : begin + BATCH]:
                    books.books.apply(event)
                books.save()
                connection.execute("COMMIT")

        _, wall, processor = _timed(post)
        (rows,) = connection.execute("SELECT count(*) FROM posting").fetchone()
        gc.set_threshold(*usual)
        gc.unfreeze()
        bare = _database(Path(directory) / "bare.sqlite")
        row = (1, 1, 100, 3, 0, 5, 11, 1, 1)

        def insert() -> None:
            for _ in range(0, rows, BATCH):
                bare.execute("BEGIN")
                bare.executemany(ledger.INSERT, [row] * BATCH)
                bare.execute("COMMIT")

        _, _, alone = _timed(insert)
        connection.close()
        bare.close()
    return {
        "reports": REPORTS,
        "postings": rows,
        "seconds": wall,
        "processor_seconds": processor,
        "sqlite_alone_seconds": alone,
        "ops_per_second": REPORTS / processor,
    }


def _database(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.executescript(ledger.MIGRATION)
    return connection


def _reference(definitions: list[tuple[str, dict[str, Any]]]) -> ReferenceData:
    reference = ReferenceData()
    for name, fields in definitions:
        reference.apply(template(name), encode(name, {"header": HEADER, **fields})[8:])
    return reference


def _assets(count: int) -> list[tuple[str, dict[str, Any]]]:
    return [
        ("AssetRegistered", {
            "asset": number, "decimals": 8 if number else 6, "lendable": 1, "borrowable": 1,
            "name": f"ASSET{number}", "haircutInitial": 0, "haircutMaintenance": 0,
            "utilisationCeiling": 0, "reserveShare": 0,
        })
        for number in range(count)
    ]


def _venue() -> list[tuple[str, dict[str, Any]]]:
    return [*_assets(2), ("InstrumentListed", {
        "instrument": 1, "symbol": "BTC-USDC", "kind": 1, "state": 2, "baseAsset": 1,
        "quoteAsset": 0, "event": 0, "outcome": 0, "tickSize": 10**6, "lotSize": 10**4,
        "minimumQty": 10**4, "maximumQty": ONE, "maximumPrice": ONE, "lowerStrike": None,
        "upperStrike": None, "expiry": None, "valuePerTickLot": 1, "rulesHash": bytes(32),
        "title": "",
    })]


def _trade() -> dict[str, Any]:
    return {
        "header": HEADER, "orderId": 1, "clOrdId": 1, "execId": 1, "account": 100,
        "instrument": 1, "price": 50_000 * ONE, "orderQty": 10**4, "cumQty": 10**4,
        "leavesQty": 0, "cumValue": 0, "side": "Buy", "ordType": "Limit",
        "timeInForce": "GoodTillCancel", "execInst": 0, "execType": "Trade",
        "ordStatus": "Filled", "reason": 0, "lastPx": 50_000 * ONE, "lastQty": 10**4,
        "tradeId": 1, "fee": 2, "stopPx": None, "visibleQty": 0, "expireTime": None,
        "origClOrdId": 0, "detail": 0, "limit": 0, "displayQty": None, "tag": 0, "flags": 0,
        "lastLiquidity": 2, "outcomeSide": 0, "selfTradePrevention": 0, "triggerType": 0,
        "quoteSetId": 0, "owner": 100, "echo": b"",
    }
