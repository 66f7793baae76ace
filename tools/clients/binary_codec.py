"""The binary client's codec: orders into a send buffer, segments into rows, compiled.

Functions that write take the address of the message (the framing header is written before it by
`begin`) and return its size; prices and quantities are int64 with exponent −8, null is NULL.
"""

from functools import cache
from typing import Any

import numpy as np

from core.jit import compile_lock, jit
from gateway.binary.frames import ENCODING, SOFH_SIZE
from sbe.generated import order_entry as oe
from sbe.raw import load_u16_be, load_u32, load_u32_be, store_u16_be, store_u32_be

NULL = oe.NEW_ORDER_SINGLE_PRICE_NULL
_NO_ORDER = oe.ORDER_CANCEL_REQUEST_ORDER_ID_NULL
_NO_TIME = oe.NEW_ORDER_SINGLE_EXPIRE_TIME_NULL

#: What `split` writes for each whole frame: where the message is, and its outbound header.
ROW = np.dtype(
    [
        ("offset", "i8"),  # of the SBE header in the buffer
        ("length", "i8"),  # of the message
        ("template", "i8"),
        ("number", "i8"),  # msgSeqNum, 0 for what has none
        ("applied", "i8"),  # lastAppliedSeqNo
    ]
)
ROWS_MAX = 4096
GARBLED = -1


@jit
def split(buffer: Any, begin: int, end: int, rows: Any) -> tuple[int, int]:
    """Find whole frames in buffer[begin:end]; (rows written, where the rest begins).

    GARBLED rows mean that what follows is no frame.
    """
    base = buffer.ctypes.data
    count = 0
    while end - begin >= SOFH_SIZE and count < rows.shape[0]:
        length = load_u32_be(base + begin)
        if load_u16_be(base + begin + 4) != ENCODING or length < SOFH_SIZE + oe.HEADER_SIZE:
            return GARBLED, begin
        if length > end - begin:
            break
        message = base + begin + SOFH_SIZE
        row = rows[count]
        row.offset = begin + SOFH_SIZE
        row.length = length - SOFH_SIZE
        row.template = oe.header_template(message)
        row.number = 0
        row.applied = 0
        if row.template >= oe.EXECUTION_REPORT_TEMPLATE:
            a = message + oe.HEADER_SIZE
            row.number = load_u32(a + oe.EXECUTION_REPORT_HEADER_MSG_SEQ_NUM_OFFSET)
            row.applied = load_u32(a + oe.EXECUTION_REPORT_HEADER_LAST_APPLIED_SEQ_NO_OFFSET)
        begin += length
        count += 1
    return count, begin


@jit
def begin(address: int, size: int) -> int:
    """Write the framing header of a message of `size` bytes; the message's address."""
    store_u32_be(address, SOFH_SIZE + size)
    store_u16_be(address + 4, ENCODING)
    return address + SOFH_SIZE


@jit
def write_new_order(
    frame: int,
    number: int,
    time: int,
    account: int,
    cl_ord_id: int,
    instrument: int,
    side: int,
    price: int,
    quantity: int,
    ord_type: int,
    time_in_force: int,
    exec_inst: int,
    outcome_side: int,
    tag: int,
) -> int:
    """NewOrderSingle without stop, display, expiry and echo; the frame's length."""
    size = oe.HEADER_SIZE + oe.NEW_ORDER_SINGLE_BLOCK + oe.NEW_ORDER_SINGLE_ECHO_HEADER_SIZE
    message = begin(frame, size)
    a = message + oe.HEADER_SIZE
    oe.write_new_order_single_header(message)
    oe.set_new_order_single_header_sending_time(a, time)
    oe.set_new_order_single_header_msg_seq_num(a, number)
    oe.set_new_order_single_account(a, account)
    oe.set_new_order_single_cl_ord_id(a, cl_ord_id)
    oe.set_new_order_single_price(a, price)
    oe.set_new_order_single_order_qty(a, quantity)
    oe.set_new_order_single_instrument(a, instrument)
    oe.set_new_order_single_side(a, side)
    oe.set_new_order_single_ord_type(a, ord_type)
    oe.set_new_order_single_time_in_force(a, time_in_force)
    oe.set_new_order_single_exec_inst(a, exec_inst)
    oe.set_new_order_single_stop_px(a, NULL)
    oe.set_new_order_single_display_qty(a, NULL)
    oe.set_new_order_single_expire_time(a, _NO_TIME)
    oe.set_new_order_single_tag(a, tag)
    oe.set_new_order_single_self_trade_prevention(a, 0)
    oe.set_new_order_single_trigger_type(a, 0)
    oe.set_new_order_single_outcome_side(a, outcome_side)
    oe.write_new_order_single_echo_length(a + oe.NEW_ORDER_SINGLE_BLOCK, 0)
    return SOFH_SIZE + size


@jit
def write_replace(
    frame: int,
    number: int,
    time: int,
    account: int,
    cl_ord_id: int,
    original: int,
    instrument: int,
    price: int,
    quantity: int,
) -> int:
    """OrderCancelReplaceRequest by the order's clOrdId; NULL keeps a value. The frame's length."""
    echo = oe.ORDER_CANCEL_REPLACE_REQUEST_ECHO_HEADER_SIZE
    size = oe.HEADER_SIZE + oe.ORDER_CANCEL_REPLACE_REQUEST_BLOCK + echo
    message = begin(frame, size)
    a = message + oe.HEADER_SIZE
    oe.write_order_cancel_replace_request_header(message)
    oe.set_order_cancel_replace_request_header_sending_time(a, time)
    oe.set_order_cancel_replace_request_header_msg_seq_num(a, number)
    oe.set_order_cancel_replace_request_account(a, account)
    oe.set_order_cancel_replace_request_cl_ord_id(a, cl_ord_id)
    oe.set_order_cancel_replace_request_orig_cl_ord_id(a, original)
    oe.set_order_cancel_replace_request_order_id(a, _NO_ORDER)
    oe.set_order_cancel_replace_request_price(a, price)
    oe.set_order_cancel_replace_request_order_qty(a, quantity)
    oe.set_order_cancel_replace_request_stop_px(a, NULL)
    oe.set_order_cancel_replace_request_display_qty(a, NULL)
    oe.set_order_cancel_replace_request_instrument(a, instrument)
    oe.write_order_cancel_replace_request_echo_length(
        a + oe.ORDER_CANCEL_REPLACE_REQUEST_BLOCK, 0
    )
    return SOFH_SIZE + size


@jit
def write_cancel(
    frame: int,
    number: int,
    time: int,
    account: int,
    cl_ord_id: int,
    original: int,
    instrument: int,
) -> int:
    """OrderCancelRequest by the order's clOrdId; the frame's length."""
    echo = oe.ORDER_CANCEL_REQUEST_ECHO_HEADER_SIZE
    size = oe.HEADER_SIZE + oe.ORDER_CANCEL_REQUEST_BLOCK + echo
    message = begin(frame, size)
    a = message + oe.HEADER_SIZE
    oe.write_order_cancel_request_header(message)
    oe.set_order_cancel_request_header_sending_time(a, time)
    oe.set_order_cancel_request_header_msg_seq_num(a, number)
    oe.set_order_cancel_request_account(a, account)
    oe.set_order_cancel_request_cl_ord_id(a, cl_ord_id)
    oe.set_order_cancel_request_orig_cl_ord_id(a, original)
    oe.set_order_cancel_request_order_id(a, _NO_ORDER)
    oe.set_order_cancel_request_instrument(a, instrument)
    oe.write_order_cancel_request_echo_length(a + oe.ORDER_CANCEL_REQUEST_BLOCK, 0)
    return SOFH_SIZE + size


#: One entry of a mass quote as the client library takes it; NULL leaves a side without a quote.
QUOTE = np.dtype(
    [
        ("instrument", "i8"),
        ("bid_price", "i8"),
        ("bid_size", "i8"),
        ("offer_price", "i8"),
        ("offer_size", "i8"),
    ]
)


@jit
def write_mass_quote(
    frame: int,
    number: int,
    time: int,
    account: int,
    quote_id: int,
    set_id: int,
    reset_protection: int,
    quotes: Any,
) -> int:
    """MassQuote of the entries in `quotes` (dtype QUOTE); the frame's length."""
    count: int = quotes.shape[0]
    group = oe.MASS_QUOTE_QUOTES_HEADER_SIZE + count * oe.MASS_QUOTE_QUOTES_BLOCK
    size = oe.HEADER_SIZE + oe.MASS_QUOTE_BLOCK + group
    message = begin(frame, size)
    a = message + oe.HEADER_SIZE
    oe.write_mass_quote_header(message)
    oe.set_mass_quote_header_sending_time(a, time)
    oe.set_mass_quote_header_msg_seq_num(a, number)
    oe.set_mass_quote_account(a, account)
    oe.set_mass_quote_quote_id(a, quote_id)
    oe.set_mass_quote_quote_set_id(a, set_id)
    oe.set_mass_quote_reset_protection(a, reset_protection)
    g = a + oe.MASS_QUOTE_BLOCK
    oe.write_mass_quote_quotes_header(g, count)
    e = g + oe.MASS_QUOTE_QUOTES_HEADER_SIZE
    for n in range(count):
        quote = quotes[n]
        oe.set_mass_quote_quotes_instrument(e, quote.instrument)
        oe.set_mass_quote_quotes_bid_px(e, quote.bid_price)
        oe.set_mass_quote_quotes_bid_size(e, quote.bid_size)
        oe.set_mass_quote_quotes_offer_px(e, quote.offer_price)
        oe.set_mass_quote_quotes_offer_size(e, quote.offer_size)
        e += oe.MASS_QUOTE_QUOTES_BLOCK
    return SOFH_SIZE + size


@cache
def compile_all() -> None:
    """Compile, or load from the cache, before a session is there that would lapse meanwhile."""
    scratch = np.zeros(1024, np.uint8)
    at = scratch.ctypes.data
    with compile_lock():
        split(scratch, 0, 0, np.zeros(1, ROW))
        write_new_order(at, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
        write_replace(at, 0, 0, 0, 0, 0, 0, 0, 0)
        write_cancel(at, 0, 0, 0, 0, 0, 0)
        write_mass_quote(at, 0, 0, 0, 0, 0, 0, np.zeros(1, QUOTE))
