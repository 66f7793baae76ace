"""Live accounts against the plain-Python reference: to the cent, and the equity to the unit."""

from fractions import Fraction
from math import ceil, floor
from random import Random
from typing import Any

import pytest

from core.margin_reference.account import compute
from core.sidecars.oracle.risk_arrays import Link, Ranges, risk_arrays
from tests.core.engine.exchange import (
    ALPHA,
    ANN,
    BETA,
    BOB,
    BTC,
    GAMMA,
    PERP,
    SPOT,
    START,
    Exchange,
    whole,
)
from tools.live_account import case_file, perpetuals_of

MICRO, CENT = 10**6, 10**4
DAY = 86_400 * 10**9
RATES = {"weight": 980_000, "weightBase": 1_100_000, "weightPenalty": 20_000,
         "hedgeInitial": 5_000, "hedgeMaintenance": 2_500}
VOLATILITY = {"BTC": Fraction(1, 2), "ETH": Fraction(1, 2)}
LINKS = {  # number: (kind, low, high, expiry, mark)
    20: (4, 100_000, 0, START + 30 * DAY, 0.5), 21: (4, 105_000, 0, START + 30 * DAY, 0.36),
    22: (6, 100_000, 105_000, START + 30 * DAY, 0.14), 23: (4, 102_000, 0, START + DAY // 2, 0.2),
    24: (5, 0, 102_000, START + DAY // 2, 0.8), 25: (5, 0, 96_000, START + DAY // 3, 0.04),
    26: (6, 99_000, 101_000, START + 2 * DAY, 0.3),
}


@pytest.fixture
def house() -> Exchange:
    made = Exchange().populate()
    assert made.send("SetUnitRates", asset=BTC, **RATES) == 0
    for number, (kind, low, high, expiry, mark) in LINKS.items():
        more = {"lowerStrike": whole(low)} if low else {}
        more |= {"upperStrike": whole(high)} if high else {}
        assert made.list(number, kind, 0.01, 1, expiry=expiry, **more) == 0
        made.mark(number, mark)
    for account in (ANN, BOB):
        made.deposit(account, 50_000_000)
        made.deposit(account, 100, BTC)
    return made


def tell_arrays(house: Exchange) -> int:
    """Arrays as the oracle computes them; the time they are of."""
    links = [
        Link(number, kind, whole(low), whole(high), expiry, whole(mark))
        for number, (kind, low, high, expiry, mark) in LINKS.items()
    ]
    index = int(house.s["assets"][BTC]["index_price"])
    fields = risk_arrays(links, index, house.time, 0.5, Ranges(100_000, 60_000))
    now = house.time
    assert house.send("SetRiskArray", 0, 6, asset=BTC, **fields) == 0
    return now


def agree(house: Exchange, account: int, now: int) -> dict[str, Any]:
    """Hold a live account's levels to the reference."""
    equity, initial, maintenance = house.margin(account)
    content = case_file(house.s, account, VOLATILITY, now)
    expected: dict[str, Any] = compute(content)["cases"][0]["expected"]
    assert floor(Fraction(equity, CENT)) == Fraction(expected["equity"]) * 100
    for ours, theirs in ((initial, "im"), (maintenance, "mm")):
        assert ceil(Fraction(ours, CENT)) == Fraction(expected[theirs]) * 100, (theirs, content)
    return expected


def test_cash_and_carry_requires_its_basis(house: Exchange) -> None:
    # Case C04 of the model: long spot, short perpetual of equal size.
    now = tell_arrays(house)
    house.trade(BOB, ANN, PERP, 100, 100_000)
    house.mark(PERP, 100_050)
    expected = agree(house, ANN, now)
    assert expected["im"] == "50500.00"
    assert expected["im_parts"]["unit:BTC"]["scan"] == "500"


def test_the_perpetual_is_on_offer_to_who_has_none(house: Exchange) -> None:
    house.account(110, ANN)
    assert perpetuals_of(house.s, 110) == []
    assert perpetuals_of(house.s, 110, [20]) == [PERP]
    house.deposit(110, 1_000)
    house.order(110, 20, "buy", 10, 0.4)
    assert perpetuals_of(house.s, 110) == [PERP]
    content = case_file(house.s, 110, VOLATILITY, house.time, [PERP])
    assert content["cases"][0]["underlyings"][0]["perp_qty"] == "0"
    house.trade(ANN, BOB, PERP, 1, 100_000)
    assert perpetuals_of(house.s, ANN) == []  # It has it.


def test_spot_alone_is_weighed_by_its_size(house: Exchange) -> None:
    now = tell_arrays(house)
    expected = agree(house, ANN, now)
    assert expected["im_parts"]["unit:BTC"]["spot"] == "200000"
    house.deposit(ANN, 900, BTC)
    expected = agree(house, ANN, now)
    assert Fraction(expected["im_parts"]["unit:BTC"]["spot"]) > 2_000_000


def test_random_accounts_with_orders_agree_to_the_cent(house: Exchange) -> None:
    random = Random(11)
    now = tell_arrays(house)
    for step in range(80):
        _trade_or_order(house, random)
        if step % 10 == 9:
            now = _move(house, random)
        for account in (ANN, BOB):
            agree(house, account, now)


def _trade_or_order(house: Exchange, random: Random) -> None:
    number = random.choice((SPOT, PERP, PERP, ALPHA, BETA, GAMMA, *LINKS))
    buyer, seller = random.sample((ANN, BOB), 2)
    if number in (SPOT, PERP):
        mark = int(house.s["assets"][BTC]["index_price"]) / 10**8
        quantity = random.randint(1, 40_000) / 10_000
        price = round(mark * (1 + random.choice((0, 0.001, 0.03)) * random.uniform(-1, 1)), 1)
    else:
        quantity, price = random.randint(1, 5_000), random.randint(1, 99) / 100
    if random.random() < 0.5:
        side = random.choice(("buy", "sell"))
        house.order(buyer, number, side, quantity, price)
        return
    house.order(seller, number, "sell", quantity, price)
    house.order(buyer, number, "buy", quantity, price)


def _move(house: Exchange, random: Random) -> int:
    price = random.randint(9_500, 10_500) * 10
    house.index(BTC, price)
    house.mark(PERP, round(price * (1 + random.uniform(-0.002, 0.002)), 1))
    return tell_arrays(house)
