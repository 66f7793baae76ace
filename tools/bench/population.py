"""What an order costs the whole core with few accounts and with a million, with few and many books.

The workload of `tools.bench.engine` through the same sequencer, engine and journal process, by one
compiled engine with room for the greatest population, so that only how many accounts and books
take part differs:

    1,000 accounts, 10 books          the baseline of the ratios
    1,000,000 accounts, 10 books
    1,000 accounts, 10,000 books

Every order is of a book and of one of its traders chosen at random, each of whom has a position
record there: with many, hardly anything that an order needs is in a cache unless it was asked for
while the order waited (core.engine.foresight). Rounds over the populations alternate, each with a
core of its own; the median of a population's rounds counts.
"""

from typing import Any

import msgspec
import numpy as np

from core.config import Limits
from sbe.generated import control as ct
from tools.bench.engine import (
    BenchedCore,
    encode_columns,
    full_speed,
    running,
)
from tools.bench.frames import many
from tools.bench.matching import ADD, CANCEL, MIDDLE, workload
from tools.bench.samples import Samples
from tools.bench.venue import CommandStream

FIRST = 100
CLIENT_IDS = 1 << 40  # beyond those of the workload
FEW = 1_000
TRADERS_LEAST = 10  # of a book
POPULATIONS = ((FEW, 10), (1_000_000, 10), (FEW, 10_000))
ROUNDS = 3
BALANCE = 40_000 * 10**6  # USDC units: a million of them are within what may be deposited
LIMITS = msgspec.structs.replace(
    Limits(), owners_max=1 << 20, accounts_max=1 << 20, positions_max=1 << 20,
    instruments_max=1 << 14, levels_max=1 << 18, assets_max=4,
)


def measure_populations(operations: int, seed: int = 5) -> dict[str, Any]:
    """Processor ns of an operation by population, and the ratios to the smallest."""
    taken: dict[tuple[int, int], list[float]] = {population: [] for population in POPULATIONS}
    for number in range(ROUNDS):
        for population in POPULATIONS:
            taken[population].append(_round(*population, operations, seed + number))
    least = float(np.median(taken[POPULATIONS[0]]))
    return {
        f"{accounts:_}_accounts_{books:_}_books": {
            "ns_per_op": float(np.median(rounds)),
            "ratio_to_the_fewest": float(np.median(rounds)) / least,
        }
        for (accounts, books), rounds in taken.items()
    }


def _round(accounts: int, books: int, operations: int, seed: int) -> float:
    columns = workload(operations + operations // 4, books, seed)
    warm = operations // 4
    traders = max(accounts // books, TRADERS_LEAST)
    dice = np.random.default_rng(seed).integers(0, traders, len(columns["book"]))
    frames = encode_columns(columns, _trader(accounts, books, columns["book"], dice))
    with running(books, accounts=0, limits=LIMITS) as core:
        _open_accounts(core, accounts)
        _open_positions(core, accounts, books, traders)
        full_speed(core, frames[:warm])
        core.settle()
        result, _ = full_speed(core, frames[warm:])
        core.settle()
    return float(result["ns_per_op"])


def _trader(accounts: int, books: int, book: Samples, number: Samples) -> Samples:
    """The account of a book's trader of a number: those of different books far apart."""
    step = books if accounts > books else accounts // TRADERS_LEAST
    return np.asarray(FIRST + (book + number * step) % accounts)


def _open_accounts(core: BenchedCore, accounts: int) -> None:
    """An owner, an account and a deposit for each, so nobody trades with himself."""
    stream = CommandStream()
    stream.key = int(core.state[0]["producers"][stream.producer]["last_key"])
    numbers = np.arange(FIRST, FIRST + accounts)
    owned = {"account": numbers, "owner": numbers}
    full_speed(core, many(stream, "RegisterOwner", ct.REGISTER_OWNER, {"owner": numbers},
                          name="", feeTier=0, selfTradePrevention=0))
    full_speed(core, many(stream, "RegisterAccount", ct.REGISTER_ACCOUNT, owned,
                          name="", autoLend=1, autoBorrow=1))
    full_speed(core, many(stream, "Deposit", ct.DEPOSIT, {"account": numbers},
                          asset=0, amount=BALANCE))
    core.settle()


def _open_positions(core: BenchedCore, accounts: int, books: int, traders: int) -> None:
    """A position record for each trader of each book: an order far from the middle, and no more."""
    count = books * traders
    book, number = np.divmod(np.arange(count), traders)
    nothing = np.zeros(count, np.int64)
    orders = {
        "kind": nothing + ADD, "book": 1 + book, "side": 1 + nothing, "tick": nothing + MIDDLE // 2,
        "lots": 1 + nothing, "target": nothing,
    }
    owners = _trader(accounts, books, 1 + book, number)
    columns = {name: np.repeat(column, 2) for name, column in orders.items()}
    columns["kind"][1::2] = CANCEL
    columns["target"] = np.arange(2 * count) // 2 * 2
    frames = encode_columns(columns, np.repeat(owners, 2), CLIENT_IDS)
    full_speed(core, frames)
    core.settle()
