"""What an agent does when there is nothing to do: spin, or spin, linger and then sleep.

    Spin       poll again at once; a processor each, the lowest latency
    Adaptive   poll `spins` times, linger while that has been paying, then sleep on the doorbell

                 work                         work or bell
            +------------+                +----------------+
            v            |                v                |
    ---> SPINNING --> LINGERING --> ARMED (asleep ← 1) --> sleep, at most `timeout`
                                     ^                     |
                                     +---------------------+ time over: poll once, sleep again

The poll between ARMED and the sleep is the second look that core/doorbell.py asks for, so an
agent needs to know nothing of all this: it is polled, and says how much it did.

Spinning and lingering are the same polls, and after each without work the processor is offered to
whoever else wants it: where processors are few, that is the one whom the work just done was for. A
sleep that ended sooner than `linger_ns_max` should have been lingered through: the time doubles.
One that lasted longer was right: the time halves, down to none. So a process that hears something
every so often is not woken for it (a wake-up takes 20 to 150 µs, most of it where the processor
had nothing else to do and was halted), and a quiet one takes no processor at all.
"""

import os
import time
from collections.abc import Callable
from typing import Protocol

from core.doorbell import Doorbell
from core.status import StatusRow

SPINS = 20
LINGER_NS_MIN = 10_000
LINGER_NS_MAX = 200_000
TIMEOUT_SECONDS = 0.05
REAL_TIME = (os.SCHED_FIFO, os.SCHED_RR)


class Idle(Protocol):
    """A way to wait."""

    def idle(self, work: int) -> None:
        """Call after every poll with the work it did."""

    def close(self) -> None:
        """Leave the doorbell as one who is awake."""


class Spin:
    """Never give the processor away."""

    def idle(self, work: int) -> None:
        """Nothing: the next poll is the wait."""

    def close(self) -> None:
        """Nothing to leave."""


class Adaptive:
    """Spin, linger, then sleep on the doorbell until someone publishes something.

    `linger_ns_max=0` never lingers. `sleeps` counts; `linger_ns` is the time it lingers now.
    """

    def __init__(
        self,
        bell: Doorbell,
        row: StatusRow,
        spins: int = SPINS,
        linger_ns_max: int = LINGER_NS_MAX,
        timeout_seconds: float = TIMEOUT_SECONDS,
        clock: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._bell = bell
        self._row = row
        self.spins = spins
        self.linger_ns_max = linger_ns_max
        self._timeout = timeout_seconds
        self._clock = clock
        self._quiet = 0  # Polls without work since the last with.
        self._linger_until = 0
        self._armed_since = 0  # 0: awake.
        self.linger_ns = 0
        self.sleeps = 0

    def idle(self, work: int) -> None:
        """Wait a little longer each time there was no work."""
        if work:
            self._quiet = 0
            if self._armed_since:
                self._wake()
        elif self._armed_since:
            self.sleeps += 1
            if self._bell.wait(self._timeout):
                self._quiet = 0
                self._wake()
        elif self._quiet < self.spins:
            self._quiet += 1
            os.sched_yield()
        else:
            self._linger_or_arm()

    def close(self) -> None:
        """Be awake, so that nobody rings for a process that is gone."""
        self._armed_since = 0
        self._bell.disarm(self._row)

    def _linger_or_arm(self) -> None:
        now = self._clock()
        if self._quiet == self.spins:
            self._quiet += 1
            self._linger_until = now + self.linger_ns
        if now < self._linger_until:
            os.sched_yield()
        else:
            self._armed_since = now
            self._bell.arm(self._row)

    def _wake(self) -> None:
        slept_ns = self._clock() - self._armed_since
        if slept_ns < self.linger_ns_max:
            longer = max(2 * self.linger_ns, LINGER_NS_MIN)
            self.linger_ns = min(longer, self.linger_ns_max)
        else:
            shorter = self.linger_ns // 2
            self.linger_ns = shorter if shorter >= LINGER_NS_MIN else 0
        self._armed_since = 0
        self._bell.disarm(self._row)


def adaptive(
    bell: Doorbell,
    row: StatusRow,
    policy: str,
    spins: int = SPINS,
    linger_ns_max: int = LINGER_NS_MAX,
) -> Adaptive:
    """An Adaptive for a process that others wait for, which keeps nobody of them from the disk.

    A real-time process offers its processor to its like only. The kernel's own threads that finish
    a write are none: on a processor of ours they would wait until we sleep. So under `fsync`, where
    everybody waits for them, such a process sleeps at once.
    """
    if policy == "fsync" and os.sched_getscheduler(0) in REAL_TIME:
        spins = linger_ns_max = 0
    return Adaptive(bell, row, spins, linger_ns_max)
