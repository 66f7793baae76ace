"""Who may trade which product: an owner's profile, the gates, and the permissions they make.

    gates, in their order:  (country, licence, client class, product) ─► deny, close only, allow
    the first that fits decides; where none fits, it is denied

Permissions are made when a profile or a gate changes, so that an order looks at two bits. Each
decision is an event, with the sequence of the command that decided as its number.
"""

import numpy as np

import sbe.generated.control as control
import sbe.generated.order_entry as oe
from core.control_records import GATES_MAX
from core.engine.controls.switches import refresh_active
from core.engine.emit import event_begin
from core.engine.order_terms import refuse
from core.jit import jit
from core.linked import linked
from core.records import INSTRUMENT_KINDS

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
