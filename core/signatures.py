"""Signatures of those who speak for a role: verified before a command is sequenced.

    proposer ─ signs ─► SetRiskParameter   ─┐ admin    core looks at what is signed    sequenced,
    approver ─ signs ─► DecideRiskProposal ─┘ ring ──► before it gets its number  ───► journaled

What is signed is the command as it stands in the ring up to its signature (key, what is to change,
who says so, until when), together with its template and the name of the exchange: it can be neither
changed nor said again, as keys only rise, nor carried to another exchange. A signature that does
not hold, has expired, is of another role, or comes by another ring than the operators' is struck
out: the command goes on unsigned, and the engine refuses it as that. The journal has it either way.
"""

import ctypes
import struct
import time
from collections.abc import Sequence

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from core.config import Signer
from core.messages import encode
from core.producers import Producer
from core.ring import ring_address, ring_consumed
from sbe.generated import control

ROLES = {"risk": 1, "operations": 2}
VALID_NS = 300 * 10**9
VALID_NS_MAX = 7 * 86_400 * 10**9  # An approval given for ever is no approval of now.
_DOMAIN = b"onebook.risk\0"
_HEADER_AT, _BODY_AT, _HEADER_SIZE = 32, 40, 8
# Of each signed command: where its role, signer, end of validity and signature stand.
_PLACES = {
    control.SET_RISK_PARAMETER_TEMPLATE: (
        control.SET_RISK_PARAMETER_ROLE_OFFSET, control.SET_RISK_PARAMETER_SIGNER_OFFSET,
        control.SET_RISK_PARAMETER_VALID_UNTIL_OFFSET, control.SET_RISK_PARAMETER_SIGNATURE_OFFSET,
    ),
    control.DECIDE_RISK_PROPOSAL_TEMPLATE: (
        control.DECIDE_RISK_PROPOSAL_ROLE_OFFSET, control.DECIDE_RISK_PROPOSAL_SIGNER_OFFSET,
        control.DECIDE_RISK_PROPOSAL_VALID_UNTIL_OFFSET,
        control.DECIDE_RISK_PROPOSAL_SIGNATURE_OFFSET,
    ),
}
_SIGNATURE_SIZE = 64


def signed_text(instance: str, message: bytes) -> bytes:
    """What is signed of an encoded command: SBE header and block up to the signature."""
    (template,) = struct.unpack_from("<H", message, 2)
    until = _HEADER_SIZE + _PLACES[template][3]
    return b"".join((_DOMAIN, instance.encode(), b"\0", message[2:4], message[_HEADER_SIZE:until]))


def unsigned(name: str, fields: dict[str, int]) -> bytes:
    """A command that nobody has signed."""
    blank = {"signer": 0, "validUntil": 0, "signature": bytes(_SIGNATURE_SIZE)}
    return encode(name, blank | fields)


def holds(instance: str, signers: Sequence[Signer], message: bytes, now: int) -> bool:
    """Whether an encoded command is signed by whom it says, for his role, and in time (ns UTC)."""
    (template,) = struct.unpack_from("<H", message, 2)
    role_at, signer_at, until_at, signature_at = _PLACES[template]
    body = message[_HEADER_SIZE:]
    (number,) = struct.unpack_from("<H", body, signer_at)
    (until,) = struct.unpack_from("<q", body, until_at)
    if not 0 < number <= len(signers) or not now <= until <= now + VALID_NS_MAX:
        return False
    signer = signers[number - 1]
    if ROLES[signer.role] != body[role_at]:
        return False
    signature = body[signature_at:signature_at + _SIGNATURE_SIZE]
    try:
        key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(signer.public_key))
        key.verify(signature, signed_text(instance, message))
    except (InvalidSignature, ValueError):
        return False
    return True


def judge_waiting(instance: str, signers: Sequence[Signer], producer: int, ring: int) -> int:
    """Look at the signed command that a producer's ring has next; strike out what does not hold.

    Returns the command's position, which the sequencer may now take.
    """
    position: int = ring_consumed(ring)
    frame = ring_address(ring, position)
    (length,) = struct.unpack("<i", ctypes.string_at(frame, 4))
    message = ctypes.string_at(frame + _HEADER_AT, length - _HEADER_AT)
    if producer != Producer.ADMIN or not holds(instance, signers, message, time.time_ns()):
        (template,) = struct.unpack_from("<H", message, 2)
        ctypes.memset(frame + _BODY_AT + _PLACES[template][1], 0, 2)
    return position
