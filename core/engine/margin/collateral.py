"""Balances as collateral: their value at the index, haircuts, and the margin on debts.

    value      USDC + Σ balance × index (debts count in full, rounded up)
    required   Σ haircut × value of what is held
               + Σ borrow margin × value of the debt that would stand if every order traded
               + [initial] STRICT: what is held counts at the lower of index and slow price, what is
                 owed at the higher, so that profit of a price pushed up is no collateral at once

USDC itself has no haircut. Both in USDC units.
"""

from core.atomics import count_trailing_zeros
from core.engine.money import multiply_divide_up, share_up, value_down, value_up
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
        balance = holder.assets[number].balance
        if number == 0:
            value += balance
        elif balance >= 0:
            value += value_down(s.assets[number], balance)
        else:
            value -= value_up(s.assets[number], -balance)
        required += asset_requirement(s, account, number, initial)
        if initial and s.assets[number].above_stable | s.assets[number].below_stable != 0:
            required += strict(s.assets[number], balance)
    return value, required


@jit
def strict(asset, balance):
    """What a balance requires initially because the index is not what the slow price says."""
    apart = asset.above_stable if balance >= 0 else asset.below_stable
    return multiply_divide_up(abs(balance), apart, asset.value_divisor)


@jit
def asset_requirement(s, account, number, initial):
    """What a balance alone requires: its haircut, and the margin on the debt that may come."""
    entry = s.accounts[account].assets[number]
    asset = s.assets[number]
    debt = max(0, entry.reserved - entry.balance)
    rate = asset.borrow_margin_initial if initial else asset.borrow_margin_maintenance
    if number == 0:
        return share_up(debt, rate)
    required = share_up(value_up(asset, debt), rate) if debt > 0 else 0
    if entry.balance >= 0:
        haircut = asset.haircut_initial if initial else asset.haircut_maintenance
        required += share_up(value_down(asset, entry.balance), haircut)
    return required
