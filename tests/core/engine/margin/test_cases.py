"""The core's compiled margin functions on case files, against the published and the reference."""

import json
from copy import deepcopy
from pathlib import Path

import pytest

from core.margin_reference.case import CaseError
from tests.campaigns.margin import differences
from tests.core.margin_reference.accounts import PUBLISHED, case_file
from tools.commands.margin import margin
from tools.margin_cases import compute


def test_every_published_case_agrees_in_every_component() -> None:
    published = json.loads(PUBLISHED.read_text())
    bare = deepcopy(published)
    for case in bare["cases"]:
        del case["expected"]
    filled = compute(bare)
    assert len(filled["cases"]) >= 11
    for case, ours in zip(published["cases"], filled["cases"], strict=True):
        assert ours["expected"] == case["expected"], case["id"]


@pytest.mark.parametrize("seed", range(4))
def test_random_accounts_agree_with_the_reference_to_the_last_figure(seed: int) -> None:
    assert differences(case_file(1_000_000 + seed, 75)) == []


def test_the_command_prints_what_both_compute(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "accounts.json"
    file.write_text(PUBLISHED.read_text())
    assert margin(file) == 0
    ours = capsys.readouterr().out
    assert margin(file, reference=True) == 0
    assert capsys.readouterr().out == ours
    assert json.loads(ours) == json.loads(PUBLISHED.read_text())


@pytest.mark.parametrize(("field", "value", "message"), [
    ("qty", "-10000.000000001", r"digitals\[0\].qty: expected whole lots of 0.00000001"),
    ("qty", "100000000000", r"digitals\[0\].qty: expected at most 90000000000"),
    ("mark", "-0.01", r"digitals\[0\].mark: expected at least 0"),
    ("mark", "0.1234567890123", r"digitals\[0\].mark: expected at most 12 decimals"),
    ("strike", None, r"digitals\[0\].strike: expected a decimal"),
    ("type", "touch", r"digitals\[0\].type: expected one of above, below, range"),
])
def test_the_core_refuses_by_naming_the_field(
    field: str, value: str | None, message: str
) -> None:
    content = json.loads(PUBLISHED.read_text())
    [case] = [case for case in content["cases"] if case["id"] == "C08a"]
    case["underlyings"][0]["digitals"][0][field] = value
    with pytest.raises(CaseError, match=message):
        compute(content)


def test_more_than_the_core_can_hold_is_refused() -> None:
    content = json.loads(PUBLISHED.read_text())
    content["cases"][0]["underlyings"][0]["perp_qty"] = "999999999999"
    with pytest.raises(CaseError, match=r"underlyings\[0\]: expected .* worth at most"):
        compute(content)
