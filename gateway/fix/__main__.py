"""The FIX gateway as a process: `python -m gateway.fix`, started by the supervisor."""

import asyncio
import contextlib
import os
import ssl
import sys
import time

import uvloop

from core.config import FixGateway as FixGatewaySettings
from core.doorbell import Doorbell
from core.idle import TIMEOUT_SECONDS
from core.jit import compile_lock
from core.journal.archive import EventArchive
from core.link import CommandLink
from core.memory import Segment
from core.process import Process, Refused, run
from core.producers import Producer
from core.status import State, StatusRow, StatusTable
from core.stream import EventStream
from core.wake import FOR_ANYTHING
from gateway.fix.gateway import FixGateway
from gateway.fix.profile import Profiles
from gateway.fix.wait import arm, await_events, awake
from gateway.fix.warm import warm

NAME = "fix"
TICK_SECONDS = 0.05
WAIT_NS = 60_000  # how long an order is waited for before the loop sleeps again
GOODBYE_SECONDS = 2.5
GOODBYE_STEPS = 100
BACKLOG = 1024  # connections that wait to be accepted: all clients come back at once


class Server(FixGateway):
    """The gateway on an event loop: who wakes it, and how it waits."""

    log: int
    row: StatusRow
    bell: Doorbell
    wait_ns: int
    always: bool

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin to listen for the bell and for time."""
        self._loop = loop
        loop.add_reader(self.bell.fileno(), self._rung)
        self._timer()
        if self.always:
            self._spin()
        else:
            self._sleep()

    def after_input(self, published: bool) -> None:
        """A client's bytes were dealt with: wait a moment for what the core says to them."""
        awake(self.row.asleep_address)
        if published:
            self.ring_core()
            if self.wait_ns:
                await_events(self.log, self.position, self.wait_ns)
        self.turn()
        self._sleep()

    def turn(self) -> int:
        """Deal with events; where it stands is known to the gateway that comes after this one."""
        used = super().turn()
        if used:
            self.row.position = self.position
        return used

    def _sleep(self) -> None:
        """Ask to be woken; events that came meanwhile are dealt with first."""
        if self.always:
            return
        wake_for = FOR_ANYTHING if self.wants_copies else 1
        for _ in range(64):
            if arm(self.row.asleep_address, self.log, self.position, wake_for):
                return
            if self.turn() == 0:  # Published but not released yet: the journal will ring.
                return
        awake(self.row.asleep_address)
        self._loop.call_soon(self._again)

    def _again(self) -> None:
        self.turn()
        self._sleep()

    def _rung(self) -> None:
        awake(self.row.asleep_address)
        self.bell.drain()
        self.turn()
        self._sleep()

    def _spin(self) -> None:
        self.turn()
        self._loop.call_soon(self._spin)

    def _timer(self) -> None:
        self.turn()
        self.tick()
        self.row.beat()
        self.row.position = self.position
        self._loop.call_later(TICK_SECONDS, self._timer)
        self._sleep()


def build(process: Process) -> Server:
    """Everything attached and caught up."""
    options, configuration = process.options, process.configuration
    settings, exchange = configuration.fix, configuration.exchange
    status = StatusTable.open(options.instance)
    row = status.take(NAME)
    core_bell = Doorbell(options.rundir, "core")
    segment = Segment.open(options.instance, "events", writable=False)
    archive = EventArchive(options.data)
    link = CommandLink(options.instance, Producer.FIX, capacity=configuration.rings.command_bytes)
    gate = status.durable_address if exchange.policy == "fsync" else status.published_address
    server = Server(
        settings, Profiles(settings.session), link, segment.address,
        EventStream(segment, archive), archive.begin(), status, gate, core_bell.fileno(),
        configuration.limits, process.log, time.time_ns() // 1_000_000 & 0x3FFF_FFF0,
    )
    server.log, server.row = segment.address, row
    server.bell = Doorbell(options.rundir, NAME)
    server.always = exchange.idle == "spin"
    server.wait_ns = WAIT_NS if exchange.policy != "fsync" and not server.always else 0
    return server


def tls(settings: FixGatewaySettings) -> ssl.SSLContext | None:
    """What TLS needs, or None where it isn't configured. Raises Refused."""
    if not settings.tls_certificate:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate, key = settings.tls_certificate, settings.tls_key
    for name, path in (("tls_certificate", certificate), ("tls_key", key)):
        if path and not os.access(path, os.R_OK):
            raise Refused(f"fix.{name}: {path} isn't there or can't be read")
    try:
        context.load_cert_chain(certificate, key or None)
    except (OSError, ssl.SSLError) as error:
        raise Refused(f"fix.tls_certificate: {certificate}: {error.strerror}") from error
    return context


async def serve(process: Process, server: Server) -> None:
    """Listen until asked to stop, then log everybody out."""
    loop = asyncio.get_running_loop()
    settings = process.configuration.fix
    stop = asyncio.Event()
    process.on_stop(server.bell.ring)
    try:
        listener = await loop.create_server(
            server.accept, settings.host, settings.port, ssl=tls(settings), backlog=BACKLOG)
    except OSError as error:
        where = f"{settings.host}:{settings.port}"
        raise Refused(f"cannot listen on {where}: {error.strerror}") from error
    server.start(loop)
    server.row.state = State.RUNNING
    process.ready(port=listener.sockets[0].getsockname()[1])
    while not process.stopping:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), TIMEOUT_SECONDS)
    server.row.state = State.STOPPING
    listener.close()
    server.close("the exchange is stopping")
    for _ in range(GOODBYE_STEPS):
        if not server.clients:
            break
        await asyncio.sleep(GOODBYE_SECONDS / GOODBYE_STEPS)
    for client in list(server.clients.values()):
        client.abort()
    await asyncio.sleep(0)
    server.row.state = State.STOPPED


def load(process: Process) -> None:
    """Load what is compiled; compile it if nobody has."""
    with compile_lock():
        warm(process.configuration.limits)


def main(process: Process) -> None:
    """Serve until asked to stop."""
    with compile_lock():
        server = build(process)
        server.catch_up()
    uvloop.run(serve(process, server))


if __name__ == "__main__":
    sys.exit(run(NAME, main, load=load))
