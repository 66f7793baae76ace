"""The market data feed as a process: `python -m gateway.feed`, started by the supervisor."""

import sys
from typing import Any

import numpy as np

from core.agent import run_agent
from core.idle import Adaptive, Spin
from core.journal.archive import EventArchive
from core.link import released
from core.memory import Segment
from core.process import Process, Refused, run
from core.status import State, StatusRow, StatusTable
from core.stream import EventStream
from gateway.feed import layout
from gateway.feed.book import new_books
from gateway.feed.feed import FeedGateway
from gateway.feed.layout import new_feed
from gateway.feed.receivers import Receivers
from gateway.feed.warm import compile_all
from gateway.listener import SocketBell

NAME = "feed"
STREAM_KIND = "feed.stream"


def build(process: Process) -> tuple[FeedGateway, SocketBell, StatusRow, int]:
    """Everything attached and caught up: the agent, its doorbell, its row, the TCP port.

    Raises Refused if the port is taken.
    """
    options, configuration = process.options, process.configuration
    settings, limits = configuration.feed, configuration.limits
    policy = configuration.exchange.policy
    status = StatusTable.open(options.instance)
    row = status.take(NAME)
    log = Segment.open(options.instance, "events", writable=False)
    archive = EventArchive(options.data)
    sent = Segment.create(options.instance, STREAM_KIND, settings.stream_bytes, mirrored=True)
    feed, books = new_feed(limits, limits.accounts_max), new_books(limits)
    f = feed[0]
    f["log"], f["position"] = log.address, archive.begin()
    f["gate_address"] = status.durable_address if policy == "fsync" else status.published_address
    f["stream"], f["stream_size"] = sent.data_address, sent.size
    numbers: list[Any] = []
    for channel in layout.CHANNELS:
        numbers.append(np.full(layout.PACKETS_MAX, -(1 << 60), np.int64))
        f["channels"][channel]["packets"] = numbers[-1].ctypes.data
    datagrams = (settings.udp_host, settings.udp_port, settings.udp_interface)
    try:
        receivers = Receivers(
            feed, settings.host, settings.port, datagrams if settings.udp_port else None
        )
    except OSError as error:
        where = f"{settings.host}:{settings.port}"
        raise Refused(f"cannot listen on {where}: {error.strerror}") from error
    gateway = FeedGateway(
        settings, feed, books, receivers, EventStream(log, archive), released(status, policy),
        row, process.log,
    )
    gateway.keep(log, sent, status, numbers)
    gateway.catch_up()
    bell = SocketBell(options.rundir, NAME)
    bell.sockets = receivers
    receivers.wake_on(bell.fileno())
    return gateway, bell, row, receivers.port


def load(process: Process) -> None:
    """Load what is compiled; compile it if nobody has."""
    compile_all(process.configuration.limits)


def main(process: Process) -> None:
    """Publish until asked to stop."""
    gateway, bell, row, port = build(process)
    spin = process.configuration.exchange.idle == "spin"
    # A subscriber doesn't wait for this process as the sender of an order does for its door.
    idle = Spin() if spin else Adaptive(bell, row, spins=0, linger_ns_max=0)
    process.on_stop(bell.ring)
    row.state = State.RUNNING
    process.ready(port=port)
    run_agent(gateway, idle, process)
    row.state = State.STOPPING
    gateway.close()
    row.state = State.STOPPED


if __name__ == "__main__":
    sys.exit(run(NAME, main, load=load))
