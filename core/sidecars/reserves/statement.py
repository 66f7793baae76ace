"""A customer's statement of an epoch, signed: without it who was left out could prove nothing.

    onebook statement 1
    epoch 7
    account 123
    <column> <value>             each that is not zero, in the order of the leaf's values
    equity <units of USDC>
    maintenance <units of USDC>
    positions <digest>

The engine's key signs, the one that signs the attestation of the epoch. What a page does not
hold although this says it, the exchange has to answer for (`complaint` of the verifier).
"""

from collections.abc import Mapping
from typing import Any

from core.sidecars.keys import SigningKey


def statement_text(proof: Mapping[str, Any]) -> bytes:
    """What is signed, of a proof's values."""
    named = zip(proof["columns"], proof["values"], strict=True)
    lines = [
        "onebook statement 1",
        f"epoch {proof['epoch']}",
        f"account {proof['account']}",
        *(f"{name} {value}" for name, value in named if value != "0"),
        *(f"{name} {proof[name]}" for name in ("equity", "maintenance", "positions")),
    ]
    return ("\n".join(lines) + "\n").encode()


def signed_statement(proof: Mapping[str, Any], key: SigningKey) -> dict[str, Any]:
    """The proof with the exchange's word for what it says of the account."""
    return {**proof, "signature": key.sign(statement_text(proof)).hex()}
