"""Sessions with days: when they end, what starts again, and who is told before."""

import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.venue import FixSession
from gateway.fix.schedule import is_over, last_boundary, next_boundary
from gateway.fix.times import DAY, SECOND, clock_text
from gateway.fix.warm import warm
from tests.gateway.fix.stage import LIMITS, Desk, Stage

COMMON: dict[str, Any] = {
    "owner": "acme", "account": "acme.main", "target_comp_id": "EXEC", "authentication": "open"}


@given(st.integers(0, 4 * 10**18), st.integers(0, 86_399))
def test_a_boundary_is_within_a_day_and_shows_the_clock(now: int, second: int) -> None:
    clock = clock_text(second * SECOND, 0)
    last, following = last_boundary(now, clock), next_boundary(now, clock)
    assert now - DAY < last <= now < following <= now + DAY
    assert clock_text(last, 0) == clock_text(following, 0) == clock


def test_a_day_is_over_when_its_end_lies_between() -> None:
    noon = 10 * DAY + 12 * 3600 * SECOND
    assert not is_over(noon, noon + 11 * 3600 * SECOND, "23:30:00")
    assert is_over(noon, noon + 12 * 3600 * SECOND, "23:30:00")
    assert is_over(noon - 1, noon, "12:00:00")
    assert not is_over(noon, noon + DAY - 1, "12:00:00")
    assert not is_over(0, noon, "12:00:00"), "a session never used has no day to end"
    assert not is_over(noon, noon + 9 * DAY, ""), "a continuous session has none"


def test_the_day_ends_numbers_start_again_and_it_was_announced(tmp_path: Path) -> None:
    warm(LIMITS)  # So that the stage stands at once: the day ends while the test watches.
    ends = clock_text(time.time_ns() + 6 * SECOND, 0)
    stage = Stage(tmp_path, (
        FixSession(session=1, sender_comp_id="DAILY", reset_time=ends, **COMMON),
        FixSession(session=2, sender_comp_id="ALWAYS", **COMMON)))
    try:
        daily, always = stage.connect(sender="DAILY"), stage.connect(sender="ALWAYS")
        for desk in (daily, always):
            desk.logon()
            desk.send("g", "335=D|263=1")
            desk.expect("h", _340=2)
        assert "the session's day ends in" in daily.expect("B", _34=3).text(148)
        daily.leave()
        again = stage.connect(sender="DAILY")
        again.logon(number=3)  # The numbers of the day go on.
        again.number = 4
        assert ends in again.expect_within(8, "5").text(58)
        again.send("5")
        again.closed()
        fresh = stage.connect(sender="DAILY")
        assert fresh.logon().text(34) == "1"
        fresh.send("1", "112=new day")
        fresh.expect("0", _34=2, _112="new day")
        always.send("1", "112=goes on")
        always.expect("0", _34=3, _112="goes on")
        stage.forget()
    finally:
        stage.stop()


def test_phases_and_news_are_told_to_those_who_asked(stage: Stage) -> None:
    reader, other = stage.connect(), stage.connect(sender="WORD")
    reader.logon("141=Y")
    other.logon("141=Y|554=pass")
    reader.send("g", "335=G|263=1")
    reader.expect("h", _335="G", _340=2)
    stage.status.core_ready = 0
    reader.expect("h", _335="G", _340=1)
    assert "halted" in reader.expect("B", _61=1, _33=1).text(148)
    stage.status.core_ready = 1
    reader.expect("h", _340=2)
    reader.expect("B", _61=0, _148="trading goes on")
    stage.call(lambda: stage.aid.emit(
        "TradingStateChanged", 0,
        {"instrument": 2, "state": 4, "auctionPrice": None, "auctionQty": None}))
    reader.expect("B", _148="BTC-PERP is halted", _55="BTC-PERP", _61=1)
    reader.send("g", "335=G|263=2")
    reader.send("1", "112=heard")
    reader.expect("0", _112="heard")
    stage.call(lambda: stage.aid.emit(
        "TradingStateChanged", 0,
        {"instrument": 2, "state": 2, "auctionPrice": None, "auctionQty": None}))
    reader.quiet()
    other.quiet()


def test_reports_that_come_while_a_reset_is_under_way_are_told_after_it(
    desk: Desk, stage: Stage
) -> None:
    desk.order("R1")
    desk.expect("8", _11="R1")
    desk.flush()
    identity = next(f["clOrdId"] for _, n, f in reversed(stage.aid.commands)
                    if n == "NewOrderSingle")
    stage.aid.paused = True
    desk.send("A", "98=0|108=30|141=Y", number=1)
    desk.flush()
    time.sleep(0.2)
    stage.call(lambda: stage.aid.fill(1, identity, 10**8, 100 * 10**8))
    stage.aid.paused = False
    desk.expect("A", _34=1, _141="Y")
    desk.expect("8", _34=2, _150="F", _97="Y")


@pytest.mark.parametrize(("tags", "what"), [
    ("110=1", "MinQty"), ("78=1|79=acct|80=1", "NoAllocs")])
def test_terms_that_no_order_here_can_have_are_refused(desk: Desk, tags: str, what: str) -> None:
    desk.order("U1", tags)
    assert what in desk.expect("8", _150=8, _103=11).text(58)


def test_members_of_a_group_are_in_order(desk: Desk) -> None:
    desk.order("G1", "78=2|79=a|80=1|661=1|79=b|80=1|661=1")
    desk.expect("3", _371=661, _373=15)
    desk.send("C", "164=t|94=0|147=s|146=1|864=1|865=1|33=1|58=x")
    desk.expect("3", _371=864, _373=15)
    desk.send("C", "164=t|94=0|147=s|33=1|58=x")
    desk.expect("j", _372="C", _380=3)

