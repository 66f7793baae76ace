"""A new order, from its terms to its rest: judged, admitted, matched, put on the book.

    terms ─► admitted ─► stop waits ┐
                     └─► executed ◄─┘ ─► traded, resting or ended
"""

import sbe.generated.order_entry as oe
from core.engine.book import crosses
from core.engine.client_index import add_client_order
from core.engine.controls.judge import judge_order
from core.engine.emit import add_report_flag, put_refusal, report
from core.engine.expiry import add_expiry
from core.engine.limits import admit_order
from core.engine.margin.door import margin_release
from core.engine.matching import FILLS_MAX, fillable, match, reducible, rest
from core.engine.order_terms import judge_band, judge_terms, read_terms, refuse
from core.engine.orders import close_order, end_order, give_back_slot, open_order, take_slot
from core.engine.positions import position_of
from core.engine.stops import add_stop, remove_stop, triggered_stop
from core.jit import jit
from core.linked import linked
from core.records import DONE, POST_ONLY, REDUCE_ONLY
from sbe.raw import store_i64

IMPACT_PARTS = 100  # A market order goes 1/100 of the best price into the book,
PREDICTION_PARTS = 20  # a prediction's 1/20 of its payout.
TRIGGERS_MAX = 64  # Stops of one instrument executed at a time.
EVERYWHERE = -1  # Several instruments have stops left over.


@linked
def new_order(s, a):
    """Handle a NewOrderSingle."""
    slot = take_slot(s)
    read_terms(s, slot, a)
    reason = judge_terms(s, slot, a) if slot != 0 else oe.REASON_CAPACITY_REACHED
    if reason == 0:
        reason = enter(s, slot)
    if reason != 0:
        reject(s, slot, reason)


@jit
def reject(s, slot, reason):
    """Report an order that never was one, in the terms its client used."""
    order = s.orders[slot]
    detail = s.details[slot]
    detail.status = oe.ORD_STATUS_REJECTED
    order.state = DONE
    order.leaves = 0
    if slot == 0:
        order.order_id = 0
    put_refusal(s, report(s, slot, oe.EXEC_TYPE_REJECTED, reason), reason)
    give_back_slot(s, slot)


@linked
def enter(s, slot):
    """Admit a judged order and execute it, or let it wait for its trigger; 0 or the reason."""
    order = s.orders[slot]
    detail = s.details[slot]
    order.position = position_of(s, order.account, order.instrument)
    if order.position == 0:
        return refuse(s, oe.REASON_CAPACITY_REACHED, 0, len(s.positions))
    if s.controls.active != 0:
        reason = judge_order(s, slot, 1)
        if reason != 0:
            return reason
    waits = detail.trigger_type != oe.TRIGGER_TYPE_NONE
    if waits:
        order.tick = detail.stop_tick
        if not add_stop(s, slot):
            return refuse(s, oe.REASON_CAPACITY_REACHED, 0, len(s.pages))
    else:
        reason = admit(s, slot)
        if reason != 0:
            return reason
    if detail.client_order_id != 0:
        add_client_order(s, detail.client_order_id, detail.session, slot)
    open_order(s, slot)
    if detail.expire_time > 0:
        add_expiry(s, slot, detail.expire_time)
    if waits:
        report(s, slot, oe.EXEC_TYPE_NEW, 0)
        s.work.triggered = order.instrument  # Its price may have come already.
    else:
        execute(s, slot, oe.EXEC_TYPE_NEW)
    return 0


@linked
def admit(s, slot):
    """Every rule that needs the book or the account; reserves margin when all hold."""
    order = s.orders[slot]
    detail = s.details[slot]
    book = s.instruments[order.instrument]
    side = order.side - 1
    if detail.limit_tick < 0:
        if book.best[1 - side] == 0:
            return refuse(s, oe.REASON_NO_LIQUIDITY, 0, 0)
        order.tick = impact_tick(book, side)
    else:
        order.tick = detail.limit_tick
    reason = judge_band(s, book, order.side, order.tick) if detail.limit_tick >= 0 else 0
    if reason != 0:
        return reason
    taking = book.state == oe.TRADING_STATE_OPEN and crosses(book, side, order.tick)
    if order.flags & POST_ONLY and taking:
        best = (book.best[1 - side] - 1) * book.tick_size
        return refuse(s, oe.REASON_POST_ONLY_WOULD_TRADE, order.tick * book.tick_size, best)
    only = s.accounts[order.account].state == oe.ACCOUNT_STATE_REDUCE_ONLY
    if (order.flags & REDUCE_ONLY or only) and reducible(s, order) < order.leaves:
        most = reducible(s, order) * book.lot_size
        asked = order.leaves * book.lot_size
        return refuse(s, oe.REASON_REDUCE_ONLY_WOULD_INCREASE, asked, most)
    reason = admit_order(s, order.position, order.side, order.tick, order.leaves)
    if reason != 0:
        return reason
    if detail.time_in_force == oe.TIME_IN_FORCE_FILL_OR_KILL and not fillable(s, slot):
        margin_release(s, order.position, order.side, order.tick, order.leaves)
        return refuse(s, oe.REASON_FILL_OR_KILL_NOT_FILLABLE, order.leaves * book.lot_size, 0)
    detail.reserved_tick = order.tick
    return 0


@jit
def impact_tick(book, side):
    """The worst tick a market order may trade at: the impact band from the best price."""
    best = book.best[1 - side] - 1
    width = book.one_tick // PREDICTION_PARTS if book.one_tick > 0 else best // IMPACT_PARTS
    highest = book.one_tick - 1 if book.one_tick > 0 else book.ticks_maximum
    if side == 0:
        return min(highest, best + max(1, width))
    return max(1, best - max(1, width))


@linked
def execute(s, slot, exec_type):
    """Match an admitted order, then rest or end what is left; reports as it goes.

    `exec_type` 0: how it came here has been reported.
    """
    order = s.orders[slot]
    book = s.instruments[order.instrument]
    force = s.details[slot].time_in_force
    s.work.taker_report = 0
    reason = 0
    if book.state == oe.TRADING_STATE_OPEN and crosses(book, order.side - 1, order.tick):
        if exec_type != 0:
            report(s, slot, exec_type, 0)
        reason = match(s, slot)
        exec_type = 0
        if order.leaves == 0 and reason == 0:
            finish(s, slot)
            return
    at_once = (
        force == oe.TIME_IN_FORCE_IMMEDIATE_OR_CANCEL or force == oe.TIME_IN_FORCE_FILL_OR_KILL
    )
    if reason == 0 and (at_once or s.details[slot].limit_tick < 0):
        reason = oe.REASON_IMMEDIATE_OR_CANCEL
    if reason == 0:
        if rest(s, slot):
            _report_resting(s, slot, exec_type)
            return
        reason = oe.REASON_CAPACITY_REACHED
    if exec_type != 0:
        report(s, slot, exec_type, 0)
    if order.leaves > 0:
        margin_release(s, order.position, order.side, s.details[slot].reserved_tick, order.leaves)
    end_order(s, slot, reason)


@jit
def _report_resting(s, slot, exec_type):
    """Say that the order is on the book: in its first report, or in its last trade's."""
    if exec_type != 0:
        report(s, slot, exec_type, 0)
    elif s.work.taker_report != 0:
        a = s.work.taker_report - oe.EXECUTION_REPORT_FLAGS_OFFSET
        add_report_flag(a, oe.REPORT_FLAGS_ON_BOOK)
        lot = s.instruments[s.orders[slot].instrument].lot_size
        store_i64(a + oe.EXECUTION_REPORT_VISIBLE_QTY_OFFSET, s.orders[slot].visible * lot)
    else:
        report(s, slot, oe.EXEC_TYPE_RESTATED, 0)


@jit
def finish(s, slot):
    """A taker that is filled: nothing is left to hold."""
    s.orders[slot].state = DONE
    close_order(s, slot)


@jit
def trigger(s, slot):
    """A stop's price has come: it is reported, admitted and executed, or cancelled."""
    s.orders[slot].state = 0
    reason = judge_order(s, slot, 0) if s.controls.active != 0 else 0
    if reason == 0:
        reason = admit(s, slot)
    report(s, slot, oe.EXEC_TYPE_TRIGGERED, 0)
    if reason == 0:
        execute(s, slot, 0)
        return
    end = oe.REASON_MARGIN_AT_TRIGGER if reason == oe.REASON_INSUFFICIENT_MARGIN else reason
    put_refusal(s, end_order(s, slot, end), reason)


@linked
def run_triggers(s, instrument):
    """Execute the stops that an instrument's prices trigger, TRIGGERS_MAX at the most.

    A stop that trades moves the last price and may trigger the next. What the bound leaves over is
    taken up after the next command.
    """
    book = s.instruments[instrument]
    for _ in range(TRIGGERS_MAX):
        slot = 0
        if book.last_tick != 0:
            slot = triggered_stop(s, book, 0, book.last_tick - 1)
        if slot == 0 and book.mark > 0:
            slot = triggered_stop(s, book, 1, book.mark // book.tick_size)
        if slot == 0 and book.index > 0:
            slot = triggered_stop(s, book, 2, book.index // book.tick_size)
        if slot == 0 or book.state != oe.TRADING_STATE_OPEN:
            return
        if s.work.fills >= FILLS_MAX:
            break
        s.work.fills += 1  # It is reported as a trade is, and bounded with them.
        remove_stop(s, slot)
        trigger(s, slot)
    others = s.trigger_pending != 0 and s.trigger_pending != instrument
    s.trigger_pending = EVERYWHERE if others else instrument
