"""The input of a replay: one row a message, `seq,action,order_id,side,price,qty`.

    action    order_id   side     price      qty
    add       new        B or S   decimal    decimal
    cancel    known                          decimal, the amount removed
    delete    known
    replace   known               decimal    decimal, the new open quantity
    market    new        B or S              decimal

`seq` is the recording's own and is only given back. The columns may stand in any order.
"""

import csv
import re
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

from tools.replay.scale import places_of

COLUMNS = ("seq", "action", "order_id", "side", "price", "qty")
ACTIONS = {"add": 1, "cancel": 2, "delete": 3, "replace": 4, "market": 5}
SIDES = {"B": 1, "S": 2}
_NEEDS_SIDE = ("add", "market")
_NEEDS_PRICE = ("add", "replace")
_NEEDS_QUANTITY = ("add", "cancel", "replace", "market")
_DECIMAL = re.compile(r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)(e[-+]?[0-9]{1,2})?", re.IGNORECASE)
DIGITS_MAX = 18


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
    with path.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.reader(file, strict=True)
        try:
            places = _places(path, next(reader, []))
            for fields in reader:
                if any(map(str.strip, fields)):
                    yield _row(path, reader.line_num, fields, places)
        except csv.Error as error:
            raise ReplayError(f"{path}:{reader.line_num}: {error}") from None
        except UnicodeDecodeError as error:
            raise ReplayError(f"{path}: {error}") from None


def _places(path: Path, header: list[str]) -> list[int]:
    """Where each of COLUMNS stands."""
    names = [name.strip() for name in header]
    if sorted(names) != sorted(COLUMNS):
        raise ReplayError(
            f"{path}:1: expected the header {','.join(COLUMNS)}, was {','.join(names)!r}")
    return [names.index(name) for name in COLUMNS]


def _row(path: Path, line: int, fields: list[str], places: list[int]) -> Row:
    where = f"{path}:{line}"
    if len(fields) != len(COLUMNS):
        raise ReplayError(f"{where}: expected {len(COLUMNS)} fields, was {len(fields)}")
    seq, action, order_id, side, price, quantity = (fields[place].strip() for place in places)
    if action not in ACTIONS:
        raise ReplayError(f"{where}: action: expected one of {', '.join(ACTIONS)}, was {action!r}")
    if order_id == "" and action != "market":
        raise ReplayError(f"{where}: order_id: required")
    if (side or action in _NEEDS_SIDE) and side not in SIDES:
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
    if not _DECIMAL.fullmatch(text):
        raise ReplayError(f"{where}: {name}: expected a decimal, was {text[:80]!r}")
    value = Decimal(text)
    if value <= 0:
        raise ReplayError(f"{where}: {name}: expected more than 0, was {text[:80]!r}")
    if value.adjusted() >= DIGITS_MAX or places_of(value) > DIGITS_MAX:
        raise ReplayError(
            f"{where}: {name}: at most {DIGITS_MAX} digits and decimals, was {text[:80]!r}")
    return value
