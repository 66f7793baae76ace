"""The FIX client against the real gateway: what happened while it was away comes first."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
import simplefix

from core.venue import FixSession
from tests.gateway.fix.stage import Stage
from tools.clients.fix import FixClient, text, timestamp

SESSION = FixSession(
    session=1, sender_comp_id="CLIENT", target_comp_id="EXEC", owner="acme", account="acme.main",
    authentication="hmac", secret="a secret of some length",
)
ONE = 10**8


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    stage = Stage(tmp_path, (SESSION,))
    yield stage
    stage.stop()


def test_what_it_missed_comes_with_the_next_logon(stage: Stage) -> None:
    heard: list[simplefix.FixMessage] = []

    async def until(count: int) -> None:
        while len(heard) < count:  # noqa: ASYNC110 (the client's own callback fills it)
            await asyncio.sleep(0.01)

    async def day() -> None:
        client = FixClient("127.0.0.1", stage.port, sender="CLIENT", target="EXEC",
                           secret=SESSION.secret)
        client.on_message = heard.append
        await client.connect()
        client.send("D", [(11, "a"), (55, "BTC-USDC"), (54, 1), (38, 3), (40, 2), (44, 100),
                          (59, 1), (60, timestamp())])
        await asyncio.wait_for(until(1), 5)
        client.abort()
        await asyncio.to_thread(stage.forget)
        identity = next(f["clOrdId"] for _, n, f in stage.aid.commands if n == "NewOrderSingle")
        for _ in range(3):
            stage.call(lambda: stage.aid.fill(1, identity, ONE, 100 * ONE))
        await client.connect(resume=True)
        await asyncio.wait_for(until(4), 5)
        await client.close()

    asyncio.run(day())
    assert [text(message, 150) for message in heard] == ["0", "F", "F", "F"]
    assert len({text(message, 17) for message in heard}) == 4
