"""The initial base rises with open interest: with a mark, or with the arrays that span it."""

import pytest

from tests.core.engine.exchange import ANN, BOB, BTC, PERP, whole
from tests.core.engine.liquidation.kit import MICRO, SECOND, Court, court
from tests.core.engine.margin.test_scan import MONTH, Link, Ranges, risk_arrays

START, END, MOST, DIGITAL = 30, 31, 32, 20


@pytest.fixture
def house() -> Court:
    """A market whose base goes from 10 % at 1 million to 40 % at 4 million of open interest."""
    made = court()
    for account in (ANN, BOB):
        made.deposit(account, 10_000_000)
    assert made.parameter(END, 4_000_000 * MICRO, PERP) == 0
    assert made.parameter(MOST, 400_000, PERP) == 0
    assert made.parameter(START, 1_000_000 * MICRO, PERP) == 0
    return made


def base(house: Court) -> int:
    return int(house.s["instruments"][PERP]["margin_base_initial"])


def test_a_larger_market_requires_more_of_new_positions(house: Court) -> None:
    house.trade(ANN, BOB, PERP, 10, 100_000)
    house.mark(PERP, 100_000.1)
    assert base(house) == 101_000  # 1 USDC above the start: the next tenth of a percent.
    maintenance = house.margin(ANN)[2]
    house.trade(ANN, BOB, PERP, 15, 100_000)
    assert base(house) == 101_000  # Not with the trade: with the next mark.
    house.mark(PERP, 100_000)
    assert base(house) == 250_000
    assert house.named("MarkPriceChanged")[0]["initialBase"] == 250_000
    assert house.margin(ANN)[1] == 625_000 * MICRO
    assert house.margin(ANN)[2] == pytest.approx(maintenance * 2.5, rel=1e-3)
    house.trade(ANN, BOB, PERP, 25, 100_000)
    house.mark(PERP, 100_000.1)
    assert base(house) == 400_000
    house.trade(BOB, ANN, PERP, 50, 100_000)
    house.mark(PERP, 100_000)
    assert base(house) == 100_000


def test_where_links_are_netted_the_arrays_bring_the_base(house: Court) -> None:
    assert house.list(DIGITAL, 4, 0.01, 1, expiry=MONTH, lowerStrike=whole(100_000)) == 0
    house.mark(DIGITAL, 0.5)
    link = Link(DIGITAL, 4, whole(100_000), 0, MONTH, whole(0.5))

    def tell(initial: int) -> int:
        fields = risk_arrays([link], whole(100_000), house.time, 0.5, Ranges(initial, 60_000))
        return house.send("SetRiskArray", 0, 6, asset=BTC, **fields)

    assert tell(100_000) == 0
    house.trade(ANN, BOB, PERP, 25, 100_000)
    house.mark(PERP, 100_000.1)
    assert base(house) == 100_000
    wanted = house.named("MarkPriceChanged")[0]["initialBase"]
    assert wanted == 251_000
    assert tell(200_000) != 0
    assert tell(wanted) == 0
    assert base(house) == wanted
    house.trade(ANN, BOB, PERP, 15, 100_000)
    house.time += 61 * SECOND  # Without fresh arrays nothing is netted, and it needs none.
    house.mark(PERP, 100_000.2)
    assert base(house) == 400_000


def test_the_scale_is_a_risk_parameter(house: Court) -> None:
    assert house.parameter(START, 4_000_000 * MICRO, PERP) != 0  # Not below the end.
    assert house.parameter(START, 2_000_000 * MICRO, PERP) == 0
    changed = house.named("RiskParameterChanged")[0]
    assert changed["state"] == 2  # Proposed: it loosens.
    assert house.s["markets"][PERP]["scale_start"] == 1_000_000 * MICRO
    assert house.parameter(MOST, 900_001, PERP) != 0
