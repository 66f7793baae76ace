"""Case files: accounts written down in JSON, read into plain records, every field judged.

    {"global": {…}, "underlying_params": {"BTC": {…}}, "cases": [{"id": …, "usdc": "1000",
     "underlyings": [{"name", "params", "index", "balance", "stable", "perp_qty", "perp_mark",
                      "perp_last_settle", "digitals": [{"name", "type": "above|below|range", "qty",
                      "mark", "tau_s", "strike" | "low", "high"}]}],
     "groups": [{"name", "kind": "exclusive|exhaustive|nested|explicit", "vertices": [[…]],
                 "outcomes": [{"name", "qty", "mark"}]}],
     "orders": [{"kind": "spot|perp|digital|event", "underlying" | "group", "ref", "side", "qty",
                 "price"}]}]}

Whose `params` aren't given has those of his name; BTC and SOL have defaults, as `global` has.
Numbers are decimal strings (whole numbers will do) and become fractions, so nothing is ever rounded
on the way in. Quantities are whole lots of 1e-8, prices and parameters have at most 12 decimals.
Whatever is wrong is a CaseError that names the field.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

GLOBAL = {
    "kappa0": "0.10", "tau_roll_s": 3600, "horizon_s": 86400, "vol_lo": "0.7", "vol_hi": "1.3",
    "gamma": "0", "theta": "0.5", "beta_usdc_im": "0.01", "beta_usdc_mm": "0.005",
}
EXTREMES = ("-0.66", "-0.33", "0.50", "1.00", "2.00")
PARAMETERS = (
    "sigma_im", "sigma_mm", "f_im", "f_mm", "ch_im", "ch_mm", "w0", "wb", "pen", "beta_im",
    "beta_mm", "vol",
)
DEFAULTS = {  # Of the underlyings that a file says nothing of, in the order of PARAMETERS.
    "BTC": "0.10 0.06 0.00002 0.000012 0.005 0.0025 0.98 1.10 0.00002 0.02 0.01 0.50",
    "SOL": "0.15 0.09 0.00006 0.000036 0.01 0.005 0.95 1.10 0.0001 0.02 0.01 0.80",
}
GREATEST, FINEST = 10**15, 10**18
LOT = Fraction(1, 10**8)
FACE_MAX = 9 * 10**10  # of one prediction or order on it
WORTH_MAX = 4 * 10**13  # USDC, of an underlying's balance, perpetual and orders together
PRICE_STEP = Fraction(1, 10**12)  # of prices and parameters
EXTREME_LEAST, EXTREME_MOST = Fraction(1, 1000), 10  # moves, either way; all is lost at -1
SHOWN = 80  # characters of what is wrong
DECIMAL = re.compile(r"[-+]?[0-9]{1,40}(\.[0-9]{0,40})?(e[-+]?[0-9]{1,3})?", re.IGNORECASE)
MISSING = object()
RANGE_ENDS = (  # The first is ours; other books of the same accounts say it in these words.
    ("low", "high"), ("lo", "hi"), ("lower", "upper"), ("strike_lo", "strike_hi"),
    ("strike_low", "strike_high"),
)
KINDS = ("exclusive", "exhaustive", "nested", "explicit")


class CaseError(ValueError):
    """A case file is wrong; the text names the field and the rule."""


@dataclass(frozen=True)
class Order:
    """n at a price p, both above zero."""

    buy: bool
    quantity: Fraction
    price: Fraction


@dataclass(frozen=True)
class Digital:
    """A price link: above pays from `low` on, below under `high`, a range from `low` to `high`."""

    name: str
    low: Fraction | None
    high: Fraction | None
    quantity: Fraction
    mark: Fraction
    seconds: Fraction  # to the expiry
    orders: tuple[Order, ...] = ()


@dataclass(frozen=True)
class Underlying:
    """What an account has in one underlying; prices in USDC."""

    name: str
    parameters: Mapping[str, Fraction]
    index: Fraction
    stable: Fraction
    balance: Fraction
    quantity: Fraction  # of the perpetual
    mark: Fraction
    last_settle: Fraction
    digitals: tuple[Digital, ...]
    spot_orders: tuple[Order, ...]
    perpetual_orders: tuple[Order, ...]


@dataclass(frozen=True)
class Outcome:
    """One outcome of an event."""

    name: str
    quantity: Fraction
    mark: Fraction
    orders: tuple[Order, ...] = ()


@dataclass(frozen=True)
class Group:
    """An event and the points its outcomes can pay."""

    name: str
    kind: str
    outcomes: tuple[Outcome, ...]
    vertices: tuple[tuple[Fraction, ...], ...]


@dataclass(frozen=True)
class Case:
    """One account."""

    id: str
    usdc: Fraction
    underlyings: tuple[Underlying, ...]
    groups: tuple[Group, ...]


@dataclass(frozen=True)
class Model:
    """The parameters that all accounts share."""

    values: Mapping[str, Fraction]
    extremes: tuple[Fraction, ...]


@dataclass
class _At:
    """A JSON object and where it stands in the file; keys asked for are ticked off."""

    values: Mapping[str, Any]
    path: str
    asked: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        if not isinstance(self.values, Mapping):
            raise CaseError(f"{self.path}: expected an object")

    def get(self, name: str, default: Any = None) -> Any:
        self.asked.add(name)
        return self.values.get(name, default)

    def needed(self, name: str) -> Any:
        value = self.get(name, MISSING)
        if value is MISSING:
            raise CaseError(f"{self.path}.{name}: is missing")
        return value

    def text(self, name: str) -> str:
        value = self.needed(name)
        if not isinstance(value, str) or not value:
            raise CaseError(f"{self.path}.{name}: expected a text, was {_shown(value)}")
        return value

    def comment(self, name: str) -> None:
        """A text that may be there, of which nothing depends."""
        if name in self.values:
            self.text(name)

    def choice(self, name: str, choices: tuple[str, ...]) -> str:
        value = self.needed(name)
        if value not in choices:
            expected = ", ".join(choices)
            raise CaseError(f"{self.path}.{name}: expected one of {expected}, was {_shown(value)}")
        return str(value)

    def number(
        self, name: str, default: Any = None, least: Any = None, most: Any = None,
        above: Any = None,
    ) -> Fraction:
        value = self.needed(name) if default is None else self.get(name, default)
        return number(value, f"{self.path}.{name}", least, most, above)

    def quantity(self, name: str, default: Any = None, most: Any = None, **bounds: Any) -> Fraction:
        """A number of whole lots, at most so many either way."""
        least = bounds.pop("least", None if most is None else -most)
        exact = self.number(name, default, least, most, **bounds)
        if exact % LOT != 0:
            path = f"{self.path}.{name}"
            raise CaseError(f"{path}: expected whole lots of 0.00000001, was {self.get(name)}")
        return exact

    def price(self, name: str, default: Any = None, **bounds: Any) -> Fraction:
        """A number with at most 12 decimals: times whole lots it is whole money of the core."""
        exact = self.number(name, default, **bounds)
        if exact % PRICE_STEP != 0:
            path = f"{self.path}.{name}"
            raise CaseError(f"{path}: expected at most 12 decimals, was {self.get(name)}")
        return exact

    def share(self, name: str, default: Any = None, most: Any = 1) -> Fraction:
        """A price or rate from 0 to 1, or to `most`."""
        return self.price(name, default, least=0, most=most)

    def list(self, name: str) -> list["_At"]:
        entries = self.get(name, [])
        if not isinstance(entries, list):
            raise CaseError(f"{self.path}.{name}: expected a list")
        return [_At(entry, f"{self.path}.{name}[{i}]") for i, entry in enumerate(entries)]

    def done(self) -> None:
        for name in self.values:
            if name not in self.asked:
                raise CaseError(f"{self.path}.{name}: there is no such field")


def number(
    value: Any, path: str, least: Any = None, most: Any = None, above: Any = None
) -> Fraction:
    """A decimal as an exact fraction, within its bounds. Raises CaseError."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise CaseError(f"{path}: expected a decimal in quotes, was {_shown(value)}")
    if isinstance(value, str) and not DECIMAL.fullmatch(value):
        raise CaseError(f"{path}: expected a decimal in quotes, was {_shown(value)}")
    exact = Fraction(value)
    if abs(exact) > GREATEST or exact.denominator > FINEST:
        raise CaseError(f"{path}: expected at most 15 digits and 18 decimals, was {_shown(value)}")
    if least is not None and exact < least:
        raise CaseError(f"{path}: expected at least {least}, was {value}")
    if most is not None and exact > most:
        raise CaseError(f"{path}: expected at most {most}, was {value}")
    if above is not None and exact <= above:
        raise CaseError(f"{path}: expected more than {above}, was {value}")
    return exact


def _shown(value: Any) -> str:
    """A value that isn't what was expected, no longer than fits a line."""
    try:
        text = repr(value)
    except ValueError:  # A number of thousands of digits.
        return f"a number of {value.bit_length()} bits"
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"


def read_file(content: Any) -> tuple[Model, list[Case]]:
    """The model and the accounts of a decoded case file. Raises CaseError."""
    at = _At(content, "file")
    shared = _At(at.get("global", {}), "global")
    model = Model(
        {name: _parameter(shared, name, default) for name, default in GLOBAL.items()},
        _extremes(shared.get("extremes", list(EXTREMES))),
    )
    shared.done()
    parameters = {
        name: dict(zip(PARAMETERS, map(Fraction, values.split()), strict=True))
        for name, values in DEFAULTS.items()
    }
    for name, values in _At(at.get("underlying_params", {}), "underlying_params").values.items():
        entry = _At(values, f"underlying_params.{name}")
        parameters[name] = {key: _parameter(entry, key) for key in PARAMETERS}
        entry.done()
    at.needed("cases")
    cases = []
    for entry in at.list("cases"):
        try:
            cases.append(_case(entry, parameters))
        except CaseError as error:
            raise CaseError(f"case {entry.values.get('id')!r}: {error}") from None
    _once((f"file.cases[{i}].id", case.id) for i, case in enumerate(cases))
    for free in ("model", "rounding"):
        at.comment(free)
    at.done()
    return model, cases


def _once(names: Iterable[tuple[str, str]]) -> None:
    """Refuse a name that is there twice; pairs of (field, name)."""
    known = set()
    for path, name in names:
        if name in known:
            raise CaseError(f"{path}: {name!r} is there twice")
        known.add(name)


def _parameter(at: _At, name: str, default: Any = None) -> Fraction:
    """A parameter within its bounds: divisors above zero, a range that ends before all is lost."""
    if name in ("vol", "vol_lo", "vol_hi", "tau_roll_s"):
        return at.number(name, default, above=0)
    if name == "horizon_s":
        return at.number(name, default, least=0)
    most = Fraction(99, 100) if name.startswith("sigma") else 10 if name == "wb" else 1
    return at.share(name, default, most)


def _extremes(listed: Any) -> tuple[Fraction, ...]:
    if not isinstance(listed, list):
        raise CaseError("global.extremes: expected a list")
    moves = []
    for i, entry in enumerate(listed):
        path = f"global.extremes[{i}]"
        moves.append(number(entry, path, most=EXTREME_MOST, above=-1))
        if abs(moves[-1]) < EXTREME_LEAST:
            raise CaseError(f"{path}: expected a move of at least 0.001 either way, was {entry}")
        if moves[-1] % PRICE_STEP != 0:
            raise CaseError(f"{path}: expected at most 12 decimals, was {entry}")
    return tuple(moves)


def _case(at: _At, parameters: Mapping[str, Mapping[str, Fraction]]) -> Case:
    at.get("expected")
    for free in ("title", "anchor"):
        at.comment(free)
    orders = at.list("orders")
    taken: set[int] = set()

    def of(**place: str) -> tuple[Order, ...]:
        found = []
        for i, order in enumerate(orders):
            if all(order.get(name) == value for name, value in place.items()):
                taken.add(i)
                found.append(_order(order))
        return tuple(found)

    case = Case(
        at.text("id"),
        at.quantity("usdc", "0"),
        tuple(_underlying(entry, parameters, of) for entry in at.list("underlyings")),
        tuple(_group(entry, of) for entry in at.list("groups")),
    )
    _judge_names(case, at.path)
    if _all_worth(case) > GREATEST:
        raise CaseError(f"{at.path}: expected all of it worth at most {GREATEST} USDC")
    for i, order in enumerate(orders):
        order.choice("kind", ("spot", "perp", "digital", "event"))
        if i not in taken:
            raise CaseError(f"{order.path}: nothing in the case is what it refers to")
        order.done()
    at.done()
    return case


def _judge_names(case: Case, path: str) -> None:
    """Names that the answer goes by are there once: a price link's in the whole account."""
    units = [(f"{path}.underlyings[{i}]", u) for i, u in enumerate(case.underlyings)]
    groups = [(f"{path}.groups[{i}]", g) for i, g in enumerate(case.groups)]
    _once((f"{at}.name", u.name) for at, u in units)
    _once((f"{at}.digitals[{i}].name", d.name) for at, u in units for i, d in enumerate(u.digitals))
    _once((f"{at}.name", g.name) for at, g in groups)
    for at, g in groups:
        _once((f"{at}.outcomes[{i}].name", o.name) for i, o in enumerate(g.outcomes))


def _all_worth(case: Case) -> Fraction:
    """What everything in an account comes to, whatever its side."""
    predictions: list[Digital | Outcome] = [d for u in case.underlyings for d in u.digitals]
    predictions += [outcome for group in case.groups for outcome in group.outcomes]
    faces = [abs(held.quantity) for held in predictions]
    faces += [order.quantity for held in predictions for order in held.orders]
    return abs(case.usdc) + sum(map(_worth, case.underlyings), Fraction(0)) + sum(faces)


def _order(at: _At) -> Order:
    prediction = at.get("kind") in ("digital", "event")
    return Order(
        at.choice("side", ("buy", "sell")) == "buy",
        at.quantity("qty", most=FACE_MAX if prediction else None, above=0),
        at.share("price") if prediction else at.price("price", least=0),
    )


def _underlying(
    at: _At, parameters: Mapping[str, Mapping[str, Fraction]], of: Callable[..., tuple[Order, ...]]
) -> Underlying:
    name = at.text("name")
    chosen = at.text("params") if "params" in at.values else name
    if chosen not in parameters:
        raise CaseError(f"{at.path}.params: there are no parameters {chosen!r}")
    index = at.price("index", above=0)
    mark = at.price("perp_mark", at.get("index"), above=0)
    underlying = Underlying(
        name, parameters[chosen], index,
        at.price("stable", at.get("index"), above=0),
        at.quantity("balance", "0"),
        at.quantity("perp_qty", "0"),
        mark,
        at.number("perp_last_settle", at.get("perp_mark", at.get("index")), above=0),
        tuple(_digital(entry, name, of) for entry in at.list("digitals")),
        of(kind="spot", underlying=name),
        of(kind="perp", underlying=name),
    )
    if _worth(underlying) > WORTH_MAX:
        raise CaseError(
            f"{at.path}: expected balance, perp_qty and orders worth at most {WORTH_MAX} USDC")
    at.done()
    return underlying


def _worth(u: Underlying) -> Fraction:
    """What an underlying's linear positions and orders are worth, whatever their side."""
    worth = abs(u.balance) * max(u.index, u.stable)
    worth += abs(u.quantity) * max(u.mark, u.last_settle)
    for orders, reference in ((u.spot_orders, u.index), (u.perpetual_orders, u.mark)):
        worth += sum(order.quantity * max(order.price, reference) for order in orders)
    return worth


def _digital(at: _At, underlying: str, of: Callable[..., tuple[Order, ...]]) -> Digital:
    kind = at.choice("type", ("above", "below", "range"))
    low, high = None, None
    if kind == "range":
        ends = next((ends for ends in RANGE_ENDS if ends[0] in at.values), RANGE_ENDS[0])
        low = at.number(ends[0], above=0)
        high = at.number(ends[1], above=low)
    elif kind == "above":
        low = at.number("strike", above=0)
    else:
        high = at.number("strike", above=0)
    name = at.text("name")
    digital = Digital(
        name, low, high, at.quantity("qty", most=FACE_MAX), at.share("mark"),
        at.number("tau_s", above=0), of(kind="digital", underlying=underlying, ref=name),
    )
    at.done()
    return digital


def _group(at: _At, of: Callable[..., tuple[Order, ...]]) -> Group:
    name, kind = at.text("name"), at.choice("kind", KINDS)
    outcomes = []
    for entry in at.list("outcomes"):
        outcome = entry.text("name")
        outcomes.append(Outcome(
            outcome, entry.quantity("qty", most=FACE_MAX), entry.share("mark"),
            of(kind="event", group=name, ref=outcome),
        ))
        entry.done()
    if not outcomes:
        raise CaseError(f"{at.path}.outcomes: expected at least one")
    group = Group(name, kind, tuple(outcomes), _vertices(at, kind, len(outcomes)))
    at.done()
    return group


def _vertices(at: _At, kind: str, count: int) -> tuple[tuple[Fraction, ...], ...]:
    zero, one = Fraction(0), Fraction(1)
    units = [tuple(one if i == j else zero for j in range(count)) for i in range(count)]
    if kind == "exclusive":
        return ((zero,) * count, *units)
    if kind == "exhaustive":
        return tuple(units)
    if kind == "nested":
        return tuple(tuple(one if j < i else zero for j in range(count)) for i in range(count + 1))
    listed = at.get("vertices")
    if not isinstance(listed, list) or not listed:
        raise CaseError(f"{at.path}.vertices: expected a list of points")
    points = []
    for i, point in enumerate(listed):
        if not isinstance(point, list) or len(point) != count:
            raise CaseError(f"{at.path}.vertices[{i}]: expected {count} payoffs")
        payoffs = _At(
            {f"[{j}]": value for j, value in enumerate(point)}, f"{at.path}.vertices[{i}]")
        points.append(tuple(payoffs.share(name) for name in payoffs.values))
    return tuple(points)
