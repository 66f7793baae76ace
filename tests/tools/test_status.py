"""`onebook status` on real processes: what it shows is what is, and it disturbs nothing."""

import io
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from rich.console import Console

from core import logs
from core.link import CommandLink
from core.process import Options
from core.status import StatusTable
from tests.tools.test_supervisor import SPECS, until
from tools.commands.status import EXIT_NOT_RUNNING, EXIT_PROCESS_DOWN, show, status
from tools.inspection import look
from tools.supervisor.child import State
from tools.supervisor.supervisor import Supervisor


@pytest.fixture
def running(tmp_path: Path, instance: str) -> Iterator[Supervisor]:
    (tmp_path / "config.json").write_text("{}")
    options = Options(instance, tmp_path, tmp_path, tmp_path / "config.json")
    descriptor = os.open(tmp_path / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    supervisor = Supervisor(SPECS, options, logs.configure("supervisor", descriptor), descriptor)
    supervisor.start()
    yield supervisor
    supervisor.kill()
    supervisor.close()
    os.close(descriptor)


def test_nothing_is_running(instance: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert status(instance=instance) == EXIT_NOT_RUNNING
    assert capsys.readouterr().err == f"onebook: no exchange of the name {instance} is running\n"


def test_eighty_columns_are_enough(running: Supervisor, instance: str) -> None:
    seen = look(instance)
    wide = msgspec.structs.replace(
        seen.processes[0], name="settlement", pid=4_194_304, restarts=1000, uptime_seconds=360_000,
        events_lag_bytes=900 << 20, memory_bytes=9_999 << 20,
    )
    screen = io.StringIO()
    show(msgspec.structs.replace(seen, processes=[wide]), Console(file=screen, width=80))
    for value in ("settlement", "4194304", "1000", "100:00:00", "900.0 MiB", "9,999.0 MiB", "beat"):
        assert value in screen.getvalue()
    assert "…" not in screen.getvalue()


def test_every_process_and_ring(running: Supervisor, instance: str) -> None:
    link = CommandLink(instance, "admin", capacity=65536)
    assert link.send("Tick", {})
    table = StatusTable.open(instance)
    table.published_sequence, table.durable_sequence, table.core_generation = 9, 7, 2
    table.close()

    seen = look(instance)

    assert [process.name for process in seen.processes][:2] == ["supervisor", "first"]
    for process in seen.processes:
        assert process.alive
        assert process.state == "running"
        assert process.restarts == 0
        assert 0 < process.uptime_seconds < 3600
        assert process.heartbeat_seconds < 10
        assert process.memory_bytes > 1_000_000
    assert (seen.published_sequence, seen.durable_sequence, seen.core_generation) == (9, 7, 2)
    assert not seen.core_ready
    [ring] = seen.rings
    assert ring.name == "commands.admin"
    assert ring.depth_bytes == link.depth > 0
    assert ring.capacity_bytes == 65536
    link.close()


def test_a_dead_process_is_told(
    running: Supervisor, instance: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert status(instance=instance, json=True) == 0
    second = running.children["second"]
    os.kill(second.pid, signal.SIGKILL)
    until(running, lambda: second.state is State.BACKING_OFF)
    capsys.readouterr()

    assert status(instance=instance, json=True) == EXIT_PROCESS_DOWN

    seen = msgspec.json.decode(capsys.readouterr().out)
    states = {process["name"]: process["state"] for process in seen["processes"]}
    assert states == {
        "supervisor": "running", "first": "running", "second": "down", "third": "running",
    }
    until(running, lambda: second.state is State.RUNNING)
    restarts = {process.name: process.restarts for process in look(instance).processes}
    assert restarts["second"] == 1


def test_the_tables_show_it_all(running: Supervisor, instance: str) -> None:
    screen = io.StringIO()
    show(look(instance), Console(file=screen, width=120))
    for child in running.children.values():
        assert child.spec.name in screen.getvalue()
        assert str(child.pid) in screen.getvalue()
    assert "takes no commands" in screen.getvalue()
