"""The rules of engagement in gateway/README.md say what the tables of the code say."""

import re
from pathlib import Path

import pytest

from gateway.fix.dictionary.fields import FIELDS
from gateway.fix.dictionary.messages import ADMIN, MESSAGES
from gateway.fix.frame import MESSAGE_BYTES_MAX
from gateway.fix.lists import ORDERS_MAX
from gateway.fix.orders import ID_BYTES_MAX
from gateway.fix.profile import SIGNED_TAGS
from sbe.generated import order_entry as oe

TEXT = (Path(__file__).parents[3] / "gateway" / "README.md").read_text()
SECTION = TEXT.partition("\n## fix:")[2].partition("\n## feed:")[0]
OWN_FROM = 21000


def table(title: str) -> list[list[str]]:
    """The rows of the table under a heading, its head left out."""
    part = SECTION.partition(f"### {title}\n")[2].partition("\n### ")[0]
    rows = [line for line in part.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows[2:]]


def kinds(cell: str) -> set[str]:
    return set(re.findall(r"(?<![\w=(])([A-Z]{1,2}\d?|[a-z]|\d)(?![\w=])", cell))


def test_every_message_stands_in_the_table_and_nothing_else() -> None:
    rows = table("Messages")
    application = {k: m for k, m in MESSAGES.items() if k not in ADMIN}
    given = set().union(*(kinds(row[0]) for row in rows if row[0] != "any"))
    answers = set().union(*(kinds(row[1]) for row in rows))
    assert given == {k for k, m in application.items() if m.direction == "in"}
    assert answers - set(ADMIN) == {k for k, m in application.items() if m.direction == "out"}


def test_every_own_tag_has_its_name_and_meaning() -> None:
    told = {int(tag): name for tag, name in re.findall(r"\b(21\d{3}) ([A-Z]\w+)", SECTION)}
    assert told == {tag: f.name for tag, f in FIELDS.items() if tag > OWN_FROM}


@pytest.mark.parametrize("tag", sorted(
    {int(tag) for tag in re.findall(r"(?<![\d.,:])(\d{2,5})(?:=| = )", SECTION)}))
def test_every_field_that_is_given_a_value_exists(tag: int) -> None:
    assert tag in FIELDS


def test_every_value_that_is_named_is_one_of_the_fields() -> None:
    found = re.findall(r"\b(\d{2,5})=([0-9A-Z])\b(?!\d)", SECTION)
    assert len(found) > 15
    for tag, value in found:
        field = FIELDS[int(tag)]
        assert not field.values or value in field.values, (tag, value)


def test_limits_are_those_of_the_code() -> None:
    assert f"up to {ID_BYTES_MAX} characters" in SECTION
    assert f"beyond {MESSAGE_BYTES_MAX >> 10} KiB" in SECTION
    assert f"up to {ORDERS_MAX} orders" in SECTION
    assert f"over {', '.join(map(str, SIGNED_TAGS))}, each followed by SOH" in SECTION


def test_the_order_of_refusals_names_reasons_that_exist() -> None:
    part = SECTION.partition("in the order of the schema's `Reason`")[2].partition("\n\n")[0]
    named = re.findall(r"\b([A-Z][a-z]+(?:[A-Z][a-z]+)+)\b", part.partition("j 380=4")[0])
    known = {name.removeprefix("REASON_").replace("_", "").lower()
             for name in vars(oe) if name.startswith("REASON_")}
    assert len(named) >= 9
    assert {name.lower() for name in named} <= known
