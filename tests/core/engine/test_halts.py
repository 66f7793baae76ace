"""The client's kill switch: everything goes, nothing comes in, and only what it shut it opens."""

from typing import Any

import pytest

from sbe.generated import order_entry as oe
from tests.core.engine.exchange import ANN, BOB, PERP, Exchange


@pytest.fixture
def house() -> Exchange:
    found = Exchange().populate()
    for account in (ANN, BOB):
        found.deposit(account, 10_000)
    return found


def switch(house: Exchange, halted: int, account: int = ANN) -> dict[str, Any]:
    house.request("TradingHalt", account=account, requestId=5, halted=halted, echo=b"k")
    found = house.named("TradingHaltReport")
    assert len(found) == 1
    assert (found[0]["requestId"], found[0]["echo"]) == (5, b"k")
    return found[0]


def test_it_cancels_all_and_takes_nothing_until_it_is_lifted(house: Exchange) -> None:
    for price in (90_000, 91_000):
        house.order(ANN, PERP, "buy", 0.01, price)
    others = house.order(BOB, PERP, "buy", 0.01, 89_000)
    told = switch(house, 1)
    assert (told["canceled"], told["reason"], told["state"]) == (2, 0, oe.ACCOUNT_STATE_HALTED)
    gone = house.named("ExecutionReport")
    assert [(e["execType"], e["reason"]) for e in gone] == [(ord("4"), oe.REASON_MASS_CANCEL)] * 2
    assert [e["state"] for e in house.named("AccountStateChanged")] == [oe.ACCOUNT_STATE_HALTED]
    refused = house.order(ANN, PERP, "buy", 0.01, 90_000)
    assert (refused["reason"], refused["detail"]) == (
        oe.REASON_ACCOUNT_STATE, oe.ACCOUNT_STATE_HALTED)
    assert house.order(BOB, PERP, "buy", 0.01, 90_000)["reason"] == 0
    house.cancel(others)
    assert house.named("ExecutionReport")[0]["execType"] == ord("4")
    assert switch(house, 0)["state"] == oe.ACCOUNT_STATE_ACTIVE
    assert house.order(ANN, PERP, "buy", 0.01, 90_000)["reason"] == 0


@pytest.mark.parametrize("state", [oe.ACCOUNT_STATE_REDUCE_ONLY, oe.ACCOUNT_STATE_SUSPENDED])
def test_what_an_operator_restricted_stays(house: Exchange, state: int) -> None:
    house.order(ANN, PERP, "buy", 0.01, 90_000)
    assert house.send("SetAccountState", account=ANN, state=state) == 0
    told = switch(house, 1)
    assert (told["canceled"], told["reason"], told["state"]) == (
        1, oe.REASON_ACCOUNT_STATE, state)
    told = switch(house, 0)
    assert (told["reason"], told["state"]) == (oe.REASON_ACCOUNT_STATE, state)


def test_twice_is_once(house: Exchange) -> None:
    switch(house, 1)
    assert switch(house, 1)["reason"] == 0
    assert not house.named("AccountStateChanged")
    assert house.send("SetAccountState", account=ANN, state=oe.ACCOUNT_STATE_ACTIVE) == 0
    assert house.order(ANN, PERP, "buy", 0.01, 90_000)["reason"] == 0
    assert switch(house, 1, account=9_999)["reason"] == oe.REASON_UNKNOWN_ACCOUNT
