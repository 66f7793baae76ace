"""`onebook bench`: what it is asked wrongly is said at once, what it measures is written whole."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hdrh.histogram import HdrHistogram
from hdrh.log import HistogramLogReader

from core import memory
from tools.bench.pacing import give_up_after_ns, median_ratio, offered_count, paced_then_full
from tools.bench.scheduling import Scheduling, scheduled
from tools.commands.bench import bench, remove_leftovers


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"rate": 0}, "bench: --rate: expected more than 0, was 0"),
        ({"seconds": -1.0}, "bench: --seconds: expected more than 0, was -1.0"),
        ({"seconds": float("nan")}, "bench: --seconds: expected more than 0, was nan"),
        ({"operations": 0}, "bench: --operations: expected more than 0, was 0"),
        ({"policy": "fsync"}, "bench sbe knows no --policy"),
        ({"rate": 5}, "bench sbe knows no --rate"),
    ],
)
def test_a_wrong_question(
    asked: dict[str, object], said: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert bench("sbe", **asked) == 2  # type: ignore[arg-type]
    out, err = capfd.readouterr()
    assert err == said + "\n"
    assert not out


def test_histograms_that_cannot_be_written(capfd: pytest.CaptureFixture[str]) -> None:
    assert bench("sbe", hlog=Path("/sys/onebook.hlog")) == 1
    out, err = capfd.readouterr()
    assert err.strip() == "bench sbe: /sys/onebook.hlog: Permission denied"
    assert not out


@pytest.mark.parametrize(("wanted", "gets"), [
    (None, ("real-time", os.SCHED_FIFO)), ("real-time", ("real-time", os.SCHED_FIFO)),
    ("ordinary", ("ordinary", os.SCHED_OTHER)),
])
def test_all_that_is_measured_is_scheduled_alike(
    wanted: Scheduling | None, gets: tuple[str, int]
) -> None:
    if wanted != "ordinary":
        try:
            os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
        except PermissionError:
            pytest.skip("a real-time policy isn't permitted here (CAP_SYS_NICE)")
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    with scheduled(wanted) as how:
        assert (how, os.sched_getscheduler(0)) == gets
        child = [sys.executable, "-c", "import os; print(os.sched_getscheduler(0))"]
        assert int(subprocess.check_output(child)) == gets[1]
    assert os.sched_getscheduler(0) == os.SCHED_OTHER


def test_real_time_that_is_not_permitted(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(pid: int, policy: int, parameter: os.sched_param) -> None:
        if policy != os.SCHED_OTHER:
            raise PermissionError

    monkeypatch.setattr(os, "sched_setscheduler", refuse)
    with scheduled(None) as how:
        assert how == "ordinary"
    with pytest.raises(RuntimeError, match="CAP_SYS_NICE"), scheduled("real-time"):
        pass


def test_json_and_histograms(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "journal.hlog"
    code = bench("journal", rate=900_000_000, seconds=0.001, as_json=True, hlog=path)
    out, err = capfd.readouterr()
    assert code == 3
    assert "fsync.paced: the offered rate was NOT reached: no result" in err
    result = json.loads(out)
    assert not result["fsync"]["paced"]["rate_reached"]
    assert "samples" not in result
    appended = HdrHistogram(1, 60_000_000_000, 3)
    reader = HistogramLogReader(str(path), appended)
    histograms = {}
    while (histogram := reader.get_next_interval_histogram()) is not None:
        histograms[histogram.tag] = histogram
    reader.close()
    told = result["fsync"]["append"]
    assert histograms["fsync_append"].get_total_count() == told["messages"]
    median = histograms["fsync_append"].get_value_at_percentile(50)
    assert median == pytest.approx(told["latency_ns"]["p50"], rel=0.01)


def test_what_a_killed_bench_left_is_removed() -> None:
    with subprocess.Popen(["true"]) as dead:
        pass
    left = memory.DIRECTORY / f"onebook.bench{dead.pid}.events"
    ours = memory.DIRECTORY / f"onebook.bench{os.getpid()}.events"
    try:
        for path in (left, ours):
            path.write_bytes(b"whatever")
        remove_leftovers()
        assert not left.exists()
        assert ours.exists()
    finally:
        for path in (left, ours):
            path.unlink(missing_ok=True)


def test_what_is_offered_is_bounded_and_so_is_its_time() -> None:
    assert offered_count(2_000, 3.0, 100_000) == 6_000
    assert offered_count(900_000_000, 3.0, 100_000) == 100_000
    assert offered_count(1, 0.1, 100_000) == 1
    assert give_up_after_ns(99, 100) == 2_000_000_000


def test_nothing_follows_a_rate_that_was_missed() -> None:
    offered: list[tuple[int, int]] = []

    def run(first: int, rate: int, seconds: float, window: int):  # type: ignore[no-untyped-def]
        offered.append((first, rate))
        kept = {"rate_reached": rate < 5000, "reached_per_second": min(rate, 5000),
                "latency_ns": {"p50": rate}}
        return kept, np.full(2, len(offered)), 10

    whole, delays = paced_then_full(run, 1, 2000, 0.7, 100, 8)
    warm = [(1, 1000), (11, 1000), (21, 1000)]
    assert offered == [*warm, (31, 2000), (41, 2000), (51, 100)]
    assert whole["full"]["window"] == 8
    assert (whole["paced"]["bursts"], whole["paced"]["messages"]) == (2, 20)
    assert delays.tolist() == [4, 4, 5, 5]
    assert whole["paced"]["latency_ns"]["max"] == 5
    missed, _ = paced_then_full(run, 1, 9000, 1.0, 100, 8)
    assert "full" not in missed
    assert median_ratio(whole["paced"], whole["paced"]) == {"median_ratio": 1}
    assert median_ratio(whole["paced"], {"rate_reached": False}) == {}
