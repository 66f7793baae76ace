"""Who a FIX client may be: a configured session made ready for use, and how its Logon is judged.

Signed logons carry in RawData (96), with its length in 95, the base64 signature of these values,
each followed by a separator:

    SendingTime (52) ␁ MsgType (A) ␁ MsgSeqNum (34) ␁ SenderCompID (49) ␁ TargetCompID (56)

`hmac` is HMAC-SHA256 under the session's secret, `ed25519` a signature by its key. The time must be
within the session's window, and a signature is taken once only.
"""

import base64
import binascii
import hashlib
import hmac
from dataclasses import dataclass
from ipaddress import ip_address, ip_network

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from core.venue import FixSession
from gateway.fix.message import Message

SIGNED_TAGS = (52, 35, 34, 49, 56)
REMEMBERED_MAX = 4096


@dataclass(frozen=True)
class Refusal:
    """Why a Logon isn't taken: Text (58), SessionStatus (1409) if there is one for that."""

    text: str
    status: int | None = None


WRONG_CREDENTIALS = 5
CREDENTIALS = Refusal("credentials are wrong", WRONG_CREDENTIALS)


def signed_text(message: Message) -> bytes:
    """What a client signs."""
    return b"".join((message.get(tag) or b"") + b"\x01" for tag in SIGNED_TAGS)


class Profiles:
    """All configured sessions, found by the two CompIDs of a Logon."""

    def __init__(self, sessions: tuple[FixSession, ...]) -> None:
        self._sessions = {(s.sender_comp_id, s.target_comp_id): s for s in sessions}
        self.by_number = {s.session: s for s in sessions}
        self._used: dict[bytes, None] = {}

    def find(self, message: Message) -> FixSession | None:
        """The session a Logon is for; case matters."""
        return self._sessions.get((message.text(49), message.text(56)))

    def judge(self, session: FixSession, message: Message) -> Refusal | None:
        """Whether the Logon proves who it is; the same time is spent on every wrong one."""
        if session.authentication == "open":
            return None
        if session.authentication == "password":
            given = message.get(554) or b""
            right = hmac.compare_digest(given, session.password.encode())
            return None if right else CREDENTIALS
        given = message.get(96) or b""
        try:
            signature = base64.b64decode(given, validate=True)
        except (binascii.Error, ValueError):
            signature = b""
        if not _signature_right(session, signature, signed_text(message)):
            return CREDENTIALS
        if signature in self._used:
            return Refusal("this signature was used before", WRONG_CREDENTIALS)
        self._used[signature] = None
        if len(self._used) > REMEMBERED_MAX:
            del self._used[next(iter(self._used))]
        return None


def _signature_right(session: FixSession, signature: bytes, text: bytes) -> bool:
    if session.authentication == "hmac":
        expected = hmac.digest(session.secret.encode(), text, hashlib.sha256)
        return hmac.compare_digest(signature, expected)
    key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(session.public_key))
    try:
        key.verify(signature, text)
    except InvalidSignature:
        return False
    return True


def is_allowed(session: FixSession, peer: str) -> bool:
    """Whether the session may be used from this address."""
    if not session.ip_allow:
        return True
    address = ip_address(peer)
    return any(address in ip_network(network) for network in session.ip_allow)
