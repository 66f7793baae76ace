"""The input of a replay: one row a message, `seq,action,order_id,side,price,qty`.

    action    order_id   side     price      qty
    add       new        B or S   decimal    decimal
    cancel    known                          decimal, the amount removed
    delete    known
    replace   known               decimal    decimal, the new open quantity
    market    new        B or S              decimal

`seq` is the recording's own and is only given back. Prices and quantities become whole multiples
of the finest decimal place that occurs in their column.
"""

import csv
from collections.abc import Iterable, Iterator
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import NamedTuple

COLUMNS = ("seq", "action", "order_id", "side", "price", "qty")
ACTIONS = {"add": 1, "cancel": 2, "delete": 3, "replace": 4, "market": 5}
SIDES = {"B": 1, "S": 2}
_NEEDS_SIDE = ("add", "market")
_NEEDS_PRICE = ("add", "replace")
_NEEDS_QUANTITY = ("add", "cancel", "replace", "market")
DECIMALS_MAX = 8


class ReplayError(Exception):
    """The input can't be replayed; the text is one line with the line number."""


class Row(NamedTuple):
    """One message. `side` is 1 buy, 2 sell, 0 not given; `price` and `quantity` may be None."""

    line: int
    seq: str
    action: str
    order_id: str
    side: int
    price: Decimal | None
    quantity: Decimal | None


def read_rows(path: Path) -> Iterator[Row]:
    """The rows of a file, each checked by itself. Raises ReplayError."""
    with path.open(newline="") as file:
        reader = csv.reader(file)
        header = next(reader, [])
        if [name.strip() for name in header] != list(COLUMNS):
            raise ReplayError(f"{path}: expected the header {','.join(COLUMNS)}")
        for fields in reader:
            if fields:
                yield _row(path, reader.line_num, fields)


def _row(path: Path, line: int, fields: list[str]) -> Row:
    where = f"{path}:{line}"
    if len(fields) != len(COLUMNS):
        raise ReplayError(f"{where}: expected {len(COLUMNS)} fields, was {len(fields)}")
    seq, action, order_id, side, price, quantity = (field.strip() for field in fields)
    if action not in ACTIONS:
        raise ReplayError(f"{where}: action: expected one of {', '.join(ACTIONS)}, was {action!r}")
    if order_id == "" and action != "market":
        raise ReplayError(f"{where}: order_id: required")
    if action in _NEEDS_SIDE and side not in SIDES:
        raise ReplayError(f"{where}: side: expected B or S, was {side!r}")
    return Row(
        line,
        seq,
        action,
        order_id,
        SIDES.get(side, 0),
        _number(where, "price", price, action in _NEEDS_PRICE),
        _number(where, "qty", quantity, action in _NEEDS_QUANTITY),
    )


def _number(where: str, name: str, text: str, required: bool) -> Decimal | None:
    """A positive decimal, or None where none is needed."""
    if not required:
        return None
    try:
        value = Decimal(text)
    except InvalidOperation:
        raise ReplayError(f"{where}: {name}: expected a decimal, was {text!r}") from None
    if not value.is_finite() or value <= 0:
        raise ReplayError(f"{where}: {name}: expected more than 0, was {text!r}")
    if _decimals(value) > DECIMALS_MAX:
        raise ReplayError(f"{where}: {name}: at most {DECIMALS_MAX} decimals, was {text!r}")
    return value


def _decimals(value: Decimal) -> int:
    exponent = value.normalize().as_tuple().exponent
    assert isinstance(exponent, int)
    return max(0, -exponent)


def finest(values: Iterable[Decimal | None]) -> int:
    """The most decimal places that any of the values uses."""
    return max((_decimals(value) for value in values if value is not None), default=0)


def scaled(value: Decimal, exponent: int) -> int:
    """The value in units of 10 ** -exponent, exactly."""
    return int(value.scaleb(exponent))
