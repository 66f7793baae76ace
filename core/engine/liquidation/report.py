"""Certificates: what a liquidation began with, each of its steps, and what the clients are told."""

import sbe.generated.control as control
import sbe.generated.order_entry as oe
from core.atomics import count_trailing_zeros
from core.engine.emit import event_begin
from core.engine.liquidation.components import exposed, put_units, units_size
from core.engine.liquidation.sessions import next_session
from core.engine.margin.door import margin_changed, margin_levels
from core.jit import jit
from core.linked import linked

LINES_MAX = 64  # Positions of a certificate; an account with more shows its newest.
_NO_INSTRUMENT = oe.LIQUIDATION_REPORT_INSTRUMENT_NULL


@linked
def remember(s, account):
    """Note equity, initial and maintenance requirement as they are before a step."""
    margin_levels(s, account)
    s.work.equity = s.work.scratch[0]
    s.work.initial = s.work.scratch[1]
    s.work.maintenance = s.work.scratch[2]


@linked
def maintenance_without(s, number, lots):
    """What the account of a position would have to maintain if it held so many lots more."""
    position = s.positions[number]
    position.quantity += lots
    margin_changed(s, number)
    margin_levels(s, position.account)
    position.quantity -= lots
    margin_changed(s, number)
    return s.work.scratch[2]


@linked
def certify(s, record, tolerance):
    """LiquidationCertificate: every input that judged the account."""
    account = record.account
    holder = s.accounts[account]
    positions, balances = _count(s, account)
    block = control.LIQUIDATION_CERTIFICATE_BLOCK
    lines = control.LIQUIDATION_CERTIFICATE_POSITIONS_HEADER_SIZE
    line = control.LIQUIDATION_CERTIFICATE_POSITIONS_BLOCK
    entries = control.LIQUIDATION_CERTIFICATE_BALANCES_HEADER_SIZE
    entry = control.LIQUIDATION_CERTIFICATE_BALANCES_BLOCK
    underlyings = exposed(s, account)
    size = lines + positions * line + entries + balances * entry + units_size(underlyings)
    e = event_begin(s, block, size, 0)
    control.write_liquidation_certificate_header(e - 8)
    control.set_liquidation_certificate_certificate(e, record.certificate)
    control.set_liquidation_certificate_account(e, account)
    control.set_liquidation_certificate_equity(e, s.work.equity)
    control.set_liquidation_certificate_initial_margin(e, s.work.initial)
    control.set_liquidation_certificate_maintenance_margin(e, s.work.maintenance)
    control.set_liquidation_certificate_tolerance(e, tolerance)
    control.set_liquidation_certificate_orders(e, holder.open_orders)
    control.write_liquidation_certificate_positions_header(e + block, positions)
    place = e + block + lines
    number = holder.first_position
    while number != 0 and positions > 0:
        if s.positions[number].quantity != 0:
            _certify_position(s, place, number)
            place += line
            positions -= 1
        number = s.positions[number].account_next
    control.write_liquidation_certificate_balances_header(place, balances)
    place += entries
    seen = holder.assets_seen
    while seen != 0:
        asset = count_trailing_zeros(seen)
        seen &= seen - 1
        if holder.assets[asset].balance != 0:
            control.set_liquidation_certificate_balances_asset(place, asset)
            known = s.assets[asset]
            control.set_liquidation_certificate_balances_index_state(place, known.index_state)
            control.set_liquidation_certificate_balances_sources(place, known.index_sources)
            balance = holder.assets[asset].balance
            control.set_liquidation_certificate_balances_balance(place, balance)
            control.set_liquidation_certificate_balances_index(place, known.index_price)
            place += entry
    put_units(s, place, account, underlyings)


@jit
def _count(s, account):
    """(positions held, balances) of a certificate."""
    holder = s.accounts[account]
    positions, balances = 0, 0
    number = holder.first_position
    while number != 0:
        positions += s.positions[number].quantity != 0
        number = s.positions[number].account_next
    seen = holder.assets_seen
    while seen != 0:
        balances += holder.assets[count_trailing_zeros(seen)].balance != 0
        seen &= seen - 1
    return min(positions, LINES_MAX), balances


@jit
def _certify_position(s, place, number):
    position = s.positions[number]
    book = s.instruments[position.instrument]
    left = maintenance_without(s, number, -position.quantity)
    held = position.quantity * book.lot_size
    control.set_liquidation_certificate_positions_instrument(place, position.instrument)
    control.set_liquidation_certificate_positions_position(place, held)
    control.set_liquidation_certificate_positions_mark(place, book.mark)
    control.set_liquidation_certificate_positions_index(place, book.index)
    control.set_liquidation_certificate_positions_maintenance(place, s.work.maintenance - left)


@linked
def step(s, record, stage, instrument, counter, quantity, value, insurance):
    """LiquidationStep with the numbers from before (`remember`) and after; its root block."""
    account = record.account
    record.steps += 1
    margin_levels(s, account)
    e = event_begin(s, control.LIQUIDATION_STEP_BLOCK, 0, 0)
    control.write_liquidation_step_header(e - 8)
    control.set_liquidation_step_certificate(e, record.certificate)
    control.set_liquidation_step_step(e, record.steps)
    control.set_liquidation_step_account(e, account)
    control.set_liquidation_step_stage(e, stage)
    control.set_liquidation_step_counter_account(e, counter)
    control.set_liquidation_step_instrument(e, _NO_INSTRUMENT)
    if instrument != 0:
        book = s.instruments[instrument]
        control.set_liquidation_step_instrument(e, instrument)
        control.set_liquidation_step_quantity(e, quantity * book.lot_size)
        control.set_liquidation_step_mark(e, book.mark)
        control.set_liquidation_step_index(e, book.index)
    control.set_liquidation_step_value(e, value)
    control.set_liquidation_step_limit_price(e, control.LIQUIDATION_STEP_LIMIT_PRICE_NULL)
    control.set_liquidation_step_equity(e, s.work.equity)
    control.set_liquidation_step_initial_margin(e, s.work.initial)
    control.set_liquidation_step_maintenance_margin(e, s.work.maintenance)
    control.set_liquidation_step_equity_after(e, s.work.scratch[0])
    control.set_liquidation_step_maintenance_after(e, s.work.scratch[2])
    control.set_liquidation_step_insurance(e, insurance)
    _tell(s, record, stage, oe.LIQUIDATION_ROLE_LIQUIDATED, account, instrument, quantity, value, 0)
    return e


@linked
def converted(s, record, number, filled, value, owed):
    """CollateralConverted: lots of a pair were sold; `owed` is what was borrowed of USDC before."""
    account = record.account
    instrument = s.positions[number].instrument
    book = s.instruments[instrument]
    e = event_begin(s, control.COLLATERAL_CONVERTED_BLOCK, 0, 0)
    control.write_collateral_converted_header(e - 8)
    control.set_collateral_converted_certificate(e, record.certificate)
    control.set_collateral_converted_step(e, record.steps)
    control.set_collateral_converted_account(e, account)
    control.set_collateral_converted_instrument(e, instrument)
    control.set_collateral_converted_asset(e, book.base)
    control.set_collateral_converted_amount(e, filled * book.base_per_lot)
    control.set_collateral_converted_value(e, value)
    left = max(0, -s.accounts[account].assets[0].balance)
    control.set_collateral_converted_repaid(e, max(0, owed - left))


@jit
def tell_counterparty(s, record, stage, account, instrument, quantity, value, refund):
    """LiquidationReport to who took a position over."""
    role = oe.LIQUIDATION_ROLE_BACKSTOP_PROVIDER
    if stage == oe.LIQUIDATION_STAGE_DELEVERAGING:
        role = oe.LIQUIDATION_ROLE_DELEVERAGED
    _tell(s, record, stage, role, account, instrument, quantity, value, refund)


@linked
def _tell(s, record, stage, role, account, instrument, quantity, value, refund):
    session = next_session(s, account, 0)
    while session != 0:
        r = event_begin(s, oe.LIQUIDATION_REPORT_BLOCK, 0, session)
        oe.write_liquidation_report_header(r - 8)
        oe.set_liquidation_report_certificate(r, record.certificate)
        oe.set_liquidation_report_step(r, record.steps)
        oe.set_liquidation_report_account(r, account)
        oe.set_liquidation_report_stage(r, stage)
        oe.set_liquidation_report_role(r, role)
        oe.set_liquidation_report_instrument(r, _NO_INSTRUMENT)
        if instrument != 0:
            lot = s.instruments[instrument].lot_size
            oe.set_liquidation_report_instrument(r, instrument)
            oe.set_liquidation_report_quantity(r, quantity * lot)
            oe.set_liquidation_report_position(r, _held(s, account, instrument) * lot)
        oe.set_liquidation_report_value(r, value)
        oe.set_liquidation_report_refund(r, refund)
        if role == oe.LIQUIDATION_ROLE_LIQUIDATED:
            oe.set_liquidation_report_equity(r, s.work.equity)
            oe.set_liquidation_report_initial_margin(r, s.work.initial)
            oe.set_liquidation_report_maintenance_margin(r, s.work.maintenance)
        session = next_session(s, account, session)


@jit
def _held(s, account, instrument):
    number = s.accounts[account].first_position
    while number != 0:
        if s.positions[number].instrument == instrument:
            return s.positions[number].quantity
        number = s.positions[number].account_next
    return 0
