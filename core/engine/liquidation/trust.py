"""Whether prices are good enough to act on, and how much rounding is let pass.

An index that has lost its sources is no reason to liquidate anybody: as long as one that an account
depends on is degraded, it is left alone for the parameter DegradedWait; while one is stale, for as
long as that lasts. An account depends on an index if what it has by it is worth at least half of
what is missing, and of a hundredth of its requirement: dust of a dead asset protects nobody.
"""

from core.atomics import count_trailing_zeros
from core.engine.money import value_up
from core.jit import jit
from core.linked import linked

LIVE, DEGRADED, STALE = 0, 1, 2


@linked
def may_liquidate(s, account, equity, required):
    """Whether every index that the account depends on is live, or degraded for long enough.

    equity, required: USDC units it has and what it is held to.
    """
    missing = max(required - equity, required // 100)
    holder = s.accounts[account]
    seen = holder.assets_seen & ~1
    while seen != 0:
        asset = count_trailing_zeros(seen)
        seen &= seen - 1
        balance = holder.assets[asset].balance
        matters = balance != 0 and 2 * value_up(s.assets[asset], abs(balance)) >= missing
        if matters and not trusted(s, asset):
            return False
    number = holder.first_position
    while number != 0:
        position = s.positions[number]
        book = s.instruments[position.instrument]
        if position.quantity != 0 and book.base != 0 and not trusted(s, book.base):
            worth = book.mark_value if book.one_value == 0 else book.one_value
            if 2 * worth * abs(position.quantity) >= missing:
                return False
        number = position.account_next
    return True


@jit
def trusted(s, asset):
    """Whether liquidations may go by an asset's index."""
    state = s.assets[asset].index_state
    if state == LIVE:
        return True
    return state == DEGRADED and s.time - s.sources[asset].live_at > s.risk.degraded_wait


@jit
def tolerance(s, account):
    """USDC units that may be missing by rounding: one for each open line."""
    lines = 0
    holder = s.accounts[account]
    seen = holder.assets_seen
    while seen != 0:
        lines += holder.assets[count_trailing_zeros(seen)].balance != 0
        seen &= seen - 1
    number = holder.first_position
    while number != 0:
        position = s.positions[number]
        lines += (position.quantity | position.open_buy | position.open_sell) != 0
        number = position.account_next
    return lines

