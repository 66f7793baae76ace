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
from typing import Any

import numpy as np
from blake3 import blake3
from numpy.typing import NDArray

from core.reference import Asset, Instrument, ReferenceData
from core.sidecars.books import ONE, OUTSIDE, PERPETUAL, POOL, POWERS, TRANSIT
from core.sidecars.lending.pool import ONE as INDEX_ONE
from core.sidecars.reserves.instant import (
    Held,
    Instant,
    Interest,
    Words,
    index_words,
    key_words,
    words,
)
from core.sidecars.reserves.tree import HASH_SIZE, Leaves, positions_digest

FIRST_CLIENT = 100
USDC = 0
DELISTED = 8  # TradingState: nobody holds anything of it


def columns_of(reference: ReferenceData) -> list[str]:
    """The names of the values of a leaf, in order."""
    names = [f"{side} {asset}" for asset in sorted(reference.assets) for side in ("held", "owed")]
    names += [
        f"{side} {instrument.number}"
        for instrument in sorted(reference.instruments.values(), key=lambda i: i.number)
        if instrument.kind >= PERPETUAL and instrument.state != DELISTED
        for side in ("long", "short")
    ]
    return [*names, "below", "bankrupt", "shortfall"]


def leaves_of(
    instant: Instant, columns: list[str], maintenance: Mapping[int, int]
) -> tuple[Leaves, dict[tuple[int, int], int]]:
    """The leaves, in order of account, and the house's balances by (account, asset).

    maintenance: margins as the core last reported them, by account; none is zero.
    """
    owners, assets, amounts, house = _balances_of(instant)
    positions = _positions_of(instant)
    held = np.array(sorted(positions), np.int64)
    present = np.zeros(1 + max(int(owners.max(initial=0)), int(held.max(initial=0))), np.bool_)
    present[owners] = present[held] = True
    numbers = np.flatnonzero(present)
    row_of = np.cumsum(present) - 1
    values = np.zeros((len(numbers), len(columns)), np.int64)
    equity = np.zeros(len(numbers), np.int64)
    for asset in sorted(instant.assets):
        chosen = assets == asset
        accounts = owners[chosen]
        whole = with_interest(instant.pools.get(asset), accounts, amounts[chosen])
        posted = int(whole.sum()) - int(amounts[chosen].sum())
        if posted:
            house[POOL, asset] = house.get((POOL, asset), 0) - posted
        rows = row_of[accounts]
        values[rows, columns.index(f"held {asset}")] = np.maximum(whole, 0)
        values[rows, columns.index(f"owed {asset}")] = np.maximum(-whole, 0)
        equity[rows] += _value(instant.assets[asset], whole)
    digests = np.zeros((len(numbers), HASH_SIZE), np.uint8)
    _add_positions(instant, positions, row_of, columns, values, equity, digests)
    margins = np.zeros(len(numbers), np.int64)
    for account, margin in maintenance.items():
        if account < len(present) and present[account]:
            margins[row_of[account]] = margin
    values[:, columns.index("below")] = equity < margins
    values[:, columns.index("bankrupt")] = equity < 0
    values[:, columns.index("shortfall")] = np.maximum(-equity, 0)
    leaves = Leaves(numbers, values, equity, margins, digests)
    return leaves, {key: amount for key, amount in house.items() if amount}


def _balances_of(instant: Instant) -> tuple[Words, Words, Words, dict[tuple[int, int], int]]:
    """Accounts, assets and amounts of clients' balances; and those of the house."""
    accounts, assets = key_words(instant.keys)
    amounts = words(instant.amounts)
    ours = np.flatnonzero((accounts < FIRST_CLIENT) & (accounts != OUTSIDE) & (accounts != TRANSIT))
    house = {(int(accounts[n]), int(assets[n])): int(amounts[n]) for n in ours}
    clients = (accounts >= FIRST_CLIENT) & (amounts != 0)
    return accounts[clients], assets[clients], amounts[clients], house


def _positions_of(instant: Instant) -> dict[int, list[Held]]:
    """What is held or still unsettled, by account."""
    positions: dict[int, list[Held]] = {}
    for held in instant.positions:
        positions.setdefault(held.account, []).append(held)
    return positions


def _add_positions(
    instant: Instant, positions: Mapping[int, list[Held]], row_of: Words,
    columns: list[str], values: Words, equity: Words, digests: NDArray[np.uint8],
) -> None:
    place = {name: number for number, name in enumerate(columns)}
    for account, held in positions.items():
        row = row_of[account]
        quantities = [(p.instrument, p.quantity) for p in held if p.quantity]
        for number, quantity in quantities:
            side = "long" if quantity > 0 else "short"
            values[row, place[f"{side} {number}"]] = abs(quantity)
        for position in held:
            equity[row] += _worth(instant, position)
        digests[row] = np.frombuffer(positions_digest(quantities), np.uint8)


def _worth(instant: Instant, position: Held) -> int:
    """What a position is worth at the mark; a perpetual above what it cost."""
    instrument: Instrument = instant.instruments[position.instrument]
    if instrument.mark is None:
        return 0
    unit = POWERS[16 - instant.assets[instrument.quote_asset].decimals]
    value = instrument.mark * position.quantity // unit
    return value - position.cost if instrument.kind == PERPETUAL else value


def with_interest(pool: Interest | None, accounts: Words, balances: Words) -> Words:
    """Balances with the interest that they have earned or owe and that is not posted yet."""
    if pool is None or pool.borrow_index == pool.lend_index == INDEX_ONE:
        return balances
    touched = words(pool.accounts)
    last = max(int(accounts.max(initial=0)), int(touched.max(initial=0)))
    since_of = np.zeros(1 + last, np.int64)
    since_of[touched] = index_words(pool.touched)
    since = since_of[accounts]
    now = np.where(balances > 0, pool.lend_index, pool.borrow_index)
    counts = since > 0  # Others keep out of the pool.
    since, now = np.where(counts, since, 1), np.where(counts, now, 1)
    return balances + _share(balances, now - since, since)


def _value(known: Asset, balances: Words) -> Words:
    """Balances of an asset at its index, in USDC; what is owed is rounded up."""
    price = np.int64(ONE if known.number == USDC else known.index or 0)
    return _share(balances, price, np.int64(POWERS[known.decimals + 2]))


def _share(amounts: Words, numerator: Words | np.int64, divisor: Words | np.int64) -> Words:
    """floor(amount × numerator / divisor), exact though the products have 128 bits.

    Numerators ≥ 0, divisors and quotients below 2^62. The quotient is estimated in floating point;
    what it leaves is exact modulo 2^64 and says by how much it was wrong. That is the product times
    a few units of the mantissa's last place, so 53 bits do for products below 2^110.
    """
    largest = float(np.abs(amounts).max(initial=0)) * float(np.max(numerator, initial=0))
    mantissa: Any = np.float64 if largest < 2.0**110 else np.longdouble
    quotient: Words = np.floor(amounts.astype(mantissa) * numerator / divisor).astype(np.int64)
    rest: Words = amounts * numerator - quotient * divisor
    quotient += rest // divisor
    return quotient


def parameters_hash(reference: ReferenceData, risk: Mapping[tuple[int, int], int]) -> bytes:
    """BLAKE3 over a line for each asset and listed instrument with the numbers of its listing.

    risk: what was set since, by (RiskParameter, scope); a line each.
    """
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
        if i.state != DELISTED
    ]
    lines += [
        f"risk {parameter} {scope} {value}"
        for (parameter, scope), value in sorted(risk.items())
    ]
    return blake3("\n".join(lines).encode()).digest()
