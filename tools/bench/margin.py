"""Margin: what judging an account costs, by the functions that judge orders and case files.

    order check   a unit with a perpetual, one price link and an order, initially: 19 nodes × 4
                  columns, 76 scenario values, and every other component
    event check   an exclusive event of eight outcomes and none: nine vertices
    fill          a perpetual's position and its account's sums brought up to a new quantity
    tick          units of one perpetual brought up to its mark, account after account
    population    fills at random, and ticks, with a thousand and with a million accounts
    orders        the whole core, by how many accounts and books there are (tools.bench.population)

The baseline copies as many bytes as the 76 values have. Figures are processor time, the median of
repeats.
"""

import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.config import Limits
from core.engine.margin.events import least_payoff
from core.engine.margin.linear import refresh_linear
from core.engine.margin.unit import judge_unit
from core.jit import jit
from core.margin_records import INITIAL, RESULT
from core.margin_reference.case import read_file
from core.state import new_state
from sbe.generated import order_entry as oe
from tools.bench.population import measure_populations
from tools.margin_view import UnitView

REPEATS = 9
CHECKS, EVENTS, FILLS = 20_000, 2_000_000, 2_000_000
ORDERS = 400_000
OUTCOMES = 8
PERPETUAL = 1
_DAY = 86_400

Numbers = NDArray[np.int64]


def case_file() -> dict[str, Any]:
    """A short price link hedged with a perpetual, one link settling today, an order."""
    parameters = {
        "sigma_im": "0.10", "sigma_mm": "0.06", "f_im": "0.00002", "f_mm": "0.000012",
        "ch_im": "0.005", "ch_mm": "0.0025", "w0": "0.98", "wb": "1.10", "pen": "0.00002",
        "beta_im": "0.02", "beta_mm": "0.01", "vol": "0.50",
    }
    link = {"name": "L", "type": "above", "qty": "-10000", "mark": "0.20", "tau_s": _DAY,
            "strike": "120000"}
    order = {"kind": "perp", "underlying": "BTC", "side": "buy", "qty": "0.1", "price": "99000"}
    unit = {"name": "BTC", "params": "BTC", "index": "100000", "perp_qty": "0.28",
            "digitals": [link]}
    return {"underlying_params": {"BTC": parameters},
            "cases": [{"id": "B", "underlyings": [unit], "orders": [order]}]}


@jit
def _check_orders(
    unit: Any, lines: Any, linear: Any, links: Any, nodes: Any, result: Any, count: int
) -> None:
    for number in range(count):
        linear[0].notional[1] += number & 1  # So that nothing is known from the last time.
        judge_unit(unit[0], lines, linear, links, nodes, INITIAL, result[0])


@jit
def _check_events(gains: Numbers, count: int) -> int:
    found = 0
    for number in range(count):
        gains[number & 7] = number
        found += least_payoff(oe.EVENT_KIND_EXCLUSIVE, -number, gains, OUTCOMES)
    return found


@jit
def _fill(state: Any, count: int, places: Numbers) -> None:
    s = state[0]
    for number in range(count):
        position = s.positions[places[number]]
        position.quantity += 1 - 2 * (number & 1)
        refresh_linear(s, position)


@jit
def _copy(source: Numbers, target: Numbers, count: int) -> None:
    for number in range(count):
        source[0] = number
        for place in range(len(source)):
            target[place] = source[place]


def _median(call: Any, count: int, *arguments: Any) -> float:
    """Processor ns for each of `count`, the median; the first call compiles."""
    taken = []
    for _ in range(REPEATS + 1):
        begin = time.thread_time_ns()
        call(*arguments)
        taken.append((time.thread_time_ns() - begin) / count)
    return float(np.median(taken[1:]))


def measure(operations: int = FILLS, orders: int = ORDERS) -> dict[str, Any]:
    """Every part; `operations` fills and re-evaluations, and so many whole orders (0 none)."""
    scenarios, check, values = _measure_check()
    gains = np.zeros(OUTCOMES, np.int64)
    event = _median(_check_events, EVENTS, gains, EVENTS)
    populations = {f"{count:_}": _measure_fills(count, operations)
                   for count in (1_000, 1_000_000)}
    few, many = populations.values()
    return {
        "order_check": {"scenario_values": scenarios, "ns": check},
        "event_check": {"vertices": OUTCOMES + 1, "ns": event},
        "fill": {"ns": few["random_ns"]},
        "tick": {"units_per_second": 1e9 / many["walk_ns"]},
        "population": populations,
        "orders": measure_populations(orders) if orders else {},
        "baseline": {"name": "copy of the scenario values", "ns": values},
    }


def _measure_check() -> tuple[int, float, float]:
    """(scenario values, ns of a check, ns of copying them)."""
    model, [case] = read_file(case_file())
    view = UnitView(case.underlyings[0], model)
    kept = np.array([node["weight"][INITIAL].any() for node in view.nodes])
    scenarios = int(kept.sum()) * int(view.unit[0]["columns"])
    result = np.zeros(1, RESULT)
    check = _median(
        _check_orders, CHECKS, view.unit, view.lines, view.linear_orders, view.link_orders,
        view.nodes, result, CHECKS)
    source, target = np.zeros(2 * scenarios, np.int64), np.zeros(2 * scenarios, np.int64)
    return scenarios, check, _median(_copy, CHECKS, source, target, CHECKS)


def _measure_fills(accounts: int, count: int) -> dict[str, float]:
    """Position after position in order, and at random, of so many accounts with one each."""
    limits = Limits(accounts_max=accounts + 200, positions_max=accounts + 200)
    state = new_state(limits)
    s = state[0]
    book = s["instruments"][PERPETUAL]
    book["kind"], book["mark_value"] = oe.INSTRUMENT_KIND_PERPETUAL, 1_000_000
    book["margin_base_initial"], book["margin_base_maintenance"] = 100_000, 60_000
    book["margin_factor_initial"], book["size_threshold_initial"] = 20_000, 25 * 10**12
    first, last = 100, 100 + accounts
    positions = s["positions"][first:last]
    positions["account"] = np.arange(first, last)
    positions["instrument"] = PERPETUAL
    walk = np.resize(np.arange(first, last), count)
    dice = np.random.default_rng(1).integers(first, last, count)
    return {
        "walk_ns": _median(_fill, count, state, count, walk),
        "random_ns": _median(_fill, count, state, count, dice),
    }
