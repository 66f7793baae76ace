"""What operators decide: risk parameters, backstops, kill switch, gates, limits, withdrawals.

    onebook admin risk                                        what is in force, and what waits
    onebook admin risk set PARAMETER VALUE [OF] --role ROLE   tighter at once, looser proposed
    onebook admin risk approve PROPOSAL --role ROLE           the other role's word; then the delay
    onebook admin risk reject PROPOSAL --role ROLE
                              [--key FILE]                    whose word it is: an Ed25519 key
    onebook admin risk backstop ACCOUNT INSTRUMENT USDC       a provider's commitment
    onebook admin kill | owner | gate | enforce | limits | withdraw | protect | conflict

Values are whole numbers in the unit that `onebook admin risk --units` shows. Every decision is a
command to the core: journaled, part of its digest, answered by what the core said. What loosens
anything must be signed by a key that the configuration names for the role (risk.signer), or, if it
names none, by the one made for it in the data directory; the core verifies that before it counts.
"""

import sys
from pathlib import Path
from typing import Any, Literal

from cyclopts import App
from rich.console import Console
from rich.table import Table

from core.config import ConfigurationError, fixed
from core.errors import CoreError
from core.signatures import ROLES
from tools.operator.command_line import COMMANDS as CONTROLS
from tools.operator.desk import Desk
from tools.operator.signing import OwnKey, key_file, own_key
from tools.risk_parameters import (
    EVERYWHERE,
    NUMBERS,
    SCOPED,
    UNITS,
    live_state,
    read,
    scope_of,
)
from tools.stores import Data, Instance, amount_text, data_directory, fail, moment

USDC_DECIMALS = 6
STATES = {1: "in force", 2: "proposed", 3: "approved", 4: "rejected", 5: "expired"}
Role = Literal["risk", "operations"]

admin = App(name="admin", help=(__doc__ or "").partition("\n")[0])
risk = App(name="risk", help="Risk parameters: what is in force, and what waits.")
admin.command(risk)
for control in CONTROLS:
    admin.command(control)


@risk.default
def show(*, units: bool = False, instance: Instance = "onebook", data: Data = None) -> int:
    """Show every risk parameter, what waits to be loosened, and what stands behind the markets.

    Parameters
    ----------
    units
        Show what each parameter is instead.
    """
    console = Console(width=None if sys.stdout.isatty() else 150)
    if units:
        meanings = Table("parameter", "unit and meaning")
        for name in (*EVERYWHERE, *SCOPED):
            meanings.add_row(name, UNITS[name])
        console.print(meanings)
        return 0
    try:
        with live_state(instance, data_directory(instance, data)) as (s, configuration):
            seen = read(s, configuration)
    except CoreError as error:
        return fail(error)
    table = Table("parameter", "of", "value", title="in force", title_justify="left")
    for parameter in seen.parameters:
        table.add_row(parameter.name, parameter.of or "everywhere", f"{parameter.value:,}")
    console.print(table)
    if seen.proposals:
        waiting = Table("proposal", "parameter", "of", "value", "role", "signed by", "approved by",
                        "state", "until", title="waiting", title_justify="left")
        roles = {number: name for name, number in ROLES.items()}
        for p in seen.proposals:
            waiting.add_row(str(p.number), p.name, str(p.scope), f"{p.value:,}",
                            roles.get(p.role, "?"), p.proposer, p.approver, p.state,
                            moment(p.time))
        console.print(waiting)
    behind = Table("market", "provider", "commitment", "pledged", title="behind the markets",
                   title_justify="left")
    for provider in seen.providers:
        behind.add_row(provider.instrument, provider.account,
                       amount_text(provider.commitment, USDC_DECIMALS),
                       amount_text(provider.pledged, USDC_DECIMALS))
    for market, lost in seen.lost.items():
        behind.add_row(market, "insurance, lost so far", "", amount_text(lost, USDC_DECIMALS))
    behind.add_row("all", "insurance", "", amount_text(seen.insurance, USDC_DECIMALS))
    console.print(behind)
    return 0


@risk.command(name="set")
def set_parameter(
    parameter: str, value: int, of: str = "", *, role: Role, key: Path | None = None,
    instance: Instance = "onebook", data: Data = None,
) -> int:
    """Set a risk parameter: in force at once if it is tighter, else proposed to the other role.

    Parameters
    ----------
    parameter
        Its name, as `onebook admin risk` shows it.
    value
        A whole number in the unit that `onebook admin risk --units` shows.
    of
        The instrument, asset, account, owner or event it is of, by name.
    role
        Whose word it is.
    key
        File with the Ed25519 key that signs; the role's own in the data directory if not given.
    """
    if parameter not in NUMBERS:
        return fail(f"no parameter {parameter}, see onebook admin risk --units")
    try:
        with live_state(instance, data_directory(instance, data)) as (s, configuration):
            scope = scope_of(parameter, of, s, configuration)
        fields = {"parameter": NUMBERS[parameter], "role": ROLES[role], "scope": scope,
                  "value": value}
        directory = data_directory(instance, data)
        signer = own_key(configuration, key or key_file(directory, role), key is not None)
        return _ask(instance, directory, "SetRiskParameter", fields, signer)
    except CoreError as error:
        return fail(error)


@risk.command
def approve(
    proposal: int, *, role: Role, key: Path | None = None, instance: Instance = "onebook",
    data: Data = None,
) -> int:
    """Approve what the other role has proposed; it takes effect after the delay.

    Parameters
    ----------
    proposal
        Its number, as `onebook admin risk` shows it.
    role
        Whose word it is.
    key
        File with the Ed25519 key that signs; the role's own in the data directory if not given.
    """
    return _decide(proposal, role, 1, key, instance, data)


@risk.command
def reject(
    proposal: int, *, role: Role, key: Path | None = None, instance: Instance = "onebook",
    data: Data = None,
) -> int:
    """Reject a proposal, approved or not.

    Parameters
    ----------
    proposal
        Its number, as `onebook admin risk` shows it.
    role
        Whose word it is.
    key
        File with the Ed25519 key that signs; the role's own in the data directory if not given.
    """
    return _decide(proposal, role, 0, key, instance, data)


def _decide(
    proposal: int, role: str, approval: int, key: Path | None, instance: str, data: Path | None
) -> int:
    fields = {"proposal": proposal, "role": ROLES[role], "approve": approval}
    directory = data_directory(instance, data)
    try:
        with live_state(instance, directory) as (_, configuration):
            pass
        signer = own_key(configuration, key or key_file(directory, role), True)
        return _ask(instance, directory, "DecideRiskProposal", fields, signer)
    except CoreError as error:
        return fail(error)


@risk.command
def backstop(
    account: str, instrument: str, commitment: str, *, instance: Instance = "onebook",
    data: Data = None,
) -> int:
    """Set what an account pledges, in USDC, to take over positions of a market with.

    Parameters
    ----------
    account
        Name or number of the provider's account.
    instrument
        Symbol or number of the market.
    commitment
        A decimal; less than before is given back only after the notice.
    """
    directory = data_directory(instance, data)
    try:
        with live_state(instance, directory) as (s, configuration):
            fields = {
                "account": scope_of("AccountExposure", account, s, configuration),
                "instrument": scope_of("InsuranceCap", instrument, s, configuration),
                "commitment": fixed(commitment) // 100,
            }
        return _ask(instance, directory, "SetBackstop", fields)
    except (CoreError, ValueError) as error:
        return fail(error)


def _ask(
    instance: str, data: Path, name: str, fields: dict[str, Any], signer: OwnKey | None = None
) -> int:
    """Send a command of an operator and print what it changed; the exit code."""
    try:
        with Desk(instance, data) as desk:
            desk.send(name, signer, **fields)
            for event, found in desk.said:
                if event in _CHANGES:
                    print(_CHANGES[event](found))
    except (ConfigurationError, CoreError, OSError) as error:
        return fail(error)
    return 0


def _parameter_text(said: dict[str, Any]) -> str:
    """A RiskParameterChanged in one line."""
    of = f"proposal {said['proposal']}" if said["proposal"] else "parameter"
    by = f", signed by signer {said['signer']}" if said["signer"] else ""
    return (f"{of} {STATES[said['state']]}: {said['before']:,} → {said['value']:,}, "
            f"{moment(said['time'])}{by}")


def _pledge_text(said: dict[str, Any]) -> str:
    """A BackstopChanged in one line."""
    return (f"committed {amount_text(said['commitment'], USDC_DECIMALS)}, "
            f"pledged {amount_text(said['pledged'], USDC_DECIMALS)}")


_CHANGES = {"RiskParameterChanged": _parameter_text, "BackstopChanged": _pledge_text}
