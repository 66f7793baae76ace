"""Market data: snapshots and what changes after them."""

import time
from collections.abc import Iterator
from functools import partial
from itertools import pairwise

import pytest

from gateway.fix.message import Message
from gateway.fix.times import clock_text, date_text, time_of, time_text
from tests.gateway.fix.conftest import staged
from tests.gateway.fix.kit import listed
from tests.gateway.fix.stage import Desk, Stage

REQUEST = "264=0|265=1|267=3|269=0|269=1|269=2|146=1|55=BTC-USDC"


@pytest.fixture(scope="module")
def stage_once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A gateway whose books hold this module's orders only.

    Those of the other tests rest for good where they came, more than a core of the same limits
    would let in, and the books have no room for any other.
    """
    yield from staged(tmp_path_factory)


def entries(message: Message) -> list[tuple[str, ...]]:
    """(action, type, price, quantity) of each entry; the action is empty in a snapshot."""
    found: list[list[str]] = []
    for tag, value in message:
        if tag == 279 or (tag == 269 and message.kind == "W"):
            found.append(["", "", "", ""])
        place = {279: 0, 269: 1, 270: 2, 271: 3}.get(tag)
        if place is not None and found:
            found[-1][place] = value.decode()
    return [tuple(entry) for entry in found]


def test_a_snapshot_and_then_exactly_what_changes(stage: Stage) -> None:
    desk = stage.connect()
    desk.logon("141=Y")
    desk.order("M1")
    desk.expect("8", _11="M1")
    desk.send("V", f"262=R1|263=1|{REQUEST}")
    snapshot = desk.expect("W", _262="R1", _55="BTC-USDC")
    book = {(kind, price): size for _, kind, price, size in entries(snapshot)}
    before = float(book["0", "100"])
    desk.order("M2")
    desk.expect("8", _11="M2")
    change = desk.expect("X", _262="R1")
    assert entries(change) == [("1", "0", "100", f"{before + 1:.10g}")]
    identity = [f["clOrdId"] for _, n, f in stage.aid.commands if n == "NewOrderSingle"][-1]
    stage.call(lambda: stage.aid.fill(1, identity, 10**8, 100 * 10**8))
    desk.expect("8", _150="F")
    got = [entry for _ in range(2) for entry in entries(desk.expect("X"))]
    assert ("0", "2", "100", "1") in got
    assert ("1", "0", "100", f"{before:.10g}") in got
    desk.send("V", "262=R1|263=2|264=0|267=1|269=0|146=1|55=BTC-USDC")
    desk.order("M3")
    desk.expect("8", _11="M3")
    desk.quiet(0.3)


def test_requests_that_can_not_be_served(stage: Stage) -> None:
    desk = stage.connect()
    desk.logon("141=Y")
    for text, reason in (
        ("264=0|267=1|269=0|146=1|55=NONE", 0), ("264=99999|267=1|269=0|146=1|55=BTC-USDC", 5),
        ("264=0|267=1|269=5|146=1|55=BTC-USDC", 8),
    ):
        desk.send("V", f"262=B1|263=1|{text}")
        desk.expect("Y", _262="B1", _281=reason)


def test_conflated_subscriptions_get_whole_pictures(desk: Desk) -> None:
    desk.send("V", f"262=C1|263=1|{REQUEST}".replace("265=1", "265=0"))
    first = len(entries(desk.expect("W")))
    desk.order("W1")
    desk.expect("8", _11="W1")
    assert len(entries(desk.expect("W", _262="C1"))) >= first


def test_the_last_trade_statistics_open_interest_and_funding(stage: Stage) -> None:
    desk = stage.connect()
    desk.logon("141=Y")
    kinds = "|".join(f"269={kind}" for kind in "2478BCz")
    ask = f"264=1|265=1|267=7|{kinds}|146=1|55=BTC-PERP"
    desk.send("V", f"262=F1|263=0|{ask}")
    nothing = desk.expect("W", _262="F1", _55="BTC-PERP")
    assert entries(nothing) == [("", "B", "", "0"), ("", "C", "", "0")]
    desk.send("V", f"262=F2|263=1|{ask}")
    desk.expect("W", _262="F2")
    desk.send("D", f"11=F1|55=BTC-PERP|54=1|38=5|40=2|44=100|60={time_text(time.time_ns())}")
    desk.expect("8", _11="F1", _150=0)
    identity = [f["clOrdId"] for _, n, f in stage.aid.commands if n == "NewOrderSingle"][-1]
    for price, quantity in ((100, 2), (104, 1), (97, 1)):
        amounts = quantity * 10**8, price * 10**8
        stage.call(partial(stage.aid.fill, 1, identity, *amounts))
    stage.call(lambda: stage.aid.emit("FundingCompleted", 0, {
        "instrument": 2, "rate": -125_000, "positions": 1, "remainder": 0}))
    told: dict[str, tuple[str, ...]] = {}
    while told.get("z") is None or told.get("8", ("",) * 3)[2] != "97":
        message = desk.next()
        if message.kind == "X":
            told |= {entry[1]: entry for entry in entries(message)}
    due = 1_800_000_000 * 10**9
    stage.call(lambda: stage.aid.emit("FundingEstimated", 0, {
        "instrument": 2, "rate": 87_500, "fundingTime": due}))
    desk.send("V", "262=F4|263=1|264=1|265=1|267=1|269=y|146=1|55=BTC-PERP")
    while (message := desk.next()).text(262) != "F4":
        pass
    assert entries(message) == [("", "y", "0.000087500", "")]
    assert (message.text(272), message.text(273)) == (date_text(due), clock_text(due))
    stage.call(lambda: stage.aid.emit("FundingEstimated", 0, {
        "instrument": 2, "rate": -1_000, "fundingTime": due}))
    while (message := desk.next()).text(262) != "F4":
        pass
    assert entries(message)[0][1:] == ("y", "-0.000001000", "")
    desk.send("V", f"262=F3|263=0|{ask}")
    while (message := desk.next()).text(262) != "F3":
        pass
    assert {kind: (price, size) for _, kind, price, size in entries(message)} == {
        "2": ("97", "1"), "4": ("100", ""), "7": ("104", ""), "8": ("97", ""), "B": ("", "4"),
        "C": ("", "4"), "z": ("-0.000125000", "")}
    assert [told[kind][2:] for kind in "78BCz"] == [
        ("104", ""), ("97", ""), ("", "4"), ("", "4"), ("-0.000125000", "")]


def test_changes_come_at_most_as_often_as_was_asked_for(desk: Desk) -> None:
    desk.send("V", f"262=S1|263=1|21050=400|{REQUEST}")
    desk.expect("W")
    began, times = time.monotonic(), []
    for n in range(12):
        desk.order(f"S{n}")
        desk.flush()
        time.sleep(0.08)
    while time.monotonic() < began + 1.6:
        try:
            message = desk.next(0.2)
        except AssertionError:
            continue
        if message.kind == "X":
            times.append(time_of(message.get(52)) or 0)
    assert 2 <= len(times) <= 5
    assert min(b - a for a, b in pairwise(times)) > 350_000_000
    desk.send("V", f"262=S2|263=1|21050=often|{REQUEST}")
    desk.expect("3", _371=21050, _373=6)


def test_what_is_listed_later_is_told_to_who_asked(stage: Stage) -> None:
    desk = stage.connect()
    desk.logon("141=Y")
    desk.send("x", "320=L1|559=4|263=1")
    assert desk.expect("y", _320="L1").number(393) == 2
    desk.send("c", "320=L2|321=0|55=NEW-PERP|263=1")
    desk.expect("d", _320="L2", _323=5)
    stage.call(lambda: stage._instrument(*listed(3, "NEW-PERP", kind=2)))
    desk.expect("y", _320="L1", _146=1, _55="NEW-PERP", _167="PERP")
    desk.expect("d", _320="L2", _323=1, _55="NEW-PERP")
    desk.send("x", "320=L1|559=4|263=2")
    desk.send("c", "320=L2|321=0|263=2")
    desk.send("1", "112=A")
    desk.expect("0", _112="A")
    stage.call(lambda: stage._instrument(*listed(4, "NEWER-PERP", kind=2)))
    desk.quiet()
