"""What every process of the exchange does first and last: options, log, signals, exit code.

A process is `python -m core.journal --instance I --data D --rundir R --config F`; its `__main__` is

    def load(process: Process) -> None:      # optional: what can be done before its turn
        ...
    def main(process: Process) -> None:
        row = process.attach_status()
        ...                                  # attach to rings and the event log
        process.ready(port=port)             # the supervisor goes on to the next process
        while not process.stopping:
            ...

    if __name__ == "__main__":
        sys.exit(run("journal", main, load=load))

Exit codes tell the supervisor what to do next:

    0  stopped as asked
    1  failed: start it again, after a while
    2  the configuration is wrong          } starting it again can't help: the reason stands as one
    3  refused, harming nothing            } line in <rundir>/<name>.refused, everything stops

No numba here: a process that needs no compiled code starts without it.
"""

import argparse
import contextlib
import ctypes
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import msgspec
from structlog.typing import FilteringBoundLogger

from core import logs
from core.config import Configuration, ConfigurationError, load
from core.errors import CoreError, SegmentError, SegmentMissing
from core.journal.disk import NO_SPACE
from core.journal.errors import DiskFailed, JournalError
from core.status import State, StatusRow, StatusTable

EXIT_FAILED = 1
EXIT_CONFIGURATION = 2
EXIT_REFUSED = 3

# The supervisor's pid, given to its children, who end when it does.
SUPERVISOR_VARIABLE = "ONEBOOK_SUPERVISOR"
_PR_SET_PDEATHSIG = 1
TURN_SECONDS = 0.005
REFUSAL_BYTES = 4096
_SQLITE_FULL = 13  # its result code


def die_with_parent() -> None:
    """For a child that has nothing to lose: be killed when the parent ends, however it ends."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


class Refused(Exception):
    """The process can't work here and a restart won't change that; the text is one line."""


@dataclass(frozen=True)
class Options:
    """Where a process finds its exchange."""

    instance: str
    data: Path  # journal, archive, snapshots, stores of the sidecars
    rundir: Path  # doorbells, merged configuration; gone when the exchange has stopped
    config: Path

    def arguments(self) -> list[str]:
        """These options as a command line, for another process of the same exchange."""
        return [
            "--instance", self.instance, "--data", str(self.data),
            "--rundir", str(self.rundir), "--config", str(self.config),
        ]


class Process:
    """This process: its name, options, configuration, log, and whether it was asked to stop."""

    def __init__(self, name: str, options: Options, log: FilteringBoundLogger) -> None:
        self.name = name
        self.options = options
        self.configuration: Configuration = load(options.config)
        self.log = log
        self.stopping = False
        self.status: StatusTable | None = None
        self.row: StatusRow | None = None
        self._on_stop: list[Callable[[], None]] = []

    def attach_status(self) -> StatusRow:
        """Open the status table and take this process' row. Raises SegmentMissing."""
        if self.row is None:
            self.status = StatusTable.open(self.options.instance)
            self.row = self.status.take(self.name)
        return self.row

    def close(self, failed: bool = False) -> None:
        """Say in the status table that this process has ended."""
        if self.status and self.row:
            self.row.state = State.ABSENT if failed else State.STOPPED
            self.row = None
            self.status.close()
            self.status = None

    def on_stop(self, callback: Callable[[], None]) -> None:
        """Call when the first SIGTERM or SIGINT arrives, in the signal handler's context."""
        self._on_stop.append(callback)

    def stop(self) -> None:
        """Ask this process to stop; the second time changes nothing."""
        if not self.stopping:
            self.stopping = True
            if self.row:
                self.row.state = State.STOPPING
            for callback in self._on_stop:
                callback()

    def ready(self, **details: object) -> None:
        """Say that this process does its job from here on, with what the supervisor should know."""
        if self.row:
            self.row.state = State.RUNNING
        file = self.options.rundir / f"{self.name}.ready"
        temporary = file.with_suffix(".ready.new")
        temporary.write_bytes(msgspec.json.encode({"pid": os.getpid()} | details))
        temporary.rename(file)
        self.log.info("ready", **details)

    def handle_signals(self) -> None:
        """SIGTERM and SIGINT ask to stop; the death of the supervisor does the same."""

        def stop(_number: int, _frame: FrameType | None) -> None:
            self.stop()

        signal.signal(signal.SIGTERM, stop)
        signal.signal(signal.SIGINT, stop)
        supervisor = int(os.environ.get(SUPERVISOR_VARIABLE, "0"))
        if supervisor:
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
            if os.getppid() != supervisor:  # It died before we asked to be told.
                self.stop()


    def wait_for_turn(self) -> bool:
        """Wait until the supervisor lets this process begin; False if asked to stop before.

        Processes are loaded all at the same time and begin one after the other. One that nobody
        supervises begins at once.
        """
        if SUPERVISOR_VARIABLE in os.environ:
            turn = self.options.rundir / f"{self.name}.turn"
            while not self.stopping and not turn.exists():
                time.sleep(TURN_SECONDS)
        return not self.stopping


def parse(name: str, arguments: Sequence[str] | None = None) -> Options:
    """The four options of a process; exits with a usage line if they are wrong."""
    parser = argparse.ArgumentParser(prog=f"onebook process {name}", allow_abbrev=False)
    parser.add_argument("--instance", required=True)
    for option in ("--data", "--rundir", "--config"):
        parser.add_argument(option, required=True, type=Path)
    return Options(**vars(parser.parse_args(arguments)))


def _disk_full(error: Exception) -> bool:
    """Whether the file system, or SQLite above it, had no room (or no more by quota or limit)."""
    sqlite_full = getattr(error, "sqlite_errorcode", 0) == _SQLITE_FULL
    return sqlite_full or (isinstance(error, OSError) and error.errno in NO_SPACE)


def run(
    name: str,
    main: Callable[[Process], None],
    arguments: Sequence[str] | None = None,
    load: Callable[[Process], None] | None = None,
) -> int:
    """Run the body of a process; the exit code for the supervisor.

    load: what needs nobody else, done before the process' turn, while others are loading.
    """
    log = logs.configure(name)
    options = parse(name, arguments)
    process = None
    code = EXIT_FAILED
    try:
        process = Process(name, options, log)
        process.handle_signals()
        if load:
            load(process)
        if process.wait_for_turn():
            main(process)
        code = 0
    except ConfigurationError as error:
        code = _refuse(options, name, log, str(error), EXIT_CONFIGURATION)
    except (DiskFailed, SegmentMissing) as error:
        # What the disk holds is unknown, or the segment's maker isn't there yet: begin again.
        log.error(str(error))
    except (Refused, JournalError, SegmentError) as error:
        code = _refuse(options, name, log, str(error), EXIT_REFUSED)
    except CoreError as error:
        log.error(str(error))
    except Exception as error:
        if _disk_full(error):  # Begin again, until there is room: what was not written is repeated.
            where = getattr(error, "filename", None) or options.data
            log.error(f"{where}: no space left on device")
        else:
            log.critical("failed", exc_info=True)
    finally:
        if process:
            process.close(failed=code != 0)
    if code == 0:
        log.info("stopped")
    return code


def reserve_refusal(path: Path) -> None:
    """Make room for a refusal: a disk that is full would not even take the word that it is."""
    with contextlib.suppress(OSError):
        _write_in_place(path, b" " * REFUSAL_BYTES)


def write_refusal(path: Path, reason: str) -> None:
    """Write why a process refuses to work, into the room reserved if there is any."""
    text = reason.encode()
    _write_in_place(path, text)
    os.truncate(path, len(text))


def _write_in_place(path: Path, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        os.write(descriptor, content)
    finally:
        os.close(descriptor)


def _refuse(
    options: Options, name: str, log: FilteringBoundLogger, reason: str, code: int
) -> int:
    log.critical(reason)
    try:
        write_refusal(options.rundir / f"{name}.refused", reason + "\n")
    except OSError:
        sys.stderr.write(f"{name}: {reason}\n")
    return code
