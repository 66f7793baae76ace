"""Ask the order record: orders, trades, cancels, operators' commands; by ready questions or SQL.

The record is read from the journal and the event archive of a running or stopped exchange. With
`--database FILE` it is kept, and the next time only what is new is read.
"""

import csv
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import duckdb
import msgspec
import pyarrow as pa
from cyclopts import App, Parameter
from rich.console import Console
from rich.table import Table

from tools.audit import questions
from tools.audit.questions import Question, Scope
from tools.audit.record import AuditError, Record
from tools.stores import data_directory, fail

if TYPE_CHECKING:
    from tools.surveillance.alert import Alert

app = App(name="audit", help=__doc__)

#: What `onebook` mounts.
audit = app


@Parameter(name="*")
@dataclass(frozen=True, slots=True)
class Place:
    """Which exchange's record, and how the answer is printed.

    Parameters
    ----------
    instance
        Name of the exchange.
    data
        Its data directory, if not that of the instance.
    database
        Keep the record in this DuckDB file, and read only what is new the next time.
    format
        A table for people, CSV, or JSON lines.
    """

    instance: str = "onebook"
    data: Path | None = None
    database: Path | None = None
    format: Literal["table", "csv", "json"] = "table"


@Parameter(name="*")
@dataclass(frozen=True, slots=True)
class Narrow:
    """What to narrow the question to.

    Parameters
    ----------
    account
        Name or number of an account.
    instrument
        Symbol or number of an instrument.
    day
        A day of UTC, like 2026-01-31.
    since
        From this time of UTC on, like 2026-01-31T12:00:00.
    until
        Up to this time of UTC.
    """

    account: str | None = None
    instrument: str | None = None
    day: date | None = None
    since: datetime | None = None
    until: datetime | None = None

    def scope(self, connection: duckdb.DuckDBPyConnection) -> Scope:
        """With names looked up. Raises AuditError."""
        since, until = questions.day_of(self.day) if self.day else (self.since, self.until)
        return Scope(
            questions.account_number(connection, self.account) if self.account else None,
            questions.instrument_number(connection, self.instrument) if self.instrument else None,
            since, until,
        )


Where = Annotated[Place, Parameter()]
Only = Annotated[Narrow, Parameter()]
_HERE, _ALL = Place(), Narrow()


@app.command
def order(name: str, *, place: Where = _HERE) -> int:
    """Show an order's life: each event, its cause, who decided, when it came and got its place.

    Parameters
    ----------
    name
        The exchange's number of it, the client's number, or a FIX ClOrdID.
    """
    return answer(place, lambda record: questions.order(record.connection, name))


@app.command
def account(name: str, day: date | None = None, *, place: Where = _HERE) -> int:
    """Show an account's day: orders, trades, payments, everything in order.

    Parameters
    ----------
    name
        Name or number of the account.
    day
        A day of UTC, like 2026-01-31; everything if not given.
    """
    narrow = Narrow(account=name, day=day)
    return answer(place, lambda record: questions.account_day(narrow.scope(record.connection)))


@app.command
def trades(*, place: Where = _HERE, only: Only = _ALL) -> int:
    """List trades with both sides, who took, and fees; prices in YES terms."""
    return answer(place, lambda record: questions.trades(only.scope(record.connection)))


@app.command
def cancels(*, place: Where = _HERE, only: Only = _ALL) -> int:
    """Count how orders ended: by account, instrument and reason, and how long they stood."""
    return answer(place, lambda record: questions.cancels(only.scope(record.connection)))


@app.command
def rejects(*, place: Where = _HERE, only: Only = _ALL) -> int:
    """Count what was refused, by account, instrument and rule."""
    return answer(place, lambda record: questions.rejects(only.scope(record.connection)))


@app.command
def controls(sender: str = "admin", *, place: Where = _HERE, only: Only = _ALL) -> int:
    """List what an operator or a sidecar told the core, and the answers.

    Parameters
    ----------
    sender
        Who: admin, settlement, lending, oracle, reserves, tools.
    """
    return answer(place, lambda record: questions.controls(only.scope(record.connection), sender))


@app.command
def query(sql: str, *, place: Where = _HERE) -> int:
    """Ask in SQL (DuckDB's); `onebook audit tables` says what there is.

    Parameters
    ----------
    sql
        One statement, like "SELECT event, count(*) FROM order_record GROUP BY ALL".
    """
    return answer(place, lambda _: Question(sql))


@app.command
def tables(*, place: Where = _HERE) -> int:
    """List the tables and views that have something in them, with their columns."""
    return answer(place, lambda _: questions.shape())


@app.command
def export(directory: Path, *, place: Where = _HERE) -> int:
    """Write every table that has rows, and the views, to Parquet files.

    Parameters
    ----------
    directory
        Where to; it is made if it isn't there.
    """
    try:
        with opened(place) as record:
            directory.mkdir(parents=True, exist_ok=True)
            for name, *_ in list(rows_of(questions.shape().ask(record.connection))):
                target = directory / f"{name}.parquet"
                quoted = str(target).replace("'", "''")
                record.connection.execute(
                    f"COPY (FROM {name}) TO '{quoted}' (FORMAT parquet, COMPRESSION zstd)"
                )
                print(target)
    except (AuditError, OSError, duckdb.Error) as error:
        return fail(error)
    return 0


@app.command
def surveil(
    *, since: datetime | None = None, follow: bool = False, place: Where = _HERE
) -> int:
    """Look for market abuse: wash, layering, pinning at expiry, front-running, ramping.

    Parameters
    ----------
    since
        Only what came from this time of UTC on, like 2026-01-31T12:00:00.
    follow
        Go on looking every two seconds, until interrupted; each alert is told once.
    """
    from tools.surveillance.run import Patrol
    from tools.surveillance.run import surveil as look

    try:
        with opened(place) as record:
            if not follow:
                raised = look(record.connection, since)
                show(list(ALERT), map(alert_row, raised), place.format)
                return 0
            patrol = Patrol(record.connection, since)
            while True:
                show(list(ALERT), map(alert_row, patrol.look()), place.format, quiet=True)
                sys.stdout.flush()
                time.sleep(FOLLOW_SECONDS)
                record.update()
    except (AuditError, duckdb.Error) as error:
        return fail(error)
    except KeyboardInterrupt:
        return 0


FOLLOW_SECONDS = 2.0
ALERT = ("time", "alert", "instrument", "owners", "what", "orders")


def alert_row(alert: "Alert") -> tuple[Any, ...]:
    """An alert as a row of `ALERT`; of its orders the first five."""
    more = f" and {len(alert.orders) - 5} more" if len(alert.orders) > 5 else ""
    orders = ", ".join(map(str, alert.orders[:5])) + more
    return alert.time, alert.kind, alert.instrument, ", ".join(alert.owners), alert.text, orders


def opened(place: Place) -> Record:
    """The record, read to its end, with progress if that takes a while. Raises AuditError."""
    record = Record(data_directory(place.instance, place.data), place.database)
    try:
        record.update(_Progress())
    except AuditError:
        record.__exit__(None, None, None)
        raise
    return record


def answer(place: Place, ask: Callable[[Record], Question]) -> int:
    """Print the answer to a question; the exit code."""
    try:
        with opened(place) as record:
            found = ask(record).ask(record.connection)
            show(found.schema.names, rows_of(found), place.format)
    except (AuditError, duckdb.Error) as error:
        return fail(error)
    except BrokenPipeError:
        sys.stderr.close()
    return 0


def rows_of(batches: pa.RecordBatchReader) -> Iterator[tuple[Any, ...]]:
    """An answer row by row; times as text, for Python's own have no nanoseconds."""
    for batch in batches:
        columns = (
            column.cast(pa.string()) if pa.types.is_timestamp(column.type) else column
            for column in batch.columns
        )
        yield from zip(*(column.to_pylist() for column in columns), strict=True)


def show(
    names: list[str], rows: Iterator[tuple[Any, ...]], format: str, quiet: bool = False
) -> None:
    """Rows as a table, CSV, or JSON lines; what is empty everywhere is left out of a table.

    quiet: don't say that there is nothing.
    """
    if format == "json":
        for row in rows:
            print(msgspec.json.encode(dict(zip(names, map(_plain, row), strict=True))).decode())
        return
    if format == "csv":
        writer = csv.writer(sys.stdout)
        writer.writerow(names)
        writer.writerows([_plain(value) for value in row] for row in rows)
        return
    lines = [[_text(value) for value in row] for row in rows]
    used = [i for i in range(len(names)) if any(line[i] for line in lines)]
    table = Table(box=None)
    for i in used:
        number = any(line[i][:1].isdigit() or line[i][:1] == "-" for line in lines)
        table.add_column(names[i], justify="right" if number else "left", no_wrap=True)
    for line in lines:
        table.add_row(*(line[i] for i in used))
    console = Console(width=None if sys.stdout.isatty() else 20_000)
    if lines:
        console.print(table, markup=False)
    elif not quiet:
        console.print("nothing")


def _plain(value: Any) -> Any:
    """A value for CSV and JSON: decimals without trailing zeros, bytes in hexadecimal."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return _text(value)


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bytes):
        shown = value.replace(b"\x01", b"|")
        return shown.decode() if shown.isascii() and shown.decode().isprintable() else value.hex()
    text = format(value, "f") if hasattr(value, "normalize") else str(value)
    return text.rstrip("0").rstrip(".") if hasattr(value, "normalize") and "." in text else text


class _Progress:
    """Says on standard error how far the reading is, once it has taken a second."""

    def __init__(self) -> None:
        self._next = time.monotonic() + 1

    def __call__(self, text: str) -> None:
        if time.monotonic() < self._next:
            return
        terminal = sys.stderr.isatty()
        self._next = time.monotonic() + (0.2 if terminal else 5)
        print(f"reading: {text}", end="\r" if terminal else "\n", file=sys.stderr, flush=True)
