"""What the model knows, as plain records: Python ints, lists in the order in which things happened.

Prices are ticks, quantities lots, money whole units. Nothing is a running sum unless a client can
see the sum: margins, reservations and pools are added up anew whenever they are asked for.
"""

from dataclasses import dataclass, field
from math import gcd
from typing import Any

from sortedcontainers import SortedDict

import sbe.generated.order_entry as oe

ONE = 10**8  # 1.0 on the wire
UNITS_MAX = 2**56
TICKS_MAX = 2**24 - 1
QUANTITY_MAX = 2**62
HOUR_NS = 3_600 * 10**9
NEW, RESTING, STOPPED, DONE = "new", "resting", "stopped", "done"


@dataclass
class Asset:
    """Money or a coin, with its terms as collateral."""

    number: int
    decimals: int
    borrowable: int
    haircut_initial: int  # parts per million, as all four
    haircut_maintenance: int
    borrow_margin_initial: int
    borrow_margin_maintenance: int
    borrow_limit: int
    utilisation_ceiling: int
    index: int = 0
    index_state: int = 0
    deposited: int = 0
    withdrawn: int = 0
    registered: int = 0  # ns UTC
    cap: int = 0  # USDC units that count for new risk
    ramp: int = 0  # USDC units a day
    uncounted: int = 0  # of the index, exponent -8
    share: int = 0  # parts per million of the mean that may be gone
    mean: int = 0  # units that there were in 24 hours
    mean_at: int = 0

    @property
    def unit(self) -> int:
        """Units of one whole."""
        return int(10**self.decimals)


@dataclass
class Owner:
    """Whom fees and self-trade prevention go by."""

    number: int
    fee_tier: int
    self_trade_prevention: int
    destinations: dict[str, int] = field(default_factory=dict)  # from when on they hold
    listed: bool = False
    lifted_at: int = 0
    delay: int = 0
    delay_next: int = 0
    delay_at: int = 0


@dataclass
class Session:
    """A client's connection and its numbers."""

    number: int
    owner: int
    account: int
    next_inbound: int = 1
    next_outbound: int = 1
    connection: int = 0
    cancel_on_disconnect: int = 0
    cancel_window: int = 0
    cancel_at: int = 0
    signed: list[tuple[int, int]] = field(default_factory=list)  # when, and of which text
    signed_floor: int = 0


@dataclass(eq=False)
class Order:
    """One order, from its first report to its last."""

    slot: int
    order_id: int
    account: int = 0
    owner: int = 0
    instrument: int = 0
    side: int = 0  # in YES terms once its outcome side is read
    client_id: int = 0
    session: int = 0
    tag: int = 0
    order_type: int = oe.ORD_TYPE_LIMIT
    force: int = oe.TIME_IN_FORCE_GOOD_TILL_CANCEL
    instructions: int = 0
    trigger: int = 0
    outcome_side: int = 0
    prevention: int = 0
    echo: bytes = b""
    tick: int = 0  # where it stands, or what a market order may go to
    limit_tick: int | None = None
    stop_tick: int | None = None
    quantity: int = 0
    leaves: int = 0
    filled: int = 0
    filled_value: int = 0  # in YES terms
    display: int = 0  # 0: all of it
    visible: int = 0
    expire_time: int = 0
    reserved_tick: int = 0
    reserved: int = 0  # lots that margin is held for
    state: str = NEW
    status: str = "0"
    no_terms: bool = False
    quote: bool = False
    quote_set: int = 0
    protection: "Protection | None" = None
    entered: int = 0  # sequence of its command

    def has(self, instruction: int) -> bool:
        """Whether an ExecInst is set."""
        return self.instructions & instruction != 0


@dataclass(eq=False)
class Position:
    """What an account holds of an instrument, and what that cost."""

    account: int
    instrument: int
    settled_value: int = 0  # of a lot, at the last settlement
    settled_cut: int = 0
    funded_cut: int = 0
    quantity: int = 0
    claim: int = 0  # perpetual: quantity × mark + claim is the profit not yet settled
    due: int = 0  # of it, fixed in the running settlement and not paid yet
    waiting: int = 0  # left unpaid by earlier ones
    entry_value: int = 0
    realized: int = 0


@dataclass(eq=False)
class Protection:
    """Market-maker protection of an account's quotes on one underlying."""

    account: int
    underlying: int
    window: int = 0
    quantity_limit: int = 0
    value_limit: int = 0
    count_limit: int = 0
    session: int = 0
    start: int = 0
    quantity: int = 0
    value: int = 0
    count: int = 0
    trigger: int = 0
    tripped: bool = False

    def reset(self) -> None:
        """Begin a new window."""
        self.start = self.quantity = self.value = self.count = 0
        self.tripped = False


@dataclass
class Account:
    """A holder of balances, positions and orders."""

    number: int
    owner: int
    auto_lend: int
    auto_borrow: int
    state: int = oe.ACCOUNT_STATE_ACTIVE
    balances: dict[int, int] = field(default_factory=dict)
    orders: list[Order] = field(default_factory=list)  # open ones, newest first
    protections: list[Protection] = field(default_factory=list)  # newest first
    cancel_at: int = 0
    follower: int = 0  # session that is told what changes


@dataclass
class Event:
    """A prediction event."""

    number: int
    kind: int
    outcomes: int
    instruments: dict[int, int] = field(default_factory=dict)  # by outcome
    state: int = 0  # 0 open, 1 resolving, 2 resolved


class Instrument:
    """A listed instrument: its rules, its book, its waiting stops."""

    def __init__(self, terms: dict[str, Any], base: Asset | None, quote: Asset) -> None:
        self.number: int = terms["instrument"]
        self.kind: int = terms["kind"]
        self.state: int = terms["state"]
        self.base: int = terms["baseAsset"] if self.kind != oe.INSTRUMENT_KIND_OUTCOME else 0
        self.quote: int = terms["quoteAsset"]
        self.event: int = terms["event"]
        self.outcome: int = terms["outcome"]
        self.tick_size: int = terms["tickSize"]
        self.lot_size: int = terms["lotSize"]
        self.price_band: int = terms["priceBand"]
        self.margin_initial: int = terms["marginBaseInitial"]
        self.margin_maintenance: int = terms["marginBaseMaintenance"]
        self.mark = 0
        self.index = base.index if base is not None else 0
        self.last_tick: int | None = None
        self.traded: dict[int, int] = {}  # lots by the hour of UTC
        self.settled_value = 0
        self.settled_mark = 0
        self.settled_cut = 0
        self.funded_cut = 0
        self.funding_rate = 0
        self.funding_value = 0
        self.funding_positions = 0
        self.funding_remainder = 0
        self.funding_pot = 0
        self.funding_cap = 0
        self.interest_share = self.interest_free = 0  # of one owner: parts per million, lots
        self.payout = 0
        self.resolved_positions = 0
        self.resolved_paid = 0
        self.auction_tick = 0
        self.auction_lots = 0
        self.levels: dict[int, SortedDict] = {oe.SIDE_BUY: SortedDict(), oe.SIDE_SELL: SortedDict()}
        self.stops: dict[tuple[int, int], SortedDict] = {
            (trigger, side): SortedDict() for trigger in (1, 2, 3) for side in (1, 2)
        }
        self.holders: list[Position] = []  # newest first
        self._size(terms, base, quote)

    def _size(self, terms: dict[str, Any], base: Asset | None, quote: Asset) -> None:
        scale = ONE * ONE
        per_lot = self.lot_size * quote.unit
        self.grain = scale // gcd(scale, per_lot)
        self.value_per_grain = self.grain * per_lot // scale
        value, rest = divmod(self.tick_size * per_lot, scale)
        assert rest == 0
        self.value_per_tick_lot = value
        self.one_tick = ONE // self.tick_size if self.is_prediction else 0
        asked = terms["maximumPrice"] // self.tick_size
        self.ticks_maximum = self.one_tick or asked or TICKS_MAX
        limit = min(UNITS_MAX // (self.ticks_maximum * value), QUANTITY_MAX // self.lot_size)
        self.base_per_lot = 0
        if self.kind == oe.INSTRUMENT_KIND_SPOT:
            assert base is not None
            self.base_per_lot = self.lot_size * base.unit // ONE
            limit = min(limit, UNITS_MAX // self.base_per_lot)
        self.lots_minimum = max(1, terms["minimumQty"] // self.lot_size)
        self.lots_maximum = terms["maximumQty"] // self.lot_size or limit
        self.position_maximum = min(limit, terms["positionLimit"] // self.lot_size or limit)

    @property
    def is_prediction(self) -> bool:
        """Whether it pays 0 to 1."""
        return self.kind >= oe.INSTRUMENT_KIND_OUTCOME

    @property
    def is_perpetual(self) -> bool:
        """Whether it is settled in USDC at its mark."""
        return self.kind == oe.INSTRUMENT_KIND_PERPETUAL

    @property
    def is_spot(self) -> bool:
        """Whether base and quote change hands."""
        return self.kind == oe.INSTRUMENT_KIND_SPOT

    @property
    def mark_value(self) -> int:
        """Quote units of one lot at the mark."""
        return self.mark // self.grain * self.value_per_grain

    @property
    def one_value(self) -> int:
        """Quote units of one lot at price 1."""
        return self.one_tick * self.value_per_tick_lot

    def count_lots(self, now: int, lots: int) -> None:
        """So many lots were traded."""
        self.traded[now // HOUR_NS] = self.traded.get(now // HOUR_NS, 0) + lots

    def traded_lately(self, now: int) -> int:
        """Lots of this hour and the 23 before it."""
        first = now // HOUR_NS - 23
        return sum(lots for hour, lots in self.traded.items() if hour >= first)

    def value(self, tick: int, lots: int) -> int:
        """Quote units of lots at a tick."""
        return tick * lots * self.value_per_tick_lot

    def best(self, side: int) -> int | None:
        """The best tick of a side."""
        levels = self.levels[side]
        if not levels:
            return None
        return int(levels.keys()[-1 if side == oe.SIDE_BUY else 0])

    def crosses(self, side: int, tick: int) -> bool:
        """Whether an order of the side at the tick would trade."""
        best = self.best(3 - side)
        if best is None:
            return False
        return tick >= best if side == oe.SIDE_BUY else tick <= best

    def put(self, order: Order) -> None:
        """To the back of the queue at its tick."""
        self.levels[order.side].setdefault(order.tick, []).append(order)

    def take(self, order: Order) -> None:
        """Out of the queue at its tick."""
        level = self.levels[order.side][order.tick]
        level.remove(order)
        if not level:
            del self.levels[order.side][order.tick]

    def put_stop(self, order: Order) -> None:
        """To the back of the stops at its tick."""
        self.stops[order.trigger, order.side].setdefault(order.tick, []).append(order)

    def take_stop(self, order: Order) -> None:
        """Out of the stops."""
        stops = self.stops[order.trigger, order.side]
        stops[order.tick].remove(order)
        if not stops[order.tick]:
            del stops[order.tick]

    def triggered(self, trigger: int, tick: int) -> Order | None:
        """The next stop that a price triggers: buys at or below it, then sells at or above."""
        buys, sells = self.stops[trigger, oe.SIDE_BUY], self.stops[trigger, oe.SIDE_SELL]
        if buys and buys.keys()[0] <= tick:
            return buys.values()[0][0]  # type: ignore[no-any-return]
        if sells and sells.keys()[-1] >= tick:
            return sells.values()[-1][0]  # type: ignore[no-any-return]
        return None
