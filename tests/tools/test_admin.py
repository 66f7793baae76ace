"""`onebook admin risk` on a running exchange: what is shown is the core's own state."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from core.sidecars.keys import SigningKey
from tools.commands import admin
from tools.risk_parameters import live_state, read
from tools.supervisor.exchange import Exchange

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture
def data(tmp_path: Path, instance: str) -> Iterator[Path]:
    """The data directory of an exchange with the shipped venue."""
    config = tmp_path / "venue.toml"
    config.write_text("[fix]\nport = 0\n[binary]\nport = 0\n[feed]\nenabled = false\n")
    directory = tmp_path / "data"
    exchange = Exchange(
        ["--config", str(config), "--instance", instance, "--data", str(directory)],
        log=tmp_path / "log.jsonl",
    )
    exchange.start()
    yield directory
    exchange.close()


def test_two_roles_and_a_pledge(
    data: Path, instance: str, capsys: pytest.CaptureFixture[str]
) -> None:
    where = {"instance": instance, "data": data}
    with live_state(instance, data) as (s, configuration):
        seen = {(p.name, p.of): p.value for p in read(s, configuration).parameters}
    assert seen["LiquidationEnabled", ""] == 1
    assert seen["MarginBaseInitial", "BTC-PERP"] == 100_000

    assert admin.set_parameter("MarginBaseInitial", 150_000, "BTC-PERP", role="risk", **where) == 0
    assert "in force: 100,000 → 150,000" in capsys.readouterr().out
    assert admin.set_parameter("MarginBaseInitial", 120_000, "BTC-PERP", role="risk", **where) == 0
    assert "proposal 1 proposed: 150,000 → 120,000" in capsys.readouterr().out
    assert admin.approve(1, role="risk", **where) == 1
    assert "refused: NotAuthorized" in capsys.readouterr().err
    stranger = data / "stranger.key"
    SigningKey.load_or_make(stranger)
    assert admin.approve(1, role="operations", key=stranger, **where) == 1
    assert "the key of no signer that the configuration knows" in capsys.readouterr().err
    risks = data / "keys" / "risk.key"
    assert admin.approve(1, role="operations", key=risks, **where) == 1
    assert "refused: NotAuthorized" in capsys.readouterr().err
    assert admin.approve(1, role="operations", **where) == 0
    assert "approved" in capsys.readouterr().out
    assert admin.set_parameter("MarginBaseInitial", 1, "NONE", role="risk", **where) == 1
    assert "there is no NONE" in capsys.readouterr().err
    assert admin.backstop("desk-north", "BTC-PERP", "1000", **where) == 0
    assert "pledged 1,000.000000" in capsys.readouterr().out

    assert admin.show(**where) == 0
    shown = capsys.readouterr().out
    assert "approved" in shown
    assert "operations" in shown  # Who signed the approval.
    assert "desk-north" in shown
    with live_state(instance, data) as (s, configuration):
        found = read(s, configuration)
    assert [(p.name, p.value, p.state, p.proposer, p.approver) for p in found.proposals] == [
        ("MarginBaseInitial", 120_000, "approved", "risk", "operations")]
    assert [(p.account, p.instrument, p.pledged) for p in found.providers] == [
        ("desk-north", "BTC-PERP", 1_000 * 10**6)]


def test_without_an_exchange(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert admin.show(instance="nobody", data=tmp_path) == 1
    assert capsys.readouterr().err.startswith("onebook: ")
