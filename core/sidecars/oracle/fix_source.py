"""A price from another venue's FIX 4.4 market data: the mid of its best bid and offer.

    Logon ─▶                    ◀─ Logon
    MarketDataRequest ─▶        ◀─ W, the whole top of book; X, what changed of it
    Heartbeat ─▶                ◀─ TestRequest, Heartbeat

A break, a rejected request or a side without a price end the quote's life.
"""

import contextlib
import socket
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import ClassVar

import simplefix

from core.sidecars.oracle.sources import Quote, price_of
from core.sidecars.oracle.threaded_source import ThreadedSource

HEARTBEAT_SECONDS = 10
RETRY_SECONDS = 1.0
READ_BYTES = 1 << 16
BID, OFFER = b"0", b"1"
DELETE = b"2"
_ENTRY = 269
_FIRST_OF_UPDATE = 279


class FixSource(ThreadedSource):
    """The mid of `symbol` at a venue; `username` and `password` go into the logon if given."""

    patience: ClassVar[float] = HEARTBEAT_SECONDS

    def __init__(
        self, host: str, port: int, symbol: str, *, sender: str, target: str, username: str = "",
        password: str = "", clock: Callable[[], int] = time.time_ns,
        retry_seconds: float = RETRY_SECONDS,
    ) -> None:
        self._address = host, port
        self._symbol = symbol
        self._names = sender, target
        self._login = username, password
        self._best: dict[bytes, int] = {}
        self._number = 0
        self._socket: socket.socket | None = None
        super().__init__(f"fix {symbol}", retry_seconds, clock)

    def close(self) -> None:
        """Leave the venue."""
        self._stop.set()
        with contextlib.suppress(OSError, AttributeError):
            self._socket.shutdown(socket.SHUT_RDWR)  # type: ignore[union-attr]
        super().close()

    # ---- the session -----------------------------------------------------------------------------

    def listen(self) -> None:
        """From logon until the connection ends."""
        self._best.clear()
        self._number = 0
        parser = simplefix.FixParser()
        with socket.create_connection(self._address, HEARTBEAT_SECONDS) as connection:
            self._socket = connection
            connection.settimeout(HEARTBEAT_SECONDS)
            login = [(tag, text) for tag, text in zip((553, 554), self._login, strict=True) if text]
            self._send("A", [(98, 0), (108, HEARTBEAT_SECONDS), (141, "Y"), *login])
            silent = 0
            while not self._stop.is_set():
                try:
                    data = connection.recv(READ_BYTES)
                except TimeoutError:
                    silent += 1
                    if silent > 2:
                        return
                    self._send("0", [])
                    continue
                if not data:
                    return
                silent = 0
                parser.append_buffer(data)
                while (message := parser.get_message()) is not None:
                    self._take(message)

    def _take(self, message: simplefix.FixMessage) -> None:
        kind = message.get(35)
        if kind == b"A":
            self._send("V", [
                (262, "onebook"), (263, 1), (264, 1), (265, 1), (267, 2), (269, 0), (269, 1),
                (146, 1), (55, self._symbol),
            ])
        elif kind == b"1":
            self._send("0", [(112, message.get(112))])
        elif kind in (b"5", b"Y"):
            raise ValueError("the venue does not serve us")
        elif kind == b"W" and message.get(55) == self._symbol.encode():
            self._best.clear()
            self._update(message, _ENTRY)
        elif kind == b"X":
            self._update(message, _FIRST_OF_UPDATE)

    def _update(self, message: simplefix.FixMessage, first: int) -> None:
        """Take the entries of a message, each beginning with its first tag."""
        for entry in _entries(message, first):
            if entry.get(55, self._symbol.encode()) != self._symbol.encode():
                continue
            side, price = entry.get(_ENTRY), price_of(entry.get(270, b"").decode())
            if side not in (BID, OFFER):
                continue
            if entry.get(_FIRST_OF_UPDATE) == DELETE or price is None:
                self._best.pop(side, None)
            else:
                self._best[side] = price
        if self._best.keys() == {BID, OFFER} and self._best[BID] <= self._best[OFFER]:
            mid = (self._best[BID] + self._best[OFFER]) // 2
            self._quote = Quote(mid, self._clock())

    def _send(self, kind: str, fields: list[tuple[int, object]]) -> None:
        self._number += 1
        message = simplefix.FixMessage()
        message.append_pair(8, "FIX.4.4", header=True)
        message.append_pair(35, kind, header=True)
        message.append_pair(49, self._names[0], header=True)
        message.append_pair(56, self._names[1], header=True)
        message.append_pair(34, self._number, header=True)
        now = datetime.now(UTC).strftime("%Y%m%d-%H:%M:%S.%f")[:-3]
        message.append_pair(52, now, header=True)
        for tag, value in fields:
            message.append_pair(tag, value)
        assert self._socket is not None
        self._socket.sendall(message.encode())


def _entries(message: simplefix.FixMessage, first: int) -> list[dict[int, bytes]]:
    entries: list[dict[int, bytes]] = []
    for tag, value in message.pairs:
        number = int(tag)
        if number == first:
            entries.append({})
        if entries:
            entries[-1][number] = value
    return entries
