"""Who may log on: signatures of both kinds, and addresses."""

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from core.venue import FixSession
from gateway.fix.message import Message, parse
from gateway.fix.profile import CREDENTIALS, USED, Profiles, Proof, is_allowed, signed_text
from gateway.fix.times import time_of
from tests.gateway.fix.kit import fix, stamp

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = KEY.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw).hex()
SESSION = FixSession(
    session=7, sender_comp_id="CLIENT", target_comp_id="EXEC", authentication="ed25519",
    public_key=PUBLIC, owner="acme", account="acme.main", ip_allow=("10.0.0.0/8", "::1/128"))


def logon(signature: str, number: int = 1) -> Message:
    time = stamp().decode()
    return parse(fix(f"35=A|34={number}|49=CLIENT|52={time}|56=EXEC|98=0|108=30"
                     f"|95={len(signature)}|96={signature}"))


def test_an_ed25519_signature_opens_for_what_it_signed_only() -> None:
    profiles = Profiles((SESSION,))
    signature = base64.b64encode(KEY.sign(signed_text(logon("-")))).decode()
    assert profiles.find(logon(signature)) is SESSION
    proof = profiles.judge(SESSION, logon(signature))
    assert isinstance(proof, Proof)
    assert proof.time == time_of(stamp())
    assert profiles.judge(SESSION, logon(signature)) == USED
    assert profiles.judge(SESSION, logon(signature, number=2)) == CREDENTIALS


@pytest.mark.parametrize("signature", ["", "not base64!", base64.b64encode(bytes(64)).decode()])
def test_what_is_no_signature_is_refused(signature: str) -> None:
    refused = Profiles((SESSION,)).judge(SESSION, logon(signature or "-"))
    assert refused == CREDENTIALS
    assert refused.status == 5


@pytest.mark.parametrize(("peer", "allowed"), [
    ("10.1.2.3", True), ("11.0.0.1", False), ("::1", True), ("127.0.0.1", False)])
def test_addresses(peer: str, allowed: bool) -> None:
    assert is_allowed(SESSION, peer) is allowed
