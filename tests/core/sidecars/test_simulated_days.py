"""Days at accelerated time: books, ledger, pool and attestations hold at every cycle.

    ONEBOOK_SIMULATED_DAYS=30 ONEBOOK_SIMULATED_ACCOUNTS=2000 ONEBOOK_SIMULATED_PERIOD=10 \\
        python -m pytest tests/core/sidecars/test_simulated_days.py

makes it a month of two thousand accounts with a settlement every ten seconds: hours of work. By
default it is a few hours of forty accounts with one every five minutes.
"""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.memory import unlink_all
from core.producers import Producer
from core.sidecars.books import POOL
from core.sidecars.oracle.sources import SECOND
from tests.core.sidecars.stage import Stage
from tests.core.sidecars.world import BTC, HOUR, MINUTE, MISHAPS, POOL_CEILING, SERIES, USDC, World
from tools import verify_reserves

DAYS = float(os.environ.get("ONEBOOK_SIMULATED_DAYS", "0.25"))
ACCOUNTS = int(os.environ.get("ONEBOOK_SIMULATED_ACCOUNTS", "40"))
PERIOD = int(os.environ.get("ONEBOOK_SIMULATED_PERIOD", "300")) * SECOND
STEP = 5 * MINUTE
STEPS = int(DAYS * 24 * HOUR) // STEP
RUN_EVERY = 24  # steps from one run on the pool to the next

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600 + int(DAYS * 36_000))]


@pytest.fixture
def stage(instance: str, tmp_path: Path) -> Iterator[Stage]:
    yield Stage(instance, tmp_path, log_bytes=1 << 24)
    unlink_all(instance)


def _let_pass(world: World, nanoseconds: int) -> None:
    part = min(PERIOD, MINUTE)
    for _ in range(nanoseconds // part):
        world.step(part)


@pytest.mark.parametrize("seed", range(1, 2 + int(DAYS)))
def test_days(stage: Stage, seed: int, capsys: pytest.CaptureFixture[str]) -> None:
    world = World(stage, seed, ACCOUNTS, PERIOD)
    _let_pass(world, STEP)
    for step in range(STEPS):
        _let_pass(world, STEP)
        world.live()
        world.step(0)
        if world.bad_luck.random() < 0.35:
            world.mishap()
        if step % RUN_EVERY == RUN_EVERY // 2:
            world.quote()
            world.borrow()
            world.step(MINUTE)
            world.run_on_the_pool()
        if step % 12 == 11:
            _let_pass(world, STEP)
            world.check()
    _let_pass(world, STEP)
    world.check()
    pages = verify_reserves.verify_chain(stage.directory / "reserves" / "attestations", set())
    # Everybody's interest to date: the pool has never paid what it did not get.
    for account in world.accounts:
        world.engine.request("AccountRequest", account=account, requestId=1, echo=b"")
    assert world.engine.balance(POOL, USDC) >= 0
    assert world.engine.balance(POOL, BTC) >= 0
    assert world.refused[POOL_CEILING] > 0
    assert world.refused[0] > 0
    assert len(world.mishaps) >= min(len(MISHAPS), STEPS // 4)  # Each, to each of the four.
    connection = world.sidecars[Producer.SETTLEMENT].store.connection
    (cycles,) = connection.execute("SELECT count(*) FROM cycle").fetchone()
    (postings,) = connection.execute("SELECT count(*) FROM posting").fetchone()
    resolved = len(world.resolved)
    assert resolved >= STEPS * STEP // SERIES // 2  # Jumps of the clock leave periods out.
    with capsys.disabled():
        sys.stdout.write(
            f"\n{DAYS:g} days of {ACCOUNTS} accounts: {world.engine.sequence:,} commands, {cycles} "
            f"cycles, {postings:,} postings, {resolved} predictions resolved, "
            f"{world.refused[POOL_CEILING]} withdrawals stopped at the pool's ceiling, "
            f"{world.mishaps.total()} mishaps of {len(world.mishaps)} kinds; {pages[0]}\n"
        )
