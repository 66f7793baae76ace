"""The kill switch, at five levels: an owner, a session, a market, a product, the venue.

    on ─► nothing new is taken at once ─► every order in its scope is cancelled, in slices behind
          the commands that follow ─► KillSwitchChanged with how many there were
    off ─► KillSwitchChanged

An owner's own exclusion (clients.py), a conflict (conflicts.py) and a dispute (disputes.py) cancel
the same way. Cancels are always taken, whatever is switched off. A switch that is on already
cancels again.
"""

import sbe.generated.control as control
import sbe.generated.order_entry as oe
from core.control_records import (
    CONFLICTS_MAX,
    EVENT_DISPUTED,
    KILL_MARKET,
    KILL_OWNER,
    KILL_PRODUCT,
    KILL_SESSION,
    KILL_VENUE,
    MARKET_CONFLICT,
    SELF_EXCLUSION,
)
from core.engine.controls.conflicts import in_conflict
from core.engine.emit import event_begin
from core.engine.job_queue import JOB_KILL, queue_full, start_job
from core.engine.order_terms import refuse
from core.engine.orders import cancel_order
from core.jit import jit
from core.linked import linked
from core.records import INSTRUMENT_KINDS, JOBS_MAX

SKIPPED_MAX = 64  # Accounts without orders, walked over for the cost of a cancel; a power of two.


@jit
def refresh_active(s):
    """Whether any control is in force."""
    controls = s.controls
    total = controls.venue_killed + controls.kinds_killed + controls.kills
    others = controls.gating + controls.limited + controls.beta + controls.protected
    controls.active = total + others + controls.conflicts + controls.disputed != 0


@jit
def controls_agree(s):
    """Whether the counts of the controls, and the word above them, are what is set."""
    kills, limited, protected, conflicts = 0, 0, 0, 0
    for owner in range(len(s.owners)):
        kills += s.owner_controls[owner].killed
        protected += s.owner_controls[owner].protected
        conflicts += s.owner_controls[owner].conflicts
    for session in range(len(s.sessions)):
        kills += s.sessions_killed[session]
    for instrument in range(len(s.instruments)):
        kills += s.markets_killed[instrument]
    for account in range(len(s.accounts)):
        limited += s.order_limits[account].given
    controls = s.controls
    for place in range(CONFLICTS_MAX):
        conflicts -= s.conflicts[place].owner != 0
    others = controls.venue_killed + controls.kinds_killed + controls.gating + controls.beta
    others += controls.conflicts + controls.disputed
    disputed = -controls.disputed
    for event in range(len(s.event_groups)):
        disputed += s.event_groups[event].disputed
    same = kills == controls.kills and limited == controls.limited
    same = same and protected == controls.protected and conflicts == 0 and disputed == 0
    return same and controls.active == (kills + limited + protected + others != 0)


@linked
def set_kill_switch(s, a):
    """SetKillSwitch: 0 or the reason against it."""
    level = control.set_kill_switch_level(a)
    subject = control.set_kill_switch_subject(a)
    on = control.set_kill_switch_active(a) != 0
    reason = _known(s, level, subject)
    if reason != 0:
        return reason
    if on and queue_full(s):
        return refuse(s, oe.REASON_BUSY, s.jobs, JOBS_MAX)
    _switch(s, level, subject, 1 if on else 0)
    refresh_active(s)
    if not on:
        _changed(s, level, subject, 0, 0)
        return 0
    number = start_job(s, JOB_KILL, subject, 1)
    s.job[number].place = level
    return 0


@jit
def _known(s, level, subject):
    """0, or the reason why there is no such subject."""
    if level < KILL_OWNER or level > KILL_VENUE:
        return refuse(s, oe.REASON_INVALID_FIELD, level, KILL_VENUE)
    if level == KILL_OWNER:
        known = subject < len(s.owners) and s.owners[subject].registered != 0
        return 0 if known else refuse(s, oe.REASON_UNKNOWN_OWNER, subject, 0)
    if level == KILL_SESSION:
        known = subject < len(s.sessions) and s.sessions[subject].registered != 0
        return 0 if known else refuse(s, oe.REASON_UNKNOWN_SESSION, subject, 0)
    if level == KILL_MARKET:
        known = 0 < subject < len(s.instruments) and s.instruments[subject].state != 0
        return 0 if known else refuse(s, oe.REASON_UNKNOWN_INSTRUMENT, subject, 0)
    if level == KILL_PRODUCT and not 0 < subject < INSTRUMENT_KINDS:
        return refuse(s, oe.REASON_INVALID_FIELD, subject, INSTRUMENT_KINDS - 1)
    return 0


@jit
def _switch(s, level, subject, on):
    controls = s.controls
    if level == KILL_OWNER:
        controls.kills += on - s.owner_controls[subject].killed
        s.owner_controls[subject].killed = on
    elif level == KILL_SESSION:
        controls.kills += on - s.sessions_killed[subject]
        s.sessions_killed[subject] = on
    elif level == KILL_MARKET:
        controls.kills += on - s.markets_killed[subject]
        s.markets_killed[subject] = on
    elif level == KILL_PRODUCT:
        without = controls.kinds_killed & ~(1 << subject)
        controls.kinds_killed = without | (on << subject)
    else:
        controls.venue_killed = on


@linked
def kill_slice(s, job, budget):
    """Cancel what is in the switch's scope; what is left of the budget, or −1 if there is more."""
    level, subject = job.place, job.subject
    while job.cursor <= s.accounts_used:
        if budget <= 0:
            return -1
        holder = s.accounts[job.cursor]
        one_owner = level in (KILL_OWNER, SELF_EXCLUSION, MARKET_CONFLICT)
        mine = holder.open_orders > 0 and (not one_owner or holder.owner == subject)
        if mine:
            budget = _cancel_account(s, job, level, subject, budget)
            if budget < 0:
                return -1
        else:
            budget -= (job.cursor & (SKIPPED_MAX - 1)) == 0
        job.cursor += 1
    _changed(s, level, subject, 1, job.count)
    return max(0, budget)


@jit
def _cancel_account(s, job, level, subject, budget):
    """Cancel an account's orders that are in scope; −1 if the budget ended before they did."""
    slot = s.accounts[job.cursor].first_order
    while slot != 0:
        following = s.details[slot].account_next
        if _in_scope(s, slot, level, subject):
            if budget <= 0:
                return -1
            reason = oe.REASON_KILL_SWITCH
            if level == SELF_EXCLUSION:
                reason = oe.REASON_SELF_EXCLUDED
            elif level == MARKET_CONFLICT:
                reason = oe.REASON_MARKET_CONFLICT
            elif level == EVENT_DISPUTED:
                reason = oe.REASON_EVENT_DISPUTED
            cancel_order(s, slot, reason)
            job.count += 1
            budget -= 1
        slot = following
    return budget


@jit
def _in_scope(s, slot, level, subject):
    order = s.orders[slot]
    if level == KILL_SESSION:
        return s.details[slot].session == subject
    if level == KILL_MARKET:
        return order.instrument == subject
    if level == KILL_PRODUCT:
        return s.instruments[order.instrument].kind == subject
    if level == EVENT_DISPUTED:
        return s.instruments[order.instrument].event == subject
    if level == MARKET_CONFLICT:
        return in_conflict(s, subject, order.instrument)
    return True


@jit
def _changed(s, level, subject, on, canceled):
    e = event_begin(s, control.KILL_SWITCH_CHANGED_BLOCK, 0, 0)
    control.write_kill_switch_changed_header(e - 8)
    control.set_kill_switch_changed_subject(e, subject)
    control.set_kill_switch_changed_canceled(e, canceled)
    control.set_kill_switch_changed_level(e, level)
    control.set_kill_switch_changed_active(e, on)
