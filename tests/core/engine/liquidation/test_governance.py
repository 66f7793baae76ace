"""Risk parameters: tightening at once, loosening by two roles and a delay; limits that are set."""

import pytest

from sbe.generated import order_entry as oe
from tests.core.engine.exchange import ALPHA, ANN, BETA, BOB, BTC, CUP, PERP, SPOT, whole
from tests.core.engine.liquidation.kit import DELAY, MICRO, SECOND, SIGNED, Court, court

MARGIN_INITIAL, PREMIUM_BAND, POSITION, OWNER_POSITION, INTEREST = 20, 25, 26, 27, 28
LEVERAGE, EXPOSURE, BORROWING, OWNER_EXPOSURE, EVENT_ACCOUNT, EVENT_OWNER = 60, 61, 62, 70, 80, 81
DAY = 86_400 * SECOND
APPLIED, PROPOSED, APPROVED, REJECTED, EXPIRED = 1, 2, 3, 4, 5


def changes(house: Court) -> list[tuple[int, int]]:
    """(state, value) of the last command's changes."""
    return [(e["state"], e["value"]) for e in house.named("RiskParameterChanged")]


def wait(house: Court, time: int) -> None:
    house.time += time
    house.tick()


def test_tightening_takes_effect_at_once() -> None:
    house = court()
    house.trade(ANN, BOB, PERP, 1, 100_000)
    assert house.margin(ANN)[1] == 10_000 * MICRO
    assert house.parameter(MARGIN_INITIAL, 200_000, PERP) == 0
    assert changes(house) == [(APPLIED, 200_000)]
    assert house.margin(ANN)[1] == 20_000 * MICRO


def test_loosening_needs_the_other_role_and_a_day() -> None:
    house = court()
    assert house.parameter(MARGIN_INITIAL, 80_000, PERP, role=1) == 0
    proposal = house.named("RiskParameterChanged")[0]
    assert (proposal["state"], proposal["before"]) == (PROPOSED, 100_000)
    number = proposal["proposal"]
    assert house.decide(number, 1, role=1) == oe.REASON_NOT_AUTHORIZED
    nobody = {"role": 2, "proposal": number, "approve": 1, "signer": 0, **SIGNED}
    assert house.send("DecideRiskProposal", **nobody) == oe.REASON_NOT_AUTHORIZED
    same = {**nobody, "signer": 1}  # The proposer's key, with the other role's hat on.
    assert house.send("DecideRiskProposal", **same) == oe.REASON_NOT_AUTHORIZED
    assert house.decide(number, 1) == 0
    assert house.named("RiskParameterChanged")[0]["signer"] == 2
    assert changes(house) == [(APPROVED, 80_000)]
    wait(house, DAY - SECOND)
    assert house.s["instruments"][PERP]["margin_base_initial"] == 100_000
    wait(house, 2 * SECOND)
    assert changes(house) == [(APPLIED, 80_000)]
    assert house.s["instruments"][PERP]["margin_base_initial"] == 80_000
    assert house.s["proposals"] == 0


def test_proposals_expire_and_can_be_rejected() -> None:
    house = court()
    assert house.parameter(MARGIN_INITIAL, 80_000, PERP) == 0
    assert house.parameter(MARGIN_INITIAL, 90_000, PERP) == 0
    second = house.named("RiskParameterChanged")[0]["proposal"]
    assert house.decide(second, 0, role=1) == 0
    assert changes(house) == [(REJECTED, 90_000)]
    wait(house, DAY + SECOND)
    assert changes(house) == [(EXPIRED, 80_000)]
    assert house.decide(1, 1) != 0


def test_a_tightening_ends_what_was_proposed_before_it() -> None:
    house = court()
    assert house.parameter(MARGIN_INITIAL, 80_000, PERP) == 0
    assert house.decide(1, 1) == 0
    assert house.parameter(MARGIN_INITIAL, 300_000, PERP) == 0
    assert changes(house) == [(REJECTED, 80_000), (APPLIED, 300_000)]
    wait(house, 2 * DAY)
    assert house.s["instruments"][PERP]["margin_base_initial"] == 300_000


def test_the_delay_cannot_be_shortened_without_waiting_it_out() -> None:
    house = court()
    assert house.parameter(DELAY, 0) == 0
    assert changes(house) == [(PROPOSED, 0)]
    assert house.s["risk"]["loosening_delay"] == DAY


@pytest.mark.parametrize(("parameter", "scope", "value", "role", "reason"), [
    (MARGIN_INITIAL, PERP, 50_000, 1, oe.REASON_INVALID_FIELD),  # below maintenance
    (MARGIN_INITIAL, 31, 200_000, 1, oe.REASON_INVALID_FIELD),  # no such instrument
    (MARGIN_INITIAL, PERP, 200_000, 3, oe.REASON_NOT_AUTHORIZED),
    (19, 0, 1, 1, oe.REASON_INVALID_FIELD),
    (LEVERAGE, 5, 1, 1, oe.REASON_INVALID_FIELD),  # a house account
])
def test_what_makes_no_sense_is_refused(
    parameter: int, scope: int, value: int, role: int, reason: int
) -> None:
    assert court().parameter(parameter, value, scope, role) == reason


def refusal(house: Court, account: int, instrument: int, side: str, quantity: float,
            price: float) -> int:
    return int(house.order(account, instrument, side, quantity, price)["reason"])


def test_position_and_open_interest_limits() -> None:
    house = court()
    house.account(110, ANN)
    house.deposit(110, 100_000)
    assert house.parameter(POSITION, 5_000, PERP) == 0
    assert refusal(house, ANN, PERP, "buy", 0.6, 100_000) == oe.REASON_POSITION_LIMIT
    assert house.parameter(OWNER_POSITION, 7_000, PERP) == 0
    assert refusal(house, ANN, PERP, "buy", 0.4, 100_000) == 0
    assert refusal(house, 110, PERP, "buy", 0.4, 100_000) == oe.REASON_OWNER_LIMIT
    assert house.parameter(INTEREST, 3_000, PERP) == 0
    assert refusal(house, BOB, PERP, "sell", 0.31, 100_000) == oe.REASON_OPEN_INTEREST_LIMIT
    assert refusal(house, BOB, PERP, "sell", 0.3, 100_000) == 0
    # What only closes is asked nothing.
    assert refusal(house, BOB, PERP, "buy", 0.3, 100_000) == 0


def test_exposure_leverage_and_borrowing_of_an_account() -> None:
    house = court()
    assert house.parameter(LEVERAGE, 2_000, ANN) == 0
    assert refusal(house, ANN, PERP, "buy", 2.1, 100_000) == oe.REASON_LEVERAGE_LIMIT
    assert refusal(house, ANN, PERP, "buy", 2, 100_000) == 0
    assert house.parameter(EXPOSURE, 50_000 * MICRO, BOB) == 0
    assert refusal(house, BOB, PERP, "sell", 0.51, 110_000) == oe.REASON_EXPOSURE_LIMIT
    assert refusal(house, BOB, PERP, "sell", 0.5, 110_000) == 0
    house.deposit(ANN, 1, BTC)
    assert house.parameter(BORROWING, 1_000 * MICRO, BOB) == 0
    assert refusal(house, BOB, SPOT, "sell", 0.02, 100_000) == oe.REASON_BORROW_LIMIT


def test_exposure_of_an_owner() -> None:
    house = court()
    house.account(110, ANN)
    house.deposit(110, 100_000)
    assert house.parameter(OWNER_EXPOSURE, 100_000 * MICRO, ANN) == 0
    assert refusal(house, ANN, PERP, "buy", 0.6, 100_000) == 0
    assert refusal(house, 110, PERP, "buy", 0.5, 100_000) == oe.REASON_EXPOSURE_LIMIT


def test_what_may_be_lost_in_an_event() -> None:
    house = court()
    assert house.parameter(EVENT_ACCOUNT, 500 * MICRO, CUP) == 0
    assert refusal(house, ANN, ALPHA, "buy", 1_000, 0.4) == 0
    assert refusal(house, ANN, BETA, "sell", 200, 0.4) == oe.REASON_EVENT_LIMIT
    assert refusal(house, ANN, BETA, "buy", 200, 0.4) == 0
    house.account(110, ANN)
    house.deposit(110, 1_000)
    assert house.parameter(EVENT_OWNER, 490 * MICRO, CUP) == 0
    assert refusal(house, 110, ALPHA, "buy", 100, 0.4) == oe.REASON_EVENT_LIMIT


def test_the_premium_band() -> None:
    house = court()
    assert house.parameter(PREMIUM_BAND, 50_000, PERP) == 0
    assert house.send("SetMarkPrice", 0, 6, instrument=PERP, rule=1, price=whole(101_000),
                      index=whole(100_000), premium=10_000_000) == 0
    assert refusal(house, ANN, PERP, "buy", 0.1, 106_000.1) == oe.REASON_PRICE_BAND
    assert refusal(house, ANN, PERP, "buy", 0.1, 106_000) == 0
    assert refusal(house, BOB, PERP, "sell", 0.1, 95_999.9) == oe.REASON_PRICE_BAND


def test_a_degraded_price_takes_no_new_risk() -> None:
    house = court()
    house.trade(ANN, BOB, PERP, 1, 100_000)
    house.index(BTC, 100_000, 1)
    assert refusal(house, ANN, PERP, "buy", 0.1, 100_000) == oe.REASON_PRICE_DEGRADED
    assert refusal(house, ANN, PERP, "sell", 1, 100_000) == 0
