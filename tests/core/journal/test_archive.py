"""The archive gives back the event stream by position, whatever was torn off its end."""

from pathlib import Path

import pytest

from core.journal.archive import ArchiveWriter, EventArchive, whole_frames
from core.journal.disk import RealDisk
from core.journal.errors import JournalDamaged, JournalGap
from core.journal.scan import walk
from core.journal.segment import numbered
from tests.core.journal.commands import event


def stream(events: int) -> bytes:
    return b"".join(event(n, 32 * (1 + n % 5)) for n in range(1, events + 1))


def filled(data: Path, events: int = 400, segment_size: int = 4096) -> ArchiveWriter:
    archive = ArchiveWriter(data, segment_size=segment_size)
    for number in range(1, events + 1, 4):
        archive.append(
            b"".join(event(n, 32 * (1 + n % 5)) for n in range(number, number + 4))
        )
    return archive


def files(data: Path) -> list[Path]:
    return [item.path for item in numbered(RealDisk(), data / "events", ".events")]


def test_every_range_of_the_stream_can_be_read(tmp_path: Path) -> None:
    archive = filled(tmp_path)
    whole = stream(400)
    reader = EventArchive(tmp_path)
    assert (reader.begin(), reader.end(), archive.end()) == (0, len(whole), len(whole))
    assert len(files(tmp_path)) > 5
    for position in range(0, len(whole), 992):
        for length in (1, 32, 5000, 20000, len(whole)):
            assert reader.read(position, length) == whole[position : position + length]
    assert reader.read(len(whole), 10) == b""
    archive.close()


def test_frames_come_whole_and_in_order_from_any_frame(tmp_path: Path) -> None:
    filled(tmp_path).close()
    reader = EventArchive(tmp_path)
    frames = [bytes(frame) for frame in reader.frames(0)]
    assert frames == [event(n, 32 * (1 + n % 5)) for n in range(1, 401)]
    position = len(b"".join(frames[:123]))
    assert [bytes(frame) for frame in reader.frames(position)] == frames[123:]
    assert list(reader.frames(reader.end())) == []


def test_an_event_larger_than_what_is_read_at_once_comes_whole(tmp_path: Path) -> None:
    archive = ArchiveWriter(tmp_path)
    large = event(2, 3 << 20)
    archive.append(event(1) + large)
    archive.append(event(3))
    assert [len(frame) for frame in archive.frames(0)] == [64, 3 << 20, 64]
    assert b"".join(archive.frames(64)) == large + event(3)
    archive.close()


def test_a_reader_sees_what_is_appended_later(tmp_path: Path) -> None:
    reader = EventArchive(tmp_path)
    assert (reader.begin(), reader.end(), reader.read(0, 100)) == (0, 0, b"")
    archive = ArchiveWriter(tmp_path, segment_size=256)
    for number in range(1, 50):
        end = archive.append(event(number))
        assert reader.end() == end
        assert reader.read(end - 64, 100) == event(number)
    archive.close()


@pytest.mark.parametrize("torn", [1, 15, 31, 32, 33, 63, 100])
def test_a_torn_tail_is_cut_to_the_last_whole_event(tmp_path: Path, torn: int) -> None:
    filled(tmp_path, 200).close()
    whole = stream(200)
    last = files(tmp_path)[-1]
    with last.open("r+b") as file:
        file.truncate(last.stat().st_size - torn)
    archive = ArchiveWriter(tmp_path, segment_size=4096)
    end, count = 0, 0
    while end + 32 * (1 + (count + 1) % 5) <= len(whole) - torn:
        count += 1
        end += 32 * (1 + count % 5)
    assert archive.end() == end
    archive.append(whole[end:])
    assert archive.read(0, len(whole) + 1) == whole
    archive.close()


def test_a_lost_page_takes_the_frame_that_ends_in_it(tmp_path: Path) -> None:
    """A file system may extend a file before it writes what belongs there: page 1 is all zeros."""
    whole = stream(400)
    ends = [0]
    while ends[-1] < len(whole):
        ends.append(ends[-1] + int.from_bytes(whole[ends[-1] : ends[-1] + 4], "little"))
    before = max(end for end in ends if end <= 4096)
    assert before < 4096  # A frame begins in page 0 and ends in page 1.
    for trusted in (0, before, min(end for end in ends if end > 4096)):
        filled(tmp_path, 400, segment_size=1 << 20).close()
        content = bytearray(whole)
        content[max(4096, trusted) : 8192] = bytes(8192 - max(4096, trusted))
        files(tmp_path)[-1].write_bytes(content)
        archive = ArchiveWriter(tmp_path, trusted=trusted)
        assert archive.end() == max(before, trusted)
        assert archive.read(0, 1 << 20) == whole[: max(before, trusted)]
        archive.cut(0)
        archive.close()


@pytest.mark.parametrize("sequence", [0, 1, 57, 58, 199, 200, 500])
def test_events_of_commands_that_the_journal_lost_are_cut(tmp_path: Path, sequence: int) -> None:
    filled(tmp_path, 200, segment_size=1024).close()
    archive = ArchiveWriter(tmp_path, segment_size=1024)
    archive.cut_after(sequence)
    assert archive.end() == len(stream(min(sequence, 200)))
    archive.append(event(sequence + 1))
    assert archive.read(0, 1 << 20) == stream(min(sequence, 200)) + event(sequence + 1)
    archive.close()
    again = ArchiveWriter(tmp_path, segment_size=1024)
    assert again.read(0, 1 << 20) == stream(min(sequence, 200)) + event(sequence + 1)
    again.close()


def test_what_retention_removed_is_a_gap(tmp_path: Path) -> None:
    archive = ArchiveWriter(tmp_path, segment_size=1024, retention_bytes=4096)
    for number in range(1, 400):
        archive.append(event(number))
    begin = archive.begin()
    assert begin > 0
    assert 4096 <= archive.end() - begin <= 4096 + 2 * 1024
    assert archive.read(begin, 64) == event(begin // 64 + 1)
    with pytest.raises(JournalGap, match="are gone"):
        archive.read(begin - 64, 64)
    archive.close()
    again = ArchiveWriter(tmp_path, segment_size=1024)
    assert (again.begin(), again.end()) == (begin, archive.end())
    again.close()


def hole(data: Path, number: int) -> int:
    """Alter a frame's length in the middle of a file; where the last whole frame ends."""
    item = numbered(RealDisk(), data / "events", ".events")[number]
    content = item.path.read_bytes()
    end = 0
    while end <= 1000:
        end += int.from_bytes(content[end : end + 4], "little")
    item.path.write_bytes(content[:end] + b"\x07" + content[end + 1 :])
    return item.first + end


@pytest.mark.parametrize("number", [0, 1, 3])
def test_a_hole_behind_what_a_snapshot_synced_is_cut(tmp_path: Path, number: int) -> None:
    filled(tmp_path, 400).close()
    position = hole(tmp_path, number)
    archive = ArchiveWriter(tmp_path, segment_size=4096, trusted=position)
    assert archive.end() == position
    assert archive.read(0, 1 << 20) == stream(400)[:position]
    archive.append(stream(400)[position:])
    assert archive.read(0, 1 << 20) == stream(400)
    archive.close()


def test_a_hole_in_what_a_snapshot_synced_is_damage(tmp_path: Path) -> None:
    filled(tmp_path, 400).close()
    position = hole(tmp_path, 3)
    with pytest.raises(JournalDamaged, match=f"no events from position {position} on"):
        ArchiveWriter(tmp_path, trusted=position + 32)


def test_a_missing_file_is_a_hole_too(tmp_path: Path) -> None:
    filled(tmp_path).close()
    gone = numbered(RealDisk(), tmp_path / "events", ".events")[2]
    gone.path.unlink()
    with pytest.raises(JournalDamaged, match=f"no events from position {gone.first} on"):
        ArchiveWriter(tmp_path, trusted=gone.first + 32)
    archive = ArchiveWriter(tmp_path, trusted=gone.first)
    assert archive.end() == gone.first
    archive.close()


def test_an_archive_that_is_gone_is_damage_if_a_snapshot_counts_on_it(tmp_path: Path) -> None:
    with pytest.raises(JournalDamaged, match="no events from position 0 on"):
        ArchiveWriter(tmp_path, trusted=32)


def test_the_plain_and_the_compiled_walk_agree() -> None:
    whole = stream(50)
    torn = (whole, whole[:-1], whole[:-32], b"", whole[:31], whole[:2000] + bytes(64) + whole)
    for view in torn:
        for last in (0, 1, 17, 2**63 - 1):
            assert walk(memoryview(view), last) == whole_frames(memoryview(view), last)
