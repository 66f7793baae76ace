"""Show a running exchange: every process, ring depth, sequences, journal, lag of each reader.

It only looks: shared memory is mapped for reading, so it can be run beside a busy exchange at any
time. Exit code 1 if there is no such instance, 4 if a process of it is down.
"""

import sys

import msgspec
from rich import box
from rich.console import Console
from rich.table import Table

from core.errors import SegmentError, SegmentMissing
from tools.inspection import Snapshot, look

EXIT_NOT_RUNNING = 1
EXIT_PROCESS_DOWN = 4
MEGABYTE = 1 << 20


def status(*, instance: str = "onebook", json: bool = False) -> int:
    """Show a running exchange.

    Parameters
    ----------
    instance
        Its name.
    json
        Print one JSON object instead of tables.
    """
    try:
        seen = look(instance)
    except SegmentMissing:
        print(f"onebook: no exchange of the name {instance} is running", file=sys.stderr)
        return EXIT_NOT_RUNNING
    except SegmentError as error:
        print(f"onebook: {error}", file=sys.stderr)
        return EXIT_NOT_RUNNING
    if json:
        print(msgspec.json.encode(seen).decode())
    else:
        show(seen, Console())
    return 0 if all(process.alive for process in seen.processes) else EXIT_PROCESS_DOWN


def show(seen: Snapshot, console: Console) -> None:
    """Print the tables of a snapshot."""
    ready = "takes commands" if seen.core_ready else "[bold red]takes no commands[/]"
    console.print(
        f"[bold]{seen.instance}[/]  core {ready}, generation {seen.core_generation}\n"
        f"sequence {seen.published_sequence:,} published, {seen.durable_sequence:,} durable\n"
        f"journal {_size(seen.journal_bytes)} in {seen.journal_segments} segments, "
        f"archive {_size(seen.archive_bytes)}, data {seen.data}"
    )
    console.print(_processes(seen))
    console.print(_rings(seen))


def _processes(seen: Snapshot) -> Table:
    table = _table("processes")
    for name in ("process", "state"):
        table.add_column(name, no_wrap=True)
    for name in ("pid", "restarts", "uptime", "beat", "lag", "memory"):
        table.add_column(name, justify="right", no_wrap=True)
    for process in seen.processes:
        style = "" if process.alive else "bold red"
        table.add_row(
            process.name, process.state, str(process.pid), str(process.restarts),
            _duration(process.uptime_seconds), f"{process.heartbeat_seconds:.1f} s",
            "" if process.events_lag_bytes is None else _size(process.events_lag_bytes),
            _size(process.memory_bytes), style=style,
        )
    return table


def _table(title: str) -> Table:
    """A table that stays whole on eighty columns."""
    return Table(
        title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0),
        show_edge=False,
        pad_edge=False,
    )


def _rings(seen: Snapshot) -> Table:
    table = _table("rings")
    table.add_column("ring", no_wrap=True)
    for name in ("waiting", "of", "%"):
        table.add_column(name, justify="right", no_wrap=True)
    for ring in seen.rings:
        share = 100 * ring.depth_bytes / ring.capacity_bytes
        table.add_row(
            ring.name, _size(ring.depth_bytes), _size(ring.capacity_bytes), f"{share:.1f}",
            style="bold red" if share > 50 else "",
        )
    return table


def _size(count: int) -> str:
    if count < 10_000:
        return f"{count} B"
    if count < MEGABYTE:
        return f"{count / 1024:.0f} KiB"
    if count < 10_000 * MEGABYTE:
        return f"{count / MEGABYTE:,.1f} MiB"
    return f"{count / MEGABYTE / 1024:,.1f} GiB"


def _duration(seconds: float) -> str:
    whole = round(seconds)
    if whole < 60:
        return f"{seconds:.1f} s"
    hours, rest = divmod(whole, 3600)
    return f"{hours}:{rest // 60:02}:{rest % 60:02}"
