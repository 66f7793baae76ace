"""Situations 32 to 36: what stands in messages, and how sessions live and die."""

import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.fix.backlog import Backlog
from gateway.fix.references import COPY
from gateway.fix.times import time_text
from tests.gateway.fix.conftest import SESSIONS
from tests.gateway.fix.stage import Desk, Stage

PLAIN = "11=A1|55=BTC-USDC|54=1|38=1|40=2|44=100|60=20260101-00:00:00"


@pytest.mark.parametrize(("kind", "text", "tag", "reason"), [
    ("0", "999=HI", 999, 0), ("0", "0=HI", 0, 0), ("0", "-1=HI", -1, 0), ("0", "5000=HI", 5000, 0),
    ("D", PLAIN.replace("11=A1|", ""), 11, 1), ("1", "", 112, 1),
    ("0", "55=BTC-USDC", 55, 2), ("D", PLAIN + "|262=x", 262, 2),
    ("D", PLAIN.replace("11=A1", "11="), 11, 4), ("0", "112=", 112, 4),
    ("D", PLAIN.replace("54=1", "54=9"), 54, 5), ("D", PLAIN.replace("40=2", "40=w"), 40, 5),
    ("D", PLAIN + "|21=4", 21, 5), ("D", PLAIN + "|18=6 Z", 18, 5),
    ("D", PLAIN.replace("38=1", "38=+1"), 38, 6), ("D", PLAIN.replace("44=100", "44=1e2"), 44, 6),
    ("D", PLAIN + "|126=20270101", 126, 6), ("D", PLAIN.replace("40=2", "40=22"), 40, 6),
    ("D", PLAIN.replace("40=2", "40=2|40=2"), 40, 13),
    ("D", PLAIN + "|386=3|336=A|336=B", 386, 16), ("D", PLAIN + "|453=1|447=D|448=X", 447, 15),
])
def test_32_session_rejects_name_tag_and_reason(
    desk: Desk, kind: str, text: str, tag: int, reason: int
) -> None:
    desk.send(kind, text)
    desk.expect("3", _34=2, _45=2, _372=kind, _371=tag, _373=reason)
    desk.send("1", "112=on")
    desk.expect("0", _34=3, _112="on")


def test_32_header_fields_behind_the_body(desk: Desk) -> None:
    desk.send("0", "112=x|50=SUB")
    desk.expect("3", _371=50, _373=14)
    desk.send("3", "45=2")
    desk.send("3", "45=2|371=9999999")
    desk.quiet()


def test_33_types_unknown_and_not_offered(desk: Desk) -> None:
    desk.send("*")
    desk.expect("3", _45=2, _372="*", _373=11)
    desk.send("R", "131=x", head="115=ACME|116=BOB|144=")
    desk.expect("j", _45=3, _372="R", _380=3, _128="ACME", _129="BOB")
    desk.send("0", "55=x", head="128=ACME|129=BOB|145=HERE")
    answer = desk.expect("3", _115="ACME", _116="BOB", _144="HERE", _373=2)
    assert answer.get(128) is None


def test_34_a_possible_resend_makes_no_second_order(desk: Desk, stage: Stage) -> None:
    desk.order("P1", head="97=Y")
    first = desk.expect("8", _11="P1", _150=0)
    before = len(stage.aid.orders)
    desk.order("P1", head="97=Y")
    again = desk.expect("8", _97="Y", _11="P1", _39=0)
    assert again.text(37) == first.text(37)
    assert len(stage.aid.orders) == before


def test_34_also_right_behind_the_order_itself(desk: Desk, stage: Stage) -> None:
    """The exchange has not answered the first one when the second one comes."""
    stage.aid.paused = True
    desk.order("P2")
    desk.order("P2", head="97=Y")
    desk.order("P3", head="97=Y")
    desk.order("P3", head="97=Y")
    desk.send("1", "112=behind")
    desk.flush()
    time.sleep(0.1)
    stage.aid.paused = False
    first = desk.expect("8", _11="P2", _150=0)
    assert desk.expect("8", _97="Y", _11="P2").text(37) == first.text(37)
    second = desk.expect("8", _11="P3", _150=0)
    assert desk.expect("8", _97="Y", _11="P3").text(37) == second.text(37)
    desk.expect("0", _112="behind")


def test_34_also_when_the_numbers_were_set_back_since(desk: Desk, stage: Stage) -> None:
    desk.order("P4")
    first = desk.expect("8", _11="P4", _150=0)
    before = len(stage.aid.orders)
    desk.leave()
    again = stage.connect()
    again.logon("141=Y")
    again.order("P4", head="97=Y")
    told = again.expect("8", _97="Y", _11="P4")
    assert told.text(37) == first.text(37)
    assert len(stage.aid.orders) == before


def test_34_messages_behind_it_wait_and_a_gap_above_is_asked_for(desk: Desk) -> None:
    desk.order("P5", head="97=Y")
    desk.send("1", "112=first")
    desk.send("1", "112=late", number=desk.number + 1)
    desk.expect("8", _11="P5", _150=0)
    desk.expect("0", _112="first")
    desk.expect("2", _7=desk.number)


def test_34_a_crowd_behind_it_waits_in_the_socket(stage: Stage) -> None:
    """More messages than wait above a gap: no more are read, and none is lost."""
    client = stage.connect()
    client.logon("141=Y")
    stage.aid.paused = True
    client.order("P6", head="97=Y")
    sender = threading.Thread(target=lambda: [client.send("0") for _ in range(6000)])
    sender.start()
    time.sleep(0.5)
    stage.aid.paused = False
    sender.join()
    client.expect("8", _11="P6", _150=0)
    client.send("1", "112=behind")
    client.expect("0", _112="behind")


def test_34_or_is_ignored_where_the_session_says_so(stage: Stage) -> None:
    client = stage.connect(sender="FRESH")
    client.logon()
    client.order("Q1")
    client.expect("8", _11="Q1")
    client.order("Q1", head="97=Y")
    client.quiet()
    client.send("1", "112=on")
    client.expect("0", _34=3, _112="on")


def test_35_beats_and_silence(stage: Stage) -> None:
    client = stage.connect()
    client.logon("141=Y", beat=1)
    began = time.monotonic()
    client.expect("0", _34=2)
    client.send("0")
    client.expect("0", _34=3)
    assert 1.8 < time.monotonic() - began < 2.7
    request = client.expect("1", _34=4)
    client.send("0", f"112={request.text(112)}")
    client.expect("0", _34=5)
    client.expect("1", _34=6)
    client.expect("5", _34=7)
    client.closed()


def test_36_a_logout_is_answered_and_the_connection_ends(desk: Desk) -> None:
    desk.send("5", "58=bye")
    desk.expect("5", _34=2)
    desk.closed()


def test_36_a_logout_above_the_gap_is_answered(desk: Desk) -> None:
    desk.send("5", number=9)
    desk.expect("5", _34=2)
    desk.closed()


def test_36_a_half_closed_socket_has_its_orders_executed(desk: Desk, stage: Stage) -> None:
    before = len(stage.aid.commands)
    orders = b"".join(desk.message(
        "D", f"11=HC{n}|55=BTC-USDC|54=1|38=1|40=2|44=1|60={time_text(time.time_ns())}")
        for n in range(5))
    desk.raw(orders)
    desk.half_close()
    end = time.monotonic() + 5
    while not any(c[1] == "SessionClose" for c in stage.aid.commands[before:]):
        assert time.monotonic() < end
        time.sleep(0.01)
    names = [name for _, name, _ in stage.aid.commands[before:]]
    assert names.count("NewOrderSingle") == 5
    assert names.index("SessionClose") > names.index("NewOrderSingle")


def test_36_both_log_out_at_once(desk: Desk, stage: Stage) -> None:
    stage.call(lambda: stage.server.close("closing time"))
    desk.send("5")
    desk.expect("5", _34=2, _58="closing time")
    desk.closed()


def test_refusals_name_rule_value_and_limit(desk: Desk) -> None:
    desk.order("Z1", text="")
    desk.expect("8", _150=0)
    stamp = time_text(time.time_ns())
    desk.send("D", f"11=Z2|55=BTC-USDC|54=1|38=0|40=2|44=100|60={stamp}")
    desk.expect("8", _150=8, _39=8, _11="Z2", _103=13, _21020=21,
                _58="quantity 0 isn't above 0 (tag 38)")
    desk.send("D", f"11=Z3|55=NONE|54=1|38=1|40=2|44=100|60={stamp}")
    desk.expect("8", _150=8, _11="Z3", _55="NONE", _103=1,
                _58="there is no instrument NONE (tag 55)")
    desk.send("D", f"11=Z4|1=stranger|55=BTC-USDC|54=1|38=1|40=2|44=100|60={stamp}")
    desk.expect("8", _150=8, _11="Z4", _1="stranger", _103=15)
    desk.send("F", f"11=Z5|41=never|55=BTC-USDC|54=1|60={stamp}")
    desk.expect("9", _11="Z5", _41="never", _39=8, _434=1, _102=1)


def test_a_cancel_is_reported_with_both_ids(desk: Desk) -> None:
    stamp = time_text(time.time_ns())
    desk.order("C1")
    order = desk.expect("8", _150=0)
    desk.send("F", f"11=C2|41=C1|55=BTC-USDC|54=1|60={stamp}")
    desk.expect("8", _150=4, _39=4, _11="C2", _41="C1", _37=order.text(37), _151=0)


def test_the_throttle_names_limit_and_wait(stage: Stage) -> None:
    client = stage.connect(sender="SLOW")
    client.logon("141=Y")
    client.raw(b"".join(client.message(
        "D", f"11=T{n}|55=BTC-USDC|54=1|38=1|40=2|44=1|60=20260101-00:00:00") for n in range(5)))
    for n in range(3):
        client.expect("8", _11=f"T{n}", _150=0)
    for n in (3, 4):
        reject = client.expect("j", _372="D", _379=f"T{n}", _380=8)
        assert "more than 3 orders in a second; try again in" in reject.text(58)
    client.send("1", "112=never counted")
    client.expect("0")


def test_a_core_that_is_down_refuses_orders_and_keeps_sessions(desk: Desk, stage: Stage) -> None:
    stage.status.core_ready = 0
    desk.order("D1")
    reject = desk.expect("j", _45=2, _379="D1", _380=4)
    assert "recovering" in reject.text(58)
    stage.status.core_ready = 1
    desk.order("D2")
    desk.expect("8", _11="D2", _150=0)


def test_who_talks_on_while_the_core_is_away_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What waits for the core is bounded; nothing of what the client said is lost."""
    monkeypatch.setattr("gateway.fix.overflow.WAITING_MAX", 200)
    stage = Stage(tmp_path, SESSIONS[:1], ring_bytes=1 << 16)
    try:
        desk = stage.connect()
        desk.logon()
        stage.aid.paused = True
        desk.raw(b"".join(desk.message("1", f"112=T{n}") for n in range(1200)))
        served = next(iter(stage.server.clients.values()))
        until(lambda: served.paused)
        time.sleep(0.1)
        assert 200 < len(stage.server.overflow._waiting) < 210
        stage.aid.paused = False
        for n in range(1200):
            desk.expect("0", _34=n + 2, _112=f"T{n}")
        desk.order("after")
        desk.expect("8", _11="after")
        stage.forget()
    finally:
        stage.stop()


def until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + 5
    while not holds() and time.monotonic() < end:
        time.sleep(0.01)
    assert holds()


def test_a_drop_copy_sees_the_reports_of_its_owner(desk: Desk, stage: Stage) -> None:
    copy = stage.connect(sender="COPY")
    copy.logon("141=Y")
    desk.order("V1")
    original = desk.expect("8", _11="V1")
    seen = copy.expect("8", _34=2, _56="COPY")
    skip = {9, 10, 34, 52, 56}
    assert [f for f in seen if f[0] not in skip] == [
        *[f for f in original if f[0] not in skip], (1, b"acme.main")]
    copy.order("V2")
    copy.expect("j", _380=6)
    copy.send("2", "7=2|16=2")
    copy.expect("8", _34=2, _43="Y", _17=original.text(17), _1="acme.main")
    desk.send("H", "11=V1|55=BTC-USDC|54=1")
    desk.expect("8", _150="I", _103="", _58="")
    copy.send("1", "112=nothing")
    copy.expect("0", _34=4, _112="nothing")
    desk.order("V3", "1=acme.main")
    desk.expect("8", _11="V3")
    told = copy.expect("8", _11="V3")
    assert [v for t, v in told if t == 1] == [b"acme.main"]


def test_a_report_behind_a_message_of_ours_is_told_as_any_other(
    desk: Desk, stage: Stage
) -> None:
    """Both come in one batch: then Python deals with the report, too, and a resend doesn't."""
    desk.order("W1")
    first = desk.expect("8", _11="W1")
    order = next(o for (s, _), o in stage.aid.orders.items() if o["orderId"] == int(first.text(37)))
    stage.aid.paused = True
    desk.send("1", "112=before")
    desk.flush()
    time.sleep(0.1)

    def at_once() -> None:
        stage.aid.paused = False
        stage.aid.poll()
        stage.aid.fill(1, order["clOrdId"], 10**7, 100 * 10**8)
        stage.aid.report(1, order, "4", "4", reason=71, leavesQty=0)

    stage.call(at_once)
    desk.expect("0", _112="before")
    skip = {9, 10, 43, 52, 122}
    told = [desk.next(), desk.next()]
    assert [(m.text(150), m.text(58), m.text(103), m.text(21020)) for m in told] == [
        ("F", "", "", ""), ("4", "mass cancel", "", "71")]
    desk.send("2", f"7={told[0].text(34)}|16=0")
    for before in told:
        again = desk.expect("8", _43="Y")
        assert [f for f in again if f[0] not in skip] == [f for f in before if f[0] not in skip]


def test_a_drop_copy_that_comes_back_gets_what_it_missed(desk: Desk, stage: Stage) -> None:
    copy = stage.connect(sender="COPY")
    copy.logon("141=Y")
    desk.order("V1")
    desk.expect("8", _11="V1")
    copy.expect("8", _34=2, _11="V1")
    copy.drop()
    while len(stage.server.clients) > 1:
        time.sleep(0.005)
    for n in (2, 3, 4):
        desk.order(f"V{n}")
        desk.expect("8", _11=f"V{n}")
    again = stage.connect(sender="COPY")
    again.logon(number=2)
    for n in (2, 3, 4):
        again.expect("8", _34=n + 2, _11=f"V{n}")
    desk.order("V5")
    desk.flush()
    again.expect("8", _34=7, _11="V5")
    again.quiet()


def test_lists_positions_and_collateral(desk: Desk) -> None:
    desk.send("x", "320=L1|559=4")
    listed = desk.expect("y", _320="L1", _560=0, _393=2, _893="Y", _146=2)
    assert [v for t, v in listed if t == 55] == [b"BTC-USDC", b"BTC-PERP"]
    desk.send("c", "320=L2|321=0|55=BTC-PERP")
    desk.expect("d", _323=1, _55="BTC-PERP", _167="PERP", _969="0.5")
    desk.send("e", "324=S1|263=0|55=BTC-PERP")
    desk.expect("f", _324="S1", _326=17)
    desk.send("AN", "710=Q1|724=0|1=acme.main|60=20260101-00:00:00")
    desk.expect("AP", _710="Q1", _55="BTC-PERP", _705=2, _730=9)
    desk.expect("4", _123="Y")
    desk.expect("AO", _710="Q1", _728=0)
    desk.send("BB", "909=C1")
    desk.expect("4", _123="Y")
    desk.expect("BA", _909="C1", _900=1000, _899=600, _21022=400)
    desk.expect("4", _123="Y")


def test_an_account_is_followed(desk: Desk) -> None:
    desk.send("BB", "909=C1|263=1")  # Money that comes would be told to a watcher anyway.
    desk.expect_within(5, "BA")
    desk.send("AN", "710=Q1|724=0|1=acme.main|60=20260101-00:00:00|263=1")
    assert desk.expect_within(5, "AO").text(710) == "Q1"
    filled = desk.expect("AP", _55="BTC-PERP", _704=3)
    assert filled.get(710) is None
    stands = desk.expect("BA", _1704="2.5", _21032=0)
    assert (stands.get(909), stands.get(901)) == (None, None)
    desk.expect("BA", _1704="3.5", _21032=1, _901=1)
    lost = desk.expect("AO", _728=3, _21020=70)
    assert lost.get(710) is None
    desk.quiet()


def test_copying_that_was_cut_short_goes_on_where_it_ended(desk: Desk, stage: Stage) -> None:
    """The last copy was of a report far behind: what came between is not passed over."""
    server = stage.server
    begin = server.position
    for n in range(3):
        desk.order(f"B{n}")
        desk.expect("8", _11=f"B{n}")
    reports = server.copies._find(1, begin, server.position)
    assert len(reports) == 3
    late = server.position
    taken: list[int] = []
    done = threading.Event()

    def go_on() -> None:
        backlog = Backlog(server, 4, 100, late, server.position, taken.append, done.set)
        backlog.go_on()

    stage.call(lambda: server.copies._take_number(4, COPY, reports[0]))
    stage.call(lambda: None)
    while server.position == late:
        time.sleep(0.005)
    stage.call(go_on)
    assert done.wait(5)
    assert taken == reports[1:]
