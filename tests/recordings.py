"""Recordings of real venues, too large to keep here: in $ONEBOOK_DATA, or beside the checkout."""

import os
from pathlib import Path

import pytest

RECORDINGS = Path(os.environ.get("ONEBOOK_DATA") or Path(__file__).parents[2] / "shared" / "data")


def needs(path: Path) -> pytest.MarkDecorator:
    """Leaves a test out where a recording is missing, and says how to give it."""
    return pytest.mark.skipif(
        not path.exists(), reason=f"needs the recording {path}; its folder is $ONEBOOK_DATA"
    )
