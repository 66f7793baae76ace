"""Run the exchange: start all processes, watch them, stop them in order when asked to.

It prints one line when everybody can trade, `onebook ready instance=… fix=host:port …`, and logs
JSON lines to standard error or to a file. SIGTERM or Ctrl-C stops it in order; the data directory
has everything that was acknowledged, and nothing else is left behind.
"""

import os
import signal
import sys
from pathlib import Path
from typing import Any, Literal

from core import logs
from core.config import ConfigurationError, merge, read
from core.jit import COMPILED_VARIABLE, load_numba
from core.process import EXIT_CONFIGURATION, EXIT_FAILED, EXIT_REFUSED, Refused
from tools.supervisor.genesis import Genesis
from tools.supervisor.place import Place
from tools.supervisor.processes import enabled
from tools.supervisor.supervisor import Supervisor, describe
from tools.supervisor.turns import judge_spinning
from tools.supervisor.warm import warm

DEFAULTS = Path(__file__).parents[1] / "defaults.toml"


def up(
    *,
    config: Path | None = None,
    data: Path | None = None,
    instance: str | None = None,
    policy: Literal["fsync", "async", "none"] | None = None,
    log: Path | None = None,
) -> int:
    """Run the exchange until SIGTERM or Ctrl-C.

    Parameters
    ----------
    config
        A TOML file; it needs only what differs from the defaults.
    data
        Where journal, snapshots and books are kept.
    instance
        The exchange's name: two of different names run side by side.
    policy
        What an acknowledgement survives: a power cut, the death of any process, nothing.
    log
        Append the log to this file instead of standard error.
    """
    folder = str(data.absolute()) if data else None
    try:
        tables = _tables(config, {"data": folder, "instance": instance, "policy": policy})
        descriptor = _log_descriptor(log)
        with Place(tables) as place:
            return _run(place, descriptor)
    except ConfigurationError as error:
        return _say(error, EXIT_CONFIGURATION)
    except Refused as error:
        return _say(error, EXIT_REFUSED)


def _tables(config: Path | None, chosen: dict[str, Any]) -> dict[str, Any]:
    """The defaults, under the file, under the command line."""
    tables = merge(read(DEFAULTS), read(config) if config else {})
    given = {key: value for key, value in chosen.items() if value is not None}
    return merge(tables, {"exchange": given})


def _log_descriptor(log: Path | None) -> int:
    if log is None:
        return 2
    try:
        return os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    except OSError as error:
        raise Refused(f"log file {log}: {error.strerror}") from None


def _run(place: Place, descriptor: int) -> int:
    log = logs.configure("supervisor", descriptor)
    supervisor = None
    clean = True
    try:
        specs = enabled(place.configuration)
        if place.configuration.exchange.idle == "spin":
            judge_spinning(sum(not spec.patient for spec in specs))
        for number in (signal.SIGTERM, signal.SIGINT):  # A shell's background ignores the latter.
            signal.signal(number, signal.default_int_handler)
        warm(place.options, place.configuration, log, descriptor)
        os.environ[COMPILED_VARIABLE] = "1"
        load_numba()
        genesis = Genesis(place.configuration, place.options, log)
        supervisor = Supervisor(specs, place.options, log, descriptor, genesis.run)
        supervisor.handle_signals()
        if supervisor.start():
            children = supervisor.children.values()
            print(describe(place.options, place.configuration, children), flush=True)
            log.info("ready")
            supervisor.run()
    except KeyboardInterrupt:  # Asked to stop before there was anything to stop.
        log.info("stopping")
    except Refused as error:
        code = supervisor.exit_code() if supervisor else EXIT_REFUSED
        log.critical(str(error))
        return _say(error, code)
    finally:
        if supervisor:
            clean = supervisor.stop()
            supervisor.close()
        # What a crash left is kept until a start has come so far as to have recovered it.
        recovered = supervisor is not None and supervisor.ready
        keep = not clean if recovered else place.recovering
        if keep:
            log.warning("shared memory is kept: the next start on this data recovers from it")
        place.leave(keep)
    return 0 if clean else EXIT_FAILED


def _say(error: Exception, code: int) -> int:
    print(f"onebook: {error}", file=sys.stderr, flush=True)
    return code
