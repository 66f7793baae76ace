"""What clients ask to be kept from: excluded for a while, no more losses than so much a day."""

import pytest

from sbe.generated import order_entry as oe
from tests.core.engine.controls.kit import furnished, protect
from tests.core.engine.exchange import ANN, BOB, PERP, Exchange

USDC = 10**6
SECOND = 10**9
DAY = 86_400 * SECOND


@pytest.fixture
def house() -> Exchange:
    return furnished()


def trade(house: Exchange, side: str, lots: float, price: float, account: int = ANN) -> int:
    """Trade with Bob, who sells or buys first; the reason against it."""
    other = "sell" if side == "buy" else "buy"
    house.order(BOB, PERP, other, lots, price)
    reason = int(house.order(account, PERP, side, lots, price)["reason"])
    if reason:
        house.request("OrderMassCancelRequest", account=BOB, clOrdId=0, instrument=0, underlying=0,
                      scope=1, kind=0, side=0, echo=b"")
    return reason


def test_who_excluded_himself_may_only_close(house: Exchange) -> None:
    assert trade(house, "buy", 1, 100_000) == 0
    resting = house.order(ANN, PERP, "buy", 0.5, 90_000)
    assert resting["reason"] == 0
    until = house.time + 10 * SECOND
    assert protect(house, ANN, until) == 0
    for _ in range(5):
        house.tick()
    assert house.s["accounts"][ANN]["open_orders"] == 0
    refused = house.order(ANN, PERP, "buy", 0.1, 90_000)
    assert refused["reason"] == oe.REASON_SELF_EXCLUDED
    assert 0 < refused["detail"] <= 10 * SECOND
    assert house.order(BOB, PERP, "buy", 0.1, 90_000)["reason"] == 0
    assert trade(house, "sell", 0.4, 100_000) == 0
    assert trade(house, "sell", 0.7, 100_000) == oe.REASON_SELF_EXCLUDED  # Past zero.
    # Not shorter, nor lifted; longer at any time.
    assert protect(house, ANN, until - SECOND) == oe.REASON_SELF_EXCLUDED
    assert protect(house, ANN) == oe.REASON_SELF_EXCLUDED
    assert protect(house, ANN, until + SECOND) == 0
    house.time = until + SECOND
    assert house.order(ANN, PERP, "buy", 0.1, 90_000)["reason"] == 0
    assert protect(house, ANN) == 0
    assert house.s["controls"]["active"] == 0


def test_its_orders_are_cancelled_with_that_reason(house: Exchange) -> None:
    house.order(ANN, PERP, "buy", 0.5, 90_000)
    assert protect(house, ANN, house.time + DAY) == 0
    events = list(house.named("ExecutionReport")) + list(house.named("KillSwitchChanged"))
    for _ in range(5):
        house.tick()
        events += list(house.named("ExecutionReport")) + list(house.named("KillSwitchChanged"))
    canceled = [e for e in events if e.get("execType") == ord("4")]
    assert [e["reason"] for e in canceled] == [oe.REASON_SELF_EXCLUDED]
    switched = [(e["level"], e["subject"], e["canceled"]) for e in events if "canceled" in e]
    assert len(switched) == 1
    assert switched[0][0::2] == (oe.KILL_LEVEL_SELF_EXCLUSION, 1)


def test_a_days_loss_ends_in_closing_only(house: Exchange) -> None:
    assert protect(house, ANN, loss=1_000 * USDC) == 0
    assert trade(house, "buy", 1, 100_000) == 0
    house.mark(PERP, 99_100)
    assert trade(house, "buy", 0.1, 99_100) == 0
    house.mark(PERP, 98_900)
    refused = house.order(ANN, PERP, "buy", 0.1, 98_900)
    assert refused["reason"] == oe.REASON_LOSS_LIMIT
    assert refused["detail"] == 1_100 * USDC + 20 * USDC
    assert refused["limit"] == 1_000 * USDC
    assert trade(house, "sell", 1.1, 98_900) == 0  # The loss is real now, and stays the day's.
    assert trade(house, "buy", 0.1, 98_900) == oe.REASON_LOSS_LIMIT
    house.time += DAY
    assert trade(house, "buy", 0.1, 98_900) == 0


def test_a_looser_limit_waits_a_day_and_a_tighter_one_does_not(house: Exchange) -> None:
    assert protect(house, ANN, loss=1_000 * USDC) == 0
    assert trade(house, "buy", 1, 100_000) == 0
    assert protect(house, ANN, loss=500 * USDC) == 0
    house.mark(PERP, 99_400)
    assert trade(house, "buy", 0.1, 99_400) == oe.REASON_LOSS_LIMIT
    assert protect(house, ANN) == 0
    assert trade(house, "buy", 0.1, 99_400) == oe.REASON_LOSS_LIMIT
    house.time += DAY
    assert trade(house, "buy", 0.1, 99_400) == 0
    house.mark(PERP, 90_000)
    assert trade(house, "buy", 0.1, 90_000) == 0


def test_what_cannot_be_asked_for(house: Exchange) -> None:
    assert protect(house, 1, house.time + DAY) == oe.REASON_UNKNOWN_OWNER
    assert protect(house, 159, house.time + DAY) == oe.REASON_UNKNOWN_OWNER
    assert protect(house, ANN, loss=-1) == oe.REASON_INVALID_FIELD
