"""The journal agent over real shared memory: one batch, one frame, nothing lost, nothing twice."""

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from core import snapshot
from core.agent import run_until_quiet
from core.events import log_archived
from core.journal.disk import Disk, RealDisk
from core.journal.errors import DiskFull, JournalGap
from core.journal.process import (
    SYNC_INTERVAL_NS,
    VERIFY_WHOLE_BYTES,
    JournalAgent,
    Sizes,
    verify_from,
)
from core.journal.reader import read_from
from core.journal.writer import Policy
from core.memory import Segment
from core.ring import ring_consumed, ring_seek
from tests.core.journal.core_side import CoreSide, all_commands, all_events

SMALL = Sizes(1 << 14, 1 << 14)


class Bench:
    """A data directory, a core's side, and agents over them."""

    def __init__(self, data: Path, core: CoreSide) -> None:
        self.data = data
        self.core = core
        self.durable: list[int] = []
        self.now = 0

    def agent(
        self,
        policy: Policy = Policy.FSYNC,
        attach: Callable[[], tuple[Segment, Segment] | None] | None = None,
        disk: Disk | None = None,
    ) -> JournalAgent:
        return JournalAgent(
            self.data,
            policy,
            attach or self.core.segments,
            self.durable.append,
            clock=lambda: self.now,
            sizes=SMALL,
            disk=disk,
        )

    def journaled(self, sequence: int = 1) -> bytes:
        return b"".join(read_from(RealDisk(), self.data, sequence))


def die(agent: JournalAgent) -> None:
    """What is left of an agent whose process was killed: nothing but its files."""
    agent.journal._release()


@pytest.fixture
def bench(tmp_path: Path, instance: str) -> Bench:
    return Bench(tmp_path, CoreSide(instance))


@pytest.mark.parametrize("policy", [Policy.ASYNC, Policy.FSYNC])
def test_commands_and_events_come_to_the_files_in_order(bench: Bench, policy: Policy) -> None:
    agent = bench.agent(policy)
    source = random.Random(1)
    for _ in range(200):
        bench.core.publish(source.randrange(0, 90))
        for _ in range(source.randrange(0, 3)):
            agent.poll()
    run_until_quiet([agent])
    last = bench.core.sequence
    assert last > 3000
    assert bench.core.ring.depth == 0
    assert log_archived(bench.core.log.address) == bench.core.events_end
    assert bench.durable[-1] == last
    assert bench.durable == sorted(bench.durable)
    assert bench.journaled() == all_commands(1, last)
    assert agent.archive.read(0, 1 << 30) == all_events(1, last)
    agent.close()


def test_a_batch_is_one_frame_and_released_only_when_it_is_written(bench: Bench) -> None:
    agent = bench.agent()
    bench.core.publish(40)
    before = agent.journal.last()[1]
    assert ring_consumed(bench.core.ring.address) == 0
    agent.poll()
    assert agent.journal.last()[1] == before + 1
    assert agent.journal.durable_sequence == 40
    assert bench.core.ring.depth == 0
    agent.close()


def test_under_fsync_nothing_is_published_before_the_disk_has_it(bench: Bench) -> None:
    synced: list[int] = []

    class Watching(RealDisk):
        def sync(self, handle: int) -> None:
            super().sync(handle)
            synced.append(len(bench.durable))

    agent = bench.agent(disk=Watching())
    for _ in range(10):
        bench.core.publish(3)
        published = len(bench.durable)
        agent.poll()
        assert len(bench.durable) == published + 1
        assert published in synced
    agent.close()


def test_a_killed_agent_is_continued_exactly(bench: Bench) -> None:
    source = random.Random(2)
    agent = bench.agent()
    for round_number in range(1, 25):
        bench.core.publish(source.randrange(1, 60))
        agent.poll()
        bench.core.publish(source.randrange(0, 60))
        die(agent)
        agent = bench.agent()
        assert agent.journal.epoch == round_number + 1
    run_until_quiet([agent])
    last = bench.core.sequence
    assert bench.journaled() == all_commands(1, last)
    assert agent.archive.read(0, 1 << 30) == all_events(1, last)
    agent.close()


def test_what_was_written_but_not_released_is_not_written_again(bench: Bench) -> None:
    agent = bench.agent()
    bench.core.publish(10)
    agent.poll()
    position = ring_consumed(bench.core.ring.address)
    bench.core.publish(10)
    agent.poll()
    die(agent)
    ring_seek(bench.core.ring.address, position)  # As if killed right before the release.
    bench.core.publish(5)
    agent = bench.agent()
    run_until_quiet([agent])
    assert bench.journaled() == all_commands(1, 25)
    agent.close()


def test_a_gap_between_files_and_ring_ends_the_agent(bench: Bench) -> None:
    bench.core.sequence = 5
    bench.core.publish(3)
    with pytest.raises(JournalGap, match="ends at command 0, the ring begins at 6"):
        bench.agent()


def test_a_gap_within_the_ring_ends_the_agent_and_is_not_written(bench: Bench) -> None:
    agent = bench.agent()
    bench.core.publish(3)
    agent.poll()
    bench.core.sequence += 1
    bench.core.publish(3)
    with pytest.raises(JournalGap, match="expected command 4"):
        agent.poll()
    assert bench.journaled() == all_commands(1, 3)
    die(agent)


def test_without_policy_nothing_is_written_and_everything_is_passed_on(bench: Bench) -> None:
    agent = bench.agent(Policy.NONE)
    bench.core.publish(100)
    run_until_quiet([agent])
    assert bench.durable[-1] == 100
    assert bench.core.ring.depth == 0
    assert bench.journaled() == b""
    assert agent.archive.read(0, 1 << 30) == all_events(1, 100)
    agent.close()


def test_an_agent_that_comes_before_the_core_waits_for_it(bench: Bench) -> None:
    there = False
    agent = bench.agent(attach=lambda: bench.core.segments() if there else None)
    for _ in range(3):
        assert agent.poll() == 0
        bench.now += 1 << 30
    there = True
    bench.core.publish(7)
    run_until_quiet([agent])
    assert bench.journaled() == all_commands(1, 7)
    agent.close()


def test_events_that_the_journal_does_not_know_are_cut_from_the_archive(
    bench: Bench, tmp_path: Path
) -> None:
    agent = bench.agent()
    bench.core.publish(20)
    run_until_quiet([agent])
    agent.archive.append(all_events(21, 30))
    die(agent)
    agent = bench.agent(attach=lambda: None)
    assert agent.archive.read(0, 1 << 30) == all_events(1, 20)
    agent.close()


def test_a_new_core_with_new_segments_is_found(tmp_path: Path, instance: str) -> None:
    """It resumes its log where the archive ends, which the agent tells it in `archived`."""
    core = CoreSide(instance)
    bench = Bench(tmp_path, core)
    agent = bench.agent()
    core.publish(50)
    run_until_quiet([agent])
    end = core.events_end
    core.ring.segment.unlink()
    core.log.unlink()
    bench.core = CoreSide(instance)
    bench.core.sequence = 50
    bench.now += 2 * SYNC_INTERVAL_NS
    agent.poll()  # Sees that they were replaced.
    bench.now += 2 * SYNC_INTERVAL_NS
    agent.poll()  # Attaches to the new ones.
    assert log_archived(bench.core.log.address) == end
    agent.close()


def test_digests_of_snapshots_are_chained_into_the_journal(bench: Bench) -> None:
    agent = bench.agent()
    bench.core.publish(50)
    run_until_quiet([agent])
    snapshot.write(bench.data, b"state after 50", 50, 0, b"layout")
    bench.core.publish(10)
    for _ in range(3):
        bench.now += 2 * SYNC_INTERVAL_NS
        agent.poll()
    run_until_quiet([agent])
    seen: list[tuple[int, bytes]] = []
    list(read_from(RealDisk(), bench.data, 1, lambda *digest: seen.append(digest)))
    assert seen == [(50, snapshot.state_digest(b"state after 50"))]
    agent.close()


def test_a_long_journal_is_verified_from_the_older_snapshot_on(bench: Bench) -> None:
    class Sized(RealDisk):
        factor = 1

        def size(self, path: Path) -> int:
            return super().size(path) * self.factor

    agent = bench.agent()
    bench.core.publish(300)
    run_until_quiet([agent])
    agent.close()
    disk = Sized()
    assert verify_from(disk, bench.data) == 1
    snapshot.write(bench.data, b"state", 200, 0, b"layout")
    snapshot.write(bench.data, b"state", 250, 0, b"layout")
    assert verify_from(disk, bench.data) == 1  # Short: all of it.
    disk.factor = VERIFY_WHOLE_BYTES
    assert verify_from(disk, bench.data) == 200


class _SmallDisk(RealDisk):
    """A disk with room for so many bytes of files and no more."""

    room = 0

    def allocate(self, handle: int, size: int) -> None:
        if self.room < size:
            raise DiskFull(f"cannot allocate {size} bytes: No space left on device")
        self.room -= size
        super().allocate(handle, size)


def test_a_full_disk_stops_the_agent_and_harms_nothing(bench: Bench) -> None:
    disk = _SmallDisk()
    disk.room = 3 << 14
    agent = bench.agent(Policy.ASYNC, disk=disk)

    def until_full() -> None:
        while True:
            bench.core.publish(50)
            agent.poll()

    with pytest.raises(DiskFull, match="No space left"):
        until_full()
    acknowledged = bench.durable[-1]
    agent.journal.close()
    assert bench.journaled() == all_commands(1, acknowledged)
    disk.room = 1 << 30  # Somebody made room.
    agent = bench.agent(Policy.ASYNC, disk=disk)
    run_until_quiet([agent])
    assert bench.journaled() == all_commands(1, bench.core.sequence)
    assert agent.archive.read(0, 1 << 30) == all_events(1, bench.core.sequence)
    agent.close()
