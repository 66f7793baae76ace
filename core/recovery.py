"""Recovery: the state that the journal says, and the events that were still owed.

    newest whole snapshot ─► journal files ─► what is still in `sequenced` ─► live
            state              replay                 replay

Events are a function of the journal, position included. While commands are replayed they go to
memory of their own; only what the event log does not have yet is brought over, so that nobody who
reads the log ever sees a byte change. A replica does the same for snapshots and for audits, with
no log at all.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from blake3 import blake3
from numpy.typing import NDArray

from core.engine.genesis import found_house
from core.engine.run import bind_events
from core.journal.disk import Disk, RealDisk
from core.journal.reader import Follower
from core.memory import Segment
from core.records import LAYOUT_VERSION
from core.ring import ring_address, ring_consumed, ring_readable
from core.sequencer import COMMAND_EVENTS_MAX, event_memory, replay_commands
from core.snapshot import newest
from core.state import Limits, durable_size, new_state, state_dtype
from sbe.raw import load_i32, load_i64

EVENTS_A_STEP = 2 << 20
_SCRATCH_BYTES = 8 << 20
assert _SCRATCH_BYTES > EVENTS_A_STEP + COMMAND_EVENTS_MAX


def layout_of(limits: Limits) -> bytes:
    """32 bytes that name the layout and the limits of a state."""
    text = f"{LAYOUT_VERSION} {state_dtype(limits)!r}"
    return blake3(text.encode()).digest()


def state_bytes(state: NDArray[Any]) -> memoryview:
    """The part of a state that is a function of the journal, as bytes."""
    return state.view(np.uint8).reshape(-1).data[: durable_size(state.dtype)]


def digest_of(state: NDArray[Any]) -> str:
    """The 64-bit state digest, in hexadecimal."""
    return blake3(state_bytes(state)).hexdigest(length=8)


def make_state(limits: Limits, segment: Segment | None = None) -> NDArray[Any]:
    """The state of an exchange before its first command: the house and nothing else."""
    if segment is None:
        state = new_state(limits)
    else:
        state = segment.array(state_dtype(limits), 1)
        if not segment.created:
            state.view(np.uint8)[:] = 0
    state["layout_version"] = LAYOUT_VERSION
    found_house(state)
    return state


class Replayer:
    """Applies stamped commands to a state; its events go to a log of its own.

    `events(log, start, end)` is called with each stretch of events before it is overwritten; `log`
    is the address of the private log's header, positions are those of the event stream.
    """

    def __init__(
        self, state: NDArray[Any], events: Callable[[int, int, int], None] | None = None
    ) -> None:
        self.record = state
        self._events = events
        # A mirrored segment under a passing name: gone from the directory before it is used.
        self._scratch = Segment.create(f"replay-{os.getpid()}", "events", _SCRATCH_BYTES, True)
        self._scratch.unlink()
        self._bind()

    def _bind(self) -> None:
        address, size = event_memory(self._scratch.address)
        bind_events(self.record, address, size)

    @property
    def sequence(self) -> int:
        """The last command applied."""
        return int(self.record["sequence"][0])

    @property
    def event_position(self) -> int:
        """Where the events of the next command will begin."""
        return int(self.record["event_position"][0])

    def apply(self, commands: memoryview) -> None:
        """Execute whole command frames, dense from `sequence + 1`."""
        data = np.frombuffer(commands, np.uint8)
        self.apply_at(data.ctypes.data, data.ctypes.data + len(data))

    def apply_at(self, address: int, end: int) -> None:
        """Execute the frames that stand between two addresses."""
        while address < end:
            start = self.event_position
            address = replay_commands(self.record, address, end, EVENTS_A_STEP)
            if self._events is not None and self.event_position > start:
                self._events(self._scratch.address, start, self.event_position)

    def close(self) -> None:
        """Give the memory back."""
        self._scratch.close()


class Replica(Replayer):
    """A state of its own that follows the journal (core/snapshot.py's `Replica`)."""

    def __init__(
        self,
        limits: Limits,
        data: Path | None,
        *,
        disk: Disk | None = None,
        events: Callable[[int, int, int], None] | None = None,
    ) -> None:
        """Begin at the newest snapshot in `data`, or at nothing when it is None or has none."""
        state = make_state(limits)
        self.layout = layout_of(limits)
        if data is not None:
            load_snapshot(state, data, self.layout, disk)
        super().__init__(state, events)
        self._bind()

    def state(self) -> memoryview:
        """The bytes of the state, valid until the next `apply`."""
        return state_bytes(self.record)


def load_snapshot(
    state: NDArray[Any], data: Path, layout: bytes, disk: Disk | None = None
) -> int:
    """Bring a state to the newest whole snapshot; the last command in it, 0 if there is none."""
    found = newest(data, layout, disk=disk)
    if found is None:
        return 0
    state_bytes(state)[:] = found.state
    return found.sequence


def recover(
    state: NDArray[Any],
    limits: Limits,
    data: Path,
    sequenced: Segment | None,
    events: Callable[[int, int, int], None] | None = None,
    *,
    disk: Disk | None = None,
) -> int:
    """Bring a fresh state up to the last command that was sequenced; how many were replayed."""
    disk = disk if disk is not None else RealDisk()
    first = load_snapshot(state, data, layout_of(limits), disk)
    replayer = Replayer(state, events)
    follower = Follower(disk, data, first + 1)
    while True:
        while (batch := follower.poll()) is not None:
            replayer.apply(batch)
        if sequenced is None or _apply_ring(replayer, sequenced.address):
            break
    replayed = replayer.sequence - first
    replayer.close()
    return replayed


def _apply_ring(replayer: Replayer, ring: int) -> bool:
    """Replay what the journal process has not taken yet.

    False when the ring begins behind the next command: the journal process has moved what was
    missing into the files in the meantime, and they are to be read again.
    """
    position, end = ring_consumed(ring), ring_readable(ring)
    while position < end:
        address = ring_address(ring, position)
        sequence = load_i64(address + 16)
        if sequence > replayer.sequence + 1:
            return False
        length = load_i32(address)
        if sequence == replayer.sequence + 1:
            replayer.apply_at(address, address + length)
        position += length
    return True
