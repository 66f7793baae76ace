"""The record of the public books: orders, levels, instruments, and what the last report changed."""

from typing import Any, Protocol

import numpy as np

BUY, SELL = 0, 1  # places in `best`; wire sides less one
ONE = 100_000_000  # price of a certain outcome, exponent −8

# What happened to the order.
NOTHING, ADDED, CHANGED, MOVED, REMOVED = range(5)

ORDER = np.dtype(
    [
        ("id", "i8"),
        ("price", "i8"),
        ("quantity", "i8"),  # what the book shows of it
        ("instrument", "i4"),
        ("side", "i4"),
        ("level", "i4"),
        ("previous", "i4"),
        ("next", "i4"),
        ("chain", "i4"),
    ],
    align=True,
)

LEVEL = np.dtype(
    [
        ("price", "i8"),
        ("quantity", "i8"),
        ("orders", "i4"),
        ("instrument", "i4"),
        ("side", "i4"),
        ("first", "i4"),
        ("last", "i4"),
        ("better", "i4"),
        ("worse", "i4"),
        ("chain", "i4"),
    ],
    align=True,
)

INSTRUMENT = np.dtype(
    [
        ("best", "i4", (2,)),
        ("levels", "i4", (2,)),
        ("orders", "i8"),
        ("last_price", "i8"),
        ("last_quantity", "i8"),
        ("last_time", "i8"),  # ns UTC
        ("volume", "i8"),
        ("trades", "i8"),
        ("open_price", "i8"),
        ("high_price", "i8"),
        ("low_price", "i8"),
    ],
    align=True,
)

#: A level after a change; quantity 0: it is gone.
LEVEL_CHANGE = np.dtype(
    [("side", "i8"), ("price", "i8"), ("quantity", "i8"), ("orders", "i8")], align=True
)

CHANGE = np.dtype(
    [
        ("instrument", "i8"),
        ("time", "i8"),  # ns UTC
        ("last_in_event", "i8"),
        ("action", "i8"),  # ADDED …
        ("order", "i8"),
        ("side", "i8"),
        ("price", "i8"),
        ("quantity", "i8"),  # visible afterwards
        ("levels_used", "i8"),
        ("levels", LEVEL_CHANGE, (2,)),
        ("trade", "i8"),  # id of a trade not seen before, else 0
        ("trade_price", "i8"),
        ("trade_quantity", "i8"),
        ("aggressor", "i8"),  # wire side of the taker, 0 in an auction
        ("auction", "i8"),
    ],
    align=True,
)

#: What `copy_levels` writes.
DEPTH = np.dtype([("price", "i8"), ("quantity", "i8"), ("orders", "i8")], align=True)


class Limits(Protocol):
    """How much room there is; `core.config.Limits` is one."""

    @property
    def orders_max(self) -> int:
        """Orders on all books."""

    @property
    def levels_max(self) -> int:
        """Prices at which there are orders, on all books."""

    @property
    def instruments_max(self) -> int:
        """Instruments, number 0 included."""


def _power_of_two(number: int) -> int:
    return 1 << max(1, number - 1).bit_length()


def book_dtype(limits: Limits) -> np.dtype[Any]:
    """The layout for these limits; equal limits give equal layouts."""
    orders = _power_of_two(limits.orders_max + 1)
    levels = _power_of_two(limits.levels_max + 1)
    return np.dtype(
        [
            ("orders_used", "i8"),
            ("orders_free", "i8"),
            ("levels_used", "i8"),
            ("levels_free", "i8"),
            ("last_trade", "i8"),
            ("dropped", "i8"),  # orders for which there was no room
            ("change", CHANGE),
            ("instruments", INSTRUMENT, (limits.instruments_max,)),
            ("orders", ORDER, (orders,)),
            ("order_chains", "i4", (orders,)),
            ("levels", LEVEL, (levels,)),
            ("level_chains", "i4", (levels,)),
        ],
        align=True,
    )


def new_books(limits: Limits) -> Any:
    """Empty books: an array of one record. Zeros are an empty book."""
    return np.zeros(1, book_dtype(limits))
