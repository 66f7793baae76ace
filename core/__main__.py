"""The core process: shared memory, recovery, then the sequencer, for as long as it is wanted."""

import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.agent import run_agent
from core.config import Limits
from core.doorbell import Doorbell
from core.engine.run import bind_events
from core.errors import SegmentMissing
from core.events import log_archived, log_published, log_resume, log_transfer
from core.idle import SPINS, Idle, Spin, adaptive
from core.jit import compile_lock
from core.journal.archive import EventArchive
from core.journal.segment import SNAPSHOTS_NAME
from core.memory import DIRECTORY, Segment
from core.process import Process, Refused, run
from core.producers import PRODUCERS_MAX, TOLD_BITS, ring_kind
from core.recovery import layout_of, make_state, recover
from core.ring import ring_abandon, ring_consumed, ring_readable, ring_seek
from core.sequencer import event_memory, sequence_commands
from core.signatures import judge_waiting
from core.snapshot import archive_needed
from core.state import state_dtype
from core.status import State, StatusRow, StatusTable
from core.warm import compile_core

NAME = "core"
HOUSEKEEPING_NS = 50_000_000
FILE_CLOCK_NS = 20_000_000  # The times of files are those of the kernel's last tick.
EVENTS_BYTES_MIN = 16 << 20
# Who waits for the core's word; sidecars and tools look by themselves, a few times a second.
WOKEN_BY_POLICY = {"fsync": ("journal",), "async": ("fix", "binary", "feed"), "none": ("fix",
                   "binary", "feed")}
# Everybody waits for the core, so it lingers longest. Others who did the same would take the
# processor from the one they wait for, where there are fewer processors than processes.
LINGER_NS_MAX = 2_000_000
# A poll that finds nothing offers the processor so often by itself, and there are fewer polls for
# it: the way through the interpreter and back takes as long as many an order.
OFFERS = 7
_PAGE = 4096


class CoreAgent:
    """The sequencer with its rings and bells, which come and go with their processes."""

    def __init__(
        self,
        process: Process,
        state: NDArray[Any],
        sequenced: Segment,
        events: Segment,
        row: StatusRow,
        status: StatusTable,
    ) -> None:
        self._instance = process.options.instance
        self._rundir = process.options.rundir
        self._signers = process.configuration.risk.signer
        self._signed = np.full(PRODUCERS_MAX, -1, np.int64)
        self._signed[0] = 0
        exchange = process.configuration.exchange
        self._woken = WOKEN_BY_POLICY[exchange.policy]
        self._state = state
        self._sequenced = sequenced.address
        self._log = events.address
        self._row = row
        self._status = status
        self._rings: list[Segment | None] = [None] * PRODUCERS_MAX
        self._addresses = np.zeros(PRODUCERS_MAX, np.int64)
        self._doorbells: dict[str, Doorbell] = {}
        self._bells = np.zeros((0, 3), np.int64)
        # One that spins has a processor to itself; under `fsync` nobody is served before the disk.
        self.offers = OFFERS if exchange.idle == "adaptive" and exchange.policy != "fsync" else 0
        self._next_ns = 0
        self._looked_ns = 0  # When rings were last looked for.
        self.resume_at: NDArray[np.int64] | None = None

    def poll(self) -> int:
        """One round over the producers; commands taken."""
        taken: int = sequence_commands(
            self._state,
            self._addresses,
            self._sequenced,
            self._log,
            self._bells,
            self._status.published_address,
            self._status.told_address,
            self._signed,
            self.offers,
        )
        if self._signed[0]:
            self._judge_signature()
            taken += 1  # Not yet, but at once.
        now = time.time_ns()
        if now >= self._next_ns:
            self._next_ns = now + HOUSEKEEPING_NS
            self._keep_house(now)
        return taken

    def _judge_signature(self) -> None:
        """Look at the signed command that the sequencer waits with."""
        producer = int(self._signed[0])
        ring = int(self._addresses[producer])
        self._signed[producer] = judge_waiting(self._instance, self._signers, producer, ring)
        self._signed[0] = 0

    def _keep_house(self, now: int) -> None:
        """Heartbeat and counters; rings and processes that have appeared."""
        row = self._row
        row.beat(now)
        row.position = log_published(self._log)
        state = self._state[0]
        counters = (state["sequence"], state["trades"], state["orders_open"], state["jobs"])
        row.fields["counters"] = counters
        if DIRECTORY.stat().st_mtime_ns > self._looked_ns - FILE_CLOCK_NS:
            self._looked_ns = now
            for producer in range(1, PRODUCERS_MAX):
                if self._rings[producer] is None:
                    self._open_ring(producer)
        for name in self._woken:
            if name not in self._doorbells and self._status.find(name) is not None:
                self._doorbells[name] = Doorbell(self._rundir, name)
                self._list_bells()

    def _open_ring(self, producer: int) -> None:
        try:
            ring = Segment.open(self._instance, ring_kind(producer))
        except SegmentMissing:
            return
        self._rings[producer] = ring
        if self.resume_at is not None:
            resume_ring(ring.address, int(self.resume_at[producer]))
        self._addresses[producer] = ring.address

    def _list_bells(self) -> None:
        rows = [(bell, self._status.row(name)) for name, bell in self._doorbells.items()]
        self._bells = np.array(
            [(bell.fileno(), row.asleep_address, TOLD_BITS[row.name]) for bell, row in rows],
            np.int64,
        )

    def close(self) -> None:
        """Give back what was opened."""
        for bell in self._doorbells.values():
            bell.close()
        for ring in self._rings:
            if ring is not None:
                ring.close()


def resume_ring(ring: int, recorded: int) -> None:
    """Go on in a producer's ring behind the last command that was sequenced.

    The core may have died between publishing a command and giving its place in the ring back; the
    state knows better. It knows the position's low bits only (in units of 32 bytes).
    """
    consumed = ring_consumed(ring)
    ahead = (((recorded - consumed) >> 5) & 0xFFFFFFFF) << 5
    if consumed + ahead <= ring_readable(ring):
        ring_seek(ring, consumed + ahead)


def _await_journal(process: Process) -> None:
    """Wait for the journal process, which checks the files and cuts what a crash tore off."""
    assert process.status is not None
    while not process.stopping:
        row = process.status.find("journal")
        if row is not None and row.alive and row.state == State.RUNNING:
            return
        time.sleep(0.005)
    raise Refused("stopped while waiting for the journal")


def judge_archive(data: Path, limits: Limits) -> None:
    """Refuse an archive that ends before the newest snapshot: nobody has the events between.

    A snapshot is written when the archive has been made durable up to it, so this is no crash, but
    somebody who took files away. Without the snapshots the journal makes every event again.
    """
    end = EventArchive(data).end()
    needed = archive_needed(data, layout_of(limits))
    if end < needed:
        raise Refused(
            f"the event archive in {data} ends at {end}, before the newest snapshot ({needed}): "
            f"put its files back, or take {data / SNAPSHOTS_NAME} away to replay the whole journal")


def _recover(process: Process, sequenced: Segment, events: Segment, state: NDArray[Any]) -> None:
    """Bring the state up to date, and the event log with it."""
    _await_journal(process)
    judge_archive(process.options.data, process.configuration.limits)
    archive = EventArchive(process.options.data)
    if events.created:
        log_resume(events.address, archive.end())
    owed = log_published(events.address)

    def bring_over(source: int, _start: int, end: int) -> None:
        while end > owed and not log_transfer(events.address, source, end):
            if process.stopping:
                raise Refused("stopped while recovering")
            time.sleep(0.001)  # The archiver makes room.

    started = time.monotonic()
    limits = process.configuration.limits
    replayed = recover(state, limits, process.options.data, sequenced, bring_over)
    if log_published(events.address) > state["event_position"][0]:
        raise Refused("the event log is ahead of the journal: they are not of one exchange")
    if not log_resume(events.address, int(state["event_position"][0])):
        raise Refused("the event log cannot go on where the journal ends")
    process.log.info(
        "recovered",
        sequence=int(state["sequence"][0]),
        replayed=replayed,
        archived=int(log_archived(events.address)),
        seconds=round(time.monotonic() - started, 3),
    )


def load(process: Process) -> None:
    """Load the compiled engine; compile it if nobody has."""
    with compile_lock():
        compile_core(
            process.configuration.limits, lambda step: process.log.info("compiling", step=step))


def main(process: Process) -> None:
    """The body of the process."""
    row = process.attach_status()
    status = process.status
    assert status is not None
    status.core_ready = 0
    configuration = process.configuration
    limits, rings = configuration.limits, configuration.rings
    if rings.events_bytes < EVENTS_BYTES_MIN:
        raise Refused(f"rings.events_bytes: expected at least {EVENTS_BYTES_MIN}")
    instance = process.options.instance
    sequenced = Segment.attach_or_create(instance, "sequenced", rings.sequenced_bytes, True)
    events = Segment.attach_or_create(instance, "events", rings.events_bytes, True)
    size = -(-state_dtype(limits).itemsize // _PAGE) * _PAGE
    memory = Segment.attach_or_create(instance, "state", size)
    for segment in (sequenced, events, memory):
        segment.settle()
    state = make_state(limits, memory)
    _recover(process, sequenced, events, state)
    bind_events(state, *event_memory(events.address))
    ring_abandon(sequenced.address)
    agent = CoreAgent(process, state, sequenced, events, row, status)
    if not sequenced.created:
        agent.resume_at = state["producers"]["ring_position"][0].copy()
    _serve(process, agent, row, status, state)


def _serve(
    process: Process,
    agent: CoreAgent,
    row: StatusRow,
    status: StatusTable,
    state: NDArray[Any],
) -> None:
    """Take commands until asked to stop, then what is still in the rings."""
    status.published_sequence = int(state["sequence"][0])
    status.core_generation += 1
    agent.poll()
    agent.resume_at = None
    status.core_ready = 1
    bell = Doorbell(process.options.rundir, NAME)
    process.on_stop(bell.ring)
    exchange = process.configuration.exchange
    spinning = exchange.idle == "spin"
    idle: Idle = Spin() if spinning else adaptive(
        bell, row, exchange.policy, SPINS // (1 + agent.offers), LINGER_NS_MAX)
    process.ready(sequence=int(state["sequence"][0]))
    run_agent(agent, idle, process)
    status.core_ready = 0
    while agent.poll():
        pass
    agent.close()
    bell.close()


if __name__ == "__main__":
    sys.exit(run(NAME, main, load=load))
