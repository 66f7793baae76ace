"""A reference receiver of the market data feed: packets lost, late or twice, and one book.

    receiver = FeedReceiver()
    receiver.packet(data)                  a datagram, or a packet without its framing header
    receiver.instruments[1].bids()         [(price, quantity, orders), …], best first
    receiver.instruments[1].live           whether that is the truth as far as it is known

It is written to be read, not to be fast, and has no socket of its own (`listen_tcp` and
`listen_udp` below do). How it recovers:

    the messages of an instrument are numbered (rptSeq)
        the next one                → applied, and those that were waiting behind it
        a later one                 → kept; the instrument is not live until the gap is filled
        an earlier one              → a repetition, dropped
    a gap is filled by a late packet, by one that was asked for again (`missing`), or by a
    snapshot that contains it
    a snapshot is whole packets of its channel, from a definition to an end; a live instrument is
    held to it instead: a difference would be a bug of one of us, and is counted

A channel of a new version voids all that was known of its instruments.
"""

import asyncio
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from gateway.binary.frames import SOFH, SOFH_SIZE
from gateway.feed.messages import CODEC
from sbe.generated import market_data as md
from sbe.generated.order_entry import SIDE_BUY, SIDE_SELL

HEADER = struct.Struct("<HHIQ")
LENGTH = struct.Struct("<H")
ANSWERS = 0  # the channel of what is said to one receiver alone
SNAPSHOT = 100
WAITING_MAX = 4096  # messages of an instrument kept behind a gap
PACKETS_MAX = 4096  # packets of a snapshot channel kept to be put together
AGAIN_MAX = 2048  # packets in one request
WIRE_HEADER = struct.Struct("<HHHH")

Message = tuple[str, dict[str, Any]]


@dataclass(slots=True)
class InstrumentBook:
    """One instrument. Orders: id → (side, price, quantity); levels: side → price → ids in order."""

    number: int
    channel: int = 0
    live: bool = False
    consistent: bool = False
    next: int = 0  # rptSeq expected; 0: nothing is known yet
    definition: dict[str, Any] = field(default_factory=dict)
    state: int = 0
    mark: int | None = None
    last: int | None = None
    volume: int = 0
    trades: int = 0
    open_interest: int = 0
    orders: dict[int, tuple[int, int, int]] = field(default_factory=dict)
    levels: dict[int, dict[int, dict[int, None]]] = field(default_factory=dict)
    waiting: dict[int, Message] = field(default_factory=dict)

    def clear(self) -> None:
        """Forget the book."""
        self.orders.clear()
        self.levels = {SIDE_BUY: {}, SIDE_SELL: {}}

    def add(self, order: int, side: int, price: int, quantity: int) -> None:
        """An order at the back of its level."""
        self.orders[order] = side, price, quantity
        self.levels[side].setdefault(price, {})[order] = None

    def remove(self, order: int) -> None:
        """An order leaves."""
        known = self.orders.pop(order, None)
        if known is not None:
            level = self.levels[known[0]][known[1]]
            del level[order]
            if not level:
                del self.levels[known[0]][known[1]]

    def level(self, side: int, price: int) -> tuple[int, int]:
        """Quantity and number of orders at a price."""
        orders = self.levels[side].get(price, {})
        return sum(self.orders[order][2] for order in orders), len(orders)

    def side(self, side: int) -> list[tuple[int, int, int]]:
        """The levels of a side, best first: (price, quantity, orders)."""
        prices = sorted(self.levels.get(side, {}), reverse=side == SIDE_BUY)
        return [(price, *self.level(side, price)) for price in prices]

    def bids(self) -> list[tuple[int, int, int]]:
        """The bids, best first."""
        return self.side(SIDE_BUY)

    def offers(self) -> list[tuple[int, int, int]]:
        """The offers, best first."""
        return self.side(SIDE_SELL)

    def queue(self, side: int) -> list[tuple[int, int, int]]:
        """The orders of a side by price and priority: (id, price, quantity)."""
        prices = sorted(self.levels.get(side, {}), reverse=side == SIDE_BUY)
        return [
            (order, price, self.orders[order][2])
            for price in prices
            for order in self.levels[side][price]
        ]


@dataclass(slots=True)
class Channel:
    """What was received of one channel."""

    version: int = -1
    old: set[int] = field(default_factory=set)
    first: int = 0  # number of the first packet seen
    next: int = 0  # all before have been seen, or given up
    highest: int = 0
    seen: set[int] = field(default_factory=set)  # beyond `next`
    packets: dict[int, list[Message]] = field(default_factory=dict)  # of a snapshot channel


class FeedReceiver:
    """Books of everything that the packets tell of; see above.

    on_message(channel, name, fields): called with each incremental message as it is applied.
    """

    def __init__(self) -> None:
        self.instruments: dict[int, InstrumentBook] = {}
        self.channels: dict[int, Channel] = {}
        self.index: dict[int, int] = {}  # asset → price
        self.on_message: Callable[[int, str, dict[str, Any]], None] = lambda *message: None
        self.packets = self.repeated = 0
        self.snapshots = self.verified = 0
        self.mismatches: list[str] = []

    # ---- packets -------------------------------------------------------------------------------

    def packet(self, data: bytes) -> None:
        """Take one packet; they may come in any order, more than once, or never."""
        number_of, version, number, _ = HEADER.unpack_from(data)
        channel = self.channels.setdefault(number_of, Channel())
        if version != channel.version and not self._new_version(number_of, channel, version):
            return
        self.packets += 1
        if not channel.first:
            channel.first = channel.next = number
        if number in channel.seen or channel.first <= number < channel.next:
            self.repeated += 1
            return
        self._note(channel, number)
        messages = _messages(data)
        if number_of > SNAPSHOT:
            channel.packets[number] = messages
            if any(name == "SnapshotEnd" for name, _ in messages) or channel.packets:
                self._assemble(channel)
        else:
            for name, fields in messages:
                self._incremental(number_of, name, fields)

    def _new_version(self, number: int, channel: Channel, version: int) -> bool:
        """The feed began anew: void what is known; False for a straggler of an older version."""
        if version in channel.old:
            return False
        if channel.version >= 0:
            channel.old.add(channel.version)
            for book in self.instruments.values():
                if book.channel == number:
                    book.live, book.next = False, 0
                    book.waiting.clear()
        channel.version = version
        channel.first = channel.next = channel.highest = 0
        channel.seen.clear()
        channel.packets.clear()
        return True

    def _note(self, channel: Channel, number: int) -> None:
        channel.highest = max(channel.highest, number)
        if number >= channel.next:
            channel.seen.add(number)
        while channel.next in channel.seen:
            channel.seen.remove(channel.next)
            channel.next += 1

    def missing(self) -> list[tuple[int, int, int]]:
        """Holes in the incremental channels, (channel, first, count): what to ask for again."""
        holes: list[tuple[int, int, int]] = []
        for number, channel in self.channels.items():
            begin = channel.next
            for seen in sorted(channel.seen) if number < SNAPSHOT else ():
                if seen > begin:
                    holes.append((number, begin, min(seen - begin, AGAIN_MAX)))
                begin = seen + 1
        return holes

    # ---- incremental messages ------------------------------------------------------------------

    def _incremental(self, channel: int, name: str, fields: dict[str, Any]) -> None:
        if name == "IndexPrice":
            self.index[fields["asset"]] = fields["price"]
        header = fields.get("header")
        if header is None:
            self.on_message(channel, name, fields)
            return
        book = self._book(header["instrument"])
        book.channel = channel
        number = header["rptSeq"]
        if name == "InstrumentDefinition" and number == 1 and not book.next:
            book.clear()  # Seen from its birth: there is nothing to wait for.
            book.next, book.live = 1, True
        if number != book.next:
            if number > book.next:
                book.live = False
                book.waiting[number] = name, fields
                if len(book.waiting) > WAITING_MAX:
                    del book.waiting[min(book.waiting)]
            return
        self._apply(channel, book, name, fields)
        self._go_on(channel, book)

    def _go_on(self, channel: int, book: InstrumentBook) -> None:
        """Apply what was waiting for the message before it."""
        while book.waiting and (message := book.waiting.pop(book.next, None)):
            self._apply(channel, book, *message)
        book.live = not book.waiting

    def _apply(self, channel: int, book: InstrumentBook, name: str, fields: dict[str, Any]) -> None:
        book.next += 1
        if name == "BookUpdate":
            self._update(book, fields)
        elif name == "Trade":
            book.last, book.trades = fields["price"], book.trades + 1
            book.volume += fields["quantity"]
            book.consistent = bool(fields["flags"] & md.MARKET_FLAGS_LAST_IN_EVENT)
        elif name == "BookCleared":
            book.clear()
        elif name == "MarkPrice":
            book.mark = fields["mark"]
        elif name == "OpenInterest":
            book.open_interest = fields["quantity"]
        elif name == "InstrumentStatus":
            book.state = fields["state"]
        elif name == "InstrumentDefinition":
            book.definition, book.state = fields, fields["state"]
        elif name == "BestPrices":
            self._compare_best(book, fields)
        self.on_message(channel, name, fields)

    def _update(self, book: InstrumentBook, fields: dict[str, Any]) -> None:
        action, order = fields["action"], fields["orderId"]
        if action == md.BOOK_ACTION_CHANGE and order in book.orders:
            book.orders[order] = fields["side"], fields["price"], fields["quantity"]
        elif action != md.BOOK_ACTION_NONE:
            book.remove(order)
            if action != md.BOOK_ACTION_REMOVE:
                book.add(order, fields["side"], fields["price"], fields["quantity"])
        for level in fields["levels"]:
            mine = book.level(level["side"], level["price"])
            if mine != (level["quantity"], level["orders"]):
                self.mismatches.append(f"level of {book.number}: {level}, here {mine}")
        book.consistent = bool(fields["flags"] & md.MARKET_FLAGS_LAST_IN_EVENT)

    def _compare_best(self, book: InstrumentBook, fields: dict[str, Any]) -> None:
        for side, price, quantity in (
            (SIDE_BUY, "bidPx", "bidQty"), (SIDE_SELL, "offerPx", "offerQty"),
        ):
            best = next(iter(book.side(side)), (None, 0, 0))
            if best[:2] != (fields[price], fields[quantity]):
                self.mismatches.append(f"best of {book.number}: {fields}, here {best}")

    # ---- snapshots -----------------------------------------------------------------------------

    def _assemble(self, channel: Channel) -> None:
        """Use every snapshot of which all packets are there; forget what is too old."""
        ends = [
            number for number, messages in channel.packets.items()
            if messages and messages[-1][0] == "SnapshotEnd"
        ]
        for end in sorted(ends):
            begin = end
            while begin in channel.packets and not _begins(channel.packets[begin]):
                begin -= 1
            if begin in channel.packets:
                parts = [channel.packets.pop(number) for number in range(begin, end + 1)]
                self._snapshot([message for part in parts for message in part])
        while len(channel.packets) > PACKETS_MAX:
            del channel.packets[min(channel.packets)]

    def _snapshot(self, messages: list[Message]) -> None:
        (_, definition), (_, begin), *parts, _ = messages
        book = self._book(begin["header"]["instrument"])
        self.snapshots += 1
        fresh = InstrumentBook(book.number)
        fresh.clear()
        for _, part in parts:
            for order in part["orders"]:
                fresh.add(order["orderId"], order["side"], order["price"], order["quantity"])
        last = begin["lastRptSeq"]
        if book.live and book.next == last + 1:
            self.verified += 1
            for side in (SIDE_BUY, SIDE_SELL):
                if fresh.queue(side) != book.queue(side):
                    self.mismatches.append(f"snapshot of {book.number} at {last}: another book")
            return
        if book.next > last + 1 or (book.live and book.next > last):
            return  # Older than what is known.
        book.channel, book.definition = begin["channel"], definition
        book.state, book.mark = begin["state"], begin["markPx"]
        book.last, book.volume = begin["lastPx"], begin["volume"]
        book.trades, book.open_interest = begin["trades"], begin["openInterest"]
        book.orders, book.levels = fresh.orders, fresh.levels
        book.next, book.consistent = last + 1, True
        for number in [number for number in book.waiting if number <= last]:
            del book.waiting[number]
        self._go_on(book.channel, book)

    def _book(self, number: int) -> InstrumentBook:
        book = self.instruments.get(number)
        if book is None:
            book = self.instruments[number] = InstrumentBook(number)
            book.clear()
        return book


def _begins(messages: list[Message]) -> bool:
    return bool(messages) and messages[0][0] == "InstrumentDefinition"


def _messages(data: bytes) -> list[Message]:
    """The messages of a packet."""
    found: list[Message] = []
    position = HEADER.size
    while position < len(data):
        (length,) = LENGTH.unpack_from(data, position)
        position += LENGTH.size
        message = data[position : position + length]
        if WIRE_HEADER.unpack_from(message)[1] in md.MESSAGE_NAMES:  # A newer feed may say more.
            name, fields = CODEC.decode(message)
            found.append((name, _flat(fields)))
        position += length
    return found


def _flat(fields: dict[str, Any]) -> dict[str, Any]:
    """Decimals as their mantissa, in groups too."""
    flat: dict[str, Any] = {}
    for name, value in fields.items():
        if isinstance(value, dict) and "mantissa" in value:
            flat[name] = value["mantissa"]
        elif isinstance(value, list):
            flat[name] = [_flat(entry) for entry in value]
        else:
            flat[name] = value
    return flat


class FeedConnection(asyncio.Protocol):
    """The feed over TCP, where no packet is lost: every one into a receiver."""

    def __init__(self, receiver: FeedReceiver) -> None:
        self.receiver = receiver
        self.gone = asyncio.Event()
        self._transport: Any = None
        self._data = bytearray()

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def connection_lost(self, error: Exception | None) -> None:
        self.gone.set()

    def data_received(self, data: bytes) -> None:
        self._data += data
        while len(self._data) >= SOFH_SIZE:
            length = SOFH.unpack_from(self._data)[0]
            if len(self._data) < length:
                return
            frame = bytes(self._data[SOFH_SIZE:length])
            del self._data[:length]
            if HEADER.unpack_from(frame)[0] != ANSWERS:
                self.receiver.packet(frame)

    def close(self) -> None:
        """Close the connection."""
        self._transport.close()


async def listen_tcp(receiver: FeedReceiver, host: str, port: int) -> FeedConnection:
    """Connect to the feed; the connection."""
    loop = asyncio.get_running_loop()
    _, connection = await loop.create_connection(lambda: FeedConnection(receiver), host, port)
    return connection


async def listen_udp(receiver: FeedReceiver, host: str, port: int) -> asyncio.DatagramTransport:
    """Take the feed's datagrams at an address of this machine; the transport, to be closed."""

    class Datagrams(asyncio.DatagramProtocol):
        def datagram_received(self, data: bytes, address: Any) -> None:
            receiver.packet(data)

    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(Datagrams, local_addr=(host, port))
    return transport
