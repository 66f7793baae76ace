"""The invite-only beta: who is invited, and caps on what an owner and everybody may have.

    notional of an owner ≤ cap + ramp × days since the start       positions and orders at the marks
    equity of an owner   ≤ cap      else nothing is added
    losses of an owner   ≤ cap      realised and not, of the positions there are
    open interest        ≤ cap      of all markets together

A prediction's notional is what it can pay. All this is walked through, and only while a beta is on:
it is for a small venue.
"""

import sbe.generated.order_entry as oe
from core.engine.margin.door import margin_levels
from core.engine.order_terms import refuse
from core.jit import jit
from core.linked import linked

DAY_NS = 86_400_000_000_000


@linked
def judge_beta(s, position, tick, lots, closes):
    """0, or NotInvited, or BetaLimit with what would be and the cap."""
    owner = s.accounts[position.account].owner
    if s.owner_controls[owner].invited == 0:
        return refuse(s, oe.REASON_NOT_INVITED, owner, 0)
    if closes:
        return 0
    controls = s.controls
    book = s.instruments[position.instrument]
    added = lots * _lot_value(book, tick)
    if controls.beta_notional != 0:
        days = max(0, s.work.time - controls.beta_start) // DAY_NS
        cap = controls.beta_notional + days * controls.beta_ramp
        total = added + _over_accounts(s, owner, 0)
        if total > cap:
            return refuse(s, oe.REASON_BETA_LIMIT, total, cap)
    if controls.beta_loss != 0:
        lost = -owner_profit(s, owner)
        if lost > controls.beta_loss:
            return refuse(s, oe.REASON_BETA_LIMIT, lost, controls.beta_loss)
    if controls.beta_equity != 0:
        worth = _over_accounts(s, owner, 2)
        if worth > controls.beta_equity:
            return refuse(s, oe.REASON_BETA_LIMIT, worth, controls.beta_equity)
    if controls.beta_interest != 0 and book.kind != oe.INSTRUMENT_KIND_SPOT:
        total = added + _open_interest(s)
        if total > controls.beta_interest:
            return refuse(s, oe.REASON_BETA_LIMIT, total, controls.beta_interest)
    return 0


@jit
def owner_profit(s, owner):
    """What an owner's positions have made, realised and at the marks; USDC units."""
    return _over_accounts(s, owner, 1)


@jit
def _lot_value(book, tick):
    """Quote units one lot stands for."""
    if book.kind == oe.INSTRUMENT_KIND_SPOT:
        return tick * book.value_per_tick_lot
    return book.one_value if book.kind >= oe.INSTRUMENT_KIND_OUTCOME else book.mark_value


@jit
def _over_accounts(s, owner, what):
    """Sum over the owner's accounts of: 0 notional, 1 profit, 2 equity; USDC units."""
    total = 0
    account = s.owners[owner].first_account
    while account != 0:
        if what == 2:
            total += _equity(s, account)
        else:
            total += _over_positions(s, account, what)
        account = s.accounts[account].owner_next
    return total


@jit
def _equity(s, account):
    """What the account is worth; the scratch that this needs is given back as it was."""
    scratch = s.work.scratch
    first, second, third = scratch[0], scratch[1], scratch[2]
    margin_levels(s, account)
    equity = scratch[0]
    scratch[0], scratch[1], scratch[2] = first, second, third
    return equity


@jit
def _over_positions(s, account, what):
    total = 0
    number = s.accounts[account].first_position
    while number != 0:
        position = s.positions[number]
        book = s.instruments[position.instrument]
        if what == 1:
            if book.kind != oe.INSTRUMENT_KIND_SPOT:
                worth = position.quantity * book.mark_value
                if book.mark == 0:
                    worth = position.entry_value  # Nobody has said yet what it is worth.
                total += position.realized + worth - position.entry_value
        elif book.kind == oe.INSTRUMENT_KIND_SPOT:
            total += position.open_buy_value
        else:
            longest = abs(position.quantity + position.open_buy)
            shortest = abs(position.quantity - position.open_sell)
            total += max(longest, shortest) * _lot_value(book, 0)
        number = position.account_next
    return total


@jit
def _open_interest(s):
    total = 0
    for number in range(1, s.instruments_listed + 1):
        book = s.instruments[number]
        if book.kind != oe.INSTRUMENT_KIND_SPOT:
            total += book.open_interest * _lot_value(book, 0)
    return total
