"""A few random kills under load, as `tests.campaigns.kills` does a hundred; all must hold.

Under `async` the binary sessions have a bad wire on top, as in `tests.campaigns.binary_sessions`.
"""

from pathlib import Path

import pytest

from tests.campaigns.binary_sessions import WireCampaign
from tests.campaigns.kills import Campaign

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.mark.parametrize(
    ("kind", "policy", "seed"), [(WireCampaign, "async", 5), (Campaign, "fsync", 6)])
def test_nothing_acknowledged_is_lost_or_doubled(
    tmp_path: Path, kind: type[Campaign], policy: str, seed: int
) -> None:
    lines: list[str] = []
    campaign = kind(tmp_path, seed=seed, policy=policy, rate=80.0, say=lines.append)
    assert campaign.run(lambda: campaign.kills(6, 0.5)) == [], "\n".join(lines)
    assert all(len(party.sent) > 50 for party in campaign.parties), "there was no load"
    wires = campaign.wires if isinstance(campaign, WireCampaign) else []
    assert all(wire.lost and wire.repeated for wire in wires), "the wires were good"
