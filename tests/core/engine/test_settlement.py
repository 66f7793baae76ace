"""Settlement and funding: exact, zero-sum, in slices, whatever trades in between."""

import pytest

from sbe.generated import control
from sbe.generated import order_entry as oe
from tests.core.engine.exchange import (
    ANN,
    BOB,
    CAT,
    CLEARING,
    DAN,
    FEES,
    PERP,
    ROUNDING,
    SPOT,
    Exchange,
    whole,
)
from tests.core.engine.liquidation.kit import SIGNED

MICRO = 10**6


@pytest.fixture
def house() -> Exchange:
    house = Exchange().populate()
    for account in (ANN, BOB, CAT, DAN):
        house.deposit(account, 100_000)
    return house


def test_profit_becomes_balance_and_the_margin_stays(house: Exchange) -> None:
    house.trade(ANN, BOB, PERP, 1, 100_000)
    house.mark(PERP, 101_000)
    before = [house.margin(account) for account in (ANN, BOB)]
    assert house.send("SettlementStart", 0, 4, cycle=1) == 0
    settled = {e["account"]: e for e in house.named("PositionSettled")}
    assert settled[ANN]["amount"] == 1_000 * MICRO
    assert settled[BOB]["amount"] == -1_000 * MICRO
    assert (settled[ANN]["previousMark"], settled[ANN]["mark"]) == (0, whole(101_000))
    done = house.named("SettlementCompleted")[0]
    assert (done["positions"], done["debits"], done["credits"]) == (2, 10**9, 10**9)
    assert house.balance(ANN) == 101_000 * MICRO
    assert [house.margin(account) for account in (ANN, BOB)] == before


def test_the_settled_money_can_be_spent(house: Exchange) -> None:
    house.trade(ANN, BOB, PERP, 1, 100_000)
    house.mark(PERP, 150_000)
    house.send("SettlementStart", 0, 4, cycle=1)
    assert house.balance(ANN) == 150_000 * MICRO
    # 15,000 of it is the position's initial margin.
    house.request("WithdrawalRequest", account=ANN, asset=0, amount=134_999 * MICRO, requestId=1,
                  echo=b"")
    assert house.named("WithdrawalReport")[0]["reason"] == 0


def test_a_cycle_that_isnt_new_is_refused(house: Exchange) -> None:
    assert house.send("SettlementStart", 0, 4, cycle=5) == 0
    house.finish_jobs()
    assert house.send("SettlementStart", 0, 4, cycle=5) == oe.REASON_INVALID_TRANSITION
    assert house.send("SettlementStart", 0, 4, cycle=6) == 0


def crowd(size: int) -> Exchange:
    """Many accounts, each long or short of the perpetual, against Ann."""
    house = Exchange(checked=False).populate()
    house.deposit(ANN, 10_000_000)
    for number in range(size):
        account = 110 + number
        house.account(account, 2 + number % 90)
        house.deposit(account, 1_000)
        buyer, seller = (account, ANN) if number % 3 else (ANN, account)
        house.trade(buyer, seller, PERP, 0.01, 100_000)
    house.checked = True
    return house


def test_slices_between_commands_settle_the_cut_and_nothing_else() -> None:
    house = crowd(200)
    house.mark(PERP, 101_000)
    assert house.send("SettlementStart", 0, 4, cycle=1) == 0
    assert house.s["jobs"] == 1
    assert not house.named("SettlementCompleted"), "not within one slice"
    # While it runs the mark moves on and a position trades that the walk hasn't reached.
    house.mark(PERP, 90_000)
    early = house.order(309, PERP, "buy", 0.01, 89_000)
    assert early["reason"] == 0
    house.order(308, PERP, "sell", 0.01, 89_000)
    trades = [e for e in house.named("ExecutionReport") if e["execType"] == ord("F")]
    assert len(trades) == 2
    assert house.send("SettlementStart", 0, 4, cycle=2) == oe.REASON_IN_PROGRESS
    house.finish_jobs()
    # 200 traders with 0.01 at 100,000, cut at 101,000: ten each way.
    for number in range(200):
        sign = 1 if number % 3 else -1
        assert house.balance(110 + number) == (1_000 + sign * 10) * MICRO
    assert house.balance(CLEARING) == 0
    # The trade at 89,000 belongs to the next cycle, at the mark of 90,000.
    assert house.send("SettlementStart", 0, 4, cycle=2) == 0
    house.finish_jobs()
    assert house.position(309, PERP)["unsettled"] == 0
    sign = 1 if 199 % 3 else -1
    assert house.balance(309) == (1_000 + sign * 10 - sign * 110 + 10) * MICRO


def test_losers_pay_before_winners_are_paid() -> None:
    house = crowd(100)
    house.mark(PERP, 101_000)
    house.send("SettlementStart", 0, 4, cycle=1)
    amounts = [e["amount"] for e in house.named("PositionSettled")]
    amounts += [f["amount"] for _, name, f in house.finish_jobs() if name == "PositionSettled"]
    signs = [amount > 0 for amount in amounts]
    assert signs == sorted(signs)
    assert sum(amounts) == 0


def test_funding_rounds_against_the_customer(house: Exchange) -> None:
    house.trade(ANN, BOB, PERP, 0.0003, 100_000)
    house.trade(ANN, CAT, PERP, 0.0004, 100_000)
    before = [house.balance(a) for a in (ANN, BOB, CAT)]
    assert house.send("FundingStart", 0, 4, instrument=PERP, rate=12_345) == 0
    events = house.events + house.finish_jobs()
    assert [house.balance(a) - b for a, b in zip((ANN, BOB, CAT), before, strict=True)] == [
        -865, 370, 493]  # 864.15, 370.35, 493.8 in micro-USDC
    done = next(f for _, name, f in events if name == "FundingCompleted")
    assert (done["positions"], done["remainder"]) == (3, 2)
    assert house.balance(ROUNDING) == 2
    assert house.balance(CLEARING) == 0


def test_who_trades_during_funding_is_funded_at_the_quantity_of_the_cut() -> None:
    house = crowd(200)
    before = house.balance(309)
    held = int(house.position(309, PERP)["quantity"])
    assert house.send("FundingStart", 0, 4, instrument=PERP, rate=1_000_000) == 0
    assert house.s["jobs"] == 1
    house.order(309, PERP, "buy", 0.05, 100_000)
    house.order(308, PERP, "sell", 0.05, 100_000)
    house.finish_jobs()
    assert house.balance(309) - before == -held * 10_000  # 0.1 % of 10 USDC a lot
    assert house.balance(CLEARING) == 0


@pytest.mark.parametrize(
    ("instrument", "rate", "reason"),
    [
        (SPOT, 1, oe.REASON_INVALID_FIELD),
        (PERP, 10**9 + 1, oe.REASON_INVALID_FIELD),
        (31, 1, oe.REASON_UNKNOWN_INSTRUMENT),
    ],
)
def test_funding_that_makes_no_sense_is_refused(
    house: Exchange, instrument: int, rate: int, reason: int
) -> None:
    assert house.send("FundingStart", 0, 4, instrument=instrument, rate=rate) == reason
    estimate = {"instrument": instrument, "rate": rate, "fundingTime": 7}
    assert house.send("FundingEstimate", 0, 4, **estimate) == reason
    assert not house.named("FundingEstimated")


def test_an_estimate_of_the_next_funding_is_told_on(house: Exchange) -> None:
    assert house.send("FundingEstimate", 0, 4, instrument=PERP, rate=-12, fundingTime=7) == 0
    told = house.named("FundingEstimated")
    assert [(f["instrument"], f["rate"], f["fundingTime"]) for f in told] == [(PERP, -12, 7)]


def test_a_markets_cap_on_its_funding_rate(house: Exchange) -> None:
    house.trade(ANN, BOB, PERP, 1, 100_000)
    cap = control.RISK_PARAMETER_FUNDING_RATE_CAP
    assert house.send("SetRiskParameter", parameter=cap, scope=PERP, value=50_000, role=1,
                      signer=1, **SIGNED) == 0
    for rate in (50_001, -50_001):
        assert house.send("FundingStart", 0, 4, instrument=PERP, rate=rate) == (
            oe.REASON_FUNDING_RATE_CAP)
        (result,) = house.named("CommandResult")
        assert (result["detail"], result["limit"]) == (rate, 50_000)
    assert house.send("FundingStart", 0, 4, instrument=PERP, rate=-50_000) == 0


def test_only_what_changed_since_the_last_report_is_reported(house: Exchange) -> None:
    def reported(changed: int) -> dict[tuple[int, int], int]:
        assert house.send("ReportBalances", 0, 4, cycle=1, changed=changed) == 0
        events = house.events + house.finish_jobs()
        return {(f["account"], f["asset"]): f["balance"] for _, name, f in events
                if name == "BalanceUpdate"}

    assert (ANN, 0) in reported(0)
    assert reported(1) == {}
    house.trade(ANN, BOB, PERP, 1, 100_000)  # only fees move money, and there are none
    house.deposit(CAT, 5)
    assert reported(1) == {
        (CAT, 0): house.balance(CAT), **{(a, 0): house.balance(a) for a in (FEES, ANN, BOB)}}
    assert reported(1) == {}
    assert len(reported(0)) > 4


def test_every_balance_is_reported(house: Exchange) -> None:
    house.deposit(ANN, 2, 1)
    assert house.send("ReportBalances", 0, 4, cycle=9, key=1 << 40) == 0
    events = house.events + house.finish_jobs()
    reported = {(f["account"], f["asset"]): f["balance"] for _, name, f in events
                if name == "BalanceUpdate"}
    assert reported[ANN, 0] == 100_000 * MICRO
    assert reported[ANN, 1] == 2 * 10**8
    assert {f["requestId"] for _, name, f in events if name == "BalanceUpdate"} == {1 << 40}
    done = next(f for _, name, f in events if name == "BalancesReported")
    assert (done["cycle"], done["accounts"]) == (9, 12)  # eight of the house's
