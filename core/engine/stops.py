"""Stop orders wait in price levels of their own, by what triggers them and by side.

    instrument.stop_root[trigger, side]   the same tree as the book's; a level's queue is in order
    instrument.stop_best[trigger, side]   of arrival, so stops of one price trigger in that order

A buy stop triggers when the price is at or above its tick, a sell stop at or below.
Triggers are indices here: 0 last, 1 mark, 2 index (the schema's TriggerType less one).
"""

from core.engine.price_levels import add_level, highest, level_of, lowest, new_node, remove_level
from core.jit import jit
from core.linked import linked
from core.records import STOPPED


@linked
def add_stop(s, slot):
    """Let an order wait for its trigger at `order.tick`; False when no level is left."""
    order = s.orders[slot]
    book = s.instruments[order.instrument]
    trigger = s.details[slot].trigger_type - 1
    side = order.side - 1
    if book.stop_root[trigger, side] == 0:
        book.stop_root[trigger, side] = new_node(s)
        if book.stop_root[trigger, side] == 0:
            return False
    number = add_level(s, book.stop_root[trigger, side], book.depth, order.tick)
    if number == 0:
        return False
    level = s.pages[number >> 6].level[number & 63]
    order.level = number
    order.previous = level.last
    order.next = 0
    if level.last == 0:
        level.first = slot
        _refresh_best(s, book, trigger, side)
    else:
        s.orders[level.last].next = slot
    level.last = slot
    level.count += 1
    order.state = STOPPED
    return True


@jit
def _refresh_best(s, book, trigger, side):
    root = book.stop_root[trigger, side]
    if side == 0:
        book.stop_best[trigger, side] = lowest(s, root, book.depth)
    else:
        book.stop_best[trigger, side] = highest(s, root, book.depth)


@linked
def remove_stop(s, slot):
    """Take a waiting stop out of its level."""
    order = s.orders[slot]
    book = s.instruments[order.instrument]
    trigger = s.details[slot].trigger_type - 1
    side = order.side - 1
    level = s.pages[order.level >> 6].level[order.level & 63]
    level.count -= 1
    if order.previous != 0:
        s.orders[order.previous].next = order.next
    else:
        level.first = order.next
    if order.next != 0:
        s.orders[order.next].previous = order.previous
    else:
        level.last = order.previous
    order.level = 0
    if level.count == 0:
        remove_level(s, book.stop_root[trigger, side], book.depth, order.tick)
        _refresh_best(s, book, trigger, side)


@jit
def triggered_stop(s, book, trigger, tick):
    """The next stop that the price `tick` triggers, else 0; buys before sells."""
    best = book.stop_best[trigger, 0]
    if best != 0 and best - 1 <= tick:
        number = level_of(s, book.stop_root[trigger, 0], book.depth, best - 1)
        return s.pages[number >> 6].level[number & 63].first
    best = book.stop_best[trigger, 1]
    if best != 0 and best - 1 >= tick:
        number = level_of(s, book.stop_root[trigger, 1], book.depth, best - 1)
        return s.pages[number >> 6].level[number & 63].first
    return 0

