"""A FIX 4.4 client on asyncio, built on simplefix: what a desk would begin with.

    desk = FixClient(host, port, sender="DESK-NORTH", secret="…")
    desk.on_message = lambda message: …
    await desk.connect()                       logon, signed; sequence numbers start at 1
    desk.send("D", [(11, "a"), (55, "BTC-PERP"), …])

It answers test requests, beats on time, fills gaps in what it is asked to resend (old orders are
stale orders) and asks again for what it missed itself. It keeps no store: each connection begins
anew with ResetSeqNumFlag unless `resume` is set.
"""

import asyncio
import base64
import contextlib
import hashlib
import hmac
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import simplefix

READ_BYTES = 1 << 16
LOGON_SECONDS = 10.0


class FixRefused(ConnectionError):
    """The gateway ended the session; the text is its reason."""


def timestamp() -> str:
    """UTC now, in milliseconds, as FIX writes it."""
    return datetime.fromtimestamp(time.time(), UTC).strftime("%Y%m%d-%H:%M:%S.%f")[:-3]


class FixClient:
    """One session. Callbacks run in the event loop, in the order of the messages.

    `on_message(message)` gets each application message (simplefix' FixMessage), duplicates left
    out; `on_ended(reason)` is called when the connection is gone.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        sender: str,
        secret: str,
        target: str = "ONEBOOK",
        heartbeat: int = 10,
    ) -> None:
        self.host, self.port = host, port
        self.sender, self.target = sender, target
        self.on_message: Callable[[simplefix.FixMessage], None] = lambda message: None
        self.on_ended: Callable[[str], None] = lambda reason: None
        self.next_out = self.next_in = 1
        self._asked_for = 0  # the number that a resend was asked from
        self._secret = secret
        self._heartbeat = heartbeat
        self._writer: asyncio.StreamWriter | None = None
        self._reading: asyncio.Task[None] | None = None
        self._beating: asyncio.Task[None] | None = None
        self._logged_on: asyncio.Future[None] | None = None
        self._reason = "connection lost"

    @property
    def connected(self) -> bool:
        """Whether messages may be sent."""
        done = self._logged_on is not None and self._logged_on.done()
        return done and self._writer is not None

    async def connect(self, resume: bool = False) -> None:
        """Connect and log on. Raises FixRefused with the gateway's text, or OSError."""
        reader, self._writer = await asyncio.open_connection(self.host, self.port)
        self._logged_on = asyncio.get_running_loop().create_future()
        self._asked_for = 0
        if not resume:
            self.next_out = self.next_in = 1
        self._reading = asyncio.create_task(self._read(reader))
        self._logon(reset=not resume)
        try:
            await asyncio.wait_for(self._logged_on, LOGON_SECONDS)
        except TimeoutError:
            raise FixRefused("no answer to the logon") from None
        self._beating = asyncio.create_task(self._beat())

    def send(self, kind: str, fields: Sequence[tuple[int, object]]) -> int:
        """Send a message; its sequence number. Raises FixRefused without a connection."""
        return self._write(kind, fields, timestamp())

    async def close(self) -> None:
        """Log out and wait for the end."""
        with contextlib.suppress(FixRefused):
            self.send("5", [])
        if self._reading is not None:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(asyncio.shield(self._reading), 2.0)
        self.abort()

    def abort(self) -> None:
        """Drop the connection, as a crash would."""
        for task in (self._reading, self._beating):
            if task is not None:
                task.cancel()
        if self._writer is not None:
            self._writer.transport.abort()
            self._writer = None

    # ---- out -----------------------------------------------------------------------------------

    def _write(self, kind: str, fields: Sequence[tuple[int, object]], sent: str) -> int:
        if self._writer is None:
            raise FixRefused(self._reason)
        message = simplefix.FixMessage()
        number = self.next_out
        header = ((8, "FIX.4.4"), (35, kind), (34, number), (49, self.sender), (52, sent),
                  (56, self.target))
        for tag, value in (*header, *fields):
            message.append_pair(tag, value, header=tag in (8, 35))
        self._writer.write(message.encode())
        self.next_out += 1
        return number

    def _logon(self, reset: bool) -> None:
        sent = timestamp()
        signed = "".join(
            f"{value}\x01" for value in (sent, "A", self.next_out, self.sender, self.target)
        )
        digest = hmac.digest(self._secret.encode(), signed.encode(), hashlib.sha256)
        signature = base64.b64encode(digest).decode()
        fields: list[tuple[int, object]] = [
            (98, 0), (108, self._heartbeat), (95, len(signature)), (96, signature),
        ]
        if reset:
            fields.append((141, "Y"))
        self._write("A", fields, sent)

    async def _beat(self) -> None:
        while self._writer is not None:
            await asyncio.sleep(self._heartbeat)
            with contextlib.suppress(FixRefused):
                self.send("0", [])

    # ---- in ------------------------------------------------------------------------------------

    async def _read(self, reader: asyncio.StreamReader) -> None:
        parser = simplefix.FixParser()
        try:
            while data := await reader.read(READ_BYTES):
                parser.append_buffer(data)
                while (message := parser.get_message()) is not None:
                    self._take(message)
        except OSError as error:
            self._reason = str(error)
        self._end()

    def _end(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None
        if self._logged_on is not None and not self._logged_on.done():
            self._logged_on.set_exception(FixRefused(self._reason))
        if self._beating is not None:
            self._beating.cancel()
        self.on_ended(self._reason)

    def _take(self, message: simplefix.FixMessage) -> None:
        kind = text(message, 35)
        number = int(text(message, 34) or 0)
        if kind == "A" and self._logged_on is not None and not self._logged_on.done():
            self._logged_on.set_result(None)
        elif kind == "2":
            self._fill_gap(int(text(message, 7) or 1))
        if kind == "4" and text(message, 123) != "Y":
            self.next_in = int(text(message, 36) or 1)
        elif number > self.next_in:
            if self._asked_for != self.next_in:  # Once; the answer brings all that is missing.
                self._asked_for = self.next_in
                self.send("2", [(7, self.next_in), (16, 0)])
            if kind == "5":
                self._act_on(kind, message)
        elif number == self.next_in:
            self.next_in = int(text(message, 36)) if kind == "4" else number + 1
            self._act_on(kind, message)

    def _act_on(self, kind: str, message: simplefix.FixMessage) -> None:
        """A message in its turn."""
        if kind == "1":
            self.send("0", [(112, text(message, 112))])
        elif kind == "5":
            self._reason = text(message, 58) or "logged out"
            with contextlib.suppress(FixRefused):
                self.send("5", [])
        elif kind not in ("0", "2", "4", "A"):
            self.on_message(message)

    def _fill_gap(self, first: int) -> None:
        """What is asked for again is stale: say that nothing of it matters any more."""
        following, self.next_out = self.next_out, first
        self._write("4", [(43, "Y"), (122, timestamp()), (123, "Y"), (36, following)], timestamp())
        self.next_out = following


def text(message: simplefix.FixMessage, tag: int) -> str:
    """The first value of a tag, empty if it is absent."""
    value: bytes | None = message.get(tag)
    return value.decode() if value is not None else ""
