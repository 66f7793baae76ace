"""Large pages: what is there stays, whether or not the kernel has any."""

import os
from collections.abc import Iterator

import numpy as np
import pytest

from core.config import Limits
from core.layout import LINE_SIZE
from core.memory import Segment
from core.pages import LARGE, private_memory, settle
from core.state import new_state, state_dtype


@pytest.fixture
def segment() -> Iterator[Segment]:
    with Segment.create(f"pages{os.getpid()}", "events", 4 * LARGE, mirrored=True) as made:
        yield made
        made.unlink()


def test_a_settled_segment_keeps_its_contents_and_its_mirror(segment: Segment) -> None:
    words = segment.array(np.int64, 2 * segment.size // 8)
    words[::4096] = np.arange(len(words[::4096])) % (segment.size // 8 // 4096) + 1
    before = words.copy()
    segment.settle()
    assert (words == before).all()
    words[7] = 42
    assert words[segment.size // 8 + 7] == 42


def test_a_segment_begins_where_a_large_page_can(segment: Segment) -> None:
    assert segment.address % LARGE == 0
    with Segment.open(segment.instance, segment.kind, writable=False) as reader:
        assert reader.address % LARGE == 0


def test_memory_that_is_not_there_is_not_settled() -> None:
    assert not settle(LARGE, LARGE)


def test_private_memory_is_zeros_to_write_to() -> None:
    memory = np.frombuffer(private_memory(100_000), np.uint8)
    assert len(memory) == 100_000
    assert not memory.any()
    memory[:] = 1


def test_every_table_of_the_state_begins_on_a_cache_line() -> None:
    dtype = state_dtype(Limits())
    fields = dtype.fields
    assert fields is not None
    assert dtype.itemsize % LINE_SIZE == 0
    tables = [name for name in dtype.names or () if dtype[name].shape]
    assert {"orders", "details", "positions", "accounts", "pages"} <= set(tables)
    assert [name for name in tables if fields[name][1] % LINE_SIZE] == []
    entered = ("orders", "details", "positions", "accounts", "instruments", "pages", "sessions")
    assert [name for name in entered if dtype[name].base.itemsize % LINE_SIZE] == []
    assert new_state(Limits()).ctypes.data % LINE_SIZE == 0
