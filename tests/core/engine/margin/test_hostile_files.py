"""Whatever stands in a case file: core and reference answer alike, or refuse it by its field."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest

from core.margin_reference import account
from core.margin_reference.case import CaseError
from tests.core.margin_reference.accounts import case_file
from tools import margin_cases
from tools.case_files import load

WRONG = (
    None, True, 1.5, "", "abc", "NaN", "inf", "1e999", "1e-999", "0x10", "1_000", " 1", "1,5", "½",
    "٣", "１", "-", "+", ".5", [], {}, [1], {"a": 1}, 10**30, float("nan"), float("inf"), "\ud800",
    "0.000000001", "1e16", "-5", "9" * 60,
)
EDGES = (  # Numbers that some fields may have and others not.
    "1e15", "999999999999999", "1e-18", "0.00000001", "-0.00000001", "0", "1", "0.5", "0.99", "10",
    "0.000000000001", "9e10", "-9e10", "4e13", "-1e12", "12345678.12345678", "-0.999999999999",
    "3.3333333333", "100000", "99999.99999999", "0.999999999999", "0.001", 7, -3,
)
FIELDS = ("unknown", "Qty", "vertices", "low", "strike", "stable", "perp_last_settle", "ref", "lo")
NAMED = re.compile(r"^[\w .'-]*:? ?[\w.\[\]' -]+: [\w']+|is there twice|whole characters")


def _places(inside: Any) -> list[tuple[Any, Any]]:
    found = []
    for place in list(inside) if isinstance(inside, dict) else range(len(inside)):
        found.append((inside, place))
        if isinstance(inside[place], dict | list):
            found += _places(inside[place])
    return found


def _spoil(random: Random, content: Any) -> None:
    """Make one thing in a file what nobody expects."""
    places = _places(content)
    holder, place = random.choice(places)
    kind = random.randrange(6)
    if kind == 0:
        holder[place] = random.choice(WRONG)
    elif kind == 1:
        del holder[place]
    elif kind == 2:
        holders = [entry for entry, _ in places if isinstance(entry, dict)]
        random.choice(holders)[random.choice(FIELDS)] = random.choice(WRONG + EDGES)
    elif kind == 3:
        lists = [entry for entry, _ in places if isinstance(entry, list)] or [content["cases"]]
        listed = random.choice(lists)
        listed.append(json.loads(json.dumps(listed[-1])) if listed else {})
    else:
        numbers = [p for p in places if isinstance(p[0][p[1]], str) and p[0][p[1]][-1:].isdigit()]
        holder, place = random.choice(numbers or places)
        holder[place] = random.choice(EDGES)


def _answer(compute: Callable[[Any], Any], file: Path) -> Any:
    try:
        return compute(load(file))
    except CaseError as refused:
        return str(refused)


@pytest.mark.parametrize("seed", range(3))
def test_both_answer_alike_or_refuse_alike(seed: int, tmp_path: Path) -> None:
    random = Random(seed)
    file = tmp_path / "cases.json"
    computed = 0
    for number in range(100):
        content = case_file(2_000_000 + 1000 * seed + number, 1)
        for _ in range(random.choice((1, 1, 2))):
            _spoil(random, content)
        file.write_text(json.dumps(content))
        core, reference = _answer(margin_cases.compute, file), _answer(account.compute, file)
        assert core == reference, content
        if isinstance(core, str):
            assert NAMED.search(core), core
            assert "\n" not in core
            assert len(core) < 400
        else:
            json.dumps(core, ensure_ascii=False, allow_nan=False).encode()
            computed += 1
    assert 5 < computed < 95  # Some files are as good as before.
