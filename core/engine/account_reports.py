"""The answer to AccountRequest: positions, balances and margin of an account, as of now.

    PositionReport …  BalanceUpdate (Snapshot) …  MarginReport  AccountReportEnd
"""

import numpy as np

import sbe.generated.order_entry as oe
from core.engine.accounts import put_balance
from core.engine.emit import echo_size, event_begin, put_echo
from core.engine.margin.door import margin_levels
from core.engine.margin.linear import perpetual_profit
from core.engine.order_terms import account_of, judge_account
from core.jit import jit
from core.linked import linked

ABOVE_INITIAL, BELOW_INITIAL, BELOW_MAINTENANCE = 0, 1, 2


@linked
def account_request(s, a):
    """Handle an AccountRequest: reports, then one that ends them and says how many there were."""
    account = account_of(s, oe.account_request_account(a))
    request = np.int64(oe.account_request_request_id(a))
    reason = judge_account(s, account)
    reports = 0
    if reason == 0:
        margin_levels(s, account)  # Posts interest first, so that the balances below are whole.
        reports = _positions(s, account, request) + _balances(s, account, request) + 1
        _margin(s, account, request)
    block = oe.ACCOUNT_REPORT_END_BLOCK
    r = event_begin(s, block, echo_size(s.work.echo), s.work.session)
    oe.write_account_report_end_header(r - 8)
    oe.set_account_report_end_request_id(r, request)
    oe.set_account_report_end_account(r, account)
    oe.set_account_report_end_reports(r, reports)
    oe.set_account_report_end_reason(r, reason)
    put_echo(r, block, s.work.echo)


@jit
def _positions(s, account, request):
    count = 0
    number = s.accounts[account].first_position
    while number != 0:
        position = s.positions[number]
        if position.quantity != 0 or position.unsettled != 0:
            _position(s, position, request)
            count += 1
        number = position.account_next
    return count


@jit
def _position(s, position, request):
    book = s.instruments[position.instrument]
    block = oe.POSITION_REPORT_BLOCK
    r = event_begin(s, block, echo_size(s.work.echo), s.work.session)
    oe.write_position_report_header(r - 8)
    oe.set_position_report_request_id(r, request)
    oe.set_position_report_account(r, position.account)
    oe.set_position_report_instrument(r, position.instrument)
    oe.set_position_report_position(r, position.quantity * book.lot_size)
    oe.set_position_report_entry_value(r, position.entry_value)
    if book.kind == oe.INSTRUMENT_KIND_PERPETUAL:
        oe.set_position_report_unsettled(r, perpetual_profit(position, book))
    oe.set_position_report_realized(r, position.realized)
    oe.set_position_report_mark(r, book.mark)
    put_echo(r, block, s.work.echo)


@jit
def _balances(s, account, request):
    count = 0
    asset = 0
    seen = s.accounts[account].assets_seen
    while seen != 0:
        if seen & 1:
            block = oe.BALANCE_UPDATE_BLOCK
            r = event_begin(s, block, echo_size(s.work.echo), s.work.session)
            put_balance(s, r, account, asset, oe.BALANCE_REASON_SNAPSHOT, 0, 0, request)
            put_echo(r, block, s.work.echo)
            count += 1
        seen >>= 1
        asset += 1
    return count


@jit
def _margin(s, account, request):
    equity, initial, maintenance = s.work.scratch[0], s.work.scratch[1], s.work.scratch[2]
    level = ABOVE_INITIAL
    if equity < maintenance:
        level = BELOW_MAINTENANCE
    elif equity < initial:
        level = BELOW_INITIAL
    block = oe.MARGIN_REPORT_BLOCK
    r = event_begin(s, block, echo_size(s.work.echo), s.work.session)
    oe.write_margin_report_header(r - 8)
    oe.set_margin_report_request_id(r, request)
    oe.set_margin_report_account(r, account)
    oe.set_margin_report_equity(r, equity)
    oe.set_margin_report_initial_margin(r, initial)
    oe.set_margin_report_maintenance_margin(r, maintenance)
    oe.set_margin_report_level(r, level)
    put_echo(r, block, s.work.echo)
