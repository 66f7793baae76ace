"""A reader in plain Python is served by the log, then by the archive, and never with torn bytes."""

import pytest

from core.errors import EventsLost
from core.events import log_archive, log_published
from core.journal.errors import JournalGap
from core.memory import Segment
from core.stream import EventStream
from tests.core.test_events import CAPACITY, WRITER, StreamArchive, emit, frame


class RottenArchive:
    """An archive that has lost what is asked for."""

    def read(self, position, length):
        raise JournalGap(f"gone: {position}")


@pytest.fixture
def segment(instance):
    with Segment.create(instance, "events", CAPACITY, mirrored=True) as made:
        yield made


@pytest.fixture
def log(segment):
    return segment.address


def test_a_read_ends_at_the_limit_or_at_what_is_published(segment, log):
    stream = EventStream(segment)
    assert stream.read(0) == b""
    emit(log, 64, 1)
    emit(log, 96, 2)
    assert stream.published == 160
    assert stream.read(0) == frame(64, 1) + frame(96, 2)
    assert stream.read(0, 100) == (frame(64, 1) + frame(96, 2))[:100]
    assert stream.read(64) == frame(96, 2)
    assert stream.read(160) == b""
    assert stream.read(192) == b""


def test_a_reader_of_a_read_only_mapping_needs_no_more(instance, segment, log):
    emit(log, 64, 1)
    with Segment.open(instance, "events", writable=False) as other:
        assert EventStream(other).read(0) == frame(64, 1)


def test_what_was_overwritten_comes_from_the_archive(segment, log):
    archive = StreamArchive(log)
    stream = EventStream(segment, archive)
    for number in range(200):
        emit(log, 64, number)
        archive.store()
    assert stream.oldest > 0
    assert stream.read(0, 128) == frame(64, 0) + frame(64, 1)
    assert archive.reads == 1
    assert stream.read(stream.published - 64) == frame(64, 199)
    assert archive.reads == 1


@pytest.mark.parametrize("archive", [None, RottenArchive()])
def test_what_nobody_has_is_said(segment, log, archive):
    for number in range(200):
        emit(log, 64, number)
        log_archive(log, log_published(log))
    with pytest.raises(EventsLost, match=r"position 0 are in neither|gone: 0"):
        EventStream(segment, archive).read(0)


def test_no_torn_bytes_are_ever_served(instance, segment, log, spawn):
    """Reads near the end that a writer at full speed is eating: whole, or from the archive."""

    class Asked(Exception):
        pass

    class Instead:
        def read(self, position, length):
            raise Asked

    writer = spawn(WRITER, instance)
    assert writer.stdout.readline() == "ready\n"
    while log_published(log) < 100 * CAPACITY:
        pass
    stream = EventStream(segment, Instead())
    whole = overtaken = 0
    while whole < 300 or overtaken < 50:
        position = stream.oldest + 64 * (overtaken % 64)
        try:
            data = stream.read(position, 64)
        except Asked:
            overtaken += 1
            continue
        if data:
            assert data == frame(64, position // 64)
            whole += 1
