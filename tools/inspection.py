"""A look at a running exchange from outside: what its shared memory and files say right now.

Nothing is written, and nothing of it is exact to the instant: the words are read one after the
other while the exchange goes on.
"""

import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import psutil

from core import memory
from core.config import Configuration, ConfigurationError, load
from core.errors import SegmentMissing
from core.journal.segment import EVENTS_NAME, JOURNAL_NAME
from core.memory import Segment
from core.status import State, StatusRow, StatusTable
from core.words import CAPACITY, CONSUMED, PUBLISHED, load_word
from tools.supervisor.place import marker_path


class ProcessSeen(msgspec.Struct):
    """One process. `events_lag_bytes` is None for those that don't read the event log."""

    name: str
    state: str
    alive: bool
    pid: int
    restarts: int
    uptime_seconds: float
    heartbeat_seconds: float
    asleep: bool
    polls_busy: int
    polls_idle: int
    events_lag_bytes: int | None
    memory_bytes: int


class RingSeen(msgspec.Struct):
    """One ring: what its consumer hasn't taken yet, and how much it can hold."""

    name: str
    depth_bytes: int
    capacity_bytes: int


class Snapshot(msgspec.Struct):
    """All of it."""

    instance: str
    data: str
    core_ready: bool
    core_generation: int
    published_sequence: int
    durable_sequence: int
    events_published: int
    journal_segments: int
    journal_bytes: int
    archive_bytes: int
    processes: list[ProcessSeen]
    rings: list[RingSeen]


def look(instance: str) -> Snapshot:
    """What there is to see of an instance. Raises SegmentMissing if it isn't running."""
    table = StatusTable.open(instance, writable=False)
    try:
        events = _word(instance, "events", PUBLISHED)
        data = data_of(instance)
        journal, archive = data / JOURNAL_NAME, data / EVENTS_NAME
        return Snapshot(
            instance=instance,
            data=str(data),
            core_ready=table.core_ready == 1,
            core_generation=table.core_generation,
            published_sequence=table.published_sequence,
            durable_sequence=table.durable_sequence,
            events_published=events,
            journal_segments=len(list(journal.glob("*.journal"))),
            journal_bytes=_disk_bytes(journal),
            archive_bytes=_disk_bytes(archive),
            processes=[_process(row, events) for row in table.named()],
            rings=list(_rings(instance)),
        )
    finally:
        table.close()


def data_of(instance: str) -> Path:
    """Where a running exchange keeps its data."""
    try:
        return Path(marker_path(instance).read_text().splitlines()[1])
    except (OSError, IndexError):
        return Path("unknown")


def _disk_bytes(directory: Path) -> int:
    """What the files of a directory take on the disk."""
    return sum(file.stat().st_blocks * 512 for file in directory.glob("*") if file.is_file())


def _process(row: StatusRow, events: int) -> ProcessSeen:
    now = time.time_ns()
    alive, pid = row.alive, row.pid
    uptime, size = 0.0, 0
    if alive:
        try:
            process = psutil.Process(pid)
            uptime, size = time.time() - process.create_time(), process.memory_info().rss
        except psutil.NoSuchProcess:
            alive = False
    fields = row.fields
    return ProcessSeen(
        name=row.name,
        state=row.state.name.lower() if alive or row.state is State.STOPPED else "down",
        alive=alive,
        pid=pid,
        restarts=max(int(fields["generation"]) - 1, 0),
        uptime_seconds=uptime,
        heartbeat_seconds=max(row.age_ns(now), 0) / 1e9,
        asleep=row.asleep,
        polls_busy=int(fields["work"]),
        polls_idle=int(fields["idle"]),
        events_lag_bytes=max(events - row.position, 0) if row.position else None,
        memory_bytes=size,
    )


def _rings(instance: str) -> Iterator[RingSeen]:
    prefix = f"onebook.{instance}."
    for path in memory.segments(instance):
        kind = path.name.removeprefix(prefix)
        if kind == "sequenced" or kind.startswith("commands."):
            with Segment.open(instance, kind, writable=False) as ring:
                published = load_word(ring.address + PUBLISHED)
                depth = max(published - load_word(ring.address + CONSUMED), 0)
                yield RingSeen(kind, depth, load_word(ring.address + CAPACITY))


def _word(instance: str, kind: str, offset: int) -> int:
    try:
        with Segment.open(instance, kind, writable=False) as segment:
            return load_word(segment.address + offset)
    except SegmentMissing:
        return 0


def configuration_of(data: Path) -> Configuration:
    """What the exchange on a data directory runs with. Raises ConfigurationError if none does."""
    file = data / "run" / "config.json"
    if not file.exists():
        raise ConfigurationError(f"no exchange is running on {data}")
    return load(file)
