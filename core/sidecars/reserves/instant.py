"""All that leaves are made from, as it was at one instant, while the books go on.

Balances and interest are numbers and tuples that never change, so a list of them is a copy of their
dictionary as it stands: eight million take a fraction of a second. What takes longer is reading
them (liabilities.py), which another thread does, a slice at a time: nobody waits for more than one.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import copy
from itertools import chain
from operator import itemgetter
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from core.reference import Asset, Instrument
from core.sidecars.books import Books
from core.sidecars.lending.pool import Pool

SLICE = 1 << 16  # elements; a few milliseconds, in which no other thread can run

Words = NDArray[np.int64]


class Interest(NamedTuple):
    """A pool: its indices, and at which each account's balance was touched last."""

    borrow_index: int
    lend_index: int
    accounts: list[int]
    touched: list[tuple[int, int]]  # balance, index


class Held(NamedTuple):
    """A position: signed quantity (exponent −8), and what it cost since it was last settled."""

    account: int
    instrument: int
    quantity: int
    cost: int


class Instant(NamedTuple):
    """See the module. keys, amounts: (account, asset) of each balance, and the balance."""

    assets: dict[int, Asset]
    instruments: dict[int, Instrument]
    keys: list[tuple[int, int]]
    amounts: list[int]
    pools: dict[int, Interest]
    positions: list[Held]


def instant_of(books: Books, pools: Mapping[int, Pool]) -> Instant:
    """Everything as it is now."""
    reference = books.reference
    return Instant(
        {number: copy(asset) for number, asset in reference.assets.items()},
        {number: copy(listed) for number, listed in reference.instruments.items()},
        list(books.balances), list(books.balances.values()),
        {
            asset: Interest(
                pool.borrow_index, pool.lend_index, list(pool.touched),
                list(pool.touched.values()),
            )
            for asset, pool in pools.items()
        },
        [
            Held(*key, position.quantity, position.cost)
            for key, position in books.positions.items()
            if position.quantity or position.cost
        ],
    )


def words(values: Sequence[int]) -> Words:
    """Integers as an array."""
    return _read(len(values), lambda begin, end: values[begin:end])


def key_words(keys: list[tuple[int, int]]) -> tuple[Words, Words]:
    """The first and the second of each pair."""
    flat = _read(
        2 * len(keys), lambda begin, end: chain.from_iterable(keys[begin // 2 : end // 2])
    )
    return flat[0::2], flat[1::2]


def index_words(touched: list[tuple[int, int]]) -> Words:
    """The indices at which balances were touched."""
    return _read(len(touched), lambda begin, end: map(itemgetter(1), touched[begin:end]))


def _read(count: int, part: Callable[[int, int], Iterable[int]]) -> Words:
    found = np.empty(count, np.int64)
    for begin in range(0, count, SLICE):
        end = min(begin + SLICE, count)
        found[begin:end] = np.fromiter(part(begin, end), np.int64, end - begin)
    return found
