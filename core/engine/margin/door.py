"""The only way into the margin room: may this be done, and what is reserved for it.

    margin_admit     may an additional open order stand?   E ≥ IM with it, or it reduces risk
    margin_reserve   an order became open without asking   margin_release   or is not any more
    margin_fill      it is about to be filled              margin_changed   a position changed
    margin_levels    equity, initial and maintenance requirement
    margin_withdrawable   may an amount leave the account?
    margin_borrowable     how much of a loss may the account borrow?

Checked is  free = E − IM = collateral + Σ linear profit − Σ linear requirement + Σ event floors,
of which only the touched part is recomputed; when a mark or an index has moved since the account
was last looked at, all of its linear positions are (core.engine.margin.linear). Where spot,
perpetuals and price links of an underlying are judged as one, the difference between that and the
sum is added (core.engine.margin.whole). Nobody outside reads the room's tables.
"""

import sbe.generated.order_entry as oe
from core.engine.accounts import touch_all
from core.engine.fees import fill_fee
from core.engine.margin.collateral import collateral
from core.engine.margin.events import refresh_prediction
from core.engine.margin.levels import levels
from core.engine.margin.linear import refresh_account, refresh_linear, shift_perpetual
from core.engine.margin.relief import reduces_risk
from core.engine.margin.whole import saved, whole_units
from core.engine.margin.worst import note_worst
from core.engine.money import MILLION, multiply_divide, share_up, value_up
from core.jit import jit
from core.linked import linked

_INDEX_STALE = 2


@jit
def _refresh(s, position):
    if s.instruments[position.instrument].kind >= oe.INSTRUMENT_KIND_OUTCOME:
        refresh_prediction(s, position)
    else:
        refresh_linear(s, position)


@jit
def _shift(s, position, side, tick, lots, value):
    """Count open lots (below zero: no longer open) and what they reserve of the balances."""
    book = s.instruments[position.instrument]
    if book.kind == oe.INSTRUMENT_KIND_PERPETUAL:
        shift_perpetual(position, book, side, tick, lots, value)
        return
    assets = s.accounts[position.account].assets
    if side == oe.SIDE_BUY:
        position.open_buy += lots
        position.open_buy_value += value
        assets[book.quote].reserved += value
        s.accounts[position.account].assets_seen |= 1 << book.quote
        if book.kind == oe.INSTRUMENT_KIND_SPOT:
            s.accounts[position.account].assets_seen |= 1 << book.base
    else:
        position.open_sell += lots
        position.open_sell_value += value
        if book.kind == oe.INSTRUMENT_KIND_SPOT:
            assets[book.base].reserved += lots * book.base_per_lot
            s.accounts[position.account].assets_seen |= 1 << book.base


@linked
def margin_reserve(s, number, side, tick, lots):
    """An order of so many lots at a tick became open (or grew by them)."""
    position = s.positions[number]
    value = tick * lots * s.instruments[position.instrument].value_per_tick_lot
    _shift(s, position, side, tick, lots, value)
    _refresh(s, position)


@linked
def margin_release(s, number, side, tick, lots):
    """So many lots of an order at a tick are no longer open: filled, cancelled or reduced."""
    position = s.positions[number]
    value = tick * lots * s.instruments[position.instrument].value_per_tick_lot
    _shift(s, position, side, tick, -lots, -value)
    _refresh(s, position)


@jit
def margin_fill(s, number, side, tick, lots):
    """The same where they are filled: `account_fill` follows, and brings up the sums."""
    position = s.positions[number]
    book = s.instruments[position.instrument]
    _shift(s, position, side, tick, -lots, -tick * lots * book.value_per_tick_lot)
    if book.kind == oe.INSTRUMENT_KIND_SPOT:  # What it changes is balances, not the position.
        _refresh(s, position)


@jit
def margin_changed(s, number):
    """The quantity or the profit of a position changed."""
    _refresh(s, s.positions[number])


@jit
def _free(s, account, besides):
    """E − IM of an account whose linear sums are those of now, less what is needed besides."""
    holder = s.accounts[account]
    value, required = collateral(s, account, True)
    return value - required + holder.profit - holder.initial + holder.floor - besides


@jit
def _bring_up(s, account):
    """Post interest and recompute sums if a price or an interest index moved."""
    if s.accounts[account].price_version != s.price_version:
        touch_all(s, account)
        refresh_account(s, account)


@linked
def margin_admit(s, number, side, tick, lots):
    """Open an additional order if it may be: 0, and it is reserved for; or the reason why not.

    Needs: the position's limit; E ≥ IM as if it stood, or risk reduced by it; for what trades cash,
    the balance or the right to borrow; a live index. Sets work.detail to what the rule saw and
    work.limit to the rule's limit (of InsufficientMargin: what is needed, what is free).
    """
    position = s.positions[number]
    account = position.account
    book = s.instruments[position.instrument]
    _bring_up(s, account)
    if _over_limit(s, position, book, side, lots):
        return oe.REASON_POSITION_LIMIT
    value = tick * lots * book.value_per_tick_lot
    fee = max(0, fill_fee(s, account, position.instrument, value, False))
    before = s.accounts[account].initial - s.accounts[account].floor
    _shift(s, position, side, tick, lots, value)
    _refresh(s, position)
    margin_ask(s, number, side, tick, lots)
    raised = s.accounts[account].initial - s.accounts[account].floor - before
    reason = _judge(s, number, side, lots, value, raised, fee)
    margin_ask(s, 0, 0, 0, 0)
    if reason == 0:
        return 0
    _shift(s, position, side, tick, -lots, -value)
    _refresh(s, position)
    if reason == oe.REASON_INSUFFICIENT_MARGIN and reduces_risk(s, number, side, tick, lots):
        margin_reserve(s, number, side, tick, lots)
        return 0
    return reason


@jit
def margin_ask(s, number, side, tick, lots):
    """An order that the position's sums hold and the account's list doesn't; number 0: none."""
    asked = s.work.asked
    asked[0] = number
    asked[1] = side
    asked[2] = tick
    asked[3] = lots


@jit
def _over_limit(s, position, book, side, lots):
    """Whether the position could grow beyond what one account may hold."""
    if side == oe.SIDE_BUY:
        reach = position.quantity + position.open_buy + lots
    else:
        reach = position.open_sell + lots - position.quantity
    if reach <= book.position_maximum:
        return False
    s.work.detail = reach * book.lot_size
    s.work.limit = book.position_maximum * book.lot_size
    return True


@jit
def _judge(s, number, side, lots, value, raised, fee):
    """Judge the account as it stands with the order counted; 0 or the reason against it.

    The order needs `raised`, or what it would lose against a perpetual's mark, and its fee: one
    that gives money away is never a matter of course below the initial margin.
    """
    position = s.positions[number]
    account = position.account
    book = s.instruments[position.instrument]
    perpetual = book.kind == oe.INSTRUMENT_KIND_PERPETUAL
    joint = whole_units(s, account)
    whole = joint | s.accounts[account].reaching != 0
    lost = _own_loss(book, side, lots, value) if perpetual and joint == 0 else 0
    spared = 0
    if raised > 0 or lost > 0 or not perpetual or whole:
        free = _free(s, account, fee)
        needed = max(raised, lost)
        if whole:
            spared = saved(s, account, True)
            free += spared
            if free < 0:
                without = _saved_without(s, position, side, lots, value)
                needed = max(raised + without - spared, lost)
        indebted = not perpetual and _debt_grows(s, position, book, side)
        if free < 0 and (needed > 0 or indebted):
            s.work.detail = max(needed, 0) + fee
            s.work.limit = free + s.work.detail
            note_worst(s, number)
            return oe.REASON_INSUFFICIENT_MARGIN
    if not perpetual:
        reason = _judge_cash(s, position, book, side)
        if reason != 0:
            return reason
    elif book.mark_value == 0 or s.assets[book.base].index_state == _INDEX_STALE:
        if whole:  # The sums alone may see nothing where an order adds to the worst case.
            raised += _saved_without(s, position, side, lots, value) - spared
        adds = raised > 0 or book.mark_value == 0
        if adds and not _only_closes(position, side):
            return oe.REASON_INDEX_STALE
    return 0


@jit
def _own_loss(book, side, lots, value):
    """What an order of a perpetual loses against the mark if it trades at its limit."""
    gap = value - lots * book.mark_value
    return max(0, gap if side == oe.SIDE_BUY else -gap)


@jit
def _saved_without(s, position, side, lots, value):
    """What judging units whole saves when the order that is asked for isn't counted."""
    number, tick = s.work.asked[0], s.work.asked[2]
    s.work.asked[0] = 0
    _shift(s, position, side, tick, -lots, -value)
    without = saved(s, position.account, True)
    _shift(s, position, side, tick, lots, value)
    s.work.asked[0] = number
    return without


@jit
def _only_closes(position, side):
    """Whether all open orders of the side together can bring the position at most to zero."""
    if side == oe.SIDE_BUY:
        return position.quantity + position.open_buy <= 0
    return position.quantity - position.open_sell >= 0


@jit
def _debt_grows(s, position, book, side):
    """Whether what the order gives away isn't covered by the balance."""
    if side == oe.SIDE_SELL and book.kind != oe.INSTRUMENT_KIND_SPOT:
        return False
    given = book.quote if side == oe.SIDE_BUY else book.base
    entry = s.accounts[position.account].assets[given]
    return entry.reserved > entry.balance


@jit
def _judge_cash(s, position, book, side):
    """Whether the balance covers what the order gives away, or the account may borrow it."""
    if not _debt_grows(s, position, book, side):
        return 0
    given = book.quote if side == oe.SIDE_BUY else book.base
    holder = s.accounts[position.account]
    entry = holder.assets[given]
    asset = s.assets[given]
    debt = entry.reserved - entry.balance
    if holder.auto_borrow == 0 or asset.borrowable == 0:
        s.work.detail = entry.reserved
        s.work.limit = entry.balance
        return oe.REASON_INSUFFICIENT_BALANCE
    if asset.borrow_limit != 0 and debt > asset.borrow_limit:
        s.work.detail = debt
        s.work.limit = asset.borrow_limit
        return oe.REASON_BORROW_LIMIT
    borrowed = asset.borrowed + debt - max(0, -entry.balance)
    ceiling = _pool_ceiling(asset, asset.lent)
    if borrowed > ceiling:
        s.work.detail = borrowed
        s.work.limit = ceiling
        return oe.REASON_POOL_CEILING
    if given != 0 and (asset.index_price == 0 or asset.index_state == _INDEX_STALE):
        return oe.REASON_INDEX_STALE
    return 0


@jit
def _pool_ceiling(asset, lent):
    """How much of the pool may be borrowed: up to its ceiling, or what bounds it for now."""
    share = asset.utilisation_ceiling
    if asset.utilisation_bound != 0:
        share = min(share, asset.utilisation_bound)
    return multiply_divide(max(0, lent), share, MILLION)


@linked
def margin_borrowable(s, account, amount, redeemed):
    """How many of so many USDC units the account may borrow for a loss, once it has redeemed some.

    Needs: the right to borrow, E ≥ MM, and room within the asset's limit and the pool's bound.
    """
    holder = s.accounts[account]
    asset = s.assets[0]
    if holder.auto_borrow == 0 or asset.borrowable == 0:
        return 0
    _bring_up(s, account)
    equity, _, maintenance = levels(s, account)
    if equity < maintenance:
        return 0
    lent = asset.lent - (redeemed if holder.auto_lend != 0 else 0)
    room = _pool_ceiling(asset, lent) - asset.borrowed
    if asset.borrow_limit != 0:
        room = min(room, asset.borrow_limit - max(0, -holder.assets[0].balance))
    return max(0, min(amount, room))


@linked
def margin_withdrawable(s, account, number, amount):
    """Whether an amount of an asset may leave the account: 0, or the reason why not."""
    _bring_up(s, account)
    entry = s.accounts[account].assets[number]
    asset = s.assets[number]
    available = entry.balance - entry.reserved
    if amount > available:
        s.work.detail = amount
        s.work.limit = max(0, available)
        return oe.REASON_INSUFFICIENT_BALANCE
    # Taking an asset away never costs more than its value: its haircut goes with it.
    lost = amount
    if number != 0:
        worth = value_up(asset, amount)
        lost = worth - share_up(worth, asset.haircut_initial) + 1
        if asset.above_stable != 0:
            lost -= multiply_divide(amount, asset.above_stable, asset.value_divisor)
    if whole_units(s, account) | s.accounts[account].reaching == 0:
        left = _free(s, account, lost)
    else:
        entry.balance -= amount
        left = _free(s, account, 0) + saved(s, account, True)
        entry.balance += amount
    if left < 0:
        s.work.detail = lost
        s.work.limit = max(0, left + lost)
        return oe.REASON_INSUFFICIENT_MARGIN
    if s.accounts[account].auto_lend != 0:
        ceiling = _pool_ceiling(asset, asset.lent - amount)
        if asset.borrowed > ceiling and asset.borrowed > 0:
            s.work.detail = asset.borrowed
            s.work.limit = ceiling
            return oe.REASON_POOL_CEILING
    return 0


@linked
def margin_levels(s, account):
    """Write equity, initial and maintenance requirement to work.scratch[0:3], in USDC units."""
    _bring_up(s, account)
    equity, initial, maintenance = levels(s, account)
    s.work.scratch[0] = equity
    s.work.scratch[1] = initial
    s.work.scratch[2] = maintenance
