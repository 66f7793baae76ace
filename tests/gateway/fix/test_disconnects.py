"""A slice of the campaign that cuts QuickFIX's connections to the real exchange at random bytes."""

import uuid
from pathlib import Path

import pytest

pytest.importorskip("quickfix")

from tests.campaigns.fix_disconnects import campaign, venue
from tests.gateway.fix.exchange import running

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def test_no_session_loses_its_place(tmp_path: Path) -> None:
    names = [f"CUT{number}" for number in range(6)]
    with running(tmp_path, f"cut-{uuid.uuid4().hex[:8]}", venue(names)) as exchange:
        wrong, figures = campaign(exchange.address("fix"), tmp_path, names, 30, seed=7)
    assert not wrong
    assert figures["cuts"] >= 30
    assert figures["resends"] > 0
