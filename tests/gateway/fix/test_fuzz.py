"""What the fuzzer's target does with a message of every type, and with mutants of them."""

from random import Random

from tests.campaigns.fix_fuzz import BODY, FIELDS, STREAM, Target, seeds, shaped
from tests.campaigns.fix_mutations import mutate


def test_every_type_of_message_and_its_mutants_are_dealt_with() -> None:
    target, random = Target(), Random(3)
    for seed in seeds():
        target.one(seed)
    assert target.messages >= len(seeds()) * 0.9
    before = target.commands
    assert before > 0
    for _ in range(2000):
        target.one(mutate(random, random.choice(seeds())))
    assert target.messages > 1000
    assert target.commands > before


def test_the_first_byte_says_how_the_rest_is_meant() -> None:
    assert shaped(bytes([STREAM]) + b"8=FIX") == b"8=FIX"
    assert shaped(bytes([BODY]) + b"35=0\x01").startswith(b"8=FIX.4.4\x019=5\x0135=0\x0110=")
    assert b"\x0135=D\x0134=2\x01" in shaped(bytes([FIELDS]) + b"D\x0111=a\x01")
    assert shaped(b"") == b""
