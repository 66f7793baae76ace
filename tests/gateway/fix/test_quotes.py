"""Mass quotes: sets and entries keep the names the client gave them."""

import pytest

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
