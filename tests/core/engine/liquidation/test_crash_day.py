"""A short slice of the crash-day campaign: the worst twenty minutes of a recorded fall."""

import pytest

from tests.campaigns.crash import CrashDay, bars, worst_stretch
from tests.recordings import RECORDINGS, needs

FALL = RECORDINGS / "crypto_stress" / "BTCUSDT-perp-1m-20251010T2050-2204.csv"


@needs(FALL)
@pytest.mark.parametrize("seed", [1, 2])
def test_everything_holds_while_it_falls(seed: int) -> None:
    day = CrashDay(45, seed)
    day.run(worst_stretch(bars(FALL), 30))
    found = day.summary()
    assert found["accounts liquidated"] >= 5
    assert found["steps"]["book"] > 10
