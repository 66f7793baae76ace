"""Limits besides margin: positions, open interest and exposure, of accounts, owners and events.

    admit_order     degraded price ─► limits, where any is set ─► the margin room

Orders that can only bring a position nearer to zero are asked none of it. A limit counts what
would be if every open order traded. The path of an order looks at two flags; only where one is set
are the limits themselves read, and only then may the cost grow with an owner's accounts.
"""

import sbe.generated.order_entry as oe
from core.atomics import count_trailing_zeros
from core.engine.margin.door import margin_admit, margin_levels
from core.engine.money import multiply_divide, share_down, value_up
from core.engine.order_terms import refuse
from core.engine.positions import find_position
from core.jit import jit
from core.linked import linked

_LIVE, _DEGRADED = 0, 1
_BILLION = 1_000_000_000


@jit
def admit_order(s, number, side, tick, lots):
    """Open an additional order if it may be: 0, or the reason why not; see `margin_admit`."""
    position = s.positions[number]
    book = s.instruments[position.instrument]
    state = s.assets[book.base].index_state
    asked = state != _LIVE or book.limited != 0 or s.accounts[position.account].limited != 0
    if asked and not _only_closes(position, book, side, lots):
        reason = _judge(s, number, side, tick, lots, state)
        if reason != 0:
            return reason
    return margin_admit(s, number, side, tick, lots)


@jit
def _only_closes(position, book, side, lots):
    """Whether the position can only come nearer to zero, with all orders of the side."""
    if book.kind == oe.INSTRUMENT_KIND_SPOT:
        return False
    if side == oe.SIDE_BUY:
        return position.quantity + position.open_buy + lots <= 0
    return position.quantity - position.open_sell - lots >= 0


@linked
def _judge(s, number, side, tick, lots, state):
    position = s.positions[number]
    book = s.instruments[position.instrument]
    account = s.accounts[position.account]
    perpetual = book.kind == oe.INSTRUMENT_KIND_PERPETUAL
    linked = book.kind >= oe.INSTRUMENT_KIND_PRICE_ABOVE
    if (perpetual and state == _DEGRADED) or (linked and state != _LIVE):
        return refuse(s, oe.REASON_PRICE_DEGRADED, state, 0)
    if account.backstop != 0 and s.backstops[account.backstop].instrument != position.instrument:
        own = s.backstops[account.backstop].instrument
        return refuse(s, oe.REASON_ACCOUNT_STATE, position.instrument, own)
    reason = 0
    if book.limited != 0:
        reason = _judge_market(s, position, book, side, tick, lots)
        if reason == 0 and book.event != 0:
            reason = _judge_event(s, position, book, side, tick, lots)
    if reason == 0 and account.limited != 0:
        reason = _judge_holder(s, position, book, side, tick, lots)
    return reason


@jit
def _judge_market(s, position, book, side, tick, lots):
    """Premium band, open interest, and what the owner holds of it."""
    market = s.markets[position.instrument]
    if market.premium_band != 0 and book.index > 0:
        price = tick * book.tick_size
        premium = multiply_divide(abs(price - book.index), _BILLION, book.index)
        if price < book.index:
            premium = -premium
        beyond = premium - market.premium if side == oe.SIDE_BUY else market.premium - premium
        if beyond > market.premium_band * 1000:
            return refuse(s, oe.REASON_PRICE_BAND, premium, market.premium)
    after = book.open_interest + lots
    if market.interest_limit != 0 and after > market.interest_limit:
        limit = market.interest_limit * book.lot_size
        return refuse(s, oe.REASON_OPEN_INTEREST_LIMIT, after * book.lot_size, limit)
    if market.owner_limit | market.interest_share != 0:
        return _judge_owner(s, position, book, side, lots)
    return 0


@jit
def _judge_owner(s, position, book, side, lots):
    """What all accounts of an owner hold: in lots, and as a share of what everybody holds."""
    market = s.markets[position.instrument]
    held = lots + _owner_lots(s, position, side)
    if market.owner_limit != 0 and held > market.owner_limit:
        limit = market.owner_limit * book.lot_size
        return refuse(s, oe.REASON_OWNER_LIMIT, held * book.lot_size, limit)
    if market.interest_share != 0 and book.kind != oe.INSTRUMENT_KIND_SPOT:
        share = share_down(book.open_interest, market.interest_share)
        most = max(market.interest_free, share)
        if held > most:
            limit = most * book.lot_size
            return refuse(s, oe.REASON_INTEREST_SHARE, held * book.lot_size, limit)
    return 0


@jit
def _owner_lots(s, position, side):
    """Lots on a side, held and on order, over all accounts of the position's owner."""
    total = 0
    account = s.owners[s.accounts[position.account].owner].first_account
    while account != 0:
        number = find_position(s, account, position.instrument)
        if number != 0:
            other = s.positions[number]
            if side == oe.SIDE_BUY:
                total += max(0, other.quantity + other.open_buy)
            else:
                total += max(0, other.open_sell - other.quantity)
        account = s.accounts[account].owner_next
    return total


@jit
def _order_loss(book, side, tick, lots):
    """What an order of a prediction can lose at most, quote units."""
    value = tick * lots * book.value_per_tick_lot
    return value if side == oe.SIDE_BUY else lots * book.one_value - value


@jit
def _judge_event(s, position, book, side, tick, lots):
    """What can be lost in the event, by the account and by all accounts of its owner."""
    event = s.event_groups[book.event]
    own = _order_loss(book, side, tick, lots)
    if event.account_limit != 0:
        lost = own + _event_loss(s, position.account, event)
        if lost > event.account_limit:
            return refuse(s, oe.REASON_EVENT_LIMIT, lost, event.account_limit)
    if event.owner_limit != 0:
        lost = own
        account = s.owners[s.accounts[position.account].owner].first_account
        while account != 0:
            lost += _event_loss(s, account, event)
            account = s.accounts[account].owner_next
        if lost > event.owner_limit:
            return refuse(s, oe.REASON_EVENT_LIMIT, lost, event.owner_limit)
    return 0


@jit
def _event_loss(s, account, event):
    """What an account has paid for an event, less the least it will be paid."""
    paid = 0
    group = 0
    for outcome in range(event.outcomes):
        instrument = event.instrument[outcome]
        number = find_position(s, account, instrument) if instrument != 0 else 0
        if number != 0:
            paid += s.positions[number].entry_value
            group = s.positions[number].group
    return paid - s.groups[group].floor if group != 0 else 0


@jit
def exposure(s, account):
    """USDC units at the marks of all that an account holds and has on order, and of its debts."""
    total = 0
    number = s.accounts[account].first_position
    while number != 0:
        position = s.positions[number]
        book = s.instruments[position.instrument]
        if book.kind != oe.INSTRUMENT_KIND_SPOT:
            longest = abs(position.quantity + position.open_buy)
            shortest = abs(position.quantity - position.open_sell)
            total += max(longest, shortest) * book.mark_value
        number = position.account_next
    return total + debts(s, account)


@jit
def debts(s, account):
    """USDC units of what an account would owe if every order traded."""
    total = 0
    holder = s.accounts[account]
    seen = holder.assets_seen
    while seen != 0:
        asset = count_trailing_zeros(seen)
        seen &= seen - 1
        owed = max(0, holder.assets[asset].reserved - holder.assets[asset].balance)
        total += owed if asset == 0 else value_up(s.assets[asset], owed)
    return total


@jit
def _new_debt(s, position, book, side, tick, lots):
    """USDC units by which an order adds to the debts."""
    if book.kind == oe.INSTRUMENT_KIND_PERPETUAL:
        return 0
    if side == oe.SIDE_SELL and book.kind != oe.INSTRUMENT_KIND_SPOT:
        return 0
    given = book.quote if side == oe.SIDE_BUY else book.base
    amount = tick * lots * book.value_per_tick_lot
    if side == oe.SIDE_SELL:
        amount = lots * book.base_per_lot
    entry = s.accounts[position.account].assets[given]
    owed = max(0, amount - max(0, entry.balance - entry.reserved))
    return owed if given == 0 else value_up(s.assets[given], owed)


@jit
def _judge_holder(s, position, book, side, tick, lots):
    """Exposure, leverage and borrowing of the account, exposure of its owner."""
    account = s.accounts[position.account]
    owes = _new_debt(s, position, book, side, tick, lots)
    adds = owes
    if book.kind != oe.INSTRUMENT_KIND_SPOT:
        adds += lots * book.mark_value
    if account.borrowing_limit != 0 and owes > 0:
        owed = owes + debts(s, position.account)
        if owed > account.borrowing_limit:
            return refuse(s, oe.REASON_BORROW_LIMIT, owed, account.borrowing_limit)
    if account.exposure_limit != 0 or account.leverage_limit != 0:
        exposed = adds + exposure(s, position.account)
        if account.exposure_limit != 0 and exposed > account.exposure_limit:
            return refuse(s, oe.REASON_EXPOSURE_LIMIT, exposed, account.exposure_limit)
        if account.leverage_limit != 0:
            margin_levels(s, position.account)
            equity = max(0, s.work.scratch[0])
            most = multiply_divide(equity, account.leverage_limit, 1000)
            if exposed > most:
                return refuse(s, oe.REASON_LEVERAGE_LIMIT, exposed, most)
    limit = s.owners[account.owner].exposure_limit
    if limit != 0:
        exposed = adds
        other = s.owners[account.owner].first_account
        while other != 0:
            exposed += exposure(s, other)
            other = s.accounts[other].owner_next
        if exposed > limit:
            return refuse(s, oe.REASON_EXPOSURE_LIMIT, exposed, limit)
    return 0

