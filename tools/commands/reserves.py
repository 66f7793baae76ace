"""Prove reserves: attest now, prove an account, verify what was published, watch the balance.

    onebook reserves attest                       one more attestation, now
    onebook reserves prove ACCOUNT --out FILE     a customer's proof, for the newest one
    onebook reserves verify [PROOF]               check the whole chain, and a proof in it
    onebook reserves watch                        reserves and liabilities as they move

`verify` runs tools/verify_reserves.py, the very file a customer runs.
"""

import json
import time
from pathlib import Path

from cyclopts import App
from rich.console import Console
from rich.live import Live
from rich.table import Table

from core.errors import CoreError
from core.sidecars.keys import SigningKey
from core.sidecars.reserves.agent import master_of, running_ledger
from core.sidecars.reserves.files import ReserveFiles
from tools import verify_reserves
from tools.stores import (
    Data,
    Instance,
    amount_text,
    data_directory,
    fail,
    moment,
    read_store,
    reference_of,
    wait_for,
    write_store,
)

reserves = App(name="reserves", help=(__doc__ or "").partition("\n")[0])
ATTEST_SECONDS = 60.0


def _files(instance: str, data: Path | None) -> ReserveFiles:
    return ReserveFiles(data_directory(instance, data) / "reserves")


@reserves.command
def attest(*, instance: Instance = "onebook", data: Data = None) -> int:
    """Ask the running exchange for one more attestation and wait for it."""
    try:
        files = _files(instance, data)
        before = len(files.epochs())
        with write_store(instance, data, "reserves") as connection:
            connection.execute("INSERT INTO request VALUES (NULL)")
    except CoreError as error:
        return fail(error)
    if not wait_for(ATTEST_SECONDS, lambda: len(files.epochs()) > before):
        return fail(f"no attestation within {ATTEST_SECONDS:.0f} s: is the exchange running?")
    epoch = files.epochs()[-1]
    print(files.attestations / f"{epoch:08d}.json")
    return 0


@reserves.command
def prove(
    account: str, *, out: Path | None = None, epoch: int | None = None,
    instance: Instance = "onebook", data: Data = None,
) -> int:
    """Make the proof of one account, by name or number.

    Parameters
    ----------
    account
        Its name or number.
    out
        Where to write it; standard output if not given.
    epoch
        Which attestation; the newest if not given.
    """
    try:
        files = _files(instance, data)
        with read_store(instance, data, "reserves") as connection:
            known = reference_of(connection).accounts_by_name.get(account)
        number = known.number if known is not None else int(account)
        epochs = files.epochs()
        if not epochs:
            return fail("nothing was attested yet")
        key = SigningKey.load(data_directory(instance, data) / "keys" / "engine.key")
        made = files.prove(epoch or epochs[-1], number, master_of(key), key)
        proof = json.dumps(made, indent=1)
    except CoreError as error:
        return fail(error)
    except ValueError:
        return fail(f"no account of the name {account}")
    if out is None:
        print(proof)
    else:
        out.write_text(proof + "\n")
        print(out)
    return 0


@reserves.command
def verify(
    proof: Path | None = None, *, instance: Instance = "onebook", data: Data = None
) -> int:
    """Check every attestation, and a proof if one is given.

    Parameters
    ----------
    proof
        A customer's, as `prove` makes it.
    """
    attestations = str(_files(instance, data).attestations)
    if proof is None:
        return verify_reserves.main(["chain", attestations])
    return verify_reserves.main(["proof", str(proof), attestations])


@reserves.command
def watch(
    *, seconds: float = 0, instance: Instance = "onebook", data: Data = None
) -> int:
    """Show reserves and liabilities, at most a second old, until Ctrl-C or for so many seconds.

    Parameters
    ----------
    seconds
        For how long; 0 until Ctrl-C.
    """
    try:
        connection = read_store(instance, data, "reserves")
    except CoreError as error:
        return fail(error)
    deadline = time.monotonic() + (seconds or 1e9)
    try:
        with Live(console=Console(), refresh_per_second=2) as live:
            while time.monotonic() < deadline:
                reference = reference_of(connection)
                table = Table("asset", "held", "owed", "reserves", "surplus", "as of")
                for asset, held, owed, there, at, _ in running_ledger(connection):
                    known = reference.assets[asset]
                    texts = [
                        amount_text(value, known.decimals)
                        for value in (held, owed, there, there + owed - held)
                    ]
                    table.add_row(known.name, *texts, moment(at))
                live.update(table)
                time.sleep(min(0.5, max(deadline - time.monotonic(), 0)))
    except KeyboardInterrupt:
        pass
    finally:
        connection.close()
    return 0
