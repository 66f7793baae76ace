"""The kill switch at each of its levels: nothing new, all cancelled, others untouched."""

from typing import Any

import pytest

from core.engine.jobs import run_jobs
from sbe.generated import order_entry as oe
from tests.core.engine.controls.kit import furnished
from tests.core.engine.exchange import ALPHA, ANN, BOB, CUP, PERP, SPOT, Exchange, whole

OWNER, SESSION, MARKET, PRODUCT, VENUE = 1, 2, 3, 4, 5
ANNS, BOBS = 7, 8


@pytest.fixture
def house() -> Exchange:
    found = furnished()
    for session, account in ((ANNS, ANN), (BOBS, BOB)):
        assert found.send("RegisterSession", session=session, owner=account, account=account,
                          kind=2, name=f"session {session}") == 0
    return found


def place(house: Exchange, session: int, instrument: int, price: float, **more: Any) -> int:
    """A bid by a session; its reason."""
    fields: dict[str, Any] = {
        "account": 0, "clOrdId": house.sequence, "instrument": instrument, "side": 1,
        "ordType": 2, "timeInForce": 1, "orderQty": whole(1 if price < 1 else 0.01), "tag": 0,
        "selfTradePrevention": 0, "triggerType": 0, "outcomeSide": 0, "echo": b"",
        "price": whole(price), "execInst": 0,
    }
    house.request("NewOrderSingle", session, **(fields | more))
    return int(house.named("ExecutionReport")[0]["reason"])


def switch(house: Exchange, level: int, subject: int, on: int = 1) -> tuple[int, list[int]]:
    """Put the switch; (orders cancelled as it says, accounts whose orders were)."""
    assert house.send("SetKillSwitch", level=level, subject=subject, active=on) == 0
    events = list(house.events)
    while house.s["jobs"]:
        house.tick()
        events += house.events
    (told,) = [e for _, name, e in events if name == "KillSwitchChanged"]
    assert (told["level"], told["subject"], told["active"]) == (level, subject, on)
    gone = [e for _, name, e in events if name == "ExecutionReport"]
    assert {e["reason"] for e in gone} <= {oe.REASON_KILL_SWITCH}
    return told["canceled"], [e["account"] for e in gone]


CASES = [
    (OWNER, ANN, {(ANNS, PERP), (ANNS, ALPHA)}),
    (SESSION, BOBS, {(BOBS, PERP), (BOBS, ALPHA)}),
    (MARKET, PERP, {(ANNS, PERP), (BOBS, PERP)}),
    (PRODUCT, oe.INSTRUMENT_KIND_OUTCOME, {(ANNS, ALPHA), (BOBS, ALPHA)}),
    (VENUE, 0, {(ANNS, PERP), (ANNS, ALPHA), (BOBS, PERP), (BOBS, ALPHA)}),
]


@pytest.mark.parametrize(("level", "subject", "stopped"), CASES)
def test_each_level(
    house: Exchange, level: int, subject: int, stopped: set[tuple[int, int]]
) -> None:
    everybody = {(s, i) for s in (ANNS, BOBS) for i in (PERP, ALPHA)}
    for session, instrument in everybody:
        assert place(house, session, instrument, 90_000 if instrument == PERP else 0.3) == 0
    count, accounts = switch(house, level, subject)
    assert count == len(stopped) == len(accounts)
    assert house.s["controls"]["active"] == 1
    for session, instrument in everybody:
        reason = place(house, session, instrument, 90_000 if instrument == PERP else 0.3)
        assert reason == (oe.REASON_KILL_SWITCH if (session, instrument) in stopped else 0)
        if reason:
            report = house.named("ExecutionReport")[0]
            assert (report["detail"], report["limit"]) == (level, subject)
    assert switch(house, level, subject, 0) == (0, [])
    assert house.s["controls"]["active"] == 0
    for session, instrument in stopped:
        assert place(house, session, instrument, 90_000 if instrument == PERP else 0.3) == 0


def test_stops_quotes_and_replaces_are_stopped_too(house: Exchange) -> None:
    assert place(house, ANNS, PERP, 110_000, ordType=4, stopPx=whole(105_000),
                 triggerType=2) == 0
    assert place(house, BOBS, SPOT, 90_000) == 0
    standing = house.named("ExecutionReport")[0]
    count, accounts = switch(house, OWNER, ANN)
    assert (count, accounts) == (1, [ANN])  # A stop that waits is an order.
    assert place(house, ANNS, PERP, 110_000, ordType=4, stopPx=whole(105_000),
                 triggerType=2) == oe.REASON_KILL_SWITCH
    quote = {"instrument": PERP, "bidPx": whole(90_000), "bidSize": whole(0.01),
             "offerPx": None, "offerSize": None}
    house.request("MassQuote", ANNS, account=ANN, quoteId=1, quoteSetId=1, resetProtection=0,
                  quotes=[quote])
    assert house.named("MassQuoteAck")[0]["quotes"][0]["bidReason"] == oe.REASON_KILL_SWITCH
    house.request("OrderPreviewRequest", ANNS, account=ANN, clOrdId=0, price=whole(90_000),
                  orderQty=whole(0.01), instrument=PERP, side=1, ordType=2, timeInForce=1,
                  execInst=0, stopPx=None, displayQty=None, expireTime=None, tag=0,
                  selfTradePrevention=0, triggerType=0, outcomeSide=0, requestId=1, echo=b"")
    assert house.named("OrderPreview")[0]["reason"] == oe.REASON_KILL_SWITCH
    switch(house, OWNER, ANN, 0)
    # Bob's order stands; with his session stopped it may not grow, but he may cancel it.
    house.s["sessions_killed"][BOBS] = 1
    house.s["controls"]["kills"] = house.s["controls"]["active"] = 1
    house.request("OrderCancelReplaceRequest", BOBS, account=BOB, clOrdId=99, origClOrdId=0,
                  orderId=standing["orderId"], price=None, orderQty=whole(0.02), stopPx=None,
                  displayQty=None, instrument=SPOT, echo=b"")
    assert house.named("OrderCancelReject")[0]["reason"] == oe.REASON_KILL_SWITCH
    house.cancel(standing)
    assert house.named("ExecutionReport")[0]["execType"] == ord("4")


def test_many_orders_go_in_slices(house: Exchange) -> None:
    """Between two commands no more than a slice is cancelled, and every one in the end."""
    for number in range(200):
        assert place(house, ANNS if number % 2 else BOBS, PERP, 80_000 + number) == 0
    assert house.send("SetKillSwitch", level=VENUE, subject=0, active=1) == 0
    first = len(house.named("ExecutionReport"))
    assert 0 < first < 200
    assert place(house, ANNS, PERP, 90_000) == oe.REASON_KILL_SWITCH
    assert house.named("ExecutionReport")[0]["execType"] == ord("8")
    told: list[dict[str, Any]] = []
    while house.s["jobs"]:
        house.tick()
        told += house.named("KillSwitchChanged")
    assert [e["canceled"] for e in told] == [200]
    assert house.s["orders_open"] == 0
    assert callable(run_jobs)


def test_what_is_not_there_is_not_switched(house: Exchange) -> None:
    wrong = [
        (0, 0, oe.REASON_INVALID_FIELD), (6, 0, oe.REASON_INVALID_FIELD),
        (OWNER, 5, oe.REASON_UNKNOWN_OWNER), (OWNER, 10**6, oe.REASON_UNKNOWN_OWNER),
        (SESSION, 3, oe.REASON_UNKNOWN_SESSION), (MARKET, 31, oe.REASON_UNKNOWN_INSTRUMENT),
        (PRODUCT, 8, oe.REASON_INVALID_FIELD), (PRODUCT, 0, oe.REASON_INVALID_FIELD),
    ]
    for level, subject, reason in wrong:
        assert house.send("SetKillSwitch", level=level, subject=subject, active=1) == reason
    assert house.s["controls"]["active"] == 0
    assert switch(house, MARKET, PERP) == (0, [])
    assert switch(house, MARKET, PERP) == (0, [])  # Twice is once.
    assert house.s["controls"]["kills"] == 1
    switch(house, MARKET, PERP, 0)
    assert switch(house, MARKET, PERP, 0) == (0, [])
    assert house.s["controls"]["kills"] == 0
    assert CUP == 1
