"""Risk arrays as the oracle computes them, against the published ones and their own laws."""

import math
from typing import Any

import pytest

from core.sidecars.oracle.risk_arrays import EXTREMES, Link, Ranges, risk_arrays
from core.sidecars.oracle.sources import ONE, SECOND

NOW = 1_700_000_000 * SECOND
DAY = 86_400 * SECOND
RANGES = Ranges(100_000, 60_000)
ABOVE, BELOW, RANGE = 4, 5, 6


def link(
    number: int = 1, kind: int = ABOVE, low: int = 100_000, high: int = 0, days: float = 30,
    mark: float = 0.5,
) -> Link:
    expiry = NOW + int(days * DAY)
    return Link(number, kind, low * ONE, high * ONE, expiry, round(mark * ONE))


def table(*links: Link, index: int = 100_000) -> tuple[dict[str, Any], list[list[list[int]]]]:
    """The fields, and the values by link, node and column."""
    fields = risk_arrays(links, index * ONE, NOW, 0.5, RANGES)
    columns, nodes = fields["columns"], len(fields["nodes"])
    flat = [entry["value"] for entry in fields["values"]]
    assert len(flat) == columns * nodes * len(links)
    rows = [flat[i : i + columns] for i in range(0, len(flat), columns)]
    return fields, [rows[i : i + nodes] for i in range(0, len(rows), nodes)]


@pytest.mark.parametrize(("delta", "high", "low"), [
    # Case C08a of the model: above 100,000 in 30 days, marked 0.50, volatility 50 %.
    (-100_000, 285_903, 142_768), (-60_000, 369_930, 265_268), (-33_333, 427_821, 365_560),
    (0, 500_000, 500_000), (66_667, 635_453, 743_503), (100_000, 695_486, 833_001),
    (-330_000, 15_814, 25), (500_000, 985_216, 999_980), (2_000_000, 1_000_000, 1_000_000),
])
def test_a_digital_is_worth_what_the_model_publishes(delta: int, high: int, low: int) -> None:
    fields, ((*rows,),) = table(link())
    place = [node["delta"] for node in fields["nodes"]].index(delta)
    # The published grid takes exact thirds, the wire millionths.
    assert rows[place] == pytest.approx([high, low], abs=6)
    assert fields["arrays"] == [{"instrument": 1, "netted": 900}]


def test_above_and_below_are_complements_and_a_range_is_bounded() -> None:
    _, (above, below) = table(link(), link(2, BELOW, 0, 100_000))
    for one, other in zip(above, below, strict=True):
        assert [a + b for a, b in zip(one, other, strict=True)] == pytest.approx([10**6] * 2, abs=1)
    fields, (inside,) = table(link(3, RANGE, 95_000, 105_000, mark=0.3))
    deltas = [node["delta"] for node in fields["nodes"]]
    assert inside[deltas.index(0)] == [300_000, 300_000]
    assert all(0 <= value <= 10**6 for row in inside for value in row)
    assert inside[deltas.index(-330_000)][1] < 150_000


def test_a_settling_link_pays_on_each_side_of_its_strike() -> None:
    soon, later = link(1, low=102_000, days=0.5, mark=0.2), link(2)
    fields, (front, back) = table(soon, later)
    assert fields["columns"] == 4
    deltas = [node["delta"] for node in fields["nodes"]]
    before, after = (i for i, delta in enumerate(deltas) if delta == 20_000 and i > 12)
    assert front[before][2:] == [0, 0]
    assert front[after][2:] == [10**6, 10**6]
    assert front[before][:2] == front[after][:2]
    assert back[before][2:] == back[before][:2]
    assert front[deltas.index(-100_000)][2:] == [0, 0]
    assert front[deltas.index(100_000)][2:] == [10**6, 10**6]


def test_the_hedge_fades_in_the_last_hour() -> None:
    for minutes, netted in ((120, 900), (60, 900), (30, 450), (1, 15), (0.01, 0)):
        fields, _ = table(link(days=minutes / 1440))
        assert fields["arrays"][0]["netted"] == netted


def test_what_finds_no_room_is_not_netted() -> None:
    days = [link(number, days=number / 10) for number in range(1, 6)]  # Five expiries in a day.
    fields, _ = table(*days)
    assert [entry["netted"] for entry in fields["arrays"]] == [900, 900, 900, 0, 0]
    strikes = [link(n, low=95_000 + 300 * n, days=0.5) for n in range(30)]
    fields, _ = table(*strikes)
    assert len(fields["nodes"]) <= 64
    alone = [s.lower // ONE for s, entry in zip(strikes, fields["arrays"], strict=True)
             if entry["netted"] == 0]
    assert len(alone) == 30 - (64 - 13 - len(EXTREMES)) // 2
    netted = [s.lower // ONE for s in strikes if s.lower // ONE not in alone]
    assert max(abs(k - 100_000) for k in netted) <= min(abs(k - 100_000) for k in alone)


def test_the_grid_has_both_ends_of_both_ranges() -> None:
    fields, _ = table(link())
    deltas = {node["delta"] for node in fields["nodes"]}
    assert {100_000, -100_000, 60_000, -60_000, 0, *EXTREMES} <= deltas
    assert fields["version"] == NOW
    assert math.isclose(fields["index"], 100_000 * ONE)
