"""From the event log into send buffers: the numbered events of each session, bytes as they are.

An event frame, of which everything from the SBE header on goes out behind a framing header:

      0        4         8            16           24                36
      +--------+---------+------------+------------+-----------------+--------------------
      | length | session | sequence   | SBE header | time, number,   | rest of the block,
      | i32    | i32     | i64        | 8 bytes    | last applied    | groups, data
      +--------+---------+------------+------------+-----------------+--------------------

Frames are copied out of the log first, and only then, when the log says that they were not
overwritten meanwhile, are they looked at. The walk stops at the first event whose command is not
safe yet (the gate), and at every control event that concerns a session here: what that changes
must have happened before the next event is dealt out.
"""

from typing import Any

from core.atomics import load_acquire
from core.events import log_address, log_lapped, log_published
from core.jit import jit
from gateway.binary.connections import (
    MARK_STRIDE,
    MARKS_MAX,
    ROWS_MAX,
    SCRATCH_SIZE,
    SESSION_NUMBER_MAX,
    Kind,
)
from gateway.binary.frames import ENCODING, SOFH_SIZE, add_row, claim
from sbe.generated import control
from sbe.generated import order_entry as oe
from sbe.generated.order_entry import header_schema, header_template, measure
from sbe.raw import (
    copy,
    load_i32,
    load_i64,
    load_u8,
    load_u32,
    store_i64,
    store_u8,
    store_u16_be,
    store_u32_be,
)

EVENT_HEADER_SIZE = 16
_BLOCK = EVENT_HEADER_SIZE + oe.HEADER_SIZE
_NUMBER = _BLOCK + oe.EXECUTION_REPORT_HEADER_MSG_SEQ_NUM_OFFSET
_LAST_APPLIED = _BLOCK + oe.EXECUTION_REPORT_HEADER_LAST_APPLIED_SEQ_NO_OFFSET
_CONTROL_SESSION = _BLOCK + control.SESSION_OPENED_SESSION_OFFSET
assert control.SESSION_OPENED_SESSION_OFFSET == control.SESSION_CLOSED_SESSION_OFFSET
assert control.SESSION_OPENED_SESSION_OFFSET == control.SESSION_WAS_RESET_SESSION_OFFSET

_ORDER_ENTRY = oe.SCHEMA_ID
_CONTROL = control.SCHEMA_ID
_OPENED = control.SESSION_OPENED_TEMPLATE
_CLOSED = control.SESSION_CLOSED_TEMPLATE
_RESET = control.SESSION_WAS_RESET_TEMPLATE
_EXECUTION_REPORT = oe.EXECUTION_REPORT_TEMPLATE
_FLAGS = oe.HEADER_SIZE + oe.EXECUTION_REPORT_FLAGS_OFFSET
_POSSIBLE_RESEND = oe.REPORT_FLAGS_POSS_RESEND
_ROW_CONTROL = int(Kind.CONTROL)
_ROW_LAPPED = int(Kind.LAPPED)


@jit
def deliver(g: Any) -> int:
    """Deal out what the log has and the gate lets through; bytes dealt."""
    published = log_published(g.log)
    gate = load_acquire(g.gate_address)
    if g.position >= published or gate < g.waiting_for:
        return 0
    length = min(published - g.position, SCRATCH_SIZE)
    # Zeros stand where a log made by a restarted core begins amid the stream.
    if not log_lapped(g.log, g.position) and load_i32(log_address(g.log, g.position)) > 0:
        copy(g.scratch, log_address(g.log, g.position), length)
        if not log_lapped(g.log, g.position):
            return walk(g, g.scratch, length, gate)
    add_row(g, _ROW_LAPPED, -1, 0, 0)
    return 0


@jit
def walk(g: Any, base: int, length: int, gate: int) -> int:
    """Deal out the events in `length` bytes of the stream at `base`, which begin at `position`.

    Moves `position` on, over whole frames; how far.
    """
    offset = 0
    while offset + _BLOCK <= length and g.rows_used < ROWS_MAX // 2:
        frame = base + offset
        size = load_i32(frame)
        if size < 32 or offset + size > length:
            break
        sequence = load_i64(frame + 8)
        if sequence > gate:
            g.waiting_for = sequence
            break
        schema = header_schema(frame + EVENT_HEADER_SIZE)
        if schema == _ORDER_ENTRY:
            place = _place(g, load_i32(frame + 4))
            if place >= 0:
                _outbound(g, place, frame, size, g.position)
        elif schema == _CONTROL and _concerns_us(g, frame):
            add_row(g, _ROW_CONTROL, -1, offset, size)
            offset += size
            g.position += size
            break
        offset += size
        g.position += size
    return offset


@jit
def _place(g: Any, session: int) -> int:
    """Where a session is kept, or −1 if it is none of ours."""
    place = -1
    if 0 < session < SESSION_NUMBER_MAX:
        place = g.places[session]
    return place


@jit
def _concerns_us(g: Any, frame: int) -> bool:
    template = header_template(frame + EVENT_HEADER_SIZE)
    if template != _OPENED and template != _CLOSED and template != _RESET:
        return False
    return _place(g, load_u32(frame + _CONTROL_SESSION)) >= 0


@jit
def _outbound(g: Any, place: int, frame: int, size: int, position: int) -> None:
    """Note an event of one of our sessions, and put it into the send buffer of its connection."""
    number = load_u32(frame + _NUMBER)
    if number == 0:
        return
    h = g.sessions[place]
    h.next_outbound = number + 1
    h.last_applied = load_u32(frame + _LAST_APPLIED)
    if number % MARK_STRIDE == 0:
        mark = number // MARK_STRIDE
        store_i64(g.marks + 8 * (place * MARKS_MAX + mark % MARKS_MAX), position)
        if h.first_mark < 0:
            h.first_mark = mark
    if h.slot >= 0:
        message = frame + EVENT_HEADER_SIZE
        length = measure(message, size - EVENT_HEADER_SIZE)
        if length > 0:
            address = claim(g, h.slot, length)
            if address != 0:
                copy(address, message, length)
                g.connections[h.slot].reports += 1


@jit
def collect(stream: int, length: int, session: int, wanted: Any, out: Any) -> int:
    """Copy a session's events, framed and marked as possibly sent before, from a piece of stream.

    wanted: [next number, number to stop before, bytes used in `out`], moved on.
    out: uint8, where the frames go. Gives the bytes of the stream that were dealt with; less than
    there are whole frames when `out` is full or the last number was found.
    """
    offset = 0
    while offset + _BLOCK <= length and wanted[0] < wanted[1]:
        frame = stream + offset
        size = load_i32(frame)
        if size < 32 or offset + size > length:
            break
        if load_i32(frame + 4) == session and load_u32(frame + _NUMBER) == wanted[0]:
            message = frame + EVENT_HEADER_SIZE
            if header_schema(message) == _ORDER_ENTRY:
                exact = measure(message, size - EVENT_HEADER_SIZE)
                if wanted[2] + SOFH_SIZE + exact > out.shape[0]:
                    break
                _copy_again(out.ctypes.data + wanted[2], message, exact)
                wanted[2] += SOFH_SIZE + exact
                wanted[0] += 1
        offset += size
    return offset


@jit
def _copy_again(address: int, message: int, size: int) -> None:
    store_u32_be(address, SOFH_SIZE + size)
    store_u16_be(address + 4, ENCODING)
    copied = address + SOFH_SIZE
    copy(copied, message, size)
    if header_template(message) == _EXECUTION_REPORT:
        store_u8(copied + _FLAGS, load_u8(copied + _FLAGS) | _POSSIBLE_RESEND)
