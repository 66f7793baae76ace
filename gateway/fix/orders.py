"""Orders, cancels and replaces from FIX text straight into a command frame, compiled.

Only the clean, common shape is taken: every field known here, none twice, header before body, the
expected sender, target and number, a fresh time, values in range. Anything else is left alone for
the Python dialect (gateway/fix/dialect.py), which judges it with all precision; for the clean shape
both write the same frame.

    command frame   32 bytes header │ 8 SBE header │ root block │ u8 n │ n bytes echo

The echo is what reports of the order give back: `11=…␁`, then `1=…␁`, `526=…␁` and `41=…␁` of those
that were there.
"""

from core.atomics import load_acquire
from core.jit import jit
from core.ring import frame_length, ring_claim
from core.words import PENDING
from gateway.fix.names import find_number, find_owned, id_hash
from gateway.fix.numbers import (
    BAD,
    DAY_NS,
    EQUALS,
    NINE,
    SOH,
    ZERO,
    parse_day,
    parse_decimal,
    parse_integer,
    parse_time,
)
from gateway.fix.records import (
    C_ACCOUNT,
    C_EXPECTED,
    C_SENDER,
    C_SENDER_LENGTH,
    C_SESSION,
    C_TARGET,
    C_TARGET_LENGTH,
    C_THROTTLE,
    C_THROTTLE_COUNT,
    C_THROTTLE_START,
    C_WINDOW,
    T_ACCOUNT_MASK,
    T_ACCOUNTS,
    T_CORE_READY,
    T_DAY,
    T_DAY_TEXT,
    T_PRODUCER,
    T_RING,
    T_SYMBOL_MASK,
    T_SYMBOLS,
)
from sbe.generated import order_entry as oe
from sbe.raw import (
    copy,
    equal,
    load_i64,
    load_u8,
    store_i16,
    store_i32,
    store_i64,
    store_u8,
    store_u32,
)

SLOW = 0  # not judged here
TAKEN = 1
FULL = 2  # the ring has no room

FRAME_HEADER = 32
ECHO_BYTES_MAX = 160
ID_BYTES_MAX = 40
NULL = BAD  # of an optional price, quantity; times are one below, all bits set
NO_TIME = -1
SECOND_NS = 1_000_000_000

NEW, REPLACE, CANCEL = ord("D"), ord("G"), ord("F")
POST_ONLY, DO_NOT_INCREASE, SURVIVE, SPACE = ord("6"), ord("E"), ord("H"), ord(" ")

# Which fields were there, one bit each.
_B34, _B49, _B52, _B56, _B11, _B55, _B54, _B38, _B40, _B60 = (1 << i for i in range(10))
_B44, _B59, _B18, _B21, _B1, _B41, _B37, _B99, _B111, _B126 = (1 << i for i in range(10, 20))
_B526, _B2964, _B21011 = (1 << i for i in range(20, 23))
_HEADER = _B34 | _B49 | _B52 | _B56
_NEW_NEEDS = _HEADER | _B11 | _B55 | _B54 | _B38 | _B40 | _B60
_CANCEL_NEEDS = _HEADER | _B11 | _B55 | _B54 | _B60
_ONLY_NEW = _B59 | _B18 | _B126 | _B2964 | _B21011

# Values while a message is read: i64 words in a row at a scratch address.
V_SEQ, V_TIME, V_PRICE, V_QUANTITY, V_INSTRUMENT, V_SIDE, V_TYPE, V_FORCE, V_INST, V_STOP = (
    8 * i for i in range(10))
V_DISPLAY, V_EXPIRE, V_ACCOUNT, V_PREVENTION, V_OUTCOME, V_ORDER = (8 * i for i in range(10, 16))
V_ID, V_ID_LENGTH, V_ORIGINAL, V_ORIGINAL_LENGTH = (8 * i for i in range(16, 20))
V_NAME, V_NAME_LENGTH, V_GROUP, V_GROUP_LENGTH = (8 * i for i in range(20, 24))
VALUES_BYTES = 8 * 24


@jit
def fresh_time(t: int, a: int, length: int) -> int:
    """`parse_time`, looking a date up only when it isn't the one of the last message."""
    if length < 9:
        return BAD
    text = load_i64(a)
    if text != load_i64(t + T_DAY_TEXT):
        day = parse_day(a)
        if day == BAD:
            return BAD
        store_i64(t + T_DAY, day)
        store_i64(t + T_DAY_TEXT, text)
    if length != 21 or load_u8(a + 8) != ord("-") or load_u8(a + 17) != ord("."):
        return parse_time(a, length)
    hour, minute, second = _pair(a + 9), _pair(a + 12), _pair(a + 15)
    milli = _pair(a + 18) * 10 + load_u8(a + 20) - ZERO
    digits_sound = 0 <= load_u8(a + 20) - ZERO <= 9 and load_u8(a + 11) == 58
    if hour < 0 or minute < 0 or second < 0 or milli < 0 or not digits_sound:
        return BAD
    if hour > 23 or minute > 59 or second > 60 or load_u8(a + 14) != 58:
        return BAD
    seconds = (hour * 60 + minute) * 60 + second
    return load_i64(t + T_DAY) * DAY_NS + seconds * SECOND_NS + milli * 1_000_000


@jit
def _pair(a: int) -> int:
    high, low = load_u8(a) - ZERO, load_u8(a + 1) - ZERO
    if high < 0 or high > 9 or low < 0 or low > 9:
        return -1000
    return high * 10 + low


@jit
def instructions(a: int, length: int) -> int:
    """ExecInst, letters with spaces between, as bits of the set; BAD for a letter not ours."""
    bits = 0
    for i in range(length):
        letter = load_u8(a + i)
        if i & 1:
            if letter != SPACE:
                return BAD
        elif letter == POST_ONLY:
            bits |= oe.EXEC_INST_POST_ONLY
        elif letter == DO_NOT_INCREASE:
            bits |= oe.EXEC_INST_REDUCE_ONLY
        elif letter == SURVIVE:
            bits |= oe.EXEC_INST_SURVIVE_DISCONNECT
        else:
            return BAD
    return bits if length & 1 else BAD


@jit
def _clear(v: int) -> None:
    """Values as they are when a message says nothing of them."""
    store_i64(v + V_PRICE, NULL)
    store_i64(v + V_QUANTITY, NULL)
    store_i64(v + V_FORCE, oe.TIME_IN_FORCE_DAY)
    store_i64(v + V_INST, 0)
    store_i64(v + V_STOP, NULL)
    store_i64(v + V_DISPLAY, NULL)
    store_i64(v + V_EXPIRE, NO_TIME)
    store_i64(v + V_ACCOUNT, -1)
    store_i64(v + V_PREVENTION, 0)
    store_i64(v + V_OUTCOME, 0)
    store_i64(v + V_ORDER, NO_TIME)
    store_i64(v + V_ORIGINAL_LENGTH, 0)
    store_i64(v + V_NAME_LENGTH, 0)
    store_i64(v + V_GROUP_LENGTH, 0)


@jit
def _text(v: int, place: int, a: int, length: int, limit: int) -> bool:
    """Keep where a text is; False if it is too long."""
    store_i64(v + place, a)
    store_i64(v + place + 8, length)
    return length <= limit


@jit
def _number(v: int, place: int, value: int) -> bool:
    """Keep a parsed value; False if it is none."""
    store_i64(v + place, value)
    return value != BAD


@jit
def _letter(v: int, place: int, a: int, length: int, low: int, high: int) -> bool:
    """Keep a one-digit code between two; False if it isn't one."""
    code = load_u8(a) - ZERO
    store_i64(v + place, code)
    return length == 1 and low <= code <= high


@jit
def _header_field(c: int, t: int, v: int, tag: int, a: int, n: int) -> int:
    """Judge a header field; its bit, or 0 if it isn't as it must be."""
    if tag == 34:
        value = parse_integer(a, n)
        store_i64(v + V_SEQ, value)
        return _B34 if value == load_i64(c + C_EXPECTED) else 0
    if tag == 49:
        own = n == load_i64(c + C_SENDER_LENGTH) and equal(a, c + C_SENDER, n)
        return _B49 if own else 0
    if tag == 56:
        own = n == load_i64(c + C_TARGET_LENGTH) and equal(a, c + C_TARGET, n)
        return _B56 if own else 0
    return _B52 if tag == 52 and _number(v, V_TIME, fresh_time(t, a, n)) else 0


@jit
def _order_field(c: int, t: int, v: int, tag: int, a: int, n: int) -> int:
    """Read a field of the body; its bit, or 0 if it isn't known or has no such value."""
    if tag == 11:
        return _B11 if _text(v, V_ID, a, n, ID_BYTES_MAX) else 0
    if tag == 55:
        number = find_number(load_i64(t + T_SYMBOLS), load_i64(t + T_SYMBOL_MASK), a, n)
        store_i64(v + V_INSTRUMENT, number)
        return _B55 if number >= 0 else 0
    if tag == 54:
        return _B54 if _letter(v, V_SIDE, a, n, 1, 2) else 0
    if tag == 38:
        return _B38 if _number(v, V_QUANTITY, parse_decimal(a, n)) else 0
    if tag == 40:
        return _B40 if _letter(v, V_TYPE, a, n, 1, 4) else 0
    if tag == 44:
        return _B44 if _number(v, V_PRICE, parse_decimal(a, n)) else 0
    if tag == 60:
        return _B60 if fresh_time(t, a, n) != BAD else 0
    if tag == 59:
        sound = _letter(v, V_FORCE, a, n, 0, 6)
        return _B59 if sound and load_i64(v + V_FORCE) not in (2, 5) else 0
    if tag == 1:
        owner = load_i64(c + C_SESSION)
        number = find_owned(load_i64(t + T_ACCOUNTS), load_i64(t + T_ACCOUNT_MASK), a, n, owner)
        store_i64(v + V_ACCOUNT, number)
        return _B1 if number >= 0 and _text(v, V_NAME, a, n, 48) else 0
    return _rare_field(v, tag, a, n)


@jit
def _rare_field(v: int, tag: int, a: int, n: int) -> int:
    """The rest of `_order_field`: fields most messages do without."""
    if tag == 41:
        return _B41 if _text(v, V_ORIGINAL, a, n, ID_BYTES_MAX) else 0
    if tag == 18:
        return _B18 if _number(v, V_INST, instructions(a, n)) else 0
    if tag == 21:
        return _B21 if n == 1 and ord("1") <= load_u8(a) <= ord("3") else 0
    if tag == 37:
        return _B37 if _number(v, V_ORDER, parse_integer(a, n)) else 0
    if tag == 99:
        return _B99 if _number(v, V_STOP, parse_decimal(a, n)) else 0
    if tag == 111 or tag == 1138:
        return _B111 if _number(v, V_DISPLAY, parse_decimal(a, n)) else 0
    if tag == 126:
        return _B126 if _number(v, V_EXPIRE, parse_time(a, n)) else 0
    if tag == 526:
        return _B526 if _text(v, V_GROUP, a, n, ID_BYTES_MAX) else 0
    if tag == 2964:
        return _B2964 if _letter(v, V_PREVENTION, a, n, 1, 4) else 0
    if tag == 21011:
        store_i64(v + V_OUTCOME, 1 if load_u8(a) == ord("N") else 0)
        return _B21011 if n == 1 and load_u8(a) in (ord("Y"), ord("N")) else 0
    return 0


@jit
def read_fields(c: int, t: int, v: int, a: int, end: int) -> int:
    """Read the fields from `a` to `end` into the values at `v`; the bits of those there, or 0."""
    _clear(v)
    seen = 0
    while a < end:
        tag = 0
        letter = load_u8(a)
        while letter != EQUALS:
            if letter < ZERO or letter > NINE or tag > 99_999:
                return 0
            tag = tag * 10 + letter - ZERO
            a += 1
            letter = load_u8(a)
        a += 1
        stop = a
        while load_u8(stop) != SOH:
            stop += 1
        n = stop - a
        if n == 0:
            return 0
        bit = 0
        if seen & _HEADER != _HEADER:
            bit = _header_field(c, t, v, tag, a, n)
        else:
            bit = _order_field(c, t, v, tag, a, n)
        if bit == 0 or seen & bit:
            return 0
        seen |= bit
        a = stop + 1
    return seen


@jit
def _within_throttle(c: int, now: int) -> bool:
    """Count an order in the window of a second; False if it would be one too many."""
    limit = load_i64(c + C_THROTTLE)
    if limit == 0:
        return True
    if now - load_i64(c + C_THROTTLE_START) >= SECOND_NS:
        store_i64(c + C_THROTTLE_START, now)
        store_i64(c + C_THROTTLE_COUNT, 0)
    count = load_i64(c + C_THROTTLE_COUNT)
    if count >= limit:
        return False
    store_i64(c + C_THROTTLE_COUNT, count + 1)
    return True


@jit
def take_order(c: int, t: int, v: int, body: int, end: int, now: int) -> int:
    """Turn the message whose body spans `body` to `end` into a claimed command: TAKEN.

    c: the connection, t: the context, v: room of VALUES_BYTES, now: ns UTC. SLOW if the dialect
    must judge it, FULL if the ring has no room; then nothing was changed.
    """
    kind = load_u8(body + 3)
    if load_u8(body + 4) != SOH or (kind != NEW and kind != REPLACE and kind != CANCEL):
        return SLOW
    seen = read_fields(c, t, v, body + 5, end)
    needs = _NEW_NEEDS if kind == NEW else _CANCEL_NEEDS
    if seen & needs != needs or load_acquire(load_i64(t + T_CORE_READY)) == 0:
        return SLOW
    if abs(load_i64(v + V_TIME) - now) > load_i64(c + C_WINDOW):
        return SLOW
    if kind == NEW:
        if seen & (_B41 | _B37):
            return SLOW
    elif seen & _ONLY_NEW or seen & (_B41 | _B37) == 0:
        return SLOW
    if kind == CANCEL and seen & (_B44 | _B40 | _B99 | _B111 | _B21):
        return SLOW
    if kind == REPLACE and seen & (_B38 | _B40) != _B38 | _B40:
        return SLOW
    if kind == NEW and not _within_throttle(c, now):
        return SLOW
    return write_command(c, t, v, kind)


@jit
def echo_length(v: int) -> int:
    """Bytes of the echo that the values make."""
    length = load_i64(v + V_ID_LENGTH) + 4
    if load_i64(v + V_NAME_LENGTH):
        length += load_i64(v + V_NAME_LENGTH) + 3
    if load_i64(v + V_GROUP_LENGTH):
        length += load_i64(v + V_GROUP_LENGTH) + 5
    if load_i64(v + V_ORIGINAL_LENGTH):
        length += load_i64(v + V_ORIGINAL_LENGTH) + 4
    return length


@jit
def _put_field(a: int, v: int, place: int) -> int:
    """Text kept at `place` and a separator, at `a`; the address after it."""
    length = load_i64(v + place + 8)
    copy(a, load_i64(v + place), length)
    store_u8(a + length, SOH)
    return a + length + 1


@jit
def put_echo(a: int, v: int) -> int:
    """The echo at `a`; the address after it."""
    store_i16(a, ord("1") | ord("1") << 8)
    store_u8(a + 2, EQUALS)
    a = _put_field(a + 3, v, V_ID)
    if load_i64(v + V_NAME_LENGTH):
        store_i16(a, ord("1") | EQUALS << 8)
        a = _put_field(a + 2, v, V_NAME)
    if load_i64(v + V_GROUP_LENGTH):
        store_i32(a, ord("5") | ord("2") << 8 | ord("6") << 16 | EQUALS << 24)
        a = _put_field(a + 4, v, V_GROUP)
    if load_i64(v + V_ORIGINAL_LENGTH):
        store_i16(a, ord("4") | ord("1") << 8)
        store_u8(a + 2, EQUALS)
        a = _put_field(a + 3, v, V_ORIGINAL)
    return a


@jit
def write_command(c: int, t: int, v: int, kind: int) -> int:
    """Claim a frame for the message whose values stand at `v` and fill it: TAKEN, FULL or SLOW."""
    echo = echo_length(v)
    if echo > ECHO_BYTES_MAX:
        return SLOW
    if kind == NEW:
        block = oe.NEW_ORDER_SINGLE_BLOCK
    elif kind == REPLACE:
        block = oe.ORDER_CANCEL_REPLACE_REQUEST_BLOCK
    else:
        block = oe.ORDER_CANCEL_REQUEST_BLOCK
    length = frame_length(FRAME_HEADER + oe.HEADER_SIZE + block + 1 + echo)
    ring = load_i64(t + T_RING)
    frame = ring_claim(ring, length)
    if frame == 0:
        return FULL
    store_i32(frame, length)
    store_i16(frame + 4, load_i64(t + T_PRODUCER))
    store_i16(frame + 6, 0)
    store_i32(frame + 8, load_i64(c + C_SESSION))
    store_u32(frame + 12, load_i64(ring + PENDING) >> 5)
    store_i64(frame + 16, 0)
    store_i64(frame + 24, 0)
    account = load_i64(v + V_ACCOUNT)
    if account < 0:
        account = load_i64(c + C_ACCOUNT)
    identity = id_hash(load_i64(v + V_ID), load_i64(v + V_ID_LENGTH))
    message = frame + FRAME_HEADER
    a = message + oe.HEADER_SIZE
    if kind == NEW:
        oe.write_new_order_single_header(message)
        _fill_new(a, v, account, identity)
    elif kind == REPLACE:
        oe.write_order_cancel_replace_request_header(message)
        _fill_replace(a, v, account, identity)
    else:
        oe.write_order_cancel_request_header(message)
        _fill_cancel(a, v, account, identity)
    store_u8(a + block, echo)
    put_echo(a + block + 1, v)
    return TAKEN


@jit
def _fill_new(a: int, v: int, account: int, identity: int) -> None:
    oe.set_new_order_single_header_sending_time(a, load_i64(v + V_TIME))
    oe.set_new_order_single_header_msg_seq_num(a, load_i64(v + V_SEQ))
    oe.set_new_order_single_account(a, account)
    oe.set_new_order_single_cl_ord_id(a, identity)
    oe.set_new_order_single_price(a, load_i64(v + V_PRICE))
    oe.set_new_order_single_order_qty(a, load_i64(v + V_QUANTITY))
    oe.set_new_order_single_instrument(a, load_i64(v + V_INSTRUMENT))
    oe.set_new_order_single_side(a, load_i64(v + V_SIDE))
    oe.set_new_order_single_ord_type(a, load_i64(v + V_TYPE))
    oe.set_new_order_single_time_in_force(a, load_i64(v + V_FORCE))
    oe.set_new_order_single_exec_inst(a, load_i64(v + V_INST))
    oe.set_new_order_single_stop_px(a, load_i64(v + V_STOP))
    oe.set_new_order_single_display_qty(a, load_i64(v + V_DISPLAY))
    oe.set_new_order_single_expire_time(a, load_i64(v + V_EXPIRE))
    oe.set_new_order_single_tag(a, 0)
    oe.set_new_order_single_self_trade_prevention(a, load_i64(v + V_PREVENTION))
    trigger = oe.TRIGGER_TYPE_LAST if load_i64(v + V_STOP) != NULL else oe.TRIGGER_TYPE_NONE
    oe.set_new_order_single_trigger_type(a, trigger)
    oe.set_new_order_single_outcome_side(a, load_i64(v + V_OUTCOME))


@jit
def _original(v: int) -> int:
    length = load_i64(v + V_ORIGINAL_LENGTH)
    return id_hash(load_i64(v + V_ORIGINAL), length) if length else 0


@jit
def _fill_replace(a: int, v: int, account: int, identity: int) -> None:
    oe.set_order_cancel_replace_request_header_sending_time(a, load_i64(v + V_TIME))
    oe.set_order_cancel_replace_request_header_msg_seq_num(a, load_i64(v + V_SEQ))
    oe.set_order_cancel_replace_request_account(a, account)
    oe.set_order_cancel_replace_request_cl_ord_id(a, identity)
    oe.set_order_cancel_replace_request_orig_cl_ord_id(a, _original(v))
    oe.set_order_cancel_replace_request_order_id(a, load_i64(v + V_ORDER))
    oe.set_order_cancel_replace_request_price(a, load_i64(v + V_PRICE))
    oe.set_order_cancel_replace_request_order_qty(a, load_i64(v + V_QUANTITY))
    oe.set_order_cancel_replace_request_stop_px(a, load_i64(v + V_STOP))
    oe.set_order_cancel_replace_request_display_qty(a, load_i64(v + V_DISPLAY))
    oe.set_order_cancel_replace_request_instrument(a, load_i64(v + V_INSTRUMENT))


@jit
def _fill_cancel(a: int, v: int, account: int, identity: int) -> None:
    oe.set_order_cancel_request_header_sending_time(a, load_i64(v + V_TIME))
    oe.set_order_cancel_request_header_msg_seq_num(a, load_i64(v + V_SEQ))
    oe.set_order_cancel_request_account(a, account)
    oe.set_order_cancel_request_cl_ord_id(a, identity)
    oe.set_order_cancel_request_orig_cl_ord_id(a, _original(v))
    oe.set_order_cancel_request_order_id(a, load_i64(v + V_ORDER))
    oe.set_order_cancel_request_instrument(a, load_i64(v + V_INSTRUMENT))

