"""Command and event frames for the tests: valid, numbered, and different from one another."""

import random
import struct


def command(sequence: int, payload: bytes = b"") -> bytes:
    """One command frame of 64 bytes or more."""
    size = (32 + max(len(payload), 1) + 31) // 32 * 32
    head = struct.pack("<ihhiIqq", size, 1, 0, 7, 0, sequence, 10**18 + sequence)
    return (head + payload).ljust(size, b"\0")


def batch(first: int, count: int, seed: int = 0) -> bytes:
    """`count` command frames from sequence `first`; the same bytes for the same numbers."""
    parts = []
    for sequence in range(first, first + count):
        source = random.Random(f"{seed}/{sequence}")
        parts.append(command(sequence, source.randbytes(source.randrange(1, 120))))
    return b"".join(parts)


def event(sequence: int, size: int = 64) -> bytes:
    """One event frame of `size` bytes."""
    return struct.pack("<iiq", size, 0, sequence).ljust(size, bytes([1 + sequence % 250]))
