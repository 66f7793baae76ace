"""What the FIX gateway runs compiled, so that it is compiled before anybody connects.

Every kernel takes 64-bit integers and nothing else, so its number of arguments says its type.
"""

from collections.abc import Iterator
from typing import Any

import numba
import numpy as np

from core.config import Limits
from gateway.feed.book import copy_levels, new_books
from gateway.feed.book_layout import DEPTH
from gateway.fix import (
    backlog,
    names,
    numbers,
    orders,
    owed,
    replay,
    report,
    scan,
    search,
    tape,
    trades,
    wait,
    walk,
)

KERNELS = (
    ("scanning FIX orders", scan.scan),
    ("dealing out FIX reports", walk.walk),
    ("single FIX reports", report.put_report),
    ("FIX gap fills", report.put_gap),
    ("FIX resends", replay.replay),
    ("the gaps of FIX resends", replay.open_gap),
    ("their ends", replay.close_gap),
    ("their last", replay.finish_replay),
    ("finding FIX reports", owed.find_reports),
    ("their newest", search.find_newest),
    ("orders that came before", search.find_latest),
    ("reports for drop copies", backlog.find_missed),
    ("finding FIX trades", trades.find_trades),
    ("client order ids", names.id_hash),
    ("FIX times", numbers.parse_time),
    ("FIX decimals", numbers.parse_decimal),
    ("execution instructions", orders.instructions),
    ("waiting for events", wait.await_events),
    ("going to sleep", wait.arm),
    ("waking up", wait.awake),
)


def steps() -> Iterator[tuple[str, Any, tuple[Any, ...]]]:
    """What there is to compile: title, function, types of its arguments."""
    for title, function in KERNELS:
        compiled: Any = function
        count = compiled.py_func.__code__.co_argcount
        yield title, compiled, (numba.int64,) * count


def book_steps(limits: Limits) -> Iterator[tuple[str, Any, tuple[Any, ...]]]:
    """What market data runs; its types hang on the configured limits."""
    book, word = numba.typeof(new_books(limits)), numba.int64
    row, rows = numba.typeof(np.zeros(1, np.int64)), numba.typeof(np.zeros((1, 1), np.int64))
    levels = numba.typeof(np.zeros(1, DEPTH))
    yield "FIX market data", tape.follow, (
        book, rows, row, word, word, word, row, rows, row)
    yield "its levels", copy_levels, (book, word, word, levels)


def warm(limits: Limits) -> None:
    """Compile, or load from the cache, all of it."""
    for _, function, signature in (*steps(), *book_steps(limits)):
        if signature not in function.signatures:
            function.compile(signature)
