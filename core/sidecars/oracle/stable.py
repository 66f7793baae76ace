"""The stable price: where an index has been for a while.

What is held counts initially at the lower of index and stable price, what is owed at the higher
(STRICT of UPM-1): who pushes a price up, or down, can neither borrow nor withdraw by it at once. It
is a mean with a time constant, moved by live prices only; without a time constant there is none.
"""

import math

from core.sidecars.oracle.sources import SECOND


class Stable:
    """The stable price of one asset; exponent −8, 0 while there is none."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._mean = 0.0
        self._time = 0

    def update(self, price: int, now: int) -> int:
        """Move towards a live price; the stable price."""
        if self._seconds <= 0:
            return 0
        if self._mean == 0:
            self._mean = float(price)
        else:
            passed = max(0, now - self._time) / SECOND
            self._mean += (1 - math.exp(-passed / self._seconds)) * (price - self._mean)
        self._time = now
        return self.price

    @property
    def price(self) -> int:
        """As it was last."""
        return round(self._mean)

    def resume(self, price: int | None, time: int) -> None:
        """Go on from what a process before this one last said."""
        if price and self._seconds > 0:
            self._mean, self._time = float(price), time
