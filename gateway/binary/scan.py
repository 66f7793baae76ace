"""From a receive buffer into the command ring: one call, one publication, one bell a segment.

An order-entry message is checked, its number is compared with the one expected, and its bytes are
copied as they are behind a command frame header. The header of a command frame:

      0        4     6     8         12            16          24         32
      +--------+-----+-----+---------+-------------+-----------+----------+-------------
      | length |prod.|flags| session |ring position| sequence  | time     | SBE message
      | i32    | i16 | i16 | i32     | u32 (>> 5)  | i64, the sequencer's | as it came
      +--------+-----+-----+---------+-------------+-----------+----------+-------------

The rule of numbers:  expected → applied;  above → NotApplied for the gap, then applied;
below → a duplicate, dropped without a word. What the gateway must refuse (ring full, core away,
throttle) uses up its number and is answered by a BusinessReject that has none.

Two bad inputs are told apart: half a frame waits for its rest, a wrong one ends the connection.
"""

from typing import Any

from core.atomics import load_acquire
from core.jit import jit
from core.ring import frame_length, ring_claim, ring_flush
from core.wake import ring_bell
from core.words import PENDING
from gateway.binary.connections import RECEIVE_SIZE, ConnectionState, Kind
from gateway.binary.frames import (
    ENCODING,
    FRAME_MAX,
    FRAME_MIN,
    SOFH_SIZE,
    add_row,
    put_business_reject,
    put_not_applied,
)
from gateway.binary.system import EAGAIN, receive
from sbe.generated import order_entry as oe
from sbe.generated.order_entry import check, header_schema, header_template
from sbe.raw import (
    copy,
    load_i64,
    load_u16_be,
    load_u32,
    load_u32_be,
    store_i16,
    store_i32,
    store_i64,
)

COMMAND_HEADER_SIZE = 32
THROTTLED_MAX = 1000  # refusals in a row after which a client is not worth listening to

_FIRST = 100  # lowest template of order entry; 63 of them fit the mask
_INBOUND = 0
for _template in (
    oe.NEW_ORDER_SINGLE_TEMPLATE,
    oe.ORDER_CANCEL_REPLACE_REQUEST_TEMPLATE,
    oe.ORDER_CANCEL_REQUEST_TEMPLATE,
    oe.ORDER_MASS_CANCEL_REQUEST_TEMPLATE,
    oe.MASS_QUOTE_TEMPLATE,
    oe.QUOTE_CANCEL_TEMPLATE,
    oe.PROTECTION_RESET_TEMPLATE,
    oe.ORDER_STATUS_REQUEST_TEMPLATE,
    oe.SET_CANCEL_TIMER_TEMPLATE,
    oe.PROTECTION_SET_TEMPLATE,
    oe.ACCOUNT_REQUEST_TEMPLATE,
    oe.OPEN_ORDERS_REQUEST_TEMPLATE,
    oe.TRANSFER_REQUEST_TEMPLATE,
    oe.WITHDRAWAL_REQUEST_TEMPLATE,
    oe.ORDER_PREVIEW_REQUEST_TEMPLATE,
    oe.TRADING_HALT_TEMPLATE,
    oe.WITHDRAWAL_RULE_TEMPLATE,
    oe.CLIENT_PROTECTION_REQUEST_TEMPLATE,
):
    assert 0 <= _template - _FIRST < 63
    _INBOUND |= 1 << (_template - _FIRST)
_SESSION = 0
for _template in (
    oe.NEGOTIATE_TEMPLATE,
    oe.ESTABLISH_TEMPLATE,
    oe.TERMINATE_TEMPLATE,
    oe.SEQUENCE_TEMPLATE,
    oe.RETRANSMIT_REQUEST_TEMPLATE,
):
    _SESSION |= 1 << _template

# Every order-entry message begins with InboundHeader: the number is at the same place in all.
_NUMBER = oe.HEADER_SIZE + oe.NEW_ORDER_SINGLE_HEADER_MSG_SEQ_NUM_OFFSET
assert oe.NEW_ORDER_SINGLE_HEADER_MSG_SEQ_NUM_OFFSET == oe.MASS_QUOTE_HEADER_MSG_SEQ_NUM_OFFSET

_SCHEMA = oe.SCHEMA_ID
_HANDSHAKE = int(ConnectionState.HANDSHAKE)
_ESTABLISHED = int(ConnectionState.ESTABLISHED)
_ENDING = int(ConnectionState.ENDING)
_MESSAGE = int(Kind.MESSAGE)
_BROKEN = int(Kind.BROKEN)
_CLOSED = int(Kind.CLOSED)
_INVALID_FRAME = oe.TERMINATION_CODE_INVALID_FRAME
_DECODING_ERROR = oe.TERMINATION_CODE_DECODING_ERROR
_UNRECOGNIZED = oe.TERMINATION_CODE_UNRECOGNIZED_MESSAGE
_NOT_ESTABLISHED = oe.TERMINATION_CODE_NOT_ESTABLISHED
_THROTTLED_CODE = oe.TERMINATION_CODE_THROTTLED
_BUSY = oe.REASON_BUSY
_THROTTLED = oe.REASON_THROTTLED


@jit
def read_socket(g: Any, slot: int, now: int) -> int:
    """Receive what there is and scan it; the number of messages taken."""
    c = g.connections[slot]
    if c.state == _ENDING:
        c.parsed = 0
        c.received = 0
    if c.parsed > 0 and c.parsed == c.received:
        c.parsed = 0
        c.received = 0
    room = RECEIVE_SIZE - c.received
    if room == 0:  # A client that sends so much while we wait for the core breaks the rules.
        add_row(g, _BROKEN, slot, _NOT_ESTABLISHED, 0)
        c.held = 1
        c.state = _ENDING
        return 0
    count = receive(c.descriptor, c.receive_address + c.received, room)
    if count == -EAGAIN:
        return 0
    if count <= 0:
        add_row(g, _CLOSED, slot, 0, 0)
        c.held = 1
        return 0
    c.received += count
    c.last_received_ns = now
    if c.held or c.state == _ENDING:
        return 0
    return scan(g, slot, now)


@jit
def scan(g: Any, slot: int, now: int) -> int:
    """Take every whole frame of the receive buffer, until Python must act; how many."""
    c = g.connections[slot]
    taken = 0
    before = load_i64(g.ring + PENDING)
    while not c.held:
        available = c.received - c.parsed
        if available < SOFH_SIZE:
            break
        frame = c.receive_address + c.parsed
        length = load_u32_be(frame)
        if length < FRAME_MIN or length > FRAME_MAX or load_u16_be(frame + 4) != ENCODING:
            _broken(g, slot, _INVALID_FRAME)
            break
        if length > available:
            break
        c.parsed += length
        taken += 1
        _take(g, slot, frame + SOFH_SIZE, length - SOFH_SIZE, now)
    if load_i64(g.ring + PENDING) != before:
        ring_flush(g.ring)
        ring_bell(g.core_bell, g.core_asleep)
    # What is left is moved to the front once it stands in the second half: less than a frame.
    if not c.held and c.parsed > RECEIVE_SIZE // 2:
        copy(c.receive_address, c.receive_address + c.parsed, c.received - c.parsed)
        c.received -= c.parsed
        c.parsed = 0
    return taken


@jit
def _broken(g: Any, slot: int, code: int) -> None:
    g.connections[slot].held = 1
    add_row(g, _BROKEN, slot, code, 0)


@jit
def _take(g: Any, slot: int, message: int, size: int, now: int) -> None:
    """One whole frame: an order to the ring, a session message to Python, the rest is an error."""
    c = g.connections[slot]
    template = header_template(message)
    known = header_schema(message) == _SCHEMA
    if known and 0 <= template - _FIRST < 63 and (_INBOUND >> (template - _FIRST)) & 1:
        if c.state != _ESTABLISHED:
            _broken(g, slot, _NOT_ESTABLISHED)
        elif check(message, size) != 0:
            _broken(g, slot, _DECODING_ERROR)
        else:
            _number(g, slot, message, size, now)
    elif known and template < 63 and (_SESSION >> template) & 1:
        if check(message, size) != 0:
            _broken(g, slot, _DECODING_ERROR)
        else:
            c.held = 1
            add_row(g, _MESSAGE, slot, message - c.receive_address, size)
    else:
        _broken(g, slot, _UNRECOGNIZED)


@jit
def _number(g: Any, slot: int, message: int, size: int, now: int) -> None:
    """Apply the rule of numbers."""
    c = g.connections[slot]
    number = load_u32(message + _NUMBER)
    if number < c.expected:
        c.duplicates += 1
        return
    if number > c.expected:
        put_not_applied(g, slot, c.expected, number - c.expected)
    c.expected = number + 1
    template = header_template(message)
    if not _within_rate(c, now):
        g.throttled += 1
        c.throttled += 1
        put_business_reject(g, slot, number, template, _THROTTLED, 1_000_000_000 // c.token_ns)
        if c.throttled > THROTTLED_MAX:
            _broken(g, slot, _THROTTLED_CODE)
        return
    c.throttled = 0
    if load_acquire(g.ready_address) == 0 or not _command(g, c.session, message, size):
        g.busy += 1
        put_business_reject(g, slot, number, template, _BUSY, 0)
        return
    c.applied += 1


@jit
def _within_rate(c: Any, now: int) -> bool:
    """A bucket of tokens as one number: the time up to which they are spent."""
    if c.token_ns == 0:
        return True
    spent = max(c.bucket_ns, now - c.burst_ns) + c.token_ns
    if spent > now:
        return False
    c.bucket_ns = spent
    return True


@jit
def _command(g: Any, session: int, message: int, size: int) -> bool:
    """Claim a command frame and fill it; False if the ring is full."""
    length = frame_length(COMMAND_HEADER_SIZE + size)
    frame = ring_claim(g.ring, length)
    if frame == 0:
        return False
    store_i32(frame, length)
    store_i16(frame + 4, g.producer)
    store_i16(frame + 6, 0)
    store_i32(frame + 8, session)
    store_i32(frame + 12, load_i64(g.ring + PENDING) >> 5)
    store_i64(frame + 16, 0)
    store_i64(frame + 24, 0)
    copy(frame + COMMAND_HEADER_SIZE, message, size)
    return True
