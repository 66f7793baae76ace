"""Market data over FIX: V in, W and X out, from the same book as the binary feed.

The book is built when the first client asks, from the begin of the event stream, and followed from
then on. A subscription is compared with what it was sent last, so an incremental (X) holds exactly
what changed since; while a client is behind, changes melt into one. Levels are by price;
MarketDepth 0 is the whole book. Entry types: 0 bid, 1 offer, and what gateway/fix/figures.py tells;
in an X trades come one by one. Who asks for it (21050) is told at most so often: changes melt into
one, trades don't.
"""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from core.config import Limits, decimal_text
from core.reference import Instrument
from gateway.feed.book import BUY, SELL, copy_levels, new_books
from gateway.feed.book_layout import DEPTH
from gateway.fix.figures import FIGURES, TRADE, Figure, figures
from gateway.fix.message import Message
from gateway.fix.session import Session
from gateway.fix.tape import TAPE_COLUMNS, follow
from gateway.fix.times import clock_text, date_text

if TYPE_CHECKING:
    from gateway.fix.gateway import FixGateway

BID, OFFER = "0", "1"
OFFERED = FIGURES | {BID, OFFER}
NEW, CHANGE, DELETE = 0, 1, 2
UNKNOWN_SYMBOL, DUPLICATE_ID, BAD_SUBSCRIPTION, BAD_DEPTH, BAD_UPDATE, BAD_TYPE = 0, 1, 4, 5, 6, 8
DEPTH_MAX = 4096
TAPE_ROWS = 1024
READ_BYTES = 1 << 20
SUBSCRIPTIONS_MAX = 256  # of one session
Field = tuple[int, object]
Entry = list[Field]
Levels = dict[int, int]


@dataclass(slots=True)
class Subscription:
    """What one request of one session wants of one instrument, and what it was sent."""

    session: Session
    request: bytes
    instrument: Instrument
    kinds: frozenset[str]
    depth: int
    incremental: bool
    every: int  # ns between two messages of changes, 0: no bound
    due: int = 0
    sent: dict[str, Levels] = field(default_factory=dict)  # by side: price → quantity
    values: dict[str, Figure] = field(default_factory=dict)  # by entry type


class MarketData:
    """The book, and the subscriptions of all sessions."""

    def __init__(self, gateway: "FixGateway", limits: Limits) -> None:
        self._gateway = gateway
        self._limits = limits
        self._book: Any = None
        self._position = 0
        self._positions = np.zeros((0, 0), np.int64)  # lots by account and instrument
        self._interest = np.zeros(limits.instruments_max, np.int64)
        self._touched = np.zeros(limits.instruments_max, np.int64)
        self._tape = np.zeros((TAPE_ROWS, TAPE_COLUMNS), np.int64)
        self._used = np.zeros(1, np.int64)
        self._levels = np.zeros(DEPTH_MAX, DEPTH)
        self._subscriptions: dict[int, list[Subscription]] = {}  # by instrument

    # ---- requests ------------------------------------------------------------------------------

    def request(self, session: Session, message: Message, _number: int) -> None:
        """A MarketDataRequest (V)."""
        request = message.get(262) or b""
        if message.text(263) == "2":
            self._unsubscribe(session, request)
            return
        wanted = self._judge(session, message, request)
        if isinstance(wanted, tuple):
            session.emit("Y", [(262, request), (281, wanted[0]), (58, wanted[1])])
            return
        self._follow()
        for subscription in wanted:
            session.emit("W", self._snapshot(subscription))
            if message.text(263) == "1":
                self._subscriptions.setdefault(subscription.instrument.number, []).append(
                    subscription)

    def _judge(
        self, session: Session, message: Message, request: bytes
    ) -> list[Subscription] | tuple[int, str]:
        depth = message.number(264)
        kinds = frozenset(e.get(269, b"").decode() for e in message.group(267, (269,)))
        symbols = [e.get(55, b"").decode("latin-1")
                   for e in message.group(146, (55, 48, 22, 167))]
        own = [s for group in self._subscriptions.values() for s in group if s.session is session]
        known = self._gateway.reference.instruments_by_symbol
        unknown = [symbol for symbol in symbols if symbol not in known]
        if any(s.request == request for s in own):
            return DUPLICATE_ID, "MDReqID (tag 262) is in use"
        if len(own) + len(symbols) > SUBSCRIPTIONS_MAX:
            return BAD_SUBSCRIPTION, f"more than {SUBSCRIPTIONS_MAX} subscriptions of a session"
        if message.number(21050) is None and 21050 in message:
            return BAD_UPDATE, "ConflationMilliseconds (tag 21050) is a whole number"
        if not kinds <= OFFERED:
            return BAD_TYPE, f"entry types offered: {' '.join(sorted(OFFERED))} (tag 269)"
        if depth is None or depth > DEPTH_MAX:
            return BAD_DEPTH, f"MarketDepth (tag 264) is 0 to {DEPTH_MAX}"
        if unknown:
            return UNKNOWN_SYMBOL, f"there is no instrument {unknown[0]} (tag 55)"
        incremental = message.text(265) == "1"
        every = (message.number(21050) or 0) * 1_000_000
        return [Subscription(session, request, known[symbol], kinds, depth, incremental, every)
                for symbol in symbols]

    def _unsubscribe(self, session: Session, request: bytes) -> None:
        for group in self._subscriptions.values():
            group[:] = [s for s in group if s.session is not session or s.request != request]

    def forget(self, session: Session) -> None:
        """The session is gone."""
        for group in self._subscriptions.values():
            group[:] = [s for s in group if s.session is not session]

    # ---- the book ------------------------------------------------------------------------------

    def _follow(self) -> None:
        """Bring the book up to where the gateway has walked."""
        if self._book is None:
            self._book = new_books(self._limits)
            self._positions = np.zeros(
                (self._limits.accounts_max, self._limits.instruments_max), np.int64)
            self._position = self._gateway.begin
        end = self._gateway.position
        gate = self._gateway.released()
        while self._position < end:
            data = self._gateway.read(self._position, min(READ_BYTES, end - self._position))
            array = np.frombuffer(data, np.uint8)
            used = int(follow(
                self._book, self._positions, self._interest, int(array.ctypes.data), len(data),
                gate, self._touched, self._tape, self._used))
            self._publish_trades()
            self._position += used
            if used == 0:
                break

    def _publish_trades(self) -> None:
        rows = self._tape[: int(self._used[0])].tolist()
        self._used[0] = 0
        for number, aggressor, price, quantity, trade, time in rows:
            entry: Entry = [
                (279, NEW), (269, TRADE), (278, trade), (270, decimal_text(price)),
                (271, decimal_text(quantity)), (272, date_text(time)), (273, clock_text(time)),
            ]
            if aggressor:
                entry.append((54, aggressor))
            for subscription in self._subscriptions.get(number, ()):
                if TRADE in subscription.kinds:
                    self._send(subscription, [entry])

    def _side(self, instrument: int, side: int, depth: int) -> Levels:
        room = self._levels[: depth or DEPTH_MAX]
        count = int(copy_levels(self._book, instrument, side, room))
        return dict(zip(
            room["price"][:count].tolist(), room["quantity"][:count].tolist(), strict=True))

    def _now(self, s: Subscription) -> tuple[dict[str, Levels], dict[str, Figure]]:
        """What there is at this moment of what a subscription wants."""
        number = s.instrument.number
        sides = {kind: self._side(number, side, s.depth)
                 for kind, side in ((BID, BUY), (OFFER, SELL)) if kind in s.kinds}
        reference = self._gateway.reference
        instrument = reference.instruments.get(number, s.instrument)
        values = figures(s.kinds, instrument, reference, self._book[0]["instruments"][number],
                         int(self._interest[number]))
        return sides, values

    # ---- messages ------------------------------------------------------------------------------

    def _snapshot(self, s: Subscription) -> list[Field]:
        """The fields of W; what it says counts as sent."""
        s.sent, s.values = self._now(s)
        entries: list[Entry] = []
        for kind, levels in s.sent.items():
            for place, (price, quantity) in enumerate(levels.items(), 1):
                entries.append([(269, kind), (270, decimal_text(price)),
                                (271, decimal_text(quantity)), (290, place)])
        entries += [[(269, kind), *value] for kind, value in s.values.items()]
        instrument = self._gateway.reference.instruments.get(s.instrument.number, s.instrument)
        head: list[Field] = [(262, s.request), (55, s.instrument.symbol), (21014, instrument.state)]
        return [*head, (268, len(entries)), *(pair for entry in entries for pair in entry)]

    def _changes(self, s: Subscription) -> list[Entry]:
        """What differs from what was sent; it counts as sent then."""
        sides, values = self._now(s)
        entries: list[Entry] = []
        for kind, levels in sides.items():
            before = s.sent.get(kind, {})
            gone = before.keys() - levels.keys()
            entries += [_level(DELETE, kind, price, None) for price in gone]
            for price, quantity in levels.items():
                if before.get(price) != quantity:
                    action = CHANGE if price in before else NEW
                    entries.append(_level(action, kind, price, quantity))
        for kind, value in values.items():
            if s.values.get(kind) != value and kind != TRADE:
                action = CHANGE if kind in s.values else NEW
                entries.append([(279, action), (269, kind), (278, kind), *value])
        s.sent, s.values = sides, values
        return entries

    def _send(self, s: Subscription, entries: list[Entry]) -> None:
        """An X with these entries; each names its instrument behind its id."""
        fields: list[Field] = [(262, s.request), (268, len(entries))]
        for entry in entries:
            for tag, value in entry:
                fields.append((tag, value))
                if tag == 278:
                    fields.append((55, s.instrument.symbol))
        s.session.emit("X", fields)

    def tick(self, now: int) -> None:
        """Send what changed since the last time."""
        if self._book is None or not any(self._subscriptions.values()):
            return
        self._follow()
        self._touched[:] = 0
        for group in self._subscriptions.values():
            for s in group:
                entries = self._changes(s) if now >= s.due else []
                if not entries:
                    continue
                s.due = now + s.every
                if s.incremental:
                    self._send(s, entries)
                else:
                    s.session.emit("W", self._snapshot(s))


def _level(action: int, kind: str, price: int, quantity: int | None) -> Entry:
    entry: Entry = [(279, action), (269, kind), (278, f"{kind}{decimal_text(price)}"),
                    (270, decimal_text(price))]
    if quantity is not None:
        entry.append((271, decimal_text(quantity)))
    return entry
