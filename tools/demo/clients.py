"""The demo's clients, over real sockets: binary market makers and FIX desks.

A maker quotes every open instrument around its mark (a prediction of an event without one around a
fair price of its own) and leans against its position. A desk speaks FIX and does what the story
says. Both time each request to its answer and connect again when they are cut off.
"""

import asyncio
import contextlib
import itertools
import random
import time
from typing import Any

import simplefix

from core.reference import Instrument
from sbe.generated import order_entry as oe
from tools.clients.binary import BinaryClient, Event, SessionEnded, SessionRefused
from tools.clients.fix import FixClient, FixRefused, text, timestamp
from tools.demo.observer import Observer

ONE = 100_000_000
MILLIONTHS = 1_000_000
RECONNECT_SECONDS = 0.5
FAIR = {"CUP-ALPHA": 45, "CUP-BETA": 30, "CUP-GAMMA": 15, "VOTE-PASSES": 62, "VOTE-FAILS": 38,
        "RAIN-10": 70, "RAIN-20": 40, "RAIN-40": 15}  # cents
SIZES = {"BTC": ONE * 2, "ETH": ONE * 40, "SOL": ONE * 600}
PREDICTION_SIZE = 20_000 * ONE
OPEN = 2


class Maker:
    """A binary market maker."""

    def __init__(
        self, observer: Observer, host: str, port: int, *, name: str, session: int, spread: int
    ) -> None:
        self.name = name
        self.latencies: list[int] = []
        self.acknowledged = 0
        self.reconnects = 0
        self._observer = observer
        self._account = observer.account(name)
        self._spread = spread
        self._dice = random.Random(session)
        self._sent: dict[int, int] = {}
        self._standing: dict[int, tuple[int | None, ...]] = {}
        self._client = BinaryClient(
            host, port, session=session, key_id=name, secret=f"{name}: for trying out only",
            cancel_on_disconnect=oe.CANCEL_ON_DISCONNECT_NONE,
        )
        self._client.on_event = self._event

    def _event(self, event: Event) -> None:
        if event.template == oe.MASS_QUOTE_ACK_TEMPLATE:
            sent = self._sent.pop(int(event.record["quoteId"]), None)
            if sent is not None:
                self.latencies.append(time.monotonic_ns() - sent)
                self.acknowledged += 1
        elif event.template == oe.BUSINESS_REJECT_TEMPLATE:
            self._standing.clear()  # Refused for now: quote anew when it goes on.

    async def run(self, seconds: float) -> None:
        """Quote every `seconds` until cancelled."""
        while True:
            with contextlib.suppress(OSError, SessionEnded, SessionRefused):
                await self._client.connect()
                self._standing.clear()
                while self._client.connected:
                    self._quote()
                    await asyncio.sleep(seconds)
            self.reconnects += 1
            await asyncio.sleep(RECONNECT_SECONDS)

    def _quote(self) -> None:
        quotes = []
        for instrument in self._observer.reference.instruments.values():
            quote = self._quote_of(instrument) if instrument.state == OPEN else None
            if quote is not None and self._standing.get(instrument.number) != quote:
                quotes.append(quote)
        if quotes:
            given = self._client.mass_quote(account=self._account, quotes=quotes)
            self._sent[given] = time.monotonic_ns()
            self._standing.update((quote[0], quote) for quote in quotes)

    def _quote_of(
        self, instrument: Instrument
    ) -> tuple[int, int | None, int | None, int | None, int | None] | None:
        fair = FAIR.get(instrument.symbol)
        mark = fair * ONE // 100 if fair is not None else instrument.mark
        asset = self._observer.reference.assets.get(instrument.base_asset)
        if mark is None and asset is not None and instrument.kind == oe.INSTRUMENT_KIND_SPOT:
            mark = asset.index
        if not mark:
            return None
        tick = instrument.tick_size
        if instrument.kind >= oe.INSTRUMENT_KIND_OUTCOME:
            size, half = PREDICTION_SIZE, max(tick, ONE // 100)
        else:
            size = SIZES[asset.name] if asset is not None else ONE
            wide = self._spread + self._dice.randrange(20)  # A quote that moves is one that works.
            half = max(tick, mark * wide // MILLIONTHS)
        bid = (mark - half) // tick * tick
        offer = -(-(mark + half) // tick) * tick
        predicts = instrument.kind >= oe.INSTRUMENT_KIND_OUTCOME
        bids = bid >= tick
        offers = not predicts or offer <= ONE - tick
        return (
            instrument.number, bid if bids else None, size if bids else None,
            offer if offers else None, size if offers else None,
        )

    async def close(self) -> None:
        """Say goodbye."""
        with contextlib.suppress(OSError, SessionEnded, TimeoutError):
            await asyncio.wait_for(self._client.close(), 2.0)


class Desk:
    """A FIX desk: trades as told, and a little on its own."""

    def __init__(self, observer: Observer, host: str, port: int, *, name: str) -> None:
        self.name = name
        self.account = observer.account(name)
        self.latencies: list[int] = []
        self.fills = 0
        self.rejects: list[str] = []
        self.reconnects = -1
        self._observer = observer
        self._ids = itertools.count(1)
        self._stem = f"{name}-{int(time.time())}"
        self._sent: dict[str, int] = {}
        self._waiting: dict[str, asyncio.Future[str]] = {}
        self._client = FixClient(
            host, port, sender=name.upper(), secret=f"{name}: for trying out only"
        )
        self._client.on_message = self._message

    @property
    def connected(self) -> bool:
        """Whether orders may be sent."""
        return self._client.connected

    def _message(self, message: simplefix.FixMessage) -> None:
        kind = text(message, 35)
        if kind in ("j", "3"):
            self.rejects.append(text(message, 58))
            return
        if kind != "8":
            return
        order = text(message, 11)
        sent = self._sent.pop(order, None)
        if sent is not None:
            self.latencies.append(time.monotonic_ns() - sent)
        if text(message, 150) == "F":
            self.fills += 1
        elif text(message, 150) == "8":
            self.rejects.append(text(message, 58))
        done = self._waiting.get(order)
        if done is not None and not done.done() and text(message, 39) in ("2", "4", "8", "C"):
            done.set_result(text(message, 39))

    async def run(self, seed: int) -> None:
        """Stay connected and trade a little, until cancelled."""
        dice = random.Random(seed)
        while True:
            with contextlib.suppress(OSError, FixRefused):
                await self._client.connect(resume=self.reconnects >= 0)
                self.reconnects += 1
                while self._client.connected:
                    self._trade_a_little(dice)
                    await asyncio.sleep(dice.uniform(0.05, 0.25))
            await asyncio.sleep(RECONNECT_SECONDS)

    def _trade_a_little(self, dice: random.Random) -> None:
        symbol = dice.choice(("BTC-PERP", "ETH-PERP", "SOL-PERP", "ETH-USDC", "SOL-USDC",
                              "CUP-ALPHA", "CUP-BETA", "VOTE-PASSES", "RAIN-20"))
        predicts = symbol in FAIR
        quantity = dice.choice(("10", "25")) if predicts else dice.choice(("0.01", "0.02"))
        if symbol.startswith("SOL"):
            quantity = "1"
        self.order(symbol, dice.choice("12"), quantity)

    def order(
        self, symbol: str, side: str, quantity: str, price: str | None = None
    ) -> str:
        """Send an immediate-or-cancel order (market without a price); its ClOrdID."""
        name = f"{self._stem}-{next(self._ids)}"
        fields: list[tuple[int, Any]] = [
            (11, name), (55, symbol), (54, side), (38, quantity), (40, 2 if price else 1),
            (59, 3), (60, timestamp()),
        ]
        if price:
            fields.append((44, price))
        self._sent[name] = time.monotonic_ns()
        self._client.send("D", fields)
        return name

    async def fill(self, symbol: str, side: str, quantity: str, seconds: float = 5.0) -> str:
        """Send a market order and wait for its end; its OrdStatus, "" if none came."""
        try:
            name = self.order(symbol, side, quantity)
        except FixRefused:
            return ""
        future = asyncio.get_running_loop().create_future()
        self._waiting[name] = future
        with contextlib.suppress(TimeoutError):
            return str(await asyncio.wait_for(future, seconds))
        return ""

    async def close(self) -> None:
        """Log out."""
        await self._client.close()
