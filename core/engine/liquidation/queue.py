"""Who must be looked at again, and which prices have moved: two queues, filled in passing.

    a balance changed, an order opened     ─► account ─┐
    a watched price was passed (watch.py)  ─► account ─┴─► assessed in slices (watch.py)
    a mark or index came                   ─► source  ───► its watches are compared in slices

Both are linked through the records themselves, so that telling costs the path of an order one load
and one branch when the account is already there.
"""

from core.jit import jit

LAST = -1


@jit
def look_again(s, account):
    """The account's equity or requirement changed other than by a price."""
    if s.risk.enabled != 0 and s.accounts[account].watch_next == 0:
        enqueue_account(s, account)


@jit
def enqueue_account(s, account):
    """Put an account that isn't there at the end of the queue."""
    s.accounts[account].watch_next = LAST
    if s.watch_last != 0:
        s.accounts[s.watch_last].watch_next = account
    else:
        s.watch_first = account
    s.watch_last = account


@jit
def next_account(s):
    """Take the first account out of the queue, 0 when there is none."""
    account = s.watch_first
    if account == 0:
        return 0
    following = s.accounts[account].watch_next
    s.accounts[account].watch_next = 0
    if following == LAST:
        s.watch_first = 0
        s.watch_last = 0
    else:
        s.watch_first = following
    return account


@jit
def index_source(asset):
    """The source of an asset's index."""
    return asset


@jit
def mark_source(s, instrument):
    """The source of an instrument's mark."""
    return len(s.assets) + instrument


@jit
def price_moved(s, source):
    """A price came: its watches are to be compared, and whoever waits is to be looked at."""
    if s.risk.enabled == 0:
        return
    s.watching = 1
    if s.watch_short != 0:
        s.watch_walk = 1
    if s.sources[source].next != 0:
        return
    s.sources[source].next = LAST
    if s.source_last != 0:
        s.sources[s.source_last].next = source
    else:
        s.source_first = source
    s.source_last = source


@jit
def source_done(s):
    """The first source's watches have been compared."""
    source = s.source_first
    following = s.sources[source].next
    s.sources[source].next = 0
    if following == LAST:
        s.source_first = 0
        s.source_last = 0
    else:
        s.source_first = following


@jit
def look_at_all(s):
    """What is required of everybody changed: walk all accounts, in slices."""
    if s.risk.enabled != 0:
        s.watch_walk = 1
        s.watching = 1
