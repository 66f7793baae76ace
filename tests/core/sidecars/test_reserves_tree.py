"""Proof of reserves: the tree of all customers, and what its maker may not do to a sum."""

import copy
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.sidecars.reserves import tree as tree_module
from core.sidecars.reserves.attestation import GENESIS
from core.sidecars.reserves.liabilities import _share
from core.sidecars.reserves.tree import (
    Leaves,
    Tree,
    _parents,
    customer_secret,
    positions_digest,
)
from tools import verify_reserves as verifier
from tools.verify_reserves import Broken


class Cheat(Tree):
    """A tree whose maker leaves out the right child's values in one node."""

    def __init__(self, leaves: Leaves, epoch: int, master: bytes, level: int) -> None:
        super().__init__(leaves, epoch, master)
        self.levels = self.levels[: level + 1]
        hashes, values = self.levels[level]
        values = values.copy()
        values[0] -= self.levels[level - 1][1][1]
        self.levels[level] = (hashes, values)
        while len(self.levels[-1][0]) > 1:
            self.levels.append(_parents(*self.levels[-1], len(self.levels)))


def _leaves(count: int) -> Leaves:
    numbers = np.arange(100, 100 + count, dtype=np.int64)
    return Leaves(
        numbers, np.stack([numbers, numbers * 2], axis=1), numbers, numbers,
        np.zeros((count, 32), np.uint8),
    )


def _page(tree: Tree) -> verifier.Attestation:
    return verifier.Attestation(
        tree.epoch, b"", {}, leaves=tree.size, root=tree.root,
        columns=dict(zip(("held 0", "owed 0"), tree.totals, strict=True)),
    )


def _proof(tree: Tree, row: int) -> dict[str, Any]:
    index, account = int(tree.places[row]), int(tree.leaves.accounts[row])
    return {
        "epoch": tree.epoch, "columns": ["held 0", "owed 0"], "index": index, "account": account,
        "secret": customer_secret(b"m" * 32, account).hex(), "salt": tree.salt(index).hex(),
        "values": [str(v) for v in tree.leaves.values[row]],
        "equity": str(tree.leaves.equity[row]), "maintenance": str(tree.leaves.maintenance[row]),
        "positions": bytes(tree.leaves.positions[row]).hex(),
        "path": [{"hash": s.hash.hex(), "values": [str(v) for v in s.values]}
                 for s in tree.path(index)],
    }


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 31, 64])
def test_all_sizes_of_trees(count: int) -> None:
    tree = Tree(_leaves(count), 3, b"m" * 32)
    assert sorted(tree.places) == sorted(set(tree.places))
    for row in range(count):
        verifier.check_proof(_proof(tree, row), _page(tree))
    assert tree.totals[0] == sum(range(100, 100 + count))


@pytest.mark.parametrize("level", [1, 2, 3])
def test_a_branch_left_out_of_a_sum(level: int) -> None:
    """Maxwell's tree with unbound sums would accept this; here somebody's path breaks."""
    honest = Tree(_leaves(8), 1, b"m" * 32)
    cheat = Cheat(_leaves(8), 1, b"m" * 32, level)
    assert cheat.totals[0] < honest.totals[0]
    broken = 0
    for row in range(8):
        try:
            verifier.check_proof(_proof(cheat, row), _page(cheat))
        except Broken:
            broken += 1
    assert broken >= 1 << level


def test_swapped_children_and_other_levels_do_not_pass() -> None:
    tree = Tree(_leaves(8), 1, b"m" * 32)
    proof = _proof(tree, 0)
    inner = copy.deepcopy(proof)
    inner["path"] = inner["path"][1:] + inner["path"][:1]
    with pytest.raises(Broken):
        verifier.check_proof(inner, _page(tree))


def test_negative_gross_values_are_never_made_into_a_tree() -> None:
    leaves = _leaves(4)
    leaves.values[1, 0] = -5
    with pytest.raises(ValueError, match="never below zero"):
        Tree(leaves, 1, b"m" * 32)
    leaves.values[1, 0] = 1 << 61
    leaves.values[2, 0] = 1 << 61
    with pytest.raises(ValueError, match="a total is beyond"):
        Tree(leaves, 1, b"m" * 32)


def test_one_leaf_cannot_be_given_to_two_customers() -> None:
    tree = Tree(_leaves(8), 1, b"m" * 32)
    other = _proof(tree, 3) | {"account": 107}
    with pytest.raises(Broken, match="published root"):
        verifier.check_proof(other, _page(tree))


def test_a_debt_netted_against_another_customers_deposit() -> None:
    """The creditor's own statement says 102; the netted tree cannot prove that."""
    leaves = _leaves(8)
    netted = Leaves(*(array.copy() for array in leaves))
    netted.values[2, 0] -= 50
    netted.values[5, 1] -= 50
    tree = Tree(netted, 1, b"m" * 32)
    proof = _proof(tree, 2)
    assert proof["values"][0] != str(leaves.values[2, 0])
    with pytest.raises(Broken):
        verifier.check_proof(proof | {"values": ["102", "204"]}, _page(tree))


def test_positions_digest_is_about_the_set() -> None:
    assert positions_digest([]) == bytes(32)
    assert positions_digest([(2, 5), (3, -1)]) == positions_digest([(3, -1), (2, 5)])
    assert positions_digest([(2, 5)]) != positions_digest([(2, -5)])
    assert GENESIS.count(0) == len(GENESIS) == 32


def test_made_in_two_halves_it_is_the_same_tree(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = Tree(_leaves(37), 3, b"m" * 32)
    monkeypatch.setattr(tree_module, "HALVES_FROM", 2)
    halves = Tree(_leaves(37), 3, b"m" * 32)
    assert halves.root == whole.root
    assert halves.totals == whole.totals
    for row in range(37):
        verifier.check_proof(_proof(halves, row), _page(whole))


def test_totals_beyond_64_bits_are_refused_not_wrapped() -> None:
    leaves = _leaves(4)
    with pytest.raises(ValueError, match="beyond"):
        Tree(leaves._replace(values=np.full((4, 2), 1 << 61, np.int64)), 1, b"m" * 32)


@given(st.lists(st.tuples(
    st.integers(-(1 << 56), 1 << 56), st.integers(0, 1 << 40), st.integers(1 << 39, 1 << 60)
)))
def test_shares_are_exact_beyond_64_bits(rows: list[tuple[int, int, int]]) -> None:
    amounts, numerators, divisors = np.array(rows or [(0, 0, 1)], np.int64).T
    exact = [a * n // d for a, n, d in zip(*map(np.ndarray.tolist, (amounts, numerators, divisors)),
                                           strict=True)]
    assert _share(amounts, numerators, divisors).tolist() == exact
