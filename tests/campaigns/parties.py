"""Clients that trade at random and write down everything they were ever told.

`BinaryParty` is built on the library of `tools/clients`, `FixParty` speaks FIX by hand and is
strict where a desk would shrug: every number in both directions has to be accounted for. Both go on
with their session after a lost connection and ask for what they missed.
"""

import asyncio
import base64
import contextlib
import hashlib
import hmac
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any

import simplefix

from sbe.generated import order_entry as oe
from tools.clients.binary import BUY, SELL, BinaryClient, Event, SessionEnded, SessionRefused
from tools.clients.fix import text, timestamp

ONE = 10**8
OPEN_MAX = 40
CONNECT_SECONDS = 10.0
RETRY_SECONDS = 0.1
RESEND_PATIENCE = 5.0
HEARTBEAT_SECONDS = 5


@dataclass(frozen=True)
class Market:
    """What is traded: a number, a symbol, a middle price, a step and a smallest quantity (10⁻⁸)."""

    number: int
    symbol: str
    middle: int
    step: int
    quantity: int


MARKETS = (
    Market(1, "BTC-USDC", 100_000 * ONE, 10 * ONE, ONE // 1000),
    Market(2, "ETH-USDC", 4_000 * ONE, ONE // 2, ONE // 100),
    Market(4, "BTC-PERP", 100_000 * ONE, 10 * ONE, ONE // 1000),
    Market(5, "ETH-PERP", 4_000 * ONE, ONE // 2, ONE // 100),
    Market(7, "CUP-ALPHA", ONE * 30 // 100, ONE // 100, ONE),
    Market(10, "VOTE-PASSES", ONE // 2, ONE // 100, ONE),
)


class Party(ABC):
    """What both kinds share: the pace, and the book of what was sent and what came of it.

    sent: of each order's identity, the number of the connection it went out on. refused: those the
    exchange said it did not take. faults: what must never happen, in words.
    """

    def __init__(self, name: str, session: int, random: Random, rate: float) -> None:
        self.name, self.session = name, session
        self.random, self.rate = random, rate
        self.sent: dict[Any, int] = {}
        self.refused: set[Any] = set()
        self.faults: list[str] = []
        self.connections = 0
        self.began = asyncio.Event()
        self.trading = True
        self.over = False

    @property
    @abstractmethod
    def connected(self) -> bool:
        """Whether orders may be sent."""

    @property
    @abstractmethod
    def last_number(self) -> int:
        """The last event's number that arrived, all before it being there, too."""

    @abstractmethod
    async def connect(self) -> None:
        """Go on with the session. Raises ConnectionError, OSError, TimeoutError."""

    @abstractmethod
    def act(self) -> None:
        """Send one thing."""

    @abstractmethod
    async def leave(self) -> None:
        """End the session in order."""

    async def run(self) -> None:
        """Trade until told otherwise; stay connected until it is over."""
        while not self.over:
            await asyncio.sleep(self.random.expovariate(self.rate))
            if self.over:
                break
            if not self.connected:
                try:
                    await asyncio.wait_for(self.connect(), CONNECT_SECONDS)
                    self.connections += 1
                    self.began.set()
                except (OSError, TimeoutError, SessionRefused):
                    await asyncio.sleep(RETRY_SECONDS)
            elif self.trading:
                self.act()

    def _terms(self) -> tuple[Market, int, int, int]:
        """Market, side, price and quantity of an order that may well meet another."""
        market = self.random.choice(MARKETS)
        price = market.middle + self.random.randint(-3, 3) * market.step
        quantity = market.quantity * self.random.randint(1, 10)
        return market, self.random.choice((BUY, SELL)), price, quantity


class BinaryParty(Party):
    """A market maker over SBE. `events[i]` is the message with number i + 1, as it came."""

    def __init__(
        self, name: str, session: int, account: int, secret: str, address: tuple[str, int],
        random: Random, rate: float, cancel_on_disconnect: int,
    ) -> None:
        super().__init__(name, session, random, rate)
        self.account = account
        self.events: list[bytes] = []
        self._open: dict[int, int] = {}
        self._numbers: dict[int, int] = {}
        self.client = BinaryClient(
            *address, session=session, key_id=name, secret=secret,
            cancel_on_disconnect=cancel_on_disconnect,
        )
        self.client.on_event = self._take
        self.client.on_not_applied = self._not_applied

    @property
    def connected(self) -> bool:
        return self.client.connected

    @property
    def last_number(self) -> int:
        return len(self.events)

    async def connect(self) -> None:
        await self.client.connect()

    async def leave(self) -> None:
        with contextlib.suppress(ConnectionError, TimeoutError):
            await asyncio.wait_for(self.client.close(), CONNECT_SECONDS)

    def act(self) -> None:
        choice = self.random.random()
        full = len(self._open) >= OPEN_MAX
        try:
            if self._open and (full or choice < 0.35):
                original = self.random.choice(list(self._open))
                instrument = self._open.pop(original)
                self._note(self.client.cancel(
                    original, account=self.account, instrument=instrument), False)
            elif self._open and choice < 0.42:
                original = self.random.choice(list(self._open))
                market = next(m for m in MARKETS if m.number == self._open[original])
                price = market.middle + self.random.randint(-3, 3) * market.step
                self._note(self.client.replace(
                    original, account=self.account, instrument=market.number, price=price), False)
            elif not full:
                market, side, price, quantity = self._terms()
                self._note(self.client.new_order(
                    account=self.account, instrument=market.number, side=side, price=price,
                    quantity=quantity), True)
        except SessionEnded:
            return

    def _note(self, identity: int, order: bool) -> None:
        number = self.client.next_number - 1
        self._numbers[number] = identity
        if order:
            self.sent[identity] = self.connections

    def _take(self, event: Event) -> None:
        if event.number == 0:
            number = event.decode()["refSeqNo"]
            if number in self._numbers:
                self.refused.add(self._numbers.pop(number))
            return
        if event.number != len(self.events) + 1:
            self.faults.append(f"event {event.number} follows {len(self.events)}")
            return
        self.events.append(event.message)
        if event.template == oe.EXECUTION_REPORT_TEMPLATE:
            report = event.record
            identity = int(report["clOrdId"])
            original = int(report["origClOrdId"])
            self._open.pop(original, None)
            if int(report["leavesQty"]) == 0:
                self._open.pop(identity, None)
            else:
                self._open[identity] = int(report["instrument"])

    def _not_applied(self, first: int, count: int) -> None:
        for number in range(first, first + count):
            if number in self._numbers:
                self.refused.add(self._numbers.pop(number))


class FixParty(Party):
    """A desk over FIX 4.4. `messages` are those of the application by number, as they came.

    filled: the ranges of numbers that a resend left out, as (first, behind the last).
    """

    def __init__(
        self, name: str, session: int, secret: str, address: tuple[str, int], random: Random,
        rate: float,
    ) -> None:
        super().__init__(name, session, random, rate)
        self.messages: dict[int, simplefix.FixMessage] = {}
        self.filled: list[tuple[int, int]] = []
        self.next_out = self.next_in = 1
        self._secret, self._address = secret, address
        self._open: dict[str, tuple[str, int]] = {}
        self._numbers: dict[int, str] = {}
        self._writer: asyncio.StreamWriter | None = None
        self._reading: asyncio.Task[None] | None = None
        self._logged_on = asyncio.Event()
        self._asked_at, self._asked_until = 0.0, 0
        self._heard = time.monotonic()
        self._said = 0.0
        self._salt = time.time_ns()
        self._handlers: dict[str, Callable[[simplefix.FixMessage, int], None]] = {
            "0": lambda message, number: None, "A": self._on_logon, "1": self._on_test,
            "2": self._on_resend, "4": self._on_gap, "5": self._on_logout, "8": self._on_report,
            "9": self._on_application, "j": self._on_refusal, "3": self._on_reject,
        }

    @property
    def connected(self) -> bool:
        return self._writer is not None and self._logged_on.is_set()

    @property
    def last_number(self) -> int:
        return self.next_in - 1

    async def connect(self) -> None:
        self._drop()
        reader, self._writer = await asyncio.open_connection(*self._address)
        self._logged_on.clear()
        self._asked_until = 0
        self._reading = asyncio.create_task(self._read(reader))
        sent = timestamp()
        values = (sent, "A", self.next_out, self.name, "ONEBOOK")
        signed = "".join(f"{value}\x01" for value in values).encode()
        digest = hmac.digest(self._secret.encode(), signed, hashlib.sha256)
        signature = base64.b64encode(digest).decode()
        self._send("A", [(98, 0), (108, HEARTBEAT_SECONDS), (95, len(signature)),
                         (96, signature)], sent)
        try:
            await asyncio.wait_for(self._logged_on.wait(), CONNECT_SECONDS / 2)
        except TimeoutError:
            self._drop()
            raise

    async def leave(self) -> None:
        if self.connected:
            self._send("5", [])
            if self._reading is not None:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(asyncio.shield(self._reading), CONNECT_SECONDS)
        self._drop()

    def _drop(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
        if self._writer is not None:
            self._writer.transport.abort()
            self._writer.close()
        self._writer = self._reading = None

    def act(self) -> None:
        if time.monotonic() - self._heard > 4 * HEARTBEAT_SECONDS:
            self._drop()  # Half open: nobody is there any more.
        elif self._open and self.random.random() < 0.4:
            original = self.random.choice(list(self._open))
            symbol, side = self._open.pop(original)
            self._send("F", [(11, self._identity("C")), (41, original), (55, symbol), (54, side),
                             (60, timestamp())])
        elif len(self._open) < OPEN_MAX:
            market, side, price, quantity = self._terms()
            identity = self._identity("F")
            number = self._send("D", [
                (11, identity), (55, market.symbol), (54, side), (38, quantity / ONE), (40, 2),
                (44, price / ONE), (59, 1), (60, timestamp()),
            ])
            self._numbers[number] = identity
            self.sent[identity] = self.connections

    def _identity(self, kind: str) -> str:
        self._salt += 1
        return f"{kind}{self._salt}"

    def _send(
        self, kind: str, fields: list[tuple[int, object]], sent: str = "", number: int = 0
    ) -> int:
        """Send a message; without a number it takes the next one. Its number."""
        if self._writer is None:
            return 0
        if number == 0:
            number, self.next_out = self.next_out, self.next_out + 1
        message = simplefix.FixMessage()
        header = ((8, "FIX.4.4"), (35, kind), (34, number), (49, self.name),
                  (52, sent or timestamp()), (56, "ONEBOOK"))
        for tag, value in (*header, *fields):
            message.append_pair(tag, value, header=tag in (8, 35))
        self._writer.write(message.encode())
        self._said = time.monotonic()
        return number

    # ---- what arrives --------------------------------------------------------------------------

    async def _read(self, reader: asyncio.StreamReader) -> None:
        parser = simplefix.FixParser()
        with contextlib.suppress(OSError):
            while data := await reader.read(1 << 16):
                self._heard = time.monotonic()
                parser.append_buffer(data)
                while (message := parser.get_message()) is not None:
                    self._take(message)
                if time.monotonic() - self._said > HEARTBEAT_SECONDS / 2:
                    self._send("0", [])
        if self._writer is not None:
            self._writer.close()
        self._writer = None

    def _take(self, message: simplefix.FixMessage) -> None:
        kind, number = text(message, 35), int(text(message, 34))
        if kind == "2":
            self._on_resend(message, number)  # At once: the other side waits for it to go on.
        if kind == "A":
            self._logged_on.set()
        if number > self.next_in:
            self._ask_again(number)
        elif number < self.next_in:
            self._again(message, kind, number)
        else:
            self.next_in += 1
            if kind != "2":
                handler = self._handlers.get(kind)
                if handler is None:
                    self.faults.append(f"unexpected message {message}")
                else:
                    handler(message, number)

    def _ask_again(self, number: int) -> None:
        now = time.monotonic()
        if self.next_in > self._asked_until or now - self._asked_at > RESEND_PATIENCE:
            self._asked_at, self._asked_until = now, number
            self._send("2", [(7, self.next_in), (16, 0)])

    def _again(self, message: simplefix.FixMessage, kind: str, number: int) -> None:
        """A number that was there already: only a duplicate that says so and says the same."""
        if kind == "5":
            self._on_logout(message, number)
        elif text(message, 43) != "Y":
            self.faults.append(f"number {number} again, {self.next_in} was next: {message}")
        elif kind in ("8", "9"):
            first = self.messages.get(number)
            if first is None or text(first, 17) != text(message, 17):
                self.faults.append(f"number {number} was {first}, is now {message}")

    def _on_logon(self, message: simplefix.FixMessage, number: int) -> None:
        pass

    def _on_test(self, message: simplefix.FixMessage, number: int) -> None:
        self._send("0", [(112, text(message, 112))])

    def _on_resend(self, message: simplefix.FixMessage, number: int) -> None:
        """What got lost of ours is stale by now: it shall never count."""
        first = int(text(message, 7))
        for lost in [n for n in self._numbers if n >= first]:
            self.refused.add(self._numbers.pop(lost))
        self._send("4", [(43, "Y"), (122, timestamp()), (123, "Y"), (36, self.next_out)],
                   number=first)

    def _on_gap(self, message: simplefix.FixMessage, number: int) -> None:
        following = int(text(message, 36))
        if text(message, 123) != "Y" or following <= number:
            self.faults.append(f"not a gap fill: {message}")
        self.filled.append((number, following))
        self.next_in = following

    def _on_logout(self, message: simplefix.FixMessage, number: int) -> None:
        if (said := text(message, 58)) and "sequence" in said.lower():
            self.faults.append(f"logged out: {said}")
        if not self.over:
            self._send("5", [])
        if self._writer is not None:
            self._writer.close()

    def _on_application(self, message: simplefix.FixMessage, number: int) -> None:
        self.messages[number] = message

    def _on_report(self, message: simplefix.FixMessage, number: int) -> None:
        self.messages[number] = message
        identity, original = text(message, 11), text(message, 41)
        self._open.pop(original, None)
        if float(text(message, 151)) == 0:
            self._open.pop(identity, None)
        elif identity.startswith("F"):
            self._open[identity] = (text(message, 55), int(text(message, 54)))

    def _on_refusal(self, message: simplefix.FixMessage, number: int) -> None:
        lost = self._numbers.pop(int(text(message, 45) or 0), None)
        if lost is not None:
            self.refused.add(lost)

    def _on_reject(self, message: simplefix.FixMessage, number: int) -> None:
        self.faults.append(f"rejected: {message}")
