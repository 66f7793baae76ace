"""What the FIX gateway runs compiled, so that it is compiled before anybody connects.

Every kernel takes 64-bit integers and nothing else, so its number of arguments says its type.
"""

from collections.abc import Iterator
from typing import Any

import numba

from gateway.fix import copies, names, numbers, orders, replay, report, scan, wait, walk

KERNELS = (
    ("scanning FIX orders", scan.scan),
    ("dealing out FIX reports", walk.walk),
    ("single FIX reports", report.put_report),
    ("FIX gap fills", report.put_gap),
    ("FIX resends", replay.replay),
    ("the gaps of FIX resends", replay.open_gap),
    ("their ends", replay.close_gap),
    ("their last", replay.finish_replay),
    ("finding FIX reports", copies.find_reports),
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


def warm() -> None:
    """Compile, or load from the cache, what `steps` lists."""
    for _, function, signature in steps():
        if signature not in function.signatures:
            function.compile(signature)
