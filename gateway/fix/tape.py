"""Follows all reports into the public book and onto a tape of trades, compiled.

    tape row   0 instrument   8 aggressor (1, 2, or 0 in an auction)   16 price   24 quantity
              32 trade id    40 time
"""

from typing import Any

from core.jit import jit
from gateway.feed.book import apply_report
from gateway.feed.interest import interest_change
from gateway.fix.records import EVENT_BODY_AT
from sbe.generated import order_entry as oe
from sbe.raw import load_i32, load_i64

TAPE_COLUMNS = 6


@jit
def follow(
    book: Any, positions: Any, interest: Any, a: int, length: int, gate: int, touched: Any,
    tape: Any, used: Any,
) -> int:
    """Take the released reports in `length` bytes at `a`; the bytes dealt with.

    positions: int64 per account and instrument. interest: int64 per instrument, the open interest.
    touched: int64 per instrument, set to 1 where the book changed. tape: int64 rows, `used[0]` of
    them filled; when it is full the walk stops.
    """
    at = 0
    while at + 32 <= length:
        frame = a + at
        size = load_i32(frame)
        if size < 32 or at + size > length or load_i64(frame + 8) > gate:
            break
        if oe.header_template(frame + 16) == oe.EXECUTION_REPORT_TEMPLATE:
            if used[0] >= tape.shape[0]:
                break
            e = frame + EVENT_BODY_AT
            traded = oe.execution_report_exec_type(e) == oe.EXEC_TYPE_TRADE
            if traded and oe.execution_report_instrument(e) < interest.shape[0]:
                interest[oe.execution_report_instrument(e)] += interest_change(positions, e)
            if apply_report(book, e):
                c = book[0].change
                touched[c.instrument] = 1
                if c.trade != 0:
                    row = tape[used[0]]
                    row[0] = c.instrument
                    row[1] = c.aggressor
                    row[2] = c.trade_price
                    row[3] = c.trade_quantity
                    row[4] = c.trade
                    row[5] = c.time
                    used[0] += 1
        at += size
    return at
