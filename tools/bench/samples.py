"""Many latencies in a few figures."""

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.int64]
QUANTILES = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p99.9": 0.999, "p99.99": 0.9999}


def summary(samples: Samples) -> dict[str, int]:
    """Quantiles, mean and largest of latencies in ns."""
    ranks = np.quantile(samples, list(QUANTILES.values()), method="inverted_cdf")
    result = dict(zip(QUANTILES, map(int, ranks), strict=True))
    return result | {"mean": int(samples.mean()), "max": int(samples.max())}
