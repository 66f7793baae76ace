"""The same power cuts over journal, archive and snapshots together.

What a recovery needs after any cut: a snapshot that the journal reaches, an archive that reaches
the snapshot and holds nothing but the stream, and from there on the journal to make the rest again.
"""

import random
from pathlib import Path

from core import snapshot
from core.journal.archive import ArchiveWriter
from core.journal.frame import commands
from core.journal.reader import read_from
from core.journal.writer import Journal, Policy
from tests.core.journal.commands import batch, event
from tests.core.journal.fake_disk import FakeDisk

DATA = Path("/data")
LAYOUT = b"layout"
SEGMENT_SIZE = 2048
INTERVAL = 7


class Counter:
    """A replica whose state is the bytes of the last command, and whose events are `events_of`."""

    layout = LAYOUT

    def __init__(self) -> None:
        self.sequence = 0
        self.event_position = 0
        self._last = b""

    def apply(self, view: memoryview) -> None:
        for sequence, command in commands(view):
            self.sequence = sequence
            self.event_position += len(events_of(sequence))
            self._last = bytes(command)

    def state(self) -> bytes:
        return self._last


def events_of(sequence: int) -> bytes:
    return b"".join(event(sequence, 32 * (1 + sequence % 6)) for _ in range(1 + sequence % 2))


def stream(last: int) -> bytes:
    return b"".join(events_of(n) for n in range(1, last + 1))


def run_for(batches: int, policy: Policy) -> FakeDisk:
    """Journal, archive and snapshot whenever one is due, as the processes do side by side."""
    disk = FakeDisk()
    journal = Journal(DATA, policy, disk=disk, segment_size=SEGMENT_SIZE)
    journal.takeover(1)
    archive = ArchiveWriter(DATA, disk=disk, segment_size=SEGMENT_SIZE)
    now = 0
    agent = snapshot.SnapshotAgent(DATA, Counter(), lambda: now, INTERVAL, disk=disk)
    for number in range(batches):
        journal.append(memoryview(batch(2 * number + 1, 2)))
        archive.append(events_of(2 * number + 1) + events_of(2 * number + 2))
        now += 1
        while agent.poll():
            pass
        disk.acknowledge(journal.durable_sequence)
    return disk


def check_recoverable(disk: FakeDisk, acknowledged: int) -> int:
    journal = Journal(DATA, Policy.FSYNC, disk=disk, segment_size=SEGMENT_SIZE)
    last = journal.last()[0]
    assert last >= acknowledged
    trusted = snapshot.durable_events(DATA, disk=disk)
    archive = ArchiveWriter(DATA, disk=disk, segment_size=SEGMENT_SIZE, trusted=trusted)
    archive.cut_after(last)
    assert trusted <= archive.end()
    assert archive.read(0, 1 << 30) == stream(last)[: archive.end()]
    newest = snapshot.newest(DATA, LAYOUT, disk=disk)
    replica = Counter()
    if newest is not None:
        assert newest.sequence <= last
        assert newest.event_position == len(stream(newest.sequence)) <= archive.end()
        assert bytes(newest.state) == batch(newest.sequence, 1)
        replica.sequence, replica.event_position = newest.sequence, newest.event_position
    for view in read_from(disk, DATA, replica.sequence + 1):
        replica.apply(view)
    assert replica.sequence == last
    assert replica.event_position == len(stream(last))
    return last


def cut_everywhere(batches: int, policy: Policy, seed: int) -> set[int]:
    disk = run_for(batches, policy)
    source = random.Random(seed)
    acknowledged = 0
    recovered = set()
    never_lost: set[int] = set()
    if policy == Policy.ASYNC:  # A hole in an unsynced journal stops the start, see there.
        files = disk.image.names.items()
        never_lost = {number for path, number in files if path.suffix == ".journal"}
    for until in range(len(disk.log) + 1):
        if until and disk.log[until - 1].kind == "acknowledge":
            acknowledged = disk.log[until - 1].offset
            continue
        parts, names = disk.pending(until)
        for probability in (0.0, 0.5, 0.9, 1.0):
            kept = [p for p in parts if p.file in never_lost or source.random() < probability]
            names_kept = names if policy == Policy.ASYNC else source.randrange(names + 1)
            recovered.add(
                check_recoverable(disk.after_cut(until, kept, names_kept), acknowledged)
            )
    return recovered


def test_whatever_a_power_cut_takes_a_recovery_finds_all_it_needs() -> None:
    assert len(cut_everywhere(50, Policy.FSYNC, seed=1)) == 51


def test_under_async_what_a_snapshot_stands_on_is_never_taken() -> None:
    assert len(cut_everywhere(50, Policy.ASYNC, seed=2)) == 51
