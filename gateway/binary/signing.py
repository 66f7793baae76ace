"""What a client signs: HMAC-SHA256 over decimal numbers and names, joined by line feeds.

    Negotiate   timestamp, sessionId, versionId, keyId, nonce
    Establish   timestamp, sessionId, versionId, keepaliveInterval, nextSeqNo,
                cancelOnDisconnect, cancelOnDisconnectWindow

The key is the session's secret as UTF-8. The gateway and the client library share this module.
"""

import hashlib
import hmac
from collections.abc import Mapping
from typing import Any

_SIGNED = {
    "Negotiate": ("timestamp", "sessionId", "versionId", "keyId", "nonce"),
    "Establish": (
        "timestamp",
        "sessionId",
        "versionId",
        "keepaliveInterval",
        "nextSeqNo",
        "cancelOnDisconnect",
        "cancelOnDisconnectWindow",
    ),
}


def canonical(name: str, fields: Mapping[str, Any]) -> bytes:
    """The bytes that are signed for a message of this name."""
    return "\n".join(str(fields[field]) for field in _SIGNED[name]).encode()


def sign(name: str, fields: Mapping[str, Any], secret: str) -> bytes:
    """The 32 bytes of the message's signature."""
    return hmac.digest(secret.encode(), canonical(name, fields), hashlib.sha256)


def is_signed(name: str, fields: Mapping[str, Any], secret: str) -> bool:
    """Whether the message carries the signature of who knows the secret; in constant time."""
    return hmac.compare_digest(sign(name, fields, secret), bytes(fields["signature"]))
