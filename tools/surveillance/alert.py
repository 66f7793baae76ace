"""What a detector raises, and what all detectors look at: who traded with whom, how orders lived.

    watched_trade   one row a trade, in YES terms: both sides' accounts, owners and orders
    watched_order   one row an order: whose, side, price, quantity, when it came and how it ended

A detector is a function of the connection and its own limits to a list of alerts.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import duckdb

Connection = duckdb.DuckDBPyConnection

_WATCH = """
CREATE OR REPLACE TEMP TABLE watched_trade AS
    SELECT *, epoch_ns(time) AS moment FROM trade
    WHERE time >= coalesce($since::TIMESTAMP_NS, time);
CREATE OR REPLACE TEMP TABLE watched_order AS
    SELECT order_id, any_value(owner) AS owner, any_value(instrument) AS instrument,
           any_value(buys) AS buys, arg_max(yes_price, entry) AS price,
           max(order_qty) AS quantity, max(cum_qty) AS filled,
           min(epoch_ns(time)) AS entered,
           max(epoch_ns(time)) FILTER (leaves_qty = 0) AS ended,
           coalesce(bool_or(exec_type = 'Canceled'
               AND reason IN ('UserRequest', 'MassCancel', 'QuoteReplaced')), false) AS withdrawn
    FROM order_event
    WHERE exec_type NOT IN ('OrderStatus', 'Rejected')
        AND time >= coalesce($since::TIMESTAMP_NS, time)
    GROUP BY order_id
"""


@dataclass(frozen=True, slots=True)
class Alert:
    """One suspicion. `key` says which it is, however often it is looked for."""

    kind: str
    time: str  # of the last thing that belongs to it, UTC
    instrument: str
    owners: tuple[str, ...]
    text: str
    orders: tuple[int, ...]

    @property
    def key(self) -> tuple[str, str, tuple[str, ...], tuple[int, ...]]:
        """The same for the same suspicion; it grows by more orders, and keeps its first."""
        return self.kind, self.instrument, self.owners, self.orders[:1]


def watch(connection: Connection, since: datetime | None = None) -> None:
    """Prepare what the detectors look at: everything, or what came since then (UTC)."""
    for statement in _WATCH.split(";\n"):
        if statement.strip():
            moment = since.replace(tzinfo=None) if since else None
            connection.execute(statement, {"since": moment})


def found(connection: Connection, sql: str, limits: Any, text: str) -> list[Alert]:
    """Alerts from the rows of a query: kind, time, instrument, owners, orders, then the text's.

    limits: a dataclass whose fields are the query's parameters, those it names. text: a format that
    gets the query's further columns by their names.
    """
    values = {name: getattr(limits, name) for name in limits.__slots__ if f"${name}" in sql}
    answer = connection.execute(sql, values)
    names = [column[0] for column in answer.description or ()]
    alerts = []
    for row in answer.fetchall():
        fields = dict(zip(names, row, strict=True))
        alerts.append(Alert(
            fields["kind"], str(fields["time"]), fields["instrument"], tuple(fields["owners"]),
            text.format(**fields), tuple(fields["orders"]),
        ))
    return alerts
