"""Positions: one record for each (account, instrument) that ever had an order or a holding.

    (account, instrument) ─hash─► position_index ─► positions[i]
    account.first_position   ⇄ account_next …    all of an account
    account.first_linear     → linear_next …     its spot pairs and perpetuals
    instrument.first_holder  → holder_next …     all of an instrument

The index is an open-addressed table with linear probing; a removal closes the gap, so that there
are no tombstones and the table is a pure function of what it holds. An entry is a position's number
and, above that, a tag of its pair: a search reads no record but the one it finds. Records of a
settled or delisted instrument go back to a list of free ones.
"""

import sbe.generated.order_entry as oe
from core.engine.margin.events import group_of, leave_group
from core.jit import jit
from core.linked import linked

_MIX = -7046029254386353131  # 2^64 / golden ratio, odd, as int64
_NUMBER_BITS = 24  # Of Limits.positions_max.
_NUMBER = (1 << _NUMBER_BITS) - 1


@jit
def position_place(s, account, instrument):
    """Where in the index the search for a pair begins."""
    mixed = ((account << 14) | instrument) * _MIX
    return (mixed >> 24) & (len(s.position_index) - 1)


@jit
def _tag(account, instrument):
    """What an entry of the index says of its pair, so that hardly a record is read in vain."""
    mixed = ((account << 14) | instrument) * _MIX
    return (mixed >> 57) & 0x7F


@jit
def likely_position(s, account, instrument):
    """The position of a pair going by the index alone, 0 when there is none."""
    mask = len(s.position_index) - 1
    place = position_place(s, account, instrument)
    tag = _tag(account, instrument)
    entry = s.position_index[place]
    while entry != 0 and entry >> _NUMBER_BITS != tag:
        place = (place + 1) & mask
        entry = s.position_index[place]
    return entry & _NUMBER


@jit
def find_position(s, account, instrument):
    """The position of a pair, 0 when there is none."""
    mask = len(s.position_index) - 1
    place = position_place(s, account, instrument)
    tag = _tag(account, instrument)
    while True:
        entry = s.position_index[place]
        if entry == 0:
            return 0
        if entry >> _NUMBER_BITS == tag:
            position = s.positions[entry & _NUMBER]
            if position.account == account and position.instrument == instrument:
                return entry & _NUMBER
        place = (place + 1) & mask


@jit
def position_of(s, account, instrument):
    """The position of a pair, made when there is none; 0 when there is no room."""
    found = find_position(s, account, instrument)
    return found if found != 0 else _make(s, account, instrument)


@jit
def is_prediction(kind):
    """Whether an InstrumentKind pays 0 to 1 when it is resolved."""
    return kind >= oe.INSTRUMENT_KIND_OUTCOME


@linked
def _make(s, account, instrument):
    book = s.instruments[instrument]
    if s.position_free == 0 and s.positions_used + 1 >= len(s.positions):
        return 0
    group = 0
    if book.event != 0:
        group = _group_of_siblings(s, account, book.event)
        if group == 0:
            group = group_of(s, account, book.event)
            if group == 0:
                return 0
    number = _take(s)
    position = s.positions[number]
    position.account = account
    position.instrument = instrument
    position.settled_value = book.settled_value
    position.settled_cut = book.settled_cut
    position.funded_cut = book.funded_cut
    position.group = group
    if group != 0:
        s.groups[group].position[book.outcome] = number
    _link(s, number)
    _index(s, number)
    return number


@jit
def _take(s):
    number = s.position_free
    if number != 0:
        s.position_free = s.positions[number].account_next
        s.positions[number].account_next = 0
    else:
        s.positions_used += 1
        number = s.positions_used
    return number


@jit
def _group_of_siblings(s, account, event):
    """The group the account already has in the event, 0 for none."""
    outcomes = s.event_groups[event]
    for outcome in range(outcomes.outcomes):
        sibling = outcomes.instrument[outcome]
        found = find_position(s, account, sibling) if sibling != 0 else 0
        if found != 0:
            return s.positions[found].group
    return 0


@jit
def _link(s, number):
    position = s.positions[number]
    account = s.accounts[position.account]
    book = s.instruments[position.instrument]
    first = account.first_position
    position.account_next = first
    if first != 0:
        s.positions[first].account_previous = number
    account.first_position = number
    position.holder_next = book.first_holder
    book.first_holder = number
    book.holders += 1
    if not is_prediction(book.kind):
        position.linear_next = account.first_linear
        account.first_linear = number
    elif book.kind >= oe.INSTRUMENT_KIND_PRICE_ABOVE:
        account.linked += 1


@jit
def _index(s, number):
    mask = len(s.position_index) - 1
    position = s.positions[number]
    place = position_place(s, position.account, position.instrument)
    while s.position_index[place] != 0:
        place = (place + 1) & mask
    tag = _tag(position.account, position.instrument)
    s.position_index[place] = (tag << _NUMBER_BITS) | number


@jit
def _unindex(s, number):
    """Take a position out of the index and close the gap."""
    mask = len(s.position_index) - 1
    position = s.positions[number]
    place = position_place(s, position.account, position.instrument)
    while s.position_index[place] & _NUMBER != number:
        place = (place + 1) & mask
    gap = place
    while True:
        place = (place + 1) & mask
        other = s.position_index[place]
        if other == 0:
            break
        moved = s.positions[other & _NUMBER]
        home = position_place(s, moved.account, moved.instrument)
        if ((place - home) & mask) >= ((place - gap) & mask):
            s.position_index[gap] = other
            gap = place
    s.position_index[gap] = 0


@linked
def free_first_holder(s, instrument):
    """Free the first position of an instrument, which holds nothing and has no order."""
    book = s.instruments[instrument]
    number = book.first_holder
    position = s.positions[number]
    assert position.quantity == 0, "Invariant: a freed position holds nothing."
    assert position.open_buy == 0, "Invariant: a freed position has no orders."
    assert position.open_sell == 0, "Invariant: a freed position has no orders."
    assert position.unsettled == 0, "Invariant: a freed position is settled."
    book.first_holder = position.holder_next
    book.holders -= 1
    account = s.accounts[position.account]
    if position.account_previous != 0:
        s.positions[position.account_previous].account_next = position.account_next
    else:
        account.first_position = position.account_next
    if position.account_next != 0:
        s.positions[position.account_next].account_previous = position.account_previous
    if not is_prediction(book.kind):
        _unlink_linear(s, account, number)
    elif book.kind >= oe.INSTRUMENT_KIND_PRICE_ABOVE:
        account.linked -= 1
    if position.group != 0 and book.event != 0:
        leave_group(s, position.group, book.outcome)
    _unindex(s, number)
    if s.controls.protected != 0:  # What it made stays in the owner's day.
        s.owner_controls[account.owner].day_profit -= position.realized
    _clear(position)
    position.account_next = s.position_free
    s.position_free = number


@jit
def _unlink_linear(s, account, number):
    after = s.positions[number].linear_next
    if account.first_linear == number:
        account.first_linear = after
        return
    before = account.first_linear
    while s.positions[before].linear_next != number:
        before = s.positions[before].linear_next
    s.positions[before].linear_next = after


@jit
def _clear(position):
    position.account = 0
    position.instrument = 0
    position.open_buy_value = 0
    position.open_sell_value = 0
    position.profit = 0
    position.initial = 0
    position.entry_value = 0
    position.realized = 0
    position.settled_value = 0
    position.account_previous = 0
    position.linear_next = 0
    position.holder_next = 0
    position.group = 0
    position.settled_cut = 0
    position.funded_cut = 0
    position.highest_buy = 0
