"""Who may change a risk parameter when: tightening at once, loosening by two roles and a delay.

    tighter ─► Applied
    looser  ─► Proposed ─► Approved by the other role ─► delay ─► Applied
                  │             └─► Rejected by either, until then
                  └─► Expired, if the other role says nothing for the parameter ProposalLife

A tightening of the same parameter ends proposals to loosen it, so that an answer to an incident is
not undone by what was decided before. Whoever loosens for a role has signed what he says, which is
verified before it is sequenced (core.signatures), and nobody approves what he proposed himself; a
tightening needs no signature, so that nobody has to look for a key in an incident. While a venue is
being founded, that is until liquidation is enabled, and for a cap that has never been set or an
exception from one that isn't, everything takes effect at once.
"""

import sbe.generated.control as control
import sbe.generated.order_entry as oe
from core.engine.emit import event_begin
from core.engine.governance.clock import set_risk_due
from core.engine.governance.parameters import (
    bounds,
    exchange,
    known_parameter,
    known_scope,
    loosens,
)
from core.engine.liquidation.backstop import run_releases
from core.engine.order_terms import refuse
from core.jit import jit
from core.linked import linked

RISK, OPERATIONS = 1, 2
APPLIED, PROPOSED, APPROVED, REJECTED, EXPIRED = 1, 2, 3, 4, 5


@linked
def set_risk_parameter(s, a):
    """SetRiskParameter: 0 or the reason against it."""
    parameter = control.set_risk_parameter_parameter(a)
    scope = control.set_risk_parameter_scope(a)
    value = control.set_risk_parameter_value(a)
    role = control.set_risk_parameter_role(a)
    signer = control.set_risk_parameter_signer(a)
    if role != RISK and role != OPERATIONS:
        return refuse(s, oe.REASON_NOT_AUTHORIZED, role, OPERATIONS)
    if not known_parameter(parameter) or not known_scope(s, parameter, scope):
        return refuse(s, oe.REASON_INVALID_FIELD, parameter, scope)
    least, most = bounds(s, parameter, scope)
    if value < least or value > most:
        return refuse(s, oe.REASON_INVALID_FIELD, value, least if value < least else most)
    before = exchange(s, parameter, scope, 0, False)
    founding = s.risk.enabled == 0
    if parameter == control.RISK_PARAMETER_INSURANCE_CAP:
        founding = founding or s.markets[scope].insurance_set == 0
    if parameter == control.RISK_PARAMETER_OWNER_INTEREST_FREE:
        founding = founding or s.markets[scope].interest_share == 0
    if loosens(parameter, before, value) and not founding:
        if signer == 0:
            return refuse(s, oe.REASON_NOT_AUTHORIZED, signer, role)
        return _propose(s, parameter, scope, before, value, role, signer)
    _end_looser(s, parameter, scope, value, signer)
    exchange(s, parameter, scope, value, True)
    _changed(s, parameter, APPLIED, role, 0, scope, before, value, s.work.time,
             signer)
    return 0


@jit
def _propose(s, parameter, scope, before, value, role, signer):
    for place in range(len(s.proposal)):
        proposal = s.proposal[place]
        if proposal.number == 0:
            s.proposal_ids += 1
            s.proposals += 1
            proposal.number = s.proposal_ids
            proposal.parameter = parameter
            proposal.scope = scope
            proposal.value = value
            proposal.role = role
            proposal.proposer = signer
            proposal.state = PROPOSED
            proposal.time = s.work.time + s.risk.proposal_life
            set_risk_due(s, proposal.time)
            _report(s, proposal, before, signer)
            return 0
    return refuse(s, oe.REASON_CAPACITY_REACHED, s.proposals, len(s.proposal))


@jit
def _end_looser(s, parameter, scope, value, signer):
    """Reject what was proposed of a parameter and is looser than what it is set to now."""
    for place in range(len(s.proposal)):
        proposal = s.proposal[place]
        same = proposal.parameter == parameter and proposal.scope == scope
        if proposal.number != 0 and same and loosens(parameter, value, proposal.value):
            _end(s, proposal, REJECTED, signer)


@linked
def decide_risk_proposal(s, a):
    """DecideRiskProposal: 0 or the reason against it."""
    number = control.decide_risk_proposal_proposal(a)
    role = control.decide_risk_proposal_role(a)
    signer = control.decide_risk_proposal_signer(a)
    approve = control.decide_risk_proposal_approve(a)
    if signer == 0 or (role != RISK and role != OPERATIONS):
        return refuse(s, oe.REASON_NOT_AUTHORIZED, role, OPERATIONS)
    for place in range(len(s.proposal)):
        proposal = s.proposal[place]
        if number != 0 and proposal.number == number:
            if approve == 0:
                _end(s, proposal, REJECTED, signer)
                return 0
            if proposal.state != PROPOSED:
                return refuse(s, oe.REASON_INVALID_TRANSITION, proposal.state, PROPOSED)
            if proposal.role == role:
                return refuse(s, oe.REASON_NOT_AUTHORIZED, role, proposal.role)
            if signer != 0 and signer == proposal.proposer:
                return refuse(s, oe.REASON_NOT_AUTHORIZED, signer, proposal.proposer)
            proposal.approver = signer
            proposal.state = APPROVED
            proposal.time = s.work.time + s.risk.loosening_delay
            set_risk_due(s, proposal.time)
            before = exchange(s, proposal.parameter, proposal.scope, 0, False)
            _report(s, proposal, before, signer)
            return 0
    return refuse(s, oe.REASON_INVALID_FIELD, number, s.proposal_ids)


@linked
def run_risk_timers(s):
    """Apply, expire and release what is due; notes when the next is."""
    s.risk_due = 0
    for place in range(len(s.proposal)):
        proposal = s.proposal[place]
        if proposal.number == 0:
            continue
        if proposal.time > s.work.time:
            set_risk_due(s, proposal.time)
        elif proposal.state == PROPOSED:
            _end(s, proposal, EXPIRED, 0)
        else:
            _apply(s, proposal)
    run_releases(s)


@jit
def _apply(s, proposal):
    """An approved proposal takes effect, if its value is still within the bounds."""
    parameter, scope, value = proposal.parameter, proposal.scope, proposal.value
    least, most = bounds(s, parameter, scope)
    if not known_scope(s, parameter, scope) or value < least or value > most:
        _end(s, proposal, REJECTED, 0)
        return
    exchange(s, parameter, scope, value, True)
    _end(s, proposal, APPLIED, 0)


@jit
def _end(s, proposal, state, signer):
    proposal.state = state
    proposal.time = s.work.time
    _report(s, proposal, exchange(s, proposal.parameter, proposal.scope, 0, False), signer)
    proposal.number = 0
    proposal.parameter = 0
    proposal.scope = 0
    proposal.value = 0
    proposal.role = 0
    proposal.state = 0
    proposal.time = 0
    proposal.proposer = 0
    proposal.approver = 0
    s.proposals -= 1


@jit
def _report(s, proposal, before, signer):
    _changed(s, proposal.parameter, proposal.state, proposal.role, proposal.number,
             proposal.scope, before, proposal.value, proposal.time, signer)


@jit
def _changed(s, parameter, state, role, number, scope, before, value, time, signer):
    """RiskParameterChanged."""
    e = event_begin(s, control.RISK_PARAMETER_CHANGED_BLOCK, 0, 0)
    control.write_risk_parameter_changed_header(e - 8)
    control.set_risk_parameter_changed_parameter(e, parameter)
    control.set_risk_parameter_changed_state(e, state)
    control.set_risk_parameter_changed_role(e, role)
    control.set_risk_parameter_changed_proposal(e, number)
    control.set_risk_parameter_changed_scope(e, scope)
    control.set_risk_parameter_changed_before(e, before)
    control.set_risk_parameter_changed_value(e, value)
    control.set_risk_parameter_changed_time(e, time)
    control.set_risk_parameter_changed_signer(e, signer)
