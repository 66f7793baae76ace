"""Fan-out of the feed: book events in, the same packets to many TCP receivers, and what binds.

A real feed process reads a real event log, into which this process writes ExecutionReports at an
offered rate, as the core would: orders added and removed around a middle price on several books.
A third process holds the receivers, each on a connection of its own, and reads everything.

    writer ──▶ event log ──▶ feed (gateway/feed) ──▶ n TCP connections ──▶ receivers (one process)

The rate was kept if, when the last event has been written, feed and slowest receiver are less than
`LAG_SECONDS` behind. If it was not, lower rates are tried until one is kept, which `limit` tells
beside what binds: bytes to all receivers, and the processors that feed, receivers and others took.
"""

import ctypes
import multiprocessing
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import psutil

from core import config
from core.config import Configuration, Feed
from core.doorbell import Doorbell
from core.events import log_archive, log_claim, log_position, log_publish
from core.jit import compile_lock, jit
from core.memory import Segment, unlink_all
from core.messages import encode
from core.status import StatusTable
from gateway.binary.system import receive
from sbe.generated import order_entry as oe
from sbe.raw import fill, store_i32, store_i64
from tools.bench.pacing import KEPT
from tools.bench.venue import ONE

BOOKS = 8
ORDERS = 64  # on the books of an instrument while it runs
LAG_SECONDS = 0.1
FRAME = (16 + oe.HEADER_SIZE + oe.EXECUTION_REPORT_BLOCK + 1 + 31) & -32
LOG_BYTES = 1 << 26
BURST_SECONDS = 0.0002
BURST_MOST = 10_000
TRIES = 4  # halvings of a rate that was not kept, then as many steps towards it
BUSY = 0.9  # of a processor: what takes more binds


@jit
def write_events(log: int, status: int, first: int, done: int, due: int, books: int) -> None:
    """Write reports `done` to `due` of a run whose first has the number `first`, and release them.

    status: address of the word that tells readers up to which sequence events are released.
    """
    for n in range(done, due):
        _write_report(log, first + n, n, books)
    store_i64(status, first + due - 1)
    log_publish(log, log_position(log))
    log_archive(log, log_position(log))


def write_paced(
    log: int, status: int, count: int, rate: float, wake: Callable[[], object]
) -> tuple[int, float]:
    """Write `count` reports at `rate` a second, `wake` the feed each time.

    How many were written, fewer if the rate can't be kept, and the seconds it took. It sleeps
    between its bursts: two processors are for feed and receivers.
    """
    start = time.perf_counter()
    done = 0
    while done < count:
        elapsed = time.perf_counter() - start
        if elapsed > count / rate / KEPT:
            break
        due = min(count, int(elapsed * rate) + 1, done + BURST_MOST)
        if due > done:
            write_events(log, status, BOOKS + 1, done, due, BOOKS)
            done = due
            wake()
        time.sleep(BURST_SECONDS)
    return done, time.perf_counter() - start


@jit
def _write_report(log: int, sequence: int, n: int, books: int) -> None:
    """Orders come in waves of ORDERS a book, and go in the same order."""
    frame = log_claim(log, FRAME)
    fill(frame, 0, FRAME)
    store_i32(frame, FRAME)
    store_i64(frame + 8, sequence)
    a = frame + 16 + oe.HEADER_SIZE
    oe.write_execution_report_header(a - oe.HEADER_SIZE)
    wave, place = n // (books * ORDERS), n % (books * ORDERS)
    leaves = wave % 2 == 1
    side = 1 + place % 2
    distance = (place * 7919) % 25
    price = 10_000 - distance if side == 1 else 10_001 + distance
    oe.set_execution_report_header_transact_time(a, sequence)
    oe.set_execution_report_order_id(a, 1 + place)
    oe.set_execution_report_instrument(a, 1 + place % books)
    oe.set_execution_report_price(a, price * ONE)
    oe.set_execution_report_side(a, side)
    oe.set_execution_report_exec_type(a, oe.EXEC_TYPE_CANCELED if leaves else oe.EXEC_TYPE_NEW)
    oe.set_execution_report_visible_qty(a, 0 if leaves else ONE)
    on_book = 0 if leaves else oe.REPORT_FLAGS_ON_BOOK
    oe.set_execution_report_flags(a, on_book | oe.REPORT_FLAGS_LAST_IN_EVENT)


@jit
def drain(descriptors: Any, taken: Any, buffer: Any) -> int:
    """Read what each connection has; the bytes of all."""
    total = 0
    for n in range(descriptors.shape[0]):
        count = receive(descriptors[n], buffer.ctypes.data, buffer.shape[0])
        if count > 0:
            taken[n] += count
            total += count
    return total


def _receivers(control: Any, port: int, count: int) -> None:
    """The process with all receivers: reads until told to stop, then says how far each got."""
    sockets = [socket.create_connection(("127.0.0.1", port)) for _ in range(count)]
    for connection in sockets:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        connection.setblocking(False)
    descriptors = np.array([connection.fileno() for connection in sockets], np.int64)
    taken, buffer = np.zeros(count, np.int64), np.zeros(1 << 18, np.uint8)
    drain(descriptors[:0], taken, buffer)
    control.send(None)
    while not control.poll():
        if drain(descriptors, taken, buffer) == 0:
            time.sleep(0.0002)
    control.recv()
    control.send(taken.tolist())
    control.recv()


def _listed(log: int, number: int, sequence: int) -> None:
    """InstrumentListed of one book."""
    fields = {
        "header": {"transactTime": time.time_ns(), "msgSeqNum": 0, "lastAppliedSeqNo": 0},
        "instrument": number, "symbol": f"BENCH-{number}", "kind": oe.INSTRUMENT_KIND_PERPETUAL,
        "state": oe.TRADING_STATE_OPEN, "baseAsset": 1, "quoteAsset": 0, "event": 0, "outcome": 0,
        "tickSize": ONE, "lotSize": ONE, "minimumQty": ONE, "maximumQty": ONE,
        "maximumPrice": 1 << 50, "lowerStrike": None, "upperStrike": None, "expiry": None,
        "valuePerTickLot": 1, "rulesHash": bytes(32), "title": "",
    }
    message = encode("InstrumentListed", fields)
    length = (16 + len(message) + 31) & -32
    head = length.to_bytes(4, "little") + bytes(4) + sequence.to_bytes(8, "little")
    ctypes.memmove(log_claim(log, length), head + message, 16 + len(message))


class _Stage:
    """A log, a status table and the feed process."""

    def __init__(self, instance: str, directory: Path) -> None:
        configuration = Configuration(
            feed=Feed(enabled=True, port=0, udp_port=0, snapshot_seconds=3600.0))
        path = directory / "config.json"
        path.write_bytes(config.encode(configuration))
        self.status = StatusTable.attach_or_create(instance)
        self.events = Segment.create(instance, "events", LOG_BYTES, mirrored=True)
        self.log = self.events.address
        for number in range(1, BOOKS + 1):
            _listed(self.log, number, number)
        log_publish(self.log, log_position(self.log))
        self.status.durable_sequence = BOOKS
        command = [
            sys.executable, "-m", "gateway.feed", "--instance", instance, "--data",
            str(directory), "--rundir", str(directory), "--config", str(path),
        ]
        self.process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        ready = directory / "feed.ready"
        deadline = time.monotonic() + 300
        while not ready.exists():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("the feed did not start")
            time.sleep(0.05)
        self.port = int(msgspec.json.decode(ready.read_bytes())["port"])
        self._bell = Doorbell(directory, "feed")
        self._row = self.status.row("feed")

    def wake(self) -> None:
        """Wake the feed if it sleeps, as the core does."""
        self._bell.ring_if_asleep(self._row)

    def close(self) -> None:
        """End the feed process."""
        self._bell.close()
        self.process.terminate()
        self.process.wait(20)


def measure(rate: int = 200_000, seconds: float = 3.0, receivers: int = 100) -> dict[str, Any]:
    """Measure; see above. `paced.rate_reached` is False if somebody fell behind."""
    offered = _run(rate, seconds, receivers)
    kept, missed = (rate, None) if offered["kept"] else (0, min(rate, int(offered["per_second"])))
    tries: list[dict[str, Any]] = []
    while missed is not None and len(tries) < 2 * TRIES:
        if not kept and len(tries) == TRIES:
            break
        chosen = (kept + missed) // 2 if kept else missed // 2
        tries.append(_run(chosen, seconds, receivers))
        kept, missed = (chosen, missed) if tries[-1]["kept"] else (kept, chosen)
        if kept and missed - kept < missed // 8:
            break
    return {
        "name": "feed",
        "receivers": receivers,
        "paced": {
            "messages": offered["events"], "offered_per_second": rate,
            "reached_per_second": offered["per_second"], "rate_reached": offered["kept"],
        },
        "limit": {
            "kept_per_second": kept,
            "binds": _binds(offered),
            **{name: value for name, value in offered.items() if name not in ("kept", "events")},
        },
        "samples": {},
    }


def _binds(run: dict[str, Any]) -> str:
    """What there was no more of."""
    if run["kept"]:
        return "nothing: the offered rate was kept"
    shares = {name: run[f"{name}_processors"] for name in ("feed", "receivers")}
    busiest = max(shares, key=lambda name: shares[name])
    if shares[busiest] > BUSY:
        return f"the processor of the {busiest}: it copies to and from sockets"
    if run["machine_processors"] > BUSY * (os.cpu_count() or 1):
        return f"all {os.cpu_count()} processors of the machine, {run['others_processors']:.2f} " \
               "of them taken by others"
    return "waiting: nobody was busy"


def _run(rate: int, seconds: float, receivers: int) -> dict[str, Any]:
    """One feed, one rate: whether it was kept, and what it took."""
    instance = f"bench{os.getpid()}"
    directory = Path(tempfile.mkdtemp(prefix="onebook-bench-"))
    count = int(rate * seconds)
    try:
        stage = _Stage(instance, directory)
        address = stage.status.durable_address
        with compile_lock():
            write_events(stage.log, address, BOOKS + 1, 0, 0, BOOKS)
        context = multiprocessing.get_context("spawn")
        control, far = context.Pipe()
        process = context.Process(target=_receivers, args=(far, stage.port, receivers), daemon=True)
        process.start()
        control.recv()
        both = [psutil.Process(pid) for pid in (stage.process.pid, process.pid) if pid]
        before, ours = [_spent(each) for each in both], time.process_time()
        machine = _busy()
        written, took = write_paced(stage.log, address, count, rate, stage.wake)
        machine, ours = _busy() - machine, time.process_time() - ours
        spent = [_spent(each) - then for each, then in zip(both, before, strict=True)]
        time.sleep(LAG_SECONDS)
        control.send(None)
        taken = control.recv()
        row = stage.status.find("feed")
        lag = log_position(stage.log) - (row.position if row else 0)
        control.send(None)
        process.join()
        stage.close()
    finally:
        unlink_all(instance)
        shutil.rmtree(directory, ignore_errors=True)
    kept = min(taken) >= 0.99 * max(taken) and lag < FRAME * rate * LAG_SECONDS
    return {
        "kept": bool(kept and written / took >= KEPT * rate),
        "events": written,
        "per_second": written / took,
        "stream_bytes": max(taken),
        "bytes_per_second_to_all": sum(taken) / took,
        "slowest_share": min(taken) / max(max(taken), 1),
        "events_lag": lag // FRAME,
        "feed_processors": spent[0] / took,
        "receivers_processors": spent[1] / took,
        "machine_processors": machine / took,
        "others_processors": max(0.0, machine - sum(spent) - ours) / took,
    }


def _spent(process: psutil.Process) -> float:
    """Seconds of processor time of a process."""
    return float(sum(process.cpu_times()[:2]))


def _busy() -> float:
    """Seconds of processor time that the whole machine has spent on anything."""
    times = psutil.cpu_times()
    return float(sum(times) - times.idle - times.iowait)
