"""The hand-over of a message between two processes: ring against pipe, in the same run.

Three measurements, each between this process and one it starts, both spinning:

    one way     as fast as it goes, published in batches of 32; ns per message by the wall, and of
                the median hundred thousand, which no other process' turn has interrupted
    paced       one message at a time at an offered rate; each carries the time at which it was
                *due*, so a stall is counted against every message it delayed
    ping-pong   one message to and fro; the round trip of each

and the first and the last once more over a `multiprocessing.Pipe`, the baseline. Messages are 64
bytes. A processor each is assumed; with fewer, the tail shows the scheduler.
"""

import multiprocessing
import os
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

from core.atomics import clock_monotonic_ns, pause
from core.jit import compile_lock, jit
from core.memory import unlink_all
from core.ring import (
    Ring,
    ring_address,
    ring_claim,
    ring_consumed,
    ring_next,
    ring_peek,
    ring_publish,
    ring_readable,
    ring_release,
)
from sbe.raw import load_i64, store_i64
from tools.bench.pacing import KEPT, gave_up, give_up_after_ns, offered_count
from tools.bench.samples import Samples, summary

MESSAGE_SIZE = 64
BATCH = 32
ROUND = 100_000
CAPACITY = 1 << 20
PACED_MOST = 200_000_000
GAVE_UP = -1  # the stamp of a sender that is too far behind



@jit
def send(r: int, value: int) -> None:
    """Claim one message, waiting while the ring is full; not published yet."""
    address = ring_claim(r, MESSAGE_SIZE)
    while address == 0:
        pause()
        address = ring_claim(r, MESSAGE_SIZE)
    store_i64(address, MESSAGE_SIZE)
    store_i64(address + 8, value)


@jit
def send_batches(r: int, count: int) -> None:
    """Send 0, 1, … in batches; `count` is a multiple of BATCH."""
    for first in range(0, count, BATCH):
        for number in range(first, first + BATCH):
            send(r, number)
        ring_publish(r, BATCH * MESSAGE_SIZE)


@jit
def receive_batches(r: int, first: int, count: int) -> int:
    """Receive `count` messages; how many were not first, first + 1, …"""
    wrong = 0
    number, end = first, first + count
    position = ring_consumed(r)
    while number < end:
        readable = ring_readable(r)
        if position == readable:
            pause()
        while position < readable and number < end:
            wrong += load_i64(ring_address(r, position) + 8) != number
            position += MESSAGE_SIZE
            number += 1
        ring_release(r, position)
    return wrong


@jit
def send_paced(r: int, count: int, interval_ns: int, give_up_ns: int) -> int:
    """Send a message every `interval_ns`, stamped with when it was due; the time it took, ns.

    After `give_up_ns` it sends GAVE_UP instead of the rest.
    """
    start = clock_monotonic_ns()
    for number in range(count):
        due = start + number * interval_ns
        now = clock_monotonic_ns()
        while now < due:
            pause()
            now = clock_monotonic_ns()
        late = now - start > give_up_ns
        send(r, GAVE_UP if late else due)
        ring_publish(r, MESSAGE_SIZE)
        if late:
            break
    return clock_monotonic_ns() - start


@jit
def receive_stamped(r: int, delays: Samples) -> int:
    """Receive a message for each element of `delays`, and write how late it came, ns.

    How many came; fewer than there is room for if the sender gave up.
    """
    for number in range(len(delays)):
        address = ring_peek(r)
        while address == 0:
            pause()
            address = ring_peek(r)
        due = load_i64(address + 8)
        delays[number] = clock_monotonic_ns() - due
        ring_next(r)
        if due == GAVE_UP:
            return number
    return len(delays)


@jit
def ping(out: int, back: int, trips: Samples) -> None:
    """Send a message and wait for it to come back; the time of each trip, ns."""
    for number in range(len(trips)):
        begin = clock_monotonic_ns()
        send(out, number)
        ring_publish(out, MESSAGE_SIZE)
        while ring_peek(back) == 0:
            pause()
        ring_next(back)
        trips[number] = clock_monotonic_ns() - begin


@jit
def pong(out: int, back: int, count: int) -> None:
    """Send back what comes."""
    for number in range(count):
        while ring_peek(out) == 0:
            pause()
        ring_next(out)
        send(back, number)
        ring_publish(back, MESSAGE_SIZE)


def _rings(instance: str) -> tuple[int, int]:
    """Addresses of the two rings of a measurement, mapped until the process ends."""
    out, back = (Ring.open(instance, f"bench.{way}") for way in ("out", "back"))
    return out.address, back.address


def _far_one_way(instance: str, control: Connection, count: int) -> None:
    out, _ = _rings(instance)
    with compile_lock():
        send_batches(out, 0)
    control.send(None)
    control.recv()
    send_batches(out, count)


def _far_paced(
    instance: str, control: Connection, count: int, interval_ns: int, give_up_ns: int
) -> None:
    out, _ = _rings(instance)
    with compile_lock():
        send_paced(out, 0, interval_ns, give_up_ns)
    control.send(None)
    control.recv()
    control.send(send_paced(out, count, interval_ns, give_up_ns))


def _far_ping_pong(instance: str, control: Connection, count: int) -> None:
    out, back = _rings(instance)
    with compile_lock():
        pong(out, back, 0)
    control.send(None)
    control.recv()
    pong(out, back, count)


def _far_pipe_one_way(instance: str, control: Connection, count: int) -> None:
    message = bytes(MESSAGE_SIZE)
    control.send(None)
    control.recv()
    for _ in range(count):
        control.send_bytes(message)


def _far_pipe_ping_pong(instance: str, control: Connection, count: int) -> None:
    control.send(None)
    control.recv()
    for _ in range(count):
        control.send_bytes(control.recv_bytes())


class _Partner:
    """The other process; started, compiled and waiting once this is made."""

    def __init__(self, body: Callable[..., None], instance: str, *arguments: int) -> None:
        context = multiprocessing.get_context("spawn")
        self.control, far = context.Pipe()
        self.process = context.Process(target=body, args=(instance, far, *arguments), daemon=True)
        self.process.start()
        far.close()
        self.control.recv()

    def go(self) -> None:
        """Let it begin."""
        self.control.send(None)

    def __enter__(self) -> "_Partner":
        return self

    def __exit__(self, *exception: object) -> None:
        if exception[0] is not None:
            self.process.kill()
        self.process.join()
        self.control.close()


def _rate(count: int, elapsed_ns: int) -> dict[str, float]:
    return {
        "messages": count,
        "ns_per_op": elapsed_ns / count,
        "ops_per_second": count * 1e9 / elapsed_ns,
    }


def _one_way(instance: str, out: int, count: int) -> dict[str, float]:
    receive_batches(out, 0, 0)
    rounds = np.zeros(count // ROUND, np.int64)
    with _Partner(_far_one_way, instance, count) as partner:
        partner.go()
        begin = last = time.monotonic_ns()
        for number in range(len(rounds)):
            wrong = receive_batches(out, number * ROUND, ROUND)
            if wrong:
                raise RuntimeError(f"the ring delivered wrong messages: wrong={wrong} of {ROUND}")
            now = time.monotonic_ns()
            rounds[number], last = now - last, now
    median = {"ns_per_op_median_round": float(np.median(rounds)) / ROUND}
    return _rate(count, last - begin) | median


def _paced(instance: str, out: int, rate: int, count: int) -> tuple[dict[str, Any], Samples]:
    interval_ns = max(1, round(1e9 / rate))
    delays = np.zeros(count, np.int64)
    receive_stamped(out, delays[:0])
    give_up_ns = give_up_after_ns(count, rate)
    with _Partner(_far_paced, instance, count, interval_ns, give_up_ns) as partner:
        partner.go()
        came = receive_stamped(out, delays)
        took_ns = int(partner.control.recv())
    if came < count:
        return gave_up(came, rate, took_ns), delays[:came]
    offered = 1e9 / interval_ns
    # The last is due one interval before the end; a sender that fell behind took longer.
    reached = (count - 1) * 1e9 / max(took_ns, 1)
    result = {
        "messages": count,
        "offered_per_second": offered,
        "reached_per_second": reached,
        "rate_reached": reached >= KEPT * offered,
        "latency_ns": summary(delays),
    }
    return result, delays


def _ping_pong(instance: str, out: int, back: int, count: int) -> Samples:
    trips = np.zeros(count, np.int64)
    ping(out, back, trips[:0])
    with _Partner(_far_ping_pong, instance, count) as partner:
        partner.go()
        ping(out, back, trips)
    return trips


def _pipe(count: int) -> tuple[dict[str, float], Samples]:
    with _Partner(_far_pipe_one_way, "", count) as partner:
        begin = time.monotonic_ns()
        partner.go()
        for _ in range(count):
            partner.control.recv_bytes()
        one_way = _rate(count, time.monotonic_ns() - begin)
    trips = np.zeros(max(count // 10, 1), np.int64)
    message = bytes(MESSAGE_SIZE)
    with _Partner(_far_pipe_ping_pong, "", len(trips)) as partner:
        partner.go()
        for number in range(len(trips)):
            begin = time.monotonic_ns()
            partner.control.send_bytes(message)
            partner.control.recv_bytes()
            trips[number] = time.monotonic_ns() - begin
    return one_way, trips


def measure(
    messages: int = 10_000_000,
    round_trips: int = 500_000,
    rate: int = 500_000,
    seconds: float = 3.0,
    baseline_messages: int = 200_000,
) -> dict[str, Any]:
    """Measure ring and baseline; see the module's docstring for what is measured.

    `rate` and `seconds` are of the paced part; if `paced.rate_reached` is False its latencies are
    no result. Everything under `samples` is a numpy array of ns, all else is plain JSON.
    """
    instance = f"bench{os.getpid()}"
    messages = -(-messages // ROUND) * ROUND
    try:
        rings = [Ring.create(instance, f"bench.{way}", CAPACITY) for way in ("out", "back")]
        out, back = (ring.address for ring in rings)
        one_way = _one_way(instance, out, messages)
        paced, delays = _paced(instance, out, rate, offered_count(rate, seconds, PACED_MOST))
        trips = _ping_pong(instance, out, back, round_trips)
        for ring in rings:
            ring.close()
    finally:
        unlink_all(instance)
    pipe_one_way, pipe_trips = _pipe(baseline_messages)
    return {
        "name": "ring",
        "message_bytes": MESSAGE_SIZE,
        "one_way": one_way,
        "paced": paced,
        "ping_pong": {"messages": len(trips), "round_trip_ns": summary(trips)},
        "baseline": {
            "name": "multiprocessing.Pipe",
            "one_way": pipe_one_way,
            "ping_pong": {"messages": len(pipe_trips), "round_trip_ns": summary(pipe_trips)},
        },
        "samples": {"paced": delays, "ping_pong": trips, "baseline_ping_pong": pipe_trips},
    }
