"""Random streams of every kind of command; every invariant of core.engine.check after each."""

import random

import pytest

from tests.core.engine.exchange import (
    ABOVE,
    ALPHA,
    ANN,
    BETA,
    BOB,
    BTC,
    CAT,
    CUP,
    DAN,
    ETH,
    GAMMA,
    LONE,
    PERP,
    SPOT,
    USDC,
    Exchange,
    whole,
)

ACCOUNTS = (ANN, BOB, CAT, DAN)
PREDICTIONS = (ALPHA, BETA, GAMMA, ABOVE, LONE)


class Chance:
    """Draws commands at random and keeps what it needs to draw the next."""

    def __init__(self, seed: int) -> None:
        self.draw = random.Random(seed)
        self.house = Exchange().populate()
        self.price = 100_000.0
        self.cycle = 0
        self.index = {USDC: [10**12, 10**12], BTC: [10**12, 10**12]}
        for account in ACCOUNTS:
            self.house.deposit(account, self.draw.choice((500, 5_000, 50_000)))
            self.house.deposit(account, self.draw.choice((0.1, 1)), BTC)

    def order(self) -> None:
        """A limit order somewhere near the market; now and then a market or post-only one."""
        draw = self.draw
        instrument = draw.choice((SPOT, PERP, PERP, *PREDICTIONS))
        if instrument in PREDICTIONS:
            quantity, price = draw.randint(1, 2_000), draw.randint(1, 99) / 100
        else:
            quantity = draw.randint(1, 3_000) / 10_000
            price = round(self.price * (1 + draw.gauss(0, 0.003)), 1)
        more = {"timeInForce": draw.choice((1, 1, 1, 3)), "outcomeSide": 0}
        if instrument in PREDICTIONS:
            more["outcomeSide"] = draw.randint(0, 1)
        market = draw.random() < 0.1
        self.house.order(draw.choice(ACCOUNTS), instrument, draw.choice(("buy", "sell")), quantity,
                         None if market else price, **more)

    def cancel(self) -> None:
        """Any open order."""
        orders = self.house.s["orders"]
        open_now = [o for o in orders if o["state"] in (1, 2)]
        if open_now:
            order = self.draw.choice(open_now)
            self.house.cancel({"account": int(order["account"]), "orderId": int(order["order_id"]),
                               "instrument": int(order["instrument"])})

    def prices(self) -> None:
        """The market moves."""
        self.price *= 1 + self.draw.gauss(0, 0.01)
        self.house.index(BTC, round(self.price, 2))
        self.house.mark(PERP, round(self.price * (1 + self.draw.gauss(0, 0.001)), 3))

    def settle(self) -> None:
        """Settlement or funding starts, if none runs."""
        if self.draw.random() < 0.5:
            self.cycle += 1
            self.house.send("SettlementStart", 0, 4, cycle=self.cycle)
        else:
            self.house.send("FundingStart", 0, 4, instrument=PERP,
                            rate=self.draw.randint(-10**6, 10**6))

    def interest(self) -> None:
        """The indices of an asset rise."""
        asset = self.draw.choice((USDC, BTC))
        borrow, lend = self.index[asset]
        borrow += self.draw.randint(0, 10**8)
        lend += self.draw.randint(0, 10**7)
        self.index[asset] = [borrow, lend]
        self.house.send("AccrueInterest", 0, 5, asset=asset, borrowIndex=borrow,
                        lendIndex=lend)

    def money(self) -> None:
        """Deposits, transfers, withdrawals."""
        draw = self.draw
        account, asset = draw.choice(ACCOUNTS), draw.choice((USDC, BTC, ETH))
        amount = draw.randint(1, 10**8)
        what = draw.randint(0, 3)
        if what == 0:
            self.house.send("Deposit", 0, 4, account=account, asset=asset, amount=amount)
        elif what == 1:
            self.house.send("Transfer", fromAccount=account, toAccount=draw.choice(ACCOUNTS),
                            asset=asset, amount=amount)
        elif what == 2:
            self.house.request("WithdrawalRequest", account=account, asset=asset, amount=amount,
                               requestId=1, echo=b"")
        else:
            self.house.send("WithdrawalStep", 0, 4, state=draw.randint(2, 4),
                            withdrawalId=draw.randint(1, 1 + int(self.house.s["withdrawal_ids"])))

    def look(self) -> None:
        """An account asks how it stands; a ledger asks for everything; time passes."""
        what = self.draw.randint(0, 2)
        if what == 0:
            self.house.margin(self.draw.choice(ACCOUNTS))
        elif what == 1:
            self.house.send("ReportBalances", 0, 4, cycle=1)
        else:
            self.house.tick()

    def step(self) -> None:
        """One command."""
        chosen = self.draw.choices(
            (self.order, self.cancel, self.prices, self.settle, self.interest, self.money,
             self.look),
            (60, 12, 5, 4, 3, 8, 4),
        )[0]
        chosen()

    def end(self) -> None:
        """Everything is resolved, settled and closed; nothing is left open."""
        draw = self.draw
        payouts = draw.choice(((1, 0, 0), (0, 0, 0), (0.25, 0.5, 0.25)))
        assert self.house.send("ResolveEvent", 0, 6, event=CUP, evidenceHash=bytes(32),
                               payouts=[{"payout": whole(p)} for p in payouts]) == 0
        for instrument in (ABOVE, LONE):
            assert self.house.send("ResolveInstrument", 0, 6, instrument=instrument,
                                   payout=whole(draw.choice((0, 1, 0.5))), settlementPrice=0,
                                   evidenceHash=bytes(32)) == 0
        self.house.finish_jobs()
        assert self.house.send("SettlementStart", 0, 4, cycle=self.cycle + 1) == 0
        self.house.finish_jobs()


@pytest.mark.parametrize("seed", range(6))
def test_nothing_is_lost_whatever_happens(seed: int) -> None:
    chance = Chance(seed)
    traded = 0
    for _ in range(400):
        chance.step()
        traded += sum(e["execType"] == ord("F") for e in chance.house.named("ExecutionReport"))
    chance.end()
    assert traded > 50
    assert chance.house.balance(3) == 0  # CLEARING
    for account in ACCOUNTS:
        for instrument in PREDICTIONS:
            assert chance.house.position(account, instrument) is None
