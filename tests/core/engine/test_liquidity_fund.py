"""The debit order: balance and what of it is lent, then the pool, then the liquidity fund."""

import pytest

from tests.core.engine.exchange import (
    ANN,
    BOB,
    BTC,
    CAT,
    CLEARING,
    DAN,
    LIQUIDITY,
    PERP,
    ROUNDING,
    USDC,
    Exchange,
)

MICRO = 10**6


class House(Exchange):
    """Ann long and Bob short of one bitcoin; Bob has bitcoin as collateral and few dollars."""

    cycle = 0

    def settle(self) -> dict[str, int]:
        """A whole settlement; what its end says."""
        self.cycle += 1
        assert self.send("SettlementStart", 0, 4, cycle=self.cycle) == 0
        events = [(name, fields) for _, name, fields in self.events + self.finish_jobs()]
        (done,) = [fields for name, fields in events if name == "SettlementCompleted"]
        self.settled = [fields for name, fields in events if name == "PositionSettled"]
        return done

    def dollars(self, *accounts: int) -> list[float]:
        """What they have, in whole USDC."""
        return [self.balance(account) / MICRO for account in accounts]


@pytest.fixture
def house() -> House:
    house = House().populate()
    assert isinstance(house, House)
    house.deposit(ANN, 12_000)
    house.deposit(BOB, 1_000)
    house.deposit(BOB, 2, BTC)
    house.trade(ANN, BOB, PERP, 1, 100_000)
    return house


def test_balance_first_then_the_pool_and_the_fund_is_not_asked(house: House) -> None:
    house.deposit(LIQUIDITY, 50_000)
    house.mark(PERP, 105_000)
    done = house.settle()
    assert house.dollars(ANN, BOB, LIQUIDITY, CLEARING) == [17_000, -4_000, 50_000, 0]
    assert (done["advanced"], done["fundClaim"], done["waiting"]) == (0, 0, 0)
    assert house.s["assets"][USDC]["borrowed"] == 4_000 * MICRO


def test_what_the_pool_has_not_the_fund_advances_and_gets_back(house: House) -> None:
    house.deposit(LIQUIDITY, 50_000)
    house.mark(PERP, 120_000)
    before = house.margin(BOB)[0]
    done = house.settle()
    # Bob's 1,000, nine tenths of Ann's 12,000, and the fund's 8,200.
    assert house.dollars(ANN, BOB, LIQUIDITY) == [32_000, -10_800, 41_800]
    assert (done["debits"], done["credits"]) == (11_800 * MICRO, 20_000 * MICRO)
    assert (done["advanced"], done["fundClaim"], done["waiting"]) == (8_200 * MICRO,) * 2 + (0,)
    assert house.margin(BOB)[0] == before, "what is owed counts, as what was lost did"
    assert [s["left"] for s in house.settled] == [-8_200 * MICRO, 0]
    # Somebody lends more: the next cycle borrows for Bob and the fund is paid back.
    house.deposit(CAT, 100_000)
    done = house.settle()
    assert house.dollars(ANN, BOB, LIQUIDITY, CLEARING) == [32_000, -19_000, 50_000, 0]
    assert (done["advanced"], done["fundClaim"]) == (-8_200 * MICRO, 0)


def test_when_the_fund_is_empty_winners_wait_and_are_paid_first(house: House) -> None:
    house.mark(PERP, 120_000)
    done = house.settle()
    assert house.dollars(ANN, BOB, CLEARING) == [23_800, -10_800, 0]
    assert done["waiting"] == 8_200 * MICRO
    # Cat wins a thousand from Dan; the fund is refilled by half of what is missing.
    _refuse_to_lend(house)
    for account in (CAT, DAN):
        house.deposit(account, 20_000)
    house.trade(CAT, DAN, PERP, 1, 120_000)
    house.mark(PERP, 121_000)
    house.deposit(LIQUIDITY, 4_100)
    done = house.settle()
    # Bob owes another thousand; Ann's old claim has gone before Cat's and Ann's new thousands.
    paid = {s["account"]: s["amount"] for s in house.settled if s["amount"] > 0}
    assert paid[ANN] == 5_100 * MICRO
    assert CAT not in paid
    assert done["fundClaim"] == 4_100 * MICRO
    assert done["waiting"] == (8_200 - 5_100 + 1_000 + 1_000) * MICRO
    assert house.balance(LIQUIDITY) == 0
    house.deposit(LIQUIDITY, 50_000)
    done = house.settle()
    assert (done["waiting"], house.balance(CLEARING)) == (0, 0)
    assert house.dollars(ANN, CAT, DAN) == [12_000 + 21_000, 21_000, 19_000]
    assert house.balance(LIQUIDITY) + done["fundClaim"] == 54_100 * MICRO


def _refuse_to_lend(house: House) -> None:
    """Let nothing more be borrowed."""
    asset = house.s["assets"][USDC]
    assert house.send("AccrueInterest", 0, 5, asset=USDC, borrowIndex=int(asset["borrow_index"]),
                      lendIndex=int(asset["lend_index"]), utilisationBound=1) == 0


def test_who_may_not_borrow_owes_the_fund(house: House) -> None:
    house.account(110, 110, auto_borrow=0)
    house.deposit(110, 12_000)
    house.deposit(CAT, 100_000)
    house.deposit(LIQUIDITY, 50_000)
    house.trade(CAT, 110, PERP, 1, 100_000)
    house.mark(PERP, 115_000)
    house.settle()
    assert house.balance(110) == 0
    assert house.position(110, PERP)["unsettled"] == -3_000 * MICRO


def test_below_its_maintenance_margin_an_account_borrows_no_more(house: House) -> None:
    house.deposit(CAT, 1_000_000)
    house.deposit(LIQUIDITY, 500_000)
    house.mark(PERP, 290_000)
    equity, _, maintenance = house.margin(BOB)
    assert equity < maintenance
    done = house.settle()
    assert house.dollars(BOB) == [0]
    assert done["advanced"] == 189_000 * MICRO


def test_a_winner_who_trades_in_between_has_his_claim_and_no_more() -> None:
    house = House(checked=False).populate()
    house.deposit(DAN, 10_000_000)
    for number in range(150):
        house.account(110 + number, 2 + number % 90)
        house.deposit(110 + number, 1_000)
        house.trade(110 + number, DAN, PERP, 0.01, 100_000)
    house.checked = True
    house.mark(PERP, 101_000)
    assert house.send("SettlementStart", 0, 4, cycle=1) == 0
    last = 110  # The newest holder is visited first, so this one is not yet.
    assert house.balance(last) == 1_000 * MICRO
    assert house.order(last, PERP, "sell", 0.01, 101_000)["reason"] == 0
    assert house.order(111, PERP, "buy", 0.01, 101_000)["reason"] == 0
    assert house.position(last, PERP)["quantity"] == 0
    assert house.balance(last) == 1_000 * MICRO, "what he has won waits for its turn"
    house.finish_jobs()
    assert house.balance(last) == 1_010 * MICRO
    assert house.balance(CLEARING) == 0


def test_a_market_goes_with_everything_settled(house: House) -> None:
    house.deposit(LIQUIDITY, 50_000)
    house.mark(PERP, 120_000)
    house.settle()
    assert house.position(BOB, PERP)["unsettled"] == -8_200 * MICRO
    house.deposit(ANN, 50_000)
    house.trade(BOB, ANN, PERP, 1, 120_000)
    assert house.send("SetTradingState", instrument=PERP, state=5) == 0
    house.finish_jobs()
    assert house.send("DelistInstrument", instrument=PERP) == 0
    house.finish_jobs()
    assert house.balance(CLEARING) == 8_200 * MICRO, "the fund's, until the next cycle"
    done = house.settle()
    assert (done["advanced"], done["carried"]) == (-8_200 * MICRO, -8_200 * MICRO)
    assert house.dollars(LIQUIDITY, CLEARING) == [50_000, 0]


def test_the_bound_stops_borrowing_and_redeeming_below_the_ceiling(house: House) -> None:
    house.mark(PERP, 100_500)
    house.settle()
    _refuse_to_lend(house)
    (said,) = house.named("IndicesAccrued")
    assert said["utilisationBound"] == 1
    house.deposit(CAT, 1, BTC)
    report = house.order(CAT, 1, "buy", 0.01, 100_000)
    assert report["reason"] == 36  # PoolCeiling
    assert report["limit"] < report["detail"] == 1_000 * MICRO


def fund(house: House, rate: int) -> list[dict[str, int]]:
    """A whole funding of the perpetual; its payments in their order."""
    assert house.send("FundingStart", 0, 4, instrument=PERP, rate=rate) == 0
    events = house.events + house.finish_jobs()
    return [fields for _, name, fields in events if name == "FundingPayment"]


def test_funding_too_is_borrowed_up_to_what_the_pool_has_and_the_rest_is_owed(
    house: House,
) -> None:
    house.deposit(LIQUIDITY, 50_000)
    before = house.margin(BOB)[0]
    owed, received = fund(house, -200_000_000)  # Shorts pay 20,000 USDC for their bitcoin.
    assert (owed["account"], owed["due"], owed["amount"]) == (BOB, -20_000 * MICRO, -11_800 * MICRO)
    assert (received["account"], received["due"]) == (ANN, 20_000 * MICRO)
    assert received["amount"] == 11_800 * MICRO  # Bob's 1,000 and nine tenths of Ann's 12,000.
    assert house.dollars(ANN, BOB, LIQUIDITY, CLEARING) == [23_800, -10_800, 50_000, 0]
    assert house.margin(BOB)[0] == before - 20_000 * MICRO, "what is owed counts"
    # The next settlement finds both. What Ann got she lends, so the fund isn't asked.
    done = house.settle()
    assert house.dollars(ANN, BOB, LIQUIDITY, CLEARING) == [32_000, -19_000, 50_000, 0]
    assert (done["debits"], done["credits"], done["advanced"]) == (8_200 * MICRO,) * 2 + (0,)


def test_behind_a_payer_of_funding_who_has_nothing_stands_the_fund(house: House) -> None:
    house.s["accounts"][BOB]["auto_borrow"] = 0
    fund(house, -50_000_000)  # 5,000 USDC, of which he has 1,000.
    assert house.dollars(ANN, BOB, CLEARING) == [13_000, 0, 0]
    done = house.settle()
    assert (done["advanced"], done["fundClaim"], done["waiting"]) == (0, 0, 4_000 * MICRO)
    house.deposit(LIQUIDITY, 1_500)
    done = house.settle()
    assert (done["fundClaim"], done["waiting"]) == (1_500 * MICRO, 2_500 * MICRO)
    house.deposit(BOB, 10_000)
    done = house.settle()
    assert (done["fundClaim"], done["waiting"]) == (0, 0)
    assert house.dollars(ANN, BOB, LIQUIDITY, CLEARING) == [17_000, 6_000, 1_500, 0]


def test_rounding_that_nobody_could_pay_is_the_funds_claim(house: House) -> None:
    house.deposit(CAT, 1_000)
    house.trade(CAT, BOB, PERP, 0.0001, 100_000)
    house.s["accounts"][BOB]["auto_borrow"] = 0
    fund(house, -50_000_001)  # One unit more from Bob than goes to Ann and Cat.
    assert house.balance(ROUNDING) == 0
    done = house.settle()
    assert (done["fundClaim"], done["waiting"]) == (1, 4_000_500_100)
    house.deposit(BOB, 10_000)
    assert house.settle()["fundClaim"] == 0
    assert [house.balance(who) for who in (LIQUIDITY, CLEARING)] == [1, 0]


def test_who_trades_before_the_payers_have_paid_is_paid_by_the_next_settlement(
    house: House,
) -> None:
    house.deposit(CAT, 10_000)
    for account in range(200, 300):  # A settlement of so many isn't done at once.
        house.account(account, DAN)
        house.deposit(account, 1_000)
        house.trade(account, CAT, PERP, 0.0001, 100_000)
    before = house.balance(ANN)
    house.cycle += 1
    assert house.send("SettlementStart", 0, 4, cycle=house.cycle) == 0
    assert house.send("FundingStart", 0, 4, instrument=PERP, rate=-1_000_000) == 0
    house.order(200, PERP, "buy", 0.0001, 100_000)
    house.order(ANN, PERP, "sell", 0.0001, 100_000)
    assert house.s["jobs"] == 2
    assert house.balance(ANN) == before
    house.finish_jobs()
    left = 100_010_000  # What she is due, and 200 for its own.
    assert house.s["settlement_pot"] == left
    done = house.settle()
    assert house.balance(ANN) == before + 100 * MICRO
    assert (done["carried"], house.balance(CLEARING)) == (-left, 0)
