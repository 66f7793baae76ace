"""The binary gateway as a process: `python -m gateway.binary`, started by the supervisor."""

import sys
import time

import numpy as np

from core.agent import run_agent
from core.doorbell import Doorbell
from core.idle import Spin, adaptive
from core.journal.archive import EventArchive
from core.link import CommandLink
from core.memory import Segment
from core.process import Process, Refused, run
from core.producers import Producer
from core.status import State, StatusRow, StatusTable
from core.stream import EventStream
from gateway.binary.connections import MARKS_MAX, new_gateway
from gateway.binary.gateway import BinaryGateway
from gateway.binary.sockets import Sockets
from gateway.binary.warm import compile_all
from gateway.listener import SocketBell

NAME = "binary"


class CoreBell:
    """The core's doorbell as `CommandLink` wants it."""

    def __init__(self, bell: Doorbell, core: StatusRow) -> None:
        self._bell = bell
        self._core = core

    def ring(self) -> bool:
        """Wake the core if it sleeps."""
        return self._bell.ring_if_asleep(self._core)


def build(process: Process) -> tuple[BinaryGateway, SocketBell, StatusRow, int]:
    """Everything attached and caught up: the agent, its doorbell, its row, the port.

    Raises Refused if the port is taken.
    """
    options, configuration = process.options, process.configuration
    settings, policy = configuration.binary, configuration.exchange.policy
    status = StatusTable.open(options.instance)
    row, core = status.take(NAME), status.row("core")
    core_bell = Doorbell(options.rundir, "core")
    log = Segment.open(options.instance, "events", writable=False)
    link = CommandLink(
        options.instance, Producer.BINARY, capacity=configuration.rings.command_bytes,
        bell=CoreBell(core_bell, core),
    )
    memory = new_gateway()
    try:
        sockets = Sockets(
            memory, settings.host, settings.port, settings.connections_max,
            settings.send_buffer_bytes,
        )
    except OSError as error:
        where = f"{settings.host}:{settings.port}"
        raise Refused(f"cannot listen on {where}: {error.strerror}") from error
    archive = EventArchive(options.data)
    stream = EventStream(log, archive)
    marks = np.zeros(max(1, len(settings.session)) * MARKS_MAX, np.int64)
    g = memory[0]
    g["ring"], g["log"], g["marks"] = link.ring, log.address, marks.ctypes.data
    g["producer"] = Producer.BINARY
    g["position"] = archive.begin()
    g["gate_address"] = status.durable_address if policy == "fsync" else status.published_address
    g["ready_address"] = status.ready_address
    g["core_bell"], g["core_asleep"] = core_bell.fileno(), core.asleep_address
    gateway = BinaryGateway(
        settings, memory, marks, sockets, link, stream, status, row, process.log,
        first_token=time.time_ns(),
    )
    gateway.catch_up()
    bell = SocketBell(options.rundir, NAME)
    bell.sockets = sockets
    sockets.wake_on(bell.fileno())
    return gateway, bell, row, sockets.port


def load(_process: Process) -> None:
    """Load what is compiled; compile it if nobody has."""
    compile_all()


def main(process: Process) -> None:
    """Serve until asked to stop."""
    gateway, bell, row, port = build(process)
    exchange = process.configuration.exchange
    # Where processors are few, the core can only begin when we stop looking.
    idle = Spin() if exchange.idle == "spin" else adaptive(bell, row, exchange.policy, spins=1)
    process.on_stop(bell.ring)
    row.state = State.RUNNING
    process.ready(port=port)
    run_agent(gateway, idle, process)
    row.state = State.STOPPING
    gateway.stop()
    row.state = State.STOPPED


if __name__ == "__main__":
    sys.exit(run(NAME, main, load=load))
