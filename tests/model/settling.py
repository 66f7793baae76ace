"""Settlement and funding of one position in the model, and the trade that has to wait for them.

What a settlement owes is a position's `claim` beside its quantity at the mark: only money moves it,
so a loss that can't be paid and a profit that must wait simply stay in it.
"""

from typing import TYPE_CHECKING

import sbe.generated.order_entry as oe
from tests.model.books import BILLION, CLEARING, FEES, credit, enter, position_of, up
from tests.model.margin import ceiling, levels, pool
from tests.model.records import Instrument, Position

if TYPE_CHECKING:
    from tests.model.exchange import Exchange

USDC = 0


def fill(
    x: "Exchange", account: int, book: Instrument, side: int, tick: int, lots: int, charge: int
) -> None:
    """One side of a trade."""
    position = position_of(x, account, book)
    signed = lots if side == oe.SIDE_BUY else -lots
    paid = book.value(tick, signed)
    credit(x, FEES, book.quote, charge)
    if x.accounts[account].follower and position not in x.changed:
        x.changed.append(position)
    if book.is_perpetual:
        catch_up(x, position)
        position.claim -= paid
        credit(x, account, book.quote, -charge)
    else:
        credit(x, account, book.quote, -paid - charge)
    if book.is_spot:
        credit(x, account, book.base, signed * book.base_per_lot)
    else:
        enter(position, signed, paid)


def due(position: Position, book: Instrument) -> int:
    """What the last settlement owes a position."""
    return position.quantity * book.settled_value + position.claim


def _bring_up(position: Position, book: Instrument) -> int:
    owed = due(position, book)
    position.settled_cut, position.settled_value = book.settled_cut, book.settled_value
    return owed


def collect(x: "Exchange", position: Position) -> None:
    """Take from a loser what he has and may borrow; he goes on owing the rest."""
    before = position.settled_value
    owed = -_bring_up(position, x.instruments[position.instrument])
    position.waiting = 0
    taken = min(owed, _means(x, position.account, owed))
    x.short += owed - taken
    pay(x, position, -taken, before)


def _means(x: "Exchange", number: int, owed: int) -> int:
    """The balance, and what may be borrowed on top of it."""
    account, asset = x.accounts[number], x.assets[USDC]
    balance = x.balance(number, USDC)
    held = max(0, balance)
    equity, _, maintenance = levels(x, account)
    if held >= owed or not account.auto_borrow or not asset.borrowable or equity < maintenance:
        return held
    lent, borrowed = pool(x, USDC)
    room = ceiling(asset, lent - (held if account.auto_lend else 0)) - borrowed
    if asset.borrow_limit:
        room = min(room, asset.borrow_limit + min(0, balance))
    return held + max(0, room)


def pay_waiting(x: "Exchange", position: Position) -> None:
    """Whom earlier cycles left unpaid, from what there is."""
    before = position.settled_value
    book = x.instruments[position.instrument]
    if position.settled_cut != book.settled_cut:
        position.due = _bring_up(position, book)
    amount = min(position.waiting, position.due, max(0, x.pot))
    position.waiting = 0
    if amount > 0:
        position.due -= amount
        pay(x, position, amount, before)
        x.settled[0] -= 1


def pay_claim(x: "Exchange", position: Position) -> None:
    """A winner, from what there is; what is missing waits."""
    before = position.settled_value
    book = x.instruments[position.instrument]
    if position.settled_cut != book.settled_cut:
        position.due = _bring_up(position, book)
    amount = min(position.due, max(0, x.pot))
    position.due, position.waiting = 0, position.due - amount
    pay(x, position, amount, before)


def pay(x: "Exchange", position: Position, amount: int, before: int) -> None:
    """Out of the pot, or into it."""
    book = x.instruments[position.instrument]
    left = position.quantity * position.settled_value + position.claim
    if amount == 0 and position.quantity == 0 and left == 0:
        return
    position.claim -= amount
    x.pot -= amount
    x.settled[0] += 1
    x.settled[1] += max(0, -amount)
    x.settled[2] += max(0, amount)
    credit(x, position.account, book.quote, amount)
    credit(x, CLEARING, book.quote, -amount)
    x.emit(
        x.accounts[position.account].follower, "PositionSettled",
        account=position.account, instrument=book.number,
        position=position.quantity * book.lot_size, mark=book.settled_mark,
        previousMark=before // book.value_per_grain * book.grain, amount=amount,
        balance=x.balance(position.account, book.quote), cycle=x.cycle, left=left - amount,
    )


def funding(position: Position, book: Instrument) -> int:
    """What the last funding owes a position: payers are rounded up, receivers down."""
    paid = position.quantity * book.funding_value * book.funding_rate
    return -up(paid, BILLION)


def fund(x: "Exchange", position: Position) -> None:
    """Take a position's funding, as far as it can pay; or pay it from what was taken."""
    book = x.instruments[position.instrument]
    position.funded_cut = book.funded_cut
    owed = funding(position, book)
    if position.quantity == 0 or owed == 0:
        return
    book.funding_positions += 1
    book.funding_remainder -= owed
    position.claim += owed
    if owed < 0:
        amount = -min(-owed, _means(x, position.account, -owed))
    else:
        amount = min(owed, book.funding_pot)
    position.claim -= amount
    book.funding_pot -= amount
    credit(x, position.account, book.quote, amount)
    credit(x, CLEARING, book.quote, -amount)
    x.emit(
        x.accounts[position.account].follower, "FundingPayment",
        account=position.account, instrument=book.number,
        position=position.quantity * book.lot_size, rate=book.funding_rate, amount=amount,
        balance=x.balance(position.account, book.quote), due=owed,
    )


def catch_up(x: "Exchange", position: Position) -> None:
    """Before a position trades: a loss is taken, a profit is noted and waits for its turn."""
    book = x.instruments[position.instrument]
    if position.settled_cut != book.settled_cut:
        if due(position, book) < 0:
            collect(x, position)
        else:
            position.due = _bring_up(position, book)
    if position.funded_cut != book.funded_cut:
        fund(x, position)
