"""Matching, as commands and the events they cause: price, then time; and who may not trade.

`tests.core.engine.table` explains the words. Each table is everything that was said.
"""

import pytest

from tests.core.engine.table import play

pytestmark = pytest.mark.timeout(900)  # The first one compiles the engine.


def test_price_comes_before_time() -> None:
    play("""
    ann a1 sell 5 @ 101                     | a1 new, shows 5
    bob b1 sell 5 @ 101                     | b1 new, shows 5
    cat c1 sell 5 @ 100                     | c1 new, shows 5
    dan d1 buy 12 @ 101                     | d1 new
                                            | c1 trades 5 @ 100 as maker, filled
                                            | d1 trades 5 @ 100 as taker, 7 left
                                            | a1 trades 5 @ 101 as maker, filled
                                            | d1 trades 5 @ 101 as taker, 2 left
                                            | b1 trades 2 @ 101 as maker, 3 left, shows 3, kept
                                            | d1 trades 2 @ 101 as taker, filled
    """)


def test_a_trade_is_at_the_makers_price() -> None:
    play("""
    ann a1 buy 5 @ 103                      | a1 new, shows 5
    bob b1 sell 8 @ 101                     | b1 new
                                            | a1 trades 5 @ 103 as maker, filled
                                            | b1 trades 5 @ 103 as taker, 3 left, shows 3
    cat c1 buy 3 @ 102                      | c1 new
                                            | b1 trades 3 @ 101 as maker, filled
                                            | c1 trades 3 @ 101 as taker, filled
    """)


def test_an_iceberg_goes_to_the_back_with_each_refill() -> None:
    play("""
    ann a1 sell 9 @ 101 show 3              | a1 new, shows 3
    bob b1 sell 3 @ 101                     | b1 new, shows 3
    cat c1 buy 5 @ 101                      | c1 new
                                            | a1 trades 3 @ 101 as maker, 6 left, shows 3
                                            | c1 trades 3 @ 101 as taker, 2 left
                                            | b1 trades 2 @ 101 as maker, 1 left, shows 1, kept
                                            | c1 trades 2 @ 101 as taker, filled
    dan d1 buy 7 @ 101                      | d1 new
                                            | b1 trades 1 @ 101 as maker, filled
                                            | d1 trades 1 @ 101 as taker, 6 left
                                            | a1 trades 3 @ 101 as maker, 3 left, shows 3
                                            | d1 trades 3 @ 101 as taker, 3 left
                                            | a1 trades 3 @ 101 as maker, filled
                                            | d1 trades 3 @ 101 as taker, filled
    """)


def test_only_less_at_the_same_price_keeps_the_place() -> None:
    play("""
    ann a1 sell 5 @ 101                     | a1 new, shows 5
    bob b1 sell 5 @ 101                     | b1 new, shows 5
    ann replace a1 a2 3                     | a2 replaces a1, 3 left, shows 3, kept
    cat c1 buy 1 @ 101                      | c1 new
                                            | a2 trades 1 @ 101 as maker, 2 left, shows 2, kept
                                            | c1 trades 1 @ 101 as taker, filled
    ann replace a2 a3 6                     | a3 replaces a2, 5 left, shows 5
    cat c2 buy 1 @ 101                      | c2 new
                                            | b1 trades 1 @ 101 as maker, 4 left, shows 4, kept
                                            | c2 trades 1 @ 101 as taker, filled
    bob replace b1 b2 @ 102                 | b2 replaces b1, 4 left, shows 4
    cat c3 buy 1 @ 102                      | c3 new
                                            | a3 trades 1 @ 101 as maker, 4 left, shows 4, kept
                                            | c3 trades 1 @ 101 as taker, filled
    """)


def test_a_replace_may_trade() -> None:
    play("""
    ann a1 sell 5 @ 101                     | a1 new, shows 5
    bob b1 buy 7 @ 99                       | b1 new, shows 7
    bob replace b1 b2 @ 101                 | b2 replaces b1, 7 left
                                            | a1 trades 5 @ 101 as maker, filled
                                            | b2 trades 5 @ 101 as taker, 2 left, shows 2
    bob replace b2 b3 5                     | b2 not replaced: ReplaceBelowFilled
    """)


def test_a_smaller_iceberg_loses_hidden_lots_first() -> None:
    play("""
    ann a1 sell 9 @ 101 show 3              | a1 new, shows 3
    ann replace a1 a2 4                     | a2 replaces a1, 4 left, shows 3, kept
    ann replace a2 a3 2                     | a3 replaces a2, 2 left, shows 2, kept
    """)


def test_immediate_or_cancel_leaves_nothing() -> None:
    play("""
    ann a1 sell 5 @ 101                     | a1 new, shows 5
    bob b1 buy 7 @ 101 ioc                  | b1 new
                                            | a1 trades 5 @ 101 as maker, filled
                                            | b1 trades 5 @ 101 as taker, 2 left
                                            | b1 canceled: ImmediateOrCancel
    bob b2 buy 7 @ 101 ioc                  | b2 new
                                            | b2 canceled: ImmediateOrCancel
    """)


def test_fill_or_kill_is_all_or_nothing() -> None:
    play("""
    ann a1 sell 5 @ 101                     | a1 new, shows 5
    ann a2 sell 5 @ 102                     | a2 new, shows 5
    bob b1 buy 11 @ 102 fok                 | b1 rejected: FillOrKillNotFillable
    bob b2 buy 10 @ 101 fok                 | b2 rejected: FillOrKillNotFillable
    bob b3 buy 10 @ 102 fok                 | b3 new
                                            | a1 trades 5 @ 101 as maker, filled
                                            | b3 trades 5 @ 101 as taker, 5 left
                                            | a2 trades 5 @ 102 as maker, filled
                                            | b3 trades 5 @ 102 as taker, filled
    """)


def test_fill_or_kill_counts_what_icebergs_hide() -> None:
    play("""
    ann a1 sell 9 @ 101 show 1              | a1 new, shows 1
    bob b1 buy 3 @ 101 fok                  | b1 new
                                            | a1 trades 1 @ 101 as maker, 8 left, shows 1
                                            | b1 trades 1 @ 101 as taker, 2 left
                                            | a1 trades 1 @ 101 as maker, 7 left, shows 1
                                            | b1 trades 1 @ 101 as taker, 1 left
                                            | a1 trades 1 @ 101 as maker, 6 left, shows 1
                                            | b1 trades 1 @ 101 as taker, filled
    """)


def test_fill_or_kill_counts_a_reduce_only_position_once() -> None:
    play("""
    ann a1 sell 5 @ 100                     | a1 new, shows 5
    bob b1 buy 5 @ 100                      | b1 new
                                            | a1 trades 5 @ 100 as maker, filled
                                            | b1 trades 5 @ 100 as taker, filled
    bob b2 sell 5 @ 101 reduce              | b2 new, shows 5
    bob b3 sell 5 @ 101 reduce              | b3 new, shows 5
    cat c1 buy 10 @ 101 fok                 | c1 rejected: FillOrKillNotFillable
    cat c2 buy 5 @ 101 fok                  | c2 new
                                            | b2 trades 5 @ 101 as maker, filled
                                            | c2 trades 5 @ 101 as taker, filled
    """)


def test_post_only_never_takes() -> None:
    play("""
    ann a1 sell 5 @ 101                     | a1 new, shows 5
    bob b1 buy 5 @ 101 post                 | b1 rejected: PostOnlyWouldTrade
    bob b2 buy 5 @ 100 post                 | b2 new, shows 5
    bob replace b2 b3 @ 101                 | b2 not replaced: PostOnlyWouldTrade
    """)


def test_reduce_only_never_grows_a_position() -> None:
    play("""
    ann a1 sell 5 @ 100                     | a1 new, shows 5
    bob b1 buy 5 @ 100                      | b1 new
                                            | a1 trades 5 @ 100 as maker, filled
                                            | b1 trades 5 @ 100 as taker, filled
    bob b2 sell 6 @ 101 reduce              | b2 rejected: ReduceOnlyWouldIncrease
    bob b3 buy 1 @ 99 reduce                | b3 rejected: ReduceOnlyWouldIncrease
    bob b4 sell 4 @ 101 reduce              | b4 new, shows 4
    bob b5 sell 3 @ 102                     | b5 new, shows 3
    cat c1 buy 3 @ 101                      | c1 new
                                            | b4 trades 3 @ 101 as maker, 1 left, shows 1, kept
                                            | c1 trades 3 @ 101 as taker, filled
    dan d1 buy 4 @ 102                      | d1 new
                                            | b4 trades 1 @ 101 as maker, filled
                                            | d1 trades 1 @ 101 as taker, 3 left
                                            | b5 trades 3 @ 102 as maker, filled
                                            | d1 trades 3 @ 102 as taker, filled
    """)


def test_a_spent_reduce_only_order_goes_when_its_turn_comes() -> None:
    play("""
    ann a1 sell 5 @ 100                     | a1 new, shows 5
    bob b1 buy 5 @ 100                      | b1 new
                                            | a1 trades 5 @ 100 as maker, filled
                                            | b1 trades 5 @ 100 as taker, filled
    bob b2 sell 5 @ 101 reduce              | b2 new, shows 5
    ann a2 buy 5 @ 100                      | a2 new, shows 5
    bob b3 sell 5 @ 100                     | b3 new
                                            | a2 trades 5 @ 100 as maker, filled
                                            | b3 trades 5 @ 100 as taker, filled
    cat c1 buy 5 @ 101                      | c1 new
                                            | b2 canceled: ReduceOnlyExceeded
                                            | c1 restated, 5 left, shows 5
    """)


def test_a_market_order_stops_at_the_impact_band() -> None:
    play("""
    ann a1 sell 1 @ 100                     | a1 new, shows 1
    ann a2 sell 1 @ 101                     | a2 new, shows 1
    ann a3 sell 1 @ 102                     | a3 new, shows 1
    bob b1 buy 5                            | b1 new
                                            | a1 trades 1 @ 100 as maker, filled
                                            | b1 trades 1 @ 100 as taker, 4 left
                                            | a2 trades 1 @ 101 as maker, filled
                                            | b1 trades 1 @ 101 as taker, 3 left
                                            | b1 canceled: ImmediateOrCancel
    bob b2 buy 5                            | b2 new
                                            | a3 trades 1 @ 102 as maker, filled
                                            | b2 trades 1 @ 102 as taker, 4 left
                                            | b2 canceled: ImmediateOrCancel
    cat c1 sell 1                           | c1 rejected: NoLiquidity
    """)


def test_a_market_order_of_a_prediction_goes_a_twentieth() -> None:
    play("""
    ann a1 sell 1 @ 0.50 in cup             | a1 new, shows 1
    ann a2 sell 1 @ 0.55 in cup             | a2 new, shows 1
    ann a3 sell 1 @ 0.56 in cup             | a3 new, shows 1
    bob b1 buy 5 in cup                     | b1 new
                                            | a1 trades 1 @ 0.5 as maker, filled
                                            | b1 trades 1 @ 0.5 as taker, 4 left
                                            | a2 trades 1 @ 0.55 as maker, filled
                                            | b1 trades 1 @ 0.55 as taker, 3 left
                                            | b1 canceled: ImmediateOrCancel
    """)


def test_no_at_p_is_yes_at_one_minus_p() -> None:
    play("""
    ann a1 buy 5 @ 0.60 in cup              | a1 new, shows 5
    bob b1 buy 3 @ 0.40 in cup no           | b1 new
                                            | a1 trades 3 @ 0.6 as maker, 2 left, shows 2, kept
                                            | b1 trades 3 @ 0.4 as taker, filled
    cat c1 sell 4 @ 0.35 in cup no          | c1 new, shows 4
    dan d1 sell 2 @ 0.65 in cup             | d1 new
                                            | c1 trades 2 @ 0.35 as maker, 2 left, shows 2, kept
                                            | d1 trades 2 @ 0.65 as taker, filled
    bob b2 sell 1 @ 0.42 in cup no          | b2 new, shows 1
    """)


def test_self_trade_cancels_the_taker() -> None:
    play("""
    ann a1 sell 5 @ 101                     | a1 new, shows 5
    amy y1 buy 5 @ 101 cancel-taker         | y1 new
                                            | y1 canceled: SelfTrade
    """)


def test_self_trade_cancels_the_maker() -> None:
    play("""
    bob b1 sell 2 @ 101                     | b1 new, shows 2
    ann a1 sell 5 @ 101                     | a1 new, shows 5
    bob b2 sell 3 @ 101                     | b2 new, shows 3
    amy y1 buy 5 @ 101 cancel-maker         | y1 new
                                            | b1 trades 2 @ 101 as maker, filled
                                            | y1 trades 2 @ 101 as taker, 3 left
                                            | a1 canceled: SelfTrade
                                            | b2 trades 3 @ 101 as maker, filled
                                            | y1 trades 3 @ 101 as taker, filled
    """)


def test_self_trade_cancels_both() -> None:
    play("""
    ann a1 sell 5 @ 101                     | a1 new, shows 5
    bob b1 sell 5 @ 101                     | b1 new, shows 5
    amy y1 buy 5 @ 101 cancel-both          | y1 new
                                            | a1 canceled: SelfTrade
                                            | y1 canceled: SelfTrade
    """)


def test_self_trade_decrements_both() -> None:
    play("""
    ann a1 sell 5 @ 101                     | a1 new, shows 5
    amy y1 buy 3 @ 101 decrement            | y1 new
                                            | a1 restated by 3, 2 left, shows 2, kept: SelfTrade
                                            | y1 canceled: SelfTrade
    amy y2 buy 4 @ 101 decrement            | y2 new
                                            | a1 canceled: SelfTrade
                                            | y2 restated by 2, 2 left: SelfTrade
                                            | y2 restated, 2 left, shows 2
    """)


def test_self_trade_decrement_keeps_a_place() -> None:
    play("""
    ann a1 sell 9 @ 101 show 2              | a1 new, shows 2
    bob b1 sell 1 @ 101                     | b1 new, shows 1
    amy y1 buy 3 @ 101 decrement            | y1 new
                                            | a1 restated by 3, 6 left, shows 1, kept: SelfTrade
                                            | y1 canceled: SelfTrade
    cat c1 buy 2 @ 101                      | c1 new
                                            | a1 trades 1 @ 101 as maker, 5 left, shows 2
                                            | c1 trades 1 @ 101 as taker, 1 left
                                            | b1 trades 1 @ 101 as maker, filled
                                            | c1 trades 1 @ 101 as taker, filled
    """)


def test_fill_or_kill_does_not_count_its_own_owner() -> None:
    play("""
    ann a1 sell 2 @ 101                     | a1 new, shows 2
    bob b1 sell 3 @ 101                     | b1 new, shows 3
    amy y1 buy 3 @ 101 fok cancel-maker     | y1 new
                                            | a1 canceled: SelfTrade
                                            | b1 trades 3 @ 101 as maker, filled
                                            | y1 trades 3 @ 101 as taker, filled
    """)
