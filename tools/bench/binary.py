"""A new order through the socket and back: the binary gateway against a bare uvloop echo.

The whole exchange runs as it always does (journal, core, gateway as processes of their own); this
process is the client. Measured, each with the same frames against both servers:

    paced      one order at an offered rate; the time from when each was *due* to its report, so
               that a stall is counted against every order it delayed (no coordinated omission)
    full       a window of orders always under way: how many a second one session gets acknowledged

Orders alternate: a passive limit order, then its cancel; both are acknowledged, the latencies are
those of the new orders. The client is compiled and spins on its socket.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from core.atomics import clock_monotonic_ns, pause, sleep_microseconds
from core.jit import compile_lock, jit
from core.messages import decode, encode
from gateway.binary.frames import framed
from gateway.binary.signing import sign
from gateway.binary.system import EAGAIN, receive, send
from sbe.generated import order_entry as oe
from sbe.raw import load_u32, load_u32_be
from tools.bench.baseline import bare_disk, echo_connection
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
from tools.bench.samples import Samples, summary
from tools.bench.scheduling import Scheduling, scheduled
from tools.clients.binary_codec import write_cancel, write_new_order

SESSION, KEY_ID = 101, "maker-one"
SECRET = "maker-one: for trying out only"
ACCOUNT = 0  # the session's own
ONE = 100_000_000
BUFFER = 1 << 20
HEADER = oe.HEADER_SIZE
APPLIED_AT = HEADER + oe.EXECUTION_REPORT_HEADER_LAST_APPLIED_SEQ_NO_OFFSET
WAIT_NS = 10_000_000_000
PACED_MOST = 400_000  # messages, made in advance

CONFIGURATION = """
[exchange]
policy = "{policy}"
idle = "{idle}"
[fix]
port = 0
[binary]
port = 0
[feed]
enabled = false
[oracle]
enabled = true
[rings]
command_bytes = 16777216
"""


@jit
def take(descriptor: int, buffer: Any, filled: int) -> int:
    """Receive behind `filled`; the new end, or −1 when the connection is gone."""
    count = receive(descriptor, buffer.ctypes.data + filled, buffer.shape[0] - filled)
    if count == -EAGAIN:
        return filled
    end: int = filled + count if count > 0 else -1
    return end


@jit
def settle(buffer: Any, filled: int, state: Any, times: Any, echo: bool) -> int:
    """Read whole frames; write when each number was acknowledged. What is left of `filled`.

    state: [numbers acknowledged, first number of the run]. An echo acknowledges by coming back.
    """
    base = buffer.ctypes.data
    now = clock_monotonic_ns()
    begin = 0
    while filled - begin >= 6:
        length = load_u32_be(base + begin)
        if length > filled - begin:
            break
        message = base + begin + 6
        template = oe.header_template(message)
        applied = 0
        if echo:
            applied = load_u32(message + HEADER + oe.NEW_ORDER_SINGLE_HEADER_MSG_SEQ_NUM_OFFSET)
        elif template >= oe.EXECUTION_REPORT_TEMPLATE:
            applied = load_u32(message + APPLIED_AT)
        place = applied - state[1]
        if 0 <= place < times.shape[0]:
            while state[0] <= place:
                times[state[0]] = now
                state[0] += 1
        begin += length
    for n in range(filled - begin):
        buffer[n] = buffer[begin + n]
    return filled - begin


@jit
def run_client(
    descriptor: int,
    frames: Any,
    offsets: Any,
    first: int,
    interval_ns: int,
    window: int,
    give_up_ns: int,
    due: Any,
    times: Any,
    echo: bool,
) -> int:
    """Send every frame at its time, at most `window` under way; how many were acknowledged.

    give_up_ns: how long all may take. due, times: when each should have left, and its answer came.
    """
    buffer = np.zeros(BUFFER, np.uint8)
    state = np.array([0, first], np.int64)
    base = frames.ctypes.data
    count = times.shape[0]
    sent, filled = 0, 0
    position = 0
    start = clock_monotonic_ns()
    last = start
    while state[0] < count:
        now = clock_monotonic_ns()
        if now - start > give_up_ns:
            return int(state[0])
        limit = sent
        while limit < count and limit - state[0] < window and start + limit * interval_ns <= now:
            due[limit] = start + limit * interval_ns if interval_ns else now
            limit += 1
        sent = limit
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
            filled = settle(buffer, filled, state, times, echo)
            last = now
        elif now - last > WAIT_NS:
            return int(state[0])
        elif state[0] < sent and now - due[state[0]] > STALL_NS:
            sleep_microseconds(NAP_MICROSECONDS)
        else:
            pause()
    return int(state[0])


def orders(count: int, first: int, price: int) -> tuple[Any, Any]:
    """Frames of alternating orders and cancels numbered from `first`; bytes, and their offsets."""
    frames = np.zeros(count * 256, np.uint8)
    offsets = np.zeros(count + 1, np.int64)
    base, end = frames.ctypes.data, 0
    identity = time.time_ns()
    for n in range(count):
        now = time.time_ns()
        if n % 2 == 0:
            end += write_new_order(
                base + end, first + n, now, ACCOUNT, identity + n, 1, oe.SIDE_BUY, price,
                ONE // 100, oe.ORD_TYPE_LIMIT, oe.TIME_IN_FORCE_GOOD_TILL_CANCEL,
                oe.EXEC_INST_POST_ONLY, 0, 0,
            )
        else:
            end += write_cancel(
                base + end, first + n, now, ACCOUNT, identity + n, identity + n - 1, 1
            )
        offsets[n + 1] = end
    return frames[:end], offsets


class Exchange:
    """`onebook up` in a directory of its own."""

    def __init__(self, policy: str, idle: str) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="onebook-bench-"))
        config = self.directory / "bench.toml"
        config.write_text(CONFIGURATION.format(policy=policy, idle=idle))
        command = [
            sys.executable, "-m", "tools.cli", "up", "--config", str(config),
            "--data", str(self.directory / "data"), "--instance", f"bench{os.getpid()}",
            "--log", str(self.directory / "log"),
        ]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.startswith("onebook ready"):
                words = dict(w.split("=", 1) for w in line.split() if "=" in w)
                self.host, _, port = words["binary"].rpartition(":")
                self.port = int(port)
                self.fix_port = int(words["fix"].rpartition(":")[2])
                return
        raise RuntimeError(f"the exchange did not start: {self.directory / 'log'}")

    def close(self) -> None:
        """Stop it and remove its files."""
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(60)
        if self.process.stdout is not None:
            self.process.stdout.close()
        shutil.rmtree(self.directory, ignore_errors=True)


class Session:
    """An established session on a plain socket, whose numbers go up from 1."""

    def __init__(self, host: str, port: int) -> None:
        self.socket = socket.create_connection((host, port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.next_number = 1
        version = time.time_ns()
        names = {"sessionId": SESSION, "versionId": version}
        self._ask("Negotiate", names | {"keyId": KEY_ID, "nonce": 1})
        self._ask("Establish", names | {
            "keepaliveInterval": 60_000, "nextSeqNo": 1, "cancelOnDisconnect": 1,
            "cancelOnDisconnectWindow": 0,
        })
        self.socket.setblocking(False)

    def probe(self, price: int) -> int:
        """One order and its cancel; the next number. Raises RuntimeError if they are refused."""
        self.socket.setblocking(True)
        frames, _ = orders(2, 1, price)
        self.socket.sendall(frames.tobytes())
        for expected in (oe.EXEC_TYPE_NEW, oe.EXEC_TYPE_CANCELED):
            name, fields = self._receive()
            if name != "ExecutionReport" or fields["execType"] != expected:
                raise RuntimeError(f"the exchange refused: {name} {fields}")
        self.socket.setblocking(False)
        return 3

    def _receive(self) -> tuple[str, dict[str, Any]]:
        head = self.socket.recv(6, socket.MSG_WAITALL)
        return decode(self.socket.recv(int.from_bytes(head[:4], "big") - 6, socket.MSG_WAITALL))

    def _ask(self, name: str, fields: dict[str, Any]) -> None:
        fields["timestamp"] = time.time_ns()
        signature = sign(name, fields, SECRET)
        self.socket.sendall(framed(encode(name, fields | {"signature": signature})))
        answer = self._receive()
        if answer[0].endswith("Reject"):
            raise RuntimeError(f"the gateway refused: {answer}")


def _measure(
    descriptor: int, price: int, echo: bool, first: int, rate: int, seconds: float, window: int
) -> tuple[dict[str, Any], Samples, int]:
    """One paced or full run; its result, the latencies of the new orders, the frames sent."""
    count = max(2, rate if window else offered_count(rate, seconds, PACED_MOST)) & ~1
    frames, offsets = orders(count, first, price)
    due, times = np.zeros(count, np.int64), np.zeros(count, np.int64)
    interval = 0 if window else round(1e9 / rate)
    give_up_ns = FOREVER_NS if window else give_up_after_ns(count, rate)
    begin = time.monotonic_ns()
    done = run_client(
        descriptor, frames, offsets, first, interval, window or count, give_up_ns, due, times, echo
    )
    took = time.monotonic_ns() - begin
    if done < count and took > give_up_ns:
        return gave_up(done, rate, took), (times - due)[:done:2], count
    if done < count:
        raise RuntimeError(f"only {done} of {count} messages were acknowledged")
    delays = (times - due)[::2]
    reached = (count - 1) * 1e9 / max(int(times[-1] - due[0]), 1)
    result: dict[str, Any] = {
        "messages": count, "ops_per_second": count * 1e9 / took, "latency_ns": summary(delays),
    }
    if not window:
        # The last is due an interval before the end.
        result |= {"offered_per_second": rate, "reached_per_second": reached,
                   "rate_reached": reached >= KEPT * rate}
    return result, delays, count


def measure(
    rate: int = 2_000,
    seconds: float = 3.0,
    operations: int = 300_000,
    window: int = 512,
    policy: str = "async",
    idle: str = "adaptive",
    scheduling: Scheduling | None = None,
    price: int = 100 * ONE,
) -> dict[str, Any]:
    """Measure exchange and echo; see above.

    `rate` and `seconds` are of the paced part, `operations` messages of the full one. If
    `paced.rate_reached` is False its latencies are no result. `samples` are numpy arrays of ns,
    all else is plain JSON. scheduling: see tools/bench/scheduling.py.
    """
    with compile_lock():
        empty = np.zeros(0, np.int64)
        nothing = np.zeros(1, np.uint8), np.zeros(1, np.int64)
        run_client(-1, *nothing, 1, 0, 1, 0, empty, empty, True)
    with scheduled(scheduling or ("ordinary" if idle == "spin" else None)) as how:
        result = {"name": "binary", "policy": policy, "idle": idle, "scheduling": how,
                  "processors": os.cpu_count()}
        return result | _both(rate, seconds, operations, window, policy, idle, price)


def _both(
    rate: int, seconds: float, operations: int, window: int, policy: str, idle: str, price: int
) -> dict[str, Any]:
    """Echo and exchange, one after the other."""
    baseline, echo_delays = _against_echo(rate, seconds, operations, window, idle == "spin")
    if "full" not in baseline:  # Not even an echo keeps up.
        return {"baseline": {"name": "uvloop echo", **baseline}}
    exchange = Exchange(policy, idle)
    try:
        session = Session(exchange.host, exchange.port)
        run = partial(_measure, session.socket.fileno(), price, False)
        number = session.probe(price)
        parts, delays = paced_then_full(run, number, rate, seconds, operations, window)
        session.socket.close()
    finally:
        exchange.close()
    disk = {"write_fdatasync": bare_disk(frames=500)} if policy == "fsync" else {}
    return {
        **parts,
        "baseline": {"name": "uvloop echo", **baseline, **disk},
        **median_ratio(parts["paced"], baseline["paced"]),
        "samples": {"paced": delays, "baseline_paced": echo_delays},
    }


def _against_echo(
    rate: int, seconds: float, operations: int, window: int, spin: bool
) -> tuple[dict[str, Any], Samples]:
    with echo_connection(spin) as descriptor:
        run = partial(_measure, descriptor, ONE, True)
        return paced_then_full(run, 1, rate, seconds, operations, window)
