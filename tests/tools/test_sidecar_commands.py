"""`onebook lending`, `oracle` and `reserves` over the stores of real sidecars."""

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.agent import run_until_quiet
from core.config import load
from core.market_rules import document_hash
from core.memory import unlink_all
from core.producers import Producer
from core.sidecars.books import DEPOSIT, LIQUIDITY
from core.sidecars.custody import EmbeddedCustody, custody_path
from core.sidecars.keys import SigningKey
from core.sidecars.lending.agent import Lending
from core.sidecars.lending.curve import knots
from core.sidecars.oracle.agent import Oracle
from core.sidecars.oracle.rules import documents, rules_of
from core.sidecars.reserves.__main__ import keys_of
from core.sidecars.reserves.agent import Reserves
from core.sidecars.settlement.agent import Settlement
from tests.core.sidecars.stage import ONE, USDC, Stage
from tests.core.test_market_rules import RULES
from tools.commands import custody as custody_command
from tools.commands import lending as lending_command
from tools.commands import oracle as oracle_command
from tools.commands import reserves as reserves_command

M = 10**6
SECOND = 10**9


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    """An exchange on a stage, with the configuration that commands read."""
    name = f"commands-{tmp_path.name[-20:].replace('_', '-')}"[:31]
    stage = Stage(name, tmp_path)
    stage.venue()
    outcome = {"kind": "prediction", "event": "CUP", "tick": "0.01", "lot": "1"}
    configuration = {
        "asset": [{"name": "USDC", "decimals": 6}, {"name": "BTC", "decimals": 8}],
        "instrument": [outcome | {"symbol": "CUP-A"}, outcome | {"symbol": "CUP-B"}],
        "event": [{"symbol": "CUP", "structure": "exclusive", "rules": RULES}],
    }
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.json").write_text(json.dumps(configuration))
    yield stage
    unlink_all(name)


def test_lending_shows_pools_and_draws_the_curve(
    stage: Stage, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lending = Lending(
        stage.store("lending", Lending.migrations), stage.follower(),
        stage.link(Producer.LENDING), clock=stage.clock, curve=knots(0, 800_000, 80_000, 600_000),
    )
    run_until_quiet([lending])
    stage.next()
    stage.balance(100, USDC, DEPOSIT, 1000 * M, 1000 * M)
    stage.balance(101, USDC, DEPOSIT, -950 * M, -950 * M)
    stage.now += 61 * SECOND
    run_until_quiet([lending])
    capsys.readouterr()
    assert lending_command.lending(data=tmp_path, plot=tmp_path / "curve.svg") == 0
    shown = capsys.readouterr().out
    assert "95.00 %" in shown.replace("\n", "") or "95.00" in shown
    assert (tmp_path / "curve.svg").read_text().startswith("<?xml")
    asset = lending.reference.assets[USDC]
    assert lending_command.state_text(asset, 950_000) == (
        "stopped: 95.00 % is lent out, the ceiling is 90.00 %"
    )
    assert lending_command.state_text(asset, 899_999) == "open"


def test_assets_arrive_once(
    stage: Stage, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert custody_command.holdings(data=tmp_path) == 1
    settlement = Settlement(
        stage.store("settlement", Settlement.migrations), stage.follower(),
        stage.link(Producer.SETTLEMENT), clock=stage.clock,
        custody=EmbeddedCustody(custody_path(tmp_path), clock=stage.clock),
    )
    run_until_quiet([settlement])
    stage.take(settlement.link)
    for said in ("received: tx", "nothing new: tx"):
        assert custody_command.receive("desk-100", "USDC", "12.5", transaction="tx",
                                       data=tmp_path) == 0
        assert capsys.readouterr().out.splitlines()[-1] == said
    assert custody_command.receive("desk-100", "GOLD", "1", data=tmp_path) == 1
    assert custody_command.receive("nobody", "USDC", "1", data=tmp_path) == 1
    stage.now += SECOND
    run_until_quiet([settlement])
    deposits = [f for _, name, f in stage.take(settlement.link) if name == "Deposit"]
    assert [(f["account"], f["amount"]) for f in deposits] == [(100, 12_500_000)]
    assert custody_command.holdings(data=tmp_path) == 0
    assert "12.500000" in capsys.readouterr().out
    assert custody_command.fail_withdrawal(3, data=tmp_path) == 0
    assert custody_command.receive("liquidity", "USDC", "5", data=tmp_path) == 0
    for _ in range(2):
        stage.now += SECOND
        run_until_quiet([settlement])
    deposits = [f for _, name, f in stage.take(settlement.link) if name == "Deposit"]
    assert [(f["account"], f["amount"]) for f in deposits] == [(LIQUIDITY, 5_000_000)]
    # Beyond the owner's cap: the core says so, custody has it all the same.
    stage.refuse["Deposit"] = 93
    custody_command.receive("desk-101", "USDC", "7", transaction="too much", data=tmp_path)
    capsys.readouterr()
    for _ in range(3):
        stage.now += SECOND
        run_until_quiet([settlement])
        stage.take(settlement.link)
    assert custody_command.refused(data=tmp_path) == 0
    said = capsys.readouterr().out
    assert "too much" in said
    assert "DepositLimit" in said
    assert "5.000000" not in said


def test_a_report_is_signed_handed_in_and_shown(
    stage: Stage, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(oracle_command, "ANSWER_SECONDS", 0.0)  # It is moved by hand here.
    key = tmp_path / "reporter.key"
    assert oracle_command.key(key) == 0
    public = bytes.fromhex(capsys.readouterr().out.strip())
    config = tmp_path / "run" / "config.json"
    tables = json.loads(config.read_text())
    tables["event"][0]["rules"] |= {
        "reporters": [public.hex()], "arbiter": "00" * 32, "dispute_seconds": 1}
    config.write_text(json.dumps(tables))
    configuration = load(config)
    document = next(documents(configuration))
    stage.next()
    stage.emit("EventRegistered", event=1, kind=1, outcomes=2, title="Cup",
               rulesHash=document_hash(document))
    oracle = Oracle(
        stage.store("oracle", Oracle.migrations), stage.follower(), stage.link(Producer.ORACLE),
        clock=stage.clock, sources={}, since=lambda _: (), rules=rules_of(configuration),
        documents=[document],
    )
    run_until_quiet([oracle])
    evidence = tmp_path / "photo"
    evidence.write_bytes(b"they lift it")
    assert oracle_command.report("CUP", "a-wins", key=key, evidence=evidence, data=tmp_path) == 0
    assert "rule a-wins\npayouts 100000000 0\n" in capsys.readouterr().out
    run_until_quiet([oracle])
    stage.now += SECOND
    run_until_quiet([oracle])
    (command,) = stage.take(oracle.link)
    assert command[1] == "ResolveEvent"
    capsys.readouterr()
    assert oracle_command.show(data=tmp_path) == 0
    shown = capsys.readouterr().out
    for word in ("report", "proposed", "final", "3 records"):
        assert word in shown
    assert oracle_command.show("CUP", data=tmp_path) == 0
    shown = capsys.readouterr().out
    assert '"when": "The source names A."' in shown
    assert f"rules hash {document_hash(document).hex()}, as listed" in shown
    assert oracle_command.show("NONE", data=tmp_path) == 1
    assert oracle_command.report("NONE", "a-wins", key=key, data=tmp_path) == 1
    assert oracle_command.dispute("CUP", "c-wins", key=key, data=tmp_path) == 1
    said = capsys.readouterr().err
    assert "no event of the symbol NONE" in said
    assert "CUP has no rule c-wins, but not-played, a-wins, b-wins, void" in said
    with oracle.store.connection as connection:
        connection.execute("UPDATE record SET subject = 'PUC' WHERE ordinal = 2")
    assert oracle_command.show(data=tmp_path) == 1
    assert "the record is broken at 2" in capsys.readouterr().err


def test_a_dispute_and_its_arbitration_by_people_with_keys(
    stage: Stage, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The oracle runs beside the commands, as it does, and answers each."""
    keys = {name: tmp_path / f"{name}.key" for name in ("one", "two", "arbiter", "nobody")}
    public = {name: SigningKey.load_or_make(file).public.hex() for name, file in keys.items()}
    config = tmp_path / "run" / "config.json"
    tables = json.loads(config.read_text())
    tables["event"][0]["rules"] |= {
        "reporters": [public["one"], public["two"]], "arbiter": public["arbiter"]}
    config.write_text(json.dumps(tables))
    stop = threading.Event()

    def run() -> None:
        oracle = Oracle(
            stage.store("oracle", Oracle.migrations), stage.follower(), stage.link(Producer.ORACLE),
            clock=stage.clock, sources={}, since=lambda _: (), rules=rules_of(load(config)),
        )
        made.set()
        while not stop.is_set():
            stage.now += SECOND
            run_until_quiet([oracle])
            stage.take(oracle.link)
            time.sleep(0.01)
        oracle.store.close()

    made = threading.Event()
    thread = threading.Thread(target=run)
    thread.start()
    assert made.wait(30)
    try:
        said = capsys.readouterr
        assert oracle_command.report("CUP", "a-wins", key=keys["nobody"], data=tmp_path) == 1
        assert "refused: report: not one of those who may" in said().err
        assert oracle_command.dispute("CUP", "b-wins", key=keys["two"], data=tmp_path) == 1
        assert "the market is open, not proposed" in said().err
        assert oracle_command.report("CUP", "a-wins", key=keys["one"], data=tmp_path) == 0
        assert "Taken, record 3." in said().out
        assert oracle_command.dispute("CUP", "b-wins", key=keys["two"], data=tmp_path) == 0
        assert oracle_command.arbitrate("CUP", "void", key=keys["one"], data=tmp_path) == 1
        assert oracle_command.arbitrate("CUP", "void", key=keys["arbiter"], data=tmp_path) == 0
        assert oracle_command.arbitrate("CUP", "void", key=keys["arbiter"], data=tmp_path) == 1
        assert "arbitration: the market is final, not disputed" in said().err
    finally:
        stop.set()
        thread.join()
    (resolved,) = [fields for _, name, fields in stage.commands if name == "ResolveEvent"]
    assert [entry["payout"] for entry in resolved["payouts"]] == [ONE // 2, ONE // 2]


def test_a_customer_proves_and_verifies(
    stage: Stage, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    custody = EmbeddedCustody(tmp_path / "custody.sqlite", clock=stage.clock)
    reserves = Reserves(
        stage.store("reserves", Reserves.migrations), stage.follower(),
        stage.link(Producer.RESERVES), clock=stage.clock, directory=tmp_path / "reserves",
        custody=custody, keys=keys_of(tmp_path, ""),
    )
    assert reserves_command.prove("desk-100", data=tmp_path) == 1
    stage.next()
    stage.balance(100, USDC, DEPOSIT, 1000 * M, 1000 * M)
    custody.recognise("one", USDC, 1000 * M)
    run_until_quiet([reserves])
    file = tmp_path / "mine.json"
    assert reserves_command.prove("desk-100", out=file, data=tmp_path) == 0
    assert reserves_command.verify(data=tmp_path) == 0
    assert reserves_command.verify(file, data=tmp_path) == 0
    assert capsys.readouterr().out.count("Everything holds.") == 2
    value = json.loads(file.read_text())
    file.write_text(json.dumps(value | {"account": 101}))
    assert reserves_command.verify(file, data=tmp_path) == 1
    assert reserves_command.prove("desk-101", data=tmp_path) == 1
    assert reserves_command.prove("nobody", data=tmp_path) == 1
    assert "had nothing in epoch 1" in capsys.readouterr().err
    assert reserves_command.watch(seconds=0.1, data=tmp_path) == 0
    assert reserves_command.watch(seconds=0.1, data=tmp_path / "other") == 1
