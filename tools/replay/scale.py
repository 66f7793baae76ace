"""Prices and quantities of a recording as the whole numbers that the core matches.

Matching asks of two prices which is the better one, and nothing else: so a price becomes its rank
among those that the recording has, and any number of decimals will do. Quantities become multiples
of the greatest that divides them all.
"""

from collections.abc import Iterable
from decimal import Decimal
from math import gcd


class Prices:
    """The prices of a recording; ranks begin at 1."""

    def __init__(self, prices: Iterable[Decimal | None]) -> None:
        distinct = {price for price in prices if price is not None}
        places = max(map(places_of, distinct), default=0)
        ordered = sorted(distinct)
        self.count = len(ordered)
        self.rank = {price: rank for rank, price in enumerate(ordered, 1)}
        self.text = ["", *(f"{price:.{places}f}" for price in ordered)]


class Quantities:
    """The quantities of a recording, in lots."""

    def __init__(self, quantities: Iterable[Decimal | None]) -> None:
        distinct = {quantity for quantity in quantities if quantity is not None}
        self._places = max(map(places_of, distinct), default=0)
        units = {quantity: int(quantity.scaleb(self._places)) for quantity in distinct}
        self._lot = gcd(*units.values()) or 1
        self.lots = {quantity: count // self._lot for quantity, count in units.items()}

    def text(self, lots: int) -> str:
        """So many lots as a decimal."""
        units = lots * self._lot
        if self._places == 0:
            return str(units)
        whole, rest = divmod(units, 10**self._places)
        return f"{whole}.{rest:0{self._places}d}"


def places_of(value: Decimal) -> int:
    """How many decimal places a number needs."""
    exponent = value.normalize().as_tuple().exponent
    assert isinstance(exponent, int)
    return max(0, -exponent)
