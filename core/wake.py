"""The waker's side of a doorbell (core/doorbell.py) in compiled code."""

import numpy as np
from numpy.typing import NDArray

from core.atomics import exchange, fence, load_acquire, write_byte
from core.jit import jit


@jit
def ring_bell(descriptor: int, asleep: int) -> bool:
    """Wake the owner of the word at address `asleep` if it sleeps; whether a byte was written.

    Call after publishing. `descriptor` is the FIFO's. There is no system call unless there is
    somebody to wake, and of several wakers one makes it.
    """
    fence()
    return _ring(descriptor, asleep)


@jit
def ring_bells(bells: NDArray[np.int64]) -> None:
    """Wake all who sleep of many: int64[n, 2], descriptor and asleep word's address each."""
    fence()
    for number in range(len(bells)):
        _ring(bells[number, 0], bells[number, 1])


@jit
def _ring(descriptor: int, asleep: int) -> bool:
    if load_acquire(asleep) == 0 or exchange(asleep, 0) == 0:
        return False
    write_byte(descriptor)  # A full FIFO is fine: whoever empties it is awake.
    return True
