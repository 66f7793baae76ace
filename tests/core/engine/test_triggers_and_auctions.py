"""Stops that wait for a price, and auctions that find one, as commands and the events they cause.

`tests.core.engine.table` explains the words. Each table is everything that was said.
"""

import pytest

from tests.core.engine.table import Table, play

pytestmark = pytest.mark.timeout(900)  # The first one compiles the engine.


def test_stops_cascade() -> None:
    play("""
    ann a1 sell 1 @ 100                     | a1 new, shows 1
    ann a2 sell 1 @ 101                     | a2 new, shows 1
    ann a3 sell 1 @ 102                     | a3 new, shows 1
    ann a4 sell 1 @ 103                     | a4 new, shows 1
    bob b1 buy 1 stop 101                   | b1 new, waits
    bob b2 buy 1 @ 103 stop 102             | b2 new, waits
    cat c1 buy 1 stop 110                   | c1 new, waits
    dan d1 buy 1 @ 100                      | d1 new
                                            | a1 trades 1 @ 100 as maker, filled
                                            | d1 trades 1 @ 100 as taker, filled
    dan d2 buy 1 @ 101                      | d2 new
                                            | a2 trades 1 @ 101 as maker, filled
                                            | d2 trades 1 @ 101 as taker, filled
                                            | b1 triggered
                                            | a3 trades 1 @ 102 as maker, filled
                                            | b1 trades 1 @ 102 as taker, filled
                                            | b2 triggered
                                            | a4 trades 1 @ 103 as maker, filled
                                            | b2 trades 1 @ 103 as taker, filled
    """)


def test_stops_of_one_price_trigger_in_their_order() -> None:
    play("""
    ann a1 sell 1 @ 101                     | a1 new, shows 1
    ann a2 sell 5 @ 102                     | a2 new, shows 5
    bob b1 buy 1 @ 102 stop 101             | b1 new, waits
    cat c1 buy 1 @ 102 stop 101             | c1 new, waits
    dan d1 buy 1 @ 101                      | d1 new
                                            | a1 trades 1 @ 101 as maker, filled
                                            | d1 trades 1 @ 101 as taker, filled
                                            | b1 triggered
                                            | a2 trades 1 @ 102 as maker, 4 left, shows 4, kept
                                            | b1 trades 1 @ 102 as taker, filled
                                            | c1 triggered
                                            | a2 trades 1 @ 102 as maker, 3 left, shows 3, kept
                                            | c1 trades 1 @ 102 as taker, filled
    """)


def test_stops_follow_last_mark_or_index() -> None:
    play("""
    ann a1 sell 5 @ 105                     | a1 new, shows 5
    bob b1 buy 1 @ 105 stop 103 by mark     | b1 new, waits
    bob b2 buy 1 @ 105 stop 103 by index    | b2 new, waits
    bob b3 buy 1 @ 105 stop 105 by last     | b3 new, waits
    mark perp 103                           | b1 triggered
                                            | a1 trades 1 @ 105 as maker, 4 left, shows 4, kept
                                            | b1 trades 1 @ 105 as taker, filled
                                            | b3 triggered
                                            | a1 trades 1 @ 105 as maker, 3 left, shows 3, kept
                                            | b3 trades 1 @ 105 as taker, filled
    index 103                               | b2 triggered
                                            | a1 trades 1 @ 105 as maker, 2 left, shows 2, kept
                                            | b2 trades 1 @ 105 as taker, filled
    """)


def test_a_sell_stop_triggers_at_or_below() -> None:
    play("""
    ann a1 buy 5 @ 95                       | a1 new, shows 5
    bob b1 sell 2 stop 97 by mark           | b1 new, waits
    mark perp 98                            |
    mark perp 97                            | b1 triggered
                                            | a1 trades 2 @ 95 as maker, 3 left, shows 3, kept
                                            | b1 trades 2 @ 95 as taker, filled
    """)


def test_a_stop_whose_price_has_come_triggers_at_once() -> None:
    play("""
    ann a1 sell 5 @ 105                     | a1 new, shows 5
    bob b1 buy 1 @ 104 stop 99 by mark      | b1 new, waits
                                            | b1 triggered
                                            | b1 restated, 1 left, shows 1
    """)


def test_a_stop_without_liquidity_ends() -> None:
    play("""
    bob b1 buy 1 stop 101 by mark           | b1 new, waits
    mark perp 101                           | b1 triggered
                                            | b1 canceled: NoLiquidity
    """)


def test_a_stop_can_be_replaced_and_cancelled() -> None:
    play("""
    bob b1 buy 1 @ 110 stop 105 by mark     | b1 new, waits
    bob replace b1 b2 stop 107              | b2 replaces b1, 1 left, waits
    mark perp 106                           |
    bob cancel b2                           | b2 canceled: UserRequest
    mark perp 108                           |
    """)


def test_the_auction_trades_most_at_one_price() -> None:
    play("""
    state perp preopen                      | perp preopen
    ann a1 buy 5 @ 103                      | a1 new, shows 5
    bob b1 buy 5 @ 101                      | b1 new, shows 5
    cat c1 sell 4 @ 99                      | c1 new, shows 4
    dan d1 sell 4 @ 102                     | d1 new, shows 4
    state perp open                         | c1 trades 4 @ 102 as auction, filled
                                            | a1 trades 4 @ 102 as auction, 1 left, shows 1, kept
                                            | d1 trades 1 @ 102 as auction, 3 left, shows 3, kept
                                            | a1 trades 1 @ 102 as auction, filled
                                            | perp open, 5 @ 102
    """)


def test_the_auction_prefers_the_least_left_over() -> None:
    play("""
    state perp preopen                      | perp preopen
    ann a1 buy 5 @ 103                      | a1 new, shows 5
    bob b1 sell 5 @ 100                     | b1 new, shows 5
    cat c1 buy 3 @ 101                      | c1 new, shows 3
    state perp open                         | b1 trades 5 @ 102 as auction, filled
                                            | a1 trades 5 @ 102 as auction, filled
                                            | perp open, 5 @ 102
    """)


def test_the_auction_is_nearest_to_the_reference() -> None:
    play("""
    state perp preopen                      | perp preopen
    ann a1 buy 5 @ 104                      | a1 new, shows 5
    bob b1 sell 5 @ 97                      | b1 new, shows 5
    state perp open                         | b1 trades 5 @ 100 as auction, filled
                                            | a1 trades 5 @ 100 as auction, filled
                                            | perp open, 5 @ 100
    """)


def test_without_a_reference_the_auction_takes_the_lowest() -> None:
    play("""
    state cup preopen                       | cup preopen
    ann a1 buy 5 @ 0.60 in cup              | a1 new, shows 5
    bob b1 sell 5 @ 0.50 in cup             | b1 new, shows 5
    state cup open                          | b1 trades 5 @ 0.5 as auction, filled
                                            | a1 trades 5 @ 0.5 as auction, filled
                                            | cup open, 5 @ 0.5
    """)


def test_nothing_crosses_and_the_market_opens() -> None:
    play("""
    state perp preopen                      | perp preopen
    ann a1 buy 5 @ 99                       | a1 new, shows 5
    bob b1 sell 5 @ 100                     | b1 new, shows 5
    state perp open                         | perp open
    cat c1 buy 5 @ 100                      | c1 new
                                            | b1 trades 5 @ 100 as maker, filled
                                            | c1 trades 5 @ 100 as taker, filled
    """)


def test_stops_follow_the_auctions_price() -> None:
    play("""
    state perp preopen                      | perp preopen
    ann a1 buy 5 @ 103                      | a1 new, shows 5
    bob b1 sell 4 @ 103                     | b1 new, shows 4
    cat c1 buy 1 @ 104 stop 103             | c1 new, waits
    dan d1 sell 3 @ 104                     | d1 new, shows 3
    state perp open                         | b1 trades 4 @ 103 as auction, filled
                                            | a1 trades 4 @ 103 as auction, 1 left, shows 1, kept
                                            | perp open, 4 @ 103
                                            | c1 triggered
                                            | d1 trades 1 @ 104 as maker, 2 left, shows 2, kept
                                            | c1 trades 1 @ 104 as taker, filled
    """)


def test_an_auction_whose_price_went_has_another_round() -> None:
    play("""
    state perp preopen                      | perp preopen
    ann a1 sell 1 @ 94                      | a1 new, shows 1
    cat c1 sell 99 @ 96                     | c1 new, shows 99
    dan d1 buy 10 @ 97                      | d1 new, shows 10
    amy y1 buy 100 @ 100                    | y1 new, shows 100
    state perp open                         | y1 canceled: SelfTrade
    wait 1                                  | a1 trades 1 @ 97 as auction, filled
                                            | d1 trades 1 @ 97 as auction, 9 left, shows 9, kept
                                            | c1 trades 9 @ 97 as auction, 90 left, shows 90, kept
                                            | d1 trades 9 @ 97 as auction, filled
                                            | perp open, 10 @ 97
    """)


def test_reduce_only_holds_in_the_auction() -> None:
    play("""
    ann a1 sell 5 @ 100                     | a1 new, shows 5
    bob b1 buy 5 @ 100                      | b1 new
                                            | a1 trades 5 @ 100 as maker, filled
                                            | b1 trades 5 @ 100 as taker, filled
    state perp preopen                      | perp preopen
    bob b2 sell 5 @ 99 reduce               | b2 new, shows 5
    bob b3 sell 5 @ 99 reduce               | b3 new, shows 5
    cat c1 buy 10 @ 99                      | c1 new, shows 10
    state perp open                         | b2 trades 5 @ 99 as auction, filled
                                            | c1 trades 5 @ 99 as auction, 5 left, shows 5, kept
                                            | b3 canceled: ReduceOnlyExceeded
                                            | perp open, 5 @ 99
    """)


def test_stops_left_over_on_several_instruments_all_follow() -> None:
    table = Table()
    for book in ("perp", "kilo"):
        for number in range(70):
            said = table.say(f"bob {book}{number} buy 1 @ 90 stop 103 in {book} by index")
            assert said == [f"{book}{number} new, waits"]
    said = [event for line in ("index 103", "wait 1", "wait 1") for event in table.say(line)]
    table.engine.close()
    triggered = [event for event in said if event.endswith("triggered")]
    assert len(set(triggered)) == len(triggered) == 140
