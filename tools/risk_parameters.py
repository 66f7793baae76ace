"""The risk parameters of a running exchange, as its own state has them.

The core's state is mapped for reading only: what is shown is what the core goes by, not what a file
once said. Names and units are those of the schema's RiskParameter.
"""

from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np

from core.config import Configuration, ConfigurationError
from core.errors import CoreError, SegmentMismatch
from core.memory import Segment
from core.messages import layout
from core.state import state_dtype
from sbe.layout import Choice, Enum
from tools.inspection import configuration_of

EVERYWHERE = {
    "LiquidationEnabled": "enabled", "LiquidationInterval": "interval",
    "LiquidationSlice": "slice", "LiquidationWhole": "whole",
    "FillableSpread": "fillable_spread", "FillableMinimum": "fillable_minimum",
    "DegradedWait": "degraded_wait", "BackstopNotice": "backstop_notice",
    "LooseningDelay": "loosening_delay", "ProposalLife": "proposal_life",
    "ListingRamp": "listing_ramp",
}
# Of a scope: its table in the state and the field; `markets` stands beside `instruments`.
SCOPED = {
    "MarginBaseInitial": ("markets", "base_initial"),
    "MarginBaseMaintenance": ("instruments", "margin_base_maintenance"),
    "MarginFactorInitial": ("instruments", "margin_factor_initial"),
    "MarginFactorMaintenance": ("instruments", "margin_factor_maintenance"),
    "PriceBand": ("instruments", "price_band"),
    "PremiumBand": ("markets", "premium_band"),
    "PositionLimit": ("instruments", "position_maximum"),
    "OwnerPositionLimit": ("markets", "owner_limit"),
    "OpenInterestLimit": ("markets", "interest_limit"),
    "InsuranceCap": ("markets", "insurance_cap"),
    "InterestScaleStart": ("markets", "scale_start"),
    "InterestScaleEnd": ("markets", "scale_end"),
    "InterestScaleMost": ("markets", "scale_most"),
    "FundingRateCap": ("markets", "funding_cap"),
    "OwnerInterestShare": ("markets", "interest_share"),
    "OwnerInterestFree": ("markets", "interest_free"),
    "HaircutInitial": ("assets", "haircut_initial"),
    "HaircutMaintenance": ("assets", "haircut_maintenance"),
    "BorrowMarginInitial": ("assets", "borrow_margin_initial"),
    "BorrowMarginMaintenance": ("assets", "borrow_margin_maintenance"),
    "BorrowLimit": ("assets", "borrow_limit"),
    "UtilisationCeiling": ("assets", "utilisation_ceiling"),
    "CollateralCap": ("assets", "collateral_cap"),
    "CollateralRamp": ("assets", "collateral_ramp"),
    "WithdrawalShare": ("assets", "withdrawal_share"),
    "AccountLeverage": ("accounts", "leverage_limit"),
    "AccountExposure": ("accounts", "exposure_limit"),
    "AccountBorrowing": ("accounts", "borrowing_limit"),
    "OwnerExposure": ("owners", "exposure_limit"),
    "EventAccountLimit": ("event_groups", "account_limit"),
    "EventOwnerLimit": ("event_groups", "owner_limit"),
}
# What there is of a table: the field that isn't 0 in a record that is in use.
IN_USE = {
    "instruments": "state", "markets": "state", "assets": "registered", "accounts": "state",
    "owners": "registered", "event_groups": "kind",
}
SPARSE = ("accounts", "owners", "event_groups")  # Shown only where something is set.
PROPOSAL_STATES = {2: "waits for the other role", 3: "approved"}


class Parameter(msgspec.Struct):
    """One parameter of one scope; `of` is the scope's name, empty for what holds everywhere."""

    name: str
    of: str
    scope: int
    value: int


class Proposal(msgspec.Struct):
    """A loosening that waits; `time` is when it expires, or takes effect (ns UTC).

    `proposer` and `approver` are the names of those who signed, empty where nobody has yet.
    """

    number: int
    name: str
    scope: int
    value: int
    role: int
    proposer: str
    approver: str
    state: str
    time: int


class Provider(msgspec.Struct):
    """A backstop provider and what it has pledged, USDC units."""

    account: str
    instrument: str
    commitment: int
    pledged: int


class Seen(NamedTuple):
    """All of it."""

    parameters: list[Parameter]
    proposals: list[Proposal]
    providers: list[Provider]
    insurance: int  # USDC units the insurance account holds
    lost: dict[str, int]  # by market


@contextmanager
def live_state(instance: str, data: Path) -> Iterator[tuple[Any, Configuration]]:
    """The record of a running exchange's state, and its configuration. Raises CoreError."""
    try:
        configuration = configuration_of(data)
    except ConfigurationError as error:
        raise CoreError(str(error)) from error
    with Segment.open(instance, "state", writable=False) as segment:
        try:
            state = segment.array(state_dtype(configuration.limits))
        except ValueError as error:
            raise SegmentMismatch(f"the state of {instance} has another size") from error
        yield state[0], configuration


def read(s: Any, configuration: Configuration) -> Seen:
    """The parameters in a state's record."""
    symbols = [_text(record["symbol"]) for record in s["instruments"]]
    names = _names(s, configuration)
    numbers = {number: name for name, number in NUMBERS.items()}
    signers: defaultdict[int, str] = defaultdict(lambda: "a signer of before", {0: ""})
    signers |= {n: s.name for n, s in enumerate(configuration.risk.signer, 1)}
    return Seen(
        list(_parameters(s, names)),
        [
            Proposal(int(p["number"]), numbers[int(p["parameter"])], int(p["scope"]),
                     int(p["value"]), int(p["role"]), signers[int(p["proposer"])],
                     signers[int(p["approver"])], PROPOSAL_STATES[int(p["state"])],
                     int(p["time"]))
            for p in s["proposal"] if p["number"]
        ],
        [
            Provider(names["accounts"].get(int(b["account"]), "?"), symbols[int(b["instrument"])],
                     int(b["commitment"]), int(b["pledged"]))
            for b in s["backstops"] if b["account"]
        ],
        int(s["accounts"][2]["assets"][0]["balance"]),
        {
            symbols[number]: int(lost)
            for number, lost in enumerate(s["markets"]["insurance_lost"]) if lost
        },
    )


def _parameters(s: Any, names: dict[str, dict[int, str]]) -> Iterator[Parameter]:
    for name, field in EVERYWHERE.items():
        yield Parameter(name, "", 0, int(s["risk"][field]))
    for name, (table, field) in SCOPED.items():
        used = s["instruments" if table == "markets" else table][IN_USE[table]]
        values = s[table][field]
        for scope in np.flatnonzero(used):
            if values[scope] or table not in SPARSE:
                of = names["instruments" if table == "markets" else table]
                yield Parameter(name, of.get(int(scope), str(scope)), int(scope),
                                int(values[scope]))


def _names(s: Any, configuration: Configuration) -> dict[str, dict[int, str]]:
    def texts(table: str, field: str) -> dict[int, str]:
        used = np.flatnonzero(s[table][IN_USE[table]])
        return {int(n): _text(s[table][n][field]) for n in used}

    events = configuration.numbers().events
    return {
        "instruments": texts("instruments", "symbol"), "assets": texts("assets", "name"),
        "accounts": texts("accounts", "name"), "owners": texts("owners", "name"),
        "event_groups": {number: symbol for symbol, number in events.items()},
    }


def scope_of(name: str, of: str, s: Any, configuration: Configuration) -> int:
    """The number of what a parameter is to be set of, by its name. Raises CoreError."""
    if name in EVERYWHERE:
        return 0
    table = SCOPED[name][0]
    table = "instruments" if table == "markets" else table
    for number, known in _names(s, configuration)[table].items():
        if known == of:
            return number
    raise CoreError(f"{name} is of one of {table}: there is no {of or '(none)'}")


def _text(characters: Any) -> str:
    return bytes(characters).rstrip(b"\0").decode()


def _choices() -> tuple[Choice, ...]:
    fields = {field.name: field.type for field in layout("SetRiskParameter").fields}
    kind = fields["parameter"]
    assert isinstance(kind, Enum), "Invariant: the schema names the parameters."
    return kind.choices


NUMBERS = {choice.name: choice.value for choice in _choices()}
UNITS = {choice.name: choice.description for choice in _choices()}
