"""Price levels in a 64-ary tree of bitmaps: every tick reachable, memory only where orders are.

    root ──► node ──► node ──► page            a tick's low 6 bits pick the level in a page,
             64 children       64 levels       each 6 bits above pick the child of a node
             + bitmap          + bitmap

One to three layers of nodes cover 2^12, 2^18 or 2^24 ticks. Finding the best price is one
count-zeros a layer, whatever the gaps; there is no window to move and no sparse case beside the
dense one. The published engines use a dense ladder (fast, but a window) or a balanced tree
(general, but a cache miss a comparison); this touches at most four lines for any price.

A level's number is page × 64 + slot; 0 is none. Pages and nodes come from pools in the state.
"""

from typing import Any

from core.atomics import count_leading_zeros, count_trailing_zeros
from core.jit import jit
from core.linked import linked


@jit
def page_of(s, root, depth, tick):
    """The page that holds the tick, 0 if there is none."""
    node = root
    shift = 6 * depth
    while shift > 6:
        node = s.nodes[node].child[(tick >> shift) & 63]
        shift -= 6
    return s.nodes[node].child[(tick >> 6) & 63]


@jit
def level_of(s: Any, root: int, depth: int, tick: int) -> int:
    """The level of a tick that is known to have one."""
    return (page_of(s, root, depth, tick) << 6) + (tick & 63)


@jit
def new_node(s: Any) -> int:
    """A node without children, 0 when the pool is empty."""
    node = s.node_free
    if node != 0:
        s.node_free = s.nodes[node].child[0]
        s.nodes[node].child[0] = 0
        return node
    if s.nodes_used + 1 >= len(s.nodes):
        return 0
    s.nodes_used += 1
    return s.nodes_used


@jit
def _new_page(s):
    page = s.page_free
    if page != 0:
        s.page_free = s.pages[page].level[0].first
        s.pages[page].level[0].first = 0
        return page
    if s.pages_used + 1 >= len(s.pages):
        return 0
    s.pages_used += 1
    return s.pages_used


@jit
def _add_page(s, root, depth, tick):
    """Make the page of a tick, with the nodes above it; 0 and nothing changed without room."""
    free = s.nodes_used + depth < len(s.nodes)
    if not free or (s.page_free == 0 and s.pages_used + 1 >= len(s.pages)):
        return 0
    node = root
    shift = 6 * depth
    while shift > 6:
        place = (tick >> shift) & 63
        child = s.nodes[node].child[place]
        if child == 0:
            child = new_node(s)
            s.nodes[node].child[place] = child
            s.nodes[node].occupied |= 1 << place
        node = child
        shift -= 6
    page = _new_page(s)
    place = (tick >> 6) & 63
    s.nodes[node].child[place] = page
    s.nodes[node].occupied |= 1 << place
    return page


@jit
def add_level(s, root, depth, tick):
    """The level of the tick, made if it is new; 0 when the pools are exhausted."""
    page = page_of(s, root, depth, tick)
    if page == 0:
        page = _add_page(s, root, depth, tick)
        if page == 0:
            return 0
    s.pages[page].occupied |= 1 << (tick & 63)
    return (page << 6) + (tick & 63)


@jit
def _node_at(s, root, depth, tick, height):
    """The node on the tick's path that is `height` layers above the lowest."""
    node = root
    layer = depth - 1
    while layer > height:
        node = s.nodes[node].child[(tick >> (6 * layer + 6)) & 63]
        layer -= 1
    return node


@jit
def remove_level(s, root, depth, tick):
    """Forget an empty level; pages and nodes that become empty go back to their pools."""
    page = page_of(s, root, depth, tick)
    s.pages[page].occupied &= ~(1 << (tick & 63))
    if s.pages[page].occupied != 0:
        return
    s.pages[page].level[0].first = s.page_free
    s.page_free = page
    for height in range(depth):
        number = _node_at(s, root, depth, tick, height)
        node = s.nodes[number]
        place = (tick >> (6 * height + 6)) & 63
        node.child[place] = 0
        node.occupied &= ~(1 << place)
        if node.occupied != 0 or height == depth - 1:
            return
        node.child[0] = s.node_free
        s.node_free = number


@jit
def lowest(s, root, depth):
    """The lowest tick that has a level, plus 1; 0 when there is none."""
    if s.nodes[root].occupied == 0:
        return 0
    number = root
    tick = 0
    for _ in range(depth):
        place = count_trailing_zeros(s.nodes[number].occupied)
        tick = (tick << 6) + place
        number = s.nodes[number].child[place]
    return (tick << 6) + count_trailing_zeros(s.pages[number].occupied) + 1


@jit
def highest(s, root, depth):
    """The highest tick that has a level, plus 1; 0 when there is none."""
    if s.nodes[root].occupied == 0:
        return 0
    number = root
    tick = 0
    for _ in range(depth):
        place = 63 - count_leading_zeros(s.nodes[number].occupied)
        tick = (tick << 6) + place
        number = s.nodes[number].child[place]
    return (tick << 6) + 64 - count_leading_zeros(s.pages[number].occupied)


@linked
def next_above(s, root, depth, tick):
    """The lowest tick above the given one that has a level, plus 1; 0 when there is none."""
    page = page_of(s, root, depth, tick)
    rest = s.pages[page].occupied & (-2 << (tick & 63)) if page != 0 and tick & 63 != 63 else 0
    if rest != 0:
        return ((tick >> 6) << 6) + count_trailing_zeros(rest) + 1
    for height in range(depth):
        number = _node_at(s, root, depth, tick, height)
        place = (tick >> (6 * height + 6)) & 63
        rest = s.nodes[number].occupied & (-2 << place) if place != 63 else 0
        if rest != 0:
            place = count_trailing_zeros(rest)
            found = ((tick >> (6 * height + 12)) << 6) + place
            number = s.nodes[number].child[place]
            for _ in range(height):
                place = count_trailing_zeros(s.nodes[number].occupied)
                found = (found << 6) + place
                number = s.nodes[number].child[place]
            return (found << 6) + count_trailing_zeros(s.pages[number].occupied) + 1
    return 0


@linked
def next_below(s, root, depth, tick):
    """The highest tick below the given one that has a level, plus 1; 0 when there is none."""
    page = page_of(s, root, depth, tick)
    rest = s.pages[page].occupied & ((1 << (tick & 63)) - 1) if page != 0 else 0
    if rest != 0:
        return ((tick >> 6) << 6) + 64 - count_leading_zeros(rest)
    for height in range(depth):
        number = _node_at(s, root, depth, tick, height)
        place = (tick >> (6 * height + 6)) & 63
        rest = s.nodes[number].occupied & ((1 << place) - 1)
        if rest != 0:
            place = 63 - count_leading_zeros(rest)
            found = ((tick >> (6 * height + 12)) << 6) + place
            number = s.nodes[number].child[place]
            for _ in range(height):
                place = 63 - count_leading_zeros(s.nodes[number].occupied)
                found = (found << 6) + place
                number = s.nodes[number].child[place]
            return (found << 6) + 64 - count_leading_zeros(s.pages[number].occupied)
    return 0


@jit
def next_worse(s: Any, root: int, depth: int, side: int, tick: int) -> int:
    """The next price after `tick` on a side (0 buy: below, 1 sell: above), plus 1, or 0."""
    if side == 0:
        return next_below(s, root, depth, tick)
    return next_above(s, root, depth, tick)
