"""The rule for accounts below their initial margin: only what reduces risk may be opened.

A perpetual order is accepted there if it can only bring the position nearer to zero and, filled,

    MM' ≤ MM   and   E' / MM' ≥ E / MM

An account with price links, or with spot that is judged as one with its perpetual, is judged by
what it would require after the fill, whole: there a perpetual may also be opened, as a hedge, and a
price link closed.

A spot order is accepted if it spends what is held or repays what is owed, and free margin does not
fall when it trades. Events need no rule: an order that cannot deepen the worst outcome requires
nothing, and is never asked here.
"""

import sbe.generated.order_entry as oe
from core.atomics import multiply_high
from core.engine.margin.events import refresh_prediction
from core.engine.margin.levels import levels
from core.engine.margin.linear import notional_requirement, refresh_linear
from core.engine.margin.whole import whole_units
from core.engine.money import share_up, value_down, value_up
from core.jit import jit
from core.linked import linked

_INDEX_STALE = 2


@jit
def _product_at_least(a, b, c, d):
    """a × b ≥ c × d for all ≥ 0, in 128 bits."""
    left, right = multiply_high(a, b), multiply_high(c, d)
    if left != right:
        return left > right
    low_left, low_right = (a * b) ^ (-1 << 63), (c * d) ^ (-1 << 63)  # Order as if unsigned.
    return low_left >= low_right


@linked
def reduces_risk(s, number, side, tick, lots):
    """Whether an order may be accepted although E < IM with it."""
    position = s.positions[number]
    book = s.instruments[position.instrument]
    if book.kind == oe.INSTRUMENT_KIND_PERPETUAL:
        if whole_units(s, position.account) != 0:
            return _reduces_jointly(s, position, book, side, tick, lots)
        return _perpetual_reduces(s, position, book, side, tick, lots)
    if book.kind == oe.INSTRUMENT_KIND_SPOT and book.quote == 0:
        return _spot_reduces(s, position, book, side, tick, lots)
    if book.kind >= oe.INSTRUMENT_KIND_PRICE_ABOVE and _closes(position, side, lots):
        return _reduces_jointly(s, position, book, side, tick, lots)
    return False


@jit
def _closes(position, side, lots):
    """Whether an order and all others of its side bring the position at most to zero."""
    if side == oe.SIDE_BUY:
        return position.quantity + position.open_buy + lots <= 0
    return position.quantity - position.open_sell - lots >= 0


@jit
def _perpetual_reduces(s, position, book, side, tick, lots):
    held = position.quantity
    if side == oe.SIDE_BUY:
        left = -held - position.open_buy - lots
        loss = tick * lots * book.value_per_tick_lot - lots * book.mark_value
    else:
        left = held - position.open_sell - lots
        loss = lots * book.mark_value - tick * lots * book.value_per_tick_lot
    if left < 0 or book.mark_value == 0:
        return False
    equity, _, maintenance = levels(s, position.account)
    closed = _requirement(book, abs(held)) - _requirement(book, left)
    after = equity - max(0, loss)
    if equity <= 0:
        return loss <= 0
    if after < 0:
        return False
    return _product_at_least(after, maintenance, equity, max(0, maintenance - closed))


@jit
def _reduces_jointly(s, position, book, side, tick, lots):
    if book.mark_value == 0 or s.assets[book.base].index_state == _INDEX_STALE:
        return False
    signed = lots if side == oe.SIDE_BUY else -lots
    loss = signed * (tick * book.value_per_tick_lot - book.mark_value)
    equity, _, maintenance = levels(s, position.account)
    position.quantity += signed
    _again(s, position, book)
    _, _, left = levels(s, position.account)
    position.quantity -= signed
    _again(s, position, book)
    if left > maintenance:
        return False
    if equity <= 0:
        return loss <= 0
    after = equity - max(0, loss)
    return after >= 0 and _product_at_least(after, maintenance, equity, max(0, left))


@jit
def _again(s, position, book):
    """Count a position with the quantity that it has now."""
    if book.kind == oe.INSTRUMENT_KIND_PERPETUAL:
        refresh_linear(s, position)
    else:
        refresh_prediction(s, position)


@jit
def _requirement(book, lots):
    return notional_requirement(
        lots * book.mark_value, book.margin_base_maintenance,
        book.margin_factor_maintenance, book.size_threshold_maintenance,
    )


@jit
def _spot_reduces(s, position, book, side, tick, lots):
    base = s.assets[book.base]
    assets = s.accounts[position.account].assets
    units = lots * book.base_per_lot
    paid = tick * lots * book.value_per_tick_lot
    if base.index_price == 0:
        return False
    if side == oe.SIDE_SELL:
        held = assets[book.base].balance - assets[book.base].reserved
        worth = value_up(base, units)
        return held >= units and worth - paid <= share_up(worth, base.haircut_initial)
    owed = -assets[book.base].balance - position.open_buy * book.base_per_lot
    cash = assets[0].balance - assets[0].reserved
    worth = value_down(base, units)
    relief = share_up(worth, base.borrow_margin_initial)
    return owed >= units and cash >= paid and paid - worth <= relief
