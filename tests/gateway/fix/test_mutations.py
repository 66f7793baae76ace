"""A slice of the scanner's campaign (tests/campaigns/fix_mutations.py), and that it can fail."""

import pytest

from tests.campaigns import fix_mutations
from tests.campaigns.fix_mutations import run


def test_mutants_are_read_as_simplefix_reads_them_or_left() -> None:
    wrong, campaign = run(4000, 20260101)
    assert wrong == ""
    assert campaign.taken > 200
    assert campaign.left > 1000


def test_a_scanner_that_reads_otherwise_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fix_mutations, "decimal_of", lambda text: 1)
    wrong, _ = run(4000, 20260101)
    assert "from b'8=FIX" in wrong
