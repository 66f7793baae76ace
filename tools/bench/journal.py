"""The journal beside a bare write(2) + fdatasync(2) loop, in the same directory in the same run.

For each of the policies `async` and `fsync`:

    closed loop   one command a frame, the next when the last is done; the baseline does the same
                  with the same number of bytes, alternating with the journal in short turns
    bulk          frames of 1,000 commands, as after a burst; commands and bytes per second
    paced         commands fall due at an offered rate; whatever is due goes into one frame, as in
                  the journal process. Each command's latency counts from when it was *due*, so a
                  slow fdatasync is counted against every command that waited for it

Commands are 128 bytes. Nothing but the journal runs: no ring, no core.
"""

import os
import struct
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from core.journal.frame import HEADER_SIZE
from core.journal.scan import scan, warm
from core.journal.writer import Journal, Policy
from tools.bench.pacing import KEPT, gave_up, give_up_after_ns, offered_count
from tools.bench.samples import Samples, summary

COMMAND_SIZE = 128
BULK_COMMANDS = 1000
FRAME_MOST = 1 << 16  # commands
TURN = 50
PACED_MOST = 4_000_000  # commands
DIRECTORY = Path("/var/tmp")  # /tmp may be in memory.



class _Commands:
    """Command frames numbered from 1, made in advance; `take` gives the next ones as a view."""

    def __init__(self, count: int) -> None:
        frames = np.zeros((count, COMMAND_SIZE), np.uint8)
        frames[:] = np.arange(COMMAND_SIZE, dtype=np.uint8)
        head = np.frombuffer(struct.pack("<ihhiI", COMMAND_SIZE, 1, 0, 1, 0), np.uint8)
        frames[:, : len(head)] = head
        sequences = np.arange(1, count + 1, dtype="<i8")
        frames[:, 16:24] = sequences.view(np.uint8).reshape(count, 8)
        self._bytes = memoryview(frames.reshape(-1).data)
        self._next = 0
        self.count = count

    def take(self, count: int) -> memoryview:
        start = self._next * COMMAND_SIZE
        self._next += count
        return self._bytes[start : self._next * COMMAND_SIZE]


def _open(directory: Path, policy: Policy) -> Journal:
    journal = Journal(directory, policy, segment_size=64 << 20, scan=scan)
    journal.takeover(1)
    while journal.prepare():
        pass
    return journal


def _closed_loop(directory: Path, policy: Policy, appends: int) -> tuple[Samples, Samples]:
    """Latencies of single appends and of the bare loop, in ns."""
    ours, bare = np.zeros(appends, np.int64), np.zeros(appends, np.int64)
    journal = _open(directory / f"closed-{policy}", policy)
    commands = _Commands(appends)
    payload = bytes(HEADER_SIZE + COMMAND_SIZE)
    handle = os.open(directory / f"bare-{policy}", os.O_WRONLY | os.O_CREAT, 0o600)
    for turn in range(0, appends, TURN):
        for number in range(turn, min(turn + TURN, appends)):
            begin = time.perf_counter_ns()
            journal.append(commands.take(1))
            ours[number] = time.perf_counter_ns() - begin
        for number in range(turn, min(turn + TURN, appends)):
            begin = time.perf_counter_ns()
            os.write(handle, payload)
            if policy == Policy.FSYNC:
                os.fdatasync(handle)
            bare[number] = time.perf_counter_ns() - begin
    os.close(handle)
    journal.close()
    return ours, bare


def _bulk(directory: Path, policy: Policy, frames: int) -> dict[str, float]:
    journal = _open(directory / f"bulk-{policy}", policy)
    commands = _Commands(frames * BULK_COMMANDS)
    begin = time.perf_counter_ns()
    for _ in range(frames):
        journal.append(commands.take(BULK_COMMANDS))
    elapsed = time.perf_counter_ns() - begin
    journal.close()
    return {
        "commands": commands.count,
        "ns_per_op": elapsed / commands.count,
        "ops_per_second": commands.count * 1e9 / elapsed,
        "bytes_per_second": commands.count * COMMAND_SIZE * 1e9 / elapsed,
    }


def _paced(
    directory: Path, policy: Policy, rate: int, seconds: float
) -> tuple[dict[str, Any], Samples]:
    count = offered_count(rate, seconds, PACED_MOST)
    interval_ns = 1e9 / rate
    journal = _open(directory / f"paced-{policy}", policy)
    commands = _Commands(count)
    latencies = np.zeros(count, np.int64)
    due_ns = (np.arange(count) * interval_ns).astype(np.int64)
    done = frames = 0
    give_up_ns = give_up_after_ns(count, rate)
    begin = time.perf_counter_ns()
    while done < count:
        elapsed = time.perf_counter_ns() - begin
        if elapsed > give_up_ns:
            journal.close()
            return gave_up(done, rate, elapsed), latencies[:done]
        due = min(count, int(elapsed / interval_ns) + 1, done + FRAME_MOST)
        if due == done:
            continue
        journal.append(commands.take(due - done))
        latencies[done:due] = time.perf_counter_ns() - begin - due_ns[done:due]
        done = due
        frames += 1
    took_ns = time.perf_counter_ns() - begin
    journal.close()
    reached = (count - 1) * 1e9 / max(took_ns, 1)  # The last is due one interval before the end.
    result = {
        "commands": count,
        "frames": frames,
        "offered_per_second": float(rate),
        "reached_per_second": reached,
        "rate_reached": reached >= KEPT * rate,
        "latency_ns": summary(latencies),
    }
    return result, latencies


def _policy(
    directory: Path, policy: Policy, appends: int, bulk_frames: int, rate: int, seconds: float
) -> tuple[dict[str, Any], dict[str, Samples]]:
    ours, bare = _closed_loop(directory, policy, appends)
    bulk = _bulk(directory, policy, bulk_frames)
    paced, latencies = _paced(directory, policy, rate, seconds)
    result = {
        "append": {
            "messages": appends,
            "ns_per_op": float(ours.mean()),
            "ops_per_second": 1e9 / float(ours.mean()),
            "latency_ns": summary(ours),
        },
        "bulk": bulk,
        "paced": paced,
        "baseline": {
            "name": "write + fdatasync" if policy == Policy.FSYNC else "write",
            "messages": appends,
            "ns_per_op": float(bare.mean()),
            "ops_per_second": 1e9 / float(bare.mean()),
            "latency_ns": summary(bare),
        },
        "median_over_baseline": float(np.median(ours) / np.median(bare)),
    }
    return result, {"append": ours, "paced": latencies, "baseline": bare}


def measure(
    appends: int = 2000,
    bulk_frames: int = 500,
    rate: int = 100_000,
    seconds: float = 3.0,
    directory: Path = DIRECTORY,
) -> dict[str, Any]:
    """Measure both policies; see the module's docstring for what is measured.

    `rate` and `seconds` are of the paced part; if `paced.rate_reached` is False its latencies are
    no result. Everything under `samples` is a numpy array of ns, all else is plain JSON.
    """
    result: dict[str, Any] = {"name": "journal", "command_bytes": COMMAND_SIZE}
    samples: dict[str, Samples] = {}
    warm()
    with tempfile.TemporaryDirectory(prefix="onebook-bench-", dir=directory) as made:
        for policy in (Policy.ASYNC, Policy.FSYNC):
            numbers, taken = _policy(Path(made), policy, appends, bulk_frames, rate, seconds)
            result[str(policy)] = numbers
            samples |= {f"{policy}_{name}": values for name, values in taken.items()}
    return result | {"samples": samples}
