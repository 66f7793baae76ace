"""Who may send commands to the core: a number each, and a ring of that name.

The number stands in every command frame and in every `CommandResult`; it is part of the journal and
therefore never changes its meaning.

    number   0     1     2    3       4           5        6       7         8      9 … 15
    name    core  admin fix  binary  settlement  lending  oracle  reserves  tools  spare

Producer 0 is the sequencer itself: its ticks never pass through a ring.
"""

from enum import IntEnum


class Producer(IntEnum):
    """The senders of commands."""

    CORE = 0
    ADMIN = 1
    FIX = 2
    BINARY = 3
    SETTLEMENT = 4
    LENDING = 5
    ORACLE = 6
    RESERVES = 7
    TOOLS = 8


PRODUCERS_MAX = 16
# Who is woken for what its sessions are told, by process; the feed is told nothing and wants all.
TOLD_BITS = {"fix": 1 << Producer.FIX, "binary": 1 << Producer.BINARY, "feed": 0, "journal": 0}
PRODUCERS = tuple(Producer)
SIDECARS = (Producer.SETTLEMENT, Producer.LENDING, Producer.ORACLE, Producer.RESERVES)


def producer_name(producer: int) -> str:
    """The name in the ring's name and on screens; spare ones have a name too."""
    if not 0 <= producer < PRODUCERS_MAX:
        raise ValueError(f"a producer is 0 to {PRODUCERS_MAX - 1}: producer={producer}")
    return Producer(producer).name.lower() if producer < len(PRODUCERS) else f"spare{producer}"


def producer_number(name: str) -> int:
    """The number of a producer's name."""
    for number in range(PRODUCERS_MAX):
        if producer_name(number) == name:
            return number
    raise ValueError(f"no producer of this name: {name!r}")


def ring_kind(producer: int) -> str:
    """The kind of the producer's ring, the last part of its segment's name."""
    return f"commands.{producer_name(producer)}"
