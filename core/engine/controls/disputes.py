"""Events whose proposed outcome is disputed: nobody adds to what he has at stake in them.

    dispute ─► every order in the event is cancelled ─► only closing ─► ResolveEvent ends it

Who knows more than others about what the arbiter will say shall not sell it to them. Whoever wants
to get out may: a long that is sold to a short that is bought back is a set that is merged.
"""

import sbe.generated.control as control
import sbe.generated.order_entry as oe
from core.control_records import EVENT_DISPUTED
from core.engine.controls.switches import refresh_active
from core.engine.job_queue import JOB_KILL, queue_full, start_job
from core.engine.order_terms import refuse
from core.jit import jit
from core.linked import linked
from core.records import JOBS_MAX


@linked
def set_event_dispute(s, a):
    """SetEventDispute: 0 or the reason against it."""
    number = control.set_event_dispute_event(a)
    if number < 1 or number >= len(s.event_groups) or s.event_groups[number].kind == 0:
        return refuse(s, oe.REASON_UNKNOWN_EVENT, number, 0)
    event = s.event_groups[number]
    if control.set_event_dispute_active(a) == 0:
        settle_dispute(s, number)
        return 0
    if event.state != 0:
        return refuse(s, oe.REASON_INVALID_TRANSITION, event.state, 0)
    if queue_full(s):
        return refuse(s, oe.REASON_BUSY, s.jobs, JOBS_MAX)
    s.controls.disputed += 1 - event.disputed
    event.disputed = 1
    refresh_active(s)
    job = start_job(s, JOB_KILL, number, 1)
    s.job[job].place = EVENT_DISPUTED
    return 0


@jit
def settle_dispute(s, number):
    """There is no dispute about the event any more."""
    event = s.event_groups[number]
    if event.disputed != 0:
        event.disputed = 0
        s.controls.disputed -= 1
        refresh_active(s)


@jit
def judge_dispute(s, position, closes):
    """0, or EventDisputed with the event."""
    event = s.instruments[position.instrument].event
    if closes or event == 0 or s.event_groups[event].disputed == 0:
        return 0
    return refuse(s, oe.REASON_EVENT_DISPUTED, event, 0)
