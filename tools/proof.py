"""Proving a data directory: the journal alone, from its first command, makes everything else again.

    journal ──replay──► state behind command N   =  digest that the journal recorded at N ?
                   └──► events                   =  bytes in the event archive ?

The replay runs in this process with a state of its own; a running exchange isn't touched.
"""

import ctypes
from collections.abc import Iterator
from pathlib import Path

import msgspec

from core.events import log_address
from core.journal import frame
from core.journal.archive import EventArchive
from core.journal.disk import RealDisk
from core.journal.reader import read_from
from core.journal.segment import check_version
from core.recovery import Replica, digest_of
from core.snapshot import state_digest
from core.state import Limits


class Proof(msgspec.Struct):
    """What a replay found. It holds if nothing is wrong."""

    commands: int = 0
    events_bytes: int = 0
    state: str = ""  # 64-bit digest of the state behind the last command
    digests_met: int = 0
    digests_wrong: list[int] = []  # the sequences, of those recorded
    events_compared: int = 0  # bytes
    events_differ_at: int = -1  # first position, −1 for nowhere

    @property
    def holds(self) -> bool:
        """Whether everything was met."""
        return not self.digests_wrong and self.events_differ_at < 0


class _Comparison:
    """Compares each stretch of events that the replay makes with the archive."""

    def __init__(self, data: Path, proof: Proof) -> None:
        self._archive = EventArchive(data)
        self._begin, self._end = self._archive.begin(), self._archive.end()
        self._proof = proof

    def compare(self, log: int, start: int, end: int) -> None:
        start, end = max(start, self._begin), min(end, self._end)
        if end <= start or self._proof.events_differ_at >= 0:
            return
        made = ctypes.string_at(log_address(log, start), end - start)
        kept = self._archive.read(start, end - start)
        self._proof.events_compared += end - start
        if made != kept:
            equal = next((i for i, (a, b) in enumerate(zip(made, kept, strict=False)) if a != b),
                         min(len(made), len(kept)))  # fmt: skip
            self._proof.events_differ_at = start + equal


def prove(data: Path, limits: Limits) -> Proof:
    """Replay the journal in `data` from command 1 and compare; `limits` are the exchange's.

    Raises `JournalDamaged`, `DataVersion`, and `JournalGap` if the journal doesn't begin at 1.
    """
    disk = RealDisk()
    check_version(disk, data)
    digests: dict[int, bytes] = {}
    for _ in read_from(disk, data, 1, digests.__setitem__):
        pass
    proof = Proof()
    replica = Replica(limits, None, events=_Comparison(data, proof).compare)
    for commands in _cut_behind(read_from(disk, data, 1), set(digests)):
        replica.apply(commands)
        recorded = digests.get(replica.sequence)
        if recorded is not None:
            if recorded == state_digest(replica.state()):
                proof.digests_met += 1
            else:
                proof.digests_wrong.append(replica.sequence)
    proof.commands, proof.events_bytes = replica.sequence, replica.event_position
    proof.state = digest_of(replica.record)
    replica.close()
    return proof


def _cut_behind(batches: Iterator[memoryview], sequences: set[int]) -> Iterator[memoryview]:
    """The batches, cut behind each command of `sequences`."""
    for batch in batches:
        rest = batch
        for sequence, _ in frame.commands(batch) if sequences else ():
            if sequence in sequences:
                behind = frame.skip(rest, sequence + 1)
                yield rest[: len(rest) - len(behind)]
                rest = behind
        if rest:
            yield rest
