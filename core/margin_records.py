"""What a margin judgement looks at: one account's stake in one underlying, in fixed units.

The live engine fills these from the state, `onebook margin` from a case file; the functions of
core.engine.margin judge both. Units:

    money           wide numbers (two words, core.wide), 1e-20 USDC
    rates, prices of predictions   1e-12
    face            of a prediction: what its quantity pays at 1, 1e-8 USDC
    moves, weights  rates of core.wide
"""

import numpy as np

WORDS = ("i8", (2,))
INITIAL, MAINTENANCE = 0, 1
KINDS = 2
MONEY_ONE = 10**20
RATE_UNIT = 10**12
FACE_ONE = 10**8
LINES_MAX, LINEAR_ORDERS_MAX, LINK_ORDERS_MAX = 32, 1024, 4096  # of a live account's unit

UNIT = np.dtype(
    [
        ("spot", *WORDS),  # balance × index; below zero is borrowed
        ("perpetual", *WORDS),  # quantity × mark, of all perpetuals
        ("sigma", "i8", (KINDS,)),
        ("size_factor", "i8", (KINDS,)),
        ("hedge", "i8", (KINDS,)),
        ("borrow", "i8", (KINDS,)),
        ("weight", "i8"),  # w0: of spot as collateral, at most
        ("weight_base", "i8"),  # wb
        ("weight_penalty", "i8"),  # pen, per square root of a USDC
        ("floor_share", "i8"),  # 1 − gamma
        ("lines", "i4"),
        ("linear_orders", "i4"),
        ("link_orders", "i4"),
        ("nodes", "i4"),
        ("columns", "i4"),
        ("column_stride", "i4"),  # values of one node
        ("spare", "i4"),
        ("beyond", *WORDS),  # what orders that found no room here can lose, required in full
    ],
    align=True,
)

LINE = np.dtype(  # One price link of the account.
    [
        ("face", "i8"),
        ("mark", "i8"),
        ("netted", "i8"),  # λ, 1e-3
        ("expiry", "i8"),
        ("lower", "i8"),  # strikes in any unit that keeps their order; -1 none
        ("upper", "i8"),  # NO_STRIKE none
        ("values", "i8"),  # address of its risk array: int32 parts per million, by node, column
        ("first_order", "i4"),  # NO_ORDER none
        ("position", "i4"),  # of the live account
    ],
    align=True,
)
NO_ORDER = -1
NO_STRIKE = (1 << 63) - 1

LINEAR_ORDER = np.dtype(  # To buy or sell the underlying, spot or perpetual.
    [
        ("notional", *WORDS),  # n × reference
        ("excess", *WORDS),  # n × what its limit is worse than the reference, at least 0
        ("paid", *WORDS),  # n × limit
        ("sell", "i8"),
    ],
    align=True,
)

LINK_ORDER = np.dtype(
    [
        ("face", "i8"),  # above zero
        ("price", "i8"),
        ("sell", "i4"),
        ("next", "i4"),  # of the same line, NO_ORDER none
    ],
    align=True,
)

NODE = np.dtype(
    [
        ("move", *WORDS),
        ("weight", "i8", (KINDS, 2)),  # 0: not for this kind
        ("place", "i4"),  # in risk arrays
        ("spare", "i4"),
        ("rough", "f8"),  # what it loses, about: core.engine.margin.rough
    ],
    align=True,
)

RESULT = np.dtype(  # Requirement of a unit, by component.
    [
        ("scan", *WORDS),
        ("stand", *WORDS),
        ("size", *WORDS),
        ("spot", *WORDS),
        ("hedge", *WORDS),
        ("borrow", *WORDS),
        ("cap", *WORDS),
        ("floor", *WORDS),
        ("core", *WORDS),
        ("total", *WORDS),
        ("capped", "i8"),  # whether there is a cap
        ("node", "i8"),  # the worst, -1 none
        ("column", "i8"),
    ],
    align=True,
)
