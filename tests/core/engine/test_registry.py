"""Registering: numbers are taken once, what is named must exist, events tell all."""

from typing import Any

import pytest

from sbe.generated import order_entry as oe
from tests.core.engine.exchange import ANN, BOB, BTC, PERP, USDC, Exchange, whole


@pytest.fixture(scope="module")
def house() -> Exchange:
    return Exchange().populate()


ASSET = {"number": 3, "name": "X", "decimals": 8}


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"number": USDC}, oe.REASON_ALREADY_EXISTS),
        ({"number": 4}, oe.REASON_CAPACITY_REACHED),
        ({"decimals": 13}, oe.REASON_INVALID_FIELD),
        ({"haircutInitial": 10_000}, oe.REASON_INVALID_FIELD),
        ({"borrowMarginInitial": 10_000}, oe.REASON_INVALID_FIELD),
        ({"utilisationCeiling": 1_000_001}, oe.REASON_INVALID_FIELD),
        ({"borrowLimit": -1}, oe.REASON_INVALID_FIELD),
    ],
)
def test_assets(house: Exchange, changed: dict[str, Any], reason: int) -> None:
    assert house.asset(**(ASSET | changed)) == reason
    assert house.s["assets"][3]["registered"] == 0


def test_usdc_has_six_decimals() -> None:
    house = Exchange()
    assert house.asset(USDC, "USDC", 8) == oe.REASON_INVALID_FIELD
    assert house.asset(USDC, "USDC", 6) == 0
    event = house.named("AssetRegistered")[0]
    assert (event["name"], event["decimals"], event["asset"]) == ("USDC", 6, 0)


@pytest.mark.parametrize(
    ("name", "fields", "reason"),
    [
        ("RegisterOwner", {"owner": 1}, oe.REASON_CAPACITY_REACHED),
        ("RegisterOwner", {"owner": ANN}, oe.REASON_ALREADY_EXISTS),
        ("RegisterOwner", {"owner": 50, "feeTier": 8}, oe.REASON_INVALID_FIELD),
        ("RegisterAccount", {"account": 50}, oe.REASON_CAPACITY_REACHED),
        ("RegisterAccount", {"account": ANN}, oe.REASON_ALREADY_EXISTS),
        ("RegisterAccount", {"account": 140, "owner": 50}, oe.REASON_UNKNOWN_OWNER),
        ("RegisterSession", {"session": 16}, oe.REASON_CAPACITY_REACHED),
        ("RegisterSession", {"owner": 50}, oe.REASON_UNKNOWN_OWNER),
        ("RegisterSession", {"account": 150}, oe.REASON_UNKNOWN_ACCOUNT),
        ("RegisterSession", {"account": BOB}, oe.REASON_NOT_AUTHORIZED),
        ("RegisterEvent", {"event": 1}, oe.REASON_ALREADY_EXISTS),
        ("RegisterEvent", {"event": 8}, oe.REASON_CAPACITY_REACHED),
        ("RegisterEvent", {"outcomes": 33}, oe.REASON_INVALID_FIELD),
        ("SetAccountState", {"account": 150}, oe.REASON_UNKNOWN_ACCOUNT),
        ("SetFees", {"tier": 8}, oe.REASON_INVALID_FIELD),
        ("SetFees", {"makerFee": -500, "takerFee": 499}, oe.REASON_INVALID_FIELD),
    ],
)
def test_what_does_not_fit_is_refused(
    house: Exchange, name: str, fields: dict[str, Any], reason: int
) -> None:
    usual: dict[str, dict[str, Any]] = {
        "RegisterOwner": {"owner": 60, "name": "o", "feeTier": 0, "selfTradePrevention": 1},
        "RegisterAccount": {"account": 140, "owner": ANN, "name": "a", "autoLend": 1,
                            "autoBorrow": 1},
        "RegisterSession": {"session": 5, "owner": ANN, "account": ANN, "kind": 1, "name": "s"},
        "RegisterEvent": {"event": 5, "kind": 1, "outcomes": 2, "rulesHash": bytes(32),
                          "title": b""},
        "SetAccountState": {"account": ANN, "state": 1},
        "SetFees": {"tier": 0, "kind": 1, "makerFee": 0, "takerFee": 0},
    }
    assert house.send(name, **(usual[name] | fields)) == reason


def test_fees_are_taken_by_tier_and_kind_and_rounded_up() -> None:
    house = Exchange().populate()
    assert house.send("SetFees", tier=0, kind=2, makerFee=-50, takerFee=400) == 0
    house.deposit(ANN, 1_000)
    house.deposit(BOB, 1_000)
    house.trade(ANN, BOB, PERP, 0.0001, 100_000.1)  # 10.00001 USDC
    fees = {e["account"]: e["fee"] for e in house.named("ExecutionReport")
            if e["execType"] == ord("F")}
    assert fees == {ANN: 4001, BOB: -500}  # 4000.004 up, 500.0005 toward zero
    assert house.balance(1) == 3501
    assert house.balance(ANN) == 10**9 - 4001


def test_prices_that_make_no_sense_are_refused(house: Exchange) -> None:
    def index(**changed: Any) -> int:
        fields = {"asset": BTC, "state": 0, "sources": 3, "price": whole(1)}
        return house.send("SetIndexPrice", 0, 6, **(fields | changed))

    assert index(asset=USDC) == oe.REASON_INVALID_FIELD
    assert index(asset=3) == oe.REASON_UNKNOWN_ASSET
    assert index(price=0) == oe.REASON_PRICE_OUT_OF_RANGE
    assert index(state=3) == oe.REASON_INVALID_FIELD

    def mark(**changed: Any) -> int:
        fields = {"instrument": PERP, "rule": 0, "price": whole(1), "index": 0, "premium": 0}
        return house.send("SetMarkPrice", 0, 6, **(fields | changed))

    assert mark(instrument=30) == oe.REASON_UNKNOWN_INSTRUMENT
    assert mark(price=0) == oe.REASON_PRICE_OUT_OF_RANGE
    assert mark(rule=4) == oe.REASON_INVALID_FIELD
    assert mark(price=whole(100_000) + 1) == 0
    assert house.named("MarkPriceChanged")[0]["price"] == whole(100_000), "on the grain"
