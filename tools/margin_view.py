"""The records that a margin judgement looks at, filled from the fractions of a case file."""

from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

import sbe.generated.order_entry as oe
from core.engine.margin.account import EXPLICIT
from core.margin_records import (
    FACE_ONE,
    INITIAL,
    LINE,
    LINEAR_ORDER,
    LINK_ORDER,
    MAINTENANCE,
    MONEY_ONE,
    NO_ORDER,
    NO_STRIKE,
    NODE,
    RATE_UNIT,
    UNIT,
)
from core.margin_reference.case import Digital, Group, Model, Order, Outcome, Underlying
from core.margin_reference.unit import decimal, plain
from core.sidecars.oracle import valuation
from core.sidecars.oracle.valuation import Contract
from core.wide import RATE_ONE, words

HIGH, LOW = "hi", "lo"
SUFFIX = {INITIAL: "im", MAINTENANCE: "mm"}
KINDS = {
    "exclusive": oe.EVENT_KIND_EXCLUSIVE, "exhaustive": oe.EVENT_KIND_EXHAUSTIVE,
    "nested": oe.EVENT_KIND_NESTED, "explicit": EXPLICIT,
}
PER_PAIR = {  # Rates of which there is an initial and a maintenance one.
    "sigma": "sigma", "size_factor": "f", "hedge": "ch", "borrow": "beta",
}
_NO_LOWER = -1


class Scenario(NamedTuple):
    """A move, the side of a strike it stands on, and its weight in the scan of each kind."""

    move: Fraction
    side: int
    initial: Fraction
    maintenance: Fraction


class Column(NamedTuple):
    """Up to which expiry (seconds, 0 none) links are settled, and the volatility case."""

    level: Fraction
    volatility: str


def money(exact: Fraction) -> NDArray[np.int64]:
    """An amount in USDC as two words."""
    return np.array(words(round(exact * MONEY_ONE)), np.int64)


def rate(exact: Fraction) -> int:
    """A rate or the price of a prediction, 1e-12."""
    return round(exact * RATE_UNIT)


def fraction(exact: Fraction) -> tuple[int, int]:
    """A move or a weight as the words of a rate."""
    return words(round(exact * RATE_ONE))


class UnitView:
    """One underlying of an account."""

    def __init__(self, underlying: Underlying, model: Model) -> None:
        self.name = underlying.name
        self._underlying = underlying
        self._held = [d for d in underlying.digitals if d.quantity != 0 or d.orders]
        self._model = model
        self._scenarios = list(self._find_scenarios())
        self._columns = list(self._find_columns())
        self._values = np.array(
            [self._array(digital) for digital in underlying.digitals], np.int32
        ).reshape(len(underlying.digitals), len(self._scenarios) * len(self._columns))
        self.lines, self.link_orders = _fill_lines(
            underlying.digitals, [d.orders for d in underlying.digitals])
        self._fill_links()
        self.linear_orders = self._fill_linear_orders()
        self.nodes = self._fill_nodes()
        self.unit = self._fill_unit()

    def marked(self) -> list[NDArray[np.int64]]:
        """What each link is worth at its mark."""
        return [money(d.quantity * d.mark) for d in self._underlying.digitals]

    def scenario(self, node: int, column: int, kind: int) -> str:
        """A node and column in words."""
        found, state = self._scenarios[node], self._columns[column]
        weight = found.initial if kind == INITIAL else found.maintenance
        return (
            f"delta={decimal(found.move)} side={found.side} "
            f"col={state.volatility}@{decimal(state.level)} weight={decimal(weight)}"
        )

    def arrays(self) -> Iterator[tuple[str, list[list[Any]]]]:
        """The risk array of each link: [move, side, level, volatility, value] by node, column."""
        for digital, values in zip(self._underlying.digitals, self._values, strict=True):
            rows = values.reshape(len(self._scenarios), len(self._columns))
            yield digital.name, [
                [decimal(node.move), node.side, plain(column.level), column.volatility,
                 decimal(Fraction(int(rows[i, j]), valuation.MILLION))]
                for i, node in enumerate(self._scenarios)
                if node.initial or node.move in self._model.extremes
                for j, column in enumerate(self._columns)
            ]

    def _find_scenarios(self) -> Iterator[Scenario]:
        p, values = self._underlying.parameters, self._model.values
        initial, maintenance = p["sigma_im"], p["sigma_mm"]
        one, zero = Fraction(1), Fraction(0)
        for move in valuation.thirds(maintenance):
            yield Scenario(move, 1, one, one)
        for move in valuation.thirds(initial):
            yield Scenario(move, 1, one, zero)
        soon = [_contract(d) for d in self._held if d.seconds <= values["horizon_s"]]
        index = self._underlying.index
        for strike in valuation.near(soon, index, max(initial, maintenance)):
            move = Fraction(strike) / index - 1
            weights = [one if abs(move) <= sigma else zero for sigma in (initial, maintenance)]
            for side in (-1, 1):
                yield Scenario(move, side, *weights)
        for extreme in self._model.extremes:
            share = values["theta"] / abs(extreme)
            yield Scenario(extreme, 1, share * initial, share * maintenance)

    def _find_columns(self) -> Iterator[Column]:
        horizon = self._model.values["horizon_s"]
        near = {digital.seconds for digital in self._held if digital.seconds <= horizon}
        for level in (Fraction(0), *sorted(near)):
            for volatility in (HIGH, LOW):
                yield Column(level, volatility)

    def _array(self, digital: Digital) -> list[int]:
        """What a link is worth in each scenario and column, by the oracle's formulas."""
        contract, index = _contract(digital), self._underlying.index
        values, vol = self._model.values, self._underlying.parameters["vol"]
        spreads = (
            valuation.spread(vol, values["vol_hi"], digital.seconds, digital.seconds),
            valuation.spread(vol, values["vol_lo"], digital.seconds, values["horizon_s"]),
        )
        row = []
        for node in self._scenarios:
            alive = [valuation.alive(contract, index, node.move, spread) for spread in spreads]
            price = index * (1 + node.move)
            settled = valuation.MILLION * valuation.pays(contract, price, node.side > 0)
            for column in self._columns:
                if digital.seconds <= column.level:
                    row.append(settled)
                else:
                    row.append(alive[column.volatility == LOW])
        return row

    def _fill_links(self) -> None:
        """What lines have of price links only: strikes and expiries by rank, arrays, λ."""
        digitals, values = self._underlying.digitals, self._model.values
        strikes = sorted({k for d in digitals for k in valuation.strikes(_contract(d))})
        ranks = {strike: rank for rank, strike in enumerate(strikes, 1)}
        expiries = sorted({digital.seconds for digital in digitals})
        for place, digital in enumerate(digitals):
            line = self.lines[place]
            line["netted"] = valuation.netted(
                digital.seconds, values["kappa0"], values["tau_roll_s"])
            line["expiry"] = expiries.index(digital.seconds)
            line["lower"] = _NO_LOWER if digital.low is None else ranks[digital.low]
            line["upper"] = NO_STRIKE if digital.high is None else ranks[digital.high]
            line["values"] = self._values[place].ctypes.data

    def _fill_linear_orders(self) -> NDArray[Any]:
        u = self._underlying
        found = [(order, u.index) for order in u.spot_orders]
        found += [(order, u.mark) for order in u.perpetual_orders]
        records = np.zeros(len(found), LINEAR_ORDER)
        for record, (order, reference) in zip(records, found, strict=True):
            worse = order.price - reference if order.buy else reference - order.price
            record["notional"] = money(order.quantity * reference)
            record["excess"] = money(order.quantity * max(Fraction(0), worse))
            record["paid"] = money(order.quantity * order.price)
            record["sell"] = not order.buy
        return records

    def _fill_nodes(self) -> NDArray[Any]:
        records = np.zeros(len(self._scenarios), NODE)
        for place, (record, node) in enumerate(zip(records, self._scenarios, strict=True)):
            record["move"] = fraction(node.move)
            record["weight"] = fraction(node.initial), fraction(node.maintenance)
            record["place"] = place
        return records

    def _fill_unit(self) -> NDArray[Any]:
        u, p = self._underlying, self._underlying.parameters
        unit = np.zeros(1, UNIT)
        record = unit[0]
        record["spot"] = money(u.balance * u.index)
        record["perpetual"] = money(u.quantity * u.mark)
        for name, parameter in PER_PAIR.items():
            record[name] = [rate(p[f"{parameter}_{SUFFIX[kind]}"]) for kind in sorted(SUFFIX)]
        record["weight"], record["weight_base"] = rate(p["w0"]), rate(p["wb"])
        record["weight_penalty"] = rate(p["pen"])
        record["floor_share"] = rate(1 - self._model.values["gamma"])
        record["lines"], record["nodes"] = len(self.lines), len(self.nodes)
        record["linear_orders"] = len(self.linear_orders)
        record["link_orders"] = len(self.link_orders)
        record["columns"] = record["column_stride"] = len(self._columns)
        return unit


class GroupView:
    """One event of an account."""

    def __init__(self, group: Group) -> None:
        self.name = group.name
        self.kind = KINDS[group.kind]
        self._outcomes = group.outcomes
        self.lines, self.orders = _fill_lines(group.outcomes, [o.orders for o in group.outcomes])
        self.vertices = np.array(
            [[rate(payoff) for payoff in vertex] for vertex in group.vertices], np.int64)
        self.gains = np.zeros((len(self.lines), 2), np.int64)

    def marked(self) -> list[NDArray[np.int64]]:
        """What each outcome is worth at its mark."""
        return [money(o.quantity * o.mark) for o in self._outcomes]


def _fill_lines(
    held: Sequence[Digital | Outcome], orders: Sequence[Sequence[Order]]
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Faces, marks and orders of predictions."""
    lines = np.zeros(len(held), LINE)
    records = np.zeros(sum(len(listed) for listed in orders), LINK_ORDER)
    filled = 0
    for line, entry, listed in zip(lines, held, orders, strict=True):
        line["face"], line["mark"] = _face(entry.quantity), rate(entry.mark)
        line["first_order"] = NO_ORDER
        for order in listed:
            records[filled] = (
                _face(order.quantity), rate(order.price), not order.buy, line["first_order"])
            line["first_order"] = filled
            filled += 1
    return lines, records


def _face(quantity: Fraction) -> int:
    return int(quantity * FACE_ONE)


def _contract(digital: Digital) -> Contract:
    return Contract(digital.low, digital.high, digital.mark)
