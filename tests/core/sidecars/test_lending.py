"""Rates, indices to the unit, and a pool that never pays out more than it takes."""

import itertools
import random
from typing import Any

import pytest

from core.agent import run_until_quiet
from core.producers import Producer
from core.sidecars.books import BORROW_INTEREST, DEPOSIT, LEND_INTEREST, POOL
from core.sidecars.lending.agent import SECOND, Lending, latest_accruals
from core.sidecars.lending.curve import Throttle, bound_at, knots, rate_at
from core.sidecars.lending.pool import ONE, SCALE, YEAR_NS, Pool
from tests.core.sidecars.stage import USDC, Stage

M = 10**6
CURVE = knots(0, 800_000, 80_000, 600_000)


def test_the_curve_has_a_knee_and_gets_steeper() -> None:
    assert [rate_at(CURVE, u) for u in (0, 400_000, 800_000, 1_000_000, 2_000_000)] == [
        0, 40_000, 80_000, 600_000, 600_000
    ]
    rates = [rate_at(CURVE, u) for u in range(0, 1_000_001, 5000)]
    steps = [after - before for before, after in itertools.pairwise(rates)]
    assert all(step >= 0 for step in steps)
    assert max(steps[:160]) < min(steps[160:]) < max(steps[190:])


def test_a_pool_is_used_up_by_steps() -> None:
    throttle = Throttle(850_000, 250_000)
    assert bound_at(throttle, 0, 950_000) == 850_000
    assert bound_at(throttle, 820_000, 950_000) == 852_500
    assert bound_at(throttle, 900_000, 950_000) == 912_500
    assert bound_at(throttle, 950_000, 950_000) == 0, "the ceiling bounds it, nothing else"
    assert bound_at(throttle, 0, 850_000) == 0
    used, steps = 850_000, 0
    while used < 945_000:  # A run on the pool takes this long, not one moment.
        used, steps = bound_at(throttle, used, 950_000), steps + 1
    assert steps == 11


class Bank:
    """The core's own rule for one asset: interest is posted when a balance is touched."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.borrow_index = self.lend_index = ONE
        self.balances: dict[int, int] = {}
        self.touched: dict[int, int] = {}
        self.reserve = 0
        self.lends = {account: account != 102 for account in (100, 101, 102, 103, 104)}
        stage.on_command = self._command

    def _command(self, name: str, fields: dict[str, Any]) -> None:
        if name == "AccrueInterest":
            assert fields["borrowIndex"] >= self.borrow_index
            assert fields["lendIndex"] >= self.lend_index
            self.borrow_index, self.lend_index = fields["borrowIndex"], fields["lendIndex"]
            lent = sum(max(b, 0) for a, b in self.balances.items() if self.lends[a])
            borrowed = sum(max(-b, 0) for b in self.balances.values())
            self.stage.emit("IndicesAccrued", asset=USDC, borrowIndex=self.borrow_index,
                            lendIndex=self.lend_index, borrowed=borrowed, lent=lent,
                            utilisationBound=fields["utilisationBound"])

    def touch(self, account: int) -> None:
        balance, before = self.balances.get(account, 0), self.touched.get(account, ONE)
        index = self.lend_index if balance > 0 else self.borrow_index
        self.touched[account] = index
        if balance == 0 or before == index or (balance > 0 and not self.lends[account]):
            return
        if balance > 0:
            interest, reason = balance * (index - before) // before, LEND_INTEREST
        else:
            interest, reason = -(balance * (before - index) // -before), BORROW_INTEREST
            interest = -(-(-balance * (index - before)) // before)
            interest = -interest
        if interest:
            self.balances[account] = balance + interest
            self.reserve -= interest
            self.stage.balance(account, USDC, reason, interest, balance + interest, counter=POOL)

    def credit(self, account: int, amount: int) -> None:
        self.stage.next()
        self.touch(account)
        after = self.balances[account] = self.balances.get(account, 0) + amount
        self.touched[account] = self.lend_index if after > 0 else self.borrow_index
        self.stage.balance(account, USDC, DEPOSIT, amount, after)


class Scene:
    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.bank = Bank(stage)
        self.lending = self.start()

    def start(self) -> Lending:
        return Lending(
            self.stage.store("lending", Lending.migrations), self.stage.follower(),
            self.stage.link(Producer.LENDING), clock=self.stage.clock, curve=CURVE,
        )

    def run(self, seconds: float = 0) -> list[dict[str, Any]]:
        self.stage.now += int(seconds * SECOND)
        taken = []
        for _ in range(3):
            run_until_quiet([self.lending])
            taken += [fields for _, _, fields in self.stage.take(self.lending.link)]
        return taken

    @property
    def pool(self) -> Pool:
        return self.lending.pools[USDC]


@pytest.fixture
def scene(stage: Stage) -> Scene:
    stage.venue()
    return Scene(stage)


def test_a_minute_of_interest_to_the_unit(scene: Scene) -> None:
    scene.run()
    scene.bank.credit(100, 1_000_000 * M)
    scene.bank.credit(101, -400_000 * M)
    (accrued,) = scene.run(60)
    rate = 40_000  # at 40 % utilisation
    rise = -(-ONE * rate * 60 * SECOND // (10**6 * YEAR_NS))
    assert accrued["borrowIndex"] == ONE + rise
    paid = 400_000 * M * rise // ONE
    scene.stage.next()
    scene.bank.touch(100)
    scene.bank.touch(101)
    scene.run()
    assert scene.bank.balances[101] == -400_000 * M - paid - (400_000 * M * rise % ONE > 0)
    received = scene.bank.balances[100] - 1_000_000 * M
    assert paid * 9 // 10 <= received <= (paid + 1) * 9 // 10
    assert scene.bank.reserve == scene.lending.books.balances[POOL, USDC] > 0
    assert latest_accruals(scene.lending.store.connection)[USDC][1:4] == (
        400_000, 40_000, 14_400
    )


def test_nobody_borrows_nothing_accrues(scene: Scene) -> None:
    scene.run()
    scene.bank.credit(100, 5 * M)
    assert scene.run(600) == []


def test_utilisation_counts_those_who_lend(scene: Scene) -> None:
    scene.run()
    scene.bank.credit(100, 1_000 * M)
    scene.bank.credit(102, 9_000 * M)  # Opted out.
    scene.bank.credit(101, -500 * M)
    scene.run(60)
    assert scene.pool.utilisation == 500_000


def test_a_stop_at_the_ceiling_is_said_and_taken_back(
    scene: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    scene.run()
    scene.bank.credit(100, 1_000 * M)
    scene.bank.credit(101, -950 * M)
    scene.run(60)
    scene.run(60)
    scene.bank.credit(101, 500 * M)
    scene.run(60)
    said = [line for line in capsys.readouterr().out.splitlines() if "redeeming" in line]
    assert ["stopped" in line for line in said] == [True, False]


@pytest.mark.parametrize("seed", range(4))
def test_the_pool_never_pays_more_than_it_takes(stage: Stage, seed: int) -> None:
    """A random year of touching, with restarts and a deleted store in between."""
    stage.venue()
    scene = Scene(stage)
    scene.run()
    bank, chance = scene.bank, random.Random(seed)
    for account in (100, 102, 103):
        bank.credit(account, 1_000_000 * M)
    for day in range(120):
        for _ in range(chance.randrange(4)):
            account = chance.choice((100, 101, 102, 103, 104))
            bank.credit(account, chance.randrange(-400_000 * M, 400_000 * M))
        scene.run(chance.choice((60, 3600, 86_400, 3 * 86_400)))
        if chance.random() < 0.05:
            scene.lending.store.close()
            if chance.random() < 0.5:
                scene.lending.store.path.unlink()
            scene.lending = scene.start()
            scene.run()
        if day % 10 == 9:  # All owe and get what they do: what is left is the reserve's.
            stage.next()
            for account in bank.lends:
                bank.touch(account)
            scene.run()
            assert bank.reserve >= 0, f"day {day}: the pool paid from nothing"
    assert bank.reserve > 0
    balances = scene.lending.books.balances
    assert {a: balances.get((a, USDC), 0) for a in bank.balances} == bank.balances
    assert balances[POOL, USDC] == bank.reserve
    pool = scene.pool
    for account, (balance, index) in pool.touched.items():
        assert balance == bank.balances[account]
        assert index == bank.touched[account]
    total = sum(-(-b * SCALE // i) for b, i in pool.touched.values() if b > 0)
    assert pool.scaled_lent == total


def test_a_clock_that_jumps_charges_a_day_at_most_and_never_backwards(scene: Scene) -> None:
    scene.run()
    scene.bank.credit(100, 1_000 * M)
    scene.bank.credit(101, -400 * M)
    (accrued,) = scene.run(10 * 365 * 86_400)
    most = ONE * 40_000 * 86_400 * SECOND // (10**6 * YEAR_NS)
    assert accrued["borrowIndex"] <= ONE + most + 1
    before = scene.lending.pools[USDC].borrow_index
    assert scene.run(-3600) == []
    assert scene.run(60) == []  # This minute was charged already.
    (accrued,) = scene.run(3600)
    minute = ONE * 40_000 * 60 * SECOND // (10**6 * YEAR_NS)
    assert 0 < accrued["borrowIndex"] - before <= minute * 11 // 10
    assert scene.run(-30 * 86_400) == []
    assert len(scene.run(60)) == 1
