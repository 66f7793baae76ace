"""What every process does first and last: options, exit codes, signals, its row and ready file."""

import contextlib
import errno
import os
import signal
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from core.config import ConfigurationError
from core.errors import CoreError, SegmentInUse, SegmentMissing
from core.journal.errors import DataVersion, DiskFailed, DiskFull
from core.process import (
    EXIT_CONFIGURATION,
    EXIT_FAILED,
    EXIT_REFUSED,
    SUPERVISOR_VARIABLE,
    Process,
    Refused,
    reserve_refusal,
    run,
    write_refusal,
)
from core.status import State, StatusTable


@pytest.fixture
def arguments(tmp_path: Path, instance: str) -> list[str]:
    (tmp_path / "config.json").write_text("{}")
    return [
        "--instance", instance, "--data", str(tmp_path), "--rundir", str(tmp_path),
        "--config", str(tmp_path / "config.json"),
    ]


@pytest.fixture(autouse=True)
def restore_signals() -> object:
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def raising(error: Exception) -> Callable[[Process], None]:
    def main(_process: Process) -> None:
        raise error

    return main


@pytest.mark.parametrize(
    ("error", "code", "reason"),
    [
        (ConfigurationError("fix.port: no"), EXIT_CONFIGURATION, "fix.port: no"),
        (Refused("port in use"), EXIT_REFUSED, "port in use"),
        (DataVersion("another version"), EXIT_REFUSED, "another version"),
        (DiskFull("no space"), EXIT_REFUSED, "no space"),
        (SegmentInUse("taken"), EXIT_REFUSED, "taken"),
        # These a restart may mend: no refusal is left for the supervisor.
        (SegmentMissing("not there yet"), EXIT_FAILED, None),
        (DiskFailed("sync failed"), EXIT_FAILED, None),
        (CoreError("whatever"), EXIT_FAILED, None),
        (ZeroDivisionError("a mistake"), EXIT_FAILED, None),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
)
def test_errors_become_exit_codes(
    error: Exception, code: int, reason: str | None, arguments: list[str], tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    assert run("worker", raising(error), arguments) == code
    refusal = tmp_path / "worker.refused"
    assert (refusal.read_text().strip() if refusal.exists() else None) == reason
    lines = [msgspec.json.decode(line) for line in capfd.readouterr().err.splitlines()]
    assert len(lines) == 1
    assert lines[0]["process"] == "worker"
    assert str(error) in (lines[0]["event"], lines[0].get("error", "").partition(": ")[2])


def test_a_wrong_configuration_file(arguments: list[str], tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"fix": {"port": "x"}}')
    assert run("worker", raising(AssertionError()), arguments) == EXIT_CONFIGURATION
    assert (tmp_path / "worker.refused").read_text() == "fix.port: expected int, was str\n"


def test_a_life(arguments: list[str], tmp_path: Path, instance: str) -> None:
    table = StatusTable.attach_or_create(instance)
    seen: list[object] = []

    def main(process: Process) -> None:
        row = process.attach_status()
        seen.append(row.state)
        process.ready(port=7)
        seen.append(row.state)
        process.on_stop(lambda: seen.append("asked"))
        threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGTERM)).start()
        while not process.stopping:
            time.sleep(0.01)
        seen.append(row.state)

    assert run("worker", main, arguments) == 0
    assert seen == [State.STARTING, State.RUNNING, "asked", State.STOPPING]
    row = table.find("worker")
    assert row is not None
    assert (row.state, row.pid) == (State.STOPPED, os.getpid())
    said = msgspec.json.decode((tmp_path / "worker.ready").read_bytes())
    assert said == {"pid": os.getpid(), "port": 7}
    table.close()


def test_a_supervised_process_waits_for_its_turn(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(SUPERVISOR_VARIABLE, str(os.getppid()))
    begun: list[float] = []
    threading.Timer(0.2, (tmp_path / "worker.turn").touch).start()
    before = time.monotonic()
    assert run("worker", lambda _process: begun.append(time.monotonic()), arguments) == 0
    assert begun[0] - before > 0.15


def test_a_process_whose_supervisor_is_gone_never_begins(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(SUPERVISOR_VARIABLE, "1" if os.getppid() != 1 else "2")
    assert run("worker", raising(AssertionError("it began")), arguments) == 0


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_a_full_disk_is_one_line_and_tried_again(
    number: int, arguments: list[str], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    error = OSError(number, os.strerror(number), str(tmp_path / "ledger"))
    assert run("worker", raising(error), arguments) == EXIT_FAILED
    [line] = capfd.readouterr().err.splitlines()
    assert msgspec.json.decode(line)["event"] == f"{tmp_path / 'ledger'}: no space left on device"
    assert not (tmp_path / "worker.refused").exists()


def test_a_full_database_is_a_full_disk(
    arguments: list[str], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    def body(_process: Process) -> None:
        connection = sqlite3.connect(tmp_path / "ledger.sqlite")
        with contextlib.closing(connection):
            connection.execute("PRAGMA max_page_count = 2")
            connection.execute("CREATE TABLE posting (text)")
            connection.execute("INSERT INTO posting VALUES (zeroblob(100000))")

    assert run("worker", body, arguments) == EXIT_FAILED
    [line] = capfd.readouterr().err.splitlines()
    assert msgspec.json.decode(line)["event"].endswith(": no space left on device")


def test_a_refusal_needs_no_more_room_than_was_reserved(tmp_path: Path) -> None:
    path = tmp_path / "worker.refused"
    reserve_refusal(path)
    before = path.stat()
    write_refusal(path, "no space left on device\n")
    assert path.read_text() == "no space left on device\n"
    assert (path.stat().st_ino, path.stat().st_blocks) == (before.st_ino, before.st_blocks)
    assert before.st_size >= 512
