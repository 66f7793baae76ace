"""`python -m core.journal`: the journal process."""

import sys
import time

import numpy as np

from core.agent import run_agent
from core.doorbell import Doorbell
from core.errors import SegmentMissing
from core.idle import Adaptive, Idle, Spin
from core.journal.errors import DiskFailed, JournalError
from core.journal.process import JournalAgent, Sizes
from core.journal.writer import Policy
from core.memory import Segment
from core.process import Process, Refused, run
from core.producers import TOLD_BITS, Producer
from core.status import StatusRow, StatusTable
from core.wake import ring_addressed

NAME = "journal"
BEAT_INTERVAL_NS = 100_000_000
# Who waits until commands are durable: under `fsync` gateways; otherwise nobody waits for us.
WOKEN_BY_POLICY = {Policy.FSYNC: ("fix", "binary", "feed"), Policy.ASYNC: (), Policy.NONE: ()}
_TOLD = tuple((producer, 1 << producer) for producer in (Producer.FIX, Producer.BINARY))


class _Bells:
    """Wakes the processes that sleep until commands are durable."""

    def __init__(self, process: Process, status: StatusTable, policy: Policy) -> None:
        self._rundir = process.options.rundir
        self._status = status
        self._woken = WOKEN_BY_POLICY[policy]
        self._doorbells: dict[str, Doorbell] = {}
        self._bells = np.zeros((0, 3), np.int64)
        self._durable = -1  # who is told of something behind this has not been woken

    def ring(self, sequence: int) -> None:
        """Wake those whose sessions are told something of the commands that became durable.

        The core says whom before it hands over the command, so nobody is missed; who is told of a
        later one is woken early, and again when that one is durable.
        """
        told = sum(bit for producer, bit in _TOLD if self._status.told(producer) > self._durable)
        ring_addressed(self._bells, told)
        self._durable = sequence

    def find(self) -> None:
        """Look for gateways that have come since."""
        for name in self._woken:
            if name not in self._doorbells and self._status.find(name) is not None:
                self._doorbells[name] = Doorbell(self._rundir, name)
                rows = [(bell, self._status.row(n)) for n, bell in self._doorbells.items()]
                words = [(b.fileno(), row.asleep_address, TOLD_BITS[row.name]) for b, row in rows]
                self._bells = np.array(words, np.int64)
                self._durable = -1  # It may sleep since before we knew of it.

    def close(self) -> None:
        for bell in self._doorbells.values():
            bell.close()


class _Beating:
    """The journal agent, with a heartbeat, its counters in the status row, and bells to ring."""

    def __init__(self, agent: JournalAgent, row: StatusRow, bells: _Bells) -> None:
        self._agent = agent
        self._row = row
        self._bells = bells
        self._next_ns = 0

    def poll(self) -> int:
        work = self._agent.poll()
        now = time.time_ns()
        if now >= self._next_ns:
            self._next_ns = now + BEAT_INTERVAL_NS
            self.beat(now)
            self._bells.find()
        return work

    def beat(self, now: int) -> None:
        """Counters: frames, bytes and last sequence of the journal, last one synced."""
        agent = self._agent
        self._row.beat(now)
        self._row.position = agent.position
        counters = (agent.frames, agent.bytes, agent.sequence, agent.journal.durable_sequence)
        self._row.fields["counters"] = counters


def _journal(process: Process) -> None:
    options, configuration = process.options, process.configuration
    row = process.attach_status()
    status = process.status
    assert status is not None
    exchange = configuration.exchange
    policy = Policy(exchange.policy)
    bells = _Bells(process, status, policy)

    def attach() -> tuple[Segment, Segment] | None:
        try:  # The core makes `events` after `sequenced`.
            events = Segment.open(options.instance, "events")
        except SegmentMissing:
            return None
        return Segment.open(options.instance, "sequenced"), events

    def publish(sequence: int) -> None:
        status.durable_sequence = sequence
        bells.ring(sequence)

    sizes = Sizes(configuration.journal.segment_bytes, configuration.journal.archive_segment_bytes)
    agent = JournalAgent(options.data, policy, attach, publish, sizes=sizes)
    bell = Doorbell(options.rundir, NAME)
    process.on_stop(bell.ring)
    # It may linger in real time, too: it is the one that writes, so no write is waiting then.
    idle: Idle = Spin() if exchange.idle == "spin" else Adaptive(bell, row)
    process.ready(sequence=agent.sequence, policy=str(policy))
    beating = _Beating(agent, row, bells)
    run_agent(beating, idle, process)
    agent.close()
    beating.beat(time.time_ns())
    bells.close()
    bell.close()


def main(process: Process) -> None:
    """The body of the process: errors of the files become exit codes the supervisor knows."""
    try:
        _journal(process)
    except DiskFailed:
        raise  # What the disk holds is unknown: end, start again, read what is there.
    except JournalError as error:
        raise Refused(str(error)) from error


if __name__ == "__main__":
    sys.exit(run(NAME, main))
