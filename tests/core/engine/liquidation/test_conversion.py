"""Collateral is sold after everything else is closed, and each sale says what it repaid."""

from tests.core.engine.exchange import BTC, CAT, DAN, PERP, SPOT, USDC
from tests.core.engine.liquidation.kit import BOOK, MICRO, SECOND, court

ANNE = 110


def test_positions_go_first_and_then_collateral_is_converted() -> None:
    house = court(1_000_000)
    house.account(ANNE, ANNE)
    house.deposit(ANNE, 1, BTC)
    house.deposit(CAT, 10, BTC)
    house.trade(ANNE, CAT, SPOT, 4, 100_000)  # with 400,000 USDC that are borrowed
    house.trade(ANNE, CAT, PERP, 0.5, 100_000)
    for instrument in (SPOT, PERP):
        assert house.order(DAN, instrument, "buy", 5, 85_000)["reason"] == 0
    house.price(85_000)
    house.pass_time(30)
    assert house.position(ANNE, PERP)["quantity"] == 0
    orders = [s["instrument"] for s in house.steps if s["stage"] == BOOK and s["quantity"]]
    sold = [instrument for instrument in orders if instrument == SPOT]
    assert orders == [PERP] * (len(orders) - len(sold)) + sold
    assert sold, "closing the perpetual was not enough"
    assert len(house.conversions) == len(sold)
    for said in house.conversions:
        assert (said["account"], said["asset"], said["instrument"]) == (ANNE, BTC, SPOT)
        assert said["value"] == 85_000 * MICRO * said["amount"] // 10**8
        assert 0 < said["repaid"] <= said["value"]
    repaid = sum(said["repaid"] for said in house.conversions)
    assert house.balance(ANNE, BTC) == 5 * 10**8 - sum(c["amount"] for c in house.conversions)
    assert house.balance(ANNE, USDC) == -400_000 * MICRO + repaid
    equity, initial, _ = house.margin(ANNE)
    assert equity >= initial


def test_what_is_owed_for_a_position_that_is_gone_becomes_debt() -> None:
    house = court()
    house.account(ANNE, ANNE)
    house.deposit(ANNE, 1, BTC)
    house.order(ANNE, PERP, "buy", 3, 100_000)
    house.order(DAN, PERP, "sell", 3, 100_000)
    house.price(70_000)
    house.send("SettlementStart", 0, 4, cycle=1)
    assert house.position(ANNE, PERP)["unsettled"] == -90_000 * MICRO, "nobody lends to it now"
    house.pass_time(10)
    assert house.position(ANNE, PERP)["unsettled"] == 0
    assert (house.balance(ANNE), house.balance(ANNE, BTC)) == (0, 0)
    # What was taken of the debt pays the winner, who has waited.
    house.time += SECOND
    assert house.s["claims_waiting"] > 0
    house.send("SettlementStart", 0, 4, cycle=2)
    assert house.s["claims_waiting"] == 0
