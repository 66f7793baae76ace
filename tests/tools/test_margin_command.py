"""`onebook margin`: case files in, the same with `expected` out; wrong ones named."""

import json
from pathlib import Path
from typing import Any

import pytest

from tools.commands.margin import margin

CASE = {
    "cases": [{
        "id": "T", "usdc": "100",
        "groups": [{"name": "G", "kind": "nested", "outcomes": [
            {"name": "120k", "qty": "3", "mark": "0.50"},
            {"name": "130k", "qty": "-2", "mark": "0.30"},
        ]}],
    }],
}


def written(directory: Path, content: Any) -> Path:
    file = directory / "cases.json"
    file.write_text(content if isinstance(content, str) else json.dumps(content))
    return file


def test_expected_is_filled_in(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert margin(written(tmp_path, CASE), reference=True) == 0
    filled = json.loads(capsys.readouterr().out)
    expected = filled["cases"][0].pop("expected")
    assert filled == CASE
    assert (expected["equity"], expected["im"], expected["free_im"]) == ("100.90", "0.90", "100.00")
    again = {"cases": [{**CASE["cases"][0], "expected": {"im": "nonsense"}}]}
    assert margin(written(tmp_path, again), reference=True) == 0
    assert json.loads(capsys.readouterr().out)["cases"][0]["expected"] == expected


@pytest.mark.parametrize(("content", "message"), [
    ({"cases": [{"id": "T", "usdc": "one"}]}, "cases[0].usdc: expected a decimal in quotes"),
    ("{", "Expecting property name"),
    ([], "file: expected an object"),
    ("", "Expecting value"),
    ("[" * 100_000, "nested without end"),
    ('{"cases": [{"id": "T", "usdc": "1", "usdc": "2"}]}', "usdc: is there twice in id 'T'"),
    (f'{{"cases": [{{"id": "T", "usdc": {"9" * 5000}}}]}}', "4300 digits"),
    ({"cases": [{"id": "A"}, {"id": "B", "usdc": "x"}]}, "case 'B': file.cases[1].usdc"),
])
def test_a_wrong_file_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: Any, message: str
) -> None:
    assert margin(written(tmp_path, content), reference=True) == 1
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_a_byte_order_mark_is_no_matter(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert margin(written(tmp_path, f"\ufeff{json.dumps(CASE)}"), reference=True) == 0
    assert json.loads(capsys.readouterr().out)["cases"][0]["expected"]["equity"] == "100.90"


def test_a_missing_file_or_exchange_is_one_line(
    tmp_path: Path, instance: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert margin(tmp_path / "none.json", reference=True) == 1
    assert "No such file" in capsys.readouterr().err
    assert margin(account="100", instance=instance) == 1
    assert instance in capsys.readouterr().err


def test_a_file_or_an_account_is_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert margin() == 2
    assert margin(written(tmp_path, CASE), account="100") == 2
    assert margin(written(tmp_path, CASE), what_if=["buy 1 A @ 1"]) == 2
    assert "--account" in capsys.readouterr().err


def test_an_order_in_other_words_is_refused(
    instance: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert margin(account="100", what_if=["buy it"], instance=instance) == 2
    assert "expected `buy 2 BTC-PERP @ 101000`" in capsys.readouterr().err
