"""The life of an order's record: its slot, its lists, its end.

    free slot ──► taken ──► open (resting or stopped) ──► done ──► free again, last in line

Slots are used again in the order in which they became free, so an ended order can still be asked
for by its id until every other slot was used once more. An order's id is a counter and its slot:
finding it needs no table.
"""

import sbe.generated.order_entry as oe
from core.engine.book import dequeue
from core.engine.client_index import find_client_order, remove_client_order
from core.engine.emit import report
from core.engine.expiry import remove_expiry
from core.engine.liquidation.queue import look_again
from core.engine.margin.door import margin_release
from core.engine.stops import remove_stop
from core.jit import jit
from core.linked import linked
from core.records import DONE, FREE, RESTING, STOPPED

SLOT_BITS = 24
_SLOT_MASK = (1 << SLOT_BITS) - 1


@jit
def take_slot(s):
    """A slot for a new order, with a fresh order id; 0 when all are in use."""
    if s.orders_used + 1 < len(s.orders):
        s.orders_used += 1
        slot = s.orders_used
    elif s.free_count > 0:
        slot = s.free_orders[s.free_first]
        s.free_first = (s.free_first + 1) & (len(s.free_orders) - 1)
        s.free_count -= 1
        detail = s.details[slot]
        if detail.client_order_id != 0:
            remove_client_order(s, detail.client_order_id, detail.session, slot)
    else:
        return 0
    s.order_ids += 1
    s.orders[slot].order_id = (s.order_ids << SLOT_BITS) | slot
    return slot


@jit
def give_back_slot(s, slot):
    """A slot whose order was refused: the next one to be taken."""
    if slot != 0:
        s.orders[slot].state = FREE
        s.details[slot].client_order_id = 0
        mask = len(s.free_orders) - 1
        s.free_first = (s.free_first - 1) & mask
        s.free_orders[s.free_first] = slot
        s.free_count += 1


@jit
def open_order(s, slot):
    """Count an order among its account's and its instrument's."""
    detail = s.details[slot]
    account = s.accounts[s.orders[slot].account]
    first = account.first_order
    detail.account_next = first
    detail.account_previous = 0
    if first != 0:
        s.details[first].account_previous = slot
    account.first_order = slot
    account.open_orders += 1
    look_again(s, s.orders[slot].account)
    s.instruments[s.orders[slot].instrument].open_orders += 1
    s.orders_open += 1


@jit
def close_order(s, slot):
    """The order has ended and is off the book: its slot goes to the end of the line."""
    order = s.orders[slot]
    detail = s.details[slot]
    account = s.accounts[order.account]
    if detail.account_previous != 0:
        s.details[detail.account_previous].account_next = detail.account_next
    else:
        account.first_order = detail.account_next
    if detail.account_next != 0:
        s.details[detail.account_next].account_previous = detail.account_previous
    account.open_orders -= 1
    s.instruments[order.instrument].open_orders -= 1
    s.orders_open -= 1
    if detail.expiry_place != 0:
        remove_expiry(s, slot)
    order.state = DONE
    mask = len(s.free_orders) - 1
    s.free_orders[(s.free_first + s.free_count) & mask] = slot
    s.free_count += 1


@jit
def is_open(s, slot):
    """Whether the order rests or waits for its trigger."""
    return s.orders[slot].state == RESTING or s.orders[slot].state == STOPPED


@jit
def withdraw(s, slot):
    """Take an open order off its book or its stops; the margin room forgets it."""
    order = s.orders[slot]
    if order.state == RESTING:
        dequeue(s, s.instruments[order.instrument], slot)
        margin_release(s, order.position, order.side, s.details[slot].reserved_tick, order.leaves)
    elif order.state == STOPPED:
        remove_stop(s, slot)


@linked
def end_order(s, slot, reason):
    """Report the end of an order that is off the book, and close it; the report's address."""
    order = s.orders[slot]
    expired = reason == oe.REASON_EXPIRY
    s.details[slot].status = oe.ORD_STATUS_EXPIRED if expired else oe.ORD_STATUS_CANCELED
    order.leaves = 0
    order.visible = 0
    order.state = DONE
    a = report(s, slot, oe.EXEC_TYPE_EXPIRED if expired else oe.EXEC_TYPE_CANCELED, reason)
    close_order(s, slot)
    return a


@linked
def cancel_order(s, slot, reason):
    """Cancel an open order for a reason; the address of its report."""
    withdraw(s, slot)
    return end_order(s, slot, reason)


@jit
def order_by_id(s, order_id):
    """The slot of an order id that is still known, else 0."""
    slot = order_id & _SLOT_MASK
    if 0 < slot < len(s.orders) and s.orders[slot].order_id == order_id:
        return slot
    return 0


@jit
def find_order(s, order_id, client_order_id):
    """The order a command of the running session means: by order id if given, else by its own id.

    0 when there is none, or when it belongs to another owner.
    """
    session = s.work.session
    if order_id > 0:
        slot = order_by_id(s, order_id)
        owner = s.sessions[session].owner
        if slot != 0 and session > 0 and s.orders[slot].owner != owner:
            return 0
        return slot
    if client_order_id == 0:
        return 0
    return find_client_order(s, client_order_id, session)
