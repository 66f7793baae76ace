"""Our parsers and the libraries that do the same, side by side and held to the same answers.

    tools/run pytest -n 0 --benchmark-enable --benchmark-group-by=group tests/benchmarks

prints a table a group. In an ordinary run each is called once, and only its answer counts.
"""

import struct
from typing import Any

import numpy as np
import pytest
import simplefix

import sbe.generated.order_entry as oe
from core.messages import decode, encode
from gateway.fix.scan import scan
from tests.gateway.fix.kit import NOW, ORDER, Scanner, fix, header
from tools.bench.sbe import ORDER_FORMAT, ORDER_SIZE

CLIENT_ORDER = fix(f"{header('D', 2)}|11=order-1|{ORDER}")


@pytest.mark.benchmark(group="a FIX order read")
def test_read_a_fix_order_with_simplefix(benchmark: Any) -> None:
    def read() -> Any:
        parser = simplefix.FixParser()
        parser.append_buffer(CLIENT_ORDER)
        return parser.get_message()

    message = benchmark(read)
    assert message.get(38) == b"1.5"
    assert message.get(44) == b"64000.5"


@pytest.mark.benchmark(group="a FIX order read")
def test_read_a_fix_order_with_the_scanner(benchmark: Any) -> None:
    """Scanned, judged and written into the ring: more than the library does."""
    scanner = Scanner()
    buffer = np.frombuffer(CLIENT_ORDER + bytes(64), np.uint8)
    addresses = scanner.connection.address, scanner.context.address, int(buffer.ctypes.data)

    def read() -> None:
        scanner.fields["expected"] = 2
        scanner.fields["consumed"] = 0
        scanner.memory.rewind()
        scan(*addresses, len(CLIENT_ORDER), NOW)

    benchmark(read)
    (frame,) = scanner.memory.frames()
    _, fields = decode(frame[32:])
    assert fields["orderQty"] == 150_000_000
    assert fields["price"] == 6_400_050_000_000


VALUES = {
    "header": {"sendingTime": 5, "msgSeqNum": 1}, "account": 7, "clOrdId": 9, "price": 10**8,
    "orderQty": 5 * 10**8, "instrument": 3, "side": 1, "ordType": 2, "timeInForce": 0,
    "execInst": 1, "tag": 5,
}  # fmt: skip
WORDS = (oe.SCHEMA_ID, oe.SCHEMA_VERSION, 5, 1, 7, 9, 10**8, 5 * 10**8, 3, 1, 2, 0, 1, 5)


def checked(data: Any) -> None:
    """The order stands in the bytes."""
    array = np.frombuffer(bytes(data), np.uint8)
    assert oe.check(int(array.ctypes.data), len(array)) == 0
    a = int(array.ctypes.data) + oe.HEADER_SIZE
    assert oe.new_order_single_order_qty(a) == 5 * 10**8
    assert oe.new_order_single_tag(a) == 5


@pytest.mark.benchmark(group="an SBE order written")
def test_write_an_sbe_order_with_struct(benchmark: Any) -> None:
    buffer = bytearray(ORDER_SIZE)
    pack: struct.Struct = ORDER_FORMAT
    benchmark(
        pack.pack_into, buffer, 0, oe.NEW_ORDER_SINGLE_BLOCK, oe.NEW_ORDER_SINGLE_TEMPLATE, *WORDS
    )
    checked(buffer)


@pytest.mark.benchmark(group="an SBE order written")
def test_write_an_sbe_order_from_a_dictionary(benchmark: Any) -> None:
    """The friendly way, for tools: not for the path of an order."""
    absent = {
        "stopPx": None, "displayQty": None, "expireTime": None, "triggerType": 0,
        "outcomeSide": 0, "selfTradePrevention": 0, "echo": b"",
    }  # fmt: skip
    checked(benchmark(encode, "NewOrderSingle", VALUES | absent))
