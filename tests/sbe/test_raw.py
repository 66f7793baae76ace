"""Loads and stores at raw addresses, compiled and interpreted."""

import struct
from typing import Any

import numba
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sbe import raw
from tests.sbe.kit import Bytes

KINDS = {
    "i8": "b", "u8": "B", "i16": "h", "u16": "H", "i32": "i", "u32": "I", "i64": "q", "u64": "Q",
    "f32": "f", "f64": "d",
}  # fmt: skip
ALL = [(kind, end) for kind in KINDS for end in ("", "_be") if not (end and kind[1:] == "8")]


def compiled_pair(kind: str) -> tuple[Any, Any]:
    load, store = getattr(raw, f"load_{kind}"), getattr(raw, f"store_{kind}")

    @numba.njit
    def get(address: int) -> Any:
        return load(address)

    @numba.njit
    def put(address: int, value: Any) -> None:
        store(address, value)

    return get, put


@pytest.mark.parametrize(("kind", "end"), ALL)
def test_load_and_store(kind: str, end: str) -> None:
    letter = (">" if end else "<") + KINDS[kind]
    get, put = compiled_pair(kind + end)
    width = struct.calcsize(letter)
    patterns = [bytes([i]) * width for i in (0, 1, 0x7F, 0x80, 0xFE)] + [bytes(range(1, width + 1))]
    for pattern in patterns:
        (value,) = struct.unpack(letter, pattern)
        held = Bytes(b"\xaa" + pattern + b"\xaa")
        assert get(held.address + 1) == value
        assert getattr(raw, f"load_{kind}{end}")(held.address + 1) == value
        for store in (put, getattr(raw, f"store_{kind}{end}")):
            target = Bytes(b"\xaa" * (width + 2))
            # Numba takes a plain int for an int64, and this one may be too large for that.
            store(target.address + 1, np.uint64(value) if kind == "u64" else value)
            assert bytes(target) == b"\xaa" + pattern + b"\xaa"


def test_integers_come_as_int64_but_for_u64() -> None:
    held = Bytes(b"\xff" * 8)
    for kind in ("i8", "u8", "i16", "u16", "i32", "u32", "i64"):
        get, _ = compiled_pair(kind)
        get(held.address)
        assert get.nopython_signatures[0].return_type == numba.int64
    get, _ = compiled_pair("u64")
    assert get(held.address) == 2**64 - 1
    assert get.nopython_signatures[0].return_type == numba.uint64


@numba.njit
def _move(destination: int, source: int, length: int) -> None:
    raw.copy(destination, source, length)


@numba.njit
def _fill(address: int, byte: int, length: int) -> None:
    raw.fill(address, byte, length)


@numba.njit
def _equal(left: int, right: int, length: int) -> bool:
    return raw.equal(left, right, length)


@given(data=st.binary(min_size=1, max_size=64), shift=st.integers(0, 32))
def test_copy_may_overlap(data: bytes, shift: int) -> None:
    for copy in (_move, raw.copy):
        held = Bytes(data + bytes(32))
        copy(held.address + shift, held.address, len(data))
        assert bytes(held)[shift : shift + len(data)] == data


def test_fill_and_equal() -> None:
    for fill, equal in ((_fill, _equal), (raw.fill, raw.equal)):
        left, right = Bytes(b"abcdefgh"), Bytes(b"abcdefgX")
        assert equal(left.address, right.address, 7)
        assert not equal(left.address, right.address, 8)
        assert equal(left.address, right.address, 0)
        fill(left.address + 1, 0x17A, 3)
        assert bytes(left) == b"azzzefgh"


@pytest.mark.parametrize("buffer", [b"abc", bytearray(b"abc"), memoryview(b"xabc")[1:]])
def test_the_address_of_any_buffer(buffer: Any) -> None:
    assert raw.load_u8(raw.address_of(buffer)) == ord("a")
    assert raw.load_u16(raw.address_of(buffer) + 1) == int.from_bytes(b"bc", "little")


def test_a_kind_that_is_none() -> None:
    with pytest.raises(ValueError, match="a kind is one of"):
        raw.load("i24")


def test_an_address_must_be_a_whole_number() -> None:
    @numba.njit
    def wrong(address: float) -> int:
        return raw.load_i64(address)

    with pytest.raises(numba.TypingError):
        wrong(1.5)
