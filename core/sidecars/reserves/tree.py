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
`below` counts accounts with less equity than maintenance margin, `bankrupt` and `shortfall` count
and add up those below zero.

Secrets come from one master key, so that a proof can be made for any epoch at any time:

    customer secret    BLAKE3 keyed, "customers", output at 32 × account
    id tag             BLAKE3 keyed by the customer's secret, of epoch ‖ account (u64 each): a leaf
                       cannot be shown to two customers, as they know their own numbers
    salt               BLAKE3 keyed, "salts" ‖ epoch, output at 32 × index
    place of a leaf    order of BLAKE3 keyed, "order" ‖ epoch, output at 8 × (number of the account)

A large tree is made in two halves at once, the right one by a process of its own: hashing holds the
interpreter, and an attestation of a million accounts must not take an hour's first ten seconds.
"""

import itertools
import mmap
import os
import pickle
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from tempfile import TemporaryFile
from typing import IO, NamedTuple

import numpy as np
from blake3 import blake3
from numpy.typing import NDArray

LEAF_PREFIX = b"onebook leaf 1\0"
NODE_PREFIX = b"onebook node 1\0"
HASH_SIZE = 32
VALUE_SIZE = 16
SLICE_ROWS = 1 << 10  # so that a slice stays in the cache
HALVES_FROM = 1 << 16  # leaves; below, starting a process costs more than it saves
MEMORY = "/dev/shm"  # files in it never reach a disk
TOTAL_MAX = 1 << 62  # int64 arithmetic stays exact; listing limits keep real totals far below

Bytes = NDArray[np.uint8]
Values = NDArray[np.int64]


class Leaves(NamedTuple):
    """All accounts of a cut, in rising order; row i of each belongs to account `accounts[i]`.

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


class Branch(NamedTuple):
    """What a part of the tree is made from: leaves `first` to `first + size`, and who has which.

    places: within the branch, of the accounts in `leaves`.
    """

    leaves: Leaves
    places: NDArray[np.int64]
    first: int
    size: int
    epoch: int
    master: bytes


class Lent(NamedTuple):
    """A branch without its arrays, and where those lie one behind the other."""

    head: bytes
    path: str
    sizes: list[int]


class Tree:
    """The tree of one epoch. `places[i]` is the index of the leaf of row i."""

    def __init__(self, leaves: Leaves, epoch: int, master: bytes) -> None:
        count = len(leaves.values)
        if count and int(leaves.values.min()) < 0:
            raise ValueError("what is owed is never below zero: gross values only")
        if any(total >= TOTAL_MAX for total in exact_sums(leaves.values)):
            raise ValueError(f"a total is beyond {TOTAL_MAX}")
        self.epoch = epoch
        self.leaves = leaves
        self._master = master
        self.size = 1 << max(count - 1, 0).bit_length()
        self.places = np.argsort(_order(master, epoch, self.size), kind="stable")[:count]
        whole = Branch(leaves, self.places, 0, self.size, epoch, master)
        values = _values_of(whole)
        hashes = (
            _in_halves(whole, values) if self.size >= HALVES_FROM else hash_branch(whole, values)
        )
        self.levels: list[tuple[Bytes, Values]] = []
        for row in hashes:
            self.levels.append((row, values))
            values = values[0::2] + values[1::2]
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


def exact_sums(values: Values) -> list[int]:
    """The sum of each column of values that are not negative, beyond 64 bits if need be."""
    if int(values.max(initial=0)) * len(values) < 1 << 63:
        return [int(total) for total in values.sum(axis=0)]
    high, low = values >> 32, values & 0xFFFFFFFF
    return [
        (int(a) << 32) + int(b)
        for a, b in zip(high.sum(axis=0), low.sum(axis=0), strict=True)
    ]


def hash_branch(branch: Branch, values: Values) -> list[Bytes]:
    """The hashes of a branch, level by level, from its leaves to its root.

    values: of all its leaves, as `_values_of` says.
    """
    hashes = _hash_leaves(branch, values)
    levels = [hashes]
    while len(hashes) > 1:
        hashes, values = _parents(hashes, values, len(levels))
        levels.append(hashes)
    return levels


def _in_halves(whole: Branch, values: Values) -> list[Bytes]:
    """The levels below the root, the right half of each made by another process."""
    half = whole.size // 2
    with ProcessPoolExecutor(1, get_context("spawn")) as beside, TemporaryFile(dir=MEMORY) as file:
        beside.submit(int)  # It starts while the branch is made.
        other = beside.submit(_hash_lent, _lend(_part_of(whole, whole.places >= half, half), file))
        none = whole.leaves._replace(values=whole.leaves.values[:, :0])  # They are in `values`.
        left = _part_of(whole._replace(leaves=none), whole.places < half, 0)
        mine = hash_branch(left, values[:half])
        return [np.concatenate(pair) for pair in zip(mine, other.result(), strict=True)]


def _lend(branch: Branch, file: IO[bytes]) -> Lent:
    """Put a branch's arrays where another process can map them: a pipe would take a second."""
    buffers: list[pickle.PickleBuffer] = []
    head = pickle.dumps(branch, protocol=5, buffer_callback=buffers.append)
    for buffer in buffers:
        file.write(buffer)
    file.flush()
    sizes = [buffer.raw().nbytes for buffer in buffers]
    return Lent(head, f"/proc/{os.getpid()}/fd/{file.fileno()}", sizes)


def _hash_lent(lent: Lent) -> list[Bytes]:
    """`hash_branch` of what the process that asks for it has lent."""
    with open(lent.path, "rb") as file:
        memory = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    ends = np.cumsum([0, *lent.sizes]).tolist()
    parts = [memory[begin:end] for begin, end in itertools.pairwise(ends)]
    branch = pickle.loads(lent.head, buffers=parts)
    return hash_branch(branch, _values_of(branch))


def _part_of(whole: Branch, chosen: NDArray[np.bool_], first: int) -> Branch:
    accounts, values, equity, maintenance, positions = whole.leaves
    leaves = Leaves(
        accounts[chosen], values[chosen], equity[chosen], maintenance[chosen], positions[chosen]
    )
    places = whole.places[chosen] - first
    return whole._replace(leaves=leaves, places=places, first=first, size=whole.size // 2)


def _values_of(branch: Branch) -> Values:
    """The values of all leaves, those of the empty ones zero."""
    values = np.zeros((branch.size, branch.leaves.values.shape[1]), np.int64)
    values[branch.places] = branch.leaves.values
    return values


def _hash_leaves(branch: Branch, values: Values) -> Bytes:
    leaves, places, first, size, epoch, master = branch
    front = np.zeros((size, 8 + HASH_SIZE + HASH_SIZE + 16 + HASH_SIZE), np.uint8)
    front[:, :8] = _words(np.arange(first, first + size, dtype=np.int64))
    tags = front[:, 8:40]
    empty = blake3(b"empty", key=master)
    tags[:] = _rows(empty.digest(HASH_SIZE * size, seek=HASH_SIZE * first))
    tags[places] = _tags(master, epoch, leaves.accounts)
    front[:, 40:72] = _rows(salts(master, epoch, size, first))
    front[places, 72:80] = _words(leaves.equity)
    front[places, 80:88] = _words(leaves.maintenance)
    front[places, 88:] = leaves.positions
    head = LEAF_PREFIX + epoch.to_bytes(8, "little")
    return _hash_rows(
        head, lambda begin, end: [front[begin:end], _widen(values[begin:end])], size
    )


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


def _tags(master: bytes, epoch: int, accounts: NDArray[np.int64]) -> Bytes:
    """The id tags of accounts in rising order; secrets of a dense range are made at one go."""
    numbers = accounts.tolist()
    if not numbers:
        return np.zeros((0, HASH_SIZE), np.uint8)
    first, span = numbers[0], numbers[-1] - numbers[0] + 1
    head = epoch.to_bytes(8, "little")
    if span > 4 * len(numbers):
        tags = [id_tag(customer_secret(master, number), epoch, number) for number in numbers]
        return _rows(b"".join(tags))
    secrets = blake3(b"customers", key=master).digest(HASH_SIZE * span, seek=HASH_SIZE * first)
    out = []
    for number in numbers:
        at = HASH_SIZE * (number - first)
        text = head + number.to_bytes(8, "little")
        out.append(blake3(text, key=secrets[at : at + HASH_SIZE]).digest())
    return _rows(b"".join(out))


def _rows(data: bytes) -> Bytes:
    """Hashes one behind the other as rows."""
    return np.frombuffer(data, np.uint8).reshape(-1, HASH_SIZE)


def _words(numbers: NDArray[np.int64]) -> Bytes:
    """int64 as rows of eight bytes."""
    return np.ascontiguousarray(numbers, "<i8").view(np.uint8).reshape(len(numbers), 8)


def _widen(values: Values) -> Bytes:
    """Rows of values, each as 128 bits."""
    wide = np.zeros((*values.shape, 2), "<i8")
    wide[..., 0] = values
    return wide.view(np.uint8).reshape(len(values), values.shape[1] * VALUE_SIZE)


def _hash_rows(head: bytes, parts: Callable[[int, int], list[Bytes]], count: int) -> Bytes:
    """BLAKE3 of `head` and each row of the parts, side by side; a slice of rows at a time."""
    prefix = np.frombuffer(head, np.uint8)
    out = []
    for begin in range(0, count, SLICE_ROWS):
        end = min(begin + SLICE_ROWS, count)
        fronts = np.broadcast_to(prefix, (end - begin, len(prefix)))
        block = np.concatenate([fronts, *parts(begin, end)], axis=1)
        width = block.shape[1]
        data = memoryview(block.tobytes())
        out += [blake3(data[at : at + width]).digest() for at in range(0, len(data), width)]
    return _rows(b"".join(out))


def _parents(hashes: Bytes, values: Values, level: int) -> tuple[Bytes, Values]:
    """The level above: hashes of pairs of rows `hash ‖ values`, and the pairs' sums."""
    left, right = slice(0, None, 2), slice(1, None, 2)

    def pair(begin: int, end: int) -> list[Bytes]:
        rows = slice(2 * begin, 2 * end)
        own, sums = hashes[rows], values[rows]
        return [own[left], _widen(sums[left]), own[right], _widen(sums[right])]

    head = NODE_PREFIX + bytes([level])
    return _hash_rows(head, pair, len(hashes) // 2), values[left] + values[right]
