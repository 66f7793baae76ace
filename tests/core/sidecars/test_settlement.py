"""Cycles, funding, custody, and a ledger that is held to the core to the unit."""

from collections.abc import Callable
from typing import Any

import pytest

from core.agent import run_until_quiet
from core.clock import ClockReading, read_clock
from core.producers import Producer
from core.sidecars.books import (
    CLEARING,
    DEPOSIT,
    FEES,
    OUTSIDE,
    SNAPSHOT,
    TRANSFER_IN,
    TRANSFER_OUT,
    TRANSIT,
    WITHDRAWAL,
    WITHDRAWALS,
)
from core.sidecars.custody import CONFIRMED, FAILED, SENT, EmbeddedCustody, Sending
from core.sidecars.settlement.agent import SECOND, Settlement
from core.sidecars.settlement.funding import Premiums
from core.sidecars.settlement.ledger import last_cycle
from tests.core.sidecars.stage import BTC, ONE, USDC, Stage

HELD = 1
M = 10**6  # units of a USDC


class Scene:
    """A settlement sidecar on a stage, with a custody of its own."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.custody = EmbeddedCustody(
            stage.directory / "custody.sqlite", clock=stage.clock, confirm_ns=SECOND
        )
        self.read_clock: Callable[[], ClockReading] | None = None
        self.settlement = self.start()

    def start(self) -> Settlement:
        return Settlement(
            self.stage.store("settlement", Settlement.migrations), self.stage.follower(),
            self.stage.link(Producer.SETTLEMENT), clock=self.stage.clock, custody=self.custody,
            read_clock=self.read_clock,
        )

    def restart(self) -> None:
        self.settlement.store.close()
        self.settlement = self.start()
        self.run()

    def run(self, seconds: float = 0) -> list[str]:
        """Let time pass and everybody do what they want; the names of the commands."""
        self.stage.now += int(seconds * SECOND)
        names = []
        for _ in range(4):
            run_until_quiet([self.settlement])
            names += [name for _, name, _ in self.stage.take(self.settlement.link)]
        return names

    def balances(self) -> dict[tuple[int, int], int]:
        books = self.settlement.ledger.books.balances
        return {key: amount for key, amount in books.items() if amount}

    def deposit(self, account: int, asset: int, amount: int) -> None:
        """An operator's deposit, as the core does it."""
        balance = self.settlement.ledger.balance(account, asset) + amount
        self.stage.next()
        self.stage.balance(account, asset, DEPOSIT, amount, balance)
        self.stage.answer(Producer.ADMIN, "Deposit", self.stage.sequence, 0)
        self.run()


@pytest.fixture
def scene(stage: Stage) -> Scene:
    stage.venue()
    scene = Scene(stage)
    scene.run()
    return scene


def test_spot_trade_and_fees(scene: Scene) -> None:
    scene.deposit(100, USDC, 100_000 * M)
    scene.deposit(101, BTC, 2 * ONE)
    scene.stage.trade(1, buyer=100, seller=101, price=50_000 * ONE, quantity=ONE // 2,
                      fees=(10 * M, -3 * M))
    scene.run()
    assert scene.balances() == {
        (100, USDC): 75_000 * M - 10 * M, (100, BTC): ONE // 2,
        (101, USDC): 25_000 * M + 3 * M, (101, BTC): 2 * ONE - ONE // 2,
        (FEES, USDC): 7 * M,
        (OUTSIDE, USDC): -100_000 * M, (OUTSIDE, BTC): -2 * ONE,
    }
    assert scene.settlement.alarms == 0


def test_prediction_trades_in_yes_and_no_terms_are_one_book(scene: Scene) -> None:
    scene.stage.trade(3, buyer=100, seller=101, price=60 * 10**6, quantity=10 * ONE)
    scene.run()
    assert scene.balances() == {(100, USDC): -6 * M, (101, USDC): 6 * M}
    # 102 buys NO at 0.30: that is selling YES at 0.70, and 0.70 comes in.
    scene.stage.trade(3, buyer=100, seller=102, price=70 * 10**6, quantity=10 * ONE,
                      no=(False, True), trade=2)
    scene.run()
    positions = scene.settlement.ledger.books.positions
    assert scene.balances() == {(100, USDC): -13 * M, (101, USDC): 6 * M, (102, USDC): 7 * M}
    assert [positions[account, 3].quantity for account in (100, 101, 102)] == [
        20 * ONE, -10 * ONE, -10 * ONE
    ]


def test_a_perpetual_trade_moves_only_fees_and_settles_to_the_unit(scene: Scene) -> None:
    stage, books = scene.stage, scene.settlement.ledger.books
    stage.trade(2, buyer=100, seller=101, price=50_000 * ONE, quantity=ONE, fees=(20 * M, 5 * M))
    scene.run()
    assert scene.balances() == {(100, USDC): -20 * M, (101, USDC): -5 * M, (FEES, USDC): 25 * M}
    assert books.positions[100, 2].cost == 50_000 * M
    stage.next()
    stage.emit("SettlementStarted", cycle=9)
    for account, amount in ((100, 1000 * M), (101, -1000 * M)):
        stage.emit("PositionSettled", account=account, instrument=2, amount=amount, cycle=9,
                   position=ONE, mark=51_000 * ONE, previousMark=50_000 * ONE,
                   balance=amount - (20 * M if account == 100 else 5 * M))
    stage.emit("SettlementCompleted", cycle=9, positions=2, debits=1000 * M, credits=1000 * M)
    assert "ReportBalances" in scene.run()
    assert scene.settlement.cycle == 9
    assert scene.settlement.ledger.clearing(USDC) == 0
    assert books.positions[100, 2].cost == 51_000 * M
    assert scene.settlement.alarms == 0


def test_a_settlement_every_period_and_only_after_the_last_one_ended(scene: Scene) -> None:
    stage = scene.stage
    stage.on_command = lambda name, f: name == "SettlementStart" and stage.emit(
        "SettlementStarted", cycle=f["cycle"]
    )
    assert scene.run(9) == []
    assert scene.run(1) == ["SettlementStart"]
    assert scene.run(30) == []  # The core is still at it.
    stage.next()
    stage.emit("SettlementCompleted", cycle=1, positions=0, debits=0, credits=0)
    assert sorted(scene.run()) == ["ReportBalances", "SettlementStart"]


def test_cycle_numbers_go_on_from_the_events(scene: Scene) -> None:
    stage = scene.stage

    def settle(name: str, fields: dict[str, Any]) -> None:
        if name == "SettlementStart":
            stage.emit("SettlementStarted", cycle=fields["cycle"])
            stage.emit("SettlementCompleted", cycle=fields["cycle"], positions=0, debits=0,
                       credits=0)

    stage.on_command = settle
    for _ in range(3):
        assert scene.run(10) == ["SettlementStart", "ReportBalances"]
    scene.settlement.store.close()
    scene.settlement.store.path.unlink()
    scene.settlement = scene.start()
    scene.run()
    assert scene.settlement.cycle == 3
    scene.run(10)
    cycles = [f["cycle"] for _, name, f in stage.commands if name == "SettlementStart"]
    assert cycles == [1, 2, 3, 4]


def test_a_clock_set_back_or_far_ahead_settles_once(scene: Scene) -> None:
    stage = scene.stage
    stage.on_command = lambda name, f: name == "SettlementStart" and (
        stage.emit("SettlementStarted", cycle=f["cycle"]),
        stage.emit("SettlementCompleted", cycle=f["cycle"], positions=0, debits=0, credits=0),
    )
    assert scene.run(10).count("SettlementStart") == 1
    assert scene.run(86_400).count("SettlementStart") == 1
    assert scene.run(-7200).count("SettlementStart") == 1
    assert scene.run(5).count("SettlementStart") == 0


def test_the_ledger_is_held_to_every_balance_the_core_states(scene: Scene) -> None:
    stage = scene.stage
    scene.deposit(100, USDC, 50 * M)
    scene.settlement.ledger.begin_cycle()
    stage.next()
    stage.balance(100, USDC, SNAPSHOT, 0, 50 * M)
    stage.balance(101, USDC, SNAPSHOT, 0, 0)
    stage.emit("BalancesReported", cycle=4, accounts=2)
    scene.run()
    assert scene.settlement.differences == 0
    cycle = last_cycle(scene.settlement.store.connection)
    assert cycle is not None
    assert (cycle[0], cycle[3], cycle[4]) == (4, 2, 0)
    # A unit too few in the core: seen, once, and still counted after a restart.
    stage.next()
    stage.balance(100, USDC, SNAPSHOT, 0, 50 * M - 1)
    stage.emit("BalancesReported", cycle=5, accounts=2)
    scene.run()
    assert scene.settlement.differences == 1
    assert scene.settlement.alarms == 2
    rows = scene.settlement.store.connection.execute(
        "SELECT account, asset, ledger, core FROM difference"
    ).fetchall()
    assert rows == [(100, USDC, 50 * M, 50 * M - 1)]
    scene.restart()
    stage.next()
    stage.balance(100, USDC, SNAPSHOT, 0, 50 * M - 1)
    stage.emit("BalancesReported", cycle=6, accounts=2)
    scene.run()
    assert scene.settlement.differences == 1


def test_books_survive_a_restart_and_a_deleted_store(scene: Scene) -> None:
    scene.deposit(100, USDC, 100_000 * M)
    scene.stage.trade(2, buyer=100, seller=101, price=50_000 * ONE, quantity=ONE, fees=(M, M))
    scene.run()
    balances = scene.balances()
    scene.restart()
    assert scene.balances() == balances
    assert scene.settlement.ledger.books.positions[100, 2].cost == 50_000 * M
    scene.settlement.store.close()
    scene.settlement.store.path.unlink()
    scene.settlement = scene.start()
    scene.run()
    assert scene.balances() == balances
    assert scene.settlement.ledger.books.positions[100, 2].quantity == ONE


def test_transfers_pass_through_and_leave_nothing_in_transit(scene: Scene) -> None:
    scene.deposit(100, USDC, 10 * M)
    scene.stage.next()
    scene.stage.balance(100, USDC, TRANSFER_OUT, -4 * M, 6 * M, counter=101)
    scene.stage.balance(101, USDC, TRANSFER_IN, 4 * M, 4 * M, counter=100)
    scene.run()
    assert scene.balances()[100, USDC] == 6 * M
    assert scene.settlement.ledger.balance(TRANSIT, USDC) == 0
    assert scene.settlement.ledger.balance(CLEARING, USDC) == 0


# ---- custody -------------------------------------------------------------------------------------


def _credit(scene: Scene) -> None:
    """The core credits deposits as it takes them."""

    def apply(name: str, fields: dict[str, Any]) -> None:
        if name == "Deposit":
            account, asset, amount = fields["account"], fields["asset"], fields["amount"]
            held = scene.stage.held = getattr(scene.stage, "held", {})  # type: ignore[attr-defined]
            held[account, asset] = held.get((account, asset), 0) + amount
            scene.stage.balance(account, asset, DEPOSIT, amount, held[account, asset],
                                request=fields["key"])

    scene.stage.on_command = apply


def test_each_receipt_is_credited_once_whatever_happens_to_the_store(scene: Scene) -> None:
    _credit(scene)
    assert scene.custody.receive("tx-1", 100, USDC, 5 * M)
    assert not scene.custody.receive("tx-1", 100, USDC, 5 * M)
    assert scene.custody.receive("tx-2", 101, USDC, 7 * M)
    scene.run(1)
    scene.run(1)
    assert scene.balances()[100, USDC] == 5 * M
    scene.settlement.store.close()
    scene.settlement.store.path.unlink()
    scene.settlement = scene.start()
    scene.run()
    scene.custody.receive("tx-3", 100, USDC, M)
    for _ in range(4):
        scene.run(1)
    deposits = [(f["account"], f["amount"]) for _, n, f in scene.stage.commands if n == "Deposit"]
    assert deposits == [(100, 5 * M), (101, 7 * M), (100, M)]
    assert scene.balances()[100, USDC] == 6 * M
    assert scene.settlement.alarms == 0
    assert scene.custody.holdings() == {USDC: 13 * M}


def test_what_an_operator_credits_must_be_held(scene: Scene) -> None:
    scene.deposit(100, USDC, 9 * M)
    scene.restart()
    assert scene.custody.holdings() == {USDC: 9 * M}


def _withdraw(scene: Scene, number: int, amount: int) -> None:
    """A client asks the core for a withdrawal: it is held."""
    stage = scene.stage
    left = scene.settlement.ledger.balance(100, USDC) - amount
    stage.next()
    stage.balance(100, USDC, WITHDRAWAL, -amount, left, counter=WITHDRAWALS)
    _state(scene, number, HELD, amount)


def _state(scene: Scene, number: int, state: int, amount: int) -> None:
    scene.stage.emit("WithdrawalChanged", withdrawalId=number, account=100, asset=USDC,
                     state=state, amount=amount)


def _steps(scene: Scene) -> list[tuple[int, int]]:
    return [(f["withdrawalId"], f["state"]) for _, n, f in scene.stage.commands
            if n == "WithdrawalStep"]


def test_a_withdrawal_is_sent_and_confirmed(scene: Scene) -> None:
    scene.deposit(100, USDC, 20 * M)
    _withdraw(scene, 1, 8 * M)
    scene.run(0.2)
    assert _steps(scene) == [(1, SENT)]
    scene.stage.next()
    _state(scene, 1, SENT, 8 * M)
    scene.run(0.5)
    assert scene.custody.holdings() == {USDC: 20 * M}
    scene.run(1)
    assert _steps(scene) == [(1, SENT), (1, CONFIRMED)]
    assert (scene.custody.holdings(), scene.custody.departed()) == ({USDC: 12 * M}, {USDC: 8 * M})
    _state(scene, 1, CONFIRMED, 8 * M)
    scene.run(1)
    assert scene.custody.departed() == {}
    scene.run(5)
    assert len(_steps(scene)) == 2


def test_a_withdrawal_that_fails_comes_back(scene: Scene) -> None:
    scene.deposit(100, USDC, 20 * M)
    _withdraw(scene, 1, 8 * M)
    scene.run(0.2)
    _state(scene, 1, SENT, 8 * M)
    scene.custody.fail(1)
    scene.run(0.2)
    assert _steps(scene) == [(1, SENT), (1, FAILED)]
    assert scene.custody.holdings() == {USDC: 20 * M}


def test_killed_between_sending_and_saying_so_it_pays_once(scene: Scene) -> None:
    scene.deposit(100, USDC, 20 * M)
    scene.run(0.2)
    _withdraw(scene, 1, 8 * M)
    scene.custody.send(1, 100, USDC, 8 * M)  # It got that far before it died.
    scene.restart()
    assert _steps(scene) == [(1, SENT)]
    scene.stage.now += 2 * SECOND
    assert scene.custody.sending(1) == Sending(CONFIRMED, USDC, 8 * M)
    assert scene.custody.holdings() == {USDC: 12 * M}


def test_a_custody_that_lies_about_an_amount_is_caught(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.deposit(100, USDC, 20 * M)
    monkeypatch.setattr(scene.custody, "send", lambda *_: None)
    monkeypatch.setattr(
        scene.custody, "sending", lambda _number: Sending(CONFIRMED, USDC, 8 * M + 1)
    )
    _withdraw(scene, 1, 8 * M)
    scene.run(1)
    assert _steps(scene) == []
    assert scene.settlement.alarms == 1


# ---- funding -------------------------------------------------------------------------------------


def test_funding_is_an_eighth_of_the_mean_premium_within_its_bound(scene: Scene) -> None:
    stage = scene.stage
    for premium in (800_000, 1_600_000):  # 0.08 % and 0.16 %
        stage.next()
        stage.emit("MarkPriceChanged", instrument=2, rule=1, price=ONE, index=ONE, premium=premium)
    scene.run()
    scene.restart()
    scene.run(3600)
    rates = [f["rate"] for _, n, f in stage.commands if n == "FundingStart"]
    assert rates == [150_000]
    estimates = [f for _, n, f in stage.commands if n == "FundingEstimate"]
    assert [(f["instrument"], f["rate"]) for f in estimates] == [(2, 150_000)]
    assert estimates[0]["fundingTime"] == int(scene.settlement.store.note("funded_at") or 0)
    premiums = Premiums(scene.settlement.store.connection, 1000, 3600 * SECOND)
    rates = [premiums.rate(2, total, 1) for total in (7, -8, 80_000, -80_000)]
    assert rates == [0, -1, 1000, -1000]


def test_a_markets_cap_on_the_rate_is_kept_over_restarts(scene: Scene) -> None:
    stage = scene.stage
    stage.next()
    for state, value in ((2, 1), (1, 90_000)):  # what is only proposed doesn't hold
        stage.emit("RiskParameterChanged", parameter=33, state=state, role=1, proposal=0, scope=2,
                   before=0, value=value, time=0, signer=0)
    stage.emit("MarkPriceChanged", instrument=2, rule=1, price=ONE, index=ONE, premium=-10**7)
    scene.run()
    scene.restart()
    scene.run(3600)
    assert [f["rate"] for _, n, f in stage.commands if n == "FundingStart"] == [-90_000]


def test_once_an_hour_the_journal_is_told_how_good_the_clock_is(scene: Scene) -> None:
    told = [ClockReading(-1500, 10**6, 10**5, True), ClockReading(0, 16 * 10**9, 16 * 10**9, False)]
    scene.read_clock = lambda: told[len(reports())]

    def reports() -> list[dict[str, Any]]:
        return [f for _, name, f in scene.stage.commands if name == "ReportClock"]

    scene.restart()
    scene.run(3599)
    assert [f["synchronised"] for f in reports()] == [1]
    scene.run(1)
    assert [f["synchronised"] for f in reports()] == [1, 0]
    assert (reports()[0]["offset"], reports()[0]["errorMax"]) == (-1500, 10**6)
    assert scene.settlement.alarms == 0


def test_this_machines_clock_can_be_asked() -> None:
    reading = read_clock()
    assert abs(reading.offset) < SECOND
    assert reading.error_estimated >= 0
    assert 0 <= reading.error_max <= 60 * SECOND
    again = read_clock()
    assert again.error_max >= reading.error_max or again.synchronised
