"""Sessions: who is connected, the numbers of both directions, and cancel-on-disconnect.

Numbers live here and nowhere else, so they survive the death of any gateway. Events about the
session itself don't take an outbound number (they name it in their `session` field), except
SessionNumbersAssigned: its header's number is the first of those it gives away.
"""

import numpy as np

import sbe.generated.control as control
import sbe.generated.order_entry as oe
from core.engine.emit import event_begin
from core.engine.following import follow_nobody
from core.engine.signed import take_signature
from core.engine.timers import MILLISECOND, arm_timer
from core.jit import jit
from core.linked import linked
from sbe.raw import copy, store_i32

_TEXT_HEADER = control.SESSION_NUMBERS_ASSIGNED_TEXT_HEADER_SIZE


@linked
def session_open(s, a):
    """SessionOpen: somebody known is connected. A newer connection takes over from an older.

    A version below the last is refused, and so is a reset of a versioned session that isn't above
    it; the event then says which version is known. A signature counts once, see core.engine.signed.
    """
    number = s.work.session
    session = s.sessions[number]
    version = np.int64(control.session_open_version_id(a))
    reset = control.session_open_reset(a) != 0
    connection = np.int64(control.session_open_connection(a))
    versioned = session.kind == oe.SESSION_KIND_BINARY
    if versioned and (
        version < session.version or version <= 0 or (reset and version == session.version)
    ):
        _opened(s, number, connection, oe.REASON_INVALID_FIELD)
        return
    signed, mark = control.session_open_signed_time(a), control.session_open_signed_mark(a)
    if signed != 0 and not take_signature(session, signed, mark):
        _opened(s, number, connection, oe.REASON_DUPLICATE_KEY)
        return
    if versioned:
        reset = reset or version > session.version
        session.version = version
    if reset:
        session.next_inbound = 1
        session.next_outbound = 1
        follow_nobody(s, number)
    inbound = control.session_open_next_inbound(a)
    if inbound != 0:
        session.next_inbound = inbound
    session.connection = connection
    session.cancel_on_disconnect = control.session_open_cancel_on_disconnect(a)
    session.cancel_window = control.session_open_cancel_window(a) * MILLISECOND
    session.cancel_at = 0
    session.producer = s.work.producer
    _opened(s, number, connection, 0)


@jit
def _opened(s, number, connection, reason):
    session = s.sessions[number]
    e = event_begin(s, control.SESSION_OPENED_BLOCK, 0, 0)
    control.write_session_opened_header(e - 8)
    control.set_session_opened_session(e, number)
    control.set_session_opened_reason(e, reason)
    control.set_session_opened_version_id(e, session.version)
    control.set_session_opened_next_inbound(e, session.next_inbound)
    control.set_session_opened_next_outbound(e, session.next_outbound)
    control.set_session_opened_connection(e, connection)


@linked
def session_close(s, a):
    """SessionClose: the connection is gone; cancel-on-disconnect is armed if it was asked for.

    That of a connection which was taken over since changes nothing.
    """
    number = s.work.session
    session = s.sessions[number]
    connection = np.int64(control.session_close_connection(a))
    if connection != session.connection or connection == 0:
        return
    session.connection = 0
    if session.cancel_on_disconnect != 0:
        session.cancel_at = s.work.time + session.cancel_window
        arm_timer(s, session.cancel_at)
    e = event_begin(s, control.SESSION_CLOSED_BLOCK, 0, 0)
    control.write_session_closed_header(e - 8)
    control.set_session_closed_session(e, number)
    control.set_session_closed_next_inbound(e, session.next_inbound)
    control.set_session_closed_next_outbound(e, session.next_outbound)
    control.set_session_closed_connection(e, connection)
    control.set_session_closed_logout(e, control.session_close_logout(a))
    control.set_session_closed_acknowledged(e, control.session_close_acknowledged(a))


@linked
def session_numbers(s, a, block):
    """SessionNumbers: outbound numbers for messages that the gateway makes itself.

    The text of a message that must be told again word for word goes into the event, and with that
    into the journal and the archive.
    """
    number = s.work.session
    session = s.sessions[number]
    count = control.session_numbers_count(a)
    text = control.session_numbers_text_length(a + block)
    begin = control.session_numbers_text_address(a + block)
    e = event_begin(s, control.SESSION_NUMBERS_ASSIGNED_BLOCK, _TEXT_HEADER + text, 0)
    control.write_session_numbers_assigned_header(e - 8)
    own = e + control.SESSION_NUMBERS_ASSIGNED_BLOCK
    control.write_session_numbers_assigned_text_length(own, text)
    copy(control.session_numbers_assigned_text_address(own), begin, text)
    control.set_session_numbers_assigned_session(e, number)
    control.set_session_numbers_assigned_count(e, count)
    control.set_session_numbers_assigned_reference(e, control.session_numbers_reference(a))
    _put_header(e, number, session.next_outbound, session.next_inbound - 1)
    session.next_outbound += count


@jit
def _put_header(e, number, first, last_applied):
    """Address an event to a session with a number of its own: frame header and event header."""
    store_i32(e - 20, number)
    store_i32(e + 8, first)
    store_i32(e + 12, last_applied)


@linked
def session_reset(s, a):
    """SessionReset: the numbers of either direction are set; 0 keeps one as it is."""
    number = s.work.session
    session = s.sessions[number]
    inbound = control.session_reset_next_inbound(a)
    outbound = control.session_reset_next_outbound(a)
    if inbound != 0:
        session.next_inbound = inbound
    if outbound != 0:
        session.next_outbound = outbound
    e = event_begin(s, control.SESSION_WAS_RESET_BLOCK, 0, 0)
    control.write_session_was_reset_header(e - 8)
    control.set_session_was_reset_session(e, number)
    control.set_session_was_reset_next_inbound(e, session.next_inbound)
    control.set_session_was_reset_next_outbound(e, session.next_outbound)
    control.set_session_was_reset_reference(e, control.session_reset_reference(a))


@linked
def session_inbound(s, a):
    """SessionInbound: messages that never became commands took numbers too; never backwards."""
    session = s.sessions[s.work.session]
    session.next_inbound = max(session.next_inbound, control.session_inbound_next_inbound(a))


@linked
def session_signed(s, a):
    """SessionSigned: what opened nothing is taken all the same, lest it opens something later."""
    session = s.sessions[s.work.session]
    take_signature(
        session, control.session_signed_signed_time(a), control.session_signed_signed_mark(a))
