"""Market data: snapshots and what changes after them."""

from gateway.fix.message import Message
from tests.gateway.fix.stage import Desk, Stage

REQUEST = "264=0|265=1|267=3|269=0|269=1|269=2|146=1|55=BTC-USDC"


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
        ("264=0|267=1|269=7|146=1|55=BTC-USDC", 8),
    ):
        desk.send("V", f"262=B1|263=1|{text}")
        desk.expect("Y", _262="B1", _281=reason)


def test_conflated_subscriptions_get_whole_pictures(desk: Desk) -> None:
    desk.send("V", f"262=C1|263=1|{REQUEST}".replace("265=1", "265=0"))
    first = len(entries(desk.expect("W")))
    desk.order("W1")
    desk.expect("8", _11="W1")
    assert len(entries(desk.expect("W", _262="C1"))) >= first
