"""`onebook certify` and `onebook fix`: scenarios pass where they should, fail where they must."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from core.venue import FixSession
from tests.gateway.fix.stage import Stage
from tools.clients.certification import SCENARIOS, certify, markdown
from tools.clients.fix_desk import FixDesk, Unexpected, run_script
from tools.commands.fix import command, fix, readable, scenario

CHOICES = {"symbol": "BTC-USDC", "quantity": "2", "price": "100", "less": "1"}
# Those the aid behind the gateway has no answer to; they run against the real core.
CORE_ONLY = {"replace", "mass-cancel", "mass-status", "status", "preview", "list", "kill-switch",
             "dead-man"}


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    session = FixSession(
        session=1, sender_comp_id="CLIENT", target_comp_id="EXEC", authentication="hmac",
        secret="a secret", owner="acme", account="acme.main")
    found = Stage(tmp_path_factory.mktemp("certify"), (session,))
    yield found
    found.stop()


@pytest.fixture
def desk(stage: Stage) -> Iterator[FixDesk]:
    found = FixDesk("127.0.0.1", stage.port, sender="CLIENT", target="EXEC", secret="a secret")
    yield found
    found.drop()
    stage.forget()


@pytest.mark.parametrize("name", sorted(set(SCENARIOS) - CORE_ONLY))
def test_a_scenario_passes(desk: FixDesk, name: str) -> None:
    case = certify(desk, name, CHOICES)
    assert case.passed, markdown([case])


@pytest.mark.parametrize("name", sorted(SCENARIOS))
def test_a_wrong_answer_fails_it_where_it_came(
    desk: FixDesk, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every scenario waits for something that only the right exchange says."""
    title, text = SCENARIOS[name]
    lines = text.splitlines()
    wanted = [n for n, line in enumerate(lines) if line.strip().startswith(("<", "until"))] or [0]
    verb = "until" if "until" in lines[wanted[0]] else "<"
    lines[wanted[0]] = f"{verb} 8 58=something else" if wanted != [0] else "< 8"
    monkeypatch.setitem(SCENARIOS, name, (title, "\n".join(lines)))
    monkeypatch.setattr("tools.clients.fix_desk.SECONDS", 0.3)
    case = certify(desk, name, CHOICES)
    assert not case.passed
    assert [s.status for s in case.steps].count("failed") == 1
    assert "**failed**" in markdown([case])


def test_a_scenario_file_is_run_and_recorded(stage: Stage, tmp_path: Path) -> None:
    script, record = tmp_path / "scenario.txt", tmp_path / "record.txt"
    script.write_text(
        "# an order\nlogon\n> D 11={+id}|55=BTC-USDC|54=1|38=1|40=2|44=100|60={time}\n"
        "< 8 11={id}|150=0\nlogout\n")
    options = {"port": stage.port, "sender": "CLIENT", "target": "EXEC", "secret": "a secret"}
    assert fix(script=script, record=record, **options) == 0  # type: ignore[arg-type]
    kept = record.read_text().splitlines()
    assert kept[1] == "logon 141=Y"
    assert any(line.startswith("< 8 11=") and "150=0" in line for line in kept)
    script.write_text("logon\n> 1 112=X\n< 0 112=Y\n")
    assert fix(script=script, **options) == 1  # type: ignore[arg-type]
    stage.forget()


def test_commands_of_a_person(desk: FixDesk) -> None:
    desk.connect()
    desk.logon()
    command(desk, "new buy 1 BTC-USDC @ 100 tif=GTC")
    report = desk.expect("8", "150=0|39=0|38=1|44=100|59=1")
    assert "ExecutionReport:" in readable(report)
    assert "ExecType=NEW" in readable(report)
    command(desk, f"cancel {report[11]}")
    desk.expect("8", f"150=4|41={report[11]}")
    command(desk, "trades")
    assert desk.expect("AQ", "569=0|749=0")[748] == "0"
    for line, sent in (("preview buy 1 BTC-USDC @ 100", "|55=BTC-USDC|54=1|38=1|40=2|44=100|"),
                       ("halt", "|2329=1|"), ("book X", "|146=1|55=X|"), ("positions Y", "|1=Y|"),
                       ("balances", "|35=BB|"), ("limits", "|924=5|"), ("phase", "|263=0|"),
                       ("lift", "|2329=2|"), ("trades 7", "|17=7|")):
        command(desk, line)
        assert sent in desk.transcript[-1]
    for wrong in ("new sideways 1 X", "cancel nobody", "dance", "book"):
        with pytest.raises(ValueError, match=r"new buy|no order"):
            command(desk, wrong)
    assert scenario(desk.transcript)[1] == "logon 141=Y"


def test_secrets_are_not_in_the_transcript(desk: FixDesk) -> None:
    desk.connect()
    desk.logon()
    assert any("|96=…" in line for line in desk.transcript)


def test_a_step_that_fails_is_named(desk: FixDesk) -> None:
    with pytest.raises(Unexpected, match=r"line 3, '< 8 39=0\|11=never'"):
        run_script(desk, ["logon", "> 1 112=Z", "< 8 39=0|11=never"])
