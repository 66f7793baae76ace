"""How the gateway waits for events, compiled: a moment by yielding, then asleep on its bell.

Yielding, not spinning: where the core shares the processor it runs at once, and where it has one of
its own a yield costs a fraction of a microsecond.
"""

from core.atomics import clock_monotonic_ns, fence, load_acquire, sched_yield, store_release
from core.events import log_published
from core.jit import jit


@jit
def await_events(log: int, position: int, wait_ns: int) -> bool:
    """Yield until there are events after `position`, at most so long; whether there are."""
    end = clock_monotonic_ns() + wait_ns
    while log_published(log) <= position:
        sched_yield()
        if clock_monotonic_ns() > end:
            return False
    return True


@jit
def arm(asleep: int, log: int, position: int, wake_for: int) -> bool:
    """Say that this process is about to sleep; False if there are events already.

    wake_for: 1 to be woken for what is addressed to its sessions, or `core.wake.FOR_ANYTHING`.
    """
    store_release(asleep, wake_for)
    fence()
    return log_published(log) <= position


@jit
def awake(asleep: int) -> bool:
    """Say that this process is awake; whether it was marked asleep."""
    was = load_acquire(asleep) != 0
    store_release(asleep, 0)
    return was
