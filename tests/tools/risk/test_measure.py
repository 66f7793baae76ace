"""An account's figures, from a case file to the ten worst, against plain reckoning."""

import itertools
import json
import math
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.margin_reference.account import equity
from core.margin_reference.case import Case, Digital, Model, read_file
from core.margin_reference.links import spread
from core.margin_reference.links import value as reference_value
from tools.commands.risk import risk
from tools.risk.assumptions import PLAIN, AssumptionError, Assumptions, Link
from tools.risk.events import component as event_component
from tools.risk.events import implied
from tools.risk.measure import maximum_loss, measure
from tools.risk.prices import moves, student_four, value

PUBLISHED = Path(__file__).parents[2] / "core" / "margin_reference" / "published_cases.json"
PARAMETERS: dict[str, Any] = json.loads(PUBLISHED.read_text())["underlying_params"]


def group(name: str, *outcomes: tuple[str, int, str], kind: str = "exclusive",
          **more: Any) -> dict[str, Any]:
    listed = [{"name": n, "qty": str(q), "mark": m} for n, q, m in outcomes]
    return {"name": name, "kind": kind, "outcomes": listed, **more}


def account(usdc: str = "100000", underlyings: list[Any] | None = None,
            groups: list[Any] | None = None) -> tuple[Case, Model]:
    content = {"underlying_params": PARAMETERS, "cases": [
        {"id": "x", "usdc": usdc, "underlyings": underlyings or [], "groups": groups or []}]}
    model, (case,) = read_file(content)
    return case, model


def test_a_rare_outcome_sold_short() -> None:
    """The published example, from an account's positions: every figure to the cent."""
    case, model = account(groups=[group("RARE", ("YES", -10_000, "0.008"))])
    figures, _ = measure(case, model, PLAIN)
    assert figures.value_at_risk == -80
    assert figures.expected_shortfall == pytest.approx(3120, abs=1e-6)
    assert figures.maximum_loss == 9920
    assert figures.contributions == {"RARE:YES": pytest.approx(3120, abs=1e-6)}


def test_two_events_sold_short() -> None:
    """The published figures less the premium that both brought: 500 and 600."""
    case, model = account(groups=[
        group("A", ("YES", -5000, "0.10")), group("B", ("YES", -20_000, "0.03"))])
    for rho, expected in ((0.0, 20_600), (0.3, 21_593), (0.7, 23_933)):
        assumed = Assumptions(probability_min=0, model_error=0, misresolution=0, rho=rho)
        figures, _ = measure(case, model, assumed)
        assert round(figures.expected_shortfall) == expected - 1100
        assert figures.band["independent"] == pytest.approx(19_500, abs=1e-6)
        assert figures.band["worst"] == pytest.approx(23_900, abs=1e-6)
        assert figures.maximum_loss == 23_900
        assert sum(figures.contributions.values()) == pytest.approx(expected - 1100, abs=0.5)
    assert [s.outcomes for s in figures.worst] == [
        {"A": "YES", "B": "YES"}, {"A": "none", "B": "YES"}, {"A": "YES", "B": "none"},
        {"A": "none", "B": "none"},
    ]


def test_the_published_cases_all_have_figures() -> None:
    model, cases = read_file(json.loads(PUBLISHED.read_text()))
    for case in cases:
        figures, distribution = measure(case, model, Assumptions(price_atoms=200))
        assert figures.value_at_risk <= figures.expected_shortfall + 1e-6
        if figures.maximum_loss is not None:
            assert figures.expected_shortfall <= figures.maximum_loss + 1e-6
        assert sum(figures.contributions.values()) == pytest.approx(
            figures.expected_shortfall, abs=2 * distribution.lattice.step + 1e-6)


def digital(**fields: Any) -> dict[str, Any]:
    return {"type": "above", "qty": "-1000", "mark": "0.4", "tau_s": 864000, "strike": "105000",
            "name": "D", **fields}


def test_the_ten_worst_are_the_ten_worst() -> None:
    """Against all pairs; the loss is the difference of equities, liquidation the margin model's."""
    btc = {"name": "BTC", "params": "BTC", "index": "100000", "perp_qty": "0.2",
           "digitals": [digital(), digital(name="E", tau_s=3600, qty="500", strike="99000")]}
    sol = {"name": "SOL", "params": "SOL", "index": "200", "balance": "-50"}
    case, model = account("4000", [btc, sol], [
        group("CUP", ("A", 900, "0.5"), ("B", -700, "0.3")),
        group("VOTE", ("X", 100, "0.2"), ("Y", -400, "0.5"), ("Z", 50, "0.3"), kind="exhaustive")])
    assumed = Assumptions(price_atoms=100)
    figures, _ = measure(case, model, assumed)
    assert len(figures.worst) == 10
    for one in figures.worst:
        assert one.loss == pytest.approx(figures.now.equity - one.after.equity)
        assert one.liquidated == (one.after.equity < one.after.maintenance)
    assert any(one.liquidated for one in figures.worst)
    assert [w.loss for w in figures.worst] == sorted((w.loss for w in figures.worst), reverse=True)
    every = []
    strikes = [{"BTC": k / 100_000 - 1 - e} for k in (105_000, 99_000) for e in (0, 1e-9)]
    for move, cup, vote in itertools.product(
        [{"BTC": m, "SOL": m} for m in assumed.moves] + strikes,
        ((0, 0), (1, 0), (0, 1)), ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    ):
        delta = move.get("BTC", 0.0)
        loss = -0.2 * 100_000 * delta + 50 * 200 * move.get("SOL", 0.0)
        for d in case.underlyings[0].digitals:
            then = float(value(d, case.underlyings[0], 86_400, np.array([delta]))[0])
            loss += float(d.quantity) * (float(d.mark) - then)
        loss += sum(q * (m - v) for q, m, v in zip((900, -700), (0.5, 0.3), cup, strict=True))
        loss += sum(q * (m - v) for q, m, v in
                    zip((100, -400, 50), (0.2, 0.5, 0.3), vote, strict=True))
        every.append(loss)
    assert [w.loss for w in figures.worst] == pytest.approx(sorted(every, reverse=True)[:10])
    alone = {(*one.outcomes.items(),): one.loss for one in figures.outcomes}
    assert alone[(("CUP", "B"),)] == pytest.approx(900 * 0.5 + 700 * 0.7)
    assert len(alone) == 6


def test_links_are_worth_what_the_margin_model_says() -> None:
    """An open one by the same formula (of the aged column), an expired one its payoff."""
    btc = {"name": "BTC", "params": "BTC", "index": "100000", "digitals": [
        digital(), digital(name="U", type="below"),
        {"name": "R", "type": "range", "low": "95000", "high": "110000", "qty": "1",
         "mark": "0.5", "tau_s": 864000}]}
    case, model = account(underlyings=[btc])
    (underlying,) = case.underlyings
    values = {**model.values, "vol_lo": Fraction(1)}
    for link in underlying.digitals:
        for move in (-0.3, -0.05, 0.0, 0.01, 0.2):
            wide = spread(link, "lo", underlying.parameters["vol"], values)
            expected = reference_value(link, underlying.index, Fraction(repr(move)), wide)
            got = value(link, underlying, 86_400, np.array([move]))[0]
            assert got == pytest.approx(float(expected), abs=1e-6)
    expired = Digital("E", Fraction(100_000), None, Fraction(1), Fraction(1, 2), Fraction(3600))
    assert list(value(expired, underlying, 86_400, np.array([-1e-9, 0.0]))) == [0.0, 1.0]


def test_student_four_and_a_recorded_path() -> None:
    probabilities = np.array([0.001, 0.02, 0.3, 0.5000001, 0.9, 0.9999])
    scores = student_four(probabilities)
    square = scores**2 / 4
    back = 0.5 + 0.375 * scores / np.sqrt(1 + square) * (1 - scores**2 / (12 * (1 + square)))
    assert back == pytest.approx(probabilities, abs=1e-9)
    case, _ = account(underlyings=[{"name": "BTC", "params": "BTC", "index": "1", "balance": "1"}])
    (underlying,) = case.underlyings
    daily = 0.5 * math.sqrt(1 / 365)
    drawn = np.log1p(moves(underlying, Assumptions(price_atoms=50_000), None))
    assert drawn.std() == pytest.approx(daily, rel=0.02)
    path = tuple(np.random.default_rng(1).normal(0, 0.01, 500))
    recorded = np.log1p(moves(underlying, Assumptions(returns={"BTC": path}), None))
    assert recorded.std() == pytest.approx(daily, rel=1e-9)
    wild = Link("G", "YES", "BTC", drift=-0.2, volatility_times=3)
    moved = np.log1p(moves(underlying, Assumptions(), wild))
    assert moved.mean() == pytest.approx(math.log(0.8), abs=1e-6)
    assert moved.std() == pytest.approx(3 * daily, rel=0.1)


def test_an_outcome_may_move_a_price() -> None:
    """ETF approved or not: with the link the two losses come together."""
    btc = {"name": "BTC", "params": "BTC", "index": "100000", "balance": "1"}
    etf = group("ETF", ("YES", 10_000, "0.95"))
    case, model = account(underlyings=[btc], groups=[etf])
    apart, _ = measure(case, model, PLAIN)
    link = Link("ETF", "none", "BTC", drift=-0.3)
    together, _ = measure(case, model, Assumptions(
        probability_min=0, model_error=0, misresolution=0, links=(link,)))
    assert apart.expected_shortfall < 9500 + 12_000
    assert together.expected_shortfall > 9500 + 30_000
    assert set(together.contributions) == {"ETF:YES", "BTC"}
    assert sum(together.contributions.values()) == pytest.approx(
        together.expected_shortfall, abs=10)
    for wrong in (Link("NO", "YES", "BTC"), Link("ETF", "NO", "BTC"), Link("ETF", "YES", "SOL")):
        with pytest.raises(AssumptionError, match="there is no"):
            measure(case, model, Assumptions(links=(wrong,)))


def test_the_greatest_loss_is_exact() -> None:
    btc = {"name": "BTC", "params": "BTC", "index": "100000"}
    short = {**btc, "perp_qty": "-1"}
    assert maximum_loss(account(underlyings=[short])[0]) is None
    hedged = {**btc, "balance": "1", "perp_qty": "-1", "digitals": [
        digital(), digital(name="E", strike="90000", qty="400", mark="0.7")]}
    # Worst above both strikes: the short loses 0.6 each, the long gains 0.3 each.
    assert maximum_loss(account(underlyings=[hedged])[0]) == 600 - 120
    fully, _ = account(underlyings=[{**btc, "balance": "0.5"}])
    assert maximum_loss(fully) == 50_000


def test_the_marks_are_the_probabilities() -> None:
    def of(*outcomes: tuple[str, int, str], kind: str, **more: Any) -> list[float]:
        case, _ = account(groups=[group("G", *outcomes, kind=kind, **more)])
        return list(implied(case.groups[0]))

    three = (("A", 1, "0.5"), ("B", 1, "0.2"), ("C", 1, "0.1"))
    assert of(*three, kind="exclusive") == pytest.approx([0.2, 0.5, 0.2, 0.1])
    assert of(*three, kind="exhaustive") == pytest.approx([0.625, 0.25, 0.125])
    assert of(*three, kind="nested") == pytest.approx([0.5, 0.3, 0.1, 0.1])
    points = [["0", "0"], ["1", "0"], ["0", "1"], ["0.5", "0.5"]]
    weights = of(("A", 1, "0.4"), ("B", 1, "0.3"), kind="explicit", vertices=points)
    mean = np.array(weights) @ np.array(points, float)
    assert mean == pytest.approx([0.4, 0.3], abs=1e-4)
    assert sum(weights) == pytest.approx(1)


def test_assumptions_work_against_the_account() -> None:
    case, _ = account(groups=[group("G", ("YES", -100, "0.004"))])
    made, names = event_component(case.groups[0], Assumptions())
    assert names == ("YES", "resolved to the marks", "none")
    assert made.probabilities == pytest.approx(
        [0.05 * 0.995, 0.005, 0.95 * 0.995])  # Floored at 2 %, and 3 points of error.
    assert made.totals[1] == pytest.approx(0)
    assert equity(case) == 100_000 - Fraction(4, 10)


@pytest.mark.parametrize("unit", [
    {"perp_qty": "-300000000", "digitals": ["90000000000", "100000", None]},  # all there can be
    {"perp_qty": "0.00000001"},
    {"perp_qty": "-1", "digitals": ["1000", "0.000000000000000001", None]},
    {"digitals": ["1", "0.000000000000000001", "1000000000000000"]},
])
def test_amounts_and_strikes_at_their_bounds_have_figures(unit: dict[str, Any]) -> None:
    if "digitals" in unit:
        quantity, low, high = unit["digitals"]
        link = {"name": "D", "qty": quantity, "mark": "0.5", "tau_s": 864_000}
        link |= {"type": "range", "low": low, "high": high} if high else {
            "type": "above", "strike": low}
        unit = {**unit, "digitals": [link]}
    case, model = account(underlyings=[{"name": "BTC", "index": "100000", **unit}])
    figures, distribution = measure(case, model, Assumptions())
    assert distribution.probabilities.sum() == pytest.approx(1)
    assert figures.value_at_risk <= figures.expected_shortfall * (1 + 1e-9)
    if figures.maximum_loss is not None:
        assert figures.expected_shortfall <= figures.maximum_loss + figures.lattice_step
    assert all(math.isfinite(scenario.loss) for scenario in figures.worst)


def test_a_volatility_that_says_nothing_is_refused() -> None:
    model, (case,) = read_file({
        "underlying_params": {"BTC": {**PARAMETERS["BTC"], "vol": "100"}},
        "cases": [{"id": "x", "underlyings": [{"name": "BTC", "index": "1", "perp_qty": "1"}]}]})
    with pytest.raises(AssumptionError, match="volatility: 100 a year would move BTC by more"):
        measure(case, model, Assumptions())


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    picture = tmp_path / "risk.png"
    assert risk(PUBLISHED, case="C08b", plot=picture) == 0
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert "BTC-PERP" in capsys.readouterr().out
    assert risk(PUBLISHED, case="C05", json=True, rho=0.0) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["id"] == "C05"
    assert set(said["band"]) == {"independent", "assumed", "worst"}
    edited = tmp_path / "assumed.toml"
    edited.write_text("rho = 0.1\n[volatility]\nBTC = 0.9\n")
    assert risk(PUBLISHED, case="C01", assumptions=edited) == 0
    capsys.readouterr()
    assert risk() == 2
    assert risk(PUBLISHED, plot=picture) == 1
    assert risk(PUBLISHED, case="C01", rho=1.5) == 1
    assert "rho: expected 0 to below 1, was 1.5" in capsys.readouterr().err
    edited.write_text("row = 0.1\n")
    assert risk(PUBLISHED, assumptions=edited) == 1
    assert risk(account="nobody", instance="no-such-exchange", data=tmp_path) == 1
