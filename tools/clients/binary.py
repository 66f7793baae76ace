"""A client of the binary gateway on asyncio: what a market maker would start from.

    client = BinaryClient("127.0.0.1", 7002, session=101, key_id="maker-one", secret="…")
    client.on_event = lambda event: ...       # every numbered event, in order, each once
    await client.connect()
    client.new_order(account=100, instrument=1, side=BUY, price=fixed("100.5"), quantity=…)
    ...
    await client.close()

The library keeps the session: it numbers what is sent, sees to it that events come in order and
exactly once (asking again for those missed), sends keep-alives, and says which messages were never
applied. `connect` after a lost connection goes on with the same session; everything that happened
meanwhile arrives first. Prices and quantities are int64 with exponent −8.
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import uvloop

from core.messages import decode, encode
from gateway.binary.frames import SOFH_SIZE, framed
from gateway.binary.signing import sign
from sbe.generated import order_entry as oe
from tools.clients.binary_codec import (
    GARBLED,
    NULL,
    QUOTE,
    ROW,
    ROWS_MAX,
    compile_all,
    split,
    write_cancel,
    write_mass_quote,
    write_new_order,
    write_replace,
)

BUY, SELL = oe.SIDE_BUY, oe.SIDE_SELL
BUFFER_BYTES = 1 << 18
RETRANSMIT_MAX = 2500
RECORDS = {
    oe.EXECUTION_REPORT_TEMPLATE: oe.EXECUTION_REPORT,
    oe.ORDER_CANCEL_REJECT_TEMPLATE: oe.ORDER_CANCEL_REJECT,
    oe.MASS_QUOTE_ACK_TEMPLATE: oe.MASS_QUOTE_ACK,
    oe.BALANCE_UPDATE_TEMPLATE: oe.BALANCE_UPDATE,
    oe.POSITION_REPORT_TEMPLATE: oe.POSITION_REPORT,
    oe.POSITION_SETTLED_TEMPLATE: oe.POSITION_SETTLED,
    oe.POSITION_RESOLVED_TEMPLATE: oe.POSITION_RESOLVED,
    oe.FUNDING_PAYMENT_TEMPLATE: oe.FUNDING_PAYMENT,
    oe.MARGIN_REPORT_TEMPLATE: oe.MARGIN_REPORT,
}


class SessionRefused(Exception):
    """The gateway said no; `code` is a RejectCode, `fields` the whole message."""

    def __init__(self, name: str, fields: Mapping[str, Any]) -> None:
        super().__init__(f"{name}: code {fields.get('code')}")
        self.code = fields.get("code")
        self.fields = fields


class SessionEnded(ConnectionError):
    """The connection is gone; `code` is a TerminationCode, None if nobody said why."""

    def __init__(self, code: int | None) -> None:
        super().__init__(f"the session's connection has ended: code {code}")
        self.code = code


@dataclass(slots=True)
class Event:
    """A message of the exchange. `number` is 0 for what the gateway itself said."""

    template: int
    number: int
    applied: int  # the last number of ours that the core had applied
    resent: bool
    message: bytes  # with its SBE header

    @property
    def name(self) -> str:
        """The name in the schema."""
        return oe.MESSAGE_NAMES[self.template]

    @property
    def record(self) -> Any:
        """The root block as a numpy record with the schema's field names; the hot way to read."""
        return np.frombuffer(self.message, RECORDS[self.template], 1, oe.HEADER_SIZE)[0]

    def decode(self) -> dict[str, Any]:
        """All fields, groups and data included, as a dict; the friendly way to read."""
        return decode(self.message)[1]


class BinaryClient:
    """One session; see above. Callbacks run in the event loop, in the order of the events.

    on_event(Event): each numbered event, and BusinessRejects (number 0).
    on_not_applied(first, count): numbers the exchange never saw; send again what still matters.
    on_ended(code): the connection is gone.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        session: int,
        key_id: str,
        secret: str,
        keepalive: float = 1.0,
        cancel_on_disconnect: int = oe.CANCEL_ON_DISCONNECT_SESSION,
        cancel_window: float = 0.0,
    ) -> None:
        self.host, self.port = host, port
        self.session, self.version = session, 0
        self.next_number = 1  # of what we send
        self.next_event = 1  # of what we receive
        self.applied = 0
        self.on_event: Callable[[Event], None] = lambda event: None
        self.on_not_applied: Callable[[int, int], None] = lambda first, count: None
        self.on_ended: Callable[[int | None], None] = lambda code: None
        self._key_id, self._secret = key_id, secret
        self._keepalive_ms = int(keepalive * 1000)
        self._cancel = cancel_on_disconnect
        self._cancel_window_ms = int(cancel_window * 1000)
        self._wire: Wire | None = None
        self._answer: asyncio.Future[tuple[str, dict[str, Any]]] | None = None
        self._early: dict[int, Event] = {}
        self._asked_until = 0  # events before this have been asked for again
        self._out = np.zeros(1 << 17, np.uint8)
        self._at = self._out.ctypes.data
        self._beat: asyncio.TimerHandle | None = None
        self._next_id = time.time_ns()

    # ---- the session ---------------------------------------------------------------------------

    @property
    def connected(self) -> bool:
        """Whether orders may be sent."""
        return self._wire is not None and self._wire.established

    async def connect(self) -> None:
        """Connect and establish; a session that was established before goes on.

        The first one in a process loads the codec (and compiles it, the first time on a machine).
        Raises OSError, SessionRefused, SessionEnded.
        """
        compile_all()
        loop = asyncio.get_running_loop()
        wire = Wire(self)
        await loop.create_connection(lambda: wire, self.host, self.port)
        self._wire = wire
        try:
            if self.version == 0:
                await self._negotiate()
            await self._establish()
        except BaseException:
            wire.abort()
            raise
        self._schedule_beat()

    async def close(self) -> None:
        """Say goodbye and wait for the answer."""
        if self._wire is None:
            return
        wire = self._wire
        if wire.established:
            self._send("Terminate", self._names() | {"code": oe.TERMINATION_CODE_FINISHED})
        await wire.gone.wait() if wire.established else wire.abort()

    def abort(self) -> None:
        """Drop the connection without a word, as a crash would."""
        if self._wire is not None:
            self._wire.abort()

    def _names(self) -> dict[str, Any]:
        return {"sessionId": self.session, "versionId": self.version}

    async def _negotiate(self) -> None:
        self.version = time.time_ns()
        fields = self._names() | {
            "timestamp": time.time_ns(), "keyId": self._key_id, "nonce": time.monotonic_ns(),
        }
        try:
            await self._ask("Negotiate", fields)
        except BaseException:
            self.version = 0
            raise
        self.next_number = self.next_event = 1
        self.applied = 0

    async def _establish(self) -> None:
        fields = self._names() | {
            "timestamp": time.time_ns(),
            "keepaliveInterval": self._keepalive_ms,
            # 1 lets the exchange tell what it has applied, whatever we believe to have sent.
            "nextSeqNo": 1,
            "cancelOnDisconnect": self._cancel,
            "cancelOnDisconnectWindow": self._cancel_window_ms,
        }
        await self._ask("Establish", fields)

    def _established(self, ack: Mapping[str, Any]) -> None:
        """Called in order with the events around it: EstablishAck arrived."""
        assert self._wire is not None
        self._wire.established = True
        self._early.clear()
        self._asked_until = self.next_event
        applied, sent = ack["lastIncomingSeqNo"], self.next_number - 1
        self.applied, self.next_number = applied, applied + 1
        if sent > applied:
            self.on_not_applied(applied + 1, sent - applied)
        if ack["nextSeqNo"] > self.next_event:
            self._ask_again(ack["nextSeqNo"])

    async def _ask(self, name: str, fields: dict[str, Any]) -> dict[str, Any]:
        self._answer = asyncio.get_running_loop().create_future()
        self._send(name, fields | {"signature": sign(name, fields, self._secret)})
        answer, values = await self._answer
        if answer.endswith("Reject"):
            raise SessionRefused(answer, values)
        return values

    def _ask_again(self, until: int) -> None:
        """Request the missing events before `until`, at most a batch of them."""
        if self._asked_until > self.next_event:
            return  # One request at a time; the next follows when it has been answered.
        count = min(until - self.next_event, RETRANSMIT_MAX)
        self._asked_until = self.next_event + count
        self._send("RetransmitRequest", {
            "timestamp": time.time_ns(), "fromSeqNo": self.next_event, "count": count,
        })

    # ---- what arrives --------------------------------------------------------------------------

    def _received(self, template: int, number: int, applied: int, message: bytes) -> None:
        if number:
            resent = number < self._asked_until
            event = Event(template, number, applied, resent, message)
            if number == self.next_event:
                self._deliver(event)
                while self._early and (early := self._early.pop(self.next_event, None)):
                    self._deliver(early)
            elif number > self.next_event:
                self._early[number] = event
                self._ask_again(number)
        elif template >= oe.EXECUTION_REPORT_TEMPLATE:
            self.on_event(Event(template, 0, applied, False, message))
        else:
            self._session_message(*decode(message))

    def _deliver(self, event: Event) -> None:
        self.next_event = event.number + 1
        self.applied = event.applied
        self.on_event(event)

    def _session_message(self, name: str, fields: dict[str, Any]) -> None:
        if name == "Sequence":
            if fields["nextSeqNo"] > self.next_event:
                self._ask_again(min([*self._early, fields["nextSeqNo"]]))
            if fields["lapsed"]:
                self._send_beat()
        elif name == "NotApplied":
            self.on_not_applied(fields["fromSeqNo"], fields["count"])
        elif name == "Terminate":
            assert self._wire is not None
            self._wire.code = fields["code"]
        elif name == "RetransmitReject":
            # Too long ago: go on with what is known, the application asks for open orders.
            self.next_event = self._asked_until
        elif self._answer is not None and not self._answer.done():
            if name == "EstablishAck":
                self._established(fields)
            self._answer.set_result((name, fields))

    def _lost(self, wire: "Wire") -> None:
        if self._wire is not wire:
            return
        self._wire = None
        if self._beat is not None:
            self._beat.cancel()
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(SessionEnded(wire.code))
        if wire.established:
            self.on_ended(wire.code)

    # ---- what is sent --------------------------------------------------------------------------

    def new_order(
        self,
        *,
        account: int,
        instrument: int,
        side: int,
        quantity: int,
        price: int | None = None,
        time_in_force: int = oe.TIME_IN_FORCE_GOOD_TILL_CANCEL,
        exec_inst: int = 0,
        outcome_side: int = 0,
        tag: int = 0,
        cl_ord_id: int | None = None,
    ) -> int:
        """A limit order, or without a price a market order; its clOrdId."""
        given = self.new_id() if cl_ord_id is None else cl_ord_id
        kind = oe.ORD_TYPE_MARKET if price is None else oe.ORD_TYPE_LIMIT
        length = write_new_order(
            self._at, self._number(), time.time_ns(), account, given, instrument, side,
            NULL if price is None else price, quantity, kind, time_in_force, exec_inst,
            outcome_side, tag,
        )
        self._write(length)
        return given

    def replace(
        self,
        original: int,
        *,
        account: int,
        instrument: int,
        price: int | None = None,
        quantity: int | None = None,
        cl_ord_id: int | None = None,
    ) -> int:
        """Change price or total quantity of the order with clOrdId `original`; the new clOrdId."""
        given = self.new_id() if cl_ord_id is None else cl_ord_id
        length = write_replace(
            self._at, self._number(), time.time_ns(), account, given, original, instrument,
            NULL if price is None else price, NULL if quantity is None else quantity,
        )
        self._write(length)
        return given

    def cancel(
        self, original: int, *, account: int, instrument: int, cl_ord_id: int | None = None
    ) -> int:
        """Cancel the order with clOrdId `original`; the clOrdId of the request."""
        given = self.new_id() if cl_ord_id is None else cl_ord_id
        number = self._number()
        length = write_cancel(
            self._at, number, time.time_ns(), account, given, original, instrument
        )
        self._write(length)
        return given

    def mass_quote(
        self,
        *,
        account: int,
        quotes: Iterable[tuple[int, int | None, int | None, int | None, int | None]],
        set_id: int = 1,
        reset_protection: bool = False,
    ) -> int:
        """Two-sided quotes (instrument, bid price, bid size, offer price, offer size); quoteId.

        They replace the account's earlier quotes on these instruments; None: no quote on the side.
        """
        rows = [tuple(NULL if value is None else value for value in quote) for quote in quotes]
        given = self.new_id()
        length = write_mass_quote(
            self._at, self._number(), time.time_ns(), account, given, set_id,
            int(reset_protection), np.array(rows, QUOTE),
        )
        self._write(length)
        return given

    def send(self, name: str, **fields: Any) -> int:
        """Any other message of order entry by name and fields; its number."""
        number = self._number()
        header = {"sendingTime": time.time_ns(), "msgSeqNum": number}
        self._send(name, {"header": header} | fields)
        return number

    def mass_cancel(self, *, account: int, instrument: int | None = None) -> int:
        """Cancel everything of the account, or what it has on one instrument; the clOrdId."""
        given = self.new_id()
        all_of_it = instrument is None
        scope = oe.MASS_CANCEL_SCOPE_ALL if all_of_it else oe.MASS_CANCEL_SCOPE_INSTRUMENT
        self.send(
            "OrderMassCancelRequest", account=account, clOrdId=given, instrument=instrument,
            underlying=0, scope=scope, kind=0, side=0, echo=b"",
        )
        return given

    def follow(self, *, account: int, stop: bool = False) -> int:
        """Ask how the account stands and to be told what changes, or (stop) no more; its number."""
        kind = oe.SUBSCRIPTION_REQUEST_TYPE_SNAPSHOT_AND_UPDATES
        if stop:
            kind = oe.SUBSCRIPTION_REQUEST_TYPE_UNSUBSCRIBE
        return self.send("AccountRequest", account=account, requestId=self.new_id(),
                         subscriptionRequestType=kind, echo=b"")

    def new_id(self) -> int:
        """A clOrdId that this object never gave before; begins at the time it was made."""
        self._next_id += 1
        return self._next_id

    def _number(self) -> int:
        if not self.connected:
            raise SessionEnded(None)
        number, self.next_number = self.next_number, self.next_number + 1
        return number

    def _write(self, length: int) -> None:
        assert self._wire is not None
        self._wire.write(self._out[:length].tobytes())

    def _send(self, name: str, fields: dict[str, Any]) -> None:
        if self._wire is not None:
            self._wire.write(framed(encode(name, fields)))

    def _schedule_beat(self) -> None:
        loop = asyncio.get_running_loop()
        self._beat = loop.call_later(self._keepalive_ms / 1000, self._on_beat)

    def _on_beat(self) -> None:
        if self.connected:
            self._send_beat()
            self._schedule_beat()

    def _send_beat(self) -> None:
        fields = {
            "nextSeqNo": self.next_number, "lastAppliedSeqNo": self.next_event - 1, "lapsed": 0,
        }
        self._send("Sequence", fields)


class Wire(asyncio.BufferedProtocol):
    """The connection under a session: bytes in, whole messages to the client."""

    def __init__(self, client: BinaryClient) -> None:
        self.established = False
        self.code: int | None = None
        self.gone = asyncio.Event()
        self._client = client
        self._transport: Any = None
        self._buffer = np.zeros(BUFFER_BYTES, np.uint8)
        self._view = memoryview(self._buffer.data)
        self._rows = np.zeros(ROWS_MAX, ROW)
        self._filled = 0

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._view[self._filled :]

    def buffer_updated(self, nbytes: int) -> None:
        end = self._filled + nbytes
        begin = 0
        while True:
            count, rest = split(self._buffer, begin, end, self._rows)
            if count == GARBLED:
                self.abort()
                return
            for offset, length, template, number, applied in self._rows[:count].tolist():
                message = bytes(self._view[offset : offset + length])
                self._client._received(template, number, applied, message)
            begin = rest
            if count < ROWS_MAX:
                break
        self._buffer[: end - begin] = self._buffer[begin:end].copy()
        self._filled = end - begin
        if self._filled >= SOFH_SIZE:
            self._grow(int.from_bytes(self._view[:4], "big"))

    def _grow(self, length: int) -> None:
        """A frame larger than the buffer gets a larger buffer."""
        if length > len(self._buffer):
            grown = np.zeros(length + BUFFER_BYTES, np.uint8)
            grown[: self._filled] = self._buffer[: self._filled]
            self._buffer, self._view = grown, memoryview(grown.data)

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, error: Exception | None) -> None:
        self._client._lost(self)
        self.established = False
        self.gone.set()

    def write(self, data: bytes) -> None:
        self._transport.write(data)

    def abort(self) -> None:
        """Close at once."""
        if self._transport is not None:
            self._transport.abort()


def run(main: Any) -> Any:
    """Run a coroutine on uvloop, as clients in a hurry do."""
    return uvloop.run(main)
