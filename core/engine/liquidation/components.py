"""The requirement of an account in a certificate: unit by unit, component by component.

For each underlying that the account depends on: what UPM-1 requires of all it has there as one, and
in which scenario the scan found the worst. Whether that was what counted, or the sum of the parts,
stands beside it; requirements of events are in the positions.
"""

import sbe.generated.control as control
from core.atomics import count_trailing_zeros
from core.engine.margin.rates import amount, units_up
from core.engine.margin.whole import unit_saved, whole_units
from core.jit import jit
from core.wide import low, times, wide

_MILLION = 1_000_000


@jit
def exposed(s, account):
    """The underlyings of an account's balances and positions, a bit each."""
    holder = s.accounts[account]
    found = 0
    seen = holder.assets_seen & ~1
    while seen != 0:
        asset = count_trailing_zeros(seen)
        if holder.assets[asset].balance != 0:
            found |= 1 << asset
        seen &= seen - 1
    number = holder.first_position
    while number != 0:
        position = s.positions[number]
        if position.quantity != 0:
            found |= 1 << s.instruments[position.instrument].base
        number = position.account_next
    return found & ~1


@jit
def units_size(underlyings):
    """Bytes that `put_units` needs."""
    count = 0
    while underlyings != 0:
        count += 1
        underlyings &= underlyings - 1
    block = control.LIQUIDATION_CERTIFICATE_UNITS_BLOCK
    return control.LIQUIDATION_CERTIFICATE_UNITS_HEADER_SIZE + count * block


@jit
def put_units(s, place, account, underlyings):
    """Write the group of units at a place."""
    header = control.LIQUIDATION_CERTIFICATE_UNITS_HEADER_SIZE
    block = control.LIQUIDATION_CERTIFICATE_UNITS_BLOCK
    count = (units_size(underlyings) - header) // block
    control.write_liquidation_certificate_units_header(place, count)
    place += header
    whole = whole_units(s, account)
    while underlyings != 0:
        asset = count_trailing_zeros(underlyings)
        underlyings &= underlyings - 1
        unit_saved(s, account, asset, 0)
        control.set_liquidation_certificate_units_asset(place, asset)
        control.set_liquidation_certificate_units_whole(place, (whole >> asset) & 1)
        _put_result(s, place)
        place += block


@jit
def _put_result(s, place):
    """The components in work.result, USDC units rounded up."""
    found = s.work.result
    control.set_liquidation_certificate_units_worst_column(place, found.column)
    if found.node >= 0:
        move = amount(s.work.nodes[found.node].move)
        parts = low(times(wide(_MILLION), move))
        control.set_liquidation_certificate_units_worst_move(place, parts)
    control.set_liquidation_certificate_units_scan(place, units_up(amount(found.scan)))
    control.set_liquidation_certificate_units_stand(place, units_up(amount(found.stand)))
    control.set_liquidation_certificate_units_size(place, units_up(amount(found.size)))
    control.set_liquidation_certificate_units_spot(place, units_up(amount(found.spot)))
    control.set_liquidation_certificate_units_hedge(place, units_up(amount(found.hedge)))
    control.set_liquidation_certificate_units_borrow(place, units_up(amount(found.borrow)))
    control.set_liquidation_certificate_units_total(place, units_up(amount(found.total)))
    if found.capped != 0:
        control.set_liquidation_certificate_units_capped(place, 1)
        control.set_liquidation_certificate_units_cap(place, units_up(amount(found.cap)))
