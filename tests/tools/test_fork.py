"""A forked process is what `python -m` would have made of it, and leaves the supervisor's alone."""

import atexit
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tools.supervisor.fork import Forked, fork

ABOUT_ITSELF = """
import json, os, signal, sys
json.dump({
    "name": __name__,
    "arguments": sys.argv[1:],
    "descriptors": sorted(map(int, os.listdir("/proc/self/fd")))[:-1],  # but the listing's own
    "session": os.getsid(0) == os.getpid(),
    "blocked": list(signal.pthread_sigmask(signal.SIG_BLOCK, ())),
    "terminate": int(signal.getsignal(signal.SIGTERM)),
    "read": sys.stdin.read(),
    "supervisor": os.environ["SUPERVISOR"],
    "listed": open("/proc/self/cmdline").read().rstrip("\\0"),
}, sys.stdout)
"""

Run = Callable[[str], tuple[Forked, str]]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a source text as a forked module; the ended process and what it printed."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def run(source: str) -> tuple[Forked, str]:
        (tmp_path / "forked_module.py").write_text(source)
        with (tmp_path / "output").open("w") as output:
            forked = fork("forked_module", ["--one", "2"], "SUPERVISOR", output.fileno())
        deadline = time.monotonic() + 30
        while not forked.poll():
            assert time.monotonic() < deadline
            time.sleep(0.01)
        return forked, (tmp_path / "output").read_text()

    return run


def test_it_is_as_if_executed(run: Run, tmp_path: Path) -> None:
    with (tmp_path / "held by us").open("w"):
        before = signal.signal(signal.SIGTERM, lambda *_: None)
        try:
            forked, text = run(ABOUT_ITSELF)
        finally:
            signal.signal(signal.SIGTERM, before)
    said = json.loads(text)
    # What the tests were started with and may be inherited is inherited.
    inherited = subprocess.run(
        [sys.executable, "-c", "import os; print(len(os.listdir('/proc/self/fd')) - 1)"],
        capture_output=True, text=True, check=True, close_fds=False)
    assert len(said.pop("descriptors")) == int(inherited.stdout)
    assert said.pop("listed").split() == [
        *sys.executable.split(), "-m", "forked_module", "--one", "2"]
    assert said == {
        "name": "__main__", "arguments": ["--one", "2"], "session": True, "blocked": [],
        "terminate": int(signal.SIG_DFL), "read": "", "supervisor": str(os.getpid()),
    }
    assert forked.returncode == 0


@pytest.mark.parametrize(
    ("source", "code"),
    [
        ("", 0),
        ("import sys; sys.exit()", 0),
        ("import sys; sys.exit(3)", 3),
        ("import sys; sys.exit('in words')", 1),
        ("raise ValueError('unforeseen')", 1),
        ("import os; os.kill(os.getpid(), 9)", -9),
        ("import os; os.kill(os.getpid(), 15)", -15),
    ],
)
def test_how_it_ended(run: Run, source: str, code: int) -> None:
    assert run(source)[0].returncode == code


def test_its_session_is_its_own_from_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "sleeping_module.py").write_text("import time; time.sleep(60)")
    with (tmp_path / "output").open("w") as output:
        forked = fork("sleeping_module", [], "SUPERVISOR", output.fileno())
        session = os.getsid(forked.pid)
    forked.send_signal(signal.SIGKILL)
    os.waitpid(forked.pid, 0)
    assert session == forked.pid


def test_it_says_what_it_failed_of(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "excepthook", lambda *_: None)  # ours, whose log is not the child's
    assert "unforeseen" in run("raise ValueError('unforeseen')")[1]


def test_it_undoes_nothing_of_ours(run: Run, tmp_path: Path) -> None:
    undone = tmp_path / "undone"
    atexit.register(undone.touch)
    try:
        try:
            run("import sys; sys.exit(2)")
        finally:
            (tmp_path / f"left by {os.getpid()}").touch()
    finally:
        atexit.unregister(undone.touch)
    assert not undone.exists()
    assert [file.name for file in tmp_path.glob("left by *")] == [f"left by {os.getpid()}"]
