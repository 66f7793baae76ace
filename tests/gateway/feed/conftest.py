"""The feed over real sockets and shared memory, fed by the real engine, stepped by hand."""

import ctypes
import random
import socket
import time
from types import SimpleNamespace

import pytest
import structlog

from core import config
from core.events import log_claim, log_position, log_publish
from core.journal.archive import ArchiveWriter
from core.memory import Segment, segment_path
from core.process import Options
from core.records import RESTING
from core.status import StatusTable
from core.words import ARCHIVED, store_word
from gateway.feed.__main__ import STREAM_KIND, build, load
from tests.core.engine import exchange as engine
from tests.core.engine.exchange import EVENT_BYTES, whole

SMALL = {"instruments_max": 32, "orders_max": 512, "levels_max": 1024, "accounts_max": 160}


class Venue:
    """The engine, its event log, and the feed that reads it."""

    def __init__(self, instance, tmp_path, **settings):
        options = Options(instance, tmp_path, tmp_path, tmp_path / "config.json")
        settings = {"port": 0, "udp_port": 0, "snapshot_seconds": 0.2, "stream_bytes": 1 << 22
                    } | settings
        self.configuration = config.Configuration(
            feed=config.Feed(enabled=True, **settings), limits=config.Limits(**SMALL))
        self.process = SimpleNamespace(
            options=options, configuration=self.configuration, log=structlog.get_logger("test"))
        self.status = StatusTable.attach_or_create(instance)
        self.log = Segment.create(instance, "events", 1 << 22, mirrored=True)
        self.archive = ArchiveWriter(tmp_path)
        self.engine = engine.Exchange(checked=False)
        self.copied = 0
        self.engine.populate()
        self.publish()
        self.random = random.Random(5)
        self.open = []
        self.clients = []
        self.start()

    def start(self):
        load(self.process)
        self.feed, self.bell, self.row, self.port = build(self.process)

    def restart(self):
        """The feed is gone at once, as after a kill -9, and comes back."""
        self.feed.close()
        # The dead process' stream would be reclaimed; ours lives, so it is taken away by hand.
        segment_path(self.process.options.instance, STREAM_KIND).unlink()
        self.start()

    def publish(self):
        """What the engine said goes to the log and to the archive."""
        end = int(self.engine.s["event_position"])
        length = end - self.copied
        assert self.copied // EVENT_BYTES == (end - 1) // EVENT_BYTES or not length
        if length:
            at = self.engine._memory.ctypes.data + self.copied % EVENT_BYTES
            ctypes.memmove(log_claim(self.log.address, length), at, length)
            log_publish(self.log.address, log_position(self.log.address))
            self.archive.append(ctypes.string_at(at, length))
            store_word(self.log.address + ARCHIVED, end)
            self.copied = end
        sequence = self.engine.sequence
        self.status.published_sequence = self.status.durable_sequence = sequence

    def step(self):
        self.publish()
        return self.feed.poll()

    def settle(self, seconds=0.0):
        end = time.monotonic() + seconds
        while self.step() or time.monotonic() < end:
            pass

    def trade_on(self, commands):
        """Random life: orders, cancels, replaces on every book."""
        engine, random = self.engine, self.random
        books = {1: (100_000, 5), 2: (100_000, 5), 3: (0.5, 0.03), 7: (0.5, 0.03)}
        for _ in range(commands):
            number = random.choice(list(books))
            middle, spread = books[number]
            account = random.choice((100, 101, 102, 103))
            if self.open and random.random() < 0.4:
                report = self.open.pop(random.randrange(len(self.open)))
                if random.random() < 0.5:
                    engine.cancel(report)
                else:
                    engine.request(
                        "OrderCancelReplaceRequest", account=report["account"],
                        clOrdId=engine.sequence + 1, origClOrdId=0, orderId=report["orderId"],
                        instrument=report["instrument"], price=None,
                        orderQty=report["orderQty"] // 2 or None, stopPx=None, displayQty=None,
                        echo=b"")
                continue
            price = round(middle + random.uniform(-spread, spread), 2 if middle < 1 else 1)
            lots = random.randint(1, 9)
            quantity = lots * (0.001 if number < 3 else 10)
            more = {"outcomeSide": random.choice((0, 1))} if number >= 3 else {}
            if random.random() < 0.2:
                more["displayQty"] = whole(quantity / lots)
            report = engine.order(
                account, number, random.choice(("buy", "sell")), quantity, price, **more)
            if report["reason"] == 0:
                self.open.append(report)
            if random.random() < 0.02:
                engine.mark(2, middle)

    def truth(self):
        """The public book straight from the engine's state: (instrument, side) → queue."""
        s = self.engine.s
        queues = {}
        for slot in range(1, int(s["orders_used"]) + 1):
            order = s["orders"][slot]
            if order["state"] == RESTING and order["visible"] > 0:
                book = s["instruments"][order["instrument"]]
                price = int(order["tick"] * book["tick_size"])
                lots = int(order["visible"] * book["lot_size"])
                key = int(order["instrument"]), int(order["side"])
                queues.setdefault(key, set()).add((int(order["order_id"]), price, lots))
        return queues

    def client(self):
        client = socket.create_connection(("127.0.0.1", self.port))
        client.setblocking(False)
        self.clients.append(client)
        self.feed.poll()
        return client

    def close(self):
        for client in self.clients:
            client.close()
        self.feed.close()
        self.bell.close()
        self.archive.close()


@pytest.fixture
def make(instance, tmp_path):
    made = []

    def start(**settings):
        made.append(Venue(instance, tmp_path, **settings))
        return made[-1]

    yield start
    for venue in made:
        venue.close()


@pytest.fixture
def venue(make):
    venue = make()
    venue.engine.deposit(100, 1_000_000)
    for account in (100, 101, 102, 103):
        venue.engine.deposit(account, 5_000_000)
        venue.engine.deposit(account, 100, 1)
    venue.settle()
    return venue
