"""Event groups against brute force: every vertex, every subset of the orders filled."""

import itertools

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.core.engine.exchange import ANN, BOB, Exchange

MICRO = 10**6
EXCLUSIVE, EXHAUSTIVE, NESTED = 1, 2, 3
FIRST = 20
OUTCOMES = 3
RICH = 10**6


def vertices(kind: int) -> list[tuple[int, ...]]:
    """Which outcomes may come true together."""
    single = [tuple(int(i == j) for i in range(OUTCOMES)) for j in range(OUTCOMES)]
    if kind == NESTED:
        return [tuple(int(i < n) for i in range(OUTCOMES)) for n in range(OUTCOMES + 1)]
    return single if kind == EXHAUSTIVE else [*single, (0,) * OUTCOMES]


def worst(kind: int, held: list[int], orders: list[tuple[int, int, int]]) -> int:
    """Least payoff in cents over vertices and fills; orders are (outcome, signed lots, cents)."""
    least = None
    for vertex in vertices(kind):
        for filled in itertools.product((0, 1), repeat=len(orders)):
            payoff = sum(100 * q * v for q, v in zip(held, vertex, strict=True))
            for fill, (outcome, lots, price) in zip(filled, orders, strict=True):
                payoff += fill * lots * (100 * vertex[outcome] - price)
            least = payoff if least is None else min(least, payoff)
    assert least is not None
    return least


@settings(max_examples=40)
@given(
    kind=st.sampled_from((EXCLUSIVE, EXHAUSTIVE, NESTED)),
    trades=st.lists(st.tuples(st.integers(0, 2), st.integers(-50, 50).filter(bool)), max_size=4),
    orders=st.lists(
        st.tuples(st.integers(0, 2), st.integers(-50, 50).filter(bool), st.integers(0, 44)),
        max_size=4,
    ),
)
def test_the_floor_is_the_worst_of_all_outcomes_and_fills(
    kind: int, trades: list[tuple[int, int]], orders: list[tuple[int, int, int]]
) -> None:
    house = Exchange().populate()
    house.send("RegisterEvent", event=2, kind=kind, outcomes=OUTCOMES, rulesHash=bytes(32),
               title=b"")
    for outcome in range(OUTCOMES):
        assert house.list(FIRST + outcome, 3, 0.01, 1, event=2, outcome=outcome) == 0
    house.deposit(ANN, RICH)
    house.deposit(BOB, RICH)
    held = [0] * OUTCOMES
    for outcome, lots in trades:
        buyer, seller = (ANN, BOB) if lots > 0 else (BOB, ANN)
        house.trade(buyer, seller, FIRST + outcome, abs(lots), 0.50)
        held[outcome] += lots
    resting = []
    for outcome, lots, offset in orders:  # Buys below 0.50, sells above: nothing trades.
        cents = 49 - offset if lots > 0 else 51 + offset
        side = "buy" if lots > 0 else "sell"
        assert house.order(ANN, FIRST + outcome, side, abs(lots), cents / 100)["reason"] == 0
        resting.append((outcome, lots, cents))
    cash = house.balance(ANN)
    equity, initial, maintenance = house.margin(ANN)
    assert initial == maintenance
    assert equity - initial == cash + worst(kind, held, resting) * MICRO // 100
