"""The core: commands from a producer's ring through sequencer, margin, matching and journal.

    this process     fills the ring `commands.tools`; then the sequencer takes, stamps, judges,
                     matches, accounts and reports — only this is timed
    journal process  as in production: frames, hash chain, files, event archive (policy async)

The workload is that of `tools.bench.matching`, over 100 perpetuals and 100 accounts, each order
with its margin check. `paced` offers a fixed rate: each command falls due at its time and its
latency counts from then to the publication of its events (no coordinated omission). The matching
alone is timed in the same run; its ratio says what all the rest costs. Figures an operation are
processor time of the one thread that is the core; the wall's stand beside them.
"""

import mmap
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from core.atomics import clock_monotonic_ns
from core.config import Configuration, Limits, encode
from core.engine.emit import BLOCK_AT, FRAME_HEADER
from core.engine.run import bind_events
from core.events import log_archived, log_published
from core.jit import compile_lock, jit
from core.journal.archive import EventArchive, whole_frames
from core.memory import Segment, unlink_all
from core.records import PRODUCERS
from core.recovery import make_state
from core.ring import Ring, ring_claim, ring_consumed, ring_flush, ring_readable
from core.sequencer import event_memory, sequence_commands
from core.state import state_dtype
from core.status import StatusTable
from core.words import CAPACITY
from sbe.generated import control as ct
from sbe.generated import order_entry as oe
from sbe.raw import copy, load_i32, load_i64
from tools.bench.matching import CANCEL, MIDDLE, measure_matching, workload
from tools.bench.pacing import KEPT, gave_up, give_up_after_ns, offered_count
from tools.bench.samples import Samples, summary
from tools.bench.venue import ONE, CommandStream, found_venue

PRODUCER = 8
ACCOUNTS = 100
BOOKS = 100
FRAME = 128
BODY_AT = 40
RING_BYTES = 1 << 24
CHUNK = 16_384
PACED_MOST = 1_200_000  # commands: of more the core couldn't keep the orders left over
READ = 1 << 24
EXIT_WAIT_SECONDS = 20.0

Frames = NDArray[np.uint8]


def encode_workload(operations: int, books: int, seed: int) -> Frames:
    """The operations as command frames of 128 bytes, each order of any of the accounts."""
    random = np.random.default_rng(seed + 1)
    accounts = random.integers(100, 100 + ACCOUNTS, operations)
    return encode_columns(workload(operations, books, seed), accounts)


def encode_columns(columns: dict[str, Samples], accounts: Samples, first: int = 1) -> Frames:
    """A workload's operations, and the account of each order; cancels by the client's own id.

    first: the client's id of the first order; the others' follow.
    """
    operations = len(accounts)
    frames = np.zeros((operations, FRAME), np.uint8)
    word = frames[:, 0:4].view("<i4")
    word[:, 0] = FRAME
    adds = columns["kind"] != CANCEL
    numbers = np.arange(first, first + operations)
    owners = np.where(adds, accounts, accounts[columns["target"]])
    _encode_orders(frames, adds, columns, numbers, owners)
    _encode_cancels(frames, ~adds, columns, numbers, owners)
    return frames


def _fields(frames: Frames, dtype: np.dtype[Any]) -> Any:
    """The root blocks of frames as a structured array."""
    size = dtype.itemsize
    return np.ascontiguousarray(frames[:, BODY_AT : BODY_AT + size]).view(dtype)[:, 0]


def _encode_orders(
    frames: Frames, chosen: Any, columns: dict[str, Samples], numbers: Any, owners: Any
) -> None:
    part = frames[chosen]
    oe.write_new_order_single_header(part.ctypes.data + 32)
    part[:, 32:40] = part[0, 32:40]
    body = np.zeros(len(part), oe.NEW_ORDER_SINGLE)
    names = {name.lower(): name for name in body.dtype.names or ()}
    body[names["account"]] = owners[chosen]
    body[names["clordid"]] = numbers[chosen]
    body["price"] = columns["tick"][chosen] * (ONE // 100)
    body[names["orderqty"]] = columns["lots"][chosen] * (ONE // 100)
    body["instrument"] = columns["book"][chosen]
    body["side"] = columns["side"][chosen]
    body[names["ordtype"]] = oe.ORD_TYPE_LIMIT
    body[names["timeinforce"]] = oe.TIME_IN_FORCE_GOOD_TILL_CANCEL
    body[names["stoppx"]] = oe.NEW_ORDER_SINGLE_STOP_PX_NULL
    body[names["displayqty"]] = oe.NEW_ORDER_SINGLE_DISPLAY_QTY_NULL
    body[names["expiretime"]] = oe.NEW_ORDER_SINGLE_EXPIRE_TIME_NULL
    size = body.dtype.itemsize
    part[:, BODY_AT : BODY_AT + size] = body.view(np.uint8).reshape(len(part), size)
    frames[chosen] = part


def _encode_cancels(
    frames: Frames, chosen: Any, columns: dict[str, Samples], numbers: Any, owners: Any
) -> None:
    part = frames[chosen]
    oe.write_order_cancel_request_header(part.ctypes.data + 32)
    part[:, 32:40] = part[0, 32:40]
    body = np.zeros(len(part), oe.ORDER_CANCEL_REQUEST)
    names = {name.lower(): name for name in body.dtype.names or ()}
    body[names["account"]] = owners[chosen]
    body[names["origclordid"]] = numbers[columns["target"][chosen]]
    body[names["orderid"]] = oe.ORDER_CANCEL_REQUEST_ORDER_ID_NULL
    size = body.dtype.itemsize
    part[:, BODY_AT : BODY_AT + size] = body.view(np.uint8).reshape(len(part), size)
    frames[chosen] = part


@jit
def feed(ring: int, frames: Frames, first: int, last: int) -> int:
    """Put frames into the producer's ring; how many found room."""
    base = frames.ctypes.data
    for number in range(first, last):
        address = ring_claim(ring, FRAME)
        if address == 0:
            last = number
            break
        copy(address, base + number * FRAME, FRAME)
    ring_flush(ring)
    return last - first


class WrongWorkload(RuntimeError):
    """What was measured is not what was meant to be."""


class BenchedCore:
    """The sequencer over real segments, with a journal process beside it."""

    def __init__(self, data: Path, configuration: Configuration) -> None:
        self.instance = f"bench{os.getpid()}"
        limits = configuration.limits
        self.status = StatusTable.attach_or_create(self.instance)
        rings = configuration.rings
        self.sequenced = Segment.create(self.instance, "sequenced", rings.sequenced_bytes, True)
        self.events = Segment.create(self.instance, "events", rings.events_bytes, True)
        self.ring = Ring.create(self.instance, "commands.tools", RING_BYTES)
        size = -(-state_dtype(limits).itemsize // mmap.PAGESIZE) * mmap.PAGESIZE
        memory = Segment.create(self.instance, "state", size)
        for segment in (self.sequenced, self.events, memory):
            segment.settle()  # As the core process does.
        self.state = make_state(limits, memory)
        bind_events(self.state, *event_memory(self.events.address))
        self.rings = np.zeros(PRODUCERS, np.int64)
        self.rings[PRODUCER] = self.ring.address
        self.bells = np.zeros((0, 3), np.int64)
        self.signed = np.zeros(PRODUCERS, np.int64)
        self._journal = self._start_journal(data, configuration)

    def _start_journal(self, data: Path, configuration: Configuration) -> subprocess.Popen[bytes]:
        config = data / "config.json"
        config.write_bytes(encode(configuration))
        command = [sys.executable, "-m", "core.journal", "--instance", self.instance]
        for option in ("data", "rundir"):
            command += [f"--{option}", str(data)]
        return subprocess.Popen([*command, "--config", str(config)], stderr=subprocess.DEVNULL)

    def sequence(self) -> int:
        """One round of the sequencer; commands taken."""
        taken: int = sequence_commands(
            self.state, self.rings, self.sequenced.address, self.events.address, self.bells,
            self.status.published_address, self.status.told_address, self.signed, 0,
        )
        return taken

    def drain(self) -> tuple[int, int]:
        """Sequence all that is in the ring; ns by the wall and of the processor.

        Waits for the journal process are in both: the sequencer spins while there is no room.
        """
        begin, begin_processor = clock_monotonic_ns(), time.thread_time_ns()
        while ring_consumed(self.ring.address) < ring_readable(self.ring.address):
            self.sequence()
        return int(clock_monotonic_ns() - begin), time.thread_time_ns() - begin_processor

    def prepare(self, books: int, accounts: int = ACCOUNTS) -> None:
        """List the instruments and fund the accounts."""
        stream = CommandStream()
        found_venue(stream, instruments=books, accounts=accounts, mark=MIDDLE)
        venue = stream.take()
        position = 0
        while position < len(venue):
            length = int(venue[position : position + 4].view("<i4")[0])
            address = ring_claim(self.ring.address, length)
            copy(address, venue.ctypes.data + position, length)
            position += length
        ring_flush(self.ring.address)
        self.drain()

    def settle(self) -> None:
        """Wait until the journal process has everything."""
        deadline = time.monotonic() + EXIT_WAIT_SECONDS
        log = self.events.address
        while log_archived(log) < log_published(log) and time.monotonic() < deadline:
            time.sleep(0.01)

    def close(self) -> None:
        self._journal.terminate()
        self._journal.wait(EXIT_WAIT_SECONDS)
        unlink_all(self.instance)


def refused(data: Path) -> int:
    """How many set-up commands and new orders the archive says were refused."""
    archive = EventArchive(data)
    position, count = 0, 0
    while position < archive.end():
        stretch = archive.read(position, READ)
        size, _ = whole_frames(memoryview(stretch))
        begin = np.frombuffer(stretch, np.uint8).ctypes.data
        count += _count_refused(begin, begin + size)
        position += size
    return count


@jit
def _count_refused(frame: int, end: int) -> int:
    count = 0
    while frame < end:
        template = oe.header_template(frame + FRAME_HEADER)
        if template == oe.EXECUTION_REPORT_TEMPLATE:
            count += oe.execution_report_exec_type(frame + BLOCK_AT) == oe.EXEC_TYPE_REJECTED
        elif template == ct.COMMAND_RESULT_TEMPLATE:
            count += ct.command_result_reason(frame + BLOCK_AT) != oe.REASON_NONE
        frame += load_i32(frame)
    return count


def full_speed(core: BenchedCore, frames: Frames) -> tuple[dict[str, Any], Samples]:
    """As fast as it goes: chunks are put into the ring, and taken."""
    chunks: list[tuple[int, int, int]] = []
    done = 0
    while done < len(frames):
        count = feed(core.ring.address, frames, done, min(done + CHUNK, len(frames)))
        chunks.append((count, *core.drain()))
        done += count
    table = np.array(chunks, np.int64)
    wall, processor = (float(table[:, i].sum() / table[:, 0].sum()) for i in (1, 2))
    state = core.state[0]
    return {
        "operations": len(frames),
        "trades": int(state["trades"]),
        "orders_left": int(state["orders_open"]),
        "ns_per_op": processor,
        "ops_per_second": 1e9 / processor,
        "wall_ns_per_op": wall,
        "wall_ops_per_second": 1e9 / wall,
        "best_chunk_wall_ns_per_op": float((table[:, 1] / table[:, 0]).min()),
    }, table[:, 1] // table[:, 0]


def paced_run(core: BenchedCore, frames: Frames, rate: int) -> tuple[dict[str, Any], Samples]:
    """At an offered rate; latency from due to published."""
    latencies = np.zeros(len(frames), np.int64)
    interval = 1e9 / rate
    due = (np.arange(len(frames)) * interval).astype(np.int64)
    give_up_ns = give_up_after_ns(len(frames), rate)
    begin = clock_monotonic_ns()
    fed = 0
    while fed < len(frames):
        now = clock_monotonic_ns() - begin
        if now > give_up_ns:
            return gave_up(fed, rate, now), latencies[:fed]
        ready = min(len(frames), int(now / interval) + 1, fed + CHUNK)
        if ready > fed:
            fed_now = feed(core.ring.address, frames, fed, ready)
            core.drain()
            after = clock_monotonic_ns() - begin
            latencies[fed : fed + fed_now] = after - due[fed : fed + fed_now]
            fed += fed_now
    elapsed = clock_monotonic_ns() - begin
    reached = len(frames) * 1e9 / elapsed
    return {
        "commands": len(frames),
        "offered_per_second": float(rate),
        "reached_per_second": reached,
        "rate_reached": reached >= KEPT * rate,
        "latency_ns": summary(latencies),
    }, latencies


def measure(
    operations: int = 1_000_000, rate: int = 500_000, seconds: float = 2.0, seed: int = 7
) -> dict[str, Any]:
    """Measure matching alone and the whole core; see above. `samples` are arrays of ns."""
    frames = encode_workload(operations, BOOKS, seed)
    warm = len(frames) // 20
    with running(BOOKS) as core:
        full_speed(core, frames[:warm])
        core.settle()
        whole, _ = full_speed(core, frames[warm:])
        core.settle()
        backlog = int(load_i64(core.sequenced.address + CAPACITY))
    # A core of its own: in one, the orders left over would come to more than it has room for.
    frames = encode_workload(warm + offered_count(rate, seconds, PACED_MOST), BOOKS, seed)
    with running(BOOKS) as core:
        full_speed(core, frames[:warm])
        core.settle()
        paced, latencies = paced_run(core, frames[warm:], rate)
        core.settle()
    matching = {
        f"matching_{books}_books": measure_matching(books, operations, 3, seed)
        for books in (1, BOOKS)
    }
    baseline = matching[f"matching_{BOOKS}_books"]["ns_per_op"]
    whole["ratio_to_matching_alone"] = whole["ns_per_op"] / baseline
    whole["sequenced_ring_bytes"] = backlog
    return {
        "name": "engine",
        "policy": "async",
        "whole_core": whole,
        **matching,
        "paced": paced,
        "samples": {"paced": latencies},
    }


@contextmanager
def running(
    books: int, accounts: int = ACCOUNTS, limits: Limits | None = None, may_refuse: bool = False
) -> Iterator[BenchedCore]:
    """A core with so many books and funded accounts that waits for no disk and never sleeps.

    Raises WrongWorkload at its end if it has refused something and may not.
    """
    configuration = msgspec.structs.replace(Configuration(), limits=limits or Limits())
    exchange = msgspec.structs.replace(configuration.exchange, policy="async", idle="spin")
    configuration = msgspec.structs.replace(configuration, exchange=exchange)
    with tempfile.TemporaryDirectory(prefix="onebook-bench-", dir="/var/tmp") as made:
        with compile_lock():
            core = BenchedCore(Path(made), configuration)
        try:
            core.prepare(books, accounts)
            core.settle()
            yield core
        finally:
            core.close()
        if not may_refuse and (wrong := refused(Path(made))):
            raise WrongWorkload(f"the core refused {wrong} orders: this measures something else")
