"""Execution reports: every field of the event is in the message, and simplefix reads it so."""

from decimal import Decimal
from typing import Any

import numpy as np
import pytest
import simplefix
from hypothesis import given, settings
from hypothesis import strategies as st

from core.config import decimal_text
from core.messages import encode
from gateway.fix.report import put_report
from gateway.fix.texts import REJECTS, refusals, reject_of
from sbe.generated import order_entry as oe
from tests.gateway.fix.kit import NOW, Scanner, stamp, venue

NULL: dict[str, Any] = {
    "price": None, "lastPx": None, "lastQty": None, "tradeId": None, "stopPx": None,
    "expireTime": None, "displayQty": None,
}
PLAIN: dict[str, Any] = NULL | {
    "orderId": 9, "clOrdId": 1, "execId": 33, "account": 100, "instrument": 2,
    "price": 64000_50000000, "orderQty": 3 * 10**8, "cumQty": 0, "leavesQty": 3 * 10**8,
    "cumValue": 0, "side": 2, "ordType": 2, "timeInForce": 1, "execInst": 0, "execType": ord("0"),
    "ordStatus": ord("0"), "reason": 0, "fee": 0, "visibleQty": 3 * 10**8, "origClOrdId": 0,
    "detail": 0, "limit": 0, "tag": 0, "flags": 0, "lastLiquidity": 0, "outcomeSide": 0,
    "selfTradePrevention": 0, "triggerType": 0, "quoteSetId": 0, "owner": 100,
    "echo": b"11=A1\x011=acme.sub\x0141=A0\x01",
}
FILL = PLAIN | {
    "execType": ord("F"), "ordStatus": ord("1"), "cumQty": 2 * 10**8, "leavesQty": 10**8,
    "cumValue": 128_001_000_000, "lastPx": 64000_50000000, "lastQty": 10**8, "tradeId": 77,
    "fee": -1_250_000, "lastLiquidity": 1,
}


class Writer:
    """Formats events as the walk would, for one connection."""

    def __init__(self) -> None:
        self.scanner = Scanner()
        self._out = np.zeros(4096, np.uint8)

    def write(
        self, number: int, fields: dict[str, Any], again: int = 0, extra: bytes = b""
    ) -> bytes:
        head = {"transactTime": NOW, "msgSeqNum": number, "lastAppliedSeqNo": 0}
        message = encode("ExecutionReport", {"header": head} | fields)
        frame = np.frombuffer(bytes(16) + message + bytes(64), np.uint8)
        more = np.frombuffer(extra + bytes(8), np.uint8)
        length = put_report(
            int(self._out.ctypes.data), self.scanner.connection.address,
            self.scanner.context.address, int(frame.ctypes.data), number, NOW, again,
            int(more.ctypes.data), len(extra),
        )
        return bytes(self._out[:length])


@pytest.fixture
def writer() -> Writer:
    return Writer()


def pairs(raw: bytes) -> dict[int, bytes]:
    """The fields as simplefix reads them; length and sum are checked here, it does not."""
    parser = simplefix.FixParser()
    parser.append_buffer(raw)
    message = parser.get_message()
    assert parser.get_message() is None
    fields = {int(tag): bytes(value) for tag, value in message.pairs}
    assert len(fields) == len(message.pairs), "no tag twice"
    start = raw.index(b"\x0135=") + 1
    assert int(fields[9]) == len(raw) - 7 - start
    assert fields[10] == b"%03d" % (sum(raw[:-7]) % 256)
    return fields


def test_an_acknowledgement_to_the_letter(writer: Writer) -> None:
    assert writer.write(5, PLAIN).replace(b"\x01", b"|").decode() == (
        "8=FIX.4.4|9=181|35=8|49=EXEC|56=CLIENT|34=5|52=20260921-14:13:20.123|37=9|11=A1|"
        "1=acme.sub|17=33|150=0|39=0|55=BTC-PERP|54=2|38=3|40=2|44=64000.5|59=1|151=3|14=0|6=0|"
        "60=20260921-14:13:20.123000000|10=254|"
    )


def test_a_fill_tells_price_fee_match_and_average(writer: Writer) -> None:
    fields = pairs(writer.write(6, FILL))
    expected = {
        150: "F", 39: "1", 32: "1", 31: "64000.5", 880: "77", 851: "1", 12: "-1.25", 13: "3",
        479: "USDC", 151: "1", 14: "2", 6: "64000.5",
    }
    assert {tag: fields[tag].decode() for tag in expected} == expected
    assert 41 not in fields, "41 belongs to reports of a change"


def test_a_report_of_a_change_keeps_the_original_id(writer: Writer) -> None:
    fields = pairs(writer.write(6, PLAIN | {"execType": ord("5"), "origClOrdId": 12}))
    assert (fields[11], fields[41]) == (b"A1", b"A0")


def test_a_cancel_says_why(writer: Writer) -> None:
    fields = pairs(writer.write(6, PLAIN | {"execType": ord("4"), "reason": 72}))
    assert (fields[21020], fields[58]) == (b"72", b"rest of an immediate order")


def test_words_of_python_stand_at_the_end(writer: Writer) -> None:
    extra = b"103=13\x0158=quantity 3 isn't a multiple of lot 2 (tag 38)\x01"
    fields = pairs(writer.write(6, PLAIN | {"execType": ord("8")}, extra=extra))
    assert (fields[103], fields[58]) == (b"13", b"quantity 3 isn't a multiple of lot 2 (tag 38)")


def test_all_fields_of_a_rare_order(writer: Writer) -> None:
    fields = pairs(writer.write(1, PLAIN | {
        "stopPx": 5 * 10**7, "execInst": 7, "displayQty": 10**8, "outcomeSide": 1,
        "expireTime": NOW, "timeInForce": 6, "echo": b""}))
    expected = {99: b"0.5", 18: b"6 E H", 1138: b"1", 21011: b"N", 126: stamp(digits=9), 59: b"6"}
    assert {tag: fields[tag] for tag in expected} == expected
    assert 11 not in fields


def test_a_resend_differs_in_five_fields(writer: Writer) -> None:
    later = NOW + 3_000_000_000
    first, again = pairs(writer.write(6, FILL)), pairs(writer.write(6, FILL, later))
    assert again.pop(43) == b"Y"
    assert again.pop(122) == first[52] == stamp()
    assert again.pop(52) == stamp(later)
    for tag in (52, 9, 10):
        first.pop(tag), again.pop(tag, None)
    assert again == first


@given(
    st.integers(1, 10**15), st.integers(1, 10**13), st.integers(1, 9 * 10**15),
    st.integers(-(10**12), 10**12), st.integers(1, 2**31), st.integers(0, 160),
)
@settings(max_examples=300, deadline=None)
def test_numbers_of_any_size(
    price: int, quantity: int, filled: int, fee: int, number: int, echo: int
) -> None:
    value = price * filled // 10**10  # units of 1e-6
    if value >= 2**62:
        return
    text = (b"11=" + b"x" * (echo - 4) + b"\x01") if echo > 4 else b""
    fields = pairs(Writer().write(number, FILL | {
        "price": price, "lastPx": price, "lastQty": quantity, "cumQty": filled,
        "cumValue": value, "fee": fee, "echo": text}))
    assert int(fields[34]) == number
    assert fields[44].decode() == decimal_text(price)
    assert fields[32].decode() == decimal_text(quantity)
    assert Decimal(fields[12].decode()) == Decimal(fee).scaleb(-6)
    exact = price if filled == quantity else value * 10**10 // filled
    assert fields[6].decode() == decimal_text(exact)
    assert fields.get(11, b"") == text[3:-1]


AMOUNTS = st.integers(-(10**18), 10**18)


@given(reason=st.sampled_from(sorted(refusals())), detail=AMOUNTS, limit=AMOUNTS)
def test_a_refusal_says_in_compiled_code_what_python_says(
    reason: int, detail: int, limit: int
) -> None:
    writer = Writer()
    refused = {"execType": ord("8"), "ordStatus": ord("8"), "reason": reason}
    raw = writer.write(5, PLAIN | refused | {"detail": detail, "limit": limit})
    reference = venue()
    expected = reject_of(reason, detail, limit, reference.instruments[2], reference)
    said = pairs(raw)
    assert said[58].decode() == expected.text
    assert int(said[103]) == expected.order
    assert int(said[21020]) == reason


def test_a_refusal_says_nothing_of_terms_that_were_not_kept(writer: Writer) -> None:
    kept = pairs(writer.write(5, PLAIN | {"ordStatus": ord("8"), "reason": 21}))
    gone = pairs(writer.write(5, PLAIN | {"ordStatus": ord("8"), "reason": 21, "orderQty": 0}))
    assert 38 in kept
    assert 38 not in gone


def test_a_refusal_without_words_here_still_gives_its_reason(writer: Writer) -> None:
    without = oe.REASON_USER_REQUEST
    said = pairs(writer.write(5, PLAIN | {"ordStatus": ord("8"), "reason": without}))
    assert without not in REJECTS
    assert int(said[21020]) == without
    assert 58 not in said
