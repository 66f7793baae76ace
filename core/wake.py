"""The waker's side of a doorbell (core/doorbell.py) in compiled code."""

import numpy as np
from numpy.typing import NDArray

from core.atomics import exchange, fence, load_acquire, write_byte
from core.jit import jit

# What a sleeper's word may be besides 1: wake me for what is addressed to others, too.
FOR_ANYTHING = 2


@jit
def ring_bell(descriptor: int, asleep: int) -> bool:
    """Wake the owner of the word at address `asleep` if it sleeps; whether a byte was written.

    Call after publishing. `descriptor` is the FIFO's. There is no system call unless there is
    somebody to wake, and of several wakers one makes it.
    """
    fence()
    return _ring(descriptor, asleep)


@jit
def ring_addressed(bells: NDArray[np.int64], addressed: int) -> None:
    """Wake those for whom something came: int64[n, 3], descriptor, asleep word's address, bit.

    `addressed` has the bits of the addressees. Bit 0 is rung for everything, and so is a sleeper
    whose word is FOR_ANYTHING. Who shares a processor with the addressee would only delay it.
    """
    fence()
    for number in range(len(bells)):
        bit = bells[number, 2]
        if bit == 0 or addressed & bit != 0 or load_acquire(bells[number, 1]) == FOR_ANYTHING:
            _ring(bells[number, 0], bells[number, 1])


@jit
def _ring(descriptor: int, asleep: int) -> bool:
    if load_acquire(asleep) == 0 or exchange(asleep, 0) == 0:
        return False
    write_byte(descriptor)  # A full FIFO is fine: whoever empties it is awake.
    return True
