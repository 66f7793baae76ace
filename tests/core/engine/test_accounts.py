"""Money that moves by command, interest that is posted by touch, and who may ask for it."""

import pytest

from sbe.generated import order_entry as oe
from tests.core.engine.exchange import (
    ANN,
    BOB,
    BTC,
    CAT,
    DAN,
    FEES,
    INSURANCE,
    POOL,
    SPOT,
    USDC,
    WITHDRAWALS,
    Exchange,
)

MICRO = 10**6
ONE = 10**12


@pytest.fixture
def house() -> Exchange:
    house = Exchange().populate()
    house.account(120, ANN)
    assert house.send("RegisterSession", session=1, owner=ANN, account=ANN, kind=1, name="a") == 0
    return house


def withdraw(house: Exchange, amount: int, **more: int) -> dict[str, int]:
    fields = {"account": ANN, "asset": USDC, "amount": amount, "requestId": 5, "echo": b"hello"}
    house.request("WithdrawalRequest", 1, **(fields | more))
    return house.named("WithdrawalReport")[0]


def step(house: Exchange, number: int, state: int) -> int:
    return house.send("WithdrawalStep", 0, 4, withdrawalId=number, state=state)


# ---- deposits and transfers ---------------------------------------------------------------------


def test_a_deposit_says_what_it_did(house: Exchange) -> None:
    house.deposit(ANN, 12.5)
    update = house.named("BalanceUpdate")[0]
    assert (update["change"], update["balance"], update["reason"], update["counterAccount"]) == (
        12_500_000, 12_500_000, oe.BALANCE_REASON_DEPOSIT, 0)
    assert house.s["assets"][USDC]["deposited"] == 12_500_000


@pytest.mark.parametrize(
    ("account", "asset", "amount", "reason"),
    [
        (99, USDC, 1, oe.REASON_UNKNOWN_ACCOUNT),
        (150, USDC, 1, oe.REASON_UNKNOWN_ACCOUNT),
        (ANN, 3, 1, oe.REASON_UNKNOWN_ASSET),
        (ANN, USDC, 0, oe.REASON_QUANTITY_NOT_POSITIVE),
        (ANN, USDC, -1, oe.REASON_QUANTITY_NOT_POSITIVE),
        (ANN, USDC, (1 << 56) + 1, oe.REASON_CAPACITY_REACHED),
    ],
)
def test_a_deposit_that_makes_no_sense_is_refused(
    house: Exchange, account: int, asset: int, amount: int, reason: int
) -> None:
    assert house.send("Deposit", 0, 4, account=account, asset=asset, amount=amount) == reason


def test_a_key_counts_once(house: Exchange) -> None:
    fields = {"account": ANN, "asset": USDC, "amount": 7, "key": 1000}
    assert house.send("Deposit", 0, 4, **fields) == 0
    assert house.send("Deposit", 0, 4, **fields) == oe.REASON_DUPLICATE_KEY
    assert house.balance(ANN) == 7


def test_an_owner_moves_money_between_its_accounts_only(house: Exchange) -> None:
    house.deposit(ANN, 100)

    def transfer(target: int, amount: int, origin: int = ANN) -> int:
        house.request("TransferRequest", 1, account=origin, toAccount=target, asset=USDC,
                      amount=amount, requestId=3, echo=b"e")
        report = house.named("TransferReport")[0]
        assert report["echo"] == b"e"
        return int(report["reason"])

    assert transfer(120, 40 * MICRO) == 0
    assert (house.balance(ANN), house.balance(120)) == (60 * MICRO, 40 * MICRO)
    assert transfer(BOB, 1) == oe.REASON_NOT_AUTHORIZED
    assert transfer(ANN, 1, BOB) == oe.REASON_NOT_AUTHORIZED
    assert transfer(ANN, 1) == oe.REASON_INVALID_FIELD
    assert transfer(120, 61 * MICRO) == oe.REASON_INSUFFICIENT_BALANCE
    assert house.send("SetAccountState", account=ANN, state=oe.ACCOUNT_STATE_SUSPENDED) == 0
    assert transfer(120, 1) == oe.REASON_ACCOUNT_STATE


def test_an_operator_moves_money_between_any_accounts(house: Exchange) -> None:
    house.deposit(ANN, 100)
    fields = {"asset": USDC, "amount": 10 * MICRO}
    assert house.send("Transfer", fromAccount=ANN, toAccount=INSURANCE, **fields) == 0
    assert house.balance(INSURANCE) == 10 * MICRO
    reasons = [e["reason"] for e in house.named("BalanceUpdate")]
    assert reasons == [oe.BALANCE_REASON_TRANSFER_OUT, oe.BALANCE_REASON_TRANSFER_IN]
    assert house.send("Transfer", fromAccount=FEES, toAccount=BOB,
                      **fields) == oe.REASON_INSUFFICIENT_BALANCE


# ---- withdrawals --------------------------------------------------------------------------------


def test_a_withdrawal_is_held_sent_and_gone(house: Exchange) -> None:
    house.deposit(ANN, 100)
    report = withdraw(house, 30 * MICRO)
    assert (report["state"], report["reason"], report["echo"]) == (1, 0, b"hello")
    assert (house.balance(ANN), house.balance(WITHDRAWALS)) == (70 * MICRO, 30 * MICRO)
    number = report["withdrawalId"]
    assert step(house, number, 2) == 0
    assert step(house, number, 2) == oe.REASON_INVALID_TRANSITION
    assert step(house, number, 3) == 0
    assert house.balance(WITHDRAWALS) == 0
    assert house.s["assets"][USDC]["withdrawn"] == 30 * MICRO
    assert [e["state"] for e in house.named("WithdrawalChanged")] == [3]
    assert house.named("WithdrawalReport")[0]["requestId"] == 5
    assert step(house, number, 4) == oe.REASON_UNKNOWN_WITHDRAWAL


def test_a_failed_withdrawal_comes_back(house: Exchange) -> None:
    house.deposit(ANN, 100)
    number = withdraw(house, 30 * MICRO)["withdrawalId"]
    assert step(house, number, 4) == 0
    assert house.balance(ANN) == 100 * MICRO
    assert house.named("BalanceUpdate")[0]["reason"] == oe.BALANCE_REASON_WITHDRAWAL_RETURNED
    assert house.s["withdrawals"] == 0


def test_withdrawals_of_others_or_of_nothing_are_refused(house: Exchange) -> None:
    house.deposit(BOB, 100)
    assert withdraw(house, 1, account=BOB)["reason"] == oe.REASON_NOT_AUTHORIZED
    assert withdraw(house, 0)["reason"] == oe.REASON_QUANTITY_NOT_POSITIVE
    refused = withdraw(house, 1)
    assert (refused["reason"], refused["state"]) == (oe.REASON_INSUFFICIENT_BALANCE, 4)
    assert step(house, 77, 2) == oe.REASON_UNKNOWN_WITHDRAWAL


# ---- interest -----------------------------------------------------------------------------------


def test_borrowers_pay_lenders_and_the_reserve(house: Exchange) -> None:
    house.deposit(BOB, 1_000)
    house.deposit(CAT, 1, BTC)
    house.deposit(DAN, 1, BTC)
    house.trade(CAT, DAN, SPOT, 0.001, 100_000)  # Cat borrows 100 of Bob's.
    assert house.send("AccrueInterest", 0, 5, asset=USDC, borrowIndex=ONE + ONE // 100,
                      lendIndex=ONE + ONE // 1000) == 0
    accrued = house.named("IndicesAccrued")[0]
    assert (accrued["borrowed"], accrued["lent"]) == (100 * MICRO, 1_100 * MICRO)
    assert house.balance(CAT) == -100 * MICRO, "nothing is posted before it is touched"
    house.margin(CAT)
    update = house.named("BalanceUpdate")[0]
    assert (update["reason"], update["change"], update["counterAccount"]) == (
        oe.BALANCE_REASON_BORROW_INTEREST, -1 * MICRO, POOL)
    assert (update["lent"], update["earned"]) == (0, 0), "who pays has earned nothing"
    house.margin(BOB)
    told = house.named("BalanceUpdate")[0]
    assert (told["reason"], told["lent"], told["earned"]) == (
        oe.BALANCE_REASON_LEND_INTEREST, 1_001 * MICRO, 1 * MICRO)
    house.margin(DAN)
    assert house.balance(BOB) == 1_001 * MICRO
    assert house.balance(DAN) == 100_100_000
    assert house.balance(POOL) == 1_000_000 - 1_000_000 - 100_000


def test_interest_rounds_against_the_customer(house: Exchange) -> None:
    house.deposit(BOB, 0.000999)
    assert house.send("AccrueInterest", 0, 5, asset=USDC, borrowIndex=ONE,
                      lendIndex=ONE + ONE // 1000) == 0
    house.margin(BOB)
    assert house.balance(BOB) == 999, "0.999 of a unit is none"


def test_who_does_not_lend_earns_nothing() -> None:
    house = Exchange().populate()
    assert house.send("RegisterAccount", account=130, owner=ANN, name="x", autoLend=0,
                      autoBorrow=0) == 0
    house.deposit(130, 100)
    assert house.named("BalanceUpdate")[0]["lent"] == house.s["assets"][USDC]["lent"] == 0
    house.send("AccrueInterest", 0, 5, asset=USDC, borrowIndex=ONE, lendIndex=2 * ONE)
    house.margin(130)
    assert house.balance(130) == 100 * MICRO


def test_indices_never_fall_and_stand_still_only_once(house: Exchange) -> None:
    def accrue(borrow: int, lend: int, asset: int = USDC) -> int:
        return house.send("AccrueInterest", 0, 5, asset=asset, borrowIndex=borrow,
                          lendIndex=lend)

    assert accrue(ONE + 5, ONE + 1) == 0
    assert accrue(ONE + 5, ONE + 1) == oe.REASON_INVALID_TRANSITION
    assert accrue(ONE + 4, ONE + 2) == oe.REASON_INVALID_TRANSITION
    assert accrue(ONE + 6, ONE) == oe.REASON_INVALID_TRANSITION
    assert accrue(ONE + 6, ONE + 1) == 0
    assert accrue(ONE, ONE, 3) == oe.REASON_UNKNOWN_ASSET


# ---- reports ------------------------------------------------------------------------------------


def test_an_account_is_told_how_it_stands(house: Exchange) -> None:
    house.deposit(ANN, 100)
    house.request("AccountRequest", 1, account=0, requestId=9, echo=b"x")
    names = [name for _, name, _ in house.events]
    assert names == ["BalanceUpdate", "MarginReport", "AccountReportEnd"]
    assert [session for session, _, _ in house.events] == [1, 1, 1]
    assert [f["header"]["msgSeqNum"] for _, _, f in house.events] == [1, 2, 3]
    assert house.named("AccountReportEnd")[0]["reports"] == 2
    house.request("AccountRequest", 1, account=BOB, requestId=9, echo=b"x")
    end = house.named("AccountReportEnd")[0]
    assert (end["reports"], end["reason"]) == (0, oe.REASON_NOT_AUTHORIZED)
