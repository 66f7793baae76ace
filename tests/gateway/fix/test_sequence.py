"""Situations 16 to 31: numbers in both directions, gaps, resends."""

import time

import pytest

from gateway.fix.message import Message
from gateway.fix.resend import UNDER_WAY_MAX
from gateway.fix.times import time_text
from tests.gateway.fix.stage import Desk, Stage


def ago(seconds: float) -> str:
    return time_text(time.time_ns() - int(seconds * 1e9))


def dup(seconds: float = 1) -> str:
    return f"43=Y|122={ago(seconds)}"


def test_16_a_gap_is_asked_for_once_and_drained_in_order(desk: Desk) -> None:
    for number in (5, 3, 6):
        desk.send("1", f"112=T{number}", number=number)
    desk.expect("2", _34=2, _7=2, _16=0)
    desk.quiet()
    desk.send("0", number=2, head=dup())
    desk.expect("0", _112="T3")
    desk.send("1", "112=T4", number=4, head=dup())
    for number in (4, 5, 6):
        desk.expect("0", _112=f"T{number}")
    desk.quiet()


def test_17_a_test_request_above_the_gap_waits(desk: Desk) -> None:
    desk.send("1", "112=early", number=3)
    desk.expect("2", _7=2)
    desk.quiet()
    desk.send("4", "123=Y|36=3", number=2, head=dup())
    desk.expect("0", _112="early")


def test_18_a_resend_request_above_the_gap_is_served_first(desk: Desk) -> None:
    desk.order("A1")
    desk.expect("8", _34=2)
    desk.send("2", "7=1|16=0", number=5)
    desk.expect("4", _34=1, _43="Y", _36=2)
    desk.expect("8", _34=2, _43="Y")
    desk.expect("2", _34=3, _7=3, _16=0)
    desk.send("4", "123=Y|36=5", number=3, head=dup())
    desk.send("1", "112=once", number=6)
    desk.expect("0", _34=4, _112="once")


def test_19_too_low_is_told_both_numbers(desk: Desk) -> None:
    desk.send("0")
    desk.send("0", number=2)
    assert desk.expect("5").text(58) == "MsgSeqNum too low, expecting 3 but received 2"
    desk.closed()


def test_19_a_duplicate_order_is_dropped(desk: Desk, stage: Stage) -> None:
    desk.order("A1")
    desk.expect("8", _11="A1")
    before = len(stage.aid.orders)
    desk.order("A1", number=2, head=dup())
    desk.send("1", "112=x")
    desk.expect("0", _112="x")
    assert len(stage.aid.orders) == before


def test_20_a_duplicate_nobody_has_seen_is_live(desk: Desk) -> None:
    desk.order("L1", head=dup())
    desk.expect("8", _34=2, _11="L1", _150=0)
    desk.send("0", number=9, head=dup())
    desk.expect("2", _7=3)


def test_21_a_duplicate_needs_its_first_time(desk: Desk) -> None:
    desk.send("0")
    desk.send("0", number=2, head="43=Y")
    desk.expect("3", _34=2, _45=2, _371=122, _373=1)
    desk.send("1", "112=on")
    desk.expect("0", _112="on")
    desk.send("0", number=2, head=f"43=Y|122={ago(-10)}")
    desk.expect("3", _373=10)
    desk.expect("5")
    desk.send("5")
    desk.closed()


@pytest.mark.parametrize("number", ["", "x1", "-3"])
def test_22_no_number_ends_the_session(desk: Desk, number: str) -> None:
    desk.send("0", number=number)
    desk.expect("5")
    desk.closed()


def test_22_leading_zeros_are_a_number(desk: Desk) -> None:
    desk.send("1", "112=z", number="0002")
    desk.expect("0", _34=2, _112="z")


def test_23_gap_fills(desk: Desk) -> None:
    desk.send("4", "123=Y|36=10", number=2)
    desk.send("1", "112=ten", number=10)
    desk.expect("0", _34=2, _112="ten")
    desk.send("4", "123=Y|36=5", number=3, head=dup())
    desk.send("4", "123=Y|36=11", number=11)
    desk.expect("3", _34=3, _45=11, _373=5)
    desk.send("4", "123=Y|36=40", number=20)
    desk.expect("2", _34=4, _7=12)
    desk.send("4", "123=Y|36=20", number=3)
    assert "expecting 12 but received 3" in desk.expect("5").text(58)
    desk.closed()


def test_24_resets(desk: Desk) -> None:
    desk.send("4", "36=25", number=0)
    desk.send("1", "112=a", number=25)
    desk.expect("0", _112="a")
    desk.send("4", "36=26|123=N", number=99)
    desk.send("4", "36=7", number=0)
    desk.expect("3", _45=0, _373=5)
    desk.send("4", "36=99999999999999", number=0)
    desk.expect("3", _373=6)
    desk.send("1", "112=b", number=26)
    desk.expect("0", _112="b")


@pytest.mark.parametrize("shift", [121, -121])
def test_25_a_time_too_far_off_is_rejected_then_logged_out(desk: Desk, shift: int) -> None:
    desk.send("0", time=ago(shift))
    desk.expect("3", _34=2, _45=2, _373=10)
    desk.expect("5", _34=3)
    desk.quiet(0.05)
    desk.send("5")
    desk.closed()


def test_25_what_a_time_looks_like(desk: Desk) -> None:
    now = time.time_ns()
    for digits in (0, 3, 6, 9):
        desk.send("1", f"112=d{digits}", time=time_text(now, digits))
        desk.expect("0", _112=f"d{digits}")
    desk.send("1", "112=pico", time=time_text(now, 9) + "123")
    desk.expect("0", _112="pico")
    for wrong in (time_text(now, 9) + "1234", time_text(now, 0) + ".1", "yesterday"):
        desk.send("0", time=wrong)
        desk.expect("3", _371=52, _373=6)


@pytest.mark.parametrize("options", [{"sender": "OTHER"}, {"target": "OTHER"}])
def test_26_wrong_ids_are_rejected_then_logged_out(desk: Desk, options: dict[str, str]) -> None:
    desk.order("A1", **options)
    desk.expect("3", _45=2, _372="D", _373=9)
    desk.expect("5")
    desk.send("5")
    desk.closed()


def test_26_a_wrong_begin_string_is_logged_out(desk: Desk) -> None:
    desk.send("0", begin="FIX.4.1")
    desk.expect("5", _58="Incorrect BeginString")
    desk.send("5")
    desk.closed()


def history(desk: Desk) -> list[Message]:
    """Numbers 2 to 9: beat, report, two beats, two reports, beat, beat."""
    sent = []
    for place, kind in enumerate("0800880" + "0"):
        if kind == "8":
            desk.order(f"H{place}")
        else:
            desk.send("1", f"112=h{place}")
        sent.append(desk.expect(kind, _34=place + 2))
    return sent


def resent(desk: Desk, begin: int, end: int) -> list[tuple[str, int, int]]:
    """(type, number, NewSeqNo or 0) of what a ResendRequest brings; then a beat ends it."""
    desk.send("2", f"7={begin}|16={end}")
    desk.send("1", "112=end")
    found = []
    while True:
        message = desk.next()
        if message.text(112) == "end":
            return found
        assert message.text(43) == "Y"
        assert message.get(122) is not None
        found.append((message.kind, message.number(34) or 0, message.number(36) or 0))


def test_27_reports_come_again_byte_for_byte(desk: Desk) -> None:
    sent = {m.text(34): m for m in history(desk)}
    desk.send("2", "7=1|16=9")
    first = desk.expect("4", _34=1, _36=3)
    assert first.text(123) == "Y"
    for number, following in ((3, 0), (4, 6), (6, 0), (7, 0), (8, 10)):
        message = desk.next()
        assert (message.number(34), message.number(36) or 0) == (number, following)
        if message.kind == "8":
            original = sent[message.text(34)]
            skip = {8, 9, 10, 43, 52, 122}
            assert [f for f in message if f[0] not in skip] == [
                f for f in original if f[0] not in skip]
            assert message.text(122) == original.text(52)


ALL = [("4", 1, 3), ("8", 3, 0), ("4", 4, 6), ("8", 6, 0), ("8", 7, 0), ("4", 8, 10)]


def test_28_up_to_the_last_and_no_number_used(desk: Desk) -> None:
    history(desk)
    assert resent(desk, 1, 9) == ALL
    assert resent(desk, 1, 9) == ALL, "asking twice gives the same"
    found = resent(desk, 1, 0)
    assert found == [*ALL[:-1], ("4", 8, 12)], "two beats ended the requests before"
    found = resent(desk, 7, 500)
    assert found == [("8", 7, 0), ("4", 8, 13)]
    assert resent(desk, 3, 3) == [("8", 3, 0)]
    assert resent(desk, 4, 4) == [("4", 4, 5)]


@pytest.mark.parametrize(("text", "reason"), [
    ("7=50|16=0", 5), ("7=3|16=2", 5), ("7=0|16=0", 5), ("7=1", 1), ("16=0", 1),
    ("7=x|16=0", 6), ("7=1|16=-4", 6),
])
def test_29_requests_that_make_no_sense(desk: Desk, text: str, reason: int) -> None:
    desk.send("2", text)
    desk.expect("3", _34=2, _45=2, _372=2, _373=reason)
    desk.send("1", "112=on")
    desk.expect("0", _34=3)


def test_30_a_client_that_does_not_read_loses_only_itself(stage: Stage) -> None:
    reader = stage.connect(sender="FRESH")
    reader.logon()
    client = stage.connect()
    client.logon("141=Y")
    for n in range(400):
        client.order(f"S{n}")
    for _ in range(400):
        client.next()
    client.raw(b"".join(client.message("2", "7=1|16=0") for _ in range(150)))
    for n in range(20):
        began = time.monotonic()
        reader.order(f"R{n}")
        reader.expect("8", _11=f"R{n}", _150=0)
        assert time.monotonic() - began < 1.0
    client.leave()
    time.sleep(0.1)
    again = stage.connect()
    again.logon("141=Y")
    for n in range(400):  # It never said that it has them, and went without reading on.
        again.expect("8", _11=f"S{n}", _97="Y")
    again.expect("1")  # whether it has them now
    again.order("after")
    again.expect("8", _11="after")
    again.send("5")
    again.expect("5")


def test_30_requests_without_end_and_answers_unread_are_bounded(stage: Stage) -> None:
    client = stage.connect()
    client.logon("141=Y")
    for n in range(400):
        client.order(f"U{n}")
    for _ in range(400):
        client.next()
    served = next(iter(stage.server.clients.values()))
    client.raw(b"".join(client.message("2", "7=1|16=0") for _ in range(UNDER_WAY_MAX + 100)))
    end = time.monotonic() + 8
    while stage.server.clients and time.monotonic() < end:
        assert len(served.resends) <= UNDER_WAY_MAX
        time.sleep(0.01)
    assert not stage.server.clients
    assert "ResendRequests and their answers unread" in served.session.reason


def test_31_numbers_come_from_the_core(desk: Desk, stage: Stage) -> None:
    """Nothing is sent under a number that isn't in the event stream already."""
    stage.aid.paused = True
    desk.send("1", "112=wait")
    desk.quiet(0.3)
    stage.aid.paused = False
    desk.expect("0", _34=2, _112="wait")


def test_a_reset_late_in_the_session_has_all_the_patience_of_a_logon(stage: Stage) -> None:
    """The core takes its time over a reset that comes long after the Logon."""
    desk = stage.connect()
    desk.logon("141=Y")
    time.sleep(1.7)  # more than `logon_seconds` of the stage
    stage.aid.paused = True
    desk.number = 1
    desk.send("A", "98=0|108=30|141=Y")
    desk.quiet(0.3)
    stage.aid.paused = False
    desk.expect("A", _34=1, _141="Y")
    desk.send("1", "112=on")
    desk.expect("0", _34=2, _112="on")
