"""Two versions of one schema talking to each other: cases 30 to 37."""

import re
import struct

import pytest

from sbe import outcomes
from sbe.codec import Codec
from sbe.compatibility import compare
from sbe.errors import DecodeError
from sbe.layout import Schema
from tests.sbe.kit import Bytes, check, compiled, features, own

HEX = "<HHHH"

BASE = """<field name="a" id="1" type="uint32"/>{fields}
    <group name="g" id="20"><field name="x" id="1" type="uint8"/>{entry}</group>{groups}
    {data}"""


def version(
    number: int, fields: str = "", entry: str = "", groups: str = "", data: str = ""
) -> Schema:
    body = BASE.format(fields=fields, entry=entry, groups=groups, data=data)
    return own(f'<message name="M" id="1">{body}</message>', version=number)


V0 = version(0, data='<data name="d" id="30" type="varData"/>')
WIDER = '<field name="b" id="2" type="int16" sinceVersion="1" presence="{}"/>'
V1 = version(1, fields=WIDER.format("optional"), data='<data name="d" id="30" type="varData"/>')
V1_REQUIRED = version(
    1, fields=WIDER.format("required"), data='<data name="d" id="30" type="varData"/>'
)
V2_ENTRY = version(
    2,
    entry='<field name="y" id="2" type="int32" sinceVersion="2" presence="optional"/>',
    data='<data name="d" id="30" type="varData"/>',
)
V3_GROUP = version(
    3,
    groups='<group name="h" id="21" sinceVersion="3"><field name="z" id="1" type="uint8"/></group>',
    data='<data name="d" id="30" type="varData"/>',
)
V4_DATA = version(
    4,
    data='<data name="d" id="30" type="varData"/><data name="e" id="31" type="varData"'
    ' sinceVersion="4"/>',
)
OLD_FIELDS = {"a": 7, "g": [{"x": 1}, {"x": 2}], "d": b"dd"}


def test_case_30_old_decoder_skips_fields_it_does_not_know() -> None:
    data = Codec(V1).encode("M", {**OLD_FIELDS, "b": 5})
    assert Codec(V0).decode(data)[1] == OLD_FIELDS
    assert check(V0, data) == 0


def test_case_31_new_decoder_reads_old_data() -> None:
    data = Codec(V0).encode("M", OLD_FIELDS)
    assert Codec(V1).decode(data)[1] == {**OLD_FIELDS, "b": None}
    decoded = Codec(V1_REQUIRED).inspect(data)
    assert "b" not in decoded.fields
    assert decoded.absent == ["M.b"]
    assert Codec(V3_GROUP).decode(data)[1] == {**OLD_FIELDS, "h": []}
    assert Codec(V4_DATA).decode(data)[1] == {**OLD_FIELDS, "e": b""}
    for schema in (V1, V1_REQUIRED, V2_ENTRY, V3_GROUP, V4_DATA):
        assert check(schema, data) == 0


def test_case_31_compiled_accessors_give_null_and_never_zero() -> None:
    held = Bytes(Codec(V0).encode("M", OLD_FIELDS))
    module = compiled(V1)
    assert module.m_b(held.address + 8) == module.M_B_NULL == -(2**15)
    held = Bytes(Codec(V1).encode("M", {**OLD_FIELDS, "b": 5}))
    assert module.m_b(held.address + 8) == 5


def test_case_32_a_field_added_inside_a_group_entry() -> None:
    new = Codec(V2_ENTRY).encode("M", {"a": 7, "g": [{"x": 1, "y": 9}, {"x": 2}], "d": b"dd"})
    assert Codec(V0).decode(new)[1] == OLD_FIELDS
    assert check(V0, new) == 0
    old = Codec(V0).encode("M", OLD_FIELDS)
    assert Codec(V2_ENTRY).decode(old)[1]["g"] == [{"x": 1, "y": None}, {"x": 2, "y": None}]
    module = compiled(V2_ENTRY)
    for data, expected in ((old, module.M_G_Y_NULL), (new, 9)):
        held = Bytes(data)
        entry = module.after_block(held.address + 8) + module.M_G_HEADER_SIZE
        assert module.m_g_y(entry, module.header_version(held.address)) == expected


def test_case_33_a_group_in_front_of_data_is_the_trap() -> None:
    data = Codec(V3_GROUP).encode("M", {**OLD_FIELDS, "h": [{"z": 5}]})
    read = Codec(V0).inspect(data)
    assert read.fields["d"] != b"dd"  # inherent: the dimension was read as the length
    assert read.end < len(data)  # but the frame tells
    assert compiled(V0).measure(Bytes(data).address, len(data)) == read.end
    assert "group-before-data" in [f.rule for f in compare(V0, V3_GROUP) if f.level == "error"]


def test_case_33_the_frame_tells_even_where_versions_are_equal() -> None:
    data = Codec(V3_GROUP).encode("M", {**OLD_FIELDS, "h": [{"z": 5}]})
    disguised = data[:6] + b"\0\0" + data[8:]
    with pytest.raises(DecodeError, match="trailing-bytes"):
        Codec(V0).decode(disguised)
    assert check(V0, disguised) == outcomes.ERROR_TRAILING_BYTES


def test_case_34_new_data_at_the_end_is_a_tail_to_the_old() -> None:
    data = Codec(V4_DATA).encode("M", {**OLD_FIELDS, "e": b"eee"})
    assert Codec(V0).decode(data)[1] == OLD_FIELDS
    assert check(V0, data) == 0
    findings = compare(V0, V4_DATA)
    assert [(f.level, f.rule) for f in findings] == [("warning", "needs-framing")]


def test_case_35_blocks_longer_and_shorter_than_their_version() -> None:
    data = Codec(V0).encode("M", OLD_FIELDS)
    longer = struct.pack("<H", 6) + data[2:12] + b"\xee\xee" + data[12:]
    assert Codec(V0).decode(longer)[1] == OLD_FIELDS
    assert check(V0, longer) == 0
    shorter = struct.pack("<H", 3) + data[2:11] + data[12:]
    with pytest.raises(DecodeError, match="block-length: M has 3 bytes, its fields take 4"):
        Codec(V0).decode(shorter)
    assert check(V0, shorter) == outcomes.ERROR_BLOCK_LENGTH
    # A sender of version 1 may not leave out what version 1 has.
    claims_newer = data[:6] + b"\1\0" + data[8:]
    assert check(V1, claims_newer) == outcomes.ERROR_BLOCK_LENGTH
    with pytest.raises(DecodeError, match="block-length"):
        Codec(V1).decode(claims_newer)


def test_case_35_leniently_the_optional_fields_that_were_cut_off_are_null() -> None:
    fields = """<field name="a" id="1" type="uint16"/>
        <field name="b" id="2" type="uint16" presence="optional"/>
        <field name="c" id="3" type="uint16" presence="optional"/>"""
    entry = f'<group name="g" id="4" dimensionType="groupSizeEncoding">{fields}</group>'
    codec = Codec(own(f'<message name="M" id="1">{fields}{entry}</message>'))
    # b ends in the middle, c is gone; so it is in the entry, where all but a is.
    data = struct.pack("<HHHHHB", 3, 1, 5, 0, 7, 1) + struct.pack("<HHH", 2, 1, 9)
    with pytest.raises(DecodeError, match="block-length"):
        codec.inspect(data)
    cut = {"b": None, "c": None}
    assert codec.inspect(data, lenient=True).fields == {"a": 7, **cut, "g": [{"a": 9, **cut}]}
    without_a = struct.pack("<HHHHB", 1, 1, 5, 0, 7) + struct.pack("<HH", 2, 0)
    with pytest.raises(DecodeError, match="block-length: M has 1 bytes, its fields take 2"):
        codec.inspect(without_a, lenient=True)


def test_case_36_unknown_templates_and_schemas() -> None:
    unknown = struct.pack(HEX, 0, 99, 5, 9)
    assert check(V0, unknown) == outcomes.ERROR_TEMPLATE
    with pytest.raises(DecodeError, match="template: no message has template 99"):
        Codec(V0).decode(unknown)
    foreign = struct.pack(HEX, 0, 99, 6, 0)
    assert check(V0, foreign) == outcomes.ERROR_SCHEMA
    with pytest.raises(DecodeError, match="schema: schema 6, expected 5"):
        Codec(V0).decode(foreign)


def test_case_37_deprecated_and_younger_values_still_decode() -> None:
    codec = Codec(features())
    choices = {
        "side": "Buy", "flag": "T", "small": "minus", "middle": "high", "large": "high",
    }  # fmt: skip
    assert codec.decode(codec.encode("Choices", choices))[1]["large"] == "high"
    enum = next(t for t in features().types if t.name == "Large")
    high = enum.choices[1]  # type: ignore[union-attr]
    assert (high.since, high.deprecated) == (2, 3)


def test_a_field_that_grew_a_message_in_steps() -> None:
    """Every version of `Grown` as its sender would have written it, read by version 3."""
    codec, module = Codec(features()), compiled(features())
    full = {
        "base": 1, "one": 2, "two": 3, "name": "abc", "three": ["b7"],
        "legs": [{"leg": 4, "ratio": 5}], "young": [{"value": 6}],
    }  # fmt: skip
    newest = codec.encode("Grown", full)
    assert check(features(), newest) == 0
    ends = {0: 4, 1: 6, 2: 22, 3: 23}
    for number, end in ends.items():
        stride = 5 if number >= 2 else 1
        legs = struct.pack("<HH", stride, 1) + newest[8 + 23 + 4 :][:stride]
        young = newest[8 + 23 + 4 + 5 :] if number >= 3 else b""
        header = struct.pack(HEX, end, 12, 77, number)
        data = header + newest[8 : 8 + end] + legs + young
        assert check(features(), data) == 0
        fields = codec.decode(data)[1]
        assert fields["one"] == (2 if number >= 1 else None)
        assert fields.get("two") == (3 if number >= 2 else None)
        assert fields["young"] == ([{"value": 6}] if number >= 3 else [])
        held = Bytes(data)
        assert module.grown_one(held.address + 8) == (2 if number >= 1 else 65535)
        assert module.grown_two(held.address + 8) == (3 if number >= 2 else -(2**63))
        assert (module.grown_name_address(held.address + 8) == 0) is (number < 2)
        assert check(features(), data[:-1]) != 0
        shorter = re.sub(rb"^..", struct.pack("<H", end - 1), data, flags=re.S)
        assert check(features(), shorter) == outcomes.ERROR_BLOCK_LENGTH
