"""Listing keeps the rules that make later arithmetic exact; delisting leaves nothing behind."""

from math import gcd
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.engine.listing import _greatest_common_divisor
from sbe.generated import order_entry as oe
from tests.core.engine.exchange import (
    ALPHA,
    ANN,
    BOB,
    BTC,
    CUP,
    ETH,
    LONE,
    ONE,
    PERP,
    SPOT,
    USDC,
    Exchange,
    whole,
)

NEW = 20


@pytest.fixture(scope="module")
def house() -> Exchange:
    return Exchange().populate()


def test_steps_become_whole_units() -> None:
    house = Exchange().populate()
    spot, perp = house.s["instruments"][SPOT], house.s["instruments"][PERP]
    assert spot["value_per_tick_lot"] == 1  # 0.01 × 0.0001 USDC = 1e-6
    assert spot["base_per_lot"] == 10_000
    assert perp["value_per_tick_lot"] == 10
    assert (perp["grain"], perp["value_per_grain"]) == (whole(0.01), 1)
    alpha = house.s["instruments"][ALPHA]
    assert (alpha["one_tick"], alpha["one_value"]) == (100, 10**6)
    assert house.s["event_groups"][CUP]["instrument"][0] == ALPHA


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"number": PERP}, oe.REASON_ALREADY_EXISTS),
        ({"number": 999}, oe.REASON_CAPACITY_REACHED),
        ({"kind": 2, "quoteAsset": BTC, "baseAsset": ETH}, oe.REASON_UNKNOWN_ASSET),
        ({"kind": 1, "baseAsset": USDC}, oe.REASON_UNKNOWN_ASSET),
        ({"kind": 1, "baseAsset": 3}, oe.REASON_UNKNOWN_ASSET),
        ({"kind": 9}, oe.REASON_INVALID_FIELD),
        ({"state": 6}, oe.REASON_INVALID_TRANSITION),
        ({"tick": 0}, oe.REASON_INVALID_FIELD),
        ({"lot": 0}, oe.REASON_INVALID_FIELD),
        ({"tick": 0.001, "lot": 0.0001}, oe.REASON_NOT_EXACTLY_REPRESENTABLE),
        ({"kind": 3, "tick": 0.03, "lot": 1}, oe.REASON_NOT_EXACTLY_REPRESENTABLE),
        ({"kind": 3, "tick": 0.01, "lot": 1, "event": 7}, oe.REASON_UNKNOWN_EVENT),
        ({"kind": 3, "tick": 0.01, "lot": 1, "event": CUP, "outcome": 3}, oe.REASON_INVALID_FIELD),
        ({"kind": 3, "tick": 0.01, "lot": 1, "event": CUP, "outcome": 1},
         oe.REASON_ALREADY_EXISTS),
        ({"kind": 4, "tick": 0.01, "lot": 1}, oe.REASON_INVALID_FIELD),
        ({"kind": 6, "tick": 0.01, "lot": 1, "lowerStrike": 2, "upperStrike": 1},
         oe.REASON_INVALID_FIELD),
        ({"maximumPrice": whole(10_000_000)}, oe.REASON_PRICE_OUT_OF_RANGE),
        ({"maximumQty": 1 << 61}, oe.REASON_QUANTITY_ABOVE_MAXIMUM),
        ({"marginBaseMaintenance": 200_000}, oe.REASON_INVALID_FIELD),
        ({"marginFactorMaintenance": 30_000}, oe.REASON_INVALID_FIELD),
    ],
)
def test_what_breaks_a_rule_is_refused(
    house: Exchange, changed: dict[str, Any], reason: int
) -> None:
    fields = {"number": NEW, "kind": 2, "tick": 0.1, "lot": 0.0001} | changed
    assert house.list(**fields) == reason
    assert house.s["instruments"][NEW]["state"] == 0


@given(st.integers(1, 10**18), st.integers(1, 10**18))
def test_the_common_divisor_is_the_greatest(a: int, b: int) -> None:
    assert _greatest_common_divisor(a, b) == gcd(a, b)


def test_the_position_limit_of_the_listing_binds() -> None:
    house = Exchange().populate()
    assert house.list(NEW, 2, 0.1, 0.0001, positionLimit=whole(0.5)) == 0
    house.mark(NEW, 100_000)
    house.deposit(ANN, 1_000_000)
    assert house.order(ANN, NEW, "buy", 0.4, 100_000)["reason"] == 0
    refused = house.order(ANN, NEW, "buy", 0.2, 100_000)
    assert refused["reason"] == oe.REASON_POSITION_LIMIT
    assert (refused["detail"], refused["limit"]) == (whole(0.6), whole(0.5))


def test_delisting_waits_for_holders_and_cancels_orders() -> None:
    house = Exchange().populate()
    house.deposit(ANN, 1_000)
    house.deposit(BOB, 1_000)
    house.trade(ANN, BOB, LONE, 10, 0.5)
    assert house.send("DelistInstrument", instrument=LONE) == oe.REASON_INVALID_TRANSITION
    house.trade(BOB, ANN, LONE, 10, 0.5)
    house.order(ANN, LONE, "buy", 100, 0.4)
    assert house.send("DelistInstrument", instrument=LONE) == 0
    reports = house.named("ExecutionReport")
    assert [r["reason"] for r in reports] == [oe.REASON_DELISTING]
    assert house.named("TradingStateChanged")[0]["state"] == oe.TRADING_STATE_DELISTED
    assert house.position(ANN, LONE) is None
    assert house.order(ANN, LONE, "buy", 1, 0.5)["reason"] == oe.REASON_INSTRUMENT_STATE


def test_a_delisted_perpetual_settles_what_was_left() -> None:
    house = Exchange().populate()
    house.deposit(ANN, 10_000)
    house.deposit(BOB, 10_000)
    house.trade(ANN, BOB, PERP, 0.1, 100_000)
    house.trade(BOB, ANN, PERP, 0.1, 101_000)
    assert house.send("DelistInstrument", instrument=PERP) == 0
    house.finish_jobs()
    assert house.balance(ANN) == 10_100 * 10**6
    assert house.balance(BOB) == 9_900 * 10**6
    assert house.position(ANN, PERP) is None


@pytest.mark.parametrize("kind", [3, 4])
def test_the_number_of_a_delisted_prediction_is_listed_again_as_if_new(kind: int) -> None:
    house = Exchange().populate()
    house.deposit(ANN, 1_000)
    house.deposit(BOB, 1_000)
    strikes = {"lowerStrike": whole(99_000), "expiry": 1}
    first, fresh = NEW, NEW + 1
    for _ in range(3):
        assert house.list(first, kind, 0.01, 1, **strikes) == 0
        house.mark(first, 0.4)
        house.trade(ANN, BOB, first, 10, 0.5)
        house.order(ANN, first, "buy", 5, 0.3)
        assert house.send("ResolveInstrument", instrument=first, payout=ONE, settlementPrice=ONE,
                          evidenceHash=bytes(32)) == 0
        house.finish_jobs()
        assert house.list(first, kind, 0.01, 1, **strikes) == oe.REASON_ALREADY_EXISTS
        assert house.send("DelistInstrument", instrument=first) == 0
        house.finish_jobs()
    strikes = {"lowerStrike": whole(98_000), "expiry": 2}
    assert house.list(first, kind, 0.01, 1, symbol="NEW", **strikes) == 0
    assert house.list(fresh, kind, 0.01, 1, symbol="NEW", **strikes) == 0
    again, new = (house.s["instruments"][number] for number in (first, fresh))
    for name in new.dtype.names:
        if name not in ("root", "next_of_underlying"):
            assert np.array_equal(again[name], new[name]), name
    house.index(BTC, 97_000)
    assert again["index"] == (whole(97_000) if kind == 4 else 0)
    house.trade(BOB, ANN, first, 10, 0.5)
    assert house.position(BOB, first)["quantity"] == 10


def test_other_numbers_are_not_listed_again() -> None:
    house = Exchange().populate()
    for number in (SPOT, PERP):
        assert house.send("DelistInstrument", instrument=number) == 0
        house.finish_jobs()
        assert house.list(number, 3, 0.01, 1) == oe.REASON_ALREADY_EXISTS
