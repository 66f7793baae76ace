"""Reports that a client may not have come again, marked 97=Y, when it sets the numbers back."""

import time

import pytest

from gateway.fix.message import parse
from gateway.fix.receipts import Receipts
from tests.gateway.fix.stage import Desk, Stage

SECOND = 10**9


def wait_until_gone(stage: Stage) -> None:
    end = time.monotonic() + 5
    while stage.server.clients and time.monotonic() < end:
        time.sleep(0.005)
    assert not stage.server.clients


def report_unread(desk: Desk, stage: Stage, identity: str) -> None:
    """An order whose report stands in the client's machine, and is never read."""
    before = desk.reports(stage)
    desk.order(identity)
    desk.flush()
    end = time.monotonic() + 5
    while desk.reports(stage) == before and time.monotonic() < end:
        time.sleep(0.005)
    time.sleep(0.05)


def test_a_lost_socket_and_a_reset_bring_back_what_was_not_acknowledged(
    stage: Stage
) -> None:
    desk = stage.connect()
    desk.logon("141=Y")
    desk.order("K1")
    desk.expect("8", _34=2, _11="K1")
    desk.send("2", "7=3|16=0")  # It has 2, and asks for more than there is.
    desk.expect("3", _34=3)
    desk.send("1", "112=T", head="369=3")
    desk.expect("0", _34=4)
    report_unread(desk, stage, "K2")
    desk.leave()
    wait_until_gone(stage)
    again = stage.connect()
    assert again.logon("141=Y").text(34) == "1"
    told = again.expect("8", _34=2, _11="K2", _97="Y", _39=0)
    assert told.get(43) is None
    again.quiet()
    again.drop()  # Lost once more before it could say that it has it: again the same.
    wait_until_gone(stage)
    third = stage.connect()
    third.logon("141=Y")
    assert third.expect("8", _34=2, _97="Y").text(17) == told.text(17)
    third.send("1", "112=U", head="369=2")
    third.expect("0", _112="U")
    third.drop()
    wait_until_gone(stage)
    fourth = stage.connect()
    fourth.logon("141=Y")
    fourth.quiet()


@pytest.mark.parametrize("how", ["logout", "end", "continue"])
def test_what_was_received_does_not_come_again(stage: Stage, how: str) -> None:
    desk = stage.connect()
    desk.logon("141=Y")
    desk.order("L1")
    desk.expect("8", _34=2, _11="L1")
    if how == "logout":
        desk.send("5")
        desk.expect("5")
        desk.closed()
    elif how == "continue":
        desk.drop()
        wait_until_gone(stage)
        desk = stage.connect()
        desk.logon(number=3)
        desk.number = 4
        desk.send("2", "7=3|16=0")
        desk.expect("4", _34=3, _36=4)
    desk.leave()
    wait_until_gone(stage)
    fresh = stage.connect()
    fresh.logon("141=Y")
    fresh.quiet()


def test_who_begins_anew_at_every_logon_is_told_nothing_of_before(stage: Stage) -> None:
    desk = stage.connect(sender="FRESH")
    desk.logon()
    report_unread(desk, stage, "M1")
    desk.leave()
    wait_until_gone(stage)
    fresh = stage.connect(sender="FRESH")
    fresh.logon()
    fresh.quiet()


def test_time_and_a_test_request_prove_what_went_before() -> None:
    receipts, beat = Receipts(), 30 * SECOND
    receipts.passed(100 * SECOND, 90 * SECOND, 7, beat)  # The mark: 7 by 100 s.
    assert receipts.number == 0
    receipts.passed(140 * SECOND, 129 * SECOND, 9, beat)
    assert receipts.number == 0, "heard of 29 s after the mark only"
    receipts.passed(140 * SECOND, 131 * SECOND, 9, beat)
    assert receipts.number == 7
    receipts.tested(9)
    receipts.resending = True
    answer = parse(b"8=FIX.4.4\x019=5\x0135=0\x01112=TEST\x0110=000\x01")
    receipts.heard(answer, 10)
    assert receipts.number == 7, "what is resent comes before it"
    receipts.resending = False
    receipts.heard(answer, 10)
    assert receipts.number == 9
    receipts.prove(50, 10)
    assert receipts.number == 9, "nobody has what was not sent"
