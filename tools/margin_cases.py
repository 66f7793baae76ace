"""Accounts written down in a case file, judged by the core's own compiled margin functions.

The file is read by the reference's reader, which is only about fields. Risk arrays come from the
formulas of the oracle, and core.engine.margin does the rest: what is here writes what it found as
text. `tools.margin_view` fills its records.
"""

from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.engine.margin.account import borrow_cost, judge_group, strict_cost, sum_of
from core.engine.margin.unit import judge_unit
from core.margin_records import INITIAL, MAINTENANCE, MONEY_ONE, RESULT
from core.margin_reference.account import filled, verdict
from core.margin_reference.case import Case, Model, Underlying
from core.margin_reference.unit import decimal
from core.wide import join
from tools.margin_view import GroupView, UnitView, money, rate

SNAP = 10**17  # Sums of rounded products are exact to some 1e-18; cents are decided on this.
COMPONENTS = ("scan", "stand", "size", "spot", "hedge", "borrow", "cap", "floor")
SUFFIX = {INITIAL: "im", MAINTENANCE: "mm"}

Words = NDArray[np.int64]


def compute(content: dict[str, Any]) -> dict[str, Any]:
    """A decoded case file with `expected` filled in for each case. Raises CaseError."""
    return filled(content, expected)


def expected(case: Case, model: Model) -> dict[str, Any]:
    """Everything `expected` says of a case: amounts to the cent, components on 1e-6."""
    units = [UnitView(underlying, model) for underlying in case.underlyings]
    groups = [GroupView(group) for group in case.groups]
    required, parts = {}, {}
    for kind in (INITIAL, MAINTENANCE):
        total, parts[kind] = _requirement(case, model, units, groups, kind)
        required[kind] = _snapped(total)
    worth = _snapped(_equity(case, units, groups))
    return {
        **verdict(worth, required[INITIAL], required[MAINTENANCE]),
        "im_parts": parts[INITIAL], "mm_parts": parts[MAINTENANCE],
        "risk_arrays": {name: rows for unit in units for name, rows in unit.arrays()},
    }


def _equity(case: Case, units: list[UnitView], groups: list[GroupView]) -> Words:
    parts = [money(case.usdc)]
    for u in case.underlyings:
        parts.append(money(u.balance * u.index))
        parts.append(money(u.quantity * (u.mark - u.last_settle)))
    for marked in (*(unit.marked() for unit in units), *(group.marked() for group in groups)):
        parts += marked
    return _sum(parts)


def _requirement(
    case: Case, model: Model, units: list[UnitView], groups: list[GroupView], kind: int
) -> tuple[Words, dict[str, Any]]:
    """The requirement of a kind, and its parts as text."""
    totals: list[Words] = []
    parts: dict[str, Any] = {}
    for unit in units:
        result = np.zeros(1, RESULT)
        judge_unit(
            unit.unit[0], unit.lines, unit.linear_orders, unit.link_orders, unit.nodes, kind,
            result[0],
        )
        totals.append(result[0]["total"])
        parts[f"unit:{unit.name}"] = _unit_parts(unit, result[0], kind)
    for group in groups:
        loss = np.zeros(2, np.int64)
        judge_group(
            group.kind, group.lines, group.orders, group.vertices, group.gains, loss)
        totals.append(loss)
        text = _text(loss)
        parts[f"group:{group.name}"] = {"max_loss": text, "credit": "0", "total": text}
    debt = np.zeros(2, np.int64)
    borrow_cost(money(case.usdc), rate(model.values[f"beta_usdc_{SUFFIX[kind]}"]), debt)
    totals.append(debt)
    parts["usdc_borrow"] = _text(debt)
    if kind == INITIAL:
        at_worse = _sum([_strict(underlying) for underlying in case.underlyings])
        totals.append(at_worse)
        parts["strict"] = _text(at_worse)
    return _sum(totals), parts


def _strict(u: Underlying) -> Words:
    cost = np.zeros(2, np.int64)
    strict_cost(money(u.balance * u.index), money(u.balance * u.stable), cost)
    return cost


def _sum(parts: list[Words]) -> Words:
    total = np.zeros(2, np.int64)
    sum_of(np.array(parts, np.int64).reshape(-1, 2), total)
    return total


def _unit_parts(unit: UnitView, result: Any, kind: int) -> dict[str, str]:
    parts = {name: _text(result[name]) for name in COMPONENTS}
    if not result["capped"]:
        parts["cap"] = "inf"
    parts["core_after_cap_floor"] = _text(result["core"])
    parts["total"] = _text(result["total"])
    found = int(result["node"]) >= 0
    parts["worst_node"] = unit.scenario(
        int(result["node"]), int(result["column"]), kind) if found else ""
    return parts


def _snapped(words: Words) -> Fraction:
    """Wide money in USDC, to the nearest 1e-17."""
    return Fraction(round(Fraction(_whole(words) * SNAP, MONEY_ONE)), SNAP)


def _text(words: Words) -> str:
    return decimal(_snapped(words))


def _whole(words: Words) -> int:
    return join(int(words[0]), int(words[1]))
