"""What clients ask to be kept from: excluded for a while, no more losses than so much a day."""

from typing import Any

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


def ask(house: Exchange, action: int, session: int = 0, **fields: int) -> dict[str, Any]:
    """A ClientProtectionRequest of Ann's; the report."""
    plain = {"account": ANN, "requestId": 7, "until": None, "amount": 0, "action": action,
             "echo": b"mine"}
    house.request("ClientProtectionRequest", session, **(plain | fields))
    (report,) = house.named("ClientProtectionReport")
    assert (report["requestId"], report["echo"], report["action"]) == (7, b"mine", action)
    return report


@pytest.fixture
def session(house: Exchange) -> int:
    assert house.send("RegisterSession", session=1, owner=ANN, account=ANN, kind=1, name="A") == 0
    return 1


def test_a_client_excludes_himself_by_his_own_session(house: Exchange, session: int) -> None:
    house.order(ANN, PERP, "buy", 0.5, 90_000)
    until = house.time + DAY
    report = ask(house, oe.CLIENT_PROTECTION_ACTION_SELF_EXCLUDE, session, until=until)
    assert (report["reason"], report["excludedUntil"]) == (0, until)
    house.finish_jobs()
    assert house.s["accounts"][ANN]["open_orders"] == 0
    assert house.order(ANN, PERP, "buy", 0.1, 90_000)["reason"] == oe.REASON_SELF_EXCLUDED
    for sooner in (until - 1, house.time):
        report = ask(house, oe.CLIENT_PROTECTION_ACTION_SELF_EXCLUDE, session, until=sooner)
        assert report["reason"] in (oe.REASON_SELF_EXCLUDED, oe.REASON_INVALID_FIELD)
        assert report["excludedUntil"] == until
    assert ask(house, 2, session, amount=5)["reason"] == 0  # Beside it, another wish.
    report = ask(house, oe.CLIENT_PROTECTION_ACTION_SELF_EXCLUDE, session, until=until + DAY)
    assert (report["excludedUntil"], report["dailyLoss"]) == (until + DAY, 5)


def test_his_limits_are_tighter_at_once_and_looser_a_day_later(
    house: Exchange, session: int
) -> None:
    for action, name in ((oe.CLIENT_PROTECTION_ACTION_LIMIT_DAILY_LOSS, "dailyLoss"),
                         (oe.CLIENT_PROTECTION_ACTION_LIMIT_DAILY_DEPOSITS, "dailyDeposits")):
        first = ask(house, action, session, amount=1_000 * USDC)
        assert (first[name], first["effectiveTime"]) == (1_000 * USDC, house.time)
        looser = ask(house, action, session, amount=2_000 * USDC)
        assert (looser[name], looser["effectiveTime"]) == (1_000 * USDC, house.time + DAY)
        tighter = ask(house, action, session, amount=500 * USDC)
        assert tighter[name] == 500 * USDC
        ask(house, action, session)
        house.time += DAY
        lifted = ask(house, action, session)
        assert (lifted[name], lifted["effectiveTime"]) == (0, house.time)


def test_who_may_not_ask(house: Exchange, session: int) -> None:
    limit = oe.CLIENT_PROTECTION_ACTION_LIMIT_DAILY_LOSS
    assert ask(house, limit, amount=5)["reason"] == oe.REASON_NOT_AUTHORIZED  # without a session
    assert ask(house, limit, session, amount=-1)["reason"] == oe.REASON_INVALID_FIELD
    assert ask(house, 9, session, amount=1)["reason"] == oe.REASON_INVALID_FIELD
    assert ask(house, limit, session, account=BOB)["reason"] != 0
    assert house.s["controls"]["active"] == 0


def test_deposits_beyond_the_owners_cap_are_not_credited(house: Exchange) -> None:
    assert protect(house, ANN, deposits=1_000 * USDC) == 0
    before = house.balance(ANN)
    # The 100,000 that she began the day with are beyond it.
    assert house.send("Deposit", account=ANN, asset=0, amount=1) == oe.REASON_DEPOSIT_LIMIT
    house.time += DAY
    assert house.send("Deposit", account=ANN, asset=0, amount=900 * USDC) == 0
    assert house.send("Deposit", account=ANN, asset=1, amount=10**5) == 0  # 0.001 of 100,000 USDC
    (result,) = house.named("CommandResult")
    assert result["reason"] == 0
    assert house.send("Deposit", account=ANN, asset=0, amount=USDC) == oe.REASON_DEPOSIT_LIMIT
    (result,) = house.named("CommandResult")
    assert (result["detail"], result["limit"]) == (1_001 * USDC, 1_000 * USDC)
    assert house.balance(ANN) == before + 900 * USDC
    assert house.send("Deposit", account=BOB, asset=0, amount=USDC) == 0
    house.time += DAY
    assert house.send("Deposit", account=ANN, asset=0, amount=1_000 * USDC) == 0
