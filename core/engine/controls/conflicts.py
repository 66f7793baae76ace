"""Owners who may decide what an event pays, and the events they may therefore not trade.

    reporters and arbiter of an event's rules ─► their owners ─► no order in any of its outcomes

Not even one that closes: what such an owner still holds pays him as it pays everybody, and keeps
him from reporting (the oracle's own check). Set at the listing, from the market's rules.
"""

import sbe.generated.order_entry as oe
from core.control_records import CONFLICTS_MAX
from core.engine.order_terms import refuse
from core.jit import jit
from core.linked import linked


@jit
def conflict_place(s, owner, event):
    """Where a conflict stands, −1 if there is none."""
    for place in range(CONFLICTS_MAX):
        if s.conflicts[place].owner == owner and s.conflicts[place].event == event:
            return place
    return -1


@jit
def in_conflict(s, owner, instrument):
    """Whether an owner may decide what an instrument pays."""
    event = s.instruments[instrument].event
    if event == 0 or s.owner_controls[owner].conflicts == 0:
        return False
    return conflict_place(s, owner, event) >= 0


@linked
def judge_conflict(s, position):
    """0, or MarketConflict with the owner and the event."""
    owner = s.accounts[position.account].owner
    if in_conflict(s, owner, position.instrument):
        return refuse(s, oe.REASON_MARKET_CONFLICT, owner, s.instruments[position.instrument].event)
    return 0
