"""The embedded custody: what it holds, what came in, and an outside world to try it with.

    onebook custody holdings                               what is held, and what has departed
    onebook custody receive ACCOUNT ASSET AMOUNT           assets arrive; settlement credits them
    onebook custody waiting                                withdrawals that wait, and why
    onebook custody refused                                receipts that were not credited, and why
    onebook custody fail WITHDRAWAL                        the world refuses a payment under way
"""

import time
from pathlib import Path

from cyclopts import App
from rich.console import Console
from rich.table import Table

from core.config import fixed
from core.errors import CoreError
from core.sidecars.books import INSURANCE, LIQUIDITY
from core.sidecars.custody import EmbeddedCustody, custody_path
from tools.operator.desk import reason_name
from tools.stores import (
    Data,
    Instance,
    amount_text,
    data_directory,
    fail,
    moment,
    read_store,
    reference_of,
)

FUNDS = {"insurance": INSURANCE, "liquidity": LIQUIDITY}  # of the house, which anybody may fill

custody = App(name="custody", help=(__doc__ or "").partition("\n")[0])


def _open(instance: str, data: Path | None) -> EmbeddedCustody:
    path = custody_path(data_directory(instance, data))
    if not path.exists():
        raise CoreError(f"{path} does not exist: settlement never ran on this data directory")
    return EmbeddedCustody(path)


@custody.command
def holdings(*, instance: Instance = "onebook", data: Data = None) -> int:
    """Show what custody holds, asset by asset, and what left that is not booked yet."""
    try:
        held = _open(instance, data)
        with read_store(instance, data, "settlement") as connection:
            reference = reference_of(connection)
    except CoreError as error:
        return fail(error)
    table = Table("asset", "holds", "departed, not booked")
    amounts, departed = held.holdings(), held.departed()
    for asset in sorted(reference.assets.values(), key=lambda a: a.number):
        row = [
            amount_text(found.get(asset.number, 0), asset.decimals)
            for found in (amounts, departed)
        ]
        table.add_row(asset.name, *row)
    Console().print(table)
    return 0


@custody.command
def receive(
    account: str, asset: str, amount: str, *, transaction: str | None = None,
    instance: Instance = "onebook", data: Data = None,
) -> int:
    """Let assets arrive for an account.

    Parameters
    ----------
    account
        Its name; also the house's insurance and liquidity, which are filled so.
    asset
        The asset's name.
    amount
        A decimal.
    transaction
        The transaction's id; the same one twice is one receipt.
    """
    try:
        held = _open(instance, data)
        with read_store(instance, data, "settlement") as connection:
            reference = reference_of(connection)
        known, owner = reference.assets_by_name.get(asset), reference.accounts_by_name.get(account)
        number = FUNDS.get(account, 0) if owner is None else owner.number
        if known is None or number == 0:
            return fail(f"no account {account}" if number == 0 else f"no asset {asset}")
        units = fixed(amount) // 10 ** (8 - known.decimals)
        transaction = transaction or f"by hand {time.time_ns()}"
        new = units > 0 and held.receive(transaction, number, known.number, units)
    except (CoreError, ValueError) as error:
        return fail(error)
    print(f"{'received' if new else 'nothing new'}: {transaction}")
    return 0


@custody.command
def waiting(*, instance: Instance = "onebook", data: Data = None) -> int:
    """Show the withdrawals that custody has not been asked for, and what they wait for."""
    try:
        with read_store(instance, data, "settlement") as connection:
            reference = reference_of(connection)
            rows = connection.execute(
                "SELECT id, account, asset, amount, held_at, destination, waits FROM withdrawal"
                " WHERE waits <> '' ORDER BY id"
            ).fetchall()
    except CoreError as error:
        return fail(error)
    table = Table("withdrawal", "account", "asset", "amount", "asked at", "to", "waits for")
    for number, account, asset, amount, held_at, destination, waits in rows:
        known = reference.assets[asset]
        table.add_row(
            str(number), reference.account_name(account), known.name,
            amount_text(amount, known.decimals), moment(held_at), destination, waits,
        )
    Console().print(table)
    return 0


@custody.command
def refused(*, instance: Instance = "onebook", data: Data = None) -> int:
    """Show what came in and the core did not credit: custody has it, and a person sends it back."""
    try:
        with read_store(instance, data, "settlement") as connection:
            reference = reference_of(connection)
            rows = connection.execute(
                "SELECT receipt, transaction_id, account, asset, amount, reason FROM deposit"
                " WHERE reason <> 0 ORDER BY receipt"
            ).fetchall()
    except CoreError as error:
        return fail(error)
    table = Table("receipt", "transaction", "account", "asset", "amount", "why")
    for receipt, transaction, account, asset, amount, reason in rows:
        known = reference.assets.get(asset)
        table.add_row(
            str(receipt), transaction, reference.account_name(account),
            known.name if known else str(asset),
            amount_text(amount, known.decimals) if known else str(amount), reason_name(reason),
        )
    Console().print(table)
    return 0


@custody.command(name="fail")
def fail_withdrawal(
    withdrawal: int, *, instance: Instance = "onebook", data: Data = None
) -> int:
    """Let a payment that is under way fail; it is returned to its account.

    Parameters
    ----------
    withdrawal
        Its number, as the client was told.
    """
    try:
        _open(instance, data).fail(withdrawal)
    except CoreError as error:
        return fail(error)
    return 0
