"""An owner's list of destinations and his delay: tighter at once, looser only after the delay."""

from typing import Any

import pytest

from core.messages import encode
from sbe.generated import order_entry as oe
from tests.core.engine.exchange import ANN, BOB, USDC, Exchange

MICRO = 10**6
SECOND = 10**9
HOUR = 3600
ADD, REMOVE, LIFT, DELAY = 1, 2, 3, 4
COLD, WARM = "bc1q-cold", "bc1q-warm"


class House(Exchange):
    """Ann with a session and an account more, and money."""

    def rule(self, action: int, session: int = 1, **more: Any) -> dict[str, Any]:
        """A WithdrawalRule; its report."""
        self.request("WithdrawalRule", session, account=ANN, action=action, requestId=9, **more)
        return self.named("WithdrawalRuleReport")[0]

    def withdraw(self, destination: str = "", account: int = ANN) -> dict[str, Any]:
        """A withdrawal of one USDC; its report."""
        self.request("WithdrawalRequest", 1, account=account, asset=USDC, amount=MICRO,
                     requestId=5, echo=b"", destination=destination)
        return self.named("WithdrawalReport")[0]

    def later(self, seconds: int) -> None:
        """Time goes by."""
        self.time += seconds * SECOND
        self.tick()


@pytest.fixture
def house() -> House:
    house = House().populate()
    assert isinstance(house, House)
    house.account(120, ANN)
    assert house.send("RegisterSession", session=1, owner=ANN, account=ANN, kind=1, name="a") == 0
    assert house.send("RegisterSession", session=2, owner=BOB, account=BOB, kind=1, name="b") == 0
    for account in (ANN, 120, BOB):
        house.deposit(account, 100)
    return house


def test_without_rules_a_withdrawal_goes_anywhere_at_once(house: House) -> None:
    report = house.withdraw(COLD)
    assert (report["reason"], report["destination"]) == (0, COLD)
    assert report["releaseTime"] == house.time
    (changed,) = house.named("WithdrawalChanged")
    assert (changed["destination"], changed["releaseTime"]) == (COLD, house.time)
    assert house.withdraw()["reason"] == 0


def test_a_list_lets_nothing_out_elsewhere(house: House) -> None:
    added = house.rule(ADD, destination=COLD)
    assert (added["reason"], added["listed"], added["destinations"]) == (0, 1, 1)
    assert added["effectiveTime"] == house.time
    for elsewhere in (WARM, "", COLD + "x", COLD[:-1]):
        refused = house.withdraw(elsewhere)
        assert refused["reason"] == oe.REASON_DESTINATION_NOT_ALLOWED
        assert (refused["detail"], refused["limit"]) == (0, 1)
    assert house.withdraw(COLD)["reason"] == 0
    assert house.withdraw(COLD, 120)["reason"] == 0, "the list is the owner's, of all accounts"
    assert house.withdraw(WARM, 120)["reason"] == oe.REASON_DESTINATION_NOT_ALLOWED


def test_adding_waits_and_removing_does_not(house: House) -> None:
    assert house.rule(DELAY, delay=HOUR)["delay"] == HOUR
    added = house.rule(ADD, destination=COLD)
    assert added["effectiveTime"] == house.time + HOUR * SECOND
    refused = house.withdraw(COLD)
    assert refused["reason"] == oe.REASON_DESTINATION_NOT_ALLOWED
    assert refused["detail"] == added["effectiveTime"]
    house.later(HOUR)
    assert house.withdraw(COLD)["reason"] == 0
    assert house.rule(REMOVE, destination=COLD)["effectiveTime"] == house.time
    assert house.withdraw(COLD)["reason"] == oe.REASON_DESTINATION_NOT_ALLOWED
    assert house.withdraw()["reason"] == oe.REASON_DESTINATION_NOT_ALLOWED, "empty, and it holds"


def test_lifting_the_list_waits_and_adding_takes_it_back(house: House) -> None:
    house.rule(DELAY, delay=HOUR)
    house.rule(ADD, destination=COLD)
    lifted = house.rule(LIFT)
    assert lifted["effectiveTime"] == house.time + HOUR * SECOND
    house.later(HOUR // 2)
    assert house.rule(LIFT)["effectiveTime"] == lifted["effectiveTime"], "asked again, no later"
    assert house.withdraw(WARM)["reason"] == oe.REASON_DESTINATION_NOT_ALLOWED
    house.rule(ADD, destination="bank 7")
    house.later(HOUR)
    assert house.withdraw(WARM)["reason"] == oe.REASON_DESTINATION_NOT_ALLOWED
    house.rule(LIFT)
    house.later(HOUR)
    assert house.withdraw(WARM)["reason"] == 0
    assert house.rule(LIFT)["reason"] == oe.REASON_INVALID_TRANSITION


def test_a_shorter_delay_waits_out_the_longer(house: House) -> None:
    house.rule(DELAY, delay=HOUR)
    assert house.rule(DELAY, delay=2 * HOUR)["effectiveTime"] == house.time
    shorter = house.rule(DELAY, delay=60)
    assert (shorter["delay"], shorter["effectiveTime"]) == (
        2 * HOUR, house.time + 2 * HOUR * SECOND)
    house.later(2 * HOUR - 10)
    assert house.withdraw()["releaseTime"] == house.time + 2 * HOUR * SECOND
    house.later(20)
    assert house.withdraw()["releaseTime"] == house.time + 60 * SECOND


def test_custody_is_told_nothing_before_the_delay_is_over(house: House) -> None:
    house.rule(DELAY, delay=HOUR)
    number = house.withdraw()["withdrawalId"]

    def step(state: int) -> int:
        return house.send("WithdrawalStep", 0, 4, withdrawalId=number, state=state)

    assert step(2) == oe.REASON_WITHDRAWAL_DELAY
    house.later(HOUR)
    assert step(2) == 0
    assert house.named("WithdrawalReport")[0]["releaseTime"] <= house.time
    number = house.withdraw()["withdrawalId"]
    assert step(4) == 0, "it may come back before"


@pytest.mark.parametrize(
    ("action", "fields", "reason"),
    [
        (ADD, {}, oe.REASON_INVALID_FIELD),
        (ADD, {"destination": "a\tb"}, oe.REASON_INVALID_FIELD),
        (REMOVE, {"destination": WARM}, oe.REASON_DESTINATION_NOT_ALLOWED),
        (LIFT, {}, oe.REASON_INVALID_TRANSITION),
        (DELAY, {"delay": 30 * 24 * HOUR + 1}, oe.REASON_INVALID_FIELD),
        (7, {}, oe.REASON_INVALID_FIELD),
        (ADD, {"destination": WARM, "session": 2}, oe.REASON_NOT_AUTHORIZED),
        (ADD, {"destination": WARM, "session": 0}, oe.REASON_NOT_AUTHORIZED),
    ],
)
def test_what_makes_no_sense_or_is_not_the_owners_is_refused(
    house: House, action: int, fields: dict[str, Any], reason: int
) -> None:
    session = fields.pop("session", 1)
    assert house.rule(action, session, **fields)["reason"] == reason
    assert house.withdraw(COLD)["reason"] == 0, "no list came to hold by it"


def test_a_list_has_an_end(house: House) -> None:
    for number in range(32):
        assert house.rule(ADD, destination=f"home {number}")["reason"] == 0
    assert house.rule(ADD, destination="one more")["reason"] == oe.REASON_CAPACITY_REACHED
    assert house.rule(ADD, destination="home 7")["reason"] == oe.REASON_ALREADY_EXISTS
    house.rule(REMOVE, destination="home 7")
    assert house.rule(ADD, destination="one more")["reason"] == 0
    assert int(house.s["destinations_used"]) == 32


def test_a_request_of_before_there_were_destinations_has_none(house: House) -> None:
    fields = {"header": {"sendingTime": 0, "msgSeqNum": 0}, "account": ANN, "asset": USDC,
              "amount": MICRO, "requestId": 5, "destination": COLD, "echo": b"old"}
    whole = encode("WithdrawalRequest", fields)
    block, short = oe.WITHDRAWAL_REQUEST_BLOCK, oe.WITHDRAWAL_REQUEST_DESTINATION_OFFSET
    message = bytearray(whole[: 8 + short] + whole[8 + block :])
    message[:2] = short.to_bytes(2, "little")
    house.apply(bytes(message), 0, 3)
    (report,) = house.named("WithdrawalReport")
    assert (report["reason"], report["destination"], report["echo"]) == (0, "", b"old")
