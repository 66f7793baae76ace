"""Spot pairs and perpetuals: what one position with its open orders earns and requires.

    perpetual   profit   q × (mark − last settled mark) + unsettled
                N        the larger of |q + buys| and |q − sells|, at the mark
                require  max(base, factor × √N) × N + what the orders lose against the mark, of the
                         side that is worse with it
    spot pair   profit   nothing: what is held counts as balance
                require  the haircut on what the orders would bring
                         + what they lose against the index

Rates are parts per million (base, haircut) and 1e-9 per square root of a whole USDC (factor); all
results are USDC units, requirements rounded up.
"""

import sbe.generated.order_entry as oe
from core.atomics import count_leading_zeros
from core.engine.margin.rates import MICRO, units_up
from core.engine.margin.size import share_of, size_rate
from core.engine.money import (
    MILLION,
    share_down,
    share_up,
    value_down,
    value_up,
)
from core.jit import jit
from core.linked import linked
from core.records import RESTING
from core.wide import multiple, wide

_FACTOR_TO_RATE = 1_000  # from 1e-9


@linked
def size_requirement(notional, factor):
    """ceil(factor × √notional × notional), at most the notional itself."""
    money = multiple(wide(notional), MICRO)
    return units_up(share_of(money, size_rate(factor * _FACTOR_TO_RATE, money)))


@jit
def notional_requirement(notional, base, factor, threshold):
    """max(base, factor × √notional) × notional, rounded up."""
    required = share_up(notional, base)
    if notional > threshold:
        required = max(required, size_requirement(notional, factor))
    return required


@jit
def size_threshold(base, factor):
    """The notional in USDC units up to which the base rate decides: (base / factor)²."""
    if factor == 0:
        return 1 << 62
    ratio = (base * 1000) // factor  # √ of whole USDC, rounded down: early is safe.
    return min(ratio, 1 << 20) * min(ratio, 1 << 20) * MILLION


@jit
def perpetual_notional(position, mark_value):
    """USDC units at the mark of the position after the worse of its open sides traded."""
    longest = abs(position.quantity + position.open_buy)
    shortest = abs(position.quantity - position.open_sell)
    return max(longest, shortest) * mark_value


@jit
def shift_perpetual(position, book, side, tick, lots, value):
    """Count open lots (below zero: no longer open) and what they lose against the mark of now.

    Each order by itself: one that gains does not make up for another. Where the mark has moved
    since the account was looked at, that is made good when it is looked at (refresh_account).
    """
    gap = value - lots * book.mark_value
    if lots > 0:
        widen(position, side, tick)
    if side == oe.SIDE_BUY:
        position.open_buy += lots
        position.open_buy_value += max(0, gap) if lots > 0 else min(0, gap)
        if position.open_buy == 0:
            position.open_buy_value = 0
            position.highest_buy = 0
    else:
        position.open_sell += lots
        position.open_sell_value += max(0, -gap) if lots > 0 else min(0, -gap)
        if position.open_sell == 0:
            position.open_sell_value = 0
            position.lowest_sell = 0


@jit
def widen(position, side, tick):
    """Let the bounds on a perpetual's orders include one at a tick."""
    if side == oe.SIDE_BUY:
        bits = 63 - count_leading_zeros(tick)
        if position.highest_buy == 0 or bits < position.lowest_buy_bits:
            position.lowest_buy_bits = bits
        position.highest_buy = max(position.highest_buy, tick)
    elif position.lowest_sell == 0 or tick < position.lowest_sell:
        position.lowest_sell = tick


@linked
def measure_orders(s, account):
    """What the orders of an account's perpetuals lose at the marks of now, and their bounds, anew.

    One walk along its orders for all of its positions: a market maker has hundreds of the ones and
    thousands of the others.
    """
    number = s.accounts[account].first_linear
    while number != 0:
        position = s.positions[number]
        if s.instruments[position.instrument].kind == oe.INSTRUMENT_KIND_PERPETUAL:
            position.open_buy_value = 0
            position.open_sell_value = 0
            position.highest_buy = 0
            position.lowest_sell = 0
        number = position.linear_next
    slot = s.accounts[account].first_order
    while slot != 0:
        order, detail = s.orders[slot], s.details[slot]
        book = s.instruments[order.instrument]
        perpetual = book.kind == oe.INSTRUMENT_KIND_PERPETUAL
        if perpetual and order.state == RESTING and slot != s.work.aside:
            position = s.positions[order.position]
            tick = detail.reserved_tick
            gap = order.leaves * (tick * book.value_per_tick_lot - book.mark_value)
            widen(position, order.side, tick)
            if order.side == oe.SIDE_BUY:
                position.open_buy_value += max(0, gap)
            else:
                position.open_sell_value += max(0, -gap)
        slot = detail.account_next


@jit
def side_requirement(worth, base, loss):
    """base × worth, rounded up, below zero where the side has less than nothing, and its loss."""
    if worth >= 0:
        return share_up(worth, base) + loss
    return loss - share_down(-worth, base)


@jit
def order_loss(position, mark, base):
    """What orders worse than the mark add to the requirement on the greater notional.

    Of the two ends of the range each has the loss of the orders that trade on the way there.
    """
    if position.open_buy_value | position.open_sell_value == 0:
        return 0
    longest = (position.quantity + position.open_buy) * mark
    shortest = (position.open_sell - position.quantity) * mark
    falling = side_requirement(longest, base, position.open_buy_value)
    rising = side_requirement(shortest, base, position.open_sell_value)
    return max(falling, rising) - share_up(max(longest, shortest), base)


@jit
def perpetual_profit(position, book):
    """Unrealised profit or loss, exact."""
    return position.quantity * (book.mark_value - position.settled_value) + position.unsettled


@jit
def perpetual_initial(position, book):
    """Initial margin of a perpetual position and its orders."""
    mark = book.mark_value
    required = notional_requirement(
        perpetual_notional(position, mark), book.margin_base_initial,
        book.margin_factor_initial, book.size_threshold_initial,
    )
    return required + order_loss(position, mark, book.margin_base_initial)


@jit
def perpetual_maintenance(position, book):
    """Maintenance margin of a perpetual position and its orders."""
    mark = book.mark_value
    required = notional_requirement(
        perpetual_notional(position, mark), book.margin_base_maintenance,
        book.margin_factor_maintenance, book.size_threshold_maintenance,
    )
    return required + order_loss(position, mark, book.margin_base_maintenance)


@jit
def _quote_value_up(s, asset, amount):
    return amount if asset == 0 else value_up(s.assets[asset], amount)


@jit
def _quote_value_down(s, asset, amount):
    return amount if asset == 0 else value_down(s.assets[asset], amount)


@jit
def spot_order_loss(s, position, book):
    """What the open orders of a pair lose against the index if they all trade at their limits."""
    base = s.assets[book.base]
    loss = 0
    if position.open_buy > 0:
        brought = value_down(base, position.open_buy * book.base_per_lot)
        loss += max(0, _quote_value_up(s, book.quote, position.open_buy_value) - brought)
    if position.open_sell > 0:
        given = value_up(base, position.open_sell * book.base_per_lot)
        loss += max(0, given - _quote_value_down(s, book.quote, position.open_sell_value))
    return loss


@jit
def spot_order_haircut(s, position, book, initial):
    """The haircut on what the open orders of a pair would bring."""
    base = s.assets[book.base]
    required = 0
    if position.open_buy > 0:
        brought = value_up(base, position.open_buy * book.base_per_lot)
        rate = base.haircut_initial if initial else base.haircut_maintenance
        required += share_up(brought, rate)
    if position.open_sell > 0 and book.quote != 0:
        quote = s.assets[book.quote]
        rate = quote.haircut_initial if initial else quote.haircut_maintenance
        required += share_up(value_up(quote, position.open_sell_value), rate)
    return required


@jit
def _reaches_far(position, book):
    """Whether an order may still lose at the end of the range that it gains towards."""
    apart = share_up(book.mark_value, book.margin_base_maintenance)
    highest = position.highest_buy * book.value_per_tick_lot
    lowest = position.lowest_sell * book.value_per_tick_lot
    return highest > book.mark_value + apart or 0 < lowest < book.mark_value - apart


@jit
def _may_cost_less(position, book, initial):
    """Whether what a perpetual requires may be more than it and its bids can ever lose.

    All of it is gone at a price of zero, and every bid has been paid: the cap of UPM-1, for who is
    not short and sells nothing. What each has paid is at most halved here.
    """
    if position.open_buy == 0 or position.open_sell != 0 or position.quantity < 0:
        return False
    paid = position.open_buy * (book.value_per_tick_lot << position.lowest_buy_bits)
    return initial > position.quantity * book.mark_value + paid


@jit
def refresh_linear(s, position):
    """Compute profit and requirement of a position again, and its account's sums with them."""
    book = s.instruments[position.instrument]
    account = s.accounts[position.account]
    if book.kind == oe.INSTRUMENT_KIND_PERPETUAL:
        profit = perpetual_profit(position, book)
        initial = perpetual_initial(position, book)
        account.profit += profit - position.profit
        position.profit = profit
        worse = position.open_buy_value | position.open_sell_value != 0
        if (worse and _reaches_far(position, book)) or _may_cost_less(position, book, initial):
            account.reaching |= 1 << book.base
    else:
        initial = spot_order_loss(s, position, book) + spot_order_haircut(s, position, book, True)
    account.initial += initial - position.initial
    position.initial = initial


@jit
def may_lose(position, book):
    """Whether an open order may be worse than the mark, or was when it was last looked at."""
    highest = position.highest_buy * book.value_per_tick_lot
    lowest = position.lowest_sell * book.value_per_tick_lot
    worse = highest > book.mark_value or 0 < lowest < book.mark_value
    return worse or position.open_buy_value | position.open_sell_value != 0


@linked
def refresh_account(s, account):
    """Recompute every linear position of an account at the marks and indices of now."""
    holder = s.accounts[account]
    holder.reaching = 0
    if _any_may_lose(s, holder):
        measure_orders(s, account)
    number = holder.first_linear
    while number != 0:
        position = s.positions[number]
        refresh_linear(s, position)
        number = position.linear_next
    holder.price_version = s.price_version


@jit
def _any_may_lose(s, holder):
    number = holder.first_linear
    while number != 0:
        position = s.positions[number]
        book = s.instruments[position.instrument]
        if book.kind == oe.INSTRUMENT_KIND_PERPETUAL and may_lose(position, book):
            return True
        number = position.linear_next
    return False
