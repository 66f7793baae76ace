"""Hours at accelerated time; `python -m tests.campaigns.days` makes a month of them."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.memory import unlink_all
from tests.campaigns.days import LOG_BYTES, STEP, Days
from tests.core.sidecars.stage import Stage
from tests.core.sidecars.world import MINUTE

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture
def stage(instance: str, tmp_path: Path) -> Iterator[Stage]:
    yield Stage(instance, tmp_path, log_bytes=LOG_BYTES)
    unlink_all(instance)


def test_hours(stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    days = Days(stage, seed=1, days=0.25, accounts=40, period_ns=5 * MINUTE)
    days.pass_time(STEP)
    for number in range(days.steps):
        days.step(number)
    said = days.end()
    with capsys.disabled():
        sys.stdout.write(f"\n{said}\n")
