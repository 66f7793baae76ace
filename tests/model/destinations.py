"""The model's lists of where withdrawals may go, and the owners' delays."""

from typing import TYPE_CHECKING, Any

import sbe.generated.order_entry as oe
from tests.model.records import Owner

if TYPE_CHECKING:
    from tests.model.exchange import Exchange

SECOND = 1_000_000_000
DELAY_MAX = 30 * 86_400
OF_ONE_OWNER_MAX = 32
LENGTH = 64


def delay_of(x: "Exchange", owner: Owner) -> int:
    """What an owner's withdrawals wait now."""
    shortened = owner.delay_at and owner.delay_at <= x.time
    return owner.delay_next if shortened else owner.delay


def is_listed(x: "Exchange", owner: Owner) -> bool:
    """Whether the list holds now."""
    return owner.listed and not (owner.lifted_at and owner.lifted_at <= x.time)


def judge(x: "Exchange", owner: Owner, text: str) -> int:
    """Whether a withdrawal may go there."""
    if not is_listed(x, owner):
        return 0
    begins = owner.destinations.get(text, 0)
    if begins == 0:
        return x.refuse(oe.REASON_DESTINATION_NOT_ALLOWED, 0, len(owner.destinations))
    if begins > x.time:
        return x.refuse(oe.REASON_DESTINATION_NOT_ALLOWED, begins, x.time)
    return 0


def withdrawal_rule(x: "Exchange", c: dict[str, Any]) -> None:
    """WithdrawalRule."""
    account = x.account_of(c["account"])
    reason, begins, owner = x.judge_account(account), 0, None
    if reason == 0 and not x.session:
        reason = x.refuse(oe.REASON_NOT_AUTHORIZED, account, 0)
    if reason == 0:
        owner = x.owners[x.accounts[account].owner]
        reason, begins = _change(x, owner, c["action"], c["destination"], c["delay"])
    x.emit(
        x.session, "WithdrawalRuleReport", requestId=c["requestId"], account=account,
        delay=delay_of(x, owner) // SECOND if owner else 0, reason=reason,
        effectiveTime=begins if reason == 0 else 0, detail=x.detail if reason else 0,
        limit=x.limit if reason else 0, destinations=len(owner.destinations) if owner else 0,
        action=c["action"], listed=int(owner is not None and is_listed(x, owner)),
        destination=c["destination"], echo=c["echo"],
    )


def _change(
    x: "Exchange", owner: Owner, action: int, text: str, seconds: int
) -> tuple[int, int]:
    wait = delay_of(x, owner)
    later = x.time + wait
    if action == oe.WITHDRAWAL_RULE_ACTION_ADD_DESTINATION:
        if not text:
            return x.refuse(oe.REASON_INVALID_FIELD, 0, LENGTH), 0
        if text in owner.destinations:
            return x.refuse(oe.REASON_ALREADY_EXISTS, 0, 0), 0
        if len(owner.destinations) >= OF_ONE_OWNER_MAX:
            return x.refuse(oe.REASON_CAPACITY_REACHED, OF_ONE_OWNER_MAX, OF_ONE_OWNER_MAX), 0
        owner.destinations[text] = later
        owner.listed, owner.lifted_at = True, 0
        return 0, later
    if action == oe.WITHDRAWAL_RULE_ACTION_REMOVE_DESTINATION:
        if owner.destinations.pop(text, None) is None:
            known = len(owner.destinations)
            return x.refuse(oe.REASON_DESTINATION_NOT_ALLOWED, 0, known), 0
        return 0, x.time
    if action == oe.WITHDRAWAL_RULE_ACTION_LIFT_LIST:
        if not is_listed(x, owner):
            return x.refuse(oe.REASON_INVALID_TRANSITION, 0, 0), 0
        owner.lifted_at = owner.lifted_at or later
        return 0, owner.lifted_at
    if seconds > DELAY_MAX:
        return x.refuse(oe.REASON_INVALID_FIELD, seconds, DELAY_MAX), 0
    owner.delay, owner.delay_at = max(wait, seconds * SECOND), 0
    if seconds * SECOND < wait:
        owner.delay_next, owner.delay_at = seconds * SECOND, later
        return 0, later
    return 0, x.time
