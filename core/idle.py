"""What an agent does when there is nothing to do: spin, or spin, yield and then sleep.

    Spin       poll again at once; a processor each, the lowest latency
    Adaptive   poll `spins` times, yield `yields` times, then sleep on the doorbell

                 work                         work or bell
            +-----------+                 +----------------+
            v           |                 v                |
    ---> SPINNING --> YIELDING --> ARMED (asleep ← 1) --> sleep, at most `timeout`
                                     ^                     |
                                     +---------------------+ time over: poll once, sleep again

The poll between ARMED and the sleep is the second look that core/doorbell.py asks for, so an
agent needs to know nothing of all this: it is polled, and says how much it did.
"""

import os
from typing import Protocol

from core.doorbell import Doorbell
from core.status import StatusRow

SPINS = 20
YIELDS = 10
TIMEOUT_SECONDS = 0.05


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
    """Spin, yield, then sleep on the doorbell until someone publishes something."""

    def __init__(
        self,
        bell: Doorbell,
        row: StatusRow,
        spins: int = SPINS,
        yields: int = YIELDS,
        timeout_seconds: float = TIMEOUT_SECONDS,
    ) -> None:
        self._bell = bell
        self._row = row
        self._spins = spins
        self._yields_end = spins + yields
        self._timeout = timeout_seconds
        self._quiet = 0  # Polls without work since the last with.
        self._armed = False
        self.sleeps = 0

    def idle(self, work: int) -> None:
        """Wait a little longer each time there was no work."""
        if work:
            self._quiet = 0
            if self._armed:
                self._wake()
        elif self._armed:
            self.sleeps += 1
            if self._bell.wait(self._timeout):
                self._wake()
                self._quiet = 0
        elif self._quiet < self._spins:
            self._quiet += 1
        elif self._quiet < self._yields_end:
            self._quiet += 1
            os.sched_yield()
        else:
            self._armed = True
            self._bell.arm(self._row)

    def close(self) -> None:
        """Be awake, so that nobody rings for a process that is gone."""
        self._wake()

    def _wake(self) -> None:
        self._armed = False
        self._bell.disarm(self._row)
