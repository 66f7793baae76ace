"""The README says what the schemas say."""

import re

import pytest

from sbe.generate import README, readme, schemas
from sbe.outcomes import REASONS
from tests.sbe.kit import SCHEMAS


def test_tables_are_fresh() -> None:
    assert README.read_text() == readme(), "run `python -m sbe.generate`"


@pytest.mark.parametrize("name", schemas())
def test_every_message_is_in_a_table_and_described(name: str) -> None:
    text = README.read_text()
    for message in schemas()[name].messages:
        assert f"| {message.id} | `{message.name}` |" in text
        assert message.description, f"{name}.xml: {message.name} has no description"


def test_decisions_are_numbered() -> None:
    decisions = README.read_text().partition("## Decisions")[2]
    numbers = [line.partition(".")[0] for line in decisions.splitlines() if line[:1].isdigit()]
    assert numbers == [str(i + 1) for i in range(len(numbers))]
    assert len(numbers) >= 5


def test_every_outcome_has_a_reason() -> None:
    import sbe.outcomes

    codes = {v for k, v in vars(sbe.outcomes).items() if k.startswith("ERROR_")}
    assert codes == set(REASONS)
    assert len(set(REASONS.values())) == len(REASONS)


def test_the_feature_schema_is_where_the_readme_says() -> None:
    assert (SCHEMAS / "features.xml").exists()
    assert "tests/sbe/schemas/features.xml" in README.read_text()


def test_every_case_of_the_design_has_a_test_of_its_number() -> None:
    text = "".join(path.read_text() for path in SCHEMAS.parent.glob("test_*.py"))
    numbers = {int(number) for number in re.findall(r"def test_case_(\d\d)_", text)}
    assert numbers == set(range(1, 46))
