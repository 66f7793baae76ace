"""A new order through the FIX door and back: the gateway against others that do less.

The whole exchange runs as it always does (journal, core, gateways as processes of their own); this
process is the client. Beside it a bare uvloop echo and, where QuickFIX for C++ is installed, its
acceptor with a file store (tools/bench/quickfix.py). Measured, each with the same kind of bytes:

    paced      one order at an offered rate; the time from when each was *due* to its report, so
               that a stall is counted against every order it delayed (no coordinated omission)
    full       a window of orders always under way: how many a second one session gets acknowledged

Orders alternate: a passive limit order, then its cancel; both are acknowledged, the latencies are
those of the new orders. The client is compiled and spins on its socket.
"""

import base64
import hashlib
import hmac
import os
import socket
import time
from functools import partial
from typing import Any

import numpy as np

from core.atomics import clock_monotonic_ns, pause, sleep_microseconds
from core.jit import compile_lock, jit
from gateway.binary.system import EAGAIN, send
from gateway.fix.frame import body_length, body_start
from gateway.fix.message import body, frame, parse
from gateway.fix.profile import signed_text
from gateway.fix.times import time_text
from sbe.raw import load_u8
from tools.bench.baseline import bare_disk, echo_connection
from tools.bench.binary import Exchange, take
from tools.bench.pacing import (
    FOREVER_NS,
    KEPT,
    NAP_MICROSECONDS,
    STALL_NS,
    gave_up,
    give_up_after_ns,
    median_ratio,
    offered_count,
    paced_then_full,
)
from tools.bench.quickfix import NotInstalled, acceptor
from tools.bench.samples import Samples, summary
from tools.bench.scheduling import Scheduling, scheduled

SENDER, TARGET = b"DESK-NORTH", b"ONEBOOK"
SECRET = b"desk-north: for trying out only"
SYMBOL = "BTC-USDC"
BUFFER = 1 << 20
WAIT_NS = 10_000_000_000
PACED_MOST = 200_000  # messages, made in advance
TRAILER = 7
_REPORT, _ORDER, _CANCEL = ord("8"), ord("D"), ord("F")


@jit
def settle(buffer: Any, filled: int, state: Any, times: Any) -> int:
    """Note when each answer came; state[0] counts them. What is left of `filled`."""
    base = buffer.ctypes.data
    now = clock_monotonic_ns()
    begin = 0
    while filled - begin > 24:
        start = body_start(base + begin, filled - begin)
        if start <= 0:
            break
        length = start + body_length(base + begin, start) + TRAILER
        if length > filled - begin:
            break
        kind = load_u8(base + begin + start + 3)
        if kind in (_REPORT, _ORDER, _CANCEL) and state[0] < times.shape[0]:
            times[state[0]] = now
            state[0] += 1
        begin += length
    for n in range(filled - begin):
        buffer[n] = buffer[begin + n]
    return filled - begin


@jit
def run_client(
    descriptor: int, data: Any, offsets: Any, interval_ns: int, window: int, give_up_ns: int,
    due: Any, times: Any,
) -> int:
    """Send every message at its time, at most `window` under way; how many were answered.

    give_up_ns: how long all may take. due, times: when each should have left, and its answer came.
    """
    buffer = np.zeros(BUFFER, np.uint8)
    state = np.zeros(1, np.int64)
    base = data.ctypes.data
    count = times.shape[0]
    sent, filled, position = 0, 0, 0
    start = clock_monotonic_ns()
    last = start
    while state[0] < count:
        now = clock_monotonic_ns()
        if now - start > give_up_ns:
            return int(state[0])
        while sent < count and sent - state[0] < window and start + sent * interval_ns <= now:
            due[sent] = start + sent * interval_ns if interval_ns else now
            sent += 1
        if position < offsets[sent]:
            done = send(descriptor, base + position, offsets[sent] - position)
            if done > 0:
                position += done
            elif done != -EAGAIN:
                return int(state[0])
        before = filled
        filled = take(descriptor, buffer, filled)
        if filled < 0:
            return int(state[0])
        if filled != before:
            filled = settle(buffer, filled, state, times)
            last = now
        elif now - last > WAIT_NS:
            return int(state[0])
        elif state[0] < sent and now - due[state[0]] > STALL_NS:
            sleep_microseconds(NAP_MICROSECONDS)
        else:
            pause()
    return int(state[0])


def message(kind: str, number: int, fields: list[tuple[int, object]]) -> bytes:
    """A whole message of the bench's session."""
    head: list[tuple[int, object]] = [
        (35, kind), (34, number), (49, SENDER), (52, time_text(time.time_ns())), (56, TARGET)]
    return frame(b"FIX.4.4", body(head) + body(fields))


def orders(count: int, first: int) -> tuple[Any, Any]:
    """Alternating orders and cancels numbered from `first`; bytes, and their offsets."""
    pieces, offsets = [], np.zeros(count + 1, np.int64)
    stem, now = f"{time.time_ns():x}", time_text(time.time_ns())
    for n in range(count):
        if n % 2 == 0:
            piece = message("D", first + n, [
                (11, f"{stem}-{n}"), (21, 1), (55, SYMBOL), (54, 1), (38, "0.001"), (40, 2),
                (44, 100), (59, 1), (18, 6), (60, now)])
        else:
            piece = message("F", first + n, [
                (11, f"{stem}-{n}"), (41, f"{stem}-{n - 1}"), (55, SYMBOL), (54, 1), (60, now)])
        pieces.append(piece)
        offsets[n + 1] = offsets[n] + len(piece)
    return np.frombuffer(b"".join(pieces), np.uint8).copy(), offsets


class Session:
    """A session that logged on, its numbers starting again."""

    def __init__(self, host: str, port: int) -> None:
        self.socket = socket.create_connection((host, port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        plain = parse(message("A", 1, []))
        mac = base64.b64encode(hmac.digest(SECRET, signed_text(plain), hashlib.sha256))
        rest = body([(35, "A"), (34, 1), (49, SENDER), (52, plain.text(52)), (56, TARGET),
                     (98, 0), (108, 300), (95, len(mac)), (96, mac), (141, "Y")])
        self.socket.sendall(frame(b"FIX.4.4", rest))
        answer = self.socket.recv(4096)
        if b"\x0135=A\x01" not in answer:
            raise RuntimeError(f"the gateway refused: {answer!r}")

    def probe(self) -> int:
        """One order and its cancel; the next number. Raises RuntimeError if they are refused."""
        data, _ = orders(2, 2)
        self.socket.sendall(data.tobytes())
        answer = b""
        while answer.count(b"\x0110=") < 2:
            answer += self.socket.recv(65536)
        if answer.count(b"\x01150=0\x01") != 1 or answer.count(b"\x01150=4\x01") != 1:
            raise RuntimeError(f"the exchange refused: {answer!r}")
        self.socket.setblocking(False)
        return 4


def _measure(
    descriptor: int, first: int, rate: int, seconds: float, window: int
) -> tuple[dict[str, Any], Samples, int]:
    """One paced or full run; its result, the latencies of the new orders, the messages sent."""
    count = max(2, rate if window else offered_count(rate, seconds, PACED_MOST)) & ~1
    data, offsets = orders(count, first)
    due, times = np.zeros(count, np.int64), np.zeros(count, np.int64)
    interval = 0 if window else round(1e9 / rate)
    give_up_ns = FOREVER_NS if window else give_up_after_ns(count, rate)
    begin = time.monotonic_ns()
    done = run_client(
        descriptor, data, offsets, interval, window or count, give_up_ns, due, times)
    took = time.monotonic_ns() - begin
    if done < count and took > give_up_ns:
        return gave_up(done, rate, took), (times - due)[:done:2], count
    if done < count:
        raise RuntimeError(f"only {done} of {count} messages were acknowledged")
    delays = (times - due)[::2]
    result: dict[str, Any] = {
        "messages": count, "ops_per_second": count * 1e9 / took, "latency_ns": summary(delays)}
    if not window:
        reached = (count - 1) * 1e9 / max(int(times[-1] - due[0]), 1)
        result |= {"offered_per_second": rate, "reached_per_second": reached,
                   "rate_reached": reached >= KEPT * rate}
    return result, delays, count


def measure(
    rate: int = 2_000, seconds: float = 3.0, operations: int = 60_000, window: int = 512,
    policy: str = "async", idle: str = "adaptive", scheduling: Scheduling | None = None,
) -> dict[str, Any]:
    """Measure exchange and echo; see above.

    `rate` and `seconds` are of the paced part, `operations` messages of the full one. If
    `paced.rate_reached` is False its latencies are no result. `samples` are numpy arrays of ns,
    all else is plain JSON. scheduling: see tools/bench/scheduling.py.
    """
    with compile_lock():
        empty = np.zeros(0, np.int64)
        run_client(-1, np.zeros(1, np.uint8), np.zeros(1, np.int64), 0, 1, 0, empty, empty)
    with scheduled(scheduling or ("ordinary" if idle == "spin" else None)) as how:
        result = {"name": "fix", "policy": policy, "idle": idle, "scheduling": how,
                  "processors": os.cpu_count()}
        return result | _all_three(rate, seconds, operations, window, policy, idle)


def _all_three(
    rate: int, seconds: float, operations: int, window: int, policy: str, idle: str
) -> dict[str, Any]:
    """Echo, acceptor and exchange, one after the other."""
    baseline, echo_delays = _against_echo(rate, seconds, operations, window, idle == "spin")
    if "full" not in baseline:  # Not even an echo keeps up.
        return {"baseline": {"name": "uvloop echo", **baseline}}
    peer, peer_delays = _against_acceptor(rate, seconds, operations, window)
    exchange = Exchange(policy, idle)
    try:
        parts, delays = _session(exchange.fix_port, rate, seconds, operations, window)
    finally:
        exchange.close()
    disk = {"write_fdatasync": bare_disk(frames=500)} if policy == "fsync" else {}
    return {
        **parts,
        "baseline": {"name": "uvloop echo", **baseline, **disk},
        "acceptor": {"name": "QuickFIX acceptor (C++), file store", **peer},
        **median_ratio(parts["paced"], baseline["paced"]),
        **_beside_acceptor(parts["paced"], peer.get("paced", {}), disk),
        "samples": {"paced": delays, "baseline_paced": echo_delays, **peer_delays},
    }


def _session(
    port: int, rate: int, seconds: float, operations: int, window: int
) -> tuple[dict[str, Any], Samples]:
    """Both parts through one session of a FIX server on this machine."""
    session = Session("127.0.0.1", port)
    try:
        run = partial(_measure, session.socket.fileno())
        return paced_then_full(run, session.probe(), rate, seconds, operations, window)
    finally:
        session.socket.close()


def _against_acceptor(
    rate: int, seconds: float, operations: int, window: int
) -> tuple[dict[str, Any], dict[str, Samples]]:
    try:
        with acceptor(SENDER.decode(), TARGET.decode()) as port:
            parts, delays = _session(port, rate, seconds, operations, window)
    except NotInstalled as reason:
        return {"not_measured": str(reason)}, {}
    return parts, {"acceptor_paced": delays}


def _beside_acceptor(
    paced: dict[str, Any], peer: dict[str, Any], disk: dict[str, Any]
) -> dict[str, float]:
    """Our latencies over the acceptor's; under `fsync`, how many bare writes ours are longer."""
    if "latency_ns" not in paced or "latency_ns" not in peer:
        return {}
    ours, its = paced["latency_ns"], peer["latency_ns"]
    if disk:
        write = disk["write_fdatasync"]["latency_ns"]["p50"]
        return {"writes_beyond_acceptor": (ours["p50"] - its["p50"]) / write}
    return {f"acceptor_ratio_{name}": ours[name] / its[name] for name in ("p50", "p90", "p99")}


def _against_echo(
    rate: int, seconds: float, operations: int, window: int, spin: bool
) -> tuple[dict[str, Any], Samples]:
    with echo_connection(spin) as descriptor:
        return paced_then_full(
            partial(_measure, descriptor), 1, rate, seconds, operations, window)
