"""The stage, with shared memory of its own that is gone afterwards."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from core.memory import unlink_all
from tests.core.sidecars.stage import Stage


@pytest.fixture
def stage(instance: str, tmp_path: Path) -> Iterator[Stage]:
    """An empty exchange without a core of its own."""
    yield Stage(instance, tmp_path)
    unlink_all(instance)
