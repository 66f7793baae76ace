"""What happens when time comes: orders expire, dead-man timers and cancel-on-disconnect strike.

Every command carries the clock, so time is an input like any other. `s.next_timer` is the earliest
of the accounts' and sessions' timers: until it is reached, nothing is looked at.
"""

import sbe.generated.order_entry as oe
from core.engine.cancels import cancel_account
from core.engine.expiry import due_order
from core.engine.order_terms import account_of, judge_account
from core.engine.orders import cancel_order
from core.jit import jit
from core.linked import linked

EXPIRIES_MAX = 256  # After one command; what is left is taken up after the next.
CANCELS_MAX = 1024  # The same, in whole accounts.
MILLISECOND = 1_000_000
CANCEL_SESSION, CANCEL_ACCOUNTS = 1, 2  # The schema's CancelOnDisconnect.


@jit
def arm_timer(s, time):
    """Look at the timers at this time, if not earlier."""
    if s.next_timer == 0 or time < s.next_timer:
        s.next_timer = time


@linked
def set_cancel_timer(s, a):
    """Handle a SetCancelTimer; 0 or the reason against it."""
    account = account_of(s, oe.set_cancel_timer_account(a))
    reason = judge_account(s, account)
    if reason != 0:
        return reason
    wait = oe.set_cancel_timer_milliseconds(a)
    s.accounts[account].cancel_at = 0
    if wait > 0:
        s.accounts[account].cancel_at = s.work.time + wait * MILLISECOND
        arm_timer(s, s.accounts[account].cancel_at)
    return 0


@linked
def run_timers(s):
    """End what is due at the running command's time."""
    now = s.work.time
    for _ in range(EXPIRIES_MAX):
        slot = due_order(s, now)
        if slot == 0:
            break
        cancel_order(s, slot, oe.REASON_EXPIRY)
    if s.next_timer == 0 or now < s.next_timer:
        return
    s.next_timer = 0
    cancelled = 0
    for account in range(len(s.accounts)):
        due = s.accounts[account].cancel_at
        if 0 < due <= now and cancelled < CANCELS_MAX:
            s.accounts[account].cancel_at = 0
            cancelled += cancel_account(s, account, 0, False, False, oe.REASON_CANCEL_TIMER)
        elif due > 0:
            arm_timer(s, due)
    for session in range(len(s.sessions)):
        due = s.sessions[session].cancel_at
        if 0 < due <= now and cancelled < CANCELS_MAX:
            s.sessions[session].cancel_at = 0
            cancelled += cancel_on_disconnect(s, session, CANCELS_MAX - cancelled)
        elif due > 0:
            arm_timer(s, due)


@jit
def cancel_on_disconnect(s, session, most):
    """Cancel what a session left behind: its own orders, or everything of its owner's accounts.

    When `most` is passed the rest waits for the next command. Returns how many were cancelled.
    """
    cancelled = 0
    owner = s.sessions[session].owner
    scope = s.sessions[session].cancel_on_disconnect
    only = session if scope == CANCEL_SESSION else 0
    for account in range(len(s.accounts)):
        if s.accounts[account].owner == owner and s.accounts[account].first_order != 0:
            if cancelled >= most:
                s.sessions[session].cancel_at = s.work.time
                arm_timer(s, s.work.time)
                return cancelled
            cancelled += cancel_account(
                s, account, only, False, True, oe.REASON_CANCEL_ON_DISCONNECT
            )
    return cancelled
