"""What every account has and owes at one instant, as the leaves of a tree.

    balance > 0, interest to date included  ─▶ held A         positions ─▶ long I, short I
    balance < 0, interest to date included  ─▶ owed A         equity < maintenance ─▶ below
                                                              equity < 0 ─▶ bankrupt, shortfall

Interest that the core has not posted yet (it does when a balance is next touched) is owed all the
same: it is added here by the core's own rule, and taken from the pool's account.

Equity: balances at the index, perpetuals at the mark above their cost, predictions at their mark,
in units of USDC, what is held rounded down and what is owed rounded up.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from blake3 import blake3

from core.reference import ReferenceData
from core.sidecars.books import (
    ONE,
    OUTSIDE,
    PERPETUAL,
    POOL,
    POWERS,
    TRANSIT,
    Books,
    Position,
)
from core.sidecars.lending.pool import Pool
from core.sidecars.reserves.tree import HASH_SIZE, Leaves, positions_digest

FIRST_CLIENT = 100
USDC = 0


class Account(NamedTuple):
    """One account of the cut: balances by asset with interest, quantities by instrument."""

    balances: dict[int, int]
    quantities: dict[int, int]
    equity: int


def columns_of(reference: ReferenceData) -> list[str]:
    """The names of the values of a leaf, in order."""
    names = [f"{side} {asset}" for asset in sorted(reference.assets) for side in ("held", "owed")]
    names += [
        f"{side} {instrument.number}"
        for instrument in sorted(reference.instruments.values(), key=lambda i: i.number)
        if instrument.kind >= PERPETUAL
        for side in ("long", "short")
    ]
    return [*names, "below", "bankrupt", "shortfall"]


def with_interest(pool: Pool | None, account: int, balance: int) -> int:
    """A balance with the interest that it has earned or owes and that is not posted yet."""
    if pool is None or account not in pool.touched:
        return balance
    _, index = pool.touched[account]
    if balance > 0:
        return balance + balance * (pool.lend_index - index) // index
    return balance - -(balance * (pool.borrow_index - index) // index)


def accounts_of(
    books: Books, pools: Mapping[int, Pool]
) -> tuple[dict[int, Account], dict[tuple[int, int], int]]:
    """Clients' accounts by number, and the balances of the house's by (account, asset)."""
    balances: dict[int, dict[int, int]] = {}
    house: dict[tuple[int, int], int] = {}
    posted: dict[int, int] = {}
    for (account, asset), amount in books.balances.items():
        if account in (OUTSIDE, TRANSIT) or amount == 0:
            continue
        if account < FIRST_CLIENT:
            house[account, asset] = amount
            continue
        whole = with_interest(pools.get(asset), account, amount)
        posted[asset] = posted.get(asset, 0) + whole - amount
        balances.setdefault(account, {})[asset] = whole
    for asset, amount in posted.items():
        house[POOL, asset] = house.get((POOL, asset), 0) - amount
    quantities: dict[int, dict[int, int]] = {}
    worth: dict[int, int] = {}
    for (account, number), position in books.positions.items():
        if position.quantity:
            quantities.setdefault(account, {})[number] = position.quantity
        if position.quantity or position.cost:
            worth[account] = worth.get(account, 0) + _worth(books, number, position)
    accounts = {}
    for account in sorted(balances.keys() | quantities.keys()):
        held, positions = balances.get(account, {}), quantities.get(account, {})
        equity = _value(books, held) + worth.get(account, 0)
        accounts[account] = Account(held, positions, equity)
    return accounts, {key: amount for key, amount in house.items() if amount}


def _worth(books: Books, number: int, position: Position) -> int:
    """What a position is worth at the mark; a perpetual above what it cost."""
    instrument = books.reference.instruments[number]
    if instrument.mark is None:
        return 0
    value = books.value_of(instrument, instrument.mark, position.quantity)
    return value - position.cost if instrument.kind == PERPETUAL else value


def _value(books: Books, balances: Mapping[int, int]) -> int:
    """Balances at the index, in USDC; floor division rounds what is owed up."""
    total = 0
    for asset, amount in balances.items():
        known = books.reference.assets[asset]
        price = ONE if asset == USDC else known.index or 0
        total += amount * price // POWERS[known.decimals + 2]
    return total


def leaves_of(
    accounts: Mapping[int, Account], columns: list[str], maintenance: Mapping[int, int]
) -> Leaves:
    """The leaves, in order of account; maintenance margins as the core last reported them."""
    place = {name: number for number, name in enumerate(columns)}
    values = np.zeros((len(accounts), len(columns)), np.int64)
    digests = bytearray()
    for row, (number, account) in enumerate(accounts.items()):
        for asset, amount in account.balances.items():
            values[row, place[f"{'held' if amount > 0 else 'owed'} {asset}"]] = abs(amount)
        for instrument, quantity in account.quantities.items():
            side = "long" if quantity > 0 else "short"
            values[row, place[f"{side} {instrument}"]] = abs(quantity)
        values[row, place["below"]] = account.equity < maintenance.get(number, 0)
        if account.equity < 0:
            values[row, place["bankrupt"]] = 1
            values[row, place["shortfall"]] = -account.equity
        digests += positions_digest(list(account.quantities.items()))
    return Leaves(
        np.array(list(accounts), np.int64), values,
        np.array([account.equity for account in accounts.values()], np.int64),
        np.array([maintenance.get(number, 0) for number in accounts], np.int64),
        np.frombuffer(bytes(digests), np.uint8).reshape(len(accounts), HASH_SIZE),
    )


def parameters_hash(reference: ReferenceData) -> bytes:
    """BLAKE3 over one line for each asset and instrument with the numbers they were listed with."""
    lines = [
        f"asset {a.number} {a.name} {a.decimals} {a.haircut_initial} {a.haircut_maintenance}"
        f" {a.utilisation_ceiling} {a.reserve_share}"
        for a in sorted(reference.assets.values(), key=lambda a: a.number)
    ]
    lines += [
        f"instrument {i.number} {i.symbol} {i.kind} {i.base_asset} {i.quote_asset} {i.event}"
        f" {i.outcome} {i.tick_size} {i.lot_size} {i.lower_strike} {i.upper_strike} {i.expiry}"
        f" {i.rules_hash.hex()}"
        for i in sorted(reference.instruments.values(), key=lambda i: i.number)
    ]
    return blake3("\n".join(lines).encode()).digest()
