"""From the receive buffer to the ring in one call, compiled.

    receive buffer  │ whole │ whole │ whole │ part… │
                       │       │       └ a Logon: handed to Python as (offset, length)
                       │       └ an order: a frame in the ring
                       └ an order: a frame in the ring

`scan` goes on until it meets something it must not judge, and says where that is; Python deals with
it and calls again. So messages are always dealt with in the order they came. All frames of a call
are published at its end, with one store.
"""

from core.jit import jit
from core.ring import ring_flush
from gateway.fix.frame import (
    GARBLED,
    OVERLONG,
    PARTIAL,
    TRAILER,
    body_start,
    find_begin,
    is_sound,
    measure,
)
from gateway.fix.orders import FULL, SLOW, TAKEN, take_order
from gateway.fix.records import (
    BUSY,
    C_BEGIN,
    C_BEGIN_LENGTH,
    C_CONSUMED,
    C_EXPECTED,
    C_FLAGS,
    C_GARBLED,
    C_LAST_HEARD,
    C_MESSAGES,
    C_ORDERS,
    C_ROW_LENGTH,
    C_ROW_OFFSET,
    FLAG_READY,
    MESSAGE,
    NEED_MORE,
    T_RING,
    T_SCRATCH,
    TOO_LONG,
)
from sbe.raw import equal, load_i64, store_i64


@jit
def scan(c: int, t: int, buffer: int, filled: int, now: int) -> int:
    """Deal with the messages in `filled` bytes at `buffer`, from `consumed` of the connection on.

    c, t: addresses of the CONNECTION and the CONTEXT. now: ns UTC. Answers NEED_MORE when all that
    is whole is done, MESSAGE or BUSY with row_offset and row_length set (and `consumed` behind that
    message), TOO_LONG when the connection must be closed.
    """
    at = load_i64(c + C_CONSUMED)
    taken = 0
    answer = NEED_MORE
    while True:
        at = find_begin(buffer, at, filled)
        if at >= filled:
            break
        length = measure(buffer + at, filled - at)
        if length == PARTIAL:
            break
        if length == OVERLONG:
            answer = TOO_LONG
            break
        if length == GARBLED:
            store_i64(c + C_GARBLED, load_i64(c + C_GARBLED) + 1)
            at += 1
            continue
        message = buffer + at
        start = body_start(message, length)
        if not is_sound(message, length, start):
            store_i64(c + C_GARBLED, load_i64(c + C_GARBLED) + 1)
            at += length
            continue
        store_i64(c + C_MESSAGES, load_i64(c + C_MESSAGES) + 1)
        store_i64(c + C_LAST_HEARD, now)
        verdict = SLOW
        begin = load_i64(c + C_BEGIN_LENGTH)
        if load_i64(c + C_FLAGS) & FLAG_READY and equal(message, c + C_BEGIN, begin):
            end = message + length - TRAILER
            verdict = take_order(c, t, load_i64(t + T_SCRATCH), message + start, end, now)
        at += length
        if verdict == TAKEN:
            store_i64(c + C_EXPECTED, load_i64(c + C_EXPECTED) + 1)
            taken += 1
        else:
            answer = BUSY if verdict == FULL else MESSAGE
            store_i64(c + C_ROW_OFFSET, at - length)
            store_i64(c + C_ROW_LENGTH, length)
            break
    store_i64(c + C_CONSUMED, at)
    if taken:
        ring_flush(load_i64(t + T_RING))
        store_i64(c + C_ORDERS, load_i64(c + C_ORDERS) + taken)
    return answer
