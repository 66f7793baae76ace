"""Finding accounts at risk at a cost in proportion to those at risk, not to all.

An account that was looked at has some headroom H = E − MM. If every price it depends on moves by
less than a share r of itself, it cannot lose more than H:

    loss ≤ r × K × Σ notional      so      r = H / (K × Σ notional)

where Σ runs over balances, perpetuals with their orders, and pairs' orders, and K = 3 bounds what a
unit of notional can do to E − MM (1 by the price, at most 1.5 by the requirement that grows with
√notional, the rest is rounding up). At P (1 − r) and P (1 + r) of each of its prices it leaves a
*watch*, and is looked at again when one of them is passed. A price that moves therefore costs the
watches it passes and no others, found at the top of two heaps (heap.py).

What grows without a price, interest on debts, is caught by a sweep over a few accounts a price.
Price links that are netted against a perpetual or a debt are worth what arrays say that come every
second: who holds such is looked at whenever the underlying's index comes. Changes that are not of
prices (fills, funding, transfers) queue the account (queue.py).

While every record of a liquidation is in use nobody is looked at: whom a look would find below
maintenance could not be helped. The queue waits, in its order, for the first record to be free.
"""

import sbe.generated.order_entry as oe
from core.atomics import count_trailing_zeros
from core.engine.emit import event_begin
from core.engine.liquidation.heap import insert, remove
from core.engine.liquidation.progress import begin, has_room
from core.engine.liquidation.queue import (
    enqueue_account,
    index_source,
    mark_source,
    next_account,
    source_done,
)
from core.engine.liquidation.sessions import next_session
from core.engine.liquidation.trust import may_liquidate, tolerance
from core.engine.margin.door import margin_levels
from core.engine.money import MILLION, multiply_divide, share_down, value_up
from core.jit import jit
from core.linked import linked
from core.records import FIRST_CLIENT

SENSITIVITY = 3
ASSESSMENT = 4  # What looking at an account costs, in comparisons of a watch.
SWEPT = 8
_FALLS, _RISES = 0, 1
_FAR = 4 * MILLION  # A rise beyond five times the price is not watched for.


@linked
def run_watch(s, budget):
    """Compare watches (1 of the budget each) and assess accounts (4); whether that was all."""
    while budget > 0:
        budget -= 1
        if s.source_first != 0:
            account = _passed(s, s.source_first)
            if account == 0:
                source_done(s)
            elif s.accounts[account].watch_next == 0:
                enqueue_account(s, account)
        elif s.watch_first != 0:
            if not has_room(s):
                s.watching = 0  # The end of any liquidation sets it again.
                return True
            budget -= ASSESSMENT - 1
            assess(s, next_account(s))
        elif s.watch_walk != 0:
            _walk(s)
        else:
            s.watching = 0
            _sweep(s)
            return True
    return False


@jit
def _sweep(s):
    """Let a few debtors be looked at with the next price: interest is posted when one looks."""
    for _ in range(SWEPT):
        account = max(s.watch_sweep, FIRST_CLIENT)
        if account > s.accounts_used:
            account = FIRST_CLIENT
        s.watch_sweep = account + 1
        holder = s.accounts[account]
        seen = holder.assets_seen
        while seen != 0:
            if holder.assets[count_trailing_zeros(seen)].balance < 0 and holder.watch_next == 0:
                enqueue_account(s, account)
            seen &= seen - 1


@jit
def _walk(s):
    """One step of the walk over all accounts."""
    account = max(s.watch_walk, FIRST_CLIENT)
    if account > s.accounts_used:
        s.watch_walk = 0
        return
    holder = s.accounts[account]
    if holder.first_position != 0 and holder.watch_next == 0:
        enqueue_account(s, account)
    s.watch_walk = account + 1


@jit
def _passed(s, number):
    """The account of a watch that a source's price has passed, taken out; 0 when there is none."""
    source = s.sources[number]
    if number < len(s.assets):
        price = s.assets[number].index_price
    else:
        price = s.instruments[number - len(s.assets)].mark
    for side in range(2):
        root = source.root[side]
        if root != 0 and (price if side == _RISES else -price) >= s.watches[root].key:
            account = s.watches[root].account
            drop_watches(s, account)
            return account
    return 0


@linked
def drop_watches(s, account):
    """Take all watches of an account out."""
    number = s.accounts[account].first_watch
    s.accounts[account].first_watch = 0
    while number != 0:
        watch = s.watches[number]
        following = watch.account_next
        remove(s, number)
        watch.account = 0
        watch.account_next = s.watch_free
        s.watch_free = number
        number = following


@linked
def assess(s, account):
    """Look at an account: leave it, call for margin, or begin to liquidate it."""
    drop_watches(s, account)
    holder = s.accounts[account]
    if holder.state == 0 or holder.liquidation != 0:
        return
    margin_levels(s, account)
    levels = s.work.scratch
    equity, initial, maintenance = levels[0], levels[1], levels[2]
    failed = equity < maintenance - tolerance(s, account)
    failed = failed and may_liquidate(s, account, equity, maintenance)
    if failed:
        begin(s, account, equity, initial, maintenance)
        return
    level = 1 if equity < initial else 0
    if level > holder.margin_level:
        _margin_call(s, account, equity, initial, maintenance)
    elif holder.follower != 0:
        _tell_margin(s, account, equity, initial, maintenance, holder.follower)
    holder.margin_level = level
    _watch(s, account, max(0, equity - maintenance))


@jit
def _margin_call(s, account, equity, initial, maintenance):
    """Tell the owner's sessions that the account is below its initial margin."""
    follower = s.accounts[account].follower
    session = next_session(s, account, 0)
    while session != 0:
        _tell_margin(s, account, equity, initial, maintenance, session)
        if session == follower:
            follower = 0
        session = next_session(s, account, session)
    if follower != 0:
        _tell_margin(s, account, equity, initial, maintenance, follower)


@linked
def _tell_margin(s, account, equity, initial, maintenance, session):
    r = event_begin(s, oe.MARGIN_REPORT_BLOCK, 1, session)
    oe.write_margin_report_header(r - 8)
    oe.set_margin_report_account(r, account)
    oe.set_margin_report_equity(r, equity)
    oe.set_margin_report_initial_margin(r, initial)
    oe.set_margin_report_maintenance_margin(r, maintenance)
    level = 2 if equity < maintenance else 1 if equity < initial else 0
    oe.set_margin_report_level(r, level)


@jit
def _watch(s, account, headroom):
    """Leave a watch at each price the account depends on, `headroom` USDC units apart."""
    total, risky, restless = _exposure(s, account)
    if total == 0 and restless == 0:
        return
    if risky == 0:
        return
    reach = _FAR
    if total > 0 and headroom < total:
        reach = multiply_divide(headroom, MILLION, SENSITIVITY * total)
    holder = s.accounts[account]
    seen = (_index_assets(s, account) | restless) & ~1
    while seen != 0:
        asset = count_trailing_zeros(seen)
        bit = 1 << asset
        seen &= ~bit
        price = s.assets[asset].index_price
        _leave(s, account, index_source(asset), price, 0 if restless & bit else reach)
    number = holder.first_linear
    while number != 0:
        position = s.positions[number]
        book = s.instruments[position.instrument]
        stake = position.quantity | position.open_buy | position.open_sell
        if book.kind == oe.INSTRUMENT_KIND_PERPETUAL and stake != 0:
            _leave(s, account, mark_source(s, position.instrument), book.mark, reach)
            if headroom == 0:  # It may wait for an index that can be trusted again.
                index = s.assets[book.base].index_price
                _leave(s, account, index_source(book.base), index, 0)
        number = position.linear_next


@jit
def _leave(s, account, source, price, reach):
    if price == 0:
        return
    if reach < MILLION:
        _add(s, account, source, _FALLS, share_down(price, reach) - price)
    if reach < _FAR:
        _add(s, account, source, _RISES, price + share_down(price, reach))


@jit
def _add(s, account, source, side, key):
    number = s.watch_free
    if number != 0:
        s.watch_free = s.watches[number].account_next
    elif s.watches_used + 1 < len(s.watches):
        s.watches_used += 1
        number = s.watches_used
    else:
        s.watch_short = 1  # From now on everybody is looked at with every price.
        return
    watch = s.watches[number]
    watch.account = account
    watch.source = source
    watch.side = side
    watch.key = key
    watch.account_next = s.accounts[account].first_watch
    s.accounts[account].first_watch = number
    insert(s, number)


@jit
def _exposure(s, account):
    """(Σ notional, 1 if it can come to need margin, assets whose links are netted as bits)."""
    total, risky, linear, links = 0, 0, 0, 0
    holder = s.accounts[account]
    seen = holder.assets_seen
    while seen != 0:
        asset = count_trailing_zeros(seen)
        seen &= seen - 1
        entry = holder.assets[asset]
        if entry.balance < 0 or entry.reserved > entry.balance:
            risky = 1
            linear = 1
        if asset != 0:
            total += value_up(s.assets[asset], abs(entry.balance))
    number = holder.first_position
    while number != 0:
        position = s.positions[number]
        book = s.instruments[position.instrument]
        stake = position.quantity | position.open_buy | position.open_sell
        orders = position.open_buy + position.open_sell
        if stake == 0:
            pass
        elif book.kind == oe.INSTRUMENT_KIND_PERPETUAL:
            risky = 1
            linear = 1
            total += (abs(position.quantity) + orders) * book.mark_value
        elif book.kind == oe.INSTRUMENT_KIND_SPOT:
            total += value_up(s.assets[book.base], orders * book.base_per_lot)
        else:
            risky = 1
            if book.kind >= oe.INSTRUMENT_KIND_PRICE_ABOVE:
                links |= 1 << book.base
                if position.quantity < 0 or position.open_sell != 0:
                    linear = 1
        number = position.account_next
    return total, risky, links if linear != 0 else 0


@jit
def _index_assets(s, account):
    """Assets that it has, owes or has on order, as bits."""
    bits = 0
    seen = s.accounts[account].assets_seen
    while seen != 0:
        asset = count_trailing_zeros(seen)
        if s.accounts[account].assets[asset].balance != 0:
            bits |= 1 << asset
        seen &= seen - 1
    number = s.accounts[account].first_linear
    while number != 0:
        position = s.positions[number]
        book = s.instruments[position.instrument]
        if book.kind == oe.INSTRUMENT_KIND_SPOT and position.open_buy + position.open_sell != 0:
            bits |= 1 << book.base
        number = position.linear_next
    return bits
