"""Logging: one JSON object a line, on standard error, from every process alike.

    {"time":"2026-01-31T12:00:00.123456Z","level":"info","process":"fix","event":"logon"}

The supervisor gives its children its own standard error (or the log file), opened for appending;
a line is one write, so that lines of different processes never mix. Nothing in the core's loop
logs.
"""

import logging
import os
import sys
import time
import traceback
from collections.abc import MutableMapping
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, cast

import msgspec
import structlog
from structlog.typing import FilteringBoundLogger

_encode = msgspec.json.Encoder(enc_hook=str).encode


class _LineWriter:
    """Writes each line with one system call, so that processes can share a file."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def msg(self, line: bytes) -> None:
        try:
            os.write(self._descriptor, line)
        except OSError:  # The reader of our log is gone; the exchange goes on.
            return

    debug = info = warning = error = critical = exception = log = msg


def _render(_logger: object, _method: str, event: MutableMapping[str, Any]) -> bytes:
    return _encode({key: value for key, value in event.items() if value is not None}) + b"\n"


def _stamp(
    _logger: object, method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    moment = datetime.fromtimestamp(time.time(), UTC).isoformat(timespec="microseconds")
    failure = event.pop("exc_info", None)
    head: dict[str, Any] = {"time": moment.replace("+00:00", "Z"), "level": method}
    if failure:
        error = failure if isinstance(failure, BaseException) else sys.exc_info()[1]
        if error is not None:
            event["error"] = f"{type(error).__name__}: {error}"
            event["traceback"] = "".join(traceback.format_exception(error))
    head["process"] = event.pop("process", None)
    head["event"] = event.pop("event", None)
    return head | dict(event)


def configure(process: str, descriptor: int = 2, debug: bool = False) -> FilteringBoundLogger:
    """Set up logging for this process and return its logger; also for uncaught exceptions.

    descriptor: the open file that lines go to; standard error by default.
    """
    structlog.configure(
        processors=[structlog.contextvars.merge_contextvars, _stamp, _render],
        wrapper_class=structlog.make_filtering_bound_logger(
            logging.DEBUG if debug else logging.INFO
        ),
        logger_factory=lambda *_: _LineWriter(descriptor),
        cache_logger_on_first_use=False,
    )
    log = cast(FilteringBoundLogger, structlog.get_logger().bind(process=process))

    def uncaught(
        kind: type[BaseException], error: BaseException, _trace: TracebackType | None
    ) -> None:
        if issubclass(kind, KeyboardInterrupt):
            return
        log.critical("uncaught exception", exc_info=error)

    sys.excepthook = uncaught
    return log
