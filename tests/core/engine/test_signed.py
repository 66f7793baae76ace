"""What opens a session counts once: captured Logons are refused, honest ones are not."""

from typing import Any

import pytest

from sbe.generated import order_entry as oe
from tests.core.engine.exchange import SECOND, Exchange
from tests.core.engine.test_sessions import BINARY, FIX, house, opened

__all__ = ["house"]
START = 1_750_000_000 * SECOND
PLACES = 8


def sign(house: Exchange, seconds: float, mark: int = -5, session: int = FIX, **more: Any) -> int:
    """Open with what was signed then; the reason."""
    time = START + int(seconds * SECOND)
    return int(opened(house, session, signedTime=time, signedMark=mark, **more)["reason"])


def test_what_opened_a_session_opens_it_once(house: Exchange) -> None:
    assert sign(house, 0, connection=7) == 0
    before = house.s["sessions"][FIX].copy()
    for _ in range(2):
        assert sign(house, 0, reset=1, nextInbound=90, connection=8) == oe.REASON_DUPLICATE_KEY
    assert house.s["sessions"][FIX] == before, "nothing has changed"
    assert sign(house, 0, session=BINARY, version=1) == 0, "each session has its own"
    assert sign(house, 0, session=BINARY, version=1) == oe.REASON_DUPLICATE_KEY
    assert sign(house, 1, session=BINARY, version=1) == 0


@pytest.mark.parametrize(("seconds", "mark"), [(0, -6), (-0.05, 3), (0.001, 4), (-90, 5)])
def test_an_honest_one_opens(house: Exchange, seconds: float, mark: int) -> None:
    """Within the same second with another number, or of a clock that was set back."""
    for earlier in range(-4, 1):
        assert sign(house, earlier) == 0
    assert sign(house, seconds, mark) == 0
    assert sign(house, seconds, mark) == oe.REASON_DUPLICATE_KEY


def test_nothing_that_was_taken_is_taken_again(house: Exchange) -> None:
    times = [5, 1, 9, 3, 12, 2, 7, 4, 11, 6, 0.5, 10, 30, 8]
    taken = [second for second in times if sign(house, second) == 0]
    assert taken[:PLACES] == times[:PLACES]
    assert {second for second in times if second not in taken} <= {2, 0.5}, "behind the floor"
    for second in times:
        assert sign(house, second) == oe.REASON_DUPLICATE_KEY
    assert sign(house, 31) == 0


def test_without_a_signature_one_opens_as_often_as_one_likes(house: Exchange) -> None:
    assert [opened(house, FIX)["reason"] for _ in range(3)] == [0, 0, 0]


def test_what_was_signed_for_nothing_opens_nothing(house: Exchange) -> None:
    house.send("SessionSigned", FIX, 3, signedTime=START, signedMark=-5)
    assert house.events == []
    assert sign(house, 0) == oe.REASON_DUPLICATE_KEY
    assert sign(house, 0, mark=-6) == 0
