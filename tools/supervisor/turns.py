"""How the kernel shares a processor among our processes where there are fewer than of us.

    doors    short turns, so that a wake-up interrupts whoever is running; the journal, too, under
             `fsync`, where every acknowledgement waits for it
    core     long turns: it offers the processor each time it found nothing to do, and an offer goes
             as far as the turn is long
    patient  the sidecars: a tenth of the weight, and a wake-up of theirs interrupts nobody

Since Linux 6.12 a process may ask for the length of its turns (`sched_runtime` of an ordinary
process, EEVDF). Whoever runs keeps the processor until the end of its turn, by default 0.7 to 3 ms,
unless one who is woken has asked for shorter turns: so an order that arrives while a sidecar writes
its books waits for microseconds instead of a millisecond. Older kernels take the request and do
nothing. No privilege is needed for any of this. See sched_setattr(2) and sched/fair.c.

An exchange that is started with a real-time policy (`chrt --fifo 40 onebook up`) keeps it for doors
and core, and for the journal where acknowledgements wait for it: they interrupt everybody else, and
share a processor by offering it to each other. The patient ones give the policy back.
"""

import contextlib
import ctypes
import os
import platform
from pathlib import Path

from core.idle import REAL_TIME
from core.process import Refused

SHORT_TURN_NS = 100_000  # the shortest the kernel grants
LONG_TURN_NS = 5_000_000
NICENESS = 10  # A tenth of the weight of a process that answers clients.

_SCHED_SETATTR = {"x86_64": 314, "aarch64": 274}.get(platform.machine())


class _Attributes(ctypes.Structure):
    """struct sched_attr, version 0."""

    _fields_ = (
        ("size", ctypes.c_uint32), ("policy", ctypes.c_uint32), ("flags", ctypes.c_uint64),
        ("nice", ctypes.c_int32), ("priority", ctypes.c_uint32), ("runtime", ctypes.c_uint64),
        ("deadline", ctypes.c_uint64), ("period", ctypes.c_uint64),
    )


def take_turns(pid: int, nanoseconds: int) -> bool:
    """Ask for turns of a length for an ordinary process; whether the kernel took it.

    A real-time process has none, and to ask would make an ordinary one of it: left as it is.
    """
    if _SCHED_SETATTR is None or os.sched_getscheduler(pid) in REAL_TIME:
        return False
    asked = _Attributes(
        size=ctypes.sizeof(_Attributes), policy=os.SCHED_OTHER,
        nice=os.getpriority(os.PRIO_PROCESS, pid), runtime=nanoseconds)
    answer: int = ctypes.CDLL(None).syscall(_SCHED_SETATTR, pid, ctypes.byref(asked), 0)
    return answer == 0


def judge_spinning(spinning: int) -> None:
    """Raise Refused if so many processes of ours that never sleep would leave nobody else a turn.

    A real-time process keeps its processor until it sleeps or offers it.
    """
    processors = len(os.sched_getaffinity(0))
    if spinning >= processors and os.sched_getscheduler(0) in REAL_TIME:
        raise Refused(
            f"exchange.idle: spin with a real-time policy needs a processor for each of {spinning} "
            f"processes and one for the others, there are {processors}: take adaptive")


def be_patient(pid: int) -> None:
    """Let the kernel interrupt a process for others, and never others for it.

    Where the kernel groups processes by session (autogroup, the default of most distributions)
    niceness counts only inside the session, and each of ours has one of its own: the session as a
    whole has to be nice. See sched(7).
    """
    os.sched_setscheduler(pid, os.SCHED_BATCH, os.sched_param(0))
    os.setpriority(os.PRIO_PROCESS, pid, NICENESS)
    with contextlib.suppress(OSError):
        Path(f"/proc/{pid}/autogroup").write_text(str(NICENESS))
