"""Exactly once: whatever kills a sidecar, and wherever it starts again."""

import os
import subprocess
import sys
from collections.abc import Callable
from typing import ClassVar

import pytest

from core.agent import run_until_quiet
from core.producers import Producer
from core.sidecars.follow import Result, Sidecar
from core.sidecars.store import Store, StoreBusy, StoreVersion
from tests.core.sidecars.stage import Stage


class Counter(Sidecar):
    """Asks for one settlement for every one that it sees completed."""

    producer: ClassVar[Producer] = Producer.SETTLEMENT
    migrations: ClassVar[tuple[str, ...]] = (
        "CREATE TABLE seen (sequence INTEGER PRIMARY KEY) STRICT;",
    )

    def __init__(self, *arguments, **options) -> None:  # type: ignore[no-untyped-def]
        super().__init__(*arguments, **options)
        self.answers: list[Result] = []
        self.wanted = 0
        self.handle_fields("SettlementCompleted", self._on_completed)

    def _on_completed(self, fields: dict[str, object]) -> None:
        self.store.connection.execute("INSERT INTO seen VALUES (?)", (self.last_sequence,))
        self.command("SettlementStart", cycle=fields["cycle"])

    def answered(self, name: str, result: Result) -> None:
        self.answers.append(result)

    @property
    def seen(self) -> list[int]:
        return [row[0] for row in self.store.connection.execute("SELECT sequence FROM seen")]


def start(stage: Stage) -> Counter:
    store = stage.store("counter", Counter.migrations)
    return Counter(store, stage.follower(), stage.link(Producer.SETTLEMENT), clock=stage.clock)


def completed(stage: Stage, cycle: int) -> None:
    stage.next()
    stage.emit("SettlementCompleted", cycle=cycle, positions=0, debits=0, credits=0)


def test_a_command_is_sent_answered_and_forgotten(stage: Stage) -> None:
    counter = start(stage)
    completed(stage, 7)
    run_until_quiet([counter])
    assert [(name, f["key"], f["cycle"]) for _, name, f in stage.take(counter.link)] == [
        ("SettlementStart", 1, 7)
    ]
    run_until_quiet([counter])
    assert [(a.key, a.reason) for a in counter.answers] == [(1, 0)]
    assert not counter.waits_for("SettlementStart")
    assert counter.store.connection.execute("SELECT count(*) FROM outbox").fetchone() == (0,)


def test_a_restart_sends_again_under_the_same_key_and_the_core_refuses_it(stage: Stage) -> None:
    counter = start(stage)
    completed(stage, 1)
    run_until_quiet([counter])
    # It dies before it sees the answer; the core has the command, and has it twice after that.
    assert len(stage.take(counter.link)) == 1
    counter.store.close()
    stage.durable = stage.sequence - 1  # The answer is not released yet.
    counter = start(stage)
    run_until_quiet([counter])
    assert len(stage.take(counter.link)) == 0  # Refused as a double.
    stage.durable = None
    run_until_quiet([counter])
    assert stage.commands[0][2]["key"] == 1
    assert len(stage.commands) == 1
    assert [a.reason for a in counter.answers] == [0]
    assert counter.seen == [1]


def test_an_answer_met_while_catching_up_is_an_answer(stage: Stage) -> None:
    counter = start(stage)
    completed(stage, 1)
    run_until_quiet([counter])
    stage.take(counter.link)
    counter.store.close()
    counter = start(stage)
    run_until_quiet([counter])
    assert counter.link.depth == 0  # Nothing was sent again.
    assert [a.reason for a in counter.answers] == [0]


def test_a_store_that_was_deleted_does_not_reuse_a_key(stage: Stage) -> None:
    counter = start(stage)
    for cycle in (1, 2, 3):
        completed(stage, cycle)
    run_until_quiet([counter])
    stage.take(counter.link)
    counter.store.close()
    counter.store.path.unlink()
    stage.durable = 4  # Only the first answer can be seen, the core has three.
    counter = start(stage)
    run_until_quiet([counter])
    stage.durable = None
    stage.take(counter.link)
    run_until_quiet([counter])
    stage.take(counter.link)
    run_until_quiet([counter])
    keys = [fields["key"] for _, _, fields in stage.commands]
    assert keys == sorted(set(keys))
    assert counter.store.connection.execute("SELECT count(*) FROM outbox").fetchone() == (0,)


def test_a_full_ring_keeps_the_order_of_keys(stage: Stage) -> None:
    counter = start(stage)
    for cycle in range(2000):  # 64 bytes each: twice the ring.
        completed(stage, cycle)
    run_until_quiet([counter])
    for _ in range(3):
        stage.take(counter.link)
        run_until_quiet([counter])
    assert [fields["key"] for _, _, fields in stage.commands] == list(range(1, 2001))


def test_a_passing_command_is_not_sent_again_but_its_key_is_gone(stage: Stage) -> None:
    counter = start(stage)
    run_until_quiet([counter])
    counter.store.begin()
    counter.command("SettlementStart", passing=True, cycle=1)
    counter.store.commit(counter.follower.position)
    counter.store.close()  # Dies before sending.
    counter = start(stage)
    run_until_quiet([counter])
    assert counter.link.depth == 0
    assert counter.store.last_key == 1


def test_started_twice_the_second_is_refused(stage: Stage) -> None:
    counter = start(stage)
    with pytest.raises(StoreBusy, match="already runs"):
        start(stage)
    counter.store.close()
    start(stage).store.close()


def test_a_store_of_a_later_version_is_refused_untouched(stage: Stage) -> None:
    store = stage.store("counter", (*Counter.migrations, "CREATE TABLE more (x) ;"))
    store.close()
    with pytest.raises(StoreVersion, match="schema 3, this version knows 2"):
        start(stage)


def test_an_old_store_is_migrated(stage: Stage) -> None:
    stage.store("counter").close()
    counter = start(stage)
    assert counter.seen == []


_VICTIM = """
import os, sys
from pathlib import Path
from core.link import CommandLink, EventFollower
from tests.core.sidecars.test_follow import Counter
from core.sidecars.store import Store
instance, directory = sys.argv[1], Path(sys.argv[2])
counter = Counter(Store(directory / "sidecars", "counter", Counter.migrations),
                  EventFollower(instance, directory),
                  CommandLink(instance, "settlement", capacity=1 << 16))
print("up", flush=True)
while True:
    counter.poll()
"""


def test_sigkill_at_any_instant_does_nothing_twice(
    stage: Stage, spawn: Callable[..., "subprocess.Popen[str]"]
) -> None:
    """A real process over real memory, killed again and again while events pour in."""
    link = stage.link(Producer.SETTLEMENT)
    cycle = 0
    for _ in range(6):
        process = spawn(_VICTIM, stage.instance, stage.directory)
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        for _ in range(40):
            cycle += 1
            completed(stage, cycle)
            stage.take(link)
        process.kill()
        process.wait()
    counter = start(stage)
    for _ in range(10):
        run_until_quiet([counter])
        stage.take(link)
    done = [fields["cycle"] for _, _, fields in stage.commands]
    assert done == list(range(1, cycle + 1))
    assert len(counter.seen) == cycle


def test_no_numba(stage: Stage) -> None:
    code = (
        "import sys, core.sidecars.serve, core.sidecars.settlement.agent;"
        "sys.exit('numba' in sys.modules)"
    )
    assert subprocess.run(
        [sys.executable, "-c", code], check=False, env=dict(os.environ)
    ).returncode == 0
    assert Store is not None
