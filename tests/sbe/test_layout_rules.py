"""Schemas to layouts: cases 13 to 16, 21 to 23, 43 and 44, and that errors name line and rule."""

import struct
from pathlib import Path

import pytest

from sbe.codec import Codec
from sbe.errors import SchemaError
from sbe.parser import load, loads
from tests.sbe.kit import Bytes, check, codec, compiled, features, own, schema_text, wide_header


def message(body: str, attributes: str = "") -> str:
    return f'<message name="M" id="1" {attributes}>{body}</message>'


def test_case_13_gaps_between_fields_are_zero_and_ignored() -> None:
    gaps = features().message("Gaps")
    assert gaps is not None
    assert [(f.offset, f.size) for f in gaps.fields] == [(3, 8), (21, 2), (23, 1)]
    fields = {"odd": 2**64 - 2, "far": -1, "next": 7, "padded": []}
    data = codec().encode("Gaps", fields)
    assert data[8:11] == bytes(3)
    assert data[19:29] == bytes(10)
    dirty = bytearray(data)
    dirty[8:11] = b"\xff\xff\xff"
    dirty[19:29] = b"\xee" * 10
    assert codec().decode(bytes(dirty))[1] == fields
    overlap = (
        '<field name="a" id="1" type="uint32"/><field name="b" id="2" type="uint8" offset="3"/>'
    )
    with pytest.raises(SchemaError, match="overlap: b at 3 overlaps what ends at 4"):
        own(message(overlap))
    with pytest.raises(
        SchemaError, match="block-length: blockLength 3 of M, but its fields take 4"
    ):
        own(message('<field name="a" id="1" type="uint32"/>', 'blockLength="3"'))


def test_case_14_padding_at_the_end_of_a_message() -> None:
    fields = '<field name="a" id="1" type="uint32"/><group name="g" id="2">{}</group>'
    schema = own(
        message(fields.format('<field name="b" id="1" type="uint8"/>'), 'blockLength="120"')
    )
    data = Codec(schema).encode("M", {"a": 1, "g": [{"b": 9}]})
    assert struct.unpack_from("<H", data) == (120,)
    assert data[8 + 120 :] == struct.pack("<HHB", 1, 1, 9)


def test_case_15_composites_with_offsets_refs_and_composites_inside() -> None:
    composites = features().message("Composites")
    assert composites is not None
    places = {f.name: (f.offset, f.size) for f in composites.fields}
    assert places["gapped"][1] == 11
    assert places["money"][1] == 3 + 1 + 9 + 1
    gapped = {"a": 1, "b": 2, "direction": "down", "flags": ["high"]}
    money = {"currency": "USD", "amount": {"mantissa": 5, "exponent": -2}, "side": "Sell"}
    fields = {
        "plain": {"mantissa": 1, "exponent": 0}, "price": None, "money": money,
        "gapped": gapped, "stamp": {"time": 3}, "maybe": None,
    }  # fmt: skip
    data = codec().encode("Composites", fields)
    offset = 8 + places["money"][0]
    assert data[offset : offset + 14] == b"USD\0" + struct.pack("<qbc", 5, -2, b"2")
    offset = 8 + places["gapped"][0]
    assert data[offset : offset + 11].hex() == "0100000002000000000280"
    assert codec().decode(data)[1]["gapped"] == gapped


INVALID = {
    "cyclic-reference": '<composite name="A"><ref name="b" type="A"/></composite>',
    "undefined-type": '<composite name="A"><ref name="b" type="B"/></composite>',
    "duplicate-type": '<type name="A" primitiveType="int8"/><type name="A" primitiveType="int8"/>',
    "valid-value": """<enum name="A" encodingType="uint8"><validValue name="x">256</validValue>
        </enum>""",
    "choice": '<set name="A" encodingType="uint8"><choice name="x">8</choice></set>',
    "encoding-type": '<set name="A" encodingType="int8"><choice name="x">1</choice></set>',
    "value": '<enum name="A" encodingType="char"><validValue name="x">12</validValue></enum>',
    "character-encoding": '<type name="A" primitiveType="char" characterEncoding="klingon"/>',
    "composite": '<composite name="A"/>',
    "element": '<composite name="A"><data name="x" type="varData" id="1"/></composite>',
    "number": '<type name="A" primitiveType="char" length="-1"/>',
    "missing-attribute": '<type name="A"/>',
    "name": '<type name="1A" primitiveType="char"/>',
    "constant": '<type name="A" primitiveType="int8" presence="constant"/>',
    "too-long": """<composite name="A"><type name="x" primitiveType="uint8"
        offset="99999999999999999999"/></composite>""",
    "value-ref": """<composite name="A"><type name="x" primitiveType="uint8" presence="constant"
        valueRef="No.Where"/></composite>""",
}  # fmt: skip
INVALID_MESSAGES = {
    "duplicate-message-id": '<message name="M" id="1"/><message name="N" id="1"/>',
    "duplicate-message-name": '<message name="M" id="1"/><message name="M" id="2"/>',
    "duplicate-field-id": message(
        '<field name="a" id="1" type="int8"/><field name="b" id="1" type="int8"/>'
    ),
    "duplicate-name": message(
        '<field name="a" id="1" type="int8"/><field name="a" id="2" type="int8"/>'
    ),
    "element": message('<feild name="a" id="1" type="int8"/>'),
    "order": message('<group name="g" id="1"/><field name="a" id="2" type="int8"/>'),
    "since-version": message('<field name="a" id="1" type="int8" sinceVersion="1"/>'),
    "dimension": message('<group name="g" id="1" dimensionType="messageHeader"/>'),
    "var-data": message('<data name="d" id="1" type="groupSizeEncoding"/>'),
}


@pytest.mark.parametrize("rule", INVALID)
def test_case_16_invalid_types(rule: str) -> None:
    with pytest.raises(SchemaError) as caught:
        own("", INVALID[rule])
    assert caught.value.rule == rule


@pytest.mark.parametrize("rule", INVALID_MESSAGES)
def test_case_16_invalid_messages(rule: str) -> None:
    with pytest.raises(SchemaError) as caught:
        own(INVALID_MESSAGES[rule])
    assert caught.value.rule == rule


def test_what_a_venue_adds_under_a_prefix_of_its_own_is_passed_over() -> None:
    field = '<field name="a" id="1" type="int8"/>'
    note = '<mbx:note xmlns:mbx="urn:venue">of no concern</mbx:note>'
    types = f'<composite name="A">{note}<type name="x" primitiveType="int8"/></composite>'
    assert own(message(note + field), types).messages[0].block_length == 1


def test_case_16_data_before_a_group_and_a_longer_cycle() -> None:
    with pytest.raises(SchemaError, match="order: a group after a data"):
        own(message('<data name="d" id="1" type="varData"/><group name="g" id="2"/>'))
    cycle = """<composite name="A"><ref name="b" type="B"/></composite>
        <composite name="B"><ref name="a" type="A"/></composite>"""
    with pytest.raises(SchemaError, match="cyclic-reference: A -> B -> A"):
        own("", cycle)


def test_errors_name_file_and_line(tmp_path: Path) -> None:
    broken = tmp_path / "broken.xml"
    broken.write_text(
        schema_text('\n\n<message name="M" id="1">\n<field name="a" id="1"/></message>')
    )
    with pytest.raises(SchemaError) as caught:
        load(broken)
    lines = broken.read_text().splitlines()
    assert "<field" in lines[caught.value.line - 1]
    assert str(caught.value).startswith(f"{broken}:{caught.value.line}: missing-attribute: ")
    broken.write_text("<messageSchema>\n<types>\n</messageSchema>")
    with pytest.raises(SchemaError, match=r"broken.xml:3: xml: mismatched tag"):
        load(broken)
    with pytest.raises(SchemaError, match="file: "):
        load(tmp_path / "none.xml")


def test_case_21_header_size_and_offsets_come_from_its_composite() -> None:
    schema = wide_header()
    assert schema.header.size == 1 + 1 + 4 + 1 + 1 + 2 + 2 + 4 + 8
    fields = {"id": 1, "symbol": "ABC", "ratio": 0.5, "legs": [], "text": ""}
    data = Codec(schema).encode("Order", fields, {"seqNum": 99})
    assert data[:24].hex() == "0500" + "00000023" + "01" + "c9" + "0001" + "0001" + "00000063" + (
        "8000000000000000"
    )
    decoded = Codec(schema).inspect(data)
    assert decoded.header["protocol"] == 7
    assert decoded.extra_header == {"protocol": 7, "seqNum": 99, "sendingTime": None}
    assert compiled(schema).HEADER_SIZE == 24
    held = Bytes(bytes(24))
    compiled(schema).write_order_header(held.address)
    assert bytes(held)[:12] == data[:12]


def test_case_21_a_header_without_its_members_is_a_schema_error() -> None:
    text = schema_text("").replace('<type name="version" primitiveType="uint16"/>', "")
    with pytest.raises(SchemaError, match="header: composite messageHeader has no member version"):
        loads(text)
    with pytest.raises(SchemaError, match="header: no composite frame"):
        loads(schema_text("").replace("<messageSchema ", '<messageSchema headerType="frame" '))


def test_case_22_messages_without_fields() -> None:
    assert codec().encode("Empty", {}).hex() == "000008004d000300"
    assert codec().decode(bytes.fromhex("000008004d000300")) == ("Empty", {})
    assert codec().encode("OnlyData", {"text": "hi"}).hex() == "000009004d000300" + "026869"


def test_case_23_group_dimensions_of_any_shape() -> None:
    fields = {
        "number": 1, "tiny": [{"value": 5}], "limited": [{"value": 7}],
        "long": [{"value": 1.0, "value2": 2}],
    }  # fmt: skip
    body = codec().encode("Groups", fields)[12:]
    assert body.hex() == (
        "0201" + "0500"  # u8 u8
        + "0100000000000001" + "07"  # u16, padding, u8 at 7: eight bytes
        + "0900000001000000" + "000000000000f03f" + "02"  # u32 u32
    )  # fmt: skip
    nested = codec().encode("Nested", {"number": 1, "tail": [{"value": 9}]})
    assert nested[14:22].hex() == "0100010000000000"  # with counts of groups and data


NAMESPACES = [
    ('<messageSchema {}', "</messageSchema>", "message"),
    ('<sbe:messageSchema xmlns:sbe="http://fixprotocol.io/2016/sbe" {}', "</sbe:messageSchema>",
     "sbe:message"),
    ('<ns2:messageSchema xmlns:ns2="http://www.fixprotocol.org/ns/simple/1.0" {}',
     "</ns2:messageSchema>", "ns2:message"),
    ('<messageSchema xmlns="http://fixprotocol.io/2017/sbe" {}', "</messageSchema>", "message"),
]  # fmt: skip


@pytest.mark.parametrize(("opening", "closing", "tag"), NAMESPACES)
def test_case_43_namespaces_in_use(opening: str, closing: str, tag: str) -> None:
    plain = schema_text('<message name="M" id="1"><field name="a" id="1" type="int8"/></message>')
    text = plain.replace("<messageSchema ", opening.format(""))
    text = text.replace("</messageSchema>", closing)
    text = text.replace("<message ", f"<{tag} ").replace("</message>", f"</{tag}>")
    assert Codec(loads(text)).encode("M", {"a": 1}).hex() == "0100010005000000" + "01"


def test_case_43_includes(tmp_path: Path) -> None:
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "types.xml").write_text(
        '<types><type name="T" primitiveType="int8"/></types>'
    )
    include = '<xi:include xmlns:xi="http://www.w3.org/2001/XInclude" href="{}"/>'
    use = '<message name="M" id="1"><field name="a" id="1" type="T"/></message>'
    main = tmp_path / "main.xml"
    main.write_text(schema_text(include.format("more/types.xml") + use))
    assert load(main).message("M") is not None
    main.write_text(schema_text(use, include.format("more/types.xml")))
    assert load(main).message("M") is not None
    main.write_text(schema_text(include.format("main.xml") + use))
    with pytest.raises(SchemaError, match=r"include: main\.xml includes itself"):
        load(main)
    main.write_text(schema_text(include.format("none.xml") + use))
    with pytest.raises(SchemaError, match=r"include: .*none\.xml: No such file"):
        load(main)


def test_case_43_entities_are_refused() -> None:
    bomb = '<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]>' + schema_text("")
    with pytest.raises(SchemaError, match="entity: entity a declared"):
        loads(bomb)


def test_an_encoding_that_nobody_knows_is_an_error_of_its_file() -> None:
    text = '<?xml version="1.0" encoding="klingon"?>\n' + schema_text("")
    with pytest.raises(SchemaError, match="<text>:1: xml: unknown encoding: klingon"):
        loads(text)


def test_case_43_names_that_python_minds() -> None:
    module = compiled(features())
    held = Bytes(codec().encode("Final", {"class": 1, "Class": 2, "for": -3, "Final": [
        {"class": 4, "count": 5, "lambda4": 6}]}))  # fmt: skip
    root = held.address + 8
    assert [module.final_class(root), module.final_class_2(root), module.final_for(root)] == [
        1,
        2,
        -3,
    ]
    group = module.after_block(root)
    assert module.final_final_count(group) == 1
    entry = group + module.FINAL_FINAL_HEADER_SIZE
    assert module.final_final_class(entry) == 4
    # The group's own count came first, so the field of that name is the second.
    assert module.final_final_count_2(entry) == 5
    assert module.final_final_lambda4(entry) == 6


def test_numbers_must_fit_the_header() -> None:
    long = '<type name="Long" primitiveType="char" length="65536"/>'
    with pytest.raises(SchemaError, match="header: blockLength 65536 does not fit uint16"):
        own(message('<field name="a" id="1" type="Long"/>'), long)
    with pytest.raises(SchemaError, match="header: templateId 65536 does not fit uint16"):
        own('<message name="M" id="65536"/>')


def test_elements_can_t_nest_without_end() -> None:
    with pytest.raises(SchemaError, match="depth: elements nest deeper than 100"):
        loads("<messageSchema>" + "<types>" * 100_000 + "</types>" * 100_000 + "</messageSchema>")


def test_habits_of_published_schemas() -> None:
    """What venues do that a strict reading of the standard would not have."""
    types = """<type name="OptionalByte" primitiveType="uint8" presence="optional" nullValue="0"/>
        <enum name="Account" encodingType="OptionalByte"><validValue name="own">3</validValue>
        </enum>
        <type name="One" primitiveType="uint32" presence="constant">1</type>
        <composite name="blob"><type name="length" primitiveType="uint8"/>
        <type name="varData" primitiveType="int8"/></composite>"""
    body = """<field name="kind" id="1" type="Account" presence="constant" valueRef="Account.own"/>
        <field name="one" id="2" type="One" presence="constant"/>
        <field name="account" id="3" type="Account"/>
        <group name="g" id="3"><field name="x" id="1" type="uint8"/></group>
        <data name="d" id="4" type="blob"/>"""
    schema = own(message(body), types)
    data = Codec(schema).encode("M", {"account": None, "d": b"ab"})
    assert data[8:].hex() == "00" + "01000000" + "026162"
    expected = {"kind": "own", "one": 1, "account": None, "g": [], "d": b"ab"}
    assert Codec(schema).decode(data)[1] == expected
    assert check(schema, data) == 0


def test_descriptions_typed_in_an_office_program(tmp_path: Path) -> None:
    text = schema_text('<message name="M" id="1" description="a – b"/>')
    path = tmp_path / "office.xml"
    path.write_bytes(b'<?xml version="1.0" encoding="UTF-8"?>' + text.encode("cp1252"))
    assert load(path).messages[0].description == "a – b"
    path.write_bytes(b'<?xml version="1.0" encoding="ISO-8859-1"?>' + text.encode("cp1252"))
    assert load(path).messages[0].name == "M"


def test_a_field_of_variable_length_is_a_schema_error() -> None:
    with pytest.raises(SchemaError, match="length: field a has a variable length"):
        own(message('<field name="a" id="1" type="varData"/>'))


def test_case_44_timestamps() -> None:
    stamp = """<enum name="U" encodingType="uint8"><validValue name="ns">9</validValue></enum>
        <composite name="Stamp"><type name="time" primitiveType="uint64" timeUnit="nanosecond"
        epoch="unix"/><type name="unit" primitiveType="uint8" presence="constant" valueRef="U.ns"/>
        </composite>"""
    schema = own(message('<field name="at" id="1" type="Stamp" epoch="midnight"/>'), stamp)
    data = Codec(schema).encode("M", {"at": {"time": 5}})
    assert data[8:].hex() == "0500000000000000"
    assert Codec(schema).decode(data)[1] == {"at": {"time": 5, "unit": 9}}
    field = schema.messages[0].fields[0]
    assert field.epoch == "midnight"
    member = schema.messages[0].fields[0].type.members[0]  # type: ignore[union-attr]
    assert (member.time_unit, member.epoch) == ("nanosecond", "unix")
