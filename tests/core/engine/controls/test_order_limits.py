"""What an account may send: an order's value, a day's, how many stand, how fast they come."""

import pytest

from sbe.generated import order_entry as oe
from tests.core.engine.controls.kit import furnished, limits
from tests.core.engine.exchange import ANN, BOB, CAT, PERP, SPOT, Exchange, whole

USDC = 10**6
SECOND = 10**9
DAY = 86_400 * SECOND


@pytest.fixture
def house() -> Exchange:
    return furnished()


def bid(house: Exchange, lots: float = 0.01, account: int = ANN, price: float = 90_000.0) -> int:
    return int(house.order(account, PERP, "buy", lots, price)["reason"])


def test_the_value_of_an_order(house: Exchange) -> None:
    assert limits(house, ANN, value=900 * USDC) == 0
    assert bid(house) == 0
    refused = house.order(ANN, PERP, "buy", 0.0101, 90_000)
    assert (refused["reason"], refused["detail"], refused["limit"]) == (
        oe.REASON_ORDER_VALUE_LIMIT, 909 * USDC, 900 * USDC)
    assert bid(house, 1, BOB) == 0
    standing = house.order(ANN, PERP, "buy", 0.005, 90_000)
    house.request("OrderCancelReplaceRequest", account=ANN, clOrdId=0, origClOrdId=0,
                  orderId=standing["orderId"], price=None, orderQty=whole(0.02), stopPx=None,
                  displayQty=None, instrument=PERP, echo=b"")
    assert house.named("OrderCancelReject")[0]["reason"] == oe.REASON_ORDER_VALUE_LIMIT
    # A market order is worth what the best price makes it.
    house.order(BOB, PERP, "sell", 1, 95_000)
    assert house.order(ANN, PERP, "buy", 0.02, None)["reason"] == oe.REASON_ORDER_VALUE_LIMIT
    assert limits(house, ANN) == 0
    assert house.s["controls"]["active"] == 0
    assert bid(house, 0.1) == 0


def test_the_value_of_a_day(house: Exchange) -> None:
    assert limits(house, dailyValue=2000 * USDC) == 0
    assert [bid(house), bid(house)] == [0, 0]
    refused = house.order(ANN, PERP, "buy", 0.01, 90_000)
    assert (refused["reason"], refused["detail"]) == (oe.REASON_VOLUME_LIMIT, 2700 * USDC)
    assert bid(house, 0.002) == 0
    assert bid(house, 0.02, BOB) == 0  # Each account has its own day.
    house.time += DAY
    assert bid(house) == 0


def test_how_many_stand(house: Exchange) -> None:
    assert limits(house, openOrders=2) == 0
    first = house.order(ANN, PERP, "buy", 0.01, 90_000)
    assert bid(house) == 0
    refused = house.order(ANN, PERP, "buy", 0.01, 90_000)
    assert (refused["reason"], refused["detail"], refused["limit"]) == (
        oe.REASON_OPEN_ORDERS_LIMIT, 2, 2)
    house.cancel(first)
    assert bid(house) == 0


def test_how_fast_they_come(house: Exchange) -> None:
    assert limits(house, perSecond=10, burst=3, pauseMilliseconds=0) == 0
    assert [bid(house) for _ in range(4)] == [0, 0, 0, oe.REASON_THROTTLED]
    house.time += SECOND // 10
    assert [bid(house), bid(house)] == [0, oe.REASON_THROTTLED]
    house.time += SECOND
    assert [bid(house) for _ in range(4)] == [0, 0, 0, oe.REASON_THROTTLED]
    assert bid(house, account=BOB) == 0


def test_after_a_breach_only_cancels(house: Exchange) -> None:
    assert limits(house, ANN, perSecond=10, burst=1, pauseMilliseconds=5000) == 0
    first = house.order(ANN, PERP, "buy", 0.01, 90_000)
    assert bid(house) == oe.REASON_THROTTLED
    house.time += 4 * SECOND
    refused = house.order(ANN, PERP, "buy", 0.01, 90_000)
    assert refused["reason"] == oe.REASON_THROTTLED
    assert 0 < refused["detail"] < SECOND  # ns until it may send again
    house.cancel(first)
    assert house.named("ExecutionReport")[0]["execType"] == ord("4")
    house.time += 2 * SECOND
    assert bid(house) == 0


def test_orders_without_trades_end_in_cancels_only(house: Exchange) -> None:
    """Two orders a trade, and three to begin with; the other side's trades are its own."""
    assert limits(house, ANN, orderToTrade=2, freeOrders=3) == 0
    first = house.order(ANN, PERP, "buy", 0.01, 90_000)
    assert [bid(house), bid(house)] == [0, 0]
    refused = house.order(ANN, PERP, "buy", 0.01, 90_000)
    assert (refused["reason"], refused["detail"], refused["limit"]) == (
        oe.REASON_ORDER_TO_TRADE_LIMIT, 4, 3)
    house.cancel(first)
    assert house.named("ExecutionReport")[0]["execType"] == ord("4")
    assert bid(house) == oe.REASON_ORDER_TO_TRADE_LIMIT  # Cancelling earns nothing.
    house.order(BOB, PERP, "sell", 0.01, 90_000)
    assert [bid(house) for _ in range(3)] == [0, 0, oe.REASON_ORDER_TO_TRADE_LIMIT]
    assert [bid(house, account=BOB, price=80_000) for _ in range(5)] == [0] * 5
    house.time += DAY
    assert [bid(house) for _ in range(4)] == [0, 0, 0, oe.REASON_ORDER_TO_TRADE_LIMIT]


def test_a_preview_and_a_stop_that_triggers_use_nothing_up(house: Exchange) -> None:
    assert limits(house, ANN, perSecond=1, burst=1) == 0
    for _ in range(3):
        house.request("OrderPreviewRequest", account=ANN, clOrdId=0, price=whole(90_000),
                      orderQty=whole(0.01), instrument=PERP, side=1, ordType=2, timeInForce=1,
                      execInst=0, stopPx=None, displayQty=None, expireTime=None, tag=0,
                      selfTradePrevention=0, triggerType=0, outcomeSide=0, requestId=1, echo=b"")
        assert house.named("OrderPreview")[0]["reason"] == 0
    stop = house.order(ANN, PERP, "buy", 0.01, 106_000, ordType=4, stopPx=whole(105_000),
                       triggerType=2)
    assert stop["reason"] == 0
    house.mark(PERP, 105_500)
    house.tick()
    told = [e["execType"] for e in house.named("ExecutionReport")]
    assert told == [] or told[0] == ord("L")
    assert bid(house) == oe.REASON_THROTTLED


def test_own_limits_come_before_everybodys(house: Exchange) -> None:
    assert limits(house, value=100 * USDC) == 0
    assert limits(house, BOB, value=10_000 * USDC) == 0
    assert bid(house) == oe.REASON_ORDER_VALUE_LIMIT
    assert bid(house, account=BOB) == 0
    assert limits(house, 5) == oe.REASON_UNKNOWN_ACCOUNT
    assert limits(house, 159) == oe.REASON_UNKNOWN_ACCOUNT
    assert limits(house, value=-1) == oe.REASON_INVALID_FIELD
    assert limits(house, openOrders=5000) == oe.REASON_INVALID_FIELD
    assert limits(house, perSecond=2_000_000) == oe.REASON_INVALID_FIELD


def test_repeated_executions_stop_until_a_person_has_looked(house: Exchange) -> None:
    assert limits(house, ANN, executions=3, executionSeconds=10) == 0
    house.trade(ANN, BOB, PERP, 0.01, 100_000)
    house.trade(ANN, BOB, PERP, 0.01, 100_000)
    house.time += 10 * SECOND  # Another window.
    house.trade(BOB, ANN, PERP, 0.01, 100_000)
    resting = house.order(ANN, PERP, "buy", 0.01, 90_000)
    house.trade(ANN, BOB, PERP, 0.01, 100_000)
    house.trade(ANN, BOB, PERP, 0.01, 100_000)
    house.time += DAY
    refused = house.order(ANN, PERP, "buy", 0.01, 90_000)
    assert (refused["reason"], refused["detail"], refused["limit"]) == (
        oe.REASON_REPEATED_EXECUTIONS, 3, 3)
    house.cancel(resting)
    assert house.s["accounts"][ANN]["open_orders"] == 0
    assert bid(house, account=BOB) == 0
    assert limits(house, ANN, executions=3, executionSeconds=10) == 0
    assert bid(house) == 0


def test_everybodys_limit_of_executions_is_lifted_for_one(house: Exchange) -> None:
    assert limits(house, executions=1, executionSeconds=10) == 0
    house.trade(ANN, BOB, PERP, 0.01, 100_000)
    assert [bid(house), bid(house, account=BOB)] == [oe.REASON_REPEATED_EXECUTIONS] * 2
    assert limits(house, ANN) == 0
    assert [bid(house), bid(house, account=BOB)] == [0, oe.REASON_REPEATED_EXECUTIONS]


def test_an_order_beside_what_its_market_traded_in_a_day(house: Exchange) -> None:
    """10 % of what was traded, unless it is worth up to 500 USDC; each market by itself."""
    house.time += 1_800 * SECOND - house.time % (3_600 * SECOND)  # Half past an hour of UTC.
    assert limits(house, ANN, volumeShare=100_000, volumeFree=500 * USDC) == 0
    assert bid(house, 0.005) == 0
    refused = house.order(ANN, PERP, "buy", 0.01, 90_000)
    assert (refused["reason"], refused["detail"], refused["limit"]) == (
        oe.REASON_FAT_FINGER, whole(0.01), 0)
    house.trade(BOB, CAT, PERP, 0.3, 100_000)
    assert bid(house, 0.03) == 0
    house.time += 3_600 * SECOND
    house.trade(BOB, CAT, PERP, 0.1, 100_000)
    refused = house.order(ANN, PERP, "buy", 0.0401, 90_000)
    assert (refused["reason"], refused["limit"]) == (oe.REASON_FAT_FINGER, whole(0.04))
    assert house.order(ANN, SPOT, "buy", 0.01, 90_000)["reason"] == oe.REASON_FAT_FINGER
    assert bid(house, 1, BOB) == 0  # It is Ann who is limited.
    house.time += 22 * 3_600 * SECOND
    assert bid(house, 0.04) == 0
    house.time += 3_600 * SECOND  # The first hour is a day ago, the second is not.
    assert [bid(house, 0.011), bid(house, 0.01)] == [oe.REASON_FAT_FINGER, 0]
    house.time += DAY
    assert [bid(house, 0.01), bid(house, 0.005)] == [oe.REASON_FAT_FINGER, 0]
    assert limits(house, ANN, volumeShare=1, volumeFree=-1) == oe.REASON_INVALID_FIELD
    assert limits(house, ANN) == 0
    assert bid(house, 0.01) == 0
