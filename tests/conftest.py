"""What all tests share: hypothesis profiles, and an instance name nobody else uses."""

import os
import uuid
from collections.abc import Iterator

import pytest
import structlog
from hypothesis import HealthCheck, settings

from core import memory

settings.register_profile("default", deadline=None, max_examples=50)
# Continuous integration repeats the same examples each time; a random run prints its seed.
settings.register_profile(
    "ci", deadline=None, max_examples=100, derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("ci" if os.environ.get("CI") else "default")


@pytest.fixture(autouse=True)
def log_as_at_the_start() -> None:
    """Where log lines go isn't left to the process that an earlier test played."""
    structlog.reset_defaults()


@pytest.fixture
def instance() -> Iterator[str]:
    """A name for an exchange of this test's own; its shared memory is gone afterwards."""
    name = f"test-{uuid.uuid4().hex[:12]}"
    yield name
    memory.unlink_all(name)
