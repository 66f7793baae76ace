"""The scenarios of an account: of an underlying's grid the moves that concern what it holds.

    always        thirds of the ranges, each for its own kind; the extremes, at half weight
    near strikes  both sides of those that the account has a link on, which may settle at once

Without fresh arrays nothing nets and only balances, perpetuals and their orders move: then the ends
of the ranges and the extremes are all that can be worst.
"""

from fractions import Fraction

import numpy as np

from core.engine.margin.rates import amount, keep, quotient, rate_of
from core.jit import jit
from core.records import ARRAYS_AGE_MAX
from core.wide import RATE_ONE, join, times, wide, words

INITIAL_NODE, MAINTENANCE_NODE, EXTREME_NODE = 1, 2, 4  # `scans` of a node
EXTREMES = (-660_000, -330_000, 500_000, 1_000_000, 2_000_000)  # parts per million
THETA = Fraction(1, 2)
_ONE_HIGH, _ONE_LOW = words(RATE_ONE)


def _extreme_words() -> list[tuple[int, ...]]:
    """Of each extreme its move and theta / |move|, two words each."""
    moves = [Fraction(parts, 1_000_000) for parts in EXTREMES]
    return [
        (*words(round(move * RATE_ONE)), *words(round(THETA / abs(move) * RATE_ONE)))
        for move in moves
    ]


_EXTREME_WORDS = np.array(_extreme_words(), np.int64)


@jit
def arrays_are_fresh(s, grid):
    """Whether an underlying's arrays are there and young enough to net by."""
    return grid.version != 0 and s.time - grid.time <= ARRAYS_AGE_MAX


@jit
def move_of(numerator, denominator):
    """A move as a rate; both within ± 2^62, the denominator above zero."""
    if numerator < 0:
        return -quotient(wide(-numerator), wide(denominator))
    return quotient(wide(numerator), wide(denominator))


@jit
def fill_nodes(s, unit, underlying, fresh):
    """Fill work.nodes, with the weight that each has initially and for maintenance."""
    grid = s.risk_grids[underlying]
    unit.nodes = 0
    unit.columns = 1
    unit.column_stride = 0
    if not fresh:
        _ends(s, unit)
        return
    unit.columns = grid.columns
    unit.column_stride = grid.columns
    for place in range(grid.nodes):
        strike = grid.strike[place]
        if strike == 0 or _concerns(s, unit, strike):
            move = join(grid.move[place, 0], grid.move[place, 1])
            share = join(grid.share[place, 0], grid.share[place, 1])
            _add(s, unit, place, move, grid.scans[place], share)


@jit
def _concerns(s, unit, strike):
    """Whether the account has a link that jumps at a strike."""
    for line in range(unit.lines):
        if s.work.lines[line].lower == strike or s.work.lines[line].upper == strike:
            return True
    return False


@jit
def _add(s, unit, place, move, scans, share):
    """Add a node; `share` is what an extreme's loss counts for, per unit of sigma."""
    node = s.work.nodes[unit.nodes]
    unit.nodes += 1
    node.place = place
    keep(node.move, move)
    for kind in range(2):
        weight = wide(0)
        if scans & EXTREME_NODE:
            weight = times(rate_of(unit.sigma[kind]), share)
        elif scans & (INITIAL_NODE << kind):
            weight = join(_ONE_HIGH, _ONE_LOW)
        keep(node.weight[kind], weight)


@jit
def _ends(s, unit):
    for kind in range(2):
        end = rate_of(unit.sigma[kind])
        _add(s, unit, 0, end, INITIAL_NODE << kind, end)
        _add(s, unit, 0, -end, INITIAL_NODE << kind, end)
    for extreme in range(len(_EXTREME_WORDS)):
        move = amount(_EXTREME_WORDS[extreme, :2])
        _add(s, unit, 0, move, EXTREME_NODE, amount(_EXTREME_WORDS[extreme, 2:]))
