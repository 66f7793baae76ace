"""Orders that end at a time: a binary heap by (time, slot), each order knowing its place.

    expiry[1] is next; the children of place p stand at 2p and 2p + 1

Time is an input: a Tick or any other command carries the clock, and what is due ends then, a
bounded number a command.
"""

from core.jit import jit
from core.linked import linked


@jit
def _before(s, left, right):
    first = s.expiry[left]
    second = s.expiry[right]
    return first.time < second.time or (first.time == second.time and first.order < second.order)


@jit
def _swap(s, left, right):
    first = s.expiry[left]
    second = s.expiry[right]
    time, order = first.time, first.order
    first.time, first.order = second.time, second.order
    second.time, second.order = time, order
    s.details[first.order].expiry_place = left
    s.details[second.order].expiry_place = right


@jit
def _rise(s, place):
    while place > 1 and _before(s, place, place >> 1):
        _swap(s, place, place >> 1)
        place >>= 1


@jit
def _sink(s, place):
    while True:
        child = 2 * place
        if child > s.expiries:
            return
        if child < s.expiries and _before(s, child + 1, child):
            child += 1
        if not _before(s, child, place):
            return
        _swap(s, place, child)
        place = child


@linked
def add_expiry(s, slot, time):
    """End the order at the time. The heap has room for every order."""
    s.expiries += 1
    place = s.expiries
    s.expiry[place].time = time
    s.expiry[place].order = slot
    s.details[slot].expiry_place = place
    _rise(s, place)


@linked
def remove_expiry(s, slot):
    """The order ended another way."""
    place = s.details[slot].expiry_place
    last = s.expiries
    s.expiries -= 1
    s.details[slot].expiry_place = 0
    if place != last:
        s.expiry[place].time = s.expiry[last].time
        s.expiry[place].order = s.expiry[last].order
        s.details[s.expiry[place].order].expiry_place = place
        _sink(s, place)
        _rise(s, place)
    s.expiry[last].time = 0
    s.expiry[last].order = 0


@jit
def due_order(s, time):
    """The order that is due to end at or before the time, else 0."""
    if s.expiries > 0 and s.expiry[1].time <= time:
        return s.expiry[1].order
    return 0
