"""A live account's margin: as a case file with `expected`, or what orders would do to it."""

import json
import sys
import time
from collections.abc import Callable
from fractions import Fraction
from typing import Any

from rich.console import Console
from rich.table import Table

from core.errors import CoreError
from core.margin_reference.case import CaseError
from tools import what_if as wishes
from tools.hedges import on_offer
from tools.live_account import (
    Unwritable,
    account_number,
    case_file,
    check_steps,
    instrument_of,
    perpetuals_of,
    place_of,
)
from tools.running import Running
from tools.stores import EXIT_USAGE, fail

WIDTH = 150  # where nobody says how wide the screen is
Compute = Callable[[dict[str, Any]], dict[str, Any]]


def show(instance: str, account: str, words: list[str], compute: Compute) -> int:
    """Print a live account as a case file, or a table of what orders would do to it; exit code."""
    try:
        asked = [wishes.parse(entry) for entry in words]
        content, places = _read(instance, account, asked)
        before = compute(content)
        if asked:
            console = Console(width=None if sys.stdout.isatty() else WIDTH)
            show_wishes(content, list(zip(places, asked, strict=True)), compute, console)
        else:
            print(json.dumps(before, indent=1, ensure_ascii=False))
    except (CoreError, Unwritable) as error:
        return fail(error)
    except CaseError as error:
        return fail(f"account {account}: {error}")
    except wishes.WrongWish as error:
        fail(error)
        return EXIT_USAGE
    return 0


def _read(
    instance: str, account: str, asked: list[wishes.Wish]
) -> tuple[dict[str, Any], list[dict[str, str]]]:
    """The account with the instruments asked for, and what the orders are on."""
    with Running(instance) as running:
        def look(s: Any) -> tuple[dict[str, Any], list[dict[str, str]]]:
            holder = account_number(s, account)
            now = time.time_ns()
            numbers = [instrument_of(s, wish.symbol) for wish in asked]
            for number, wish in zip(numbers, asked, strict=True):
                check_steps(s, number, wish.quantity, wish.price)
            also = [*numbers, *perpetuals_of(s, holder, numbers)]
            content = case_file(s, holder, running.volatility, now, also)
            return content, [place_of(s, number, now) for number in numbers]

        return running.read(look)


def show_wishes(
    content: dict[str, Any], asked: list[tuple[dict[str, str], wishes.Wish]], compute: Compute,
    console: Console,
) -> None:
    """Print the account's numbers before, with the orders resting, filled, and with each hedge.

    Raises CaseError for an order that no account could have.
    """
    table = Table("", "equity", "initial", "maintenance", "free", "frees", title_justify="left")
    for column in table.columns[1:]:
        column.justify = "right"
    _row(table, "now", compute(content))
    resting, filled = content, content
    for place, wish in asked:
        resting = wishes.resting(resting, place, wish)
        filled = wishes.filled(filled, place, wish)
    _row(table, "orders resting", compute(resting))
    done = compute(filled)
    _row(table, "orders filled", done)
    for hedge in on_offer(done, compute):
        _row(table, f"then {hedge.label}", hedge.content, f"{float(hedge.freed):,.2f}")
    console.print(table)


def _row(table: Table, label: str, content: dict[str, Any], frees: str = "") -> None:
    found = content["cases"][0]["expected"]
    numbers = (Fraction(found[name]) for name in ("equity", "im", "mm", "free_im"))
    table.add_row(label, *(f"{float(number):,.2f}" for number in numbers), frees)
