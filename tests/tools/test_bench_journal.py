"""The journal's measurement measures what it says; no speed is asked of the machine here."""

from pathlib import Path

import numpy as np

from tools.bench.journal import measure


def test_both_policies_are_measured_beside_their_baselines(tmp_path: Path) -> None:
    result = measure(appends=60, bulk_frames=3, rate=2000, seconds=0.2, directory=tmp_path)
    for policy, baseline in (("async", "write"), ("fsync", "write + fdatasync")):
        part = result[policy]
        assert part["baseline"]["name"] == baseline
        assert part["append"]["messages"] == part["baseline"]["messages"] == 60
        assert part["bulk"]["commands"] == 3000
        assert part["paced"]["commands"] == 400
        assert 1 <= part["paced"]["frames"] <= 400
        for name in ("append", "baseline", "paced"):
            samples = result["samples"][f"{policy}_{name}"]
            quantiles = part[name]["latency_ns"]
            assert np.all(samples > 0)
            assert quantiles["p50"] <= quantiles["p99"] <= quantiles["max"] == samples.max()
    assert result["fsync"]["append"]["latency_ns"]["p50"] > 0
    assert list(tmp_path.iterdir()) == []


def test_a_rate_that_cannot_be_reached_is_told(tmp_path: Path) -> None:
    result = measure(
        appends=1, bulk_frames=1, rate=100_000_000, seconds=0.01, directory=tmp_path
    )
    assert not result["fsync"]["paced"]["rate_reached"]
