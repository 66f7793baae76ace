"""Where an owner lets withdrawals go, and how long each waits: rules that only the owner sets.

    add a destination     holds after the owner's delay      the list holds from the first one on
    remove one            at once
    lift the list         after the delay                  an emptied list lets nothing out
    a longer delay        at once
    a shorter delay       after the one that holds

So whoever got hold of a session can make the rules tighter, but not looser before the owner has had
the time he chose to notice. An owner who never set any may send anywhere, at once.
"""

import numpy as np

import sbe.generated.order_entry as oe
from core.engine.emit import echo_size, event_begin, put_echo
from core.engine.order_terms import account_of, judge_account, refuse
from core.jit import jit
from core.linked import linked
from core.records import DESTINATIONS_MAX
from sbe.raw import copy, load_i64, load_u8

SECOND = 1_000_000_000
DELAY_MAX = 30 * 86_400  # seconds
OF_ONE_OWNER_MAX = 32
TEXT = oe.WITHDRAWAL_RULE_DESTINATION_LENGTH
_SPACE, _TILDE = 32, 126


@jit
def delay_of(s, number):
    """Nanoseconds that an owner's withdrawals, and looser rules of his, wait now."""
    owner = s.owners[number]
    if owner.delay_at != 0 and owner.delay_at <= s.work.time:
        return owner.delay_next
    return owner.delay


@jit
def is_listed(s, number):
    """Whether an owner's withdrawals may go to destinations of his list only."""
    owner = s.owners[number]
    lifted = owner.lifted_at != 0 and owner.lifted_at <= s.work.time
    return owner.listed != 0 and not lifted


@jit
def is_empty(text):
    """Whether no destination stands at an address."""
    return load_u8(text) == 0


@jit
def is_sound(text):
    """Whether printable ASCII stands at an address, and zeros behind it."""
    ended = False
    for place in range(TEXT):
        byte = load_u8(text + place)
        if byte == 0:
            ended = True
        elif ended or byte < _SPACE or byte > _TILDE:
            return False
    return True


@jit
def _same(left, right):
    different = 0
    for place in range(0, TEXT, 8):
        different |= load_i64(left + place) ^ load_i64(right + place)
    return different == 0


@jit
def _find(s, owner, text):
    """The number of a destination in an owner's list, 0 when it isn't there."""
    for number in range(1, s.destinations_used + 1):
        known = s.destinations[number]
        if known.owner == owner and _same(np.int64(known.text.ctypes.data), text):
            return number
    return 0


@linked
def judge_destination(s, owner, text):
    """Whether an owner's withdrawals may go to a destination: 0, or the reason against it.

    Notes the time from which it will be allowed, 0 if it isn't in the list.
    """
    if not is_sound(text):
        return refuse(s, oe.REASON_INVALID_FIELD, 0, TEXT)
    if not is_listed(s, owner):
        return 0
    found = 0 if is_empty(text) else _find(s, owner, text)
    if found == 0:
        return refuse(s, oe.REASON_DESTINATION_NOT_ALLOWED, 0, s.owners[owner].destinations)
    begins = s.destinations[found].begins
    if begins > s.work.time:
        return refuse(s, oe.REASON_DESTINATION_NOT_ALLOWED, begins, s.work.time)
    return 0


@linked
def withdrawal_rule(s, a):
    """Handle a WithdrawalRule of a client; answered by a WithdrawalRuleReport."""
    account = account_of(s, oe.withdrawal_rule_account(a))
    action = oe.withdrawal_rule_action(a)
    text = oe.withdrawal_rule_destination_address(a)
    reason = judge_account(s, account)
    if reason == 0 and s.work.session == 0:
        reason = refuse(s, oe.REASON_NOT_AUTHORIZED, account, 0)  # No operator's to decide.
    owner = 0
    begins = 0
    if reason == 0:
        owner = s.accounts[account].owner
        reason, begins = _change(s, owner, action, text, oe.withdrawal_rule_delay(a))
    block = oe.WITHDRAWAL_RULE_REPORT_BLOCK
    r = event_begin(s, block, echo_size(s.work.echo), s.work.session)
    oe.write_withdrawal_rule_report_header(r - 8)
    oe.set_withdrawal_rule_report_request_id(r, np.int64(oe.withdrawal_rule_request_id(a)))
    oe.set_withdrawal_rule_report_account(r, account)
    oe.set_withdrawal_rule_report_action(r, action)
    oe.set_withdrawal_rule_report_reason(r, reason)
    copy(oe.withdrawal_rule_report_destination_address(r), text, TEXT)
    if owner != 0:
        oe.set_withdrawal_rule_report_delay(r, delay_of(s, owner) // SECOND)
        oe.set_withdrawal_rule_report_listed(r, 1 if is_listed(s, owner) else 0)
        oe.set_withdrawal_rule_report_destinations(r, s.owners[owner].destinations)
    if reason == 0:
        oe.set_withdrawal_rule_report_effective_time(r, begins)
    else:
        oe.set_withdrawal_rule_report_detail(r, s.work.detail)
        oe.set_withdrawal_rule_report_limit(r, s.work.limit)
    put_echo(r, block, s.work.echo)


@jit
def _change(s, owner, action, text, delay):
    """(0 or the reason against it, the time from which it holds)."""
    later = s.work.time + delay_of(s, owner)
    if action == oe.WITHDRAWAL_RULE_ACTION_ADD_DESTINATION:
        return _add(s, owner, text, later), later
    if action == oe.WITHDRAWAL_RULE_ACTION_REMOVE_DESTINATION:
        return _remove(s, owner, text), s.work.time
    if action == oe.WITHDRAWAL_RULE_ACTION_LIFT_LIST:
        if not is_listed(s, owner):
            return refuse(s, oe.REASON_INVALID_TRANSITION, 0, 0), 0
        if s.owners[owner].lifted_at == 0:
            s.owners[owner].lifted_at = later
        return 0, s.owners[owner].lifted_at
    if action == oe.WITHDRAWAL_RULE_ACTION_SET_DELAY:
        return _set_delay(s, owner, delay)
    return refuse(s, oe.REASON_INVALID_FIELD, action, 0), 0


@jit
def _add(s, owner, text, later):
    """Enter a destination; the list holds from now on, whatever was to lift it."""
    if is_empty(text) or not is_sound(text):
        return refuse(s, oe.REASON_INVALID_FIELD, 0, TEXT)
    if _find(s, owner, text) != 0:
        return refuse(s, oe.REASON_ALREADY_EXISTS, 0, 0)
    held = s.owners[owner]
    if held.destinations >= OF_ONE_OWNER_MAX:
        return refuse(s, oe.REASON_CAPACITY_REACHED, held.destinations, OF_ONE_OWNER_MAX)
    number = 1
    while number <= s.destinations_used and s.destinations[number].owner != 0:
        number += 1
    if number >= DESTINATIONS_MAX:
        return refuse(s, oe.REASON_CAPACITY_REACHED, number, DESTINATIONS_MAX - 1)
    s.destinations_used = max(s.destinations_used, number)
    fresh = s.destinations[number]
    fresh.owner = owner
    fresh.begins = later
    copy(fresh.text.ctypes.data, text, TEXT)
    held.destinations += 1
    held.listed = 1
    held.lifted_at = 0
    return 0


@jit
def _remove(s, owner, text):
    number = _find(s, owner, text)
    if number == 0:
        return refuse(s, oe.REASON_DESTINATION_NOT_ALLOWED, 0, s.owners[owner].destinations)
    s.destinations[number].owner = 0
    s.owners[owner].destinations -= 1
    return 0


@jit
def _set_delay(s, owner, seconds):
    """(0 or the reason against it, the time from which it holds)."""
    if seconds > DELAY_MAX:
        return refuse(s, oe.REASON_INVALID_FIELD, seconds, DELAY_MAX), 0
    held = s.owners[owner]
    now = delay_of(s, owner)
    asked = seconds * SECOND
    held.delay = now
    held.delay_at = 0
    if asked >= now:
        held.delay = asked
        return 0, s.work.time
    held.delay_next = asked
    held.delay_at = s.work.time + now
    return 0, held.delay_at
