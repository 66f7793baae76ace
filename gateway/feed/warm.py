"""What the feed compiles, for `python -m gateway.warm` and for its own start."""

from collections.abc import Callable
from typing import Any

import numba
import numpy as np

from core.config import Limits
from core.jit import compile_lock
from gateway.feed import packets, publish
from gateway.feed.book import ORDER, new_books
from gateway.feed.layout import new_feed

Step = tuple[str, Callable[..., Any], tuple[Any, ...]]


def steps(limits: Limits) -> list[Step]:
    """Title, function and argument types of everything the feed calls."""
    feed = numba.typeof(new_feed(limits, limits.accounts_max))
    books = numba.typeof(new_books(limits))
    word = numba.int64
    orders, channels = numba.typeof(np.zeros(1, ORDER)), numba.typeof(np.zeros(1, np.int64))
    return [
        ("the feed", publish.deliver, (feed, books)),
        ("the feed's replay", publish.walk, (feed, books, word, word, word)),
        ("its stream", publish.finish, (feed,)),
        ("its open interest", publish.put_open_interest, (feed, word)),
        ("its heartbeats", publish.put_heartbeats, (feed, channels, word)),
        ("its snapshots", publish.put_snapshot_orders, (feed, books, word, orders)),
        ("its numbers", publish.next_number, (feed, word)),
        ("its delistings", publish.clear_book, (feed, books, word)),
        ("its resolutions", publish.clear_positions, (feed, word)),
        ("its messages", packets.put_message, (feed, word, word, word)),
        ("its packets", packets.close_packets, (feed,)),
        ("its retransmissions", packets.find_packet, (feed, word, word)),
        ("their sizes", packets.packet_size, (feed, word)),
    ]


def compile_all(limits: Limits) -> None:
    """Compile, or load from the cache, so that no receiver waits for it."""
    with compile_lock():
        for _, function, signature in steps(limits):
            compiled: Any = function
            if signature not in compiled.signatures:
                compiled.compile(signature)
