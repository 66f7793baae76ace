"""An underlying: spot, borrow, perpetual and price links scanned together over moves and columns.

    U = max(min(Scan + Stand + Size + Spot, Cap), Floor) + Hedge + Borrow

with D = b P + q M and, in a scenario, the loss

    −(D δ + Σ λ q (V − m)) + Σ linear orders + Σ λ digital orders        (each order at its worst)

Initial (`im`) or maintenance (`mm`) differ by the range sigma, by rates, and by the floor.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from math import isqrt
from typing import NamedTuple

from core.margin_reference.case import Digital, Model, Order, Underlying
from core.margin_reference.links import pays, spread, strikes, strip_loss, value

ZERO, ONE = Fraction(0), Fraction(1)
THOUSAND = 1000
DUST = Fraction(1, 10**15)  # Losses no further apart are the same; the first of them is the worst.
GRID = tuple(Fraction(third, 3) for third in range(-3, 4))


class Node(NamedTuple):
    """A move, which side of a strike it stands on, and how much of its loss counts."""

    move: Fraction
    side: int
    weight: Fraction


class Column(NamedTuple):
    """Up to which expiry (seconds, 0 none) links are settled, and the volatility case."""

    level: Fraction
    volatility: str


@dataclass(frozen=True)
class Unit:
    """The requirement of an underlying and its components; cap None is no cap."""

    scan: Fraction
    stand: Fraction
    size: Fraction
    spot: Fraction
    hedge: Fraction
    borrow: Fraction
    cap: Fraction | None
    floor: Fraction
    worst: str

    @property
    def core(self) -> Fraction:
        """What is left of the first four between cap and floor."""
        plain = self.scan + self.stand + self.size + self.spot
        return max(plain if self.cap is None else min(plain, self.cap), self.floor)

    @property
    def total(self) -> Fraction:
        """All of it."""
        return self.core + self.hedge + self.borrow


def requirement(unit: Underlying, model: Model, kind: str) -> Unit:
    """The requirement of an underlying; kind is "im" or "mm"."""
    scan, worst = _scan(unit, model, kind)
    return Unit(
        scan, _stand(unit, model), _size(unit, kind), _spot(unit, kind), _hedge(unit, kind),
        unit.parameters[f"beta_{kind}"] * max(ZERO, -unit.balance) * unit.index,
        _cap(unit), _floor(unit, model) if kind == "im" else ZERO, worst,
    )


def netted(digital: Digital, model: Model) -> Fraction:
    """Lambda: the fraction of a link that is netted, on a thousandth."""
    left = min(ONE, digital.seconds / model.values["tau_roll_s"])
    exact = (1 - model.values["kappa0"]) * left
    return Fraction(int(exact * THOUSAND), THOUSAND)


def root(number: Fraction) -> Fraction:
    """The square root, rounded down on 1e-12."""
    return Fraction(isqrt(int(number * 10**24)), 10**12)


# ---- scan ----------------------------------------------------------------------------------------


def delta_value(unit: Underlying) -> Fraction:
    """D, in USDC."""
    return unit.balance * unit.index + unit.quantity * unit.mark


def nodes(unit: Underlying, model: Model, kind: str) -> Iterator[Node]:
    """Moves: thirds of the ranges, both sides of near strikes, the extremes."""
    sigma = unit.parameters[f"sigma_{kind}"]
    ranges = ["sigma_mm"] if kind == "mm" else ["sigma_mm", "sigma_im"]
    for name in ranges:
        for third in GRID:
            yield Node(third * unit.parameters[name], 1, ONE)
    near = {
        strike for digital in _held(unit) if digital.seconds <= model.values["horizon_s"]
        for strike in strikes(digital) if abs(strike / unit.index - 1) <= sigma
    }
    for strike in sorted(near):
        for side in (-1, 1):
            yield Node(strike / unit.index - 1, side, ONE)
    for extreme in model.extremes:
        yield Node(extreme, 1, model.values["theta"] * sigma / abs(extreme))


def columns(unit: Underlying, model: Model) -> Iterator[Column]:
    """Nothing settled or all up to one of the near expiries, each with high and low volatility."""
    horizon = model.values["horizon_s"]
    near = {digital.seconds for digital in _held(unit) if digital.seconds <= horizon}
    for level in (ZERO, *sorted(near)):
        for volatility in ("hi", "lo"):
            yield Column(level, volatility)


def _held(unit: Underlying) -> list[Digital]:
    return [d for d in unit.digitals if d.quantity != 0 or d.orders]


def link_value(
    digital: Digital, unit: Underlying, model: Model, node: Node, column: Column
) -> Fraction:
    """V: a payoff if the column has it settled, else its value after the move."""
    if digital.seconds <= column.level:
        return Fraction(pays(digital, unit.index * (1 + node.move), node.side))
    deviation = spread(digital, column.volatility, unit.parameters["vol"], model.values)
    return value(digital, unit.index, node.move, deviation)


def _scan(unit: Underlying, model: Model, kind: str) -> tuple[Fraction, str]:
    scan, worst = ZERO, ""
    for node in nodes(unit, model, kind):
        loss, column = _worst_column(unit, model, node)
        if node.weight * loss > scan + DUST:
            scan = node.weight * loss
            worst = (
                f"delta={decimal(node.move)} side={node.side} "
                f"col={column.volatility}@{decimal(column.level)} "
                f"weight={decimal(node.weight)}"
            )
    return scan, worst


def _worst_column(unit: Underlying, model: Model, node: Node) -> tuple[Fraction, Column]:
    first, *others = columns(unit, model)
    worst, found = _loss(unit, model, node, first), first
    for column in others:
        loss = _loss(unit, model, node, column)
        if loss > worst + DUST:
            worst, found = loss, column
    return worst, found


def _loss(unit: Underlying, model: Model, node: Node, column: Column) -> Fraction:
    loss = -delta_value(unit) * node.move
    for orders, price in ((unit.spot_orders, unit.index), (unit.perpetual_orders, unit.mark)):
        for order in orders:
            loss += _linear_loss(order, price, node.move)
    for digital in unit.digitals:
        worth = link_value(digital, unit, model, node, column)
        lost = -digital.quantity * (worth - digital.mark)
        for order in digital.orders:
            gap = order.price - worth if order.buy else worth - order.price
            lost += max(ZERO, order.quantity * gap)
        loss += netted(digital, model) * lost
    return loss


def _linear_loss(order: Order, reference: Fraction, move: Fraction) -> Fraction:
    moved = reference * (1 + move)
    if order.buy:
        return max(ZERO, order.quantity * (max(order.price, reference) - moved))
    return max(ZERO, order.quantity * (moved - min(order.price, reference)))


# ---- the other components ------------------------------------------------------------------------


def _stand(unit: Underlying, model: Model) -> Fraction:
    stand = ZERO
    for strip in _strips(unit):
        stand += (1 - netted(strip[0], model)) * max(ZERO, strip_loss(strip))
    for digital in unit.digitals:
        for order in digital.orders:
            stand += (1 - netted(digital, model)) * _most_lost(order)
    return stand


def _strips(unit: Underlying) -> list[list[Digital]]:
    expiries = sorted({digital.seconds for digital in unit.digitals})
    return [[d for d in unit.digitals if d.seconds == expiry] for expiry in expiries]


def _most_lost(order: Order) -> Fraction:
    return order.quantity * (order.price if order.buy else 1 - order.price)


def _linear_notionals(unit: Underlying) -> tuple[Fraction, Fraction]:
    """Of spot and perpetual orders to buy and to sell, at index and mark."""
    buys, sells = ZERO, ZERO
    for orders, price in ((unit.spot_orders, unit.index), (unit.perpetual_orders, unit.mark)):
        buys += sum((o.quantity * price for o in orders if o.buy), ZERO)
        sells += sum((o.quantity * price for o in orders if not o.buy), ZERO)
    return buys, sells


def _size(unit: Underlying, kind: str) -> Fraction:
    held = delta_value(unit)
    buys, sells = _linear_notionals(unit)
    notional = max(abs(held), abs(held + buys), abs(held - sells))
    rate = min(ONE, unit.parameters[f"f_{kind}"] * root(notional))
    return max(ZERO, rate - unit.parameters[f"sigma_{kind}"]) * notional


def _spot(unit: Underlying, kind: str) -> Fraction:
    held = max(ZERO, min(max(ZERO, unit.balance) * unit.index, delta_value(unit)))
    p = unit.parameters
    weight = min(p["w0"], p["wb"] / (1 + p["pen"] * root(held)))
    return (ONE if kind == "im" else Fraction(1, 2)) * (1 - weight) * held


def _hedge(unit: Underlying, kind: str) -> Fraction:
    notionals = (unit.balance * unit.index, unit.quantity * unit.mark)
    long = sum((max(ZERO, n) for n in notionals), ZERO)
    short = sum((max(ZERO, -n) for n in notionals), ZERO)
    return unit.parameters[f"ch_{kind}"] * min(long, short)


def _cap(unit: Underlying) -> Fraction | None:
    linear = (*unit.spot_orders, *unit.perpetual_orders)
    if delta_value(unit) < 0 or any(not order.buy for order in linear):
        return None
    lost = delta_value(unit) + sum((strip_loss(strip) for strip in _strips(unit)), ZERO)
    lost += sum((order.quantity * order.price for order in linear), ZERO)
    lost += sum((_most_lost(order) for d in unit.digitals for order in d.orders), ZERO)
    return max(ZERO, lost)


def _floor(unit: Underlying, model: Model) -> Fraction:
    marked = sum((d.quantity * d.mark for d in unit.digitals), ZERO)
    bids = sum((o.quantity * o.price for d in unit.digitals for o in d.orders if o.buy), ZERO)
    return (1 - model.values["gamma"]) * max(ZERO, marked + bids)


def plain(level: Fraction) -> int | str:
    """A level as case files write it: a whole number, or a decimal."""
    return int(level) if level.denominator == 1 else decimal(level)


def decimal(number: Fraction, digits: int = 6) -> str:
    """A fraction as a decimal of at most so many digits, half away from zero, no zeros behind."""
    scaled = int(abs(number) * 10**digits + Fraction(1, 2))
    whole, rest = divmod(scaled, 10**digits)
    text = f"{whole}.{rest:0{digits}d}".rstrip("0").rstrip(".")
    return text if number >= 0 or scaled == 0 else f"-{text}"
