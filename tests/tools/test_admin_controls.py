"""`onebook admin` on a real exchange: what an operator says is in the core, and in its journal."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tools.commands.audit import Narrow, Place, controls
from tools.operator import command_line as admin
from tools.supervisor.exchange import Exchange

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def exchange(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exchange]:
    directory = tmp_path_factory.mktemp("admin")
    config = directory / "venue.toml"
    config.write_text("[fix]\nport = 0\n[binary]\nport = 0\n[feed]\nenabled = false\n")
    name = f"admin-{directory.name.replace('_', '-')}"[-31:].lstrip("-")
    data = directory / "data"
    found = Exchange(["--config", str(config), "--instance", name, "--data", str(data),
                      "--policy", "async"], log=directory / "log.jsonl")
    found.start()
    yield found
    found.close()


@pytest.fixture
def place(exchange: Exchange) -> admin.Place:
    return admin.Place(exchange.ready["instance"], Path(exchange.ready["data"]))


def said(capsys: pytest.CaptureFixture[str]) -> str:
    return capsys.readouterr().out.strip()


def test_every_level_stops_and_goes_on(
    place: admin.Place, capsys: pytest.CaptureFixture[str]
) -> None:
    levels = (("owner", "maker-one"), ("session", "DESK-NORTH"), ("market", "BTC-PERP"),
              ("product", "outcome"), ("venue", ""))
    for level, subject in levels:
        assert admin.kill(level, subject, place=place) == 0  # type: ignore[arg-type]
        assert said(capsys) == f"{level} {subject}".strip() + " is stopped, 0 orders cancelled"
        assert admin.kill(level, subject, lift=True, place=place) == 0  # type: ignore[arg-type]
        assert said(capsys).endswith("may go on")
    assert admin.kill("owner", "nobody", place=place) == 1
    assert admin.kill("owner", "77", place=place) == 1
    assert "refused: UnknownOwner (value 77" in capsys.readouterr().err


def test_gates_and_the_beta(place: admin.Place, capsys: pytest.CaptureFixture[str]) -> None:
    assert admin.gate(1, "deny", country="us", product="perpetual", place=place) == 0
    assert admin.gate(2, "allow", place=place) == 0
    capsys.readouterr()
    assert admin.owner("maker-one", country="US", invited=True, place=place) == 0
    told = said(capsys)
    assert "spot allowed, perpetual denied, outcome allowed" in told
    assert admin.owner("maker-one", country="USA", place=place) == 1
    assert admin.enforce(gates=True, beta=True, notional="1000.5", ramp="100", place=place) == 0
    assert said(capsys) == "enforced: gates, beta"
    assert admin.enforce(place=place) == 0
    assert said(capsys) == "enforced: nothing"
    assert admin.enforce(loss="-1", place=place) == 1


def test_a_withdrawal_by_an_operator(
    place: admin.Place, capsys: pytest.CaptureFixture[str]
) -> None:
    assert admin.withdraw("desk-north", "USDC", "1.5", to="bc1q-cold", place=place) == 0
    assert said(capsys).startswith("withdrawal 1 is held until ")
    assert admin.withdraw("desk-north", "USDC", "9999999999", place=place) == 1
    assert "refused: InsufficientBalance" in capsys.readouterr().err
    for amount in ("0", "1.2345678"):
        assert admin.withdraw("desk-north", "USDC", amount, place=place) == 1
    assert admin.withdraw("desk-north", "DOGE", "1", place=place) == 1


def test_limits_and_the_record(place: admin.Place, capsys: pytest.CaptureFixture[str]) -> None:
    assert admin.limits("desk-north", value="50000", per_second=10, burst=5, place=place) == 0
    assert admin.limits("desk-north", open_orders=10_000, place=place) == 1
    assert "refused: InvalidField (value 10000, limit 4096)" in capsys.readouterr().err
    assert admin.limits("desk-north", order_to_trade=50, free_orders=1000, place=place) == 0
    assert admin.limits("desk-north", volume_percent="7.5", volume_free="1000", place=place) == 0
    assert admin.limits("desk-north", volume_percent="0.00001", place=place) == 1
    assert "at most 4 decimals" in capsys.readouterr().err
    until = datetime(2100, 1, 1, tzinfo=UTC)
    assert admin.protect("desk-south", excluded_until=until, loss="250.5", place=place) == 0
    told = said(capsys).splitlines()[-1]
    assert told == "desk-south: excluded until 2100-01-01 00:00 UTC, may lose 250.5 USDC a day"
    assert admin.protect("desk-north", deposits="1000", place=place) == 0
    assert said(capsys) == "desk-north: may deposit 1000 USDC a day"
    assert admin.conflict("desk-south", "CUP", place=place) == 0
    assert said(capsys) == "desk-south may not trade CUP"
    assert admin.conflict("desk-south", "CUP", lift=True, place=place) == 0
    assert admin.protect("desk-south", place=place) == 1
    assert "refused: SelfExcluded" in capsys.readouterr().err
    where = Place(place.instance, place.data, format="csv")
    assert controls(place=where, only=Narrow()) == 0
    journal = capsys.readouterr().out
    assert "SetOrderLimits" in journal
    assert "75000" in journal
    assert journal.count("InvalidField") == 1
