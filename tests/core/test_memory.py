"""Segments are private, owned, whole or absent, and survive or yield as their owner's life asks."""

import ctypes
import os
import signal
import stat

import numpy as np
import pytest

from core import memory
from core.errors import (
    SegmentDamaged,
    SegmentError,
    SegmentInUse,
    SegmentMismatch,
    SegmentMissing,
    SegmentNoSpace,
    SegmentVersion,
)
from core.memory import HEADER_SIZE, Segment

OWNER = """
import sys
from core.memory import Segment
segment = Segment.create(sys.argv[1], "events", 8192, mirrored=True)
segment.array("i8")[0] = 4711
print("ready", flush=True)
sys.stdin.read()
"""

CONTENDER = """
import sys
from core.errors import SegmentInUse
from core.memory import Segment
print("ready", flush=True)
sys.stdin.readline()
try:
    Segment.create(sys.argv[1], "events", 8192, mirrored=True)
    print("made", flush=True)
except SegmentInUse:
    print("refused", flush=True)
sys.stdin.read()
"""


def start_owner(spawn, instance, code=OWNER):
    process = spawn(code, instance)
    assert process.stdout.readline() == "ready\n"
    return process


def kill(process):
    process.send_signal(signal.SIGKILL)
    process.wait()


def test_a_new_segment_is_zeroed_private_and_says_who_owns_it(instance):
    with Segment.create(instance, "state", 8192) as segment:
        assert segment.created
        assert segment.size == 8192
        assert segment.data_address == segment.address + HEADER_SIZE
        assert not segment.array("i8", 1024).any()
        status = os.stat(segment.path)
        assert stat.S_IMODE(status.st_mode) == 0o600
        assert status.st_size == HEADER_SIZE + 8192
        header = segment.header
        assert header["owner"] == os.getpid()
        assert header["owner_start"] == memory.process_start(os.getpid())
        assert (header["instance"], header["kind"]) == (instance.encode(), b"state")
        segment.beat(123)
        assert segment.header["heartbeat_ns"] == 123


def test_a_mirrored_segment_continues_at_its_beginning(instance):
    with Segment.create(instance, "events", 4096, mirrored=True) as segment:
        ctypes.memmove(segment.data_address + 4096 - 4, b"abcdefgh", 8)
        assert ctypes.string_at(segment.data_address, 4) == b"efgh"
        assert ctypes.string_at(segment.data_address + 4096, 4) == b"efgh"
        assert ctypes.string_at(segment.data_address + 4092, 4) == b"abcd"


def test_two_mappings_are_one_memory(instance):
    with (
        Segment.create(instance, "events", 4096, mirrored=True) as writer,
        Segment.open(instance, "events", writable=False) as reader,
    ):
        writer.array("i8")[0] = 17
        assert reader.array("i8")[0] == 17
        assert reader.mirrored
        with pytest.raises(ValueError, match="read-only"):
            reader.array("i8")[0] = 18


def test_an_array_beyond_the_segment_is_refused(instance):
    with Segment.create(instance, "state", 4096) as segment:
        segment.array("i8", 512)
        with pytest.raises(ValueError, match="beyond the segment"):
            segment.array("i8", 513)


@pytest.mark.parametrize("size", [0, -4096, 100, 4097])
def test_a_size_that_is_not_whole_pages_is_refused(instance, size):
    with pytest.raises(SegmentError, match=f"data_bytes={size}"):
        Segment.create(instance, "state", size)


def test_a_mirrored_size_is_a_power_of_two(instance):
    with pytest.raises(SegmentError, match="power of two: data_bytes=12288"):
        Segment.create(instance, "events", 12288, mirrored=True)
    Segment.create(instance, "state", 12288).close()


@pytest.mark.parametrize("name", ["", "a/b", "..", "a b", "é", "a" * 32])
def test_a_name_that_is_no_file_name_is_refused(name):
    with pytest.raises(SegmentError, match="not a name"):
        Segment.create(name, "state", 4096)
    with pytest.raises(SegmentError, match="not a name"):
        Segment.create("test", name, 4096)


def test_opening_what_is_not_there_says_so(instance):
    with pytest.raises(SegmentMissing, match="not running"):
        Segment.open(instance, "events")


def test_a_live_segment_is_refused_and_not_touched(instance, spawn):
    start_owner(spawn, instance)
    with pytest.raises(SegmentInUse, match="running process"):
        Segment.create(instance, "events", 8192, mirrored=True)
    with pytest.raises(SegmentInUse, match="running process"):
        Segment.attach_or_create(instance, "events", 8192, mirrored=True)
    with Segment.open(instance, "events") as segment:
        assert segment.array("i8")[0] == 4711


def test_a_stale_segment_is_reclaimed_empty(instance, spawn):
    kill(start_owner(spawn, instance))
    with Segment.create(instance, "events", 8192, mirrored=True) as segment:
        assert segment.array("i8")[0] == 0
        assert segment.header["owner"] == os.getpid()


def test_a_restarted_process_takes_its_segment_over_with_its_contents(instance, spawn):
    kill(start_owner(spawn, instance))
    with Segment.attach_or_create(instance, "events", 8192, mirrored=True) as segment:
        assert not segment.created
        assert segment.array("i8")[0] == 4711
        assert segment.header["owner"] == os.getpid()
    with pytest.raises(SegmentInUse):
        Segment.create(instance, "events", 8192, mirrored=True)


def test_an_owner_may_attach_again_while_it_is_attached(instance):
    """A mapping keeps the open file, and a lock left on it would stop the second for ever."""
    with (
        Segment.attach_or_create(instance, "events", 8192, mirrored=True) as first,
        Segment.attach_or_create(instance, "events", 8192, mirrored=True) as second,
        Segment.attach_or_create(instance, "events", 8192, mirrored=True) as third,
    ):
        first.array("i8")[0] = 5
        assert third.array("i8")[0] == second.array("i8")[0] == 5


def test_a_zombie_owns_nothing(instance, spawn):
    process = start_owner(spawn, instance)
    process.send_signal(signal.SIGKILL)
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # Dead, and not reaped yet.
    Segment.create(instance, "events", 8192, mirrored=True).close()


def test_a_process_of_the_same_number_is_not_the_owner(instance):
    with Segment.create(instance, "events", 8192, mirrored=True) as segment:
        segment.header["owner"] = 1
        segment.header["owner_start"] = memory.process_start(1) + 1
    Segment.create(instance, "events", 8192, mirrored=True).close()


def test_a_segment_may_belong_to_the_parent(instance, spawn):
    code = OWNER.replace("mirrored=True", "mirrored=True, owner=int(sys.argv[2])")
    process = spawn(code, instance, os.getpid())
    assert process.stdout.readline() == "ready\n"
    kill(process)
    with Segment.attach_or_create(instance, "events", 8192, True, os.getpid()) as segment:
        assert segment.array("i8")[0] == 4711
    with pytest.raises(SegmentInUse):
        Segment.attach_or_create(instance, "events", 8192, True, os.getppid())


def test_of_many_that_reclaim_at_once_one_succeeds(instance, spawn):
    kill(start_owner(spawn, instance))
    contenders = [start_owner(spawn, instance, CONTENDER) for _ in range(6)]
    for contender in contenders:
        contender.stdin.write("go\n")
        contender.stdin.flush()
    answers = [contender.stdout.readline() for contender in contenders]
    assert sorted(answers) == ["made\n"] + ["refused\n"] * 5


def test_another_layout_version_is_refused_and_not_touched(instance):
    with Segment.create(instance, "events", 4096, mirrored=True) as segment:
        segment.header["version"] = 99
        segment.header["owner_start"] = 1  # Even a stale one is not ours to remove.
        for use in (Segment.create, Segment.attach_or_create):
            with pytest.raises(SegmentVersion, match=r"layout version 99, this Onebook uses 1"):
                use(instance, "events", 4096, True)
        with pytest.raises(SegmentVersion):
            Segment.open(instance, "events")
        assert segment.path.exists()


def test_a_segment_of_another_size_is_not_taken_over(instance):
    Segment.create(instance, "events", 4096, mirrored=True).close()
    with pytest.raises(SegmentMismatch, match="4096 bytes mirrored, the configuration 8192 bytes"):
        Segment.attach_or_create(instance, "events", 8192, mirrored=True)
    with pytest.raises(SegmentMismatch):
        Segment.attach_or_create(instance, "events", 4096)


@pytest.mark.parametrize("contents", [b"", b"hello", b"x" * 8192])
def test_a_file_that_is_no_segment_is_refused(instance, contents):
    path = memory.segment_path(instance, "events")
    path.write_bytes(contents)
    for use in (Segment.create, Segment.attach_or_create):
        with pytest.raises(SegmentDamaged, match="not a segment"):
            use(instance, "events", 4096)
    assert path.read_bytes() == contents


def test_a_segment_cut_short_is_refused_before_it_is_mapped(instance):
    Segment.create(instance, "events", 8192).close()
    os.truncate(memory.segment_path(instance, "events"), HEADER_SIZE + 4096)
    with pytest.raises(SegmentDamaged, match="cut short"):
        Segment.open(instance, "events")


def test_full_shared_memory_is_an_error_and_leaves_nothing(instance):
    with pytest.raises(SegmentNoSpace, match="no room"):
        Segment.create(instance, "state", 1 << 42)
    assert memory.segments(instance) == []


def test_segments_are_listed_and_removed(instance, spawn):
    start_owner(spawn, instance)
    Segment.create(instance, "state", 4096).close()
    names = [path.name for path in memory.segments(instance)]
    assert names == [f"onebook.{instance}.events", f"onebook.{instance}.state"]
    assert {pid for _, pid in memory.live_owners(instance)} > {os.getpid()}
    assert memory.unlink_all(instance) == 2
    assert memory.segments(instance) == []


def test_an_instance_does_not_see_another_whose_name_begins_alike(instance):
    Segment.create(instance, "state", 4096).close()
    assert memory.segments(instance[:-1]) == []
    with pytest.raises(SegmentError, match="no dot"):
        memory.segments("a.b")


def test_unlink_leaves_a_successor_alone(instance):
    first = Segment.create(instance, "state", 4096)
    first.unlink()
    second = Segment.create(instance, "state", 4096)
    first.unlink()
    assert second.path.exists()
    first.array("i8")[0] = 1
    assert second.array("i8")[0] == 0
    first.close()
    second.close()
    first.close()


def test_the_header_has_no_padding():
    assert memory.HEADER.itemsize == sum(
        np.dtype(memory.HEADER.fields[name][0]).itemsize for name in memory.HEADER.names
    )
