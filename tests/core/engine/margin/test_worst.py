"""A refusal for margin says where the account would lose most."""

from typing import Any

import pytest

from sbe.generated import order_entry as oe
from tests.core.engine.exchange import ALPHA, ANN, BETA, BOB, BTC, LONE, PERP, Exchange, whole
from tests.core.engine.margin.test_scan import DAY, SOON, START, STRIKES, arrays, tell
from tests.core.engine.margin.test_scan import house as linked_house

__all__ = ["linked_house"]
MARGIN = oe.REASON_INSUFFICIENT_MARGIN


def worst(report: dict[str, Any]) -> tuple[int, int, int, int]:
    """(asset, move, expiry, outcome) of a refusal for margin."""
    assert report["reason"] == MARGIN
    return (report["worstAsset"], report["worstMove"], report["worstExpiry"],
            report["worstOutcome"])


@pytest.mark.parametrize(("side", "move"), [("buy", -100_000), ("sell", 100_000)])
def test_a_perpetual_loses_at_the_end_of_the_range(side: str, move: int) -> None:
    house = Exchange().populate()
    house.deposit(ANN, 9_000)
    assert worst(house.order(ANN, PERP, side, 1, 100_000)) == (BTC, move, 0, 0)
    assert house.order(ANN, PERP, side, 0.5, 100_000)["worstAsset"] == 0


def test_a_link_that_settles_first_names_its_expiry(linked_house: Exchange) -> None:
    house = linked_house
    assert tell(house, **arrays()) == 0
    asset, move, expiry, _ = worst(house.order(ANN, SOON, "sell", 20_000, 0.2))
    assert (asset, expiry) == (BTC, STRIKES[SOON][3])
    assert expiry == START + DAY // 2
    assert 20_000 <= move <= 100_000  # Above the strike of 102,000, on the far side.


def test_an_event_names_its_outcome() -> None:
    house = Exchange().populate()
    house.deposit(ANN, 100)
    house.deposit(BOB, 1_000)
    house.trade(BOB, ANN, ALPHA, 50, 0.5)
    assert worst(house.order(ANN, BETA, "sell", 400, 0.5)) == (0, 0, 0, BETA)
    assert worst(house.order(ANN, LONE, "sell", 400, 0.5)) == (0, 0, 0, LONE)


def test_a_refused_replace_and_a_preview_say_it_too() -> None:
    house = Exchange().populate()
    house.deposit(ANN, 9_000)
    report = house.order(ANN, PERP, "buy", 0.5, 100_000)
    house.request("OrderCancelReplaceRequest", account=ANN, clOrdId=0, origClOrdId=0,
                  orderId=report["orderId"], instrument=PERP, orderQty=whole(1), echo=b"")
    assert worst(house.named("OrderCancelReject")[0]) == (BTC, -100_000, 0, 0)
    fields = {"tag": 0, "selfTradePrevention": 0, "triggerType": 0, "outcomeSide": 0, "clOrdId": 1}
    house.request("OrderPreviewRequest", account=ANN, requestId=1, instrument=PERP, side=2,
                  ordType=2, timeInForce=1, orderQty=whole(2), price=whole(100_000), echo=b"",
                  **fields)
    assert worst(house.named("OrderPreview")[0]) == (BTC, 100_000, 0, 0)
