"""A crash day: recorded one-minute bars, leveraged accounts, thin books, sources that go missing.

Each bar gives four prices a quarter of a minute apart (open, the nearer extreme, the other, close),
scaled so that the first is 100,000. A maker quotes a few thin levels, sometimes none; the index is
degraded or stale for stretches; settlement runs every minute. When all is quiet after a price, the
following must hold, whatever happened before:

    every invariant of core.engine.check          nobody whose prices can be trusted stands below
    no account below zero                         maintenance (by looking at everybody, not by the
    each liquidation has its certificate          watches that are tested)
    what insurance paid is what the steps say     positions handed over add up to zero

Where as many liquidations were under way as there is room for, who is next waits for the next price
(it was found, and left at the price it was found at): then the two of equity are not looked for.
"""

import csv
import gzip
import io
import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from core.config import Limits
from core.engine.liquidation.progress import has_room
from core.engine.liquidation.trust import may_liquidate, tolerance
from core.engine.margin.door import margin_levels
from core.jit import jit
from core.records import FIRST_CLIENT
from tests.core.engine.exchange import ALPHA, BTC, LIMITS, LONE, PERP, SPOT, _check
from tests.core.engine.liquidation.kit import ENABLED, INSURANCE, INSURANCE_CAP, MICRO, Court

SECOND = 10**9
MAKER, FIRST = 100, 110
PROVIDERS = (104, 105)
START_PRICE = 100_000.0
QUARTER = 15 * SECOND
STAGES = ("", "started", "orders cancelled", "book", "backstop", "insured", "deleveraged",
          "advanced", "absorbed", "written off", "recovered")


@dataclass
class Minute:
    """What a minute brought."""

    price: float
    state: int
    liquidations: int
    insurance: int
    closed: dict[int, float] = field(default_factory=dict)  # stage → USDC of notional


@jit
def _judge(state: Any) -> tuple[int, int, int]:
    """(account below zero, account below maintenance that nobody deals with, least equity)."""
    s = state[0]
    negative, missed, least = 0, 0, 1 << 60
    for account in range(FIRST_CLIENT, s.accounts_used + 1):
        holder = s.accounts[account]
        if holder.state == 0 or holder.liquidation != 0:
            continue
        if holder.watch_next != 0 and not has_room(s):  # The queue waits for a record.
            continue
        margin_levels(s, account)
        equity, maintenance = s.work.scratch[0], s.work.scratch[2]
        least = min(least, equity)
        if may_liquidate(s, account, equity, maintenance):
            if equity < 0:
                negative = account
            if equity < maintenance - tolerance(s, account):
                missed = account
    return negative, missed, least


def bars(path: Path) -> list[tuple[float, float, float, float]]:
    """(open, high, low, close) of every bar of a file; with or without a header, gzip or not."""
    data = path.read_bytes()
    text = (gzip.decompress(data) if path.suffix == ".gz" else data).decode()
    rows = [row for row in csv.reader(io.StringIO(text)) if row[1].replace(".", "").isdigit()]
    return [(float(row[1]), float(row[2]), float(row[3]), float(row[4])) for row in rows]


def worst_stretch(
    all_bars: list[tuple[float, float, float, float]], minutes: int
) -> list[tuple[float, float, float, float]]:
    """The stretch of so many minutes with the deepest fall from its open to its low."""
    if len(all_bars) <= minutes:
        return all_bars
    starts = range(0, len(all_bars) - minutes, max(1, minutes // 8))
    best = min(starts, key=lambda i: min(b[2] for b in all_bars[i:i + minutes]) / all_bars[i][0])
    return all_bars[best:best + minutes]


def prices(stretch: list[tuple[float, float, float, float]]) -> Iterator[float]:
    """Four prices a bar, the first at 100,000."""
    scale = START_PRICE / stretch[0][0]
    for first, high, low, last in stretch:
        extremes = (high, low) if last < first else (low, high)
        for price in (first, *extremes, last):
            yield round(price * scale, 1)


class CrashDay:
    """A house of so many accounts, and what the day does to it."""

    def __init__(self, accounts: int, seed: int = 1, limits: Any = None) -> None:
        self.draw = random.Random(seed)
        self.accounts = range(FIRST, FIRST + accounts)
        self.house = Court(limits or LIMITS, checked=False)
        self.minutes: list[Minute] = []
        self.transferred: Counter[int] = Counter()
        self.insured = 0
        self.cycle = 0
        self.steps = self.transfers = 0
        self.price, self.state = START_PRICE, 0
        self._found()
        for account in self.accounts:
            self._enter(account)

    def _found(self) -> None:
        house = self.house
        house.populate()
        for account in PROVIDERS:
            house.account(account, account)
            house.deposit(account, 60_000)
        house.deposit(MAKER, 10_000_000_000)
        house.deposit(MAKER, 100_000, BTC)
        house.deposit(INSURANCE, 400_000)
        assert house.parameter(INSURANCE_CAP, 250_000 * MICRO, PERP) == 0
        assert house.parameter(ENABLED, 1) == 0
        for account in PROVIDERS:
            assert house.send("SetBackstop", account=account, instrument=PERP,
                              commitment=50_000 * MICRO) == 0

    def _enter(self, account: int) -> None:
        """One random account: perpetuals long or short, bitcoin as collateral or owed, outcomes."""
        house, draw = self.house, self.draw
        house.account(account, account % (LIMITS.owners_max - 2) + 2)
        money = draw.choice((500, 2_000, 10_000, 50_000))
        kind = draw.random()
        if kind < 0.2:
            house.deposit(account, money / START_PRICE, BTC)
        else:
            house.deposit(account, money)
        leverage = draw.uniform(1.5, 9.3) * (0.8 if kind < 0.2 else 1)
        if 0.2 <= kind < 0.3:
            house.deposit(account, round(money / START_PRICE, 4), BTC)
            self._trade(account, SPOT, "buy", round(money * 0.8 / START_PRICE, 4))
            leverage *= 0.5
        if kind > 0.85:
            self._trade(account, draw.choice((ALPHA, LONE)), "sell", money // 4, 0.4)
            leverage *= 0.6
        side = "buy" if draw.random() < 0.7 else "sell"
        self._trade(account, PERP, side, round(leverage * money / START_PRICE, 4))
        if draw.random() < 0.3:
            house.order(account, PERP, "buy", 0.001, round(START_PRICE * 0.97, 1))

    def _trade(
        self, account: int, instrument: int, side: str, quantity: float, price: float = START_PRICE
    ) -> None:
        """Against the maker; what margin does not allow is not done."""
        if quantity <= 0:
            return
        other = "sell" if side == "buy" else "buy"
        offer = self.house.order(MAKER, instrument, other, quantity, price)
        self.house.order(account, instrument, side, quantity, price, timeInForce=3)
        self.house.cancel(offer)

    # ---- the day -------------------------------------------------------------------------------

    def run(self, stretch: list[tuple[float, float, float, float]]) -> None:
        """All of it."""
        self._quote()
        for place, price in enumerate(prices(stretch)):
            self._move(price)
            if place % 4 == 3:
                self._end_of_minute()

    def _move(self, price: float) -> None:
        """A price comes, with sources that come and go; then a quarter of a minute passes."""
        house, draw = self.house, self.draw
        self.price = price
        if self.state == 0 and draw.random() < 0.02:
            self.state = 1 if draw.random() < 0.8 else 2
        elif self.state != 0 and draw.random() < 0.12:
            self.state = 0
        end = house.time + QUARTER
        if self.state != 2:
            house.index(BTC, price, self.state)
            house.mark(PERP, price)
        else:
            house.index(BTC, float(house.s["assets"][BTC]["index_price"]) / 10**8, 2)
        self._collect()
        if draw.random() < 0.9:
            self._quote()
        while house.time < end:
            idle = house.s["watching"] == 0 and house.s["jobs"] == 0
            busy = house.s["liquidations"] > 0
            house.time += SECOND // 10 if busy or not idle else SECOND
            house.tick()
            self._collect()
            if busy and draw.random() < 0.05:
                self._quote()
        self.judge()

    def _quote(self) -> None:
        """The maker's thin levels, anew around the price; now and then a side is missing."""
        house, draw = self.house, self.draw
        house.request("OrderMassCancelRequest", account=MAKER, clOrdId=0, scope=1, side=0,
                      instrument=None, underlying=None, kind=None, echo=b"")
        for side, sign in (("buy", -1), ("sell", 1)):
            if draw.random() < 0.15:
                continue
            for level in range(1, 5):
                price = round(self.price * (1 + sign * 0.0008 * level), 1)
                house.order(MAKER, PERP, side, round(draw.uniform(0.01, 0.2), 4), price)
                house.order(MAKER, SPOT, side, round(draw.uniform(0.01, 0.1), 4), price)

    def _collect(self) -> None:
        """Keep count of what has been said since the last time."""
        transfers, steps = self.house.transfers[self.transfers:], self.house.steps[self.steps:]
        self.transfers += len(transfers)
        self.steps += len(steps)
        for event in transfers:
            self.transferred[event["instrument"]] += event["quantity"]
        for step in steps:
            self.insured += step["insurance"]
            if self.minutes:
                closed = self.minutes[-1].closed
                worth = abs(step["quantity"]) / 10**8 * (step["mark"] or step["index"]) / 10**8
                closed[step["stage"]] = closed.get(step["stage"], 0.0) + worth

    def _end_of_minute(self) -> None:
        house = self.house
        self.cycle += 1
        house.send("SettlementStart", 0, 4, cycle=self.cycle)
        self._collect()
        broken = _check(house.state)
        assert broken == 0, f"invariant {broken} is broken in minute {len(self.minutes)}"
        self.minutes.append(Minute(self.price, self.state, int(house.s["liquidations"]),
                                   house.balance(INSURANCE)))

    def judge(self) -> None:
        """What must hold when all is quiet."""
        self._collect()
        s = self.house.s
        if s["watching"] == 0:
            negative, missed, _ = _judge(self.house.state)
            assert not negative, f"account {negative} is below zero at {self.price}"
            assert not missed, (
                f"account {missed} below maintenance was not found at {self.price}")
        certified = [c["certificate"] for c in self.house.certificates]
        assert certified == list(range(1, int(s["certificates"]) + 1))
        assert all(1 <= step["certificate"] <= len(certified) for step in self.house.steps)
        assert not any(self.transferred.values())
        advanced = int(s["insurance_advanced"]) - int(s["insurance_refunded"])
        assert self.insured == advanced, "the steps don't say what insurance paid"

    def summary(self) -> dict[str, Any]:
        """Counts, volumes and money of the day."""
        house = self.house
        volume: Counter[str] = Counter()
        for minute in self.minutes:
            for stage, worth in minute.closed.items():
                volume[STAGES[stage]] += round(worth)
        stages = Counter(STAGES[step["stage"]] for step in house.steps)
        s = house.s
        return {
            "accounts": len(self.accounts),
            "lowest price": min(minute.price for minute in self.minutes),
            "liquidations": len(house.certificates),
            "accounts liquidated": len({c["account"] for c in house.certificates}),
            "steps": dict(stages),
            "closed (USDC)": {k: v for k, v in volume.items() if v},
            "insurance lost": int(s["markets"]["insurance_lost"].sum()) / MICRO,
            "uncovered": int(s["insurance_uncovered"]) / MICRO,
            "insurance left": house.balance(INSURANCE) / MICRO,
            "pledges left": house.balance(7) / MICRO,
            "degraded minutes": sum(minute.state != 0 for minute in self.minutes),
        }


def roomy(accounts: int) -> Any:
    """Limits for so many accounts: those that exchanges run with if they reach so far."""
    if FIRST + accounts + 8 <= Limits().accounts_max:
        return Limits()
    return SimpleNamespace(**{
        **vars(LIMITS), "accounts_max": FIRST + accounts + 8, "positions_max": 8 * accounts + 64,
        "orders_max": 4 * accounts + 512, "levels_max": 4096,
    })
