"""The feed's agent: events in, packets out, and in Python what is rare.

    poll ─▶ deliver (compiled) ─▶ control event? ─▶ definitions, states, prices
         ─▶ finish (compiled)  ─▶ stream to every receiver
         ─▶ accept, requests for packets once more
    timers: a snapshot of the next instrument, heartbeats, open interest
"""

import itertools
import time
from typing import Any

import numpy as np
from structlog.typing import FilteringBoundLogger

from core.config import Feed as Settings
from core.messages import decode
from core.reference import Instrument, ReferenceData
from core.status import StatusRow
from core.stream import EventStream
from gateway.feed import layout
from gateway.feed.book import ORDER
from gateway.feed.messages import CODEC, definition, fields_of
from gateway.feed.packets import close_packets, put_message
from gateway.feed.publish import (
    clear_book,
    clear_positions,
    deliver,
    finish,
    next_number,
    put_heartbeats,
    put_open_interest,
    put_snapshot_orders,
    walk,
)
from gateway.feed.receivers import Receivers
from sbe.generated import control
from sbe.generated import order_entry as oe

TIMER_NS = 10_000_000
HEARTBEAT_NS = 1_000_000_000
FRAME_HEADER = 16

KIND_CHANNELS = {
    oe.INSTRUMENT_KIND_SPOT: layout.SPOT,
    oe.INSTRUMENT_KIND_PERPETUAL: layout.PERPETUAL,
}


class FeedGateway:
    """Publishes everything that is public; see `poll`.

    feed, books: records of layout.new_feed and book.new_books, their addresses filled in. gate:
    compiled code has its address; here it is called when the archive is read.
    """

    def __init__(
        self,
        settings: Settings,
        feed: Any,
        books: Any,
        receivers: Receivers,
        stream: EventStream,
        gate: Any,
        row: StatusRow,
        log: FilteringBoundLogger,
    ) -> None:
        self._settings = settings
        self._feed, self._f, self._books = feed, feed[0], books
        self._receivers = receivers
        self._stream = stream
        self._gate = gate
        self._row = row
        self._log = log
        self._scratch = np.zeros(layout.SCRATCH_SIZE, np.uint8)
        self._f["scratch"] = self._scratch.ctypes.data
        self._orders = np.zeros(1 << 12, ORDER)
        self._channels = np.array(layout.CHANNELS, np.int64)
        self.reference = ReferenceData()
        self._turn = itertools.count()
        self._next_timer = self._next_snapshot = self._next_second = 0

    def keep(self, *owned: object) -> None:
        """Hold on to what compiled code has only the addresses of."""
        self._kept = owned

    # ---- the loop ------------------------------------------------------------------------------

    def catch_up(self) -> None:
        """Rebuild the books from the archived events; nothing is sent."""
        self._f["muted"] = 1
        while self._replay():
            pass
        self._f["muted"] = 0
        self._f["version"] = time.time_ns() // 1_000_000_000 & 0xFFFF
        for channel in layout.CHANNELS:
            self._put(channel, "ChannelReset", {"transactTime": time.time_ns()})
        finish(self._feed)

    def poll(self) -> int:
        """Do what there is to do, without waiting; how much that was."""
        work = int(deliver(self._feed, self._books))
        if self._f["control_at"] >= 0:
            self._control(self._scratch)
        work += self._receivers.poll()
        now = time.monotonic_ns()
        if now >= self._next_timer:
            self._next_timer = now + TIMER_NS
            self._timers(now)
        work += int(finish(self._feed))
        if self._f["rows_used"]:
            self._rows()
        return work

    def _rows(self) -> None:
        used = int(self._f["rows_used"])
        rows = self._f["rows"][:used].tolist()
        self._f["rows_used"] = 0
        for kind, receiver in rows:
            if kind == layout.LAPPED:
                self._replay()
            else:
                self._receivers.row(kind, receiver)

    def _replay(self) -> bool:
        """Publish events from the archive; False if there are none left that are released."""
        data = self._stream.read(int(self._f["position"]))
        if not data:
            return False
        view = np.frombuffer(data, np.uint8)
        used = int(walk(self._feed, self._books, view.ctypes.data, len(data), self._gate()))
        if self._f["control_at"] >= 0:
            self._control(view)
        return used > 0

    def close(self) -> None:
        """Close every socket."""
        self._receivers.close()

    # ---- control events ------------------------------------------------------------------------

    def _control(self, piece: Any) -> None:
        """Learn from a control event, and tell what is public of it."""
        begin = int(self._f["control_at"])
        length = int.from_bytes(piece[begin : begin + 4].tobytes(), "little")
        message = piece[begin + FRAME_HEADER : begin + length].tobytes()
        template = int.from_bytes(message[2:4], "little")
        self.reference.apply(template, message[control.HEADER_SIZE :])
        name, fields = decode(message)
        if name == "InstrumentListed":
            self._listed(fields)
        elif name == "TradingStateChanged":
            self._state(fields)
        elif name == "InstrumentResolved":
            clear_positions(self._feed, fields["instrument"])
            self._put_instrument("Resolution", fields)
        elif name == "MarkPriceChanged":
            renamed = {"mark": fields["price"], "index": fields["index"]}
            self._put_instrument("MarkPrice", fields | renamed)
        elif name == "FundingCompleted":
            self._put_instrument("Funding", fields)
        elif name == "FundingEstimated":
            self._put_instrument("FundingEstimate", fields)
        elif name in ("IndexPriceChanged", "SettlementCompleted") and not self._f["muted"]:
            public = "IndexPrice" if name == "IndexPriceChanged" else "Settlement"
            self._put(layout.PRICES, public, fields | fields["header"])

    def _listed(self, fields: dict[str, Any]) -> None:
        number = fields["instrument"]
        if number >= len(self._f["instruments"]):
            return
        channel = KIND_CHANNELS.get(fields["kind"], layout.PREDICTION)
        self._f["instruments"][number]["channel"] = channel
        instrument = self.reference.instruments[number]
        self._put_instrument("InstrumentDefinition", fields | self._definition(instrument))

    def _definition(self, instrument: Instrument) -> dict[str, Any]:
        channel = int(self._f["instruments"][instrument.number]["channel"])
        return definition(instrument, channel, len(self.reference.instruments))

    def _state(self, fields: dict[str, Any]) -> None:
        self._put_instrument("InstrumentStatus", fields)
        if fields["state"] == oe.TRADING_STATE_DELISTED:
            clear_book(self._feed, self._books, fields["instrument"])
            self._put_instrument("BookCleared", fields)

    def _put_instrument(self, name: str, fields: dict[str, Any]) -> None:
        """An incremental message about an instrument, under its next rptSeq."""
        number = fields["instrument"]
        channel = int(self._f["instruments"][number]["channel"])
        if self._f["muted"] or channel == 0:
            return
        header = {
            "transactTime": fields["header"]["transactTime"], "instrument": number,
            "rptSeq": int(next_number(self._feed, number)),
        }
        self._put(channel, name, fields | {"header": header})

    def _put(self, channel: int, name: str, fields: dict[str, Any]) -> None:
        message = np.frombuffer(CODEC.encode(name, fields_of(name, fields)), np.uint8)
        put_message(self._feed, channel, message.ctypes.data, len(message))

    # ---- time ----------------------------------------------------------------------------------

    def _timers(self, now: int) -> None:
        self._row.position = int(self._f["position"])
        if now >= self._next_snapshot and self.reference.instruments:
            listed = list(self.reference.instruments.values())
            cycle = int(self._settings.snapshot_seconds * 1e9)
            self._next_snapshot = now + cycle // len(listed)
            self._snapshot(listed[next(self._turn) % len(listed)])
        if now >= self._next_second:
            self._next_second = now + HEARTBEAT_NS
            put_open_interest(self._feed, time.time_ns())
            put_heartbeats(self._feed, self._channels, HEARTBEAT_NS)
            self._row.beat()

    def _snapshot(self, instrument: Instrument) -> None:
        """Definition, book and statistics of one instrument, on its class' snapshot channel."""
        number = instrument.number
        i = self._f["instruments"][number]
        if i["channel"] == 0 or self._f["touched_used"]:
            return  # Not listed, or amid an event.
        close_packets(self._feed)
        channel = int(i["channel"])
        stats = self._books[0]["instruments"][number]
        traded = int(stats["trades"]) > 0
        header = {"transactTime": time.time_ns(), "instrument": number, "rptSeq": 0}
        definition = self._definition(instrument) | {"header": header}
        self._put(layout.SNAPSHOT + channel, "InstrumentDefinition", definition)
        orders = int(stats["orders"])
        self._put(layout.SNAPSHOT + channel, "SnapshotBegin", {
            "header": header,
            "lastSeqNum": int(self._f["channels"][channel]["next"]) - 1,
            "lastRptSeq": int(i["number"]),
            "orders": orders,
            "channel": channel,
            "state": instrument.state,
            "lastPx": int(stats["last_price"]) if traded else None,
            "lastQty": int(stats["last_quantity"]),
            "volume": int(stats["volume"]),
            "trades": int(stats["trades"]),
            "openPx": int(stats["open_price"]) if traded else None,
            "highPx": int(stats["high_price"]) if traded else None,
            "lowPx": int(stats["low_price"]) if traded else None,
            "markPx": instrument.mark,
            "openInterest": int(i["open_interest"]),
        })
        if orders > len(self._orders):
            self._orders = np.zeros(2 * orders, ORDER)
        put_snapshot_orders(self._feed, self._books, number, self._orders)
        end = {"header": header, "lastRptSeq": int(i["number"])}
        self._put(layout.SNAPSHOT + channel, "SnapshotEnd", end)
        close_packets(self._feed)
