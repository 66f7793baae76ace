"""Mutate valid messages; every result must be an error or a valid decode, read to its end only.

    python -m tests.campaigns.sbe_mutations --count 1000000

Each mutant lies directly in front of a page that may not be touched, so a read past its end kills
the process. The compiled `check` and the slow decoder must agree on whether it is a message; if it
is one, the second decoder must read the same values. A mutant that takes longer than a second is a
hang. Prints a line with the seed, so that a failure can be repeated. Exit code 0 only if all held.
"""

import argparse
import ctypes
import mmap
import signal
import sys
from random import Random
from types import FrameType
from typing import NoReturn

from sbe.codec import Codec
from sbe.errors import DecodeError
from sbe.layout import Schema
from tests.sbe.kit import SCHEMAS, compiled, features, same, wide_header
from tests.sbe.random_messages import random_fields
from tests.sbe.second_opinion import SecondOpinion

PAGE = mmap.PAGESIZE
ROOM = 16 * PAGE
PROTECTION_NONE = 0
HANG_SECONDS = 1


class GuardedPages:
    """Memory whose end is followed by a page that may not be read."""

    def __init__(self) -> None:
        self._map = mmap.mmap(-1, ROOM + PAGE)
        self._base = ctypes.addressof(ctypes.c_char.from_buffer(self._map))
        libc = ctypes.CDLL(None, use_errno=True)
        guard = ctypes.c_void_p(self._base + ROOM)
        if libc.mprotect(guard, ctypes.c_size_t(PAGE), PROTECTION_NONE) != 0:
            raise OSError(ctypes.get_errno(), "mprotect")

    def hold(self, data: bytes) -> int:
        """Put bytes directly in front of the guard; gives their address."""
        address = self._base + ROOM - len(data)
        ctypes.memmove(address, data, len(data))
        return address


class Subject:
    """One schema with everything that reads it."""

    def __init__(self, schema: Schema, second: SecondOpinion) -> None:
        self.schema = schema
        self.codec = Codec(schema)
        self.second = second
        self.check = compiled(schema).check

    def message(self, random: Random) -> bytes:
        chosen = random.choice(self.schema.messages)
        return self.codec.encode(chosen.name, random_fields(chosen, random))


def mutate(data: bytes, random: Random) -> bytes:
    """One to four changes: bits, bytes, absurd numbers, cuts, insertions, repeats."""
    mutant = bytearray(data)
    for _ in range(random.randint(1, 4)):
        at = random.randrange(len(mutant) + 1)
        kind = random.randrange(7)
        if kind == 0 and at < len(mutant):
            mutant[at] ^= 1 << random.randrange(8)
        elif kind == 1 and at < len(mutant):
            mutant[at] = random.choice((0, 1, 0x7F, 0x80, 0xFE, 0xFF))
        elif kind == 2:
            wide = random.choice((2, 4, 8))
            mutant[at : at + wide] = random.choice((b"\xff", b"\0", b"\x80")) * wide
        elif kind == 3:
            del mutant[at:]
        elif kind == 4:
            mutant[at:at] = random.randbytes(random.randint(1, 9))
        elif kind == 5:
            del mutant[at : at + random.randint(1, 9)]
        else:
            mutant += mutant[at : at + random.randint(1, 40)]
    return bytes(mutant[:ROOM])


def judge(subject: Subject, data: bytes, address: int) -> str | None:
    """What is wrong with how a mutant was read; None where nothing is."""
    code = subject.check(address, len(data))
    try:
        decoded = subject.codec.inspect(data)
    except DecodeError as error:
        return None if code else f"check lets through what the codec refuses: {error}"
    if code:
        return f"check refuses with {code} what the codec reads"
    if decoded.problems or decoded.absent:
        return None  # the second decoder tells nothing of values that break their type
    try:
        name, fields = subject.second.decode(data)
    except UnicodeDecodeError:
        return None
    if (name, True) != (decoded.name, same(fields, decoded.fields)):
        return f"read as {decoded.fields}, by the second decoder as {fields}"
    return None


def _hang(number: int, frame: FrameType | None) -> NoReturn:
    raise TimeoutError(f"longer than {HANG_SECONDS} s")


def run(count: int, seed: int) -> int:
    """Give `count` mutants to all readers; gives how many were still whole messages."""
    random, pages = Random(seed), GuardedPages()
    path = SCHEMAS / "features.xml"
    subjects = [
        Subject(features("little"), SecondOpinion(path)),
        Subject(features("big"), SecondOpinion(path, "big")),
        Subject(wide_header(), SecondOpinion(SCHEMAS / "wide_header.xml")),
    ]
    for subject in subjects:
        subject.check(pages.hold(b""), 0)  # compile before the clock runs
    signal.signal(signal.SIGALRM, _hang)
    whole = 0
    for _ in range(count):
        subject = random.choice(subjects)
        data = mutate(subject.message(random), random)
        address = pages.hold(data)
        signal.alarm(HANG_SECONDS)
        wrong = judge(subject, data, address)
        signal.alarm(0)
        if wrong is not None:
            raise AssertionError(f"{subject.schema.package} {data.hex()}: {wrong}")
        whole += subject.check(address, len(data)) == 0
    return whole


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--count", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    whole = run(options.count, options.seed)
    sys.stdout.write(
        f"{options.count} mutations with seed {options.seed}: {whole} were still messages and read "
        "alike by all, the rest were refused by all\n"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
