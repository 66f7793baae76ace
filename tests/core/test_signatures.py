"""Whose word a loosening is: what is signed can't be changed, repeated elsewhere, or kept."""

import ctypes

import pytest

from core.config import Signer
from core.link import COMMAND_HEADER, CommandLink
from core.messages import decode
from core.producers import Producer, ring_kind
from core.ring import Ring, ring_consumed, ring_peek
from core.sidecars.keys import SigningKey
from core.signatures import VALID_NS_MAX, holds, judge_waiting, unsigned
from tools.operator.signing import OwnKey, sign

RISK, OPERATIONS, STRANGER = (SigningKey(bytes([n]) * 32) for n in (1, 2, 3))
SIGNERS = (
    Signer(name="anne", role="risk", public_key=RISK.public.hex()),
    Signer(name="otto", role="operations", public_key=OPERATIONS.public.hex()),
)
SET = {"key": 7, "parameter": 20, "role": 1, "scope": 2, "value": 80_000}
DECIDE = {"key": 8, "proposal": 1, "role": 2, "approve": 1}


def message(name: str, fields: dict[str, int], key: SigningKey, number: int) -> bytes:
    """A command as an operator with a key and a number would send it to `here`."""
    return unsigned(name, sign("here", name, fields, OwnKey(key, number)))


def until(encoded: bytes) -> int:
    return int(decode(encoded)[1]["validUntil"])


def test_each_role_speaks_by_its_own_key() -> None:
    for name, fields, key, number in (
        ("SetRiskParameter", SET, RISK, 1), ("DecideRiskProposal", DECIDE, OPERATIONS, 2),
    ):
        encoded = message(name, fields, key, number)
        assert holds("here", SIGNERS, encoded, until(encoded))
        assert not holds("there", SIGNERS, encoded, until(encoded))
        assert not holds("here", SIGNERS, encoded, until(encoded) + 1)
        assert not holds("here", SIGNERS, encoded, until(encoded) - VALID_NS_MAX - 1)
        assert not holds("here", (), encoded, until(encoded))


def test_nobody_else_speaks_for_a_role() -> None:
    for key, number in ((STRANGER, 1), (OPERATIONS, 1), (OPERATIONS, 2), (RISK, 2), (RISK, 3)):
        encoded = message("SetRiskParameter", SET, key, number)
        assert not holds("here", SIGNERS, encoded, until(encoded))


@pytest.mark.parametrize("place", [8, 16, 18, 19, 23, 31, 33, 41, 104])
def test_what_is_signed_cannot_be_changed(place: int) -> None:
    encoded = bytearray(message("SetRiskParameter", SET, RISK, 1))
    now = until(bytes(encoded)) - 10**9
    assert holds("here", SIGNERS, bytes(encoded), now)
    encoded[place] ^= 1
    assert not holds("here", SIGNERS, bytes(encoded), now)


@pytest.mark.parametrize(("producer", "changed", "signer"), [
    (Producer.ADMIN, False, 1), (Producer.ADMIN, True, 0), (Producer.ORACLE, False, 0),
])
def test_what_does_not_hold_is_struck_out_before_it_is_sequenced(
    instance: str, producer: Producer, changed: bool, signer: int
) -> None:
    link = CommandLink(instance, producer, capacity=1 << 16)
    fields = sign("here", "SetRiskParameter", SET, OwnKey(RISK, 1))
    assert link.send("SetRiskParameter", fields | {"value": fields["value"] + changed})
    ring = Ring.open(instance, ring_kind(producer))
    position = judge_waiting("here", SIGNERS, producer, ring.address)
    assert position == ring_consumed(ring.address)
    frame = ring_peek(ring.address)
    length = COMMAND_HEADER.unpack(ctypes.string_at(frame, COMMAND_HEADER.size))[0]
    body = ctypes.string_at(frame + COMMAND_HEADER.size, length - COMMAND_HEADER.size)
    assert decode(body) == (
        "SetRiskParameter", fields | {"value": SET["value"] + changed, "signer": signer})
    ring.close()
    link.close()
