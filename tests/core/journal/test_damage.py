"""Damage is found, named and left alone; only what a cut could have torn is cut."""

import struct
from pathlib import Path

import pytest

from core.journal.errors import JournalDamaged
from core.journal.reader import Walker, read_from
from core.journal.segment import segments
from core.journal.writer import Journal, Policy
from tests.core.journal.commands import batch
from tests.core.journal.fake_disk import FakeDisk

DATA = Path("/data")
SEGMENT_SIZE = 4096
FRAMES = 30


class Written:
    """A journal of 30 frames, ended cleanly, and where each of its frames is."""

    def __init__(self) -> None:
        self.disk = FakeDisk()
        journal = open_journal(self.disk)
        journal.takeover(1)
        for first in range(1, 2 * FRAMES, 2):
            journal.append(memoryview(batch(first, 2)))
        journal.close()
        self.places: list[tuple[Path, int, int]] = []
        walker = Walker(self.disk, DATA)
        for found in walker.to_the_end():
            self.places.append((walker.path, walker.offset - found.size, found.size))
        assert len(self.places) == FRAMES + 2  # takeover and close
        assert len(segments(self.disk, DATA)) >= 3


def open_journal(disk: FakeDisk) -> Journal:
    return Journal(DATA, Policy.FSYNC, disk=disk, segment_size=SEGMENT_SIZE)


def content(disk: FakeDisk) -> dict[str, bytes]:
    return {item.path.name: bytes(disk.view(item.path)) for item in segments(disk, DATA)}


@pytest.fixture(scope="module")
def written() -> Written:
    return Written()


def assert_stops(disk: FakeDisk, path: Path, offset: int) -> None:
    before = content(disk)
    for attempt in (lambda: open_journal(disk), lambda: list(read_from(disk, DATA, 1))):
        with pytest.raises(JournalDamaged) as caught:
            attempt()
        assert (caught.value.segment, caught.value.offset) == (path, offset)
        assert f"segment {path.name} offset {offset}" in str(caught.value)
    assert content(disk) == before


def assert_opens_at(disk: FakeDisk, sequence: int) -> None:
    journal = open_journal(disk)
    assert journal.last()[0] == sequence
    assert b"".join(journal.read_from(1)) == batch(1, sequence)
    journal.takeover(journal.epoch + 1)
    journal.append(memoryview(batch(sequence + 1, 1)))
    assert b"".join(journal.read_from(1)) == batch(1, sequence + 1)


def test_a_flipped_bit_in_any_byte_of_a_frame_stops_the_start(written: Written) -> None:
    for path, offset, size in written.places[:-1]:
        for byte in range(0, size, 13):
            disk = written.disk.copy()
            old = disk.view(path)[offset + byte]
            disk.patch(path, offset + byte, bytes([old ^ (1 << byte % 8)]))
            assert_stops(disk, path, offset)


def test_a_flipped_bit_in_the_last_frame_is_a_torn_tail(written: Written) -> None:
    """Nothing behind it vouches for it, but after a clean stop that frame holds no command."""
    path, offset, size = written.places[-1]
    for byte in range(size):
        disk = written.disk.copy()
        disk.patch(path, offset + byte, bytes([disk.view(path)[offset + byte] ^ 0x10]))
        assert_opens_at(disk, 2 * FRAMES)


def test_a_frame_written_over_another_stops_the_start(written: Written) -> None:
    """A misdirected write: each frame is good in itself, but not in its place."""
    for source in (3, 9, 20):
        for target in (1, 8, 15, 28):
            if source == target:
                continue
            disk = written.disk.copy()
            source_path, at, size = written.places[source]
            path, offset, _ = written.places[target]
            disk.patch(path, offset, bytes(disk.view(source_path)[at : at + size]))
            assert_stops(disk, path, offset)


def test_an_old_frame_written_behind_the_end_is_cut(written: Written) -> None:
    disk = written.disk.copy()
    last_path, last_offset, last_size = written.places[-1]
    path, offset, size = written.places[5]
    old = bytes(disk.view(path)[offset : offset + size])
    disk.patch(last_path, last_offset + last_size, old)
    assert_opens_at(disk, 2 * FRAMES)


def test_a_zeroed_frame_before_a_good_one_stops_the_start(written: Written) -> None:
    for number in (0, 1, 10, 20, 30):
        path, offset, size = written.places[number]
        for zeroed in (4, 128, size):
            disk = written.disk.copy()
            disk.patch(path, offset, bytes(min(zeroed, size)))
            assert_stops(disk, path, offset)


def test_a_missing_segment_stops_the_start(written: Written) -> None:
    disk = written.disk.copy()
    first, second = segments(disk, DATA)[:2]
    disk.remove(second.path)
    end = max(
        offset + size for path, offset, size in written.places if path == first.path
    )
    assert_stops(disk, first.path, end)


def test_a_truncated_header_at_the_end_is_cut(written: Written) -> None:
    path, offset, _ = written.places[-1]
    for kept in (0, 1, 31, 64, 127):
        disk = written.disk.copy()
        view = disk.view(path)
        disk.patch(path, offset, bytes(view[offset : offset + kept]) + bytes(128 - kept))
        assert_opens_at(disk, 2 * FRAMES)


def test_a_file_cut_short_within_its_last_frame_is_a_torn_tail(written: Written) -> None:
    path, offset, _ = written.places[-1]
    for size in (offset, offset + 1, offset + 100):
        disk = written.disk.copy()
        handle = disk.open(path)
        disk.truncate(handle, size)
        assert_opens_at(disk, 2 * FRAMES)


def test_a_length_beyond_all_bounds_is_not_believed(written: Written) -> None:
    for length in (-32, -1, 31, 1 << 40, (1 << 63) - 1):
        disk = written.disk.copy()
        path, offset, _ = written.places[7]
        disk.patch(path, offset + 40, struct.pack("<q", length))
        assert_stops(disk, path, offset)


def test_verifying_from_a_later_sequence_skips_what_is_before(written: Written) -> None:
    """What a snapshot covers need not be read again at every start."""
    disk = written.disk.copy()
    path, offset, _ = written.places[3]
    disk.patch(path, offset + 50, b"\xff")
    assert_stops(disk, path, offset)
    journal = Journal(
        DATA, Policy.FSYNC, disk=disk, segment_size=SEGMENT_SIZE, verify_from=2 * FRAMES
    )
    assert journal.last()[0] == 2 * FRAMES
