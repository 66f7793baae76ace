"""Scenarios whose losses are nearly the same: the core leaves none out that may be the worst.

The core judges exactly only the scenarios that floats don't rule out (core.engine.margin.rough);
the reference judges all of them. So the accounts here are so small that the losses of scenarios
differ by about what counts as the same, or not at all, or differ hugely from one to the next.
"""

import json
import random
from typing import Any

import pytest

from core.engine.margin import rough
from core.margin_reference import account
from tests.core.margin_reference.accounts import PUBLISHED
from tools import margin_cases

COUNT = 60

def _link(dice: random.Random, number: int, index: float, size: float) -> dict[str, Any]:
    strike = index * dice.choice((0.9, 0.99, 1.0, 1.01, 1.1))
    quantity = dice.choice((-1, 1)) * max(1, round(size * dice.choice((1, 1, 2, 30))))
    return {"name": f"L{number}", "type": dice.choice(("above", "below")), "mark": "0.5",
            "qty": f"{quantity / 1e8:.8f}", "strike": f"{strike:.12f}",
            "tau_s": dice.choice((60, 3600, 86_400))}


def _case(dice: random.Random, number: int, index: float, size: float) -> dict[str, Any]:
    lots = max(1, round(size * dice.choice((1, 2, 5))))
    unit = {"name": "BTC", "params": "BTC", "index": f"{index:.12f}",
            "perp_qty": f"{dice.choice((-1, 0, 1)) * lots / 1e8:.8f}",
            "digitals": [_link(dice, n, index, size) for n in range(dice.randrange(3))]}
    orders = [
        {"kind": "perp", "underlying": "BTC", "side": side, "qty": f"{lots / 1e8:.8f}",
         "price": f"{index * dice.choice((0.999, 1.0, 1.05)):.12f}"}
        for side in ("buy", "sell") if dice.random() < 0.4
    ]
    return {"id": str(number), "underlyings": [unit], "orders": orders}


@pytest.mark.parametrize(("index", "size"), [(1e-7, 1), (1e-5, 3), (1.0, 1), (50_000.0, 10_000)])
def test_the_worst_of_nearly_equal_scenarios_is_the_reference_s(index, size):
    dice = random.Random(f"{index} {size}")
    parameters = json.loads(PUBLISHED.read_text())["underlying_params"]
    content = {"underlying_params": parameters,
               "cases": [_case(dice, number, index, size) for number in range(COUNT)]}
    ours, theirs = margin_cases.compute(content), account.compute(content)
    assert ours == theirs


def test_what_floats_may_be_off_by_is_less_than_the_doubt():
    """The bound that rough.py states: terms, moves and weights, doubled, for both sides."""
    terms = 3 * 1024 + 32 + 4096
    off = 500 * (terms * 2.0**-53 + 2 * 2.0**-46) * 11
    assert 2 * off < rough._DOUBT
