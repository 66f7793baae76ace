"""Positions that change hands without the book, at a value both sides agree to in whole units.

    equity given e, of a position of q lots at mark M        for n of the lots

    a long gives n × M − e × n / q for the taker to pay      a short n × M + e × n / q to be paid

so that when all positions are gone their equity is gone with them: the bankruptcy price. No fee is
taken. A prediction's price stays within 0 and 1.
"""

import sbe.generated.control as control
import sbe.generated.order_entry as oe
from core.engine.accounts import balance_update, move
from core.engine.emit import event_begin
from core.engine.liquidation.order import whole_shares
from core.engine.liquidation.report import tell_counterparty
from core.engine.positions import is_prediction
from core.engine.trades import book_fill
from core.jit import jit
from core.linked import linked
from core.records import INSURANCE


@jit
def bankruptcy_value(s, number, lots, equity):
    """Quote units for so many lots of a position when it leaves with so much equity in all."""
    position = s.positions[number]
    book = s.instruments[position.instrument]
    given = whole_shares(equity, lots, abs(position.quantity))
    value = lots * book.mark_value
    value += given if position.quantity < 0 else -given
    if is_prediction(book.kind):
        return min(max(value, 0), lots * book.one_value)
    return value


@linked
def hand_over(s, record, number, taker, lots, value, stage, refund):
    """Move lots of a position to another one's account for a value; the taker pays a refund."""
    position = s.positions[number]
    other = s.positions[taker]
    instrument = position.instrument
    gives = oe.SIDE_SELL if position.quantity > 0 else oe.SIDE_BUY
    signed = -lots if gives == oe.SIDE_SELL else lots
    book_fill(s, number, gives, lots, value, 0)
    book_fill(s, taker, 3 - gives, lots, value, 0)
    paid = value if gives == oe.SIDE_BUY else -value
    _transferred(s, position.account, other.account, instrument, stage, signed, paid)
    _transferred(s, other.account, position.account, instrument, stage, -signed, -paid)
    if refund > 0:
        insure(s, record, other.account, -refund)
        record.recover -= refund
    tell_counterparty(s, record, stage, other.account, instrument, -signed, -paid, refund)


@jit
def _transferred(s, account, counter, instrument, stage, signed, paid):
    book = s.instruments[instrument]
    e = event_begin(s, control.POSITION_TRANSFERRED_BLOCK, 0, 0)
    control.write_position_transferred_header(e - 8)
    control.set_position_transferred_account(e, account)
    control.set_position_transferred_counter_account(e, counter)
    control.set_position_transferred_instrument(e, instrument)
    control.set_position_transferred_stage(e, stage)
    control.set_position_transferred_quantity(e, signed * book.lot_size)
    control.set_position_transferred_value(e, paid)
    balance = s.accounts[account].assets[book.quote].balance
    control.set_position_transferred_balance(e, balance)


@linked
def insure(s, record, account, amount):
    """Move USDC units from the insurance account to a client's, or back if below zero."""
    move(s, INSURANCE, account, 0, amount)
    reason = oe.BALANCE_REASON_LIQUIDATION
    balance_update(s, account, 0, reason, amount, INSURANCE, record.certificate)
    if amount > 0:
        s.insurance_advanced += amount
    else:
        s.insurance_refunded -= amount
