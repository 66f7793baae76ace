"""The record of an exchange as a database: read from its files, and read on when there is more.

    journal/*.journal ──► commands ┐
                                   ├─ walked, gathered, a batch of columns a message ──► DuckDB
    events/*.events   ──► events   ┘

The exchange may be running or stopped; nothing of its files is written or locked. Each frame of the
journal is checked against its hash on the way. With a file for the database only what came since
the last time is read; without one it lies in a passing file and is gone at the end.
"""

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType

import duckdb
import numpy as np
import pyarrow as pa

from core.errors import CoreError
from core.journal import segment
from core.journal.archive import EventArchive
from core.journal.disk import RealDisk
from core.journal.errors import JournalError
from core.journal.frame import Kind, skip
from core.journal.reader import Walker
from core.producers import PRODUCERS_MAX, producer_name
from tools.audit import frames
from tools.audit.columns import moments
from tools.audit.tables import tables, types

LAYOUT = 1  # Of the database; another one is refused.
_BYTES = 16 << 20  # Read at a time.
_VIEWS = Path(__file__).parent / "views.sql"

Progress = Callable[[str], None]


class AuditError(CoreError):
    """The record can't be read, or the question can't be answered."""


class Record:
    """See the module. `connection` is where questions go."""

    def __init__(self, data: Path, database: Path | None = None) -> None:
        """Open or make the database; nothing is read yet. Raises AuditError."""
        self._disk = RealDisk()
        self._data = data
        self._walker: Walker | None = None  # Where the journal was read to; it goes on from there.
        try:
            segment.check_version(self._disk, data)
        except (CoreError, JournalError, OSError) as error:
            raise AuditError(str(error)) from error
        self._passing = None if database else tempfile.TemporaryDirectory(prefix="onebook-audit-")
        path = database or Path(self._passing.name) / "record.duckdb"  # type: ignore[union-attr]
        try:
            self.connection = duckdb.connect(str(path))
            self._prepare(data)
        except duckdb.Error as error:
            raise AuditError(f"{path}: {error}") from error

    def __enter__(self) -> "Record":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.connection.close()
        if self._passing is not None:
            self._passing.cleanup()

    def update(self, progress: Progress = lambda _: None) -> tuple[int, int]:
        """Read what there is now; how many commands and events were new. Raises AuditError.

        progress: told what is being read after each stretch.
        """
        commands = events = 0
        try:
            for data in self._commands():
                commands += self._take(data, False, 0)
                progress(f"{commands:,} commands")
            archive = EventArchive(self._data)
            position, end = max(self._progress()[1], archive.begin()), archive.end()
            while data := archive.read(position, _BYTES):
                used = self._events(archive, data, position)
                if used == 0:
                    break
                events += self._count
                position += used
                progress(f"{commands:,} commands, events to {position:,} of {end:,} bytes")
        except (CoreError, JournalError, OSError, duckdb.Error) as error:
            raise AuditError(str(error)) from error
        return commands, events

    # ---- reading -------------------------------------------------------------------------------

    def _commands(self) -> Iterator[bytes]:
        """Command frames not read yet, in stretches of some megabytes, hashes checked."""
        first = self._progress()[0] + 1
        if self._walker is None:
            if not segment.segments(self._disk, self._data):
                return
            self._walker = Walker(self._disk, self._data, first)
        parts: list[memoryview] = []
        size = 0
        for found in self._walker.to_the_end():
            if found.kind == Kind.COMMANDS and found.last >= first:
                parts.append(skip(found.payload, first))
                size += len(parts[-1])
                if size >= _BYTES:
                    yield b"".join(parts)
                    parts, size = [], 0
        if parts:
            yield b"".join(parts)

    def _events(self, archive: EventArchive, data: bytes, position: int) -> int:
        """Take the whole event frames of a stretch; how many bytes they are."""
        stretch = frames.walk(data, True)
        if stretch.used == 0:  # A frame larger than a stretch, or the end of a live archive.
            stretch = frames.walk(archive.read(position, 4 * _BYTES), True)
        self._count = len(stretch.places)
        self._keep(stretch, True, position)
        return stretch.used

    def _take(self, data: bytes, events: bool, start: int) -> int:
        stretch = frames.walk(data, events)
        self._keep(stretch, events, start)
        return len(stretch.places)

    # ---- keeping -------------------------------------------------------------------------------

    def _keep(self, stretch: frames.Stretch, events: bool, start: int) -> None:
        """All messages of a stretch into their tables, and how far that is, at once or not."""
        places = stretch.places
        if len(places) == 0:
            return
        known = tables()
        connection = self.connection
        connection.begin()
        for template in np.unique(places["template"]).tolist():
            table = known.get(template)
            if table is None:
                continue  # Of a later schema than this one.
            mine = places[places["template"] == template]
            self._insert(table.name, table.rows(stretch, mine, start))
            for child in table.children:
                self._insert(child.name, table.entries(child, stretch, mine, start))
        if events:
            connection.execute("UPDATE _progress SET position = ?", [start + stretch.used])
        else:
            self._insert("command", _index(places))
            last = int(places["sequence"][-1])
            connection.execute("UPDATE _progress SET sequence = ?", [last])
        connection.commit()

    def _insert(self, name: str, rows: pa.Table) -> None:
        if len(rows):
            self.connection.register("_rows", rows)
            self.connection.execute(f"INSERT INTO {name} BY NAME FROM _rows")
            self.connection.unregister("_rows")

    def _progress(self) -> tuple[int, int]:
        """The last command read, and where the next event begins."""
        found = self.connection.execute("SELECT sequence, position FROM _progress").fetchone()
        assert found is not None, "Invariant: the progress has one row."
        return int(found[0]), int(found[1])

    def _prepare(self, data: Path) -> None:
        connection = self.connection
        connection.execute("SET preserve_insertion_order = true")
        there = connection.execute(
            "SELECT 1 FROM information_schema.tables WHERE table_name = '_progress'"
        ).fetchone()
        if there:
            found = connection.execute("SELECT layout, data FROM _progress").fetchone()
            if found != (LAYOUT, str(data)):
                raise AuditError(f"the database is of {found}, expected {(LAYOUT, str(data))}")
            return
        connection.begin()
        for statement in types():
            connection.execute(statement)
        for table in tables().values():
            for statement in table.create():
                connection.execute(statement)
        connection.execute(
            "CREATE TABLE command (sequence BIGINT, time TIMESTAMP_NS, sender INTEGER, "
            "producer UTINYINT, message VARCHAR)"
        )
        connection.execute(
            "CREATE TABLE _progress AS SELECT ? AS layout, ? AS data, 0::BIGINT AS sequence, "
            "0::BIGINT AS position", [LAYOUT, str(data)],
        )
        producers = [(number, producer_name(number)) for number in range(PRODUCERS_MAX)]
        connection.execute("CREATE TABLE producer (number UTINYINT, name VARCHAR)")
        connection.executemany("INSERT INTO producer VALUES (?, ?)", producers)
        connection.execute(_VIEWS.read_text())
        connection.commit()


def _index(places: "np.ndarray[tuple[int], np.dtype[np.void]]") -> pa.Table:
    """Every command by its number: when, by whom, what."""
    known = tables()
    names = [known[n].message.name if n in known else None for n in range(max(known) + 1)]
    templates = np.minimum(places["template"], len(names) - 1)
    return pa.table({
        "sequence": pa.array(np.ascontiguousarray(places["sequence"])),
        "time": moments(np.ascontiguousarray(places["time"])),
        "sender": pa.array(np.ascontiguousarray(places["session"])),
        "producer": pa.array(np.ascontiguousarray(places["producer"])),
        "message": pa.DictionaryArray.from_arrays(pa.array(templates), pa.array(names)),
    })  # fmt: skip
