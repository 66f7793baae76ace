"""One walk over released events: reports straight into send buffers, the rest to Python, compiled.

    events  │ ER of 7 │ ER of 9 │ BalanceUpdate of 7 │ ER of 7 │ MarkPriceChanged │ not released…
               │         │              └ row           └ row       └ row
               │         └ send buffer of 9
               └ send buffer of 7

A session's messages must leave in the order of their numbers. So once an event of a session had to
go to Python, later ones of that session in the same walk go there too (`blocked`), until Python has
dealt with them. Others are not held up.
"""

from core.atomics import load_acquire
from core.jit import jit
from gateway.fix.history import remember
from gateway.fix.numbers import ZERO
from gateway.fix.records import (
    C_BLOCKED,
    C_FLAGS,
    C_REPORTS,
    C_SEND,
    C_SEND_CAPACITY,
    C_SEND_SEQ,
    C_SENT,
    EVENT_BODY_AT,
    FLAG_LIVE,
    T_COPIES,
    T_DIRTY,
    T_DIRTY_COUNT,
    T_GATE,
    T_NUMBERS,
    T_OPENING,
    T_ROWS,
    T_ROWS_CAPACITY,
    T_ROWS_COUNT,
    T_SESSION_COUNT,
    T_SESSIONS,
)
from gateway.fix.references import PLAIN, numbers_kind
from gateway.fix.refusal import refusal_of
from gateway.fix.report import REPORT_BYTES_MAX, put_report
from sbe.generated import control
from sbe.generated import order_entry as oe
from sbe.raw import load_i32, load_i64, load_u8, load_u32, store_i64

_REJECTED = ZERO + 8
LIST_STATUS = ord("N")
EVERYONE = -1  # the session of a row that is of public interest
FIRST_CONTROL = 400  # template ids from here on are the control schema's


@jit
def add_row(t: int, position: int, session: int) -> bool:
    """Note an event for Python; False if there is no room."""
    count = load_i64(t + T_ROWS_COUNT)
    if count >= load_i64(t + T_ROWS_CAPACITY):
        return False
    row = load_i64(t + T_ROWS) + 16 * count
    store_i64(row, position)
    store_i64(row + 8, session)
    store_i64(t + T_ROWS_COUNT, count + 1)
    return True


@jit
def deliver(t: int, c: int, session: int, frame: int, number: int) -> bool:
    """Format a report into the connection's send buffer; False if that has no room."""
    sent = load_i64(c + C_SENT)
    if sent + REPORT_BYTES_MAX > load_i64(c + C_SEND_CAPACITY):
        return False
    if sent == 0:
        count = load_i64(t + T_DIRTY_COUNT)
        store_i64(load_i64(t + T_DIRTY) + 8 * count, session)
        store_i64(t + T_DIRTY_COUNT, count + 1)
    time = load_i64(frame + EVENT_BODY_AT)
    length = put_report(load_i64(c + C_SEND) + sent, c, t, frame, number, time, 0, 0, 0)
    store_i64(c + C_SENT, sent + length)
    store_i64(c + C_SEND_SEQ, number)
    store_i64(c + C_REPORTS, load_i64(c + C_REPORTS) + 1)
    return True


@jit
def is_plain_report(t: int, template: int, frame: int) -> bool:
    """Whether the event is a report that needs no words of Python."""
    if template != oe.EXECUTION_REPORT_TEMPLATE:
        return False
    e = frame + EVENT_BODY_AT
    if oe.execution_report_ord_status(e) != _REJECTED:
        return True
    known = refusal_of(t, oe.execution_report_reason(e)) != 0
    return known and oe.execution_report_order_id(e) > 0


@jit
def is_list_status(template: int, frame: int) -> bool:
    """Whether the event numbers a ListStatus (N): the gateway remembers the list, whoever asked."""
    if template != control.SESSION_NUMBERS_ASSIGNED_TEMPLATE:
        return False
    text = frame + EVENT_BODY_AT + control.SESSION_NUMBERS_ASSIGNED_BLOCK
    if control.session_numbers_assigned_text_length(text) < 2:
        return False
    return load_u8(control.session_numbers_assigned_text_address(text)) == LIST_STATUS


@jit
def note_session(t: int, template: int, frame: int, position: int) -> bool:
    """Keep track of where a session's numbers begin again; False if the index has no room."""
    a = frame + EVENT_BODY_AT
    by_client = True
    if template == control.SESSION_OPENED_TEMPLATE:
        if control.session_opened_reason(a) != 0:
            return True
        session = control.session_opened_session(a)
        following = control.session_opened_next_outbound(a)
    elif template == control.SESSION_WAS_RESET_TEMPLATE:
        session = control.session_was_reset_session(a)
        following = control.session_was_reset_next_outbound(a)
        by_client = control.session_was_reset_reference(a) != 0
    else:
        return True
    if session >= load_i64(t + T_SESSION_COUNT):
        return True
    place = load_i64(t + T_NUMBERS) + 8 * session
    again = following == 1 and load_i64(place) != 0
    if again and not remember(t, session, 0, position, load_i64(a)):
        return False
    store_i64(place, following - 1)
    store_i64(load_i64(t + T_OPENING) + 8 * session, 1 if by_client and following == 1 else 0)
    return True


@jit
def note_logon(t: int, session: int, template: int, frame: int, number: int, position: int) -> bool:
    """Tell Python of a Logon of ours that began the numbers and isn't the first of them.

    False if there is no room for that.
    """
    if template != control.SESSION_NUMBERS_ASSIGNED_TEMPLATE or numbers_kind(frame) != PLAIN:
        return True
    opening = load_i64(t + T_OPENING) + 8 * session
    if load_i64(opening) and number > 1 and not add_row(t, position, EVERYONE):
        return False
    store_i64(opening, 0)
    return True


@jit
def to_session(t: int, session: int, template: int, frame: int, position: int) -> bool:
    """Deal with an event addressed to a session; False if something has no room now."""
    number = load_u32(frame + EVENT_BODY_AT + 8)
    if number and not remember(t, session, number, position, load_i64(frame + EVENT_BODY_AT)):
        return False
    if is_list_status(template, frame) and not add_row(t, position, EVERYONE):
        return False
    if not note_logon(t, session, template, frame, number, position):
        return False
    c = load_i64(load_i64(t + T_SESSIONS) + 8 * session)
    if c != 0:
        direct = load_i64(c + C_FLAGS) & FLAG_LIVE and load_i64(c + C_BLOCKED) == 0
        if direct and number and is_plain_report(t, template, frame):
            if not deliver(t, c, session, frame, number):
                return False
        else:
            if not add_row(t, position, session):
                return False
            store_i64(c + C_BLOCKED, 1)
    if number:
        last = number
        if template == control.SESSION_NUMBERS_ASSIGNED_TEMPLATE:
            last += control.session_numbers_assigned_count(frame + EVENT_BODY_AT) - 1
        store_i64(load_i64(t + T_NUMBERS) + 8 * session, last)
    return True


@jit
def is_copied(wanted: int, template: int, frame: int) -> bool:
    """Whether Python wants to see an event of others: reports (1), money that moved (2).

    A report is one of something that happened: the answer to a status request is nobody else's.
    Money that moved is so to whomever it is addressed, as a session may follow the account.
    """
    if template == oe.EXECUTION_REPORT_TEMPLATE:
        kind = oe.execution_report_exec_type(frame + EVENT_BODY_AT)
        return wanted & 1 != 0 and kind != oe.EXEC_TYPE_ORDER_STATUS
    if wanted & 2 == 0 or template != oe.BALANCE_UPDATE_TEMPLATE:
        return False
    reason = oe.balance_update_reason(frame + EVENT_BODY_AT)
    moved = oe.BALANCE_REASON_DEPOSIT <= reason <= oe.BALANCE_REASON_TRANSFER_OUT
    interest = oe.BALANCE_REASON_BORROW_INTEREST, oe.BALANCE_REASON_LEND_INTEREST
    return moved or reason in interest


@jit
def walk(t: int, a: int, length: int, position: int) -> int:
    """Deal with the released events in `length` bytes at `a`; how many bytes are done with.

    position: of the byte at `a` in the stream. Stops at the first event that isn't released, at a
    frame that isn't whole, and when a buffer or table has no room (send, rows or index: the caller
    empties or grows them and comes again).
    """
    gate = load_acquire(load_i64(t + T_GATE))
    at = 0
    while at + 32 <= length:
        frame = a + at
        size = load_i32(frame)
        if size < 32 or at + size > length or load_i64(frame + 8) > gate:
            break
        session = load_i32(frame + 4)
        template = oe.header_template(frame + 16)
        known = 0 < session < load_i64(t + T_SESSION_COUNT)
        if known and not to_session(t, session, template, frame, position + at):
            break
        if template >= FIRST_CONTROL and session == 0:
            if not note_session(t, template, frame, position + at):
                break
            if not add_row(t, position + at, EVERYONE):
                break
        copied = is_copied(load_i64(t + T_COPIES), template, frame)
        if copied and not add_row(t, position + at, EVERYONE):
            break
        at += size
    return at
