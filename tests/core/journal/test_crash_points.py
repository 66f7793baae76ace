"""Cut the power at every operation, in every way: no acknowledged command is ever lost.

A journal is written on a disk that logs each operation. Then, for every prefix of the log and every
subset of the sectors and names that were not synced yet, the disk is made as the cut would have
left it, a journal is opened over it, and must

- open, since a cut alone is no damage,
- hold a prefix of what was appended, with at least all that was acknowledged,
- take further commands and give everything back.
"""

import itertools
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.journal.errors import JournalDamaged
from core.journal.writer import Journal, Policy
from tests.core.journal.commands import batch
from tests.core.journal.fake_disk import FakeDisk, Op

DATA = Path("/data")
SEGMENT_SIZE = 4096
SUBSETS_MAX = 32


def written(frames: int, policy: Policy, seed: int, sync_every: int = 1) -> FakeDisk:
    """A disk on which `frames` batches were journaled; every synced one was acknowledged."""
    source = random.Random(seed)
    disk = FakeDisk()
    journal = Journal(DATA, policy, disk=disk, segment_size=SEGMENT_SIZE)
    journal.takeover(1)
    sequence = 0
    for number in range(1, frames + 1):
        count = source.choice((1, 1, 1, 2, 4))
        journal.append(memoryview(batch(sequence + 1, count)))
        sequence += count
        if policy == Policy.ASYNC and number % sync_every == 0:
            journal.sync()
        disk.acknowledge(journal.durable_sequence)
        if number % 25 == 0:
            journal.append_digest(sequence, b"digest")
        if number % 40 == 0:
            journal.prepare()
        if number % 70 == 0:
            epoch = journal.epoch
            journal.close()
            journal = Journal(DATA, policy, disk=disk, segment_size=SEGMENT_SIZE)
            journal.takeover(epoch + 1)
    journal.close()
    disk.acknowledge(sequence)
    return disk


def subsets(parts: list[Op], source: random.Random) -> Iterator[tuple[Op, ...]]:
    """All subsets if they are few, else none, all, each prefix, and as many more at random."""
    if 2 ** len(parts) <= SUBSETS_MAX:
        for size in range(len(parts) + 1):
            yield from itertools.combinations(parts, size)
        return
    for size in {0, 1, len(parts) // 2, len(parts) - 1, len(parts)}:
        yield tuple(parts[:size])
    for _ in range(SUBSETS_MAX):
        yield tuple(part for part in parts if source.random() < 0.5)


def disks(disk: FakeDisk, seed: int, sector: int) -> Iterator[tuple[FakeDisk, int]]:
    """Every disk a cut could leave, with the last acknowledged sequence at that moment."""
    source = random.Random(seed)
    acknowledged = 0
    for until in range(len(disk.log) + 1):
        if until and disk.log[until - 1].kind == "acknowledge":
            acknowledged = disk.log[until - 1].offset
            continue  # The disk is as it was, but more was promised: the next cut covers it.
        parts, names = disk.pending(until, sector)
        for names_kept in range(names + 1):
            for kept in subsets(parts, source):
                yield disk.after_cut(until, kept, names_kept, sector), acknowledged
    yield disk.after_cut(len(disk.log), (), 0), acknowledged


def check_recovers(disk: FakeDisk, acknowledged: int, whole: bytes) -> int:
    journal = Journal(DATA, Policy.FSYNC, disk=disk, segment_size=SEGMENT_SIZE)
    sequence = journal.last()[0]
    assert sequence >= acknowledged
    recovered = b"".join(journal.read_from(1))
    assert whole.startswith(recovered)
    assert len(recovered) == sum(len(batch(n, 1)) for n in range(1, sequence + 1))
    journal.takeover(journal.epoch + 1)
    more = batch(sequence + 1, 3, seed=9)
    journal.append(memoryview(more))
    journal.close()
    again = Journal(DATA, Policy.FSYNC, disk=disk.copy(), segment_size=SEGMENT_SIZE)
    assert b"".join(again.read_from(1)) == recovered + more
    again.close()
    return sequence


def enumerate_cuts(frames: int, seed: int, sector: int) -> int:
    disk = written(frames, Policy.FSYNC, seed)
    whole = batch(1, 5 * frames)
    cases = 0
    for cut, acknowledged in disks(disk, seed, sector):
        check_recovers(cut, acknowledged, whole)
        cases += 1
    return cases


@pytest.mark.parametrize("sector", [512, 64])
def test_every_cut_of_a_short_journal_recovers_all_that_was_acknowledged(sector: int) -> None:
    assert enumerate_cuts(24, seed=1, sector=sector) > 300


@pytest.mark.slow
def test_every_cut_of_two_hundred_frames_recovers_all_that_was_acknowledged() -> None:
    assert enumerate_cuts(200, seed=2, sector=512) > 2000


@pytest.mark.parametrize("policy", [Policy.ASYNC, Policy.FSYNC])
def test_the_death_of_the_process_alone_loses_no_written_frame(policy: Policy) -> None:
    """What write(2) took is the kernel's: even unsynced frames are there after a SIGKILL."""
    disk = written(60, policy, seed=3, sync_every=7)
    whole = batch(1, 300)
    last = 0
    for until in range(len(disk.log) + 1):
        sequence = check_recovers(disk.after_crash(until), last, whole)
        assert sequence >= last
        last = sequence


def test_a_power_cut_under_async_keeps_what_was_synced_or_stops_the_start() -> None:
    """Unsynced frames may go missing in any order; a hole is never passed over in silence."""
    disk = written(40, Policy.ASYNC, seed=4, sync_every=6)
    whole = batch(1, 200)
    outcomes = {"recovered": 0, "stopped": 0}
    for cut, acknowledged in disks(disk, seed=4, sector=512):
        untouched = cut.copy()
        try:
            check_recovers(cut, acknowledged, whole)
        except JournalDamaged:
            assert cut.image.contents == untouched.image.contents | {
                n: c for n, c in cut.image.contents.items() if n not in untouched.image.contents
            }
            outcomes["stopped"] += 1
        else:
            outcomes["recovered"] += 1
    assert min(outcomes.values()) > 0


def test_the_test_would_notice_a_missing_fdatasync() -> None:
    """The same enumeration over a journal that acknowledges before it syncs must fail."""
    disk = written(24, Policy.FSYNC, seed=1)
    start = next(n for n, op in enumerate(disk.log) if op.target.suffix == ".journal")
    disk.log = [op for n, op in enumerate(disk.log) if op.kind != "sync" or n < start]
    lost = 0
    for cut, acknowledged in disks(disk, seed=1, sector=512):
        try:
            check_recovers(cut, acknowledged, batch(1, 120))
        except (AssertionError, JournalDamaged):
            lost += 1
    assert lost > 0
