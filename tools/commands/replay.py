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
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from cyclopts import Parameter
from rich.console import Console

from tools.replay.rows import ReplayError, Row, finest, read_rows, scaled

EXIT_FAILED = 1
PROGRESS_ROWS = 100_000
ORDERS_MAX = (1 << 17, 1 << 22)


def replay(
    orders: Path,
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


class _Live:
    """An order of the recording: its number in the core, side, tick, open lots, filled lots."""

    __slots__ = ("filled", "lots", "name", "number", "tick")

    def __init__(self, number: int, name: str, tick: int, lots: int) -> None:
        self.number = number
        self.name = name
        self.tick = tick
        self.lots = lots
        self.filled = 0


class _Run:
    """One replay: the book of the core, the orders by the recording's ids, the outputs."""

    def __init__(self, rows: list[Row], levels: int, console: Console) -> None:
        with console.status("loading the core (the first time compiles it: about a minute)"):
            from tools.replay.book import ReplayBook  # Imports numba, which takes a second.

        self._rows = rows
        self._price_decimals = finest(row.price for row in rows)
        self._quantity_decimals = finest(row.quantity for row in rows)
        # Few sizes, the usual one first: each is a layout of its own, compiled once.
        orders_max = next(size for size in ORDERS_MAX if size > len(rows) or size == ORDERS_MAX[-1])
        self._book = ReplayBook(self._price_decimals, self._quantity_decimals, orders_max)
        self._levels = np.zeros((levels, 2, 3), np.int64)
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
            live = self._new(row, self._tick(row.price))
            trades = self._book.enter(live.number, row.side, live.tick, live.lots)
        elif row.action == "market":
            live = self._new(row, 0)
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
            live.tick, live.lots = self._tick(row.price), self._lots(row.quantity)
            return self._book.replace(live.number, live.tick, live.filled + live.lots)
        removed = live.lots if row.quantity is None else self._lots(row.quantity)
        if removed > live.lots:
            raise ReplayError(f"qty: order {row.order_id} has {live.lots} lots, {removed} removed")
        live.lots -= removed
        if live.lots == 0:
            self._book.cancel(live.number)
            self._forget(live)
            return []
        return self._book.replace(live.number, None, live.filled + live.lots)

    def _new(self, row: Row, tick: int) -> _Live:
        assert row.quantity is not None
        if row.order_id and row.order_id in self._by_name:
            raise ReplayError(f"order_id: {row.order_id} is on the book already")
        self._numbers += 1
        live = _Live(self._numbers, row.order_id, tick, self._lots(row.quantity))
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

    def _tick(self, price: Decimal) -> int:
        return scaled(price, self._price_decimals)

    def _lots(self, quantity: Decimal) -> int:
        return scaled(quantity, self._quantity_decimals)

    def _trade(self, row: Row, trade: Any, taker: _Live) -> None:
        maker = self._by_number[trade.maker]
        for side in (maker, taker):
            side.lots -= trade.lots
            side.filled += trade.lots
            if side.lots == 0:
                self._forget(side)
        self._trades += 1
        if self._trade_writer is not None:
            price = _decimal(trade.tick, self._price_decimals)
            quantity = _decimal(trade.lots, self._quantity_decimals)
            side_name = {1: "B", 2: "S"}.get(row.side, "")
            self._trade_writer.writerow(
                [row.seq, price, quantity, side_name, maker.name, taker.name]
            )

    def _write_book(self, seq: str) -> None:
        self._book.levels(self._levels)
        fields: list[str | int] = [seq]
        for level in self._levels.tolist():
            for tick, lots, count in level:
                if count:
                    fields += [_decimal(tick, self._price_decimals),
                               _decimal(lots, self._quantity_decimals), count]
                else:
                    fields += ["", 0, 0]
        self._book_writer.writerow(fields)

    def summary(self) -> str:
        """One line about what was done."""
        rate = len(self._rows) / self._seconds if self._seconds else 0
        return (
            f"{len(self._rows):,} rows, {self._trades:,} trades, {self._book.orders_open:,} orders "
            f"left on the book, {self._seconds:.2f} s ({rate:,.0f} rows/s with output)"
        )


def _decimal(units: int, places: int) -> str:
    """Units of 10 ** -places as decimal text."""
    return f"{Decimal(units).scaleb(-places):f}"
