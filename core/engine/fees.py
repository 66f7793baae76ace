"""Fees: parts per million of a trade's value, by the owner's tier and the kind of instrument."""

import sbe.generated.control as control
import sbe.generated.order_entry as oe
from core.engine.emit import event_begin
from core.engine.money import MILLION, share_down, share_up
from core.jit import jit
from core.linked import linked
from core.records import FEE_TIERS

_FEE_LIMIT = MILLION // 2


@jit
def fill_fee(s, account, instrument, value, maker):
    """Units of the quote asset for one side of a trade of so much value.

    Rounded up against the customer; below zero is a rebate, rounded toward zero.
    """
    tier = s.owners[s.accounts[account].owner].fee_tier
    fee = s.fees[tier][s.instruments[instrument].kind]
    rate = fee.maker if maker else fee.taker
    return share_up(value, rate) if rate >= 0 else -share_down(value, -rate)


@linked
def set_fees(s, a):
    """SetFees: the rates of one tier for one kind of instrument, from the next trade on."""
    tier = control.set_fees_tier(a)
    kind = control.set_fees_kind(a)
    maker = control.set_fees_maker_fee(a)
    taker = control.set_fees_taker_fee(a)
    known = oe.INSTRUMENT_KIND_SPOT <= kind <= oe.INSTRUMENT_KIND_PRICE_RANGE
    # A rebate is paid out of the other side's fee; the house never pays for a trade.
    sound = abs(maker) <= _FEE_LIMIT and 0 <= taker <= _FEE_LIMIT and maker + taker >= 0
    if tier >= FEE_TIERS or not known or not sound:
        return oe.REASON_INVALID_FIELD
    fee = s.fees[tier][kind]
    fee.maker = maker
    fee.taker = taker
    e = event_begin(s, control.FEES_CHANGED_BLOCK, 0, 0)
    control.write_fees_changed_header(e - 8)
    control.set_fees_changed_tier(e, tier)
    control.set_fees_changed_kind(e, kind)
    control.set_fees_changed_maker_fee(e, maker)
    control.set_fees_changed_taker_fee(e, taker)
    return 0
