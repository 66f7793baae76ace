"""One book of the real core, driven row by row.

Each row becomes the command a client would have sent (NewOrderSingle, OrderCancelReplaceRequest,
OrderCancelRequest), is applied by the engine's own `apply`, and its events are read back. All
orders are of one omnibus owner whose accounts are rich, so that nothing but matching decides.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

import sbe.generated.order_entry as oe
from core.config import Limits
from core.engine.price_levels import highest, level_of, lowest, next_worse
from core.jit import jit
from core.recovery import Replayer, make_state
from sbe.raw import fill, load_i32, load_u16, store_i32, store_i64
from tools.bench.venue import START_NS, CommandStream, list_instrument
from tools.replay.rows import ReplayError

INSTRUMENT, ACCOUNT, OWNER, SESSION = 1, 100, 100, 1
ACCOUNTS = 64
DEPOSIT = 8 * 10**14
TICK, LOT = 10**8, 100  # In the core's 1e-8. A lot at the first tick is worth one unit of USDC.
MARK_KEY = 1_000_000  # Above the keys of the listing.
TICKS_MAX = (1 << 24) - 1
_BODY_AT = 40
FRAME_SIZE = 160
_NO_PRICE = -1


class Trade(NamedTuple):
    """One trade; ids are the replay's order numbers, price in ticks, quantity in lots."""

    tick: int
    lots: int
    maker: int
    taker: int


@jit
def account_of(number: int) -> int:
    """The account of an order: many share the load, as the open orders of one are limited."""
    return ACCOUNT + number % ACCOUNTS


@jit
def _frame(scratch: int, sequence: int) -> int:
    """An empty command frame, stamped; the address of its root block."""
    fill(scratch, 0, FRAME_SIZE)
    store_i32(scratch, FRAME_SIZE)
    store_i32(scratch + 8, SESSION)
    store_i64(scratch + 16, sequence)
    store_i64(scratch + 24, START_NS + sequence)
    return scratch + _BODY_AT


@jit
def put_order(
    a: int, number: int, side: int, price: int, quantity: int, force: int
) -> None:
    """A new limit order."""
    oe.write_new_order_single_header(a - 8)
    oe.set_new_order_single_cl_ord_id(a, number)
    oe.set_new_order_single_account(a, account_of(number))
    oe.set_new_order_single_instrument(a, INSTRUMENT)
    oe.set_new_order_single_side(a, side)
    oe.set_new_order_single_ord_type(a, oe.ORD_TYPE_LIMIT)
    oe.set_new_order_single_time_in_force(a, force)
    oe.set_new_order_single_price(a, price)
    oe.set_new_order_single_order_qty(a, quantity)
    oe.set_new_order_single_stop_px(a, oe.NEW_ORDER_SINGLE_STOP_PX_NULL)
    oe.set_new_order_single_display_qty(a, oe.NEW_ORDER_SINGLE_DISPLAY_QTY_NULL)
    oe.set_new_order_single_expire_time(a, -1)


@jit
def put_replace(a: int, number: int, price: int, quantity: int) -> None:
    """Another price (below 0: the same) or total quantity for an order."""
    null = oe.ORDER_CANCEL_REPLACE_REQUEST_PRICE_NULL
    oe.write_order_cancel_replace_request_header(a - 8)
    oe.set_order_cancel_replace_request_orig_cl_ord_id(a, number)
    oe.set_order_cancel_replace_request_order_id(a, -1)
    oe.set_order_cancel_replace_request_price(a, price if price >= 0 else null)
    oe.set_order_cancel_replace_request_order_qty(a, quantity)
    oe.set_order_cancel_replace_request_stop_px(a, null)
    oe.set_order_cancel_replace_request_display_qty(a, null)
    oe.set_order_cancel_replace_request_instrument(a, INSTRUMENT)
    oe.set_order_cancel_replace_request_account(a, account_of(number))


@jit
def put_cancel(a: int, number: int) -> None:
    """An order goes."""
    oe.write_order_cancel_request_header(a - 8)
    oe.set_order_cancel_request_orig_cl_ord_id(a, number)
    oe.set_order_cancel_request_order_id(a, -1)
    oe.set_order_cancel_request_instrument(a, INSTRUMENT)
    oe.set_order_cancel_request_account(a, account_of(number))


@jit
def worst_tick(state: Any, side: int) -> int:
    """The worst tick at which an order of a side (1, 2) finds somebody, 0 if nobody is there."""
    s = state[0]
    book = s.instruments[INSTRUMENT]
    tick: int = 0
    if side == oe.SIDE_BUY and book.best[1] != 0:
        tick = highest(s, book.root[1], book.depth) - 1  # type: ignore[no-untyped-call]
    elif side != oe.SIDE_BUY and book.best[0] != 0:
        tick = lowest(s, book.root[0], book.depth) - 1  # type: ignore[no-untyped-call]
    return tick


@jit
def read_levels(state: NDArray[Any], out: NDArray[np.int64]) -> None:
    """The best levels of both sides into out[level, side] = (tick, lots, orders); 0s beyond."""
    s = state[0]
    book = s.instruments[INSTRUMENT]
    for side in range(2):
        best = book.best[side]
        for i in range(out.shape[0]):
            out[i, side, 0] = 0
            out[i, side, 1] = 0
            out[i, side, 2] = 0
            if best != 0:
                number = level_of(s, book.root[side], book.depth, best - 1)
                level = s.pages[number >> 6].level[number & 63]
                out[i, side, 0] = best - 1
                out[i, side, 1] = level.quantity
                out[i, side, 2] = level.count
                best = next_worse(s, book.root[side], book.depth, side, best - 1)


class ReplayBook:
    """The engine with one instrument that has so many ticks; quantities are in lots."""

    def __init__(self, ticks: int, orders_max: int) -> None:
        if ticks > TICKS_MAX:
            raise ReplayError(f"price: at most {TICKS_MAX} different ones, was {ticks}")
        self._ticks = ticks
        self._state = make_state(Limits(orders_max=orders_max))
        self._replayer = Replayer(self._state)
        self._position = 0
        self._mark = 0
        self._scratch = np.zeros(FRAME_SIZE, np.uint8)
        self._address = self._scratch.ctypes.data
        self._list()
        book = self._state["instruments"][0][INSTRUMENT]
        self.lots_max = int(book["lots_maximum"])

    def _list(self) -> None:
        """The venue: one perpetual with next to no margin, one omnibus owner."""
        stream = CommandStream()
        asset: dict[str, Any] = dict.fromkeys(
            ("lendable", "borrowable", "haircutInitial", "haircutMaintenance",
             "borrowMarginInitial", "borrowMarginMaintenance", "borrowLimit",
             "utilisationCeiling", "reserveShare"), 0,
        )
        stream.add("RegisterAsset", name="USDC", asset=0, decimals=6, **asset)
        stream.add("RegisterAsset", name="BASE", asset=1, decimals=0, **asset)
        stream.add("RegisterOwner", owner=OWNER, name="recording", feeTier=0,
                   selfTradePrevention=5)
        for account in range(ACCOUNT, ACCOUNT + ACCOUNTS):
            stream.add("RegisterAccount", account=account, owner=OWNER, name="recording",
                       autoLend=0, autoBorrow=0)
            stream.add("Deposit", account=account, asset=0, amount=DEPOSIT)
        stream.add("RegisterSession", session=SESSION, owner=OWNER, account=ACCOUNT, kind=2,
                   name="recording")
        list_instrument(
            stream, INSTRUMENT, "Perpetual", tickSize=TICK, lotSize=LOT,
            minimumQty=LOT, maximumQty=0, maximumPrice=max(self._ticks, 1) * TICK,
            marginBaseInitial=1, marginBaseMaintenance=1,
            marginFactorInitial=0, marginFactorMaintenance=0,
        )
        self._replayer.apply(stream.take().data)
        self._events()

    def _set_mark(self, tick: int) -> None:
        """Let the mark be near the market, so that orders require next to nothing."""
        self._mark = tick * TICK
        stream = CommandStream(sequence=self._replayer.sequence)
        stream.key = MARK_KEY
        stream.add("SetIndexPrice", asset=1, state=0, sources=3, price=self._mark)
        stream.add("SetMarkPrice", instrument=INSTRUMENT, rule=0, price=self._mark,
                   index=self._mark, premium=0)
        self._replayer.apply(stream.take().data)
        self._events()

    @property
    def orders_open(self) -> int:
        """Orders on the book."""
        return int(self._state["orders_open"][0])

    def enter(self, number: int, side: int, tick: int, lots: int) -> list[Trade]:
        """A limit order that stays; the trades it causes. Raises ReplayError if refused."""
        if self._mark == 0:
            self._set_mark(tick)
        return self._enter(number, side, tick, lots, oe.TIME_IN_FORCE_GOOD_TILL_CANCEL)

    def take(self, number: int, side: int, lots: int) -> list[Trade]:
        """Take what the book has, at any price: recordings know no impact band."""
        tick = worst_tick(self._state, side)
        if tick == 0:
            return []
        return self._enter(number, side, tick, lots, oe.TIME_IN_FORCE_IMMEDIATE_OR_CANCEL)

    def _enter(self, number: int, side: int, tick: int, lots: int, force: int) -> list[Trade]:
        price, quantity = tick * TICK, lots * LOT
        put_order(self._frame(), number, side, price, quantity, force)
        return self._apply(number)

    def replace(self, number: int, tick: int | None, total_lots: int) -> list[Trade]:
        """Another price or total quantity for an order; the trades it causes."""
        price = _NO_PRICE if tick is None else tick * TICK
        put_replace(self._frame(), number, price, total_lots * LOT)
        return self._apply(number)

    def cancel(self, number: int) -> None:
        """Remove an order."""
        put_cancel(self._frame(), number)
        self._apply(number)

    def _frame(self) -> int:
        return _frame(self._address, self._replayer.sequence + 1)

    def _apply(self, number: int) -> list[Trade]:
        self._replayer.apply_at(self._address, self._address + FRAME_SIZE)
        return self._events(number)

    def levels(self, out: NDArray[np.int64]) -> None:
        """Fill out[level, side, (tick, lots, orders)]."""
        read_levels(self._state, out)

    def _events(self, taker: int = 0) -> list[Trade]:
        """Read what the last commands emitted. Raises ReplayError for a refusal."""
        trades = []
        work = self._state["work"][0]
        base, mask = int(work["event_data"]), int(work["event_mask"])
        end = int(self._state["event_position"][0])
        while self._position < end:
            frame = base + (self._position & mask)
            template = load_u16(frame + 18)
            a = frame + 24
            if template == oe.EXECUTION_REPORT_TEMPLATE:
                self._refuse(oe.execution_report_exec_type(a) == oe.EXEC_TYPE_REJECTED,
                             oe.execution_report_reason(a))
                if oe.execution_report_last_liquidity(a) == oe.LAST_LIQUIDITY_MAKER:
                    trades.append(Trade(
                        oe.execution_report_last_px(a) // TICK,
                        oe.execution_report_last_qty(a) // LOT,
                        int(oe.execution_report_cl_ord_id(a)), taker,
                    ))
            elif template == oe.ORDER_CANCEL_REJECT_TEMPLATE:
                self._refuse(True, oe.order_cancel_reject_reason(a))
            elif template == 510:
                self._refuse(load_u16(a + 28) != 0, load_u16(a + 28))
            self._position += load_i32(frame)
        return trades

    @staticmethod
    def _refuse(refused: bool, reason: int) -> None:
        if refused:
            raise ReplayError(f"the core refused: {REASONS.get(reason, reason)}")

    def close(self) -> None:
        """Give the memory back."""
        self._replayer.close()


REASONS = {
    value: name.removeprefix("REASON_").replace("_", " ").lower()
    for name, value in vars(oe).items()
    if name.startswith("REASON_")
}
