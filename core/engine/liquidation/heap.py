"""Leftist heaps over the records of watches: insert, take the least, remove any, all O(log n).

    rank = steps to the nearest free place          rank(left) ≥ rank(right)

so the right spine has at most log₂ n nodes, and two heaps are merged by merging their right spines
(Crane 1972; Knuth 6.2.3). With links to the parents any node can be taken out. Rank 0 is none, as
record 0 is.
"""

from core.jit import jit
from core.linked import linked


@jit
def merge(s, first, second):
    """One heap out of two; its root."""
    w = s.watches
    root, tail = 0, 0
    while first != 0 and second != 0:
        if w[second].key < w[first].key:
            first, second = second, first
        if tail == 0:
            root = first
            w[first].parent = 0
        else:
            w[tail].right = first
            w[first].parent = tail
        tail = first
        first = w[tail].right
    rest = first if first != 0 else second
    if tail == 0:
        w[rest].parent = 0
        return rest
    w[tail].right = rest
    if rest != 0:
        w[rest].parent = tail
    while tail != 0:
        _lean(s, tail)
        tail = w[tail].parent
    return root


@jit
def _lean(s, number):
    """Put the child with the higher rank to the left; whether the node's rank changed."""
    w = s.watches
    node = w[number]
    if w[node.left].rank < w[node.right].rank:
        left = node.left
        node.left = node.right
        node.right = left
    rank = w[node.right].rank + 1
    changed = rank != node.rank
    node.rank = rank
    return changed


@linked
def insert(s, number):
    """Put a watch with its key, source and side into the heap it belongs to."""
    node = s.watches[number]
    node.left = 0
    node.right = 0
    node.parent = 0
    node.rank = 1
    source = s.sources[node.source]
    source.root[node.side] = merge(s, source.root[node.side], number)


@linked
def remove(s, number):
    """Take a watch out of its heap."""
    w = s.watches
    node = w[number]
    above = node.parent
    below = 0
    if node.left != 0 or node.right != 0:
        below = merge(s, node.left, node.right)
    if above == 0:
        s.sources[node.source].root[node.side] = below
        return
    if below != 0:
        w[below].parent = above
    if w[above].left == number:
        w[above].left = below
    else:
        w[above].right = below
    while above != 0 and _lean(s, above):
        above = w[above].parent
