"""The queues of a book: orders at one price in the order of their arrival.

    instrument.best[side] ─► level ─► first ⇄ order ⇄ order ⇄ last
                                       (price-time priority: first trades first)

A level's quantity is what the book shows; what icebergs hide stands in their orders alone.
Sides are indices here: 0 buy, 1 sell.
"""

from typing import Any

from core.engine.price_levels import add_level, highest, lowest, remove_level
from core.jit import jit


@jit
def enqueue(s: Any, book: Any, slot: int) -> bool:
    """Put an order at the back of its price; False, and nothing changed, when no level is left."""
    order = s.orders[slot]
    side = order.side - 1
    tick = order.tick
    number = add_level(s, book.root[side], book.depth, tick)
    if number == 0:
        return False
    level = s.pages[number >> 6].level[number & 63]
    last = level.last
    order.level = number
    order.previous = last
    order.next = 0
    if last == 0:
        level.first = slot
        best = book.best[side]
        if best == 0 or (tick >= best if side == 0 else tick + 1 < best):
            book.best[side] = tick + 1
    else:
        s.orders[last].next = slot
    level.last = slot
    level.quantity += order.visible
    level.count += 1
    return True


@jit
def dequeue(s: Any, book: Any, slot: int) -> None:
    """Take an order out of its queue; an emptied level goes, and the best price moves."""
    order = s.orders[slot]
    number = order.level
    level = s.pages[number >> 6].level[number & 63]
    level.quantity -= order.visible
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
        side = order.side - 1
        tick = order.tick
        root = book.root[side]
        remove_level(s, root, book.depth, tick)
        if book.best[side] == tick + 1:
            if side == 0:
                book.best[side] = highest(s, root, book.depth)
            else:
                book.best[side] = lowest(s, root, book.depth)


@jit
def reduce_visible(s: Any, slot: int, lots: int) -> None:
    """Show less of an order without moving it in its queue."""
    order = s.orders[slot]
    order.visible -= lots
    s.pages[order.level >> 6].level[order.level & 63].quantity -= lots


@jit
def crosses(book: Any, side: int, tick: int) -> bool:
    """Whether an order of this side at this tick would trade against the other side's best."""
    best = book.best[1 - side]
    if best == 0:
        return False
    return tick + 1 >= best if side == 0 else tick + 1 <= best
