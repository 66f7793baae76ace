"""Hedges on offer: of an account written down as a case file, what trading at the mark would free.

Of each underlying the account depends on the perpetual, each price link on it and each outcome of
an event that it holds, either way, in parts up to what is at risk; of each the trade that frees
most initial margin, the one that frees more first. Fees and the book's depth are left out.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from core.margin_reference.case import LOT
from tools import what_if as wishes

SHARES = (Fraction(1, 8), Fraction(1, 4), Fraction(1, 2), Fraction(1))  # of what is at risk
PLACES = 4  # of a quantity, where the lot is not smaller
Compute = Callable[[dict[str, Any]], dict[str, Any]]
Content = dict[str, Any]


@dataclass(frozen=True)
class Hedge:
    """A trade, what it frees of the initial margin (USDC), and the file with it done."""

    label: str
    freed: Fraction
    content: Content


@dataclass(frozen=True)
class _Offer:
    """What could be traded: its name, its place in a case file, its mark, and at most how much."""

    name: str
    place: dict[str, str]
    mark: Fraction
    most: Fraction


def on_offer(done: Content, compute: Compute) -> list[Hedge]:
    """The hedges that free something of a computed file's first account."""
    initial = _initial(done)
    found = []
    for offer in _offers(done, initial):
        tried = [_try(done, offer, wish, initial, compute) for wish in _candidates(offer)]
        best = max(tried, key=lambda hedge: hedge.freed, default=None)
        if best is not None and best.freed > 0:
            found.append(best)
    return sorted(found, key=lambda hedge: -hedge.freed)


def _initial(content: Content) -> Fraction:
    return Fraction(content["cases"][0]["expected"]["im"])


def _offers(content: Content, initial: Fraction) -> Iterator[_Offer]:
    case = content["cases"][0]
    for unit in case.get("underlyings", []):
        name = unit["name"]
        if "perp_mark" in unit:
            sigma = Fraction(content["underlying_params"][unit["params"]]["sigma_im"])
            mark = Fraction(unit["perp_mark"])
            most = max(initial, Fraction(0)) / sigma / mark if sigma else Fraction(0)
            place = {"kind": "perp", "underlying": name}
            yield _Offer(f"the {name} perpetual", place, mark, most)
        yield from _predictions(
            unit.get("digitals", []), {"kind": "digital", "underlying": name})
    for group in case.get("groups", []):
        yield from _predictions(group["outcomes"], {"kind": "event", "group": group["name"]})


def _predictions(listed: list[Any], place: dict[str, str]) -> Iterator[_Offer]:
    """Each of what pays together, up to the largest that is held of any."""
    most = max((abs(Fraction(held["qty"])) for held in listed), default=Fraction(0))
    for held in listed:
        yield _Offer(
            held["name"], {**place, "ref": held["name"]}, Fraction(held["mark"]), most)


def _candidates(offer: _Offer) -> list[wishes.Wish]:
    """Either way, up to the most."""
    least = Fraction(1, 10**PLACES)
    sizes = {size // least * least or size // LOT * LOT
             for size in (offer.most * share for share in SHARES)}
    return [
        wishes.Wish(buy, size, "", offer.mark)
        for size in sorted(sizes) if size > 0 for buy in (True, False)
    ]


def _try(
    done: Content, offer: _Offer, wish: wishes.Wish, initial: Fraction, compute: Compute
) -> Hedge:
    content = compute(wishes.filled(done, offer.place, wish))
    side = "buy" if wish.buy else "sell"
    label = f"{side} {float(wish.quantity):.8g} of {offer.name}"
    return Hedge(label, initial - _initial(content), content)
