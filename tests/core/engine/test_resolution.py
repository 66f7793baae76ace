"""Resolution: hull checks, cancelled orders, payouts that add up and hurt nobody on the way."""

from typing import Any

import pytest

from sbe.generated import order_entry as oe
from tests.core.engine.exchange import (
    ABOVE,
    ALPHA,
    ANN,
    BETA,
    BOB,
    CAT,
    CLEARING,
    CUP,
    GAMMA,
    LONE,
    PERP,
    Exchange,
    whole,
)

MICRO = 10**6


@pytest.fixture
def house() -> Exchange:
    house = Exchange().populate()
    for account in (ANN, BOB, CAT):
        house.deposit(account, 1_000)
    return house


def resolve(house: Exchange, *payouts: float) -> int:
    return house.send("ResolveEvent", 0, 6, event=CUP, evidenceHash=bytes(range(32)),
                      payouts=[{"payout": whole(p)} for p in payouts])


def test_longs_get_what_shorts_pay(house: Exchange) -> None:
    house.trade(ANN, BOB, ALPHA, 100, 0.40)
    house.trade(CAT, BOB, BETA, 50, 0.30)
    assert resolve(house, 1, 0, 0) == 0
    events = house.events + house.finish_jobs()
    assert house.balance(ANN) == (1_000 - 40 + 100) * MICRO
    assert house.balance(BOB) == (1_000 + 40 - 100 + 15) * MICRO
    assert house.balance(CAT) == (1_000 - 15) * MICRO
    resolved = [f for _, name, f in events if name == "InstrumentResolved"]
    assert [f["payout"] for f in resolved] == [whole(1), 0, 0]
    assert resolved[0]["evidenceHash"] == bytes(range(32))
    done = {f["instrument"]: f for _, name, f in events if name == "ResolutionCompleted"}
    assert (done[ALPHA]["positions"], done[ALPHA]["paid"]) == (2, 100 * MICRO)
    states = [f["state"] for _, name, f in events if name == "TradingStateChanged"]
    assert states == [oe.TRADING_STATE_RESOLVING] * 3 + [oe.TRADING_STATE_RESOLVED] * 3


def test_open_orders_are_cancelled_first(house: Exchange) -> None:
    house.order(ANN, ALPHA, "buy", 10, 0.40)
    house.order(BOB, GAMMA, "sell", 10, 0.40)
    kept = house.order(BOB, LONE, "sell", 10, 0.40)
    assert resolve(house, 0, 0, 0) == 0
    gone = [f for _, name, f in house.events + house.finish_jobs() if name == "ExecutionReport"]
    assert [(f["account"], f["reason"]) for f in gone] == [
        (ANN, oe.REASON_RESOLUTION), (BOB, oe.REASON_RESOLUTION)]
    assert house.s["orders_open"] == 1
    house.cancel(kept)
    assert house.order(ANN, ALPHA, "buy", 10, 0.40)["reason"] == oe.REASON_INSTRUMENT_STATE


@pytest.mark.parametrize(
    ("kind", "payouts", "reason"),
    [
        (1, (1, 1, 0), oe.REASON_INVALID_PAYOUT),
        (1, (0.5, 0.5, 0), 0),
        (1, (0, 0, 0), 0),
        (1, (-0.5, 0.5, 0), oe.REASON_INVALID_PAYOUT),
        (1, (1, 0), oe.REASON_INVALID_PAYOUT),
        (2, (0, 0, 0), oe.REASON_INVALID_PAYOUT),
        (2, (0.2, 0.3, 0.5), 0),
        (3, (1, 1, 0), 0),
        (3, (0, 1, 1), oe.REASON_INVALID_PAYOUT),
        (3, (1, 0.5, 0.25), 0),
        (1, (0.00000001, 0, 0), oe.REASON_NOT_EXACTLY_REPRESENTABLE),
    ],
)
def test_payouts_lie_in_the_hull(
    house: Exchange, kind: int, payouts: tuple[float, ...], reason: int
) -> None:
    assert house.send("RegisterEvent", event=2, kind=kind, outcomes=3, rulesHash=bytes(32),
                      title=b"") == 0
    for outcome in range(3):
        assert house.list(20 + outcome, 3, 0.01, 1, event=2, outcome=outcome) == 0
    given = [{"payout": whole(p)} for p in payouts]
    assert house.send("ResolveEvent", 0, 6, event=2, evidenceHash=bytes(32),
                      payouts=given) == reason
    assert house.s["event_groups"][2]["state"] == (2 if reason == 0 else 0)


def test_an_event_is_resolved_once(house: Exchange) -> None:
    assert resolve(house, 1, 0, 0) == 0
    assert resolve(house, 0, 1, 0) == oe.REASON_INVALID_TRANSITION
    assert house.send("ResolveEvent", 0, 6, event=5, evidenceHash=bytes(32),
                      payouts=[]) == oe.REASON_UNKNOWN_EVENT


def test_a_price_linked_prediction_is_resolved_by_itself(house: Exchange) -> None:
    house.trade(ANN, BOB, ABOVE, 200, 0.25)
    fields: dict[str, Any] = {"payout": whole(1), "settlementPrice": whole(101_234.5),
                              "evidenceHash": bytes(32)}
    assert house.send("ResolveInstrument", 0, 6, instrument=PERP,
                      **fields) == oe.REASON_INVALID_FIELD
    assert house.send("ResolveInstrument", 0, 6, instrument=ALPHA,
                      **fields) == oe.REASON_INVALID_FIELD
    assert house.send("ResolveInstrument", 0, 6, instrument=ABOVE, **fields) == 0
    assert house.named("InstrumentResolved")[0]["settlementPrice"] == whole(101_234.5)
    house.finish_jobs()
    assert house.balance(ANN) == 1_150 * MICRO
    assert house.balance(BOB) == 850 * MICRO
    assert house.send("ResolveInstrument", 0, 6, instrument=ABOVE,
                      **fields) == oe.REASON_INVALID_TRANSITION


def test_resolution_lowers_nobodys_free_margin(house: Exchange) -> None:
    """Also between the slices: an account's whole event is paid at once."""
    for instrument, price in ((ALPHA, 0.30), (BETA, 0.30), (GAMMA, 0.30)):
        house.trade(ANN, BOB, instrument, 1_000, price)
    # Bob is short the whole set: whatever wins, he owes 1,000 and holds 1,900.
    before = {account: house.margin(account) for account in (ANN, BOB)}
    resolve(house, 0, 1, 0)
    while True:
        for account in (ANN, BOB):
            equity, initial, _ = house.margin(account)
            assert equity - initial >= before[account][0] - before[account][1]
        if house.s["jobs"] == 0:
            break
    assert house.balance(ANN) == (1_000 - 900 + 1_000) * MICRO
    assert house.balance(CLEARING) == 0
