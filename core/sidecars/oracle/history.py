"""The recorded index: every IndexPriceChanged of the core, and averages over windows of it.

Averages are taken from what the core published, not from what this process meant to publish, so
anybody with the event archive can compute them again. A sample holds until the next one; only live
samples count.

    price ─┐     ┌────── expiry − window                 expiry
           │     ▼                                         ▼
     s0 ───┴─ s1 ──────── s2 ─────────── (stale) ─── s3 ───
              |██████████████████████████|           |█████|     live: these count
"""

import sqlite3
from typing import NamedTuple

from blake3 import blake3

from core.sidecars.oracle.index import LIVE

MIGRATION = """
    CREATE TABLE sample (
        asset INTEGER NOT NULL,
        time INTEGER NOT NULL,
        sequence INTEGER NOT NULL,
        price INTEGER NOT NULL,
        state INTEGER NOT NULL,
        PRIMARY KEY (asset, time, sequence)
    ) STRICT, WITHOUT ROWID;
"""

COVERAGE_MIN_PERCENT = 50


class Sample(NamedTuple):
    """One published index: time in ns UTC, price with exponent −8."""

    time: int
    sequence: int
    price: int
    state: int


class Average(NamedTuple):
    """A time-weighted mean over live time; `evidence` is the hash of the samples it is made of."""

    price: int
    covered_percent: int
    evidence: bytes


def record(connection: sqlite3.Connection, asset: int, sample: Sample) -> None:
    """Keep a sample."""
    connection.execute("INSERT OR IGNORE INTO sample VALUES (?, ?, ?, ?, ?)", (asset, *sample))


def samples(connection: sqlite3.Connection, asset: int, begin: int, end: int) -> list[Sample]:
    """Those in [begin, end), preceded by the one that held at `begin`."""
    before = connection.execute(
        "SELECT time, sequence, price, state FROM sample WHERE asset = ? AND time < ?"
        " ORDER BY time DESC, sequence DESC LIMIT 1", (asset, begin)
    ).fetchall()
    inside = connection.execute(
        "SELECT time, sequence, price, state FROM sample WHERE asset = ? AND time >= ?"
        " AND time < ? ORDER BY time, sequence", (asset, begin, end)
    ).fetchall()
    return [Sample(*row) for row in before + inside]


def average(found: list[Sample], begin: int, end: int) -> Average | None:
    """The mean over [begin, end); None without a live instant in it.

    found: as `samples` gives them.
    """
    total = covered = 0
    ends = [sample.time for sample in found[1:]] + [end]
    for sample, until in zip(found, ends, strict=False):
        start, stop = max(sample.time, begin), min(until, end)
        if sample.state == LIVE and stop > start:
            total += sample.price * (stop - start)
            covered += stop - start
    if covered == 0:
        return None
    return Average(total // covered, covered * 100 // (end - begin), evidence_hash(found))


def evidence_hash(found: list[Sample]) -> bytes:
    """BLAKE3 over one line `time sequence price state` for each sample."""
    lines = "".join(f"{s.time} {s.sequence} {s.price} {s.state}\n" for s in found)
    return blake3(lines.encode()).digest()


def settlement_average(
    connection: sqlite3.Connection, asset: int, expiry: int, window_ns: int, now: int
) -> tuple[Average, int] | None:
    """The average that settles an expiry, and the end of its window; None if there is none yet.

    The window ends at the expiry. If the index was live for less than half of it, the window moves
    on, second by second, until one is.
    """
    step = 1_000_000_000
    for end in range(expiry, min(now, expiry + 86_400 * step) + 1, step):
        begin = end - window_ns
        mean = average(samples(connection, asset, begin, end), begin, end)
        if mean is not None and mean.covered_percent >= COVERAGE_MIN_PERCENT:
            return mean, end
    return None
