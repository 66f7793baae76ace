"""Situations 8 to 15: who gets in, and with which numbers."""

import base64
import hashlib
import hmac
import time

import pytest

from gateway.fix.message import parse
from gateway.fix.profile import signed_text
from gateway.fix.times import time_text
from tests.gateway.fix.stage import Desk, Stage

HOUR = 3_600_000_000_000


def late(seconds: int) -> str:
    return time_text(time.time_ns() - seconds * 1_000_000_000)


@pytest.mark.parametrize("options", [
    {"sender": "NOBODY"}, {"sender": "client"}, {"target": "OTHER"}, {"begin": "FIX.4.2"},
    {"begin": "FIX.3.9"}, {"kind": "0"}, {"kind": "D"},
])
def test_8_strangers_are_cut_off(stage: Stage, options: dict[str, str]) -> None:
    client = stage.connect()
    before = len(stage.aid.commands)
    client.send(options.pop("kind", "A"), "98=0|108=30", **options)
    client.closed()
    assert len(stage.aid.commands) == before, "no session state was touched"


def test_8_an_old_logon_is_told_so(stage: Stage) -> None:
    client = stage.connect()
    client.send("A", "98=0|108=30", time=late(121))
    assert "SendingTime" in client.expect("5").text(58)
    client.closed()


@pytest.mark.parametrize(("text", "words"), [
    ("98=1|108=30", "tag 98"), ("98=0|108=-1", "HeartBtInt"), ("98=0|108=0", "HeartBtInt"),
    ("98=0", "tag 108"), ("98=0|108=30|141=Y", ""), ("98=0|108=30|999=1", "tag 999"),
])
def test_14_terms_that_are_not_taken_are_named(stage: Stage, text: str, words: str) -> None:
    client = stage.connect()
    client.send("A", text, number=7 if not words else 1)
    assert (words or "MsgSeqNum 1") in client.expect("5").text(58)
    client.closed()


@pytest.mark.parametrize("text", ["98=0|108=30|1137=6", "98=0|108=30"])
def test_14_fixt_needs_its_application_version(stage: Stage, text: str) -> None:
    client = stage.connect(begin="FIXT.1.1")
    client.send("A", text)
    assert "1137" in client.expect("5", _1409="").text(58)
    client.closed()


def test_fixt_has_the_same_bodies(stage: Stage, chop: int) -> None:
    client = stage.connect(begin="FIXT.1.1", chop=chop)
    assert client.logon("141=Y").text(1137) == "9"
    client.order("X1")
    client.expect("8", _8="FIXT.1.1", _11="X1", _150=0)
    client.leave()


def signed(client: Desk, secret: str, **options: str) -> bytes:
    """A Logon with its signature."""
    plain = parse(client.message("A", "98=0|108=30", number=1, **options))
    mac = hmac.digest(secret.encode(), signed_text(plain), hashlib.sha256)
    signature = base64.b64encode(mac).decode()
    text = f"98=0|108=30|141=Y|95={len(signature)}|96={signature}"
    return client.message("A", text, number=1, time=plain.text(52))


def test_a_signature_opens_once(stage: Stage) -> None:
    client = stage.connect(sender="SIGNED")
    logon = signed(client, "a secret of some length")
    client.raw(logon)
    client.expect("A", _141="Y")
    client.send("5", number=2)
    client.expect("5")
    client.closed()
    again = stage.connect(sender="SIGNED")
    again.raw(logon)
    assert "used before" in again.expect("5").text(58)
    again.closed()


def test_8_a_wrong_signature_is_told_so(stage: Stage) -> None:
    client = stage.connect(sender="SIGNED")
    client.raw(signed(client, "another secret"))
    assert client.expect("5").text(58) == "credentials are wrong"
    client.closed()


@pytest.mark.parametrize(("word", "kind"), [("pass", "A"), ("PASS", "5"), ("", "5")])
def test_a_password_opens(stage: Stage, word: str, kind: str) -> None:
    client = stage.connect(sender="WORD")
    client.send("A", "98=0|108=30|141=Y" + (f"|554={word}" if word else ""))
    client.expect(kind)
    client.leave()


def test_fixt_says_by_number_that_credentials_are_wrong(stage: Stage) -> None:
    client = stage.connect(sender="WORD", begin="FIXT.1.1")
    client.send("A", "98=0|108=30|1137=9|554=wrong")
    client.expect("5", _1409=5, _58="credentials are wrong")
    client.closed()


def test_9_a_second_connection_of_an_identity_is_closed(desk: Desk, stage: Stage) -> None:
    second = stage.connect()
    second.send("A", "98=0|108=30", number=2)
    second.closed()
    desk.send("1", "112=still here")
    desk.expect("0", _34=2, _112="still here")


def test_10_a_logon_above_the_expected_number_asks_for_the_rest(stage: Stage, chop: int) -> None:
    client = stage.connect(sender="FRESH", chop=chop)
    client.logon(number=5)
    client.expect("2", _34=2, _7=1, _16=0)
    client.send("4", "123=Y|36=6", number=1, head="43=Y|122=" + late(1))
    client.send("1", "112=caught up", number=6)
    client.expect("0", _34=3, _112="caught up")
    client.leave()


def test_11_a_logon_below_the_expected_number_is_told_both(desk: Desk, stage: Stage) -> None:
    desk.send("0")
    desk.send("5")
    desk.expect("5")
    desk.closed()
    client = stage.connect()
    client.send("A", "98=0|108=30", number=2)
    text = client.expect("5").text(58)
    assert text == "MsgSeqNum too low, expecting 4 but received 2"
    client.closed()


def test_12_a_reset_needs_number_one(desk: Desk) -> None:
    desk.send("A", "98=0|108=30|141=Y", number=2)
    assert "MsgSeqNum not 1" in desk.expect("5").text(58)
    desk.closed()


def test_12_a_reset_inside_the_session_starts_both_again(desk: Desk) -> None:
    desk.send("1", "112=a")
    desk.expect("0", _34=2)
    desk.send("1", "112=above", number=9)
    desk.expect("2", _34=3, _7=3)
    desk.number = 1
    desk.send("A", "98=0|108=30|141=Y")
    desk.expect("A", _34=1, _141="Y")
    desk.send("1", "112=b")
    desk.expect("0", _34=2, _112="b")
    desk.quiet()


def test_12_reports_nobody_received_come_again_after_a_reset(desk: Desk, stage: Stage) -> None:
    desk.order("W1")
    report = desk.expect("8", _11="W1")
    desk.leave()
    while stage.server.clients:
        time.sleep(0.01)
    session, name, fields = [c for c in stage.aid.commands if c[1] == "NewOrderSingle"][-1]
    assert (session, name) == (1, "NewOrderSingle")
    stage.call(lambda: stage.aid.fill(1, fields["clOrdId"], 10**8, 100 * 10**8))
    client = stage.connect()
    client.logon("141=Y")
    again = client.expect("8", _34=2, _97="Y", _150="F", _11="W1", _32=1)
    assert again.get(43) is None
    assert again.text(17) != report.text(17)
    client.quiet()
    client.leave()


def test_13_789_below_our_next_is_replayed_unasked(desk: Desk, stage: Stage) -> None:
    desk.order("N1")
    first = desk.expect("8", _34=2)
    desk.send("5")
    desk.expect("5", _34=3)
    desk.closed()
    client = stage.connect()
    client.number = 4
    client.send("A", "98=0|108=30|789=2")
    client.expect("A", _34=4, _789=5)
    again = client.expect("8", _34=2, _43="Y", _122=first.text(52))
    assert again.text(17) == first.text(17)
    client.expect("4", _34=3, _43="Y", _123="Y", _36=4)
    client.leave()


def test_13_789_above_our_next_is_told(desk: Desk, stage: Stage) -> None:
    desk.send("5")
    desk.expect("5")
    desk.closed()
    client = stage.connect()
    client.send("A", "98=0|108=30|789=70", number=3)
    assert "789" in client.expect("5").text(58)
    client.closed()


def test_15_a_second_logon_inside_ends_the_session(desk: Desk) -> None:
    desk.send("A", "98=0|108=30")
    assert "inside a session" in desk.expect("5").text(58)
    desk.closed()


@pytest.mark.parametrize(("text", "scope"), [("", 2), ("|8013=S", 1), ("|8013=N", 0)])
def test_cancel_on_disconnect_is_the_sessions_unless_the_logon_says(
    stage: Stage, text: str, scope: int
) -> None:
    client = stage.connect(sender="SLOW")
    client.logon(f"141=Y{text}")
    opened = [f for _, name, f in stage.aid.commands if name == "SessionOpen"][-1]
    assert (opened["cancelOnDisconnect"], opened["cancelWindow"]) == (scope, 250)
