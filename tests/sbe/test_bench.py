"""What `onebook bench sbe` measures is right, and fast enough."""

import struct

import numpy as np

import sbe.generated.order_entry as oe
from sbe.codec import Codec
from tests.sbe.kit import SCHEMAS
from tools.bench import sbe as bench

TOP = SCHEMAS.parents[2]
ENCODE_NS_MAX = DECODE_NS_MAX = 50


def test_both_encoders_write_the_same_order() -> None:
    memory = np.zeros(2 * bench.STRIDE, np.uint8)
    bench.encode_orders(memory.ctypes.data, 2)
    data = bytes(memory[bench.STRIDE : bench.STRIDE + bench.ORDER_SIZE])
    name, fields = Codec.load(TOP / "sbe" / "schema" / "order_entry.xml").decode(data)
    assert name == "NewOrderSingle"
    assert fields["price"]["mantissa"] == 100_000_001
    assert fields["execInst"] == ["PostOnly"]
    values = bench.ORDER_FORMAT.unpack_from(data)
    assert values[:3] == (oe.NEW_ORDER_SINGLE_BLOCK, oe.NEW_ORDER_SINGLE_TEMPLATE, oe.SCHEMA_ID)
    assert values[-1] == 1


def test_the_decoder_reads_what_the_baseline_reads() -> None:
    memory = np.zeros(4 * bench.STRIDE, np.uint8)
    bench.write_reports(memory.ctypes.data, 4)
    expected = sum(sum(bench.REPORT_FORMAT.unpack_from(memory, i * bench.STRIDE)[4:])
                   for i in range(4))  # fmt: skip
    assert bench.check_and_decode_reports(memory.ctypes.data, 4) == expected == 12
    struct.pack_into("<H", memory, 0, 1)
    assert bench.check_and_decode_reports(memory.ctypes.data, 4) < 0


def test_times_are_within_the_promise() -> None:
    result = bench.measure()
    assert result["encode"]["ns_per_op"] < ENCODE_NS_MAX
    assert result["check_and_decode"]["ns_per_op"] < DECODE_NS_MAX
    assert result["baseline"]["encode"]["ns_per_op"] > result["encode"]["ns_per_op"]
