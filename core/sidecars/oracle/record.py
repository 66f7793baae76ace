"""The record of all that was said and done about outcomes: each line hashes the one before."""

import sqlite3

from blake3 import blake3

GENESIS = bytes(32)


def record_hash(
    previous: bytes, ordinal: int, time: int, kind: str, subject: str, body: str
) -> bytes:
    """BLAKE3 over the record before and all of this one."""
    head = f"{ordinal}\n{time}\n{kind}\n{subject}\n{body}\n".encode()
    return blake3(previous + head).digest()


def verify_records(connection: sqlite3.Connection) -> int:
    """Walk the record from its beginning; how many there are. Raises ValueError at a break."""
    previous, expected = GENESIS, 1
    for ordinal, *fields, digest in connection.execute("SELECT * FROM record ORDER BY ordinal"):
        if ordinal != expected or record_hash(previous, ordinal, *fields) != digest:
            raise ValueError(f"the record is broken at {expected}")
        previous, expected = digest, expected + 1
    return expected - 1
