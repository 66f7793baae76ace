"""Balances and positions of the model: what a trade, a settlement or a payout moves."""

from typing import TYPE_CHECKING

import sbe.generated.order_entry as oe
from tests.model.records import Instrument, Position

if TYPE_CHECKING:
    from tests.model.exchange import Exchange

FEES, CLEARING, WITHDRAWALS, ROUNDING = 1, 3, 5, 6
MILLION = 1_000_000
BILLION = 1_000_000_000


def up(numerator: int, denominator: int) -> int:
    """A quotient, rounded up."""
    return -(-numerator // denominator)


def toward_zero(numerator: int, denominator: int) -> int:
    """A quotient, rounded toward zero."""
    size = abs(numerator) // abs(denominator)
    return size if (numerator < 0) == (denominator < 0) else -size


def credit(x: "Exchange", account: int, asset: int, amount: int) -> None:
    """Change a balance; below zero is borrowed."""
    balances = x.accounts[account].balances
    balances[asset] = balances.get(asset, 0) + amount


def fee(x: "Exchange", account: int, book: Instrument, value: int, maker: bool) -> int:
    """Rounded up against the customer, a rebate toward zero."""
    tier = x.owners[x.accounts[account].owner].fee_tier
    rate = x.fees.get((tier, book.kind), (0, 0))[0 if maker else 1]
    return up(value * rate, MILLION) if rate >= 0 else -(value * -rate // MILLION)


def position_of(x: "Exchange", account: int, book: Instrument) -> Position:
    """The position, new if there is none."""
    key = account, book.number
    if key not in x.positions:
        position = Position(
            account, book.number, book.settled_value, book.settled_cut, book.funded_cut
        )
        x.positions[key] = position
        book.holders.insert(0, position)
    return x.positions[key]


def fill(
    x: "Exchange", account: int, book: Instrument, side: int, tick: int, lots: int, charge: int
) -> None:
    """One side of a trade."""
    position = position_of(x, account, book)
    signed = lots if side == oe.SIDE_BUY else -lots
    paid = book.value(tick, signed)
    credit(x, FEES, book.quote, charge)
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


def enter(position: Position, signed: int, paid: int) -> None:
    """Change a position; what is closed leaves with its share of the entry value."""
    held = position.quantity
    closed = 0
    if held * signed < 0:
        closed = max(signed, -held) if held > 0 else min(signed, -held)
    entry = toward_zero(position.entry_value * (held + closed), held) if held else 0
    paid_closed = toward_zero(paid * closed, signed)
    if closed:
        position.realized += -paid_closed - (position.entry_value - entry)
    position.entry_value = entry + paid - paid_closed
    position.quantity = held + signed


def due(position: Position, book: Instrument) -> int:
    """What the last settlement owes a position."""
    return position.quantity * book.settled_value + position.claim


def settle(x: "Exchange", position: Position) -> None:
    """Profit since the last settlement becomes balance."""
    book = x.instruments[position.instrument]
    amount = due(position, book)
    before = position.settled_value
    position.settled_cut = book.settled_cut
    position.settled_value = book.settled_value
    position.claim -= amount
    if amount == 0 and position.quantity == 0:
        return
    x.settled[0] += 1
    x.settled[1] += max(0, -amount)
    x.settled[2] += max(0, amount)
    credit(x, position.account, book.quote, amount)
    credit(x, CLEARING, book.quote, -amount)
    x.emit(
        0, "PositionSettled", account=position.account, instrument=book.number,
        position=position.quantity * book.lot_size, mark=book.settled_mark,
        previousMark=before // book.value_per_grain * book.grain, amount=amount,
        balance=x.balance(position.account, book.quote), cycle=x.cycle,
    )


def funding(position: Position, book: Instrument) -> int:
    """What the last funding owes a position: payers are rounded up, receivers down."""
    paid = position.quantity * book.funding_value * book.funding_rate
    return -up(paid, BILLION)


def fund(x: "Exchange", position: Position) -> None:
    """Pay or take a position's funding."""
    book = x.instruments[position.instrument]
    position.funded_cut = book.funded_cut
    amount = funding(position, book)
    if position.quantity == 0 or amount == 0:
        return
    book.funding_positions += 1
    book.funding_remainder -= amount
    credit(x, position.account, book.quote, amount)
    credit(x, CLEARING, book.quote, -amount)
    x.emit(
        0, "FundingPayment", account=position.account, instrument=book.number,
        position=position.quantity * book.lot_size, rate=book.funding_rate, amount=amount,
        balance=x.balance(position.account, book.quote),
    )


def catch_up(x: "Exchange", position: Position) -> None:
    """Before a position trades, what was decided on its old quantity is done."""
    book = x.instruments[position.instrument]
    if position.settled_cut != book.settled_cut:
        settle(x, position)
    if position.funded_cut != book.funded_cut:
        fund(x, position)


def move(x: "Exchange", origin: int, target: int, asset: int, amount: int) -> None:
    """From one account to another."""
    credit(x, origin, asset, -amount)
    credit(x, target, asset, amount)


def balance_update(
    x: "Exchange", account: int, asset: int, reason: int, change: int, counter: int, request: int
) -> None:
    """Tell who keeps books."""
    x.emit(
        0, "BalanceUpdate", requestId=request, account=account, asset=asset, reason=reason,
        change=change, balance=x.balance(account, asset), instrument=None,
        counterAccount=counter, echo=b"",
    )
