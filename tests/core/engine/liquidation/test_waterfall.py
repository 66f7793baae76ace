"""The waterfall, stage by stage: who pays, how much, and that everybody is told why."""

import pytest

from core.risk_records import LIQUIDATIONS_MAX
from core.sidecars.oracle.risk_arrays import Link, Ranges, risk_arrays
from tests.core.engine.exchange import BOB, BTC, CAT, DAN, ETH, PERP, START, whole
from tests.core.engine.liquidation.kit import (
    ABSORBED,
    ADVANCED,
    BACKSTOP,
    BACKSTOP_FUND,
    BOOK,
    CANCELED,
    DELEVERAGING,
    ENABLED,
    INSURANCE,
    INSURANCE_CAP,
    INSURED,
    MICRO,
    RECOVERED,
    SECOND,
    STARTED,
    WRITTEN_OFF,
    Court,
    court,
    maker,
)


def leveraged(deposit: float = 12_000) -> Court:
    """Ann is long one bitcoin at 100,000 with little; Bob, who has plenty, is short."""
    house = court()
    house.account(110, 110)
    house.deposit(110, deposit)
    house.trade(110, BOB, PERP, 1, 100_000)
    return house


ANNE = 110
DIGITAL = 20


def test_nothing_happens_above_maintenance() -> None:
    house = leveraged()
    house.price(96_000)  # equity 8,000, maintenance 5,760
    house.pass_time(1)
    assert house.steps == []
    assert house.s["liquidations"] == 0


def test_orders_go_first_and_that_may_be_enough() -> None:
    house = leveraged()
    maker(house, "buy", 0.15, 90_000, ANNE)
    house.price(95_800)  # equity 7,800; the position alone needs 5,748
    house.pass_time(1)
    assert house.steps == []
    house.price(94_200)  # equity 6,200: with the order 6,500, without 5,652
    house.pass_time(1)
    assert house.stages(ANNE) == [STARTED, CANCELED, RECOVERED]
    assert house.s["accounts"][ANNE]["open_orders"] == 0
    assert house.position(ANNE, PERP)["quantity"] == 10_000


def test_who_finds_no_record_free_waits_for_one() -> None:
    house = leveraged()
    house.account(111, 111)
    house.deposit(111, 12_000)
    house.trade(111, BOB, PERP, 1, 100_000)
    house.s["liquidations_used"] = LIQUIDATIONS_MAX - 1  # as if all but one were in use
    house.price(93_500)  # equity 5,500, maintenance 5,610, both
    house.pass_time(30)
    first, second = sorted((ANNE, 111), key=lambda account: not house.stages(account))
    assert house.stages(first) == [STARTED]
    assert house.stages(second) == []
    assert house.s["watching"] == 0
    maker(house, "buy", 4, 93_400)
    house.pass_time(60)
    assert house.stages(first) == house.stages(second) == [STARTED, BOOK, RECOVERED]
    assert len(house.certificates) == 2


def test_the_book_closes_slices_until_the_initial_margin_is_there() -> None:
    house = leveraged()
    maker(house, "buy", 2, 93_400)
    house.price(93_500)  # equity 5,500, maintenance 5,610
    house.pass_time(30)
    assert house.stages(ANNE) == [STARTED, BOOK, RECOVERED]
    sold = [step for step in house.steps if step["stage"] == BOOK]
    assert sold[0]["quantity"] == -whole(0.1)
    assert all(step["limitPrice"] >= whole(92_400) for step in sold)
    assert all(step["maintenanceAfter"] < step["maintenanceMargin"] for step in sold)
    equity, initial, _ = house.margin(ANNE)
    assert equity >= initial > 0
    certificate = house.certificates[0]
    assert certificate["equity"] == 5_500 * MICRO
    assert certificate["maintenanceMargin"] == 5_610 * MICRO
    assert certificate["positions"][0]["maintenance"] == 5_610 * MICRO
    assert certificate["positions"][0]["mark"] == whole(93_500)
    (unit,) = certificate["units"]
    assert (unit["asset"], unit["scan"], unit["total"]) == (BTC, 5_610 * MICRO, 5_610 * MICRO)
    assert unit["worstMove"] == -60_000


def test_a_small_shortage_closes_the_whole_position() -> None:
    house = court()
    house.account(ANNE, ANNE)
    house.deposit(ANNE, 120)
    house.trade(ANNE, BOB, PERP, 0.01, 100_000)
    maker(house, "buy", 2, 93_400)
    house.price(93_500)  # initial 93.5, equity 55
    house.pass_time(30)
    assert house.position(ANNE, PERP)["quantity"] == 0
    assert house.stages(ANNE) == [STARTED, BOOK, RECOVERED]


def test_backstop_providers_share_at_the_bankruptcy_price() -> None:
    house = leveraged()
    for account, commitment in ((CAT, 30_000), (DAN, 10_000)):
        assert house.send("SetBackstop", account=account, instrument=PERP,
                          commitment=commitment * MICRO) == 0
    assert house.balance(CAT) == 70_000 * MICRO
    assert house.balance(BACKSTOP_FUND) == 40_000 * MICRO
    house.price(90_000)  # equity 2,000, half of maintenance 2,700
    house.pass_time(5)
    assert house.stages(ANNE) == [STARTED, BACKSTOP, RECOVERED]
    assert house.margin(ANNE)[0] == 0
    cat, dan = house.position(CAT, PERP), house.position(DAN, PERP)
    assert cat["quantity"] + dan["quantity"] == 10_000
    assert abs(int(cat["quantity"]) - 7_500) <= 1
    # They bought at 88,000 what is marked at 90,000: the equity that Ann had left is theirs.
    assert cat["entry_value"] + dan["entry_value"] == 88_000 * MICRO
    assert house.margin(CAT)[0] + house.margin(DAN)[0] + house.balance(BACKSTOP_FUND) == (
        202_000 * MICRO)
    for account in (CAT, DAN):
        equity, initial, _ = house.margin(account)
        assert equity >= initial


def test_insurance_pays_what_the_book_takes_beyond_the_bankruptcy_price() -> None:
    house = leveraged()
    house.deposit(INSURANCE, 50_000)
    assert house.parameter(INSURANCE_CAP, 3_000 * MICRO, PERP) == 0
    house.price(89_000)  # equity 1,000: bankrupt at 88,000
    maker(house, "buy", 2, 87_500)
    house.pass_time(5)
    assert house.stages(ANNE) == [STARTED, INSURED, RECOVERED]
    assert house.margin(ANNE)[0] == 0
    assert house.balance(INSURANCE) == 49_500 * MICRO
    assert house.s["markets"][PERP]["insurance_lost"] == 500 * MICRO


def test_beyond_the_cap_the_winners_are_deleveraged_by_rank() -> None:
    house = leveraged()
    house.account(111, 111)
    house.deposit(111, 12_000)
    house.trade(DAN, 111, PERP, 0.5, 100_000)
    house.price(85_000)  # Ann's equity −3,000; 111 has won 7,500 on 19,500, Bob 15,000 on 115,000
    house.pass_time(5)
    assert house.stages(ANNE) == [STARTED, ADVANCED, DELEVERAGING, RECOVERED]
    takers = [r for r in house.steps if r["stage"] == DELEVERAGING]
    assert sum(step["quantity"] for step in takers) == -whole(1)
    assert house.position(111, PERP)["quantity"] == 0, "the most leveraged winner goes first"
    assert house.position(BOB, PERP)["quantity"] == -5_000
    assert house.margin(ANNE)[0] == 0
    assert house.balance(INSURANCE) == 0, "what was advanced came back"
    # 111 closed 0.5 at 85,000 and gave back half of 3,000.
    assert house.margin(111)[0] == (12_000 + 7_500 - 1_500) * MICRO


def test_the_cap_bounds_what_insurance_loses() -> None:
    house = leveraged()
    house.deposit(INSURANCE, 50_000)
    assert house.parameter(INSURANCE_CAP, 1_000 * MICRO, PERP) == 0
    house.price(85_000)
    house.pass_time(5)
    assert house.stages(ANNE) == [STARTED, ADVANCED, ABSORBED, DELEVERAGING, RECOVERED]
    assert house.balance(INSURANCE) == 49_000 * MICRO
    assert house.margin(BOB)[0] == (100_000 + 15_000 - 2_000) * MICRO


def test_a_deposit_after_bankruptcy_is_the_depositors_own() -> None:
    house = leveraged()
    house.price(85_000)
    house.pass_time(5, until=lambda: house.stages(ANNE)[-1:] == [ADVANCED])
    assert house.margin(ANNE)[0] == 0
    house.deposit(ANNE, 500)
    house.pass_time(5)
    assert house.margin(ANNE)[0] == 500 * MICRO
    assert house.position(ANNE, PERP)["quantity"] == 0


def test_debts_are_paid_by_collateral_and_the_rest_written_off() -> None:
    house = court()
    house.account(ANNE, ANNE)
    house.deposit(ANNE, 1, BTC)
    house.deposit(CAT, 10, BTC)
    house.order(ANNE, PERP, "buy", 3, 100_000)
    house.order(BOB, PERP, "sell", 3, 100_000)
    house.send("SettlementStart", 0, 4, cycle=1)
    house.price(70_000)
    house.send("SettlementStart", 0, 4, cycle=2)  # −90,000 USDC against a bitcoin worth 70,000
    house.pass_time(10)
    assert WRITTEN_OFF in house.stages(ANNE)
    assert house.balance(ANNE) == 0
    assert house.balance(ANNE, BTC) == 0
    assert house.s["accounts"][ANNE]["liquidation"] == 0


def test_sessions_of_the_owner_are_told() -> None:
    house = leveraged()
    assert house.send("RegisterSession", session=5, owner=ANNE, account=ANNE, kind=2,
                      name="anne") == 0
    assert house.send("RegisterSession", session=6, owner=BOB, account=0, kind=2, name="bob") == 0
    house.price(85_000)
    house.pass_time(5)
    stages = [f["stage"] for s, f in house.told if s == 5]
    assert stages[0] == STARTED
    assert stages[-1] == RECOVERED
    bob = [f for s, f in house.told if s == 6]
    assert [f["role"] for f in bob] == [2]
    assert (bob[0]["quantity"], bob[0]["position"]) == (whole(1), 0)
    assert bob[0]["refund"] == 3_000 * MICRO


def test_a_margin_call_comes_once() -> None:
    house = leveraged()
    assert house.send("RegisterSession", session=5, owner=ANNE, account=ANNE, kind=2,
                      name="anne") == 0
    calls = []
    for price in (97_000, 96_900):  # equity 9,000 below initial 9,700
        house.price(price)
        for _ in range(3):
            calls += [(s, f["level"]) for s, name, f in house.events if name == "MarginReport"]
            house.tick()
    assert calls == [(5, 1)]


def test_switched_off_nobody_is_liquidated() -> None:
    house = leveraged()
    assert house.parameter(ENABLED, 0) == 0
    assert house.s["risk"]["enabled"] == 1, "switching it off needs a second role and a delay"


@pytest.mark.parametrize("state", [1, 2])
def test_degraded_prices_liquidate_nobody_for_a_minute(state: int) -> None:
    house = leveraged()
    maker(house, "buy", 2, 93_400)
    house.index(BTC, 93_500, state)
    house.mark(PERP, 93_500)
    house.pass_time(2)
    assert house.steps == []
    house.time += 61 * 10**9
    house.index(BTC, 93_500, state)
    house.pass_time(10)
    assert house.stages(ANNE) == ([STARTED, BOOK, RECOVERED] if state == 1 else [])


def test_dust_of_a_dead_asset_protects_nobody() -> None:
    house = leveraged()
    house.deposit(ANNE, 0.0001, ETH)
    maker(house, "buy", 2, 93_400)
    house.index(ETH, 4_000, 2)
    house.price(93_500)
    house.pass_time(30)
    assert house.stages(ANNE) == [STARTED, BOOK, RECOVERED]


def test_interest_on_a_debt_is_caught_without_a_price_that_moves() -> None:
    house = court()
    house.account(ANNE, ANNE)
    house.deposit(ANNE, 1, BTC)
    house.trade(ANNE, BOB, PERP, 1, 100_000)
    house.price(95_000)
    house.send("SettlementStart", 0, 4, cycle=1)
    assert house.balance(ANNE) == -5_000 * MICRO
    house.pass_time(1)
    growth = 10**12
    for _ in range(60):
        growth += growth // 10
        assert house.send("AccrueInterest", 0, 5, asset=0, borrowIndex=growth,
                          lendIndex=10**12) == 0
        house.price(95_000)
        house.pass_time(1)
        if house.steps:
            break
    assert STARTED in house.stages(ANNE)

def arrays(house: Court, mark: float, version: int) -> None:
    """What the oracle says of the digital at a mark."""
    month = START + 30 * 86_400 * SECOND
    link = Link(DIGITAL, 4, whole(100_000), 0, month, whole(mark))
    fields = risk_arrays([link], whole(100_000), version, 0.5, Ranges(100_000, 60_000))
    assert house.send("SetRiskArray", 0, 6, asset=BTC, **fields) == 0


def test_sold_links_are_hedged_with_the_perpetual() -> None:
    house = court()
    low, month = 100_000, START + 30 * 86_400 * SECOND
    assert house.list(DIGITAL, 4, 0.01, 1, expiry=month, lowerStrike=whole(low)) == 0
    house.mark(DIGITAL, 0.5)
    arrays(house, 0.5, START)
    house.account(ANNE, ANNE)
    house.deposit(ANNE, 3_600)
    house.trade(BOB, ANNE, DIGITAL, 10_000, 0.5)
    for side, price in (("sell", 100_010), ("buy", 99_990)):
        maker(house, side, 5, price)
    house.mark(DIGITAL, 0.7)
    arrays(house, 0.7, START + 1)  # Equity 1,600, maintenance 1,808.
    house.price(100_000)
    house.pass_time(60)
    assert BOOK in house.stages(ANNE)
    assert house.position(ANNE, DIGITAL)["quantity"] == -10_000, "nobody offers the digital"
    assert house.position(ANNE, PERP)["quantity"] > 0
    assert house.stages(ANNE)[-1] == RECOVERED
