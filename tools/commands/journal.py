"""Look into the journal of a data directory: show its frames, verify its chain, replay it.

A running exchange may be looked at, too; nothing but `cut` writes. Exit code 0 if all is well, 1 if
there is damage, 3 if the directory can't be read or is in use.
"""

import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
from cyclopts import App
from rich.console import Console
from rich.table import Table

from core.config import ConfigurationError, decode, merge, read
from core.journal import segment
from core.journal.archive import SUFFIX, EventArchive, whole_frames
from core.journal.disk import RealDisk
from core.journal.errors import JournalDamaged, JournalError
from core.journal.frame import Frame, Kind
from core.journal.reader import Walker
from core.journal.repair import cut_unsynced
from core.process import EXIT_CONFIGURATION, EXIT_REFUSED
from core.snapshot import durable_events

app = App(name="journal", help=__doc__)

#: What `onebook` mounts.
journal = app

FrameVisitor = Callable[[Path, int, Frame], None]

EXIT_DAMAGED = 1


class SegmentLine(msgspec.Struct):
    """What is in one segment."""

    name: str
    bytes: int
    used: int = 0
    frames: int = 0
    first_command: int = 0
    last_command: int = 0
    first_epoch: int = 0
    last_epoch: int = 0

    def add(self, found: Frame, end: int) -> None:
        """Count one frame that ends at `end`."""
        if self.frames == 0:
            self.first_command, self.first_epoch = found.first, found.epoch
        self.frames += 1
        self.used = end
        self.last_command, self.last_epoch = found.last, found.epoch


class Report(msgspec.Struct):
    """The whole journal: its segments, its end, and what is wrong with it (empty if nothing)."""

    segments: list[SegmentLine]
    last_command: int = 0
    last_frame: int = 0
    last_hash: str = ""
    digests: int = 0
    torn: str = ""
    damage: str = ""
    archive_begin: int = 0
    archive_end: int = 0
    archive_torn: str = ""


@app.command
def show(data: Path, *, frames: bool = False, json: bool = False) -> int:
    """List the segments of a data directory's journal.

    Parameters
    ----------
    data
        The data directory.
    frames
        List each frame, too: place, number, epoch, kind, commands, hash.
    json
        Print JSON lines: with --frames one a frame, then one for the whole.
    """
    console = _console()
    table = Table(box=None)
    for title in ("segment", "offset", "frame", "epoch", "kind", "commands", "bytes", "hash"):
        table.add_column(title, no_wrap=True)

    def each(path: Path, offset: int, found: Frame) -> None:
        commands = f"{found.first}-{found.last}" if found.kind == Kind.COMMANDS else ""
        values = (path.name, offset, found.number, found.epoch, found.kind.name.lower(), commands,
                  found.size, found.hash.hex())  # fmt: skip
        if json:
            names = (str(column.header) for column in table.columns)
            print(msgspec.json.encode(dict(zip(names, values, strict=True))).decode())
        else:
            table.add_row(path.stem, *map(str, values[1:-1]), found.hash.hex()[:12])

    report = _examine(data, each if frames else None)
    if isinstance(report, str):
        return _refuse(report)
    if frames and not json:
        console.print(table)
    return _tell(report, json, console)


@app.command
def verify(data: Path, *, json: bool = False) -> int:
    """Check every hash, the chain across all segments, and the event archive's frames.

    Parameters
    ----------
    data
        The data directory.
    json
        Print one JSON object.
    """
    report = _examine(data)
    if isinstance(report, str):
        return _refuse(report)
    return _tell(report, json, _console())


@app.command
def prove(data: Path, *, config: Path | None = None, json: bool = False) -> int:
    """Replay the journal from its first command: same state digests, same events to the byte.

    Parameters
    ----------
    data
        The data directory.
    config
        The configuration the exchange runs with; only its limits matter here.
    json
        Print one JSON object.
    """
    # Compiled code, which the rest of this module does without.
    from tools.commands.up import DEFAULTS
    from tools.proof import prove as replay

    try:
        tables = merge(read(DEFAULTS), read(config) if config else {})
        proof = replay(data, decode(tables).limits)
    except ConfigurationError as error:
        print(f"onebook: {error}", file=sys.stderr)
        return EXIT_CONFIGURATION
    except JournalError as error:
        return _refuse(str(error))
    if json:
        print(msgspec.json.encode(proof).decode())
    else:
        wrong = f"wrong behind {proof.digests_wrong}" if proof.digests_wrong else "none wrong"
        differ = proof.events_differ_at
        compared = "identical" if differ < 0 else f"they differ at position {differ}"
        print(f"{proof.commands:,} commands replayed, the state's digest is {proof.state}")
        print(f"{proof.digests_met:,} recorded digests met, {wrong}")
        print(f"{proof.events_compared:,} bytes of events compared: {compared}")
    return 0 if proof.holds else EXIT_DAMAGED


@app.command
def cut(data: Path) -> int:
    """Cut the journal at a hole that a power cut under `async` left; nothing durable is cut.

    Parameters
    ----------
    data
        The data directory, of an exchange that isn't running.
    """
    try:
        done = cut_unsynced(RealDisk(), data)
    except JournalDamaged as damage:
        print(f"onebook: {damage}", file=sys.stderr)
        return EXIT_DAMAGED
    except JournalError as error:
        return _refuse(str(error))
    if done is None:
        print("nothing to cut")
    else:
        print(
            f"cut: segment {done.path.name} offset {done.offset}, {done.bytes} bytes; "
            f"command {done.last_kept} is the last now, it was {done.last_lost}"
        )
    return 0


def _examine(data: Path, each: FrameVisitor | None = None) -> Report | str:
    """Read the whole journal; a string if the directory can't be read at all."""
    disk = RealDisk()
    try:
        segment.check_version(disk, data)
        found = segment.segments(disk, data)
        lines = {item.path.name: SegmentLine(item.path.name, 0) for item in found}
        report = Report(list(lines.values()))
        for item in found:
            lines[item.path.name].bytes = disk.size(item.path)
        walker = Walker(disk, data, found[0].first if found else 1)
        try:
            for one in walker.to_the_end():
                lines[walker.path.name].add(one, walker.offset)
                report.digests += one.kind == Kind.DIGEST
                if each is not None:
                    each(walker.path, walker.offset - one.size, one)
            tail = walker.tail()
            if tail is not None and tail.torn_bytes:
                place = f"segment {tail.path.name} offset {tail.offset}"
                report.torn = f"{place}: {tail.torn_bytes} torn bytes, cut at the next start"
        except JournalDamaged as damage:
            report.damage = str(damage)
        if walker.chain is not None:
            report.last_command, report.last_frame = walker.chain.sequence, walker.chain.number
            report.last_hash = walker.chain.hash.hex()
        _examine_archive(disk, data, report)
    except (JournalError, OSError) as error:
        return str(error)
    return report


def _examine_archive(disk: RealDisk, data: Path, report: Report) -> None:
    """Walk the frames of every archive file up to the first that isn't there."""
    archive = EventArchive(data, disk=disk)
    report.archive_begin = position = archive.begin()
    place = ""
    for item in segment.numbered(disk, archive.directory, SUFFIX):
        if item.first != position:
            place = f"no events from position {position} on, {item.path.name} follows"
            break
        whole, _ = whole_frames(disk.view(item.path))
        position += whole
        if whole != disk.size(item.path):
            place = f"{item.path.name} offset {whole}"
            break
    report.archive_end = position
    if position < durable_events(data, disk=disk):
        report.damage = report.damage or f"archive damaged: {place or 'it ends too early'}"
    elif place:
        report.archive_torn = f"{place}: not whole from here, cut at the next start"


def _tell(report: Report, json: bool, console: Console) -> int:
    if json:
        print(msgspec.json.encode(report).decode())
        return EXIT_DAMAGED if report.damage else 0
    table = Table(box=None)
    for title in ("segment", "commands", "frames", "epochs", "used", "of bytes"):
        table.add_column(title, no_wrap=True, justify="left" if title == "segment" else "right")
    for line in report.segments:
        table.add_row(
            line.name, f"{line.first_command}-{line.last_command}", f"{line.frames:,}",
            f"{line.first_epoch}-{line.last_epoch}", f"{line.used:,}", f"{line.bytes:,}",
        )  # fmt: skip
    console.print(table)
    console.print(
        f"command {report.last_command:,} is the last, in frame {report.last_frame:,}, "
        f"hash {report.last_hash[:16]}; {report.digests} state digests"
    )
    console.print(f"events {report.archive_begin:,} to {report.archive_end:,} in the archive")
    for text in (report.torn, report.archive_torn):
        if text:
            console.print(f"torn tail: {text}", markup=False)
    if report.damage:
        print(f"onebook: {report.damage}", file=sys.stderr)
        return EXIT_DAMAGED
    console.print("whole: every hash is right and the chain unbroken")
    return 0


def _console() -> Console:
    """Lines of a fixed width where there is no window to fit into."""
    return Console(width=None if sys.stdout.isatty() else 120)


def _refuse(reason: str) -> int:
    print(f"onebook: {reason}", file=sys.stderr)
    return EXIT_REFUSED
