"""Plain Python and compiled code see the same words."""

import ctypes

from core import atomics, words
from core.memory import CONTROL_OFFSET, HEADER, HEADER_SIZE


def test_plain_and_compiled_accesses_agree():
    word = ctypes.c_int64(0)
    address = ctypes.addressof(word)
    for value in (1, -1, (1 << 63) - 1, -(1 << 63)):
        words.store_word(address, value)
        words.full_fence()
        assert atomics.load_acquire(address) == value
        atomics.store_release(address, value ^ 1)
        assert words.load_word(address) == value ^ 1


def test_each_side_writes_cache_lines_of_its_own():
    producer, consumer = (
        {words.PENDING, words.FREE_UNTIL, words.PUBLISHED},
        {words.CONSUMED, words.SEEN},
    )
    assert {offset // 128 for offset in producer}.isdisjoint(offset // 128 for offset in consumer)
    # What the other side polls shares no line with what its writer touches all the time.
    assert words.PENDING // 128 == words.FREE_UNTIL // 128 != words.PUBLISHED // 128
    assert words.CONSUMED // 128 != words.SEEN // 128
    assert len({offset // 128 for offset in (words.PUBLISHED, words.ARCHIVED, words.CLAIMED)}) == 3


def test_the_words_lie_in_the_header_and_the_capacity_is_the_data_size():
    assert HEADER.fields["data_size"][1] == words.CAPACITY
    for offset in (words.PENDING, words.FREE_UNTIL, words.PUBLISHED, words.CONSUMED, words.SEEN):
        assert CONTROL_OFFSET <= offset < HEADER_SIZE
        assert offset % 8 == 0
