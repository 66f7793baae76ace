"""The records of what keeps accounts solvent: watched prices, liquidations, backstops, proposals.

    SOURCE    a price that accounts depend on: an asset's index or an instrument's mark
    WATCH     the price at which one account must be looked at again; in its source's heap
    MARKET    limits and insurance of an instrument       RISK   what holds everywhere

Kept apart from `core.records` because nothing on the path of an order touches them. Units as there.
"""

from typing import Any, Protocol

import numpy as np

LIQUIDATIONS_MAX = 1024
BACKSTOPS_MAX = 256
PROPOSALS_MAX = 64
RANKED_MAX = 32

SOURCE = np.dtype(
    [
        ("root", "i4", (2,)),  # of the heaps of watches: 0 the price falls, 1 it rises
        ("next", "i4"),  # of the sources whose price moved; −1 the last, 0 not among them
        ("spare", "i4"),
        ("live_at", "i8"),  # time of the last index with enough sources
    ],
    align=True,
)

WATCH = np.dtype(  # A node of a leftist heap, least key first.
    [
        ("account", "i4"),  # 0 when the record is free; then `account_next` is the next free
        ("source", "i4"),
        ("key", "i8"),  # the price, below zero in the heap of falling prices
        ("left", "i4"),
        ("right", "i4"),
        ("parent", "i4"),
        ("rank", "i4"),
        ("account_next", "i4"),
        ("side", "i4"),
    ],
    align=True,
)

LIQUIDATION = np.dtype(
    [
        ("account", "i4"),  # 0 when the record is free; then `next` is the next free
        ("phase", "i4"),
        ("next", "i4"),  # of those under way
        ("steps", "i4"),
        ("certificate", "i8"),
        ("due", "i8"),  # not before this time
        ("stake", "i8"),  # equity that goes to those who take positions over
        ("recover", "i8"),  # advanced by the insurance account and not yet refunded or absorbed
        ("insured", "i4"),  # orders that insurance stood behind, for the instrument
        ("instrument", "i4"),
    ],
    align=True,
)

DELEVERAGING = np.dtype(  # The ranking of one instrument's holders, taken in slices.
    [
        ("liquidation", "i4"),  # 0 when nobody is being deleveraged
        ("instrument", "i4"),
        ("side", "i4"),  # sign of the positions that are looked for
        ("cursor", "i4"),  # position
        ("count", "i4"),
        ("taken", "i4"),
        ("position", "i4", (RANKED_MAX,)),
        ("rank", "i8", (RANKED_MAX,)),
    ],
    align=True,
)

BACKSTOP = np.dtype(
    [
        ("account", "i4"),  # 0 when the record is free
        ("instrument", "i4"),
        ("next", "i4"),  # of the instrument's
        ("spare", "i4"),
        ("commitment", "i8"),  # USDC units
        ("pledged", "i8"),  # of it in account BACKSTOP
        ("release_at", "i8"),  # when what is above the commitment goes back, 0 never
    ],
    align=True,
)

MARKET = np.dtype(
    [
        ("first_backstop", "i4"),
        ("insurance_set", "i4"),  # 1: its cap has been set before
        ("insurance_cap", "i8"),  # USDC units
        ("insurance_lost", "i8"),
        ("owner_limit", "i8"),  # lots, 0 none
        ("interest_limit", "i8"),  # lots of open interest, 0 none
        ("premium_band", "i8"),  # parts per million, 0 none
        ("premium", "i8"),  # mean of the last mark, 1e-9
        ("position_bound", "i8"),  # lots that arithmetic allows an account to hold
        ("base_initial", "i8"),  # initial margin base as it was set, parts per million
        ("base_wanted", "i8"),  # and as the open interest asks for
        ("scale_start", "i8"),  # USDC units of open interest from which on it rises, 0 never
        ("scale_end", "i8"),  # at which it is scale_most
        ("scale_most", "i8"),  # parts per million
        ("funding_cap", "i8"),  # 1e-9 of the notional in one funding, 0 none
        ("interest_share", "i8"),  # parts per million of open interest that an owner may hold
        ("interest_free", "i8"),  # lots up to which it may be any share
    ],
    align=True,
)

RISK = np.dtype(
    [
        ("enabled", "i8"),
        ("interval", "i8"),  # ns
        ("slice", "i8"),  # parts per million
        ("whole", "i8"),  # USDC units
        ("fillable_spread", "i8"),  # parts per million
        ("fillable_minimum", "i8"),
        ("degraded_wait", "i8"),  # ns
        ("backstop_notice", "i8"),
        ("loosening_delay", "i8"),
        ("proposal_life", "i8"),
        ("listing_ramp", "i8"),  # USDC units a day, of assets registered from now on
        ("joint_assets", "i8"),  # bit per asset that is judged as one with its perpetuals
    ],
    align=True,
)

PROPOSAL = np.dtype(
    [
        ("number", "i4"),  # 0 when the record is free
        ("parameter", "i4"),
        ("role", "i4"),
        ("state", "i4"),
        ("scope", "i8"),
        ("value", "i8"),
        ("time", "i8"),  # when it expires; approved: when it takes effect
        ("proposer", "i4"),  # who signed it, in the order of the configuration; 0 nobody
        ("approver", "i4"),
    ],
    align=True,
)


class Limits(Protocol):
    """What of `core.state.Limits` decides how much there is room for here."""

    @property
    def assets_max(self) -> int: ...
    @property
    def accounts_max(self) -> int: ...
    @property
    def positions_max(self) -> int: ...
    @property
    def instruments_max(self) -> int: ...


def risk_fields(limits: Limits) -> list[Any]:
    """The fields of the state that are about risk."""
    return [
        ("risk", RISK),
        ("watches_used", "i4"),
        ("watch_free", "i4"),
        ("watch_first", "i4"),  # account to be looked at next
        ("watch_last", "i4"),
        ("watch_walk", "i4"),  # account from which on all are still to be looked at, 0 none
        ("source_first", "i4"),  # source whose watches are to be compared next
        ("source_last", "i4"),
        ("watch_sweep", "i4"),  # account that is swept next
        ("watching", "i4"),  # 1: a price moved, and not all is looked at
        ("watch_short", "i4"),  # 1: there was no room for a watch once
        ("liquidations_used", "i4"),
        ("liquidation_free", "i4"),
        ("liquidation_first", "i4"),
        ("liquidation_last", "i4"),
        ("liquidations", "i4"),  # under way
        ("backstops_used", "i4"),
        ("proposals", "i4"),  # waiting or approved
        ("proposal_ids", "i4"),
        ("certificates", "i8"),
        ("liquidation_due", "i8"),  # time of the next step of any liquidation
        ("risk_due", "i8"),  # time of the next proposal or release, 0 none
        ("insurance_advanced", "i8"),  # USDC units, ever
        ("insurance_refunded", "i8"),
        ("insurance_uncovered", "i8"),  # neither refunded nor within a market's cap
        ("deleveraging", DELEVERAGING),
        ("liquidation", LIQUIDATION, (LIQUIDATIONS_MAX + 1,)),
        ("backstops", BACKSTOP, (BACKSTOPS_MAX + 1,)),
        ("proposal", PROPOSAL, (PROPOSALS_MAX,)),
        ("markets", MARKET, (limits.instruments_max,)),
        ("sources", SOURCE, (limits.assets_max + limits.instruments_max,)),
        ("watches", WATCH, (2 * (limits.positions_max + limits.accounts_max),)),
    ]
