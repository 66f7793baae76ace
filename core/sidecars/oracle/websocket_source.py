"""A price pushed by another venue over a WebSocket, as JSON.

    connect ─▶ the configured message, if any ─▶      ◀─ messages; `path` leads to the price

A thread of its own holds the connection and comes back after every break. Messages in which the
path leads nowhere, or to no price, are of something else and passed by. What is not heard any more
grows old, and the index leaves it out; a connection that is silent is pinged, and given up for dead
if it doesn't answer.
"""

import contextlib
import json
import threading
import time
from collections.abc import Callable
from decimal import Decimal

from websockets.exceptions import WebSocketException
from websockets.sync.client import ClientConnection, connect

from core.sidecars.oracle.sources import FETCH_BYTES_MAX, Quote, dig, price_of

RETRY_SECONDS = 1.0
OPEN_SECONDS = 5.0
PING_SECONDS = 5.0
LISTEN_SECONDS = 0.5  # How long a close may have to wait.


class WebSocketSource:
    """What `path` leads to in the messages of `url` (ws or wss); `subscribe` is sent first."""

    def __init__(
        self, url: str, path: str = "price", subscribe: str = "", *,
        clock: Callable[[], int] = time.time_ns, retry_seconds: float = RETRY_SECONDS,
    ) -> None:
        self._url = url
        self._path = path
        self._subscribe = subscribe
        self._clock = clock
        self._retry = retry_seconds
        self._quote: Quote | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"source {url}", daemon=True)
        self._thread.start()

    def latest(self, now: int) -> Quote | None:
        """The last price, and when it was heard."""
        return self._quote

    def close(self) -> None:
        """Leave the venue."""
        self._stop.set()
        self._thread.join(OPEN_SECONDS + LISTEN_SECONDS)

    def _run(self) -> None:
        while not self._stop.is_set():
            with (
                contextlib.suppress(OSError, WebSocketException),
                connect(
                    self._url, open_timeout=OPEN_SECONDS, ping_interval=PING_SECONDS,
                    ping_timeout=PING_SECONDS, close_timeout=LISTEN_SECONDS,
                    max_size=FETCH_BYTES_MAX,
                ) as connection,
            ):
                if self._subscribe:
                    connection.send(self._subscribe)
                self._listen(connection)
            self._stop.wait(self._retry)

    def _listen(self, connection: ClientConnection) -> None:
        """Until the connection ends or nobody wants it any more."""
        while not self._stop.is_set():
            with contextlib.suppress(TimeoutError):
                self._take(connection.recv(LISTEN_SECONDS))

    def _take(self, message: str | bytes) -> None:
        heard = self._clock()
        with contextlib.suppress(ValueError, KeyError, IndexError, TypeError):
            price = price_of(dig(json.loads(message, parse_float=Decimal), self._path))
            if price is not None:
                self._quote = Quote(price, heard)
