"""Doorbells: how a process that found nothing to do is woken without anyone else paying for it.

A doorbell is a FIFO, `<rundir>/<process>.bell`, opened by both sides for reading and writing and
without blocking, plus the word `asleep` in the sleeper's status row. A byte is written only to a
sleeper, so that between busy processes nobody makes a system call:

    sleeper                                   waker
    1  asleep ← 1, fence                      1  publish (release), fence
    2  look for work once more                2  asleep = 1 ?
    3  none: poll the FIFO, with a timeout    3  if so: asleep ← 0, write a byte
    4  asleep ← 0, empty the FIFO

The two fences make it impossible that both miss the other's store: either the sleeper sees the
work in step 2 or the waker sees `asleep`. A FIFO outlives the death of either side, can be opened
by name, and can be watched by an event loop. core/wake.py is the waker's side in compiled code.
"""

import contextlib
import os
import select
from pathlib import Path

from core.status import StatusRow
from core.words import full_fence, load_word, store_word


def bell_path(rundir: Path, name: str) -> Path:
    """Where the doorbell of a process is."""
    return rundir / f"{name}.bell"


class Doorbell:
    """The doorbell of the process `name`, for its owner and for those who wake it."""

    def __init__(self, rundir: Path, name: str) -> None:
        self.path = bell_path(rundir, name)
        try:
            os.mkfifo(self.path, 0o600)
        except FileExistsError:
            if not self.path.is_fifo():
                raise
        # For reading *and* writing: opening never waits, and no end is ever "closed".
        self._descriptor = os.open(self.path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        self._poll = select.poll()
        self._poll.register(self._descriptor, select.POLLIN)

    def fileno(self) -> int:
        """The descriptor, for event loops and for core/wake.py."""
        return self._descriptor

    def ring(self) -> None:
        """Write a byte whether its owner sleeps or not; what a signal handler does."""
        with contextlib.suppress(BlockingIOError):  # Full is fine: whoever empties it is awake.
            os.write(self._descriptor, b"\1")

    def ring_if_asleep(self, row: StatusRow) -> bool:
        """Wake the owner of the row if it sleeps; whether it did. Call after publishing."""
        full_fence()
        if load_word(row.asleep_address) == 0:
            return False
        store_word(row.asleep_address, 0)  # The next waker need not; this one's byte will come.
        self.ring()
        return True

    def arm(self, row: StatusRow) -> None:
        """Say that this process is about to sleep. It must look for work once more after this."""
        store_word(row.asleep_address, 1)
        full_fence()

    def disarm(self, row: StatusRow) -> None:
        """Say that this process is awake, and empty the FIFO."""
        store_word(row.asleep_address, 0)
        self.drain()

    def wait(self, timeout_seconds: float) -> bool:
        """Sleep until there is a byte or the time is over; whether there was one."""
        return bool(self._poll.poll(timeout_seconds * 1000))

    def drain(self) -> int:
        """Empty the FIFO; the number of bytes there were."""
        total = 0
        while True:
            try:
                count = len(os.read(self._descriptor, 4096))
            except BlockingIOError:
                return total
            total += count
            if count < 4096:
                return total

    def close(self) -> None:
        """Close; the FIFO stays for the next of the name."""
        if self._descriptor >= 0:
            self._poll.unregister(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = -1

    def unlink(self) -> None:
        """Remove the FIFO."""
        self.path.unlink(missing_ok=True)
