"""What commands share: which exchange is meant, where its stores are, and names for numbers."""

import sqlite3
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from core.process import EXIT_FAILED
from core.reference import ReferenceData
from core.sidecars.serve import STORE_DIRECTORY
from core.sidecars.store import open_read_only
from tools.inspection import data_of
from tools.supervisor.place import default_data

Instance = Annotated[str, Parameter(help="Name of the exchange.")]
Data = Annotated[
    Path | None, Parameter(help="Its data directory, if not that of the instance.")
]
EXIT_USAGE = 2  # a wrong command line


def data_directory(instance: str, data: Path | None) -> Path:
    """Where an exchange keeps its data: as told, else as the running one of its name has it.

    If none of that name runs, it is the default of the name.
    """
    if data is not None:
        return data.absolute()
    running = data_of(instance)
    return running if running.is_dir() else Path(default_data(instance)).expanduser().absolute()


def read_store(instance: str, data: Path | None, name: str) -> sqlite3.Connection:
    """The store of a sidecar, for reading only. Raises StoreError."""
    return open_read_only(data_directory(instance, data) / STORE_DIRECTORY, name)


def write_store(instance: str, data: Path | None, name: str) -> sqlite3.Connection:
    """The store of a sidecar, to hand something in. Raises StoreError."""
    read_store(instance, data, name).close()
    path = data_directory(instance, data) / STORE_DIRECTORY / f"{name}.sqlite"
    return sqlite3.connect(path, isolation_level=None, timeout=30)


def reference_of(connection: sqlite3.Connection) -> ReferenceData:
    """What exists, as the sidecar has learned it."""
    reference = ReferenceData()
    for template, body in connection.execute(
        "SELECT template, body FROM definition ORDER BY ordinal"
    ):
        reference.apply(template, body)
    return reference


def amount_text(units: int, decimals: int) -> str:
    """Units of an asset as a decimal with thousands separated."""
    return f"{Decimal(units).scaleb(-decimals):,.{decimals}f}"


def percent(millionths: int) -> str:
    """Parts per million as a percentage."""
    return f"{millionths / 10_000:.2f} %"


def moment(ns: int) -> str:
    """A time (ns UTC) for people."""
    return datetime.fromtimestamp(ns / 1e9, UTC).strftime("%Y-%m-%d %H:%M:%S")


def fail(error: object) -> int:
    """Say on one line why it does not go; the exit code."""
    print(f"onebook: {error}", file=sys.stderr)
    return EXIT_FAILED


def wait_for(seconds: float, reached: Callable[[], bool]) -> bool:
    """Ask `reached()` ten times a second until it is true or the time is over."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if reached():
            return True
        time.sleep(0.1)
    return False
