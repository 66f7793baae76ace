"""What a waiting command will touch, brought into the cache while others are still at work.

    ring:   … | running | +1 | +2 | +3 | +4 | +5 | +6 | +7 | +8 | +9 | …
                           │         │         │         │         └─ glance: what it itself names
                           │         │         │         └─ look: the order, position, owner, node
                           │         │         └─ reach: what these point at, the price's level
                           │         └─ touch: the order at that level; the level's node
                           └─ grasp: who trades with it, his account and position

An order is found through an index of four megabytes and lies in three tables of more; its level,
its neighbours in the queue and its position are behind it. Each step is a wait for memory of a
hundred nanoseconds, unless somebody asked for the line before; so each stage follows one pointer
and asks for the next, two commands later. With a million accounts, or ten thousand books, that is
half of what an order would cost. All stages only read and prefetch: they may be wrong (a command in
between may change what they saw) and nothing depends on them.
"""

from typing import Any

import numpy as np

import sbe.generated.order_entry as oe
from core.atomics import prefetch
from core.engine.book import crosses
from core.engine.client_index import find_client_order
from core.engine.lines import (
    prefetch_details,
    prefetch_entry,
    prefetch_market,
    prefetch_node,
    prefetch_order,
    prefetch_owner,
    prefetch_position,
    prefetch_price,
    prefetch_removal,
    prefetch_trade,
)
from core.engine.matching import first_in_line
from core.engine.positions import likely_position, position_place
from core.engine.price_levels import page_of
from core.engine.units import ticks_of
from core.jit import jit
from core.linked import linked
from core.records import ORDER
from sbe.raw import load_i32

GLANCE = 9  # commands ahead of the one that runs
LOOK = 7
REACH = 5
TOUCH = 3
GRASP = 1
_SESSION_AT, _HEADER_AT, _BODY_AT = 8, 32, 40
_ORDER_SIZE = ORDER.itemsize


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
        prefetch_entry(s, np.int64(oe.new_order_single_cl_ord_id(a)), session)
        account = _account(s, a, session)
        instrument = oe.new_order_single_instrument(a)
        if account < len(s.accounts) and instrument < len(s.instruments):
            prefetch_market(s, account, instrument)
        place = position_place(s, account, instrument)
        prefetch(s.position_index.ctypes.data + place * 4)
        slot = _coming_slot(s, GLANCE)
        if slot != 0:
            prefetch_order(s, slot)
    elif template == oe.ORDER_CANCEL_REQUEST_TEMPLATE:
        prefetch_entry(s, np.int64(oe.order_cancel_request_orig_cl_ord_id(a)), session)
    elif template == oe.ORDER_CANCEL_REPLACE_REQUEST_TEMPLATE:
        prefetch_entry(s, np.int64(oe.order_cancel_replace_request_orig_cl_ord_id(a)), session)
        prefetch_entry(s, np.int64(oe.order_cancel_replace_request_cl_ord_id(a)), session)


@linked
def look(s: Any, frame: int) -> None:
    """Ask for the order to be cancelled or traded with; for the position, the price's level."""
    template = oe.header_template(frame + _HEADER_AT)
    session = load_i32(frame + _SESSION_AT)
    a = frame + _BODY_AT
    if template != oe.NEW_ORDER_SINGLE_TEMPLATE:
        slot = _named(s, template, a, session)
        if slot != 0:
            prefetch_order(s, slot)
        return
    account = _account(s, a, session)
    instrument = oe.new_order_single_instrument(a)
    prefetch_position(s, likely_position(s, account, instrument))
    if account < len(s.accounts) and instrument < len(s.instruments):
        holder, book = s.accounts[account], s.instruments[instrument]
        prefetch_owner(s, holder.owner)
        prefetch_details(s, holder.first_order)
        side, tick = _side_and_tick(book, a)
        prefetch_node(s, book, side, tick)
        if crosses(book, side, tick):
            prefetch_node(s, book, 1 - side, book.best[1 - side] - 1)
    old = _coming_slot(s, LOOK)
    if old != 0:
        prefetch_entry(s, s.details[old].client_order_id, s.details[old].session)


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
    """Ask for what the order that the command is about points at; for the levels of a new one."""
    template = oe.header_template(frame + _HEADER_AT)
    a = frame + _BODY_AT
    if template != oe.NEW_ORDER_SINGLE_TEMPLATE:
        slot = _named(s, template, a, load_i32(frame + _SESSION_AT))
        if slot != 0:
            prefetch_trade(s, slot)
        return
    instrument = oe.new_order_single_instrument(a)
    if instrument < len(s.instruments):
        book = s.instruments[instrument]
        side, tick = _side_and_tick(book, a)
        prefetch_price(s, book, side, tick)
        if crosses(book, side, tick):
            prefetch_price(s, book, 1 - side, book.best[1 - side] - 1)


@linked
def touch(s: Any, frame: int) -> None:
    """Ask for the order that a new one will trade with, or will stand behind; a cancel's level."""
    template = oe.header_template(frame + _HEADER_AT)
    if template != oe.NEW_ORDER_SINGLE_TEMPLATE:
        slot = _named(s, template, frame + _BODY_AT, load_i32(frame + _SESSION_AT))
        if slot != 0:
            prefetch_removal(s, slot)
        return
    maker = _first_maker(s, frame)
    if maker != 0:
        prefetch_order(s, maker)
        return
    instrument = oe.new_order_single_instrument(frame + _BODY_AT)
    if instrument < len(s.instruments):
        book = s.instruments[instrument]
        side, tick = _side_and_tick(book, frame + _BODY_AT)
        page = page_of(s, book.root[side], book.depth, tick)
        last = s.pages[page].level[tick & 63].last
        prefetch(s.orders.ctypes.data + last * _ORDER_SIZE)


@linked
def grasp(s: Any, frame: int) -> None:
    """Ask for whom a new order will trade with."""
    maker = _first_maker(s, frame)
    if maker != 0:
        prefetch_trade(s, maker)
        prefetch_order(s, s.orders[maker].next)


@jit
def _first_maker(s, frame):
    """The order that a command will trade with first, 0 if it is no new order or will rest."""
    a = frame + _BODY_AT
    if oe.header_template(frame + _HEADER_AT) != oe.NEW_ORDER_SINGLE_TEMPLATE:
        return 0
    instrument = oe.new_order_single_instrument(a)
    if instrument >= len(s.instruments):
        return 0
    book = s.instruments[instrument]
    side, tick = _side_and_tick(book, a)
    return first_in_line(s, book, 1 - side) if crosses(book, side, tick) else 0
