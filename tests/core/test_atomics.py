"""Compiled and interpreted forms of each operation agree, and the atomic ones are atomic."""

import ctypes
import os
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import atomics
from core.jit import jit
from core.memory import Segment

int64s = st.one_of(
    st.integers(-(1 << 63), (1 << 63) - 1),
    st.sampled_from([0, 1, -1, 1 << 62, -(1 << 63), (1 << 63) - 1]),
)


@jit
def compiled_trailing(value: int) -> int:
    return atomics.count_trailing_zeros(value)


@jit
def compiled_leading(value: int) -> int:
    return atomics.count_leading_zeros(value)


@jit
def compiled_multiply_high(a: int, b: int) -> int:
    return atomics.multiply_high(a, b)


@jit
def compiled_words(a: int) -> tuple[int, int, int, int]:
    atomics.store_release(a, 5)
    atomics.fence_release()
    loaded = atomics.load_acquire(a)
    atomics.fence_acquire()
    added = atomics.fetch_add(a, 3)
    atomics.fence()
    exchanged = atomics.exchange(a, -9)
    return loaded, added, exchanged, atomics.load_acquire(a)


@jit
def compiled_clocks() -> tuple[int, int]:
    atomics.pause()
    atomics.sched_yield()
    return atomics.clock_realtime_ns(), atomics.clock_monotonic_ns()


@jit
def compiled_sleep(microseconds: int) -> None:
    atomics.sleep_microseconds(microseconds)


@jit
def compiled_prefetch(a: int) -> int:
    atomics.prefetch(a)
    return a


@jit
def compiled_write(descriptor: int) -> int:
    return atomics.write_byte(descriptor)


@jit
def add_many(a: int, count: int) -> None:
    for _ in range(count):
        atomics.fetch_add(a, 1)


ADDER = """
import sys
from core.memory import Segment
from tests.core.test_atomics import add_many
segment = Segment.open(sys.argv[1], "state")
print("ready", flush=True)
sys.stdin.readline()
add_many(segment.data_address, int(sys.argv[2]))
print("done", flush=True)
"""


@given(int64s)
def test_zeros_are_counted_as_the_bits_say(value):
    bits = format(value & (1 << 64) - 1, "064b")
    trailing, leading = len(bits) - len(bits.rstrip("0")), len(bits) - len(bits.lstrip("0"))
    assert compiled_trailing(value) == atomics.count_trailing_zeros(value) == trailing
    assert compiled_leading(value) == atomics.count_leading_zeros(value) == leading


@given(int64s, int64s)
def test_multiply_high_is_the_high_half_of_the_product(a, b):
    high = (a % (1 << 64)) * (b % (1 << 64)) // (1 << 64)
    assert compiled_multiply_high(a, b) % (1 << 64) == high
    assert compiled_multiply_high(a, b) == atomics.multiply_high(a, b)


def test_words_are_loaded_stored_added_and_exchanged():
    word = ctypes.c_int64(1)
    address = ctypes.addressof(word)
    assert compiled_words(address) == (5, 5, 8, -9)
    assert word.value == -9
    atomics.store_release(address, 5)
    assert atomics.load_acquire(address) == 5
    assert atomics.fetch_add(address, 3) == 5
    assert atomics.exchange(address, 1) == 8
    atomics.fence()
    atomics.fence_acquire()
    atomics.fence_release()
    assert word.value == 1


def test_clocks_are_the_systems():
    for clocks in (
        compiled_clocks,
        lambda: (atomics.clock_realtime_ns(), atomics.clock_monotonic_ns()),
    ):
        clocks()
        before = (time.time_ns(), time.monotonic_ns())
        found = clocks()
        after = (time.time_ns(), time.monotonic_ns())
        assert before <= found <= after
        assert before[1] <= found[1] <= after[1]
    atomics.pause()
    atomics.sched_yield()


@pytest.mark.parametrize("sleep", [atomics.sleep_microseconds, compiled_sleep])
def test_a_sleep_lasts_as_long_as_asked(sleep):
    begin = time.monotonic()
    sleep(20_000)
    assert time.monotonic() - begin >= 0.02


def test_any_address_may_be_prefetched():
    for address in (0, 1, -1, 1 << 47):
        assert compiled_prefetch(address) == address
    atomics.prefetch(0)


@pytest.mark.parametrize("write", [compiled_write, atomics.write_byte])
def test_a_byte_is_written_or_not(write):
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    assert write(writer) == 1
    assert os.read(reader, 10) == b"\1"
    while write(writer) == 1:
        pass
    assert write(writer) == -1  # Full.
    os.close(reader)
    os.close(writer)
    assert write(writer) == -1  # Closed.


def test_a_float_is_no_address():
    with pytest.raises(Exception, match="float64"):
        compiled_prefetch(1.5)


def test_two_processes_adding_at_once_lose_nothing(instance, spawn):
    with Segment.create(instance, "state", 4096) as segment:
        adders = [spawn(ADDER, instance, 500_000) for _ in range(2)]
        for adder in adders:
            assert adder.stdout.readline() == "ready\n"
        for adder in adders:
            adder.stdin.write("go\n")
            adder.stdin.flush()
        for adder in adders:
            assert adder.stdout.readline() == "done\n"
        assert segment.array("i8")[0] == 1_000_000
