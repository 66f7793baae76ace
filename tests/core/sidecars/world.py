"""A whole exchange at accelerated time: the real engine and the four real sidecars, by hand.

Clock, order of polls, trading, deposits, withdrawals and mishaps follow a seed. Mishaps are what
must change nothing: a sidecar killed, started again, started twice, started on an old store or on
none, a clock that jumps.
"""

import ctypes
import random
import shutil
from collections import Counter
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from core import words
from core.link import COMMAND_HEADER, CommandLink, EventFollower
from core.memory import HEADER_SIZE, Segment
from core.messages import decode
from core.producers import SIDECARS, Producer
from core.records import FIRST_CLIENT
from core.sidecars.books import LIQUIDITY
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
from core.sidecars.store import StoreBusy
from sbe.generated import control
from tests.core.engine.exchange import EVENT_BYTES, LIMITS, Exchange
from tests.core.sidecars.stage import Stage

MINUTE, HOUR = 60 * SECOND, 3600 * SECOND
SERIES = 10 * MINUTE  # There are more of its markets than numbers, which are used again.
OWNERS = 20
TRADERS = 60  # of so many accounts at most; the others lend, borrow, pay in and take out
USDC, BTC = 0, 1
SPOT, PERPETUAL = 1, 2
MARGIN, POOL_CEILING = 33, 36
M = 10**6
KEYS = {"engine": SigningKey(b"\1" * 32), "attestor": SigningKey(b"\2" * 32)}
# Each of the first four happens to each sidecar; the clock is that of all.
MISHAPS = [
    *((kind, p) for kind in ("killed", "forgets", "old store", "twice") for p in SIDECARS),
    ("clock ahead", None), ("clock back", None),
]


def limits_for(accounts: int) -> Any:
    """The shared limits if they suffice, so that nothing is compiled for these alone."""
    if FIRST_CLIENT + accounts <= LIMITS.accounts_max:
        return LIMITS
    return SimpleNamespace(
        assets_max=4, owners_max=128, accounts_max=FIRST_CLIENT + accounts + 1,
        positions_max=8 * accounts, instruments_max=64, events_max=8, orders_max=8192,
        levels_max=8192, sessions_max=16,
    )


class Engine(Exchange):
    """The real engine, whose events go to the stage's log and archive as they are."""

    def __init__(self, stage: Stage, limits: Any) -> None:
        self.stage = stage
        self.listening = True  # Events are published always, decoded only for who asks.
        super().__init__(limits, checked=False)

    def event_memory(self) -> NDArray[np.uint8]:
        """Days of events go round it many times: it is mirrored, as the core's is."""
        self.segment = Segment.create(self.stage.instance, "engine", EVENT_BYTES, True)
        return self.segment.array("u1", 2 * EVENT_BYTES)

    def apply(self, message: bytes, session: int = 0, producer: int = 1) -> None:
        self.time = max(self.time, self.stage.now)  # The sequencer's never falls.
        super().apply(message, session, producer)

    def _collect(self, position: int) -> None:
        self.stage.sequence = self.sequence
        end = int(self.s["event_position"])
        first = position & (EVENT_BYTES - 1)
        self.stage.publish(self._memory[first : first + end - position].tobytes())
        if self.listening:
            super()._collect(position)


class World:
    """Engine, custody, four sidecars and a seed."""

    def __init__(self, stage: Stage, seed: int, accounts: int, period_ns: int) -> None:
        self.stage = stage
        self.chance = random.Random(seed)
        self.bad_luck = random.Random(-seed)  # of its own: what people do is the same without it
        self.accounts = range(FIRST_CLIENT, FIRST_CLIENT + accounts)
        self.traders = self.accounts[:TRADERS]
        self.period_ns = period_ns
        self.limits = limits_for(accounts)
        self.engine = Engine(stage, self.limits)
        self.mishaps: Counter[tuple[str, Producer | None]] = Counter()
        self._to_come: list[tuple[str, Producer | None]] = []
        self.refused: Counter[int] = Counter()  # withdrawals, by reason
        # Numbers of markets are used again; what a sidecar says twice has the same price.
        self.resolved: set[tuple[int, int]] = set()
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
        for account in self.accounts:
            engine.account(account, FIRST_CLIENT + account % OWNERS)
        for kind in range(1, 7):
            assert engine.send("SetFees", tier=0, kind=kind, makerFee=-20, takerFee=300) == 0
        assert engine.list(SPOT, 1, 0.01, 0.0001) == 0
        assert engine.list(PERPETUAL, 2, 0.1, 0.0001) == 0
        for account in self.accounts:
            engine.send("Deposit", 0, 1, account=account, asset=USDC, amount=50_000 * M)
            engine.send("Deposit", 0, 1, account=account, asset=BTC, amount=ONE)
        engine.send("Deposit", 0, 1, account=LIQUIDITY, asset=USDC, amount=2_000 * M)
        engine.listening = False

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
                              period_ns=self.period_ns, funding_ns=HOUR)
        if producer == Producer.LENDING:
            curve = knots(0, 800_000, 80_000, 600_000)
            return Lending(*arguments, clock=stage.clock, curve=curve, period_ns=self.period_ns)
        if producer == Producer.ORACLE:
            highest = self.limits.instruments_max - 1
            series = Series("BTC", SERIES, 2 * MINUTE, ONE // 100, ONE, highest)
            return Oracle(
                *arguments, clock=stage.clock, sources={"BTC": self._sources}, series=(series,),
                since=lambda at: EventFollower(stage.instance, stage.directory, at),
                interval_ns=MINUTE,
            )
        return Reserves(
            *arguments, clock=stage.clock, directory=stage.directory / "reserves",
            custody=self.custody, keys=KEYS, period_ns=6 * HOUR,
        )

    def mishap(self, losses: bool = True) -> None:
        """Something that must change nothing happens to one of them, or to the clock.

        losses: whether that may be the loss of a store, or of what was written since a copy of it.
        """
        if not self._to_come:
            self._to_come = self.bad_luck.sample(MISHAPS, len(MISHAPS))
        kind, producer = self._to_come.pop()
        kind = "killed" if kind in ("forgets", "old store") and not losses else kind
        if producer is None:
            ahead = kind == "clock ahead"
            self.stage.now += self.bad_luck.randrange(1, 4) * HOUR if ahead else (
                -self.bad_luck.randrange(1, 30) * MINUTE
            )
        elif kind == "twice":
            with pytest.raises(StoreBusy):
                self.start(producer)
        else:
            path = self.sidecars[producer].store.path
            copy = path.with_suffix(".old")
            if kind == "old store" and not copy.exists():
                self._to_come.insert(0, (kind, producer))  # There will be a backup by then.
                kind = "killed"
            self.sidecars[producer].store.close()
            if kind == "forgets":
                path.unlink()
            elif kind == "old store":
                shutil.copy(copy, path)
            else:
                shutil.copy(path, copy)
            self.sidecars[producer] = self.start(producer)
        self.mishaps[kind, producer] += 1

    def run_on_the_pool(self) -> None:
        """Everybody wants out with all that they have, until the pool's ceiling is reached."""
        self.engine.listening = True
        for account in self.accounts:
            amount = self.engine.balance(account, USDC) * 99 // 100
            if amount > 0:
                reason, limit = self._withdraw(account, amount)
                if reason == MARGIN and limit > 0:
                    self._withdraw(account, limit)
        self.engine.listening = False

    def _withdraw(self, account: int, amount: int) -> tuple[int, int]:
        """Ask for USDC; what gets out is paid in again. Reason and limit of the answer."""
        self.requests += 1
        self.engine.request("WithdrawalRequest", account=account, asset=USDC, amount=amount,
                            requestId=self.requests, echo=b"")
        (report,) = self.engine.named("WithdrawalReport")
        self.refused[report["reason"]] += 1
        if report["reason"] == 0:
            self.custody.receive(f"back-{self.requests}", account, USDC, amount)
        return report["reason"], report["limit"]

    def quote(self) -> None:
        """A market is made in the perpetual, dearer than the index: longs will pay funding."""
        index = self.sidecars[Producer.ORACLE].reference.assets[BTC].index or 100_000 * ONE
        for side, share in ((1, 1_001_000), (2, 1_002_000)):
            price = index * share // 10**6
            self.requests += 1
            self.engine.request(
                "NewOrderSingle", account=self.accounts[side], clOrdId=self.requests,
                instrument=PERPETUAL, side=side, ordType=2, timeInForce=1, tag=0,
                orderQty=ONE // 5, price=price - price % 10**7, selfTradePrevention=0,
                triggerType=0, outcomeSide=0, echo=b"")

    def borrow(self) -> None:
        """A third of them buy coins for more money than they have; first the rest offer them.

        What is not sold is taken back.
        """
        index = self.sidecars[Producer.ORACLE].reference.assets[BTC].index or 100_000 * ONE
        price = index - index % 10**6
        for account in sorted(self.accounts, key=lambda account: account % 3 == 0):
            self.requests += 1
            side = 1 if account % 3 == 0 else 2
            self.engine.request(
                "NewOrderSingle", account=account, clOrdId=self.requests, instrument=SPOT,
                side=side, ordType=2, timeInForce=1 if side == 2 else 3, tag=0,
                orderQty=ONE * 7 // 10 if side == 2 else ONE, price=price,
                selfTradePrevention=0, triggerType=0, outcomeSide=0, echo=b"")
        for account in self.accounts:
            self.requests += 1
            self.engine.request("OrderMassCancelRequest", account=account, scope=2, kind=0, side=0,
                                clOrdId=self.requests, instrument=SPOT, underlying=0, echo=b"")

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
            message = ctypes.string_at(address + 32, length - 32)
            self.engine.apply(message, session, producer)
            if int.from_bytes(message[2:4], "little") == control.RESOLVE_INSTRUMENT_TEMPLATE:
                _, fields = decode(message)
                self.resolved.add((fields["instrument"], fields["settlementPrice"]))
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
            for account, side in zip(chance.sample(self.traders, 2), (2, 1), strict=True):
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
                self.custody.receive(transaction, chance.choice(self.accounts), asset, amount)
            else:
                account = chance.choice(self.accounts)
                engine.request("WithdrawalRequest", account=account, asset=asset,
                               amount=amount, requestId=self.requests, echo=b"")
                if chance.random() < 0.2:
                    self.custody.fail(int(engine.s["withdrawal_ids"]))

    # ---- what must hold --------------------------------------------------------------------------

    def check(self) -> None:
        settlement = self.sidecars[Producer.SETTLEMENT]
        assert isinstance(settlement, Settlement)
        assert settlement.differences == 0
        assert [s.alarms for s in self.sidecars.values()] == [0, 0, 0, 0]
        for account in (*range(1, 9), *self.accounts):
            for asset in (USDC, BTC):
                mine = settlement.ledger.balance(account, asset)
                assert mine == self.engine.balance(account, asset), (account, asset)

