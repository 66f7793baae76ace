"""Statements: what one account had, what moved it, and what it had then, for one day (UTC).

    time, asset, reason, instrument, amount, balance, counterparty, reference

One line for the opening balance of each asset, one for each posting in order, one for the closing
balance. The closing balance is the opening one plus all amounts, and the next day's opening one.
"""

import csv
import html
import io
import sqlite3
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import NamedTuple

from core.messages import decode_body, template
from core.reference import ReferenceData
from core.sidecars.books import (
    BACKSTOP_FUND,
    CLEARING,
    FEES,
    INSURANCE,
    LIQUIDITY,
    OUTSIDE,
    POOL,
    REASONS,
    ROUNDING,
    TRANSIT,
    WITHDRAWALS,
)

_LISTED = template("InstrumentListed")
SECOND = 1_000_000_000
DAY = 86_400 * SECOND
FIRST_CLIENT = 100  # Only accounts of the house are a posting's contra.
COLUMNS = ("time", "asset", "reason", "instrument", "amount", "balance", "counterparty",
           "reference")
HOUSE = {
    OUTSIDE: "outside", FEES: "fees", INSURANCE: "insurance", CLEARING: "clearing",
    POOL: "pool", WITHDRAWALS: "withdrawals", ROUNDING: "rounding", TRANSIT: "transfer",
    BACKSTOP_FUND: "backstop", LIQUIDITY: "liquidity",
}


class Line(NamedTuple):
    """One line of a statement, as text; amounts in whole assets."""

    time: str
    asset: str
    reason: str
    instrument: str
    amount: str
    balance: str
    counterparty: str
    reference: str


def day_bounds(day: date) -> tuple[int, int]:
    """Beginning and end of a day, ns UTC."""
    begin = int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * SECOND
    return begin, begin + DAY


def statement(
    connection: sqlite3.Connection, reference: ReferenceData, account: int, day: date
) -> Iterator[Line]:
    """The lines of an account's day, asset by asset."""
    begin, end = day_bounds(day)
    symbols = symbols_of(connection)
    for asset in sorted(reference.assets.values(), key=lambda a: a.number):
        balance = _opening(connection, account, asset.number, begin)
        rows = []
        for side in _sides(account):
            rows += connection.execute(
                "SELECT id, time, account, contra, amount, reason, instrument, reference"
                f" FROM posting WHERE {side} = ? AND asset = ? AND time >= ? AND time < ?",
                (account, asset.number, begin, end),
            ).fetchall()
        if not rows and balance == 0:
            continue

        def text(units: int, decimals: int = asset.decimals) -> str:
            return f"{Decimal(units).scaleb(-decimals):f}"

        yield Line(_time(begin), asset.name, "opening", "", "", text(balance), "", "")
        for _, time, holder, contra, amount, reason, instrument, number in sorted(rows):
            other = contra if holder == account else holder
            change = amount if holder == account else -amount
            balance += change
            yield Line(
                _time(time), asset.name, REASONS[reason], symbol_at(symbols, instrument, time),
                text(change), text(balance), HOUSE.get(other, str(other)), str(number),
            )
        yield Line(_time(end - 1), asset.name, "closing", "", "", text(balance), "", "")


def symbols_of(connection: sqlite3.Connection) -> dict[int, list[tuple[int, str]]]:
    """By instrument number the symbols that it has had, each with the time of its listing."""
    symbols: dict[int, list[tuple[int, str]]] = {}
    for (body,) in connection.execute(
        "SELECT body FROM definition WHERE template = ? ORDER BY ordinal", (_LISTED,)
    ):
        listed = decode_body(_LISTED, body)
        entry = listed["header"]["transactTime"], listed["symbol"]
        symbols.setdefault(listed["instrument"], []).append(entry)
    return symbols


def symbol_at(symbols: dict[int, list[tuple[int, str]]], instrument: int, time: int) -> str:
    """What an instrument was called at a time; empty if there was none of the number."""
    found = [symbol for since, symbol in symbols.get(instrument, []) if since <= time]
    return found[-1] if found else ""


def _sides(account: int) -> dict[str, int]:
    """The columns of a posting in which an account can stand, with the sign of the amount."""
    return {"account": 1} if account >= FIRST_CLIENT else {"account": 1, "contra": -1}


def _opening(connection: sqlite3.Connection, account: int, asset: int, begin: int) -> int:
    total = 0
    for side, sign in _sides(account).items():
        (found,) = connection.execute(
            f"SELECT coalesce(sum(amount), 0) FROM posting WHERE {side} = ? AND asset = ?"
            " AND time < ?", (account, asset, begin)
        ).fetchone()
        total += sign * found
    return total


def _time(ns: int) -> str:
    seconds, rest = divmod(ns, SECOND)
    text = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{text}.{rest // 1000:06}Z"


def to_csv(lines: Iterator[Line]) -> str:
    """The statement as CSV with a head line."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(lines)
    return out.getvalue()


def to_html(lines: Iterator[Line], title: str) -> str:
    """The statement as a page of its own that prints well."""
    head = "".join(f"<th>{name}</th>" for name in COLUMNS)
    rows = "".join(
        "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in line) + "</tr>\n"
        for line in lines
    )
    style = (
        "@page{size:A4 landscape;margin:15mm}body{font:10pt sans-serif}"
        "table{border-collapse:collapse;width:100%}thead{display:table-header-group}"
        "th,td{border-bottom:1px solid #bbb;padding:2pt 6pt;text-align:left;"
        "font-variant-numeric:tabular-nums}"
        "td:nth-child(5),td:nth-child(6){text-align:right}"
    )
    name = html.escape(title)
    return (
        f'<!doctype html>\n<html lang="en"><meta charset="utf-8"><title>{name}</title>'
        f"<style>{style}</style>\n<h1>{name}</h1>\n"
        f"<table><thead><tr>{head}</tr></thead>\n<tbody>\n{rows}</tbody></table></html>\n"
    )
