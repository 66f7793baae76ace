"""Trading states: which follow which, what each allows, and the opening auction."""

import pytest

from sbe.generated import order_entry as oe
from tests.core.engine.exchange import ANN, BOB, LONE, PERP, Exchange, whole

PRE_OPEN, OPEN, CANCEL_ONLY, HALTED, CLOSED = 1, 2, 3, 4, 5


@pytest.fixture
def house() -> Exchange:
    house = Exchange().populate()
    house.deposit(ANN, 10_000)
    house.deposit(BOB, 10_000)
    return house


def put(house: Exchange, state: int, instrument: int = LONE) -> int:
    return house.send("SetTradingState", instrument=instrument, state=state)


def test_states_that_take_no_orders(house: Exchange) -> None:
    resting = house.order(ANN, LONE, "buy", 10, 0.40)
    for state in (CANCEL_ONLY, HALTED):
        assert put(house, state) == 0
        assert house.order(ANN, LONE, "buy", 10, 0.40)["reason"] == oe.REASON_INSTRUMENT_STATE
    assert put(house, OPEN) == 0
    assert house.order(BOB, LONE, "sell", 10, 0.40)["reason"] == 0
    assert house.position(ANN, LONE)["quantity"] == 10
    assert resting["reason"] == 0


def test_closing_cancels_everything(house: Exchange) -> None:
    house.order(ANN, LONE, "buy", 10, 0.40)
    house.order(BOB, LONE, "sell", 10, 0.60)
    assert put(house, CLOSED) == 0
    gone = house.named("ExecutionReport")
    assert [e["reason"] for e in gone] == [oe.REASON_MARKET_CLOSED] * 2
    assert put(house, PRE_OPEN) == 0


@pytest.mark.parametrize("state", [OPEN, 6, 7, 8, 0, 9])
def test_transitions_that_are_not_for_operators(house: Exchange, state: int) -> None:
    assert put(house, state) == oe.REASON_INVALID_TRANSITION


def test_a_crossed_book_opens_with_an_auction_at_one_price(house: Exchange) -> None:
    assert put(house, PRE_OPEN) == 0
    house.order(ANN, LONE, "buy", 30, 0.60)
    house.order(ANN, LONE, "buy", 10, 0.50)
    house.order(BOB, LONE, "sell", 35, 0.50)
    assert put(house, OPEN) == 0
    trades = [e for e in house.named("ExecutionReport") if e["execType"] == ord("F")]
    assert {e["lastPx"] for e in trades} == {whole(0.50)}
    changed = house.named("TradingStateChanged")[0]
    assert (changed["state"], changed["auctionPrice"], changed["auctionQty"]) == (
        OPEN, whole(0.50), whole(35))
    assert house.position(ANN, LONE)["quantity"] == 35


def test_a_stop_on_the_mark_and_on_the_index_is_triggered(house: Exchange) -> None:
    house.order(BOB, PERP, "sell", 0.01, 100_000)
    house.order(BOB, PERP, "sell", 0.01, 100_000)
    for trigger in (2, 3):
        house.order(ANN, PERP, "buy", 0.01, 100_000, ordType=4, triggerType=trigger,
                    stopPx=whole(101_000))
    assert house.position(ANN, PERP)["quantity"] == 0
    house.mark(PERP, 101_000)
    assert house.position(ANN, PERP)["quantity"] == 100
    house.index(1, 101_500)
    assert house.position(ANN, PERP)["quantity"] == 200
