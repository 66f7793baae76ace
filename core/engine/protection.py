"""Market-maker protection: too much filled in a window, and the quotes go.

Per account and underlying, the fills of quotes are summed in a window of fixed length that starts
with its first fill. When a sum passes its limit the protection trips: after the running command
every quote of the account on the underlying is cancelled, the maker is told, and new quotes are
refused until it resets the protection.
"""

import numpy as np

import sbe.generated.order_entry as oe
from core.engine.order_terms import account_of, judge_account, refuse
from core.jit import jit
from core.linked import linked


@jit
def protection_of(s, account, underlying):
    """The account's protection on the underlying, 0 if it has none."""
    number = s.accounts[account].first_protection
    while number != 0 and s.protections[number].underlying != underlying:
        number = s.protections[number].next
    return number


@linked
def protection_set(s, a):
    """Handle a ProtectionSet; 0 or the reason against it."""
    account = account_of(s, oe.protection_set_account(a))
    underlying = oe.protection_set_underlying(a)
    reason = judge_account(s, account)
    if reason != 0:
        return reason
    if underlying >= len(s.assets) or s.assets[underlying].registered == 0:
        return refuse(s, oe.REASON_UNKNOWN_ASSET, underlying, 0)
    number = protection_of(s, account, underlying)
    if number == 0:
        if s.protections_used + 1 >= len(s.protections):
            return refuse(s, oe.REASON_CAPACITY_REACHED, 0, len(s.protections))
        s.protections_used += 1
        number = s.protections_used
        s.protections[number].account = account
        s.protections[number].underlying = underlying
        s.protections[number].next = s.accounts[account].first_protection
        s.accounts[account].first_protection = number
    protection = s.protections[number]
    protection.window = np.int64(oe.protection_set_window(a))
    protection.quantity_limit = oe.protection_set_quantity_limit(a)
    protection.value_limit = oe.protection_set_value_limit(a)
    protection.count_limit = oe.protection_set_count_limit(a)
    protection.session = s.work.session
    reset(protection)
    return 0


@jit
def reset(protection):
    """Start a new window; quotes are taken again."""
    protection.tripped = 0
    protection.window_start = 0
    protection.quantity = 0
    protection.value = 0
    protection.count = 0


@linked
def protection_reset(s, a):
    """Handle a ProtectionReset; 0 or the reason against it."""
    account = account_of(s, oe.protection_reset_account(a))
    reason = judge_account(s, account)
    if reason != 0:
        return reason
    number = protection_of(s, account, oe.protection_reset_underlying(a))
    if number == 0:
        return refuse(s, oe.REASON_UNKNOWN_ASSET, oe.protection_reset_underlying(a), 0)
    reset(s.protections[number])
    return 0


@jit
def protection_fill(s, slot, lots, value):
    """Count a fill of a quote; trips the protection when a limit is passed."""
    number = s.details[slot].protection
    protection = s.protections[number]
    if protection.tripped != 0:
        return
    if protection.count == 0 or s.work.time - protection.window_start > protection.window:
        reset(protection)
        protection.window_start = s.work.time
    protection.quantity += lots * s.instruments[s.orders[slot].instrument].lot_size
    protection.value += value
    protection.count += 1
    trigger = 0
    if 0 < protection.quantity_limit < protection.quantity:
        trigger = 1
    elif 0 < protection.value_limit < protection.value:
        trigger = 2
    elif 0 < protection.count_limit < protection.count:
        trigger = 3
    if trigger != 0:
        protection.tripped = 1
        protection.trigger = trigger
        protection.pending_next = s.protection_pending
        s.protection_pending = number
