"""A few random kills under load, as `tests.campaigns.kills` does a hundred; all must hold."""

from pathlib import Path

import pytest

from tests.campaigns.kills import Campaign

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.mark.parametrize(("policy", "seed"), [("async", 5), ("fsync", 6)])
def test_nothing_acknowledged_is_lost_or_doubled(tmp_path: Path, policy: str, seed: int) -> None:
    lines: list[str] = []
    campaign = Campaign(tmp_path, seed=seed, policy=policy, rate=80.0, say=lines.append)
    assert campaign.run(lambda: campaign.kills(6, 0.5)) == [], "\n".join(lines)
    assert all(len(party.sent) > 50 for party in campaign.parties), "there was no load"
