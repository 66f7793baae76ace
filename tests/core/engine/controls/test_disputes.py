"""While it is disputed what an event pays, positions in it may only be closed."""

import pytest

from sbe.generated import order_entry as oe
from tests.core.engine.controls.kit import furnished
from tests.core.engine.exchange import ALPHA, ANN, BETA, BOB, CAT, CUP, LONE, ONE, PERP, Exchange


@pytest.fixture
def house() -> Exchange:
    return furnished()


def dispute(house: Exchange, event: int = CUP, active: int = 1) -> int:
    return house.send("SetEventDispute", event=event, active=active)


def test_orders_go_and_only_closing_is_left(house: Exchange) -> None:
    house.trade(ANN, BOB, ALPHA, 10, 0.5)  # Ann is long, Bob is short.
    resting = [house.order(CAT, instrument, "buy", 5, 0.3)["orderId"]
               for instrument in (ALPHA, BETA)]
    other = house.order(CAT, LONE, "buy", 5, 0.4)
    assert dispute(house) == 0
    events = house.events + house.finish_jobs()
    gone = [f for _, name, f in events if name == "ExecutionReport"]
    assert sorted((f["orderId"], f["reason"]) for f in gone) == [
        (number, oe.REASON_EVENT_DISPUTED) for number in resting]
    (said,) = [f for _, name, f in events if name == "KillSwitchChanged"]
    assert (said["level"], said["subject"], said["canceled"]) == (
        oe.KILL_LEVEL_EVENT_DISPUTED, CUP, 2)
    for account, instrument, side in ((CAT, ALPHA, "buy"), (CAT, BETA, "sell"),
                                      (ANN, ALPHA, "buy"), (BOB, ALPHA, "sell")):
        refused = house.order(account, instrument, side, 1, 0.4)
        assert (refused["reason"], refused["detail"]) == (oe.REASON_EVENT_DISPUTED, CUP)
    assert house.order(ANN, ALPHA, "sell", 11, 0.4)["reason"] == oe.REASON_EVENT_DISPUTED
    assert house.order(ANN, ALPHA, "sell", 10, 0.4)["reason"] == 0
    closed = house.order(BOB, ALPHA, "buy", 10, 0.4)  # The set is merged.
    assert (closed["reason"], house.s["instruments"][ALPHA]["open_interest"]) == (0, 0)
    assert other["reason"] == 0
    assert house.order(ANN, PERP, "buy", 0.01, 90_000)["reason"] == 0


def test_it_ends_by_being_resolved_or_lifted(house: Exchange) -> None:
    assert [dispute(house), dispute(house)] == [0, 0]
    house.finish_jobs()
    assert dispute(house, active=0) == 0
    assert house.order(ANN, ALPHA, "buy", 1, 0.4)["reason"] == 0
    assert dispute(house) == 0
    house.finish_jobs()
    payouts = [{"payout": ONE}, {"payout": 0}, {"payout": 0}]
    assert house.send("ResolveEvent", event=CUP, evidenceHash=bytes(32), payouts=payouts) == 0
    assert house.s["controls"]["active"] == 0
    assert dispute(house) == oe.REASON_INVALID_TRANSITION
    assert dispute(house, event=5) == oe.REASON_UNKNOWN_EVENT
    assert dispute(house, active=0) == 0


def test_how_good_the_clock_is_changes_nothing(house: Exchange) -> None:
    before = house.s["accounts"].tobytes()
    assert house.send("ReportClock", offset=-1500, errorMax=10**6, errorEstimated=10**5,
                      synchronised=1) == 0
    assert [name for _, name, _ in house.events] == ["CommandResult"]
    assert house.s["accounts"].tobytes() == before
