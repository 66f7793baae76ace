"""Matching alone: the book's own functions, without accounts, margin, journal or reports.

The workload is the one that open C++ engines are compared by: 50 % passive limit orders, 40 %
cancels of a random live order, 10 % crossing orders, prices normal around the middle with 25 ticks
of deviation. The baseline does for each operation what cannot be avoided: it writes one 64-byte
record in a pool of the same size, in the same random order.
"""

import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.atomics import prefetch
from core.config import Limits
from core.engine.book import crosses, dequeue, enqueue, reduce_visible
from core.engine.matching import first_in_line
from core.engine.price_levels import new_node
from core.jit import jit
from core.records import DONE, RESTING
from core.state import new_state

ADD, CANCEL = 0, 1
MIDDLE, DEVIATION, THROUGH = 2000, 25, 10
_AHEAD = 8  # Commands between the prefetch of an order and its use.
_ORDER_BYTES = 64

Numbers = NDArray[np.int64]


def workload(operations: int, books: int, seed: int) -> dict[str, Numbers]:
    """The operations as columns: kind, book, side (1, 2), tick, lots, and what a cancel means."""
    random = np.random.default_rng(seed)
    dice = random.random(operations)
    crossing = dice >= 0.9
    kind = np.where((dice >= 0.5) & ~crossing, CANCEL, ADD).astype(np.int64)
    side = random.integers(1, 3, operations)
    away = 1 + np.abs(random.normal(0, DEVIATION, operations)).astype(np.int64)
    passive = np.where(side == 1, MIDDLE - away, MIDDLE + away)
    through = np.where(side == 1, MIDDLE + THROUGH, MIDDLE - THROUGH)
    columns = {
        "kind": kind,
        "book": random.integers(1, books + 1, operations),
        "side": side,
        "tick": np.where(crossing, through, passive),
        "lots": random.integers(1, 100, operations),
        "target": np.full(operations, -1, np.int64),
    }
    _choose_targets(columns, crossing, random.random(operations))
    return columns


def _choose_targets(columns: dict[str, Numbers], crossing: Any, dice: Any) -> None:
    """Each cancel takes a random one of the passive orders not cancelled yet."""
    live: list[int] = []
    kind, target = columns["kind"], columns["target"]
    for place in range(len(kind)):
        if kind[place] == CANCEL and live:
            chosen = int(dice[place] * len(live))
            target[place] = live[chosen]
            live[chosen] = live[-1]
            live.pop()
        elif kind[place] == CANCEL:
            kind[place] = ADD
        elif not crossing[place]:
            live.append(place)


@jit
def make_books(state: NDArray[Any], books: int) -> None:
    """Empty books 1 … `books`, of 4096 ticks each."""
    s = state[0]
    for number in range(1, books + 1):
        book = s.instruments[number]
        book.depth = 1
        book.root[0] = new_node(s)
        book.root[1] = new_node(s)


@jit
def _slot(s: Any) -> int:
    if s.free_count == 0:
        s.orders_used += 1
        slot: int = s.orders_used
        return slot
    slot = s.free_orders[s.free_first]
    s.free_first = (s.free_first + 1) & (len(s.free_orders) - 1)
    s.free_count -= 1
    return slot


@jit
def _done(s: Any, slot: int) -> None:
    s.orders[slot].state = DONE
    s.free_orders[(s.free_first + s.free_count) & (len(s.free_orders) - 1)] = slot
    s.free_count += 1


@jit
def _match(s: Any, book: Any, order: Any) -> int:
    trades = 0
    side = order.side - 1
    while order.leaves > 0 and crosses(book, side, order.tick):
        maker = first_in_line(s, book, 1 - side)
        other = s.orders[maker]
        lots = min(order.leaves, other.visible)
        order.leaves -= lots
        other.leaves -= lots
        trades += 1
        if lots == other.visible:
            dequeue(s, book, maker)
            _done(s, maker)
        else:
            reduce_visible(s, maker, lots)
    return trades


@jit
def run_matching(
    state: NDArray[Any], kind: Numbers, book: Numbers, side: Numbers, tick: Numbers, lots: Numbers,
    target: Numbers, slots: Numbers,
) -> int:
    """Do the operations; the number of trades. `slots` remembers each passive order's slot."""
    s = state[0]
    orders = s.orders.ctypes.data
    trades = 0
    for place in range(len(kind)):
        if place + _AHEAD < len(kind) and target[place + _AHEAD] >= 0:
            prefetch(orders + slots[target[place + _AHEAD]] * _ORDER_BYTES)
        if kind[place] == CANCEL:
            slot = slots[target[place]]
            found = s.orders[slot]
            if slot != 0 and found.state == RESTING and found.order_id == target[place]:
                dequeue(s, s.instruments[found.instrument], slot)
                _done(s, slot)
            continue
        slot = _slot(s)
        order = s.orders[slot]
        order.order_id = place
        order.instrument = book[place]
        order.side = side[place]
        order.tick = tick[place]
        order.leaves = lots[place]
        trades += _match(s, s.instruments[order.instrument], order)
        if order.leaves > 0:
            order.visible = order.leaves
            order.state = RESTING
            enqueue(s, s.instruments[order.instrument], slot)
            slots[place] = slot
        else:
            _done(s, slot)
    return trades


@jit
def run_baseline(state: NDArray[Any], place: Numbers) -> None:
    """Write one order record for each operation, at the given places."""
    s = state[0]
    for i in range(len(place)):
        order = s.orders[place[i]]
        order.order_id = i
        order.leaves += i
        order.tick = i
        order.next = order.previous


def _time(call: Any, *arguments: Any) -> tuple[int, int]:
    """Processor time, so that others on the machine count less."""
    begin = time.thread_time_ns()
    result = call(*arguments)
    return time.thread_time_ns() - begin, result


def measure_matching(books: int, operations: int, repeats: int, seed: int) -> dict[str, Any]:
    """Median over the repeats, processor ns an operation, the baseline timed between them."""
    columns = workload(operations, books, seed)
    limits = Limits()
    names = ("kind", "book", "side", "tick", "lots", "target")
    own: list[float] = []
    bare: list[float] = []
    trades = 0
    for repeat in range(repeats + 1):
        state = new_state(limits)
        make_books(state, books)
        slots = np.zeros(operations, np.int64)
        arguments = [columns[name] for name in names]
        elapsed, trades = _time(run_matching, state, *arguments, slots)
        used = int(state["orders_used"][0])
        places = np.random.default_rng(seed).integers(1, used + 1, operations)
        elapsed_bare, _ = _time(run_baseline, state, places)
        if repeat > 0:  # The first compiles and touches the memory.
            own.append(elapsed / operations)
            bare.append(elapsed_bare / operations)
    nanoseconds = float(np.median(own))
    return {
        "books": books,
        "operations": operations,
        "trades": trades,
        "ns_per_op": nanoseconds,
        "ops_per_second": 1e9 / nanoseconds,
        "baseline_ns_per_op": float(np.median(bare)),
        "ratio_to_baseline": nanoseconds / float(np.median(bare)),
    }
