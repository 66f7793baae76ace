"""A custody that fails, hangs, answers twice or lies: real processes at a real socket, each caught.

The misbehaving custody is the real one with one call made bad, so that everything else about it is
as it should be, and the exchange has only that to notice it by.
"""

import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from core.sidecars.custody import (
    CONFIRMED,
    FAILED,
    SENT,
    CustodyError,
    EmbeddedCustody,
    Sending,
)
from core.sidecars.remote_custody import RemoteCustody
from tests.core.sidecars.stage import USDC, Stage
from tests.core.sidecars.test_settlement import M, Scene, _credit, _state, _steps, _withdraw

Spawn = Callable[..., "subprocess.Popen[str]"]

_PROCESS = """
import json, sys, time
from pathlib import Path
from core.sidecars import remote_custody as remote
from core.sidecars.custody import *
path, socket, flag = map(Path, sys.argv[1:4])
custody = EmbeddedCustody(path, confirm_ns=0)
honest = remote.answer_to
def bad():
    return flag.exists()
{misdeed}
print("up", flush=True)
remote.serve(custody, socket)
"""

HONEST = ""
FAILS = """
def send(*_):
    raise CustodyError("the vault is shut")
def sending(number):
    if bad():
        raise CustodyError("the vault is shut")
    return EmbeddedCustody.sending(custody, number)
custody.sending = sending
"""
HANGS = """
def answer_to(custody, line):
    while bad():
        time.sleep(0.01)
    return honest(custody, line)
remote.answer_to = answer_to
"""
ANSWERS_TWICE = """
remote.answer_to = lambda custody, line: 2 * honest(custody, line)
"""
TALKS_NONSENSE = """
def answer_to(custody, line):
    if not bad():
        return honest(custody, line)
    number = json.loads(line)["id"]
    return json.dumps({"id": number, "result": [[1, 2], "three"]}).encode() + b"\\n"
remote.answer_to = answer_to
"""
GIVES_TWICE = """
def receipts(after):
    found = EmbeddedCustody.receipts(custody, 0)
    again = [r._replace(number=r.number + len(found)) for r in found]
    return [r for r in found + again if r.number > after]
custody.receipts = receipts
"""
LIES = """
def sending(number):
    found = EmbeddedCustody.sending(custody, number)
    return found and found._replace(amount=found.amount + 1)
custody.sending = sending
"""
DIVERTS = """
def sending(number):
    found = EmbeddedCustody.sending(custody, number)
    return found and found._replace(destination="bc1q-elsewhere")
custody.sending = sending
"""
FORGETS = """
def sending(number):
    return None if bad() else EmbeddedCustody.sending(custody, number)
custody.sending = sending
"""
PAYS_ALL_THE_SAME = """
def sending(number):
    found = EmbeddedCustody.sending(custody, number)
    return found and found._replace(state=CONFIRMED if bad() else FAILED)
custody.sending = sending
"""


class Outside:
    """The custody's process, its books as the world sees them, and a scene that asks it."""

    def __init__(self, spawn: Spawn, stage: Stage) -> None:
        self._spawn = spawn
        directory = stage.directory
        self.books = EmbeddedCustody(directory / "outside.sqlite", confirm_ns=0)
        self.flag = directory / "bad"
        self._paths = (directory / "outside.sqlite", directory / "outside.socket", self.flag)
        stage.venue()
        self.scene = Scene(stage)
        self.scene.custody.close()

    def start(self, misdeed: str) -> Scene:
        """Begin to misbehave; the flag decides when."""
        process = self._spawn(_PROCESS.replace("{misdeed}", misdeed), *self._paths)
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        for _ in range(200):
            if self._paths[1].exists():
                break
            time.sleep(0.01)
        self.scene.settlement.store.close()
        self.scene.custody = RemoteCustody(self._paths[1])  # type: ignore[assignment]
        self.scene.settlement = self.scene.start()
        self.scene.run()
        return self.scene


@pytest.fixture
def outside(spawn: Spawn, stage: Stage) -> Iterator[Outside]:
    made = Outside(spawn, stage)
    yield made
    made.books.close()
    made.scene.custody.close()


def _paid(scene: Scene, amount: int) -> None:
    """A withdrawal goes all the way."""
    _withdraw(scene, 1, amount)
    scene.run(0.2)
    _state(scene, 1, SENT, amount)
    for _ in range(3):
        scene.run(2)
    assert _steps(scene) == [(1, SENT), (1, CONFIRMED)]


def test_an_honest_one_in_a_process_of_its_own(outside: Outside) -> None:
    scene = outside.start(HONEST)
    _credit(scene)
    outside.books.receive("tx-1", 100, USDC, 20 * M)
    scene.run(1)
    assert scene.balances()[100, USDC] == 20 * M
    _paid(scene, 8 * M)
    assert scene.settlement.alarms == 0
    assert scene.custody.holdings() == {USDC: 12 * M}
    assert scene.custody.statement(3).holdings == {USDC: 12 * M}


@pytest.mark.parametrize(
    "misdeed", [FAILS, HANGS, TALKS_NONSENSE], ids=["fails", "hangs", "nonsense"]
)
def test_it_is_asked_again_until_it_answers_and_nobody_waits(
    outside: Outside, misdeed: str
) -> None:
    scene = outside.start(misdeed)
    scene.deposit(100, USDC, 20 * M)
    scene.run(2)
    outside.flag.touch()
    _withdraw(scene, 1, 8 * M)
    for _ in range(3):
        began = time.monotonic()
        scene.run(2)
        assert time.monotonic() - began < 2.5, "a poll waits for no custody"
    # Nothing was said to have been sent that may not have been; everything else goes on.
    assert _steps(scene) == []
    assert "SettlementStart" in scene.run(10)
    outside.flag.unlink()
    time.sleep(0.3)
    scene.run(2)
    scene.run(2)
    assert _steps(scene) == [(1, SENT)]
    assert outside.books.sending(1) == Sending(CONFIRMED, USDC, 8 * M)
    assert scene.settlement.alarms == 0


def test_what_it_is_to_hear_is_told_until_it_has_heard(outside: Outside) -> None:
    """An operator credits while custody hangs, and the sidecar is restarted meanwhile."""
    scene = outside.start(HANGS)
    outside.flag.touch()
    scene.deposit(100, USDC, 20 * M)
    scene.restart()
    assert outside.books.holdings() == {}
    outside.flag.unlink()
    time.sleep(0.3)
    scene.run(2)
    scene.run(2)
    assert outside.books.holdings() == {USDC: 20 * M}


def test_answers_given_twice_are_answers_once(outside: Outside) -> None:
    scene = outside.start(ANSWERS_TWICE)
    _credit(scene)
    outside.books.receive("tx-1", 100, USDC, 20 * M)
    scene.run(1)
    scene.run(1)
    _paid(scene, 8 * M)
    deposits = [f["amount"] for _, n, f in scene.stage.commands if n == "Deposit"]
    assert deposits == [20 * M]
    assert scene.settlement.alarms == 0


def test_a_transaction_given_twice_is_credited_once(outside: Outside) -> None:
    scene = outside.start(GIVES_TWICE)
    scene.stage.refuse = {}
    _credit(scene)
    outside.books.receive("tx-1", 100, USDC, 20 * M)
    for _ in range(4):
        scene.run(1)
    deposits = [f["amount"] for _, n, f in scene.stage.commands if n == "Deposit"]
    assert deposits == [20 * M, 0]  # The core refuses the second, and it counts as done.
    assert scene.settlement.alarms == 1
    # A store made anew knows it as well.
    scene.settlement.store.close()
    scene.settlement.store.path.unlink()
    scene.settlement = scene.start()
    for _ in range(3):
        scene.run(1)
    assert len([n for _, n, _ in scene.stage.commands if n == "Deposit"]) == 2


@pytest.mark.parametrize("misdeed", [LIES, DIVERTS])
def test_another_amount_or_place_than_was_asked_for_is_no_step(
    outside: Outside, misdeed: str
) -> None:
    scene = outside.start(misdeed)
    scene.deposit(100, USDC, 20 * M)
    _withdraw(scene, 1, 8 * M)
    scene.run(2)
    scene.run(2)
    assert _steps(scene) == []
    assert scene.settlement.alarms == 1


def test_a_withdrawal_that_it_forgets_is_an_alarm(outside: Outside) -> None:
    scene = outside.start(FORGETS)
    scene.deposit(100, USDC, 20 * M)
    _withdraw(scene, 1, 8 * M)
    scene.run(1)
    _state(scene, 1, SENT, 8 * M)
    outside.flag.touch()
    for _ in range(3):
        scene.run(2)
    assert _steps(scene) == [(1, SENT)]
    assert scene.settlement.alarms == 1


def test_what_it_gave_up_and_paid_all_the_same_is_noticed(outside: Outside) -> None:
    scene = outside.start(PAYS_ALL_THE_SAME)
    scene.deposit(100, USDC, 20 * M)
    _withdraw(scene, 1, 8 * M)
    scene.run(1)
    _state(scene, 1, SENT, 8 * M)
    scene.run(2)
    assert _steps(scene) == [(1, SENT), (1, FAILED)]
    _state(scene, 1, FAILED, 8 * M)
    scene.run(61)
    assert scene.settlement.alarms == 0
    outside.flag.touch()
    for _ in range(3):
        scene.run(61)
    assert scene.settlement.alarms == 1


def test_a_socket_that_is_not_there(tmp_path: Path) -> None:
    custody = RemoteCustody(tmp_path / "nobody")
    with pytest.raises(CustodyError):
        custody.holdings()
