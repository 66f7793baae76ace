"""The questions that are asked most, ready made: an order's life, an account's day, and so on."""

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

import duckdb
import pyarrow as pa

from tools.audit.record import AuditError

Connection = duckdb.DuckDBPyConnection


@dataclass(frozen=True, slots=True)
class Question:
    """A query and its parameters."""

    sql: str
    parameters: list[Any] = field(default_factory=list)

    def ask(self, connection: Connection) -> pa.RecordBatchReader:
        """The answer, batch by batch. Raises AuditError for what SQL doesn't take."""
        try:
            statements = connection.extract_statements(self.sql)
            if [s.type for s in statements] != [duckdb.StatementType.SELECT]:
                raise AuditError("expected one SELECT: the record is asked, not changed")
            found = connection.sql(self.sql, params=self.parameters)
            return found.to_arrow_reader(10_000)
        except duckdb.Error as error:
            raise AuditError(str(error)) from error


@dataclass(frozen=True, slots=True)
class Scope:
    """What a question is narrowed to: an account, an instrument, times [since, until)."""

    account: int | None = None
    instrument: int | None = None
    since: datetime | None = None
    until: datetime | None = None

    def where(self, *accounts: str, instrument: str = "instrument") -> tuple[str, list[Any]]:
        """The condition on columns that hold the account's number (any of them) and times."""
        terms: list[str] = ["true"]
        values: list[Any] = []
        if self.account is not None:
            terms.append("(" + " OR ".join(f"{column} = ?" for column in accounts) + ")")
            values += [self.account] * len(accounts)
        if self.instrument is not None:
            terms.append(f"{instrument} = ?")
            values.append(self.instrument)
        for sign, moment in ((">=", self.since), ("<", self.until)):
            if moment is not None:
                terms.append(f"time {sign} ?::TIMESTAMP_NS")
                values.append(moment.replace(tzinfo=None))
        return " AND ".join(terms), values


def day_of(day: date) -> tuple[datetime, datetime]:
    """A day of UTC as [since, until)."""
    since = datetime(day.year, day.month, day.day, tzinfo=UTC)
    return since, since + timedelta(days=1)


def account_number(connection: Connection, name: str) -> int:
    """An account by its name or number. Raises AuditError."""
    return _number(connection, "account", "name", name)


def instrument_number(connection: Connection, symbol: str) -> int:
    """An instrument by its symbol or number. Raises AuditError."""
    return _number(connection, "instrument", "symbol", symbol)


def _number(connection: Connection, table: str, column: str, name: str) -> int:
    found = connection.execute(
        f"SELECT number FROM {table} WHERE {column} = ? OR number::VARCHAR = ?", [name, name]
    ).fetchall()
    if not found:
        raise AuditError(f"no {table} of the name or number {name}")
    if len(found) > 1:
        numbers = ", ".join(str(row[0]) for row in found)
        raise AuditError(f"{len(found)} have the name {name}; which number? {numbers}")
    return int(found[0][0])


def order(connection: Connection, name: str) -> Question:
    """An order's life: every event, with what caused it. Raises AuditError if there is none.

    name: the exchange's number, the client's number, or a FIX ClOrdID.
    """
    text = f"11={name}\x01".encode().hex().upper()
    found = connection.execute(
        "SELECT DISTINCT order_id FROM execution_report WHERE order_id::VARCHAR = $1 "
        "OR cl_ord_id::VARCHAR = $1 OR contains(hex(echo), $2)", [name, text],
    ).fetchall()
    if not found:
        raise AuditError(f"no order of the number {name}")
    return Question(
        "SELECT time, sequence, order_id, event, status, instrument, client, account, "
        "decision_maker, algorithm, side, outcome, type, validity, restrictions, price, "
        "quantity, last_price, last_quantity, filled, leaves, trade_id, fee, reason, received, "
        "priority_time, cause, cause_from FROM order_record "
        "WHERE order_id IN (SELECT unnest(?)) ORDER BY entry",
        [[int(row[0]) for row in found]],
    )


def account_day(scope: Scope) -> Question:
    """All that an account did and all that happened to it, in order."""
    where, values = scope.where("account_number", instrument="instrument_number")
    limits = scope.since, scope.until
    return Question(
        f"WITH mine AS MATERIALIZED (SELECT * FROM order_record WHERE {where}) "
        "SELECT time, sequence, event AS what, instrument, order_id, side, outcome, "
        "coalesce(last_price, price) AS price, coalesce(last_quantity, quantity) AS quantity, "
        "leaves, NULL::DECIMAL(38,12) AS change, NULL::VARCHAR AS asset, "
        "NULL::DECIMAL(38,12) AS balance, reason, entry FROM mine "
        "UNION ALL BY NAME "
        "SELECT time, sequence, what, m.instrument, change, asset, balance, entry FROM money m "
        "WHERE account = ? AND time >= coalesce(?::TIMESTAMP_NS, time) "
        "AND time < coalesce(?::TIMESTAMP_NS, time + INTERVAL 1 SECOND) "
        "ORDER BY entry",
        [*values, scope.account, *(m and m.replace(tzinfo=None) for m in limits)],
    )


def trades(scope: Scope) -> Question:
    """Trades with both sides."""
    where, values = scope.where("buyer", "seller")
    return Question(
        "SELECT t.time, t.sequence, t.trade_id, i.symbol AS instrument, t.price, t.quantity, "
        "t.aggressor, b.name AS buyer, t.buy_order, units(t.buy_fee, i.quote_decimals) AS buy_fee, "
        "s.name AS seller, t.sell_order, units(t.sell_fee, i.quote_decimals) AS sell_fee "
        f"FROM (SELECT * FROM trade WHERE {where}) t "
        "LEFT JOIN instrument i ON i.number = t.instrument "
        "LEFT JOIN account b ON b.number = t.buyer LEFT JOIN account s ON s.number = t.seller "
        "ORDER BY t.entry",
        values,
    )


def cancels(scope: Scope) -> Question:
    """Orders by account and instrument: how many ended how, and how long they stood."""
    where, values = scope.where("account")
    return Question(
        "WITH life AS (SELECT order_id, any_value(account) AS account, "
        "any_value(instrument) AS instrument, min(time) AS began, "
        "max(time) FILTER (exec_type IN ('Canceled', 'Expired')) AS ended, "
        "any_value(reason::VARCHAR) FILTER (exec_type IN ('Canceled', 'Expired')) AS why, "
        "arg_max(leaves_qty, entry) AS leaves, "
        "bool_or(exec_type = 'Trade') AS traded, "
        "max(order_qty - cum_qty) FILTER (exec_type IN ('Canceled', 'Expired')) AS given_up "
        f"FROM order_event WHERE exec_type NOT IN ('OrderStatus', 'Rejected') AND {where} "
        "GROUP BY order_id) "
        "SELECT a.name AS account, i.symbol AS instrument, coalesce(why, CASE leaves WHEN 0 THEN "
        "'Filled' ELSE 'open' END) AS ended_by, count(*) AS orders, "
        "count(*) FILTER (traded) AS traded, "
        "sum(given_up) AS quantity_given_up, "
        "median(epoch_ns(ended) - epoch_ns(began)) / 1e9 AS median_seconds "
        "FROM life LEFT JOIN account a ON a.number = life.account "
        "LEFT JOIN instrument i ON i.number = life.instrument GROUP BY ALL ORDER BY ALL",
        values,
    )


def rejects(scope: Scope) -> Question:
    """What was refused, by account, instrument and rule, with the last value that broke it."""
    where, values = scope.where("account")
    return Question(
        "SELECT a.name AS account, i.symbol AS instrument, reason::VARCHAR AS reason, count(*) "
        "AS times, min(time) AS first, max(time) AS last, arg_max(detail, entry) AS detail, "
        'arg_max("limit", entry) AS "limit" '
        f"FROM (SELECT * FROM execution_report WHERE exec_type = 'Rejected' AND {where}) r "
        "LEFT JOIN account a ON a.number = r.account "
        "LEFT JOIN instrument i ON i.number = r.instrument GROUP BY ALL ORDER BY times DESC",
        values,
    )


def controls(scope: Scope, sender: str = "admin") -> Question:
    """What a producer told the core, with the core's answer."""
    where, values = Scope(since=scope.since, until=scope.until).where()
    return Question(
        f'SELECT * FROM control WHERE "from" = ? AND {where} ORDER BY sequence', [sender, *values]
    )


def shape() -> Question:
    """Every table and view with its columns; how many rows a table has."""
    return Question(
        "SELECT c.table_name AS \"table\", CASE WHEN v.view_name IS NULL THEN 'table' ELSE 'view' "
        "END AS kind, t.estimated_size AS rows, string_agg(c.column_name, ', ' ORDER BY "
        "c.column_index) AS columns FROM duckdb_columns() c "
        "LEFT JOIN duckdb_views() v ON v.view_name = c.table_name AND NOT v.internal "
        "LEFT JOIN duckdb_tables() t ON t.table_name = c.table_name "
        "WHERE NOT c.internal AND c.table_name NOT LIKE '\\_%' ESCAPE '\\' "
        "AND coalesce(t.estimated_size, 1) > 0 GROUP BY ALL ORDER BY kind DESC, 1"
    )
