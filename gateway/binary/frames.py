"""Frames on the wire, and the few messages that compiled code writes by itself.

The simple open framing header is big-endian whatever the message is; its length counts itself:

      0         4         6              14
      +---------+---------+--------------+----------------------------+
      | u32 BE  | u16 BE  | SBE header,  | root block, groups, data   |
      | length  | 0xEB50  | 8 bytes, LE  |                            |
      +---------+---------+--------------+----------------------------+

Source: FIX Simple Open Framing Header 1.0; 0xEB50 is SBE 1.0 little-endian.
"""

import struct
from typing import Any

from core.atomics import clock_realtime_ns
from core.jit import jit
from gateway.binary.connections import ROWS_MAX, Kind
from gateway.binary.system import EAGAIN, send
from sbe.generated.order_entry import (
    BUSINESS_REJECT_BLOCK,
    BUSINESS_REJECT_ECHO_HEADER_SIZE,
    HEADER_SIZE,
    NOT_APPLIED_BLOCK,
    set_business_reject_detail,
    set_business_reject_header_last_applied_seq_no,
    set_business_reject_header_msg_seq_num,
    set_business_reject_header_transact_time,
    set_business_reject_limit,
    set_business_reject_reason,
    set_business_reject_ref_seq_no,
    set_business_reject_ref_template_id,
    set_not_applied_count,
    set_not_applied_from_seq_no,
    write_business_reject_echo_length,
    write_business_reject_header,
    write_not_applied_header,
)
from sbe.raw import copy, store_u16_be, store_u32_be

SOFH = struct.Struct(">IH")
SOFH_SIZE = SOFH.size
ENCODING = 0xEB50
FRAME_MIN = SOFH_SIZE + HEADER_SIZE
FRAME_MAX = 1 << 16  # inbound; what we send may be longer

_OVERFLOW = int(Kind.OVERFLOW)
_BLOCKED = int(Kind.BLOCKED)
_CLOSED = int(Kind.CLOSED)
_WRITABLE = int(Kind.WRITABLE)


def framed(message: bytes) -> bytes:
    """A message, its SBE header included, behind its framing header."""
    return SOFH.pack(SOFH_SIZE + len(message), ENCODING) + message


@jit
def add_row(g: Any, kind: int, slot: int, offset: int, length: int) -> None:
    """Write down something for Python. There is room: a turn stops long before the last row."""
    used = g.rows_used
    if used < ROWS_MAX:
        row = g.rows[used]
        row.kind = kind
        row.slot = slot
        row.offset = offset
        row.length = length
        g.rows_used = used + 1


@jit
def claim(g: Any, slot: int, size: int) -> int:
    """Room for a frame with a message of `size` bytes; the message's address, or 0 without room.

    The framing header is written. Without room the connection is marked and gets nothing more: it
    will be ended as a slow consumer.
    """
    c = g.connections[slot]
    length = SOFH_SIZE + size
    if c.overflow:
        return 0
    if c.filled + length > c.send_capacity:
        waiting = c.filled - c.sent
        if waiting + length > c.send_capacity:
            c.overflow = 1
            add_row(g, _OVERFLOW, slot, 0, 0)
            return 0
        copy(c.send_address, c.send_address + c.sent, waiting)
        c.sent = 0
        c.filled = waiting
    address: int = c.send_address + c.filled
    store_u32_be(address, length)
    store_u16_be(address + 4, ENCODING)
    c.filled += length
    if not c.dirty:
        c.dirty = 1
        g.dirty[g.dirty_used] = slot
        g.dirty_used += 1
    return address + SOFH_SIZE


@jit
def put_not_applied(g: Any, slot: int, first: int, count: int) -> None:
    """Tell the client that `count` of its numbers, from `first` on, were never seen."""
    m = claim(g, slot, HEADER_SIZE + NOT_APPLIED_BLOCK)
    if m != 0:
        write_not_applied_header(m)
        set_not_applied_from_seq_no(m + HEADER_SIZE, first)
        set_not_applied_count(m + HEADER_SIZE, count)


@jit
def put_business_reject(
    g: Any, slot: int, number: int, template: int, reason: int, limit: int
) -> None:
    """Refuse a message before it became a command; the reject itself has no number (0)."""
    size = HEADER_SIZE + BUSINESS_REJECT_BLOCK + BUSINESS_REJECT_ECHO_HEADER_SIZE
    m = claim(g, slot, size)
    if m != 0:
        a = m + HEADER_SIZE
        write_business_reject_header(m)
        set_business_reject_header_transact_time(a, clock_realtime_ns())
        set_business_reject_header_msg_seq_num(a, 0)
        last_applied = g.sessions[g.connections[slot].place].last_applied
        set_business_reject_header_last_applied_seq_no(a, last_applied)
        set_business_reject_ref_seq_no(a, number)
        set_business_reject_ref_template_id(a, template)
        set_business_reject_reason(a, reason)
        set_business_reject_detail(a, 0)
        set_business_reject_limit(a, limit)
        write_business_reject_echo_length(a + BUSINESS_REJECT_BLOCK, 0)


@jit
def flush(g: Any, slot: int, now: int) -> None:
    """Give the socket what it takes of the send buffer."""
    c = g.connections[slot]
    if c.descriptor < 0:
        return
    while c.sent < c.filled:
        count = send(c.descriptor, c.send_address + c.sent, c.filled - c.sent)
        if count == -EAGAIN:
            if not c.blocked:
                c.blocked = 1
                add_row(g, _BLOCKED, slot, 0, 0)
            return
        if count < 0:
            c.sent = c.filled
            add_row(g, _CLOSED, slot, 0, 0)
            return
        c.sent += count
        c.last_sent_ns = now
    c.sent = 0
    c.filled = 0
    if c.blocked:
        c.blocked = 0
        add_row(g, _WRITABLE, slot, 0, 0)


@jit
def flush_dirty(g: Any, now: int) -> None:
    """Flush every connection that was given something since the last time."""
    for n in range(g.dirty_used):
        slot = g.dirty[n]
        g.connections[slot].dirty = 0
        flush(g, slot, now)
    g.dirty_used = 0
