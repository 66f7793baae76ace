"""Walking command and event frames where they lie in shared memory, compiled.

The same meaning as the plain functions of `frame.py` and `archive.py`, at a few nanoseconds a
frame: the journal process sees every command and every event of the exchange.
"""

import numpy as np

from core.jit import jit
from core.journal.errors import JournalGap
from core.journal.frame import ALIGNMENT, COMMAND_HEADER_SIZE
from sbe.raw import load_i32, load_i64

_SEQUENCE = 16
_EVENT_SEQUENCE = 8


@jit
def whole_bytes(address: int, length: int, limit: int) -> int:
    """Bytes of whole frames in the `length` bytes at `address`: at most `limit`, one at least.

    −1 if a frame's length can't be right. Both kinds of frames begin with their i32 length.
    """
    done = 0
    while done < length:
        size = load_i32(address + done)
        if size < ALIGNMENT or size % ALIGNMENT != 0 or done + size > length:
            return -1
        if done > 0 and done + size > limit:
            break
        done += size
    return done


@jit
def last_sequence(address: int, length: int, expected: int) -> int:
    """The last command's sequence if all are dense from `expected`, else −1 − the bad offset."""
    offset = 0
    while offset < length:
        if offset + COMMAND_HEADER_SIZE > length:
            return -1 - offset
        size = load_i32(address + offset)
        if size < COMMAND_HEADER_SIZE or size % ALIGNMENT != 0 or offset + size > length:
            return -1 - offset
        if load_i64(address + offset + _SEQUENCE) != expected:
            return -1 - offset
        expected += 1
        offset += size
    return expected - 1


@jit
def whole_events(address: int, length: int, last: int) -> tuple[int, int]:
    """Bytes of whole event frames of commands up to `last`, and the last one's sequence."""
    offset = sequence = 0
    while offset + ALIGNMENT <= length:
        size = load_i32(address + offset)
        number = load_i64(address + offset + _EVENT_SEQUENCE)
        if size < ALIGNMENT or size % ALIGNMENT != 0 or offset + size > length:
            break
        if number < sequence or number > last:
            break
        sequence = number
        offset += size
    return offset, sequence


def walk(events: memoryview, last: int) -> tuple[int, int]:
    """`archive.whole_frames`, compiled."""
    if not events:
        return 0, 0
    stretch = np.frombuffer(events, np.uint8)
    offset, sequence = whole_events(stretch.ctypes.data, len(stretch), last)
    return offset, sequence


def warm() -> None:
    """Compile what is here, or load it, before the first batch would have to wait for it."""
    whole_bytes(0, 0, 0)
    last_sequence(0, 0, 1)
    whole_events(0, 0, 0)


def scan(commands: memoryview, expected: int) -> int:
    """`frame.scan`, compiled: the last sequence of a dense batch, or `JournalGap`."""
    batch = np.frombuffer(commands, np.uint8)
    last: int = last_sequence(batch.ctypes.data, len(batch), expected)
    if last < 0:
        raise JournalGap(f"expected command {expected} or later in order at byte {-1 - last}")
    return last
