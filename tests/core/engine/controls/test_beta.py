"""The invite-only beta: nobody else, and every cap at its last unit."""

import pytest

from sbe.generated import order_entry as oe
from tests.core.engine.controls.kit import controls, furnished, profile
from tests.core.engine.exchange import ALPHA, ANN, BOB, CAT, PERP, SPOT, START, Exchange

USDC = 10**6
DAY = 86_400 * 10**9


@pytest.fixture
def house() -> Exchange:
    found = furnished()
    for owner in (ANN, BOB):
        assert profile(found, owner, invited=1) == 0
    return found


def test_only_the_invited(house: Exchange) -> None:
    assert controls(house, beta=1) == 0
    assert house.order(ANN, PERP, "buy", 0.01, 90_000)["reason"] == 0
    refused = house.order(CAT, PERP, "buy", 0.01, 90_000)
    assert (refused["reason"], refused["detail"]) == (oe.REASON_NOT_INVITED, CAT)
    assert profile(house, CAT, invited=1) == 0
    assert house.order(CAT, PERP, "buy", 0.01, 90_000)["reason"] == 0


def test_the_notional_ramps_by_the_day(house: Exchange) -> None:
    assert controls(house, beta=1, betaStart=START, notionalCap=1000 * USDC,
                    notionalRamp=500 * USDC) == 0
    assert house.order(ANN, PERP, "buy", 0.01, 90_000)["reason"] == 0  # 1,000 at the mark.
    refused = house.order(ANN, PERP, "buy", 0.0001, 90_000)
    assert refused["reason"] == oe.REASON_BETA_LIMIT
    assert (refused["detail"], refused["limit"]) == (1010 * USDC, 1000 * USDC)
    house.time = START + DAY
    assert house.order(ANN, PERP, "buy", 0.005, 90_000)["reason"] == 0
    assert house.order(ANN, ALPHA, "buy", 1, 0.3)["reason"] == oe.REASON_BETA_LIMIT
    house.time = START + 2 * DAY
    assert house.order(ANN, ALPHA, "buy", 400, 0.3)["reason"] == 0  # What it can pay counts.
    assert house.order(ANN, SPOT, "buy", 0.001, 90_000)["reason"] == 0
    assert house.order(ANN, SPOT, "buy", 0.001, 90_000)["reason"] == oe.REASON_BETA_LIMIT


def test_losses_and_equity_leave_only_closing(house: Exchange) -> None:
    house.trade(ANN, BOB, PERP, 0.1, 100_000)
    assert controls(house, beta=1, lossCap=100 * USDC) == 0
    assert house.order(ANN, PERP, "buy", 0.01, 90_000)["reason"] == 0
    house.mark(PERP, 98_000)
    refused = house.order(ANN, PERP, "buy", 0.01, 90_000)
    assert (refused["reason"], refused["detail"]) == (oe.REASON_BETA_LIMIT, 200 * USDC)
    assert house.order(ANN, PERP, "sell", 0.1, 100_000)["reason"] == 0
    assert house.order(BOB, PERP, "sell", 0.01, 110_000)["reason"] == 0  # He has gained.
    assert controls(house, beta=1, equityCap=100_100 * USDC) == 0
    refused = house.order(BOB, PERP, "sell", 0.01, 110_000)
    assert (refused["reason"], refused["limit"]) == (oe.REASON_BETA_LIMIT, 100_100 * USDC)
    assert house.order(ANN, PERP, "buy", 0.01, 90_000)["reason"] == 0


def test_open_interest_of_all_markets(house: Exchange) -> None:
    assert controls(house, beta=1, interestCap=10_000 * USDC) == 0
    house.trade(ANN, BOB, PERP, 0.1, 100_000)
    refused = house.order(ANN, ALPHA, "buy", 1, 0.3)
    assert (refused["reason"], refused["detail"]) == (oe.REASON_BETA_LIMIT, 10_001 * USDC)
    assert house.order(ANN, SPOT, "buy", 0.01, 90_000)["reason"] == 0
    assert house.order(ANN, PERP, "sell", 0.1, 110_000)["reason"] == 0
    assert controls(house) == 0
    assert house.order(CAT, ALPHA, "buy", 1, 0.3)["reason"] == 0
