"""Every invariant of the state, numbered, each stated once as code.

`check` returns the number of the first that is broken, 0 when all hold. It walks everything, so it
is for tests, tools and recovery, never for the loop. The sums are recomputed from the records they
sum up; nothing is taken from what it checks.

     1  per asset, the balances of all accounts add up to deposits less withdrawals
     2  the positions in each instrument add up to zero (unless it is being paid out), and its open
        interest is their long side
     3  claims of perpetuals and of the liquidity fund, payouts and funding under way are exactly
        what CLEARING holds
     4  what a balance reserves is what the account's open orders reserve
     5  a position's open lots and values are those of its resting orders, a perpetual's bounds on
        their prices include them
     6  the pool's totals are the sums of the clients' balances
     7  each position is found by its account and instrument, and stands in their lists, which are
        as long as the account and the instrument count them
     8  the account's order list holds exactly its open orders
     9  an account's floor is the sum over its events and lone predictions, recomputed
    10  an account's linear sums are those of its positions, current ones recomputed
    11  an event's group holds what its positions say
    12  an open book isn't crossed, and its best prices are those of its orders
    13  a level's quantity and count are the sums over its queue
    14  house accounts have no orders or positions; no balance is touched that isn't marked as seen
    15  the number of open orders is the same by state, by account and by instrument
    16–19  what core.engine.check_risk states about liquidations
    20  whether any control is in force is what the controls say, and so are their counts
    21  CLEARING holds the pot of settlements beside payouts and funding under way; the liquidity
        fund has not given what it hasn't; winners wait for what their claims add up to
    22  an index is above its slow price by no more than itself; a mean is of what was deposited
    23  who follows an account is a session of its owner and counts it; no change is left untold
"""

import sbe.generated.order_entry as oe
from core.engine.check_risk import check_risk
from core.engine.controls.switches import controls_agree
from core.engine.margin.events import group_floor, lone_floor, payoff_with, payoff_without
from core.engine.margin.linear import (
    perpetual_initial,
    perpetual_profit,
    spot_order_haircut,
    spot_order_loss,
)
from core.engine.positions import find_position
from core.jit import jit
from core.records import CLEARING, FIRST_CLIENT, HOUSE_ACCOUNTS, LIQUIDITY, RESTING, STOPPED


@jit
def check(s):
    """The number of the first broken invariant, 0 when all hold."""
    for asset in range(len(s.assets)):
        broken = _check_asset(s, asset)
        if broken != 0:
            return broken
    if not _clearing_holds(s):
        return 3
    for instrument in range(1, s.instruments_listed + 1):
        broken = _check_instrument(s, instrument)
        if broken != 0:
            return broken
    for number in range(1, s.positions_used + 1):
        if s.positions[number].account != 0:
            broken = _check_position(s, number)
            if broken != 0:
                return broken
    for account in range(1, s.accounts_used + 1):
        broken = _check_account(s, account)
        if broken != 0:
            return broken
    if not _open_orders_agree(s):
        return 15
    broken = check_risk(s)
    if broken != 0:
        return broken
    if not controls_agree(s):
        return 20
    if not _settlements_add_up(s):
        return 21
    return 0 if _followers_agree(s) else 23


@jit
def _followers_agree(s):
    """Invariant 23."""
    counted = 0
    for account in range(FIRST_CLIENT, s.accounts_used + 1):
        follower = s.accounts[account].follower
        if follower != 0:
            counted += 1
            if s.sessions[follower].owner != s.accounts[account].owner:
                return False
    for session in range(len(s.sessions)):
        counted -= s.sessions[session].following
    for number in range(1, s.positions_used + 1):
        if s.changes[number] != 0:
            return False
    return counted == 0


@jit
def _check_asset(s, number):
    """Invariants 1, 6 and 22."""
    asset = s.assets[number]
    total, borrowed, lent = 0, 0, 0
    for account in range(1, max(s.accounts_used, HOUSE_ACCOUNTS - 1) + 1):
        holder = s.accounts[account]
        balance = holder.assets[number].balance
        total += balance
        if account >= FIRST_CLIENT:
            borrowed += max(0, -balance)
            if holder.assets[number].earned < 0:
                return 6
            lent += max(0, balance) if holder.auto_lend != 0 else 0
    if total != asset.deposited - asset.withdrawn:
        return 1
    if borrowed != asset.borrowed or lent != asset.lent:
        return 6
    counted = 0 <= asset.above_stable <= asset.index_price
    return 0 if counted and 0 <= asset.mean <= asset.deposited else 22


@jit
def _clearing_holds(s):
    """Invariant 3: at no price do the perpetuals together claim anything but CLEARING's balance."""
    claims = s.payouts_in_clearing + s.fund_claim
    for number in range(1, s.positions_used + 1):
        position = s.positions[number]
        if position.account != 0:
            kind = s.instruments[position.instrument].kind
            if kind == oe.INSTRUMENT_KIND_PERPETUAL:
                claims += position.unsettled - position.quantity * position.settled_value
    for instrument in range(1, s.instruments_listed + 1):
        claims += s.instruments[instrument].funding_remainder
    return claims == s.accounts[CLEARING].assets[0].balance


@jit
def _settlements_add_up(s):
    """Invariant 21."""
    held = s.payouts_in_clearing + s.settlement_pot
    for instrument in range(1, s.instruments_listed + 1):
        held += s.instruments[instrument].funding_pot
    waiting = 0
    for number in range(1, s.positions_used + 1):
        claim = s.claims[number]
        if claim.waiting < 0 or claim.due < 0:
            return False
        if s.jobs == 0 and claim.due != 0:
            return False
        waiting += claim.waiting
    sound = held == s.accounts[CLEARING].assets[0].balance and waiting == s.claims_waiting
    return sound and s.fund_claim >= 0 and s.accounts[LIQUIDITY].assets[0].balance >= 0


@jit
def _check_instrument(s, number):
    """Invariants 2, 12 and 13."""
    book = s.instruments[number]
    total, long, holders = 0, 0, 0
    holder = book.first_holder
    while holder != 0:
        total += s.positions[holder].quantity
        long += max(0, s.positions[holder].quantity)
        holders += 1
        holder = s.positions[holder].holder_next
    paying = book.state == oe.TRADING_STATE_RESOLVING  # Shorts have paid, longs aren't paid yet.
    if (total != 0 and not paying) or long != book.open_interest:
        return 2
    if holders != book.holders:
        return 7
    return _check_book(s, number)


@jit
def _check_book(s, number):
    book = s.instruments[number]
    highest, lowest = 0, 0
    for slot in range(1, s.orders_used + 1):
        order = s.orders[slot]
        if order.state == RESTING and order.instrument == number:
            if order.side == oe.SIDE_BUY:
                highest = max(highest, order.tick + 1)
            elif lowest == 0 or order.tick + 1 < lowest:
                lowest = order.tick + 1
            if order.previous == 0 and not _queue_adds_up(s, slot):
                return 13
    if highest != book.best[0] or lowest != book.best[1]:
        return 12
    opened = book.state == oe.TRADING_STATE_OPEN
    return 12 if opened and highest != 0 and lowest != 0 and highest >= lowest else 0


@jit
def _queue_adds_up(s, first):
    """Invariant 13, for the level whose first order this is."""
    number = s.orders[first].level
    level = s.pages[number >> 6].level[number & 63]
    quantity, count, before = 0, 0, 0
    slot = first
    while slot != 0:
        order = s.orders[slot]
        if order.level != number or order.previous != before or order.tick != s.orders[first].tick:
            return False
        if order.leaves < order.visible or order.visible < 1 or order.state != RESTING:
            return False
        quantity += order.visible
        count += 1
        before = slot
        slot = order.next
    same = quantity == level.quantity and count == level.count
    return same and level.first == first and level.last == before


@jit
def _check_position(s, number):
    """Invariants 5, 7 and 11."""
    position = s.positions[number]
    if find_position(s, position.account, position.instrument) != number:
        return 7
    if position.account < FIRST_CLIENT:
        return 14
    book = s.instruments[position.instrument]
    buys, sells, buy_value, sell_value = 0, 0, 0, 0
    slot = s.accounts[position.account].first_order
    while slot != 0:
        order = s.orders[slot]
        if order.position == number and order.state == RESTING:
            value = s.details[slot].reserved_tick * order.leaves * book.value_per_tick_lot
            if book.kind == oe.INSTRUMENT_KIND_PERPETUAL:
                gap = value - order.leaves * book.mark_value
                value = max(0, gap if order.side == oe.SIDE_BUY else -gap)
                if not _is_bounded(position, order.side, s.details[slot].reserved_tick):
                    return 5
            if order.side == oe.SIDE_BUY:
                buys += order.leaves
                buy_value += value
            else:
                sells += order.leaves
                sell_value += value
        slot = s.details[slot].account_next
    if buys != position.open_buy or sells != position.open_sell:
        return 5
    linear = book.kind == oe.INSTRUMENT_KIND_PERPETUAL
    current = not linear or s.accounts[position.account].price_version == s.price_version
    same = buy_value == position.open_buy_value and sell_value == position.open_sell_value
    if current and not same:
        return 5
    if linear or position.group == 0:
        return 0
    group = s.groups[position.group]
    gain = payoff_with(position, book.one_value) - payoff_without(position)
    placed = group.position[book.outcome] == number and group.account == position.account
    return 0 if placed and group.gain[book.outcome] == gain and group.event == book.event else 11


@jit
def _is_bounded(position, side, tick):
    """Whether a perpetual's bounds on its orders' prices include one of them."""
    if side == oe.SIDE_BUY:
        return 1 << position.lowest_buy_bits <= tick <= position.highest_buy
    return 0 < position.lowest_sell <= tick


@jit
def _check_account(s, account):
    """Invariants 4, 7, 8, 9, 10 and 14."""
    holder = s.accounts[account]
    if account < FIRST_CLIENT and (holder.first_order != 0 or holder.first_position != 0):
        return 14
    for asset in range(len(s.assets)):
        entry = holder.assets[asset]
        used = entry.balance != 0 or entry.reserved != 0
        if used and holder.assets_seen & (1 << asset) == 0:
            return 14
        if entry.reserved != _reserved(s, account, asset):
            return 4
    orders = 0
    slot = holder.first_order
    while slot != 0:
        open_now = s.orders[slot].state == RESTING or s.orders[slot].state == STOPPED
        if not open_now or s.orders[slot].account != account:
            return 8
        orders += 1
        slot = s.details[slot].account_next
    if orders != holder.open_orders:
        return 8
    return _check_sums(s, account)


@jit
def _reserved(s, account, asset):
    """What the account's open orders reserve of an asset."""
    reserved = 0
    number = s.accounts[account].first_position
    while number != 0:
        position = s.positions[number]
        book = s.instruments[position.instrument]
        if book.kind != oe.INSTRUMENT_KIND_PERPETUAL and book.quote == asset:
            reserved += position.open_buy_value
        if book.kind == oe.INSTRUMENT_KIND_SPOT and book.base == asset:
            reserved += position.open_sell * book.base_per_lot
        number = position.account_next
    return reserved


@jit
def _check_sums(s, account):
    """Invariants 7 (lists), 9 and 10."""
    holder = s.accounts[account]
    floor, profit, initial, linear, linked = 0, 0, 0, 0, 0
    current = holder.price_version == s.price_version
    number = holder.first_position
    before = 0
    while number != 0:
        position = s.positions[number]
        book = s.instruments[position.instrument]
        if position.account_previous != before or position.account != account:
            return 7
        if book.kind >= oe.INSTRUMENT_KIND_OUTCOME:
            linked += book.kind >= oe.INSTRUMENT_KIND_PRICE_ABOVE
            if position.group == 0:
                floor += lone_floor(position, book.one_value)
            elif _first_of_group(s, number):
                floor += _floor_of(s, position.group)
        else:
            linear += 1
            profit += position.profit
            initial += position.initial
            if current and not _is_current(s, position, book):
                return 10
        before = number
        number = position.account_next
    if linked != holder.linked:
        return 7
    if floor != holder.floor:
        return 9
    if profit != holder.profit or initial != holder.initial:
        return 10
    number = holder.first_linear
    while number != 0:
        linear -= 1
        number = s.positions[number].linear_next
    return 0 if linear == 0 else 7


@jit
def _is_current(s, position, book):
    """Whether what was last computed of a linear position is what it is now."""
    if book.kind == oe.INSTRUMENT_KIND_PERPETUAL:
        same = position.initial == perpetual_initial(position, book)
        return same and position.profit == perpetual_profit(position, book)
    required = spot_order_loss(s, position, book) + spot_order_haircut(s, position, book, True)
    return position.initial == required


@jit
def _first_of_group(s, number):
    """Whether a position is the one by which its group is counted: its first outcome's."""
    group = s.groups[s.positions[number].group]
    for outcome in range(group.outcomes):
        if group.position[outcome] != 0:
            return group.position[outcome] == number
    return False


@jit
def _floor_of(s, number):
    """A group's floor, recomputed; impossible when what it holds of its orders is wrong."""
    group = s.groups[number]
    none = 0
    for outcome in range(group.outcomes):
        if group.position[outcome] != 0:
            none += payoff_without(s.positions[group.position[outcome]])
    if none != group.none or group_floor(group) != group.floor:
        return 1 << 60
    return group.floor


@jit
def _open_orders_agree(s):
    """Invariant 15."""
    by_state, by_account, by_instrument = 0, 0, 0
    for slot in range(1, s.orders_used + 1):
        by_state += s.orders[slot].state == RESTING or s.orders[slot].state == STOPPED
    for account in range(1, s.accounts_used + 1):
        by_account += s.accounts[account].open_orders
    for instrument in range(1, s.instruments_listed + 1):
        by_instrument += s.instruments[instrument].open_orders
    same = by_state == by_account and by_account == by_instrument
    return same and by_state == s.orders_open
