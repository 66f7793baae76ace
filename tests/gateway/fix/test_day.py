"""A slice of the compressed day (tests/campaigns/fix_day.py): all must hold, and a lie is found."""

from pathlib import Path

import pytest

pytest.importorskip("quickfix")

from tests.campaigns.fix_day import CompressedDay

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def test_what_desks_were_told_in_a_day_is_what_happened(tmp_path: Path) -> None:
    said: list[str] = []
    day = CompressedDay(tmp_path, 8, 5, said.append)
    assert day.run() == []
    assert "resends" in said[-2]
    desk = max(day.desks, key=lambda one: len(one.reports()))
    execution = next(iter(desk.reports()))
    desk.application.received[:] = [  # Had it lost this one, it would have been noticed.
        m for m in desk.application.received if f"|17={execution}|" not in m]
    (fault,) = day.held_to_the_archive()
    assert f"{desk.name}: 1 of" in fault
    assert execution in fault
