"""Each planted case is raised, by its own detector and for its own people; a clean day by none."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.tools.audit.recorded import (
    ABOVE,
    HOUR,
    MAKERS,
    ONE_CROOK,
    OTHER_CROOK,
    PERP,
    TAKERS,
    YES,
    Day,
)
from tools.audit.record import Record
from tools.commands import audit as command
from tools.surveillance.alert import Alert, Watch
from tools.surveillance.run import Patrol, surveil

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


def wash(day: Day) -> None:
    """Two of them sell each other the same ten, again and again, between the makers' quotes."""
    sides = [(ONE_CROOK, OTHER_CROOK), (OTHER_CROOK, ONE_CROOK)] * 3
    for seller, buyer in sides:
        day.order(seller, PERP, "sell", day.fair[PERP], 10)
        day.wait(0.5)
        day.order(buyer, PERP, "buy", day.fair[PERP], 10, "ImmediateOrCancel")
        day.wait(2)


def layering(day: Day) -> None:
    """Five large bids make the market look strong; a small offer is taken; the bids go."""
    for _ in range(3):
        for level in range(5):
            day.order(ONE_CROOK, PERP, "buy", day.fair[PERP] - 4 - level, 100)
        day.wait(1)
        day.order(ONE_CROOK, PERP, "sell", day.fair[PERP] + 1, 5)
        day.wait(1)
        day.order(TAKERS[0], PERP, "buy", day.fair[PERP] + 1, 5, "ImmediateOrCancel")
        day.wait(1)
        day.cancel_all(ONE_CROOK, PERP)
        day.wait(20)


def front_running(day: Day) -> None:
    """Somebody who was never there buys a lot at 60, and then it is known to pay."""
    day.fair[YES] = 60
    for maker in MAKERS:
        day.quote(maker, YES)
    for _ in range(4):
        day.wait(10)
        day.take(ONE_CROOK, YES, "buy", 40)


def pin(day: Day) -> None:
    """Holds that it will be above, and buys the underlying up to the boundary at the end."""
    day.fair[PERP] = 2046
    for step in range(8):
        for maker in MAKERS:
            day.quote(maker, PERP)
        day.take(OTHER_CROOK, PERP, "buy", 60)
        day.fair[PERP] = min(2052, day.fair[PERP] + step % 2)
        day.wait(20)


def ramp(day: Day) -> None:
    """Holds that it will be above, buys the underlying up, and sells what that makes dear."""
    for _ in range(7):
        for maker in MAKERS:
            day.quote(maker, PERP)
        day.take(ONE_CROOK, PERP, "buy", 60)
        day.fair[PERP] += 1
        day.wait(15)
    day.fair[ABOVE] = 65
    for maker in MAKERS:
        day.cancel_all(maker, ABOVE)
    for maker in MAKERS:
        day.quote(maker, ABOVE)
    day.take(ONE_CROOK, ABOVE, "sell", 30)


def recorded(directory: Path, plant: Callable[[Day], None] | None, at: float = HOUR / 2) -> Record:
    day = Day()
    if plant is pin:
        day.order(MAKERS[0], ABOVE, "sell", 45, 30)
        day.order(OTHER_CROOK, ABOVE, "buy", 45, 30)
    if plant is ramp:
        day.order(MAKERS[0], ABOVE, "sell", 45, 30)
        day.order(ONE_CROOK, ABOVE, "buy", 45, 30)
    day.trade_honestly(1, until=at)
    if plant is not None:
        plant(day)
    if plant is not front_running:
        day.trade_honestly(2, until=HOUR)
    if plant is front_running:
        day.stream.add("SetTradingState", instrument=YES, state=4)
    day.resolve()
    day.write(directory)
    record = Record(directory)
    record.update()
    return record


def patrolled(directory: Path, parts: int) -> list[list[Alert]]:
    """What a patrol says each time, as the archive grows part by part; then once more."""
    (events,) = (directory / "events").glob("*.events")
    content = events.read_bytes()
    said = []
    events.write_bytes(content[: len(content) // parts])
    with Record(directory) as record:
        record.update()
        patrol = Patrol(record.connection)
        for part in (*range(1, parts + 1), parts):
            events.write_bytes(content[: len(content) * part // parts])
            record.update()
            said.append(patrol.look())
        # Reading on and on comes to the same tables as reading once.
        watched = [
            record.connection.execute(f"FROM watched_{name} ORDER BY ALL").fetchall()
            for name in ("trade", "order")
        ]
        Watch(record.connection).update(whole=False)
        for name, before in zip(("trade", "order"), watched, strict=True):
            fresh = record.connection.execute(f"FROM watched_{name} ORDER BY ALL").fetchall()
            assert before == fresh
            assert len(before) > 100
    return said


def test_a_clean_day_is_silent(tmp_path: Path) -> None:
    with recorded(tmp_path, None) as record:
        trades = record.connection.execute("SELECT count(*) FROM trade").fetchone()
        assert trades is not None
        assert trades[0] > 300
        assert surveil(record.connection) == []
    assert not any(patrolled(tmp_path, 7))


@pytest.mark.parametrize(
    ("plant", "at", "kind", "owners", "instrument"),
    [
        (wash, HOUR / 2, "wash", ("owner 106", "owner 107"), "I1-PERPETUAL"),
        (layering, HOUR / 2, "layering", ("owner 106",), "I1-PERPETUAL"),
        (pin, HOUR - 200, "pin at expiry", ("owner 107",), "I4-PRICEABOVE"),
        (ramp, HOUR / 2, "cross-product ramp", ("owner 106",), "I1-PERPETUAL"),
        (front_running, HOUR / 2, "resolution front-running", ("owner 106",), "I2-OUTCOME"),
    ],
)
def test_a_planted_case_is_raised(
    tmp_path: Path, plant: Callable[[Day], None], at: float, kind: str, owners: tuple[str, ...],
    instrument: str, capsys: pytest.CaptureFixture[str],
) -> None:
    with recorded(tmp_path, plant, at) as record:
        (alert,) = surveil(record.connection)
        assert isinstance(alert, Alert)
        assert (alert.kind, alert.owners, alert.instrument) == (kind, owners, instrument)
        known = record.connection.execute(
            "SELECT count(*) FROM watched_order WHERE order_id IN (SELECT unnest(?)) "
            "AND owner IN (106, 107)", [list(alert.orders)],
        ).fetchone()
        assert known == (len(set(alert.orders)),)
    assert command.surveil(place=command.Place(data=tmp_path, format="csv")) == 0
    assert kind in capsys.readouterr().out
    said = [alert for looked in patrolled(tmp_path, 7) for alert in looked]
    assert [(a.kind, a.owners, a.instrument) for a in said] == [(kind, owners, instrument)]


def test_trading_with_oneself_is_raised(tmp_path: Path) -> None:
    """An omnibus owner's accounts may meet; one account with itself may not."""
    day = Day()
    stream = day.stream
    stream.add("RegisterOwner", owner=110, name="omnibus", feeTier=0, selfTradePrevention=5)
    for account in (110, 111):
        stream.add("RegisterAccount", account=account, owner=110, name="pot", autoLend=1,
                   autoBorrow=1)
        stream.add("Deposit", account=account, asset=0, amount=10**12)
    for buyer in (111, 110):
        day.order(110, PERP, "sell", 2045, 1)
        day.order(buyer, PERP, "buy", 2045, 1)
    day.write(tmp_path)
    with Record(tmp_path) as record:
        record.update()
        (alert,) = surveil(record.connection)
    assert (alert.kind, alert.owners) == ("wash", ("omnibus",))
    assert alert.text == "1 trades with itself, 1.00000000 in all"
