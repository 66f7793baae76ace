"""What each hedge on offer frees."""

from fractions import Fraction
from io import StringIO
from typing import Any

from rich.console import Console

from tests.core.engine.margin.books import bitcoin, content, digital
from tools.hedges import on_offer
from tools.margin_cases import compute
from tools.margin_live import show_wishes
from tools.what_if import parse

SOLD = digital("A", "above", "-10000", "0.50", 24 * 30, ("100000", "105000"))


def judged(**case: Any) -> dict[str, Any]:
    return compute(content(**case))


def initial(computed: dict[str, Any]) -> Fraction:
    return Fraction(computed["cases"][0]["expected"]["im"])


def test_a_sold_link_is_hedged_by_its_perpetual_or_bought_back() -> None:
    unit = bitcoin(perp_qty="0", perp_mark="100000", perp_last_settle="100000", digitals=[SOLD])
    before = judged(usdc="15000", underlyings=[unit])
    hedges = on_offer(before, compute)
    back, perpetual = hedges
    assert (back.label, back.freed) == ("buy 10000 of A", initial(before))
    assert perpetual.label.startswith("buy 0.")
    assert perpetual.label.endswith("of the BTC perpetual")
    assert 0 < perpetual.freed == initial(before) - initial(perpetual.content)


def test_of_an_event_the_outcomes_are_on_offer() -> None:
    outcomes = [{"name": "A", "qty": "-100", "mark": "0.30"},
                {"name": "B", "qty": "0", "mark": "0.70"}]
    group = {"name": "G", "kind": "exhaustive", "outcomes": outcomes}
    before = judged(usdc="200", groups=[group])
    assert initial(before) == 70
    freed = {hedge.label: hedge.freed for hedge in on_offer(before, compute)}
    # Who sold 100 of A has as much at stake as who bought 100 of B: selling these ends it as well.
    assert freed == {"buy 100 of A": 70, "sell 100 of B": 70}


def test_who_risks_nothing_is_offered_nothing() -> None:
    unit = bitcoin(perp_qty="0", perp_mark="100000", perp_last_settle="100000")
    assert on_offer(judged(usdc="100", underlyings=[unit]), compute) == []


def test_the_table_says_what_each_frees() -> None:
    unit = bitcoin(perp_qty="0", perp_mark="100000", perp_last_settle="100000")
    file = content(usdc="50000", underlyings=[unit])
    written = StringIO()
    console = Console(file=written, width=120)
    place = {"kind": "perp", "underlying": "BTC"}
    show_wishes(file, [(place, parse("buy 2 BTC-PERP @ 101000"))], compute, console)
    shown = [line.split("│") for line in written.getvalue().splitlines() if "│" in line]
    rows = {row[1].strip(): [cell.strip() for cell in row[2:-1]] for row in shown}
    assert rows["now"] == ["50,000.00", "0.00", "0.00", "50,000.00", ""]
    assert rows["orders resting"][1] == "22,000.00"
    assert rows["orders filled"][:2] == ["48,000.00", "20,000.00"]
    assert rows["then sell 2 of the BTC perpetual"] == [
        "48,000.00", "0.00", "0.00", "48,000.00", "20,000.00"]
