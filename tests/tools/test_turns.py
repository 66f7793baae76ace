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


@pytest.fixture
def real_time(sleeper: int) -> int:
    try:
        os.sched_setscheduler(sleeper, os.SCHED_FIFO, os.sched_param(1))
    except PermissionError:
        pytest.skip("a real-time policy isn't permitted here (CAP_SYS_NICE)")
    return sleeper


def test_a_real_time_process_stays_one_unless_it_is_patient(real_time: int) -> None:
    assert not turns.take_turns(real_time, turns.SHORT_TURN_NS)
    assert os.sched_getscheduler(real_time) == os.SCHED_FIFO
    turns.be_patient(real_time)
    assert os.sched_getscheduler(real_time) == os.SCHED_BATCH


def test_spinning_in_real_time_needs_a_processor_each() -> None:
    """In a process of its own: one that spins in real time, be it a test, stops the machine."""
    program = (
        "import os\nfrom core.process import Refused\nfrom tools.supervisor import turns\n"
        "turns.judge_spinning(1000)\n"
        "os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))\n"
        "turns.judge_spinning(0)\n"
        "try:\n    turns.judge_spinning(len(os.sched_getaffinity(0)))\n"
        "except Refused as refused:\n    print(refused)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    if "PermissionError" in done.stderr:
        pytest.skip("a real-time policy isn't permitted here (CAP_SYS_NICE)")
    assert done.stdout.startswith("exchange.idle: spin with a real-time policy"), done.stderr


def test_a_patient_process_has_little_weight(sleeper: int) -> None:
    turns.be_patient(sleeper)
    assert os.sched_getscheduler(sleeper) == os.SCHED_BATCH
    assert os.getpriority(os.PRIO_PROCESS, sleeper) == turns.NICENESS
    autogroup = Path(f"/proc/{sleeper}/autogroup")
    if autogroup.exists():
        assert autogroup.read_text().split()[-1] == str(turns.NICENESS)
