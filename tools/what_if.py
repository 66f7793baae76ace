"""What orders would do to an account: a case file with them resting, or filled at their limits.

    parse("buy 2 BTC-PERP @ 101000")      one order in words
    resting(content, place, wish)         the file with the order among the account's
    filled(content, place, wish)          the file as if it had traded at its limit
"""

import re
from copy import deepcopy
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from tools.live_account import plain

_WORDS = re.compile(r"\s*(buy|sell)\s+(\S+)\s+(\S+)\s*@\s*(\S+)\s*", re.IGNORECASE)
_DECIMAL = re.compile(r"[0-9]{1,18}(\.[0-9]{1,18})?|\.[0-9]{1,18}")


class WrongWish(ValueError):
    """An order in words that says nothing a case file could have; the text names what."""


@dataclass(frozen=True)
class Wish:
    """An order in words: above zero, at a limit."""

    buy: bool
    quantity: Fraction
    symbol: str
    price: Fraction

    @property
    def signed(self) -> Fraction:
        """The quantity as the position takes it."""
        return self.quantity if self.buy else -self.quantity


def parse(words: str) -> Wish:
    """An order as `buy 2 BTC-PERP @ 101000`. Raises WrongWish."""
    found = _WORDS.fullmatch(words)
    if found is None:
        raise WrongWish(f"expected `buy 2 BTC-PERP @ 101000`, was {words!r}")
    side, quantity, symbol, price = found.groups()
    for name, text in (("quantity", quantity), ("price", price)):
        if not _DECIMAL.fullmatch(text) or (name == "quantity" and Fraction(text) == 0):
            raise WrongWish(f"{words!r}: expected a {name} above zero, was {text!r}")
    return Wish(side.lower() == "buy", Fraction(quantity), symbol, Fraction(price))


def resting(content: dict[str, Any], place: dict[str, str], wish: Wish) -> dict[str, Any]:
    """The file with the order open; `place` says what it is on, as a case's orders do."""
    made = deepcopy(content)
    made["cases"][0].setdefault("orders", []).append({
        **place, "side": "buy" if wish.buy else "sell", "qty": plain(wish.quantity),
        "price": plain(wish.price),
    })
    return made


def filled(content: dict[str, Any], place: dict[str, str], wish: Wish) -> dict[str, Any]:
    """The file with the order filled at its limit, fees left out."""
    made = deepcopy(content)
    case = made["cases"][0]
    cash = Fraction(case["usdc"])
    if place["kind"] == "event":
        group = next(g for g in case["groups"] if g["name"] == place["group"])
        _add(next(o for o in group["outcomes"] if o["name"] == place["ref"]), "qty", wish.signed)
        cash -= wish.signed * wish.price
    else:
        unit = next(u for u in case["underlyings"] if u["name"] == place["underlying"])
        if place["kind"] == "perp":
            cash += _trade_perpetual(unit, wish)
        else:
            cash -= wish.signed * wish.price
            if place["kind"] == "spot":
                _add(unit, "balance", wish.signed)
            else:
                link = next(d for d in unit["digitals"] if d["name"] == place["ref"])
                _add(link, "qty", wish.signed)
    case["usdc"] = plain(cash, 8)
    return made


def _add(holder: dict[str, Any], field: str, amount: Fraction) -> None:
    holder[field] = plain(Fraction(holder[field]) + amount)


def _trade_perpetual(unit: dict[str, Any], wish: Wish) -> Fraction:
    """Take a perpetual at a price; the profit that no position is left to carry."""
    held, settled = Fraction(unit["perp_qty"]), Fraction(unit["perp_last_settle"])
    after = held + wish.signed
    paid = held * settled + wish.signed * wish.price
    unit["perp_qty"] = plain(after)
    if after == 0 or paid / after <= 0:
        unit["perp_last_settle"] = unit["perp_mark"]
        return after * Fraction(unit["perp_mark"]) - paid
    unit["perp_last_settle"] = plain(paid / after)
    return Fraction(0)
