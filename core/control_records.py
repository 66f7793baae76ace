"""The records of the controls: kill switches, product gates, the caps of a beta, order limits.

Every number of zero means "not set". One word, `controls.active`, says whether any control is in
force at all; while it is zero the path of an order looks at nothing else.
"""

from typing import Any, Protocol

import numpy as np

GATES_MAX = 256
KILL_OWNER, KILL_SESSION, KILL_MARKET, KILL_PRODUCT, KILL_VENUE = 1, 2, 3, 4, 5
SELF_EXCLUSION = 6  # In events beside the levels: an owner's own wish.
MARKET_CONFLICT = 7  # The same: an owner in the markets that he may decide.
EVENT_DISPUTED = 8  # The same: everybody in an event whose outcome is disputed.
CONFLICTS_MAX = 1024

CONTROLS = np.dtype(
    [
        ("active", "i8"),  # whether anything below, or in the records that follow, is in force
        ("venue_killed", "i4"),
        ("kinds_killed", "i4"),  # bit per InstrumentKind
        ("kills", "i4"),  # owners, sessions and markets that are killed
        ("gating", "i4"),  # 1: without a permission nothing may be traded
        ("limited", "i4"),  # records of order limits that are set
        ("beta", "i4"),  # 1: only the invited trade, within the caps
        ("protected", "i4"),  # owners who asked to be kept from something
        ("conflicts", "i4"),  # of owners with events that they may decide
        ("disputed", "i4"),  # events whose outcome is disputed
        ("spare", "i4"),
        ("beta_start", "i8"),  # ns UTC, from which the ramp counts
        ("beta_notional", "i8"),  # USDC units of an owner at the start, 0 no cap
        ("beta_ramp", "i8"),  # USDC units by which that grows a day
        ("beta_equity", "i8"),  # USDC units of an owner above which nothing is added
        ("beta_loss", "i8"),  # USDC units an owner may have lost
        ("beta_interest", "i8"),  # USDC units of open interest of all markets together
    ],
    align=True,
)

GATE = np.dtype(  # The first that fits an owner and a product decides.
    [
        ("decision", "i4"),  # GateDecision, 0 when the place is empty
        ("country", "i4"),  # two letters, the first the higher byte; 0 any
        ("licence", "i4"),  # 0 any
        ("client_class", "i4"),  # 0 any
        ("kind", "i4"),  # InstrumentKind, 0 any
        ("spare", "i4"),
    ],
    align=True,
)

DAY_LIMIT = np.dtype(  # What an owner has himself held to in a day.
    [
        ("most", "i8"),  # USDC units; 0 none
        ("next", "i8"),  # what it will be from `next_at` on, if that isn't 0
        ("next_at", "i8"),
    ],
    align=True,
)

OWNER_CONTROL = np.dtype(
    [
        ("killed", "i4"),
        ("invited", "i4"),
        ("country", "i4"),
        ("licence", "i4"),
        ("client_class", "i4"),
        ("permissions", "i4"),  # a GateDecision less one by InstrumentKind, two bits each
        ("valid_until", "i8"),  # ns UTC: from then on positions may only be closed; 0 for ever
        ("decided", "i8"),  # sequence of the command that decided
        ("protected", "i8"),  # 1: one of the following is set
        ("excluded_until", "i8"),  # ns UTC: until then positions may only be closed
        ("losses", DAY_LIMIT),
        ("day", "i8"),  # when the day began of which the profit at its first order was
        ("day_profit", "i8"),  # USDC units
        ("deposits", DAY_LIMIT),
        ("deposit_day", "i8"),  # when the day began of which so much was deposited
        ("deposited", "i8"),  # USDC units
        ("conflicts", "i8"),  # events that the owner may decide
    ],
    align=True,
)

CONFLICT = np.dtype([("owner", "i4"), ("event", "i4")], align=True)  # owner 0: a free place

ORDER_LIMIT = np.dtype(  # Of an account; the record of account 0 is for all without their own.
    [
        ("given", "i4"),  # 1: it has limits
        ("open_orders", "i4"),
        ("value", "i8"),  # quote units of one order
        ("daily_value", "i8"),  # quote units of all orders of a day of UTC
        ("interval", "i8"),  # ns between two orders, in the long run
        ("tolerance", "i8"),  # ns by which they may come earlier: the burst
        ("pause", "i8"),  # ns without new orders after a breach
        ("order_to_trade", "i8"),  # orders for each trade of a day; 0 any
        ("free_orders", "i8"),  # of a day, without a trade
        ("executions", "i8"),  # trades of a window after which a person must look; 0 any
        ("execution_window", "i8"),  # ns
        ("volume_share", "i8"),  # parts per million of the instrument's day that an order may be
        ("volume_free", "i8"),  # quote units up to which it may be any share
        # What the account has used.
        ("arrival", "i8"),  # when the next order is due if none came early
        ("paused_until", "i8"),
        ("day", "i8"),  # when it began
        ("day_value", "i8"),
        ("day_orders", "i8"),
        ("day_trades", "i8"),
        ("window", "i8"),  # when it began
        ("window_trades", "i8"),
        ("disabled", "i8"),  # 1: until its limits are set again
    ],
    align=True,
)


class Limits(Protocol):
    """How many there may be of what controls are about."""

    @property
    def owners_max(self) -> int: ...
    @property
    def accounts_max(self) -> int: ...
    @property
    def instruments_max(self) -> int: ...
    @property
    def sessions_max(self) -> int: ...


def control_fields(limits: Limits) -> list[Any]:
    """The fields of the state that are about controls."""
    return [
        ("controls", CONTROLS),
        ("gates", GATE, (GATES_MAX,)),
        ("conflicts", CONFLICT, (CONFLICTS_MAX,)),
        ("owner_controls", OWNER_CONTROL, (limits.owners_max,)),
        ("order_limits", ORDER_LIMIT, (limits.accounts_max,)),
        ("sessions_killed", "i1", (limits.sessions_max,)),
        ("markets_killed", "i1", (limits.instruments_max,)),
    ]
