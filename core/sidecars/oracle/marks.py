"""Mark prices: of perpetuals by index and premium, of predictions by model and book.

    perpetual   premium_t = clamp((impact mid − index) / index, ± 1 %)
                ewma     += (1 − exp(−dt / 300 s)) (premium_t − ewma)
                mark      = index × (1 + clamp(ewma, ± band)), moved by at most 2 % at a time
    price link  median(model, mean of mids, last trade of the last minute), ± 0.10 of the model
    outcome     mid of the book, else the last trade: for display, no requirement hangs on it

The model of a price link is the chance that a geometric walk of the listed volatility ends beyond
the strike. Floats decide here and nowhere else: what leaves is an integer on the tick.
"""

import math
from typing import NamedTuple

from core.sidecars.oracle.sources import ONE, SECOND, YEAR_SECONDS

BILLION = 1_000_000_000
PREMIUM_SAMPLE_MAX = 0.01
UPDATE_MAX = 0.02
MODEL_BAND = ONE // 10
TRADE_AGE_NS = 60 * SECOND
BOOK_SECONDS = 10.0

RULE_INDEX, RULE_PREMIUM, RULE_BOOK, RULE_MODEL = 0, 1, 2, 3
PRICE_ABOVE, PRICE_BELOW, PRICE_RANGE = 4, 5, 6


class Mark(NamedTuple):
    """A mark (exponent −8), the rule that decided, the premium applied (1e-9), and what it saw."""

    price: int
    rule: int
    premium: int
    book: int | None = None
    model: int | None = None
    last_trade: int | None = None


class Average:
    """The exponentially weighted mean of a book's mids; without two sides it has none."""

    def __init__(self, window_seconds: float) -> None:
        self._window = window_seconds
        self._mean: float | None = None
        self._time = 0

    def sample(self, now: int, mid: int | None) -> int | None:
        """Take the mid of this moment; the mean (exponent −8), None before the first."""
        if mid is None:
            # An empty book says nothing, and what it said before is not to outlive it.
            self._mean = None
            return None
        if self._mean is None:
            self._mean = float(mid)
        else:
            elapsed = max(now - self._time, 0) / SECOND
            self._mean += (1 - math.exp(-elapsed / self._window)) * (mid - self._mean)
        self._time = now
        return round(self._mean)


class Premium:
    """The premium of one perpetual: an exponentially weighted mean over `window_seconds`."""

    def __init__(self, window_seconds: float, band: float) -> None:
        self._window = window_seconds
        self._band = band
        self.mean = 0.0
        self.time = 0  # ns UTC of the last sample
        self.mark = 0  # last mark, exponent −8

    def sample(self, now: int, index: int, impact_mid: int | None) -> None:
        """Take the premium of this moment; without two sides of a book there is none to take."""
        if impact_mid is not None:
            premium = _clamp((impact_mid - index) / index, PREMIUM_SAMPLE_MAX)
            elapsed = max(now - self.time, 0) / SECOND if self.time else 0.0
            self.mean += (1 - math.exp(-elapsed / self._window)) * (premium - self.mean)
        self.time = now

    def update(self, index: int, tick: int) -> Mark:
        """The next mark, on the tick."""
        premium = round(_clamp(self.mean, self._band) * BILLION)
        wanted = index * (BILLION + premium) // BILLION
        if self.mark:
            low, high = int(self.mark * (1 - UPDATE_MAX)), int(self.mark * (1 + UPDATE_MAX))
            wanted = min(max(wanted, low), high)
        self.mark = on_tick(wanted, tick)
        return Mark(self.mark, RULE_PREMIUM if premium else RULE_INDEX, premium)


def _clamp(value: float, limit: float) -> float:
    return min(max(value, -limit), limit)


def on_tick(price: int, tick: int) -> int:
    """The nearest multiple of the tick that is above zero."""
    return max((price + tick // 2) // tick, 1) * tick


def chance(
    kind: int, index: int, lower: int | None, upper: int | None, years: float, volatility: float
) -> float:
    """What a price-linked prediction is worth by the model, 0 to 1."""
    if kind == PRICE_ABOVE:
        return _above(index, lower or 0, years, volatility)
    if kind == PRICE_BELOW:
        return 1 - _above(index, upper or 0, years, volatility)
    return _above(index, lower or 0, years, volatility) - _above(
        index, upper or 0, years, volatility
    )


def _above(index: int, strike: int, years: float, volatility: float) -> float:
    spread = volatility * math.sqrt(max(years, 0.0))
    if strike <= 0:
        return 1.0
    if spread <= 0:
        return 1.0 if index >= strike else 0.0
    d = math.log(index / strike) / spread - spread / 2
    return 0.5 * math.erfc(-d / math.sqrt(2))


def years_until(expiry: int, now: int) -> float:
    """Years of 365 days."""
    return max(expiry - now, 0) / SECOND / YEAR_SECONDS


def linked_mark(
    model: float, mid: int | None, last: tuple[int, int] | None, now: int, tick: int
) -> Mark:
    """The mark of a price-linked prediction."""
    value = round(model * ONE)
    trade = last[0] if last is not None and now - last[1] <= TRADE_AGE_NS else None
    inputs = sorted(found for found in (value, mid, trade) if found is not None)
    middle = inputs[len(inputs) // 2] if len(inputs) % 2 else (inputs[0] + inputs[1]) // 2
    price = min(max(middle, value - MODEL_BAND), value + MODEL_BAND)
    price = min(on_tick(price, tick), ONE - tick)
    rule = RULE_MODEL if price == on_tick(value, tick) else RULE_BOOK
    return Mark(price, rule, 0, mid, value, trade)


def outcome_mark(mid: int | None, last: tuple[int, int] | None, tick: int) -> Mark | None:
    """The mark of an outcome of an event; None if nobody has said anything yet."""
    price = mid if mid is not None else last[0] if last is not None else None
    if price is None:
        return None
    trade = last[0] if last is not None else None
    return Mark(min(on_tick(price, tick), ONE - tick), RULE_BOOK, 0, mid, None, trade)
