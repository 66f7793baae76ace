"""Days at accelerated time: books, ledger, pool and attestations hold at every cycle.

    python -m tests.campaigns.days --days 30 --accounts 2000 --period 10

The real engine and the four real sidecars, polled by hand (tests/core/sidecars/world.py). Every few
minutes some trade, pay in or take out; markets of a series are listed, trade and resolve by
themselves; twice an hour on a short run, once a day on a long one, a third of the accounts borrow
to buy coins and then everybody wants his money out, until the pool's ceiling stops them. Mishaps
befall the sidecars all the while, most of them on the first day, and stores are lost in the first
two: they are read anew from the first event, which takes the longer the later it happens.

Each period settles, and holds the ledger to every balance that changed, each hour of the core's to
all of them; this process, too, compares all balances once an hour, and verifies the chain of
attestations last.
"""

import argparse
import logging
import sys
import tempfile
import time
from pathlib import Path

import structlog

from core.memory import unlink_all
from core.producers import Producer
from core.sidecars.books import POOL
from core.sidecars.settlement.agent import Settlement
from tests.core.sidecars.stage import Stage
from tests.core.sidecars.world import (
    BTC,
    HOUR,
    MINUTE,
    MISHAPS,
    POOL_CEILING,
    SECOND,
    SERIES,
    USDC,
    World,
)
from tools import verify_reserves

STEP = 5 * MINUTE
STEPS_A_DAY = 24 * HOUR // STEP
OFTEN, SELDOM = 0.35, 0.005  # chance of a mishap in a step, of a short run and after a first day
LOSSES_DAYS = 2  # in which stores are lost; all that was is read again then
LOG_BYTES = 1 << 24


class Days:
    """A run of so many days with so many accounts and a settlement every `period_ns`."""

    def __init__(
        self, stage: Stage, seed: int, days: float, accounts: int, period_ns: int
    ) -> None:
        self.world = World(stage, seed, accounts, period_ns)
        self.steps = int(days * 24 * HOUR) // STEP
        self._run_every = 24 if days <= 1 else STEPS_A_DAY  # steps between runs on the pool
        self._part = min(period_ns, MINUTE)
        self._period = period_ns
        self.periods = 0  # that have passed; each settles once
        self._directory = stage.directory

    def pass_time(self, nanoseconds: int) -> None:
        """Let so much time pass, cycle by cycle."""
        for _ in range(nanoseconds // self._part):
            self.world.step(self._part)
        self.periods += nanoseconds // self._period

    def step(self, number: int) -> None:
        """The next five minutes."""
        world = self.world
        self.pass_time(STEP)
        world.live()
        world.step(0)
        if world.bad_luck.random() < (OFTEN if number < STEPS_A_DAY else SELDOM):
            world.mishap(losses=number < LOSSES_DAYS * STEPS_A_DAY)
        if number % self._run_every == self._run_every // 2:
            world.quote()
            world.borrow()
            world.step(MINUTE)
            world.run_on_the_pool()
        if number % 12 == 11:
            self.pass_time(STEP)
            world.check()

    def end(self) -> str:
        """What must hold of all of it; what happened, in a line."""
        world = self.world
        self.pass_time(STEP)
        world.check()
        chain = self._directory / "reserves" / "attestations"
        pages = verify_reserves.verify_chain(chain, set())
        # Everybody's interest to date: the pool has never paid what it did not get.
        for account in world.accounts:
            world.engine.request("AccountRequest", account=account, requestId=1, echo=b"")
        assert world.engine.balance(POOL, USDC) >= 0
        assert world.engine.balance(POOL, BTC) >= 0
        assert world.refused[POOL_CEILING] > 0
        assert world.refused[0] > 0
        settlement = world.sidecars[Producer.SETTLEMENT]
        assert isinstance(settlement, Settlement)
        assert settlement.cycle >= self.periods * 99 // 100, (settlement.cycle, self.periods)
        assert len(world.mishaps) >= min(len(MISHAPS), self.steps // 4)  # Each, to each of them.
        resolved = len(world.resolved)
        assert resolved >= self.steps * STEP // SERIES // 2  # A clock's jumps leave periods out.
        connection = settlement.store.connection
        (cycles,) = connection.execute("SELECT count(*) FROM cycle").fetchone()
        (postings,) = connection.execute("SELECT count(*) FROM posting").fetchone()
        return (
            f"{self.steps * STEP / 24 / HOUR:g} days of {len(world.accounts)} accounts: "
            f"{world.engine.sequence:,} commands, {cycles:,} cycles, {postings:,} postings, "
            f"{resolved:,} predictions resolved, {world.refused[POOL_CEILING]:,} withdrawals "
            f"stopped at the pool's ceiling, {world.mishaps.total()} mishaps of "
            f"{len(world.mishaps)} kinds; {pages[0]}"
        )


def main() -> None:
    """Run it, a line a day."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--days", type=float, default=30)
    parser.add_argument("--accounts", type=int, default=2000)
    parser.add_argument("--period", type=int, default=10, help="seconds between settlements")
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    instance = f"days-{chosen.seed}-{time.time_ns() % 10**6}"
    began, processor = time.monotonic(), time.process_time()
    try:
        with tempfile.TemporaryDirectory() as directory:
            stage = Stage(instance, Path(directory), log_bytes=LOG_BYTES)
            days = Days(stage, chosen.seed, chosen.days, chosen.accounts, chosen.period * SECOND)
            days.pass_time(STEP)
            for number in range(days.steps):
                days.step(number)
                if number % STEPS_A_DAY == STEPS_A_DAY - 1:
                    passed, used = time.monotonic() - began, time.process_time() - processor
                    sys.stdout.write(f"day {number // STEPS_A_DAY + 1}: {passed:,.0f} s, "
                                     f"{used:,.0f} of a processor\n")
                    sys.stdout.flush()
            sys.stdout.write(f"{days.end()}\n")
    finally:
        unlink_all(instance)
    sys.stdout.write(f"{time.monotonic() - began:,.0f} s, {time.process_time() - processor:,.0f} "
                     "of a processor, compiling included\n")


if __name__ == "__main__":
    main()
