"""An operator's own key: where it is, whether the exchange knows it, and what it signs."""

import time
from pathlib import Path
from typing import Any, NamedTuple

from core.config import Configuration
from core.errors import CoreError
from core.sidecars.keys import SigningKey
from core.signatures import VALID_NS, signed_text, unsigned


class OwnKey(NamedTuple):
    """A key and its number among the configuration's signers, from 1."""

    key: SigningKey
    number: int


def key_file(data: Path, role: str) -> Path:
    """Where the key of a role is, if the configuration names no signers."""
    return data / "keys" / f"{role}.key"


def own_key(configuration: Configuration, path: Path, needed: bool) -> OwnKey | None:
    """The key in a file; None if there is none and none is needed. Raises CoreError."""
    if not path.exists() and not needed:
        return None
    key = SigningKey.load(path)
    for number, signer in enumerate(configuration.risk.signer, 1):
        if signer.public_key.lower() == key.public.hex():
            return OwnKey(key, number)
    raise CoreError(f"{path}: the key of no signer that the configuration knows (risk.signer)")


def sign(instance: str, name: str, fields: dict[str, Any], own: OwnKey) -> dict[str, Any]:
    """The fields of a command with its signature, which counts for some minutes."""
    signed = fields | {"signer": own.number, "validUntil": time.time_ns() + VALID_NS}
    signature = own.key.sign(signed_text(instance, unsigned(name, signed)))
    return signed | {"signature": signature}
