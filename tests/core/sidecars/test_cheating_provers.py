"""An exchange that cheats and signs for it: every known attack on a proof of reserves is noticed.

The prover here has both keys, custody's signature and the whole tree; it only wants the page to say
something better than what is true. Attacks by people without keys are in test_reserves.
"""

import copy
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.sidecars.reserves import attestation
from core.sidecars.reserves.agent import Reserves, master_of
from core.sidecars.reserves.statement import signed_statement
from core.sidecars.reserves.tree import Leaves, Tree, customer_secret
from tests.core.sidecars.stage import ONE, USDC, Stage
from tests.core.sidecars.test_reserves import HOUR, KEYS, M, Scene, scene
from tools import verify_reserves as verifier
from tools.verify_reserves import Broken

__all__ = ["scene"]

Change = Callable[[Leaves, list[str]], Leaves]


def _without(row: int) -> Change:
    """One account dropped."""

    def change(leaves: Leaves, _columns: list[str]) -> Leaves:
        kept = np.arange(len(leaves.accounts)) != row
        accounts, values, equity, maintenance, positions = leaves
        return Leaves(
            accounts[kept], values[kept], equity[kept], maintenance[kept], positions[kept]
        )

    return change


def _set(row: int, column: str, value: int) -> Change:
    """One value changed."""

    def change(leaves: Leaves, columns: list[str]) -> Leaves:
        values = leaves.values.copy()
        values[row, columns.index(column)] = value
        return leaves._replace(values=values)

    return change


def _republish(scene: Scene, change: Change, into: Path | None = None) -> Tree:
    """Sign the last epoch again, over other leaves; the tree they are in."""
    files = scene.reserves.files
    epoch = files.epochs()[-1]
    leaves, columns = files.kept(epoch)
    leaves = change(leaves, columns)
    tree = Tree(leaves, epoch, master_of(KEYS["engine"]))
    page = verifier.parse((files.attestations / f"{epoch:08d}.json").read_bytes())
    lines = []
    totals = dict(zip(columns, tree.totals, strict=True))
    for line in page.text.decode().splitlines():
        kind, _, rest = line.partition(" ")
        name = rest.rpartition(" ")[0]
        if kind == "leaves":
            line = f"leaves {tree.size}"
        elif kind == "root":
            line = f"root {tree.root.hex()}"
        elif kind == "column":
            line = f"column {name} {totals[name]}"
        lines.append(line)
    text = ("\n".join(lines) + "\n").encode()
    attestation.publish(into or files.attestations, attestation.sign(epoch, text, KEYS))
    return tree


def _own_proof(scene: Scene, tree: Tree, row: int, columns: list[str]) -> dict[str, Any]:
    """A proof out of a tree, for a row of its leaves."""
    index, account = int(tree.places[row]), int(tree.leaves.accounts[row])
    return signed_statement({
        "format": "onebook proof 1", "epoch": tree.epoch, "account": account,
        "secret": customer_secret(master_of(KEYS["engine"]), account).hex(), "index": index,
        "salt": tree.salt(index).hex(), "columns": columns,
        "values": [str(value) for value in tree.leaves.values[row]],
        "equity": str(tree.leaves.equity[row]), "maintenance": str(tree.leaves.maintenance[row]),
        "positions": tree.leaves.positions[row].tobytes().hex(),
        "path": [{"hash": step.hash.hex(), "values": [str(value) for value in step.values]}
                 for step in tree.path(index)],
    }, KEYS["engine"])


def test_a_dropped_account_has_no_proof_that_holds(scene: Scene) -> None:
    """It has been dropped from the page; the proof from the honest tree leads elsewhere."""
    kept = scene.proof(100)
    _republish(scene, _without(2))
    verifier.verify_chain(scene.public, set())  # The page itself is as good as any.
    with pytest.raises(Broken, match=r"not the published totals|wrong length|published root"):
        scene.check(kept)
    epoch = scene.reserves.files.epochs()[-1]
    leaves, columns = scene.reserves.files.kept(epoch)
    tree = Tree(leaves, epoch, master_of(KEYS["engine"]))
    with pytest.raises(Broken, match=r"not the published totals|wrong length|published root"):
        scene.check(_own_proof(scene, tree, 2, columns))


def test_a_dropped_account_with_a_position_leaves_the_other_side_alone(scene: Scene) -> None:
    _republish(scene, _without(3))
    with pytest.raises(Broken, match="long but 0 short"):
        verifier.verify_chain(scene.public, set())


def test_a_balance_made_smaller_is_seen_by_its_owner(scene: Scene) -> None:
    honest = scene.proof(100)
    tree = _republish(scene, _set(0, f"held {USDC}", 1))
    columns = scene.reserves.files.kept(tree.epoch)[1]
    lines = scene.check(_own_proof(scene, tree, 0, columns))
    assert f"    held {USDC}: 1" in lines  # The proof holds; what it says is not their statement.
    with pytest.raises(Broken):
        scene.check(honest)


def test_a_debt_made_up_does_not_cover_a_hole(scene: Scene) -> None:
    """A dummy who owes a lot would lower what is owed to customers; nothing is netted."""
    before = verifier.parse(sorted(scene.public.glob("*.json"))[-1].read_bytes())
    _republish(scene, _set(3, f"owed {USDC}", 10**12 * M))
    after = verifier.parse(sorted(scene.public.glob("*.json"))[-1].read_bytes())
    assert after.columns[f"held {USDC}"] == before.columns[f"held {USDC}"]
    lines = "\n".join(verifier.verify_chain(scene.public, set()))
    assert f"owe {after.columns[f'owed {USDC}']}" in lines  # It stands there for all to see.


def test_positions_out_of_nowhere(scene: Scene) -> None:
    _republish(scene, _set(0, "long 2", 2 * ONE))
    with pytest.raises(Broken, match="long"):
        verifier.verify_chain(scene.public, set())


def test_two_customers_are_shown_two_exchanges(scene: Scene, tmp_path: Path) -> None:
    """Each page is signed, each proof holds in its own; side by side they prove the cheat."""
    theirs = tmp_path / "theirs"
    shutil.copytree(scene.public, theirs)
    tree = _republish(scene, _set(0, f"held {USDC}", 1), into=theirs)
    scene.check(scene.proof(101))
    columns = scene.reserves.files.kept(tree.epoch)[1]
    verifier.check_proof(
        _own_proof(scene, tree, 1, columns), verifier.load_chain(theirs)[-1]
    )
    assert verifier.main(["compare", str(scene.public), str(scene.public)]) == 0
    assert verifier.main(["compare", str(scene.public), str(theirs)]) == 1
    with pytest.raises(Broken, match="signed twice"):
        verifier.compare(verifier.load_chain(scene.public), verifier.load_chain(theirs))


def test_a_copy_that_nobody_signed_proves_nothing(scene: Scene, tmp_path: Path) -> None:
    theirs = tmp_path / "theirs"
    shutil.copytree(scene.public, theirs)
    page = sorted(theirs.glob("*.json"))[-1]
    page.write_text(page.read_text().replace("held 0", "held 00"))
    with pytest.raises(Broken, match="attestation 1"):
        verifier.compare(verifier.load_chain(scene.public), verifier.load_chain(theirs))


def test_an_old_day_shown_for_today(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(verifier.time, "time", lambda: scene.stage.now / 1e9)
    arguments = ["chain", str(scene.public), "--hours", "2"]
    assert verifier.main(arguments) == 0
    scene.stage.now += 3 * HOUR * 10**9
    assert verifier.main(arguments) == 1
    assert "hours old" in capsys.readouterr().out


def test_nothing_links_an_account_from_one_epoch_to_the_next(scene: Scene) -> None:
    """Not its place, its salt, its tag nor its leaf, though nothing of it has changed."""
    files, master = scene.reserves.files, master_of(KEYS["engine"])
    first = scene.proof(100)
    scene.run(HOUR)
    second = scene.proof(100)
    assert second["epoch"] == first["epoch"] + 1
    assert second["values"] == first["values"]
    assert second["salt"] != first["salt"]
    trees = [Tree(files.kept(epoch)[0], epoch, master) for epoch in files.epochs()[-2:]]
    seen = [set(map(bytes, tree.levels[0][0])) for tree in trees]
    assert not seen[0] & seen[1]
    orders = [Tree(trees[0].leaves, epoch, master).places.tolist() for epoch in range(1, 9)]
    assert len({tuple(order) for order in orders}) > 1


@pytest.mark.parametrize(
    ("spoil", "what"),
    [
        (lambda p: p.update(index=1 << 20), "outside the tree"),
        (lambda p: p.update(index=-1), "outside the tree"),
        (lambda p: p["values"].__setitem__(0, "-1"), "no number"),
        (lambda p: p["values"].__setitem__(0, str(1 << 100)), "too large"),
        (lambda p: p["path"][0]["values"].__setitem__(0, str((1 << 100) - 1)), "overflows"),
        (lambda p: p["path"].pop(), "wrong length"),
    ],
)
def test_numbers_that_cannot_be(scene: Scene, spoil: Callable[[Any], object], what: str) -> None:
    proof = scene.proof(100)
    spoil(proof)
    with pytest.raises(Broken, match=what):
        scene.check(proof)


def test_the_scene_is_what_the_attacks_assume(scene: Scene, stage: Stage) -> None:
    assert isinstance(scene.reserves, Reserves)
    leaves, _ = scene.reserves.files.kept(scene.reserves.files.epochs()[-1])
    assert leaves.accounts.tolist() == [100, 101, 102, 104]


def _complaint(
    scene: Scene, mine: dict[str, Any], answer: dict[str, Any] | None = None
) -> tuple[int, str]:
    """What the verifier says of a complaint: exit code and words, run as a customer would."""
    names = []
    for name, proof in (("mine", mine), ("answer", answer)):
        file = scene.stage.directory / f"{name}.json"
        file.write_text(json.dumps(proof))
        names.append(str(file))
    said = subprocess.run(
        [sys.executable, verifier.__file__, "complaint", names[0], str(scene.public),
         *(["--answer", names[1]] if answer is not None else [])],
        capture_output=True, text=True, check=False,
    )
    return said.returncode, said.stdout


def test_who_was_left_out_has_the_exchanges_signature_for_it(scene: Scene) -> None:
    """The statement was signed before the account was dropped; no answer makes it good."""
    mine = scene.proof(102)
    files = scene.reserves.files
    leaves, columns = files.kept(files.epochs()[-1])
    tree = Tree(leaves, files.epochs()[-1], master_of(KEYS["engine"]))
    row = leaves.accounts.tolist().index(102)
    assert _complaint(scene, mine) == (1, "BROKEN: no cause for complaint: the statement is in "
                                          "the tree, as it was signed.\n")
    _republish(scene, _without(row))
    verifier.verify_chain(scene.public, set())
    code, said = _complaint(scene, mine)
    assert (code, "The complaint holds." in said) == (0, True)
    assert "account 102" in said
    same = _own_proof(scene, tree, row, columns)
    assert _complaint(scene, mine, same)[0] == 0  # The honest tree is not the published one.


def test_a_complaint_that_a_customer_made_up_is_answered(scene: Scene) -> None:
    """A path bent by the customer, a statement nobody signed, an answer about somebody else."""
    honest = scene.proof(100)
    bent = copy.deepcopy(honest)
    bent["path"][0]["hash"] = bytes(32).hex()
    assert _complaint(scene, bent)[0] == 0  # Until the exchange has answered.
    assert "no cause for complaint" in _complaint(scene, bent, honest)[1]
    richer = honest | {"equity": str(int(honest["equity"]) + 1)}
    code, said = _complaint(scene, richer)
    assert (code, "has not signed this statement" in said) == (1, True)
    with pytest.raises(Broken):
        scene.check({name: value for name, value in honest.items() if name != "signature"})
    assert "about another account" in _complaint(scene, bent, scene.proof(101))[1]
    assert "no statement" in _complaint(scene, {"epoch": 1})[1]


def test_two_statements_of_one_epoch_are_against_the_exchange(scene: Scene) -> None:
    honest = scene.proof(100)
    other = signed_statement(honest | {"equity": "0"}, KEYS["engine"])
    code, said = _complaint(scene, honest, other)
    assert (code, "signed two different statements" in said) == (0, True)
    later = signed_statement(honest | {"epoch": honest["epoch"] + 1}, KEYS["engine"])
    code, said = _complaint(scene, later)
    assert (code, "attests no such epoch" in said) == (0, True)


def test_a_proof_without_the_exchanges_word_is_not_taken(scene: Scene) -> None:
    """Signed by the attestor, or by anybody, it could be denied."""
    honest = scene.proof(100)
    with pytest.raises(Broken, match="has not signed this statement"):
        scene.check(signed_statement(honest, KEYS["attestor"]))
