"""One side of a trade, in the account's books.

    spot        base and quote change hands at once
    prediction  the buyer pays the price, the seller receives it; what it may pay later is margin
    perpetual   no money moves but the fee: unsettled += lots × (last settled mark − price),
                so that q × (mark − last settled mark) + unsettled is the exact profit

Called for the maker and for the taker of each trade. Over both, every asset is conserved to the
unit; the fee goes to (a rebate comes from) account FEES.
"""

import sbe.generated.order_entry as oe
from core.engine.accounts import credit
from core.engine.controls.order_limits import count_trade
from core.engine.following import note_change
from core.engine.margin.door import margin_changed
from core.engine.money import multiply_divide
from core.engine.settling import settle_before_trade
from core.jit import jit
from core.linked import linked
from core.records import FEES


@linked
def account_fill(s, number, side, tick, lots, fee):
    """Book one side of a trade of lots at a tick; fee in units of the quote asset.

    The order's reservation must have been released. The margin room is told.
    """
    value = tick * lots * s.instruments[s.positions[number].instrument].value_per_tick_lot
    book_fill(s, number, side, lots, value, fee)
    if s.controls.limited != 0:
        count_trade(s, s.positions[number].account)


@linked
def book_fill(s, number, side, lots, value, fee):
    """The same of lots that change hands for a value in quote units, on a tick or not."""
    position = s.positions[number]
    account = position.account
    book = s.instruments[position.instrument]
    signed = lots if side == oe.SIDE_BUY else -lots
    paid = value if side == oe.SIDE_BUY else -value
    if book.kind == oe.INSTRUMENT_KIND_PERPETUAL:
        settle_before_trade(s, number)
        position.unsettled += signed * position.settled_value - paid
        credit(s, account, book.quote, -fee)
    else:
        credit(s, account, book.quote, -paid - fee)
    credit(s, FEES, book.quote, fee)
    if s.accounts[account].follower != 0:
        note_change(s, number)
    if book.kind == oe.INSTRUMENT_KIND_SPOT:
        credit(s, account, book.base, signed * book.base_per_lot)
        return
    if side == oe.SIDE_BUY:
        book.open_interest += max(0, position.quantity + lots) - max(0, position.quantity)
    else:
        book.open_interest += max(0, position.quantity - lots) - max(0, position.quantity)
    enter(position, signed, paid)
    margin_changed(s, number)


@jit
def enter(position, signed, paid):
    """Change a position by signed lots for so many quote units paid (below zero: received).

    What is closed leaves with its share of the entry value; the difference is realised.
    """
    held = position.quantity
    closed = 0
    if held > 0 > signed:
        closed = max(signed, -held)
    elif held < 0 < signed:
        closed = min(signed, -held)
    if closed == 0:
        position.entry_value += paid
    else:
        left = held + closed
        entry_left = _share(position.entry_value, left, held)
        paid_for_closed = paid if closed == signed else _share(paid, closed, signed)
        position.realized += -paid_for_closed - (position.entry_value - entry_left)
        position.entry_value = entry_left + paid - paid_for_closed
    position.quantity = held + signed


@jit
def _share(value, part, whole):
    """value × part / whole for part and whole of one sign, toward zero, in 128 bits."""
    part, whole = abs(part), abs(whole)
    if part == 0:
        return 0
    size = multiply_divide(abs(value), part, whole)
    return size if value >= 0 else -size
