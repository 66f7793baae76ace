"""A sidecar's own durable store: one SQLite file, one owner, migrations in order.

    <data>/sidecars/<name>.sqlite        the store, in WAL mode
    <data>/sidecars/<name>.lock          held while the sidecar runs; a second one stops at once

Everything a sidecar does with a batch of events stands in one transaction together with the
position behind that batch, so that it happens exactly once whatever kills the process. Migrations
are numbered from 1 in the order of their list; `PRAGMA user_version` is the number of the last one
applied. A store of a later version is refused, never touched.

    follower   the one row: position in the event stream, last key handed out
    outbox     commands that were decided and have no answer yet; after a restart they are sent
               again under the same key, and the core refuses what it has had
    definition events that say what exists, so that a restarted sidecar knows it without reading all
    notes      small values by name
"""

import fcntl
import os
import sqlite3
from collections.abc import Sequence
from pathlib import Path

from core.errors import CoreError

COMMON = (
    """
    CREATE TABLE follower (
        one INTEGER PRIMARY KEY CHECK (one = 1),
        position INTEGER NOT NULL,
        last_key INTEGER NOT NULL
    ) STRICT;
    INSERT INTO follower VALUES (1, 0, 0);
    CREATE TABLE outbox (
        key INTEGER PRIMARY KEY,
        name TEXT NOT NULL,
        message BLOB NOT NULL,
        decided_ns INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE definition (
        ordinal INTEGER PRIMARY KEY,
        template INTEGER NOT NULL,
        body BLOB NOT NULL
    ) STRICT;
    CREATE TABLE notes (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
    """,
)


class StoreError(CoreError):
    """The store cannot be used; nothing in it was changed."""


class StoreBusy(StoreError):
    """Another process has the store open."""


class StoreVersion(StoreError):
    """The store was written by a later version of Onebook."""


class Store:
    """The store of the sidecar `name`; `connection` runs statements inside `begin` … `commit`."""

    def __init__(self, directory: Path, name: str, migrations: Sequence[str] = ()) -> None:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.path = directory / f"{name}.sqlite"
        self._lock = _lock(directory / f"{name}.lock", name)
        self.connection = sqlite3.connect(self.path, isolation_level=None)
        self.connection.execute("PRAGMA journal_mode = WAL")
        self.connection.execute("PRAGMA synchronous = NORMAL")
        self.connection.execute("PRAGMA foreign_keys = ON")
        _migrate(self.connection, self.path, (*COMMON, *migrations))
        row = self.connection.execute("SELECT position, last_key FROM follower").fetchone()
        self.position, self.last_key = int(row[0]), int(row[1])

    def begin(self) -> None:
        """Start the transaction of a batch."""
        self.connection.execute("BEGIN IMMEDIATE")

    def commit(self, position: int) -> None:
        """End it: all that was written, the keys handed out and the position, or none of it."""
        self.position = position
        self.connection.execute(
            "UPDATE follower SET position = ?, last_key = ?", (position, self.last_key)
        )
        self.connection.execute("COMMIT")

    def rollback(self) -> None:
        """Forget what was written since `begin`."""
        if self.connection.in_transaction:
            self.connection.execute("ROLLBACK")

    def sync(self) -> None:
        """Make all commits so far survive a power cut: before telling the outside world."""
        self.connection.execute("PRAGMA wal_checkpoint(FULL)")

    def note(self, name: str) -> str | None:
        """A small value by name."""
        row = self.connection.execute("SELECT value FROM notes WHERE name = ?", (name,)).fetchone()
        return None if row is None else str(row[0])

    def set_note(self, name: str, value: str) -> None:
        """Write a small value."""
        self.connection.execute("INSERT OR REPLACE INTO notes VALUES (?, ?)", (name, value))

    def close(self) -> None:
        """Close the file and let another process have it."""
        self.connection.close()
        os.close(self._lock)


def open_read_only(directory: Path, name: str) -> sqlite3.Connection:
    """The store of a sidecar for looking at, also while it runs. Raises StoreError."""
    path = directory / f"{name}.sqlite"
    if not path.exists():
        raise StoreError(f"{path} does not exist: {name} never ran on this data directory")
    return sqlite3.connect(f"file:{path}?mode=ro", uri=True)


def _lock(path: Path, name: str) -> int:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise StoreBusy(f"{name} already runs on this data directory: {path} is locked") from None
    return descriptor


def _migrate(connection: sqlite3.Connection, path: Path, migrations: Sequence[str]) -> None:
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if version > len(migrations):
        connection.close()
        raise StoreVersion(f"{path} has schema {version}, this version knows {len(migrations)}")
    for number in range(version, len(migrations)):
        script = f"BEGIN; {migrations[number]} PRAGMA user_version = {number + 1}; COMMIT;"
        connection.executescript(script)
