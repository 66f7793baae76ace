"""An attestation: one page of text that says what is owed and what is there, signed and chained.

    onebook attestation 1
    epoch 7
    time 1767225600000000000
    previous <hash of the attestation before, zeros for the first>
    cut <position in the event stream> <sequence of the last command in it>
    journal <sequence> <hash of the journal's frame that holds the cut>
    parameters <hash of what was listed with which numbers, and what was set since>
    leaves <2^k>
    root <hash>
    column <name …> <total>                     in the order of the leaves' values
    house <account> <asset> <balance>           the exchange's own accounts, openly
    custody <public key> <time> <signature>     of the lines that follow
    holds <asset> <amount>
    departed <asset> <amount>

The hash of an attestation is the BLAKE3 of this text; two keys sign the text, the engine's and the
attestor's. What must be true of it, the verifier (tools/verify_reserves.py) says in words:

    holds A + departed A + total of `owed A`  ≥  total of `held A`           for every asset
    total of `long I`  =  total of `short I`                                 for every instrument
"""

import json
from pathlib import Path
from typing import NamedTuple

from blake3 import blake3

from core.sidecars.custody import Statement
from core.sidecars.keys import SigningKey

GENESIS = bytes(32)


class Cut(NamedTuple):
    """Where in the exchange's life this is true."""

    time: int
    position: int
    sequence: int
    journal_sequence: int
    journal_hash: bytes
    parameters: bytes


class Attestation(NamedTuple):
    """The text and who signed it; `signatures` are (role, public key, signature)."""

    epoch: int
    text: bytes
    signatures: tuple[tuple[str, bytes, bytes], ...]

    @property
    def hash(self) -> bytes:
        """What the next one carries."""
        return blake3(self.text).digest()

    def to_json(self) -> bytes:
        """As it is published."""
        value = {
            "epoch": self.epoch,
            "text": self.text.decode(),
            "signatures": [
                {"role": role, "key": key.hex(), "signature": signature.hex()}
                for role, key, signature in self.signatures
            ],
        }
        return json.dumps(value, indent=1).encode() + b"\n"


def compose(
    epoch: int,
    previous: bytes,
    cut: Cut,
    tree: tuple[int, bytes],
    columns: list[tuple[str, int]],
    house: list[tuple[int, int, int]],
    custody: Statement,
) -> bytes:
    """The text; `tree` is (leaves, root), `columns` name and total of each."""
    lines = [
        "onebook attestation 1",
        f"epoch {epoch}",
        f"time {cut.time}",
        f"previous {previous.hex()}",
        f"cut {cut.position} {cut.sequence}",
        f"journal {cut.journal_sequence} {cut.journal_hash.hex()}",
        f"parameters {cut.parameters.hex()}",
        f"leaves {tree[0]}",
        f"root {tree[1].hex()}",
    ]
    lines += [f"column {name} {total}" for name, total in columns]
    lines += [f"house {account} {asset} {balance}" for account, asset, balance in sorted(house)]
    lines.append(
        f"custody {custody.public_key.hex()} {custody.time} {custody.signature.hex()}"
    )
    lines += [f"holds {asset} {amount}" for asset, amount in sorted(custody.holdings.items())]
    lines += [f"departed {asset} {amount}" for asset, amount in sorted(custody.departed.items())]
    return ("\n".join(lines) + "\n").encode()


def sign(epoch: int, text: bytes, keys: dict[str, SigningKey]) -> Attestation:
    """The text with the signatures of all keys."""
    return Attestation(
        epoch, text, tuple((role, key.public, key.sign(text)) for role, key in keys.items())
    )


def publish(directory: Path, attestation: Attestation) -> Path:
    """Write it where everybody may read it; never over another one."""
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / f"{attestation.epoch:08d}.json"
    temporary = path.with_suffix(".new")
    temporary.write_bytes(attestation.to_json())
    temporary.replace(path)
    return path
