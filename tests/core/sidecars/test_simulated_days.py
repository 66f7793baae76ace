"""Days at accelerated time: the real engine and the four real sidecars, stepped by hand.

Clock, order of polls, trading, deposits, withdrawals, restarts and lost stores follow a seed. After
every cycle the ledger must equal the engine to the unit; every attestation must verify; what
lenders were paid never exceeds what borrowers owe. `ONEBOOK_SIMULATED_DAYS=30` makes it a month.
"""

import ctypes
import os
import random
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from core import words
from core.link import COMMAND_HEADER, CommandLink, EventFollower
from core.memory import HEADER_SIZE, Segment, unlink_all
from core.producers import SIDECARS, Producer
from core.records import FIRST_CLIENT
from core.sidecars.books import POOL
from core.sidecars.custody import EmbeddedCustody
from core.sidecars.follow import Sidecar
from core.sidecars.keys import SigningKey
from core.sidecars.lending.agent import Lending
from core.sidecars.lending.curve import knots
from core.sidecars.oracle.agent import Oracle
from core.sidecars.oracle.index import Weighed
from core.sidecars.oracle.series import Series
from core.sidecars.oracle.sources import ONE, SECOND, SimulatedSource
from core.sidecars.reserves.agent import Reserves
from core.sidecars.settlement.agent import Settlement
from tests.core.engine.exchange import EVENT_BYTES, LIMITS, Exchange
from tests.core.sidecars.stage import Stage
from tools import verify_reserves

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3000)]

DAYS = float(os.environ.get("ONEBOOK_SIMULATED_DAYS", "0.25"))
MINUTE, HOUR = 60 * SECOND, 3600 * SECOND
STEP = 5 * MINUTE
ACCOUNTS = range(FIRST_CLIENT, FIRST_CLIENT + 40)
OWNERS = 20
USDC, BTC = 0, 1
SPOT, PERPETUAL = 1, 2
M = 10**6
KEYS = {"engine": SigningKey(b"\1" * 32), "attestor": SigningKey(b"\2" * 32)}


class Engine(Exchange):
    """The real engine, whose events go to the stage's log and archive as they are."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        super().__init__(checked=False)

    def event_memory(self) -> NDArray[np.uint8]:
        """Days of events go round it many times: it is mirrored, as the core's is."""
        self.segment = Segment.create(self.stage.instance, "engine", EVENT_BYTES, True)
        return self.segment.array("u1", 2 * EVENT_BYTES)

    def apply(self, message: bytes, session: int = 0, producer: int = 1) -> None:
        self.time = self.stage.now
        super().apply(message, session, producer)

    def _collect(self, position: int) -> None:
        self.stage.sequence = self.sequence
        end = int(self.s["event_position"])
        first = position & (EVENT_BYTES - 1)
        self.stage.publish(self._memory[first : first + end - position].tobytes())
        super()._collect(position)


class World:
    """Engine, custody, four sidecars and a seed."""

    def __init__(self, stage: Stage, seed: int) -> None:
        self.stage = stage
        self.chance = random.Random(seed)
        self.engine = Engine(stage)
        self.custody = EmbeddedCustody(
            stage.directory / "custody.sqlite", clock=stage.clock, confirm_ns=MINUTE
        )
        self._genesis()
        began = stage.now
        self._sources = [
            Weighed(f"s{n}", SimulatedSource("BTC", 100_000 * ONE, n, 0.8, began), 1, HOUR, 20_000)
            for n in range(3)
        ]
        self.links = {p: stage.link(p) for p in SIDECARS}
        self.sidecars: dict[Producer, Sidecar] = {p: self.start(p) for p in SIDECARS}
        self.requests = 0

    def _genesis(self) -> None:
        engine = self.engine
        assert engine.asset(USDC, "USDC", 6, reserveShare=100_000) == 0
        assert engine.asset(BTC, "BTC", 8) == 0
        for account in ACCOUNTS:
            engine.account(account, FIRST_CLIENT + account % OWNERS)
        for kind in range(1, 7):
            assert engine.send("SetFees", tier=0, kind=kind, makerFee=-20, takerFee=300) == 0
        assert engine.list(SPOT, 1, 0.01, 0.0001) == 0
        assert engine.list(PERPETUAL, 2, 0.1, 0.0001) == 0
        for account in ACCOUNTS:
            engine.send("Deposit", 0, 1, account=account, asset=USDC, amount=50_000 * M)
            engine.send("Deposit", 0, 1, account=account, asset=BTC, amount=ONE)

    def start(self, producer: Producer) -> Sidecar:
        stage = self.stage
        kind = {
            Producer.SETTLEMENT: Settlement, Producer.LENDING: Lending,
            Producer.ORACLE: Oracle, Producer.RESERVES: Reserves,
        }[producer]
        store = stage.store(producer.name.lower(), kind.migrations)
        arguments = (store, stage.follower(), self.links[producer])
        if producer == Producer.SETTLEMENT:
            return Settlement(*arguments, clock=stage.clock, custody=self.custody,
                              period_ns=STEP, funding_ns=HOUR)
        if producer == Producer.LENDING:
            curve = knots(0, 800_000, 80_000, 600_000)
            return Lending(*arguments, clock=stage.clock, curve=curve, period_ns=STEP)
        if producer == Producer.ORACLE:
            series = Series("BTC", HOUR, 10 * MINUTE, ONE // 100, ONE, LIMITS.instruments_max - 1)
            return Oracle(
                *arguments, clock=stage.clock, sources={"BTC": self._sources}, series=(series,),
                since=lambda at: EventFollower(stage.instance, stage.directory, at),
                interval_ns=MINUTE,
            )
        return Reserves(
            *arguments, clock=stage.clock, directory=stage.directory / "reserves",
            custody=self.custody, keys=KEYS, period_ns=6 * HOUR,
        )

    def restart(self, producer: Producer, *, forget: bool) -> None:
        self.sidecars[producer].store.close()
        if forget:
            self.sidecars[producer].store.path.unlink()
        self.sidecars[producer] = self.start(producer)

    # ---- time ------------------------------------------------------------------------------------

    def step(self, nanoseconds: int) -> None:
        """Let time pass, and everybody do what they want until there is nothing more."""
        self.stage.now += nanoseconds
        for _ in range(12):
            order = list(self.sidecars.values())
            self.chance.shuffle(order)
            work = sum(sidecar.poll() for sidecar in order)
            work += sum(self._take(link) for link in self.links.values())
            self.engine.finish_jobs()
            if work == 0:
                return

    def _take(self, link: CommandLink) -> int:
        taken = 0
        while (at := words.load_word(link.ring + words.CONSUMED)) < words.load_word(
            link.ring + words.PUBLISHED
        ):
            address = link.ring + HEADER_SIZE + (at & (link.capacity - 1))
            length, producer, _, session, _ = COMMAND_HEADER.unpack(ctypes.string_at(address, 32))
            self.engine.apply(ctypes.string_at(address + 32, length - 32), session, producer)
            words.store_word(link.ring + words.CONSUMED, at + length)
            taken += 1
        return taken

    # ---- people ----------------------------------------------------------------------------------

    def live(self) -> None:
        """A few minutes of people: trades, deposits, withdrawals, some beyond what they have."""
        chance, engine = self.chance, self.engine
        reference = self.sidecars[Producer.ORACLE].reference
        for _ in range(chance.randrange(6)):
            instruments = [i for i in reference.instruments.values() if i.state == 2]
            instrument = chance.choice(instruments)
            index = reference.assets[BTC].index or 100_000 * ONE
            if instrument.kind > PERPETUAL:
                price = chance.randrange(5, 96) * ONE // 100
                quantity = chance.randrange(1, 300) * ONE
            else:
                price = index * chance.randrange(9_950, 10_051) // 10_000
                price -= price % instrument.tick_size
                quantity = chance.randrange(1, 12_000) * 10**4
            for account, side in zip(chance.sample(ACCOUNTS, 2), (2, 1), strict=True):
                self.requests += 1
                engine.request("NewOrderSingle", account=account, clOrdId=self.requests,
                               instrument=instrument.number, side=side, ordType=2, timeInForce=3
                               if side == 1 else 1, orderQty=quantity, price=price, tag=0,
                               selfTradePrevention=0, triggerType=0, outcomeSide=0, echo=b"")
        if chance.random() < 0.2:
            self.requests += 1
            asset = chance.choice((USDC, BTC))
            amount = chance.randrange(1, 3_000 * M if asset == USDC else ONE // 4)
            if chance.random() < 0.5:
                transaction = f"tx-{self.requests}"
                self.custody.receive(transaction, chance.choice(ACCOUNTS), asset, amount)
            else:
                engine.request("WithdrawalRequest", account=chance.choice(ACCOUNTS), asset=asset,
                               amount=amount, requestId=self.requests, echo=b"")
                if chance.random() < 0.2:
                    self.custody.fail(int(engine.s["withdrawal_ids"]))

    # ---- what must hold --------------------------------------------------------------------------

    def check(self) -> None:
        settlement = self.sidecars[Producer.SETTLEMENT]
        assert isinstance(settlement, Settlement)
        assert settlement.differences == 0
        assert [s.alarms for s in self.sidecars.values()] == [0, 0, 0, 0]
        for account in (*range(1, 7), *ACCOUNTS):
            for asset in (USDC, BTC):
                mine = settlement.ledger.balance(account, asset)
                assert mine == self.engine.balance(account, asset), (account, asset)


@pytest.fixture
def stage(instance: str, tmp_path: Path) -> Iterator[Stage]:
    yield Stage(instance, tmp_path, log_bytes=1 << 24)
    unlink_all(instance)


@pytest.mark.parametrize("seed", [1, 2])
def test_days(stage: Stage, seed: int, capsys: pytest.CaptureFixture[str]) -> None:
    world = World(stage, seed)
    chance = world.chance
    steps = int(DAYS * 24 * HOUR) // STEP
    for step in range(steps):
        for _ in range(5):
            world.step(STEP // 5)
        world.live()
        world.step(0)
        if chance.random() < 0.03:
            world.restart(chance.choice(SIDECARS), forget=chance.random() < 0.3)
        if step % 12 == 11:
            for _ in range(3):
                world.step(MINUTE)
            world.check()
    engine, stores = world.engine, world.sidecars
    for _ in range(3):
        world.step(MINUTE)
    world.check()
    pages = verify_reserves.verify_chain(stage.directory / "reserves" / "attestations", set())
    connection = stores[Producer.SETTLEMENT].store.connection
    (cycles,) = connection.execute("SELECT count(*) FROM cycle").fetchone()
    (postings,) = connection.execute("SELECT count(*) FROM posting").fetchone()
    # Everybody's interest to date: the pool has never paid what it did not get.
    for account in ACCOUNTS:
        engine.request("AccountRequest", account=account, requestId=1, echo=b"")
    assert engine.balance(POOL, USDC) >= 0
    assert engine.balance(POOL, BTC) >= 0
    listed = stores[Producer.ORACLE].reference.instruments.values()
    resolved = [instrument for instrument in listed if instrument.payout is not None]
    assert len(resolved) >= steps * STEP // HOUR - 2
    with capsys.disabled():
        sys.stdout.write(
            f"\n{DAYS:g} days: {engine.sequence:,} commands, {cycles} cycles, {postings:,} "
            f"postings, {len(resolved)} predictions resolved; {pages[0]}\n"
        )

