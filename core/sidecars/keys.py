"""Ed25519 keys in files: 64 hexadecimal digits of the private key, readable by the owner only."""

import os
from pathlib import Path

from blake3 import blake3
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)

from core.errors import CoreError

KEY_SIZE = 32


class KeyFileError(CoreError):
    """The key file is not one."""


class SigningKey:
    """A private key; `public` is its public half, 32 bytes."""

    def __init__(self, private: bytes) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(private)
        self.public = self._key.public_key().public_bytes_raw()

    @classmethod
    def load(cls, path: Path) -> "SigningKey":
        """The key in a file. Raises KeyFileError."""
        try:
            private = bytes.fromhex(path.read_text().strip())
        except (OSError, ValueError) as error:
            raise KeyFileError(f"{path}: expected 64 hexadecimal digits: {error}") from None
        if len(private) != KEY_SIZE:
            raise KeyFileError(f"{path}: expected 64 hexadecimal digits, was {2 * len(private)}")
        return cls(private)

    @classmethod
    def load_or_make(cls, path: Path) -> "SigningKey":
        """The key in a file, or a new one, written there before it is used."""
        if path.exists():
            return cls.load(path)
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        private = Ed25519PrivateKey.generate().private_bytes_raw()
        temporary = path.with_suffix(f".{os.getpid()}.new")
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            os.write(descriptor, private.hex().encode() + b"\n")
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        try:
            os.link(temporary, path)  # Of two that make it at once, the first wins.
        except FileExistsError:
            return cls.load(path)
        finally:
            temporary.unlink()
        return cls(private)

    def derive(self, purpose: str) -> bytes:
        """A secret of 32 bytes for another purpose, the same each time."""
        return blake3(self._key.private_bytes_raw(), derive_key_context=purpose).digest()

    def sign(self, message: bytes) -> bytes:
        """The signature, 64 bytes."""
        return self._key.sign(message)


def signature_holds(public_key: bytes, signature: bytes, message: bytes) -> bool:
    """Whether the owner of the public key signed the message."""
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True
