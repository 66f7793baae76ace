"""Balances and positions of the model: what a trade or a payout moves."""

from typing import TYPE_CHECKING

import sbe.generated.order_entry as oe
from tests.model.records import Instrument, Position

if TYPE_CHECKING:
    from tests.model.exchange import Exchange

FEES, CLEARING, WITHDRAWALS, ROUNDING, LIQUIDITY = 1, 3, 5, 6, 8
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


def move(x: "Exchange", origin: int, target: int, asset: int, amount: int) -> None:
    """From one account to another."""
    credit(x, origin, asset, -amount)
    credit(x, target, asset, amount)


def balance_update(
    x: "Exchange", account: int, asset: int, reason: int, change: int, counter: int, request: int
) -> None:
    """Tell who keeps books, and who follows the account."""
    session = x.accounts[account].follower
    _tell(x, session, account, asset, request, b"", (reason, change, counter))


def balance_stands(
    x: "Exchange", account: int, asset: int, session: int, request: int = 0, echo: bytes = b""
) -> None:
    """Tell a session how a balance stands."""
    _tell(x, session, account, asset, request, echo, (oe.BALANCE_REASON_SNAPSHOT, 0, 0))


def _tell(
    x: "Exchange", session: int, account: int, asset: int, request: int, echo: bytes,
    why: tuple[int, int, int],
) -> None:
    balance = x.balance(account, asset)
    reason, change, counter = why
    x.emit(
        session, "BalanceUpdate", requestId=request, account=account, asset=asset, reason=reason,
        change=change, balance=balance, instrument=None, counterAccount=counter,
        lent=max(0, balance) if x.accounts[account].auto_lend else 0, earned=0, echo=echo,
    )
