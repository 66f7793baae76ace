"""Balances as collateral: their value at the index, haircuts, and the margin on debts.

    value      USDC + Σ balance × index (debts count in full, rounded up)
    required   Σ haircut × value of what is held
               + Σ borrow margin × value of the debt that would stand if every order traded

USDC itself has no haircut. Both in USDC units.
"""

from core.atomics import count_trailing_zeros
from core.engine.money import share_up, value_down, value_up
from core.jit import jit


@jit
def collateral(s, account, initial):
    """(value, required) over all assets of an account; interest up to now is in the balances."""
    holder = s.accounts[account]
    value = 0
    required = 0
    seen = holder.assets_seen
    while seen != 0:
        number = count_trailing_zeros(seen)
        seen &= seen - 1
        entry = holder.assets[number]
        asset = s.assets[number]
        debt = max(0, entry.reserved - entry.balance)
        debt_rate = asset.borrow_margin_initial if initial else asset.borrow_margin_maintenance
        if number == 0:
            value += entry.balance
            required += share_up(debt, debt_rate)
            continue
        if entry.balance >= 0:
            worth = value_down(asset, entry.balance)
            rate = asset.haircut_initial if initial else asset.haircut_maintenance
            value += worth
            required += share_up(worth, rate)
        else:
            value -= value_up(asset, -entry.balance)
        if debt > 0:
            required += share_up(value_up(asset, debt), debt_rate)
    return value, required
