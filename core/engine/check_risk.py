"""The invariants of watches, liquidations, backstops and insurance; `core.engine.check` asks them.

    16  what the insurance account advanced is refunded, lost by a market within its cap, still to
        be recovered, or counted as uncovered
    17  account BACKSTOP_FUND holds exactly what providers have pledged
    18  watches form heaps, each in its source's and in its account's list; the queue is one list
    19  liquidations under way are listed once, each by its account; nobody owes anything after one
"""

from core.engine.liquidation.queue import LAST
from core.jit import jit
from core.linked import linked
from core.records import BACKSTOP_FUND


@linked
def check_risk(s):
    """The number of the first broken invariant, 0 when all hold."""
    if not _insurance_adds_up(s):
        return 16
    if not _pledges_are_there(s):
        return 17
    if not _watches_are_heaps(s):
        return 18
    return 0 if _liquidations_are_listed(s) else 19


@jit
def _insurance_adds_up(s):
    accounted = s.insurance_uncovered
    for number in range(1, s.liquidations_used + 1):
        if s.liquidation[number].account != 0:
            if s.liquidation[number].recover < 0:
                return False
            accounted += s.liquidation[number].recover
    for number in range(1, s.instruments_listed + 1):
        market = s.markets[number]
        if market.insurance_lost < 0:
            return False
        accounted += market.insurance_lost
    return accounted == s.insurance_advanced - s.insurance_refunded


@jit
def _pledges_are_there(s):
    pledged = 0
    for number in range(1, s.backstops_used + 1):
        provider = s.backstops[number]
        if provider.pledged < 0 or s.accounts[provider.account].backstop != number:
            return False
        pledged += provider.pledged
    return pledged == s.accounts[BACKSTOP_FUND].assets[0].balance


@jit
def _watches_are_heaps(s):
    listed, used = 0, 0
    for number in range(1, s.watches_used + 1):
        watch = s.watches[number]
        if watch.account == 0:
            continue
        used += 1
        if watch.left != 0 and s.watches[watch.left].parent != number:
            return False
        if watch.right != 0 and s.watches[watch.right].parent != number:
            return False
        if watch.rank != s.watches[watch.right].rank + 1:
            return False
        if s.watches[watch.left].rank < s.watches[watch.right].rank:
            return False
        if watch.parent == 0:
            if s.sources[watch.source].root[watch.side] != number:
                return False
        elif s.watches[watch.parent].key > watch.key:
            return False
    queued = 0
    for account in range(1, s.accounts_used + 1):
        queued += s.accounts[account].watch_next != 0
        number = s.accounts[account].first_watch
        while number != 0:
            listed += 1
            if s.watches[number].account != account:
                return False
            number = s.watches[number].account_next
    account = s.watch_first
    while account > 0:
        queued -= 1
        account = s.accounts[account].watch_next
    return listed == used and queued == 0 and (s.watch_first == 0 or account == LAST)


@jit
def _liquidations_are_listed(s):
    listed = 0
    number = s.liquidation_first
    while number > 0:
        record = s.liquidation[number]
        if record.account == 0 or s.accounts[record.account].liquidation != number:
            return False
        listed += 1
        number = record.next
    marked = 0
    for account in range(1, s.accounts_used + 1):
        marked += s.accounts[account].liquidation != 0
    return listed == s.liquidations and marked == listed
