"""From released events to packets: one compiled walk over the core's reports.

A report that changes nothing public makes no message. The last message that an event makes is
flagged LastInEvent: a receiver's book is consistent there, and nowhere else. Control events (a new
instrument, a mark, a state) are rare; the walk stops at each and leaves it to Python.
"""

from typing import Any

from core.atomics import clock_realtime_ns, load_acquire
from core.events import log_address, log_lapped, log_published
from core.jit import jit
from gateway.feed.book import (
    BUY,
    NOTHING,
    SELL,
    apply_report,
    copy_orders,
    forget_instrument,
)
from gateway.feed.interest import interest_change
from gateway.feed.layout import LAPPED, SCRATCH_SIZE, SNAPSHOT
from gateway.feed.packets import close_packet, message_begin, send_stream
from sbe.generated import control
from sbe.generated import market_data as md
from sbe.generated import order_entry as oe
from sbe.generated.order_entry import header_schema, header_template
from sbe.raw import copy, load_i32, load_i64, load_u8, store_u8

MESSAGE_AT = 16  # in an event's frame: behind the frame's header
BLOCK = MESSAGE_AT + oe.HEADER_SIZE
ORDERS_IN_MESSAGE = 50
NO_PRICE = md.BEST_PRICES_BID_PX_NULL
_LAST = md.MARKET_FLAGS_LAST_IN_EVENT
_CONTROL = control.SCHEMA_ID
_FIRST_CONTROL = control.INSTRUMENT_LISTED_TEMPLATE


@jit
def deliver(feed: Any, book: Any) -> int:
    """Publish what the log has and the gate lets through; bytes of events dealt with."""
    f = feed[0]
    published = log_published(f.log)
    gate = load_acquire(f.gate_address)
    f.control_at = -1
    if f.position >= published or gate < f.waiting_for:
        return 0
    length = min(published - f.position, SCRATCH_SIZE)
    if not log_lapped(f.log, f.position) and load_i32(log_address(f.log, f.position)) > 0:
        copy(f.scratch, log_address(f.log, f.position), length)
        if not log_lapped(f.log, f.position):
            return walk(feed, book, f.scratch, length, gate)
    f.rows[f.rows_used].kind = LAPPED
    f.rows_used += 1
    return 0


@jit
def walk(feed: Any, book: Any, base: int, length: int, gate: int) -> int:
    """Publish the events of a piece of stream that begins at `position`; bytes dealt with.

    Stops behind a control event that Python must look at; `control_at` is its place, else −1.
    """
    f = feed[0]
    f.control_at = -1
    offset = 0
    while offset + BLOCK <= length:
        frame = base + offset
        size = load_i32(frame)
        if size < 32 or offset + size > length:
            break
        sequence = load_i64(frame + 8)
        if sequence > gate:
            f.waiting_for = sequence
            break
        offset += size
        f.position += size
        message = frame + MESSAGE_AT
        template = header_template(message)
        if header_schema(message) == _CONTROL:
            if template >= _FIRST_CONTROL:
                f.control_at = offset - size
                break
        elif template == oe.EXECUTION_REPORT_TEMPLATE:
            _report(f, book, frame + BLOCK)
    return offset


@jit
def finish(feed: Any) -> int:
    """Close what is open and send the stream on; bytes sent."""
    f = feed[0]
    close_packet(f)
    return send_stream(f)


@jit
def _report(f: Any, book: Any, a: int) -> None:
    instrument = oe.execution_report_instrument(a)
    if instrument >= f.instruments.shape[0] or f.instruments[instrument].channel == 0:
        return
    if oe.execution_report_exec_type(a) == oe.EXEC_TYPE_TRADE:
        f.instruments[instrument].open_interest += interest_change(f.positions, a)
    apply_report(book, a)
    if f.muted:
        return
    c = book[0].change
    last = oe.execution_report_flags(a) & oe.REPORT_FLAGS_LAST_IN_EVENT
    if c.trade:
        _put_trade(f, c)
    if c.action != NOTHING:
        _put_update(f, c)
        if f.instruments[instrument].touched == 0:
            f.instruments[instrument].touched = 1
            f.touched[f.touched_used] = instrument
            f.touched_used += 1
    if last:
        _consistent(f, book)


@jit
def _consistent(f: Any, book: Any) -> None:
    """An event is over: flag its last message, and tell of every best price it changed."""
    if f.last_flags:
        store_u8(f.last_flags, load_u8(f.last_flags) | _LAST)
    elif f.touched_used:
        # The message went out in an earlier packet: an update of nothing carries the flag.
        c = book[0].change
        c.action = NOTHING
        c.order = 0
        c.levels_used = 0
        _put_update(f, c)
        store_u8(f.last_flags, _LAST)
    f.last_flags = 0
    for n in range(f.touched_used):
        f.instruments[f.touched[n]].touched = 0
        _put_best(f, book, f.touched[n])
    f.touched_used = 0


@jit
def _header(f: Any, a: int, instrument: int, time: int) -> int:
    """Fill the header that all messages about an instrument begin with; gives the address back."""
    i = f.instruments[instrument]
    i.number += 1
    md.set_trade_header_transact_time(a, time)
    md.set_trade_header_instrument(a, instrument)
    md.set_trade_header_rpt_seq(a, i.number)
    return a


@jit
def _put_trade(f: Any, c: Any) -> None:
    channel = f.instruments[c.instrument].channel
    message = message_begin(f, channel, md.HEADER_SIZE + md.TRADE_BLOCK)
    md.write_trade_header(message)
    a = _header(f, message + md.HEADER_SIZE, c.instrument, c.time)
    md.set_trade_trade_id(a, c.trade)
    md.set_trade_price(a, c.trade_price)
    md.set_trade_quantity(a, c.trade_quantity)
    md.set_trade_aggressor(a, c.aggressor)
    md.set_trade_flags(a, md.MARKET_FLAGS_AUCTION if c.auction else 0)
    f.last_flags = a + md.TRADE_FLAGS_OFFSET


@jit
def _put_update(f: Any, c: Any) -> None:
    channel = f.instruments[c.instrument].channel
    group = md.BOOK_UPDATE_LEVELS_HEADER_SIZE + c.levels_used * md.BOOK_UPDATE_LEVELS_BLOCK
    message = message_begin(f, channel, md.HEADER_SIZE + md.BOOK_UPDATE_BLOCK + group)
    md.write_book_update_header(message)
    a = _header(f, message + md.HEADER_SIZE, c.instrument, c.time)
    md.set_book_update_order_id(a, c.order)
    md.set_book_update_price(a, c.price)
    md.set_book_update_quantity(a, c.quantity)
    md.set_book_update_side(a, c.side)
    md.set_book_update_action(a, c.action)
    md.set_book_update_flags(a, 0)
    f.last_flags = a + md.BOOK_UPDATE_FLAGS_OFFSET
    g = a + md.BOOK_UPDATE_BLOCK
    md.write_book_update_levels_header(g, c.levels_used)
    e = g + md.BOOK_UPDATE_LEVELS_HEADER_SIZE
    for n in range(c.levels_used):
        level = c.levels[n]
        md.set_book_update_levels_price(e, level.price)
        md.set_book_update_levels_quantity(e, level.quantity)
        md.set_book_update_levels_orders(e, level.orders)
        md.set_book_update_levels_side(e, level.side)
        e += md.BOOK_UPDATE_LEVELS_BLOCK


@jit
def _put_best(f: Any, book: Any, instrument: int) -> None:
    """BestPrices, if they are others than those sent last."""
    b = book[0]
    i = f.instruments[instrument]
    bid, offer = b.instruments[instrument].best[BUY], b.instruments[instrument].best[SELL]
    bid_price = b.levels[bid].price if bid else NO_PRICE
    offer_price = b.levels[offer].price if offer else NO_PRICE
    bid_quantity = b.levels[bid].quantity if bid else 0
    offer_quantity = b.levels[offer].quantity if offer else 0
    same_bid = bid_price == i.bid and bid_quantity == i.bid_quantity
    if same_bid and offer_price == i.offer and offer_quantity == i.offer_quantity:
        return
    i.bid = bid_price
    i.bid_quantity = bid_quantity
    i.offer = offer_price
    i.offer_quantity = offer_quantity
    message = message_begin(f, i.channel, md.HEADER_SIZE + md.BEST_PRICES_BLOCK)
    md.write_best_prices_header(message)
    a = _header(f, message + md.HEADER_SIZE, instrument, b.change.time)
    md.set_best_prices_bid_px(a, bid_price)
    md.set_best_prices_bid_qty(a, bid_quantity)
    md.set_best_prices_offer_px(a, offer_price)
    md.set_best_prices_offer_qty(a, offer_quantity)


@jit
def put_open_interest(feed: Any, time: int) -> None:
    """OpenInterest of every instrument whose has changed since it was sent last."""
    f = feed[0]
    for instrument in range(f.instruments.shape[0]):
        i = f.instruments[instrument]
        if i.channel and i.open_interest != i.open_interest_sent:
            i.open_interest_sent = i.open_interest
            message = message_begin(f, i.channel, md.HEADER_SIZE + md.OPEN_INTEREST_BLOCK)
            md.write_open_interest_header(message)
            a = _header(f, message + md.HEADER_SIZE, instrument, time)
            md.set_open_interest_quantity(a, i.open_interest)


@jit
def next_number(feed: Any, instrument: int) -> int:
    """Take the instrument's next rptSeq, for a message that Python makes."""
    i = feed[0].instruments[instrument]
    i.number += 1
    return int(i.number)


@jit
def clear_book(feed: Any, book: Any, instrument: int) -> None:
    """The instrument was delisted: nothing of it is on the book any more."""
    forget_instrument(book, instrument)
    i = feed[0].instruments[instrument]
    i.bid = NO_PRICE
    i.offer = NO_PRICE
    i.bid_quantity = 0
    i.offer_quantity = 0


@jit
def clear_positions(feed: Any, instrument: int) -> None:
    """The instrument was resolved: nobody holds any of it any more."""
    f = feed[0]
    for account in range(f.positions.shape[0]):
        f.positions[account, instrument] = 0
    f.instruments[instrument].open_interest = 0


@jit
def put_heartbeats(feed: Any, channels: Any, silence_ns: int) -> None:
    """A Heartbeat in every channel that has been silent for so long."""
    f = feed[0]
    now = clock_realtime_ns()
    for channel in channels:
        if now - f.channels[channel].last_ns >= silence_ns:
            close_packet(f)
            message = message_begin(f, channel, md.HEADER_SIZE + md.HEARTBEAT_BLOCK)
            md.write_heartbeat_header(message)
            # The heartbeat's own packet takes a number, too.
            md.set_heartbeat_next_seq_num(message + md.HEADER_SIZE, f.channels[channel].next + 1)
    close_packet(f)


@jit
def put_snapshot_orders(feed: Any, book: Any, instrument: int, orders: Any) -> int:
    """SnapshotOrders of both sides, in several messages; the number of orders.

    orders: scratch of dtype book.ORDER, large enough for a side.
    """
    f = feed[0]
    channel = SNAPSHOT + f.instruments[instrument].channel
    total = 0
    for side in range(2):
        count = copy_orders(book, instrument, side, orders)
        total += count
        for begin in range(0, count, ORDERS_IN_MESSAGE):
            end = min(count, begin + ORDERS_IN_MESSAGE)
            _put_orders(f, channel, instrument, orders, begin, end)
    return total


@jit
def _put_orders(
    f: Any, channel: int, instrument: int, orders: Any, begin: int, end: int
) -> None:
    group = md.SNAPSHOT_ORDERS_ORDERS_HEADER_SIZE
    group += (end - begin) * md.SNAPSHOT_ORDERS_ORDERS_BLOCK
    message = message_begin(f, channel, md.HEADER_SIZE + md.SNAPSHOT_ORDERS_BLOCK + group)
    md.write_snapshot_orders_header(message)
    a = message + md.HEADER_SIZE
    md.set_snapshot_orders_header_transact_time(a, clock_realtime_ns())
    md.set_snapshot_orders_header_instrument(a, instrument)
    md.set_snapshot_orders_header_rpt_seq(a, 0)
    g = a + md.SNAPSHOT_ORDERS_BLOCK
    md.write_snapshot_orders_orders_header(g, end - begin)
    e = g + md.SNAPSHOT_ORDERS_ORDERS_HEADER_SIZE
    for n in range(begin, end):
        md.set_snapshot_orders_orders_order_id(e, orders[n].id)
        md.set_snapshot_orders_orders_price(e, orders[n].price)
        md.set_snapshot_orders_orders_quantity(e, orders[n].quantity)
        md.set_snapshot_orders_orders_side(e, orders[n].side + 1)
        e += md.SNAPSHOT_ORDERS_ORDERS_BLOCK


assert md.TRADE_HEADER_RPT_SEQ_OFFSET == md.BOOK_UPDATE_HEADER_RPT_SEQ_OFFSET
