"""Every reason a client can be refused for, in the order in which the rules are judged.

One order breaks every rule there is. Each row mends one thing; the next rule in line must be the
one reported, so the table is the precedence that clients rely on. What an enumeration cannot say
is patched into the message's bytes.
"""

from collections.abc import Iterator
from typing import Any

import pytest

import sbe.generated.order_entry as oe
from core.messages import encode
from tests.core.engine.table import ONE, PEOPLE, REASONS, SECOND, START, Table

pytestmark = pytest.mark.timeout(900)  # The first one compiles the engine.

ANN, BOB, AMY = PEOPLE["ann"], PEOPLE["bob"], PEOPLE["amy"]
PERP, CUP, KILO = 1, 3, 4
USED_ID = 7
LIMIT, STOP_LIMIT = 2, 4
GTC, IOC, FOK, GTD = 1, 3, 4, 6
POST, REDUCE = 1, 2
RAW = {  # Where a byte stands that the codec would refuse to write.
    "side": oe.NEW_ORDER_SINGLE_SIDE_OFFSET,
    "ordType": oe.NEW_ORDER_SINGLE_ORD_TYPE_OFFSET,
    "timeInForce": oe.NEW_ORDER_SINGLE_TIME_IN_FORCE_OFFSET,
    "selfTradePrevention": oe.NEW_ORDER_SINGLE_SELF_TRADE_PREVENTION_OFFSET,
}
HEADER = 8

BROKEN: dict[str, Any] = {
    "account": 150, "clOrdId": USED_ID, "instrument": 30, "side": 3, "ordType": 9,
    "timeInForce": 5, "execInst": POST | REDUCE, "selfTradePrevention": 7, "triggerType": 3,
    "outcomeSide": 1, "price": None, "stopPx": ONE, "orderQty": 0, "displayQty": ONE // 2,
    "expireTime": None, "tag": 0, "echo": b"",
}

# What is mended, and the reason that is then the first.
LADDER: tuple[tuple[dict[str, Any], str], ...] = (
    ({},                                                  "UnknownAccount"),
    ({"account": BOB},                                    "NotAuthorized"),
    ({"account": AMY},                                    "AccountState"),
    ({"account": ANN},                                    "UnknownInstrument"),
    ({"instrument": KILO},                                "InstrumentState"),
    ({"instrument": PERP},                                "DuplicateClOrdId"),
    ({"clOrdId": 8},                                      "InvalidSide"),
    ({"side": 1},                                         "InvalidOrdType"),
    ({"ordType": LIMIT},                                  "InvalidTimeInForce"),
    ({"timeInForce": IOC},                                "InvalidExecInst"),
    ({"execInst": REDUCE},                                "InvalidSelfTradePrevention"),
    ({"selfTradePrevention": 1},                          "InvalidTrigger"),
    ({"triggerType": 0},                                  "InvalidField"),
    ({"outcomeSide": 0},                                  "PriceRequired"),
    ({"price": 200 * ONE + 1},                            "PriceNotAllowed"),
    ({"stopPx": None, "ordType": STOP_LIMIT},             "PriceNotOnTick"),
    ({"price": 5000 * ONE},                               "PriceOutOfRange"),
    ({"price": 0},                                        "PriceOutOfRange"),
    ({"price": 200 * ONE},                                "StopPriceRequired"),
    ({"stopPx": ONE + 1},                                 "StopPriceNotOnTick"),
    ({"stopPx": 5000 * ONE},                              "StopPriceOutOfRange"),
    ({"ordType": LIMIT, "stopPx": None},                  "QuantityNotPositive"),
    ({"orderQty": 2 * ONE + 1},                           "QuantityNotOnLot"),
    ({"orderQty": ONE},                                   "QuantityBelowMinimum"),
    ({"orderQty": 10**9 * ONE},                           "QuantityAboveMaximum"),
    ({"orderQty": 5_000_000 * ONE},                       "InvalidDisplayQuantity"),
    ({"displayQty": None, "timeInForce": GTD},            "ExpireTimeRequired"),
    ({"expireTime": START},                               "ExpireTimePassed"),
    ({"expireTime": START + SECOND, "execInst": POST | REDUCE},  "PriceBand"),
    ({"price": 105 * ONE},                                "PostOnlyWouldTrade"),
    ({"execInst": REDUCE},                                "ReduceOnlyWouldIncrease"),
    ({"execInst": 0},                                     "PositionLimit"),
    ({"orderQty": 2_500_000 * ONE, "timeInForce": FOK},   "InsufficientMargin"),
    ({"orderQty": 10 * ONE},                              "FillOrKillNotFillable"),
    ({"orderQty": 5 * ONE},                               ""),
)


class Venue(Table):
    """The table's, with rules on the perpetual and things that are already so."""

    def __init__(self) -> None:
        super().__init__()
        for line in ("ann a1 buy 5 @ 90", "bob b1 sell 5 @ 101", "state kilo halted",
                     "account amy suspended"):
            assert not any("rejected" in said for said in self.say(line))
        assert self.submit(BROKEN | MENDED | {"clOrdId": USED_ID}) == ""

    def open_market(self, book: str, /, **fields: Any) -> None:
        """The perpetual has a minimum, a limit and a band."""
        if book == "perp":
            fields |= {"minimumQty": 2 * ONE, "positionLimit": 3_000_000 * ONE,
                       "maximumQty": 10_000_000 * ONE, "priceBand": 100_000}
        super().open_market(book, **fields)

    def submit(self, fields: dict[str, Any], session: int = ANN - 99) -> str:
        """Send an order, whatever it says; the reason it was rejected for, "" when it wasn't."""
        raw = {name: fields[name] for name in RAW}
        command = self.client("NewOrderSingle", ANN, **(fields | dict.fromkeys(raw, 1)))
        command.session = session
        body = bytearray(encode("NewOrderSingle", command.fields))
        for name, value in raw.items():
            body[HEADER + RAW[name]] = value
        said = self.engine.apply(command, bytes(body))
        first = next(event for event in said if event.name == "ExecutionReport").fields
        return REASONS[first["reason"]] if first["execType"] == "8" else ""


MENDED: dict[str, Any] = {}
for _mended, _ in LADDER:
    MENDED |= _mended
MENDED |= {"price": 90 * ONE, "timeInForce": GTC, "orderQty": 2 * ONE}


@pytest.fixture
def venue() -> Iterator[Venue]:
    """A venue, closed afterwards."""
    made = Venue()
    yield made
    made.engine.close()


def test_the_first_rule_that_fails_is_the_one_reported(venue: Venue) -> None:
    fields = dict(BROKEN)
    told = []
    for mended, _ in LADDER:
        fields |= mended
        told.append(venue.submit(fields))
    assert told == [reason for _, reason in LADDER]


def test_reasons_are_judged_in_the_order_of_the_schema() -> None:
    numbers = {name: value for value, name in REASONS.items()}
    # A field of the wrong kind of instrument, and who sees an account, are judged with their like.
    ladder = [numbers[reason] for _, reason in LADDER if reason and reason != "InvalidField"]
    assert ladder[:2] == [numbers["UnknownAccount"], numbers["NotAuthorized"]]
    assert ladder[2:] == sorted(ladder[2:])


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        (("dan d1 sell 5 in cup",), "NoLiquidity"),
        (("dan d1 buy 5 @ 0.5 in kilo",), "InstrumentState"),
        (("dan d1 buy 5 @ 1 in cup",), "PriceOutOfRange"),
        (("dan d1 buy 5 @ 0 in cup no",), "PriceOutOfRange"),
        (("dan d1 buy 5 @ 0.555 in cup",), "PriceNotOnTick"),
        (("dan d1 buy 5 @ 99 post ioc",), "InvalidExecInst"),
        (("dan d1 buy 5 @ 99 show 6",), "InvalidDisplayQuantity"),
        (("dan d1 buy 5 @ 99 gtd 0",), "ExpireTimePassed"),
        (("dan d1 buy 700000 @ 100 in spot",), "PoolCeiling"),
    ],
)
def test_one_rule_alone(venue: Venue, lines: tuple[str, ...], reason: str) -> None:
    said = [venue.say(line) for line in lines][-1]
    assert said == [f"d1 rejected: {reason}"]


def test_a_refused_order_leaves_nothing_behind(venue: Venue) -> None:
    before = venue.engine.picture()
    fields = dict(BROKEN)
    for mended, reason in LADDER[3:]:
        fields |= mended
        if reason:
            assert venue.submit(fields) == reason
    after = venue.engine.picture()
    assert after == before
