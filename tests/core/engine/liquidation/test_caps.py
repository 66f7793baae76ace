"""Caps on what counts, on what one owner may hold of a market, and on what may leave in a day."""

import pytest

from sbe.generated import order_entry as oe
from tests.core.engine.exchange import ALPHA, ANN, BOB, BTC, CAT, DAN, ETH, PERP, whole
from tests.core.engine.liquidation.kit import MICRO, SECOND, Court, court

LISTING_RAMP, SHARE, FREE, CAP, RAMP, WITHDRAWAL_SHARE = 11, 34, 35, 46, 47, 48
USDC = 0
DAY = 86_400 * SECOND
COIN = 10**8


def counted(house: Court, account: int) -> int:
    """What an account has for new risk, USDC units."""
    equity, initial, _ = house.margin(account)
    return equity - initial


@pytest.fixture
def house() -> Court:
    """Everybody has 1 BTC, of which 90,000 USDC count for new risk, and no USDC."""
    house = court(deposit=0.000001)
    for account in (ANN, BOB, CAT, DAN):
        house.deposit(account, 1, BTC)
    return house


def test_what_is_above_the_cap_counts_for_nobody(house: Court) -> None:
    assert counted(house, ANN) == pytest.approx(90_000 * MICRO, abs=9)
    maintenance = house.margin(ANN)[2]
    assert house.parameter(CAP, 100_000 * MICRO, BTC) == 0  # a quarter of what there is
    assert counted(house, ANN) == pytest.approx(22_500 * MICRO, abs=9)
    assert house.margin(ANN)[2] == maintenance, "nobody is liquidated for it"
    assert house.order(ANN, PERP, "buy", 2.3, 100_000)["reason"] == oe.REASON_INSUFFICIENT_MARGIN
    assert house.order(ANN, PERP, "buy", 2.2, 100_000)["reason"] == 0


def test_a_deposit_lowers_the_share_of_everybody_at_once(house: Court) -> None:
    assert house.parameter(CAP, 400_000 * MICRO, BTC) == 0
    assert counted(house, ANN) == pytest.approx(90_000 * MICRO, abs=9)
    house.deposit(BOB, 4, BTC)
    assert counted(house, ANN) == pytest.approx(45_000 * MICRO, abs=9)
    house.index(BTC, 50_000)  # Worth half, all of it is within the cap again.
    assert counted(house, ANN) == pytest.approx(45_000 * MICRO, abs=9)


def test_a_new_asset_counts_by_the_day(house: Court) -> None:
    assert house.parameter(LISTING_RAMP, 1_000 * MICRO) == 0
    assert house.asset(3, "NEW", 8) == 0
    assert house.s["assets"][3]["collateral_ramp"] == 1_000 * MICRO
    house.deposit(ANN, 100, 3)
    free = counted(house, ANN)
    began = house.time
    for days, most in ((0, 0), (1, 1_000), (2.5, 2_500), (9, 9_000), (20, 20_000)):
        house.time = began + int(days * DAY)
        house.index(3, 100)  # 10,000 USDC in all, less a haircut of a tenth
        new = counted(house, ANN) - free
        assert new == pytest.approx(min(most, 10_000) * 0.9 * MICRO, abs=10 * MICRO), days
    assert house.parameter(RAMP, 0, 3) == 0, "ending it earlier is for two roles"
    assert house.s["assets"][3]["collateral_ramp"] == 1_000 * MICRO
    house.request("WithdrawalRequest", account=ANN, asset=3, amount=100 * COIN, requestId=1,
                  echo=b"")
    assert house.named("WithdrawalReport")[0]["reason"] == 0, "what counts for little can leave"


def test_assets_of_the_founding_have_no_ramp() -> None:
    house = Court()
    assert house.parameter(LISTING_RAMP, 1_000 * MICRO) == 0
    house.populate()
    assert [int(house.s["assets"][n]["collateral_ramp"]) for n in (USDC, BTC, ETH)] == [0, 0, 0]


def test_an_owner_may_hold_a_share_of_the_open_interest() -> None:
    house = court(deposit=1_000_000)
    house.account(110, ANN)
    house.deposit(110, 1_000_000)
    assert house.parameter(FREE, 5_000, PERP) == 0  # half a coin
    assert house.parameter(SHARE, 250_000, PERP) == 0
    house.trade(ANN, BOB, PERP, 0.5, 100_000)
    refused = house.order(110, PERP, "buy", 0.0001, 100_000)
    assert (refused["reason"], refused["limit"]) == (oe.REASON_INTEREST_SHARE, whole(0.5))
    assert house.order(ANN, PERP, "sell", 0.5, 110_000)["reason"] == 0, "closing goes always"
    assert house.parameter(FREE, 100_000, PERP) == 0
    assert house.named("RiskParameterChanged")[0]["state"] == 2, "proposed only"
    assert house.parameter(SHARE, 0, PERP) == 0
    assert house.named("RiskParameterChanged")[0]["state"] == 2
    assert house.s["markets"][PERP]["interest_share"] == 250_000
    assert house.order(ANN, ALPHA, "buy", 50, 0.5)["reason"] == 0, "of that market only"


def withdraw(house: Court, account: int, amount: int) -> tuple[int, int]:
    """Reason and limit of a withdrawal."""
    house.request("WithdrawalRequest", account=account, asset=USDC, amount=amount, requestId=1,
                  echo=b"")
    report = house.named("WithdrawalReport")[0]
    return report["reason"], report["limit"]


def test_a_drain_meets_the_breaker_and_a_slow_one_does_not() -> None:
    house = court(deposit=1_000)
    house.time += DAY
    assert house.parameter(WITHDRAWAL_SHARE, 250_000) == 0
    assert withdraw(house, ANN, 900 * MICRO) == (0, 0)
    assert withdraw(house, BOB, 101 * MICRO) == (oe.REASON_WITHDRAWAL_BREAKER, 100 * MICRO)
    assert withdraw(house, BOB, 100 * MICRO) == (0, 0)
    # Sent and gone, or failed and back: what has left counts, what came back does not.
    assert house.send("WithdrawalStep", 0, 4, withdrawalId=1, state=2) == 0
    assert house.send("WithdrawalStep", 0, 4, withdrawalId=1, state=3) == 0
    assert withdraw(house, CAT, MICRO)[0] == oe.REASON_WITHDRAWAL_BREAKER
    assert house.send("WithdrawalStep", 0, 4, withdrawalId=2, state=4) == 0
    assert withdraw(house, CAT, 100 * MICRO) == (0, 0)
    house.time += DAY  # The mean is 3,000 now, less what is rounded.
    reason, limit = withdraw(house, DAN, 1_000 * MICRO)
    assert (reason, limit) == (oe.REASON_WITHDRAWAL_BREAKER, pytest.approx(750 * MICRO, rel=1e-3))


def test_money_paid_in_for_a_moment_does_not_open_the_breaker() -> None:
    house = court(deposit=1_000)
    house.time += DAY
    assert house.parameter(WITHDRAWAL_SHARE, 100_000) == 0
    house.deposit(DAN, 100_000)
    house.time += 60 * SECOND
    assert withdraw(house, DAN, 100_000 * MICRO) == (0, 0)
    # As much as before may go, but for the minute's share in the mean.
    _, limit = withdraw(house, ANN, 1_000 * MICRO)
    assert limit == pytest.approx(400 * MICRO - 69 * MICRO * 0.9, abs=MICRO)


def test_only_two_roles_open_the_breaker_wider() -> None:
    house = court()
    assert house.parameter(WITHDRAWAL_SHARE, 100_000) == 0
    assert house.parameter(WITHDRAWAL_SHARE, 50_000) == 0
    assert house.s["assets"][USDC]["withdrawal_share"] == 50_000
    for value in (60_000, 0):
        assert house.parameter(WITHDRAWAL_SHARE, value) == 0
        assert house.named("RiskParameterChanged")[0]["state"] == 2
    assert house.s["assets"][USDC]["withdrawal_share"] == 50_000
