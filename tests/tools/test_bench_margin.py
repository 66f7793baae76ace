"""The measurement of margin measures what it says; no speed is asked of the machine here."""

from tools.bench import margin


def test_the_units_measured_are_those_it_names() -> None:
    result = margin.measure(operations=2_000, orders=0)
    assert result["order_check"]["scenario_values"] == 76
    assert result["event_check"]["vertices"] == 9
    assert set(result["population"]) == {"1_000", "1_000_000"}
    assert result["order_check"]["ns"] > result["baseline"]["ns"] > 0
    for measured in result["population"].values():
        assert measured["walk_ns"] > 0
        assert measured["random_ns"] > 0
