"""Recorded prices, played into the files that the oracle follows.

    seconds,asset,price        a header line, then one line a price; seconds from the beginning

The recording is stretched or squeezed to the length of the demo. Each asset has a file to which the
oracle's three sources of it listen.
"""

import asyncio
import csv
import time
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import NamedTuple

COLUMNS = ["seconds", "asset", "price"]
REPEAT_SECONDS = 1.0  # The last price is said again, so that it isn't stale.


class PricesError(Exception):
    """The recording can't be played; the text is one line."""


class Price(NamedTuple):
    """One recorded price."""

    seconds: float
    asset: str
    text: str


class Recording:
    """A recording, and a file for each of its assets in `directory`."""

    def __init__(self, path: Path, directory: Path) -> None:
        self.prices = read_prices(path)
        self.files = {
            asset: directory / f"{asset}.prices" for asset in {p.asset for p in self.prices}
        }
        first = {price.asset: price.text for price in reversed(self.prices)}
        for asset, file in self.files.items():
            file.write_text(f",{first[asset]}\n")

    async def play(self, seconds: float) -> None:
        """Append each price at its time until cancelled; afterwards the last ones stand."""
        begin = time.monotonic()
        last = {price.asset: price.text for price in reversed(self.prices)}
        scale = seconds / max(self.prices[-1].seconds, 1e-9)
        waiting = iter(self.prices)
        following = next(waiting, None)
        while True:
            now = time.monotonic() - begin
            while following is not None and following.seconds * scale <= now:
                last[following.asset] = following.text
                following = next(waiting, None)
            for asset, text in last.items():
                with self.files[asset].open("a") as file:
                    file.write(f",{text}\n")
            await asyncio.sleep(REPEAT_SECONDS)


def read_prices(path: Path) -> list[Price]:
    """The recording in order of time. Raises PricesError."""
    try:
        with path.open(newline="") as file:
            reader = csv.reader(file)
            if [name.strip() for name in next(reader, [])] != COLUMNS:
                raise PricesError(f"{path}: expected the header {','.join(COLUMNS)}")
            prices = [_price(f"{path}:{reader.line_num}", fields) for fields in reader]
    except OSError as error:
        raise PricesError(f"{path}: {error.strerror}") from None
    if not prices:
        raise PricesError(f"{path}: no prices")
    return sorted(prices)


def _price(where: str, fields: list[str]) -> Price:
    try:
        seconds, asset, text = (field.strip() for field in fields)
        if Decimal(text) <= 0 or float(seconds) < 0:
            raise PricesError(f"{where}: price must be above 0, seconds not below")
        return Price(float(seconds), asset, text)
    except (ValueError, InvalidOperation):
        raise PricesError(f"{where}: expected {','.join(COLUMNS)}, was {fields}") from None
