"""The public book, held to a plain model by random lives of orders."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.feed.book import (
    ADDED,
    CHANGED,
    DEPTH,
    MOVED,
    NOTHING,
    ONE,
    ORDER,
    REMOVED,
    apply_report,
    copy_levels,
    copy_orders,
    forget_instrument,
    new_books,
)
from sbe.generated import order_entry as oe

BUY, SELL = oe.SIDE_BUY, oe.SIDE_SELL
ON, KEPT = oe.REPORT_FLAGS_ON_BOOK, oe.REPORT_FLAGS_PRIORITY_KEPT


class Limits:
    orders_max = 64
    levels_max = 64
    instruments_max = 4


@pytest.fixture
def book():
    return new_books(Limits)


def report(book, order, side=BUY, price=100, visible=5, **changes):
    """Apply a report; the change it made."""
    block = np.zeros(1, oe.EXECUTION_REPORT)
    row = block[0]
    row["orderId"], row["side"], row["price"], row["visibleQty"] = order, side, price, visible
    row["instrument"], row["execType"] = 1, oe.EXEC_TYPE_NEW
    row["flags"] = ON if visible else 0
    for name, value in changes.items():
        row[name] = value
    apply_report(book, block.ctypes.data)
    return book[0]["change"]


def side_of(book, side, instrument=1):
    out = np.zeros(16, DEPTH)
    return [tuple(row) for row in out[: copy_levels(book, instrument, side - 1, out)].tolist()]


def orders_of(book, side, instrument=1):
    out = np.zeros(64, ORDER)
    count = copy_orders(book, instrument, side - 1, out)
    return [(row["id"], row["price"], row["quantity"]) for row in out[:count]]


def test_levels_are_best_first_and_orders_oldest_first(book):
    for order, side, price in (
        (1, BUY, 99), (2, BUY, 100), (3, BUY, 98), (4, BUY, 100), (5, SELL, 103), (6, SELL, 101),
    ):
        assert report(book, order, side, price)["action"] == ADDED
    assert side_of(book, BUY) == [(100, 10, 2), (99, 5, 1), (98, 5, 1)]
    assert side_of(book, SELL) == [(101, 5, 1), (103, 5, 1)]
    assert [order for order, _, _ in orders_of(book, BUY)] == [2, 4, 1, 3]


def test_a_kept_priority_stays_and_a_lost_one_goes_to_the_back(book):
    for order in (1, 2, 3):
        report(book, order)
    assert report(book, 1, visible=3, flags=ON | KEPT)["action"] == CHANGED
    assert report(book, 2, visible=5, flags=ON)["action"] == MOVED
    assert [order for order, _, _ in orders_of(book, BUY)] == [1, 3, 2]
    assert side_of(book, BUY) == [(100, 13, 3)]


def test_a_move_to_another_price_changes_two_levels(book):
    report(book, 1)
    change = report(book, 1, price=105, flags=ON)
    assert (change["action"], change["levels_used"]) == (MOVED, 2)
    assert change["levels"].tolist() == [(BUY, 100, 0, 0), (BUY, 105, 5, 1)]
    assert side_of(book, BUY) == [(105, 5, 1)]


def test_an_order_off_the_book_is_gone(book):
    report(book, 1)
    assert report(book, 1, flags=0)["action"] == REMOVED
    assert report(book, 1, flags=0)["action"] == NOTHING
    assert side_of(book, BUY) == []


def test_an_answer_to_a_status_request_changes_nothing(book):
    report(book, 1)
    assert report(book, 1, visible=0, execType=oe.EXEC_TYPE_ORDER_STATUS)["action"] == NOTHING
    assert report(book, 2, execType=oe.EXEC_TYPE_ORDER_STATUS)["action"] == NOTHING
    assert side_of(book, BUY) == [(100, 5, 1)]


def test_a_no_order_stands_on_the_other_side_at_the_other_price(book):
    change = report(book, 1, BUY, 30_000_000, outcomeSide=oe.OUTCOME_SIDE_NO)
    assert (change["side"], change["price"]) == (SELL, ONE - 30_000_000)
    assert side_of(book, SELL) == [(70_000_000, 5, 1)]


def test_a_trade_is_printed_once_with_the_taker_as_aggressor(book):
    report(book, 1, SELL, 101)
    trade = {"execType": oe.EXEC_TYPE_TRADE, "tradeId": 9, "lastPx": 101, "lastQty": 2}
    change = report(
        book, 1, SELL, 101, 3, flags=ON | KEPT, lastLiquidity=oe.LAST_LIQUIDITY_MAKER, **trade)
    assert (change["trade"], change["trade_price"], change["trade_quantity"]) == (9, 101, 2)
    assert change["aggressor"] == BUY
    change = report(
        book, 2, BUY, 101, 0, flags=0, lastLiquidity=oe.LAST_LIQUIDITY_TAKER, **trade)
    assert (change["trade"], change["action"]) == (0, NOTHING)
    instrument = book[0]["instruments"][1]
    assert (instrument["volume"], instrument["trades"], instrument["last_price"]) == (2, 1, 101)
    assert side_of(book, SELL) == [(101, 3, 1)]


def test_an_auction_has_no_aggressor(book):
    report(book, 1, SELL, 101)
    change = report(
        book, 1, SELL, 101, 0, flags=0, execType=oe.EXEC_TYPE_TRADE, tradeId=1, lastPx=101,
        lastQty=5, lastLiquidity=oe.LAST_LIQUIDITY_AUCTION)
    assert (change["aggressor"], change["auction"]) == (0, 1)


def test_a_full_book_drops_and_counts_but_never_breaks(book):
    for order in range(1, 300):
        report(book, order, price=order)
    assert book[0]["dropped"] > 0
    for order in range(1, 300):
        report(book, order, price=order, flags=0)
    assert side_of(book, BUY) == []
    report(book, 1000)
    assert side_of(book, BUY) == [(100, 5, 1)]


def test_a_delisted_instrument_is_empty(book):
    for order in (1, 2, 3):
        report(book, order, price=order)
        report(book, 10 + order, price=order, instrument=2)
    assert forget_instrument(book, 1) == 3
    assert side_of(book, BUY) == []
    assert len(orders_of(book, BUY, 2)) == 3


class Model:
    """The same in a few plain lines: a dict of orders with the time of their priority."""

    def __init__(self):
        self.orders = {}
        self.clock = 0

    def report(self, order, side, price, visible, kept):
        self.clock += 1
        before = self.orders.pop(order, None)
        if visible:
            stays = before is not None and kept and before[1] == price
            # A side never changes: the order keeps the one it came with.
            self.orders[order] = (
                before[0] if stays else side, price, visible, before[3] if stays else self.clock)

    def side(self, side):
        sign = -1 if side == BUY else 1
        mine = [(sign * p, t, o, p, v) for o, (s, p, v, t) in self.orders.items() if s == side]
        return [(o, p, v) for _, _, o, p, v in sorted(mine)]


@given(
    st.lists(
        st.tuples(
            st.integers(1, 20), st.integers(1, 12), st.integers(0, 3), st.booleans(),
        ),
        max_size=200,
    )
)
def test_any_life_of_orders_gives_the_models_book(lives):
    book, model = new_books(Limits), Model()
    for order, price, visible, kept in lives:
        side = BUY if order % 2 else SELL
        flags = (ON if visible else 0) | (KEPT if kept else 0)
        report(book, order, side, price, visible, flags=flags)
        model.report(order, side, price, visible, kept)
        for each in (BUY, SELL):
            orders = model.side(each)
            assert orders_of(book, each) == orders
            levels = {}
            for _, level, quantity in orders:
                before = levels.get(level, (0, 0))
                levels[level] = (before[0] + quantity, before[1] + 1)
            assert side_of(book, each) == [(p, q, n) for p, (q, n) in levels.items()]
