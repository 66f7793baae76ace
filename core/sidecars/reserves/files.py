"""The files of the reserves: what is public, what is kept for proofs, what a customer gets.

    <data>/reserves/attestations/<epoch>.json     public, for ever
    <data>/reserves/leaves/<epoch>.npz            private: accounts and values of the leaves
    proof.json                                    one customer's, made on request and signed

A proof holds all that is needed to check it, but the attestation itself, which must come from where
everybody gets it: else two customers could be shown two different exchanges.
"""

import json
import re
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from core.errors import CoreError
from core.sidecars.keys import SigningKey
from core.sidecars.reserves import attestation
from core.sidecars.reserves.attestation import Attestation
from core.sidecars.reserves.statement import signed_statement
from core.sidecars.reserves.tree import Leaves, Tree, customer_secret


class NoProof(CoreError):
    """There is no such attestation, or no such account in it."""


class Published(NamedTuple):
    """What must be known of an attestation to make the next one."""

    epoch: int
    time: int
    hash: bytes


class ReserveFiles:
    """The directory of the reserves."""

    def __init__(self, directory: Path) -> None:
        self.attestations = directory / "attestations"
        self.leaves = directory / "leaves"
        self._last: Published | None = None
        self._looked = False

    def last(self) -> Published | None:
        """The newest attestation."""
        if not self._looked:
            self._looked = True
            epochs = self.epochs()
            self._last = self.published(epochs[-1]) if epochs else None
        return self._last

    def epochs(self) -> list[int]:
        """The numbers of all attestations, in order."""
        return sorted(int(path.stem) for path in self.attestations.glob("[0-9]*.json"))

    def published(self, epoch: int) -> Published:
        """One of them, read again."""
        value = json.loads((self.attestations / f"{epoch:08d}.json").read_bytes())
        text = value["text"].encode()
        found = re.search(rb"^time ([0-9]+)$", text, re.M)
        assert found is not None, "Invariant: an attestation states its time."
        return Published(epoch, int(found[1]), Attestation(epoch, text, ()).hash)

    def publish(self, signed: Attestation) -> Path:
        """Let everybody have it."""
        path = attestation.publish(self.attestations, signed)
        self._last, self._looked = self.published(signed.epoch), True
        return path

    def keep(self, epoch: int, leaves: Leaves, columns: list[str]) -> None:
        """Keep what proofs of this epoch are made from."""
        self.leaves.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = self.leaves / f"{epoch:08d}.npz"
        temporary = self.leaves / f"{epoch:08d}.new.npz"
        np.savez(temporary, columns=np.array(columns), **leaves._asdict())
        temporary.replace(path)

    def kept(self, epoch: int) -> tuple[Leaves, list[str]]:
        """The leaves of an epoch and the names of their columns. Raises NoProof."""
        path = self.leaves / f"{epoch:08d}.npz"
        if not path.exists():
            raise NoProof(f"no leaves are kept of epoch {epoch}")
        with np.load(path) as stored:
            leaves = Leaves(*(stored[name] for name in Leaves._fields))
            return leaves, [str(name) for name in stored["columns"]]

    def prove(self, epoch: int, account: int, master: bytes, key: SigningKey) -> dict[str, Any]:
        """The proof of one account in one epoch, as JSON values; its statement signed by the key.

        Raises NoProof.
        """
        leaves, columns = self.kept(epoch)
        rows = np.flatnonzero(leaves.accounts == account)
        if len(rows) == 0:
            raise NoProof(f"account {account} had nothing in epoch {epoch}")
        row, tree = int(rows[0]), Tree(leaves, epoch, master)
        index = int(tree.places[row])
        proof = {
            "format": "onebook proof 1",
            "epoch": epoch,
            "account": account,
            "secret": customer_secret(master, account).hex(),
            "index": index,
            "salt": tree.salt(index).hex(),
            "columns": columns,
            "values": [str(value) for value in leaves.values[row]],
            "equity": str(leaves.equity[row]),
            "maintenance": str(leaves.maintenance[row]),
            "positions": leaves.positions[row].tobytes().hex(),
            "path": [
                {"hash": step.hash.hex(), "values": [str(value) for value in step.values]}
                for step in tree.path(index)
            ],
        }
        return signed_statement(proof, key)
