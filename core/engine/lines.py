"""Ask for the cache lines of records: what touches them soon doesn't wait for memory then.

    prefetch_market, …_order, …_position, …    one record's lines
    prefetch_trade                             all that a fill of a resting order touches besides it

Nothing depends on any of it. Who asks when is in core.engine.foresight and core.engine.matching.
"""

from core.atomics import prefetch
from core.engine.client_index import index_place
from core.engine.emit import stored_echo
from core.engine.price_levels import page_of
from core.jit import jit
from core.records import CLIENT_KEY, DETAIL, INSTRUMENT, LEVEL, NODE, ORDER, OWNER, PAGE, POSITION

_LINE = 64
_ENTRY_SIZE, _ORDER_SIZE, _DETAIL_SIZE = CLIENT_KEY.itemsize, ORDER.itemsize, DETAIL.itemsize
_INSTRUMENT_SIZE, _POSITION_SIZE = INSTRUMENT.itemsize, POSITION.itemsize
_PAGE_SIZE, _LEVEL_SIZE = PAGE.itemsize, LEVEL.itemsize
_NODE_SIZE, _OWNER_SIZE = NODE.itemsize, OWNER.itemsize
assert NODE.fields is not None
assert PAGE.fields is not None
assert DETAIL.fields is not None
_LEVELS_AT = PAGE.fields["level"][1]
_CHILDREN_AT = NODE.fields["child"][1]
_LIST_AT = DETAIL.fields["account_next"][1]
# Lines of an instrument and of an account, from the first, that every order reads.
_INSTRUMENT_LINES = 5
_ACCOUNT_LINES = 2


@jit
def prefetch_lines(address, count):
    """So many lines from an address on."""
    for line in range(count):
        prefetch(address + line * _LINE)


@jit
def prefetch_entry(s, client_order_id, session):
    """A place of the client index, and the line where a search from there may end."""
    place = index_place(s, client_order_id, session)
    prefetch_lines(s.client_index.ctypes.data + place * _ENTRY_SIZE, 2)


@jit
def prefetch_order(s, slot):
    """An order, and what else is known of it."""
    prefetch(s.orders.ctypes.data + slot * _ORDER_SIZE)
    prefetch_lines(s.details.ctypes.data + slot * _DETAIL_SIZE, 2)


@jit
def prefetch_position(s, number):
    """A position."""
    prefetch_lines(s.positions.ctypes.data + number * _POSITION_SIZE, _POSITION_SIZE // _LINE)


@jit
def prefetch_owner(s, number):
    """What trading reads of an owner."""
    prefetch(s.owners.ctypes.data + number * _OWNER_SIZE)


@jit
def prefetch_level(s, page, place):
    """A level, which may lie across two lines."""
    level = s.pages.ctypes.data + page * _PAGE_SIZE + _LEVELS_AT + place * _LEVEL_SIZE
    prefetch(level)
    prefetch(level + _LEVEL_SIZE - 1)


@jit
def prefetch_node(s, book, side, tick):
    """The first step from a side's root towards a tick, and which ways from there are in use."""
    node = s.nodes.ctypes.data + book.root[side] * _NODE_SIZE
    prefetch(node)
    prefetch(node + _CHILDREN_AT + 4 * ((tick >> (6 * book.depth)) & 63))


@jit
def prefetch_price(s, book, side, tick):
    """The level of a tick on a side (0 buy, 1 sell), and whether it is in use.

    Where there is none yet, that of the page that will be taken for it.
    """
    page = page_of(s, book.root[side], book.depth, tick)
    if page == 0:
        page = s.page_free
    prefetch(s.pages.ctypes.data + page * _PAGE_SIZE)
    prefetch_level(s, page, tick & 63)


@jit
def prefetch_market(s, account, instrument):
    """What the judges of an order read."""
    prefetch_lines(s.instruments.ctypes.data + instrument * _INSTRUMENT_SIZE, _INSTRUMENT_LINES)
    prefetch_lines(s.accounts.ctypes.data + account * s.accounts.itemsize, _ACCOUNT_LINES)


@jit
def prefetch_trade(s, slot):
    """An order's position, level, market, account, owner, and its neighbours in both its lists."""
    order = s.orders[slot]
    detail = s.details[slot]
    prefetch_market(s, order.account, order.instrument)
    prefetch_owner(s, order.owner)
    prefetch_position(s, order.position)
    prefetch_level(s, order.level >> 6, order.level & 63)
    prefetch(s.orders.ctypes.data + order.previous * _ORDER_SIZE)
    prefetch(s.orders.ctypes.data + order.next * _ORDER_SIZE)
    details = s.details.ctypes.data + _LIST_AT
    prefetch(details + detail.account_previous * _DETAIL_SIZE)
    prefetch(details + detail.account_next * _DETAIL_SIZE)
    if detail.echo_length != 0:
        prefetch(stored_echo(s, slot))


@jit
def prefetch_removal(s, slot):
    """What is touched where an order leaves its level empty; its own and its market's are there."""
    order = s.orders[slot]
    prefetch_node(s, s.instruments[order.instrument], (order.side - 1) & 1, order.tick)
    prefetch(s.pages.ctypes.data + (order.level >> 6) * _PAGE_SIZE)


@jit
def prefetch_details(s, slot):
    """The neighbours that an order has, or will have, in its account's list."""
    prefetch(s.details.ctypes.data + _LIST_AT + slot * _DETAIL_SIZE)


@jit
def prefetch_next_trade(s, slot):
    """The same of the order behind one in its queue, and the order behind that."""
    following = s.orders[slot].next
    if following != 0:
        prefetch_trade(s, following)
        prefetch_order(s, s.orders[following].next)
