"""Backstop providers: who has pledged to take over a market's positions, and with what.

    SetBackstop   balance ─► account BACKSTOP_FUND        a pledge, for one market and no other
    taking over   BACKSTOP_FUND ─► balance, with the lots it is the initial margin of
    less          what is above the new commitment goes back when the notice is over

The pledge is taken at once, so that the obligation is funded before it is needed, and what a market
costs its providers can never be more than they pledged in it.
"""

import sbe.generated.control as control
import sbe.generated.order_entry as oe
from core.engine.accounts import account_exists, balance_update, move
from core.engine.emit import event_begin
from core.engine.governance.clock import set_risk_due
from core.engine.liquidation.order import whole_shares
from core.engine.liquidation.transfer import bankruptcy_value, hand_over
from core.engine.margin.door import margin_withdrawable
from core.engine.markets import known_instrument
from core.engine.money import multiply_divide_up, share_up
from core.engine.order_terms import refuse
from core.engine.positions import is_prediction, position_of
from core.jit import jit
from core.linked import linked
from core.records import BACKSTOP_FUND, FIRST_CLIENT


@linked
def set_backstop(s, a):
    """SetBackstop: 0 or the reason against it."""
    account = control.set_backstop_account(a)
    instrument = control.set_backstop_instrument(a)
    commitment = control.set_backstop_commitment(a)
    reason = known_instrument(s, instrument)
    if reason == 0 and (account < FIRST_CLIENT or not account_exists(s, account)):
        reason = refuse(s, oe.REASON_UNKNOWN_ACCOUNT, account, 0)
    if reason == 0 and s.instruments[instrument].kind == oe.INSTRUMENT_KIND_SPOT:
        reason = refuse(s, oe.REASON_INVALID_FIELD, instrument, 0)
    if reason == 0 and commitment < 0:
        reason = refuse(s, oe.REASON_QUANTITY_NOT_POSITIVE, commitment, 0)
    if reason != 0:
        return reason
    number = s.accounts[account].backstop
    if number == 0:
        number = _provider(s, account, instrument)
        if number == 0:
            return refuse(s, oe.REASON_CAPACITY_REACHED, account, len(s.backstops))
    provider = s.backstops[number]
    if provider.instrument != instrument:
        return refuse(s, oe.REASON_ALREADY_EXISTS, account, provider.instrument)
    return _commit(s, provider, commitment)


@jit
def _provider(s, account, instrument):
    """A new provider's record, 0 without room or if the account holds anything else already."""
    number = s.accounts[account].first_position
    while number != 0:
        position = s.positions[number]
        held = position.quantity | position.open_buy | position.open_sell
        if held != 0 and position.instrument != instrument:
            return 0
        number = position.account_next
    if s.backstops_used + 1 >= len(s.backstops):
        return 0
    s.backstops_used += 1
    number = s.backstops_used
    provider = s.backstops[number]
    provider.account = account
    provider.instrument = instrument
    provider.next = s.markets[instrument].first_backstop
    s.markets[instrument].first_backstop = number
    s.accounts[account].backstop = number
    s.accounts[account].limited = 1
    return number


@jit
def _commit(s, provider, commitment):
    """Take what is missing to the commitment, or start the notice for what is too much."""
    more = commitment - provider.pledged
    if more > 0:
        reason = margin_withdrawable(s, provider.account, 0, more)
        if reason != 0:
            return reason
        _pledge(s, provider, more)
        provider.release_at = 0
    elif more < 0:
        provider.release_at = s.work.time + s.risk.backstop_notice
        set_risk_due(s, provider.release_at)
    provider.commitment = commitment
    backstop_changed(s, provider)
    return 0


@jit
def _pledge(s, provider, amount):
    """Move USDC units from a provider's balance into its pledge; below zero the other way."""
    move(s, provider.account, BACKSTOP_FUND, 0, amount)
    reason = oe.BALANCE_REASON_BACKSTOP_PLEDGE
    balance_update(s, provider.account, 0, reason, -amount, BACKSTOP_FUND, 0)
    provider.pledged += amount


@jit
def backstop_changed(s, provider):
    """BackstopChanged, as it now stands."""
    e = event_begin(s, control.BACKSTOP_CHANGED_BLOCK, 0, 0)
    control.write_backstop_changed_header(e - 8)
    control.set_backstop_changed_account(e, provider.account)
    control.set_backstop_changed_instrument(e, provider.instrument)
    control.set_backstop_changed_commitment(e, provider.commitment)
    control.set_backstop_changed_pledged(e, provider.pledged)
    control.set_backstop_changed_release_time(e, provider.release_at)


@linked
def run_releases(s):
    """Give back what is due; notes when the next is."""
    for number in range(1, s.backstops_used + 1):
        provider = s.backstops[number]
        if 0 < provider.release_at <= s.work.time:
            provider.release_at = 0
            if provider.pledged > provider.commitment:
                _pledge(s, provider, provider.commitment - provider.pledged)
            backstop_changed(s, provider)
        elif provider.release_at > 0:
            set_risk_due(s, provider.release_at)


@jit
def _lot_need(s, number, equity, recover):
    """USDC units a provider needs for one lot: its base initial margin and what taking it costs."""
    position = s.positions[number]
    book = s.instruments[position.instrument]
    held = abs(position.quantity)
    loss = -(-recover // held) - whole_shares(equity, 1, held)
    if is_prediction(book.kind):
        need = book.mark_value if position.quantity > 0 else book.one_value - book.mark_value
    else:
        need = share_up(book.mark_value, book.margin_base_initial)
    return need + max(0, loss) + 1


@linked
def take_over(s, record, number, equity, recover):
    """Let the providers of a position's market take it, pro rata; how many lots they took.

    equity: what the position leaves with; recover: what has been advanced for it.
    """
    account = s.positions[number].account
    first = s.markets[s.positions[number].instrument].first_backstop
    need = _lot_need(s, number, equity, recover)
    total = 0
    provider = first
    while provider != 0:
        total += _capacity(s, provider, account, need)
        provider = s.backstops[provider].next
    left = min(abs(s.positions[number].quantity), total)
    taken = 0
    provider = first
    while provider != 0 and left > 0:
        capacity = _capacity(s, provider, account, need)
        if capacity > 0:
            held = abs(s.positions[number].quantity)
            lots = min(left, multiply_divide_up(left, capacity, total))
            lots = _take(s, record, number, provider, lots, need, equity, recover)
            total -= capacity
            left -= lots
            taken += lots
            equity -= whole_shares(equity, lots, held)
            recover -= whole_shares(recover, lots, held)
        provider = s.backstops[provider].next
    return taken


@jit
def _capacity(s, number, account, need):
    """Lots a provider can fund."""
    provider = s.backstops[number]
    own = s.accounts[provider.account].owner == s.accounts[account].owner
    if own or s.accounts[provider.account].liquidation != 0:
        return 0
    return provider.pledged // need


@jit
def _take(s, record, number, taker, lots, need, equity, recover):
    """One provider takes lots, with as much of its pledge as they need; how many it took."""
    provider = s.backstops[taker]
    position = s.positions[number]
    other = position_of(s, provider.account, position.instrument)
    if other == 0:
        return 0
    held = abs(position.quantity)
    value = bankruptcy_value(s, number, lots, equity)
    refund = whole_shares(recover, lots, held)
    _pledge(s, provider, -lots * need)
    stage = oe.LIQUIDATION_STAGE_BACKSTOP
    hand_over(s, record, number, other, lots, value, stage, refund)
    record.stake = max(0, record.stake - whole_shares(equity, lots, held))
    backstop_changed(s, provider)
    return lots
