"""What a waiting command will touch, brought into the cache while others are still at work.

    ring:   … | running | +1 | +2 | +3 | +4 | …
                               │         └─ glance: which places of the index, which slots come up
                               └─ look: the order that the index names, what an old slot drags along

An order is found through an index of four megabytes and lies in three tables of more; each step is
a wait for memory of a hundred nanoseconds, unless somebody asked for the line before. Both stages
only read and prefetch: they may be wrong (a command in between may change what they saw) and
nothing depends on them.
"""

from typing import Any

import numpy as np

import sbe.generated.order_entry as oe
from core.atomics import prefetch
from core.engine.client_index import find_client_order, index_place
from core.engine.emit import stored_echo
from core.engine.positions import find_position, position_place
from core.jit import jit
from core.linked import linked
from core.records import CLIENT_KEY, DETAIL, INSTRUMENT, ORDER, POSITION
from sbe.raw import load_i32

GLANCE = 4  # commands ahead of the one that runs
LOOK = 2
_SESSION_AT, _HEADER_AT, _BODY_AT = 8, 32, 40
_LINE = 64
_ENTRY_SIZE, _ORDER_SIZE, _DETAIL_SIZE = CLIENT_KEY.itemsize, ORDER.itemsize, DETAIL.itemsize
_INSTRUMENT_SIZE, _POSITION_SIZE = INSTRUMENT.itemsize, POSITION.itemsize
# Lines of an instrument and of an account, from the first, that every order reads.
_INSTRUMENT_LINES = 5
_ACCOUNT_LINES = 4


@jit
def _prefetch_entry(s, client_order_id, session):
    place = index_place(s, client_order_id, session)
    prefetch(s.client_index.ctypes.data + place * _ENTRY_SIZE)


@jit
def _prefetch_order(s, slot):
    prefetch(s.orders.ctypes.data + slot * _ORDER_SIZE)
    detail = s.details.ctypes.data + slot * _DETAIL_SIZE
    prefetch(detail)
    prefetch(detail + _LINE)


@jit
def _prefetch_lines(address, count):
    for line in range(count):
        prefetch(address + line * _LINE)


@jit
def _prefetch_market(s, account, instrument):
    """What the judges of a new order read, and where its position is found."""
    if account >= len(s.accounts) or instrument >= len(s.instruments):
        return
    _prefetch_lines(s.instruments.ctypes.data + instrument * _INSTRUMENT_SIZE, _INSTRUMENT_LINES)
    _prefetch_lines(s.accounts.ctypes.data + account * s.accounts.itemsize, _ACCOUNT_LINES)
    place = position_place(s, account, instrument)
    prefetch(s.position_index.ctypes.data + place * 4)


@jit
def _coming_slot(s, ahead):
    """The slot that so many orders from now will be given, 0 if that is a fresh one."""
    if s.orders_used + 1 < len(s.orders) or s.free_count <= ahead:
        return 0
    return s.free_orders[(s.free_first + ahead) & (len(s.free_orders) - 1)]


@jit
def _account(s, a, session):
    """The account of a new order: the session's own if it names none."""
    account = oe.new_order_single_account(a)
    if account == 0 and 0 < session < len(s.sessions):
        return s.sessions[session].account
    return account


@linked
def glance(s: Any, frame: int) -> None:
    """Ask for the places of the index that the command at the address names."""
    template = oe.header_template(frame + _HEADER_AT)
    session = load_i32(frame + _SESSION_AT)
    a = frame + _BODY_AT
    if template == oe.NEW_ORDER_SINGLE_TEMPLATE:
        _prefetch_entry(s, np.int64(oe.new_order_single_cl_ord_id(a)), session)
        account = _account(s, a, session)
        instrument = oe.new_order_single_instrument(a)
        _prefetch_market(s, account, instrument)
        slot = _coming_slot(s, GLANCE)
        if slot != 0:
            _prefetch_order(s, slot)
    elif template == oe.ORDER_CANCEL_REQUEST_TEMPLATE:
        _prefetch_entry(s, np.int64(oe.order_cancel_request_orig_cl_ord_id(a)), session)
    elif template == oe.ORDER_CANCEL_REPLACE_REQUEST_TEMPLATE:
        _prefetch_entry(s, np.int64(oe.order_cancel_replace_request_orig_cl_ord_id(a)), session)
        _prefetch_entry(s, np.int64(oe.order_cancel_replace_request_cl_ord_id(a)), session)


@linked
def look(s: Any, frame: int) -> None:
    """Ask for the order that the command at the address is about."""
    template = oe.header_template(frame + _HEADER_AT)
    session = load_i32(frame + _SESSION_AT)
    a = frame + _BODY_AT
    slot = 0
    if template == oe.NEW_ORDER_SINGLE_TEMPLATE:
        account = _account(s, a, session)
        instrument = oe.new_order_single_instrument(a)
        found = find_position(s, account, instrument)
        _prefetch_lines(s.positions.ctypes.data + found * _POSITION_SIZE, 2)
        old = _coming_slot(s, LOOK)
        if old != 0:
            _prefetch_entry(s, s.details[old].client_order_id, s.details[old].session)
            prefetch(stored_echo(s, old))
    elif template == oe.ORDER_CANCEL_REQUEST_TEMPLATE:
        name = np.int64(oe.order_cancel_request_orig_cl_ord_id(a))
        slot = find_client_order(s, name, session)
    elif template == oe.ORDER_CANCEL_REPLACE_REQUEST_TEMPLATE:
        name = np.int64(oe.order_cancel_replace_request_orig_cl_ord_id(a))
        slot = find_client_order(s, name, session)
    if slot != 0:
        _prefetch_order(s, slot)
        prefetch(stored_echo(s, slot))
