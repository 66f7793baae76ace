"""Random accounts in the format of a case file: all that an account can have, at any size.

    file = case_file(seed, 100)       the same for the same seed

Most numbers lie on grids as a venue's do (whole ticks and lots, strikes at round prices), because
that is where exact results end on a whole cent and rounding shows; some have every digit allowed.
"""

import json
from pathlib import Path
from random import Random
from typing import Any

PUBLISHED = Path(__file__).with_name("published_cases.json")
PRICES = {"BTC": 100_000, "SOL": 150, "SOLBP": 150}
DAY = 86_400
SIZES = (1, 10, 1_000, 100_000, 10_000_000, 5 * 10**11)
FACE_MAX = 5e10
OTHERS = {
    "kappa0": ("0", "0.25"), "tau_roll_s": (1800, 7200), "horizon_s": (3600, 172_800),
    "gamma": ("0.5", "1"), "theta": ("0", "1"), "extremes": ([], ["-0.9"], ["-0.5", "0.7"]),
}
EXPIRIES = (60, 600, 1800, 3600, 7200, 43_200, DAY, DAY + 1, 3 * DAY, 20 * DAY, 200 * DAY)


def case_file(seed: int, count: int) -> dict[str, Any]:
    """A file of so many random accounts, with the published parameters or (a third) other ones."""
    random = Random(seed)
    published = json.loads(PUBLISHED.read_text())
    others = {name: random.choice(values) for name, values in OTHERS.items()}
    return {
        "global": {**published["global"], **(others if seed % 3 == 2 else {})},
        "underlying_params": published["underlying_params"],
        "cases": [case(random, f"R{seed}-{number}") for number in range(count)],
    }


def case(random: Random, name: str) -> dict[str, Any]:
    """One account."""
    made: dict[str, Any] = {"id": name, "usdc": amount(random, 100_000, 2)}
    orders: list[dict[str, Any]] = []
    chosen = random.sample(list(PRICES), random.choice((0, 1, 1, 1, 2, 3)))
    made["underlyings"] = [_underlying(random, name, orders) for name in chosen]
    made["groups"] = [
        _group(random, f"G{number}", orders) for number in range(random.choice((0, 0, 1, 2)))
    ]
    random.shuffle(orders)
    made["orders"] = orders
    return made


def amount(random: Random, greatest: float, places: int) -> str:
    """A signed decimal of any order of magnitude up to the greatest."""
    size = greatest * random.choice((0, 0.0001, 0.01, 0.1, 1)) * random.random()
    return f"{random.choice((-1, 1)) * size:.{random.choice((places, places, 8))}f}"


def positive(random: Random, greatest: float, places: int) -> str:
    """A decimal above zero."""
    return f"{greatest * random.random() + 10.0 ** -places:.{places}f}"


def _price(random: Random, around: float, spread: float) -> str:
    places = random.choice((0, 1, 2, 2, 8))
    return f"{max(around * (1 + spread * random.uniform(-1, 1)), 1):.{places}f}"


def _underlying(random: Random, name: str, orders: list[dict[str, Any]]) -> dict[str, Any]:
    index = float(_price(random, PRICES[name], random.choice((0, 0.02, 0.3))))
    size = random.choice(SIZES) / PRICES[name] * 10
    made: dict[str, Any] = {"name": name, "params": name, "index": f"{index:.8f}"}
    if random.random() < 0.5:
        made["stable"] = _price(random, index, 0.05)
    if random.random() < 0.6:
        made["balance"] = amount(random, size, 3)
    if random.random() < 0.8:
        made["perp_qty"] = amount(random, size, 3)
        made["perp_mark"] = _price(random, index, 0.01)
        if random.random() < 0.5:
            made["perp_last_settle"] = _price(random, index, 0.01)
    made["digitals"] = [
        _digital(random, f"{name}-{number}", index, size)
        for number in range(random.choice((0, 1, 1, 2, 3, 5)))
    ]
    orders += [
        {
            "kind": random.choice(("spot", "perp")), "underlying": name, **_side(random),
            "qty": positive(random, size, 3),
            "price": _price(random, index, random.choice((0.001, 0.2))),
        }
        for _ in range(random.choice((0, 0, 1, 3)))
    ]
    for digital in made["digitals"]:
        _prediction_orders(random, orders, size * index, {
            "kind": "digital", "underlying": name, "ref": digital["name"]})
    return made


def _digital(random: Random, name: str, index: float, size: float) -> dict[str, Any]:
    kind = random.choice(("above", "above", "below", "range"))
    strikes = sorted(_strike(random, index) for _ in range(2))
    made = {
        "name": name, "type": kind, "qty": amount(random, min(size * index, FACE_MAX), 0),
        "mark": _probability(random), "tau_s": random.choice(EXPIRIES),
    }
    if random.random() < 0.1:
        made["tau_s"] = f"{random.uniform(1, 2 * DAY):.3f}"
    if kind == "range":
        low, high = strikes
        return {**made, "low": f"{low:.2f}", "high": f"{high + 1:.2f}"}
    return {**made, "strike": f"{strikes[0]:.2f}"}


def _strike(random: Random, index: float) -> float:
    exact = index * (1 + random.choice((0.02, 0.1, 0.5)) * random.uniform(-1, 1))
    step = random.choice((index / 100, index / 10, 0.01))
    return max(round(exact / step) * step, 0.01)


def _probability(random: Random) -> str:
    return random.choice((
        f"{random.random():.2f}", f"{random.random():.3f}", f"{random.random():.12f}", "0", "1",
        "0.001", "0.999", "0.50",
    ))


def _side(random: Random) -> dict[str, str]:
    return {"side": random.choice(("buy", "sell"))}


def _prediction_orders(
    random: Random, orders: list[dict[str, Any]], size: float, place: dict[str, str]
) -> None:
    size = min(size, FACE_MAX)
    orders += [
        {
            **place, **_side(random), "qty": positive(random, size, random.choice((0, 8))),
            "price": _probability(random),
        }
        for _ in range(random.choice((0, 0, 0, 1, 4)))
    ]


def _group(random: Random, name: str, orders: list[dict[str, Any]]) -> dict[str, Any]:
    kind = random.choice(("exclusive", "exhaustive", "nested", "explicit"))
    size = min(random.choice(SIZES), FACE_MAX)
    outcomes = [
        {"name": f"O{number}", "qty": amount(random, size, 0), "mark": _probability(random)}
        for number in range(random.choice((1, 2, 3, 9)))
    ]
    for outcome in outcomes:
        _prediction_orders(random, orders, size, {
            "kind": "event", "group": name, "ref": outcome["name"]})
    made: dict[str, Any] = {"name": name, "kind": kind, "outcomes": outcomes}
    if kind == "explicit":
        made["vertices"] = [
            [random.choice(("0", "1", "0.5", "0.333333333333")) for _ in outcomes]
            for _ in range(random.randint(1, 5))
        ]
    return made
