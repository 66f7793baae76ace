"""Where in the event stream a session's numbers are, kept by following it, compiled.

The archive of events *is* the resend store. To answer a ResendRequest without reading all of it,
the walk over the events leaves a sparse index: one row for the first numbered event of a session in
each 4 MiB of the stream, and one for each reset.

     0  i64 session
     8  i64 number     of that event; 0: numbers start again after this position
    16  i64 position
    24  i64 time       ns UTC, for the retention

`blocks` holds for each session the 4 MiB block it was last indexed in.
"""

from core.jit import jit
from gateway.fix.records import T_BLOCKS, T_INDEX, T_INDEX_CAPACITY, T_INDEX_COUNT
from sbe.raw import load_i64, store_i64

BLOCK_SHIFT = 22
ROW_BYTES = 32
INDEX_ROWS_START = 4096


@jit
def remember(t: int, session: int, number: int, position: int, time: int) -> bool:
    """Index a numbered event (or, with number 0, a reset); False if there is no room for it."""
    block = load_i64(t + T_BLOCKS) + 8 * session
    here = position >> BLOCK_SHIFT
    if number and load_i64(block) == here:
        return True
    count = load_i64(t + T_INDEX_COUNT)
    if count >= load_i64(t + T_INDEX_CAPACITY):
        return False
    row = load_i64(t + T_INDEX) + count * ROW_BYTES
    store_i64(row, session)
    store_i64(row + 8, number)
    store_i64(row + 16, position)
    store_i64(row + 24, time)
    store_i64(t + T_INDEX_COUNT, count + 1)
    store_i64(block, here if number else -1)
    return True
