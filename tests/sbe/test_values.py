"""Values of single fields: cases 1 to 12, 17 to 20 and 42 of the list in binary-protocol.md."""

import math
import struct
from typing import Any

import pytest

from sbe.codec import Codec
from sbe.errors import EncodeError, SchemaError
from sbe.layout import Schema
from tests.sbe.kit import check, codec, compiled, features, field_bytes, own

NULLS = {
    "int8": "80",
    "int16": "0080",
    "int32": "00000080",
    "int64": "0000000000000080",
    "uint8": "ff",
    "uint16": "ffff",
    "uint32": "ffffffff",
    "uint64": "ffffffffffffffff",
    "char": "00",
    "float": "0000c07f",
    "double": "000000000000f87f",
}


def one_field(kind: str, types: str = "", presence: str = "") -> Schema:
    extra = f' presence="{presence}"' if presence else ""
    field = f'<field name="x" id="1" type="{kind}"{extra}/>'
    return own(f'<message name="M" id="1">{field}</message>', types)


def decode(schema: Schema, body: str) -> Any:
    """The value of the only field, from the hex of the block."""
    header = struct.pack("<HHHH", len(body) // 2, 1, 5, 0)
    return Codec(schema).decode(header + bytes.fromhex(body))[1]["x"]


def problems(schema: Schema, body: str) -> list[str]:
    header = struct.pack("<HHHH", len(body) // 2, 1, 5, 0)
    return Codec(schema).validate(header + bytes.fromhex(body))


@pytest.mark.parametrize(("kind", "null"), NULLS.items())
def test_case_01_null_of_each_type(kind: str, null: str) -> None:
    assert field_bytes(kind, None, presence="optional") == null
    assert decode(one_field(kind, presence="optional"), null) is None


@pytest.mark.parametrize("kind", ["float", "double"])
def test_case_02_any_nan_is_null_and_infinity_is_a_value(kind: str) -> None:
    schema = one_field(kind, presence="optional")
    width = 4 if kind == "float" else 8
    # Quiet, quiet with a payload and a sign, signalling.
    high = {4: ("7fc00000", "ffc0beef", "7fa00001"), 8: ("7ff80000", "fff8beef", "7ff40001")}[width]
    for pattern in high:
        big_endian = pattern.ljust(2 * width, "0")
        assert decode(schema, bytes.fromhex(big_endian)[::-1].hex()) is None
    assert field_bytes(kind, math.inf) == struct.pack("<" + kind[0], math.inf).hex()
    assert decode(schema, field_bytes(kind, -math.inf)) == -math.inf


def test_case_03_range_defaults_bind_the_encoder_and_are_told_by_the_decoder() -> None:
    for kind, outside in (("int8", -128), ("uint8", 255), ("uint64", 2**64 - 1)):
        with pytest.raises(EncodeError, match="null"):
            field_bytes(kind, outside)
    with pytest.raises(EncodeError, match="is not in 32 to 126"):
        field_bytes("char", "\x1f")
    assert field_bytes("char", "~") == "7e"
    percent = '<type name="Percent" primitiveType="int16" minValue="-100" maxValue="100"/>'
    with pytest.raises(EncodeError, match="101 is not in -100 to 100"):
        field_bytes("Percent", 101, percent)
    schema = one_field("Percent", percent)
    assert decode(schema, "6500") == 101
    assert problems(schema, "6500") == ["M.x: is not in -100 to 100: 101"]
    assert problems(schema, "6400") == []


@pytest.mark.parametrize(("null", "stands_for_null"), [(0, "00000000"), (2147483647, "ffffff7f")])
def test_case_04_a_custom_null_replaces_the_default(null: int, stands_for_null: str) -> None:
    own_null = f'<type name="T" primitiveType="int32" presence="optional" nullValue="{null}"/>'
    schema = one_field("T", own_null)
    assert field_bytes("T", None, own_null) == stands_for_null
    assert decode(schema, stands_for_null) is None
    assert decode(schema, "00000080") == -(2**31)
    assert problems(schema, "00000080") == ["M.x: is not in -2147483647 to 2147483647: -2147483648"]


def test_case_05_optional_on_the_type_the_field_or_both() -> None:
    optional = '<type name="T" primitiveType="uint16" presence="optional"/>'
    plain = '<type name="T" primitiveType="uint16"/>'
    for types, presence in ((optional, ""), (plain, "optional"), (optional, "optional")):
        assert field_bytes("T", None, types, presence) == "ffff"
    constant = '<type name="T" primitiveType="uint16" presence="constant">7</type>'
    with pytest.raises(SchemaError, match="presence: optional here, but constant by type T"):
        one_field("T", constant, "optional")
    with pytest.raises(SchemaError, match="presence: constant here, but optional by type T"):
        one_field("T", optional, "constant")


@pytest.mark.parametrize(
    ("attributes", "rule"),
    [
        ('nullValue="0"', "null-value: nullValue on a required type"),
        ('presence="optional" nullValue="65536"', "null-value: nullValue 65536 does not fit"),
    ],
)
def test_case_06_null_values_that_are_schema_errors(attributes: str, rule: str) -> None:
    types = f'<type name="T" primitiveType="uint16" {attributes}/>'
    with pytest.raises(SchemaError, match=rule):
        one_field("T", types)


def test_case_06_restating_the_default_null_changes_nothing() -> None:
    types = '<type name="T" primitiveType="uint16" nullValue="65535"/>'
    assert field_bytes("T", 5, types) == "0500"


def test_case_07_required_field_that_holds_null() -> None:
    for kind, null in NULLS.items():
        with pytest.raises(EncodeError, match="required, was null"):
            field_bytes(kind, None)
        value = decode(one_field(kind), null)
        assert value is not None
        assert problems(one_field(kind), null) == ["M.x: is null, but required"]


def test_case_08_an_optional_composite_is_null_by_its_first_member() -> None:
    decimal = """<composite name="D"><type name="mantissa" primitiveType="int64"/>
        <type name="exponent" primitiveType="int8"/></composite>"""
    schema = one_field("D", decimal, "optional")
    assert decode(schema, "0000000000000080" + "03") is None
    price = """<composite name="P"><type name="mantissa" primitiveType="int64"/>
        <type name="exponent" primitiveType="int8" presence="constant">-8</type></composite>"""
    assert field_bytes("P", {"mantissa": 5}, price) == "0500000000000000"
    assert decode(one_field("P", price), "0500000000000000") == {"mantissa": 5, "exponent": -8}


def test_case_09_decimal_with_both_parts_on_the_wire() -> None:
    decimal = """<composite name="D"><type name="mantissa" primitiveType="int64"/>
        <type name="exponent" primitiveType="int8"/></composite>"""
    assert field_bytes("D", {"mantissa": 12345, "exponent": -2}, decimal) == "3930000000000000fe"
    assert field_bytes("D", None, decimal, "optional") == "000000000000008080"


CHARS = '<type name="C" primitiveType="char" length="4"{}/>'


def test_case_10_fixed_characters() -> None:
    plain = CHARS.format("")
    assert field_bytes("C", "AB", plain) == "41420000"
    assert field_bytes("C", "ABCD", plain) == "41424344"
    assert decode(one_field("C", plain), "41004243") == "A"  # from the first NUL, not the last
    assert decode(one_field("C", plain), "41424344") == "ABCD"
    with pytest.raises(EncodeError, match="5 bytes, at most 4"):
        field_bytes("C", "ABCDE", plain)
    with pytest.raises(EncodeError, match="ascii"):
        field_bytes("C", "é", plain)
    latin = CHARS.format(' characterEncoding="ISO-8859-1"')
    assert field_bytes("C", "éüßA", latin) == "e9fcdf41"
    utf = CHARS.format(' characterEncoding="UTF-8"')
    assert field_bytes("C", "éü", utf) == "c3a9c3bc"
    with pytest.raises(EncodeError, match="5 bytes, at most 4"):
        field_bytes("C", "éüA", utf)


def test_case_10_an_encoding_of_wide_units_ends_at_a_wide_nul() -> None:
    wide = '<type name="C" primitiveType="char" length="8" characterEncoding="UTF-16LE"{}/>'
    plain = wide.format("")
    assert field_bytes("C", "AĀ", plain) == "4100000100000000"
    assert decode(one_field("C", plain), "4100000100000000") == "AĀ"
    optional = wide.format(' presence="optional"')
    assert decode(one_field("C", optional), "0001000000000000") == "Ā"
    assert decode(one_field("C", optional), "0000010000000000") is None
    for none_of_text in ("hex", "base64", "nonsense"):
        with pytest.raises(SchemaError, match="character-encoding"):
            one_field("C", plain.replace("UTF-16LE", none_of_text))


@pytest.mark.parametrize("order", ["little", "big"])
def test_case_11_numeric_arrays(order: str) -> None:
    types = """<type name="T" primitiveType="int16" length="3"/>
        <type name="H" primitiveType="uint8" length="4"/>
        <type name="F" primitiveType="float" length="2"/>"""
    fields = """<field name="t" id="1" type="T" presence="optional"/>
        <field name="h" id="2" type="H"/><field name="f" id="3" type="F"/>"""
    schema = own(f'<message name="M" id="1">{fields}</message>', types, order=order)
    values = {"t": [1, None, -3], "h": b"\1\2\3\4", "f": [1.5, -0.0]}
    data = Codec(schema).encode("M", values)
    mark = "<" if order == "little" else ">"
    assert data[8:14] == struct.pack(mark + "hhh", 1, -(2**15), -3)
    assert data[14:18] == b"\1\2\3\4"
    assert data[18:] == struct.pack(mark + "ff", 1.5, -0.0)
    assert Codec(schema).decode(data)[1] == values


def test_case_12_constants_take_no_bytes_and_refuse_other_values() -> None:
    data = codec().encode("Constants", {"after": 7})
    assert data[8:].hex() == "0700"
    fixed = {"venue": "XEUR", "number": -12345, "letter": "Z", "sell": "Sell", "unit": 9}
    assert codec().decode(data)[1] == {**fixed, "after": 7}
    raw = Codec(features(), raw=True).decode(data)[1]
    assert raw["sell"] == 50
    assert compiled(features()).CONSTANTS_SELL == 50
    assert codec().encode("Constants", {**fixed, "after": 7}) == data
    for name, other in (("venue", "XETR"), ("number", 1), ("letter", "Y"), ("sell", "Buy")):
        with pytest.raises(EncodeError, match="constant"):
            codec().encode("Constants", {"after": 7, name: other})


def test_case_12_a_constant_by_reference_fits_its_type() -> None:
    side = """<enum name="Side" encodingType="char"><validValue name="Sell">2</validValue></enum>
        <enum name="Wide" encodingType="uint16"><validValue name="Far">300</validValue></enum>
        <type name="T" primitiveType="char" presence="constant" valueRef="Side.Sell"/>
        <composite name="C"><type name="m" primitiveType="int8"/></composite>"""
    schema = one_field("T", side)
    assert decode(schema, "") == "2"
    for given in ("2", 50, None):
        assert Codec(schema).encode("M", {"x": given})[8:] == b""
    for kind, value in (("C", "Side.Sell"), ("uint8", "Wide.Far")):
        field = f'<field name="x" id="1" type="{kind}" presence="constant" valueRef="{value}"/>'
        with pytest.raises(SchemaError, match="constant"):
            own(f'<message name="M" id="1">{field}</message>', side)


def test_case_12_a_constant_longer_than_its_length_is_a_schema_error() -> None:
    with pytest.raises(SchemaError, match="constant: 'XEUR' is longer than 3"):
        own("", '<type name="T" primitiveType="char" length="3" presence="constant">XEUR</type>')


CHOICES: dict[str, Any] = {
    "side": "Buy", "flag": "T", "small": "minus", "middle": "high", "large": "low",
    "set8": [], "set16": [], "set32": [], "set64": [],
}  # fmt: skip


def test_case_17_enums_of_every_width() -> None:
    data = codec().encode("Choices", CHOICES)
    assert data[8:17].hex() == "3101ff" + "e8fd" + "006cca88"
    body = bytearray(data)
    body[8], body[10] = ord("7"), 5
    decoded = codec().inspect(bytes(body))
    assert decoded.fields["side"] == ord("7")
    assert decoded.fields["small"] == 5
    assert [p.split(":")[:2] for p in decoded.problems] == [
        ["Choices.side", " is unknown"], ["Choices.small", " is unknown"],
    ]  # fmt: skip
    assert check(features(), bytes(body)) == 0
    with pytest.raises(EncodeError, match="Side has no value 'Hold'"):
        codec().encode("Choices", {**CHOICES, "side": "Hold"})
    with pytest.raises(EncodeError, match="Side has no value 55"):
        codec().encode("Choices", {**CHOICES, "side": 55})


def test_case_18_boolean_with_null() -> None:
    boolean = """<enum name="B" encodingType="uint8"><validValue name="F">0</validValue>
        <validValue name="T">1</validValue></enum>"""
    schema = one_field("B", boolean, "optional")
    for value, wire in (("F", "00"), ("T", "01"), (None, "ff")):
        assert field_bytes("B", value, boolean, "optional") == wire
        assert decode(schema, wire) == value


@pytest.mark.parametrize("order", ["little", "big"])
def test_case_19_sets(order: str) -> None:
    values = {**CHOICES, "set64": ["b0", "b31", "b32", "b63"], "set16": ["b15"]}
    data = codec(order).encode("Choices", values)
    wide = bytes.fromhex("0100008001000080")
    assert data[24:] == (wide if order == "little" else wide[::-1])
    assert data[18:20] == (b"\0\x80" if order == "little" else b"\x80\0")
    unknown = bytearray(data)
    unknown[17] = 0b0010_0001
    decoded = codec(order).inspect(bytes(unknown))
    assert decoded.fields["set8"] == ["b0", 5]
    assert decoded.problems == ["Choices.set8: has unknown bits: 0x20"]
    assert Codec(features(order), strict=False).encode("Choices", decoded.fields) == unknown
    with pytest.raises(EncodeError, match="no choice 5"):
        codec(order).encode("Choices", decoded.fields)
    with pytest.raises(EncodeError, match="no bits 0x20"):
        codec(order).encode("Choices", {**values, "set8": 0x20})


def test_case_20_big_endian_everywhere_but_in_bytes() -> None:
    fields = {"number": 1, "outer": [], "tail": [{"value": 9}], "first": b"ab", "second": "é"}
    assert codec("big").encode("Nested", fields).hex() == (
        "0002000b004d0003"  # header
        "0001"  # number
        "00040000"  # outer: entries of four bytes, none of them
        "0001000100000000"
        "09"  # tail: one entry of one byte
        "00026162"  # first
        "00000001e9"  # second
    )
    floats = own(
        '<message name="M" id="1"><field name="x" id="1" type="double"/></message>', order="big"
    )
    assert Codec(floats).encode("M", {"x": 1.5})[8:] == struct.pack(">d", 1.5)


@pytest.mark.parametrize("order", ["little", "big"])
def test_case_42_wide_numbers_never_pass_through_a_float(order: str) -> None:
    fields = {
        "a": "x", "b": 1, "c": 1, "d": 1, "e": 2**63 - 1, "f": 1, "g": 1, "h": 1,
        "i": 2**64 - 2, "j": -0.0, "k": 5e-324,
    }  # fmt: skip
    data = codec(order).encode("Primitives", fields)
    decoded = codec(order).decode(data)[1]
    assert decoded["i"] == 2**64 - 2
    assert math.copysign(1, decoded["j"]) == -1
    assert decoded["k"] == 5e-324
