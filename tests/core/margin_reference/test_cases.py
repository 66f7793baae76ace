"""The reference against the published cases, and against what the model promises."""

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.margin_reference.account import compute
from core.margin_reference.case import CaseError

PUBLISHED = Path(__file__).with_name("published_cases.json")

PARAMETERS = {
    "sigma_im": "0.10", "sigma_mm": "0.06", "f_im": "0.00002", "f_mm": "0.000012",
    "ch_im": "0.005", "ch_mm": "0.0025", "w0": "0.98", "wb": "1.10", "pen": "0.00002",
    "beta_im": "0.02", "beta_mm": "0.01", "vol": "0.50",
}
DAY = 86_400


def expected(**case: Any) -> dict[str, Any]:
    """What the reference expects of one account."""
    file = {"underlying_params": {"BTC": PARAMETERS}, "cases": [{"id": "T", **case}]}
    result: dict[str, Any] = compute(file)["cases"][0]["expected"]
    return result


def bitcoin(**more: Any) -> dict[str, Any]:
    return {"name": "BTC", "params": "BTC", "index": "100000", **more}


def above(
    quantity: str, mark: str = "0.50", days: int = 30, strike: str = "100000"
) -> dict[str, Any]:
    return {"name": f"A{strike}-{days}", "type": "above", "qty": quantity, "mark": mark,
            "tau_s": days * DAY, "strike": strike}


def test_every_published_case_agrees_in_every_component() -> None:
    published = json.loads(PUBLISHED.read_text())
    bare = {**published, "cases": [
        {key: value for key, value in case.items() if key != "expected"}
        for case in published["cases"]
    ]}
    filled = compute(bare)
    assert len(filled["cases"]) >= 11
    for case, ours in zip(published["cases"], filled["cases"], strict=True):
        assert ours["expected"] == case["expected"], case["id"]


def test_a_hedge_frees_margin_up_to_a_point() -> None:
    required = [
        Fraction(expected(usdc="15000", underlyings=[
            bitcoin(perp_qty=size, digitals=[above("-10000")])])["im"])
        for size in ("0", "0.1", "0.2", "0.6", "1")
    ]
    assert required[0] > required[1] > required[2]
    assert required[2] < required[3] < required[4]


def test_a_settling_digital_is_hedged_only_up_to_its_strike() -> None:
    digital = above("-1000", "0.20", days=1, strike="102000")
    parts = expected(usdc="2000", underlyings=[bitcoin(perp_qty="0.05", digitals=[digital])])
    unit = parts["im_parts"]["unit:BTC"]
    assert unit["worst_node"].startswith("delta=0.02 side=1 col=hi@86400")
    assert Fraction(unit["scan"]) == Fraction("0.9") * 800 - 100


def test_a_complete_set_requires_what_it_is_worth() -> None:
    outcomes = [{"name": name, "qty": "10", "mark": "0.30"} for name in "ABC"]
    result = expected(usdc="0", groups=[{"name": "G", "kind": "exhaustive", "outcomes": outcomes}])
    assert result["equity"] == "9.00"
    assert result["im"] == "-1.00"  # It pays 10 for certain.
    explicit = {"name": "G", "kind": "explicit", "outcomes": outcomes,
                "vertices": [[1, 0, 0], [0, 1, 0], [0, 0, 1]]}
    assert expected(usdc="0", groups=[explicit])["im"] == "-1.00"


def test_collateral_counts_at_the_worse_of_index_and_stable_price() -> None:
    plain = expected(underlyings=[bitcoin(balance="1")])
    strict = expected(underlyings=[bitcoin(balance="1", stable="95000")])
    assert Fraction(strict["im"]) - Fraction(plain["im"]) == 5_000
    assert strict["mm"] == plain["mm"]


quantities = st.integers(-2_000, 2_000).map(str)
prices = st.integers(1, 99).map(lambda cents: f"0.{cents:02d}")
digitals = st.builds(
    lambda quantity, mark, days, strike: above(quantity, mark, days, strike),
    quantities, prices, st.integers(1, 40),
    st.sampled_from(["90000", "98000", "100000", "103000", "120000"]),
)
books = st.lists(digitals, max_size=3, unique_by=lambda d: d["name"])
coins = st.integers(-30, 30).map(lambda tenths: f"{tenths / 10:.1f}")


def test_a_paid_prediction_worth_a_fraction_of_a_cent_is_never_liquidated() -> None:
    outcomes = [{"name": "A", "qty": "1", "mark": "0.005"}]
    result = expected(usdc="0", groups=[{"name": "G", "kind": "exclusive", "outcomes": outcomes}])
    assert (result["equity"], result["mm"], result["excess_mm"]) == ("0.00", "0.01", "0.00")
    assert result["can_open"]
    assert not result["liquidatable"]


def test_a_file_needs_no_parameters_of_its_own_for_the_published_underlyings() -> None:
    held = {"name": "BTC", "index": "100000", "balance": "1"}
    case = {"id": "T", "usdc": "0", "underlyings": [held]}
    published = json.loads(PUBLISHED.read_text())
    alone = compute({"cases": [case]})["cases"][0]["expected"]
    assert alone == compute({**published, "cases": [case]})["cases"][0]["expected"]


@settings(max_examples=60, deadline=None)
@given(books, coins, coins)
def test_initial_is_never_below_maintenance(
    book: list[dict[str, Any]], coin: str, perpetual: str
) -> None:
    held = bitcoin(balance=coin, perp_qty=perpetual, digitals=book)
    result = expected(usdc="1000", underlyings=[held])
    assert Fraction(result["im"]) >= Fraction(result["mm"])


@settings(max_examples=60, deadline=None)
@given(st.lists(digitals.filter(lambda d: not d["qty"].startswith("-")), max_size=3,
                unique_by=lambda d: d["name"]), coins)
def test_a_paid_book_is_never_liquidated(book: list[dict[str, Any]], coin: str) -> None:
    held = bitcoin(balance=coin.removeprefix("-"), digitals=book)
    assert not expected(usdc="0", underlyings=[held])["liquidatable"]


@settings(max_examples=60, deadline=None)
@given(books.filter(bool), coins, quantities.filter(lambda q: q != "0"), prices)
def test_an_order_never_lowers_a_requirement(
    book: list[dict[str, Any]], perpetual: str, quantity: str, price: str
) -> None:
    held = bitcoin(perp_qty=perpetual, digitals=book)
    order = {"side": "sell" if quantity.startswith("-") else "buy", "price": price,
             "qty": quantity.removeprefix("-"), "underlying": "BTC"}
    before = Fraction(expected(usdc="0", underlyings=[held])["im"])
    digital = {**order, "kind": "digital", "ref": book[0]["name"]}
    assert Fraction(expected(usdc="0", underlyings=[held], orders=[digital])["im"]) >= before
    linear = {**order, "kind": "perp", "price": str(100_000 + int(quantity)), "qty": "0.1"}
    assert Fraction(expected(usdc="0", underlyings=[held], orders=[linear])["im"]) >= before


@pytest.mark.parametrize(("case", "message"), [
    ({"usdc": 1.5}, r"cases\[0\].usdc: expected a decimal in quotes, was 1.5"),
    ({"usdc": "1/3"}, "usdc: expected a decimal"),
    ({"usdc": " 5"}, "usdc: expected a decimal"),
    ({"usdc": "1_000"}, "usdc: expected a decimal"),
    ({"usdc": "1e999999999"}, "usdc: expected a decimal"),
    ({"usdc": "0.000000001"}, "usdc: expected whole lots"),
    ({"usdc": "1e400"}, "usdc: expected at most 15 digits"),
    ({"underlyings": [bitcoin(), bitcoin()]}, r"underlyings\[1\].name: 'BTC' is there twice"),
    ({"usdc": "nan"}, "usdc: expected a decimal"),
    ({"cash": "1"}, r"cases\[0\].cash: there is no such field"),
    ({"underlyings": [bitcoin(digitals=[above("1", "-0.1")])]}, r"digitals\[0\].mark: .*at least"),
    ({"underlyings": [bitcoin(digitals=[above("1", "1.1")])]}, r"digitals\[0\].mark: .*at most"),
    ({"underlyings": [bitcoin(digitals=[{**above("1"), "strike": None}])]},
     r"digitals\[0\].strike: expected a decimal"),
    ({"underlyings": [bitcoin(digitals=[{**above("1"), "type": "touch"}])]},
     r"digitals\[0\].type: expected one of above, below, range, was 'touch'"),
    ({"underlyings": [bitcoin(digitals=[{"name": "D", "type": "below", "qty": "1", "mark": "0.5",
                                         "tau_s": 60}])]}, r"digitals\[0\].strike: is missing"),
    ({"groups": [{"name": "G", "kind": "nested", "outcomes": [
        {"name": "A", "qty": "1", "mark": "0.5"}] * 2}]},
     r"groups\[0\].outcomes\[1\].name: 'A' is there twice"),
    ({"underlyings": [bitcoin(digitals=[above("1")]),
                      {"name": "SOL", "index": "100", "digitals": [above("1")]}]},
     r"underlyings\[1\].digitals\[0\].name: 'A100000-30' is there twice"),
    ({"underlyings": [bitcoin(stable="99999.9999999999999")]},
     r"underlyings\[0\].stable: expected at most 12 decimals"),
    ({"title": 5}, r"cases\[0\].title: expected a text, was 5"),
    ({"usdc": 10**5000}, r"cases\[0\].usdc: expected at most 15 digits .* a number of 16610 bits"),
    ({"usdc": "9" * 15, "groups": [{"name": "G", "kind": "exclusive", "outcomes": [
        {"name": name, "qty": "90000000000", "mark": "0.5"} for name in "AB"]}]},
     r"cases\[0\]: expected all of it worth at most"),
    ({"underlyings": [bitcoin(index="0")]}, r"underlyings\[0\].index: expected more than 0"),
    ({"underlyings": [bitcoin(params="ETH")]}, r"underlyings\[0\].params: there are no"),
    ({"groups": [{"name": "G", "kind": "other", "outcomes": []}]}, r"groups\[0\].kind"),
    ({"groups": [{"name": "G", "kind": "explicit", "vertices": [[1]], "outcomes": [
        {"name": n, "qty": "1", "mark": "0.5"} for n in "AB"]}]}, r"vertices\[0\]: expected 2"),
    ({"orders": [{"kind": "perp", "underlying": "SOL", "side": "buy", "qty": "1",
                  "price": "1"}]}, r"orders\[0\]: nothing in the case"),
])
def test_wrong_input_is_refused_by_naming_the_field(case: dict[str, Any], message: str) -> None:
    with pytest.raises(CaseError, match=message):
        expected(**case)


@pytest.mark.parametrize(("fields", "message"), [
    ({"global": {"extremes": ["-0.9999999999999"]}}, r"extremes\[0\]: expected at most 12 dec"),
    ({"global": {"extremes": ["0.0001"]}}, r"extremes\[0\]: expected a move of at least 0.001"),
    ({"global": {"extremes": ["0.5", "11"]}}, r"extremes\[1\]: expected at most 10"),
    ({"global": {"sigma": "1"}}, "global.sigma: there is no such field"),
    ({"underlying_params": []}, "underlying_params: expected an object"),
    ({"case": []}, "file.case: there is no such field"),
    ({"rounding": None}, "file.rounding: expected a text, was None"),
])
def test_what_all_accounts_share_is_judged_too(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(CaseError, match=message):
        compute({"cases": [{"id": "T"}], **fields})


def test_an_account_is_there_once() -> None:
    with pytest.raises(CaseError, match=r"file.cases\[1\].id: 'A' is there twice"):
        compute({"cases": [{"id": "A"}, {"id": "A"}]})
