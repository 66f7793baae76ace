"""What the compatibility linter lets through, warns of, and refuses."""

import pytest

from sbe.compatibility import compare
from sbe.layout import Schema
from tests.sbe.kit import own

TYPES = """<enum name="E" encodingType="uint8"><validValue name="a">1</validValue></enum>
    <set name="S" encodingType="uint8"><choice name="a">0</choice></set>
    <composite name="C"><type name="x" primitiveType="int32"/></composite>
    <composite name="other"><type name="blockLength" primitiveType="uint16"/>
    <type name="numInGroup" primitiveType="uint8"/></composite>
    <type name="Text" primitiveType="char" length="4"/>"""
FIELDS = """<field name="a" id="1" type="uint32"/><field name="e" id="2" type="E"/>
    <field name="s" id="3" type="S"/><field name="c" id="4" type="C"/>
    <field name="t" id="5" type="Text"/>"""
GROUP = '<group name="g" id="10"><field name="x" id="1" type="uint8"/></group>'
DATA = '<data name="d" id="20" type="varData"/>'
MESSAGE = '<message name="M" id="1">{}</message><message name="N" id="2"/>'


def schema(body: str, types: str = TYPES, version: int = 0, extra: str = "") -> Schema:
    return own(MESSAGE.format(body) + extra, types, version)


OLD = schema(FIELDS + GROUP + DATA)
OLD_BARE = schema(FIELDS)


def test_nothing_changed() -> None:
    assert compare(OLD, schema(FIELDS + GROUP + DATA)) == []
    assert compare(OLD, schema(FIELDS + GROUP + DATA, version=1)) == []


YOUNG = ' sinceVersion="1"'
ALLOWED = {
    "a field at the end": FIELDS
    + f'<field name="n" id="6" type="uint8" presence="optional"{YOUNG}/>' + GROUP + DATA,
    "a field at the end of an entry": FIELDS + GROUP.replace(
        "</group>", f'<field name="y" id="2" type="uint8" presence="optional"{YOUNG}/></group>'
    ) + DATA,
    "a deprecated field": FIELDS.replace('"Text"', '"Text" deprecated="1"') + GROUP + DATA,
}  # fmt: skip


@pytest.mark.parametrize("what", ALLOWED)
def test_what_may_change_in_a_message(what: str) -> None:
    assert compare(OLD, schema(ALLOWED[what], version=1)) == []


def test_values_choices_and_messages_may_be_added() -> None:
    types = TYPES.replace("</enum>", f'<validValue name="b"{YOUNG}>2</validValue></enum>').replace(
        "</set>", f'<choice name="b"{YOUNG}>1</choice></set>'
    )
    new = schema(FIELDS + GROUP + DATA, types, 1, f'<message name="O" id="3"{YOUNG}/>')
    assert compare(OLD, new) == []


BROKEN = {
    "group-before-data": FIELDS + GROUP
    + GROUP.replace('"g" id="10"', f'"h" id="11"{YOUNG}') + DATA,
    "field-removed": FIELDS.replace('<field name="t" id="5" type="Text"/>', "") + GROUP + DATA,
    "field-inserted": f'<field name="n" id="6" type="uint8"{YOUNG}/>' + FIELDS + GROUP + DATA,
    "field-moved": FIELDS.replace('"t" id="5"', '"t" id="5" offset="20"') + GROUP + DATA,
    "type": FIELDS.replace('"a" id="1" type="uint32"', '"a" id="1" type="int32"') + GROUP + DATA,
    "presence": FIELDS.replace('type="uint32"', 'type="uint32" presence="optional"') + GROUP + DATA,
    "since-version": FIELDS + '<field name="n" id="6" type="uint8"/>' + GROUP + DATA,
    "group-removed": FIELDS + DATA,
    "data-removed": FIELDS + GROUP,
    "group-in-entry": FIELDS + GROUP.replace(
        "</group>", f'<group name="i" id="3"{YOUNG}/></group>'
    ) + DATA,
    "data-in-entry": FIELDS + GROUP.replace(
        "</group>", f'<data name="i" id="3" type="varData"{YOUNG}/></group>'
    ) + DATA,
    "data-moved": FIELDS + GROUP + f'<data name="n" id="21" type="varData"{YOUNG}/>' + DATA,
    "composite": FIELDS + GROUP.replace('id="10"', 'id="10" dimensionType="other"') + DATA,
    "time-unit": FIELDS.replace('type="uint32"', 'type="uint32" timeUnit="second"') + GROUP + DATA,
}  # fmt: skip


@pytest.mark.parametrize("rule", BROKEN)
def test_what_breaks_a_message(rule: str) -> None:
    if rule == "composite":  # same width on the wire would be needed; uint8 is narrower
        found = compare(OLD, schema(BROKEN[rule], version=1))
        assert "composite" in [f.rule for f in found] or "type" in [f.rule for f in found]
        return
    found = compare(OLD, schema(BROKEN[rule], version=1))
    assert rule in [f.rule for f in found if f.level == "error"]


BROKEN_TYPES = {
    "value-removed": TYPES.replace(">1</validValue>", ">2</validValue>"),
    "choice-removed": TYPES.replace(">0</choice>", ">1</choice>"),
    "composite": TYPES.replace(
        '<type name="x" primitiveType="int32"/>',
        '<type name="x" primitiveType="int32"/><type name="y" primitiveType="int32"/>',
    ),
    "character-encoding": TYPES.replace('length="4"', 'length="4" characterEncoding="ISO-8859-1"'),
}


@pytest.mark.parametrize("rule", BROKEN_TYPES)
def test_what_breaks_a_type(rule: str) -> None:
    found = compare(OLD, schema(FIELDS + GROUP + DATA, BROKEN_TYPES[rule], 1))
    assert rule in [f.rule for f in found if f.level == "error"]


def test_what_breaks_the_schema() -> None:
    removed = own(MESSAGE.format(FIELDS + GROUP + DATA).split('<message name="N"')[0], TYPES, 1)
    assert [f.rule for f in compare(OLD, removed)] == ["message-removed"]
    big = own(MESSAGE.format(FIELDS + GROUP + DATA), TYPES, 1, "big")
    assert [f.rule for f in compare(OLD, big)] == ["byte-order"]
    grown = schema(FIELDS + '<field name="n" id="6" type="uint8"/>' + GROUP + DATA)
    assert "version" in [f.rule for f in compare(OLD, grown)]
    back = compare(schema(FIELDS, version=1), schema(FIELDS))
    assert [f.rule for f in back] == ["version"]


def test_growth_at_the_end_needs_a_frame() -> None:
    group = GROUP.replace('id="10"', f'id="10"{YOUNG}')
    found = compare(OLD_BARE, schema(FIELDS + group, version=1))
    assert [(f.level, f.rule) for f in found] == [("warning", "needs-framing")]


def test_a_new_required_field_and_a_new_name_are_warned_of() -> None:
    body = FIELDS.replace('"t"', '"text"') + f'<field name="n" id="6" type="uint8"{YOUNG}/>'
    found = compare(OLD, schema(body + GROUP + DATA, version=1))
    assert [(f.level, f.rule) for f in found] == [
        ("warning", "renamed"),
        ("warning", "new-required"),
    ]
