"""The event log: nobody but the archiver holds it up, and nobody reads torn bytes."""

import ctypes
import signal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core import events
from core.errors import EventsLost
from core.events import (
    log_address,
    log_archive,
    log_archived,
    log_claim,
    log_lapped,
    log_oldest,
    log_position,
    log_publish,
    log_published,
    log_resume,
    log_room,
    log_transfer,
)
from core.jit import jit
from core.memory import Segment
from core.stream import EventStream
from sbe.raw import copy, fill, load_i64, load_u8, store_i64

CAPACITY = 8192
STEP = CAPACITY // 8


@jit
def emit(log: int, length: int, number: int) -> int:
    """Write and publish one frame: length, number, then bytes that follow from the number."""
    a = log_claim(log, length)
    store_i64(a, length)
    store_i64(a + 8, number)
    fill(a + 16, number & 255, length - 16)
    log_publish(log, log_position(log))
    return log_position(log)


@jit
def emit_for_ever(log: int, rounds: int) -> None:
    """Overwrite the log again and again: at position p stand frames of 64 bytes numbered p / 64."""
    for number in range(rounds):
        emit(log, 64, number)


def frame(length, number):
    head = length.to_bytes(4, "little") + bytes(4) + number.to_bytes(8, "little")
    return head + bytes([number & 255]) * (length - 16)


def frames(segment, position, archive=None):
    """All events from a position on, each with its own position."""
    stream = EventStream(segment, archive)
    found = []
    while data := stream.read(position, 1000):
        length = int.from_bytes(data[:4], "little")
        if length > len(data):
            data = stream.read(position, length)
        found.append((position, data[:length]))
        position += length
    return found


class StreamArchive:
    """An archive as a reader sees it."""

    def __init__(self, log):
        self.log = log
        self.stream = b""
        self.reads = 0

    def store(self):
        """What the journal process does: copy, then give the log's bytes back."""
        start, end = len(self.stream), log_published(self.log)
        self.stream += ctypes.string_at(log_address(self.log, start), end - start)
        log_archive(self.log, end)

    def read(self, position, length):
        self.reads += 1
        return self.stream[position : position + length]


@pytest.fixture
def segment(instance):
    with Segment.create(instance, "events", CAPACITY, mirrored=True) as made:
        yield made


@pytest.fixture
def log(segment):
    return segment.address


def test_events_come_out_as_they_went_in(segment, log):
    assert frames(segment, 0) == []
    sizes = [64, 96, 32, 128]
    for number, size in enumerate(sizes):
        emit(log, size, number)
    expected = [(0, frame(64, 0)), (64, frame(96, 1)), (160, frame(32, 2)), (192, frame(128, 3))]
    assert frames(segment, 0) == expected
    assert frames(segment, 160) == expected[2:]
    assert frames(segment, 320) == []


def test_what_is_not_published_is_not_there(segment, log):
    emit(log, 64, 0)
    log_claim(log, 64)
    assert [position for position, _ in frames(segment, 0)] == [0]


def test_room_is_what_the_archiver_has_stored(log):
    assert log_room(log) == CAPACITY - STEP
    while log_room(log) >= 64:
        emit(log, 64, 1)
    assert log_published(log) == CAPACITY - STEP
    log_archive(log, 640)
    assert log_archived(log) == 640
    assert log_room(log) == 640


def test_a_writer_without_an_archiver_never_waits(log):
    emit_for_ever(log, 10_000)
    assert log_published(log) == 640_000


def test_a_lapped_reader_is_told(segment, log):
    emit_for_ever(log, CAPACITY // 64)
    assert log_lapped(log, 0) is False
    assert log_oldest(log) == 0
    log_claim(log, 64)  # Not published, maybe half written: already too late for position 0.
    assert log_lapped(log, 0) is True
    assert log_oldest(log) == STEP
    assert log_lapped(log, log_oldest(log)) is False
    with pytest.raises(EventsLost, match="from position 0 are in neither log nor archive"):
        frames(segment, 0)


def test_a_lapped_reader_finds_the_rest_in_the_archive(segment, log):
    archive = StreamArchive(log)
    lengths = [32 * (1 + number * 5 % 9) for number in range(1000)]
    for number, length in enumerate(lengths):
        while log_room(log) < length:
            archive.store()
        emit(log, length, number)
    archive.store()
    found = frames(segment, 0, archive)
    assert [data for _, data in found] == [frame(n, i) for i, n in enumerate(lengths)]
    assert [position for position, _ in found] == [sum(lengths[:i]) for i in range(1000)]
    assert archive.reads > 0


def test_padding_never_shows_an_older_event(log):
    emit_for_ever(log, 2 * CAPACITY // 64)
    a = log_claim(log, 64)
    assert [load_u8(a + offset) for offset in range(32, 64)] == [0] * 32


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 40), st.booleans()), max_size=80))
def test_what_is_not_archived_never_looks_overwritten(steps):
    name = "test-room"
    with Segment.create(name, "events", CAPACITY, mirrored=True) as segment:
        segment.unlink()
        log, archived = segment.address, 0
        for words, store in steps:
            if log_room(log) >= 32 * words:
                emit(log, 32 * words, words)
            assert not log_lapped(log, archived)
            assert log_published(log) - archived <= CAPACITY
            if store:
                archived = log_published(log)
                log_archive(log, archived)


# ---- a restarted writer -----------------------------------------------------------------------


def test_a_writer_resumes_where_it_had_published(segment, log):
    emit(log, 64, 0)
    log_claim(log, 640)  # Then it died.
    assert log_resume(log, 64)
    emit(log, 96, 1)
    assert frames(segment, 0) == [(0, frame(64, 0)), (64, frame(96, 1))]


def test_published_bytes_are_never_written_again(segment, log):
    emit(log, 64, 0)
    emit(log, 64, 1)
    assert not log_resume(log, 64)
    assert len(frames(segment, 0)) == 2


def test_a_new_log_in_the_middle_of_the_stream_has_nothing_before(segment, log):
    assert log_resume(log, 1_000_000 * 32)
    log_archive(log, 1_000_000 * 32)
    start = log_published(log)
    assert log_oldest(log) == start
    assert log_room(log) == CAPACITY - STEP
    with pytest.raises(EventsLost):
        frames(segment, start - 32)
    emit(log, 64, 5)
    assert frames(segment, start) == [(start, frame(64, 5))]
    assert log_lapped(log, start - 32)


def test_a_replay_brings_over_only_what_is_new(instance, segment, log):
    for number in range(3):
        emit(log, 64, number)
    log_claim(log, 64)  # Then the core died; it replays into a log of its own.
    with Segment.create(instance, "replay", CAPACITY, mirrored=True) as replay:
        for number in range(5):
            end = emit(replay.address, 64, number)
        before = ctypes.string_at(segment.data_address, 192)
        assert log_transfer(log, replay.address, 128)  # Still behind: nothing to do.
        assert log_published(log) == 192
        assert log_transfer(log, replay.address, end)
    assert ctypes.string_at(segment.data_address, 192) == before
    assert [data for _, data in frames(segment, 0)] == [frame(64, n) for n in range(5)]
    emit(log, 64, 5)
    assert log_published(log) == 6 * 64


def test_a_transfer_waits_for_the_archiver(instance, log):
    with Segment.create(instance, "replay", CAPACITY, mirrored=True) as replay:
        for number in range(100):
            emit(log, 64, number)
        for number in range(120):
            end = emit(replay.address, 64, number)
        assert not log_transfer(log, replay.address, end)
        assert log_published(log) == 6400
        log_archive(log, 6400)
        assert log_transfer(log, replay.address, end)
        assert log_published(log) == end


# ---- two processes ----------------------------------------------------------------------------

WRITER = """
import sys
from core.memory import Segment
from core.stream import EventStream
from tests.core.test_events import emit_for_ever
segment = Segment.open(sys.argv[1], "events")
print("ready", flush=True)
emit_for_ever(segment.address, 1 << 60)
"""


@jit
def torn_copies(log: int, buffer: int, tries: int) -> tuple[int, int, int]:
    """Copy near the end the writer eats at: how many whole, lapped, and torn unnoticed."""
    whole = lapped = torn = 0
    for attempt in range(tries):
        position = max(log_oldest(log), 0) + 64 * (attempt & 7)
        copy(buffer, log_address(log, position), 64)
        if log_lapped(log, position):
            lapped += 1
            continue
        number = position >> 6
        good = load_i64(buffer + 8) == number
        for offset in range(16, 64):
            good = good and load_u8(buffer + offset) == number & 255
        whole += good
        torn += not good
    return whole, lapped, torn


def test_no_torn_copy_ever_passes_for_a_whole_one(instance, segment, log, spawn):
    writer = spawn(WRITER, instance)
    assert writer.stdout.readline() == "ready\n"
    while log_published(log) < 100 * CAPACITY:
        pass
    buffer = ctypes.create_string_buffer(64)
    whole = lapped = 0
    while whole < 1000 or lapped < 100:  # Until both processes had a processor at once.
        found = torn_copies(log, ctypes.addressof(buffer), 200_000)
        whole += found[0]
        lapped += found[1]
        assert found[2] == 0


def test_a_writer_killed_at_any_moment_leaves_whole_events(instance, segment, log, spawn):
    writer = spawn(WRITER, instance)
    assert writer.stdout.readline() == "ready\n"
    while log_published(log) < 100 * CAPACITY:
        pass
    writer.send_signal(signal.SIGKILL)
    writer.wait()
    start = log_oldest(log)
    found = frames(segment, start)
    assert found == [(p, frame(64, p // 64)) for p in range(start, log_published(log), 64)]
    assert len(found) > CAPACITY // 64 // 2


def test_the_drawing_says_where_the_words_are():
    text = events.__doc__ or ""
    for name in ("CAPACITY", "PENDING", "ARCHIVED_SEEN", "PUBLISHED", "ARCHIVED", "CLAIMED"):
        offset, title = getattr(events, name), name.lower().removesuffix("_seen")
        assert f"\n    {offset:4}  {title} " in text, name
