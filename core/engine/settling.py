"""Settlement and funding of one position, exact: what a cut owes it, and how it is paid.

A *cut* fixes the marks (settlement) or the rate (funding) for every position of a perpetual at one
instant; `settled_cut` and `funded_cut` count the cuts of an instrument. A position behind them is
brought up when the job comes by, or just before it trades, so that its quantity is still that of
the cut and the sum over all positions is zero to the unit:

    settlement   q × (cut mark − last settled mark) + unsettled        exact, sum 0
    funding      −q × cut mark × rate, rounded against the customer    remainder to ROUNDING

A loss is taken from, in this order,

    the balance ─▶ what of it is lent ─▶ what the account may borrow of the pool's USDC
                                          └▶ the rest stays `unsettled`, owed; account LIQUIDITY
                                             stands in for it as far as it can (settlement.py)

and a profit is paid out of what was taken and advanced (`settlement_pot`). What is missing even
then stays `unsettled` too: the winner's claim, which waits and is paid first in the next cycle.
Funding takes and pays the same way, and leaves what it can't to the next settlement.
Both count as equity all the while. Lent money is the balance itself, so redeeming it is one step
with spending it.
"""

import sbe.generated.order_entry as oe
from core.engine.accounts import credit, realise, touch
from core.engine.emit import event_begin
from core.engine.liquidation.queue import look_again
from core.engine.margin.door import margin_borrowable, margin_changed
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


@jit
def _bring_up(s, number):
    """Fix what the cut owes a position, as what is unsettled of it; its profit stays what it is."""
    position = s.positions[number]
    book = s.instruments[position.instrument]
    due = settlement_due(position, book)
    position.settled_cut = book.settled_cut
    position.settled_value = book.settled_value
    position.unsettled = due
    return due


@jit
def _no_longer_waits(s, number):
    claim = s.claims[number]
    waited = claim.waiting
    s.claims_waiting -= waited
    claim.waiting = 0
    return waited


@linked
def collect(s, number, everything):
    """Take what a position owes by the cut: as much as its account has and may borrow, or all."""
    position = s.positions[number]
    before = position.settled_value
    owed = -_bring_up(s, number)
    _no_longer_waits(s, number)
    taken = owed if everything else _means(s, position.account, owed)
    s.settlement_short += owed - taken
    _pay(s, number, -taken, before)


@jit
def _means(s, account, owed):
    """How much of a debit the account's balance, and what it may borrow, can bear."""
    touch(s, account, 0)
    held = max(0, s.accounts[account].assets[0].balance)
    if held >= owed:
        return owed
    return held + margin_borrowable(s, account, owed - held, held)


@linked
def pay_waiting(s, number):
    """Pay what earlier cycles left unpaid, as far as the pot goes; the rest is due like the new."""
    position = s.positions[number]
    before = position.settled_value
    claim = s.claims[number]
    if position.settled_cut != s.instruments[position.instrument].settled_cut:
        claim.due = _bring_up(s, number)
    waited = _no_longer_waits(s, number)
    amount = min(waited, claim.due, max(0, s.settlement_pot))
    if amount > 0:
        claim.due -= amount
        _pay(s, number, amount, before)
        s.settlement_positions -= 1  # It is counted when its turn among all comes.


@linked
def pay_claim(s, number):
    """Pay what a position is due by the cut, as far as the pot goes; the rest waits."""
    position = s.positions[number]
    before = position.settled_value
    claim = s.claims[number]
    if position.settled_cut != s.instruments[position.instrument].settled_cut:
        claim.due = _bring_up(s, number)
    amount = min(claim.due, max(0, s.settlement_pot))
    _no_longer_waits(s, number)
    claim.waiting = claim.due - amount
    s.claims_waiting += claim.waiting
    claim.due = 0
    _pay(s, number, amount, before)


@linked
def settle_whole(s, number):
    """Settle a position of a market that goes, in full: what its account hasn't, it borrows."""
    position = s.positions[number]
    before = position.settled_value
    due = _bring_up(s, number)
    _no_longer_waits(s, number)
    s.claims[number].due = 0
    _pay(s, number, due, before)


@linked
def settle_before_trade(s, number):
    """Bring a position up to the running cuts. A loss is taken now, a profit waits for its turn."""
    position = s.positions[number]
    book = s.instruments[position.instrument]
    if position.settled_cut != book.settled_cut:
        if settlement_due(position, book) < 0:
            collect(s, number, False)
        else:
            s.claims[number].due = _bring_up(s, number)
    if position.funded_cut != book.funded_cut:
        fund_position(s, number)


@linked
def owe_all(s, account):
    """Turn what an account owes on perpetuals it no longer holds into debt, bounds or none.

    Of a liquidation that has closed everything: debts are then sold against, or written off.
    """
    number = s.accounts[account].first_linear
    while number != 0:
        position = s.positions[number]
        kind = s.instruments[position.instrument].kind
        if kind == oe.INSTRUMENT_KIND_PERPETUAL and position.quantity == 0:
            settle_before_trade(s, number)
            if position.unsettled < 0:
                _pay(s, number, position.unsettled, position.settled_value)
        number = position.linear_next


@jit
def _pay(s, number, amount, before):
    """Move an amount from the pot to a position's account (below zero: into it), and say so."""
    position = s.positions[number]
    book = s.instruments[position.instrument]
    if amount == 0 and position.quantity == 0 and position.unsettled == 0:
        return
    position.unsettled -= amount
    s.settlement_positions += 1
    s.settlement_credits += max(0, amount)
    s.settlement_debits += max(0, -amount)
    s.settlement_pot -= amount
    realise(s, position.account, book.quote, amount)
    realise(s, CLEARING, book.quote, -amount)
    if s.accounts[position.account].assets[book.quote].balance < 0:
        look_again(s, position.account)  # A debt requires margin, and grows.
    margin_changed(s, number)
    a = event_begin(s, oe.POSITION_SETTLED_BLOCK, 0, s.accounts[position.account].follower)
    oe.write_position_settled_header(a - 8)
    oe.set_position_settled_account(a, position.account)
    oe.set_position_settled_instrument(a, position.instrument)
    oe.set_position_settled_position(a, position.quantity * book.lot_size)
    oe.set_position_settled_mark(a, book.settled_mark)
    oe.set_position_settled_previous_mark(a, before // book.value_per_grain * book.grain)
    oe.set_position_settled_amount(a, amount)
    oe.set_position_settled_balance(a, s.accounts[position.account].assets[book.quote].balance)
    oe.set_position_settled_cycle(a, s.settlement_cycle)
    oe.set_position_settled_left(a, position.unsettled)


@linked
def fund_position(s, number):
    """Pay or take a position's funding, as far as there is something to; the rest is unsettled."""
    position = s.positions[number]
    book = s.instruments[position.instrument]
    position.funded_cut = book.funded_cut
    due = funding_due(position, book)
    if position.quantity == 0 or due == 0:
        return
    book.funding_positions += 1
    book.funding_remainder -= due
    position.unsettled += due
    margin_changed(s, number)
    if due < 0:
        amount = -_means(s, position.account, -due)
    else:
        amount = min(due, max(0, book.funding_pot))
    position.unsettled -= amount
    book.funding_pot -= amount
    credit(s, position.account, book.quote, amount)
    credit(s, CLEARING, book.quote, -amount)
    margin_changed(s, number)
    a = event_begin(s, oe.FUNDING_PAYMENT_BLOCK, 0, s.accounts[position.account].follower)
    oe.write_funding_payment_header(a - 8)
    oe.set_funding_payment_account(a, position.account)
    oe.set_funding_payment_instrument(a, position.instrument)
    oe.set_funding_payment_position(a, position.quantity * book.lot_size)
    oe.set_funding_payment_rate(a, book.funding_rate)
    oe.set_funding_payment_amount(a, amount)
    oe.set_funding_payment_balance(a, s.accounts[position.account].assets[book.quote].balance)
    oe.set_funding_payment_due(a, due)
