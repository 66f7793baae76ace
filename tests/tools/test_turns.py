"""The kernel's own record of a process says how it shares a processor."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tools.supervisor import turns


@pytest.fixture
def sleeper() -> Iterator[int]:
    with subprocess.Popen(
        [sys.executable, "-c", "import time; time.sleep(60)"], start_new_session=True
    ) as process:
        yield process.pid
        process.kill()


def _slice_ns(pid: int) -> int:
    with open(f"/proc/{pid}/sched") as file:
        lines = (line.partition(":") for line in file)
        return next((int(value) for name, _, value in lines if name.strip() == "se.slice"), 0)


def test_a_process_has_turns_of_the_length_asked_for(sleeper: int) -> None:
    if not os.path.exists(f"/proc/{sleeper}/sched"):
        pytest.skip("this kernel tells nothing about turns (CONFIG_SCHED_DEBUG)")
    before = _slice_ns(sleeper)
    if not before or tuple(map(int, os.uname().release.split(".")[:2])) < (6, 12):
        pytest.skip("this kernel has turns of one length (before Linux 6.12)")
    for asked in (turns.SHORT_TURN_NS, turns.LONG_TURN_NS):
        assert asked != before
        assert turns.take_turns(sleeper, asked)
        assert _slice_ns(sleeper) == asked
    assert os.sched_getscheduler(sleeper) == os.SCHED_OTHER


def test_a_patient_process_has_little_weight(sleeper: int) -> None:
    turns.be_patient(sleeper)
    assert os.sched_getscheduler(sleeper) == os.SCHED_BATCH
    assert os.getpriority(os.PRIO_PROCESS, sleeper) == turns.NICENESS
    autogroup = Path(f"/proc/{sleeper}/autogroup")
    if autogroup.exists():
        assert autogroup.read_text().split()[-1] == str(turns.NICENESS)
