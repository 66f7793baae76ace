"""Mass quotes: sets and entries keep the names the client gave them."""

import pytest

from core.reference import Instrument, ReferenceData
from gateway.fix.quoting import QUOTE_SET_MAX, refusal_text
from sbe.generated import order_entry as oe
from tests.gateway.fix.kit import flat
from tests.gateway.fix.stage import Desk, Stage

ONE_SET = ("117=Q1|296=1|302=S1|295=2|299=E1|55=BTC-USDC|132=99|133=101|134=1|135=2"
           "|299=E2|55=BTC-PERP|132=98.5|134=0")


def test_each_quote_is_acknowledged_by_its_own_name(desk: Desk, stage: Stage) -> None:
    desk.send("i", ONE_SET)
    ack = desk.expect("b", _117="Q1", _297=0, _302="S1", _295=2)
    entries = [(t, v.decode()) for t, v in ack if t in (299, 55, 300, 21020)]
    assert entries == [(299, "E1"), (55, "BTC-USDC"), (299, "E2"), (55, "BTC-PERP"), (300, "99"),
                       (21020, "21")]
    assert ack.text(58) == "bid: quantity 0 isn't above 0 (tag 134)"
    _, _, sent = [c for c in stage.aid.commands if c[1] == "MassQuote"][-1]
    first, second = (flat(quote) for quote in sent["quotes"])
    assert first == {"instrument": 1, "bidPx": 99 * 10**8, "bidSize": 10**8,
                     "offerPx": 101 * 10**8, "offerSize": 2 * 10**8}
    assert second["offerPx"] is None, "no offer"


def test_two_sets_are_two_commands_and_one_number(desk: Desk, stage: Stage) -> None:
    desk.send("i", "117=Q2|296=2|302=A|295=1|299=1|55=BTC-USDC|132=99|134=1"
                   "|302=B|295=1|299=1|55=BTC-PERP|132=99|134=1")
    assert {desk.expect("b", _117="Q2").text(302) for _ in range(2)} == {"A", "B"}
    numbers = [f["header"]["msgSeqNum"] for _, n, f in stage.aid.commands if n == "MassQuote"][-2:]
    assert numbers == [0, 2]
    desk.send("1", "112=on")
    desk.expect("0", _112="on")


@pytest.mark.parametrize(("level", "answers"), [(0, 0), (1, 1), (2, 1)])
def test_the_client_says_how_much_it_wants_to_hear(
    desk: Desk, level: int, answers: int
) -> None:
    desk.send("i", f"301={level}|{ONE_SET}")
    if answers:
        ack = desk.expect("b")
        assert ack.text(295) == ("1" if level == 1 else "2")
    else:
        desk.expect("4", _123="Y")


def test_sets_of_any_name_have_numbers_that_the_core_takes(desk: Desk, stage: Stage) -> None:
    for n in range(20):
        desk.send("i", f"117=Q|296=1|302=SET-{n}|295=1|299=1|55=BTC-USDC|132=99|134=1")
        desk.expect("b", _302=f"SET-{n}")
    numbers = {f["quoteSetId"] for _, n, f in stage.aid.commands if n == "MassQuote"}
    assert len(numbers) >= 20
    assert max(numbers) <= QUOTE_SET_MAX


def test_a_refused_quote_names_rule_value_and_limit() -> None:
    instrument = Instrument(
        1, "X", 1, 2, 0, 1, 0, 0, 50_000_000, 1_000_000, 2_000_000, 10**9, 10**12, None, None, None,
        1, b"", "")
    told = {
        oe.REASON_PRICE_NOT_ON_TICK: "price 7.3 isn't a multiple of tick 0.5 (tag 44)",
        oe.REASON_QUANTITY_NOT_ON_LOT: "quantity 0.005 isn't a multiple of lot 0.01 (tag 38)",
        oe.REASON_QUANTITY_BELOW_MINIMUM: "quantity 0.005 is below the minimum 0.02 (tag 38)",
        oe.REASON_PRICE_BAND: "price band", oe.REASON_INSUFFICIENT_MARGIN: "insufficient margin",
        oe.REASON_KILL_SWITCH: "trading is stopped by the kill switch",
    }
    for reason, text in told.items():
        said = refusal_text(reason, ReferenceData(), instrument, 730_000_000, 500_000)
        assert said == text
    assert refusal_text(oe.REASON_PRICE_NOT_ON_TICK) == "price not on tick"


def test_what_can_not_be_quoted_is_named(desk: Desk) -> None:
    desk.send("i", ONE_SET.replace("BTC-PERP", "NONE"))
    desk.expect("b", _117="Q1", _297=5, _58="there is no instrument NONE (tag 55)")
    desk.send("i", ONE_SET.replace("295=2", "295=3"))
    desk.expect("3", _371=295, _373=16)


def test_quotes_are_cancelled_by_symbol_or_all_at_once(desk: Desk, stage: Stage) -> None:
    desk.send("Z", "117=Q1|298=4")
    desk.send("Z", "117=Q1|298=1|295=2|55=BTC-USDC|55=BTC-PERP")
    desk.send("1", "112=on")
    desk.expect("0", _112="on")
    sent = [(f["instrument"], f["header"]["msgSeqNum"])
            for _, n, f in stage.aid.commands if n == "QuoteCancel"][-3:]
    assert sent == [(None, 2), (1, 0), (2, 3)]
    desk.send("Z", "117=Q1|298=1|295=1|55=NONE")
    desk.expect("j", _372="Z", _380=2)
