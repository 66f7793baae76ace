"""The ring's measurement measures, says when a rate was not reached, and leaves nothing behind."""

import json
import os
import time

import pytest

from core.memory import DIRECTORY
from core.ring import Ring, ring_publish
from tools.bench import ring as bench


@pytest.fixture(scope="module")
def result():
    return bench.measure(200_000, 2_000, 20_000, 0.2, 2_000)


def test_everything_but_the_samples_is_plain_json(result):
    plain = {key: value for key, value in result.items() if key != "samples"}
    assert json.loads(json.dumps(plain)) == plain


def test_ring_and_baseline_are_measured_alike(result):
    for measured in (result, result["baseline"]):
        one_way, trips = measured["one_way"], measured["ping_pong"]["round_trip_ns"]
        assert one_way["ops_per_second"] == pytest.approx(1e9 / one_way["ns_per_op"])
        assert 0 < trips["p50"] <= trips["p99"] <= trips["p99.99"] <= trips["max"]
    assert result["one_way"]["messages"] == 200_000
    assert 0 < result["one_way"]["ns_per_op_median_round"] < 100_000
    assert len(result["samples"]["ping_pong"]) == 2_000
    assert len(result["samples"]["paced"]) == 4_000
    assert result["samples"]["paced"].min() > 0


def test_the_ring_is_faster_than_a_pipe(result):
    baseline = result["baseline"]["ping_pong"]["round_trip_ns"]
    assert result["ping_pong"]["round_trip_ns"]["p50"] < baseline["p50"]


def test_a_rate_that_cannot_be_reached_is_said():
    instance_name = "bench-rate"
    with_ring = Ring.create(instance_name, "bench.out", bench.CAPACITY)
    Ring.create(instance_name, "bench.back", bench.CAPACITY).segment.close()
    try:
        begin = time.monotonic()
        paced, delays = bench._paced(instance_name, with_ring.address, 900_000_000, 100_000_000)
    finally:
        bench.unlink_all(instance_name)
    assert time.monotonic() - begin < 30, "it should have given up"
    assert not paced["rate_reached"]
    assert "latency_ns" not in paced
    assert 0 < len(delays) < 100_000_000
    assert 0 < paced["reached_per_second"] < paced["offered_per_second"]


def test_wrong_messages_are_counted():
    ring = Ring.create("bench-wrong", "bench.out", bench.CAPACITY)
    bench.unlink_all("bench-wrong")
    for number in (0, 1, 7, 3):
        bench.send(ring.address, number)
        ring_publish(ring.address, bench.MESSAGE_SIZE)
    assert bench.receive_batches(ring.address, 0, 4) == 1
    ring.close()


def test_nothing_is_left_in_shared_memory(result):
    # The bench names its memory by this process; other benches may be running beside.
    assert not list(DIRECTORY.glob(f"onebook.bench{os.getpid()}.*"))
