"""Following an account: who asked is told what changes, once and in full; nobody else is."""

from typing import Any

import pytest

from sbe.generated import order_entry as oe
from tests.core.engine.exchange import (
    ABOVE,
    ALPHA,
    ANN,
    BOB,
    BTC,
    CAT,
    CUP,
    DAN,
    PERP,
    SPOT,
    USDC,
    Exchange,
    encode,
    whole,
)
from tests.core.engine.liquidation.kit import Court, court, maker

MICRO = 10**6
FIRST, SECOND, OTHER = 1, 2, 3  # sessions: two of Ann's, one of Bob's
SNAPSHOT, UPDATES, UNSUBSCRIBE = 0, 1, 2


def with_sessions(house: Any) -> Any:
    for number, owner in ((FIRST, ANN), (SECOND, ANN), (OTHER, BOB)):
        assert house.send("RegisterSession", session=number, owner=owner, account=owner, kind=2,
                          name=f"session {number}") == 0
    return house


@pytest.fixture
def house() -> Exchange:
    house = with_sessions(Exchange().populate())
    for account in (ANN, BOB, CAT, DAN):
        house.deposit(account, 100_000)
    return house


def ask(house: Exchange, session: int, kind: int | None = UPDATES, account: int = ANN) -> int:
    """An AccountRequest; the reason in the report that ends the answer."""
    house.request("AccountRequest", session, account=account, requestId=9, echo=b"x",
                  subscriptionRequestType=kind)
    ends = [f for f in house.named("AccountReportEnd") if f["requestId"] == 9]
    assert len(ends) == 1
    return int(ends[0]["reason"])


def told(house: Exchange, session: int) -> list[tuple[str, dict[str, Any]]]:
    """What the last command said to a session, its numbers without a gap."""
    said = [(name, fields) for to, name, fields in house.events if to == session]
    numbers = [fields["header"]["msgSeqNum"] for _, fields in said]
    end = int(house.s["sessions"][session]["next_outbound"])
    assert numbers == list(range(end - len(numbers), end))
    return said


def test_a_fill_is_followed_by_position_and_balance(house: Exchange) -> None:
    assert ask(house, FIRST) == 0
    house.send("SetFees", tier=0, kind=2, makerFee=200, takerFee=500)
    house.trade(ANN, BOB, PERP, 0.5, 100_000)
    names = [name for _, name, _ in house.events]
    assert names[-2:] == ["PositionReport", "BalanceUpdate"], "behind all reports"
    assert names.count("PositionReport") == 1, "Bob didn't ask"
    (_, position), (_, balance) = told(house, FIRST)
    assert (position["requestId"], position["account"], position["echo"]) == (0, ANN, b"")
    assert (position["position"], position["entryValue"]) == (whole(0.5), 50_000 * MICRO)
    assert (position["unsettled"], position["mark"]) == (0, whole(100_000))
    assert (balance["reason"], balance["change"]) == (oe.BALANCE_REASON_SNAPSHOT, 0)
    assert balance["balance"] == house.balance(ANN) == 99_975 * MICRO
    house.mark(PERP, 101_000)
    house.trade(CAT, ANN, PERP, 0.2, 101_000)  # Ann as the maker
    (_, position), _ = told(house, FIRST)
    assert (position["position"], position["realized"]) == (whole(0.3), 200 * MICRO)
    assert position["unsettled"] == 500 * MICRO


def test_a_sweep_is_told_once(house: Exchange) -> None:
    assert ask(house, FIRST) == 0
    for price in (0.40, 0.41, 0.42):
        house.order(BOB, ALPHA, "sell", 10, price)
    house.order(ANN, ALPHA, "buy", 25, 0.45)
    (first, position), (second, balance) = told(house, FIRST)
    assert (first, second) == ("PositionReport", "BalanceUpdate")
    assert (position["position"], position["entryValue"]) == (whole(25), 10_200_000)
    assert balance["balance"] == house.balance(ANN) == 100_000 * MICRO - 10_200_000


def test_of_a_pair_both_balances_are_told(house: Exchange) -> None:
    house.deposit(BOB, 1, BTC)
    assert ask(house, FIRST) == 0
    house.trade(ANN, BOB, SPOT, 0.1, 50_000)
    said = told(house, FIRST)
    assert [name for name, _ in said] == ["BalanceUpdate"] * 2
    assert {f["asset"]: f["balance"] for _, f in said} == {
        BTC: 10_000_000, USDC: 95_000 * MICRO}


def test_two_followers_of_one_trade(house: Exchange) -> None:
    assert ask(house, FIRST) == 0
    assert ask(house, OTHER, account=BOB) == 0
    house.trade(ANN, BOB, ABOVE, 10, 0.3)
    for session, quantity in ((FIRST, 10), (OTHER, -10)):
        (_, position), (_, balance) = told(house, session)
        assert position["position"] == whole(quantity)
        assert balance["account"] == position["account"] == (ANN if quantity > 0 else BOB)


def test_what_moves_money_otherwise_is_addressed_to_the_follower(house: Exchange) -> None:
    house.trade(ANN, BOB, PERP, 1, 100_000)
    house.trade(ANN, BOB, ALPHA, 100, 0.4)
    assert ask(house, FIRST) == 0
    house.deposit(ANN, 5)
    (name, deposit), = told(house, FIRST)
    assert (name, deposit["reason"], deposit["change"]) == ("BalanceUpdate", 1, 5 * MICRO)
    house.mark(PERP, 101_000)
    house.send("SettlementStart", 0, 4, cycle=1)
    (name, settled), = told(house, FIRST)
    assert (name, settled["amount"]) == ("PositionSettled", 1_000 * MICRO)
    house.send("ResolveEvent", 0, 6, event=CUP, evidenceHash=bytes(32),
               payouts=[{"payout": whole(p)} for p in (1, 0, 0)])
    resolved = told(house, FIRST)
    house.finish_jobs()
    resolved = resolved or told(house, FIRST)
    assert [name for name, _ in resolved] == ["PositionResolved"]
    assert resolved[0][1]["amount"] == 100 * MICRO


def test_who_follows_no_more_is_told_nothing(house: Exchange) -> None:
    assert ask(house, FIRST) == 0
    assert ask(house, FIRST, None) == 0  # Another snapshot changes nothing.
    assert house.s["accounts"][ANN]["follower"] == FIRST
    assert ask(house, FIRST, UNSUBSCRIBE) == 0
    assert [name for name, _ in told(house, FIRST)] == ["AccountReportEnd"]
    house.trade(ANN, BOB, PERP, 0.5, 100_000)
    house.deposit(ANN, 5)
    assert told(house, FIRST) == []


def test_who_asks_last_takes_the_account_over(house: Exchange) -> None:
    assert ask(house, FIRST) == 0
    assert ask(house, SECOND) == 0
    (name, lost), = told(house, FIRST)
    assert (name, lost["requestId"], lost["account"]) == ("AccountReportEnd", 0, ANN)
    assert lost["reason"] == oe.REASON_USER_REQUEST
    assert ask(house, FIRST, UNSUBSCRIBE) == 0  # It isn't the first one's any more.
    house.trade(ANN, BOB, PERP, 0.5, 100_000)
    assert told(house, FIRST) == []
    assert len(told(house, SECOND)) == 2


def test_it_outlasts_a_connection_and_ends_with_the_version(house: Exchange) -> None:
    def opens(version: int) -> None:
        house.send("SessionOpen", FIRST, 3, versionId=version, nextInbound=0, reset=0,
                   cancelOnDisconnect=0, cancelWindow=0, connection=7, signedTime=0,
                   signedMark=0)

    opens(5)
    assert ask(house, FIRST) == 0
    house.send("SessionClose", FIRST, 3, connection=7, logout=0, acknowledged=0)
    house.trade(ANN, BOB, PERP, 0.1, 100_000)
    assert len(told(house, FIRST)) == 2
    opens(5)
    house.trade(ANN, BOB, PERP, 0.1, 100_000)
    assert len(told(house, FIRST)) == 2
    opens(6)
    house.trade(ANN, BOB, PERP, 0.1, 100_000)
    assert told(house, FIRST) == []


def test_what_is_not_allowed_is_refused(house: Exchange) -> None:
    assert ask(house, OTHER) == oe.REASON_NOT_AUTHORIZED
    assert ask(house, 0) == oe.REASON_NOT_AUTHORIZED
    assert ask(house, 0, SNAPSHOT) == 0
    assert ask(house, FIRST, 3) == oe.REASON_INVALID_FIELD
    assert not house.s["accounts"]["follower"].any()


def test_a_sender_that_does_not_know_the_field_is_answered(house: Exchange) -> None:
    body = encode("AccountRequest", {
        "header": {"sendingTime": 1, "msgSeqNum": 1}, "account": ANN, "requestId": 9,
        "subscriptionRequestType": UPDATES, "echo": b"x",
    })
    field = 8 + oe.ACCOUNT_REQUEST_SUBSCRIPTION_REQUEST_TYPE_OFFSET
    older = (field - 8).to_bytes(2, "little") + body[2:field] + body[field + 1 :]
    house.apply(older, FIRST, 3)
    assert house.named("AccountReportEnd")[0]["echo"] == b"x"
    assert house.s["accounts"][ANN]["follower"] == 0


def test_margin_and_liquidation_are_told() -> None:
    house: Court = with_sessions(court(10_000))
    house.trade(ANN, BOB, PERP, 0.8, 100_000)
    assert ask(house, FIRST) == 0
    house.deposit(DAN, 100_000)
    maker(house, "buy", 2, 92_500)
    heard: list[tuple[str, dict[str, Any]]] = []

    def price(amount: float) -> None:
        for set_price in (lambda: house.index(BTC, amount), lambda: house.mark(PERP, amount)):
            set_price()
            heard.extend(told(house, FIRST))
        while house.s["watching"] or house.s["liquidations"]:
            house.time += 50_000_000
            house.tick()
            heard.extend(told(house, FIRST))

    price(99_000)
    assert {name for name, _ in heard} == {"MarginReport"}
    assert {f["requestId"] for _, f in heard} == {0}
    heard.clear()
    price(97_000)  # Below the initial margin: the call, and not told twice.
    assert [(name, f["level"], f["equity"]) for name, f in heard] == [
        ("MarginReport", 1, 7_600 * MICRO)]
    heard.clear()
    price(92_500)
    positions = [f for name, f in heard if name == "PositionReport"]
    assert "LiquidationReport" in [name for name, _ in heard]
    assert positions, "what was sold is told"
    assert positions[-1]["position"] == house.position(ANN, PERP)["quantity"] * 10_000
