"""A live account as a case: read from the core's own state, which is mapped and never written.

Profit of perpetuals that isn't settled stands as USDC, which changes nothing but where it is
written. Resting orders are left out.
"""

import time
from collections.abc import Iterator, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import sbe.generated.order_entry as oe
from tools.live_account import account_number, parameters
from tools.running import Running

ONE = 10**8
MILLION, BILLION = 10**6, 10**9
_KINDS = {1: "exclusive", 2: "exhaustive", 3: "nested"}


def case_of(instance: str, data: Path, account: str) -> dict[str, Any]:
    """The content of a case file for an account, by name or number.

    Raises CoreError (not running, another layout, no such account) and ConfigurationError.
    """
    with Running(instance, data) as running:
        return running.read(
            lambda s: content_of(s, account, time.time_ns(), running.volatility))


def content_of(
    s: Any, account: str, now: int, volatility: Mapping[str, Fraction] | None = None
) -> dict[str, Any]:
    """The same from a state's record. now: ns UTC, from which expiries are counted.

    volatility: a year, by name of the underlying; a half where it says none.
    """
    number = account_number(s, account)
    holder = s["accounts"][number]
    usdc = Fraction(int(holder["assets"][0]["balance"]), int(s["assets"][0]["unit"]) or MILLION)
    underlyings: dict[int, dict[str, Any]] = {}
    groups: dict[int, dict[int, Fraction]] = {}
    lone: list[dict[str, Any]] = []
    for asset in range(1, len(s["assets"])):
        if holder["assets"][asset]["balance"] != 0:
            _underlying(s, underlyings, asset)["balance"] = _text(
                Fraction(int(holder["assets"][asset]["balance"]), int(s["assets"][asset]["unit"])))
    for position in _positions(s, number):
        book = s["instruments"][int(position["instrument"])]
        lots = int(position["quantity"])
        quantity = Fraction(lots * int(book["lot_size"]), ONE)
        kind = int(book["kind"])
        if kind == oe.INSTRUMENT_KIND_PERPETUAL:
            _perpetual(_underlying(s, underlyings, int(book["base"])), book, quantity)
            moved = lots * (int(book["mark_value"]) - int(position["settled_value"]))
            usdc += Fraction(int(position["unsettled"]) + moved, MILLION)
        elif kind >= oe.INSTRUMENT_KIND_PRICE_ABOVE:
            entry = _underlying(s, underlyings, int(book["base"]))
            entry["digitals"].append(_digital(book, quantity, now))
        elif kind == oe.INSTRUMENT_KIND_OUTCOME and book["event"]:
            groups.setdefault(int(book["event"]), {})[int(position["instrument"])] = quantity
        elif kind == oe.INSTRUMENT_KIND_OUTCOME:
            name = _name(book["symbol"])
            outcome = {"name": name, "qty": _text(quantity), "mark": _mark(book, 2)}
            lone.append({"name": name, "kind": "exclusive", "outcomes": [outcome]})
    rates = {e["name"]: parameters(s, asset, volatility or {}) for asset, e in underlyings.items()}
    events = [_group(s, event, held) for event, held in groups.items()]
    case = {"id": account, "usdc": _text(usdc), "underlyings": list(underlyings.values()),
            "groups": events + lone}  # fmt: skip
    return {"underlying_params": rates, "cases": [case]}


def _positions(s: Any, account: int) -> Iterator[Any]:
    """Those with something in them."""
    place = int(s["accounts"][account]["first_position"])
    for _ in range(int(s["positions_used"]) + 1):
        if place == 0:
            return
        position = s["positions"][place]
        if position["quantity"] != 0 or position["unsettled"] != 0:
            yield position
        place = int(position["account_next"])


def _underlying(s: Any, known: dict[int, dict[str, Any]], asset: int) -> dict[str, Any]:
    if asset not in known:
        name = _name(s["assets"][asset]["name"])
        index = max(int(s["assets"][asset]["index_price"]), 1)
        known[asset] = {"name": name, "params": name, "index": _text(Fraction(index, ONE)),
                        "digitals": []}  # fmt: skip
    return known[asset]


def _perpetual(entry: dict[str, Any], book: Any, quantity: Fraction) -> None:
    """A second perpetual of the same underlying counts as so much of the first."""
    mark = Fraction(max(int(book["mark"]), 1), ONE)
    first = Fraction(entry.get("perp_mark", _text(mark)))
    held = Fraction(entry.get("perp_qty", "0")) + quantity * mark / first
    settled = _text(first)
    entry |= {"perp_qty": _text(held), "perp_mark": settled, "perp_last_settle": settled}


def _digital(book: Any, quantity: Fraction, now: int) -> dict[str, Any]:
    low, high = (Fraction(int(book[name]), ONE) for name in ("lower_strike", "upper_strike"))
    kind = int(book["kind"])
    entry = {"name": _name(book["symbol"]), "qty": _text(quantity), "mark": _mark(book, 2),
             "tau_s": max((int(book["expiry"]) - now) // BILLION, 1)}  # fmt: skip
    if kind == oe.INSTRUMENT_KIND_PRICE_RANGE:
        return entry | {"type": "range", "low": _text(low), "high": _text(high)}
    above = kind == oe.INSTRUMENT_KIND_PRICE_ABOVE
    return entry | {"type": "above" if above else "below", "strike": _text(low if above else high)}


def _group(s: Any, event: int, held: dict[int, Fraction]) -> dict[str, Any]:
    """All outcomes of the event that are listed, held or not."""
    known = s["event_groups"][event]
    numbers = [int(n) for n in known["instrument"][: int(known["outcomes"])] if n != 0]
    outcomes = [
        {"name": _name(s["instruments"][n]["symbol"]), "qty": _text(held.get(n, Fraction(0))),
         "mark": _mark(s["instruments"][n], len(numbers))}
        for n in numbers
    ]  # fmt: skip
    return {"name": f"event {event}", "kind": _KINDS[int(known["kind"])], "outcomes": outcomes}


def _mark(book: Any, ways: int) -> str:
    """A prediction's mark; without one its last price, and without that one in so many ways."""
    if book["mark"] > 0:
        return _text(Fraction(int(book["mark"]), ONE))
    if book["last_tick"] > 0:
        return _text(Fraction((int(book["last_tick"]) - 1) * int(book["tick_size"]), ONE))
    return _text(Fraction(MILLION // ways, MILLION))


def _text(exact: Fraction) -> str:
    """A decimal with at most twelve places."""
    scaled = round(exact * 10**12)
    sign, digits = "-" if scaled < 0 else "", f"{abs(scaled):013d}"
    return f"{sign}{digits[:-12]}.{digits[-12:]}".rstrip("0").rstrip(".")


def _name(field: Any) -> str:
    return bytes(field).rstrip(b"\0").decode("utf-8", "replace")
