"""`onebook certify` and `onebook fix`: scenarios pass where they should, fail where they must."""

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.venue import FixSession
from tests.gateway.fix.stage import Stage
from tools.clients.certification import certify, markdown
from tools.clients.fix_desk import FixDesk, Unexpected, is_sound, run_script
from tools.clients.fix_prompt import Prompt, command, readable
from tools.clients.fix_record import scenario
from tools.clients.scenarios import SCENARIOS
from tools.commands.fix import fix

CHOICES = {"symbol": "BTC-USDC", "quantity": "2", "price": "100", "less": "1"}
# Those the aid behind the gateway has no answer to; they run against the real core.
CORE_ONLY = {"immediate", "cancel-on-disconnect", "quote", "list-status", "replace", "status",
             "replace-unknown", "mass-cancel", "mass-status", "preview", "list", "kill-switch",
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
    assert kept[0] == "logon 141=Y"
    assert kept[1].startswith("> D 11={+id1}|55=BTC-USDC|54=1|38=1|40=2|44=100|60={time}")
    assert kept[2].startswith("< 8 37={order2}|11={id1}|150=0")
    again = tmp_path / "again.txt"
    assert fix(script=record, record=again, **options) == 0  # type: ignore[arg-type]
    assert again.read_text().splitlines() == kept
    script.write_text("logon\n> 1 112=X\n< 0 112=Y\n")
    assert fix(script=script, **options) == 1  # type: ignore[arg-type]
    stage.forget()


def test_commands_of_a_person(desk: FixDesk) -> None:
    desk.connect()
    desk.logon()
    command(desk, "new buy 1 BTC-USDC @ 100 tif=GTC")
    report = desk.expect("8", "150=0|39=0|38=1|44=100|59=1")
    assert "ExecutionReport:" in readable(desk.last)
    assert "ExecType=NEW" in readable(desk.last)
    command(desk, f"cancel {report[11]}")
    desk.expect("8", f"150=4|41={report[11]}")
    command(desk, "trades")
    assert desk.expect("AQ", "569=0|749=0")[748] == "0"
    for line, sent in (("preview buy 1 BTC-USDC @ 100", "|55=BTC-USDC|54=1|38=1|40=2|44=100|"),
                       ("halt", "|2329=1|"), ("book X", "|146=1|55=X|"), ("positions Y", "|1=Y|"),
                       ("balances", "|35=BB|"), ("limits", "|924=5|"), ("phase", "|263=0|"),
                       ("lift", "|2329=2|"), ("trades 7", "|17=7|"),
                       ("new sell 1 X stop=90 tif=ioc display=1", "|40=3|99=90|59=3|1138=1|"),
                       ("resend 2", "|35=2|"), ("seq in=9 out=8", "seq in=9 out=8"),
                       ("> 0 112=by hand", "|34=8|"), ("raw 8=FIX|9=1|", "8=FIX|9=1|")):
        command(desk, line)
        assert sent in desk.transcript[-1]
    for wrong in ("new sideways 1 X", "cancel nobody", "dance", "book", "new buy 1 X @", "raw",
                  "new buy 1 X tif=NEVER", "new buy 1 X colour=red", "resend 1 2 3"):
        with pytest.raises(ValueError, match=r"new buy|no order|There are"):
            command(desk, wrong)
    told = scenario(desk.transcript)
    assert told[0] == "logon 141=Y"
    assert told[-2:] == ["seq in=9 out=8", "raw 8=FIX|9=1|"]


def test_groups_are_recorded_whole(desk: FixDesk) -> None:
    desk.connect()
    desk.logon()
    desk.send("V", "262={+id}|263=0|264=1|267=2|269=0|269=1|146=1|55=BTC-USDC")
    desk.until("W")
    told = next(line for line in scenario(desk.transcript) if line.startswith("> V"))
    assert told == "> V 262={+id1}|263=0|264=1|267=2|269=0|269=1|146=1|55=BTC-USDC"


def test_a_person_talks_and_the_session_stays_alive(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Lines come slowly through a pipe; the exchange hears heartbeats and answers meanwhile."""
    desk = FixDesk("127.0.0.1", stage.port, sender="CLIENT", target="EXEC", secret="a secret",
                   heartbeat=1)
    reading, writing = os.pipe()
    typed = os.fdopen(reading)
    monkeypatch.setattr("sys.stdin", typed)
    lines = os.fdopen(writing, "w", buffering=1)

    def speak() -> None:
        for pause, line in ((2.7, "new buy 1 BTC-USDC @ 100"), (0.3, "new buy tif=NEVER"),
                            (0.1, "seq in=99"), (0.1, "> 1 112=HELLO"), (0.5, "drop"),
                            (0.1, "logon"), (0.2, "quit")):
            time.sleep(pause)
            lines.write(f"{line}\n")

    speaker = threading.Thread(target=speak)
    speaker.start()
    Prompt(desk, "no help").run()
    speaker.join()
    lines.close()
    typed.close()
    desk.drop()
    stage.forget()
    said = capsys.readouterr().out
    for text in ("logged on as CLIENT", "ExecType=NEW", "new buy|sell QUANTITY", "next in 99",
                 "99 was due: `resend FROM TO`"):
        assert text in said, said
    kinds = [line.partition("|35=")[2].partition("|")[0] for line in desk.transcript
             if line.startswith(">")]
    assert kinds[:3] == ["A", "0", "0"], "it beat while nothing was typed"
    assert kinds[-3:] == ["1", "A", "5"]


def test_what_comes_is_held_to_length_sum_and_number(desk: FixDesk) -> None:
    desk.connect()
    desk.logon()
    desk.next_in = 7
    desk.send("1", "112=X")
    with pytest.raises(Unexpected, match="MsgSeqNum \\(34\\) is 2, 7 was due"):
        desk.expect("0")
    good = b"8=FIX.4.4\x019=5\x0135=0\x0110=163\x01"
    assert is_sound(good)
    assert not is_sound(good.replace(b"163", b"164"))
    assert not is_sound(good.replace(b"9=5", b"9=6"))


def test_silence_is_no_end(desk: FixDesk) -> None:
    """A connection that the exchange closed isn't the silence that a scenario waits for."""
    run_script(desk, ["logon", "silence 0.1", "> 5", "< 5"])
    with pytest.raises(Unexpected, match="closed the connection"):
        run_script(desk, ["silence 2"])


def test_secrets_are_not_in_the_transcript(desk: FixDesk) -> None:
    desk.connect()
    desk.logon()
    assert any("|96=…" in line for line in desk.transcript)


def test_a_step_that_fails_is_named(desk: FixDesk) -> None:
    with pytest.raises(Unexpected, match=r"line 3, '< 8 39=0\|11=never'"):
        run_script(desk, ["logon", "> 1 112=Z", "< 8 39=0|11=never"])
