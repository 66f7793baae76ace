"""What a desk reads in Text (58) when an order needs more margin than is free."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from core.reference import ReferenceData
from gateway.fix.texts import reject_of, worst_of
from sbe.generated import order_entry as oe

BITCOIN = SimpleNamespace(name="BTC", decimals=8)
REFERENCE = cast("ReferenceData", SimpleNamespace(
    assets={0: SimpleNamespace(name="USDC", decimals=6), 1: BITCOIN},
    instruments={5: SimpleNamespace(symbol="RAIN-20")},
))
NOWHERE = {"worstAsset": 0, "worstMove": 0, "worstExpiry": 0, "worstOutcome": 0}
MIDNIGHT = 1_798_675_200 * 10**9


@pytest.mark.parametrize(("found", "text"), [
    ({"worstAsset": 1, "worstMove": -100_000, "worstExpiry": MIDNIGHT},
     ", worst node BTC -10 % at expiry 2026-12-31"),
    ({"worstAsset": 1, "worstMove": 33_333, "worstExpiry": MIDNIGHT + 3_661 * 10**9},
     ", worst node BTC +3.3333 % at expiry 2026-12-31 01:01:01"),
    ({"worstAsset": 1, "worstMove": 2_000_000}, ", worst node BTC +200 %"),
    ({"worstOutcome": 5}, ", worst outcome RAIN-20"),
    ({}, ""),
    (dict.fromkeys(NOWHERE), ""),
])
def test_a_refusal_names_where_it_binds(found: dict[str, Any], text: str) -> None:
    worst = worst_of(NOWHERE | found, REFERENCE)
    assert worst == text
    reject = reject_of(oe.REASON_INSUFFICIENT_MARGIN, 1_234_555_001, 1_000_009_999, None,
                       REFERENCE, worst)
    assert reject.text == f"initial margin: needs 1,234.56, free 1,000.00{text}"


def test_what_is_missing_is_never_rounded_away() -> None:
    reject = reject_of(oe.REASON_INSUFFICIENT_MARGIN, 10_001, -1, None, REFERENCE)
    assert reject.text == "initial margin: needs 0.02, free -0.01"
