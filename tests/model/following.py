"""Who follows an account in the model, and what the follower is told behind a command."""

from typing import TYPE_CHECKING, Any

import sbe.generated.order_entry as oe
from tests.model.books import balance_stands
from tests.model.margin import levels
from tests.model.records import Position

if TYPE_CHECKING:
    from tests.model.exchange import Exchange

SNAPSHOT, UPDATES, UNSUBSCRIBE = 0, 1, 2


def account_request(x: "Exchange", c: dict[str, Any]) -> None:
    """AccountRequest: the snapshot, and who is told from then on."""
    account = x.account_of(c["account"])
    kind = c.get("subscriptionRequestType") or SNAPSHOT
    reason = x.judge_account(account) or _subscribe(x, account, kind)
    asked = {"requestId": c["requestId"], "account": account, "echo": c["echo"]}
    before = len(x.events)
    if reason == 0 and kind != UNSUBSCRIBE:
        for position in reversed(x.positions.values()):
            if position.account == account and (position.quantity or _unsettled(x, position)):
                _tell_position(x, position, x.session, asked)
        for asset in sorted(x.accounts[account].balances):
            balance_stands(x, account, asset, x.session, c["requestId"], c["echo"])
        equity, initial, maintenance = levels(x, x.accounts[account])
        level = 2 if equity < maintenance else 1 if equity < initial else 0
        x.emit(
            x.session, "MarginReport", **asked, equity=equity, initialMargin=initial,
            maintenanceMargin=maintenance, level=level,
        )
    reports = len(x.events) - before
    x.emit(x.session, "AccountReportEnd", **asked, reports=reports, reason=reason)


def _subscribe(x: "Exchange", account: int, kind: int) -> int:
    holder = x.accounts[account]
    if kind == SNAPSHOT:
        return 0
    if not x.session:
        return x.refuse(oe.REASON_NOT_AUTHORIZED, account, 0)
    if kind == UNSUBSCRIBE:
        if holder.follower == x.session:
            holder.follower = 0
        return 0
    if kind != UPDATES:
        return x.refuse(oe.REASON_INVALID_FIELD, kind, 0)
    before, holder.follower = holder.follower, x.session
    if before not in (0, x.session):
        x.emit(
            before, "AccountReportEnd", requestId=0, account=account, reports=0,
            reason=oe.REASON_USER_REQUEST, echo=b"",
        )
    return 0


def tell_changes(x: "Exchange") -> None:
    """What the command's fills have left of positions and balances, to who follows them."""
    for position in x.changed:
        session = x.accounts[position.account].follower
        if not session or x.positions.get((position.account, position.instrument)) is not position:
            continue
        book = x.instruments[position.instrument]
        if book.is_spot:
            balance_stands(x, position.account, book.base, session)
        else:
            unasked = {"requestId": 0, "account": position.account, "echo": b""}
            _tell_position(x, position, session, unasked)
        balance_stands(x, position.account, book.quote, session)


def _unsettled(x: "Exchange", position: Position) -> int:
    """Since the last settlement, less what the mark did."""
    perpetual = x.instruments[position.instrument].is_perpetual
    return position.claim + position.quantity * position.settled_value if perpetual else 0


def _tell_position(
    x: "Exchange", position: Position, session: int, asked: dict[str, Any]
) -> None:
    book = x.instruments[position.instrument]
    profit = position.quantity * book.mark_value + position.claim if book.is_perpetual else 0
    x.emit(
        session, "PositionReport", **asked, instrument=book.number,
        position=position.quantity * book.lot_size, entryValue=position.entry_value,
        unsettled=profit, realized=position.realized, mark=book.mark,
    )
