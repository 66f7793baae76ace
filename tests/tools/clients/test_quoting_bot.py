"""What the example market maker decides, without a socket."""

import numpy as np

from core.messages import encode
from sbe.generated import order_entry as oe
from tools.clients.binary import Event
from tools.clients.feed import InstrumentBook
from tools.clients.quoting_bot import Quoter, Terms

ONE = 10**8
SIZE = ONE // 100


def book(mark=100 * ONE):
    made = InstrumentBook(4)
    made.definition, made.mark = {"tickSize": ONE // 10}, mark
    return made


def fill(side, quantity, outcome_side=0):
    block = np.zeros(1, oe.EXECUTION_REPORT)
    row = block[0]
    row["execType"], row["instrument"], row["side"] = oe.EXEC_TYPE_TRADE, 4, side
    row["lastQty"], row["outcomeSide"] = quantity, outcome_side
    header = bytes(oe.HEADER_SIZE)
    return Event(oe.EXECUTION_REPORT_TEMPLATE, 1, 1, False, header + block.tobytes())


def test_quotes_stand_around_the_mark_on_ticks():
    quote = Quoter(Terms(SIZE)).quote(book())
    assert quote == (4, 99 * ONE + 9 * ONE // 10, SIZE, 100 * ONE + ONE // 10, SIZE)


def test_without_a_mark_there_is_no_quote():
    assert Quoter(Terms(SIZE)).quote(book(None)) is None


def test_it_leans_against_what_it_holds():
    quoter = Quoter(Terms(SIZE, lean=1000))
    flat = quoter.quote(book())
    for _ in range(5):
        quoter.event(fill(oe.SIDE_BUY, SIZE))
    assert quoter.positions == {4: 5 * SIZE}
    long = quoter.quote(book())
    assert long[1] < flat[1]
    assert long[3] < flat[3]


def test_beyond_its_limit_it_only_reduces():
    quoter = Quoter(Terms(SIZE, most=3))
    quoter.event(fill(oe.SIDE_SELL, 3 * SIZE))
    _, bid, _, offer, size = quoter.quote(book())
    assert bid is not None
    assert (offer, size) == (None, None)


def test_a_bought_no_is_a_sold_yes():
    quoter = Quoter(Terms(SIZE))
    quoter.event(fill(oe.SIDE_BUY, SIZE, oe.OUTCOME_SIDE_NO))
    assert quoter.positions == {4: -SIZE}


def test_protection_is_noticed():
    quoter = Quoter(Terms(SIZE))
    quoter.event(Event(oe.PROTECTION_TRIGGERED_TEMPLATE, 1, 1, False, b""))
    assert quoter.stopped


def said(name, **fields):
    header = {"transactTime": 1, "msgSeqNum": 1, "lastAppliedSeqNo": 1}
    message = encode(name, {"header": header} | fields)
    return Event(int.from_bytes(message[2:4], "little"), 1, 1, False, message)


def test_what_it_held_before_is_where_it_begins():
    quoter = Quoter(Terms(SIZE))
    quoter.event(said(
        "PositionReport", requestId=1, account=102, instrument=4, position=-2 * SIZE,
        entryValue=0, unsettled=0, realized=0, mark=ONE, echo=b"",
    ))
    quoter.event(fill(oe.SIDE_BUY, SIZE))
    assert quoter.positions == {4: -SIZE}


def test_it_says_what_it_is_refused():
    quoter = Quoter(Terms(SIZE))
    quote = {"instrument": 4, "bidReason": 0, "offerReason": oe.REASON_PRICE_BAND,
             "bidOrderId": 7, "offerOrderId": None}
    ack = {"quoteId": 1, "account": 102, "quoteSetId": 1, "reason": 0}
    assert quoter.words(said("MassQuoteAck", **ack, quotes=[quote])) == "quotes refused: price band"
    standing = quote | {"offerReason": 0, "offerOrderId": 8}
    assert quoter.words(said("MassQuoteAck", **ack, quotes=[standing])) == ""
    tripped = {"account": 102, "underlying": 1, "trigger": 1, "canceled": 3, "measured": 5,
               "limit": 4}
    event = said("ProtectionTriggered", **tripped)
    quoter.event(event)
    assert quoter.stopped
    assert quoter.words(event) == "protection took out 3 quotes"
