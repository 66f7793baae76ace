"""The Merkle sum tree of liabilities: a leaf per account, every sum bound in every node.

    leaf   BLAKE3("onebook leaf 1\\0" ‖ epoch ‖ index ‖ id tag ‖ salt ‖ equity ‖ maintenance
                  ‖ positions digest ‖ values)
    node   BLAKE3("onebook node 1\\0" ‖ level ‖ left hash ‖ left values ‖ right hash ‖ right values)

      level 2                 root: hash and one value a column, published and signed
      level 1           node          node
      level 0       leaf   leaf    leaf   leaf        2^k of them, shuffled, padded with empty ones

epoch, index: u64. equity, maintenance: i64, units of USDC. values: one u128 for each *column*; a
node's are the sums of its children's, both of which it binds, so neither can be left out, counted
twice or made negative. All integers are little-endian, hashes and salts have 32 bytes.

The columns say what is owed, gross: `held A` and `owed A` for each asset (never netted against each
other, in no leaf and between none), `long I` and `short I` for each instrument (exponent −8),
`bankrupt` and `shortfall` for accounts whose equity is below zero.

Secrets come from one master key, so that a proof can be made for any epoch at any time:

    customer secret    BLAKE3 keyed, "customers", output at 32 × account
    id tag             BLAKE3 keyed by the customer's secret, of epoch ‖ account (u64 each): a leaf
                       cannot be shown to two customers, as they know their own numbers
    salt               BLAKE3 keyed, "salts" ‖ epoch, output at 32 × index
    place of a leaf    order of BLAKE3 keyed, "order" ‖ epoch, output at 8 × (number of the account)
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from blake3 import blake3
from numpy.typing import NDArray

LEAF_PREFIX = b"onebook leaf 1\0"
NODE_PREFIX = b"onebook node 1\0"
HASH_SIZE = 32
VALUE_SIZE = 16
TOTAL_MAX = 1 << 62  # int64 arithmetic stays exact; listing limits keep real totals far below

Bytes = NDArray[np.uint8]
Values = NDArray[np.int64]


class Leaves(NamedTuple):
    """All accounts of a cut, in any order; row i of each belongs to account `accounts[i]`.

    values: (accounts × columns), not negative. equity, maintenance: units of USDC. positions: a
    digest of 32 bytes each.
    """

    accounts: NDArray[np.int64]
    values: Values
    equity: NDArray[np.int64]
    maintenance: NDArray[np.int64]
    positions: Bytes


class Step(NamedTuple):
    """One sibling on the way from a leaf to the root."""

    hash: bytes
    values: tuple[int, ...]


class Tree:
    """The tree of one epoch. `places[i]` is the index of the leaf of row i."""

    def __init__(self, leaves: Leaves, epoch: int, master: bytes) -> None:
        count, columns = leaves.values.shape
        if count and int(leaves.values.min()) < 0:
            raise ValueError("what is owed is never below zero: gross values only")
        if any(sum(map(int, column)) >= TOTAL_MAX for column in leaves.values.T):
            raise ValueError(f"a total is beyond {TOTAL_MAX}")
        self.epoch = epoch
        self.leaves = leaves
        self._master = master
        self.size = 1 << max(count - 1, 0).bit_length()
        self.places = np.argsort(_order(master, epoch, self.size), kind="stable")[:count]
        values = np.zeros((self.size, columns), np.int64)
        values[self.places] = leaves.values
        self.levels: list[tuple[Bytes, Values]] = [(self._hash_leaves(values), values)]
        while len(self.levels[-1][0]) > 1:
            self.levels.append(_parents(*self.levels[-1], len(self.levels)))

    @property
    def root(self) -> bytes:
        """The hash of the root."""
        return bytes(self.levels[-1][0][0])

    @property
    def totals(self) -> tuple[int, ...]:
        """The values of the root."""
        return tuple(int(value) for value in self.levels[-1][1][0])

    def path(self, index: int) -> list[Step]:
        """The siblings on the way from leaf `index` to the root."""
        steps = []
        for hashes, values in self.levels[:-1]:
            sibling = index ^ 1
            row = tuple(int(value) for value in values[sibling])
            steps.append(Step(hashes[sibling].tobytes(), row))
            index >>= 1
        return steps

    def salt(self, index: int) -> bytes:
        """The salt of a leaf."""
        return salts(self._master, self.epoch, 1, index)

    def _hash_leaves(self, values: Values) -> Bytes:
        leaves, size = self.leaves, self.size
        row_of = np.full(size, -1, np.int64)
        row_of[self.places] = np.arange(len(leaves.accounts))
        tags = _tags(self._master, self.epoch, leaves.accounts)
        empty = blake3(b"empty", key=self._master).digest(HASH_SIZE * size)
        all_salts = salts(self._master, self.epoch, size)
        wide = _widen(values).tobytes()
        width = values.shape[1] * VALUE_SIZE
        money = np.stack([leaves.equity, leaves.maintenance], axis=1).astype("<i8").tobytes()
        digests = leaves.positions.tobytes()
        head = LEAF_PREFIX + self.epoch.to_bytes(8, "little")
        nothing = bytes(16 + HASH_SIZE)
        out = bytearray()
        for index, row in enumerate(row_of.tolist()):
            at = index * HASH_SIZE
            if row < 0:
                tag, rest = empty[at : at + HASH_SIZE], nothing
            else:
                tag = tags[row]
                rest = money[row * 16 : row * 16 + 16] + digests[row * 32 : row * 32 + 32]
            out += blake3(
                head + index.to_bytes(8, "little") + tag + all_salts[at : at + HASH_SIZE] + rest
                + wide[index * width : index * width + width]
            ).digest()
        return np.frombuffer(bytes(out), np.uint8).reshape(size, HASH_SIZE)


def customer_secret(master: bytes, account: int) -> bytes:
    """What makes an account's leaves recognisable to its owner, in every epoch."""
    return blake3(b"customers", key=master).digest(HASH_SIZE, seek=HASH_SIZE * account)


def id_tag(secret: bytes, epoch: int, account: int) -> bytes:
    """What stands in the leaf in place of a name."""
    text = epoch.to_bytes(8, "little") + account.to_bytes(8, "little")
    return blake3(text, key=secret).digest()


def salts(master: bytes, epoch: int, count: int, first: int = 0) -> bytes:
    """The salts of `count` leaves from index `first`, 32 bytes each."""
    hasher = blake3(b"salts" + epoch.to_bytes(8, "little"), key=master)
    return hasher.digest(HASH_SIZE * count, seek=HASH_SIZE * first)


def positions_digest(positions: Sequence[tuple[int, int]]) -> bytes:
    """BLAKE3 over one line `instrument quantity` for each position, in order; zeros for none."""
    lines = "".join(f"{instrument} {quantity}\n" for instrument, quantity in sorted(positions))
    return blake3(lines.encode()).digest() if lines else bytes(HASH_SIZE)


def _order(master: bytes, epoch: int, size: int) -> NDArray[np.uint64]:
    hasher = blake3(b"order" + epoch.to_bytes(8, "little"), key=master)
    return np.frombuffer(hasher.digest(8 * size), "<u8")


def _tags(master: bytes, epoch: int, accounts: NDArray[np.int64]) -> list[bytes]:
    return [
        id_tag(customer_secret(master, account), epoch, account) for account in accounts.tolist()
    ]


def _widen(values: Values) -> NDArray[np.int64]:
    """Each value as 128 bits."""
    wide = np.zeros((*values.shape, 2), "<i8")
    wide[..., 0] = values
    return wide


def _parents(hashes: Bytes, values: Values, level: int) -> tuple[Bytes, Values]:
    """The level above: hashes of pairs of rows `hash ‖ values`, and the pairs' sums."""
    count, columns = values.shape
    wide = _widen(values).view(np.uint8).reshape(count, columns * VALUE_SIZE)
    rows = memoryview(np.concatenate([hashes, wide], axis=1).tobytes())
    width = 2 * (HASH_SIZE + columns * VALUE_SIZE)
    head = NODE_PREFIX + bytes([level])
    out = b"".join(
        blake3(head + rows[at : at + width]).digest() for at in range(0, len(rows), width)
    )
    parents = np.frombuffer(out, np.uint8).reshape(count // 2, HASH_SIZE)
    return parents, values[0::2] + values[1::2]
