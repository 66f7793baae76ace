"""Repeating groups and variable data: cases 24 to 29."""

from typing import Any

import pytest

from sbe import outcomes
from sbe.codec import Codec
from sbe.errors import DecodeError, EncodeError
from tests.sbe.kit import check, codec, compiled, features, own


def data_schema(width: str, limit: str = "") -> Codec:
    types = f"""<composite name="D"><type name="length" primitiveType="{width}" {limit}/>
        <type name="varData" primitiveType="uint8" length="0"/></composite>"""
    return Codec(own('<message name="M" id="1"><data name="d" id="1" type="D"/></message>', types))


def test_case_24_an_empty_group_still_has_its_dimension() -> None:
    data = codec().encode("Nested", {"number": 1})
    assert (
        data[10:].hex()
        == "04000000" + "0100000001000000"[:4] + "000000000000" + "0000" + "00000000"
    )
    decoded = codec().decode(data)[1]
    assert decoded["outer"] == []
    assert decoded["tail"] == []
    assert check(features(), data) == 0


def test_case_25_counts_are_strict_on_encode_and_lenient_on_decode() -> None:
    entries = [{"value": 1}] * 255
    fields: dict[str, Any] = {"number": 1, "limited": [{"value": 1}], "long": []}
    assert codec().encode("Groups", {**fields, "tiny": entries[:254]})
    with pytest.raises(EncodeError, match="255 entries, expected 0 to 254"):
        codec().encode("Groups", {**fields, "tiny": entries})
    data = bytearray(codec().encode("Groups", {**fields, "tiny": entries[:254]}))
    data[13] = 255
    data[14:14] = b"\x01\x00"
    assert len(codec().decode(bytes(data))[1]["tiny"]) == 255
    assert check(features(), bytes(data)) == 0


@pytest.mark.parametrize("count", [0, 4])
def test_case_25_the_limits_of_a_count(count: int) -> None:
    fields = {"number": 1, "tiny": [], "limited": [{"value": 1}] * count, "long": []}
    with pytest.raises(EncodeError, match=f"{count} entries, expected 1 to 3"):
        codec().encode("Groups", fields)
    data = bytearray(codec().encode("Groups", {**fields, "limited": [{"value": 1}] * 3}))
    assert data[14 + 7] == 3
    data[14 + 7] = count
    if count == 4:
        data[25:25] = b"\x01"
    else:
        del data[22:25]
    with pytest.raises(DecodeError, match="group-count"):
        codec().decode(bytes(data))
    assert check(features(), bytes(data)) == outcomes.ERROR_GROUP_COUNT


def test_case_26_the_stride_is_the_one_on_the_wire() -> None:
    gaps = {"odd": 1, "far": 2, "next": 3, "padded": [{"value": 5}, {"value": 6}]}
    data = codec().encode("Gaps", gaps)
    assert data[48:].hex() == "08000200" + "0500000000000000" + "0600000000000000"
    wider = data[:48] + bytes.fromhex("0a000200" + "05000000aabbccddeeff" + "06000000aabbccddeeff")
    assert codec().decode(wider)[1] == gaps
    assert check(features(), wider) == 0


def test_case_27_nested_groups_go_depth_first() -> None:
    leaf = {"leaf": -1, "side": "Buy", "note": "n"}
    fields = {
        "number": 7,
        "outer": [
            {"key": 1, "inner": [leaf, leaf], "bare": [], "label": "x"},
            {"key": 2, "inner": [], "bare": [{"blob": b"ab"}, {"blob": b""}], "label": ""},
        ],
        "tail": [],
        "first": b"",
        "second": "",
    }
    data = codec().encode("Nested", fields)
    leaf_hex = "ffffffffffffffff" + "31" + "016e"
    assert data[10:].hex() == (
        "04000200"
        + "01000000" + "0902" + leaf_hex * 2 + "00000000" + "010078"
        + "02000000" + "0900" + "00000200" + "02006162" + "0000" + "0000"
        + "0100000001000000"[:4] + "000000000000" + "0000" + "00000000"
    )  # fmt: skip
    assert codec().decode(data)[1] == fields
    assert check(features(), data) == 0


def test_case_27_entries_of_no_bytes_are_counted_against_what_is_left() -> None:
    schema = own('<message name="M" id="1"><group name="g" id="1"/></message>')
    empty = bytes.fromhex("0000010005000000" + "0000")
    assert check(schema, empty + b"\xff\xff") == outcomes.ERROR_GROUP_COUNT
    with pytest.raises(DecodeError, match=r"group-count: M\.g has 65535 empty entries"):
        Codec(schema).decode(empty + b"\xff\xff")
    assert Codec(schema).decode(empty + b"\0\0") == ("M", {"g": []})


@pytest.mark.parametrize(("width", "size"), [("uint8", 1), ("uint16", 2), ("uint32", 4)])
def test_case_28_lengths_of_data(width: str, size: int) -> None:
    codec = data_schema(width, 'maxValue="70000"' if size == 4 else "")
    assert codec.encode("M", {})[8:] == bytes(size)
    assert codec.encode("M", {"d": b"abc"})[8:] == (3).to_bytes(size, "little") + b"abc"
    null = {1: 255, 2: 65535, 4: 70001}[size]
    with pytest.raises(EncodeError, match=f"{null} bytes, expected 0 to {null - 1}"):
        codec.encode("M", {"d": bytes(null)})
    longest = codec.encode("M", {"d": bytes(null - 1)})
    assert codec.decode(longest)[1]["d"] == bytes(null - 1)
    beyond = longest[:8] + null.to_bytes(size, "little") + bytes(null)
    with pytest.raises(DecodeError, match="data-length"):
        codec.decode(beyond)
    assert check(codec.schema, beyond) == outcomes.ERROR_DATA_LENGTH
    with pytest.raises(DecodeError, match="truncated"):
        codec.decode(longest[:-1])
    assert check(codec.schema, longest[:-1]) == outcomes.ERROR_TRUNCATED


def test_case_28_a_wide_length_needs_a_limit() -> None:
    with pytest.raises(Exception, match="var-data-length: length of D is uint32 and has no max"):
        data_schema("uint32")


def test_case_28_text_is_checked_when_it_is_read() -> None:
    broken = bytes.fromhex("000009004d000300" + "02c328")
    decoded = codec().inspect(broken)
    assert decoded.fields["text"] == b"\xc3\x28"
    assert len(decoded.problems) == 1
    assert codec().encode("OnlyData", decoded.fields) == broken
    assert check(features(), broken) == 0


def test_case_29_data_is_written_in_the_order_of_the_schema() -> None:
    ordered = codec().encode("Nested", {"number": 1, "first": b"1", "second": "2"})
    assert codec().encode("Nested", {"second": "2", "first": b"1", "number": 1}) == ordered
    assert ordered[-8:].hex() == "010031" + "01000000" + "32"
    with pytest.raises(EncodeError, match=r"Nested\.third: no such field"):
        codec().encode("Nested", {"number": 1, "third": b""})


def test_where_an_element_ends_is_where_the_next_begins() -> None:
    import ctypes

    fields = {"number": 1, "outer": [{"key": 1, "inner": [], "bare": [{"blob": b"x"}],
              "label": "yy"}], "tail": [{"value": 1}], "first": b"abc", "second": "d"}  # fmt: skip
    data = codec().encode("Nested", fields)
    buffer = ctypes.create_string_buffer(data, len(data))
    module = compiled(features())
    root = ctypes.addressof(buffer) + module.HEADER_SIZE
    outer = module.after_block(root)
    tail = module.nested_outer_end(outer)
    assert module.nested_tail_count(tail) == 1
    first = module.nested_tail_end(tail)
    assert ctypes.string_at(module.nested_first_address(first), 3) == b"abc"
    second = module.nested_first_end(first)
    assert module.nested_second_end(second) == ctypes.addressof(buffer) + len(data)
