"""Snapshots: whole or passed over, never ahead of what a power cut would leave."""

import random
import shutil
from pathlib import Path

import pytest

from core import snapshot
from core.__main__ import judge_archive
from core.config import Limits
from core.journal.archive import ArchiveWriter
from core.journal.disk import Buffer
from core.journal.errors import DiskFull
from core.journal.frame import commands
from core.journal.segment import SNAPSHOTS_NAME
from core.journal.writer import Journal, Policy
from core.process import Refused
from core.recovery import layout_of
from tests.core.journal.commands import batch, event
from tests.core.journal.fake_disk import FakeDisk

LAYOUT = b"limits of the tests"
DATA = Path("/data")


def test_a_snapshot_comes_back_as_it_was(tmp_path: Path) -> None:
    state = random.Random(1).randbytes(100_000)
    path = snapshot.write(tmp_path, state, 42, 9600, LAYOUT)
    assert path.name == f"{42:020d}.snapshot"
    found = snapshot.newest(tmp_path, LAYOUT)
    assert found is not None
    assert (found.sequence, found.event_position, bytes(found.state)) == (42, 9600, state)
    assert found.digest == snapshot.state_digest(state)


def test_there_may_be_none(tmp_path: Path) -> None:
    assert snapshot.newest(tmp_path, LAYOUT) is None


def test_a_damaged_snapshot_is_passed_over_for_the_one_before(tmp_path: Path) -> None:
    state = random.Random(2).randbytes(10_000)
    snapshot.write(tmp_path, state, 10, 0, LAYOUT)
    newer = snapshot.write(tmp_path, state[::-1], 20, 0, LAYOUT)
    whole = newer.read_bytes()
    for at in (0, 9, 20, 40, 70, 100, 127, 4096, 9999, len(whole) - 1):
        newer.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        found = snapshot.newest(tmp_path, LAYOUT)
        assert found is not None
        assert (found.sequence, bytes(found.state)) == (10, state)
    for size in (0, 50, 4095, 4096, len(whole) - 1):
        newer.write_bytes(whole[:size])
        assert snapshot.load(newer) is None
    newer.write_bytes(whole)
    assert snapshot.newest(tmp_path, LAYOUT)[0] == 20  # type: ignore[index]


def test_a_snapshot_of_other_limits_is_passed_over(tmp_path: Path) -> None:
    snapshot.write(tmp_path, b"state", 10, 0, b"other limits")
    assert snapshot.newest(tmp_path, LAYOUT) is None


def test_an_archive_that_ends_before_the_snapshot_is_refused(tmp_path: Path) -> None:
    limits = Limits()
    judge_archive(tmp_path, limits)
    archive = ArchiveWriter(tmp_path)
    archive.append(b"".join(event(n) for n in range(10)))
    snapshot.write(tmp_path, b"state", 10, archive.end(), layout_of(limits))
    judge_archive(tmp_path, limits)
    snapshot.write(tmp_path, b"state", 11, 10**6, LAYOUT)  # Of other limits: not the core's.
    judge_archive(tmp_path, limits)
    archive.close()
    shutil.rmtree(archive.directory)
    with pytest.raises(Refused, match="ends at 0, before the newest snapshot \\(640\\)"):
        judge_archive(tmp_path, limits)
    shutil.rmtree(tmp_path / SNAPSHOTS_NAME)
    judge_archive(tmp_path, limits)


def test_a_power_cut_while_one_is_written_leaves_it_whole_or_leaves_the_one_before() -> None:
    disk = FakeDisk()
    source = random.Random(3)
    old, new = source.randbytes(6000), source.randbytes(6000)
    snapshot.write(DATA, old, 10, 0, LAYOUT, disk=disk)
    start = len(disk.log)
    snapshot.write(DATA, new, 20, 0, LAYOUT, disk=disk)
    seen = set()
    for until in range(start, len(disk.log) + 1):
        parts, names = disk.pending(until)
        for names_kept in range(names + 1):
            for _ in range(20):
                kept = [part for part in parts if source.random() < 0.7]
                cut = disk.after_cut(until, kept, names_kept)
                found = snapshot.newest(DATA, LAYOUT, disk=cut)
                assert found is not None
                assert bytes(found.state) == (old if found.sequence == 10 else new)
                seen.add(found.sequence)
    assert seen == {10, 20}


class _FullDisk(FakeDisk):
    def write(self, handle: int, buffers: object, offset: int) -> None:
        raise DiskFull("cannot write: No space left on device")


def test_a_full_disk_leaves_no_half_snapshot() -> None:
    disk = _FullDisk()
    with pytest.raises(DiskFull):
        snapshot.write(DATA, b"state", 10, 0, LAYOUT, disk=disk)
    assert disk.names(DATA / "snapshots") == []


class _Sum:
    """A replica whose state is a count and a sum over the commands' bytes."""

    layout = LAYOUT

    def __init__(self) -> None:
        self.sequence = 0
        self.event_position = 0
        self.total = 0

    def apply(self, view: memoryview) -> None:
        for sequence, command in commands(view):
            assert sequence == self.sequence + 1
            self.sequence = sequence
            self.event_position += 64
            self.total = (self.total * 31 + sum(command)) % 2**61

    def state(self) -> Buffer:
        return b"%d %d" % (self.sequence, self.total)


def test_the_follower_snapshots_what_the_journal_and_the_archive_hold_durably() -> None:
    disk = FakeDisk()
    journal = Journal(DATA, Policy.ASYNC, disk=disk, segment_size=4096)
    journal.takeover(1)
    archive = ArchiveWriter(DATA, disk=disk)
    now = 0
    agent = snapshot.SnapshotAgent(DATA, _Sum(), lambda: now, 100, disk=disk, kept=2)
    for first in range(1, 100, 10):
        journal.append(memoryview(batch(first, 10)))
        while agent.poll():
            pass
        now += 100
        assert agent.poll() == 0  # Due, but the archive lags behind.
        archive.append(b"".join(event(n) for n in range(first, first + 10)))
        assert agent.poll() == 1
        assert agent.poll() == 0  # Nothing new since.
        # Whatever a power cut takes now, it is behind the snapshot.
        cut = disk.after_cut(len(disk.log), (), 0)
        again = Journal(DATA, Policy.ASYNC, disk=cut, segment_size=4096)
        assert again.last()[0] == first + 9
        assert ArchiveWriter(DATA, disk=cut).end() == (first + 9) * 64
        found = snapshot.newest(DATA, LAYOUT, disk=cut)
        assert found is not None
        assert (found.sequence, found.event_position) == (first + 9, (first + 9) * 64)
    assert [item.first for item in snapshot.listing(DATA, disk=disk)] == [90, 100]
    expected = _Sum()
    expected.apply(memoryview(batch(1, 100)))
    newest = snapshot.newest(DATA, LAYOUT, disk=disk)
    assert newest is not None
    assert bytes(newest.state) == expected.state()
