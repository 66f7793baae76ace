"""Each invariant of liquidations is broken by hand once, and its number comes back."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.core.engine.exchange import ANN, BOB, CAT, PERP, _check
from tests.core.engine.liquidation.kit import MICRO, Court, court


def lively() -> Court:
    """Watches, a pledge, and a liquidation under way."""
    house = court()
    for account in (110, 111, 112):
        house.account(account, account)
        house.deposit(account, 12_000)
        house.trade(account, BOB, PERP, 0.5 + (account == 110) * 0.5, 100_000)
    assert house.send("SetBackstop", account=CAT, instrument=PERP, commitment=MICRO) == 0
    house.price(93_500)
    house.tick()
    assert house.s["liquidations"] == 1
    return house


def change(amount: int, *path: Any) -> Callable[[Any], None]:
    def corrupt(s: Any) -> None:
        record = s
        for step in path[:-1]:
            record = record[step]
        record[path[-1]] += amount

    return corrupt


def leaf(s: Any) -> int:
    """A watch with another above it."""
    watches = s["watches"]
    return next(n for n in range(1, len(watches)) if watches[n]["parent"])


BREAKS: list[tuple[int, Callable[[Any], None]]] = [
    (16, change(1, "insurance_advanced")),
    (16, change(-1, "markets", PERP, "insurance_lost")),
    (17, change(1, "backstops", 1, "pledged")),
    (17, change(1, "accounts", CAT, "backstop")),
    (18, lambda s: s["watches"][leaf(s)].__setitem__("key", -(1 << 60))),
    (18, lambda s: s["watches"][leaf(s)].__setitem__("rank", 9)),
    (18, lambda s: s["accounts"][ANN].__setitem__("watch_next", -1)),
    (18, lambda s: s["accounts"][111].__setitem__("first_watch", 0)),
    (19, change(1, "liquidations")),
    (19, change(1, "accounts", 111, "liquidation")),
]


@pytest.mark.parametrize(("number", "corrupt"), BREAKS)
def test_a_broken_invariant_is_named(number: int, corrupt: Callable[[Any], None]) -> None:
    house = lively()
    assert _check(house.state) == 0
    corrupt(house.s)
    assert _check(house.state) == number
