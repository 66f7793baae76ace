"""The follower process: replays the journal into a replica and makes the snapshots.

It shares nothing with the core but files, so the loop never pays for a snapshot, and a snapshot is
at the same time a proof that the journal alone leads to the state. It runs at low priority.
"""

import os
import sys
import time

from core.agent import run_agent
from core.doorbell import Doorbell
from core.idle import Adaptive
from core.jit import compile_lock
from core.process import Process, run
from core.recovery import Replica
from core.snapshot import SnapshotAgent
from core.warm import compile_core

NAME = "follower"
NICENESS = 19
INTERVAL_SECONDS = 1.0  # Between two looks at the journal.


class _Beating:
    """The snapshot agent, with its heartbeat and its place in the status row."""

    def __init__(self, agent: SnapshotAgent, replica: Replica, process: Process) -> None:
        self._agent = agent
        self._replica = replica
        self._row = process.attach_status()

    def poll(self) -> int:
        work = self._agent.poll()
        self._row.beat()
        self._row.position = self._replica.event_position
        self._row.fields["counters"][0] = self._replica.sequence
        return work


def main(process: Process) -> None:
    """The body of the process."""
    row = process.attach_status()
    os.nice(NICENESS)
    configuration, data = process.configuration, process.options.data
    with compile_lock():
        compile_core(configuration.limits, lambda step: process.log.info("compiling", step=step))
    replica = Replica(configuration.limits, data)
    interval_ns = configuration.exchange.snapshot_seconds * 1_000_000_000
    agent = SnapshotAgent(data, replica, time.monotonic_ns, interval_ns)
    bell = Doorbell(process.options.rundir, NAME)
    process.on_stop(bell.ring)
    process.ready(sequence=replica.sequence)
    idle = Adaptive(bell, row, spins=0, linger_ns_max=0, timeout_seconds=INTERVAL_SECONDS)
    run_agent(_Beating(agent, replica, process), idle, process)
    replica.close()
    bell.close()


if __name__ == "__main__":
    sys.exit(run(NAME, main))
