"""Open interest, counted from trades: the sum of all long positions of an instrument, compiled."""

from typing import Any

from core.jit import jit
from sbe.generated import order_entry as oe


@jit
def interest_change(positions: Any, a: int) -> int:
    """What one side of a trade does to it; both sides come by, so all positions are known.

    positions: int64 lots per account and instrument, kept here. a: address of the root block of an
    ExecutionReport of a trade.
    """
    account = oe.execution_report_account(a)
    instrument = oe.execution_report_instrument(a)
    if account >= positions.shape[0] or instrument >= positions.shape[1]:
        return 0
    quantity = oe.execution_report_last_qty(a)
    buys = oe.execution_report_side(a) == oe.SIDE_BUY
    if buys == (oe.execution_report_outcome_side(a) == oe.OUTCOME_SIDE_NO):
        quantity = -quantity
    before = positions[account, instrument]
    after = before + quantity
    positions[account, instrument] = after
    return int(max(after, 0) - max(before, 0))
