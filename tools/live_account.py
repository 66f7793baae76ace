"""A live account written down as a case file has it, read from the core's state record.

What the format has no word for is refused rather than left out: pairs quoted in another asset, two
perpetuals on one underlying. Predictions outside events, and price links that wait for their
resolution, are events of one outcome. Reserved cash is not part of the model.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from fractions import Fraction
from typing import Any

import sbe.generated.order_entry as oe
from core.errors import CoreError
from core.records import RESTING

ONE = 10**8
MICRO = 10**6
SECOND = 10**9
KINDS = {
    oe.INSTRUMENT_KIND_PRICE_ABOVE: "above", oe.INSTRUMENT_KIND_PRICE_BELOW: "below",
    oe.INSTRUMENT_KIND_PRICE_RANGE: "range",
}
EVENTS = {
    oe.EVENT_KIND_EXCLUSIVE: "exclusive", oe.EVENT_KIND_EXHAUSTIVE: "exhaustive",
    oe.EVENT_KIND_NESTED: "nested",
}
MILLION, BILLION = 10**6, 10**9
VOLATILITY = Fraction(1, 2)  # a year, where no source says


_NOTHING = {"quantity": 0, "settled_value": 0, "unsettled": 0, "open_buy": 0, "open_sell": 0}


class Unwritable(ValueError):
    """An account has something that case files have no word for."""


def account_number(s: Any, account: str) -> int:
    """The number of a live account by its name or number. Raises CoreError if there is none."""
    for number in range(1, int(s["accounts_used"]) + 1):
        known = s["accounts"][number]
        if known["state"] != 0 and account in (name(known), str(number)):
            return number
    raise CoreError(f"no account of the name or number {account}")


def case_file(
    s: Any, account: int, volatility: Mapping[str, Fraction], now: int,
    also: Iterable[int] = (),
) -> dict[str, Any]:
    """A case file with one account as it stands; volatility a year by name of the underlying.

    `s` is the state's record, `now` the time in ns UTC from which expiries are counted; instruments
    in `also` are there even where the account has nothing in them. Raises Unwritable.
    """
    holder = s["accounts"][account]
    positions = list(_positions(s, account))
    held = {int(position["instrument"]) for position in positions}
    positions += [{**_NOTHING, "instrument": number} for number in also if number not in held]
    orders = list(_orders(s, account))
    used = {int(s["instruments"][p["instrument"]]["base"]) for p in positions}
    used |= {number for number, entry in enumerate(holder["assets"]) if entry["balance"] != 0}
    units = [_unit(s, account, asset, positions, now) for asset in sorted(used - {0})]
    return {
        "underlying_params": {
            name(s["assets"][asset]): parameters(s, asset, volatility)
            for asset in sorted(used - {0})
        },
        "cases": [{
            "id": str(account),
            "usdc": plain(Fraction(int(holder["assets"][0]["balance"]), MICRO) + sum(
                _profit(s, position) for position in positions)),
            "underlyings": units,
            "groups": _groups(s, positions, now),
            "orders": [_order(s, order, detail, now) for order, detail in orders],
        }],
    }


def name(record: Any) -> str:
    """The name of an asset."""
    return bytes(record["name"]).rstrip(b"\0").decode()


def symbol(record: Any) -> str:
    """The symbol of an instrument."""
    return bytes(record["symbol"]).rstrip(b"\0").decode()


def plain(exact: Fraction, digits: int = 18) -> str:
    """A decimal with at most so many digits behind the point."""
    scaled = round(abs(exact) * 10**digits)
    whole, rest = divmod(scaled, 10**digits)
    text = f"{whole}.{rest:0{digits}d}".rstrip("0").rstrip(".")
    return f"-{text}" if exact < 0 and scaled else text


def _positions(s: Any, account: int) -> Iterator[Any]:
    number = int(s["accounts"][account]["first_position"])
    while number:
        position = s["positions"][number]
        held = position["quantity"] or position["open_buy"] or position["open_sell"]
        if held or position["unsettled"]:
            yield position
        number = int(position["account_next"])


def _orders(s: Any, account: int) -> Iterator[tuple[Any, Any]]:
    slot = int(s["accounts"][account]["first_order"])
    while slot:
        order, detail = s["orders"][slot], s["details"][slot]
        if order["state"] == RESTING:
            yield order, detail
        slot = int(detail["account_next"])


def _quantity(book: Any, lots: int) -> Fraction:
    return Fraction(int(lots) * int(book["lot_size"]), ONE)


def _price(exponent_8: int) -> str:
    return plain(Fraction(int(exponent_8), ONE))


def parameters(s: Any, asset: int, volatility: Mapping[str, Fraction]) -> dict[str, str]:
    """The rates of an underlying as the core has them now; volatility a year by its name."""
    record = s["assets"][asset]
    rates = dict.fromkeys(("f_im", "f_mm", "ch_im", "ch_mm", "pen"), Fraction(0))
    rates |= {"w0": Fraction(1), "wb": Fraction(1)}
    for kind, suffix in (("initial", "im"), ("maintenance", "mm")):
        rates[f"sigma_{suffix}"] = Fraction(int(record[f"haircut_{kind}"]), MILLION)
        rates[f"beta_{suffix}"] = Fraction(int(record[f"borrow_margin_{kind}"]), MILLION)
        rates[f"ch_{suffix}"] = Fraction(int(record[f"hedge_{kind}"]), MILLION)
        if record["perpetual"]:
            book = s["instruments"][record["perpetual"]]
            rates[f"sigma_{suffix}"] = Fraction(int(book[f"margin_base_{kind}"]), MILLION)
            rates[f"f_{suffix}"] = Fraction(int(book[f"margin_factor_{kind}"]), BILLION)
    if record["weight"]:
        rates["w0"] = Fraction(int(record["weight"]), MILLION)
        rates["wb"] = Fraction(int(record["weight_base"]), MILLION)
        rates["pen"] = Fraction(int(record["weight_penalty"]), BILLION)
    rates["vol"] = volatility.get(name(record), VOLATILITY)
    return {key: plain(rate) for key, rate in rates.items()}


def _unit(s: Any, account: int, asset: int, positions: list[Any], now: int) -> dict[str, Any]:
    record = s["assets"][asset]
    balance = int(s["accounts"][account]["assets"][asset]["balance"])
    unit: dict[str, Any] = {
        "name": name(record), "params": name(record), "index": _price(record["index_price"]),
        "balance": plain(Fraction(balance, int(record["unit"]))), "digitals": [],
    }
    apart = int(record["below_stable"]) if balance < 0 else -int(record["above_stable"])
    if apart:
        unit["stable"] = _price(record["index_price"] + apart)
    for position in positions:
        book = s["instruments"][position["instrument"]]
        if book["base"] != asset:
            continue
        if book["kind"] == oe.INSTRUMENT_KIND_SPOT and book["quote"] != 0:
            raise Unwritable(f"orders on {symbol(book)}, which is not quoted in USDC")
        if book["kind"] == oe.INSTRUMENT_KIND_PERPETUAL:
            if "perp_qty" in unit:
                raise Unwritable(f"a second perpetual on {name(record)}")
            unit |= _perpetual(book, position)
        elif _is_live_link(book, now):
            unit["digitals"].append(_digital(book, position, now))
    return unit


def _settled(book: Any, position: Any) -> Fraction | None:
    """The price from which a perpetual's profit counts; None where no position has all of it."""
    held = _quantity(book, position["quantity"])
    if not held:
        return None
    settled = Fraction(int(position["settled_value"]), MICRO) / _quantity(book, 1)
    settled -= Fraction(int(position["unsettled"]), MICRO) / held
    return settled if settled > 0 else None


def _profit(s: Any, position: Any) -> Fraction:
    """Profit of a perpetual that stands as USDC, as no price of a case's position could say it."""
    book = s["instruments"][position["instrument"]]
    perpetual = book["kind"] == oe.INSTRUMENT_KIND_PERPETUAL
    if not perpetual or _settled(book, position) is not None:
        return Fraction(0)
    moved = int(book["mark_value"]) - int(position["settled_value"])
    return Fraction(int(position["unsettled"]) + int(position["quantity"]) * moved, MICRO)


def _perpetual(book: Any, position: Any) -> dict[str, str]:
    held = _quantity(book, position["quantity"])
    settled = _settled(book, position) or Fraction(int(book["mark"]), ONE)
    return {
        "perp_qty": plain(held), "perp_mark": _price(book["mark"]),
        "perp_last_settle": plain(settled),
    }


def _is_live_link(book: Any, now: int) -> bool:
    live = book["state"] <= oe.TRADING_STATE_CLOSED and now < book["expiry"]
    return bool(live and book["kind"] in KINDS)


def _digital(book: Any, position: Any, now: int) -> dict[str, str]:
    kind = KINDS[int(book["kind"])]
    digital = {
        "name": symbol(book), "type": kind, "qty": plain(_quantity(book, position["quantity"])),
        "mark": _price(book["mark"]), "tau_s": plain(Fraction(int(book["expiry"]) - now, SECOND)),
    }
    if kind == "range":
        low, high = _price(book["lower_strike"]), _price(book["upper_strike"])
        return {**digital, "low": low, "high": high}
    strike = book["lower_strike" if kind == "above" else "upper_strike"]
    return {**digital, "strike": _price(strike)}


def _groups(s: Any, positions: list[Any], now: int) -> list[dict[str, Any]]:
    """Events by number, and predictions that stand alone."""
    events: dict[int, dict[int, Any]] = defaultdict(dict)
    groups = []
    for position in positions:
        book = s["instruments"][position["instrument"]]
        if book["kind"] < oe.INSTRUMENT_KIND_OUTCOME or _is_live_link(book, now):
            continue
        if book["event"]:
            events[int(book["event"])][int(book["outcome"])] = position
        else:
            outcome = _outcome(book, position["quantity"])
            groups.append({"name": symbol(book), "kind": "exclusive", "outcomes": [outcome]})
    for number, held in events.items():
        event = s["event_groups"][number]
        outcomes = []
        for place in range(int(event["outcomes"])):
            book = s["instruments"][event["instrument"][place]]
            outcomes.append(_outcome(book, held[place]["quantity"] if place in held else 0))
        groups.append({
            "name": f"event {number}", "kind": EVENTS[int(event["kind"])], "outcomes": outcomes})
    return groups


def _outcome(book: Any, lots: int) -> dict[str, str]:
    return {
        "name": symbol(book), "qty": plain(_quantity(book, lots)), "mark": _price(book["mark"])
    }


def instrument_of(s: Any, wanted: str) -> int:
    """The number of an instrument. Raises Unwritable."""
    for number, book in enumerate(s["instruments"]):
        if book["state"] and symbol(book) == wanted:
            return number
    raise Unwritable(f"there is no instrument {wanted}")


def perpetuals_of(s: Any, account: int, also: Iterable[int] = ()) -> list[int]:
    """The perpetuals on offer to hedge what an account has, and instruments it is to have.

    Of each underlying the first listed, unless it has another already.
    """
    used = [int(position["instrument"]) for position in _positions(s, account)] + list(also)
    books = [s["instruments"][number] for number in used]
    held = {int(b["base"]) for b in books if b["kind"] == oe.INSTRUMENT_KIND_PERPETUAL}
    balances = s["accounts"][account]["assets"]["balance"]
    bases = {int(book["base"]) for book in books} | {int(asset) for asset in balances.nonzero()[0]}
    first = [int(s["assets"][base]["perpetual"]) for base in sorted(bases - held - {0})]
    return [
        number for number in first
        if number and s["instruments"][number]["mark"] > 0
        and s["instruments"][number]["state"] == oe.TRADING_STATE_OPEN
    ]


def check_steps(s: Any, number: int, quantity: Fraction, price: Fraction) -> None:
    """Quantity and price are ones that the instrument trades in. Raises Unwritable."""
    book = s["instruments"][number]
    for what, value, step in (("quantity", quantity, "lot"), ("price", price, "tick")):
        least = Fraction(int(book[f"{step}_size"]), ONE)
        if value % least:
            raise Unwritable(f"{what}: expected a multiple of {symbol(book)}'s {step} "
                             f"{plain(least)}, was {plain(value)}")
    if book["one_tick"] and price > 1:
        raise Unwritable(f"price: expected at most 1 for {symbol(book)}, was {plain(price)}")


def place_of(s: Any, number: int, now: int) -> dict[str, str]:
    """What an order on an instrument is on, in the words of a case file."""
    book = s["instruments"][number]
    if book["kind"] in (oe.INSTRUMENT_KIND_SPOT, oe.INSTRUMENT_KIND_PERPETUAL):
        kind = "spot" if book["kind"] == oe.INSTRUMENT_KIND_SPOT else "perp"
        return {"kind": kind, "underlying": name(s["assets"][book["base"]])}
    if _is_live_link(book, now):
        underlying = name(s["assets"][book["base"]])
        return {"kind": "digital", "underlying": underlying, "ref": symbol(book)}
    group = f"event {book['event']}" if book["event"] else symbol(book)
    return {"kind": "event", "group": group, "ref": symbol(book)}


def _order(s: Any, order: Any, detail: Any, now: int) -> dict[str, str]:
    book = s["instruments"][order["instrument"]]
    price = int(detail["reserved_tick"]) * int(book["tick_size"])
    return {
        **place_of(s, order["instrument"], now),
        "side": "buy" if order["side"] == oe.SIDE_BUY else "sell",
        "qty": plain(_quantity(book, order["leaves"])), "price": _price(price),
    }
