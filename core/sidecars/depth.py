"""The visible books, rebuilt from execution reports, price level by price level.

A report says what the book shows of its order afterwards (`OnBook`, `visibleQty`), so one order's
line is replaced by every report on it, and gone when it shows nothing. Prices of predictions are
turned into YES terms. Levels are kept as totals: enough for mids, impact prices and pins.
"""

import json

from core.link import Event
from core.messages import template
from core.sidecars.pick import NULL_INT64, pick

ONE = 10**8
ON_BOOK = 1 << 2
REPORT = template("ExecutionReport")
BUY, SELL = 1, 2
_TRADE = ord("F")
_NO = 1

_report = pick("ExecutionReport", "header.transactTime", "orderId", "instrument", "price", "side",
               "execType", "lastPx", "visibleQty", "flags", "outcomeSide")

Levels = dict[int, int]


class Depth:
    """All books: `sides[instrument]` is (bids, asks), each price → visible quantity."""

    def __init__(self) -> None:
        self.sides: dict[int, tuple[Levels, Levels]] = {}
        self.last: dict[int, tuple[int, int]] = {}  # instrument → (price, time) of the last trade
        self._orders: dict[int, tuple[int, int, int, int]] = {}

    def apply(self, event: Event) -> None:
        """Bring the books forward by one ExecutionReport."""
        r = _report(event.body)
        in_no = r.outcomeSide == _NO
        if r.execType == _TRADE:
            price = ONE - r.lastPx if in_no else r.lastPx
            self.last[r.instrument] = price, r.header_transactTime
        before = self._orders.pop(r.orderId, None)
        if before is not None:
            self._add(*before[:3], -before[3])
        if r.flags & ON_BOOK and r.visibleQty > 0 and r.price != NULL_INT64:
            price = ONE - r.price if in_no else r.price
            side = BUY + SELL - r.side if in_no else r.side
            self._orders[r.orderId] = (r.instrument, side, price, r.visibleQty)
            self._add(r.instrument, side, price, r.visibleQty)

    def dump(self) -> bytes:
        """All there is to know, to go on from later."""
        last = [(number, *trade) for number, trade in self.last.items()]
        orders = [(number, *order) for number, order in self._orders.items()]
        return json.dumps([last, orders], separators=(",", ":")).encode()

    def load(self, data: bytes) -> None:
        """Go on from a dump."""
        last, orders = json.loads(data)
        self.last = {number: (price, time) for number, price, time in last}
        for number, instrument, side, price, visible in orders:
            self._orders[number] = (instrument, side, price, visible)
            self._add(instrument, side, price, visible)

    def _add(self, instrument: int, side: int, price: int, quantity: int) -> None:
        sides = self.sides.get(instrument)
        if sides is None:
            sides = self.sides[instrument] = ({}, {})
        levels = sides[side - BUY]
        left = levels.get(price, 0) + quantity
        if left > 0:
            levels[price] = left
        else:
            levels.pop(price, None)

    def forget(self, instrument: int) -> None:
        """The number is another instrument's from now on; of the old one no order is left."""
        self.last.pop(instrument, None)
        self.sides.pop(instrument, None)

    def best(self, instrument: int) -> tuple[int | None, int | None]:
        """Best bid and ask, None where a side is empty."""
        bids, asks = self.sides.get(instrument, ({}, {}))
        return max(bids, default=None), min(asks, default=None)

    def mid(self, instrument: int) -> int | None:
        """Half way between the best two; None unless both sides are there."""
        bid, ask = self.best(instrument)
        return None if bid is None or ask is None else (bid + ask) // 2

    def impact_mid(self, instrument: int, notional: int) -> int | None:
        """The middle of what `notional` costs to sell and to buy; None if a side has less.

        notional: price times quantity, exponent −16. One small order at the top moves it little.
        """
        bids, asks = self.sides.get(instrument, ({}, {}))
        sell = _impact(sorted(bids.items(), reverse=True), notional)
        buy = _impact(sorted(asks.items()), notional)
        return None if sell is None or buy is None else (sell + buy) // 2


def _impact(levels: list[tuple[int, int]], notional: int) -> int | None:
    """The mean price of trading so much through the levels, best first."""
    left, quantity = notional, 0
    for price, visible in levels:
        value = price * visible
        if value >= left:
            quantity += left // price
            return notional // quantity if quantity else None
        left -= value
        quantity += visible
    return None
