"""Compile the gateway before anybody connects: a whole order and a report through every kernel.

The first client must not pay for it, and the cache keeps what was compiled for the next start.
"""

import numpy as np

from core.memory import HEADER_SIZE
from core.words import CAPACITY, FREE_UNTIL
from gateway.fix import copies, replay, scan, walk
from gateway.fix.message import frame
from gateway.fix.report import put_gap, put_report
from gateway.fix.tables import Connection, Context, hash_of
from gateway.fix.times import time_of
from gateway.fix.values import decimal_of, instruction_bits

RING_BYTES = 4096


def warm() -> None:
    """Run every compiled function once over private memory."""
    context, connection = Context(4), Connection(1 << 16)
    ring = np.zeros(HEADER_SIZE + 2 * RING_BYTES, np.uint8)
    ring[CAPACITY : CAPACITY + 8].view(np.int64)[0] = RING_BYTES
    ring[FREE_UNTIL : FREE_UNTIL + 8].view(np.int64)[0] = RING_BYTES
    word = np.zeros(8, np.int64)
    context.fields["ring"] = ring.ctypes.data
    context.fields["core_ready"] = context.fields["gate"] = word.ctypes.data
    connection.text("begin", b"8=FIX.4.4\x019=")
    message = np.frombuffer(frame(b"FIX.4.4", b"35=0\x0134=1\x01") + bytes(64), np.uint8)
    c, t = connection.address, context.address
    scan.scan(c, t, int(message.ctypes.data), len(message) - 64, 0)
    event = np.zeros(512, np.uint8)
    out = np.zeros(1 << 14, np.uint8)
    put_report(int(out.ctypes.data), c, t, int(event.ctypes.data), 1, 0, 0, 0)
    put_gap(int(out.ctypes.data), c, 1, 2, 0, 0)
    walk.walk(t, int(event.ctypes.data), 32, 0)
    state = np.zeros(replay.STATE_WORDS, np.int64)
    p = int(state.ctypes.data)
    replay.replay(p, c, t, int(event.ctypes.data), 32, int(out.ctypes.data), len(out), 0)
    replay.open_gap(p, 0)
    replay.close_gap(p, c, int(out.ctypes.data), 2, 0)
    replay.finish_replay(p, c, int(out.ctypes.data), 0)
    copies.find_reports(int(event.ctypes.data), 32, 0, 1, 0, int(out.ctypes.data), 8)
    hash_of(b"x"), time_of(b"20260101-00:00:00"), decimal_of(b"1"), instruction_bits(b"6")
