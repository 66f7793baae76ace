"""A naive model of the whole order path and the accounts, to hold the engine to.

    x = Exchange(limits)
    x.apply(Command("NewOrderSingle", {...}, session=1))
    x.events                  what that command says: (session, number, name, fields)

Plain Python and sortedcontainers; it reads the same commands as the engine and shares no code with
it. Everything that can be computed from something else is: the model keeps no index, no sum and no
cache, so that it can be wrong only where the rules are.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import sbe.generated.order_entry as oe
from core.messages import template
from tests.model import (
    caps,
    changes,
    controls,
    destinations,
    entry,
    following,
    jobs,
    money,
    previews,
    venue,
)
from tests.model.auction import auction_tick, still_crosses, uncross
from tests.model.matching import cancel
from tests.model.records import (
    Account,
    Asset,
    Event,
    Instrument,
    Order,
    Owner,
    Position,
    Protection,
    Session,
)

JOB_SLICE, JOB_SLICE_RARE = 8, 64  # after clients' commands, and after all others
FIRST_KEYED = 410
EXPIRIES_MAX = 256
SLOT_BITS = 24
MILLISECOND = 1_000_000
HOUSE_ACCOUNTS = range(1, 9)


class Limits(Protocol):
    """What the engine was given room for."""

    accounts_max: int
    instruments_max: int
    orders_max: int


@dataclass
class Command:
    """One command as it is sent: name, fields, who, when."""

    name: str
    fields: dict[str, Any]
    session: int = 0
    producer: int = 8
    time: int = 0


@dataclass
class Said:
    """One event: to whom, under which number of theirs."""

    session: int
    number: int
    name: str
    fields: dict[str, Any]


@dataclass
class Job:
    """Work in slices."""

    kind: str
    subject: int
    steps: jobs.Steps = field(repr=False)


Handler = Callable[["Exchange", dict[str, Any]], int | None]


class Exchange:
    """The model: what is known, and one command after the other."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.assets: dict[int, Asset] = {}
        self.owners: dict[int, Owner] = {1: Owner(1, 0, 0)}
        self.accounts: dict[int, Account] = {n: Account(n, 1, 0, 0) for n in HOUSE_ACCOUNTS}
        self.instruments: dict[int, Instrument] = {}
        self.events_known: dict[int, Event] = {}
        self.sessions: dict[int, Session] = {}
        self.positions: dict[tuple[int, int], Position] = {}
        self.fees: dict[tuple[int, int], tuple[int, int]] = {}
        self.client_ids: dict[tuple[int, int], Order] = {}
        self.records: dict[int, Order] = {}  # by slot
        self.ended: deque[int] = deque()  # slots of records that may be forgotten
        self.reserving: list[Order] = []  # orders for which margin is held
        self.expiring: set[int] = set()  # slots
        self.tripped: list[Protection] = []
        self.jobs: list[Job] = []
        self.controls = controls.Controls()
        self.settled = [0, 0, 0]  # positions, debits, credits
        self.short = self.pot = self.fund_claim = 0  # still owed; taken and not given; advanced
        self.carried = 0  # in the pot when a settlement began
        self.withdrawals: dict[int, money.Withdrawal] = {}
        self.withdrawal_ids = self.exec_id = self.trades = self.order_ids = self.cycle = 0
        self.auction_pending = 0
        self.triggers_left: set[int] = set()  # instruments
        self.sequence = self.time = self.session = self.producer = 0
        self._begin()

    def _begin(self) -> None:
        self.events: list[Said] = []
        self.changed: list[Position] = []  # by fills, of accounts that are followed
        self.detail = self.limit = self.fills = self.triggered = 0
        self.taker_report: dict[str, Any] | None = None
        self.last_report: dict[str, Any] | None = None

    # ---- what the parts ask for ---------------------------------------------------------------

    def emit(self, session: int, name: str, /, **fields: Any) -> None:
        """Say something; what is said to a session has its next number."""
        number = 0
        if session:
            number = self.sessions[session].next_outbound
            self.sessions[session].next_outbound += 1
        self.events.append(Said(session, number, name, fields))

    def refuse(self, reason: int, detail: int, limit: int) -> int:
        """Note what was wrong."""
        self.detail, self.limit = detail, limit
        return reason

    def balance(self, account: int, asset: int) -> int:
        """Units of an asset."""
        return self.accounts[account].balances.get(asset, 0)

    def account_of(self, account: int) -> int:
        """0 is the session's own."""
        return self.sessions[self.session].account if account == 0 and self.session else account

    def judge_account(self, account: int) -> int:
        """Whether the running session may act for the account."""
        if account not in self.accounts:
            return self.refuse(oe.REASON_UNKNOWN_ACCOUNT, account, 0)
        if self.session and self.sessions[self.session].owner != self.accounts[account].owner:
            owner = self.sessions[self.session].owner
            return self.refuse(oe.REASON_NOT_AUTHORIZED, account, owner)
        return 0

    def take_record(self) -> Order | None:
        """A record for a new order; when all are used, that of the order that ended first."""
        slot = len(self.records) + 1
        if slot >= self.limits.orders_max:
            if not self.ended:
                return None
            slot = self.ended.popleft()
            old = self.records[slot]
            if self.client_ids.get((old.session, old.client_id)) is old:
                del self.client_ids[old.session, old.client_id]
        self.order_ids += 1
        self.records[slot] = Order(slot, self.order_ids << SLOT_BITS | slot)
        return self.records[slot]

    def give_back(self, order: Order) -> None:
        """A refused order's record is the next to be used."""
        if order.slot:
            order.client_id = 0
            self.ended.appendleft(order.slot)

    def find_order(self, order_id: int | None, client_id: int) -> Order | None:
        """The order that is meant, if it is known and the session's owner's."""
        if order_id:
            order = self.records.get(order_id & (1 << SLOT_BITS) - 1)
            if order is None or order.order_id != order_id:
                return None
            mine = not self.session or self.sessions[self.session].owner == order.owner
            return order if mine else None
        return self.client_ids.get((self.session, client_id)) if client_id else None

    def start(self, kind: str, subject: int, steps: jobs.Steps) -> None:
        """Queue a job."""
        self.jobs.append(Job(kind, subject, steps))

    def change_state(self, book: Instrument, state: int) -> None:
        """Put an instrument into a state and say so."""
        book.state = state
        traded = book.auction_tick > 0 and book.auction_lots > 0
        self.emit(
            0, "TradingStateChanged", instrument=book.number, state=state,
            auctionPrice=book.auction_tick * book.tick_size if traded else None,
            auctionQty=book.auction_lots * book.lot_size if traded else None,
        )

    # ---- one command --------------------------------------------------------------------------

    def apply(self, command: Command) -> list[Said]:
        """Apply a command; its events."""
        self._begin()
        self.sequence += 1
        self.time, self.session = command.time, command.session
        self.producer = command.producer
        if command.name in CLIENT:
            self._client(command)
        elif command.name in SESSION:
            SESSION[command.name](self, command.fields)
        elif command.name in KEYED:
            reason = KEYED[command.name](self, command.fields)
            self.emit(
                0, "CommandResult", key=command.fields["key"], producer=command.producer,
                refTemplateId=template(command.name), reason=reason, detail=self.detail,
                limit=self.limit,
            )
        few = template(command.name) < FIRST_KEYED
        self._follow_up(JOB_SLICE if few else JOB_SLICE_RARE)
        if self.last_report is not None:
            self.last_report["flags"] |= oe.REPORT_FLAGS_LAST_IN_EVENT
        following.tell_changes(self)
        return self.events

    def _client(self, command: Command) -> None:
        number = command.fields["header"]["msgSeqNum"]
        if self.session and number:
            if number < self.sessions[self.session].next_inbound:
                return
            self.sessions[self.session].next_inbound = number + 1
        reason = CLIENT[command.name](self, command.fields)
        if reason:
            self.emit(
                self.session, "BusinessReject", refSeqNo=number,
                refTemplateId=template(command.name), reason=reason, detail=self.detail,
                limit=self.limit, echo=b"",
            )

    def _follow_up(self, slice_of_jobs: int) -> None:
        changes.run_protections(self)
        if self.triggered:
            entry.run_triggers(self, self.triggered)
        left = sorted(self.triggers_left)
        if left and left != [self.triggered]:
            self.triggers_left.clear()
            for number in left if len(left) == 1 else sorted(self.instruments):
                entry.run_triggers(self, number)
        if self.auction_pending:
            self._auction(self.instruments[self.auction_pending])
        self._run_timers()
        self._run_jobs(slice_of_jobs)
        changes.run_protections(self)

    def _auction(self, book: Instrument) -> None:
        book.auction_lots += uncross(self, book, book.auction_tick)
        if still_crosses(book, book.auction_tick):
            return
        again = auction_tick(book)
        if again:  # Orders that went without trading made the price: another round.
            book.auction_tick = again
            return
        self.auction_pending = 0
        self.change_state(book, oe.TRADING_STATE_OPEN)
        book.auction_tick = book.auction_lots = 0
        entry.run_triggers(self, book.number)

    def _run_timers(self) -> None:
        for _ in range(EXPIRIES_MAX):
            expiring = [(self.records[slot].expire_time, slot) for slot in self.expiring]
            if not expiring or min(expiring)[0] > self.time:
                break
            cancel(self, self.records[min(expiring)[1]], oe.REASON_EXPIRY)
        for number in sorted(self.accounts):
            account = self.accounts[number]
            if 0 < account.cancel_at <= self.time:
                account.cancel_at = 0
                self._cancel_account(number, lambda order: True, oe.REASON_CANCEL_TIMER)
        for session in self.sessions.values():
            if 0 < session.cancel_at <= self.time:
                session.cancel_at = 0
                self._cancel_left_behind(session)

    def _cancel_left_behind(self, session: Session) -> None:
        def goes(order: Order) -> bool:
            mine = session.cancel_on_disconnect == 2 or order.session == session.number
            return mine and not order.has(oe.EXEC_INST_SURVIVE_DISCONNECT)

        for number in sorted(self.accounts):
            if self.accounts[number].owner == session.owner:
                self._cancel_account(number, goes, oe.REASON_CANCEL_ON_DISCONNECT)

    def _cancel_account(self, number: int, goes: Callable[[Order], bool], reason: int) -> None:
        for order in list(self.accounts[number].orders):
            if goes(order):
                cancel(self, order, reason)

    def _run_jobs(self, budget: int) -> None:
        while budget > 0 and self.jobs:
            try:
                budget -= next(self.jobs[0].steps)
            except StopIteration as ended:
                budget = max(0, budget - (ended.value or 0))
                self.jobs.pop(0)


CLIENT: dict[str, Handler] = {
    "NewOrderSingle": entry.new_order,
    "OrderPreviewRequest": previews.order_preview,
    "OrderCancelRequest": changes.cancel_request,
    "OrderCancelReplaceRequest": changes.replace_order,
    "OrderMassCancelRequest": changes.mass_cancel,
    "OrderStatusRequest": changes.order_status,
    "MassQuote": changes.mass_quote,
    "QuoteCancel": changes.quote_cancel,
    "ProtectionSet": changes.protection_set,
    "ProtectionReset": changes.protection_reset,
    "SetCancelTimer": money.set_cancel_timer,
    "TransferRequest": money.transfer_request,
    "WithdrawalRequest": money.withdrawal_request,
    "WithdrawalRule": destinations.withdrawal_rule,
    "ClientProtectionRequest": controls.client_protection,
    "AccountRequest": following.account_request,
}
SESSION: dict[str, Handler] = {
    "SessionOpen": venue.session_open,
    "SessionSigned": venue.session_signed,
    "SessionClose": venue.session_close,
    "Tick": lambda x, c: None,
}
KEYED: dict[str, Handler] = {
    "RegisterAsset": venue.register_asset,
    "RegisterOwner": venue.register_owner,
    "RegisterAccount": venue.register_account,
    "RegisterSession": venue.register_session,
    "RegisterEvent": venue.register_event,
    "ListInstrument": venue.list_instrument,
    "SetFees": venue.set_fees,
    "SetKillSwitch": controls.set_kill_switch,
    "SetOwnerProfile": controls.set_owner_profile,
    "SetGate": controls.set_gate,
    "SetControls": controls.set_controls,
    "SetOrderLimits": controls.set_order_limits,
    "SetClientProtection": controls.set_client_protection,
    "SetMarketConflict": controls.set_market_conflict,
    "SetEventDispute": controls.set_event_dispute,
    "SetRiskParameter": caps.set_risk_parameter,
    "SetAccountState": venue.set_account_state,
    "SetTradingState": venue.set_trading_state,
    "SetIndexPrice": venue.set_index_price,
    "SetMarkPrice": venue.set_mark_price,
    "Deposit": money.deposit,
    "WithdrawalStep": money.withdrawal_step,
    "SettlementStart": jobs.start_settlement,
    "FundingStart": jobs.start_funding,
    "ResolveEvent": jobs.resolve_event,
    "ResolveInstrument": jobs.resolve_instrument,
}
