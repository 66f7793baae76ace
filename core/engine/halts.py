"""The client's own kill switch: all orders of an account cancelled, none taken until it is lifted.

    Active ──halt──► Halted ──lift──► Active        any other state is an operator's: it stays
"""

import numpy as np

import sbe.generated.control as control
import sbe.generated.order_entry as oe
from core.engine.cancels import cancel_account
from core.engine.emit import echo_size, event_begin, put_echo
from core.engine.order_terms import account_of, judge_account, refuse
from core.jit import jit
from core.linked import linked


@linked
def trading_halt(s, a):
    """Handle a TradingHalt; answered by a report for each order, and by one of its own."""
    account = account_of(s, oe.trading_halt_account(a))
    reason = judge_account(s, account)
    canceled = 0
    state = 0
    if reason == 0:
        wanted = oe.ACCOUNT_STATE_ACTIVE
        if oe.trading_halt_halted(a) != 0:
            canceled = cancel_account(s, account, 0, False, False, oe.REASON_MASS_CANCEL)
            wanted = oe.ACCOUNT_STATE_HALTED
        reason = _change_state(s, account, wanted)
        state = s.accounts[account].state
    block = oe.TRADING_HALT_REPORT_BLOCK
    r = event_begin(s, block, echo_size(s.work.echo), s.work.session)
    oe.write_trading_halt_report_header(r - 8)
    oe.set_trading_halt_report_request_id(r, np.int64(oe.trading_halt_request_id(a)))
    oe.set_trading_halt_report_account(r, account)
    oe.set_trading_halt_report_canceled(r, canceled)
    oe.set_trading_halt_report_reason(r, reason)
    oe.set_trading_halt_report_state(r, state)
    put_echo(r, block, s.work.echo)


@jit
def _change_state(s, account, wanted):
    """Between Active and Halted only: what an operator restricted, no client loosens."""
    state = s.accounts[account].state
    if state == wanted:
        return 0
    if state != oe.ACCOUNT_STATE_ACTIVE and state != oe.ACCOUNT_STATE_HALTED:
        return refuse(s, oe.REASON_ACCOUNT_STATE, state, wanted)
    s.accounts[account].state = wanted
    e = event_begin(s, control.ACCOUNT_STATE_CHANGED_BLOCK, 0, 0)
    control.write_account_state_changed_header(e - 8)
    control.set_account_state_changed_account(e, account)
    control.set_account_state_changed_state(e, wanted)
    return 0
