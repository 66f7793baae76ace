"""Following an account: its owner's session is told what changes, as it happens, until it says so.

    what                                          is told by
    fills, positions a liquidation moved          PositionReport, BalanceUpdate (Snapshot): how both
                                                  stand, once a command, behind all its reports
    settlement, funding, resolution, interest,    the event that books them, addressed to the
    deposits, transfers, withdrawals              follower where it is otherwise to nobody
    equity and requirements                       MarginReport, when risk looks at the account

Who keeps books counts each of these events once, so that they can't be told twice: one session
follows an account, and who asks last takes it over. It stays so while nobody is connected, for what
is missed is sent again; a session that begins anew, with number 1, follows nobody.

Nobody following costs a fill one compare in a cache line that it has read anyway.
"""

import sbe.generated.order_entry as oe
from core.engine.accounts import put_balance
from core.engine.emit import echo_size, event_begin, put_echo
from core.engine.margin.linear import perpetual_profit
from core.engine.order_terms import refuse
from core.jit import jit
from core.linked import linked

_LAST = -1  # In the chain of changed positions, which goes through `s.changes`.


@linked
def subscribe(s, account, kind):
    """What an AccountRequest asks for besides its answer: 0 or the reason against it."""
    session = s.work.session
    holder = s.accounts[account]
    if kind == oe.SUBSCRIPTION_REQUEST_TYPE_SNAPSHOT:
        return 0
    if session == 0:
        return refuse(s, oe.REASON_NOT_AUTHORIZED, account, 0)  # Nobody is told anything.
    if kind == oe.SUBSCRIPTION_REQUEST_TYPE_UNSUBSCRIBE:
        if holder.follower == session:
            _set_follower(s, account, 0)
        return 0
    if kind != oe.SUBSCRIPTION_REQUEST_TYPE_SNAPSHOT_AND_UPDATES:
        return refuse(s, oe.REASON_INVALID_FIELD, kind, 0)
    before = holder.follower
    if before != session:
        _set_follower(s, account, session)
        if before != 0:
            _tell_of_loss(s, account, before)
    return 0


@jit
def _set_follower(s, account, session):
    holder = s.accounts[account]
    if holder.follower != 0:
        s.sessions[holder.follower].following -= 1
    if session != 0:
        s.sessions[session].following += 1
    holder.follower = session


@jit
def _tell_of_loss(s, account, session):
    """Another session follows the account now: no more comes."""
    r = event_begin(s, oe.ACCOUNT_REPORT_END_BLOCK, echo_size(0), session)
    oe.write_account_report_end_header(r - 8)
    oe.set_account_report_end_account(r, account)
    oe.set_account_report_end_reason(r, oe.REASON_USER_REQUEST)


@linked
def follow_nobody(s, session):
    """The session begins anew."""
    account = s.owners[s.sessions[session].owner].first_account
    while s.sessions[session].following != 0 and account != 0:
        if s.accounts[account].follower == session:
            _set_follower(s, account, 0)
        account = s.accounts[account].owner_next


@linked
def note_change(s, number):
    """A followed account's position changed, or what it cost or earned: to be told at the end."""
    if s.changes[number] != 0:
        return
    s.changes[number] = _LAST
    if s.work.changed_last != 0:
        s.changes[s.work.changed_last] = number
    else:
        s.work.changed_first = number
    s.work.changed_last = number


@linked
def tell_changes(s):
    """Tell the followers how the noted positions and their balances stand behind the command.

    Not before: what states a balance must come behind all that moved it.
    """
    number = s.work.changed_first
    s.work.changed_first = 0
    s.work.changed_last = 0
    while number > 0:
        following = s.changes[number]
        s.changes[number] = 0
        position = s.positions[number]
        session = s.accounts[position.account].follower  # 0 if the record was freed meanwhile
        if session != 0:
            book = s.instruments[position.instrument]
            if book.kind == oe.INSTRUMENT_KIND_SPOT:
                tell_balance(s, position.account, book.base, 0, session, 0)
            else:
                tell_position(s, number, 0, session, 0)
            tell_balance(s, position.account, book.quote, 0, session, 0)
        number = following


@linked
def tell_position(s, number, request, session, echo):
    """PositionReport to a session; request 0 if it is no answer, echo 0 for none."""
    position = s.positions[number]
    book = s.instruments[position.instrument]
    block = oe.POSITION_REPORT_BLOCK
    r = event_begin(s, block, echo_size(echo), session)
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
    put_echo(r, block, echo)


@linked
def tell_balance(s, account, asset, request, session, echo):
    """BalanceUpdate of how a balance stands, to a session; as `tell_position`."""
    block = oe.BALANCE_UPDATE_BLOCK
    r = event_begin(s, block, echo_size(echo), session)
    put_balance(s, r, account, asset, oe.BALANCE_REASON_SNAPSHOT, 0, 0, request)
    put_echo(r, block, echo)
