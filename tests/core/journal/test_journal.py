"""Writing and reading: what goes in comes out, in order, from any sequence, across segments."""

from pathlib import Path

import pytest

from core.journal import frame
from core.journal.disk import RealDisk
from core.journal.errors import DataBusy, DataVersion, DiskError, DiskFailed, JournalGap
from core.journal.reader import Follower, Walker
from core.journal.segment import segments
from core.journal.writer import Journal, Policy
from tests.core.journal.commands import batch, command


def opened(data: Path, policy: Policy = Policy.ASYNC, segment_size: int = 4096) -> Journal:
    journal = Journal(data, policy, segment_size=segment_size)
    journal.takeover(journal.epoch + 1)
    return journal


def everything(journal: Journal, sequence: int = 1) -> bytes:
    return b"".join(journal.read_from(sequence))


def test_an_empty_journal_has_no_last_command(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    assert journal.last() == (0, 0, bytes(32))
    assert everything(journal) == b""
    journal.close()


def test_what_is_appended_is_read_back_from_every_sequence(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    for first in range(1, 200, 5):
        journal.append(memoryview(batch(first, 5)))
    assert journal.last()[0] == 200
    assert len(segments(RealDisk(), tmp_path)) > 3
    for sequence in range(1, 202):
        assert everything(journal, sequence) == batch(sequence, 201 - sequence)
    journal.close()


def test_segments_are_named_by_their_first_sequence_and_full_of_zeros_behind(
    tmp_path: Path,
) -> None:
    journal = opened(tmp_path, Policy.FSYNC)
    for first in range(1, 100, 5):
        journal.append(memoryview(batch(first, 5)))
    journal.close()
    walker = Walker(RealDisk(), tmp_path)
    firsts = {}
    for found in walker.to_the_end():
        firsts.setdefault(walker.path.name, found.first)
    assert firsts == {f"{first:020d}.journal": first for first in firsts.values()}
    assert all(item.path.stat().st_size >= 4096 for item in segments(RealDisk(), tmp_path))


def test_a_reopened_journal_goes_on_where_it_ended(tmp_path: Path) -> None:
    for round_number in range(5):
        journal = opened(tmp_path)
        assert journal.epoch == round_number + 1
        assert journal.last()[0] == round_number * 30
        journal.append(memoryview(batch(1 + round_number * 30, 30)))
        journal.close()
    journal = Journal(tmp_path)
    assert everything(journal) == batch(1, 150)
    journal.close()


def test_a_batch_larger_than_a_segment_gets_a_segment_of_its_size(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    journal.append(memoryview(batch(1, 10)))
    journal.append(memoryview(batch(11, 300)))
    journal.append(memoryview(batch(311, 10)))
    assert everything(journal) == batch(1, 320)
    journal.close()


def test_a_batch_that_is_not_dense_is_refused_and_not_written(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    journal.append(memoryview(batch(1, 3)))
    before = journal.last()
    for wrong in (batch(5, 1), batch(3, 1), batch(4, 1) + batch(6, 1), batch(4, 1)[:-32]):
        with pytest.raises(JournalGap):
            journal.append(memoryview(wrong))
    assert journal.last() == before
    journal.append(memoryview(batch(4, 1)))
    journal.close()


def test_takeover_needs_a_higher_epoch_and_writing_needs_a_takeover(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    with pytest.raises(AssertionError, match="taken over"):
        journal.append(memoryview(batch(1, 1)))
    with pytest.raises(ValueError, match="epoch must be above 0"):
        journal.takeover(0)
    journal.takeover(7)
    journal.append(memoryview(batch(1, 1)))
    journal.close()
    journal = Journal(tmp_path)
    with pytest.raises(ValueError, match="epoch must be above 7"):
        journal.takeover(7)
    journal.takeover(8)
    journal.close()


def test_a_segment_without_commands_grows_instead_of_rolling(tmp_path: Path) -> None:
    for _ in range(30):
        opened(tmp_path, segment_size=512).close()
    assert [item.first for item in segments(RealDisk(), tmp_path)] == [1]
    journal = opened(tmp_path, segment_size=512)
    journal.append(memoryview(batch(1, 20)))
    assert everything(journal) == batch(1, 20)
    journal.close()


def test_state_digests_are_met_in_place(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    journal.append(memoryview(batch(1, 10)))
    journal.append_digest(10, b"ten")
    journal.append(memoryview(batch(11, 10)))
    journal.append_digest(15, b"fifteen")
    seen: list[tuple[int, bytes, int]] = []
    applied = 0

    def verify(sequence: int, digest: bytes) -> None:
        seen.append((sequence, digest.rstrip(b"\0"), applied))

    for commands in journal.read_from(1, verify):
        applied += sum(1 for _ in frame.commands(commands))
    assert seen == [(10, b"ten", 10), (15, b"fifteen", 20)]
    seen.clear()
    list(journal.read_from(11, verify))
    assert [sequence for sequence, _, _ in seen] == [15]
    journal.close()


def test_reading_beyond_the_end_is_a_gap(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    journal.append(memoryview(batch(1, 5)))
    assert everything(journal, 6) == b""
    with pytest.raises(JournalGap, match="ends at command 5, command 6 was expected"):
        everything(journal, 7)
    journal.close()


def test_old_segments_may_be_removed_and_asking_for_them_is_a_gap(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    for first in range(1, 200, 5):
        journal.append(memoryview(batch(first, 5)))
    journal.close()
    first, second = segments(RealDisk(), tmp_path)[:2]
    first.path.unlink()
    journal = Journal(tmp_path)
    assert everything(journal, second.first) == batch(second.first, 201 - second.first)
    with pytest.raises(JournalGap, match=f"begins at command {second.first}"):
        everything(journal, 1)
    journal.close()


def test_a_follower_reads_each_command_once_while_it_is_written(tmp_path: Path) -> None:
    follower = Follower(RealDisk(), tmp_path, 4)
    assert follower.poll() is None
    journal = opened(tmp_path)
    assert follower.poll() is None
    got = b""
    for first in range(1, 300, 3):
        journal.append(memoryview(batch(first, 3)))
        if first % 2:
            while (part := follower.poll()) is not None:
                got += bytes(part)
    while (part := follower.poll()) is not None:
        got += bytes(part)
    assert got == batch(4, 297)
    journal.close()


def test_a_second_writer_is_refused(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    with pytest.raises(DataBusy, match="in use by another process"):
        Journal(tmp_path)
    journal.close()
    Journal(tmp_path).close()


def test_a_directory_of_another_version_is_refused_and_not_touched(tmp_path: Path) -> None:
    (tmp_path / "VERSION").write_text("onebook data 99\n")
    with pytest.raises(DataVersion, match="expected 'onebook data 1', was 'onebook data 99'"):
        Journal(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["VERSION"]
    (tmp_path / "VERSION").unlink()
    (tmp_path / "journal").mkdir()
    with pytest.raises(DataVersion, match="no VERSION"):
        Journal(tmp_path)


class _FailingDisk(RealDisk):
    """A real disk whose fdatasync fails on demand."""

    failing = False
    syncs = 0

    def sync(self, handle: int) -> None:
        self.syncs += 1
        if self.failing:
            raise DiskFailed("fdatasync failed: Input/output error")
        super().sync(handle)


def test_a_failed_fdatasync_ends_the_journal_and_is_not_tried_again(tmp_path: Path) -> None:
    disk = _FailingDisk()
    journal = Journal(tmp_path, Policy.FSYNC, disk=disk, segment_size=4096)
    journal.takeover(1)
    journal.append(memoryview(batch(1, 2)))
    disk.failing = True
    with pytest.raises(DiskFailed):
        journal.append(memoryview(batch(3, 2)))
    disk.failing = False
    syncs = disk.syncs
    for attempt in (
        lambda: journal.append(memoryview(batch(5, 1))), journal.sync, lambda: journal.takeover(9)
    ):
        with pytest.raises(DiskError):
            attempt()
    journal.close()
    assert disk.syncs == syncs
    assert journal.durable_sequence == 2
    again = Journal(tmp_path)
    assert again.last()[0] in (2, 4)
    assert everything(again)[: len(batch(1, 2))] == batch(1, 2)
    again.close()


def test_the_durable_sequence_follows_the_sync(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    journal.append(memoryview(batch(1, 2)))
    assert journal.durable_sequence == 0
    journal.sync()
    assert journal.durable_sequence == 2
    journal.append(memoryview(batch(3, 1)))
    journal.close()
    assert journal.durable_sequence == 3


def test_the_spare_segment_is_made_in_steps_and_used(tmp_path: Path) -> None:
    journal = opened(tmp_path, Policy.FSYNC, segment_size=1 << 20)
    steps = 0
    while journal.prepare():
        steps += 1
    assert steps == 4
    spare = tmp_path / "journal" / "spare.new"
    assert spare.stat().st_size == 1 << 20
    inode = spare.stat().st_ino
    sequence = 0
    while len(segments(RealDisk(), tmp_path)) < 2:
        journal.append(memoryview(batch(sequence + 1, 500)))
        sequence += 500
    assert not spare.exists()
    assert segments(RealDisk(), tmp_path)[-1].path.stat().st_ino == inode
    assert everything(journal) == batch(1, sequence)
    journal.close()


def test_the_plain_and_the_compiled_scan_agree() -> None:
    from core.journal.scan import scan

    good = batch(7, 20)
    assert frame.scan(memoryview(good), 7) == scan(memoryview(good), 7) == 26
    for wrong in (good[:-32], batch(8, 2), good + bytes(32), command(7) + command(9)):
        for check in (frame.scan, scan):
            with pytest.raises(JournalGap):
                check(memoryview(wrong), 7)
