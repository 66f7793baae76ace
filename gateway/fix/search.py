"""Looks in the archive for the newest report of some orders, a slice at a time.

A list knows where its orders begin, so it is read forward from there:

    orders, three words each:     64-bit ClOrdID │ number at the core, 0 while unknown │ position

and an order is known by its ClOrdID until its first report, then by its number, so that a report of
a replaced order, which bears another id, is found too.

An order marked PossResend may be of any time, and most often is of a moment ago: the stretches of
the stream in which the session has events are read, the newest first. Before that, everything
that was sent to the core must have come back as events: the order may just be under way.

All searches take turns, one slice a millisecond: nobody else waits longer than a slice takes.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

import numpy as np

from core.errors import EventsLost
from core.events import log_published
from core.jit import jit
from core.words import CONSUMED, PENDING, load_word
from gateway.fix.history import BLOCK_SHIFT
from gateway.fix.message import Message
from gateway.fix.records import EVENT_BODY_AT
from gateway.fix.tables import Context, hash_of, unsigned
from sbe.generated import order_entry as oe
from sbe.raw import load_i32, load_i64, store_i64

if TYPE_CHECKING:
    from gateway.fix.client import Client
    from gateway.fix.gateway import FixGateway

SLICE_BYTES = 1 << 20
FRAME_BYTES_MAX = 1 << 16
PAUSE_SECONDS = 0.001
WORDS, W_NUMBER, W_POSITION = 3, 8, 16



@jit
def is_of_own_order(frame: int) -> bool:
    """Whether an event is a report of the addressee's order; a status may be of another's."""
    if oe.header_template(frame + 16) != oe.EXECUTION_REPORT_TEMPLATE:
        return False
    return oe.execution_report_exec_type(frame + EVENT_BODY_AT) != oe.EXEC_TYPE_ORDER_STATUS


@jit
def find_newest(a: int, length: int, position: int, session: int, orders: int, count: int) -> int:
    """Note the reports of `count` orders in `length` bytes of the stream; the bytes of frames.

    a: address of the bytes, position: theirs in the stream. orders: address of the words above.
    """
    at = 0
    while at + 32 <= length:
        frame = a + at
        size = load_i32(frame)
        if size < 32 or at + size > length:
            break
        if load_i32(frame + 4) == session and is_of_own_order(frame):
            e = frame + EVENT_BODY_AT
            identity = load_i64(e + oe.EXECUTION_REPORT_CL_ORD_ID_OFFSET)
            number = load_i64(e + oe.EXECUTION_REPORT_ORDER_ID_OFFSET)
            for i in range(count):
                order = orders + 8 * WORDS * i
                known = load_i64(order + W_NUMBER)
                if known == number if known != 0 else load_i64(order) == identity:
                    store_i64(order + W_NUMBER, number)
                    store_i64(order + W_POSITION, position + at)
        at += size
    return at


@jit
def find_latest(
    a: int, length: int, stop: int, position: int, session: int, orders: int, count: int
) -> int:
    """Note the last report of each of `count` orders, by its ClOrdID; the bytes of frames.

    As `find_newest`, but frames that begin at or behind `stop` are left, and an order's number
    isn't asked for.
    """
    at = 0
    while at < stop and at + 32 <= length:
        frame = a + at
        size = load_i32(frame)
        if size < 32 or at + size > length:
            break
        if load_i32(frame + 4) == session and is_of_own_order(frame):
            identity = load_i64(frame + EVENT_BODY_AT + oe.EXECUTION_REPORT_CL_ORD_ID_OFFSET)
            for i in range(count):
                order = orders + 8 * WORDS * i
                if load_i64(order) == identity:
                    store_i64(order + W_POSITION, position + at)
        at += size
    return at


def stretches(context: Context, session: int, begin: int, end: int) -> list[tuple[int, int]]:
    """Where a session's numbered events are between two positions, the newest stretch first.

    Each is from an event to where frames may no longer begin, at most a block of the index long.
    """
    rows = context.index[: int(context.fields["index_count"])]
    starts = rows[(rows[:, 0] == session) & (rows[:, 1] > 0)][:, 2]
    ends = np.minimum(((starts >> BLOCK_SHIFT) + 1) << BLOCK_SHIFT, end)
    ends[:-1] = np.minimum(ends[:-1], starts[1:])
    starts = np.maximum(starts, begin)
    inside = starts < ends
    return list(zip(starts[inside].tolist(), ends[inside].tolist(), strict=True))[::-1]


def possible_resends(message: Message) -> set[int]:
    """64-bit ids of the orders in it that may have been entered before; mostly none."""
    if message.get(97) != b"Y" or message.kind not in ("D", "E"):
        return set()
    return {unsigned(hash_of(value)) for tag, value in message if tag == 11}


def _table(orders: list[int]) -> np.ndarray[tuple[int, int], np.dtype[np.int64]]:
    """The words of orders."""
    table = np.zeros((len(orders), WORDS), np.int64)
    table[:, 0] = np.array(orders, np.uint64).view(np.int64)
    return table


class Step(Protocol):
    """A search."""

    def step(self) -> bool:
        """The next slice; False when there is none."""


class Forward:
    """From a position on; `found` gets a position for each order, 0 where there is none."""

    def __init__(
        self, gateway: "FixGateway", session: int, begin: int, orders: list[int],
        found: Callable[[list[int]], None],
    ) -> None:
        self._gateway, self._session, self._found = gateway, session, found
        self._position, self._end = begin, gateway.position
        self._orders = _table(orders)

    def step(self) -> bool:
        """The next slice; False when there is none."""
        data = b""
        if self._position < self._end:
            data = _read(self._gateway, self._position, self._end - self._position)
        array = np.frombuffer(data, np.uint8)
        used = 0 if not data else int(find_newest(
            int(array.ctypes.data), len(data), self._position, self._session,
            int(self._orders.ctypes.data), len(self._orders)))
        self._position += used
        if used == 0 or self._position >= self._end:
            self._found([int(position) for position in self._orders[:, 2]])
            return False
        return True


class Backward:
    """Newest first; `found` gets the newest report's position by order, 0 where there is none."""

    def __init__(
        self, gateway: "FixGateway", client: "Client", orders: tuple[int, ...],
        found: Callable[[dict[int, int]], None],
    ) -> None:
        self._gateway, self._client, self._found = gateway, client, found
        self._known = dict.fromkeys(orders, 0)
        self._wanted, self._orders = list(orders), _table(list(orders))
        self._ring, self._log = (int(gateway.context.fields[name]) for name in ("ring", "log"))
        self._sent = load_word(self._ring + PENDING)  # what the core has to take first
        self._heard = 0  # and what must have been heard of it
        self._stretches: list[tuple[int, int]] | None = None
        self._at = 0  # in the first stretch

    def step(self) -> bool:
        """The next slice; False when there is none."""
        if not self._client.is_open:
            return False
        if self._stretches is None:
            self._await_what_is_under_way()
        elif self._stretches:
            self._look()
        if self._stretches is None or (self._stretches and self._wanted):
            return True
        self._found(self._known)
        return False

    def _await_what_is_under_way(self) -> None:
        """The core gives frames back behind publishing their events."""
        gateway = self._gateway
        if not self._heard and load_word(self._ring + CONSUMED) >= self._sent:
            self._heard = int(log_published(self._log))
        if self._heard and gateway.position >= self._heard:
            session = self._client.session.id
            self._stretches = stretches(
                gateway.context, session, gateway.begin, gateway.position)

    def _look(self) -> None:
        """Look through a slice of the newest stretch."""
        assert self._stretches
        begin, end = self._stretches[0]
        position = begin + self._at
        data = _read(self._gateway, position, end - position + FRAME_BYTES_MAX)
        array = np.frombuffer(data, np.uint8)
        used = 0 if not data else int(find_latest(
            int(array.ctypes.data), len(data), end - position, position, self._client.session.id,
            int(self._orders.ctypes.data), len(self._orders)))
        self._at += used
        if used == 0 or begin + self._at >= end:
            self._stretches.pop(0)
            self._at = 0
            self._sort_out()

    def _sort_out(self) -> None:
        """What was found in a stretch is the newest there is; the rest is looked for further."""
        positions = self._orders[:, 2].tolist()
        self._known |= {
            order: at for order, at in zip(self._wanted, positions, strict=True) if at}
        self._wanted = [order for order in self._wanted if not self._known[order]]
        self._orders = _table(self._wanted)


def _read(gateway: "FixGateway", position: int, room: int) -> bytes:
    """A slice of the stream; nothing where it is gone."""
    try:
        return gateway.read(position, min(SLICE_BYTES, room))
    except EventsLost:
        return b""


class Searches:
    """All that are under way."""

    def __init__(self) -> None:
        self._waiting: deque[Step] = deque()

    def begin(self, search: Step) -> None:
        """It takes its turn, soon."""
        self._waiting.append(search)
        if len(self._waiting) == 1:
            asyncio.get_running_loop().call_soon(self._go_on)

    def _go_on(self) -> None:
        if self._waiting[0].step():
            self._waiting.rotate(-1)
        else:
            self._waiting.popleft()
        if self._waiting:
            asyncio.get_running_loop().call_later(PAUSE_SECONDS, self._go_on)
