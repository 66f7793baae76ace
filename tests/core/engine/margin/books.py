"""Random books of one account for the guarantees, and what they lose in a scenario."""

from collections.abc import Callable
from fractions import Fraction
from typing import Any

from hypothesis import strategies as st

from core.margin_reference.case import Case, Underlying, read_file
from core.sidecars.oracle import valuation
from tools.margin_cases import compute

DAY = 86_400
SIGMA = Fraction("0.06")  # for maintenance; 0.10 initially
PARAMETERS = {
    "sigma_im": "0.10", "sigma_mm": "0.06", "f_im": "0.00002", "f_mm": "0.000012",
    "ch_im": "0.005", "ch_mm": "0.0025", "w0": "0.98", "wb": "1.10", "pen": "0.00002",
    "beta_im": "0.02", "beta_mm": "0.01", "vol": "0.50",
}
Content = dict[str, Any]

prices = st.integers(1, 99).map(lambda cents: f"0.{cents:02d}")
faces = st.integers(-2_000, 2_000).map(str)
paid = st.integers(0, 2_000).map(str)
coins = st.integers(-30, 30).map(lambda hundredths: f"{hundredths / 100:.2f}")
held = st.integers(0, 30).map(lambda hundredths: f"{hundredths / 100:.2f}")
STRIKES = ("94000", "98000", "100000", "102000", "105000")
HOURS = (12, 20, 24 * 3, 24 * 30)


def digital(
    name: str, kind: str, quantity: str, mark: str, hours: int, strikes: tuple[str, str]
) -> Content:
    """A price link of a case file; `strikes` in order, of which one decides but for a range."""
    made: Content = {"name": name, "type": kind, "qty": quantity, "mark": mark,
                     "tau_s": hours * 3600}
    if kind == "range":
        return {**made, "low": strikes[0], "high": strikes[1]}
    return {**made, "strike": strikes[0]}


def digitals(quantities: st.SearchStrategy[str] = faces, most: int = 3) -> Any:
    """Up to so many price links, near the price, some of which settle today."""
    pairs = st.sampled_from([(a, b) for i, a in enumerate(STRIKES) for b in STRIKES[i + 1:]])
    one = st.tuples(
        st.sampled_from(("above", "below", "range")), quantities, prices, st.sampled_from(HOURS),
        pairs)
    return st.lists(one, max_size=most).map(
        lambda listed: [digital(f"L{i}", *entry) for i, entry in enumerate(listed)])


def bitcoin(**more: Any) -> Content:
    """One underlying of a case, at 100,000."""
    return {"name": "BTC", "params": "BTC", "index": "100000", **more}


def content(**case: Any) -> Content:
    """A file with one account."""
    return {"underlying_params": {"BTC": PARAMETERS}, "cases": [{"id": "P", **case}]}


def judged(**case: Any) -> Content:
    """What the core expects of one account."""
    expected: Content = compute(content(**case))["cases"][0]["expected"]
    return expected


def number(text: str) -> Fraction:
    """An amount of `expected`."""
    return Fraction(text)


def read(**case: Any) -> Case:
    """The account as exact numbers."""
    return read_file(content(**case))[1][0]


def loss(unit: Underlying, move: Fraction, beyond: bool, settled: bool, high: bool) -> Fraction:
    """What positions in full lose if the price moves, by the model's own values.

    Links of today settle or don't; those alive are worth what high or low volatility makes of them.
    """
    lost = -(unit.balance * unit.index + unit.quantity * unit.mark) * move
    for held_link in unit.digitals:
        contract = valuation.Contract(held_link.low, held_link.high, held_link.mark)
        if settled and held_link.seconds <= DAY:
            worth = Fraction(valuation.pays(contract, unit.index * (1 + move), beyond))
        else:
            scale = Fraction("1.3") if high else Fraction("0.7")
            horizon = held_link.seconds if high else Fraction(DAY)
            spread = valuation.spread(Fraction(1, 2), scale, held_link.seconds, horizon)
            worth = Fraction(
                valuation.alive(contract, unit.index, move, spread), valuation.MILLION)
        lost -= held_link.quantity * (worth - held_link.mark)
    return lost


Check = Callable[..., None]
