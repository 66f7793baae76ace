"""What the risk figures assume: all of it stated, all of it to be edited.

    horizon_seconds      over which prices move
    volatility           of an underlying a year, where the file's or 0.5 isn't meant
    price_correlation    between the underlyings, of the normal scores of their returns
    degrees              of the Student-t; a path in `returns` takes its place (filtered historical)
    probability_min      no outcome of an event is thought less likely
    model_error          taken from the account's best outcome and given to its worst
    misresolution        that an event pays what the marks say instead of an outcome
    rho                  dependence between events, through one factor; `rho_of` by event
    links                what an outcome does to an underlying: drift, and volatility times so much
    moves                of prices, among which the ten worst pairs are looked for
"""

from pathlib import Path
from typing import Any

import msgspec

_LONGEST = 366 * 86_400.0
_HIGHEST = 100.0
_MOVES = (-0.5, -0.3, -0.2, -0.1, -0.05, -0.02, 0.0, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0)


class AssumptionError(ValueError):
    """An assumption is wrong; the text names it."""


class Link(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Given `outcome` of `group` the underlying's return gets a drift, its volatility a factor."""

    group: str
    outcome: str
    underlying: str
    drift: float = 0.0
    volatility_times: float = 1.0


class Assumptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """See the module. Probabilities and moves are fractions of one."""

    horizon_seconds: float = 86_400.0
    volatility: dict[str, float] = {}
    price_correlation: float = 0.7
    returns: dict[str, tuple[float, ...]] = {}
    price_atoms: int = 2_000
    probability_min: float = 0.02
    model_error: float = 0.03
    misresolution: float = 0.005
    rho: float = 0.3
    rho_of: dict[str, float] = {}
    links: tuple[Link, ...] = ()
    moves: tuple[float, ...] = _MOVES
    bins: int = 1 << 16

    def __post_init__(self) -> None:
        shares = {
            "price_correlation": self.price_correlation, "probability_min": self.probability_min,
            "model_error": self.model_error, "misresolution": self.misresolution, "rho": self.rho,
            **{f"rho_of.{name}": value for name, value in self.rho_of.items()},
        }
        for name, value in shares.items():
            if not 0 <= value < 1:
                raise AssumptionError(f"{name}: expected 0 to below 1, was {value}")
        if not 0 < self.horizon_seconds <= _LONGEST:
            raise AssumptionError(f"horizon_seconds: expected above 0 and at most a year, "
                                  f"was {self.horizon_seconds}")
        if not 16 <= self.price_atoms <= 100_000 or not 256 <= self.bins <= 1 << 20:
            raise AssumptionError("price_atoms or bins: out of bounds")
        if not all(-1 < move <= _HIGHEST for move in self.moves):
            raise AssumptionError(f"moves: expected above -1 and at most {_HIGHEST} each")
        for link in self.links:
            if not abs(link.drift) <= _HIGHEST or not 0 < link.volatility_times <= _HIGHEST:
                raise AssumptionError(
                    f"links: expected a drift within {_HIGHEST} and volatility_times above 0 and "
                    f"at most {_HIGHEST} of {link.group} {link.outcome}")
        for name, yearly in self.volatility.items():
            if not 0 < yearly <= 10:
                raise AssumptionError(f"volatility.{name}: expected above 0 to 10, was {yearly}")
        for name, path in self.returns.items():
            if len(path) < 16 or not all(-1 < value <= _HIGHEST for value in path):
                raise AssumptionError(
                    f"returns.{name}: expected 16 at least, above -1 and at most {_HIGHEST} each")


#: Marks as probabilities and nothing else, events independent.
PLAIN = Assumptions(probability_min=0.0, model_error=0.0, misresolution=0.0, rho=0.0)


def read(path: Path | None, **edited: Any) -> Assumptions:
    """From a TOML or JSON file and the fields given, else the defaults. Raises AssumptionError."""
    values: dict[str, Any] = {}
    try:
        if path is not None:
            decoder = msgspec.json if path.suffix == ".json" else msgspec.toml
            values = decoder.decode(path.read_bytes())
        values |= {name: value for name, value in edited.items() if value is not None}
        return msgspec.convert(values, Assumptions)
    except (OSError, msgspec.MsgspecError) as error:
        raise AssumptionError(f"{path or 'assumptions'}: {error}") from error
