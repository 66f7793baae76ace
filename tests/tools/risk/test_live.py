"""A live account, read out of a core's state, is the account that its case file says."""

import json
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from core.config import Limits
from core.errors import CoreError
from core.margin_reference.account import equity
from core.margin_reference.case import read_file
from core.memory import Segment
from core.recovery import Replica
from tests.tools.audit.recorded import ABOVE, EXPIRY, OTHER, PERP, SECOND_NS, YES, Day
from tools.commands.margin import margin
from tools.commands.risk import risk
from tools.risk.live import case_of, content_of
from tools.supervisor.place import marker_path

SYMBOL = f"I{PERP}-PERPETUAL"

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def replica() -> Iterator[Replica]:
    """Account 107 is long 3 perpetuals and 5 of the outcome, short 4 of the price prediction."""
    day = Day()
    for instrument, price, quantity in ((PERP, 2040, 3), (YES, 60, 5), (ABOVE, 45, -4)):
        sides = ("buy", "sell") if quantity > 0 else ("sell", "buy")
        day.order(100, instrument, sides[1], price, abs(quantity))
        day.order(107, instrument, sides[0], price, abs(quantity))
    day.stream.add("SetMarkPrice", instrument=YES, rule=2, price=62 * 10**6, index=0, premium=0)
    replica = Replica(Limits(), None)
    replica.apply(memoryview(day.stream.take().tobytes()))
    yield replica
    replica.close()


def test_a_state_becomes_a_case(replica: Replica) -> None:
    content = content_of(replica.record[0], "107", EXPIRY - 600 * SECOND_NS)
    model, (case,) = read_file(content)
    (btc,) = case.underlyings
    (event,) = case.groups
    assert (btc.name, btc.index, btc.quantity, btc.mark) == (
        "BTC", Fraction("20.48"), 3, Fraction("20.48"))
    (link,) = btc.digitals
    assert (link.quantity, link.low, link.seconds) == (-4, Fraction("20.5"), 600)
    assert link.mark == Fraction("0.45")  # Nobody marked it: its last trade.
    assert [(o.name, o.quantity) for o in event.outcomes] == [("I2-OUTCOME", 5), ("I3-OUTCOME", 0)]
    assert event.outcomes[0].mark == Fraction("0.62")
    assert len(event.vertices) == OTHER
    # 10^7 deposited, bought at 20.40 what is marked at 20.48, 60 and 45 cents a prediction.
    paid = 5 * Fraction("0.60") - 4 * Fraction("0.45")
    worth = 5 * Fraction("0.62") - 4 * Fraction("0.45")
    assert equity(case) == 10**7 + 3 * Fraction("0.08") - paid + worth
    assert model.extremes


def test_it_is_read_from_shared_memory(
    replica: Replica, instance: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.json").write_text("{}")
    with pytest.raises(CoreError):
        case_of(instance, tmp_path, "107")
    content = replica.record.view(np.uint8)
    with Segment.create(instance, "state", -(-len(content) // 4096) * 4096) as segment:
        segment.array(np.uint8, len(content))[:] = content
        found = case_of(instance, tmp_path, "107")
        assert found["cases"][0]["underlyings"][0]["perp_qty"] == "3"
        with pytest.raises(CoreError, match="no account of the name or number nobody"):
            case_of(instance, tmp_path, "nobody")
        assert risk(account="107", instance=instance, data=tmp_path, json=True) == 0
        said = json.loads(capsys.readouterr().out)
        assert set(said["contributions"]) == {
            "BTC-PERP", "BTC:I4-PRICEABOVE", "event 1:I2-OUTCOME", "event 1:I3-OUTCOME"}
        assert said["maximum_loss"] == pytest.approx(3 * 20.48 + 5 * 0.62 + 4 * 0.55)
        wish_and_hedge(instance, tmp_path, capsys)
        segment.array(np.uint8, 8)[:] = 99  # Another layout.
        assert risk(account="107", instance=instance, data=tmp_path) == 1
        assert margin(account="107", instance=instance) == 1
        assert f"the state of {instance} has another layout" in capsys.readouterr().err


def wish_and_hedge(instance: str, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What an order would do to the account, and what hedges would free; or why it can't be."""
    capsys.readouterr()
    assert margin(account="107", instance=instance) == 1
    assert capsys.readouterr().err == f"onebook: no exchange of the name {instance} is running\n"
    marker_path(instance).write_text(f"1\n{data}\n")
    assert margin(account="107", instance=instance, what_if=[f"buy 1 {SYMBOL} @ 20.48"]) == 0
    shown = capsys.readouterr().out
    for row in ("orders resting", "orders filled", "frees", "of the BTC perpetual"):
        assert row in shown
    for words, rule in (
        (f"buy 9999999999999 {SYMBOL} @ 20.48", "expected balance, perp_qty and orders worth"),
        (f"buy 1 {SYMBOL} @ 20.481", f"price: expected a multiple of {SYMBOL}'s tick 0.01"),
        ("buy 1 ETH-PERP @ 20", "there is no instrument ETH-PERP"),
    ):
        assert margin(account="107", instance=instance, what_if=[words]) == 1
        error = capsys.readouterr().err
        assert rule in error
        assert error.count("\n") == 1
    marker_path(instance).unlink()
