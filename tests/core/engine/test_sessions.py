"""Sessions: numbers, versions, connections, and cancel-on-disconnect."""

from typing import Any

import pytest

from sbe.generated import order_entry as oe
from tests.core.engine.exchange import ANN, PERP, SECOND, Exchange, encode, whole

FIX, BINARY = 1, 2


@pytest.fixture
def house() -> Exchange:
    house = Exchange().populate()
    for number in (FIX, BINARY):
        assert house.send("RegisterSession", session=number, owner=ANN, account=ANN, kind=number,
                          name=f"session {number}") == 0
    house.deposit(ANN, 10_000)
    return house


def opened(house: Exchange, session: int, version: int = 0, **more: Any) -> dict[str, Any]:
    fields = {"versionId": version, "nextInbound": 0, "reset": 0, "cancelOnDisconnect": 0,
              "cancelWindow": 0, "connection": 7, "signedTime": 0, "signedMark": 0}
    house.send("SessionOpen", session, 3, **(fields | more))
    assert house.events[0][0] == 0, "not addressed: it takes no number"
    return house.named("SessionOpened")[0]


def order(house: Exchange, session: int) -> dict[str, Any]:
    house.request("NewOrderSingle", session, account=0, clOrdId=house.sequence, instrument=PERP,
                  side=1, ordType=2, timeInForce=1, orderQty=whole(0.001), price=whole(90_000),
                  tag=0, selfTradePrevention=0, triggerType=0, outcomeSide=0, echo=b"")
    report = house.named("ExecutionReport")[0]
    assert report["reason"] == 0
    return report


def test_versions_only_rise(house: Exchange) -> None:
    assert opened(house, BINARY, 5, reset=1)["reason"] == 0
    assert order(house, BINARY)["header"]["msgSeqNum"] == 1
    again = opened(house, BINARY, 5, connection=8)
    assert (again["reason"], again["nextOutbound"], again["nextInbound"]) == (0, 2, 2)
    refused = opened(house, BINARY, 4, connection=9)
    assert (refused["reason"], refused["versionId"]) == (oe.REASON_INVALID_FIELD, 5)
    assert house.s["sessions"][BINARY]["connection"] == 8
    assert opened(house, BINARY, 5, reset=1)["reason"] == oe.REASON_INVALID_FIELD
    fresh = opened(house, BINARY, 6)
    assert (fresh["reason"], fresh["nextOutbound"], fresh["nextInbound"]) == (0, 1, 1)


def test_fix_numbers_live_until_they_are_reset(house: Exchange) -> None:
    assert opened(house, FIX)["nextOutbound"] == 1
    order(house, FIX)
    assert opened(house, FIX)["nextOutbound"] == 2
    assert opened(house, FIX, reset=1)["nextOutbound"] == 1
    assert opened(house, FIX, nextInbound=40)["nextInbound"] == 40


def test_a_gateways_own_messages_take_numbers_in_order(house: Exchange) -> None:
    opened(house, FIX)
    order(house, FIX)
    house.send("SessionNumbers", FIX, 2, count=3, reference=77, text="")
    session, name, assigned = house.events[0]
    assert (session, name, assigned["count"], assigned["reference"]) == (
        FIX, "SessionNumbersAssigned", 3, 77)
    assert assigned["header"]["msgSeqNum"] == 2
    assert order(house, FIX)["header"]["msgSeqNum"] == 5


def test_a_message_to_be_told_again_stands_in_the_event(house: Exchange) -> None:
    opened(house, FIX)
    text = "35=j\x0145=2\x01" + "why " * 100
    house.send("SessionNumbers", FIX, 2, count=1, reference=78, text=text)
    assert house.named("SessionNumbersAssigned")[0]["text"] == text
    assert order(house, FIX)["header"]["msgSeqNum"] == 2


def test_an_operator_sets_either_number(house: Exchange) -> None:
    house.send("SessionReset", FIX, 1, nextInbound=0, nextOutbound=100, reference=3)
    reset = house.named("SessionWasReset")[0]
    assert (reset["nextInbound"], reset["nextOutbound"], reset["reference"]) == (1, 100, 3)


def test_messages_that_were_no_commands_took_numbers(house: Exchange) -> None:
    house.send("SessionInbound", FIX, 2, nextInbound=12)
    assert house.s["sessions"][FIX]["next_inbound"] == 12
    house.send("SessionInbound", FIX, 2, nextInbound=5)
    assert house.s["sessions"][FIX]["next_inbound"] == 12


def test_a_number_is_applied_once(house: Exchange) -> None:
    opened(house, FIX)
    order(house, FIX)
    house.s["sessions"][FIX]["next_inbound"] = 1
    kept = house.s["orders_open"]
    order(house, FIX)
    assert house.s["orders_open"] == kept + 1
    house.s["sessions"][FIX]["next_inbound"] = 9
    house.apply(_old_order(), FIX, 2)
    assert not house.events


def _old_order() -> bytes:
    return encode("NewOrderSingle", {
        "header": {"sendingTime": 0, "msgSeqNum": 3}, "account": 0, "clOrdId": 9999,
        "instrument": PERP, "side": 1, "ordType": 2, "timeInForce": 1, "orderQty": whole(0.001),
        "price": whole(90_000), "tag": 0, "selfTradePrevention": 0, "triggerType": 0,
        "outcomeSide": 0, "echo": b"",
    })


@pytest.mark.parametrize(("scope", "left"), [(0, 2), (1, 1), (2, 0)])
def test_orders_go_after_the_window(house: Exchange, scope: int, left: int) -> None:
    opened(house, FIX, cancelOnDisconnect=scope, cancelWindow=2_000)
    opened(house, BINARY, 1)
    order(house, FIX)
    order(house, BINARY)
    house.send("SessionClose", FIX, 2, connection=7, logout=0, acknowledged=3)
    closed = house.named("SessionClosed")[0]
    assert (closed["connection"], closed["logout"], closed["acknowledged"]) == (7, 0, 3)
    house.time += SECOND
    house.tick()
    assert house.s["orders_open"] == 2
    house.time += SECOND
    house.tick()
    assert house.s["orders_open"] == left
    for report in house.named("ExecutionReport"):
        assert report["reason"] == oe.REASON_CANCEL_ON_DISCONNECT


def test_who_comes_back_in_time_keeps_the_orders(house: Exchange) -> None:
    opened(house, FIX, cancelOnDisconnect=1, cancelWindow=2_000)
    order(house, FIX)
    house.send("SessionClose", FIX, 2, connection=7, logout=0, acknowledged=3)
    opened(house, FIX, cancelOnDisconnect=1, cancelWindow=2_000, connection=8)
    house.time += 10 * SECOND
    house.tick()
    assert house.s["orders_open"] == 1
    # The old one's, late.
    house.send("SessionClose", FIX, 2, connection=7, logout=0, acknowledged=3)
    assert not house.events


def test_who_asks_is_told_of_orders_of_another_session(house: Exchange) -> None:
    """Orders are an account's: their status goes to the session that asks, in its own numbers."""
    for session in (FIX, BINARY):
        opened(house, session, version=1, connection=session)
    order: dict[str, Any] = {
        "account": ANN, "instrument": PERP, "side": 1, "ordType": 2, "timeInForce": 1,
        "orderQty": whole(0.01), "price": whole(99_000), "tag": 0, "selfTradePrevention": 0,
        "triggerType": 0, "outcomeSide": 0, "echo": b"mine"}
    numbers = []
    for session, name in ((FIX, 11), (BINARY, 12)):
        house.request("NewOrderSingle", session, **(order | {"clOrdId": name}))
        numbers.append(house.named("ExecutionReport")[0]["orderId"])
    house.request("OpenOrdersRequest", FIX, account=ANN, requestId=5, echo=b"")
    assert [session for session, _, _ in house.events] == [FIX] * 3
    told = house.named("ExecutionReport")
    assert [(f["orderId"], chr(f["execType"]), f["echo"]) for f in told] == [
        (number, "I", b"mine") for number in reversed(numbers)]
    first, *_, end = [f["header"]["msgSeqNum"] for _, _, f in house.events]
    assert end == first + 2
    assert house.named("AccountReportEnd")[0]["reports"] == 2
    house.request("OrderStatusRequest", BINARY, account=ANN, clOrdId=0, orderId=numbers[0],
                  requestId=6, echo=b"")
    (session, name, fields), = house.events
    assert (session, name, fields["orderId"]) == (BINARY, "ExecutionReport", numbers[0])
