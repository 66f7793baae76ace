"""Put recorded order-by-order data through the real core, and write its book and trades.

Input, a header line and one row a message:

    seq,action,order_id,side,price,qty

`add` a limit order, `cancel` (qty is the amount removed), `delete`, `replace` (new price and open
quantity; only less at the same price keeps its place in the queue), `market` (takes what is there).
Sides are B and S. `--book` gets one row of N bid and ask levels after every input row, `--trades`
one row a trade with the ids of both orders.
"""

import csv
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from cyclopts import Parameter
from rich.console import Console

from core.process import EXIT_FAILED
from tools.replay.rows import ReplayError, Row, read_rows
from tools.replay.scale import Prices, Quantities

PROGRESS_ROWS = 100_000
ORDERS_MAX = (1 << 17, 1 << 22)


def replay(
    orders: Annotated[Path, Parameter(help="CSV of seq,action,order_id,side,price,qty.")],
    /,
    *,
    levels: Annotated[int, Parameter(help="Levels of each side in a row of the book.")] = 10,
    book: Annotated[Path | None, Parameter(help="Where the book goes, as CSV.")] = None,
    trades: Annotated[Path | None, Parameter(help="Where the trades go, as CSV.")] = None,
) -> int:
    """Replay ORDERS (CSV) through the core."""
    console = Console(stderr=True)
    if not 1 <= levels <= 1000:
        console.print(f"--levels: expected 1 to 1000, was {levels}", style="red")
        return 2
    try:
        rows = list(read_rows(orders))
        run = _Run(rows, levels, console)
        with ExitStack() as files:
            run.open(files, book, trades)
            run.all_rows()
        console.print(run.summary())
    except (ReplayError, OSError) as error:
        console.print(str(error), style="red", soft_wrap=True)
        return EXIT_FAILED
    return 0


def most_open(rows: list[Row]) -> int:
    """At most so many orders are on the book at once, if nothing trades or is cancelled away."""
    count = most = 0
    for row in rows:
        count += (row.action == "add") - (row.action == "delete")
        most = max(most, count)
    return most


class _Live:
    """An order of the recording: its number in the core, side, open lots, filled lots."""

    __slots__ = ("filled", "lots", "name", "number", "side")

    def __init__(self, number: int, name: str, side: int, lots: int) -> None:
        self.number = number
        self.name = name
        self.side = side
        self.lots = lots
        self.filled = 0


class _Run:
    """One replay: the book of the core, the orders by the recording's ids, the outputs."""

    def __init__(self, rows: list[Row], levels: int, console: Console) -> None:
        with console.status("loading the core (the first time compiles it: about a minute)"):
            from tools.replay.book import ReplayBook  # Imports numba, which takes a second.

        self._rows = rows
        self._prices = Prices(row.price for row in rows)
        self._quantities = Quantities(row.quantity for row in rows)
        # Few sizes, the usual one first: each is a layout of its own, compiled once.
        most = most_open(rows)
        orders_max = next(size for size in ORDERS_MAX if size > most or size == ORDERS_MAX[-1])
        self._book = ReplayBook(self._prices.count, orders_max)
        self._levels = np.zeros((levels, 2, 3), np.int64)
        self._written = b""
        self._fields: list[str | int] = []
        self._texts: dict[int, str] = {}
        self._by_name: dict[str, _Live] = {}
        self._by_number: dict[int, _Live] = {}
        self._numbers = 0
        self._book_writer: Any = None
        self._trade_writer: Any = None
        self._trades = 0
        self._seconds = 0.0
        self._console = console

    def open(self, files: ExitStack, book: Path | None, trades: Path | None) -> None:
        """Open the outputs and write their headers."""
        if book is not None:
            file = files.enter_context(book.open("w", newline=""))
            self._book_writer = csv.writer(file)
            names = ["seq"]
            for i in range(len(self._levels)):
                names += [f"{side}_{what}_{i}" for side in ("bid", "ask")
                          for what in ("price", "qty", "count")]
            self._book_writer.writerow(names)
        if trades is not None:
            file = files.enter_context(trades.open("w", newline=""))
            self._trade_writer = csv.writer(file)
            self._trade_writer.writerow(
                ["seq", "price", "qty", "side", "maker_order_id", "taker_order_id"]
            )

    def all_rows(self) -> None:
        """Replay every row."""
        started = time.monotonic()
        for count, row in enumerate(self._rows, 1):
            try:
                self._row(row)
            except ReplayError as error:
                raise ReplayError(f"line {row.line}: {error}") from None
            if self._book_writer is not None:
                self._write_book(row.seq)
            if count % PROGRESS_ROWS == 0:
                self._console.print(f"{count:,} of {len(self._rows):,} rows")
        self._seconds = time.monotonic() - started
        self._book.close()

    def _row(self, row: Row) -> None:
        if row.action == "add":
            assert row.price is not None
            assert row.quantity is not None
            live = self._new(row)
            tick = self._prices.rank[row.price]
            trades = self._book.enter(live.number, row.side, tick, live.lots)
        elif row.action == "market":
            live = self._new(row)
            trades = self._book.take(live.number, row.side, live.lots)
            self._forget(live)
        else:
            live = self._known(row)
            trades = self._change(row, live)
        for trade in trades:
            self._trade(row, trade, live)

    def _change(self, row: Row, live: _Live) -> list[Any]:
        """A cancel, delete or replace."""
        if row.action == "replace":
            assert row.price is not None
            assert row.quantity is not None
            live.lots = self._lots(row)
            tick = self._prices.rank[row.price]
            return self._book.replace(live.number, tick, live.filled + live.lots)
        removed = live.lots if row.quantity is None else self._lots(row)
        if removed > live.lots:
            has = self._quantities.text(live.lots)
            raise ReplayError(f"qty: order {row.order_id} has {has}, was {row.quantity}")
        live.lots -= removed
        if live.lots == 0:
            self._book.cancel(live.number)
            self._forget(live)
            return []
        return self._book.replace(live.number, None, live.filled + live.lots)

    def _new(self, row: Row) -> _Live:
        if row.order_id and row.order_id in self._by_name:
            raise ReplayError(f"order_id: {row.order_id} is on the book already")
        self._numbers += 1
        live = _Live(self._numbers, row.order_id, row.side, self._lots(row))
        self._by_name[row.order_id] = live
        self._by_number[live.number] = live
        return live

    def _known(self, row: Row) -> _Live:
        live = self._by_name.get(row.order_id)
        if live is None:
            raise ReplayError(f"order_id: {row.order_id} is not on the book")
        return live

    def _forget(self, live: _Live) -> None:
        self._by_name.pop(live.name, None)

    def _lots(self, row: Row) -> int:
        assert row.quantity is not None
        lots = self._quantities.lots[row.quantity]
        if lots > self._book.lots_max:
            most = self._quantities.text(self._book.lots_max)
            raise ReplayError(f"qty: expected at most {most}, was {row.quantity}")
        return lots

    def _trade(self, row: Row, trade: Any, taker: _Live) -> None:
        maker = self._by_number[trade.maker]
        for side in (maker, taker):
            side.lots -= trade.lots
            side.filled += trade.lots
            if side.lots == 0:
                self._forget(side)
        self._trades += 1
        if self._trade_writer is not None:
            self._trade_writer.writerow([
                row.seq, self._prices.text[trade.tick], self._quantities.text(trade.lots),
                "BS"[taker.side - 1], maker.name, taker.name,
            ])

    def _write_book(self, seq: str) -> None:
        self._book.levels(self._levels)
        if self._levels.tobytes() != self._written:
            self._written = self._levels.tobytes()
            self._fields = [field for level in self._levels.tolist() for tick, lots, count in level
                            for field in (self._prices.text[tick], self._lots_text(lots), count)]
        self._book_writer.writerow([seq, *self._fields])

    def _lots_text(self, lots: int) -> str:
        """The quantity of a level as text; nearly all of them have been there before."""
        text = self._texts.get(lots)
        if text is None:
            text = self._texts[lots] = self._quantities.text(lots) if lots else "0"
        return text

    def summary(self) -> str:
        """One line about what was done."""
        rate = len(self._rows) / self._seconds if self._seconds else 0
        return (
            f"{len(self._rows):,} rows, {self._trades:,} trades, {self._book.orders_open:,} orders "
            f"left on the book, {self._seconds:.2f} s ({rate:,.0f} rows/s with output)"
        )
