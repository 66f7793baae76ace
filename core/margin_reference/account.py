"""An account's three numbers with all their components, as a case file's `expected` has them.

    E   = usdc + Σ b P + Σ q (M − last settled) + Σ q m
    R_k = Σ units + Σ events + beta_usdc × debt + [initial] STRICT
"""

from collections.abc import Callable
from fractions import Fraction
from math import ceil, floor
from typing import Any

from core.margin_reference import group, unit
from core.margin_reference.case import Case, Model, Underlying, read_file
from core.margin_reference.unit import ZERO, Unit, decimal, plain

CENT = 100
Judge = Callable[[Case, Model], dict[str, Any]]


def compute(content: dict[str, Any]) -> dict[str, Any]:
    """A decoded case file with `expected` filled in for each case. Raises CaseError."""
    return filled(content, expected)


def filled(content: dict[str, Any], judge: Judge) -> dict[str, Any]:
    """A decoded case file with what a judge expects of each case. Raises CaseError."""
    model, cases = read_file(content)
    judged = [
        {**entry, "expected": judge(case, model)}
        for entry, case in zip(content.get("cases", []), cases, strict=True)
    ]
    return {**content, "cases": judged}


def equity(case: Case) -> Fraction:
    """What the account is worth, in USDC."""
    worth = case.usdc
    for u in case.underlyings:
        worth += u.balance * u.index + u.quantity * (u.mark - u.last_settle)
        worth += sum((d.quantity * d.mark for d in u.digitals), ZERO)
    for g in case.groups:
        worth += sum((o.quantity * o.mark for o in g.outcomes), ZERO)
    return worth


def strict(underlying: Underlying) -> Fraction:
    """What counting at the worse of index and stable price costs."""
    index, stable, balance = underlying.index, underlying.stable, underlying.balance
    held = max(ZERO, balance) * (index - min(index, stable))
    return held + max(ZERO, -balance) * (max(index, stable) - index)


def expected(case: Case, model: Model) -> dict[str, Any]:
    """Everything `expected` says of a case: amounts to the cent, components on 1e-6."""
    initial, initial_parts = requirement(case, model, "im")
    maintenance, maintenance_parts = requirement(case, model, "mm")
    return {
        **verdict(equity(case), initial, maintenance),
        "im_parts": initial_parts, "mm_parts": maintenance_parts,
        "risk_arrays": {
            d.name: risk_array(d, u, model) for u in case.underlyings for d in u.digitals
        },
    }


def verdict(worth: Fraction, initial: Fraction, maintenance: Fraction) -> dict[str, Any]:
    """The three numbers on whole cents; what follows from them is decided before they are rounded.

    Otherwise a fully paid prediction worth half a cent, which nobody can liquidate, would seem to
    miss a cent: equity is rounded down and a requirement up.
    """
    return {
        "equity": _cents(floor(worth * CENT)),
        "im": _cents(ceil(initial * CENT)), "mm": _cents(ceil(maintenance * CENT)),
        "free_im": _cents(floor((worth - initial) * CENT)),
        "excess_mm": _cents(floor((worth - maintenance) * CENT)),
        "can_open": worth >= initial, "liquidatable": worth < maintenance,
    }


def requirement(case: Case, model: Model, kind: str) -> tuple[Fraction, dict[str, Any]]:
    """R_k for kind "im" or "mm", and its parts."""
    total = ZERO
    parts: dict[str, Any] = {}
    for underlying in case.underlyings:
        required = unit.requirement(underlying, model, kind)
        total += required.total
        parts[f"unit:{underlying.name}"] = _unit_parts(required)
    for event in case.groups:
        loss = group.requirement(event)
        total += loss
        parts[f"group:{event.name}"] = {
            "max_loss": decimal(loss), "credit": "0", "total": decimal(loss)
        }
    debt = model.values[f"beta_usdc_{kind}"] * max(ZERO, -case.usdc)
    total += debt
    parts["usdc_borrow"] = decimal(debt)
    if kind == "im":
        at_worse = sum((strict(u) for u in case.underlyings), ZERO)
        total += at_worse
        parts["strict"] = decimal(at_worse)
    return total, parts


def _unit_parts(required: Unit) -> dict[str, str]:
    return {
        "scan": decimal(required.scan), "stand": decimal(required.stand),
        "size": decimal(required.size), "spot": decimal(required.spot),
        "hedge": decimal(required.hedge), "borrow": decimal(required.borrow),
        "cap": "inf" if required.cap is None else decimal(required.cap),
        "floor": decimal(required.floor), "core_after_cap_floor": decimal(required.core),
        "total": decimal(required.total), "worst_node": required.worst,
    }


def risk_array(digital: Any, underlying: Underlying, model: Model) -> list[list[Any]]:
    """Its values at every node and column: [move, side, level, volatility, value]."""
    return [
        [decimal(node.move), node.side, plain(column.level), column.volatility,
         decimal(unit.link_value(digital, underlying, model, node, column))]
        for node in unit.nodes(underlying, model, "im")
        for column in unit.columns(underlying, model)
    ]


def _cents(cents: int) -> str:
    whole, rest = divmod(abs(cents), CENT)
    return f"{'-' if cents < 0 else ''}{whole}.{rest:02d}"
