"""The binary client against the real gateway, with a fake core that a test can take away."""

import asyncio
from contextlib import asynccontextmanager

import pytest

from sbe.generated import order_entry as oe
from tests.gateway.binary.conftest import SECRET, SESSION, Exchange
from tools.clients.binary import BUY, SELL, BinaryClient, SessionEnded, SessionRefused


@pytest.fixture
def make(instance, tmp_path):
    made = []

    def start(**changes):
        made.append(Exchange(instance, tmp_path, **changes))
        return made[-1]

    yield start
    for exchange in made:
        exchange.close()


@asynccontextmanager
async def running(exchange):
    """Step the exchange beside the client, in the client's event loop."""

    async def steps():
        while True:
            exchange.step()
            await asyncio.sleep(0)

    task = asyncio.create_task(steps())
    try:
        yield
    finally:
        task.cancel()


async def until(reached):
    async with asyncio.timeout(10):
        while not reached():  # noqa: ASYNC110 — a poll is what a test wants
            await asyncio.sleep(0.001)


def new_client(exchange, **changes):
    options = {"session": SESSION, "key_id": f"key-{SESSION}", "secret": SECRET} | changes
    client = BinaryClient("127.0.0.1", exchange.port, **options)
    client.events, client.lost, client.ends = [], [], []
    client.on_event = client.events.append
    client.on_not_applied = lambda first, count: client.lost.append((first, count))
    client.on_ended = client.ends.append
    return client


ORDER = {"account": 100, "instrument": 1, "side": BUY, "price": 100, "quantity": 5}


def test_orders_go_out_and_reports_come_back_as_records(make):
    exchange = make()

    async def main():
        client = new_client(exchange)
        async with running(exchange):
            await client.connect()
            first = client.new_order(**ORDER)
            second = client.new_order(**ORDER | {"side": SELL, "price": None})
            await until(lambda: len(client.events) == 2)
            report = client.events[0].record
            assert (int(report["clOrdId"]), int(report["price"])) == (first, 100)
            assert client.events[1].decode()["clOrdId"] == second
            assert client.applied == 2
            await client.close()
        assert client.ends == [oe.TERMINATION_CODE_FINISHED]

    asyncio.run(main())
    limit, market = (order for _, order in exchange.core.orders)
    assert (limit["ordType"], market["ordType"]) == (oe.ORD_TYPE_LIMIT, oe.ORD_TYPE_MARKET)
    assert (market["price"], market["expireTime"], market["stopPx"]) == (None, None, None)


def test_every_message_it_writes_is_whole(make):
    exchange = make()
    seen = []
    apply = exchange.core.apply
    exchange.core.apply = lambda *command: (seen.append(command), apply(*command))

    async def main():
        client = new_client(exchange)
        async with running(exchange):
            await client.connect()
            order = client.new_order(**ORDER)
            client.replace(order, account=100, instrument=1, price=101)
            client.cancel(order, account=100, instrument=1)
            client.mass_quote(account=100, quotes=[(1, 99, 1, 101, 2), (2, None, None, 5, 6)])
            client.mass_cancel(account=100)
            client.send("SetCancelTimer", account=100, milliseconds=500)
            await until(lambda: client.applied == 6)
            await client.close()

    asyncio.run(main())
    commands = {name: fields for _, name, fields in seen}
    assert commands["OrderCancelReplaceRequest"]["orderQty"] is None
    assert commands["OrderCancelReplaceRequest"]["price"] == 101
    assert commands["OrderCancelRequest"]["orderId"] is None
    assert commands["MassQuote"]["quotes"] == [
        {"instrument": 1, "bidPx": 99, "bidSize": 1, "offerPx": 101, "offerSize": 2},
        {"instrument": 2, "bidPx": None, "bidSize": None, "offerPx": 5, "offerSize": 6},
    ]
    assert commands["OrderMassCancelRequest"]["scope"] == oe.MASS_CANCEL_SCOPE_ALL
    assert commands["SetCancelTimer"]["milliseconds"] == 500


def test_a_wrong_secret_is_an_error(make):
    exchange = make()

    async def main():
        client = new_client(exchange, secret="not the secret at all")
        async with running(exchange):
            with pytest.raises(SessionRefused) as refused:
                await client.connect()
            assert refused.value.code == oe.REJECT_CODE_CREDENTIALS
            with pytest.raises(SessionEnded):
                client.new_order(**ORDER)

    asyncio.run(main())


@pytest.mark.parametrize("restart", [False, True])
def test_after_a_lost_connection_everything_missed_comes_first_and_once(make, restart):
    exchange = make()
    count = 6000  # more than one retransmission

    async def main():
        client = new_client(exchange)
        async with running(exchange):
            await client.connect()
            client.new_order(**ORDER)
            await until(lambda: len(client.events) == 1)
            client.abort()
            await until(lambda: client.ends)
            await until(lambda: not exchange.core.sessions[SESSION].connection)
            for _ in range(count):
                exchange.core.report(SESSION, exchange.core.orders[0][1])
            if restart:
                exchange.restart()
                client.port = exchange.port
            await client.connect()
            client.new_order(**ORDER)
            await until(lambda: len(client.events) == count + 2)
            assert [event.number for event in client.events] == list(range(1, count + 3))
            resent = [event.number for event in client.events if event.resent]
            assert resent == list(range(2, count + 2))
            await client.close()

    asyncio.run(main())


def test_orders_that_never_arrived_are_reported_not_applied(make):
    exchange = make()

    async def main():
        client = new_client(exchange)
        async with running(exchange):
            await client.connect()
            client.new_order(**ORDER)
            await until(lambda: len(client.events) == 1)
        for _ in range(3):  # Nobody steps the gateway: these stay in the socket and die with it.
            client.new_order(**ORDER)
        client.abort()
        await asyncio.sleep(0.01)
        exchange.restart()
        client.port = exchange.port
        async with running(exchange):
            await until(lambda: not exchange.core.sessions[SESSION].connection)
            await client.connect()
            assert client.lost == [(2, 3)]
            assert client.next_number == 2
            client.new_order(**ORDER)
            await until(lambda: len(client.events) == 2)
            await client.close()
        assert len(exchange.core.orders) == 2

    asyncio.run(main())


def test_an_idle_session_stays(make):
    exchange = make()

    async def main():
        client = new_client(exchange, keepalive=0.1)
        async with running(exchange):
            await client.connect()
            await asyncio.sleep(0.7)
            assert client.connected
            await client.close()

    asyncio.run(main())
