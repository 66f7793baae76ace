"""What ends, changes or refuses orders besides trading, as commands and the events they cause.

Quotes and their protection, expiry, timers, lost connections, mass cancels, ids, states.
`tests.core.engine.table` explains the words. Each table is everything that was said.
"""

import pytest

from tests.core.engine.table import play

pytestmark = pytest.mark.timeout(900)  # The first one compiles the engine.


def test_quotes_are_replaced_as_a_pair() -> None:
    play("""
    ann quote perp bid 5 @ 99 offer 5 @ 101 | bid new, shows 5
                                            | offer new, shows 5
                                            | quote: bid stands, offer stands
    ann quote perp bid 3 @ 99 offer 5 @ 101 | bid replaces bid, 3 left, shows 3, kept
                                            | quote: bid stands, offer stands
    ann quote perp bid 3 @ 101 offer 5 @ 102| offer replaces offer, 5 left, shows 5
                                            | bid replaces bid, 3 left, shows 3
                                            | quote: bid stands, offer stands
    ann quote perp offer 5 @ 102            | bid canceled: UserRequest
                                            | quote: bid none, offer stands
    ann quote perp bid 5 @ 103 offer 5 @ 103| quote: bid PriceOutOfRange, offer PriceOutOfRange
    bob b1 buy 5 @ 102                      | b1 new
                                            | offer trades 5 @ 102 as maker, filled
                                            | b1 trades 5 @ 102 as taker, filled
    """)


def test_protection_takes_the_quotes_out() -> None:
    play("""
    ann protects count 1                    |
    ann quote perp bid 5 @ 99 offer 5 @ 101 | bid new, shows 5
                                            | offer new, shows 5
                                            | quote: bid stands, offer stands
    bob b1 buy 1 @ 101                      | b1 new
                                            | offer trades 1 @ 101 as maker, 4 left, shows 4, kept
                                            | b1 trades 1 @ 101 as taker, filled
    bob b2 buy 1 @ 101                      | b2 new
                                            | offer trades 1 @ 101 as maker, 3 left, shows 3, kept
                                            | b2 trades 1 @ 101 as taker, filled
                                            | offer canceled: MarketMakerProtection
                                            | bid canceled: MarketMakerProtection
                                            | protection: count over its limit
    ann quote perp bid 5 @ 99 offer 5 @ 101 | quote: bid ProtectionTripped, offer ProtectionTripped
    ann resets                              |
    ann quote perp bid 5 @ 99 offer 5 @ 101 | bid new, shows 5
                                            | offer new, shows 5
                                            | quote: bid stands, offer stands
    bob b3 sell 1 @ 99                      | b3 new
                                            | bid trades 1 @ 99 as maker, 4 left, shows 4, kept
                                            | b3 trades 1 @ 99 as taker, filled
    wait 2                                  |
    bob b4 sell 1 @ 99                      | b4 new
                                            | bid trades 1 @ 99 as maker, 3 left, shows 3, kept
                                            | b4 trades 1 @ 99 as taker, filled
    """)


def test_protection_by_quantity_lets_the_running_command_finish() -> None:
    play("""
    ann protects quantity 3                 |
    ann quote perp offer 5 @ 101            | offer new, shows 5
                                            | quote: bid none, offer stands
    cat c1 sell 5 @ 101                     | c1 new, shows 5
    bob b1 buy 8 @ 101                      | b1 new
                                            | offer trades 5 @ 101 as maker, filled
                                            | b1 trades 5 @ 101 as taker, 3 left
                                            | c1 trades 3 @ 101 as maker, 2 left, shows 2, kept
                                            | b1 trades 3 @ 101 as taker, filled
                                            | protection: quantity over its limit
    ann quote perp offer 5 @ 101 reset      | offer new, shows 5
                                            | quote: bid none, offer stands
    """)


def test_orders_expire() -> None:
    play("""
    ann a1 buy 5 @ 99 gtd 10                | a1 new, shows 5
    ann a2 buy 5 @ 98 gtd 5                 | a2 new, shows 5
    ann a3 buy 5 @ 97 day                   | a3 new, shows 5
    wait 4                                  |
    wait 1                                  | a2 expired: Expiry
    bob b1 sell 1 @ 97                      | b1 new
                                            | a1 trades 1 @ 99 as maker, 4 left, shows 4, kept
                                            | b1 trades 1 @ 99 as taker, filled
    wait 5                                  | a1 expired: Expiry
    wait 86400                              | a3 expired: Expiry
    """)


def test_the_dead_man_timer_strikes_unless_it_is_set_again() -> None:
    play("""
    ann a1 buy 5 @ 99                       | a1 new, shows 5
    ann timer 1000                          |
    wait 0.9                                |
    ann timer 1000                          |
    wait 0.9                                |
    wait 0.1                                | a1 canceled: CancelTimer
    ann a2 buy 5 @ 99                       | a2 new, shows 5
    ann timer 1000                          |
    ann timer 0                             |
    wait 5                                  |
    """)


def test_a_lost_connection_cancels_what_the_session_left() -> None:
    play("""
    ann opens session 500                   |
    ann a1 buy 5 @ 99                       | a1 new, shows 5
    ann a2 buy 5 @ 98 survive               | a2 new, shows 5
    amy y1 buy 5 @ 97                       | y1 new, shows 5
    ann closes                              |
    wait 0.4                                |
    wait 0.1                                | a1 canceled: CancelOnDisconnect
    """)


def test_a_lost_connection_cancels_the_owners_accounts() -> None:
    play("""
    ann opens account 0                     |
    ann a1 buy 5 @ 99                       | a1 new, shows 5
    amy y1 buy 5 @ 97                       | y1 new, shows 5
    ann closes                              | a1 canceled: CancelOnDisconnect
                                            | y1 canceled: CancelOnDisconnect
    wait 0                                  |
    """)


def test_who_comes_back_in_time_keeps_the_orders() -> None:
    play("""
    ann opens session 500                   |
    ann a1 buy 5 @ 99                       | a1 new, shows 5
    ann closes                              |
    ann opens session 500                   |
    wait 5                                  |
    """)


def test_mass_cancel_knows_scopes_and_sides() -> None:
    play("""
    ann a1 buy 5 @ 99                       | a1 new, shows 5
    ann a2 sell 5 @ 101                     | a2 new, shows 5
    ann a3 buy 5 @ 99 in spot               | a3 new, shows 5
    ann a4 buy 5 @ 0.4 in cup               | a4 new, shows 5
    ann a5 buy 5 @ 0.4 in cup no            | a5 new, shows 5
    ann cancels perp sells                  | a2 canceled: MassCancel
                                            | 1 gone
    ann cancels kind 1                      | a3 canceled: MassCancel
                                            | 1 gone
    ann cancels cup buys                    | a5 canceled: MassCancel
                                            | a4 canceled: MassCancel
                                            | 2 gone
    ann cancels underlying 1                | a1 canceled: MassCancel
                                            | 1 gone
    ann cancels all                         | 0 gone
    ann cancels session                     | 0 gone
    """)


def test_an_id_is_used_once() -> None:
    play("""
    ann a1 buy 5 @ 99                       | a1 new, shows 5
    ann a1 buy 5 @ 99                       | a1 rejected: DuplicateClOrdId
    bob a1 buy 5 @ 99                       | a1 new, shows 5
    ann replace a1 a2 4                     | a2 replaces a1, 4 left, shows 4, kept
    ann a1 buy 5 @ 98                       | a1 new, shows 5
    ann a2 buy 5 @ 98                       | a2 rejected: DuplicateClOrdId
    ann cancel a2                           | a2 canceled: UserRequest
    ann a2 buy 5 @ 98                       | a2 rejected: DuplicateClOrdId
    """)


def test_what_is_done_stays_done() -> None:
    play("""
    ann a1 buy 5 @ 99                       | a1 new, shows 5
    bob b1 sell 5 @ 99                      | b1 new
                                            | a1 trades 5 @ 99 as maker, filled
                                            | b1 trades 5 @ 99 as taker, filled
    ann cancel a1                           | a1 not canceled: OrderDone
    ann replace a1 a2 6                     | a1 not replaced: OrderDone
    ann cancel a9                           | a9 not canceled: UnknownOrder
    bob cancel a1                           | a1 not canceled: UnknownOrder
    """)


def test_states_refuse_what_they_must() -> None:
    play("""
    ann a1 buy 5 @ 99                       | a1 new, shows 5
    state perp cancel-only                  | perp cancel-only
    ann a2 buy 5 @ 99                       | a2 rejected: InstrumentState
    ann replace a1 a3 4                     | a1 not replaced: InstrumentState
    ann cancel a1                           | a1 canceled: UserRequest
    state perp preopen                      | perp preopen
    ann a4 buy 5                            | a4 rejected: InvalidOrdType
    ann a5 buy 5 @ 99 ioc                   | a5 rejected: InvalidTimeInForce
    ann a6 buy 5 @ 99                       | a6 new, shows 5
    state perp closed                       | perp closed
                                            | a6 canceled: MarketClosed
    """)


def test_a_restricted_account_may_only_reduce_or_only_cancel() -> None:
    play("""
    ann a1 sell 5 @ 100                     | a1 new, shows 5
    bob b1 buy 5 @ 100                      | b1 new
                                            | a1 trades 5 @ 100 as maker, filled
                                            | b1 trades 5 @ 100 as taker, filled
    bob b2 buy 1 @ 90                       | b2 new, shows 1
    account bob reduce-only                 |
    bob b3 buy 1 @ 90                       | b3 rejected: ReduceOnlyWouldIncrease
    bob b4 sell 5 @ 110                     | b4 new, shows 5
    bob replace b2 b5 2                     | b2 not replaced: ReduceOnlyWouldIncrease
    account bob cancel-only                 |
    bob b6 sell 5 @ 110                     | b6 rejected: AccountState
    bob replace b2 b7 @ 91                  | b2 not replaced: AccountState
    bob cancel b2                           | b2 canceled: UserRequest
    """)
