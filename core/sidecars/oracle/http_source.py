"""A price asked for over HTTP, as JSON."""

import time
import urllib.request
from collections.abc import Callable
from typing import ClassVar

from core.sidecars.oracle.sources import FETCH_BYTES_MAX
from core.sidecars.oracle.threaded_source import JsonSource

FETCH_SECONDS = 1.0
FETCH_TIMEOUT_SECONDS = 2.0


class HttpSource(JsonSource):
    """What `path` leads to in the answers of `url`; the time of each is when it was asked for."""

    patience: ClassVar[float] = FETCH_TIMEOUT_SECONDS + 1

    def __init__(
        self, url: str, path: str = "price", *, interval_seconds: float = FETCH_SECONDS,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        super().__init__(url, path, interval_seconds, clock)

    def listen(self) -> None:
        """Ask once."""
        asked = self._clock()
        with urllib.request.urlopen(self._url, timeout=FETCH_TIMEOUT_SECONDS) as answer:
            self.take(answer.read(FETCH_BYTES_MAX), asked)
