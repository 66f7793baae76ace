"""A slice of the campaign with crowds: everybody gets in, and a desk that trades loses nothing."""

import uuid
from pathlib import Path

import pytest

from tests.campaigns.fix_storm import phases, venue
from tests.gateway.fix.exchange import running

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

SESSIONS = 500
GROWTH_MAX = 400  # MiB: twenty clients that read nothing have 4 MiB each, five hundred 0.2


def test_five_hundred_sessions_and_rude_crowds_harm_nobody(tmp_path: Path) -> None:
    names = [f"CROWD{number}" for number in range(SESSIONS)]
    with running(tmp_path, f"storm-{uuid.uuid4().hex[:8]}", venue(names)) as exchange:
        rows = phases(exchange, 3, names)
    assert [row.unanswered for row in rows] == [0] * len(rows)
    together = next(row for row in rows if row.phase == "all logged on at once")
    assert f"{SESSIONS} logons" in together.done
    assert "lost" not in together.done
    for phase, word in (("wrong signatures", "wrong signatures"), ("slow readers", "unread"),
                        ("half a Logon", "cut off")):
        assert word in next(row for row in rows if row.phase == phase).done
    assert max(row.memory for row in rows) - rows[0].memory < GROWTH_MAX
