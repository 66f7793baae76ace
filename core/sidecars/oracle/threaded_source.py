"""What sources that hear from elsewhere have in common: a thread, the last price, an end.

    while it is wanted ─▶ listen until that fails ─▶ a pause ─▶ once more

The thread is the source's own, so that a server that is slow or gone holds up nobody. What is not
heard any more grows old, and the index leaves it out.
"""

import contextlib
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from decimal import Decimal
from json import loads
from typing import ClassVar

from core.sidecars.oracle.sources import Quote, dig, price_of


class ThreadedSource(ABC):
    """Hears prices by `listen`, again and again; its construction begins it.

    breaks: what ends a `listen` and is no more than a pause. patience: seconds a close may wait.
    """

    breaks: ClassVar[tuple[type[Exception], ...]] = (OSError, ValueError)
    patience: ClassVar[float] = 5.0

    def __init__(
        self, name: str, pause_seconds: float, clock: Callable[[], int] = time.time_ns
    ) -> None:
        self._clock = clock
        self._pause = pause_seconds
        self._quote: Quote | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def latest(self, now: int) -> Quote | None:
        """The last price, and when it was heard."""
        return self._quote

    def close(self) -> None:
        """Stop hearing."""
        self._stop.set()
        self._thread.join(self.patience)

    @abstractmethod
    def listen(self) -> None:
        """Hear what there is; called until the source is closed, with a pause between."""

    def _run(self) -> None:
        while not self._stop.is_set():
            with contextlib.suppress(*self.breaks):
                self.listen()
            self._stop.wait(self._pause)


class JsonSource(ThreadedSource):
    """One whose prices stand in JSON from `url`, where `path` leads to them."""

    def __init__(
        self, url: str, path: str, pause_seconds: float, clock: Callable[[], int]
    ) -> None:
        self._url = url
        self._path = path
        super().__init__(f"source {url}", pause_seconds, clock)

    def take(self, message: str | bytes, heard: int) -> None:
        """The price of a message; one in which the path leads to none is of something else."""
        with contextlib.suppress(ValueError, KeyError, IndexError, TypeError):
            price = price_of(dig(loads(message, parse_float=Decimal), self._path))
            if price is not None:
                self._quote = Quote(price, heard)
