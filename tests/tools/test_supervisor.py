"""The supervisor with small real processes: order, crashes, refusals, stopping."""

import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from core import logs, memory
from core.config import Configuration, FixGateway
from core.process import Options, Refused
from core.status import State as RowState
from core.status import StatusTable
from tools.supervisor.child import State
from tools.supervisor.processes import Spec
from tools.supervisor.supervisor import DEATHS_BEFORE_READY_MAX, Supervisor, describe

SPECS = (
    Spec("first", "tests.tools.agents.first", start=0, stop=2),
    Spec("second", "tests.tools.agents.second", start=1, stop=1),
    Spec("third", "tests.tools.agents.third", start=1, stop=0),
)


@dataclass
class House:
    """A place to run in, and what happened there."""

    options: Options
    log_file: Path

    def tell(self, name: str, order: str) -> None:
        (self.options.data / f"{name}.do").write_text(order)

    def life(self) -> list[str]:
        file = self.options.data / "life"
        return file.read_text().splitlines() if file.exists() else []


@pytest.fixture
def house(tmp_path: Path, instance: str) -> House:
    rundir = tmp_path / "run"
    rundir.mkdir()
    (rundir / "config.json").write_text("{}")
    return House(
        Options(instance, tmp_path, rundir, rundir / "config.json"), tmp_path / "log.jsonl"
    )


@pytest.fixture
def build(house: House) -> Iterator[Callable[..., Supervisor]]:
    built: list[Supervisor] = []
    descriptor = os.open(house.log_file, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def make(specs: tuple[Spec, ...] = SPECS) -> Supervisor:
        log = logs.configure("supervisor", descriptor)
        built.append(Supervisor(specs, house.options, log, descriptor))
        return built[-1]

    yield make
    for supervisor in built:
        supervisor.kill()
        supervisor.close()
    os.close(descriptor)


def until(supervisor: Supervisor, reached: Callable[[], bool], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < deadline, "it never came to that"
        supervisor.poll(0.05)


def test_starts_and_stops_in_order(house: House, build: Callable[..., Supervisor]) -> None:
    supervisor = build()
    assert supervisor.start()
    started = house.life()
    assert started[0] == "start first"
    assert set(started[1:]) == {"start second", "start third"}
    assert supervisor.stop()
    assert house.life()[3:] == ["stop third", "stop second", "stop first"]
    assert all(child.state is State.STOPPED for child in supervisor.children.values())


def test_a_killed_process_comes_back(house: House, build: Callable[..., Supervisor]) -> None:
    supervisor = build()
    supervisor.start()
    second = supervisor.children["second"]
    before = second.pid
    os.kill(before, signal.SIGKILL)
    until(supervisor, lambda: second.pid not in (0, before) and second.state is State.RUNNING)
    assert second.restarts == 1
    table = StatusTable.open(house.options.instance)
    row = table.find("second")
    assert row is not None
    assert (row.pid, row.state, row.alive) == (second.pid, RowState.RUNNING, True)
    table.close()
    assert supervisor.children["first"].restarts == 0
    assert supervisor.stop()
    assert '"cause":"SIGKILL"' in house.log_file.read_text()


def test_the_back_off_doubles(house: House, build: Callable[..., Supervisor]) -> None:
    supervisor = build()
    supervisor.start()
    third = supervisor.children["third"]
    pauses = []
    for _ in range(3):
        begin = time.monotonic()
        os.kill(third.pid, signal.SIGKILL)
        until(supervisor, lambda: third.state is State.BACKING_OFF)
        until(supervisor, lambda: third.state is State.STARTING)
        pauses.append(time.monotonic() - begin)
        until(supervisor, lambda: third.state is State.RUNNING)
    lines = map(json.loads, house.log_file.read_text().splitlines())
    announced = [line["again_in"] for line in lines if line["event"] == "died"]
    assert announced == [0.1, 0.2, 0.4]
    assert all(pause > least for pause, least in zip(pauses, announced, strict=True))


def test_a_refusal_is_its_own_words(house: House, build: Callable[..., Supervisor]) -> None:
    house.tell("second", "refuse")
    supervisor = build()
    with pytest.raises(Refused, match=r"^second: there is no room for me$"):
        supervisor.start()
    assert supervisor.exit_code() == 3
    supervisor.stop()
    assert house.life()[0] == "start first"
    assert house.life()[-1] == "stop first"


def test_a_wrong_configuration_is_told_apart(
    house: House, build: Callable[..., Supervisor]
) -> None:
    house.options.config.write_text('{"rings": {"command_bytes": 65537}}')
    supervisor = build()
    with pytest.raises(Refused, match=r"rings\.command_bytes: expected a power of two, was 65537"):
        supervisor.start()
    assert supervisor.exit_code() == 2


def test_hopeless_before_ready_gives_up(house: House, build: Callable[..., Supervisor]) -> None:
    house.tell("third", "crash")
    supervisor = build()
    with pytest.raises(Refused, match=r"third: ended with code 1"):
        supervisor.start()
    assert supervisor.children["third"].deaths == DEATHS_BEFORE_READY_MAX
    assert "told to crash" in house.log_file.read_text()


def test_never_ready_counts_as_a_death(house: House, build: Callable[..., Supervisor]) -> None:
    house.tell("first", "never-ready")
    supervisor = build((Spec("first", SPECS[0].module, start=0, stop=0, ready_seconds=0.5),))
    with pytest.raises(Refused, match="first: ended with code -9"):
        supervisor.start()


def test_deaf_processes_are_killed_in_the_end(
    house: House, build: Callable[..., Supervisor]
) -> None:
    house.tell("first", "deaf")
    supervisor = build((Spec("first", SPECS[0].module, start=0, stop=0, stop_seconds=0.3),))
    supervisor.start()
    assert not supervisor.stop()
    assert supervisor.children["first"].exit_code == -signal.SIGKILL


def test_stopping_while_they_load_is_clean(build: Callable[..., Supervisor]) -> None:
    supervisor = build()
    for child in supervisor.children.values():
        child.start()
    assert supervisor.stop()
    assert [child.exit_code for child in supervisor.children.values()] == [0, 0, 0]


def test_a_signal_ends_the_wait_at_once(build: Callable[..., Supervisor]) -> None:
    supervisor = build()
    previous = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    supervisor.start()
    supervisor.handle_signals()
    try:
        begin = time.monotonic()
        threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGTERM)).start()
        supervisor.poll(10.0)
        assert time.monotonic() - begin < 5
        assert supervisor.stopping
    finally:
        signal.signal(signal.SIGTERM, previous[0])
        signal.signal(signal.SIGINT, previous[1])


def test_children_of_a_killed_supervisor_stop(house: House, tmp_path: Path) -> None:
    """The supervisor runs in a process of its own here, and dies by SIGKILL."""
    pid = os.fork()
    if pid == 0:
        descriptor = os.open(house.log_file, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        log = logs.configure("supervisor", descriptor)
        supervisor = Supervisor(SPECS, house.options, log, descriptor)
        supervisor.start()
        (tmp_path / "up").touch()
        while True:
            supervisor.poll()
    deadline = time.monotonic() + 20
    while not (tmp_path / "up").exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    while sum(line.startswith("stop") for line in house.life()) < len(SPECS):
        assert time.monotonic() < deadline, house.life()
        time.sleep(0.02)
    assert not list(memory.live_owners(house.options.instance))


def test_the_ready_line_names_every_port(build: Callable[..., Supervisor], house: House) -> None:
    supervisor = build((Spec("first", "no", start=0, stop=0), Spec("fix", "no", start=0, stop=0)))
    supervisor.children["fix"].details = {"port": 7001}
    configuration = Configuration(fix=FixGateway(host="10.0.0.1"))
    line = describe(house.options, configuration, supervisor.children.values())
    start = f"onebook ready instance={house.options.instance} pid={os.getpid()} "
    assert line == f"{start}fix=10.0.0.1:7001 data={house.options.data}"
