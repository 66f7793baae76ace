"""The door of the margin room: what is admitted, what is refused, and with which numbers."""

import pytest

from sbe.generated import order_entry as oe
from tests.core.engine.exchange import (
    ABOVE,
    ALPHA,
    ANN,
    BETA,
    BOB,
    BTC,
    CAT,
    DAN,
    ETH,
    GAMMA,
    LONE,
    PERP,
    SPOT,
    USDC,
    Exchange,
    whole,
)

MICRO = 10**6


@pytest.fixture
def house() -> Exchange:
    return Exchange().populate()


def test_a_perpetual_needs_its_share_of_the_notional(house: Exchange) -> None:
    house.deposit(ANN, 1_000)
    assert house.order(ANN, PERP, "buy", 0.09, 100_000)["reason"] == 0
    assert house.margin(ANN) == (1_000 * MICRO, 900 * MICRO, 540 * MICRO)
    refused = house.order(ANN, PERP, "buy", 0.02, 100_000)
    assert refused["reason"] == oe.REASON_INSUFFICIENT_MARGIN
    assert (refused["detail"], refused["limit"]) == (200 * MICRO, 100 * MICRO)


def test_both_sides_need_only_the_worse(house: Exchange) -> None:
    house.deposit(ANN, 1_000)
    assert house.order(ANN, PERP, "buy", 0.09, 99_990)["reason"] == 0
    assert house.order(ANN, PERP, "sell", 0.09, 100_010)["reason"] == 0
    assert house.margin(ANN)[1] == 900 * MICRO


def test_an_order_worse_than_the_mark_needs_what_it_would_lose(house: Exchange) -> None:
    house.deposit(ANN, 10_000)
    house.order(ANN, PERP, "buy", 0.1, 100_500)
    assert house.margin(ANN)[1] == (1_000 + 50) * MICRO


def test_orders_far_from_the_mark_do_not_pay_for_one_that_gives_money_away(
    house: Exchange,
) -> None:
    house.deposit(ANN, 10_000)
    assert house.order(ANN, PERP, "sell", 0.1, 200_000)["reason"] == 0
    refused = house.order(ANN, PERP, "sell", 0.2, 50_000)  # Would lose 10,000 at once.
    assert refused["reason"] == oe.REASON_INSUFFICIENT_MARGIN
    assert (refused["detail"], refused["limit"]) == (12_000 * MICRO, 9_000 * MICRO)


def test_cancelling_gives_the_margin_back(house: Exchange) -> None:
    house.deposit(ANN, 1_000)
    for price in (99_000, 99_500, 100_000):
        report = house.order(ANN, PERP, "buy", 0.1, price)
        assert report["reason"] == 0
        house.cancel(report)
    assert house.margin(ANN) == (1_000 * MICRO, 0, 0)


def test_a_large_position_needs_the_root_of_its_size(house: Exchange) -> None:
    house.deposit(ANN, 100_000_000)
    # 100 million: 2e-5 × √1e8 = 20 %, above the base of 10 %.
    house.order(ANN, PERP, "buy", 1_000, 100_000)
    _, initial, maintenance = house.margin(ANN)
    assert 0 <= initial - 20_000_000 * MICRO <= MICRO // 10
    assert 0 <= maintenance - 12_000_000 * MICRO <= MICRO // 10


def test_no_new_risk_on_a_stale_index_but_reducing_works(house: Exchange) -> None:
    house.deposit(ANN, 10_000)
    house.deposit(BOB, 10_000)
    house.trade(ANN, BOB, PERP, 0.1, 100_000)
    house.index(BTC, 100_000, state=2)
    assert house.order(ANN, PERP, "buy", 0.1, 99_000)["reason"] == oe.REASON_INDEX_STALE
    assert house.order(ANN, PERP, "sell", 0.2, 99_900)["reason"] == oe.REASON_INDEX_STALE
    assert house.order(ANN, PERP, "sell", 0.1, 99_900)["reason"] == 0


def test_a_perpetual_without_a_mark_cannot_be_traded(house: Exchange) -> None:
    assert house.list(20, 2, 0.1, 0.0001) == 0
    house.deposit(ANN, 1_000)
    assert house.order(ANN, 20, "buy", 0.1, 100)["reason"] == oe.REASON_INDEX_STALE


def test_below_initial_margin_only_risk_may_go(house: Exchange) -> None:
    house.deposit(ANN, 1_100)
    house.deposit(BOB, 100_000)
    house.trade(ANN, BOB, PERP, 0.1, 100_000)
    house.mark(PERP, 98_000)  # Equity 900, initial 980.
    equity, initial, maintenance = house.margin(ANN)
    assert maintenance < equity < initial
    assert house.order(ANN, PERP, "buy", 0.01, 98_000)["reason"] == oe.REASON_INSUFFICIENT_MARGIN
    worse = house.order(ANN, PERP, "sell", 0.05, 80_000)
    assert worse["reason"] == oe.REASON_INSUFFICIENT_MARGIN  # Gives more away than it frees.
    flips = house.order(ANN, PERP, "sell", 0.15, 97_900)
    assert flips["reason"] == oe.REASON_INSUFFICIENT_MARGIN
    assert house.order(ANN, PERP, "sell", 0.05, 97_900)["reason"] == 0


# ---- spot ---------------------------------------------------------------------------------------


def test_spot_buys_with_cash_and_holds_the_haircut(house: Exchange) -> None:
    house.deposit(ANN, 50_000)
    assert house.order(ANN, SPOT, "buy", 0.5, 100_000)["reason"] == 0
    assert house.s["accounts"][ANN]["assets"][USDC]["reserved"] == 50_000 * MICRO
    house.deposit(BOB, 1, BTC)
    assert house.order(BOB, SPOT, "sell", 0.5, 100_000)["reason"] == 0
    assert (house.balance(ANN), house.balance(ANN, BTC)) == (0, 5 * 10**7)
    assert (house.balance(BOB), house.balance(BOB, BTC)) == (50_000 * MICRO, 5 * 10**7)
    assert house.margin(ANN) == (50_000 * MICRO, 5_000 * MICRO, 3_000 * MICRO)


def test_an_account_that_does_not_borrow_spends_only_what_it_has(house: Exchange) -> None:
    house.account(120, DAN, auto_borrow=0)
    house.deposit(120, 10, BTC)
    refused = house.order(120, SPOT, "buy", 0.5, 100_000)
    assert refused["reason"] == oe.REASON_INSUFFICIENT_BALANCE
    assert (refused["detail"], refused["limit"]) == (50_000 * MICRO, 0)
    refused = house.order(120, SPOT, "sell", 10.5, 100_000)
    assert refused["reason"] == oe.REASON_INSUFFICIENT_BALANCE
    assert house.order(120, SPOT, "sell", 10, 100_000)["reason"] == 0


def test_a_purchase_beyond_the_cash_borrows_from_the_pool(house: Exchange) -> None:
    house.deposit(ANN, 10, BTC)
    house.deposit(BOB, 1, BTC)
    empty = house.order(ANN, SPOT, "buy", 0.1, 100_000)
    assert empty["reason"] == oe.REASON_POOL_CEILING
    assert (empty["detail"], empty["limit"]) == (10_000 * MICRO, 0)
    house.deposit(CAT, 20_000)
    house.trade(ANN, BOB, SPOT, 0.1, 100_000)
    assert house.balance(ANN) == -10_000 * MICRO
    assert house.s["assets"][USDC]["borrowed"] == 10_000 * MICRO
    # 10.1 BTC less 10,000 of debt; haircut 10 %, debt 1 %.
    assert house.margin(ANN)[:2] == (1_000_000 * MICRO, 101_100 * MICRO)


def test_borrowing_stops_at_the_accounts_limit() -> None:
    house = Exchange()
    house.asset(USDC, "USDC", 6)
    house.asset(BTC, "BTC", 8, borrowLimit=10**7)
    house.account(ANN, ANN)
    house.account(BOB, BOB)
    house.list(SPOT, 1, 0.01, 0.0001)
    house.index(BTC, 100_000)
    house.deposit(ANN, 1_000_000)
    house.deposit(BOB, 100, BTC)
    assert house.order(ANN, SPOT, "sell", 0.1, 100_000)["reason"] == 0
    refused = house.order(ANN, SPOT, "sell", 0.0001, 100_000)
    assert refused["reason"] == oe.REASON_BORROW_LIMIT
    assert (refused["detail"], refused["limit"]) == (10_010_000, 10**7)


def test_what_is_not_borrowable_is_not_borrowed() -> None:
    house = Exchange()
    house.asset(USDC, "USDC", 6)
    house.asset(BTC, "BTC", 8, borrowable=0)
    house.account(ANN, ANN)
    house.list(SPOT, 1, 0.01, 0.0001)
    house.index(BTC, 100_000)
    house.deposit(ANN, 1_000_000)
    assert house.order(ANN, SPOT, "sell", 0.1, 1)["reason"] == oe.REASON_INSUFFICIENT_BALANCE


def test_a_debt_is_refused_without_a_price_for_it(house: Exchange) -> None:
    assert house.list(21, 1, 0.01, 0.001, baseAsset=3) == oe.REASON_UNKNOWN_ASSET
    assert house.asset(3, "NEW", 8) == 0
    assert house.list(21, 1, 0.01, 0.001, baseAsset=3) == 0
    house.deposit(ANN, 1_000_000)
    house.deposit(BOB, 100, 3)
    assert house.order(ANN, 21, "sell", 1, 10)["reason"] == oe.REASON_INDEX_STALE
    assert house.order(BOB, 21, "sell", 1, 10)["reason"] == 0
    assert house.order(ANN, 21, "buy", 1, 10)["reason"] == 0  # Fully paid, worth nothing yet.
    assert house.margin(ANN)[0] == 999_990 * MICRO


# ---- predictions --------------------------------------------------------------------------------


def test_a_prediction_costs_its_price_and_no_more(house: Exchange) -> None:
    house.deposit(ANN, 40)
    house.deposit(BOB, 60)
    house.trade(ANN, BOB, LONE, 100, 0.40)
    for account in (ANN, BOB):
        equity, initial, maintenance = house.margin(account)
        assert equity == initial == maintenance
    assert house.balance(ANN) == 0
    assert house.balance(BOB) == 100 * MICRO
    more = house.order(ANN, LONE, "buy", 1, 0.01)
    assert more["reason"] == oe.REASON_INSUFFICIENT_MARGIN


def test_a_fully_paid_book_survives_every_mark(house: Exchange) -> None:
    house.deposit(ANN, 120)
    house.deposit(BOB, 100)
    house.trade(ANN, BOB, ALPHA, 100, 0.50)
    house.trade(BOB, ANN, BETA, 50, 0.20)
    house.trade(ANN, BOB, ABOVE, 30, 0.90)
    for mark in (0, 0.01, 0.37, 0.99, 1):
        for instrument in (ALPHA, BETA, ABOVE):
            house.mark(instrument, mark)
        for account in (ANN, BOB):
            equity, _, maintenance = house.margin(account)
            assert equity >= maintenance


def test_shorts_of_exclusive_outcomes_share_their_collateral(house: Exchange) -> None:
    house.deposit(ANN, 100)
    for instrument in (ALPHA, BETA, GAMMA):  # At most one of them pays.
        assert house.order(ANN, instrument, "sell", 100, 0.01)["reason"] == 0
    equity, initial, _ = house.margin(ANN)
    # Each sold at 0.01: at worst one of them costs 99.
    assert equity - initial == (100 - 99) * MICRO
    lone = house.order(ANN, LONE, "sell", 100, 0.5)
    assert lone["reason"] == oe.REASON_INSUFFICIENT_MARGIN


def test_what_only_closes_needs_nothing(house: Exchange) -> None:
    house.deposit(ANN, 40)
    house.deposit(BOB, 60)
    house.trade(ANN, BOB, LONE, 100, 0.40)
    assert house.order(ANN, LONE, "sell", 100, 0.01)["reason"] == 0
    assert house.order(BOB, LONE, "buy", 100, 0.99)["reason"] == 0


def test_no_position_grows_beyond_exact_arithmetic(house: Exchange) -> None:
    maximum = int(house.s["instruments"][PERP]["position_maximum"])
    house.s["instruments"][PERP]["lots_maximum"] = maximum + 1
    refused = house.order(ANN, PERP, "buy", (maximum + 1) / 10_000, 100_000)
    assert refused["reason"] == oe.REASON_POSITION_LIMIT


def test_withdrawals_leave_the_initial_margin(house: Exchange) -> None:
    house.deposit(ANN, 1_000)
    house.deposit(ANN, 1, ETH)
    house.deposit(BOB, 10_000)
    house.trade(ANN, BOB, PERP, 0.04, 100_000)  # Needs 400.

    def withdraw(amount: int, asset: int = USDC) -> dict[str, int]:
        house.request("WithdrawalRequest", account=ANN, asset=asset, amount=amount, requestId=1,
                      echo=b"")
        return house.named("WithdrawalReport")[0]

    assert withdraw(1_001 * MICRO)["reason"] == oe.REASON_INSUFFICIENT_BALANCE
    assert withdraw(1_000 * MICRO)["reason"] == 0  # The ether, at 90 %, is enough.
    refused = withdraw(10**8, ETH)
    assert refused["reason"] == oe.REASON_INSUFFICIENT_MARGIN
    assert refused["limit"] == (3_600 - 400) * MICRO
    assert withdraw(8 * 10**7, ETH)["reason"] == 0
    equity, initial, _ = house.margin(ANN)
    assert equity - initial >= 0


def test_what_is_lent_out_cannot_be_withdrawn(house: Exchange) -> None:
    house.deposit(ANN, 10_000)
    house.deposit(BOB, 10, BTC)
    house.deposit(CAT, 10, BTC)
    house.trade(BOB, CAT, SPOT, 0.08, 100_000)  # Bob borrows 8,000 of Ann's; Cat lends them on.
    house.request("WithdrawalRequest", account=ANN, asset=USDC, amount=9_999 * MICRO, requestId=1,
                  echo=b"")
    report = house.named("WithdrawalReport")[0]
    assert report["reason"] == oe.REASON_POOL_CEILING
    assert report["detail"] == 8_000 * MICRO


def test_prices_reach_every_position_of_the_account(house: Exchange) -> None:
    house.deposit(ANN, 100_000)
    house.deposit(BOB, 100_000)
    house.trade(ANN, BOB, PERP, 0.1, 100_000)
    house.mark(PERP, 110_000)
    assert house.margin(ANN) == (101_000 * MICRO, 1_100 * MICRO, 660 * MICRO)
    assert house.margin(BOB) == (99_000 * MICRO, 1_100 * MICRO, 660 * MICRO)
    assert whole(110_000) == int(house.s["instruments"][PERP]["mark"])


def test_a_stale_index_lets_nothing_be_added_beside_bids_far_above_the_mark(
    house: Exchange,
) -> None:
    """The sums alone see the bids' loss below; what the offer adds stands above."""
    house.deposit(ANN, 100_000)
    house.deposit(BOB, 100_000)
    house.trade(BOB, ANN, PERP, 0.003, 100_000)
    assert house.order(ANN, PERP, "buy", 0.0027, 100_400)["reason"] == 0
    house.mark(PERP, 85_957)
    house.index(BTC, 85_957, state=2)
    offer = house.order(ANN, PERP, "sell", 0.0004, 101_000)
    assert offer["reason"] == oe.REASON_INDEX_STALE
    assert house.order(ANN, PERP, "buy", 0.0003, 80_000)["reason"] == 0, "it only closes"
