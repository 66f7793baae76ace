"""Situations 1 to 7: what the bytes on the wire may do to a session."""

import time

import pytest

from gateway.fix.message import frame
from tests.gateway.fix.stage import Desk, Stage


def test_1_pieces_and_heaps_give_the_same(stage: Stage) -> None:
    """One message in single bytes, fifty in one segment: the same answers in the same order."""
    answers = []
    for chop in (1, 0):
        client = stage.connect(chop=chop)
        client.logon("141=Y")
        heap = b"".join(
            client.message("1", f"112=T{n}") if n % 5 == 0 else
            client.message("D", f"11=O{n}|55=BTC-USDC|54=1|38=1|40=2|44=100|59=1"
                                "|60=20260101-00:00:00")
            for n in range(50))
        client.raw(heap)
        found = [client.next() for _ in range(50)]
        answers.append([
            (m.kind, m.text(34), m.text(112) or m.text(11)) for m in found])
        client.leave()
        stage.call(lambda: None)
        wait_until_alone(stage)
    assert answers[0] == answers[1]
    assert [number for _, number, _ in answers[0]] == [str(n) for n in range(2, 52)]
    expected = [f"T{n}" if n % 5 == 0 else f"O{n}" for n in range(50)]
    assert [name for _, _, name in answers[0]] == expected


def wait_until_alone(stage: Stage) -> None:
    for _ in range(500):
        if not stage.server.clients:
            return
        time.sleep(0.01)
    raise AssertionError("a connection was left")


@pytest.mark.parametrize("end", [b"10=999\x01", b"10=0\x01", b"10=12\x01", b"10=0123\x01"])
def test_2_a_wrong_sum_is_ignored_and_not_counted(desk: Desk, end: bytes) -> None:
    good = desk.message("1", "112=lost", number=2)
    desk.raw(good[:-7] + end)
    desk.quiet(0.1)
    desk.send("1", "112=next", number=3)
    desk.expect("2", _7=2, _16=0)
    desk.send("1", "112=late", number=2)
    desk.expect("0", _112="late")
    desk.expect("0", _112="next")


@pytest.mark.parametrize("length", ["30", "1x", "-1", ""])
def test_3_a_wrong_length_loses_nothing_behind_it(desk: Desk, length: str) -> None:
    bad = desk.message("1", "112=bad", number=2)
    size = bad.split(b"\x01")[1]
    desk.raw(bad.replace(size, b"9=" + length.encode(), 1))
    desk.send("1", "112=good", number=2)
    desk.expect("0", _34=2, _112="good")


def test_3_a_length_too_long_loses_nothing_behind_it(desk: Desk) -> None:
    bad = desk.message("1", "112=bad", number=2)
    size = bad.split(b"\x01")[1]
    longer = b"9=%d" % (int(size[2:]) + 10)
    desk.raw(bad.replace(size, longer, 1))
    desk.send("1", "112=good", number=2)
    desk.expect("0", _34=2, _112="good")


def test_4_a_huge_length_is_answered_with_logout_at_once(desk: Desk) -> None:
    desk.raw(b"8=FIX.4.4\x019=99999999\x0135=D\x01")
    desk.expect("5", _34=2)
    desk.closed()


def test_5_type_not_third_or_noise_before_is_skipped(desk: Desk) -> None:
    desk.raw(b"noise \x01\x02\xff")
    desk.raw(frame(b"FIX.4.4", b"34=2\x0135=0\x0149=CLIENT\x0156=EXEC\x01"))
    desk.raw(b"35=0\x018=FIX.4.4\x019=29\x0134=2\x0110=121\x01")
    desk.send("1", "112=here")
    desk.expect("0", _34=2, _112="here")


def test_6_raw_data_is_as_long_as_it_says(stage: Stage, chop: int) -> None:
    client = stage.connect(chop=chop)
    data = "a\x0110=123\x018=FIX.4.4\x019=5\x01"
    client.send("A", f"98=0|108=30|141=Y|95={len(data)}|96={data}")
    client.expect("A", _34=1)
    client.send("1", "112=on")
    client.expect("0", _112="on")
    client.leave()


def test_7_silence_or_half_a_logon_ends_soon(stage: Stage) -> None:
    silent, half = stage.connect(), stage.connect()
    half.raw(half.message("A", "98=0|108=30")[:40])
    began = time.monotonic()
    silent.closed()
    half.closed()
    assert time.monotonic() - began < 4
    assert not [c for c in stage.aid.commands[-3:] if c[1] == "SessionOpen"]
