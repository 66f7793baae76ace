"""Recurring predictions: they list, resolve and go by themselves, and agree with a real venue."""

import csv
import gzip
import json
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from core.sidecars.oracle.rules import kept
from core.sidecars.oracle.series import Series
from core.sidecars.oracle.sources import ONE, SECOND
from tests.core.sidecars.stage import Stage
from tests.core.sidecars.test_oracle import Scene, of
from tests.recordings import RECORDINGS, needs

RECORDED = RECORDINGS / "polymarket_updown"
MINUTE = 60 * SECOND
FIVE = Series("BTC", 5 * MINUTE, 30 * SECOND, ONE // 100, ONE, 255)


def at(stage: Stage, text: str) -> None:
    stage.now = int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * SECOND


def test_one_after_the_other_each_at_the_price_that_settled_the_last(stage: Stage) -> None:
    at(stage, "2026-03-01 11:58:00")
    stage.venue()
    scene = Scene(stage, series=(FIVE,), interval_ns=5 * SECOND)
    taken = []
    for step in range(12 * 17 + 2):
        scene.price += ONE if step % 100 < 60 else -2 * ONE
        taken += scene.run(5)
        if step % 50 == 49:
            scene.restart()
    listed = of(taken, "ListInstrument")
    assert [f["symbol"] for f in listed] == [
        "BTC-UP5-2603011200", "BTC-UP5-2603011205", "BTC-UP5-2603011210", "BTC-UP5-2603011215"
    ]
    assert [f["instrument"] for f in listed] == [255, 254, 253, 252]
    resolved = of(taken, "ResolveInstrument")
    assert [f["instrument"] for f in resolved] == [255, 254, 253]
    # The strike of each is what settled the one before.
    assert [f["lowerStrike"] for f in listed[1:]] == [f["settlementPrice"] for f in resolved]
    for market, outcome in zip(listed, resolved, strict=False):
        above = outcome["settlementPrice"] > market["lowerStrike"]
        assert outcome["payout"] == (ONE if above else 0)
    assert [f["instrument"] for f in of(taken, "DelistInstrument")] == [255, 254, 253]
    assert {f["payout"] for f in resolved} == {0, ONE}
    # What a market is listed under says all that decides it.
    for market in listed:
        rules = json.loads(kept(scene.oracle.store.connection, market["rulesHash"]) or "{}")
        assert rules["market"] == market["symbol"]
        assert round(float(rules["low"]) * ONE) == market["lowerStrike"]
        assert (rules["averaging_seconds"], rules["underlying"]) == (30, "BTC")
        assert datetime.fromisoformat(rules["expires"]).timestamp() * SECOND == market["expiry"]


def test_a_number_is_used_again_and_nothing_of_the_old_market_is_left(stage: Stage) -> None:
    """Numbers 1 to 4 are the venue's, 5 and 6 the series': each serves every other market."""
    at(stage, "2026-03-01 11:58:00")
    stage.venue()
    series = Series("BTC", 5 * MINUTE, 30 * SECOND, ONE // 100, ONE, 6)
    scene = Scene(stage, series=(series,), interval_ns=5 * SECOND)
    taken = []
    for step in range(12 * 32 + 2):
        scene.price += ONE if step % 100 < 60 else -2 * ONE
        taken += scene.run(5)
        if step % 60 == 59:
            scene.restart()
    listed, resolved = of(taken, "ListInstrument"), of(taken, "ResolveInstrument")
    assert [f["instrument"] for f in listed] == [6, 5, 6, 5, 6, 5, 6]
    assert len({f["symbol"] for f in listed}) == 7
    assert [f["instrument"] for f in resolved] == [6, 5, 6, 5, 6, 5]
    assert [f["lowerStrike"] for f in listed[1:]] == [f["settlementPrice"] for f in resolved]
    # Each market got marks of its own, though its number had had some before.
    marks = [(n, f) for n, f in taken if n in ("ListInstrument", "SetMarkPrice")]
    for place, (name, fields) in enumerate(marks):
        if name == "ListInstrument" and fields["symbol"] != listed[-1]["symbol"]:
            follows = [f["instrument"] for n, f in marks[place + 1 :] if n == "SetMarkPrice"]
            assert fields["instrument"] in follows[:40]
    symbols = scene.oracle.reference.instruments_by_symbol
    assert {s for s in symbols if s.startswith("BTC-UP5")} == {f["symbol"] for f in listed[-2:]}


def test_no_market_without_a_live_index_nor_late_in_the_period(stage: Stage) -> None:
    at(stage, "2026-03-01 12:03:00")
    stage.venue()
    scene = Scene(stage, series=(FIVE,), interval_ns=5 * SECOND)
    taken = []
    for _ in range(12 * 3):
        taken += scene.run(5)
    assert [f["symbol"] for f in of(taken, "ListInstrument")] == ["BTC-UP5-2603011205"]


def _bars() -> dict[int, tuple[float, float]]:
    with gzip.open(RECORDED / "binance_btc.csv.gz", "rt") as file:
        return {
            int(datetime.fromisoformat(row["open_time"]).replace(tzinfo=UTC).timestamp()):
            (float(row["open"]), float(row["close"]))
            for row in csv.DictReader(file)
        }


def _outcomes() -> Iterator[tuple[int, float]]:
    with gzip.open(RECORDED / "polymarket_btc.csv.gz", "rt") as file:
        for row in csv.DictReader(file):
            yield int(row["slug"].rpartition("-")[2]), float(row["yes_price"])


def _resolved_markets(taken: list[tuple[str, dict[str, Any]]]) -> list[tuple[Any, Any]]:
    """Each resolution with the market that its number meant then: numbers are used again."""
    listed: dict[int, dict[str, Any]] = {}
    pairs = []
    for name, fields in taken:
        if name == "ListInstrument":
            listed[fields["instrument"]] = fields
        elif name == "ResolveInstrument":
            pairs.append((listed[fields["instrument"]], fields))
    return pairs


@needs(RECORDED)
@pytest.mark.timeout(300)
def test_recorded_five_minute_markets_resolve_by_themselves(
    stage: Stage, capsys: pytest.CaptureFixture[str]
) -> None:
    """Six hours of a venue's markets over recorded one-minute bars, the price straight between.

    The venue settles on another source (an on-chain feed, at one instant) and we on an average of
    half a minute of another exchange's prices: markets that end within a few dollars may differ.
    """
    bars, outcomes = _bars(), dict(_outcomes())
    begin = min(outcomes)
    stage.now = (begin - 120) * SECOND
    stage.venue()
    series = Series("BTC", 5 * MINUTE, 30 * SECOND, ONE // 100, ONE, 100_000)
    scene = Scene(stage, series=(series,), interval_ns=10 * SECOND)
    taken = []
    for _ in range(6 * 360 + 13):
        second = stage.now // SECOND + 10
        opened, closed = bars[second - second % 60]
        scene.price = round((opened + (closed - opened) * (second % 60) / 60) * ONE)
        taken += scene.run(10)
    pairs = _resolved_markets(taken)
    assert len(pairs) == 72
    agree, apart = 0, []
    for market, outcome in pairs:
        recorded = outcomes[market["expiry"] // SECOND - 300]
        same = (outcome["payout"] == ONE) == (recorded == 1.0)
        agree += same
        if not same:
            apart.append(abs(outcome["settlementPrice"] - market["lowerStrike"]) / ONE)
    with capsys.disabled():
        sys.stdout.write(
            f"\n{agree} of {len(pairs)} recorded markets agree; the others ended within "
            f"{max(apart, default=0):.0f} USD of their strike\n"
        )
    assert agree / len(pairs) > 0.9
    assert max(apart, default=0) < 40
