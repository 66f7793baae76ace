"""A stage for the FIX gateway: the real one on real sockets and memory, and an aid behind it.

`Aid` stands where the core stands, in a few lines of Python: it takes commands from the real ring
and writes events into a real log, with sessions, numbers and a book in which nothing ever trades
unless a test says so. Tests that need the real core start the exchange instead.
"""

import asyncio
import contextlib
import ctypes
import itertools
import os
import socket
import struct
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import structlog
import uvloop

from core.config import FixGateway as Settings
from core.config import Limits
from core.doorbell import Doorbell
from core.events import log_claim, log_position, log_publish
from core.link import RING_BYTES, CommandLink
from core.memory import Segment, unlink_all
from core.messages import decode, decode_body, encode
from core.producers import Producer, ring_kind
from core.ring import Ring, ring_address, ring_release
from core.status import StatusTable
from core.stream import EventStream
from core.venue import FixSession
from gateway.fix.__main__ import Server, tls
from gateway.fix.message import Message, frame, parse
from gateway.fix.profile import Profiles
from gateway.fix.times import time_text
from gateway.fix.warm import warm
from tests.gateway.fix.kit import complete, flat, listed

LOG_BYTES = 1 << 22
PATIENCE = 5.0
LIMITS = Limits(orders_max=1024, levels_max=1024, instruments_max=16, sessions_max=64)

now = time.time_ns

_instances = itertools.count(1)


class Aid:
    """Stands in for the core: see the module."""

    def __init__(self, ring: Ring, log: Segment, status: StatusTable) -> None:
        self._ring, self._log, self._status = ring, log, status
        self._position = 0
        self.sequence = 0
        self.inbound: dict[int, int] = {}
        self.outbound: dict[int, int] = {}
        self.orders: dict[tuple[int, int], dict[str, Any]] = {}
        self.commands: list[tuple[int, str, dict[str, Any]]] = []
        self.executions = itertools.count(1)
        self.order_ids = itertools.count(1)
        self.paused = False

    def poll(self) -> int:
        """Take the commands there are."""
        done = 0
        while not self.paused and self._position < self._ring.published:
            address = ring_address(self._ring.address, self._position)
            length = int.from_bytes(ctypes.string_at(address, 4), "little")
            data = ctypes.string_at(address, length)
            self._position += length
            self._take(data)
            ring_release(self._ring.address, self._position)
            done += 1
        return done

    def _take(self, data: bytes) -> None:
        session = int.from_bytes(data[8:12], "little")
        name, fields = decode(data[32:])
        fields = flat(fields)
        self.sequence += 1
        self.commands.append((session, name, fields))
        number = fields.get("header", {}).get("msgSeqNum", 0)
        if number:
            if number < self.inbound.setdefault(session, 1):
                return
            self.inbound[session] = number + 1
        handler = getattr(self, f"_{name}", None)
        if handler is not None:
            handler(session, fields)

    def emit(self, name: str, session: int, fields: dict[str, Any], number: int | None = None,
             owner: int | None = None) -> None:
        """Write an event, addressed and numbered."""
        if number is None:
            number = 0
            if session:
                number = self.outbound.setdefault(session, 1)
                self.outbound[session] = number + 1
        head = {"transactTime": time.time_ns(), "msgSeqNum": number,
                "lastAppliedSeqNo": self.inbound.get(session, 1) - 1}
        self.write(encode(name, complete(name, {"header": head} | fields)), session)

    def write(self, message: bytes, session: int = 0) -> None:
        """Write an encoded event."""
        length = (16 + len(message) + 31) & -32
        address = log_claim(self._log.address, length)
        data = (length.to_bytes(4, "little") + session.to_bytes(4, "little")
                + self.sequence.to_bytes(8, "little") + message).ljust(length, b"\0")
        ctypes.memmove(address, data, length)
        log_publish(self._log.address, log_position(self._log.address))
        self._status.published_sequence = self.sequence

    # ---- sessions ------------------------------------------------------------------------------

    def _SessionOpen(self, session: int, f: dict[str, Any]) -> None:
        if f["reset"]:
            self.inbound[session] = self.outbound[session] = 1
        self.emit("SessionOpened", 0, {
            "session": session, "reason": 0, "versionId": 0,
            "nextInbound": self.inbound.setdefault(session, 1),
            "nextOutbound": self.outbound.setdefault(session, 1), "connection": f["connection"]})

    def _SessionClose(self, session: int, f: dict[str, Any]) -> None:
        self.emit("SessionClosed", 0, {
            "session": session, "nextInbound": self.inbound[session],
            "nextOutbound": self.outbound[session], "connection": f["connection"],
            "logout": f["logout"], "acknowledged": f["acknowledged"]})

    def _SessionNumbers(self, session: int, f: dict[str, Any]) -> None:
        first = self.outbound.setdefault(session, 1)
        self.outbound[session] = first + f["count"]
        self.emit("SessionNumbersAssigned", session, {
            "session": session, "count": f["count"], "reference": f["reference"],
            "text": f["text"]}, first)

    def _SessionReset(self, session: int, f: dict[str, Any]) -> None:
        self.inbound[session] = f["nextInbound"] or self.inbound[session]
        self.outbound[session] = f["nextOutbound"] or self.outbound[session]
        self.emit("SessionWasReset", 0, {
            "session": session, "nextInbound": self.inbound[session],
            "nextOutbound": self.outbound[session], "reference": f["reference"]})

    def _SessionInbound(self, session: int, f: dict[str, Any]) -> None:
        self.inbound[session] = max(self.inbound.get(session, 1), f["nextInbound"])

    # ---- orders --------------------------------------------------------------------------------

    def report(self, session: int, order: dict[str, Any], kind: str, status: str,
               **more: Any) -> None:
        """An ExecutionReport of an order."""
        plain: dict[str, Any] = {
            "execId": next(self.executions), "execType": ord(kind), "ordStatus": ord(status),
            "reason": 0, "lastPx": None, "lastQty": None, "tradeId": None, "fee": 0,
            "visibleQty": order["leavesQty"], "origClOrdId": 0, "detail": 0, "limit": 0,
            "flags": 4 if order["leavesQty"] else 0, "lastLiquidity": 0,
            "quoteSetId": 0, "owner": 100,
        }
        self.emit("ExecutionReport", session, order | plain | more)

    def _NewOrderSingle(self, session: int, f: dict[str, Any]) -> None:
        order = {k: v for k, v in f.items() if k != "header"} | {
            "orderId": next(self.order_ids), "cumQty": 0, "leavesQty": f["orderQty"],
            "cumValue": 0}
        if f["orderQty"] <= 0:
            order["leavesQty"] = 0
            self.report(session, order, "8", "8", reason=21, detail=f["orderQty"])
            return
        self.orders[session, f["clOrdId"]] = order
        self.report(session, order, "0", "0")

    def fill(self, session: int, client_id: int, quantity: int, price: int) -> None:
        """Trade an order."""
        order = self.orders[session, client_id]
        order["cumQty"] += quantity
        order["leavesQty"] -= quantity
        order["cumValue"] += quantity * price // 10**10
        status = "1" if order["leavesQty"] else "2"
        self.report(session, order, "F", status, lastQty=quantity, lastPx=price,
                    tradeId=next(self.executions),
                    lastLiquidity=2)

    def _OrderCancelRequest(self, session: int, f: dict[str, Any]) -> None:
        order = self.orders.pop((session, f["origClOrdId"]), None)
        if order is None:
            self.emit("OrderCancelReject", session, {
                "orderId": None, "clOrdId": f["clOrdId"], "origClOrdId": f["origClOrdId"],
                "account": f["account"], "reason": 40, "responseTo": 1, "ordStatus": ord("8"),
                "detail": 0, "limit": 0, "echo": f["echo"]})
            return
        order |= {"clOrdId": f["clOrdId"], "echo": f["echo"], "leavesQty": 0}
        self.report(session, order, "4", "4", reason=70, origClOrdId=f["origClOrdId"])

    def _OrderStatusRequest(self, session: int, f: dict[str, Any]) -> None:
        order = self.orders.get((session, f["clOrdId"]))
        if order is not None:
            self.report(session, order, "I", "0")

    def _MassQuote(self, session: int, f: dict[str, Any]) -> None:
        quotes = [flat(quote) for quote in f["quotes"]]
        self.emit("MassQuoteAck", session, {
            "quoteId": f["quoteId"], "account": f["account"], "quoteSetId": f["quoteSetId"],
            "reason": 0, "quotes": [{
                "instrument": quote["instrument"], "offerReason": 0,
                "bidReason": 21 if quote["bidSize"] == 0 else 0,
                "bidOrderId": None, "offerOrderId": None} for quote in quotes]})

    def _AccountRequest(self, session: int, f: dict[str, Any]) -> None:
        asked = {"requestId": f["requestId"], "account": f["account"], "echo": f["echo"]}
        self.emit("PositionReport", session, asked | {
            "instrument": 2, "position": -2 * 10**8, "entryValue": 5, "unsettled": 6,
            "realized": 7, "mark": 9 * 10**8})
        self.emit("MarginReport", session, asked | {
            "equity": 10**9, "initialMargin": 4 * 10**8, "maintenanceMargin": 2 * 10**8,
            "level": 0})
        self.emit("AccountReportEnd", session, asked | {"reports": 2, "reason": 0})
        if f["subscriptionRequestType"] == 1:
            self._fill(session, f["account"])

    def _fill(self, session: int, account: int) -> None:
        """What a follower is told behind a fill, of money that came, and at last."""
        unasked = {"requestId": 0, "account": account, "echo": b""}
        self.emit("PositionReport", session, unasked | {
            "instrument": 2, "position": 3 * 10**8, "entryValue": 5, "unsettled": 6,
            "realized": 7, "mark": 9 * 10**8})
        balance = unasked | {
            "asset": 0, "change": 0, "balance": 25 * 10**5, "instrument": None,
            "counterAccount": 0, "lent": 0, "earned": 0}
        self.emit("BalanceUpdate", session, balance | {"reason": 0})
        self.emit("BalanceUpdate", session, balance | {
            "requestId": 77, "reason": 1, "change": 10**6, "balance": 35 * 10**5})
        self.emit("AccountReportEnd", session, unasked | {"reports": 0, "reason": 70})


class Stage:
    """The gateway in a thread of its own, with the aid behind it; `stop` at the end."""

    def __init__(
        self, folder: Path, sessions: tuple[FixSession, ...], ring_bytes: int = RING_BYTES,
        **settings: Any,
    ) -> None:
        warm(LIMITS)
        self.instance = f"fixstage{os.getpid()}-{next(_instances)}"
        self.folder = folder
        self.status = StatusTable.attach_or_create(self.instance)
        self.status.core_ready = 1
        self.log = Segment.create(self.instance, "events", LOG_BYTES, mirrored=True)
        link = CommandLink(self.instance, Producer.FIX, capacity=ring_bytes)
        self.aid = Aid(Ring.open(self.instance, ring_kind(Producer.FIX)), self.log, self.status)
        self._define(sessions)
        self._settings = Settings(**({"session": sessions, "port": 0} | settings))
        row = self.status.take("fix")
        self._bell = Doorbell(folder, "core")
        self.server = Server(
            self._settings, Profiles(sessions), link, self.log.address,
            EventStream(self.log), 0, self.status, self.status.published_address,
            self._bell.fileno(), LIMITS, structlog.get_logger(), next(_instances) * 1000)
        self.server.log, self.server.row = self.log.address, row
        self.server.bell = Doorbell(folder, "fix")
        self.server.always, self.server.wait_ns = False, 0
        self.server.catch_up()
        self.port = 0
        self._ready = threading.Event()
        self._stopping = False
        self._desks: list[Desk] = []
        self._thread = threading.Thread(target=lambda: uvloop.run(self._run()), daemon=True)
        self._thread.start()
        assert self._ready.wait(PATIENCE)

    def _define(self, sessions: tuple[FixSession, ...]) -> None:
        asset = {"lendable": 1, "borrowable": 1, "haircutInitial": 0, "haircutMaintenance": 0,
                 "utilisationCeiling": 0, "reserveShare": 0}
        definitions = [
            ("AssetRegistered", {"asset": 0, "decimals": 6, "name": "USDC"} | asset),
            ("AssetRegistered", {"asset": 1, "decimals": 8, "name": "BTC"} | asset),
            ("OwnerRegistered", {"owner": 100, "name": "acme"}),
            ("AccountRegistered", {"account": 100, "owner": 100, "name": "acme.main"}),
        ] + [("SessionRegistered", {
            "session": s.session, "owner": 100, "account": 100, "kind": 1,
            "name": s.sender_comp_id}) for s in sessions]
        for name, fields in definitions:
            self.aid.emit(name, 0, fields)
        for template_and_body in (listed(1, "BTC-USDC"), listed(2, "BTC-PERP", kind=2)):
            self._instrument(*template_and_body)

    def _instrument(self, template_id: int, body: bytes) -> None:
        self.aid.emit("InstrumentListed", 0, flat(decode_body(template_id, body)))

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        listener = await loop.create_server(
            self.server.accept, "127.0.0.1", 0, ssl=tls(self._settings))
        self.port = listener.sockets[0].getsockname()[1]
        self.server.start(loop)
        self._ready.set()
        while not self._stopping:
            if self.aid.poll():
                self.server.bell.ring()
            await asyncio.sleep(0.0005)
        listener.close()
        for client in list(self.server.clients.values()):
            client.abort()
        await asyncio.sleep(0.01)

    def call(self, function: Callable[[], None]) -> None:
        """Run something on the gateway's thread, then let its events out."""
        done = threading.Event()

        def run() -> None:
            function()
            self.server.bell.ring()
            done.set()

        self.server._loop.call_soon_threadsafe(run)
        assert done.wait(PATIENCE)

    def connect(self, **options: Any) -> "Desk":
        """A new connection; closed at the latest with the test."""
        self._desks.append(Desk(self.port, **options))
        return self._desks[-1]

    def forget(self) -> None:
        """Close every connection, and wait until the gateway knows."""
        for desk in self._desks:
            desk.leave()
        self._desks.clear()
        end = time.monotonic() + PATIENCE
        while self.server.clients and time.monotonic() < end:
            time.sleep(0.005)
        assert not self.server.clients

    def stop(self) -> None:
        """End it and leave nothing behind."""
        self._stopping = True
        self._thread.join(PATIENCE)
        unlink_all(self.instance)


GLUED = -1


class Desk:
    """A FIX client by hand: says what it is told, checks every frame that comes.

    chop: bytes at a time; 0: whole messages; GLUED: all there is to say until it listens again.
    """

    def __init__(self, port: int, sender: str = "CLIENT", target: str = "EXEC",
                 begin: str = "FIX.4.4", chop: int = 0) -> None:
        self.sender, self.target, self.begin, self.chop = sender, target, begin, chop
        self.number = 1
        self._socket = socket.create_connection(("127.0.0.1", port), PATIENCE)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._received = self._held = b""

    def message(self, kind: str, text: str = "", number: int | str | None = None,
                head: str = "", time: str | None = None, **other: str) -> bytes:
        """A whole message; the number rises by itself unless given."""
        if number is None:
            number, self.number = self.number, self.number + 1
        sender, target = other.get("sender", self.sender), other.get("target", self.target)
        stamp = time or time_text(now())
        fields = [f"35={kind}"]
        if number != "":
            fields.append(f"34={number}")
        fields += [f"49={sender}", f"52={stamp}", f"56={target}"]
        rest = "|".join([*fields, *([head] if head else []), *([text] if text else [])])
        begin = other.get("begin", self.begin)
        return frame(begin.encode(), rest.replace("|", "\x01").encode("latin-1") + b"\x01")

    def send(self, kind: str, text: str = "", **options: Any) -> bytes:
        """Send a message."""
        data = self.message(kind, text, **options)
        self.raw(data)
        return data

    def raw(self, data: bytes) -> None:
        """Send bytes, cut into pieces or kept for one segment if asked to."""
        if self.chop == GLUED:
            self._held += data
            return
        step = self.chop or len(data)
        for at in range(0, len(data), step):
            self._socket.sendall(data[at : at + step])

    def flush(self) -> None:
        """Send what was kept for one segment."""
        held, self._held = self._held, b""
        if held:
            self._socket.sendall(held)

    def logon(self, text: str = "", number: int | None = None, beat: int = 30) -> Message:
        """Log on; the answer."""
        more = f"|{text}" if text else ""
        if self.begin == "FIXT.1.1" and "1137=" not in text:
            more += "|1137=9"
        self.send("A", f"98=0|108={beat}{more}", number=number)
        return self.expect("A")

    def order(self, identity: str, text: str = "", **options: Any) -> bytes:
        """Send a plain order."""
        stamp = time_text(time.time_ns())
        more = f"|{text}" if text else ""
        return self.send(
            "D", f"11={identity}|55=BTC-USDC|54=1|38=1|40=2|44=100|59=1|60={stamp}{more}",
            **options)

    def next(self, patience: float = PATIENCE) -> Message:
        """The next message, its length and sum checked."""
        self.flush()
        while True:
            end = self._received.find(b"\x0110=")
            if end >= 0 and len(self._received) >= end + 8:
                raw, self._received = self._received[: end + 8], self._received[end + 8 :]
                head, _, rest = raw.partition(b"\x0135=")
                length = int(head.rpartition(b"\x019=")[2])
                assert length == len(rest) + 3 - 7, raw
                assert int(raw[-4:-1]) == sum(raw[:-7]) % 256, raw
                return parse(raw)
            self._socket.settimeout(patience)
            try:
                data = self._socket.recv(65536)
            except TimeoutError:
                raise AssertionError("no message came") from None
            if not data:
                raise EOFError("the gateway closed the connection")
            self._received += data

    def expect(self, kind: str, **fields: Any) -> Message:
        """The next message, which must be of this type and have these fields (`_45=3`)."""
        message = self.next()
        given = {int(tag[1:]): str(value) for tag, value in fields.items()}
        found = {tag: message.text(tag) for tag in given}
        assert (message.kind, found) == (kind, given), str(message)
        return message

    def expect_within(self, patience: float, kind: str) -> Message:
        """The next message of this type; others are passed over."""
        end = time.monotonic() + patience
        while True:
            message = self.next(max(0.1, end - time.monotonic()))
            if message.kind == kind:
                return message

    def said(self, seconds: float) -> bool:
        """Whether something has come, or comes within that time."""
        self.flush()
        if not self._received:
            self._socket.settimeout(seconds)
            with contextlib.suppress(TimeoutError):
                self._received += self._socket.recv(65536)
        return bool(self._received)

    def quiet(self, seconds: float = 0.15) -> None:
        """Nothing comes for a while."""
        self.flush()
        self._socket.settimeout(seconds)
        try:
            data = self._received or self._socket.recv(65536)
        except TimeoutError:
            return
        raise AssertionError(f"expected silence, was {data!r}")

    def closed(self, patience: float = PATIENCE) -> None:
        """The gateway ends the connection and says no more."""
        with contextlib.suppress(ConnectionError):  # It may have ended it in the middle.
            self.flush()
        self._socket.settimeout(patience)
        try:
            data = self._received or self._socket.recv(65536)
        except ConnectionResetError:
            data = b""
        except TimeoutError:
            raise AssertionError("the connection was left open") from None
        assert data == b"", f"expected the end, was {data!r}"

    def leave(self) -> None:
        """Close the socket."""
        self._socket.close()

    def drop(self) -> None:
        """Lose the connection: the other side is reset, whatever was said."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._socket.close()

    def reports(self, stage: "Stage") -> int:
        """How many reports the gateway has sent to this session's connection."""
        return sum(
            int(client.record.fields["reports"]) for client in stage.server.clients.values()
            if bytes(client.record.fields["sender"]).startswith(self.sender.encode()))

    def half_close(self) -> None:
        """Say that nothing more comes."""
        self.flush()
        self._socket.shutdown(socket.SHUT_WR)
