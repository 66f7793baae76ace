"""Encode an order, check and decode an execution report: generated accessors against `struct`.

    encode      header and twelve fields of a NewOrderSingle, with empty data, into a buffer
    decode      `check` of a whole ExecutionReport, then fourteen of its fields read
    baseline    the same values through one `struct.pack_into` (`unpack_from`), Python's fastest

Both compiled sides walk a window of messages that fits the second-level cache, each at another
address and most of them unaligned, as messages lie in a ring. What is decoded is summed up, so that
no load can be left out. The time is that of the quickest of several rounds, in ns a message.
"""

import struct
import time
from collections.abc import Callable
from typing import Any

import numpy as np

import sbe.generated.order_entry as oe
from core.jit import jit

MESSAGES = 512
STRIDE = 263
ROUNDS = 20
ORDER_SIZE = oe.HEADER_SIZE + oe.NEW_ORDER_SINGLE_BLOCK + oe.NEW_ORDER_SINGLE_ECHO_HEADER_SIZE
REPORT_SIZE = oe.HEADER_SIZE + oe.EXECUTION_REPORT_BLOCK + oe.EXECUTION_REPORT_ECHO_HEADER_SIZE


@jit
def encode_orders(base: int, count: int) -> None:
    """Write `count` orders, STRIDE bytes apart."""
    for i in range(count):
        header = base + i * STRIDE
        a = header + oe.HEADER_SIZE
        oe.write_new_order_single_header(header)
        oe.set_new_order_single_header_sending_time(a, i)
        oe.set_new_order_single_header_msg_seq_num(a, i)
        oe.set_new_order_single_account(a, 7)
        oe.set_new_order_single_cl_ord_id(a, i)
        oe.set_new_order_single_price(a, 100_000_000 + i)
        oe.set_new_order_single_order_qty(a, 500_000_000)
        oe.set_new_order_single_instrument(a, i & 63)
        oe.set_new_order_single_side(a, oe.SIDE_BUY)
        oe.set_new_order_single_ord_type(a, oe.ORD_TYPE_LIMIT)
        oe.set_new_order_single_time_in_force(a, oe.TIME_IN_FORCE_DAY)
        oe.set_new_order_single_exec_inst(a, oe.EXEC_INST_POST_ONLY)
        oe.set_new_order_single_tag(a, i)
        oe.write_new_order_single_echo_length(a + oe.NEW_ORDER_SINGLE_BLOCK, 0)


@jit
def check_and_decode_reports(base: int, count: int) -> int:
    """Read `count` reports, STRIDE bytes apart; the sum of their fields, or minus an error."""
    total = 0
    for i in range(count):
        header = base + i * STRIDE
        code = oe.check(header, REPORT_SIZE)
        if code != 0:
            return -code
        a = header + oe.HEADER_SIZE
        total += int(np.int64(oe.execution_report_order_id(a)))
        total += int(np.int64(oe.execution_report_cl_ord_id(a)))
        total += int(np.int64(oe.execution_report_exec_id(a)))
        total += oe.execution_report_account(a)
        total += oe.execution_report_instrument(a)
        total += oe.execution_report_price(a)
        total += oe.execution_report_order_qty(a)
        total += oe.execution_report_cum_qty(a)
        total += oe.execution_report_leaves_qty(a)
        total += oe.execution_report_side(a)
        total += oe.execution_report_exec_type(a)
        total += oe.execution_report_ord_status(a)
        total += oe.execution_report_last_px(a)
        total += oe.execution_report_last_qty(a)
    return total


@jit
def write_reports(base: int, count: int) -> None:
    """Lay out `count` valid reports to decode."""
    for i in range(count):
        header = base + i * STRIDE
        oe.write_execution_report_header(header)
        a = header + oe.HEADER_SIZE
        oe.set_execution_report_order_id(a, i)
        oe.set_execution_report_price(a, i)
        oe.write_execution_report_echo_length(a + oe.EXECUTION_REPORT_BLOCK, 0)


def _quickest(work: Callable[[], object]) -> float:
    """Nanoseconds a message in the quickest round."""
    work()
    best = float("inf")
    for _ in range(ROUNDS):
        begin = time.perf_counter_ns()
        work()
        best = min(best, time.perf_counter_ns() - begin)
    return best / MESSAGES


def _place(field: str, kind: str) -> tuple[int, str]:
    """Offset and `struct` letter of a field."""
    offset: int = getattr(oe, f"{field}_OFFSET")
    return offset, kind


def _format(*places: tuple[int, str]) -> struct.Struct:
    """One format for fields at offsets, gaps as padding, behind the message header."""
    text, position = "<HHHH", 0
    for offset, letter in places:
        text += f"{offset - position}x" if offset > position else ""
        text += letter
        position = offset + struct.calcsize("<" + letter)
    return struct.Struct(text)


ORDER_FORMAT = _format(
    *(
        _place(f"NEW_ORDER_SINGLE_{field}", kind)
        for field, kind in (
            ("HEADER_SENDING_TIME", "Q"), ("HEADER_MSG_SEQ_NUM", "I"), ("ACCOUNT", "I"),
            ("CL_ORD_ID", "Q"), ("PRICE", "q"), ("ORDER_QTY", "q"), ("INSTRUMENT", "I"),
            ("SIDE", "B"), ("ORD_TYPE", "B"), ("TIME_IN_FORCE", "B"), ("EXEC_INST", "B"),
            ("TAG", "I"),
        )
    )
)  # fmt: skip
REPORT_FORMAT = _format(
    *sorted(
        _place(f"EXECUTION_REPORT_{field}", kind)
        for field, kind in (
            ("ORDER_ID", "Q"), ("CL_ORD_ID", "Q"), ("EXEC_ID", "Q"), ("ACCOUNT", "I"),
            ("INSTRUMENT", "I"), ("PRICE", "q"), ("ORDER_QTY", "q"), ("CUM_QTY", "q"),
            ("LEAVES_QTY", "q"), ("SIDE", "B"), ("EXEC_TYPE", "B"), ("ORD_STATUS", "B"),
            ("LAST_PX", "q"), ("LAST_QTY", "q"),
        )
    )
)  # fmt: skip


def _rate(ns_per_op: float) -> dict[str, float]:
    return {"ns_per_op": ns_per_op, "ops_per_second": 1e9 / ns_per_op}


def measure() -> dict[str, Any]:
    """Time all four, in this process, one after the other; plain JSON, times in ns a message."""
    memory = np.zeros(MESSAGES * STRIDE + STRIDE, np.uint8)
    base: int = memory.ctypes.data
    buffer = memory.data
    pack, unpack = ORDER_FORMAT.pack_into, REPORT_FORMAT.unpack_from
    offsets = range(0, MESSAGES * STRIDE, STRIDE)
    template = oe.NEW_ORDER_SINGLE_TEMPLATE

    def pack_orders() -> None:
        for i in offsets:
            pack(
                buffer, i, oe.NEW_ORDER_SINGLE_BLOCK, template, oe.SCHEMA_ID, oe.SCHEMA_VERSION,
                i, 1, 7, i, 100_000_000, 500_000_000, 3, 1, 2, 0, 1, 5,
            )  # fmt: skip

    def unpack_reports() -> Any:
        for i in offsets:
            values = unpack(buffer, i)
        return values

    encode = _quickest(lambda: encode_orders(base, MESSAGES))
    encode_struct = _quickest(pack_orders)
    write_reports(base, MESSAGES)
    if check_and_decode_reports(base, MESSAGES) < 0:
        raise ValueError("the reports to decode are not valid")
    decode = _quickest(lambda: check_and_decode_reports(base, MESSAGES))
    decode_struct = _quickest(unpack_reports)
    return {
        "name": "sbe",
        "messages": MESSAGES,
        "order_bytes": ORDER_SIZE,
        "report_bytes": REPORT_SIZE,
        "encode": _rate(encode),
        "check_and_decode": _rate(decode),
        "baseline": {
            "name": "struct",
            "encode": _rate(encode_struct),
            "decode": _rate(decode_struct),
        },
    }
