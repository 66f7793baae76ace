"""Reports that a client may not have come again, marked 97=Y, when it sets the numbers back."""

import time
from collections.abc import Iterator
from typing import Any

import pytest

from core.venue import FixSession
from gateway.fix.gateway import FixGateway
from gateway.fix.message import Message, parse
from gateway.fix.owed import Lost
from gateway.fix.receipts import MANY, Receipts
from gateway.fix.times import time_of
from tests.gateway.fix.stage import LIMITS, Desk, Stage

SECOND = 10**9
SOON = 0.3  # seconds
DAYS_WORTH = 5_000  # more than were told again before


def wait_until_gone(stage: Stage, but: int = 0) -> None:
    end = time.monotonic() + 5
    while len(stage.server.clients) > but and time.monotonic() < end:
        time.sleep(0.005)
    assert len(stage.server.clients) == but


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


@pytest.fixture(scope="module")
def soon_once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    session = FixSession(session=1, sender_comp_id="CLIENT", target_comp_id="EXEC", owner="acme",
                         account="acme.main", authentication="open")
    stage = Stage(tmp_path_factory.mktemp("soon"), (session,), repeat_seconds=SOON)
    yield stage
    stage.stop()


@pytest.fixture
def soon(soon_once: Stage) -> Iterator[Stage]:
    """A gateway that tells again soon what was probably read."""
    yield soon_once
    soon_once.forget()
    last = soon_once.connect()
    last.logon("141=Y")
    number = "1"
    while last.said(2 * SOON):
        number = last.next().text(34)
    last.send("0", head=f"369={number}")
    last.send("5")
    last.expect_within(5, "5")
    soon_once.forget()


@pytest.mark.parametrize("how", ["number", "next", "continue"])
def test_what_was_received_does_not_come_again(soon: Stage, how: str) -> None:
    desk = soon.connect()
    desk.logon("141=Y")
    desk.order("L1")
    desk.expect("8", _34=2, _11="L1")
    if how == "number":
        desk.send("5", head="369=2")
        desk.expect("5")
        desk.closed()
    else:
        desk.drop()
        wait_until_gone(soon)
        desk = soon.connect()
        desk.logon("789=3" if how == "next" else "", number=3)
        desk.number = 4
    if how == "continue":
        desk.send("2", "7=3|16=0")
        desk.expect("4", _34=3, _36=4)
    desk.leave()
    wait_until_gone(soon)
    fresh = soon.connect()
    fresh.logon("141=Y")
    fresh.quiet(2 * SOON)


@pytest.mark.parametrize("how", ["goodbye", "hangs up", "answered", "closes"])
def test_no_goodbye_says_what_was_read(soon: Stage, how: str) -> None:
    """QuickFIX at the end of its day logs out and hangs up at once, whatever is under way.

    Such an end makes it likely only that all was read: so it comes again, when there is time.
    """
    desk = soon.connect()
    desk.logon("141=Y")
    report_unread(desk, soon, "G1")
    if how == "goodbye":
        desk.send("5")
        desk.half_close()
        time.sleep(0.05)
    elif how == "hangs up":
        desk.send("5")
    elif how == "answered":
        desk.send("5")
        desk.expect_within(5, "5")
    else:
        desk.half_close()
        time.sleep(0.05)
    desk.leave()
    wait_until_gone(soon)
    fresh = soon.connect()
    fresh.logon("141=Y")
    fresh.quiet(SOON / 3)
    fresh.expect("8", _34=2, _11="G1", _97="Y", _43="")
    fresh.quiet()


def test_a_second_request_for_a_gap_proves_nothing(soon: Stage) -> None:
    """A client may ask for the parts of a gap at once, having none of them."""
    desk = soon.connect()
    desk.logon("141=Y")
    for name in ("S1", "S2", "S3"):
        desk.order(name)
    for name in ("S1", "S2", "S3"):
        desk.expect("8", _11=name)
    desk.send("2", "7=3|16=3")
    desk.send("2", "7=4|16=4")
    for name in ("S2", "S3"):
        desk.expect("8", _11=name, _43="Y")
    desk.leave()
    wait_until_gone(soon)
    fresh = soon.connect()
    fresh.logon("141=Y")
    for name in ("S2", "S3"):
        fresh.expect("8", _11=name, _97="Y")
    fresh.quiet()


def test_numbers_that_begin_again_in_mid_session_bring_back_what_was_unproven(
    soon: Stage
) -> None:
    desk = soon.connect()
    desk.logon("141=Y")
    for name in ("I1", "I2"):
        desk.order(name)
        desk.expect("8", _11=name)
    desk.send("1", "112=T", head="369=2")
    desk.expect("0")
    desk.number = 1
    desk.send("A", "98=0|108=30|141=Y")
    desk.expect("A", _34=1, _141="Y")
    desk.expect("8", _34=2, _11="I2", _97="Y")
    desk.quiet()


def test_the_answer_to_a_test_request_spares_a_client_the_reports_it_read(soon: Stage) -> None:
    """At the end of the day the gateway asks; who answers is told none of it again."""
    desk = soon.connect()
    desk.logon("141=Y")
    for n in range(10):
        desk.order(f"T{n}")
        desk.expect("8", _11=f"T{n}")
    soon.call(lambda: goodbye(soon))
    test = desk.expect("1")
    assert test.text(112).startswith("RECEIVED-")
    desk.expect("5", _58="the day ended")
    desk.send("0", f"112={test.text(112)}")
    desk.send("5")
    desk.closed()
    wait_until_gone(soon)
    fresh = soon.connect()
    fresh.logon("141=Y")
    fresh.quiet(2 * SOON)
    soon.call(lambda: goodbye(soon))
    fresh.expect("5")


def goodbye(stage: Stage) -> None:
    """The gateway logs everybody out, as at the end of a day."""
    for client in list(stage.server.clients.values()):
        client.session.say_goodbye("the day ended", time.time_ns())
        stage.server.carry_out(client)


def test_many_come_again_without_holding_up_anybody(stage: Stage) -> None:
    """A day's reports unproven are told again in slices, all of them, and nobody waits for that."""
    desk, other = stage.connect(), stage.connect(sender="FRESH")
    desk.logon("141=Y")
    other.logon()
    for n in range(DAYS_WORTH):
        desk.order(f"D{n}")
        if n % 500 == 499:
            for _ in range(500):
                desk.expect_within(5, "8")
    report_unread(desk, stage, "unread")
    desk.leave()
    wait_until_gone(stage, but=1)
    fresh = stage.connect()
    fresh.logon("141=Y")
    slowest = 0.0
    for n in range(5):
        began = time.monotonic()
        other.order(f"O{n}")
        other.expect("8", _11=f"O{n}")
        slowest = max(slowest, time.monotonic() - began)
    for n in range(DAYS_WORTH):
        fresh.expect("8", _34=n + 2, _11=f"D{n}", _97="Y")
    fresh.expect("8", _11="unread", _97="Y")
    test = fresh.expect("1")  # It is asked at once whether it has them now.
    fresh.send("0", f"112={test.text(112)}")
    fresh.drop()
    wait_until_gone(stage, but=1)
    third = stage.connect()
    third.logon("141=Y")
    third.quiet()
    assert slowest < 0.5


@pytest.mark.parametrize("how", ["continue", "reset"])
def test_what_was_cut_short_goes_on_in_the_next_connection(stage: Stage, how: str) -> None:
    desk = stage.connect()
    desk.logon("141=Y")
    for n in range(700):
        desk.order(f"C{n}")
    for n in range(700):
        desk.expect("8", _11=f"C{n}")
    desk.drop()
    wait_until_gone(stage)
    told: set[str] = set()
    once = stage.connect()
    once.logon("141=Y")
    told.add(once.expect("8", _34=2, _97="Y").text(11))
    once.drop()
    wait_until_gone(stage)
    time.sleep(1.1)  # What it was told late says when that was, not when it happened.
    on = stage.connect()
    if how == "reset":
        on.logon("141=Y")
        told.clear()  # It may have them or not: they come again.
    else:
        on.logon("789=3", number=2)
    began = time.time_ns()
    while len(told) < 700:
        report = on.next()
        if report.kind == "8":
            assert report.text(97) == "Y"
            told.add(report.text(11))
    last = time_of(report.get(52))
    assert last is not None
    assert last >= began - SECOND
    on.leave()


@pytest.fixture
def overtaken(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """Sets its numbers back, and the fill of its order E1 gets its number before our Logon."""
    desk = stage.connect()
    desk.logon("141=Y")
    desk.order("E1")
    desk.expect("8", _34=2, _11="E1")
    identity = [f["clOrdId"] for _, n, f in stage.aid.commands if n == "NewOrderSingle"][-1]
    desk.send("1", "112=T", head="369=2")
    desk.expect("0")
    desk.leave()
    wait_until_gone(stage)
    opened = stage.aid._SessionOpen

    def with_a_fill(session: int, fields: dict[str, Any]) -> None:
        opened(session, fields)
        stage.aid.fill(1, identity, 10**8, 100 * 10**8)
        monkeypatch.setattr(stage.aid, "_SessionOpen", opened)

    monkeypatch.setattr(stage.aid, "_SessionOpen", with_a_fill)
    return stage.connect()


def test_a_report_numbered_before_the_logon_comes_again(stage: Stage, overtaken: Desk) -> None:
    """QuickFIX takes a Logon with 141=Y for number 1, and never asks for what bears that."""
    assert overtaken.logon("141=Y").text(34) == "2"
    overtaken.expect("8", _34=3, _97="Y", _150="F", _11="E1")
    overtaken.quiet()


@pytest.mark.parametrize("how", ["continue", "reset", "next gateway"])
def test_also_if_the_connection_is_lost_at_once(
    stage: Stage, overtaken: Desk, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pause = "gateway.fix.search.PAUSE_SECONDS"
    monkeypatch.setattr(pause, 0.5)  # Nobody begins to tell it in the moment there is.
    overtaken.logon("141=Y")
    overtaken.drop()
    wait_until_gone(stage)
    if how == "next gateway":
        owed = what_the_next_gateway_owes(stage, session=1)
        assert [lost.away for lost in owed if lost.above == 0][-1:] == [True]
        return
    monkeypatch.setattr(pause, 0.001)
    again = stage.connect()
    again.logon("141=Y" if how == "reset" else "", number=1 if how == "reset" else 2)
    told = again.next()
    assert (told.text(97), told.text(150), told.text(11)) == ("Y", "F", "E1")
    again.quiet()


def what_the_next_gateway_owes(stage: Stage, session: int) -> list[Lost]:
    """What one that is started now finds in the stream for a session."""
    server, found = stage.server, list[Lost]()

    def start() -> None:
        fresh = FixGateway(
            server._settings, server.profiles, server._link, server.log, server._stream, 0,
            server._status, server._gate, server._core_bell, LIMITS, server._logger, 1)
        fresh.catch_up()
        found.extend(fresh.copies.owed._telling(session).owed)

    stage.call(start)
    return found


def test_who_begins_anew_at_every_logon_is_told_nothing_of_before(stage: Stage) -> None:
    desk = stage.connect(sender="FRESH")
    desk.logon()
    report_unread(desk, stage, "M1")
    desk.leave()
    wait_until_gone(stage)
    fresh = stage.connect(sender="FRESH")
    fresh.logon()
    fresh.quiet()


def test_who_is_asked_when_and_what_the_answer_proves() -> None:
    receipts, beat = Receipts(), 30 * SECOND
    assert not receipts.is_due(0, 100 * SECOND, beat)
    assert not receipts.is_due(7, 101 * SECOND, beat), "it has stood for a moment only"
    assert receipts.is_due(7, 130 * SECOND, beat)
    assert receipts.is_due(MANY, 101 * SECOND, beat), "so many are asked about at once"
    first = receipts.ask(130 * SECOND)
    assert not receipts.is_due(8, 200 * SECOND, beat), "one waits for its number"
    receipts.asked(first, 9)
    assert not receipts.is_due(8, 231 * SECOND, beat), "asked already"
    second = receipts.ask(240 * SECOND)
    receipts.asked(second, 12)
    receipts.heard(heartbeat(second), 12, in_order=False)
    assert receipts.number == 0, "something before that is missing"
    receipts.heard(heartbeat(b"TEST"), 12, in_order=True)
    assert receipts.number == 0, "not the name of one"
    receipts.heard(heartbeat(first), 12, in_order=True)
    assert receipts.number == 9
    receipts.heard(parse(b"8=FIX.4.4\x019=5\x0135=2\x017=11\x0110=000\x01"), 12, True)
    assert receipts.number == 10
    receipts.heard(heartbeat(second), 12, in_order=True)
    assert receipts.number == 10, "it may be passed over by the resend"
    receipts.resending = True
    third = receipts.ask(250 * SECOND)
    receipts.asked(third, 13)
    receipts.resending = False
    receipts.heard(heartbeat(third), 13, in_order=True)
    assert receipts.number == 10, "it went out amid a resend"
    receipts.prove(50, 13)
    assert receipts.number == 10, "nobody has what was not sent"


def heartbeat(name: bytes) -> Message:
    return parse(b"8=FIX.4.4\x019=5\x0135=0\x01112=%b\x0110=000\x01" % name)
