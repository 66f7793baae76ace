"""Where prices come from: one small interface, and what implements it.

    Source.latest(now) ──▶ Quote(price, time) or None

A source never waits: it says what it last heard and when. How old is too old, and how far from the
others is too far, is for the index to judge.

    simulated   a seeded random walk, the same for all sources of an asset, with a little noise of
                the source's own; a function of its seed and the time since it began
    file        lines `time,price` appended to a file; time in ns UTC, or empty for "as it is read"
    http        JSON fetched from a URL, where `path` leads to the price (http_source.py)
    websocket   JSON pushed by a venue, the price likewise (websocket_source.py)
    fix         the mid of a symbol at a FIX 4.4 venue (fix_source.py)
    book        the mid of our own spot book of the asset
"""

import contextlib
import math
import os
import random
import zlib
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, NamedTuple, Protocol

ONE = 10**8
SECOND = 1_000_000_000
YEAR_SECONDS = 365 * 86_400
NOISE = 0.0002  # of a simulated source, as a share of the price
FETCH_BYTES_MAX = 1 << 20


class Quote(NamedTuple):
    """A price (exponent −8) and when it was true, ns UTC."""

    price: int
    time: int


class Source(Protocol):
    """Something that knows a price."""

    def latest(self, now: int) -> Quote | None:
        """What it last heard by `now` (ns UTC); None if nothing yet."""


class SimulatedSource:
    """A geometric random walk in steps of a second from `start`, begun at `began` (ns UTC)."""

    def __init__(
        self, asset: str, start: int, seed: int, volatility: float, began: int
    ) -> None:
        self._walk = random.Random(zlib.crc32(asset.encode()))
        self._noise_seed = seed
        self._start = start
        self._began = began
        self._step = volatility / math.sqrt(YEAR_SECONDS)
        self._steps = 0
        self._logarithm = 0.0

    def latest(self, now: int) -> Quote | None:
        """The walk at the second of `now`; a clock set back finds it where it was."""
        if now < self._began:
            return None
        second = (now - self._began) // SECOND
        while self._steps < second:
            self._logarithm += self._walk.gauss(-self._step**2 / 2, self._step)
            self._steps += 1
        noise = random.Random(self._noise_seed * 1_000_003 + second).gauss(0, NOISE)
        price = int(self._start * math.exp(self._logarithm) * (1 + noise))
        return Quote(max(price, 1), self._began + second * SECOND)


class FileSource:
    """Follows a file of lines `time,price`; lines that are no such thing are passed over."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0
        self._inode = 0
        self._rest = b""
        self._quote: Quote | None = None

    def latest(self, now: int) -> Quote | None:
        """The last whole line; a file that was replaced is read from its beginning."""
        with contextlib.suppress(OSError), open(self._path, "rb") as file:
            status = os.fstat(file.fileno())
            if status.st_ino != self._inode or status.st_size < self._offset:
                self._inode, self._offset, self._rest = status.st_ino, 0, b""
            file.seek(self._offset)
            data = file.read()
            self._offset += len(data)
            *lines, self._rest = (self._rest + data).split(b"\n")
            for line in lines:
                self._take(line, now)
        return self._quote

    def _take(self, line: bytes, now: int) -> None:
        moment, _, price = line.decode(errors="replace").partition(",")
        value = price_of(price)
        if value is not None and (not moment.strip() or moment.strip().isdecimal()):
            self._quote = Quote(value, int(moment) if moment.strip() else now)


class BookSource:
    """The mid of one of our own books, as `mid` sees it."""

    def __init__(self, mid: Callable[[], int | None]) -> None:
        self._mid = mid

    def latest(self, now: int) -> Quote | None:
        """The mid at this moment."""
        price = self._mid()
        return None if price is None else Quote(price, now)


def price_of(value: Any) -> int | None:
    """A number or decimal text as a positive price with exponent −8; None if it is not one."""
    try:
        price = int(Decimal(str(value).strip()) * ONE)
    except (InvalidOperation, ValueError, OverflowError):
        return None
    return price if 0 < price < 1 << 62 else None


def dig(value: Any, path: str) -> Any:
    """What a path of names and numbers, joined by dots, leads to in parsed JSON."""
    for name in path.split("."):
        value = value[int(name)] if isinstance(value, list) else value[name]
    return value
