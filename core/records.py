"""The records of which the state is made, each drawn once: fields, widths, units.

    orders     ORDER, DETAIL, CLIENT_KEY, EXPIRY      books      INSTRUMENT, LEVEL, PAGE, NODE
    accounts   BALANCE, POSITION, GROUP, OWNER        the rest   ASSET, SESSION, JOB, WORK, …

None depends on a limit; `core.state` puts them together. Index 0 is "none" in every pool that is
linked by index. Units: `*_ticks`/`tick` are price steps of the instrument, `lots` quantity steps,
`*_value` and `balance` whole units of an asset, prices without a suffix int64 with exponent −8,
times ns UTC.
"""

import numpy as np

from core.layout import on_lines
from core.margin_records import (
    LINE,
    LINEAR_ORDER,
    LINEAR_ORDERS_MAX,
    LINES_MAX,
    LINK_ORDER,
    LINK_ORDERS_MAX,
    RESULT,
    UNIT,
)
from core.margin_records import NODE as NODE_VIEW

PRODUCERS = 16
FEE_TIERS = 8
INSTRUMENT_KINDS = 8
OUTCOMES_MAX = 32
PAGE_LEVELS = 64
ECHO_MAX = 160
RISK_NODES_MAX = 64
RISK_COLUMNS_MAX = 8
RISK_LEVELS_MAX = 3
ARRAYS_AGE_MAX = 60_000_000_000  # ns; older risk arrays net nothing
SIGNED_MAX = 8  # Logons of a session remembered, see core/engine/signed.py
LAYOUT_VERSION = 16

# Accounts of the house, owned by owner 1; clients' start at FIRST_CLIENT.
FEES, INSURANCE, CLEARING, POOL, WITHDRAWALS, ROUNDING, BACKSTOP_FUND = 1, 2, 3, 4, 5, 6, 7
LIQUIDITY = 8
HOUSE_OWNER = 1
HOUSE_ACCOUNTS = 9
FIRST_CLIENT = 100

# `order.state`
FREE, RESTING, STOPPED, DONE = 0, 1, 2, 3
# `order.flags`
QUOTE, REDUCE_ONLY, POST_ONLY, SURVIVES_DISCONNECT, NO_TERMS = 1, 2, 4, 8, 16

ORDER = np.dtype(  # What matching touches: one cache line.
    [
        ("order_id", "i8"),
        ("leaves", "i8"),  # lots, shown and hidden
        ("visible", "i8"),  # lots the book shows
        ("tick", "i4"),  # of a stopped order: its trigger
        ("level", "i4"),  # page * 64 + slot
        ("next", "i4"),
        ("previous", "i4"),
        ("instrument", "i4"),
        ("account", "i4"),
        ("owner", "i4"),
        ("position", "i4"),
        ("side", "i1"),  # Side of the schema: 1 buy, 2 sell
        ("state", "i1"),
        ("flags", "u1"),
        ("self_trade_prevention", "i1"),
        ("spare", "i4"),
    ],
    align=True,
)
assert ORDER.itemsize == 64

DETAIL = on_lines(  # What reports and the order's owner need: two cache lines.
    [
        ("client_order_id", "i8"),
        ("quantity", "i8"),  # lots
        ("filled", "i8"),  # lots
        ("filled_value", "i8"),  # quote units, in YES terms
        ("expire_time", "i8"),  # 0 never
        ("display", "i8"),  # lots, 0 shows everything
        ("limit_tick", "i4"),  # -1 for market orders
        ("stop_tick", "i4"),  # -1 for none
        ("session", "i4"),
        ("tag", "u4"),
        ("quote_set", "u4"),
        ("account_next", "i4"),
        ("account_previous", "i4"),
        ("expiry_place", "i4"),  # in the heap of expiries, 0 when not there
        ("order_type", "i1"),
        ("time_in_force", "i1"),
        ("exec_inst", "u1"),
        ("trigger_type", "i1"),
        ("status", "i1"),  # OrdStatus of the schema
        ("outcome_side", "i1"),
        ("echo_length", "u1"),
        ("spare", "i1"),
        ("entry_sequence", "i8"),
        ("entry_time", "i8"),
        ("reserved_tick", "i4"),  # the price the margin room holds it at
        ("protection", "i4"),  # of a quote: its market-maker protection, else 0
    ],
)
assert DETAIL.itemsize == 128

CLIENT_KEY = np.dtype([("client_order_id", "i8"), ("session", "i4"), ("order", "i4")], align=True)
LEVEL = np.dtype(
    [("quantity", "i8"), ("first", "i4"), ("last", "i4"), ("count", "i4"), ("spare", "i4")],
    align=True,
)
PAGE = on_lines([("occupied", "i8"), ("level", LEVEL, (PAGE_LEVELS,))])
NODE = np.dtype([("occupied", "i8"), ("child", "i4", (64,))], align=True)

BALANCE = np.dtype(
    [
        ("balance", "i8"),  # below zero is borrowed
        ("reserved", "i8"),  # by open orders on spot pairs and to buy predictions
        ("index", "i8"),  # of interest at the last touch, 1e-12
        ("earned", "i8"),  # interest received for lending, all of it
    ],
    align=True,
)

POSITION = on_lines(  # Two cache lines: what a margin check reads, what a fill or payout adds.
    [
        ("account", "i4"),  # 0 when the record is free
        ("instrument", "i2"),
        ("lowest_buy_bits", "i2"),  # of a perpetual: no open buy is below the tick 1 << it
        ("quantity", "i8"),  # lots, signed; of a prediction in YES terms
        ("open_buy", "i8"),  # lots of open buy orders
        ("open_sell", "i8"),
        ("open_buy_value", "i8"),  # at their limit prices, quote units; of a perpetual what each
        ("open_sell_value", "i8"),  # of them loses against the mark, 0 where it gains, summed
        ("profit", "i8"),  # as last computed: unrealised; of a lone prediction its worst payoff
        ("initial", "i8"),  # requirement as last computed
        ("unsettled", "i8"),  # quote units since the last settlement, excluding the mark's move
        ("entry_value", "i8"),  # quote units paid (long) or received (short, negative)
        ("realized", "i8"),
        ("settled_value", "i8"),  # quote units of one lot at the last settlement's mark
        ("account_next", "i4"),  # in the list of free records when free
        ("account_previous", "i4"),
        ("linear_next", "i4"),  # of the account's spot pairs and perpetuals
        ("holder_next", "i4"),  # of the instrument's
        ("group", "i4"),  # of an event's outcome
        ("settled_cut", "i4"),  # the instrument's, when last settled
        ("funded_cut", "i4"),
        ("highest_buy", "i4"),  # of a perpetual: no open buy is above this tick
    ],
    shared={"lowest_sell": "group"},  # of a perpetual: no open sell is below this tick, 0 none
)
assert POSITION.itemsize == 128

GROUP = on_lines(  # What one account has at stake in one event.
    [
        ("account", "i4"),  # 0 when the record is free; then `event` is the next free
        ("event", "i4"),
        ("kind", "i4"),  # EventKind
        ("outcomes", "i4"),
        ("none", "i8"),  # quote units at the worst fills when no outcome comes true
        ("floor", "i8"),  # the least over all vertices
        ("gain", "i8", (OUTCOMES_MAX,)),  # what each outcome coming true adds to `none`
        ("position", "i4", (OUTCOMES_MAX,)),
    ],
)

RISK_GRID = np.dtype(  # The scenarios in which an underlying's price links are valued together.
    [
        ("version", "i8"),  # 0 none yet
        ("time", "i8"),
        ("index", "i8"),
        ("sigma_initial", "i8"),  # parts per million
        ("sigma_maintenance", "i8"),
        ("perpetual", "i4"),  # instrument whose margin bases these are
        ("nodes", "i4"),
        ("columns", "i4"),
        ("spare", "i4"),
        ("delta", "i4", (RISK_NODES_MAX,)),  # parts per million, rounded
        ("scans", "i4", (RISK_NODES_MAX,)),  # 1 initially, 2 for maintenance, 4 an extreme
        ("level", "i8", (RISK_LEVELS_MAX,)),  # expiries up to which columns settle links, 0 none
        ("strike", "i8", (RISK_NODES_MAX,)),  # exponent -8, 0 for none
        ("move", "i8", (RISK_NODES_MAX, 2)),  # exact: a rate of core.wide
        ("share", "i8", (RISK_NODES_MAX, 2)),  # of an extreme: theta / |move|, a rate
    ],
    align=True,
)

RISK_ARRAY = np.dtype(  # What a price link would be worth in them.
    [
        ("version", "i8"),  # of the grid it belongs to
        ("netted", "i8"),  # 1e-3
        ("value", "i4", (RISK_NODES_MAX * RISK_COLUMNS_MAX,)),  # parts per million
    ],
    align=True,
)

PROTECTION = on_lines(  # Market-maker protection of (account, underlying).
    [
        ("account", "i4"),
        ("underlying", "i4"),
        ("window", "i8"),
        ("quantity_limit", "i8"),  # exponent -8
        ("value_limit", "i8"),
        ("count_limit", "i8"),
        ("window_start", "i8"),
        ("quantity", "i8"),
        ("value", "i8"),
        ("count", "i8"),
        ("tripped", "i4"),  # 1: no quotes until it is reset
        ("trigger", "i4"),  # what tripped it: 1 quantity, 2 value, 3 count
        ("next", "i4"),  # of the account's
        ("pending_next", "i4"),  # of those whose quotes are still to be cancelled
        ("session", "i4"),  # that quotes under it, for the notice
        ("spare", "i4"),
    ],
)

PRODUCER = np.dtype(
    [("ring_position", "i8"), ("last_key", "i8"), ("commands", "i8"), ("spare", "i8")], align=True
)

SESSION = on_lines(
    [
        ("registered", "i4"),
        ("owner", "i4"),
        ("account", "i4"),
        ("kind", "i4"),
        ("version", "i8"),
        ("connection", "i8"),  # 0 when nobody is connected
        ("next_inbound", "i8"),
        ("next_outbound", "i8"),
        ("cancel_at", "i8"),  # time at which cancel-on-disconnect strikes, 0 none
        ("cancel_window", "i8"),  # ns
        ("cancel_on_disconnect", "i4"),
        ("producer", "i4"),
        ("following", "i4"),  # how many accounts
        ("signed_floor", "i8"),  # ns UTC: nothing signed up to then opens it any more
        ("signed_times", "i8", (SIGNED_MAX,)),  # what was signed to open it, 0: a free place
        ("signed_marks", "i8", (SIGNED_MAX,)),
        ("name", "u1", (48,)),
    ],
)

ASSET = np.dtype(
    [
        ("registered", "i4"),
        ("decimals", "i4"),
        ("unit", "i8"),  # 10 ** decimals
        ("lendable", "i4"),
        ("borrowable", "i4"),
        ("haircut_initial", "i8"),  # parts per million
        ("haircut_maintenance", "i8"),
        ("borrow_margin_initial", "i8"),
        ("borrow_margin_maintenance", "i8"),
        ("borrow_limit", "i8"),
        ("utilisation_ceiling", "i8"),
        ("reserve_share", "i8"),
        ("utilisation_bound", "i8"),  # parts per million, below the ceiling for now; 0 none
        ("borrow_index", "i8"),  # 1e-12
        ("lend_index", "i8"),
        ("borrowed", "i8"),  # units, sum of negative balances as last touched
        ("lent", "i8"),  # units, sum of positive balances of clients
        ("deposited", "i8"),
        ("withdrawn", "i8"),
        ("index_price", "i8"),  # exponent -8, in USDC
        ("value_divisor", "i8"),  # value = amount x index_price / value_divisor
        ("value_factor", "i8"),  # the same as amount x value_factor >> value_shift
        ("value_shift", "i8"),
        ("above_stable", "i8"),  # how much the index is above a slow price, exponent -8, at least 0
        ("below_stable", "i8"),  # and below it
        ("stable_price", "i8"),  # the slow price, exponent -8; 0 none
        ("collateral_cap", "i8"),  # USDC units of all there is that count for new risk, 0 none
        ("collateral_ramp", "i8"),  # USDC units a day by which that grows, 0 at once
        ("ramp_start", "i8"),  # ns UTC
        ("withdrawal_share", "i8"),  # parts per million of the mean that may be gone, 0 none
        ("mean", "i8"),  # units that there were in the last 24 hours, brought up to `mean_at`
        ("mean_at", "i8"),
        ("index_state", "i4"),
        ("index_sources", "i4"),
        ("first_instrument", "i4"),  # of those that have it as their base
        ("perpetual", "i4"),  # the first listed, whose rates are the underlying's; 0 none
        ("hedge_initial", "i8"),  # parts per million, as the next three
        ("hedge_maintenance", "i8"),
        ("weight", "i8"),  # of spot beside perpetuals; 0: they are not judged as one
        ("weight_base", "i8"),
        ("weight_penalty", "i8"),  # 1e-9 per square root of a whole USDC
        ("name", "u1", (32,)),
    ],
    align=True,
)

TRADED_HOURS = 24

INSTRUMENT = on_lines(
    [
        # Matching: best prices, roots of the price levels by side (0 buy, 1 sell).
        ("best", "i4", (2,)),  # tick + 1, 0 when the side is empty
        ("root", "i4", (2,)),
        ("kind", "i4"),
        ("state", "i4"),
        ("depth", "i4"),  # levels of the price tree above the pages, 1 to 3
        ("last_tick", "i4"),  # tick + 1, 0 before the first trade
        ("value_per_tick_lot", "i8"),  # quote units
        # The margin room: a lot's value at the mark, and the requirement on a notional.
        ("mark_value", "i8"),  # quote units of one lot at the mark
        ("margin_base_initial", "i8"),  # parts per million
        ("margin_base_maintenance", "i8"),
        ("margin_factor_initial", "i8"),  # 1e-9
        ("margin_factor_maintenance", "i8"),
        ("size_threshold_initial", "i8"),  # notional above which the factor decides
        ("size_threshold_maintenance", "i8"),
        ("base_per_lot", "i8"),  # units of the base asset, of a spot pair
        ("one_value", "i8"),  # quote units of one lot at price 1, of a prediction
        ("position_maximum", "i8"),  # lots, held and on order, of one account
        ("ticks_maximum", "i8"),
        ("lots_minimum", "i8"),
        ("lots_maximum", "i8"),
        ("tick_size", "i8"),  # exponent -8
        ("tick_inverse", "i8"),  # exact division by multiplication, see engine.units
        ("tick_shift", "i8"),
        ("tick_quotient_maximum", "i8"),
        ("lot_size", "i8"),
        ("lot_inverse", "i8"),
        ("lot_shift", "i8"),
        ("lot_quotient_maximum", "i8"),
        ("base", "i4"),
        ("quote", "i4"),
        ("event", "i4"),
        ("outcome", "i4"),
        ("one_tick", "i4"),  # ticks of price 1.0, of a prediction
        ("price_band", "i4"),  # parts per million, 0 none
        # Stops waiting, by trigger (0 last, 1 mark, 2 index) and side.
        ("stop_root", "i4", (3, 2)),
        ("stop_best", "i4", (3, 2)),  # tick + 1 of the next to trigger
        ("open_orders", "i8"),
        ("trades", "i8"),
        ("open_interest", "i8"),  # lots
        ("traded", "i8"),  # lots, since the listing
        ("hour_ends", "i8"),  # ns UTC: from then on another hour of what was traded is counted
        ("mark", "i8"),  # exponent -8, a multiple of the grain
        ("index", "i8"),
        ("grain", "i8"),  # least price step at which a lot is worth whole quote units
        ("value_per_grain", "i8"),  # quote units of one lot at one grain
        ("settled_mark", "i8"),  # of the last completed or running settlement
        ("settled_value", "i8"),  # quote units of one lot at it
        ("settled_cut", "i4"),  # counts settlements; positions behind it are unsettled
        ("funded_cut", "i4"),
        ("funding_rate", "i8"),  # of the last completed or running funding, 1e-9
        ("funding_value", "i8"),  # quote units of one lot at its mark
        ("funding_positions", "i8"),
        ("funding_remainder", "i8"),  # quote units owed and not due to others so far: the rounding
        ("funding_pot", "i8"),  # quote units taken and not given so far
        ("resolved_positions", "i8"),
        ("resolved_paid", "i8"),  # quote units to the longs
        ("payout_value", "i8"),  # quote units of one lot, when resolved
        ("auction_tick", "i4"),  # of the auction that trades, else 0
        ("auction_lots", "i8"),  # traded in it so far
        ("first_holder", "i4"),  # position
        ("holders", "i4"),
        ("lower_strike", "i8"),
        ("upper_strike", "i8"),
        ("expiry", "i8"),
        ("payout", "i8"),  # exponent -8, when resolved
        ("position_limit", "i8"),  # lots, 0 none
        ("next_of_underlying", "i4"),  # instrument, of the base asset's
        ("limited", "i4"),  # 1: the market or its event has limits besides the position's
        ("hour", "i4"),  # the running one's place among the following
        ("traded_before", "i8", (TRADED_HOURS,)),  # `traded` as each hour began
        ("rules_hash", "u1", (32,)),
        ("symbol", "u1", (32,)),
    ],
)

OWNER = on_lines(
    [
        ("registered", "i4"),
        ("fee_tier", "i4"),
        ("self_trade_prevention", "i4"),
        ("first_account", "i4"),
        ("listed", "i4"),  # 1: withdrawals go to destinations of the owner's list only
        ("destinations", "i4"),  # how many the list has
        ("lifted_at", "i8"),  # time from which the list no longer holds, 0 none
        ("delay", "i8"),  # ns that withdrawals and looser rules wait
        ("delay_next", "i8"),  # a shorter one, from
        ("delay_at", "i8"),  # this time on; 0 none
        ("exposure_limit", "i8"),  # USDC units over all its accounts, 0 none
        ("name", "u1", (48,)),
    ],
)

EVENT = np.dtype(  # A prediction event: its outcomes are instruments.
    [
        ("kind", "i4"),  # EventKind, 0 when there is no such event
        ("outcomes", "i4"),
        ("state", "i4"),  # 0 open, 1 resolving, 2 resolved
        ("disputed", "i4"),  # 1: positions may only be closed
        ("account_limit", "i8"),  # USDC units one account may lose in it, 0 none
        ("owner_limit", "i8"),
        ("instrument", "i4", (OUTCOMES_MAX,)),
        ("rules_hash", "u1", (32,)),
    ],
    align=True,
)

FEE = np.dtype([("maker", "i8"), ("taker", "i8")], align=True)  # parts per million of the value

EXPIRY = np.dtype([("time", "i8"), ("order", "i4"), ("spare", "i4")], align=True)

WITHDRAWAL = np.dtype(
    [
        ("id", "i8"),
        ("account", "i4"),
        ("asset", "i4"),
        ("amount", "i8"),
        ("state", "i4"),  # WithdrawalState, 0 when the record is free
        ("session", "i4"),
        ("request_id", "i8"),
        ("release", "i8"),  # custody isn't asked before
        ("destination", "u1", (64,)),
    ],
    align=True,
)
WITHDRAWALS_MAX = 4096

DESTINATION = np.dtype(  # Where an owner lets withdrawals go.
    [
        ("owner", "i4"),  # 0 when the record is free
        ("spare", "i4"),
        ("begins", "i8"),  # time from which it holds
        ("text", "u1", (64,)),
    ],
    align=True,
)
DESTINATIONS_MAX = 4096

CLAIM = np.dtype(  # What a position is owed by settlements, beside its record.
    [
        ("waiting", "i8"),  # quote units left unpaid by earlier cycles: first in the next
        ("due", "i8"),  # fixed in the running cycle because it traded, and not yet paid
    ],
    align=True,
)

JOB = np.dtype(  # Work done in slices between commands: settlement, funding, payouts, reports.
    [
        ("kind", "i4"),
        ("phase", "i4"),
        ("subject", "i4"),  # instrument, event, session or account it is about
        ("place", "i4"),  # where in an outer walk it is
        ("cursor", "i4"),  # where in the inner one
        ("reason", "i4"),
        ("cycle", "i8"),
        ("count", "i8"),
        ("debits", "i8"),
        ("credits", "i8"),
        ("key", "i8"),
    ],
    align=True,
)
JOBS_MAX = 64

WORK = np.dtype(  # Of the running command; not part of the digest.
    [
        ("event_data", "i8"),  # address of the event ring's data
        ("event_mask", "i8"),
        ("sequence", "i8"),
        ("time", "i8"),
        ("session", "i8"),
        ("producer", "i8"),
        ("message_sequence", "i8"),
        ("echo", "i8"),  # address of the echo's length byte, 0 for none
        ("detail", "i8"),  # of a reject: the value, and
        ("limit", "i8"),  # the rule's limit
        ("event_index", "i8"),
        ("fills", "i8"),  # trades of this command so far
        ("last_event", "i8"),  # address of the newest ExecutionReport's flags
        ("taker_report", "i8"),  # address of the taker's newest report in this command, else 0
        ("triggered", "i8"),  # instrument whose last price moved, 0 none
        ("changed_first", "i8"), ("changed_last", "i8"),  # positions to tell followers of, 0 none
        ("addressed", "i8"),  # bits of the gateways whose sessions were told something
        ("consumed", "i8", (PRODUCERS,)),  # of each producer's ring, in this batch
        ("scratch", "i8", (4096,)),
        ("equity", "i8"),  # of an account in liquidation, before its step
        ("initial", "i8"),
        ("maintenance", "i8"),
        ("choice", "i8", (8,)),  # the order chosen for it
        ("asked", "i8", (4,)),  # position, side, tick, lots of an order that is being judged
        ("aside", "i8"),  # slot of an order that a replace has set aside, else 0
        ("alone", "i8"),  # 1: look at an account's perpetuals only
        ("worst_expiry", "i8"),  # where what margin refused would lose most (margin.worst)
        ("worst_outcome", "i8"), ("worst_move", "i8"), ("worst_asset", "i8"),
        ("unit", UNIT),  # an account's stake in an underlying, as margin looks at it
        ("result", RESULT),
        ("nodes", NODE_VIEW, (RISK_NODES_MAX,)),
        ("lines", LINE, (LINES_MAX,)),
        ("linear_orders", LINEAR_ORDER, (LINEAR_ORDERS_MAX,)),
        ("link_orders", LINK_ORDER, (LINK_ORDERS_MAX,)),
    ],
    align=True,
)
