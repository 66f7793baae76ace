"""What a detector raises, and what all detectors look at: who traded with whom, how orders lived.

    watched_trade   one row a trade, in YES terms: both sides' accounts, owners and orders
    watched_order   one row an order: whose, side, price, quantity, when it came and how it ended

Both are tables that `Watch.update` brings up to the record's end from where they were: looking
again costs what is new. A detector is a function of the connection, its own limits and a time from
which on it is asked, to a list of alerts.
"""

from dataclasses import dataclass
from typing import Any

import duckdb

Connection = duckdb.DuckDBPyConnection

_TRADES = """
    SELECT min(entry) AS entry, min(sequence) AS sequence, min(time) AS time, trade_id,
           any_value(instrument) AS instrument, any_value(yes_last) AS price,
           any_value(last_qty) AS quantity,
           any_value(order_id) FILTER (buys) AS buy_order,
           any_value(order_id) FILTER (NOT buys) AS sell_order,
           any_value(account) FILTER (buys) AS buyer,
           any_value(account) FILTER (NOT buys) AS seller,
           any_value(owner) FILTER (buys) AS buy_owner,
           any_value(owner) FILTER (NOT buys) AS sell_owner,
           CASE WHEN bool_or(buys AND last_liquidity = 'Taker') THEN 'Buy'
                WHEN bool_or(NOT buys AND last_liquidity = 'Taker') THEN 'Sell' END AS aggressor,
           epoch_ns(min(time)) AS moment
    FROM order_event WHERE exec_type = 'Trade' AND sequence > $done AND sequence <= $upto
    GROUP BY trade_id ORDER BY entry
"""
_ORDERS = """
    SELECT order_id, any_value(owner) AS owner, any_value(instrument) AS instrument,
           any_value(buys) AS buys, arg_max(yes_price, entry) AS price,
           max(order_qty) AS quantity, max(cum_qty) AS filled,
           min(epoch_ns(time)) AS entered,
           max(epoch_ns(time)) FILTER (leaves_qty = 0) AS ended,
           coalesce(bool_or(exec_type = 'Canceled'
               AND reason IN ('UserRequest', 'MassCancel', 'QuoteReplaced')), false) AS withdrawn
    FROM order_event
    WHERE exec_type NOT IN ('OrderStatus', 'Rejected') AND sequence > $done AND sequence <= $upto
    GROUP BY order_id
"""
# What came later of an order that was known: what only the first event says stays as it was.
_MERGE = """
    UPDATE watched_order o SET price = coalesce(n.price, o.price),
        quantity = greatest(o.quantity, n.quantity), filled = greatest(o.filled, n.filled),
        ended = coalesce(n.ended, o.ended), withdrawn = o.withdrawn OR n.withdrawn
    FROM new_order n WHERE n.order_id = o.order_id;
INSERT INTO watched_order SELECT * FROM new_order n
    WHERE NOT EXISTS (SELECT 1 FROM watched_order o WHERE o.order_id = n.order_id)
"""


class Watch:
    """The tables that detectors look at, of one connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._done = 0
        nothing = {"done": 0, "upto": 0}
        for name, query in (("trade", _TRADES), ("order", _ORDERS)):
            connection.execute(f"CREATE OR REPLACE TEMP TABLE watched_{name} AS {query}", nothing)

    def update(self, whole: bool = True) -> None:
        """Take what the record has got since the last time.

        whole: the record ends with a whole command; else its last waits, its events may be half.
        """
        connection = self._connection
        last = "max(sequence)" if whole else "max(sequence) - 1"
        found = connection.execute(f"SELECT {last} FROM execution_report").fetchone()
        upto = found[0] if found and found[0] is not None else 0
        if upto <= self._done:
            return
        new = {"done": self._done, "upto": upto}
        connection.execute(f"INSERT INTO watched_trade {_TRADES}", new)
        connection.execute(f"CREATE OR REPLACE TEMP TABLE new_order AS {_ORDERS}", new)
        for statement in _MERGE.split(";\n"):
            connection.execute(statement)
        self._done = upto


@dataclass(frozen=True, slots=True)
class Alert:
    """One suspicion. `key` says which it is, however often it is looked for."""

    kind: str
    time: str  # of the last thing that belongs to it, UTC
    instrument: str
    owners: tuple[str, ...]
    text: str
    orders: tuple[int, ...]


def found(
    connection: Connection, sql: str, limits: Any, text: str, since: int = 0
) -> list[Alert]:
    """Alerts from the rows of a query: kind, time, instrument, owners, orders, then the text's.

    limits: a dataclass whose fields are the query's parameters, those it names. text: a format that
    gets the query's further columns by their names. since: the query's parameter of that name, ns.
    """
    given = {name: getattr(limits, name) for name in limits.__slots__} | {"since": since}
    values = {name: value for name, value in given.items() if f"${name}" in sql}
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
