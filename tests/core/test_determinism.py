"""Same journal, same state, same events, to the bit: however it is cut, wherever it is replayed.

The journal is a real one on disk, of a random stream with every kind of command the model knows.
"""

import ctypes
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from blake3 import blake3

from core import snapshot
from core.journal.disk import RealDisk
from core.journal.reader import Follower
from core.journal.writer import Journal, Policy
from core.recovery import (
    Replayer,
    digest_of,
    layout_of,
    make_state,
    recover,
    state_bytes,
)
from core.sequencer import event_memory
from tests.core.engine.exchange import LIMITS
from tests.model.engine import frame
from tests.model.exchange import Exchange
from tests.model.stream import Stream

COMMANDS = 1500
SEED = 3
HALVES = 2
SCRIPT = "import sys; from tests.core.test_determinism import main; main(sys.argv[1])"

pytestmark = pytest.mark.timeout(900)  # The first one compiles the engine.


class Outcome(NamedTuple):
    """What a replay comes to."""

    sequence: int
    digest: str
    events: bytes


class Replay:
    """A state that commands are applied to; its events as one string."""

    def __init__(self, state: np.ndarray | None = None) -> None:
        self.state = make_state(LIMITS) if state is None else state
        self.events = bytearray()
        self._replayer = Replayer(self.state, self._collect)

    def _collect(self, log: int, start: int, end: int) -> None:
        address, size = event_memory(log)
        self.events += ctypes.string_at(address + (start & (size - 1)), end - start)

    def apply(self, commands: bytes | memoryview) -> "Replay":
        """Apply whole frames."""
        self._replayer.apply(memoryview(commands))
        return self

    def outcome(self) -> Outcome:
        """Digest and events; the memory is given back."""
        sequence = self._replayer.sequence
        self._replayer.close()
        return Outcome(sequence, digest_of(self.state), bytes(self.events))


def random_frames() -> list[bytes]:
    """Stamped commands of a random day at a venue with a spot pair, a perpetual and an event."""
    x = Exchange(LIMITS)
    stream = Stream(SEED, x)
    frames = []
    for command in stream.found():
        x.apply(command)
        frames.append(frame(command, len(frames) + 1))
    while len(frames) < COMMANDS:
        command = stream.next()
        x.apply(command)
        frames.append(frame(command, len(frames) + 1))
    return frames


def journaled(data: Path, frames: list[bytes], until: int) -> None:
    """Write frames to a journal, in batches of any size."""
    dice = random.Random(1)
    journal = Journal(data, Policy.ASYNC)
    journal.takeover(journal.epoch + 1)
    at = journal.last()[0]
    while at < until:
        end = min(until, at + dice.randint(1, 60))
        journal.append(memoryview(b"".join(frames[at:end])))
        at = end
    journal.close()


def replay_journal(data: Path) -> Outcome:
    """The journal from its beginning."""
    replay, follower = Replay(), Follower(RealDisk(), data, 1)
    while (batch := follower.poll()) is not None:
        replay.apply(batch)
    return replay.outcome()


def main(data: str) -> None:
    """In a process of its own: what the journal comes to, in one line."""
    outcome = replay_journal(Path(data))
    told = (outcome.sequence, outcome.digest, blake3(outcome.events).hexdigest())
    sys.stdout.write(" ".join(map(str, told)))


@pytest.fixture(scope="module")
def frames() -> list[bytes]:
    return random_frames()


@pytest.fixture(scope="module")
def whole(frames: list[bytes]) -> Outcome:
    """The uninterrupted replay of all of it at once."""
    outcome = Replay().apply(b"".join(frames)).outcome()
    assert outcome.sequence == len(frames)
    assert len(outcome.events) > 100 * len(frames)  # A day on which something was said.
    return outcome


def test_two_replays_say_the_same(frames: list[bytes], whole: Outcome, tmp_path: Path) -> None:
    journaled(tmp_path, frames, len(frames))
    assert replay_journal(tmp_path) == whole
    assert replay_journal(tmp_path) == whole


def test_other_processes_with_other_hash_seeds_say_the_same(
    frames: list[bytes], whole: Outcome, tmp_path: Path
) -> None:
    journaled(tmp_path, frames, len(frames))
    told = set()
    for seed in ("1", "4242"):
        run = subprocess.run(
            [sys.executable, "-c", SCRIPT, str(tmp_path)], capture_output=True, text=True,
            env=os.environ | {"PYTHONHASHSEED": seed}, cwd=Path(__file__).parents[2], check=True)
        told.add(run.stdout)
    digest = blake3(whole.events).hexdigest()
    assert told == {f"{whole.sequence} {whole.digest} {digest}"}


@pytest.mark.parametrize("most", [1, 7, 100, 1000])
def test_batches_of_any_size_say_the_same(frames: list[bytes], whole: Outcome, most: int) -> None:
    dice, replay, at = random.Random(most), Replay(), 0
    while at < len(frames):
        end = at + dice.randint(1, most)
        replay.apply(b"".join(frames[at:end]))
        at = end
    assert replay.outcome() == whole


@pytest.mark.parametrize("part", [1, 60, 400, COMMANDS // HALVES, COMMANDS - 1])
def test_a_snapshot_and_the_rest_equal_the_whole(
    frames: list[bytes], whole: Outcome, part: int
) -> None:
    first = Replay().apply(b"".join(frames[:part]))
    kept = bytes(state_bytes(first.state))
    told = first.outcome()
    state = make_state(LIMITS)
    state_bytes(state)[:] = kept
    rest = Replay(state).apply(b"".join(frames[part:])).outcome()
    assert rest.digest == whole.digest
    assert told.events + rest.events == whole.events


def test_recovery_from_snapshot_and_journal_equals_the_whole(
    frames: list[bytes], whole: Outcome, tmp_path: Path
) -> None:
    middle = len(frames) // HALVES
    journaled(tmp_path, frames, middle)
    first = Replay().apply(b"".join(frames[:middle]))
    position = int(first.state["event_position"][0])
    snapshot.write(tmp_path, state_bytes(first.state), middle, position, layout_of(LIMITS))
    first.outcome()
    journaled(tmp_path, frames, len(frames))
    state = make_state(LIMITS)
    assert recover(state, LIMITS, tmp_path, None) == len(frames) - middle
    assert digest_of(state) == whole.digest


def test_the_digest_sees_every_bit(frames: list[bytes], whole: Outcome) -> None:
    replay = Replay().apply(b"".join(frames))
    size = len(state_bytes(replay.state))
    dice = random.Random(5)
    for at in [0, size - 1, *(dice.randrange(size) for _ in range(20))]:
        state_bytes(replay.state)[at] ^= 1
        assert digest_of(replay.state) != whole.digest
        state_bytes(replay.state)[at] ^= 1
    assert replay.outcome() == whole


def collected(data: bytes) -> Iterator[tuple[int, int]]:
    """(sequence, session) of each event."""
    at = 0
    while at < len(data):
        length, session = np.frombuffer(data, np.int32, 2, at).tolist()
        yield int(np.frombuffer(data, np.int64, 1, at + 8)[0]), session
        at += length


def test_events_are_in_the_order_of_their_commands(whole: Outcome) -> None:
    sequences = [sequence for sequence, _ in collected(whole.events)]
    assert sequences == sorted(sequences)
    assert {session for _, session in collected(whole.events)} > {0, 1, 2, 3}
