"""Units judged whole in a live engine: a hedge frees margin, soundly."""

from typing import Any

import pytest

from core.sidecars.oracle.risk_arrays import Link, Ranges, risk_arrays
from sbe.generated import order_entry as oe
from tests.core.engine.exchange import ANN, BOB, BTC, PERP, START, Exchange, whole

MICRO = 10**6
CENT = 10**4
DAY = 86_400 * 10**9
MONTH = START + 30 * DAY
MARGIN = oe.REASON_INSUFFICIENT_MARGIN
RANGES = Ranges(100_000, 60_000)
DIGITAL, HIGHER, RANGE, SOON, BELOW = 20, 21, 22, 23, 24
STRIKES = {
    DIGITAL: (4, 100_000, 0, MONTH), HIGHER: (4, 105_000, 0, MONTH),
    RANGE: (6, 100_000, 105_000, MONTH), SOON: (4, 102_000, 0, START + DAY // 2),
    BELOW: (5, 0, 102_000, START + DAY // 2),
}
MARKS = {DIGITAL: 0.5, HIGHER: 0.36, RANGE: 0.14, SOON: 0.2, BELOW: 0.8}


@pytest.fixture
def house() -> Exchange:
    made = Exchange().populate()
    for number, (kind, low, high, expiry) in STRIKES.items():
        more = {"lowerStrike": whole(low)} if low else {}
        more |= {"upperStrike": whole(high)} if high else {}
        assert made.list(number, kind, 0.01, 1, expiry=expiry, **more) == 0
        made.mark(number, MARKS[number])
    for account in (ANN, BOB):
        made.deposit(account, 10_000)
    return made


def arrays(*instruments: int, mark: float | None = None) -> dict[str, Any]:
    """What the oracle sends for some of the links, by default all; `mark` of the digital."""
    marks = MARKS | ({DIGITAL: mark} if mark is not None else {})
    links = [
        Link(number, kind, whole(low), whole(high), expiry, whole(marks[number]))
        for number, (kind, low, high, expiry) in STRIKES.items()
        if number in instruments or not instruments
    ]
    now = START + (mark is not None)
    return {"asset": BTC, **risk_arrays(links, whole(100_000), now, 0.5, RANGES)}


def tell(house: Exchange, **fields: Any) -> int:
    """Send arrays as the oracle does; the reason against them."""
    return house.send("SetRiskArray", 0, 6, **fields)


def test_without_arrays_requirements_add(house: Exchange) -> None:
    house.trade(BOB, ANN, DIGITAL, 10_000, 0.5)
    house.trade(ANN, BOB, PERP, 0.28, 100_000)
    assert house.margin(ANN)[1] == (5_000 + 2_800) * MICRO


def test_a_sold_digital_and_its_hedge_require_what_the_model_says(house: Exchange) -> None:
    # Cases C08a and C08b of the model, to the cent.
    assert tell(house, **arrays()) == 0
    house.trade(BOB, ANN, DIGITAL, 10_000, 0.5)
    equity, initial, maintenance = house.margin(ANN)
    assert equity == 10_000 * MICRO
    assert cents(initial) == 3_497_01
    assert cents(maintenance) == 2_503_55
    house.trade(ANN, BOB, PERP, 0.28, 100_000)
    equity, initial, maintenance = house.margin(ANN)
    assert equity == 10_000 * MICRO
    assert cents(initial) == 1_559_10
    assert cents(maintenance) == 1_135_46


def cents(units: int) -> int:
    """Rounded up."""
    return -(-units // CENT)


def test_a_perpetual_on_the_wrong_side_frees_nothing(house: Exchange) -> None:
    tell(house, **arrays())
    house.trade(BOB, ANN, DIGITAL, 10_000, 0.5)
    before = house.margin(ANN)[1]
    house.trade(BOB, ANN, PERP, 0.2, 100_000)
    assert before < house.margin(ANN)[1] <= (5_000 + 2_000) * MICRO


def test_with_nothing_free_the_hedge_may_be_opened_but_not_closed(house: Exchange) -> None:
    tell(house, **arrays())
    house.trade(BOB, ANN, DIGITAL, 10_000, 0.5)
    lone = house.margin(ANN)[1]
    assert withdraw(house, 10_000 * MICRO - lone) == 0
    assert house.order(ANN, DIGITAL, "sell", 100, 0.5)["reason"] == MARGIN
    assert house.order(ANN, PERP, "sell", 0.01, 100_000)["reason"] == MARGIN
    house.trade(ANN, BOB, PERP, 0.28, 100_000)  # No fee is set, and no money was free for it.
    hedged = house.margin(ANN)[1]
    assert hedged < lone // 2
    assert withdraw(house, lone - hedged + 1) != 0
    assert withdraw(house, lone - hedged) == 0
    refused = house.order(ANN, PERP, "sell", 0.28, 100_000)
    assert refused["reason"] == MARGIN
    assert refused["detail"] > 0
    assert refused["limit"] < refused["detail"]
    assert house.order(ANN, DIGITAL, "buy", 10_000, 0.5)["reason"] == MARGIN  # Leaves a bare hedge.


def withdraw(house: Exchange, amount: int) -> int:
    """Move an amount of Ann's out; the reason against it."""
    return house.send("Transfer", 0, 4, fromAccount=ANN, toAccount=BOB, asset=0, amount=amount)


def test_below_its_initial_margin_an_account_may_hedge(house: Exchange) -> None:
    tell(house, **arrays())
    house.trade(BOB, ANN, DIGITAL, 10_000, 0.5)
    assert withdraw(house, 10_000 * MICRO - house.margin(ANN)[1]) == 0
    house.mark(DIGITAL, 0.6)  # 1,000 lost.
    tell(house, **arrays(mark=0.6))
    equity, initial, _ = house.margin(ANN)
    assert equity < initial
    assert house.order(ANN, PERP, "sell", 0.05, 100_000)["reason"] == MARGIN
    assert house.order(ANN, PERP, "buy", 0.05, 100_000)["reason"] == 0
    assert house.order(ANN, PERP, "buy", 1, 100_000)["reason"] == MARGIN


def test_old_arrays_net_nothing(house: Exchange) -> None:
    tell(house, **arrays())
    house.trade(BOB, ANN, DIGITAL, 10_000, 0.5)
    assert house.margin(ANN)[1] < 5_000 * MICRO
    house.time += 61 * 10**9
    assert house.margin(ANN)[1] == 5_000 * MICRO


def test_an_order_counts_as_if_it_filled_where_that_is_worse(house: Exchange) -> None:
    tell(house, **arrays())
    house.trade(BOB, ANN, DIGITAL, 10_000, 0.5)
    house.trade(ANN, BOB, PERP, 0.28, 100_000)
    held = house.margin(ANN)[1]
    closing = house.order(ANN, PERP, "sell", 0.28, 100_000)
    resting = house.margin(ANN)[1]
    assert resting > 2 * held
    house.cancel(closing)
    assert house.margin(ANN)[1] == held
    house.order(ANN, PERP, "sell", 0.28, 100_000)
    house.order(BOB, PERP, "buy", 0.28, 100_000)
    assert house.margin(ANN)[1] <= resting
    bid = house.order(ANN, DIGITAL, "buy", 10_000, 0.4)
    assert bid["reason"] == 0
    assert house.margin(ANN)[1] >= 3_497 * MICRO


def test_a_paid_spread_needs_its_worst_payoff_at_most(house: Exchange) -> None:
    house.trade(ANN, BOB, DIGITAL, 1_000, 0.5)
    house.trade(BOB, ANN, HIGHER, 1_000, 0.36)
    assert house.margin(ANN)[1] == (500 + 640) * MICRO
    tell(house, **arrays())
    # Long above 100, short above 105 thousand: never pays less than 0, at the marks worth 140.
    equity, initial, maintenance = house.margin(ANN)
    assert equity == 10_000 * MICRO
    assert initial == 140 * MICRO
    assert maintenance <= initial


def test_a_front_digital_is_hedged_only_as_far_as_its_strike(house: Exchange) -> None:
    # Short 1,000 above 102,000, settling within the day: at the strike, from above, all is lost
    # and the perpetual has won only 2 %.
    tell(house, **arrays())
    house.trade(BOB, ANN, SOON, 1_000, 0.2)
    house.trade(ANN, BOB, PERP, 0.1, 100_000)
    _, initial, _ = house.margin(ANN)
    at_strike = 0.9 * 1_000 * 0.8 - 10_000 * 0.02 + 0.1 * 800
    down = 10_000 * 0.1 - 0.9 * 1_000 * 0.2 + 0.1 * 800
    assert initial == pytest.approx(max(at_strike, down) * MICRO, abs=1)
    house.trade(BOB, ANN, PERP, 0.05, 100_000)
    assert house.margin(ANN)[1] == (720 - 100 + 80) * MICRO


def test_links_without_an_array_stand_alone(house: Exchange) -> None:
    tell(house, **arrays(HIGHER))
    house.trade(BOB, ANN, DIGITAL, 1_000, 0.5)
    house.trade(ANN, BOB, PERP, 0.05, 100_000)
    assert house.margin(ANN)[1] == (500 + 500) * MICRO


def test_a_perpetual_alone_is_not_touched(house: Exchange) -> None:
    tell(house, **arrays())
    house.trade(ANN, BOB, PERP, 0.05, 100_000)
    assert house.margin(ANN) == (10_000 * MICRO, 500 * MICRO, 300 * MICRO)


END = {"delta": 100_000, "scans": 1, "numerator": 1, "denominator": 10, "strike": 0}


@pytest.mark.parametrize(
    "change",
    [
        {"version": 0}, {"sigmaInitial": 90_000}, {"sigmaMaintenance": 1}, {"columns": 3},
        {"nodes": [END], "values": [{"value": 1}] * 2}, {"nodes": []},
        {"nodes": [END | {"denominator": 0}] * 18}, {"nodes": [END | {"numerator": 2}] * 18},
        {"nodes": [END | {"scans": 8}] * 18}, {"nodes": [END | {"delta": -1_000_001}] * 18},
        {"arrays": [{"instrument": PERP, "netted": 900}]},
        {"arrays": [{"instrument": DIGITAL, "netted": 1001}]},
        {"arrays": [{"instrument": 31, "netted": 900}]},
        {"arrays": [{"instrument": 999, "netted": 900}]}, {"asset": 3}, {"asset": 2},
        {"values": [{"value": 1_000_001}] * 36}, {"values": [{"value": -1}] * 36},
        {"values": [{"value": 1}] * 35},
    ],
)
def test_what_is_no_array_is_refused_and_changes_nothing(
    house: Exchange, change: dict[str, Any]
) -> None:
    fields = arrays(DIGITAL)
    assert len(fields["values"]) == 36
    assert tell(house, **fields) == 0
    before = house.s["risk_grids"].tobytes() + house.s["risk_arrays"].tobytes()
    assert tell(house, **(fields | {"version": START + 1} | change)) != 0
    assert before == house.s["risk_grids"].tobytes() + house.s["risk_arrays"].tobytes()
    assert tell(house, **(fields | {"version": START + 1})) == 0
