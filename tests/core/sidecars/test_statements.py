"""Statements: opening, what moved it, closing; and the command that prints them."""

import csv
import io
from datetime import UTC, datetime, timedelta

import pytest

from core.agent import run_until_quiet
from core.producers import Producer
from core.sidecars.books import DEPOSIT
from core.sidecars.custody import EmbeddedCustody
from core.sidecars.settlement.agent import Settlement
from core.sidecars.settlement.statements import DAY, statement, to_csv, to_html
from tests.core.sidecars.stage import ONE, USDC, Stage
from tools.commands.statement import statement as command

M = 10**6


@pytest.fixture
def settlement(stage: Stage) -> Settlement:
    stage.venue()
    stage.next()
    stage.balance(100, USDC, DEPOSIT, 1000 * M, 1000 * M)
    stage.trade(1, buyer=100, seller=101, price=50_000 * ONE, quantity=ONE // 100, fees=(M, 0),
                trade=77)
    stage.now += DAY
    stage.trade(3, buyer=100, seller=101, price=ONE // 4, quantity=8 * ONE, no=(True, False))
    settlement = Settlement(
        stage.store("settlement", Settlement.migrations), stage.follower(),
        stage.link(Producer.SETTLEMENT), clock=stage.clock,
        custody=EmbeddedCustody(stage.directory / "custody.sqlite", clock=stage.clock),
    )
    run_until_quiet([settlement])
    return settlement


def test_each_day_begins_where_the_one_before_ended(settlement: Settlement, stage: Stage) -> None:
    today = datetime.fromtimestamp(stage.now / 1e9, UTC).date()
    connection, reference = settlement.store.connection, settlement.reference
    first = list(statement(connection, reference, 100, today - timedelta(days=1)))
    assert [(x.asset, x.reason, x.amount, x.balance) for x in first] == [
        ("USDC", "opening", "", "0.000000"),
        ("USDC", "deposit", "1000.000000", "1000.000000"),
        ("USDC", "trade", "-500.000000", "500.000000"),
        ("USDC", "fee", "-1.000000", "499.000000"),
        ("USDC", "closing", "", "499.000000"),
        ("BTC", "opening", "", "0.00000000"),
        ("BTC", "trade", "0.01000000", "0.01000000"),
        ("BTC", "closing", "", "0.01000000"),
    ]
    assert first[3].counterparty == "fees"
    assert first[2].reference == "77"
    second = list(statement(connection, reference, 100, today))
    assert second[0].balance == "499.000000"
    assert second[1].instrument == "CUP-A"
    assert second[1].amount == "-2.000000"
    fees = list(statement(connection, reference, 1, today - timedelta(days=1)))
    assert [(x.reason, x.amount, x.counterparty) for x in fees[1:-1]] == [
        ("fee", "1.000000", "100")
    ]


def test_as_csv_and_as_a_page(
    settlement: Settlement, stage: Stage, capsys: pytest.CaptureFixture[str]
) -> None:
    today = datetime.fromtimestamp(stage.now / 1e9, UTC).date()
    lines = list(statement(settlement.store.connection, settlement.reference, 100, today))
    rows = list(csv.DictReader(io.StringIO(to_csv(iter(lines)))))
    assert len(rows) == len(lines)
    assert rows[1]["balance"] == "497.000000"
    page = to_html(iter(lines), "desk <100>")
    assert "desk &lt;100&gt;" in page
    assert page.count("<tr>") == len(lines) + 1
    capsys.readouterr()
    assert command("desk-100", today, data=stage.directory) == 0
    assert capsys.readouterr().out == to_csv(iter(lines))
    assert command("nobody", today, data=stage.directory) == 1
    assert capsys.readouterr().err == "onebook: no account of the name nobody\n"
