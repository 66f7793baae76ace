"""Clients of the real exchange, all processes as `onebook up` starts them, while one after the
other is killed."""

import asyncio
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from sbe.generated import order_entry as oe
from tools.clients.binary import BUY, SELL, BinaryClient, Event, SessionEnded, SessionRefused
from tools.clients.feed import FeedReceiver, listen_tcp
from tools.inspection import look
from tools.supervisor.exchange import Exchange

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

CONFIGURATION = """
[exchange]
policy = "async"
[fix]
port = 0
[binary]
port = 0
[feed]
enabled = true
port = 0
udp_port = 0
snapshot_seconds = 0.5
"""
ONE = 10**8
PERPETUAL = 4
PRICE = 100_000 * ONE
PATIENCE = 60.0


@pytest.fixture
def exchange(tmp_path: Path, instance: str) -> Iterator[Exchange]:
    config = tmp_path / "venue.toml"
    config.write_text(CONFIGURATION)
    arguments = ["--config", str(config), "--instance", instance, "--data", str(tmp_path / "data")]
    started = Exchange(arguments, log=tmp_path / "log.jsonl")
    started.start()
    yield started
    started.close()


class Desk:
    """A client that keeps book of what it sent and of what became of it."""

    def __init__(self, host: str, port: int, session: int, name: str) -> None:
        self.client = BinaryClient(
            host, port, session=session, key_id=name, secret=f"{name}: for trying out only",
            keepalive=5.0, cancel_on_disconnect=oe.CANCEL_ON_DISCONNECT_NONE,
        )
        self.client.on_event = self.event
        self.client.on_not_applied = self.not_applied
        self.numbers: dict[int, int] = {}  # of orders: number → clOrdId
        self.accepted: dict[int, int] = {}  # clOrdId → how often New was reported
        self.refused: set[int] = set()
        self.live: dict[int, tuple[int, int, int]] = {}  # orderId → (side, price, quantity)
        self.last = 0
        self.held = 0  # by its fills
        self.told: list[int] = []  # positions, by the reports of them

    def event(self, event: Event) -> None:
        if event.number:
            assert event.number == self.last + 1
            self.last = event.number
        if event.template == oe.BUSINESS_REJECT_TEMPLATE:
            self.refused.add(self.numbers.get(event.decode()["refSeqNo"], 0))
        if event.template == oe.POSITION_REPORT_TEMPLATE:
            self.told.append(int(event.record["position"]))
            assert self.told[-1] == self.held
        if event.template != oe.EXECUTION_REPORT_TEMPLATE:
            return
        report = event.record
        if report["execType"] == oe.EXEC_TYPE_TRADE:
            quantity = int(report["lastQty"])
            self.held += quantity if report["side"] == oe.SIDE_BUY else -quantity
        if report["execType"] == oe.EXEC_TYPE_NEW:
            order = int(report["clOrdId"])
            self.accepted[order] = self.accepted.get(order, 0) + 1
        self.live.pop(int(report["orderId"]), None)
        if report["flags"] & oe.REPORT_FLAGS_ON_BOOK:
            self.live[int(report["orderId"])] = (
                int(report["side"]), int(report["price"]), int(report["visibleQty"]))

    def not_applied(self, first: int, count: int) -> None:
        for number in range(first, first + count):
            self.refused.add(self.numbers.pop(number, 0))

    def order(self, chance: random.Random) -> None:
        price = PRICE + chance.randint(-300, 300) * ONE // 10
        order = self.client.new_id()
        self.numbers[self.client.next_number] = order
        self.client.new_order(
            account=0, instrument=PERPETUAL, side=chance.choice((BUY, SELL)), price=price,
            quantity=chance.randint(1, 20) * ONE // 10_000, cl_ord_id=order,
        )

    async def reconnect(self) -> None:
        async with asyncio.timeout(PATIENCE):
            while not self.client.connected:
                try:
                    await self.client.connect()
                except (OSError, SessionEnded, SessionRefused):
                    await asyncio.sleep(0.1)

    async def settled(self) -> None:
        """Until everything sent has been answered."""
        async with asyncio.timeout(PATIENCE):
            while self.client.applied < self.client.next_number - 1:  # noqa: ASYNC110
                await asyncio.sleep(0.01)


async def recovered(instance: str) -> None:
    """Until the core takes orders: what is sent before is refused, and no load."""
    async with asyncio.timeout(PATIENCE):
        while not look(instance).core_ready:  # noqa: ASYNC110
            await asyncio.sleep(0.1)


def test_orders_reports_and_books_outlive_every_process(exchange: Exchange, instance: str) -> None:
    chance = random.Random(11)

    async def main() -> None:
        desks = [
            Desk(*exchange.address("binary"), 101, "maker-one"),
            Desk(*exchange.address("binary"), 102, "maker-two"),
        ]
        for name in ("", "binary", "core", "feed"):
            await recovered(instance)
            for desk in desks:
                await desk.reconnect()
                if not name:
                    desk.client.follow(account=0)  # Once: whoever is killed later.
            for turn in range(100):
                for desk in desks:
                    if desk.client.connected:
                        desk.order(chance)
                await asyncio.sleep(0.002)
                if turn == 50 and name:
                    exchange.kill(name)
            await asyncio.sleep(1.0)
        for desk in desks:
            await desk.reconnect()
            await recovered(instance)
            desk.order(chance)
            await desk.settled()
        await compare(exchange, desks)
        for desk in desks:
            await desk.client.close()

    asyncio.run(main())


def all_live(receiver: FeedReceiver) -> bool:
    """Whether the book in question is known."""
    book = receiver.instruments.get(PERPETUAL)
    return book is not None and book.live


async def compare(exchange: Exchange, desks: list[Desk]) -> None:
    """Every order once or refused, and the public book is what the desks have open."""
    for desk in desks:
        assert set(desk.accepted.values()) == {1}
        assert not desk.refused & set(desk.accepted)
        assert len(desk.accepted) > 150
        assert desk.told[-1] == desk.held != 0
        assert len(desk.told) > 50
        # Who was neither accepted nor told was passed over: its number is not in the events.
        assert set(desk.numbers.values()) >= set(desk.accepted)
    receiver = FeedReceiver()
    await asyncio.to_thread(exchange.wait_running, "feed", seconds=PATIENCE)
    connection = await listen_tcp(receiver, *exchange.address("feed"))
    async with asyncio.timeout(PATIENCE):
        while not all_live(receiver):  # noqa: ASYNC110
            await asyncio.sleep(0.1)
    book = receiver.instruments[PERPETUAL]
    assert receiver.mismatches == []
    assert book.orders == desks[0].live | desks[1].live
    assert len(book.orders) > 50
    connection.close()
