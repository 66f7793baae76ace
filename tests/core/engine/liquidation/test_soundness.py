"""Gap, outage, cancel storm, a maker with a thousand orders; finding and replaying it all."""

import pytest

from core.config import Limits
from core.engine.genesis import found_house
from core.state import durable_size
from tests.core.engine.exchange import (
    ANN,
    BOB,
    BTC,
    CAT,
    DAN,
    ETH,
    LONE,
    PERP,
    Exchange,
)
from tests.core.engine.liquidation.kit import (
    ADVANCED,
    BOOK,
    CANCELED,
    DELEVERAGING,
    ENABLED,
    INSURANCE,
    INSURANCE_CAP,
    MICRO,
    RECOVERED,
    SECOND,
    STARTED,
    Court,
    court,
    maker,
)

FIRST = 110
ETH_PERP = 20

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


def crowd(house: Court, count: int, leverage: float = 5.0) -> list[int]:
    """So many accounts, each long for `leverage` times its 1,000 USDC, against Bob."""
    house.deposit(BOB, 100_000_000)
    accounts = list(range(FIRST, FIRST + count))
    offer = house.order(BOB, PERP, "sell", 90, 100_000)
    for account in accounts:
        house.account(account, account % 120 + 2)
        house.deposit(account, 1_000)
        bought = house.order(account, PERP, "buy", round(leverage / 100, 4), 100_000, timeInForce=3)
        assert bought["reason"] == 0
    house.cancel(offer)
    return accounts


def test_a_gap_takes_nobody_below_zero_and_loses_no_unit() -> None:
    house = court()
    house.deposit(INSURANCE, 5_000)
    assert house.parameter(INSURANCE_CAP, 2_000 * MICRO, PERP) == 0
    accounts = crowd(house, 40, 8.0)
    house.price(60_000)  # Each is at −2,200.
    house.pass_time(60)
    assert house.s["liquidations"] == 0
    assert all(house.margin(account)[0] == 0 for account in accounts)
    assert all(house.position(account, PERP)["quantity"] == 0 for account in accounts)
    assert house.s["markets"][PERP]["insurance_lost"] == 2_000 * MICRO
    assert house.balance(INSURANCE) == 3_000 * MICRO
    assert house.s["instruments"][PERP]["open_interest"] == 0
    # Bob was short 3.2, won 128,000 by it and bears what insurance does not: 40 × 2,200 − 2,000.
    assert house.margin(BOB)[0] == (100_100_000 + 128_000 - 86_000) * MICRO


def test_an_outage_holds_everything_and_its_end_settles_it() -> None:
    house = court()
    accounts = crowd(house, 10, 8.0)
    house.index(BTC, 100_000, 2)
    house.mark(PERP, 85_000)
    house.pass_time(30)
    assert house.steps == []
    assert house.margin(accounts[0])[0] < 0, "nobody acts on a price that nobody vouches for"
    house.index(BTC, 85_000, 0)
    house.pass_time(30)
    assert all(house.margin(account)[0] == 0 for account in accounts)


def test_a_storm_of_cancels_is_taken_in_slices() -> None:
    house = court(orders_max=512)
    accounts = crowd(house, 12, 5.0)
    for account in accounts:
        for place in range(30):
            house.order(account, PERP, "buy", 0.0001, 70_000 + place)
    open_before = int(house.s["orders_open"])
    assert open_before == 360
    house.price(84_500)  # equity 225, maintenance 253 and what the orders need
    most = 0
    for _ in range(200):
        house.time += SECOND // 20
        before = int(house.s["orders_open"])
        house.tick()
        most = max(most, before - int(house.s["orders_open"]))
    assert house.s["orders_open"] == 0
    assert most <= 4 * 128
    assert all(house.stages(account)[:2] == [STARTED, CANCELED] for account in accounts)


@pytest.fixture(scope="module")
def large() -> Court:
    """A house with the limits that exchanges run with."""
    house = Court(Limits(), checked=False)
    house.populate()
    assert house.list(ETH_PERP, 2, 0.1, 0.001, baseAsset=ETH) == 0
    house.mark(ETH_PERP, 4_000)
    assert house.parameter(ENABLED, 1) == 0
    for account in (ANN, BOB, CAT, DAN):
        house.deposit(account, 100_000)
    return house


def test_a_market_maker_with_a_thousand_orders(large: Court) -> None:
    house = large
    house.account(109, 109)
    house.deposit(109, 30_000)
    house.trade(109, BOB, PERP, 2, 100_000)
    for place in range(500):
        house.order(109, PERP, "buy", 0.0001, 90_000 - place)
        house.order(109, PERP, "sell", 0.0001, 110_000 + place)
    assert house.s["accounts"][109]["open_orders"] == 1_000
    maker(house, "buy", 3, 91_000)
    house.steps.clear()
    house.price(91_000)  # equity 12,000, maintenance 10,920 and the orders' 300
    house.price(90_400)  # equity 10,800, maintenance 10,848 and the orders'
    others = 0
    for _ in range(12):
        house.time += SECOND // 20
        report = house.order(CAT, PERP, "sell", 0.0001, 91_000)  # Others trade all the while.
        others += report["reason"] == 0
    assert others == 12
    assert house.s["accounts"][109]["open_orders"] == 0
    cancels = [s["count"] for s in house.steps if s["stage"] == CANCELED]
    assert sum(cancels) == 1_000
    assert max(cancels) == 128
    house.pass_time(30)
    assert house.stages(109) == [STARTED, CANCELED, BOOK, RECOVERED]
    house.request("OrderMassCancelRequest", account=DAN, clOrdId=0, scope=1, side=0,
                  instrument=None, underlying=None, kind=None, echo=b"")


def test_a_tick_costs_what_it_puts_at_risk(large: Court) -> None:
    house = large
    house.price(100_000)
    house.deposit(BOB, 100_000_000)
    accounts = crowd(house, 600, 2.0)
    for account in accounts[:12]:
        house.trade(account, BOB, ETH_PERP, 1, 4_000)
    house.price(100_000)
    house.pass_time(60)  # Everybody has been looked at and has left watches.

    def commands(change: str, price: float) -> int:
        """How many slices a price took."""
        if change == "eth":
            house.index(ETH, price)
            house.mark(ETH_PERP, price)
        else:
            house.price(price)
        count = 1
        while house.s["watching"]:
            house.tick()
            count += 1
        return count

    assert commands("btc", 99_900) == 1, "nobody's watch was passed"
    assert commands("eth", 3_990) == 1
    assert commands("eth", 3_000) <= 3, "twelve hold it, not six hundred"
    many = commands("btc", 70_000)
    assert many >= 600 * 5 // 32, "everybody's watch was passed"


def test_short_outcomes_are_bought_back_when_the_collateral_falls() -> None:
    house = court()
    house.account(FIRST, FIRST)
    house.deposit(FIRST, 1, BTC)
    house.trade(BOB, FIRST, LONE, 100_000, 0.4)
    house.order(DAN, LONE, "sell", 100_000, 0.42)
    house.mark(LONE, 0.4)
    house.price(61_000)
    house.pass_time(60)
    assert BOOK in house.stages(FIRST)
    assert house.position(FIRST, LONE)["quantity"] > -100_000
    equity, initial, _ = house.margin(FIRST)
    assert equity >= initial


def test_short_outcomes_are_deleveraged_against_their_holders() -> None:
    house = court()
    house.account(FIRST, FIRST)
    house.deposit(FIRST, 1, BTC)
    house.trade(BOB, FIRST, LONE, 100_000, 0.4)
    house.mark(LONE, 0.4)
    house.price(10_000)  # 40,000 received and a bitcoin, against 100,000 that may be owed
    house.pass_time(60)
    assert DELEVERAGING in house.stages(FIRST)
    assert house.position(FIRST, LONE)["quantity"] == 0
    assert house.position(BOB, LONE)["quantity"] == 0
    assert house.margin(FIRST)[0] >= 0


def test_a_replay_liquidates_the_same_to_the_byte() -> None:
    """Steps are driven by commands and their times alone."""
    recorded: list[bytes] = []

    class Recorder(Court):
        def apply(self, message: bytes, session: int = 0, producer: int = 1) -> None:
            recorded.append(message)
            times.append((self.time, session, producer))
            super().apply(message, session, producer)

    times: list[tuple[int, int, int]] = []
    house = Recorder()
    house.populate()
    assert house.parameter(ENABLED, 1) == 0
    crowd(house, 20, 8.0)
    maker(house, "buy", 0.4, 90_000, BOB)
    for price in (95_000, 92_500, 91_500, 70_000):
        house.price(price)
        house.pass_time(5)
    assert ADVANCED in {step["stage"] for step in house.steps}
    again = Exchange(checked=False)
    found_house(again.state)
    for message, (time, session, producer) in zip(recorded, times, strict=True):
        again.time = time
        again.apply(message, session, producer)
    size = durable_size(again.state.dtype)
    first, second = (h.state.view("u1")[:size].tobytes() for h in (house, again))
    assert first == second
