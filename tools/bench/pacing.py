"""Offering a rate: how many messages that takes, and when it is plain that it can't be kept.

Messages are made before the clock starts, so their number is bounded: a rate beyond what anything
here could keep is offered for a shorter time. A run that is `GRACE_SECONDS` behind its schedule
gives up, and what was reached by then is told; its latencies would be no result.

A rate is offered in bursts with rests between them: from real-time processes that keep busy for the
better part of a second the kernel takes the processor for 50 ms, lest the others starve.
"""

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from tools.bench.samples import Samples, summary

# (number of the first message, rate, seconds, messages under way) → (result, latencies in ns,
# messages sent). With a number under way instead of a pace, `rate` messages are sent.
Run = Callable[[int, int, float, int], tuple[dict[str, Any], Samples, int]]

WARM_RATE = 1000
FOREVER_NS = 1 << 62
KEPT = 0.99  # of the offered rate: what counts as reached
GRACE_SECONDS = 1.0
# A client in real time that only spins could wait for ever: the thread of the kernel that finishes
# the server's write may belong to this very processor.
STALL_NS = 3_000_000
NAP_MICROSECONDS = 100
BURST_SECONDS = 0.4
REST_SECONDS = 0.4


def offered_count(rate: int, seconds: float, most: int) -> int:
    """How many messages are offered at `rate` a second in `seconds`, at least 1, at most `most`."""
    return max(1, min(int(rate * seconds), most))


def give_up_after_ns(count: int, rate: int) -> int:
    """How long a run of `count` messages at `rate` a second may take."""
    return int((count / rate / KEPT + GRACE_SECONDS) * 1e9)


def gave_up(done: int, rate: int, took_ns: int) -> dict[str, Any]:
    """The result of a run that gave up after `done` messages and `took_ns`."""
    return {
        "offered_per_second": float(rate),
        "reached_per_second": done * 1e9 / max(took_ns, 1),
        "rate_reached": False,
    }


def paced_then_full(
    run: Run, first: int, rate: int, seconds: float, operations: int, window: int
) -> tuple[dict[str, Any], Samples]:
    """Warm up, offer `rate`, then keep `window` messages under way; the latencies are the paced.

    A missed rate ends it: what is not a result needs no company, and where the client gave up the
    session is of no use any more.
    """
    paced, delays, sent = in_bursts(run, first, WARM_RATE, 1.0)
    if "latency_ns" not in paced:
        return {"paced": paced}, delays
    first += sent
    paced, delays, sent = in_bursts(run, first, rate, seconds)
    if not paced["rate_reached"]:
        return {"paced": paced}, delays
    time.sleep(REST_SECONDS)
    full, _, _ = run(first + sent, operations, 1.0, window)
    return {"paced": paced, "full": full | {"window": window}}, delays


def in_bursts(
    run: Run, first: int, rate: int, seconds: float
) -> tuple[dict[str, Any], Samples, int]:
    """Offer a rate for so many seconds in all; as a `Run`, of all bursts together.

    A burst that gave up ends it and is the result.
    """
    bursts: list[dict[str, Any]] = []
    samples: list[Samples] = []
    sent = 0
    left = seconds
    while left > 0 or not bursts:
        time.sleep(REST_SECONDS)
        burst, delays, count = run(first + sent, rate, min(left, BURST_SECONDS), 0)
        sent += count
        if "latency_ns" not in burst:
            return burst, delays, sent
        bursts.append(burst)
        samples.append(delays)
        left -= BURST_SECONDS
    together = np.concatenate(samples)
    return {
        "messages": sent,
        "bursts": len(bursts),
        "latency_ns": summary(together),
        "offered_per_second": rate,
        "reached_per_second": min(burst["reached_per_second"] for burst in bursts),
        "rate_reached": all(burst["rate_reached"] for burst in bursts),
    }, together, sent


def median_ratio(paced: dict[str, Any], baseline: dict[str, Any]) -> dict[str, float]:
    """The median latency over that of the baseline; nothing if one of them gave up."""
    medians = [part["latency_ns"]["p50"] for part in (paced, baseline) if "latency_ns" in part]
    return {"median_ratio": medians[0] / medians[1]} if len(medians) == 2 else {}
