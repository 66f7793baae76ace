"""What operators decide: risk parameters, and who stands behind a market.

    onebook admin risk                                        what is in force, and what waits
    onebook admin risk set PARAMETER VALUE [OF] --role ROLE   tighter at once, looser proposed
    onebook admin risk approve PROPOSAL --role ROLE           the other role's word; then the delay
    onebook admin risk reject PROPOSAL --role ROLE
                              [--key FILE]                    whose word it is: an Ed25519 key
    onebook admin risk backstop ACCOUNT INSTRUMENT USDC       a provider's commitment
    onebook admin kill | owner | gate | enforce | limits | withdraw | protect

Values are whole numbers in the unit that `onebook admin risk --units` shows. Every decision is a
command to the core: journaled, part of its digest, answered by what the core said. What loosens
anything must be signed by a key that the configuration names for the role (risk.signer), or, if it
names none, by the one made for it in the data directory; the core verifies that before it counts.
"""

import sys
import time
from pathlib import Path
from typing import Any, Literal

from cyclopts import App
from rich.console import Console
from rich.table import Table

from core.config import Configuration, fixed
from core.errors import CoreError
from core.link import CommandLink, CoreBell, EventFollower, released
from core.messages import decode_body, template
from core.process import Options
from core.producers import Producer
from core.signatures import ROLES
from core.status import StatusTable
from sbe.generated import order_entry as oe
from tools.operator.command_line import COMMANDS as CONTROLS
from tools.operator.signing import OwnKey, key_file, own_key, sign
from tools.risk_parameters import (
    EVERYWHERE,
    NUMBERS,
    SCOPED,
    UNITS,
    live_state,
    read,
    scope_of,
)
from tools.stores import amount_text, data_directory, fail, moment

ANSWER_SECONDS = 10.0
STATES = {1: "in force", 2: "proposed", 3: "approved", 4: "rejected", 5: "expired"}
REASONS = {
    value: name.removeprefix("REASON_").replace("_", " ").lower()
    for name, value in vars(oe).items() if name.startswith("REASON_")
}
Role = Literal["risk", "operations"]

admin = App(name="admin", help=(__doc__ or "").partition("\n")[0])
risk = App(name="risk", help="Risk parameters: what is in force, and what waits.")
admin.command(risk)
for control in CONTROLS:
    admin.command(control)


@risk.default
def show(*, units: bool = False, instance: str = "onebook", data: Path | None = None) -> int:
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
                       amount_text(provider.commitment, 6), amount_text(provider.pledged, 6))
    for market, lost in seen.lost.items():
        behind.add_row(market, "insurance, lost so far", "", amount_text(lost, 6))
    behind.add_row("all", "insurance", "", amount_text(seen.insurance, 6))
    console.print(behind)
    return 0


@risk.command(name="set")
def set_parameter(
    parameter: str, value: int, of: str = "", *, role: Role, key: Path | None = None,
    instance: str = "onebook", data: Path | None = None,
) -> int:
    """Set a risk parameter: in force at once if it is tighter, else proposed to the other role.

    Parameters
    ----------
    of
        The instrument, asset, account, owner or event it is of, by name.
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
        return _ask(instance, directory, configuration, "SetRiskParameter", fields, signer)
    except CoreError as error:
        return fail(error)


@risk.command
def approve(
    proposal: int, *, role: Role, key: Path | None = None, instance: str = "onebook",
    data: Path | None = None,
) -> int:
    """Approve what the other role has proposed; it takes effect after the delay.

    Parameters
    ----------
    key
        File with the Ed25519 key that signs; the role's own in the data directory if not given.
    """
    return _decide(proposal, role, 1, key, instance, data)


@risk.command
def reject(
    proposal: int, *, role: Role, key: Path | None = None, instance: str = "onebook",
    data: Path | None = None,
) -> int:
    """Reject a proposal, approved or not.

    Parameters
    ----------
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
        return _ask(instance, directory, configuration, "DecideRiskProposal", fields, signer)
    except CoreError as error:
        return fail(error)


@risk.command
def backstop(
    account: str, instrument: str, commitment: str, *, instance: str = "onebook",
    data: Path | None = None,
) -> int:
    """Set what an account pledges, in USDC, to take over positions of a market with."""
    directory = data_directory(instance, data)
    try:
        with live_state(instance, directory) as (s, configuration):
            fields = {
                "account": scope_of("AccountExposure", account, s, configuration),
                "instrument": scope_of("InsuranceCap", instrument, s, configuration),
                "commitment": fixed(commitment) // 100,
            }
        return _ask(instance, directory, configuration, "SetBackstop", fields)
    except (CoreError, ValueError) as error:
        return fail(error)


def _ask(
    instance: str, data: Path, configuration: Configuration, name: str, fields: dict[str, Any],
    signer: OwnKey | None = None,
) -> int:
    """Send a command of an operator and print what the core answers; the exit code."""
    options = Options(instance, data, data / "run", data / "run" / "config.json")
    status = StatusTable.open(instance)
    bell = CoreBell(options.rundir, status)
    link = CommandLink(instance, Producer.ADMIN, bell=bell)
    follower = EventFollower(
        instance, data, gate=released(status, configuration.exchange.policy))
    follower.position = follower.published
    try:
        key = time.time_ns()
        fields = fields | {"key": key}
        link.send(name, sign(instance, name, fields, signer) if signer else fields)
        return _answer(follower, key)
    finally:
        follower.close()
        link.close()
        bell.close()
        status.close()


def _answer(follower: EventFollower, key: int) -> int:
    """Wait for the result of the command with a key; prints what it changed."""
    changed: list[str] = []
    deadline = time.monotonic() + ANSWER_SECONDS
    while time.monotonic() < deadline:
        for event in follower:
            if event.template == template("RiskParameterChanged"):
                f = decode_body(event.template, event.body)
                of = f"proposal {f['proposal']}" if f["proposal"] else "parameter"
                by = f", signed by signer {f['signer']}" if f["signer"] else ""
                changed.append(f"{of} {STATES[f['state']]}: {f['before']:,} → {f['value']:,}, "
                               f"{moment(f['time'])}{by}")
            elif event.template == template("BackstopChanged"):
                f = decode_body(event.template, event.body)
                changed.append(f"committed {amount_text(f['commitment'], 6)}, "
                               f"pledged {amount_text(f['pledged'], 6)}")
            elif event.template == template("CommandResult"):
                f = decode_body(event.template, event.body)
                if f["producer"] == Producer.ADMIN and f["key"] == key:
                    if f["reason"]:
                        return fail(f"refused: {REASONS.get(f['reason'], f['reason'])} "
                                    f"(value {f['detail']:,}, limit {f['limit']:,})")
                    print("\n".join(changed))
                    return 0
        time.sleep(0.002)
    print("onebook: the core doesn't answer", file=sys.stderr)
    return 1
