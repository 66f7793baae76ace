"""Measuring the doors without whoever else runs on the machine: all that is measured in real time.

Client, echo, acceptor and exchange get the same policy, so that a ratio between them is one of what
they do. On a machine with few processors an ordinary exchange shares them with its own sidecars and
with the client that measures it, and whoever is waiting gets his turn at the kernel's next tick.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from core.idle import REAL_TIME

Scheduling = Literal["real-time", "ordinary"]
PRIORITY = 40  # Of 1 to 99; interrupt threads of a real-time kernel have 50.


@contextmanager
def scheduled(wanted: Scheduling | None) -> Iterator[Scheduling]:
    """Be scheduled as wanted, and every process begun meanwhile; which it is.

    None: in real time where that is permitted (CAP_SYS_NICE, or a limit RTPRIO). Raises
    RuntimeError where it was asked for and isn't.
    """
    before = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        yield _take(wanted)
    finally:
        os.sched_setscheduler(0, *before)


def _take(wanted: Scheduling | None) -> Scheduling:
    if wanted == "ordinary":
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
        return "ordinary"
    if os.sched_getscheduler(0) in REAL_TIME:
        return "real-time"
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(PRIORITY))
    except PermissionError:
        if wanted is not None:
            raise RuntimeError(
                "scheduling: real-time isn't permitted (CAP_SYS_NICE, or ulimit -r)") from None
        return "ordinary"
    return "real-time"
