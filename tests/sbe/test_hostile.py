"""Bytes from an enemy: cases 38 to 41. The long campaign is tests/campaigns/sbe_mutations.py."""

import struct
import subprocess
import sys
from pathlib import Path
from random import Random

import numpy as np
import pytest

from sbe import outcomes
from sbe.codec import Codec
from sbe.dtypes import block_dtype
from sbe.errors import DecodeError
from sbe.layout import Schema
from tests.sbe.kit import Bytes, check, codec, compiled, features, own, same, wide_header
from tests.sbe.random_messages import random_fields

TOP = Path(__file__).parents[2]


@pytest.mark.parametrize("schema", [features("little"), features("big"), wide_header()])
def test_case_38_every_truncation_of_every_message(schema: Schema) -> None:
    random, codec = Random(38), Codec(schema)
    for message in schema.messages:
        data = codec.encode(message.name, random_fields(message, random))
        assert check(schema, data) == 0
        for length in range(len(data)):
            assert check(schema, data[:length]) != 0
            with pytest.raises(DecodeError):
                codec.decode(data[:length])


HOSTILE = {
    "block of 65535": (struct.pack("<HHHH", 65535, 7, 77, 3) + bytes(60), "truncated"),
    "65535 entries of 65535": (
        struct.pack("<HHHH", 40, 7, 77, 3) + bytes(40) + b"\xff\xff\xff\xff" + bytes(90),
        "truncated",
    ),
    "2^32 - 1 entries of as many": (
        struct.pack("<HHHH", 4, 10, 77, 3) + bytes(4) + b"\2\0" + b"\1" + bytes(6) + b"\1\0"
        + b"\xff" * 8 + bytes(50),
        "truncated",
    ),
    "data of 2^32 - 1": (
        struct.pack("<HHHH", 2, 11, 77, 3) + bytes(2) + b"\4\0\0\0" + b"\1\0\0\0\0\0\0\0" + b"\0\0"
        + b"\xff" * 4,
        "data-length",
    ),
    "entries of nothing, deep": (
        struct.pack("<HHHH", 2, 11, 77, 3) + bytes(2) + b"\0\0\xff\xff" + bytes(9),
        "block-length",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_case_39_absurd_numbers(name: str) -> None:
    data, reason = HOSTILE[name]
    assert outcomes.REASONS[check(features(), data)] == reason
    with pytest.raises(DecodeError) as caught:
        codec().decode(data)
    assert caught.value.reason == reason


def test_case_39_a_count_that_is_negative_as_int64() -> None:
    schema = wide_header()
    data = bytearray(
        Codec(schema).encode(
            "Order", {"id": 1, "symbol": "A", "ratio": 1.0, "legs": [], "text": ""}
        )
    )
    data[24 + 35] = 0x80
    assert check(schema, bytes(data)) == outcomes.ERROR_GROUP_COUNT
    with pytest.raises(DecodeError, match="group-count"):
        Codec(schema).decode(bytes(data))


def test_case_39_signed_counts_may_not_be_negative() -> None:
    types = """<composite name="signed"><type name="blockLength" primitiveType="int32"/>
        <type name="numInGroup" primitiveType="int32"/></composite>"""
    group = (
        '<group name="g" id="1" dimensionType="signed"><field name="x" id="1" type="int8"/></group>'
    )
    schema = own(f'<message name="M" id="1">{group}</message>', types)
    header = bytes.fromhex("0000010005000000")
    for stride, count in ((1, -1), (-1, 1), (-(2**31), -(2**31))):
        data = header + struct.pack("<ii", stride, count) + bytes(8)
        assert check(schema, data) != 0
        with pytest.raises(DecodeError):
            Codec(schema).decode(data)


def test_case_40_bytes_left_over() -> None:
    data = codec().encode("Empty", {})
    assert check(features(), data + b"\0") == outcomes.ERROR_TRAILING_BYTES
    with pytest.raises(DecodeError, match="trailing-bytes: 1 bytes after Empty"):
        codec().decode(data + b"\0")
    newer = data[:6] + b"\4\0" + b"tail"
    assert check(features(), newer) == 0
    assert codec().inspect(newer).end == 8
    assert codec().inspect(data + b"\0", exact=False).end == 8


@pytest.mark.parametrize("order", ["little", "big"])
@pytest.mark.parametrize("shift", range(8))
def test_case_41_unaligned_fields_through_every_accessor(order: str, shift: int) -> None:
    schema = features(order)
    fields = {"odd": 2**64 - 2, "far": -2, "next": 3, "padded": []}
    data = codec(order).encode("Gaps", fields)
    held = Bytes(bytes(shift) + data)
    module, root = compiled(schema), held.address + shift + 8
    assert module.gaps_odd(root) == 2**64 - 2
    assert module.gaps_far(root) == -2
    gaps = schema.message("Gaps")
    assert gaps is not None
    dtype = block_dtype(gaps, schema.order)
    assert dtype == module.GAPS
    assert dtype.itemsize == 40
    view = np.frombuffer(bytes(held), dtype, count=1, offset=shift + 8)[0]
    assert same([int(view[name]) for name in ("odd", "far", "next")], [2**64 - 2, -2, 3])


def test_mutations_are_refused_or_read_alike_and_never_read_past_the_end() -> None:
    """A slice of the campaign, in a process of its own: what it guards against ends the process."""
    command = [
        sys.executable,
        "-m",
        "tests.campaigns.sbe_mutations",
        "--count",
        "6000",
        "--seed",
        "5",
    ]
    done = subprocess.run(
        command, cwd=TOP, capture_output=True, text=True, timeout=100, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "6000 mutations" in done.stdout
