"""An ExecutionReport event as a FIX message, compiled.

    8=FIX.4.4␁9=341␁35=8␁49=…␁56=…␁34=9␁52=…␁37=…␁ echo 17=…␁150=…␁39=…␁ … 60=…␁10=087␁
    └ begin        └ body ─────────────────────────────────────────────────────┘└ sum

The body is written where it will stand if its length has three digits, and moved by a byte if it
has not. Every field comes from the event, so the same event gives the same bytes for ever:
SendingTime is the time the core stamped, and a resend differs only in 43, 52, 122, 9 and 10.

Field order: 37, echo (11, 1, 526, 41), 17, 150, 39, 55, 21011, 54, 38, 40, 44, 99, 59, 126, 18,
1138, 32, 31, 880, 851, 12, 13, 479, 151, 14, 6, 60, 378, 21020, then 58 or what Python adds.
"""

from core.jit import jit
from gateway.fix.numbers import (
    SOH,
    ZERO,
    average,
    checksum,
    put_decimal,
    put_digits,
    put_integer,
    put_scaled,
    put_time,
)
from gateway.fix.records import (
    C_BEGIN,
    C_BEGIN_LENGTH,
    C_PREFIX,
    C_PREFIX_LENGTH,
    C_TIME_CACHE,
    EVENT_BODY_AT,
    I_CURRENCY,
    I_CURRENCY_LENGTH,
    I_DECIMALS,
    I_SYMBOL,
    I_SYMBOL_LENGTH,
    INSTRUMENT_SIZE,
    R_LENGTH,
    R_TEXT,
    REASON_SIZE,
    T_INSTRUMENT_COUNT,
    T_INSTRUMENTS,
    T_REASON_COUNT,
    T_REASONS,
)
from gateway.fix.refusal import put_refusal, refusal_of
from sbe.generated import order_entry as oe
from sbe.raw import copy, load_i64, load_u8, load_u32, store_i64, store_u8

REPORT_BYTES_MAX = 1536  # no report is longer, whatever its fields
POSSIBLE_RESEND = -1  # in place of the time of a resend: an event sent under a new number
NULL = -(1 << 63)
SECOND_NS = 1_000_000_000

_TRADE, _RESTATED, _REJECTED = ord("F"), ord("D"), ord("8")


def _word(text: bytes) -> int:
    """Up to eight bytes as the integer that stores them."""
    return int.from_bytes(text, "little", signed=len(text) == 8)


_35, _34, _43, _97, _52, _122 = (
    _word(t) for t in (b"35=8\1", b"34=", b"43=Y\1", b"97=Y\1", b"52=", b"122="))
_37, _17, _150, _39, _55, _54, _38, _40 = (
    _word(b"%d=" % t) for t in (37, 17, 150, 39, 55, 54, 38, 40))
_44, _99, _59, _126, _18, _1138, _32, _31 = (
    _word(b"%d=" % t) for t in (44, 99, 59, 126, 18, 1138, 32, 31))
_880, _851, _12, _479, _151, _14, _6, _60 = (
    _word(b"%d=" % t) for t in (880, 851, 12, 479, 151, 14, 6, 60))
_378, _21020, _58, _10 = (_word(b"%d=" % t) for t in (378, 21020, 58, 10))
_POST, _REDUCE, _SURVIVE, _99_END = (_word(t) for t in (b"6 ", b"E ", b"H ", b"99\1"))
_35_4, _36, _123 = _word(b"35=4\1"), _word(b"36="), _word(b"123=Y\1")
_NO, _13, _41 = _word(b"21011=N\1"), _word(b"13=3\1"), _word(b"41=")

_ORDER_ID, _EXEC_ID = oe.EXECUTION_REPORT_ORDER_ID_OFFSET, oe.EXECUTION_REPORT_EXEC_ID_OFFSET
_TRADE_ID, _EXPIRE = oe.EXECUTION_REPORT_TRADE_ID_OFFSET, oe.EXECUTION_REPORT_EXPIRE_TIME_OFFSET
_ORIGINAL = oe.EXECUTION_REPORT_ORIG_CL_ORD_ID_OFFSET


@jit
def put(a: int, word: int, length: int) -> int:
    """The first `length` bytes of a word at an address; the address after them."""
    store_i64(a, word)
    return a + length


@jit
def end_field(a: int) -> int:
    """A separator at an address; the address after it."""
    store_u8(a, SOH)
    return a + 1


@jit
def put_short_time(a: int, time: int, cache: int) -> int:
    """A UTCTimestamp with milliseconds; the text of the last second is kept at `cache`."""
    second = time // SECOND_NS
    if load_i64(cache) != second:
        put_time(cache + 8, second * SECOND_NS)
        store_i64(cache, second)
    copy(a, cache + 8, 18)
    return put_digits(a + 18, (time - second * SECOND_NS) // 1_000_000, 3)


@jit
def put_long_time(a: int, time: int, cache: int) -> int:
    """A UTCTimestamp with nanoseconds; the text of the last second is kept at `cache`."""
    second = time // SECOND_NS
    if load_i64(cache) != second:
        put_time(cache + 8, second * SECOND_NS)
        store_i64(cache, second)
    copy(a, cache + 8, 18)
    return put_digits(a + 18, time - second * SECOND_NS, 9)


@jit
def put_head(a: int, c: int, number: int, time: int, again: int) -> int:
    """35=8 and the header after it.

    time: when it got its number. again: 0; or the time of a resend, then `time` goes to 122. Of an
    event sent under a new number it is POSSIBLE_RESEND, and the time of a resend is negative.
    """
    a = put(a, _35, 5)
    length = load_i64(c + C_PREFIX_LENGTH)
    copy(a, c + C_PREFIX, length)
    a = end_field(put_integer(put(a + length, _34, 3), number))
    cache = c + C_TIME_CACHE
    if again < 0:
        a = put(a, _97, 5)
    if again != 0 and again != POSSIBLE_RESEND:
        a = put(a, _43, 5)
        a = end_field(put_short_time(put(a, _52, 3), abs(again), cache))
        return end_field(put_short_time(put(a, _122, 4), time, cache))
    return end_field(put_short_time(put(a, _52, 3), time, cache))


@jit
def put_echo(a: int, echo: int, original: bool) -> int:
    """The echo of an event without its length; its 41 only where the report is of a change."""
    length = load_u8(echo)
    if length == 0:
        return a
    if not original:
        at = length - 1
        while at > 0 and load_u8(echo + at) != SOH:
            at -= 1
        last = echo + at + 1
        if at > 0 and load_u32(last) & 0xFFFFFF == _41:
            length = at
    copy(a, echo + 1, length)
    return a + length


@jit
def put_order(a: int, e: int, instrument: int) -> int:
    """The fields that describe the order itself."""
    length = load_i64(instrument + I_SYMBOL_LENGTH)
    a = put(a, _55, 3)
    copy(a, instrument + I_SYMBOL, length)
    a = end_field(a + length)
    if oe.execution_report_outcome_side(e) == oe.OUTCOME_SIDE_NO:
        a = put(a, _NO, 8)
    a = put(a, _54, 3)
    store_u8(a, ZERO + oe.execution_report_side(e))
    a = end_field(a + 1)
    quantity = oe.execution_report_order_qty(e)
    if quantity != 0:  # The core keeps no terms of an order that it refused for them.
        a = end_field(put_decimal(put(a, _38, 3), quantity))
    a = put(a, _40, 3)
    store_u8(a, ZERO + oe.execution_report_ord_type(e))
    a = end_field(a + 1)
    if oe.execution_report_price(e) != NULL:
        a = end_field(put_decimal(put(a, _44, 3), oe.execution_report_price(e)))
    if oe.execution_report_stop_px(e) != NULL:
        a = end_field(put_decimal(put(a, _99, 3), oe.execution_report_stop_px(e)))
    a = put(a, _59, 3)
    store_u8(a, ZERO + oe.execution_report_time_in_force(e))
    a = end_field(a + 1)
    expire = load_i64(e + _EXPIRE)
    if expire > 0:
        a = end_field(put_time(put(a, _126, 4), expire))
    if oe.execution_report_exec_inst(e):
        a = put_instructions(put(a, _18, 3), oe.execution_report_exec_inst(e))
    if oe.execution_report_display_qty(e) != NULL:
        a = end_field(put_decimal(put(a, _1138, 5), oe.execution_report_display_qty(e)))
    return a


@jit
def put_instructions(a: int, bits: int) -> int:
    """ExecInst letters with spaces between, and the separator."""
    if bits & oe.EXEC_INST_POST_ONLY:
        a = put(a, _POST, 2)
    if bits & oe.EXEC_INST_REDUCE_ONLY:
        a = put(a, _REDUCE, 2)
    if bits & oe.EXEC_INST_SURVIVE_DISCONNECT:
        a = put(a, _SURVIVE, 2)
    return end_field(a - 1)


@jit
def put_trade(a: int, e: int, instrument: int) -> int:
    """Quantity, price, match, liquidity and fee of a fill."""
    a = end_field(put_decimal(put(a, _32, 3), oe.execution_report_last_qty(e)))
    a = end_field(put_decimal(put(a, _31, 3), oe.execution_report_last_px(e)))
    a = end_field(put_integer(put(a, _880, 4), load_i64(e + _TRADE_ID)))
    liquidity = oe.execution_report_last_liquidity(e)
    a = put(a, _851, 4)
    store_u8(a, ZERO + (4 if liquidity == 3 else 1 if liquidity == 1 else 2))
    a = put(end_field(a + 1), _12, 3)
    fee = oe.execution_report_fee(e)
    a = end_field(put_scaled(a, fee, load_i64(instrument + I_DECIMALS)))
    a = put(put(a, _13, 5), _479, 4)
    length = load_i64(instrument + I_CURRENCY_LENGTH)
    copy(a, instrument + I_CURRENCY, length)
    return end_field(a + length)


@jit
def put_reason(a: int, t: int, reason: int) -> int:
    """Our own code of why, and its text."""
    a = end_field(put_integer(put(a, _21020, 6), reason))
    if reason < load_i64(t + T_REASON_COUNT):
        row = load_i64(t + T_REASONS) + reason * REASON_SIZE
        length = load_i64(row + R_LENGTH)
        if length:
            a = put(a, _58, 3)
            copy(a, row + R_TEXT, length)
            a = end_field(a + length)
    return a


@jit
def put_body(a: int, c: int, t: int, e: int, echo: int, extra: int, extra_length: int) -> int:
    """All fields after the header but the sum."""
    number = oe.execution_report_instrument(e)
    if number >= load_i64(t + T_INSTRUMENT_COUNT):
        number = 0
    instrument = load_i64(t + T_INSTRUMENTS) + number * INSTRUMENT_SIZE
    kind = oe.execution_report_exec_type(e)
    a = end_field(put_integer(put(a, _37, 3), load_i64(e + _ORDER_ID)))
    a = put_echo(a, echo, load_i64(e + _ORIGINAL) != 0)
    a = end_field(put_integer(put(a, _17, 3), load_i64(e + _EXEC_ID)))
    a = put(a, _150, 4)
    store_u8(a, kind)
    a = put(end_field(a + 1), _39, 3)
    store_u8(a, oe.execution_report_ord_status(e))
    a = put_order(end_field(a + 1), e, instrument)
    if kind == _TRADE:
        a = put_trade(a, e, instrument)
    filled = oe.execution_report_cum_qty(e)
    a = end_field(put_decimal(put(a, _151, 4), oe.execution_report_leaves_qty(e)))
    a = end_field(put_decimal(put(a, _14, 3), filled))
    a = put(a, _6, 2)
    if filled == 0:
        store_u8(a, ZERO)
        a += 1
    elif kind == _TRADE and filled == oe.execution_report_last_qty(e):
        a = put_decimal(a, oe.execution_report_last_px(e))
    else:
        decimals = load_i64(instrument + I_DECIMALS)
        a = put_decimal(a, average(oe.execution_report_cum_value(e), filled, decimals))
    a = put(end_field(a), _60, 3)
    a = end_field(put_long_time(a, load_i64(e), c + C_TIME_CACHE))
    if kind == _RESTATED:
        a = put(put(a, _378, 4), _99_END, 3)
    if extra_length:
        copy(a, extra, extra_length)
        return a + extra_length
    reason = oe.execution_report_reason(e)
    if oe.execution_report_ord_status(e) == _REJECTED:
        a = end_field(put_integer(put(a, _21020, 6), reason))
        return put_refusal(
            a, refusal_of(t, reason), oe.execution_report_detail(e),
            oe.execution_report_limit(e), load_i64(instrument + I_DECIMALS))
    return put_reason(a, t, reason) if reason else a


@jit
def put_gap(out: int, c: int, number: int, following: int, time: int, again: int) -> int:
    """A SequenceReset-GapFill from `number` to before `following` at `out`; its bytes."""
    a = put(out + begin_room(c), _35_4, 5)
    length = load_i64(c + C_PREFIX_LENGTH)
    copy(a, c + C_PREFIX, length)
    a = end_field(put_integer(put(a + length, _34, 3), number))
    cache = c + C_TIME_CACHE
    if again:
        a = put(a, _43, 5)
        a = end_field(put_short_time(put(a, _52, 3), again, cache))
        a = end_field(put_short_time(put(a, _122, 4), time, cache))
    else:
        a = end_field(put_short_time(put(a, _52, 3), time, cache))
    a = end_field(put_integer(put(a, _36, 3), following))
    return finish(out, c, put(a, _123, 6))


@jit
def begin_room(c: int) -> int:
    """Bytes before the body if its length has three digits."""
    return load_i64(c + C_BEGIN_LENGTH) + 4


@jit
def finish(out: int, c: int, end: int) -> int:
    """Put begin, length and sum around a body that ends at `end`; the bytes of the message.

    The body was written at `out + begin_room(c)`.
    """
    start = out + begin_room(c)
    length = end - start
    digits = 3
    if length < 100 or length > 999:
        digits = 2 if length < 100 else 4
        copy(start + digits - 3, start, length)
        start += digits - 3
        end += digits - 3
    begin = load_i64(c + C_BEGIN_LENGTH)
    copy(out, c + C_BEGIN, begin)
    end_field(put_digits(out + begin, length, digits))
    total = checksum(out, end - out)
    end = end_field(put_digits(put(end, _10, 3), total, 3))
    return end - out


@jit
def put_report(
    out: int, c: int, t: int, frame: int, number: int, time: int, again: int, extra: int,
    extra_length: int,
) -> int:
    """The whole message for an ExecutionReport event at `out`; its bytes.

    out: room for REPORT_BYTES_MAX + extra_length. frame: address of the event frame. number: its
    MsgSeqNum. time, again: as of `put_head`, ns UTC. extra: fields to put at the end in place of
    the reason's.
    """
    e = frame + EVENT_BODY_AT
    echo = e + oe.header_block_length(frame + 16)
    a = put_head(out + begin_room(c), c, number, time, again)
    a = put_body(a, c, t, e, echo, extra, extra_length)
    return finish(out, c, a)
