"""Settlement and funding of one position, exact: what a cut owes it, and who takes it first.

A *cut* fixes the marks (settlement) or the rate (funding) for every position of a perpetual at one
instant; `settled_cut` and `funded_cut` count the cuts of an instrument. A position behind them is
settled when the job comes by, or just before it trades, so that its quantity is still that of the
cut and the sum over all positions is zero to the unit:

    settlement   q × (cut mark − last settled mark) + unsettled        exact, sum 0
    funding      −q × cut mark × rate, rounded against the customer    remainder to ROUNDING
"""

import sbe.generated.order_entry as oe
from core.engine.accounts import credit, realise
from core.engine.emit import event_begin
from core.engine.liquidation.queue import look_again
from core.engine.margin.door import margin_changed
from core.engine.money import multiply_divide, multiply_divide_up
from core.jit import jit
from core.linked import linked
from core.records import CLEARING

BILLION = 1_000_000_000


@jit
def settlement_due(position, book):
    """Quote units a position gets (below zero: owes) by the instrument's last cut."""
    return position.quantity * (book.settled_value - position.settled_value) + position.unsettled


@jit
def funding_due(position, book):
    """Quote units a position gets (below zero: owes) by the instrument's last funding."""
    size = abs(position.quantity) * book.funding_value
    rate = book.funding_rate
    if (position.quantity > 0) == (rate > 0):
        return -multiply_divide_up(size, abs(rate), BILLION)
    return multiply_divide(size, abs(rate), BILLION)


@linked
def settle_position(s, number):
    """Turn a position's profit since its last settlement into balance."""
    position = s.positions[number]
    book = s.instruments[position.instrument]
    amount = settlement_due(position, book)
    before = position.settled_value
    position.settled_cut = book.settled_cut
    position.settled_value = book.settled_value
    position.unsettled = 0
    if amount == 0 and position.quantity == 0:
        return
    s.settlement_positions += 1
    s.settlement_credits += max(0, amount)
    s.settlement_debits += max(0, -amount)
    realise(s, position.account, book.quote, amount)
    realise(s, CLEARING, book.quote, -amount)
    if s.accounts[position.account].assets[book.quote].balance < 0:
        look_again(s, position.account)  # A debt requires margin, and grows.
    margin_changed(s, number)
    a = event_begin(s, oe.POSITION_SETTLED_BLOCK, 0, 0)
    oe.write_position_settled_header(a - 8)
    oe.set_position_settled_account(a, position.account)
    oe.set_position_settled_instrument(a, position.instrument)
    oe.set_position_settled_position(a, position.quantity * book.lot_size)
    oe.set_position_settled_mark(a, book.settled_mark)
    oe.set_position_settled_previous_mark(a, before // book.value_per_grain * book.grain)
    oe.set_position_settled_amount(a, amount)
    oe.set_position_settled_balance(a, s.accounts[position.account].assets[book.quote].balance)
    oe.set_position_settled_cycle(a, s.settlement_cycle)


@linked
def fund_position(s, number):
    """Pay or take a position's funding."""
    position = s.positions[number]
    book = s.instruments[position.instrument]
    position.funded_cut = book.funded_cut
    amount = funding_due(position, book)
    if position.quantity == 0 or amount == 0:
        return
    book.funding_positions += 1
    book.funding_remainder -= amount
    credit(s, position.account, book.quote, amount)
    credit(s, CLEARING, book.quote, -amount)
    a = event_begin(s, oe.FUNDING_PAYMENT_BLOCK, 0, 0)
    oe.write_funding_payment_header(a - 8)
    oe.set_funding_payment_account(a, position.account)
    oe.set_funding_payment_instrument(a, position.instrument)
    oe.set_funding_payment_position(a, position.quantity * book.lot_size)
    oe.set_funding_payment_rate(a, book.funding_rate)
    oe.set_funding_payment_amount(a, amount)
    oe.set_funding_payment_balance(a, s.accounts[position.account].assets[book.quote].balance)


@linked
def settle_before_trade(s, number):
    """Bring a position up to the running cuts; the job then has nothing left to do with it."""
    position = s.positions[number]
    book = s.instruments[position.instrument]
    if position.settled_cut != book.settled_cut:
        settle_position(s, number)
    if position.funded_cut != book.funded_cut:
        fund_position(s, number)
