"""The waterfall: from the first cancel to the end of a liquidation, one step behind a command.

    E < MM      cancel all orders ─► recovered?
                close a part on the book (choose, order) … until E ≥ IM
    E < MM / 2  backstop providers ─► orders that insurance stands behind ─► auto-deleveraging,
                market by market, each at the bankruptcy price
    no position left   assets against debts on the book, then the insurance account takes over what
                       is left of either: the account is at zero and owes nothing

An account whose equity fell below zero is made up for at once by the insurance account, so that
what it is paid later is its own. Who takes its positions over refunds that share; of the rest a
market's insurance bears no more than its cap, and the deleveraged bear what is beyond.

Steps of one account are `interval` apart where the book is asked; there are at most STEPS_MAX
behind one command, so a cascade never keeps an order waiting.
"""

import sbe.generated.control as control
import sbe.generated.order_entry as oe
from core.engine.liquidation import choose
from core.engine.liquidation.deleverage import end_ranking
from core.engine.liquidation.order import place
from core.engine.liquidation.queue import LAST, look_again
from core.engine.liquidation.report import certify, converted, remember, step
from core.engine.liquidation.takeover import takeover
from core.engine.liquidation.trust import may_liquidate, tolerance
from core.engine.orders import cancel_order
from core.jit import jit
from core.linked import linked

CANCELLING, CLOSING, TAKEOVER = 1, 2, 3
STEPS_MAX = 4
CANCELS_MAX = 128
_LOOKED_MAX = 16
_WAIT = 1_000_000_000  # ns until prices or markets are asked again


@jit
def has_room(s):
    """Whether another liquidation can begin."""
    return s.liquidation_free != 0 or s.liquidations_used + 1 < len(s.liquidation)


@linked
def begin(s, account, equity, initial, maintenance):
    """Take an account into liquidation and certify why; there must be room for its record."""
    number = s.liquidation_free
    if number != 0:
        s.liquidation_free = s.liquidation[number].next
    else:
        s.liquidations_used += 1
        number = s.liquidations_used
    s.certificates += 1
    s.liquidations += 1
    record = s.liquidation[number]
    record.account = account
    record.phase = CANCELLING
    record.steps = 0
    record.certificate = s.certificates
    record.due = s.work.time
    record.stake = 0
    record.recover = 0
    record.insured = 0
    record.instrument = 0
    s.accounts[account].liquidation = number
    s.accounts[account].margin_level = 1
    _append(s, number)
    s.liquidation_due = s.work.time
    s.work.equity = equity
    s.work.initial = initial
    s.work.maintenance = maintenance
    certify(s, record, tolerance(s, account))
    step(s, record, oe.LIQUIDATION_STAGE_STARTED, 0, 0, 0, 0, 0)


@jit
def _append(s, number):
    s.liquidation[number].next = LAST
    if s.liquidation_last != 0:
        s.liquidation[s.liquidation_last].next = number
    else:
        s.liquidation_first = number
    s.liquidation_last = number


@jit
def _take_first(s):
    number = s.liquidation_first
    following = s.liquidation[number].next
    if following == LAST:
        s.liquidation_first = 0
        s.liquidation_last = 0
    else:
        s.liquidation_first = following
    return number


@linked
def run_liquidations(s):
    """Take the next steps that are due, at most STEPS_MAX."""
    if s.work.time < s.liquidation_due:
        return
    steps = 0
    for _ in range(min(s.liquidations, _LOOKED_MAX)):
        number = _take_first(s)
        record = s.liquidation[number]
        if record.due <= s.work.time:
            steps += 1
            if _step(s, number):
                _finish(s, number)
                continue
        _append(s, number)
        if steps == STEPS_MAX:
            break
    s.liquidation_due = _next_due(s)


@jit
def _next_due(s):
    """The earliest time at which any liquidation goes on."""
    earliest = s.work.time + _WAIT
    number = s.liquidation_first
    while number > 0:
        earliest = min(earliest, s.liquidation[number].due)
        number = s.liquidation[number].next
    return earliest


@jit
def _finish(s, number):
    """The liquidation is over; the account is watched again."""
    record = s.liquidation[number]
    account = record.account
    if s.deleveraging.liquidation == number:
        end_ranking(s)
    record.account = 0
    record.next = s.liquidation_free
    s.liquidation_free = number
    s.liquidations -= 1
    s.accounts[account].liquidation = 0
    s.watching = 1
    look_again(s, account)


@jit
def _step(s, number):
    """One step of a liquidation; whether it is over."""
    record = s.liquidation[number]
    remember(s, record.account)
    if not may_liquidate(s, record.account, s.work.equity, s.work.initial):
        record.due = s.work.time + _WAIT
        return False
    if record.phase == CANCELLING or (
        record.phase == TAKEOVER and s.accounts[record.account].first_order != 0
    ):
        return _cancel(s, record)
    if s.work.equity >= s.work.initial and s.work.equity >= 0:
        return _recovered(s, record)
    if record.phase == TAKEOVER and s.work.equity >= s.work.maintenance:
        record.phase = CLOSING
    if record.phase == CLOSING and 2 * s.work.equity < s.work.maintenance:
        record.phase = TAKEOVER
        record.stake = max(0, s.work.equity)
    if record.phase == CLOSING:
        return _close(s, record)
    return takeover(s, number)


@jit
def _recovered(s, record):
    s.insurance_uncovered += record.recover
    record.recover = 0
    step(s, record, oe.LIQUIDATION_STAGE_RECOVERED, 0, 0, 0, 0, 0)
    return True


@jit
def _cancel(s, record):
    """Cancel some of the orders; when none is left, look whether that was enough."""
    cancelled = 0
    holder = s.accounts[record.account]
    while holder.first_order != 0 and cancelled < CANCELS_MAX:
        cancel_order(s, holder.first_order, oe.REASON_LIQUIDATION)
        cancelled += 1
    if cancelled > 0:
        e = step(s, record, oe.LIQUIDATION_STAGE_ORDERS_CANCELED, 0, 0, 0, 0, 0)
        control.set_liquidation_step_count(e, cancelled)
    if holder.first_order != 0 or record.phase == TAKEOVER:
        return False
    record.phase = CLOSING
    remember(s, record.account)
    if s.work.equity >= s.work.maintenance - tolerance(s, record.account):
        return _recovered(s, record)
    return False


@jit
def _close(s, record):
    """Send the order that frees most for its cost; without one, wait."""
    record.due = s.work.time + s.risk.interval
    missing = s.work.initial - s.work.equity
    if not choose.choose(s, record.account, missing < s.risk.whole):
        remember(s, record.account)
        no_positions = s.work.maintenance <= 0 and s.work.equity >= 0
        record.due = s.work.time + max(_WAIT, s.risk.interval)
        return no_positions and _recovered(s, record)
    remember(s, record.account)
    choice = s.work.choice
    number, side = choice[choose.POSITION], choice[choose.SIDE]
    lots, tick = choice[choose.LOTS], choice[choose.TICK]
    owed = max(0, -s.accounts[record.account].assets[0].balance)
    filled, value = place(s, record, number, side, lots, tick)
    instrument = s.positions[number].instrument
    signed = filled if side == oe.SIDE_BUY else -filled
    paid = value if side == oe.SIDE_BUY else -value
    stage = oe.LIQUIDATION_STAGE_BOOK_ORDER
    e = step(s, record, stage, instrument, 0, signed, paid, 0)
    price = tick * s.instruments[instrument].tick_size
    control.set_liquidation_step_limit_price(e, price)
    spot = s.instruments[instrument].kind == oe.INSTRUMENT_KIND_SPOT
    if spot and side == oe.SIDE_SELL and filled > 0:
        converted(s, record, number, filled, value, owed)
    return False

