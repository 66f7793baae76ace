"""Who may trade which product: profiles, gates and the permissions they make; conflicts.

    gates, in their order:  (country, licence, client class, product) ─► deny, close only, allow
    the first that fits decides; where none fits, it is denied

Permissions are made when a profile or a gate changes, so that an order looks at two bits. Each
decision is an event, with the sequence of the command that decided as its number.
"""

import numpy as np

import sbe.generated.control as control
import sbe.generated.order_entry as oe
from core.control_records import CONFLICTS_MAX, GATES_MAX, MARKET_CONFLICT
from core.engine.controls.conflicts import conflict_place
from core.engine.controls.switches import refresh_active
from core.engine.emit import event_begin
from core.engine.job_queue import JOB_KILL, queue_full, start_job
from core.engine.order_terms import refuse
from core.jit import jit
from core.linked import linked
from core.records import INSTRUMENT_KINDS, JOBS_MAX

_DENY, _ALLOW = 1, 3
_FIRST_CLIENT_OWNER = 2


@linked
def set_owner_profile(s, a):
    """SetOwnerProfile: 0 or the reason against it."""
    number = control.set_owner_profile_owner(a)
    if (number < _FIRST_CLIENT_OWNER or number >= len(s.owners)
            or s.owners[number].registered == 0):
        return refuse(s, oe.REASON_UNKNOWN_OWNER, number, 0)
    owner = s.owner_controls[number]
    owner.country = control.set_owner_profile_country(a)
    owner.licence = control.set_owner_profile_licence(a)
    owner.client_class = control.set_owner_profile_client_class(a)
    owner.invited = control.set_owner_profile_invited(a) != 0
    until = np.int64(control.set_owner_profile_valid_until(a))
    owner.valid_until = max(0, until)  # Null is −1.
    _decide(s, number, True)
    return 0


@linked
def set_market_conflict(s, a):
    """SetMarketConflict: 0 or the reason against it."""
    owner = control.set_market_conflict_owner(a)
    event = control.set_market_conflict_event(a)
    if (owner < _FIRST_CLIENT_OWNER or owner >= len(s.owners)
            or s.owners[owner].registered == 0):
        return refuse(s, oe.REASON_UNKNOWN_OWNER, owner, 0)
    if event < 1 or event >= len(s.event_groups) or s.event_groups[event].kind == 0:
        return refuse(s, oe.REASON_UNKNOWN_EVENT, event, 0)
    place = conflict_place(s, owner, event)
    if control.set_market_conflict_active(a) == 0:
        if place >= 0:
            _set_conflict(s, place, 0, 0, owner, -1)
        return 0
    if queue_full(s):
        return refuse(s, oe.REASON_BUSY, s.jobs, JOBS_MAX)
    if place < 0:
        place = conflict_place(s, 0, 0)
        if place < 0:
            return refuse(s, oe.REASON_CAPACITY_REACHED, s.controls.conflicts, CONFLICTS_MAX)
        _set_conflict(s, place, owner, event, owner, 1)
    job = start_job(s, JOB_KILL, owner, 1)
    s.job[job].place = MARKET_CONFLICT
    return 0


@jit
def _set_conflict(s, place, owner, event, of, more):
    s.conflicts[place].owner = owner
    s.conflicts[place].event = event
    s.owner_controls[of].conflicts += more
    s.controls.conflicts += more
    refresh_active(s)


@linked
def set_gate(s, a):
    """SetGate: 0 or the reason against it. Decision 0 empties the place."""
    place = control.set_gate_place(a)
    decision = control.set_gate_decision(a)
    kind = control.set_gate_kind(a)
    if place >= GATES_MAX:
        return refuse(s, oe.REASON_CAPACITY_REACHED, place, GATES_MAX - 1)
    if decision > _ALLOW or kind >= INSTRUMENT_KINDS:
        return refuse(s, oe.REASON_INVALID_FIELD, decision, _ALLOW)
    gate = s.gates[place]
    gate.decision = decision
    gate.country = control.set_gate_country(a)
    gate.licence = control.set_gate_licence(a)
    gate.client_class = control.set_gate_client_class(a)
    gate.kind = kind
    for number in range(_FIRST_CLIENT_OWNER, len(s.owners)):
        if s.owners[number].registered != 0:
            _decide(s, number, False)
    return 0


@linked
def set_controls(s, a):
    """SetControls: whether gates are enforced, and the beta with its caps; 0 or the reason."""
    notional = control.set_controls_notional_cap(a)
    ramp = control.set_controls_notional_ramp(a)
    equity = control.set_controls_equity_cap(a)
    loss = control.set_controls_loss_cap(a)
    interest = control.set_controls_interest_cap(a)
    if min(min(notional, ramp), min(equity, min(loss, interest))) < 0:
        return refuse(s, oe.REASON_INVALID_FIELD, min(notional, ramp), 0)
    controls = s.controls
    controls.gating = control.set_controls_gating(a) != 0
    controls.beta = control.set_controls_beta(a) != 0
    controls.beta_start = np.int64(control.set_controls_beta_start(a))
    controls.beta_notional = notional
    controls.beta_ramp = ramp
    controls.beta_equity = equity
    controls.beta_loss = loss
    controls.beta_interest = interest
    refresh_active(s)
    return 0


@jit
def _decide(s, number, said):
    """Make an owner's permissions; an event if they are other ones, or if the profile is said."""
    owner = s.owner_controls[number]
    permissions = 0
    for kind in range(1, INSTRUMENT_KINDS):
        permissions |= (_decision(s, owner, kind) - 1) << (2 * kind)
    if permissions == owner.permissions and not said:
        return
    owner.permissions = permissions
    owner.decided = s.work.sequence
    e = event_begin(s, control.OWNER_PERMITTED_BLOCK, 0, 0)
    control.write_owner_permitted_header(e - 8)
    control.set_owner_permitted_owner(e, number)
    control.set_owner_permitted_decision(e, owner.decided)
    control.set_owner_permitted_permissions(e, permissions)
    control.set_owner_permitted_valid_until(e, owner.valid_until if owner.valid_until > 0 else -1)
    control.set_owner_permitted_country(e, owner.country)
    control.set_owner_permitted_licence(e, owner.licence)
    control.set_owner_permitted_client_class(e, owner.client_class)
    control.set_owner_permitted_invited(e, owner.invited)


@jit
def _decision(s, owner, kind):
    """What the first gate that fits says."""
    for place in range(GATES_MAX):
        gate = s.gates[place]
        if (
            gate.decision != 0
            and (gate.country == 0 or gate.country == owner.country)
            and (gate.licence == 0 or gate.licence == owner.licence)
            and (gate.client_class == 0 or gate.client_class == owner.client_class)
            and (gate.kind == 0 or gate.kind == kind)
        ):
            return gate.decision
    return _DENY
