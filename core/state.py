"""THE state of the core: one structured record with nested arrays, allocated once from limits.

A snapshot is its bytes, the digest is a hash of its bytes, an inspector is a read-only map of its
bytes. Compiled functions take the record (`s`) and nothing else.

    ┌────────────────────────────────────────────────────────────┬──────────────┐
    │ durable: counters, orders, levels, accounts, positions, …  │ work         │
    └────────────────────────────────────────────────────────────┴──────────────┘
     ← digest and snapshot cover this, a pure function of the     ← where events
       journal                                                      go, scratch

Everything reached by index (orders, levels, accounts, positions) is a record of its own; what is
walked whole stands in narrow arrays. Index 0 is "none" in every pool that is linked by index, so
that memory of zeros is an empty exchange.

Units: `*_ticks`/`tick` are price steps of the instrument, `lots` quantity steps, `*_value` and
`balance` whole units of an asset, prices without a suffix int64 with exponent −8, times ns UTC.
"""

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from core.control_records import control_fields
from core.layout import laid_out, on_lines
from core.pages import private_memory
from core.records import (
    ASSET,
    BALANCE,
    CLAIM,
    CLIENT_KEY,
    DESTINATION,
    DESTINATIONS_MAX,
    DETAIL,
    ECHO_MAX,
    EVENT,
    EXPIRY,
    FEE,
    FEE_TIERS,
    GROUP,
    INSTRUMENT,
    INSTRUMENT_KINDS,
    JOB,
    JOBS_MAX,
    NODE,
    ORDER,
    OWNER,
    PAGE,
    POSITION,
    PRODUCER,
    PRODUCERS,
    PROTECTION,
    RISK_ARRAY,
    RISK_GRID,
    SESSION,
    WITHDRAWAL,
    WITHDRAWALS_MAX,
    WORK,
)
from core.risk_records import risk_fields


class Limits(Protocol):
    """How much of everything there is room for; `core.config.Limits` is one."""

    @property
    def assets_max(self) -> int: ...
    @property
    def owners_max(self) -> int: ...
    @property
    def accounts_max(self) -> int: ...
    @property
    def positions_max(self) -> int: ...
    @property
    def instruments_max(self) -> int: ...
    @property
    def events_max(self) -> int: ...
    @property
    def orders_max(self) -> int: ...
    @property
    def levels_max(self) -> int: ...
    @property
    def sessions_max(self) -> int: ...


def _account(limits: Limits) -> np.dtype[Any]:
    return on_lines(
        [
            # Two cache lines, with the first of the assets: what every order reads.
            ("owner", "i4"),
            ("state", "i4"),  # AccountState, 0 when there is no such account
            ("first_order", "i4"),
            ("open_orders", "i4"),
            ("first_position", "i4"),
            ("first_linear", "i4"),  # of the positions in spot pairs and perpetuals
            ("linked", "i4"),  # how many positions in price links
            ("limited", "i4"),  # 1: a provider, or one of the limits below or of its owner is set
            ("auto_lend", "i2"),
            ("auto_borrow", "i2"),
            ("follower", "i4"),  # session that is told what changes, 0 none
            ("assets_seen", "i8"),  # bit per asset: its balance was ever touched
            ("assets_unreported", "i8"),  # and since it was last reported to the ledger
            ("price_version", "i8"),  # the state's, when the two sums below were computed
            ("profit", "i8"),  # sums over its spot pairs and perpetuals
            ("initial", "i8"),
            ("floor", "i8"),  # sum over its events and lone predictions of the worst payoff
            ("reaching", "i8"),  # bit per asset: a perpetual's order may lose at both ends
            ("assets", BALANCE, (limits.assets_max,)),
            # The rest.
            ("first_protection", "i4"),
            ("owner_next", "i4"),
            ("watch_next", "i4"),  # of those to be looked at again; −1 the last, 0 not among them
            ("first_watch", "i4"),
            ("liquidation", "i4"),  # under way, else 0
            ("margin_level", "i4"),  # as last looked at: 1 below the initial margin
            ("backstop", "i4"),  # of a provider, its record; else 0
            ("cancel_at", "i8"),  # dead-man timer, 0 none
            ("leverage_limit", "i8"),  # thousandths, 0 none
            ("exposure_limit", "i8"),  # USDC units, 0 none
            ("borrowing_limit", "i8"),  # USDC units, 0 none
            ("name", "u1", (48,)),
        ]
    )


SETTLEMENT = (  # Of the running cycle, or the last one; USDC units.
    ("settlement_cycle", "i8"),
    ("settlement_positions", "i8"),
    ("settlement_debits", "i8"),
    ("settlement_credits", "i8"),
    ("settlement_short", "i8"),  # what losers of the cycle still owe
    ("settlement_advanced", "i8"),  # by the liquidity fund in the cycle
    ("settlement_carried", "i8"),  # in the pot when the cycle began
    ("settlement_pot", "i8"),  # in CLEARING, taken and not yet given by settlements
    ("fund_claim", "i8"),  # what losers owe the liquidity fund
    ("claims_waiting", "i8"),  # what winners wait for
)


def power_of_two(number: int) -> int:
    """The smallest power of two that isn't below the number."""
    return 1 << max(0, number - 1).bit_length()


def state_dtype(limits: Limits) -> np.dtype[Any]:
    """The layout of the state for the limits; equal limits give equal layouts."""
    pages = max(64, limits.levels_max // 8)
    return laid_out(
        [
            ("layout_version", "i8"),
            ("sequence", "i8"),  # of the last command applied
            ("time", "i8"),
            ("event_position", "i8"),  # where the next event goes in the event stream
            ("events", "i8"),  # count, and the last execId
            ("trades", "i8"),
            ("orders_used", "i8"),  # slots ever used; those below are free when in the ring
            ("orders_open", "i8"),
            ("free_first", "i8"),
            ("free_count", "i8"),
            ("order_ids", "i8"),
            ("pages_used", "i4"),
            ("page_free", "i4"),
            ("nodes_used", "i4"),
            ("node_free", "i4"),
            ("positions_used", "i4"),
            ("position_free", "i4"),
            ("groups_used", "i4"),
            ("group_free", "i4"),
            ("protections_used", "i4"),
            ("expiries", "i4"),
            ("jobs", "i4"),
            ("next_timer", "i8"),  # earliest of all timers that run, 0 when none does
            ("trigger_pending", "i4"),  # instrument with stops still to execute
            ("auction_pending", "i4"),  # instrument whose opening auction still trades
            ("protection_pending", "i4"),  # tripped protection whose quotes are to be cancelled
            ("withdrawals", "i4"),
            ("withdrawal_ids", "i8"),
            ("price_version", "i8"),  # counts changes of any mark or index
            *SETTLEMENT,
            ("destinations_used", "i8"),
            ("payouts_in_clearing", "i8"),  # USDC units taken from shorts and not yet paid
            ("accounts_used", "i4"),  # highest account number registered
            ("instruments_listed", "i4"),  # highest instrument number listed
            *risk_fields(limits), *control_fields(limits),
            ("producers", PRODUCER, (PRODUCERS,)),
            ("fees", FEE, (FEE_TIERS, INSTRUMENT_KINDS)),
            ("job", JOB, (JOBS_MAX,)),
            ("assets", ASSET, (limits.assets_max,)),
            ("owners", OWNER, (limits.owners_max,)),
            ("sessions", SESSION, (limits.sessions_max,)),
            ("event_groups", EVENT, (limits.events_max,)),
            ("instruments", INSTRUMENT, (limits.instruments_max,)),
            ("risk_grids", RISK_GRID, (limits.assets_max,)),
            ("risk_arrays", RISK_ARRAY, (limits.instruments_max,)),
            ("accounts", _account(limits), (limits.accounts_max,)),
            ("positions", POSITION, (limits.positions_max,)),
            ("groups", GROUP, (limits.positions_max // 4 + 64,)),
            ("claims", CLAIM, (limits.positions_max,)),
            ("position_index", "i4", (power_of_two(2 * limits.positions_max),)),
            ("changes", "i4", (limits.positions_max,)),  # see engine.following; 0 between commands
            ("protections", PROTECTION, (4096,)),
            ("withdrawal", WITHDRAWAL, (WITHDRAWALS_MAX,)),
            ("destinations", DESTINATION, (DESTINATIONS_MAX,)),
            ("orders", ORDER, (limits.orders_max,)),
            ("details", DETAIL, (limits.orders_max,)),
            ("echoes", "u1", (limits.orders_max, ECHO_MAX)),
            ("free_orders", "i4", (power_of_two(limits.orders_max),)),
            ("client_index", CLIENT_KEY, (power_of_two(2 * limits.orders_max),)),
            ("expiry", EXPIRY, (limits.orders_max + 1,)),
            ("nodes", NODE, (pages,)),
            ("pages", PAGE, (pages,)),
            ("work", WORK),
        ]
    )


def durable_size(dtype: np.dtype[Any]) -> int:
    """Bytes of the state that the digest and a snapshot cover."""
    fields = dtype.fields
    assert fields is not None
    return int(fields["work"][1])


def new_state(limits: Limits, buffer: memoryview | None = None) -> NDArray[Any]:
    """An empty exchange; in `buffer` (all zeros) when one is given, else in memory of its own."""
    dtype = state_dtype(limits)
    return np.frombuffer(buffer or private_memory(dtype.itemsize), dtype, count=1)
