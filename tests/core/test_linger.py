"""How long the core lingers: not where it would keep the disk from answering."""

import subprocess
import sys

import pytest

from core.__main__ import LINGER_NS_MAX, linger_ns
from core.config import Exchange

PROGRAM = """
import os
os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
from core.__main__ import linger_ns
from core.config import Exchange
print(linger_ns(Exchange(policy="fsync")), linger_ns(Exchange(policy="async")))
"""


@pytest.mark.parametrize("policy", ["fsync", "async", "none"])
def test_an_ordinary_core_lingers(policy: str) -> None:
    assert linger_ns(Exchange(policy=policy)) == LINGER_NS_MAX  # type: ignore[arg-type]


def test_one_in_real_time_leaves_the_processor_to_the_disk() -> None:
    """In a process of its own, which isn't to be ahead of the other tests."""
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True)
    if "PermissionError" in done.stderr:
        pytest.skip("a real-time policy isn't permitted here (CAP_SYS_NICE)")
    assert done.stdout.split() == ["0", str(LINGER_NS_MAX)], done.stderr
