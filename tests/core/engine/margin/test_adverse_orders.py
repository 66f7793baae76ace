"""Orders of accounts with perpetuals alone: each loses by itself, as the reference counts it."""

from random import Random

import pytest

from sbe.generated import order_entry as oe
from tests.core.engine.exchange import ANN, BOB, BTC, PERP, Exchange
from tests.core.engine.margin.test_live_accounts import MICRO, RATES, agree

MARGIN = oe.REASON_INSUFFICIENT_MARGIN


@pytest.fixture
def house() -> Exchange:
    made = Exchange().populate()
    assert made.send("SetUnitRates", asset=BTC, **RATES) == 0
    for account in (ANN, BOB):
        made.deposit(account, 5_000_000)
    return made


def initial(house: Exchange) -> int:
    return house.margin(ANN)[1]


def test_cancelling_an_order_never_raises_a_requirement(house: Exchange) -> None:
    good = house.order(ANN, PERP, "buy", 1, 90_000)
    lone = initial(house)
    bad = house.order(ANN, PERP, "buy", 1, 104_000)
    both = initial(house)
    assert both == lone + (10_000 + 4_000) * MICRO  # Its own loss, whatever the other gains.
    house.cancel(good)
    assert initial(house) == both - 10_000 * MICRO
    house.cancel(bad)
    assert initial(house) == 0


def test_the_mark_moves_past_resting_orders(house: Exchange) -> None:
    for price in (99_000, 97_000, 93_000):
        assert house.order(ANN, PERP, "buy", 1, price)["reason"] == 0
    assert house.order(ANN, PERP, "sell", 2, 101_000)["reason"] == 0
    agree(house, ANN, house.time)
    for price in (98_000, 92_000, 103_500, 100_000, 85_000, 115_000):
        house.mark(PERP, price)
        agree(house, ANN, house.time)


def test_random_perpetual_accounts_agree_with_the_reference(house: Exchange) -> None:
    random = Random(5)
    open_orders: list[dict[str, object]] = []
    for step in range(150):
        account = random.choice((ANN, BOB))
        price = round(100_000 * (1 + random.choice((0.002, 0.03, 0.14)) * random.uniform(-1, 1)), 1)
        report = house.order(account, PERP, random.choice(("buy", "sell")),
                             random.randint(1, 30_000) / 10_000, price)
        open_orders.append(report)
        if random.random() < 0.3:
            house.cancel(open_orders.pop(random.randrange(len(open_orders))))
        if step % 5 == 4:
            house.mark(PERP, round(100_000 * (1 + 0.05 * random.uniform(-1, 1)), 1))
        for account in (ANN, BOB):
            agree(house, account, house.time)


def test_bids_require_no_more_than_what_they_pay(house: Exchange) -> None:
    far = house.order(ANN, PERP, "buy", 1, 4_000)
    assert initial(house) == 4_000 * MICRO  # A tenth of the notional would be 10,000.
    near = house.order(ANN, PERP, "buy", 1, 99_000)
    agree(house, ANN, house.time)
    assert initial(house) == 20_000 * MICRO
    house.cancel(near)
    assert initial(house) == 4_000 * MICRO
    offer = house.order(ANN, PERP, "sell", 1, 250_000)
    assert initial(house) == 10_000 * MICRO  # What is sold has no greatest loss.
    house.cancel(offer)
    house.mark(PERP, 20_000)
    agree(house, ANN, house.time)
    assert initial(house) == 2_000 * MICRO
    house.mark(PERP, 90_000)
    agree(house, ANN, house.time)
    house.cancel(far)
    assert initial(house) == 0


def test_a_bid_far_below_needs_only_what_it_pays(house: Exchange) -> None:
    house.account(110, ANN)
    house.deposit(110, 5_000)
    assert house.order(110, PERP, "buy", 2, 4_000)["reason"] == MARGIN
    assert house.order(110, PERP, "buy", 1, 4_000)["reason"] == 0
    agree(house, 110, house.time)
    assert house.send("Transfer", 0, 4, fromAccount=110, toAccount=BOB, asset=0,
                      amount=1_000 * MICRO) == 0
    assert house.send("Transfer", 0, 4, fromAccount=110, toAccount=BOB, asset=0, amount=1) == MARGIN


def test_random_orders_far_from_the_mark_agree_with_the_reference(house: Exchange) -> None:
    random = Random(8)
    for _ in range(25):
        open_orders = []
        for account in (ANN, BOB):
            sides = random.choice((("buy",), ("buy",), ("sell",), ("buy", "sell")))
            for _ in range(random.randint(1, 4)):
                side = random.choice(sides)
                shares = (0.001, 0.05, 0.12, 0.9) if side == "buy" else (1.05, 1.2, 3, 9)
                price = round(100_000 * random.choice(shares) * random.uniform(0.9, 1.1), 1)
                size = random.choice((1, 100, 10_000)) * random.random()
                open_orders.append(house.order(account, PERP, side, round(size, 3) + 0.001, price))
                agree(house, account, house.time)
        if random.random() < 0.5:
            buyer, seller = random.sample((ANN, BOB), 2)
            house.trade(buyer, seller, PERP, random.randint(1, 500) / 100, 100_000)
        for _ in range(2):
            house.mark(PERP, round(100_000 * random.choice((0.02, 0.3, 1, 1, 8)), 1))
            for account in (ANN, BOB):
                agree(house, account, house.time)
        house.mark(PERP, 100_000)
        for report in open_orders:
            house.cancel(report)
            agree(house, ANN, house.time)


def test_collateral_counts_at_the_worse_of_index_and_stable_price(house: Exchange) -> None:
    house.deposit(ANN, 2, BTC)
    for index, stable in ((100_000, 95_000), (100_000, 108_000), (97_000, 97_000.5), (97_000, 0)):
        assert house.send("SetIndexPrice", 0, 6, asset=BTC, state=0, sources=3,
                          price=index * 10**8, stable=round(stable * 10**8)) == 0
        expected = agree(house, ANN, house.time)
        strict = max(0, index - stable) * 2 if stable else 0
        assert expected["im_parts"]["strict"] == str(strict)


def test_a_pushed_price_lends_nothing(house: Exchange) -> None:
    house.account(110, ANN)
    house.deposit(110, 1, BTC)
    house.mark(PERP, 200_000)
    send = {"asset": BTC, "state": 0, "sources": 3, "price": 200_000 * 10**8}
    assert house.send("SetIndexPrice", 0, 6, **send) == 0
    free = 200_000 * MICRO - house.margin(110)[1]
    assert house.send("SetIndexPrice", 0, 6, **send, stable=100_000 * 10**8) == 0
    assert 200_000 * MICRO - house.margin(110)[1] == free - 100_000 * MICRO
    equity = house.margin(110)[0]
    assert equity == 200_000 * MICRO  # Only what is new is judged by it: nobody is liquidated.
    # All of the bitcoin may still leave: it takes what it required with it.
    assert house.send("Transfer", 0, 4, fromAccount=110, toAccount=BOB, asset=BTC,
                      amount=10**8) == 0
