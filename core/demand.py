"""What a rule of the configuration says when it is broken: one line with the key path."""

from datetime import datetime

from core.config import ConfigurationError

KEY_HEX_LENGTH = 64  # an Ed25519 public key


def demand(holds: bool, path: str, rule: str) -> None:
    """Raise ConfigurationError unless the rule holds."""
    if not holds:
        raise ConfigurationError(f"{path}: {rule}")


def demand_time(text: str, path: str) -> None:
    """A time with its zone (RFC 3339), or nothing."""
    try:
        zoned = not text or datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        zoned = False
    demand(zoned, path, f'expected a time like "2027-01-31T12:00:00Z", was {text}')


def is_key(text: str) -> bool:
    """Whether a text is the hexadecimal of an Ed25519 public key."""
    try:
        return len(text) == KEY_HEX_LENGTH and len(bytes.fromhex(text)) == KEY_HEX_LENGTH // 2
    except ValueError:
        return False
