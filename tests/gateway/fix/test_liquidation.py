"""What a desk hears over FIX of a liquidation, its own or one it was made part of."""

from gateway.fix.message import Message
from sbe.generated import order_entry as oe
from tests.gateway.fix.stage import Desk, Stage

M, ONE = 10**6, 10**8


def report(on: Stage, **fields: object) -> None:
    plain = {
        "certificate": 7, "step": 3, "account": 100, "stage": oe.LIQUIDATION_STAGE_BOOK_ORDER,
        "role": 0, "instrument": 1, "quantity": -ONE // 10, "value": -9_340 * M,
        "position": 9 * ONE // 10, "equity": 5_500 * M, "initialMargin": 9_350 * M,
        "maintenanceMargin": 5_610 * M,
    }
    on.call(lambda: on.aid.emit("LiquidationReport", 1, plain | fields))


def test_each_step_is_news_in_words(stage: Stage, desk: Desk) -> None:
    report(stage)
    news: Message = desk.expect("B")
    assert news.get(148) == b"liquidation 7 of acme.main, step 3"
    text = (news.get(58) or b"").decode()
    assert text.startswith("closed on the book; BTC-USDC -0.1 for -9340, now 0.9")
    assert "maintenance margin 5610" in text


def test_the_deleveraged_hear_what_it_cost(stage: Stage, desk: Desk) -> None:
    report(stage, role=oe.LIQUIDATION_ROLE_DELEVERAGED, refund=3_000 * M,
           stage=oe.LIQUIDATION_STAGE_DELEVERAGING)
    news = desk.expect("B")
    assert news.get(148) == b"liquidation 7: auto-deleveraging of acme.main"
    assert "3000 to the insurance account" in (news.get(58) or b"").decode()
