"""The record holds what was said, to the nanosecond and the last digit, and can be read on."""

import json
import shutil
from pathlib import Path

import duckdb
import pytest

from core.journal.archive import EventArchive
from core.messages import decode, message_name
from sbe.naming import snake
from tests.tools.audit.recorded import HOUR, YES, Day
from tools.audit.record import AuditError, Record
from tools.audit.tables import tables
from tools.bench.venue import new_order
from tools.commands import audit as command

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("data")
    day = Day()
    day.stream.add("MassQuote", account=107, quoteId=9, quoteSetId=1, resetProtection=0, quotes=[
        {"instrument": n, "bidPx": 20 * 10**6, "bidSize": 10**8, "offerPx": None, "offerSize": None}
        for n in (YES, YES + 1)
    ])  # fmt: skip
    day.order(106, YES, "buy", 0, 5)  # Refused: no price.
    day.stream.add("RegisterSession", session=1, owner=107, account=107, kind=2, name="desk")
    new_order(day.stream, sender=1, account=107, clOrdId=10**9, instrument=YES, side=1,
              price=10 * 10**6, orderQty=10**8, tag=5)
    day.trade_honestly(3, until=HOUR / 6)
    day.write(directory)
    return directory


def place(data: Path, format: str = "json", database: Path | None = None) -> command.Place:
    return command.Place(data=data, format=format, database=database)  # type: ignore[arg-type]


def answered(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_every_event_is_a_row_with_every_field(data: Path) -> None:
    """By the codec, which shares no code with the columns."""
    known: dict[str, int] = {}
    with Record(data) as record:
        record.update()
        entry = 0
        for number, frame in enumerate(EventArchive(data).frames(0)):
            name, fields = decode(frame[16:])
            table = snake(name)
            known[table] = known.get(table, 0) + 1
            if number % 7 == 0 and "quotes" not in fields:
                found = record.connection.execute(f"FROM {table} WHERE entry = {entry}")
                columns = [column[0] for column in found.description or ()]
                (row,) = found.fetchall()
                compare(fields, dict(zip(columns, row, strict=True)))
            entry += len(frame)
        for table, count in known.items():
            found = record.connection.execute(f"SELECT count(*) FROM {table}").fetchone()
            assert found == (count,), table
    assert known["execution_report"] > 500


def compare(fields: dict[str, object], values: dict[str, object]) -> None:
    """Decoded fields against a row: what SQL shows differently is turned back."""
    for name, value in fields.items():
        if name == "header":
            continue
        got = values.get(f"its_{snake(name)}", values.get(snake(name)))
        if value is None or got is None:
            assert value == got or (value == 0 and got is None), name
        elif hasattr(got, "scaleb"):
            assert got.scaleb(8) == value, name
        elif isinstance(got, int | bytes) or isinstance(value, str):
            assert got == value, name


def test_groups_are_tables_of_their_own(data: Path) -> None:
    with Record(data) as record:
        record.update()
        rows = record.connection.execute(
            "SELECT q.place, q.instrument, q.bid_px::VARCHAR, q.offer_px FROM mass_quote_quotes q "
            "JOIN mass_quote m USING (sequence) ORDER BY place").fetchall()
        assert rows == [(0, YES, "0.20000000", None), (1, YES + 1, "0.20000000", None)]


# What a venue must keep of each order event (RTS 24, annex), and the column that has it.
DUTY = {
    "client": "client", "account": "account", "decision maker": "decision_maker",
    "algorithm": "algorithm", "receipt time": "received", "time of the event": "time",
    "priority time": "priority_time", "priority by sequence": "priority_sequence",
    "sequence": "sequence", "event": "event", "status": "status", "validity": "validity",
    "instrument": "instrument", "order type": "type", "side": "side", "limit price": "price",
    "quantity": "quantity", "remaining": "leaves", "executed": "filled", "displayed": "visible",
    "order": "order_id", "client's order": "client_order_id", "cause": "cause",
    "self-trade prevention": "self_trade_prevention", "passive or quote": "quote",
}  # fmt: skip
# These are there where the order has them: stops, good-till-date, trades, refusals.
SOMETIMES = {
    "restrictions", "stop_price", "expires", "display", "last_price", "last_quantity", "trade_id",
    "liquidity", "fee", "reason", "trigger", "original_client_order_id", "cause_session",
}


def test_the_order_record_has_every_field_of_the_duty(data: Path) -> None:
    with Record(data) as record:
        record.update()
        found = record.connection.execute(
            "FROM order_record WHERE decision_maker = 'desk'")
        names = [column[0] for column in found.description or ()]
        (row,) = found.fetchall()
        first = dict(zip(names, row, strict=True))
        assert {what for what, name in DUTY.items() if first.get(name) is None} == set()
        assert set(names) >= SOMETIMES
        traded = record.connection.execute(
            "SELECT count(*), count(last_price), count(last_quantity), count(trade_id), "
            "count(liquidity), count(fee) FROM order_record WHERE event = 'Trade'").fetchone()
        assert traded is not None
        assert traded[0] > 50
        assert len(set(traded)) == 1


def test_an_orders_life(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.query(
        "SELECT client_order_id FROM order_record WHERE event = 'Trade' AND liquidity = 'Maker' "
        "AND leaves > 0 LIMIT 1", place=place(data)) == 0
    (found,) = answered(capsys)
    assert command.order(str(found["client_order_id"]), place=place(data)) == 0
    life = answered(capsys)
    assert [life[0]["event"], life[0]["cause"]] == ["New", "NewOrderSingle"]
    assert "Trade" in [event["event"] for event in life]
    assert life[-1]["event"] in ("Canceled", "Trade")
    for event in life:
        assert event["received"] == life[0]["time"]
        assert event["algorithm"] in (100, 101)  # The day's orders carry their account.
        assert event["client"] == f"owner {event['algorithm']}"
    assert {event["priority_time"] for event in life} == {life[0]["time"]}
    assert str(life[0]["time"]).startswith("2025-06-15 15:")
    assert command.order("123456789", place=place(data)) == 1


def test_trades_balance_and_narrow(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.trades(place=place(data)) == 0
    every = answered(capsys)
    narrow = command.Narrow(account="102", instrument="I1-PERPETUAL")
    assert command.trades(place=place(data), only=narrow) == 0
    mine = answered(capsys)
    assert 0 < len(mine) < len(every)
    with Record(data) as record:
        record.update()
        sides = record.connection.execute(
            "SELECT count(*), sum(last_qty) FROM execution_report WHERE exec_type = 'Trade'"
        ).fetchone()
        whole = record.connection.execute("SELECT 2 * count(*), 2 * sum(quantity) FROM trade")
        assert sides == whole.fetchone()
    assert command.trades(place=place(data), only=command.Narrow(account="nobody")) == 1


def test_an_accounts_day_refusals_and_ends(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.account("106", place=place(data)) == 0
    day = answered(capsys)
    assert [row["what"] for row in day] == ["Deposit", "Rejected"]
    assert command.rejects(place=place(data)) == 0
    (refused,) = answered(capsys)
    assert (refused["reason"], refused["times"]) == ("PriceOutOfRange", 1)
    assert command.cancels(place=place(data)) == 0
    ends = answered(capsys)
    assert {row["ended_by"] for row in ends} >= {"MassCancel", "ImmediateOrCancel", "Filled"}
    assert command.controls("tools", place=place(data)) == 0
    assert [row["message"] for row in answered(capsys)][:2] == ["RegisterAsset", "RegisterAsset"]
    for format in ("table", "csv"):
        assert command.tables(place=place(data, format)) == 0
        assert "order_record" in capsys.readouterr().out


def test_only_what_is_new_is_read(data: Path, tmp_path: Path) -> None:
    """Even from a journal that was torn in the middle of the first reading."""
    kept = tmp_path / "kept.duckdb"
    with Record(data) as record:
        whole = record.update()
    part = tmp_path / "part"
    shutil.copytree(data, part)
    (events,) = (part / "events").glob("*.events")
    content = events.read_bytes()
    events.write_bytes(content[: len(content) // 2 + 11])
    with Record(part, kept) as record:
        first = record.update()
        assert record.update() == (0, 0)
    events.write_bytes(content)
    with Record(part, kept) as record:
        second = record.update()
        assert first[0] == whole[0]
        assert second == (0, whole[1] - first[1])
        assert 0 < first[1] < whole[1]
        count = record.connection.execute("SELECT count(*), count(DISTINCT entry) FROM trade")
        with Record(data) as fresh:
            fresh.update()
            again = fresh.connection.execute("SELECT count(*), count(DISTINCT entry) FROM trade")
            assert count.fetchone() == again.fetchone()
    with pytest.raises(AuditError, match="the database is of"):
        Record(data, kept)


def test_damage_and_changes_are_refused(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command.query("DROP TABLE command", place=place(data)) == 1
    assert command.query("SELECT nothing FROM nowhere", place=place(data)) == 1
    assert command.tables(place=place(tmp_path)) == 1
    damaged = tmp_path / "damaged"
    shutil.copytree(data, damaged)
    journal = next((damaged / "journal").glob("*.journal"))
    content = bytearray(journal.read_bytes())
    content[2000] ^= 1
    journal.write_bytes(content)
    assert command.tables(place=place(damaged)) == 1
    assert "offset" in capsys.readouterr().err


def test_parquet_holds_the_same(data: Path, tmp_path: Path) -> None:
    assert command.export(tmp_path / "out", place=place(data)) == 0
    with Record(data) as record:
        record.update()
        for name in ("execution_report", "order_record", "trade", "command"):
            file = tmp_path / "out" / f"{name}.parquet"
            kept = duckdb.execute(f"SELECT count(*) FROM '{file}'").fetchone()
            assert kept == record.connection.execute(f"SELECT count(*) FROM {name}").fetchone()


def test_messages_are_told_apart() -> None:
    """Commands and events by their numbers, as the dispatcher does."""
    for template, table in tables().items():
        said = table.message.name
        assert message_name(template) == said
        by_core = "header" in [f.name for f in table.message.fields] and any(
            f.type.name == "OutboundHeader" for f in table.message.fields)
        assert table.event == by_core, said
