"""Orders in words, and what they make of an account."""

from fractions import Fraction
from typing import Any

import pytest

from tools.margin_cases import compute
from tools.what_if import Wish, WrongWish, filled, parse, resting

PARAMETERS = {
    "sigma_im": "0.10", "sigma_mm": "0.06", "f_im": "0", "f_mm": "0", "ch_im": "0", "ch_mm": "0",
    "w0": "1", "wb": "1", "pen": "0", "beta_im": "0", "beta_mm": "0", "vol": "0.5",
}
PERPETUAL = {"kind": "perp", "underlying": "BTC"}


def account(held: str = "0", settled: str = "100000") -> dict[str, Any]:
    unit = {"name": "BTC", "params": "BTC", "index": "100000", "balance": "0", "perp_qty": held,
            "perp_mark": "100000", "perp_last_settle": settled, "digitals": []}
    group = {"name": "event 1", "kind": "exclusive",
             "outcomes": [{"name": "YES", "qty": "10", "mark": "0.40"}]}
    return {"underlying_params": {"BTC": PARAMETERS}, "cases": [
        {"id": "1", "usdc": "50000", "underlyings": [unit], "groups": [group]}]}


def numbers(content: dict[str, Any]) -> tuple[Fraction, Fraction]:
    """Equity and initial margin."""
    expected = compute(content)["cases"][0]["expected"]
    return Fraction(expected["equity"]), Fraction(expected["im"])


def test_words_become_an_order() -> None:
    assert parse("Sell 0.5 BTC-PERP @ 101000.5") == Wish(
        False, Fraction(1, 2), "BTC-PERP", Fraction("101000.5"))


@pytest.mark.parametrize("words", [
    "", "buy BTC-PERP", "hold 1 BTC @ 1", "buy -1 BTC @ 1", "buy 0 BTC @ 1", "buy 1 BTC @ x",
    "buy 1e3 BTC @ 1", "buy 1 BTC @ 1 more",
])
def test_other_words_are_refused(words: str) -> None:
    with pytest.raises(WrongWish):
        parse(words)


def test_a_resting_bid_requires_what_its_position_would_and_its_loss() -> None:
    before = numbers(account())
    after = numbers(resting(account(), PERPETUAL, parse("buy 2 BTC-PERP @ 101000")))
    assert after[0] == before[0]
    assert after[1] - before[1] == 2 * (10_000 + 1_000)


@pytest.mark.parametrize("held", ["0", "1", "-1", "-2", "-5"])
def test_a_filled_bid_above_the_mark_loses_the_difference(held: str) -> None:
    content = account(held, "99000")
    after = numbers(filled(content, PERPETUAL, parse("buy 2 BTC-PERP @ 101000")))
    assert after[0] == numbers(content)[0] - 2 * 1_000
    assert after[1] == abs(int(held) + 2) * 10_000 + Fraction(4)


def test_a_sold_outcome_brings_cash_and_takes_the_stake() -> None:
    place = {"kind": "event", "group": "event 1", "ref": "YES"}
    before = numbers(account())
    after = numbers(filled(account(), place, parse("sell 10 YES @ 0.50")))
    assert after[0] == before[0] + 10 * Fraction("0.10")
    assert after[1] == 0
