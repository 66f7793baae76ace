"""How a sidecar runs as a process: attach, follow, beat, leave everything as it should be.

    python -m core.sidecars.settlement --instance I --data D --rundir R --config F

A sidecar is polled by the same scheduler as every other process; it sleeps between polls, as a few
milliseconds mean nothing to it.
"""

import gc
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from core.agent import run_agent
from core.doorbell import Doorbell
from core.errors import EventsLost
from core.idle import Adaptive
from core.link import CommandLink, CoreBell, EventFollower, released
from core.process import Process, Refused, run
from core.producers import Producer
from core.sidecars.follow import Sidecar
from core.sidecars.store import Store, StoreBusy, StoreVersion
from core.status import State, StatusRow, StatusTable

STORE_DIRECTORY = "sidecars"
BEAT_NS = 200_000_000
SLEEP_SECONDS = 0.02
COLLECT_AFTER = 100_000, 20, 20  # objects more than before; rounds of the younger generations


@dataclass
class Attached:
    """All that a sidecar is made of, opened."""

    process: Process
    directory: Path
    store: Store
    follower: EventFollower
    link: CommandLink
    core_ready: Callable[[], bool]
    gate: Callable[[], int]


class _Beating:
    """The sidecar, with its row in the status table kept up to date."""

    def __init__(self, sidecar: Sidecar, follower: EventFollower, row: StatusRow) -> None:
        self._sidecar = sidecar
        self._follower = follower
        self._row = row
        self._beaten = 0

    def poll(self) -> int:
        work = self._sidecar.poll()
        now = time.time_ns()
        if abs(now - self._beaten) >= BEAT_NS:
            self._beaten = now
            self._row.beat(now)
            self._row.position = self._follower.position
            self._row.fields["work"] = self._sidecar.events
            self._row.fields["counters"][0] = self._sidecar.alarms
            self._follower.reopen()
        return work


def collect_seldom() -> None:
    """Let the collector of circles pass over what the process has, and come rarely.

    Books are millions of tuples, none of them in a circle: walking them took a third of the time
    in which the ledger posts.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECT_AFTER)


def serve(
    producer: Producer,
    migrations: Sequence[str],
    make: Callable[[Attached], Sidecar],
    arguments: Sequence[str] | None = None,
) -> int:
    """Run the process of a sidecar; its exit code."""
    name = producer.name.lower()

    def main(process: Process) -> None:
        options, configuration = process.options, process.configuration
        directory = options.data / STORE_DIRECTORY
        try:
            store = Store(directory, name, migrations)
        except (StoreBusy, StoreVersion) as error:
            raise Refused(str(error)) from error
        status = StatusTable.open(options.instance)
        row = status.take(name)
        bell = CoreBell(options.rundir, status)
        link = CommandLink(
            options.instance, producer, capacity=configuration.rings.command_bytes, bell=bell
        )
        gate = released(status, configuration.exchange.policy)
        follower = EventFollower(options.instance, options.data, gate=gate)
        attached = Attached(
            process, directory, store, follower, link, lambda: status.core_ready == 1, gate
        )
        sidecar = make(attached)
        doorbell = Doorbell(options.rundir, name)
        idle = Adaptive(doorbell, row, spins=0, linger_ns_max=0, timeout_seconds=SLEEP_SECONDS)
        process.on_stop(doorbell.ring)
        row.state = State.RUNNING
        collect_seldom()
        process.ready()
        try:
            run_agent(_Beating(sidecar, follower, row), idle, process)
        except EventsLost as error:
            raise Refused(f"{name} cannot go on: {error}") from error
        finally:
            row.state = State.STOPPED
            store.close()
            link.close()
            follower.close()

    return run(name, main, arguments)
