"""Who may decide what an event pays may not trade it."""

import pytest

from sbe.generated import order_entry as oe
from tests.core.engine.controls.kit import furnished
from tests.core.engine.exchange import ALPHA, ANN, BOB, CUP, LONE, PERP, Exchange


@pytest.fixture
def house() -> Exchange:
    return furnished()


def bar(house: Exchange, owner: int = ANN, event: int = CUP, active: int = 1) -> int:
    return house.send("SetMarketConflict", owner=owner, event=event, active=active)


def test_a_reporter_may_not_trade_what_he_reports_on(house: Exchange) -> None:
    house.trade(ANN, BOB, ALPHA, 10, 0.5)
    resting = house.order(ANN, ALPHA, "buy", 5, 0.4)
    other = house.order(ANN, LONE, "buy", 5, 0.4)
    assert bar(house) == 0
    events = house.events + house.finish_jobs()
    gone = [f for _, name, f in events if name == "ExecutionReport"]
    assert [(f["orderId"], f["reason"]) for f in gone] == [
        (resting["orderId"], oe.REASON_MARKET_CONFLICT)]
    (said,) = [f for _, name, f in events if name == "KillSwitchChanged"]
    assert (said["level"], said["canceled"]) == (oe.KILL_LEVEL_MARKET_CONFLICT, 1)
    for side, price in (("buy", 0.4), ("sell", 0.6)):  # Not even to close.
        refused = house.order(ANN, ALPHA, side, 1, price)
        assert (refused["reason"], refused["detail"], refused["limit"]) == (
            oe.REASON_MARKET_CONFLICT, ANN, CUP)
    assert house.order(ANN, PERP, "buy", 0.01, 90_000)["reason"] == 0
    assert house.order(BOB, ALPHA, "buy", 5, 0.4)["reason"] == 0
    assert other["reason"] == 0
    assert house.s["accounts"][ANN]["open_orders"] == 2
    assert bar(house, active=0) == 0
    assert house.order(ANN, ALPHA, "buy", 1, 0.4)["reason"] == 0
    assert house.s["controls"]["active"] == 0


def test_said_twice_it_holds_once(house: Exchange) -> None:
    assert [bar(house), bar(house), bar(house, BOB)] == [0, 0, 0]
    house.finish_jobs()
    assert [bar(house, active=0), bar(house, active=0)] == [0, 0]
    assert house.order(ANN, ALPHA, "buy", 1, 0.4)["reason"] == 0
    assert house.order(BOB, ALPHA, "buy", 1, 0.4)["reason"] == oe.REASON_MARKET_CONFLICT


@pytest.mark.parametrize(
    ("owner", "event", "reason"),
    [(1, CUP, oe.REASON_UNKNOWN_OWNER), (99_999, CUP, oe.REASON_UNKNOWN_OWNER),
     (ANN, 0, oe.REASON_UNKNOWN_EVENT), (ANN, 7, oe.REASON_UNKNOWN_EVENT)],
)
def test_what_does_not_exist(house: Exchange, owner: int, event: int, reason: int) -> None:
    assert bar(house, owner, event) == reason
