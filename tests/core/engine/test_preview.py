"""Order previews: the verdict and the figures that entering the order would give, and no trace."""

from typing import Any

import pytest

from sbe.generated import order_entry as oe
from tests.core.engine.exchange import (
    ALPHA,
    ANN,
    BOB,
    BTC,
    LONE,
    PERP,
    SPOT,
    Exchange,
    whole,
)

MICRO = 10**6


@pytest.fixture
def house() -> Exchange:
    found = Exchange().populate()
    found.deposit(ANN, 1_000)
    found.deposit(BOB, 100_000)
    found.deposit(BOB, 1, BTC)
    return found


def preview(house: Exchange, instrument: int, side: int, quantity: float, price: float | None,
            **more: Any) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "account": ANN, "clOrdId": 0, "instrument": instrument, "side": side,
        "ordType": 2 if price is not None else 1, "timeInForce": 1,
        "orderQty": whole(quantity), "tag": 0, "selfTradePrevention": 0, "triggerType": 0,
        "outcomeSide": 0, "execInst": 0, "requestId": 9, "echo": b"p",
        "price": None if price is None else whole(price),
        "stopPx": None, "displayQty": None, "expireTime": None,
    }
    house.request("OrderPreviewRequest", **(fields | more))
    found = house.named("OrderPreview")
    assert len(found) == 1
    assert not house.named("ExecutionReport")
    assert (found[0]["requestId"], found[0]["echo"]) == (9, b"p")
    return found[0]


CASES = [
    (PERP, 1, 0.05, 100_000), (PERP, 1, 0.05, 100_400), (PERP, 2, 0.09, 100_000),
    (PERP, 1, 0.2, 100_000), (LONE, 1, 100, 0.4), (LONE, 2, 100, 0.4), (ALPHA, 1, 5_000, 0.5),
    (SPOT, 1, 0.005, 100_000), (SPOT, 2, 0.001, 100_000), (SPOT, 1, 1, 100_000),
]


@pytest.mark.parametrize(("instrument", "side", "quantity", "price"), CASES)
def test_it_says_what_entering_the_order_then_does(
    house: Exchange, instrument: int, side: int, quantity: float, price: float
) -> None:
    before = house.margin(ANN)
    told = preview(house, instrument, side, quantity, price)
    assert (told["equity"], told["initialBefore"], told["maintenanceBefore"]) == before
    assert house.margin(ANN) == before
    again = preview(house, instrument, side, quantity, price)
    assert {k: v for k, v in told.items() if k != "header"} == {
        k: v for k, v in again.items() if k != "header"}
    entered = house.order(ANN, instrument, "buy" if side == 1 else "sell", quantity, price)
    assert told["reason"] == entered["reason"]
    if told["reason"] == 0:
        after = house.margin(ANN)
        assert (told["equity"], told["initialAfter"], told["maintenanceAfter"]) == after
    else:
        assert (told["detail"], told["limit"]) == (entered["detail"], entered["limit"])
        assert told["initialAfter"] > told["initialBefore"] or told["borrowed"] > 0


def test_figures_of_a_perpetual(house: Exchange) -> None:
    told = preview(house, PERP, 1, 0.09, 100_000)
    assert (told["reason"], told["price"]) == (0, whole(100_000))
    assert told["value"] == 9_000 * MICRO
    assert (told["initialBefore"], told["initialAfter"]) == (0, 900 * MICRO)
    assert told["maintenanceAfter"] == 540 * MICRO
    assert told["borrowed"] == 0


def test_what_would_be_borrowed(house: Exchange) -> None:
    assert preview(house, SPOT, 2, 0.001, 100_000)["borrowed"] == 10**5  # satoshi
    assert preview(house, SPOT, 1, 0.011, 100_000)["borrowed"] == 100 * MICRO


def test_a_market_order_is_judged_at_the_worst_price_of_its_band(house: Exchange) -> None:
    empty = preview(house, PERP, 1, 0.01, None)
    assert (empty["reason"], empty["price"]) == (oe.REASON_NO_LIQUIDITY, None)
    house.order(BOB, PERP, "sell", 1, 100_000)
    told = preview(house, PERP, 1, 0.01, None)
    assert told["price"] == whole(101_000)
    assert told["reason"] == house.order(ANN, PERP, "buy", 0.01, None)["reason"] == 0


def test_terms_are_judged_first_and_a_stop_by_them_alone(house: Exchange) -> None:
    wrong = preview(house, PERP, 1, 0.00005, 100_000)
    assert (wrong["reason"], wrong["limit"]) == (oe.REASON_QUANTITY_NOT_ON_LOT, whole(0.0001))
    assert wrong["price"] is None
    stop = preview(house, PERP, 1, 5, None, ordType=3, stopPx=whole(110_000))
    assert stop["reason"] == 0
    assert stop["initialAfter"] == stop["initialBefore"]


def test_the_id_of_an_open_order_is_a_duplicate_only_if_it_is_named(house: Exchange) -> None:
    house.request("OrderPreviewRequest", account=10_000, clOrdId=0, instrument=PERP, side=1,
                  ordType=2, timeInForce=1, orderQty=whole(1), tag=0, selfTradePrevention=0,
                  triggerType=0, outcomeSide=0, execInst=0, requestId=1, echo=b"")
    assert house.named("OrderPreview")[0]["reason"] == oe.REASON_UNKNOWN_ACCOUNT
    order = house.order(ANN, PERP, "buy", 0.01, 90_000)
    assert preview(house, PERP, 1, 0.01, 90_000)["reason"] == 0
    named = preview(house, PERP, 1, 0.01, 90_000, clOrdId=order["clOrdId"])
    assert named["reason"] == oe.REASON_DUPLICATE_CL_ORD_ID


def test_it_takes_no_slot_and_leaves_the_orders_alone(house: Exchange) -> None:
    first = house.order(ANN, PERP, "buy", 0.01, 90_000)
    free = int(house.s["free_count"]), int(house.s["accounts"][ANN]["open_orders"])
    for _ in range(1_000):  # More than there are slots.
        preview(house, PERP, 1, 0.01, 95_000)
    assert int(house.s["accounts"][ANN]["open_orders"]) == free[1]
    house.cancel(first)
    assert house.named("ExecutionReport")[0]["execType"] == ord("4")
