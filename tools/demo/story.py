"""What happens in the demo, scene by scene; each scene checks that it came true.

    desk-north  sells a price prediction, then hedges it with the perpetual: its requirement falls
    both desks  profit and loss settles into USDC after 10 s; who won spends it
    desk-south  takes a side of a market that ends soon
    desk-south  buys more bitcoin than it has USDC: the balance goes below zero and borrows
    the core    is killed with SIGKILL and comes back; trading goes on
    a market    on the price of bitcoin ends, resolves by itself and pays
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from tools.demo.clients import ONE, Desk
from tools.demo.observer import Observer
from tools.supervisor.exchange import Exchange

PREDICTION, HEDGE, SOON = "BTC-ABOVE-105000", "BTC-PERP", "BTC-ABOVE-SOON"
CONTRACTS = 20_000
USDC = 1_000_000
ANSWER_SECONDS = 5.0
BACK_SECONDS = 60.0


@dataclass
class Fact:
    """Something the demo promises: what it is, whether it held (None: not yet), the figures."""

    name: str
    held: bool | None = None
    detail: str = ""


@dataclass
class Story:
    """The scenes with what they need; `facts` is what the screen and the summary show."""

    exchange: Exchange
    observer: Observer
    north: Desk
    south: Desk
    facts: list[Fact] = field(default_factory=list)
    news: list[str] = field(default_factory=list)

    def say(self, line: str) -> None:
        """A line for the screen."""
        self.news.append(f"{time.strftime('%H:%M:%S', time.gmtime())} {line}")

    def fact(self, name: str) -> Fact:
        """The fact of a name, made when it is first spoken of."""
        for known in self.facts:
            if known.name == name:
                return known
        self.facts.append(Fact(name))
        return self.facts[-1]

    async def play(self, seconds: float) -> None:
        """All scenes, spread over the time there is."""
        begin = time.monotonic()
        scenes: tuple[tuple[float, Callable[[], Awaitable[None]]], ...] = (
            (0.05, self.hedge),
            (0.15, self.bet),
            (0.30, self.spend_profit),
            (0.45, self.borrow),
            (0.55, self.kill_the_core),
            (0.80, self.resolution),
        )
        for share, scene in scenes:
            await asyncio.sleep(max(0.0, begin + share * seconds - time.monotonic()))
            await scene()

    async def margin(self, account: int) -> dict[str, int]:
        """An account's margin as the core has it now."""
        self.observer.margin.pop(account, None)
        for _ in range(int(ANSWER_SECONDS / 0.25)):
            self.observer.ask_margin(account)
            await asyncio.sleep(0.25)
            if account in self.observer.margin:
                return self.observer.margin[account]
        return {}

    # ---- scenes --------------------------------------------------------------------------------

    async def hedge(self) -> None:
        """Sell the prediction, then buy the perpetual on the same account."""
        fact = self.fact("a hedge with the perpetual lowers the requirement of a sold prediction")
        sold = await self.north.fill(PREDICTION, "2", str(CONTRACTS))
        bare = await self.margin(self.north.account)
        self.say(f"desk-north sold {CONTRACTS:,} {PREDICTION}, requires {usdc(bare)} USDC")
        bought = await self.north.fill(HEDGE, "1", "0.5")
        hedged = await self.margin(self.north.account)
        self.say(f"desk-north bought 0.5 {HEDGE}, requires {usdc(hedged)} USDC")
        if not bare or not hedged:
            fact.held, fact.detail = False, "the core did not answer"
            return
        before, after = bare["initialMargin"], hedged["initialMargin"]
        fact.held = sold in ("2", "4") and bought in ("2", "4") and after < before
        fact.detail = f"{usdc(bare)} USDC alone, {usdc(hedged)} with 0.5 {HEDGE}"

    async def bet(self) -> None:
        """Take a side of the market that ends soon, the one that the makers still quote."""
        likely = (self.observer.mark(SOON) or 0) > ONE // 2
        await self.south.fill(SOON, "2" if likely else "1", "5000")
        await asyncio.sleep(0.3)
        held = self.observer.position(self.south.account, self.observer.instrument(SOON))
        self.say(f"desk-south holds {held // ONE:,} {SOON}")

    async def spend_profit(self) -> None:
        """Wait for a settlement that paid a desk, and spend what it paid."""
        fact = self.fact("profit settles into USDC after 10 s and is spent")
        desks = {desk.account: desk for desk in (self.north, self.south)}
        if not self.observer.position(self.south.account, self.observer.instrument(HEDGE)):
            await self.south.fill(HEDGE, "2", "0.5")  # Whatever the price does, one of them wins.
        deadline = time.monotonic() + 2.5 * 10.0 + ANSWER_SECONDS
        seen = len(self.observer.settled)
        while time.monotonic() < deadline:
            won = [s for s in list(self.observer.settled)[seen:]
                   if s["amount"] > 0 and s["account"] in desks]
            if won:
                settled = max(won, key=lambda s: s["amount"])
                await self._spend(fact, desks[settled["account"]], settled["amount"])
                return
            await asyncio.sleep(0.2)
        fact.held, fact.detail = False, "no settlement paid a desk"

    async def _spend(self, fact: Fact, desk: Desk, amount: int) -> None:
        ask = self.observer.mark("ETH-PERP") or 4000 * ONE
        lots = max(1, amount * 100 * 1000 // ask)  # Thousandths of an ETH that the profit buys.
        status = await desk.fill("ETH-USDC", "1", f"{lots / 1000:.3f}")
        fact.held = status == "2"  # The desk trades on beside it, so no balance would tell.
        bought = f"bought {lots / 1000:.3f} ETH"
        fact.detail = f"{desk.name} was paid {amount / USDC:,.2f} USDC, {bought}"
        self.say(fact.detail)

    async def borrow(self) -> None:
        """Buy more spot bitcoin than there is USDC for."""
        fact = self.fact("a balance goes below zero and borrows")
        account = self.south.account
        before = self.observer.balance(account)
        for _ in range(3):
            await self.south.fill("BTC-USDC", "1", "1.5")
            await asyncio.sleep(0.3)
            if self.observer.balance(account) < 0:
                break
        after = self.observer.balance(account)
        fact.held = after < 0
        fact.detail = f"desk-south: {before / USDC:,.2f} → {after / USDC:,.2f} USDC"
        self.say(f"{fact.detail}, borrowed from the pool; no collateral was sold")

    async def kill_the_core(self) -> None:
        """SIGKILL to the core in the middle of trading."""
        fact = self.fact("the core is killed with SIGKILL and comes back, nothing lost")
        sequence, fills = self.observer.sequence, self.north.fills + self.south.fills
        begin = time.monotonic()
        pid = self.exchange.kill("core")
        self.say(f"core (pid {pid}) killed with SIGKILL at command {sequence:,}")
        while time.monotonic() - begin < BACK_SECONDS:
            await asyncio.sleep(0.05)
            traded = self.north.fills + self.south.fills > fills
            if self.observer.sequence > sequence + 10 and traded and self.exchange.pid("core"):
                break
        seconds = time.monotonic() - begin
        back = self.exchange.pid("core")
        fact.held = back not in (0, pid) and seconds < BACK_SECONDS
        fact.detail = f"trading again after {seconds:.1f} s as pid {back}"
        self.say(f"core is back: {fact.detail}")

    async def resolution(self) -> None:
        """Wait until the market on bitcoin's price has paid."""
        fact = self.fact("a price-linked market resolves by itself and pays")
        number = self.observer.instrument(SOON)
        expiry = self.observer.reference.instruments[number].expiry or 0
        deadline = time.monotonic() + max(0.0, expiry / 1e9 - time.time()) + 30.0
        while time.monotonic() < deadline:
            found = [r for r in self.observer.resolved if r["instrument"] == number]
            paid = [p for p in self.observer.payouts if p["instrument"] == number]
            if found and paid and not self._holders(number):
                total = sum(p["amount"] for p in paid if p["amount"] > 0)
                fact.held = sum(p["amount"] for p in paid) == 0
                fact.detail = (f"{SOON} pays {found[0]['payout'] / ONE:.2f}; "
                               f"{total / USDC:,.2f} USDC to {len(paid)} holders")
                self.say(fact.detail)
                return
            await asyncio.sleep(0.2)
        fact.held, fact.detail = False, f"{SOON} was not resolved in time"

    def _holders(self, number: int) -> int:
        return sum(
            1 for (_, instrument), held in self.observer.books.positions.items()
            if instrument == number and held.quantity
        )


def usdc(margin: dict[str, int]) -> str:
    """The initial requirement of a margin report as text."""
    return f"{margin['initialMargin'] / USDC:,.2f}" if margin else "?"
