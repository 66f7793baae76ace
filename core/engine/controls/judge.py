"""Whether the controls let an order in: switches, conflicts, gates, wishes, the beta, limits.

    controls.active == 0 ─► nothing is looked at
                    else ─► killed? ─► may the owner decide the market? ─► is the event disputed?
                            ─► product allowed? ─► excluded, or lost too much? ─► within the beta?
                            ─► within the limits?

What only brings a position nearer to zero is asked neither for a dispute, nor for its product's
gate, if that is open for closing, nor for the client's own wishes, nor for the beta. Cancels are
never asked.
"""

import sbe.generated.order_entry as oe
from core.control_records import (
    KILL_MARKET,
    KILL_OWNER,
    KILL_PRODUCT,
    KILL_SESSION,
    KILL_VENUE,
)
from core.engine.controls.beta import judge_beta
from core.engine.controls.clients import judge_client
from core.engine.controls.conflicts import judge_conflict
from core.engine.controls.disputes import judge_dispute
from core.engine.controls.order_limits import judge_limits
from core.engine.order_terms import refuse
from core.jit import jit
from core.linked import linked

_DENIED, _CLOSE_ONLY, _ALLOWED = 0, 1, 2  # Two bits of an owner's permissions.


@linked
def judge_order(s, slot, counted):
    """A judged order before it is entered or triggered: 0, or the reason against it.

    counted: 1 for a new order; 2 for a change of one, which stands already but uses up as much of
    what the account may send; 0 for one that came before, or a preview.
    """
    order = s.orders[slot]
    detail = s.details[slot]
    book = s.instruments[order.instrument]
    tick = detail.limit_tick
    if tick < 0:
        tick = detail.stop_tick
    if tick < 0:  # A market order, at the best price there is.
        tick = max(0, book.best[2 - order.side] - 1)
    return judge_controls(s, order.position, order.side, tick, order.leaves, detail.session,
                          counted)


@linked
def judge_controls(s, number, side, tick, lots, session, counted):
    """An order of a position's account for so many lots at a tick: 0, or the reason against it."""
    position = s.positions[number]
    reason = _killed(s, position, session)
    if reason == 0 and s.controls.conflicts != 0:
        reason = judge_conflict(s, position)
    if reason == 0:
        closes = _only_closes(s.instruments[position.instrument], position, side, lots)
        if s.controls.disputed != 0:
            reason = judge_dispute(s, position, closes)
        if reason == 0 and s.controls.gating != 0:
            reason = _gated(s, position, closes)
        if reason == 0 and s.controls.protected != 0:
            reason = judge_client(s, position, closes)
        if reason == 0 and s.controls.beta != 0:
            reason = judge_beta(s, position, tick, lots, closes)
    if reason == 0 and s.controls.limited != 0:
        reason = judge_limits(s, position, tick, lots, counted)
    return reason


@jit
def _killed(s, position, session):
    """KillSwitch with the level and the subject of the highest switch that is on."""
    controls = s.controls
    kind = s.instruments[position.instrument].kind
    if controls.venue_killed != 0:
        return refuse(s, oe.REASON_KILL_SWITCH, KILL_VENUE, 0)
    if (controls.kinds_killed >> kind) & 1:
        return refuse(s, oe.REASON_KILL_SWITCH, KILL_PRODUCT, kind)
    if controls.kills == 0:
        return 0
    owner = s.accounts[position.account].owner
    if s.markets_killed[position.instrument] != 0:
        return refuse(s, oe.REASON_KILL_SWITCH, KILL_MARKET, position.instrument)
    if s.owner_controls[owner].killed != 0:
        return refuse(s, oe.REASON_KILL_SWITCH, KILL_OWNER, owner)
    if s.sessions_killed[session] != 0:
        return refuse(s, oe.REASON_KILL_SWITCH, KILL_SESSION, session)
    return 0


@jit
def _only_closes(book, position, side, lots):
    """Whether the position can only come nearer to zero, with all orders of the side."""
    if book.kind == oe.INSTRUMENT_KIND_SPOT:
        return side == oe.SIDE_SELL  # What is bought was decided about when it was bought.
    if side == oe.SIDE_BUY:
        return position.quantity + position.open_buy + lots <= 0
    return position.quantity - position.open_sell - lots >= 0


@jit
def _gated(s, position, closes):
    """ProductGate with the product and what is allowed of it."""
    kind = s.instruments[position.instrument].kind
    owner = s.owner_controls[s.accounts[position.account].owner]
    allowed = (owner.permissions >> (2 * kind)) & 3
    if owner.valid_until != 0 and s.work.time >= owner.valid_until:
        allowed = min(allowed, _CLOSE_ONLY)
    if allowed == _ALLOWED or (allowed == _CLOSE_ONLY and closes):
        return 0
    return refuse(s, oe.REASON_PRODUCT_GATE, kind, allowed + 1)
