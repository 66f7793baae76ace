"""Looks in the archive for the newest report of some orders, a slice at a time.

    orders, three words each:     64-bit ClOrdID │ number at the core, 0 while unknown │ position

An order is known by its ClOrdID until its first report, then by its number, so that a report of a
replaced order, which bears another id, is found too.
"""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from core.errors import EventsLost
from core.jit import jit
from sbe.generated import order_entry as oe
from sbe.raw import load_i32, load_i64, store_i64

if TYPE_CHECKING:
    from gateway.fix.gateway import FixGateway

EVENT_HEADER = 24
SLICE_BYTES = 4 << 20
PAUSE_SECONDS = 0.001
WORDS, W_NUMBER, W_POSITION = 3, 8, 16


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
        mine = load_i32(frame + 4) == session
        if mine and oe.header_template(frame + 16) == oe.EXECUTION_REPORT_TEMPLATE:
            e = frame + EVENT_HEADER
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


class Search:
    """One search; `found` gets a position for each order, 0 where there is none."""

    def __init__(
        self, gateway: "FixGateway", session: int, begin: int, orders: list[int],
        found: Callable[[list[int]], None],
    ) -> None:
        self._gateway, self._session, self._found = gateway, session, found
        self._position, self._end = begin, gateway.position
        self._orders = np.zeros((len(orders), WORDS), np.int64)
        self._orders[:, 0] = np.array(orders, np.uint64).view(np.int64)

    def go_on(self) -> None:
        """The next slice; others get their turn in between."""
        data = b""
        if self._position < self._end:
            try:
                data = self._gateway.read(
                    self._position, min(SLICE_BYTES, self._end - self._position))
            except EventsLost:
                data = b""
        array = np.frombuffer(data, np.uint8)
        used = 0 if not data else int(find_newest(
            int(array.ctypes.data), len(data), self._position, self._session,
            int(self._orders.ctypes.data), len(self._orders)))
        self._position += used
        if used == 0 or self._position >= self._end:
            self._found([int(position) for position in self._orders[:, 2]])
        else:
            asyncio.get_running_loop().call_later(PAUSE_SECONDS, self.go_on)
