"""The guarantees of the model (G1 … G10, settlement-neutrality) as laws of the compiled functions.

Mutations of the model at the end: each takes away one thing that a guarantee hangs on, and must be
caught by it.
"""

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, assume, example, given, settings
from hypothesis import strategies as st

from core.margin_reference.case import Underlying
from core.margin_reference.links import strip_loss
from tests.core.engine.margin.books import (
    SIGMA,
    bitcoin,
    coins,
    digital,
    digitals,
    faces,
    held,
    judged,
    loss,
    number,
    paid,
    prices,
    read,
)
from tools.margin_view import Column, Scenario, UnitView

CENT = Fraction(1, 100)
GRID_ERROR = Fraction("0.0045")  # of a contract, between points of the grid
NETTED = Fraction("0.9")  # λ of links that expire in more than an hour
law = settings(max_examples=40, deadline=None)
sides = st.sampled_from(("buy", "sell"))


def free(expected: dict[str, Any]) -> Fraction:
    return number(expected["equity"]) - number(expected["im"])


def groups(quantities: st.SearchStrategy[str] = faces) -> Any:
    outcome = st.tuples(quantities, prices)
    return st.tuples(
        st.sampled_from(("exclusive", "exhaustive", "nested")),
        st.lists(outcome, min_size=1, max_size=4),
    ).map(lambda made: [{
        "name": "G", "kind": made[0], "outcomes": [
            {"name": f"O{i}", "qty": quantity, "mark": mark}
            for i, (quantity, mark) in enumerate(made[1])],
    }])


@law
@given(digitals(paid), groups(paid), held, held)
def test_g1_a_paid_book_cannot_be_liquidated(
    links: Any, events: Any, balance: str, perpetual: str
) -> None:
    # The cash that a perpetual was opened with stays: it can lose no more than its notional.
    cash = str(int(Fraction(perpetual) * 100_000) + 1)
    unit = bitcoin(balance=balance, perp_qty=perpetual, digitals=links)
    expected = judged(usdc=cash, underlyings=[unit], groups=events)
    assert number(expected["equity"]) >= number(expected["mm"])


@law
@given(digitals(), groups(), coins, coins)
def test_g2_initial_is_never_below_maintenance(
    links: Any, events: Any, balance: str, perpetual: str
) -> None:
    # Up to 6 billion USD in one perpetual: there both rates of Size are the whole notional, and a
    # link that gains at the end of the wider range counts for more initially.
    unit = bitcoin(balance=balance, perp_qty=perpetual, digitals=links)
    expected = judged(usdc="-500", underlyings=[unit], groups=events)
    assert number(expected["im"]) >= number(expected["mm"])


def order(kind: str, side: str, quantity: int, price: str, **place: str) -> dict[str, str]:
    return {"kind": kind, "side": side, "qty": str(quantity), "price": price, **place}


@law
@given(digitals().filter(bool), groups(), coins, coins, sides, st.integers(1, 2_000), prices,
       st.sampled_from(("digital", "perp", "spot", "event")))
def test_g3_an_order_never_lowers_a_requirement(
    links: Any, events: Any, balance: str, perpetual: str, side: str, quantity: int, price: str,
    kind: str,
) -> None:
    unit = bitcoin(balance=balance, perp_qty=perpetual, digitals=links)
    case = {"usdc": "0", "underlyings": [unit], "groups": events}
    linear = str(90_000 + int(Fraction(price) * 20_000))
    placed = {
        "digital": order("digital", side, quantity, price, underlying="BTC", ref="L0"),
        "event": order("event", side, quantity, price, group="G", ref="O0"),
        "perp": order("perp", side, 1, linear, underlying="BTC"),
        "spot": order("spot", side, 1, linear, underlying="BTC"),
    }[kind]
    before, after = judged(**case), judged(**case, orders=[placed])
    assert number(after["im"]) >= number(before["im"])
    assert number(after["mm"]) >= number(before["mm"])


@law
@given(digitals().filter(bool), coins, sides, st.integers(1, 500), prices)
def test_g4_a_fill_at_its_limit_frees_no_less_than_its_order_held(
    links: Any, perpetual: str, side: str, quantity: int, price: str
) -> None:
    resting = order("digital", side, quantity, price, underlying="BTC", ref="L0")
    before = judged(usdc="100000", orders=[resting],
                    underlyings=[bitcoin(perp_qty=perpetual, digitals=links)])
    signed = quantity if side == "buy" else -quantity
    filled = [{**links[0], "qty": str(int(links[0]["qty"]) + signed)}, *links[1:]]
    cash = str(100_000 - signed * Fraction(price)) if signed else "100000"
    unit = bitcoin(perp_qty=perpetual, digitals=filled)
    after = judged(usdc=decimal(Fraction(cash)), underlyings=[unit])
    # What it pays beyond the mark is equity lost in full. The order held all of it but for two
    # things that UPM-1 says itself. At the extremes it weighs the whole loss, of which the order's
    # is part ("theta sigma / |e| × loss"), as the published cases have it: where the worst is one,
    # with weight w, λ (1 − w) was not held. And no unit requires less than nothing: what links
    # marked too low will gain for certain is no margin, but held for the order while it rested.
    mark = Fraction(links[0]["mark"])
    away = max(Fraction(0), (Fraction(price) - mark) * (1 if side == "buy" else -1))
    uncounted = NETTED * (1 - worst_weight(after)) * quantity * away
    uncounted = max(uncounted, min(quantity * away, certain_gain(unit)))
    assert free(after) >= free(before) - uncounted - 2 * CENT


def certain_gain(unit: Any) -> Fraction:
    """What a unit gains against its marks whatever the price; 0 where it may lose."""
    account: Underlying = read(underlyings=[unit]).underlyings[0]
    expiries = {link.seconds for link in account.digitals}
    least = -account.quantity * account.mark if account.quantity >= 0 else Fraction(-10**15)
    least -= sum((strip_loss([link for link in account.digitals if link.seconds == expiry])
                  for expiry in expiries), Fraction(0))
    return max(Fraction(0), least)


def worst_weight(account: Any) -> Fraction:
    """By how much the worst scenario counts: 1 but for the extremes, and where nothing loses."""
    worst = account["im_parts"]["unit:BTC"]["worst_node"]
    return Fraction(worst.rpartition("weight=")[2]) if worst else Fraction(1)


def decimal(exact: Fraction) -> str:
    assert 10**8 % exact.denominator == 0
    whole, rest = divmod(abs(exact) * 10**8, 10**8)
    return f"{'-' if exact < 0 else ''}{int(whole)}.{int(rest):08d}"


@law
@given(digitals().filter(bool), coins, st.integers(1, 2_000))
def test_g5_a_bought_binary_costs_at_most_its_premium(
    links: Any, perpetual: str, quantity: int
) -> None:
    before = judged(usdc="0", underlyings=[bitcoin(perp_qty=perpetual, digitals=links)])
    grown = [{**links[0], "qty": str(int(links[0]["qty"]) + quantity)}, *links[1:]]
    after = judged(usdc="0", underlyings=[bitcoin(perp_qty=perpetual, digitals=grown)])
    premium = quantity * number(links[0]["mark"])
    for kind in ("im", "mm"):
        assert number(after[kind]) - number(before[kind]) <= premium + CENT


@law
@given(digitals(), coins, coins, st.integers(1, 20), sides)
def test_g6_more_of_a_perpetual_costs_at_most_its_rates(
    links: Any, balance: str, perpetual: str, added: int, side: str
) -> None:
    size = Fraction(added, 10) * (1 if side == "buy" else -1)
    case = bitcoin(balance=balance, perp_qty=perpetual, digitals=links)
    grown = {**case, "perp_qty": decimal(Fraction(perpetual) + size)}
    before, after = judged(underlyings=[case]), judged(underlyings=[grown])
    rate = Fraction("0.10") + Fraction("0.005") + Fraction("0.02")
    # Where a cap holds, what it is about to stop holding is let go as well.
    assume(before["im_parts"]["unit:BTC"]["cap"] == "inf" or not links)
    allowed = rate * abs(size) * 100_000
    assert number(after["im"]) - number(before["im"]) <= allowed + CENT


@law
@given(held, st.integers(0, 30), st.integers(0, 30))
def test_g7_hedging_spot_lowers_what_it_requires(balance: str, one: int, other: int) -> None:
    most = int(Fraction(balance) * 100)
    less, more = sorted((min(one, most), min(other, most)))
    required = [
        number(judged(underlyings=[bitcoin(balance=balance, perp_qty=f"-{short / 100:.2f}")])["im"])
        for short in (less, more)
    ]
    rate = Fraction("0.10") + Fraction("0.02") - Fraction("0.005")
    freed = rate * (more - less) * 1_000
    assert required[0] - required[1] == pytest.approx(float(freed), abs=0.02)


@law
@given(groups(), st.lists(prices, min_size=4, max_size=4))
def test_g8_marks_of_events_move_no_free_margin(events: Any, marks: list[str]) -> None:
    moved = [{**events[0], "outcomes": [
        {**outcome, "mark": mark}
        for outcome, mark in zip(events[0]["outcomes"], marks, strict=False)]}]
    for ours, theirs in ((judged(groups=events), judged(groups=moved)),):
        assert abs(free(ours) - free(theirs)) <= CENT


@law
@given(groups(), st.integers(0, 3))
def test_g9_a_resolution_liquidates_nobody(events: Any, came: int) -> None:
    event = events[0]
    outcomes = event["outcomes"]
    true = {
        "nested": set(range(min(came, len(outcomes)))), "exhaustive": {came % len(outcomes)},
        "exclusive": {came} if came < len(outcomes) else set(),
    }[event["kind"]]
    paid_out = sum(int(outcomes[i]["qty"]) for i in true)
    before = judged(usdc="100000", groups=events)
    after = judged(usdc=str(100_000 + paid_out))
    for kind in ("im", "mm"):
        held_before = number(before["equity"]) - number(before[kind])
        assert number(after["equity"]) - number(after[kind]) >= held_before - CENT


@law
@given(coins, st.integers(90_000, 110_000), st.integers(-500, 500))
def test_settling_moves_value_and_leaves_requirements(
    perpetual: str, settled: int, basis: int
) -> None:
    mark = 100_000 + basis
    unit = bitcoin(perp_qty=perpetual, perp_mark=str(mark), perp_last_settle=str(settled))
    profit = Fraction(perpetual) * (mark - settled)
    before = judged(usdc="50000", underlyings=[unit])
    realised = {**unit, "perp_last_settle": str(mark)}
    after = judged(usdc=decimal(50_000 + profit), underlyings=[realised])
    for name in ("equity", "im", "mm"):
        assert before[name] == after[name]


# ---- G10, and the mutations that it catches ------------------------------------------------------

moves = st.one_of(
    st.integers(-60, 60).map(lambda thousandths: Fraction(thousandths, 1000)),
    st.sampled_from([Fraction(strike, 1000) for strike in (-60, -20, 0, 20, 50)]),
)
scenarios = st.tuples(moves, st.booleans(), st.booleans(), st.booleans())


def check_soundness(
    links: Any, perpetual: str, scenario: tuple[Fraction, bool, bool, bool]
) -> None:
    """What positions lose in a scenario of the model is covered by Scan + Stand, or by the cap."""
    unit = bitcoin(perp_qty=perpetual, digitals=links)
    parts = judged(usdc="0", underlyings=[unit])["mm_parts"]["unit:BTC"]
    account: Underlying = read(underlyings=[unit]).underlyings[0]
    move, beyond, settled, high = scenario
    assert abs(move) <= SIGMA
    contracts = sum((abs(link.quantity) for link in account.digitals), Fraction(0))
    lost = loss(account, move, beyond, settled, high)
    covered = number(parts["scan"]) + number(parts["stand"])
    assert lost <= covered + GRID_ERROR * contracts + CENT
    if parts["cap"] != "inf":
        assert lost <= number(parts["core_after_cap_floor"]) + GRID_ERROR * contracts + CENT


@law
@given(digitals(), coins, scenarios)
@example([digital("L0", "above", "-1000", "0.20", 12, ("102000", "105000"))], "0.05",
         (Fraction("0.02"), True, True, True))
def test_g10_what_can_be_lost_is_required(
    links: Any, perpetual: str, scenario: tuple[Fraction, bool, bool, bool]
) -> None:
    check_soundness(links, perpetual, scenario)


find_scenarios, find_columns = UnitView._find_scenarios, UnitView._find_columns


def without_strikes(view: UnitView) -> Iterator[Scenario]:
    """Nodes at thirds and extremes only."""
    strikes = {k for d in view._underlying.digitals for k in (d.low, d.high) if k is not None}
    index = view._underlying.index
    near = {strike / index - 1 for strike in strikes}
    regular = {Fraction(third, 3) * sigma for third in range(-3, 4)
               for sigma in (Fraction("0.06"), Fraction("0.10"))}
    return (node for node in find_scenarios(view) if node.move not in near - regular)


def without_levels(view: UnitView) -> Iterator[Column]:
    """Nothing ever settles within the horizon."""
    return (column for column in find_columns(view) if column.level == 0)


def without_low(view: UnitView) -> Iterator[Column]:
    """High volatility only."""
    return (column for column in find_columns(view) if column.volatility == "hi")


def with_one_strip(view: UnitView) -> None:
    """All expiries settle by one price: one joint cap."""
    fill_links(view)
    view.lines["expiry"] = 0


fill_links = UnitView._fill_links


@pytest.mark.parametrize(("name", "mutation"), [
    ("_find_scenarios", without_strikes), ("_find_columns", without_levels),
    ("_find_columns", without_low), ("_fill_links", with_one_strip),
])
def test_mutations_of_the_model_are_caught(
    name: str, mutation: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(UnitView, name, mutation)
    search = settings(
        max_examples=3_000, deadline=None, database=None, derandomize=True,
        report_multiple_bugs=False, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    with pytest.raises(AssertionError):
        search(given(digitals(), coins, scenarios)(check_soundness))()
