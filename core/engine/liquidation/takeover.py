"""E < MM / 2: the account's positions go to others at the bankruptcy price, market by market.

Equity and what was advanced are shared out over the positions by weight, a perpetual's being its
notional × maintenance rate and a prediction's what it can lose at most. The heaviest goes first.
"""

import sbe.generated.control as control
import sbe.generated.order_entry as oe
from core.atomics import count_trailing_zeros
from core.engine.accounts import balance_update, move, touch_all
from core.engine.fees import fill_fee
from core.engine.liquidation.backstop import take_over
from core.engine.liquidation.choose import pair_of
from core.engine.liquidation.deleverage import (
    deleverage_slice,
    end_ranking,
    rank_slice,
    start_ranking,
)
from core.engine.liquidation.order import bounded_tick, lot_margin, place, whole_shares
from core.engine.liquidation.report import converted, remember, step
from core.engine.liquidation.transfer import insure
from core.engine.positions import position_of
from core.engine.settling import owe_all
from core.jit import jit
from core.linked import linked
from core.records import INSURANCE

INSURED_MAX = 3  # Orders insurance stands behind, of one market, before deleveraging.
SOLD_MAX = 20  # Orders against debts, before the insurance account takes over.
_WAIT = 1_000_000_000


@linked
def takeover(s, number):
    """One step; whether the liquidation is over. The numbers of before are remembered."""
    record = s.liquidation[number]
    if s.work.equity < 0:
        _advance(s, record)
        return False
    position, weight, total = _heaviest(s, record.account)
    if position == 0:
        if total > 0:  # In markets that are closed just now.
            record.due = s.work.time + _WAIT
            return False
        return _settle_debts(s, record)
    instrument = s.positions[position].instrument
    if record.instrument != instrument:
        record.instrument = instrument
        record.insured = 0
    record.stake = min(record.stake, s.work.equity)
    equity = whole_shares(record.stake, weight, total)
    recover = whole_shares(record.recover, weight, total)
    if s.deleveraging.liquidation == number:
        return _deleverage(s, record, position, equity, recover)
    held = s.positions[position].quantity
    refunded = s.insurance_refunded
    taken = take_over(s, record, position, equity, recover)
    if taken > 0:
        signed = -taken if held > 0 else taken
        stage = oe.LIQUIDATION_STAGE_BACKSTOP
        step(s, record, stage, instrument, 0, signed, 0, refunded - s.insurance_refunded)
        return False
    recover -= _absorb(s, record, instrument, recover)
    if record.insured < INSURED_MAX:
        record.insured += 1
        if _insured_order(s, record, position, equity):
            return False
    if not start_ranking(s, position, number):
        record.due = s.work.time + 1
    return False


@jit
def _advance(s, record):
    """Make up for what is missing, so that what the account is paid from now on is its own."""
    missing = -s.work.equity
    insure(s, record, record.account, missing)
    record.recover += missing
    record.stake = 0
    step(s, record, oe.LIQUIDATION_STAGE_ADVANCED, 0, 0, 0, 0, missing)


@jit
def _weight(s, position):
    """A position's part in what the account has to maintain, USDC units; at least 1."""
    book = s.instruments[position.instrument]
    side = oe.SIDE_SELL if position.quantity > 0 else oe.SIDE_BUY
    return 1 + lot_margin(s, book, side) * abs(position.quantity)


@jit
def _heaviest(s, account):
    """(the position that goes next or 0, its weight, the weight of all)."""
    heaviest, most, total = 0, 0, 0
    number = s.accounts[account].first_position
    while number != 0:
        position = s.positions[number]
        book = s.instruments[position.instrument]
        if position.quantity != 0:
            weight = _weight(s, position)
            total += weight
            if weight > most and book.state == oe.TRADING_STATE_OPEN:
                heaviest, most = number, weight
        number = position.account_next
    return heaviest, most, total


@jit
def _room(s, instrument):
    """USDC units the market's insurance may still lose."""
    market = s.markets[instrument]
    held = s.accounts[INSURANCE].assets[0].balance
    return max(0, min(market.insurance_cap - market.insurance_lost, held))


@jit
def _absorb(s, record, instrument, recover):
    """Let the market's insurance bear what was advanced, within its cap; how much."""
    market = s.markets[instrument]
    # It has left the account already: only the cap counts.
    amount = min(recover, max(0, market.insurance_cap - market.insurance_lost))
    if amount > 0:
        market.insurance_lost += amount
        record.recover -= amount
        step(s, record, oe.LIQUIDATION_STAGE_ABSORBED, instrument, 0, 0, 0, 0)
    return amount


@jit
def _insured_order(s, record, number, equity):
    """Close on the book below the bankruptcy price, insurance paying the rest; whether it filled.

    The whole position may cost no more than what insurance has left for the market.
    """
    position = s.positions[number]
    instrument = position.instrument
    book = s.instruments[instrument]
    room = _room(s, instrument)
    held = abs(position.quantity)
    if room == 0:
        return False
    side = oe.SIDE_SELL if position.quantity > 0 else oe.SIDE_BUY
    give = whole_shares(equity + room, 1, held)
    sells = side == oe.SIDE_SELL
    tick = bounded_tick(book, side, book.mark_value - give if sells else book.mark_value + give)
    if tick == 0:
        return False
    filled, value = place(s, record, number, side, held, tick)
    if filled == 0:
        return False
    marked = filled * book.mark_value
    lost = (marked - value if sells else value - marked)
    lost += max(0, fill_fee(s, record.account, instrument, value, False))
    own = whole_shares(equity, filled, held)
    record.stake = max(0, record.stake - min(max(0, lost), own))
    pays = min(room, max(0, lost - own))
    if pays > 0:
        insure(s, record, record.account, pays)
        s.markets[instrument].insurance_lost += pays
    signed = -filled if sells else filled
    paid = -value if sells else value
    stage = oe.LIQUIDATION_STAGE_INSURED_ORDER
    e = step(s, record, stage, instrument, 0, signed, paid, pays)
    control.set_liquidation_step_limit_price(e, tick * book.tick_size)
    record.due = s.work.time + s.risk.interval
    return True


@jit
def _deleverage(s, record, number, equity, recover):
    """Go on ranking, or with those that were ranked."""
    ranking = s.deleveraging
    instrument = s.positions[number].instrument
    if ranking.instrument != instrument:
        end_ranking(s)
        return False
    if ranking.taken == 0 and not (ranking.cursor == 0 and ranking.count > 0):
        if rank_slice(s) and ranking.count == 0:
            end_ranking(s)  # Nobody holds the other side: its market is being paid out.
            record.due = s.work.time + _WAIT
        return False
    held = s.positions[number].quantity
    refunded = s.insurance_refunded
    taken = deleverage_slice(s, record, number, equity, recover)
    if taken > 0:
        signed = -taken if held > 0 else taken
        stage = oe.LIQUIDATION_STAGE_DELEVERAGING
        step(s, record, stage, instrument, 0, signed, 0, refunded - s.insurance_refunded)
    if s.positions[number].quantity == 0 or ranking.taken >= ranking.count:
        end_ranking(s)
    return False


@jit
def _settle_debts(s, record):
    """No position is left: sell what is held against what is owed, then write off the rest."""
    s.insurance_uncovered += record.recover
    record.recover = 0
    account = record.account
    owe_all(s, account)
    owes = False
    seen = s.accounts[account].assets_seen
    while seen != 0:
        owes = owes or s.accounts[account].assets[count_trailing_zeros(seen)].balance < 0
        seen &= seen - 1
    if not owes:
        step(s, record, oe.LIQUIDATION_STAGE_RECOVERED, 0, 0, 0, 0, 0)
        return True
    if record.insured < SOLD_MAX:
        record.insured += 1
        if _trade_debt(s, record):
            record.due = s.work.time + s.risk.interval
            return False
    write_off(s, record)
    return True


@jit
def _trade_debt(s, record):
    """Sell an asset that is held, or buy back one that is owed; whether any was traded."""
    account = record.account
    for asset in range(1, len(s.assets)):
        balance = s.accounts[account].assets[asset].balance
        instrument = pair_of(s, asset) if balance != 0 else 0
        if instrument == 0:
            continue
        book = s.instruments[instrument]
        side = oe.SIDE_SELL if balance > 0 else oe.SIDE_BUY
        lots = abs(balance) // book.base_per_lot
        number = position_of(s, account, instrument) if lots > 0 else 0
        beyond = 0 if side == oe.SIDE_SELL else 1 << 55
        tick = bounded_tick(book, side, beyond) if number != 0 else 0
        if tick == 0:
            continue
        remember(s, account)
        owed = max(0, -s.accounts[account].assets[0].balance)
        filled, value = place(s, record, number, side, lots, tick)
        signed = filled if side == oe.SIDE_BUY else -filled
        paid = value if side == oe.SIDE_BUY else -value
        if filled > 0:
            stage = oe.LIQUIDATION_STAGE_BOOK_ORDER
            e = step(s, record, stage, instrument, 0, signed, paid, 0)
            control.set_liquidation_step_limit_price(e, tick * book.tick_size)
            if side == oe.SIDE_SELL:
                converted(s, record, number, filled, value, owed)
            return True
    return False


@jit
def write_off(s, record):
    """The insurance account takes every balance over: the account is at zero and owes nothing."""
    account = record.account
    touch_all(s, account)
    remember(s, account)
    seen = s.accounts[account].assets_seen
    while seen != 0:
        asset = count_trailing_zeros(seen)
        seen &= seen - 1
        balance = s.accounts[account].assets[asset].balance
        if balance != 0:
            move(s, account, INSURANCE, asset, balance)
            reason = oe.BALANCE_REASON_LIQUIDATION
            certificate = record.certificate
            balance_update(s, account, asset, reason, -balance, INSURANCE, certificate)
    paid = -s.work.equity
    if paid > 0:
        s.insurance_advanced += paid
    else:
        s.insurance_refunded -= paid
    s.insurance_uncovered += paid
    step(s, record, oe.LIQUIDATION_STAGE_WRITTEN_OFF, 0, 0, 0, 0, paid)
