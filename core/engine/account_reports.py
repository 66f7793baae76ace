"""The answer to AccountRequest: positions, balances and margin of an account, as of now.

    PositionReport …  BalanceUpdate (Snapshot) …  MarginReport  AccountReportEnd

It may also ask to be told from then on what changes, see `core.engine.following`.
"""

import numpy as np

import sbe.generated.order_entry as oe
from core.engine.emit import echo_size, event_begin, put_echo
from core.engine.following import subscribe, tell_balance, tell_position
from core.engine.margin.door import margin_levels
from core.engine.order_terms import account_of, judge_account
from core.jit import jit
from core.linked import linked

ABOVE_INITIAL, BELOW_INITIAL, BELOW_MAINTENANCE = 0, 1, 2


@linked
def account_request(s, a):
    """Handle an AccountRequest: reports, then one that ends them and says how many there were."""
    account = account_of(s, oe.account_request_account(a))
    request = np.int64(oe.account_request_request_id(a))
    kind = _subscription(s, a)
    reason = judge_account(s, account)
    if reason == 0:
        reason = subscribe(s, account, kind)
    reports = 0
    if reason == 0 and kind != oe.SUBSCRIPTION_REQUEST_TYPE_UNSUBSCRIBE:
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
def _subscription(s, a):
    """The SubscriptionRequestType; only the snapshot where none is given."""
    if s.work.echo - a <= oe.ACCOUNT_REQUEST_SUBSCRIPTION_REQUEST_TYPE_OFFSET:
        return oe.SUBSCRIPTION_REQUEST_TYPE_SNAPSHOT  # Of a sender that doesn't know the field.
    kind = oe.account_request_subscription_request_type(a)
    if kind == oe.ACCOUNT_REQUEST_SUBSCRIPTION_REQUEST_TYPE_NULL:
        return oe.SUBSCRIPTION_REQUEST_TYPE_SNAPSHOT
    return kind


@jit
def _positions(s, account, request):
    count = 0
    number = s.accounts[account].first_position
    while number != 0:
        position = s.positions[number]
        if position.quantity != 0 or position.unsettled != 0:
            tell_position(s, number, request, s.work.session, s.work.echo)
            count += 1
        number = position.account_next
    return count


@jit
def _balances(s, account, request):
    count = 0
    asset = 0
    seen = s.accounts[account].assets_seen
    while seen != 0:
        if seen & 1:
            tell_balance(s, account, asset, request, s.work.session, s.work.echo)
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
