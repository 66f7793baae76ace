"""Gates: denied unless the first rule that fits allows, decided when profile or rules change."""

import pytest

from sbe.generated import order_entry as oe
from tests.core.engine.controls.kit import controls, country, furnished, gate, profile
from tests.core.engine.exchange import ALPHA, ANN, BOB, CAT, PERP, SPOT, Exchange

DENY, CLOSE_ONLY, ALLOW = 1, 2, 3


@pytest.fixture
def house() -> Exchange:
    return furnished()


def reason(house: Exchange, account: int, instrument: int, side: str = "buy",
           lots: float = 0.01) -> int:
    price = 0.3 if instrument == ALPHA else 90_000.0
    if side == "sell":
        price = 0.7 if instrument == ALPHA else 110_000.0
    return int(house.order(account, instrument, side, lots, price)["reason"])


def allowed(house: Exchange, owner: int) -> dict[int, int]:
    """Decisions by product, from the owner's permissions."""
    permissions = int(house.s["owner_controls"][owner]["permissions"])
    return {kind: (permissions >> 2 * kind & 3) + 1 for kind in range(1, 7)}


def test_without_enforcement_nothing_is_asked(house: Exchange) -> None:
    assert gate(house, 0, DENY) == 0
    assert reason(house, ANN, PERP) == 0


def test_denied_by_default(house: Exchange) -> None:
    assert controls(house, gating=1) == 0
    report = house.order(ANN, PERP, "buy", 0.01, 90_000)
    assert report["reason"] == oe.REASON_PRODUCT_GATE
    assert (report["detail"], report["limit"]) == (oe.INSTRUMENT_KIND_PERPETUAL, DENY)
    assert profile(house, ANN, country=country("CH")) == 0
    assert reason(house, ANN, PERP) == oe.REASON_PRODUCT_GATE
    assert gate(house, 10, ALLOW) == 0
    assert reason(house, ANN, PERP) == 0


def test_the_first_gate_that_fits_decides(house: Exchange) -> None:
    """No perpetuals in the US; staff trades no outcomes; licence 2 only closes; else all."""
    assert gate(house, 1, DENY, country=country("US"), kind=oe.INSTRUMENT_KIND_PERPETUAL) == 0
    assert gate(house, 2, DENY, clientClass=9, kind=oe.INSTRUMENT_KIND_OUTCOME) == 0
    assert gate(house, 3, CLOSE_ONLY, licence=2) == 0
    assert gate(house, 4, ALLOW) == 0
    assert controls(house, gating=1) == 0
    assert profile(house, ANN, country=country("US")) == 0
    said = house.named("OwnerPermitted")
    assert [(e["owner"], e["decision"]) for e in said] == [(ANN, house.sequence)]
    assert said[0]["country"] == country("US")
    assert profile(house, BOB, country=country("CH"), clientClass=9) == 0
    assert profile(house, CAT, country=country("CH"), licence=2) == 0
    assert allowed(house, ANN) == {1: 3, 2: 1, 3: 3, 4: 3, 5: 3, 6: 3}
    assert allowed(house, BOB) == {1: 3, 2: 3, 3: 1, 4: 3, 5: 3, 6: 3}
    assert set(allowed(house, CAT).values()) == {CLOSE_ONLY}
    assert [reason(house, ANN, i) != 0 for i in (SPOT, PERP)] == [False, True]
    assert reason(house, BOB, ALPHA, lots=1) == oe.REASON_PRODUCT_GATE
    # A change of the rules is decided for everybody it concerns, and for nobody else.
    assert gate(house, 2, 0) == 0
    assert [e["owner"] for e in house.named("OwnerPermitted")] == [BOB]
    assert reason(house, BOB, ALPHA, lots=1) == 0


def test_closing_is_open_for_closing(house: Exchange) -> None:
    house.trade(ANN, BOB, PERP, 0.02, 100_000)
    assert gate(house, 0, ALLOW, licence=1) == 0
    assert gate(house, 1, CLOSE_ONLY) == 0
    for owner in (ANN, BOB):
        assert profile(house, owner) == 0
    assert controls(house, gating=1) == 0
    assert reason(house, ANN, PERP, "buy") == oe.REASON_PRODUCT_GATE
    assert reason(house, ANN, PERP, "sell", 0.03) == oe.REASON_PRODUCT_GATE
    assert reason(house, ANN, PERP, "sell", 0.02) == 0
    assert reason(house, ANN, PERP, "sell", 0.01) == oe.REASON_PRODUCT_GATE  # With the other one.
    assert reason(house, BOB, SPOT, "buy") == oe.REASON_PRODUCT_GATE
    assert profile(house, BOB, licence=1, validUntil=house.time + 10**9) == 0
    assert reason(house, BOB, PERP, "sell") == 0
    house.time += 2 * 10**9  # The review of the profile is due.
    assert reason(house, BOB, PERP, "sell") == oe.REASON_PRODUCT_GATE
    assert reason(house, BOB, PERP, "buy") == 0


def test_what_is_wrong_is_refused(house: Exchange) -> None:
    assert profile(house, 1) == oe.REASON_UNKNOWN_OWNER
    assert profile(house, 127) == oe.REASON_UNKNOWN_OWNER
    assert gate(house, 256, ALLOW) == oe.REASON_CAPACITY_REACHED
    assert gate(house, 0, ALLOW, kind=8) == oe.REASON_INVALID_FIELD
    assert controls(house, lossCap=-1) == oe.REASON_INVALID_FIELD
