"""What a waiting command will touch, brought into the cache while others are still at work.

    ring:   … | running | +1 | +2 | +3 | +4 | +5 | +6 | …
                               │         │         └─ glance: what the command itself names
                               │         └─ look: the order or position, the level of its price
                               └─ reach: what these lines point at in their turn

An order is found through an index of four megabytes and lies in three tables of more; its level,
its neighbours in the queue and its position are behind it. Each step is a wait for memory of a
hundred nanoseconds, unless somebody asked for the line before. All stages only read and prefetch:
they may be wrong (a command in between may change what they saw) and nothing depends on them.
"""

from typing import Any

import numpy as np

import sbe.generated.order_entry as oe
from core.atomics import prefetch
from core.engine.book import crosses
from core.engine.client_index import find_client_order, index_place
from core.engine.emit import stored_echo
from core.engine.matching import first_in_line
from core.engine.positions import position_place
from core.engine.price_levels import page_of
from core.engine.units import ticks_of
from core.jit import jit
from core.linked import linked
from core.records import CLIENT_KEY, DETAIL, INSTRUMENT, LEVEL, ORDER, PAGE, POSITION
from sbe.raw import load_i32

GLANCE = 6  # commands ahead of the one that runs
LOOK = 4
REACH = 2
_SESSION_AT, _HEADER_AT, _BODY_AT = 8, 32, 40
_LINE = 64
_ENTRY_SIZE, _ORDER_SIZE, _DETAIL_SIZE = CLIENT_KEY.itemsize, ORDER.itemsize, DETAIL.itemsize
_INSTRUMENT_SIZE, _POSITION_SIZE = INSTRUMENT.itemsize, POSITION.itemsize
_PAGE_SIZE, _LEVEL_SIZE = PAGE.itemsize, LEVEL.itemsize
assert PAGE.fields is not None
assert DETAIL.fields is not None
_LEVELS_AT = PAGE.fields["level"][1]
_LIST_AT = DETAIL.fields["account_next"][1]
# Lines of an instrument and of an account, from the first, that every order reads.
_INSTRUMENT_LINES = 5
_ACCOUNT_LINES = 4


@jit
def _prefetch_lines(address, count):
    for line in range(count):
        prefetch(address + line * _LINE)


@jit
def _prefetch_entry(s, client_order_id, session):
    """A place of the client index, and the line where a search from there may end."""
    place = index_place(s, client_order_id, session)
    _prefetch_lines(s.client_index.ctypes.data + place * _ENTRY_SIZE, 2)


@jit
def _prefetch_order(s, slot):
    prefetch(s.orders.ctypes.data + slot * _ORDER_SIZE)
    _prefetch_lines(s.details.ctypes.data + slot * _DETAIL_SIZE, 2)


@jit
def _prefetch_position(s, number):
    _prefetch_lines(s.positions.ctypes.data + number * _POSITION_SIZE, _POSITION_SIZE // _LINE)


@jit
def _prefetch_level(s, page, place):
    """A level, which may lie across two lines."""
    level = s.pages.ctypes.data + page * _PAGE_SIZE + _LEVELS_AT + place * _LEVEL_SIZE
    prefetch(level)
    prefetch(level + _LEVEL_SIZE - 1)


@jit
def _prefetch_price(s, book, side, tick):
    """The level of a tick on a side (0 buy, 1 sell), and whether it is in use."""
    page = page_of(s, book.root[side], book.depth, tick)
    prefetch(s.pages.ctypes.data + page * _PAGE_SIZE)
    _prefetch_level(s, page, tick & 63)


@jit
def _prefetch_market(s, account, instrument):
    """What the judges of an order read."""
    _prefetch_lines(s.instruments.ctypes.data + instrument * _INSTRUMENT_SIZE, _INSTRUMENT_LINES)
    _prefetch_lines(s.accounts.ctypes.data + account * s.accounts.itemsize, _ACCOUNT_LINES)


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


@jit
def _named(s, template, a, session):
    """The order that a cancel or a replace names by its client's id, 0 if none is known."""
    if template == oe.ORDER_CANCEL_REQUEST_TEMPLATE:
        name = np.int64(oe.order_cancel_request_orig_cl_ord_id(a))
        return find_client_order(s, name, session)
    if template == oe.ORDER_CANCEL_REPLACE_REQUEST_TEMPLATE:
        name = np.int64(oe.order_cancel_replace_request_orig_cl_ord_id(a))
        return find_client_order(s, name, session)
    return 0


@linked
def glance(s: Any, frame: int) -> None:
    """Ask for what the command at the address names: places of indices, market, account."""
    template = oe.header_template(frame + _HEADER_AT)
    session = load_i32(frame + _SESSION_AT)
    a = frame + _BODY_AT
    if template == oe.NEW_ORDER_SINGLE_TEMPLATE:
        _prefetch_entry(s, np.int64(oe.new_order_single_cl_ord_id(a)), session)
        account = _account(s, a, session)
        instrument = oe.new_order_single_instrument(a)
        if account < len(s.accounts) and instrument < len(s.instruments):
            _prefetch_market(s, account, instrument)
        place = position_place(s, account, instrument)
        prefetch(s.position_index.ctypes.data + place * 4)
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
    """Ask for the order to be cancelled or traded with; for the position, the price's level."""
    template = oe.header_template(frame + _HEADER_AT)
    session = load_i32(frame + _SESSION_AT)
    a = frame + _BODY_AT
    if template != oe.NEW_ORDER_SINGLE_TEMPLATE:
        slot = _named(s, template, a, session)
        if slot != 0:
            _prefetch_order(s, slot)
        return
    instrument = oe.new_order_single_instrument(a)
    place = position_place(s, _account(s, a, session), instrument)
    _prefetch_position(s, s.position_index[place])
    if instrument < len(s.instruments):
        book = s.instruments[instrument]
        side, tick = _side_and_tick(book, a)
        _prefetch_price(s, book, side, tick)
        if crosses(book, side, tick):
            _prefetch_order(s, first_in_line(s, book, 1 - side))
    old = _coming_slot(s, LOOK)
    if old != 0:
        _prefetch_entry(s, s.details[old].client_order_id, s.details[old].session)


@jit
def _side_and_tick(book, a):
    """Where a new order would rest: the side (0 buy, 1 sell) and the tick, in YES terms."""
    side = (oe.new_order_single_side(a) - 1) & 1
    tick = ticks_of(book, oe.new_order_single_price(a))
    if oe.new_order_single_outcome_side(a) == oe.OUTCOME_SIDE_NO:
        return 1 - side, book.one_tick - tick
    return side, tick


@linked
def reach(s: Any, frame: int) -> None:
    """Ask for what the order that the command is about, or will trade with, points at."""
    template = oe.header_template(frame + _HEADER_AT)
    session = load_i32(frame + _SESSION_AT)
    a = frame + _BODY_AT
    if template != oe.NEW_ORDER_SINGLE_TEMPLATE:
        slot = _named(s, template, a, session)
        if slot != 0:
            _reach_order(s, slot)
        return
    instrument = oe.new_order_single_instrument(a)
    if instrument >= len(s.instruments):
        return
    book = s.instruments[instrument]
    side, tick = _side_and_tick(book, a)
    if crosses(book, side, tick):
        _reach_order(s, first_in_line(s, book, 1 - side))
    else:
        page = page_of(s, book.root[side], book.depth, tick)
        last = s.pages[page].level[tick & 63].last
        prefetch(s.orders.ctypes.data + last * _ORDER_SIZE)


@jit
def _reach_order(s, slot):
    """An order's position, level, market and account, and its neighbours in both its lists."""
    order = s.orders[slot]
    detail = s.details[slot]
    _prefetch_market(s, order.account, order.instrument)
    _prefetch_position(s, order.position)
    _prefetch_level(s, order.level >> 6, order.level & 63)
    prefetch(s.orders.ctypes.data + order.previous * _ORDER_SIZE)
    prefetch(s.orders.ctypes.data + order.next * _ORDER_SIZE)
    details = s.details.ctypes.data + _LIST_AT
    prefetch(details + detail.account_previous * _DETAIL_SIZE)
    prefetch(details + detail.account_next * _DETAIL_SIZE)
    if detail.echo_length != 0:
        prefetch(stored_echo(s, slot))
