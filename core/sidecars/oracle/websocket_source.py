"""A price pushed by another venue over a WebSocket, as JSON.

    connect ─▶ the configured message, if any ─▶      ◀─ messages; `path` leads to the price

A connection that is silent is pinged, and given up for dead if it doesn't answer.
"""

import contextlib
import time
from collections.abc import Callable
from typing import ClassVar

from websockets.exceptions import WebSocketException
from websockets.sync.client import connect

from core.sidecars.oracle.sources import FETCH_BYTES_MAX
from core.sidecars.oracle.threaded_source import JsonSource

RETRY_SECONDS = 1.0
OPEN_SECONDS = 5.0
PING_SECONDS = 5.0
LISTEN_SECONDS = 0.5  # How long a close may have to wait.


class WebSocketSource(JsonSource):
    """What `path` leads to in the messages of `url` (ws or wss); `subscribe` is sent first."""

    breaks: ClassVar[tuple[type[Exception], ...]] = (OSError, WebSocketException)
    patience: ClassVar[float] = OPEN_SECONDS + LISTEN_SECONDS

    def __init__(
        self, url: str, path: str = "price", subscribe: str = "", *,
        clock: Callable[[], int] = time.time_ns, retry_seconds: float = RETRY_SECONDS,
    ) -> None:
        self._subscribe = subscribe
        super().__init__(url, path, retry_seconds, clock)

    def listen(self) -> None:
        """Until the connection ends or nobody wants it any more."""
        with connect(
            self._url, open_timeout=OPEN_SECONDS, ping_interval=PING_SECONDS,
            ping_timeout=PING_SECONDS, close_timeout=LISTEN_SECONDS, max_size=FETCH_BYTES_MAX,
        ) as connection:
            if self._subscribe:
                connection.send(self._subscribe)
            while not self._stop.is_set():
                with contextlib.suppress(TimeoutError):
                    message = connection.recv(LISTEN_SECONDS)
                    self.take(message, self._clock())
