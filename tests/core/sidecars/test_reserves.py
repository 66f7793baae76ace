"""Proof of reserves: an honest exchange is believed, every known cheat is not."""

import copy
import ctypes
import json
import random
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.agent import run_until_quiet
from core.link import CommandLink
from core.memory import HEADER_SIZE
from core.messages import decode
from core.producers import Producer
from core.sidecars.books import DEPOSIT, WITHDRAWAL, WITHDRAWALS
from core.sidecars.custody import EmbeddedCustody
from core.sidecars.keys import SigningKey
from core.sidecars.lending.pool import ONE as INDEX_ONE
from core.sidecars.reserves import agent, attestation
from core.sidecars.reserves.agent import SECOND, Reserves, master_of, running_ledger
from core.sidecars.reserves.attestation import Attestation
from core.sidecars.reserves.files import NoProof
from core.sidecars.reserves.liabilities import _share, leaves_of
from core.words import CONSUMED, PUBLISHED, load_word, store_word
from tests.core.sidecars.stage import BTC, ONE, USDC, Stage
from tools import verify_reserves as verifier
from tools.verify_reserves import Broken

M = 10**6
HOUR = 3600
KEYS = {"engine": SigningKey(b"\1" * 32), "attestor": SigningKey(b"\2" * 32)}


class Scene:
    """A reserves sidecar on a stage, with custody holding what was deposited."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.directory = stage.directory / "reserves"
        self.custody = EmbeddedCustody(stage.directory / "custody.sqlite", clock=stage.clock)
        self.reserves = self.start()
        self.deposits: dict[tuple[int, int], int] = {}
        self.margins: dict[int, int] = {}

    def start(self) -> Reserves:
        return Reserves(
            self.stage.store("reserves", Reserves.migrations), self.stage.follower(),
            self.stage.link(Producer.RESERVES), clock=self.stage.clock,
            directory=self.directory, custody=self.custody, keys=KEYS,
        )

    def restart(self, *, forget: bool = False) -> None:
        self.reserves.store.close()
        if forget:
            self.reserves.store.path.unlink()
        self.reserves = self.start()

    def run(self, seconds: float = 0) -> None:
        """Let time pass; the core answers questions about margins."""
        self.stage.now += int(seconds * SECOND)
        for _ in range(3):
            run_until_quiet([self.reserves])
            self.answer()

    def answer(self) -> None:
        link = self.reserves.link
        assert isinstance(link, CommandLink)
        while (at := load_word(link.ring + CONSUMED)) < load_word(link.ring + PUBLISHED):
            address = link.ring + HEADER_SIZE + (at & (link.capacity - 1))
            length = int.from_bytes(ctypes.string_at(address, 4), "little")
            name, fields = decode(ctypes.string_at(address + 32, length - 32))
            assert name == "AccountRequest"
            self.stage.next()
            account, request = fields["account"], fields["requestId"]
            self.stage.emit("MarginReport", requestId=request, account=account, equity=0,
                            initialMargin=0, maintenanceMargin=self.margins.get(account, 0),
                            level=0, echo=b"")
            self.stage.emit("AccountReportEnd", requestId=request, account=account, reports=1,
                            reason=0, echo=b"")
            store_word(link.ring + CONSUMED, at + length)

    def deposit(self, account: int, asset: int, amount: int) -> None:
        self.stage.next()
        held = self.deposits[account, asset] = self.deposits.get((account, asset), 0) + amount
        self.stage.balance(account, asset, DEPOSIT, amount, held)
        self.custody.recognise(f"{self.stage.sequence}", asset, amount)

    @property
    def public(self) -> Path:
        return self.reserves.files.attestations

    def proof(self, account: int, epoch: int | None = None) -> dict[str, Any]:
        files = self.reserves.files
        epoch = epoch or files.epochs()[-1]
        key = KEYS["engine"]
        return json.loads(json.dumps(files.prove(epoch, account, master_of(key), key)))

    def check(self, proof: dict[str, Any]) -> list[str]:
        file = self.stage.directory / "proof.json"
        file.write_text(json.dumps(proof))
        return verifier.verify_proof(file, self.public, set())


@pytest.fixture
def scene(stage: Stage) -> Scene:
    stage.venue()
    stage.next()
    stage.emit("IndexPriceChanged", asset=BTC, state=0, sources=3, price=50_000 * ONE)
    stage.emit("MarkPriceChanged", instrument=2, rule=1, price=51_000 * ONE, index=ONE, premium=0)
    stage.emit("MarkPriceChanged", instrument=3, rule=2, price=ONE // 2, index=0, premium=0)
    scene = Scene(stage)
    scene.deposit(100, USDC, 100_000 * M)
    scene.deposit(101, USDC, 20_000 * M)
    scene.deposit(102, BTC, 3 * ONE)
    stage.trade(2, buyer=100, seller=101, price=50_000 * ONE, quantity=ONE, fees=(5 * M, 2 * M))
    stage.trade(1, buyer=101, seller=102, price=50_000 * ONE, quantity=ONE)  # 101 borrows.
    stage.trade(3, buyer=100, seller=104, price=ONE // 2, quantity=10 * ONE)
    scene.run()
    return scene


def test_every_customer_finds_themselves_in_the_tree(scene: Scene) -> None:
    assert verifier.verify_chain(scene.public, set())
    said = scene.check(scene.proof(101))
    values = dict(zip(scene.proof(101)["columns"], scene.proof(101)["values"], strict=True))
    assert values["owed 0"] == str(30_002 * M)
    assert values["held 1"] == str(ONE)
    assert values["short 2"] == str(ONE)
    # 1 BTC at 50,000, 30,002 owed, short 1 at 50,000 with the mark at 51,000.
    assert scene.proof(101)["equity"] == str((50_000 - 30_002 - 1_000) * M)
    assert "Account 101 is in the tree of epoch 1, with:" in said
    for account in (100, 102, 104):
        scene.check(scene.proof(account))
    with pytest.raises(NoProof, match="account 103 had nothing"):
        scene.proof(103)


def test_each_hour_one_more_whatever_dies_in_between(scene: Scene) -> None:
    for hour in range(5):
        scene.deposit(100, USDC, M)
        scene.restart(forget=hour % 2 == 0)
        scene.run(HOUR)
        scene.run(60)
    assert scene.reserves.files.epochs() == [1, 2, 3, 4, 5, 6]
    assert verifier.verify_chain(scene.public, {KEYS["engine"].public})
    scene.check(scene.proof(102, epoch=2))
    with pytest.raises(Broken, match="a key that you named signs nothing here"):
        verifier.verify_chain(scene.public, {b"x" * 32})


def test_on_request_and_the_running_ledger(scene: Scene) -> None:
    scene.reserves.store.connection.execute("INSERT INTO request VALUES (NULL)")
    scene.run(1)
    scene.run(1)
    assert scene.reserves.files.epochs() == [1, 2]
    scene.deposit(103, USDC, 7 * M)
    scene.run(1)
    rows = {row[0]: row[1:4] for row in running_ledger(scene.reserves.store.connection)}
    owed = 30_002 * M + 5 * M - 5 * M
    assert rows[USDC][1] == owed
    assert rows[USDC][2] == 120_007 * M
    assert rows[USDC][0] == rows[USDC][2] + owed - 7 * M  # Fees are the house's.


def test_the_running_ledger_goes_on_while_a_large_tree_is_made(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = threading.Event()

    def slow(*arguments: Any) -> Any:
        assert gate.wait(60)
        return leaves_of(*arguments)

    monkeypatch.setattr(agent, "ASIDE_FROM", 1)
    monkeypatch.setattr(agent, "leaves_of", slow)
    scene.run(HOUR)
    for second in range(1, 4):
        scene.deposit(103, USDC, M)
        scene.run(1)
        rows = {row[0]: row for row in running_ledger(scene.reserves.store.connection)}
        assert rows[USDC][3] == (120_000 + second) * M
        assert rows[USDC][4] == scene.stage.now
    assert scene.reserves.files.epochs() == [1]
    gate.set()
    while scene.reserves.files.epochs() == [1]:
        scene.run()
    assert scene.reserves.files.epochs() == [1, 2]
    assert verifier.verify_chain(scene.public, set())
    with pytest.raises(NoProof):
        scene.proof(103)  # What came after the cut is the next one's.
    assert scene.check(scene.proof(100))


def test_nothing_is_attested_while_a_settlement_is_half_done(scene: Scene) -> None:
    scene.stage.next()
    scene.stage.emit("PositionSettled", account=101, instrument=2, amount=-1000 * M, cycle=1,
                     position=-ONE, mark=51_000 * ONE, previousMark=50_000 * ONE, balance=0)
    scene.run(HOUR)
    assert scene.reserves.files.epochs() == [1]
    scene.stage.next()
    scene.stage.emit("PositionSettled", account=100, instrument=2, amount=1000 * M, cycle=1,
                     position=ONE, mark=51_000 * ONE, previousMark=50_000 * ONE, balance=0)
    scene.run(1)
    assert scene.reserves.files.epochs() == [1, 2]
    assert verifier.verify_chain(scene.public, set())


def test_margins_are_those_the_core_tells(scene: Scene) -> None:
    """101 has 18,998 USDC of equity; with more than that required it is below, not bankrupt."""
    scene.margins = {101: 18_999 * M, 100: 5 * M}
    scene.run(HOUR)
    assert scene.proof(101)["maintenance"] == str(18_999 * M)
    assert scene.proof(102)["maintenance"] == "0"
    columns, values = scene.proof(101)["columns"], scene.proof(101)["values"]
    assert values[columns.index("below")] == "1"
    assert values[columns.index("bankrupt")] == "0"
    assert any("maintenance margin: 1; below zero: 0" in line
               for line in verifier.verify_chain(scene.public, set()))
    assert "BELOW" in scene.check(scene.proof(101))[-2]


def test_a_hole_is_waited_for_and_then_attested_as_one(scene: Scene) -> None:
    """Custody may be a moment late; if the money does not come, everybody sees that."""
    scene.stage.next()
    scene.stage.balance(103, USDC, DEPOSIT, 5 * M, 5 * M)
    scene.run(HOUR)
    scene.run(10)
    assert scene.reserves.files.epochs() == [1]
    scene.custody.recognise("late", USDC, 5 * M)
    scene.run(1)
    assert scene.reserves.files.epochs() == [1, 2]
    assert verifier.verify_chain(scene.public, set())
    scene.stage.next()
    scene.stage.balance(103, USDC, DEPOSIT, 500 * M, 505 * M)
    scene.run(HOUR)
    scene.run(31)
    assert scene.reserves.alarms == 1
    with pytest.raises(Broken, match="attestation 3: a hole in asset 0"):
        verifier.verify_chain(scene.public, set())


def test_interest_that_is_not_posted_yet_is_owed_all_the_same(scene: Scene) -> None:
    scene.stage.next()
    scene.stage.emit("IndicesAccrued", asset=USDC, borrowIndex=INDEX_ONE * 11 // 10,
                     lendIndex=INDEX_ONE * 101 // 100, borrowed=0, lent=0)
    before = {a: scene.proof(a) for a in (100, 101)}
    scene.run(HOUR)
    held = scene.proof(100)["columns"].index("held 0")
    owed = scene.proof(100)["columns"].index("owed 0")
    lent, debt = int(before[100]["values"][held]), int(before[101]["values"][owed])
    assert int(scene.proof(100)["values"][held]) == lent + lent // 100
    assert int(scene.proof(101)["values"][owed]) == debt + debt // 10
    assert verifier.verify_chain(scene.public, set())


def test_a_withdrawal_under_way_is_still_covered(scene: Scene) -> None:
    stage = scene.stage
    stage.next()
    stage.balance(102, USDC, WITHDRAWAL, -50 * M, 0, counter=WITHDRAWALS)
    scene.custody.send(1, 102, USDC, 50 * M)
    stage.now += 5 * SECOND
    scene.custody.sending(1)
    scene.run(HOUR)
    assert scene.custody.departed() == {USDC: 50 * M}
    assert verifier.verify_chain(scene.public, set())


def test_the_verifier_runs_alone(scene: Scene, tmp_path: Path) -> None:
    """A copy of the one file, in an empty directory, without this project on its path."""
    alone = tmp_path / "alone"
    alone.mkdir()
    shutil.copy(verifier.__file__, alone / "verify_reserves.py")
    (alone / "proof.json").write_text(json.dumps(scene.proof(100)))
    command = [sys.executable, "-I", "verify_reserves.py", "proof", "proof.json", scene.public]
    done = subprocess.run(command, cwd=alone, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith("Everything holds.\n")
    broken = scene.proof(100) | {"equity": "1"}
    (alone / "proof.json").write_text(json.dumps(broken))
    done = subprocess.run(command, cwd=alone, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stdout == "BROKEN: the path does not lead to the published root.\n"


# ---- cheats --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda p: p["values"].__setitem__(0, str(int(p["values"][0]) + 1)), "totals"),
        (lambda p: p["values"].__setitem__(0, "-5"), "is no number"),
        (lambda p: p["values"].__setitem__(0, str(1 << 100)), "too large"),
        (lambda p: p["path"][0]["values"].__setitem__(0, "-5"), "is no number"),
        (lambda p: p["path"][0]["values"].__setitem__(0, str((1 << 128) - 1)), "too large"),
        (lambda p: p["path"].pop(), "wrong length"),
        (lambda p: p.__setitem__("index", p["index"] ^ 1), "published root"),
        (lambda p: p.__setitem__("index", 1 << 40), "outside"),
        (lambda p: p.__setitem__("account", 103), "published root"),
        (lambda p: p.__setitem__("secret", "00" * 32), "published root"),
        (lambda p: p.__setitem__("equity", str(10**12)), "published root"),
        (lambda p: p.__setitem__("positions", "00" * 32), "published root"),
        (lambda p: p.__setitem__("columns", p["columns"][::-1]), "other columns"),
        (lambda p: p.__setitem__("epoch", 9), "no attestation of the proof's epoch"),
        (lambda p: p.pop("salt"), "this is no proof"),
        (lambda p: p.__setitem__("path", 5), "this is no proof"),
    ],
)
def test_a_proof_that_was_touched(
    scene: Scene, change: Callable[[dict[str, Any]], object], what: str
) -> None:
    proof = copy.deepcopy(scene.proof(101))
    change(proof)
    with pytest.raises(Broken, match=what):
        scene.check(proof)


def _resign(scene: Scene, epoch: int, change: Callable[[str], str]) -> None:
    """The exchange itself publishes something else under its own keys."""
    path = scene.public / f"{epoch:08d}.json"
    text = change(json.loads(path.read_bytes())["text"]).encode()
    found = next(line for line in text.decode().splitlines() if line.startswith("epoch "))
    attestation.publish(scene.public, attestation.sign(int(found.split()[1]), text, KEYS))


def _line(text: str, kind: str) -> str:
    return next(line for line in text.splitlines() if line.startswith(kind))


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda t: t.replace(_line(t, "column held 0"), "column held 0 1"), ""),
        (lambda t: t.replace(_line(t, "holds 0"), "holds 0 999999999999999"), "custody did not"),
        (lambda t: t.replace(_line(t, "column held 1"), "column held 1 99999999999"), "a hole"),
        (lambda t: t.replace(_line(t, "column held 1"), "column held 1 -5"), "is no number"),
        (lambda t: t + "holds 0 5\n", "stated twice"),
        (lambda t: t + _line(t, "column held 1") + "\n", "stated twice"),
        (lambda t: t.replace(_line(t, "column long 2"), "column long 2 7"), "long but"),
        (lambda t: t.replace(_line(t, "leaves"), "leaves 6"), "no power of two"),
        (lambda t: t + "mint 0 5\n", "nobody knows"),
        (lambda t: t.replace(_line(t, "time"), "time 1"), "another time"),
        (lambda t: t.replace("epoch 2", "epoch 3"), "custody did not sign"),
        (lambda t: t.replace(_line(t, "previous"), "previous " + "0" * 64), "does not follow"),
    ],
)
def test_a_page_that_says_something_else(
    scene: Scene, change: Callable[[str], str], what: str
) -> None:
    scene.run(HOUR)
    _resign(scene, 2, change)
    if what == "":  # Fewer liabilities balance, but then nobody's proof leads there.
        with pytest.raises(Broken, match="totals"):
            scene.check(scene.proof(100))
        return
    with pytest.raises(Broken, match=what):
        verifier.verify_chain(scene.public, set())


def test_an_old_root_shown_again(scene: Scene) -> None:
    """Nothing of an old page serves for a new epoch: leaves, custody and the chain all know it."""
    old = json.loads((scene.public / "00000001.json").read_bytes())["text"]
    scene.deposit(100, USDC, M)
    scene.run(HOUR)
    _resign(scene, 2, lambda new: new.replace(_line(new, "root"), _line(old, "root")))
    with pytest.raises(Broken):
        scene.check(scene.proof(100))


def test_history_cannot_be_rewritten_or_thinned_out(scene: Scene) -> None:
    for _ in range(3):
        scene.run(HOUR)
    aside = scene.stage.directory / "aside.json"
    second = scene.public / "00000002.json"
    second.rename(aside)
    with pytest.raises(Broken, match="epoch 2 is missing"):
        verifier.verify_chain(scene.public, set())
    aside.rename(second)
    _resign(scene, 2, lambda text: text.replace(_line(text, "parameters"), "parameters 00"))
    with pytest.raises(Broken, match="attestation 3: it does not follow"):
        verifier.verify_chain(scene.public, set())


def test_other_keys_are_not_believed(scene: Scene) -> None:
    path = scene.public / "00000001.json"
    value = json.loads(path.read_bytes())
    text = value["text"].encode()
    stranger = SigningKey(b"\7" * 32)
    for keys, what in (
        ({"engine": KEYS["engine"]}, "both the engine and the attestor"),
        ({"engine": KEYS["engine"], "attestor": KEYS["engine"]}, "one and the same key"),
    ):
        attestation.publish(scene.public, attestation.sign(1, text, keys))
        with pytest.raises(Broken, match=what):
            verifier.verify_chain(scene.public, set())
    forged = Attestation(1, text, (
        ("engine", KEYS["engine"].public, KEYS["engine"].sign(text)),
        ("attestor", KEYS["attestor"].public, stranger.sign(text)),
    ))
    attestation.publish(scene.public, forged)
    with pytest.raises(Broken, match="signature of the attestor is wrong"):
        verifier.verify_chain(scene.public, set())
    path.write_text("{}")
    with pytest.raises(Broken, match="this is no attestation"):
        verifier.verify_chain(scene.public, set())


@pytest.mark.parametrize("seed", range(3))
def test_random_bytes_changed_in_a_proof_are_always_noticed(scene: Scene, seed: int) -> None:
    proof, chance = scene.proof(100), random.Random(seed)
    text = json.dumps(proof)
    names = ("columns", "format")  # Compared by name, or not at all.
    for _ in range(150):
        place = chance.randrange(len(text))
        letter = chance.choice("0123456789abcdef")
        if text[place] not in "0123456789abcdef" or text[place] == letter:
            continue
        changed = text[:place] + letter + text[place + 1 :]
        try:
            value = json.loads(changed)
        except ValueError:
            continue
        if any(value.get(name) != proof[name] for name in names) or value == proof:
            continue
        with pytest.raises(Broken):
            scene.check(value)


def test_shares_are_exact_though_their_products_have_128_bits() -> None:
    chance = random.Random(5)
    for _ in range(300):
        divisor = chance.choice((10**8, 10**12, chance.randrange(1, 2**50)))
        bits = chance.choice((5, 30, 49, 60))
        pairs = [
            (chance.randrange(-(2**56), 2**56), chance.randrange(2**bits)) for _ in range(40)
        ]
        pairs = [(a, n) for a, n in pairs if abs(a * n) // divisor < 2**61] or [(-1, 1)]
        amounts, numerators = (np.array(column) for column in zip(*pairs, strict=True))
        found = _share(amounts, numerators, np.int64(divisor)).tolist()
        assert found == [a * n // divisor for a, n in pairs]


def test_what_was_set_is_part_of_what_is_signed(scene: Scene) -> None:
    """A risk parameter moves the hash when it takes effect, not when it is proposed."""
    def parameters() -> str:
        (path, *_) = sorted(scene.public.glob("*.json"), reverse=True)
        text: str = json.loads(path.read_bytes())["text"]
        return next(line for line in text.splitlines() if line.startswith("parameters "))

    change = {"parameter": "HaircutInitial", "role": 1, "proposal": 1, "scope": BTC, "before": 0,
              "value": 50_000, "time": 0, "signer": 1}
    hashes = [parameters()]
    for state in ("Proposed", "Applied"):
        scene.stage.next()
        scene.stage.emit("RiskParameterChanged", state=state, **change)
        scene.run(HOUR)
        hashes.append(parameters())
    assert hashes[0] == hashes[1] != hashes[2]
    scene.restart(forget=True)
    scene.run(HOUR)
    assert parameters() == hashes[2]
