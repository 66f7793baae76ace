"""Balances: who is there, what moves them, and interest that is posted when a balance is touched.

`credit` is the only way a balance changes. It first posts the interest since the balance was last
touched (against account POOL, what lenders get rounded down, what borrowers pay rounded up) and
keeps the pool's totals. A balance below zero is borrowed from the pool.
"""

import sbe.generated.order_entry as oe
from core.engine.emit import event_begin
from core.engine.liquidation.queue import look_again
from core.engine.money import multiply_divide, multiply_divide_up
from core.jit import jit
from core.linked import linked
from core.records import FIRST_CLIENT, HOUSE_ACCOUNTS, POOL

INDEX_ONE = 1_000_000_000_000  # 1e-12


@jit
def account_exists(s, account):
    """Whether there is such an account; those of the house always are."""
    if account < HOUSE_ACCOUNTS:
        return account > 0
    return account < len(s.accounts) and s.accounts[account].state != 0


@jit
def asset_exists(s, asset):
    """Whether an asset of this number is registered."""
    return 0 <= asset < len(s.assets) and s.assets[asset].registered != 0


@jit
def balance_update(s, account, asset, reason, change, counter, request):
    """BalanceUpdate for everybody who keeps books: a balance after a change.

    It goes to who follows the account, too, unless it is the ledger that asked how things stand.
    """
    session = s.accounts[account].follower if reason != oe.BALANCE_REASON_SNAPSHOT else 0
    a = event_begin(s, oe.BALANCE_UPDATE_BLOCK, 1, session)
    put_balance(s, a, account, asset, reason, change, counter, request)


@jit
def put_balance(s, a, account, asset, reason, change, counter, request):
    """Fill a BalanceUpdate at its root block."""
    oe.write_balance_update_header(a - 8)
    oe.set_balance_update_request_id(a, request)
    oe.set_balance_update_account(a, account)
    oe.set_balance_update_asset(a, asset)
    oe.set_balance_update_reason(a, reason)
    oe.set_balance_update_change(a, change)
    holder = s.accounts[account]
    balance = holder.assets[asset].balance
    oe.set_balance_update_balance(a, balance)
    oe.set_balance_update_instrument(a, oe.BALANCE_UPDATE_INSTRUMENT_NULL)
    oe.set_balance_update_counter_account(a, counter)
    oe.set_balance_update_lent(a, max(0, balance) if holder.auto_lend != 0 else 0)
    oe.set_balance_update_earned(a, holder.assets[asset].earned)


@linked
def touch(s, account, asset):
    """Post the interest on a balance since it was last touched."""
    entry = s.accounts[account].assets[asset]
    balance = entry.balance
    if balance == 0 or account < FIRST_CLIENT:
        return
    pool = s.assets[asset]
    index = pool.lend_index if balance > 0 else pool.borrow_index
    before = entry.index
    if before == index:
        return
    entry.index = index
    if balance > 0:
        if s.accounts[account].auto_lend == 0:
            return
        interest = multiply_divide(balance, index - before, before)
        reason = oe.BALANCE_REASON_LEND_INTEREST
        pool.lent += interest
        entry.earned += interest
    else:
        interest = -multiply_divide_up(-balance, index - before, before)
        reason = oe.BALANCE_REASON_BORROW_INTEREST
        pool.borrowed -= interest
    if interest != 0:
        entry.balance = balance + interest
        s.accounts[POOL].assets[asset].balance -= interest
        s.accounts[account].assets_unreported |= 1 << asset
        s.accounts[POOL].assets_seen |= 1 << asset
        s.accounts[POOL].assets_unreported |= 1 << asset
        balance_update(s, account, asset, reason, interest, POOL, 0)


@jit
def credit(s, account, asset, amount):
    """Add an amount (below zero: take it) to a balance; the caller reports it."""
    if account >= FIRST_CLIENT:
        look_again(s, account)
    realise(s, account, asset, amount)


@jit
def realise(s, account, asset, amount):
    """The same of what was counted as equity before: nobody has to look at the account for it."""
    holder = s.accounts[account]
    entry = holder.assets[asset]
    holder.assets_seen |= 1 << asset
    holder.assets_unreported |= 1 << asset
    if account < FIRST_CLIENT:
        entry.balance += amount
        return
    touch(s, account, asset)
    pool = s.assets[asset]
    before = entry.balance
    after = before + amount
    entry.balance = after
    pool.borrowed += max(0, -after) - max(0, -before)
    if holder.auto_lend != 0:
        pool.lent += max(0, after) - max(0, before)
    entry.index = pool.lend_index if after > 0 else pool.borrow_index


@jit
def move(s, origin, target, asset, amount):
    """Move an amount between two accounts; the caller reports it."""
    credit(s, origin, asset, -amount)
    credit(s, target, asset, amount)


@linked
def touch_all(s, account):
    """Post the interest on every balance of an account."""
    seen = s.accounts[account].assets_seen
    asset = 0
    while seen != 0:
        if seen & 1:
            touch(s, account, asset)
        seen >>= 1
        asset += 1
