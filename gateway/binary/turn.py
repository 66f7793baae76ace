"""One turn of the gateway in compiled code: sockets that are ready, then released events."""

from typing import Any

from core.atomics import clock_monotonic_ns
from core.jit import jit
from gateway.binary.connections import READY_MAX, SCRATCH_SIZE, Kind
from gateway.binary.frames import add_row, flush, flush_dirty
from gateway.binary.scan import read_socket, scan
from gateway.binary.system import (
    EPOLL_DATA,
    EPOLL_EVENT_SIZE,
    EPOLLERR,
    EPOLLHUP,
    EPOLLIN,
    EPOLLOUT,
    epoll_wait,
)
from gateway.binary.walk import deliver, walk
from sbe.raw import load_i32, load_u32

READY_BYTES = READY_MAX * EPOLL_EVENT_SIZE
_ACCEPT = int(Kind.ACCEPT)

assert SCRATCH_SIZE >= 1 << 17, "Invariant: the largest event fits the scratch."


@jit
def turn(gateway: Any) -> int:
    """Everything that can be done without Python; how much was done. Rows say what is left."""
    g = gateway[0]
    now = clock_monotonic_ns()
    work = 0
    ready = epoll_wait(g.epoll, g.ready_events, READY_MAX, 0)
    for n in range(ready):
        event = g.ready_events + n * EPOLL_EVENT_SIZE
        what = load_u32(event)
        slot = g.slots[load_i32(event + EPOLL_DATA)]
        if slot >= 0:
            if what & EPOLLOUT:
                flush(g, slot, now)
            if what & (EPOLLIN | EPOLLERR | EPOLLHUP):
                work += 1 + read_socket(g, slot, now)
        elif slot == -2:
            add_row(g, _ACCEPT, -1, 0, 0)
    work += deliver(g)
    flush_dirty(g, now)
    return work


@jit
def resume(gateway: Any, slot: int) -> int:
    """Scan on what a connection has received already; the messages taken."""
    g = gateway[0]
    now = clock_monotonic_ns()
    taken = scan(g, slot, now)
    flush_dirty(g, now)
    return taken


@jit
def flush_all(gateway: Any) -> None:
    """Send what Python put into send buffers."""
    flush_dirty(gateway[0], clock_monotonic_ns())


@jit
def replay(gateway: Any, base: int, length: int, gate: int) -> int:
    """Deal out events that Python read from the archive; the bytes used."""
    g = gateway[0]
    used = walk(g, base, length, gate)
    flush_dirty(g, clock_monotonic_ns())
    return used
