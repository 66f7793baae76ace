"""Each invariant is broken by hand once, and its number comes back."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.core.engine.exchange import (
    ALPHA,
    ANN,
    BOB,
    CLEARING,
    LONE,
    PERP,
    USDC,
    Exchange,
    _check,
)


def lively() -> Exchange:
    house = Exchange().populate()
    for account in (ANN, BOB):
        house.deposit(account, 10_000)
    house.trade(ANN, BOB, PERP, 0.01, 100_000)
    house.trade(ANN, BOB, ALPHA, 10, 0.4)
    house.trade(ANN, BOB, LONE, 10, 0.4)
    house.order(ANN, PERP, "buy", 0.01, 99_000)
    house.order(BOB, PERP, "sell", 0.01, 101_000)
    house.order(ANN, LONE, "buy", 5, 0.3)
    house.margin(ANN)
    return house


def add(name: str, amount: int, *path: Any) -> Callable[[Any], None]:
    """What adds an amount to a field of the record at a path."""

    def corrupt(s: Any) -> None:
        record = s
        for step in path:
            record = record[step]
        record[name] += amount

    return corrupt


def of_position(name: str, amount: int, instrument: int) -> Callable[[Any], None]:
    def corrupt(s: Any) -> None:
        rows = s["positions"]
        number = next(i for i in range(1, len(rows)) if rows[i]["account"] == ANN
                      and rows[i]["instrument"] == instrument)
        rows[number][name] += amount

    return corrupt


def both_balances(s: Any) -> None:
    s["accounts"][ANN]["assets"][USDC]["balance"] += 1
    s["accounts"][CLEARING]["assets"][USDC]["balance"] -= 1
    s["assets"][USDC]["lent"] += 1


BREAKS: list[tuple[int, Callable[[Any], None]]] = [
    (1, add("balance", 1, "accounts", ANN, "assets", USDC)),
    (1, add("deposited", 1, "assets", USDC)),
    (2, of_position("quantity", 1, LONE)),
    (2, add("open_interest", 1, "instruments", LONE)),
    (3, both_balances),
    (3, of_position("unsettled", 1, PERP)),
    (4, add("reserved", 1, "accounts", ANN, "assets", USDC)),
    (5, of_position("open_buy", 1, PERP)),
    (5, of_position("open_sell_value", 1, PERP)),
    (5, of_position("lowest_buy_bits", 20, PERP)),
    (6, add("lent", 1, "assets", USDC)),
    (7, add("holders", 1, "instruments", PERP)),
    (8, add("open_orders", 1, "accounts", ANN)),
    (9, add("floor", 1, "accounts", ANN)),
    (10, add("profit", 1, "accounts", ANN)),
    (10, of_position("initial", 1, PERP)),
    (12, lambda s: s["instruments"][PERP]["best"].__setitem__(0, 5)),
    (14, lambda s: s["accounts"][ANN].__setitem__("assets_seen", 0)),
    (15, add("orders_open", 1)),
    (23, add("follower", 1, "accounts", ANN)),
    (23, add("following", 1, "sessions", 1)),
    (23, lambda s: s["changes"].__setitem__(1, -1)),
]


@pytest.mark.parametrize(("number", "corrupt"), BREAKS)
def test_a_broken_invariant_is_named(number: int, corrupt: Callable[[Any], None]) -> None:
    house = lively()
    assert _check(house.state) == 0
    corrupt(house.s)
    assert _check(house.state) == number


def test_a_wrong_level_and_a_wrong_group_are_named() -> None:
    house = lively()
    orders = house.s["orders"]
    slot = next(i for i in range(1, len(orders)) if orders[i]["state"] == 1)
    level = int(orders[slot]["level"])
    house.s["pages"][level >> 6]["level"][level & 63]["quantity"] += 1
    assert _check(house.state) == 13
    house = lively()
    house.s["groups"][1]["gain"][0] += 1
    assert _check(house.state) == 11
