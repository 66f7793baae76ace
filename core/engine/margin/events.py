"""Event groups: the exact worst case of positions and open orders over all possible outcomes.

An outcome i alone contributes, if it comes true (1) or not (0), with every order that would lose
filled at its limit and every other one not filled (n lots, price p, position q):

    coming true      b_i = q·1 − Σ sells n(1 − p)        not      a_i = − Σ buys n·p

so that with A = Σ a_i and g_i = b_i − a_i the payoff at the vertices is

    exclusive    A (none)       A + g_i for each i
    exhaustive                  A + g_i for each i
    nested       A (none)       A + g_1,  A + g_1 + g_2,  …

The least of them is the group's *floor*. Marks do not enter: the requirement of UPM-1,
G = Σ q·mark − floor, and the positions' part of the equity cancel in E − R. Buyers pay in cash when
they trade, so a fully paid book has a floor that is never below zero, and a payout at a vertex
moves from the group into cash no less than the floor counted.
"""

import sbe.generated.order_entry as oe
from core.jit import jit
from core.linked import linked
from core.wide import at


@jit
def group_of(s, account, event):
    """A new group for the account's stake in an event; 0 when there is no room."""
    number = s.group_free
    if number != 0:
        s.group_free = s.groups[number].event
    elif s.groups_used + 1 < len(s.groups):
        s.groups_used += 1
        number = s.groups_used
    else:
        return 0
    group = s.groups[number]
    group.account = account
    group.event = event
    group.kind = s.event_groups[event].kind
    group.outcomes = s.event_groups[event].outcomes
    return number


@jit
def leave_group(s, number, outcome):
    """A position that holds nothing leaves; the last one frees the group."""
    group = s.groups[number]
    group.position[outcome] = 0
    for place in range(group.outcomes):
        if group.position[place] != 0:
            return
    assert group.floor == 0, "Invariant: an empty group has nothing at stake."
    assert group.none == 0, "Invariant: an empty group has no orders."
    group.account = 0
    group.kind = 0
    group.outcomes = 0
    group.event = s.group_free
    s.group_free = number


@jit
def payoff_without(position):
    """a: what the position and its orders are worth at worst if the outcome doesn't come true."""
    return -position.open_buy_value


@jit
def payoff_with(position, one_value):
    """b: what they are worth at worst if it does."""
    return (position.quantity - position.open_sell) * one_value + position.open_sell_value


@jit
def lone_floor(position, one_value):
    """The floor of a prediction that shares its event with no other."""
    return min(payoff_without(position), payoff_with(position, one_value))


@jit
def least_payoff(kind, none, gains, outcomes):
    """The least over the vertices of `none` and what the outcomes that come true add to it.

    For any width of numbers: int64, or two words each (core.wide).
    """
    run = none
    least = none
    if kind == oe.EVENT_KIND_NESTED:
        for outcome in range(outcomes):
            run += at(gains, outcome)
            if run < least:
                least = run
        return least
    if kind == oe.EVENT_KIND_EXHAUSTIVE:
        least = none + at(gains, 0)
    for outcome in range(outcomes):
        worth = none + at(gains, outcome)
        if worth < least:
            least = worth
    return least


@jit
def group_floor(group):
    """The least payoff over the vertices."""
    return least_payoff(group.kind, group.none, group.gain, group.outcomes)


@linked
def refresh_prediction(s, position):
    """Bring the floor of a prediction's group, and its account's sum, up to the position."""
    book = s.instruments[position.instrument]
    account = s.accounts[position.account]
    if position.group == 0:
        floor = lone_floor(position, book.one_value)
        account.floor += floor - position.profit
        position.profit = floor
        return
    group = s.groups[position.group]
    # `initial` holds a as the group last counted it.
    without = payoff_without(position)
    group.none += without - position.initial
    position.initial = without
    group.gain[book.outcome] = payoff_with(position, book.one_value) - without
    floor = group_floor(group)
    account.floor += floor - group.floor
    group.floor = floor
