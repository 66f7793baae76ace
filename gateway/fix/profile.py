"""Who a FIX client may be: a configured session made ready for use, and how its Logon is judged.

Signed logons carry in RawData (96), with its length in 95, the base64 signature of these values,
each followed by a separator:

    SendingTime (52) ␁ MsgType (A) ␁ MsgSeqNum (34) ␁ SenderCompID (49) ␁ TargetCompID (56)

`hmac` is HMAC-SHA256 under the session's secret, `ed25519` a signature by its key. The time must be
within the session's window, and what was signed counts once only, whatever becomes of the Logon: a
captured one can be altered where nothing is signed. That is for the core to say, which outlives
gateways and is one for all of them (core/engine/signed.py). What this gateway itself has seen of a
session within its window it refuses without asking, so that nobody fills the journal by repeating.
"""

import base64
import binascii
import hashlib
import hmac
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from typing import NamedTuple

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from core.venue import FixSession
from gateway.fix.message import Message
from gateway.fix.times import SECOND, time_of

SIGNED_TAGS = (52, 35, 34, 49, 56)
REMEMBERED_MAX = 1024  # of one session; the core remembers without end


@dataclass(frozen=True)
class Refusal:
    """Why a Logon isn't taken: Text (58), SessionStatus (1409) if there is one for that."""

    text: str
    status: int | None = None


WRONG_CREDENTIALS = 5
CREDENTIALS = Refusal("credentials are wrong", WRONG_CREDENTIALS)
USED = Refusal(
    "this signature was used before, or is older than those used since: sign the time it is now",
    WRONG_CREDENTIALS)


class Proof(NamedTuple):
    """What was signed, as the core remembers it; nothing on sessions that sign nothing."""

    time: int = 0  # ns UTC
    mark: int = 0  # hash of the signed text, 64 bits

    @property
    def fields(self) -> dict[str, int]:
        """Of SessionOpen and SessionSigned."""
        return {"signedTime": self.time, "signedMark": self.mark}


UNSIGNED = Proof()


def signed_text(message: Message) -> bytes:
    """What a client signs."""
    return b"".join((message.get(tag) or b"") + b"\x01" for tag in SIGNED_TAGS)


class Profiles:
    """All configured sessions, found by the two CompIDs of a Logon."""

    def __init__(self, sessions: tuple[FixSession, ...]) -> None:
        self._sessions = {(s.sender_comp_id, s.target_comp_id): s for s in sessions}
        self.by_number = {s.session: s for s in sessions}
        self._used: dict[int, dict[Proof, None]] = {}  # by session

    def find(self, message: Message) -> FixSession | None:
        """The session a Logon is for; case matters."""
        return self._sessions.get((message.text(49), message.text(56)))

    def judge(self, session: FixSession, message: Message) -> Proof | Refusal:
        """How the Logon proves who it is; the same time is spent on every wrong one."""
        if session.authentication == "open":
            return UNSIGNED
        if session.authentication == "password":
            given = message.get(554) or b""
            right = hmac.compare_digest(given, session.password.encode())
            return UNSIGNED if right else CREDENTIALS
        given = message.get(96) or b""
        try:
            signature = base64.b64decode(given, validate=True)
        except (binascii.Error, ValueError):
            signature = b""
        text, time = signed_text(message), time_of(message.get(52))
        if not _signature_right(session, signature, text) or time is None:
            return CREDENTIALS
        mark = int.from_bytes(hashlib.sha256(text).digest()[:8], "little", signed=True)
        proof = Proof(time, mark)
        return proof if self._is_new(session, proof) else USED

    def _is_new(self, session: FixSession, proof: Proof) -> bool:
        used = self._used.setdefault(session.session, {})
        if proof in used:
            return False
        # Those of two windows ago are refused for their time.
        over = proof.time - 2 * session.sending_time_seconds * SECOND
        while used and ((oldest := next(iter(used))).time < over or len(used) >= REMEMBERED_MAX):
            del used[oldest]
        used[proof] = None
        return True


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
