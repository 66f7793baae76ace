"""From (session, client's order id) to the order: open addressing with linear probing.

    client_index[hash … ] = { client_order_id, session, order slot }   order 0: free place

An entry lives as long as the order's slot, that is beyond the order's end until the slot is used
again, so that a repeated id is recognised and a status request finds what has just ended. Removal
shifts back what follows; there are no tombstones, and the table is never more than half full.
"""

from core.jit import jit
from core.linked import linked

_MIX = -7046029254386353131  # 2^64 / golden ratio, as int64


@jit
def index_place(s, client_order_id, session):
    """Where the search for an id begins."""
    mixed = (client_order_id ^ (session << 40)) * _MIX
    mixed = (mixed ^ ((mixed >> 29) & 0x7FFFFFFFF)) * _MIX
    return (mixed >> 20) & (len(s.client_index) - 1)


@jit
def find_client_order(s, client_order_id, session):
    """The newest order of the session with this id; 0 if none is known."""
    mask = len(s.client_index) - 1
    place = index_place(s, client_order_id, session)
    while True:
        entry = s.client_index[place]
        if entry.order == 0:
            return 0
        if entry.client_order_id == client_order_id and entry.session == session:
            return entry.order
        place = (place + 1) & mask


@jit
def add_client_order(s, client_order_id, session, order):
    """Remember an order by its client's id; a known id now means the new order."""
    mask = len(s.client_index) - 1
    place = index_place(s, client_order_id, session)
    while True:
        entry = s.client_index[place]
        known = entry.client_order_id == client_order_id and entry.session == session
        if entry.order == 0 or known:
            entry.client_order_id = client_order_id
            entry.session = session
            entry.order = order
            return
        place = (place + 1) & mask


@linked
def remove_client_order(s, client_order_id, session, order):
    """Forget an id, if it still means this order."""
    mask = len(s.client_index) - 1
    place = index_place(s, client_order_id, session)
    while True:
        entry = s.client_index[place]
        if entry.order == 0:
            return
        if entry.client_order_id == client_order_id and entry.session == session:
            break
        place = (place + 1) & mask
    if s.client_index[place].order != order:
        return
    _close_gap(s, place)


@jit
def _close_gap(s, hole):
    """Free a place and move back each entry that probing would no longer find."""
    mask = len(s.client_index) - 1
    place = hole
    while True:
        place = (place + 1) & mask
        entry = s.client_index[place]
        if entry.order == 0:
            break
        home = index_place(s, entry.client_order_id, entry.session)
        if ((place - home) & mask) >= ((place - hole) & mask):
            s.client_index[hole].client_order_id = entry.client_order_id
            s.client_index[hole].session = entry.session
            s.client_index[hole].order = entry.order
            hole = place
    s.client_index[hole].client_order_id = 0
    s.client_index[hole].session = 0
    s.client_index[hole].order = 0
