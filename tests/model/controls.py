"""The controls of the model: switches, conflicts, gates, limits, exclusions; no beta, no losses."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import sbe.generated.order_entry as oe
from tests.model.books import position_of
from tests.model.jobs import Steps
from tests.model.matching import cancel
from tests.model.records import RESTING, STOPPED, Order

if TYPE_CHECKING:
    from tests.model.exchange import Exchange

OWNER, SESSION, MARKET, PRODUCT, VENUE, EXCLUSION, CONFLICT = 1, 2, 3, 4, 5, 6, 7
DISPUTE = 8
REASONS = {EXCLUSION: oe.REASON_SELF_EXCLUDED, CONFLICT: oe.REASON_MARKET_CONFLICT,
           DISPUTE: oe.REASON_EVENT_DISPUTED}
DENY, CLOSE_ONLY, ALLOW = 1, 2, 3
SECOND_NS = 10**9
DAY_NS = 86_400 * SECOND_NS
NEW_ORDER, CHANGE, UNCOUNTED = 1, 2, 0


@dataclass
class Limit:
    """What an account may send."""

    open_orders: int = 0
    value: int = 0
    daily: int = 0
    interval: int = 0
    tolerance: int = 0
    pause: int = 0
    order_to_trade: int = 0
    free: int = 0
    executions: int = 0
    window: int = 0
    share: int = 0
    share_free: int = 0


@dataclass
class Used:
    """What it has sent."""

    arrival: int = 0
    paused_until: int = 0
    day: int = 0
    day_value: int = 0
    orders: int = 0
    trades: int = 0
    window: int = 0
    window_trades: int = 0
    disabled: bool = False

    def begin_day(self, now: int) -> None:
        """Nothing is used up at the beginning of a day."""
        if now - self.day >= DAY_NS:
            self.day, self.day_value, self.orders, self.trades = now - now % DAY_NS, 0, 0, 0

    def count_execution(self, limit: Limit, now: int) -> None:
        """A trade within the window; too many need a person."""
        if limit.executions:
            if now - self.window >= limit.window:
                self.window, self.window_trades = now, 0
            self.window_trades += 1
            self.disabled |= self.window_trades >= limit.executions


@dataclass
class Controls:
    """All of it."""

    killed: set[tuple[int, int]] = field(default_factory=set)  # (level, subject)
    gating: bool = False
    gates: dict[int, dict[str, Any]] = field(default_factory=dict)
    profiles: dict[int, dict[str, Any]] = field(default_factory=dict)
    permissions: dict[int, int] = field(default_factory=dict)
    limits: dict[int, Limit] = field(default_factory=dict)
    used: dict[int, Used] = field(default_factory=dict)
    excluded: dict[int, int] = field(default_factory=dict)  # owner: until
    conflicts: set[tuple[int, int]] = field(default_factory=set)  # (owner, event)
    disputed: set[int] = field(default_factory=set)  # events
    deposits: dict[int, list[int]] = field(default_factory=dict)  # owner: limit, next, at, day, sum

    def limit_of(self, account: int) -> Limit:
        """The account's own limits, or everybody's."""
        return self.limits.get(account, self.limits.get(0, Limit()))

    def count_trade(self, account: int, now: int) -> None:
        """An account has traded; while nobody has limits nobody counts."""
        if self.limits:
            used = self.used.setdefault(account, Used())
            used.begin_day(now)
            used.trades += 1
            used.count_execution(self.limit_of(account), now)


def judge_entry(x: "Exchange", order: Order, counted: int) -> int:
    """A new order, or a stop that triggers."""
    tick = order.limit_tick if order.limit_tick is not None else order.stop_tick
    if tick is None:
        tick = x.instruments[order.instrument].best(3 - order.side) or 0
    return judge(x, order, tick, order.leaves, counted)


def judge_change(x: "Exchange", order: Order, tick: int | None, lots: int) -> int:
    """New terms of an order; less at the same price is never asked about."""
    if tick == order.limit_tick and lots <= order.quantity:
        return 0
    at = tick if tick is not None else order.stop_tick
    assert at is not None
    return judge(x, order, at, lots - order.filled, CHANGE)


def judge(x: "Exchange", order: Order, tick: int, lots: int, counted: int) -> int:
    """Every control, in order."""
    controls = x.controls
    book = x.instruments[order.instrument]
    owner = x.accounts[order.account].owner
    for level, subject in ((VENUE, 0), (PRODUCT, book.kind), (MARKET, book.number),
                           (OWNER, owner), (SESSION, order.session)):
        if (level, subject) in controls.killed:
            return x.refuse(oe.REASON_KILL_SWITCH, level, subject)
    if book.event and (owner, book.event) in controls.conflicts:
        return x.refuse(oe.REASON_MARKET_CONFLICT, owner, book.event)
    if book.event in controls.disputed and not _closes(x, order, lots):
        return x.refuse(oe.REASON_EVENT_DISPUTED, book.event, 0)
    if controls.gating:
        allowed = controls.permissions.get(owner, 0) >> 2 * book.kind & 3
        until = controls.profiles.get(owner, {}).get("validUntil")
        if until is not None and x.time >= until:
            allowed = min(allowed, CLOSE_ONLY - 1)
        fine = allowed == ALLOW - 1 or (allowed == CLOSE_ONLY - 1 and _closes(x, order, lots))
        if not fine:
            return x.refuse(oe.REASON_PRODUCT_GATE, book.kind, allowed + 1)
    until = controls.excluded.get(owner, 0)
    if x.time < until and not _closes(x, order, lots):
        return x.refuse(oe.REASON_SELF_EXCLUDED, until - x.time, 0)
    if not controls.limits:
        return 0
    limit = controls.limit_of(order.account)
    value = tick * lots * book.value_per_tick_lot
    if limit.value and value > limit.value:
        return x.refuse(oe.REASON_ORDER_VALUE_LIMIT, value, limit.value)
    most = book.traded_lately(x.time) * limit.share // 10**6
    if limit.share and value > limit.share_free and lots > most:
        return x.refuse(oe.REASON_FAT_FINGER, lots * book.lot_size, most * book.lot_size)
    return _judge_limit(x, order, limit, value, counted)


def _closes(x: "Exchange", order: Order, lots: int) -> bool:
    book = x.instruments[order.instrument]
    if book.kind == oe.INSTRUMENT_KIND_SPOT:
        return order.side == 2
    open_lots = sum(
        o.reserved for o in x.reserving
        if (o.account, o.instrument, o.side) == (order.account, order.instrument, order.side)
    )
    held = position_of(x, order.account, book).quantity
    signed = held if order.side == 1 else -held
    return signed + open_lots + lots <= 0


def _judge_limit(x: "Exchange", order: Order, limit: Limit, value: int, counted: int) -> int:
    used = x.controls.used.setdefault(order.account, Used())
    stand = len(x.accounts[order.account].orders)
    if limit.open_orders and stand >= limit.open_orders and counted == NEW_ORDER:
        return x.refuse(oe.REASON_OPEN_ORDERS_LIMIT, stand, limit.open_orders)
    if used.disabled:
        return x.refuse(oe.REASON_REPEATED_EXECUTIONS, used.window_trades, limit.executions)
    used.begin_day(x.time)
    if limit.daily and used.day_value + value > limit.daily:
        return x.refuse(oe.REASON_VOLUME_LIMIT, used.day_value + value, limit.daily)
    if counted == UNCOUNTED:
        return 0
    allowed = limit.free + used.trades * limit.order_to_trade
    if limit.order_to_trade and used.orders >= allowed:
        return x.refuse(oe.REASON_ORDER_TO_TRADE_LIMIT, used.orders + 1, allowed)
    if limit.interval:
        late = x.time < used.paused_until
        if not late and used.arrival - x.time > limit.tolerance:
            used.paused_until = x.time + limit.pause
            late = True
        if late:
            wait = max(used.paused_until, used.arrival) - x.time
            return x.refuse(oe.REASON_THROTTLED, wait, limit.interval)
        used.arrival = max(used.arrival, x.time) + limit.interval
    used.day_value += value
    used.orders += 1
    return 0


# ---- commands ---------------------------------------------------------------------------------


def set_order_limits(x: "Exchange", c: dict[str, Any]) -> int:
    """SetOrderLimits."""
    if c["account"] and c["account"] not in x.accounts:
        return x.refuse(oe.REASON_UNKNOWN_ACCOUNT, c["account"], 0)
    interval = SECOND_NS // c["perSecond"] if c["perSecond"] else 0
    limit = Limit(c["openOrders"], c["value"], c["dailyValue"], interval,
                  interval * max(0, c["burst"] - 1), c["pauseMilliseconds"] * 10**6,
                  c["orderToTrade"], c["freeOrders"], c["executions"],
                  c["executionSeconds"] * SECOND_NS, c["volumeShare"], c["volumeFree"])
    used = x.controls.used.setdefault(c["account"], Used())
    used.window_trades, used.disabled = 0, False
    given = limit.open_orders or limit.value or limit.daily or limit.interval
    if given or limit.order_to_trade or limit.executions or limit.share:
        x.controls.limits[c["account"]] = limit
    else:
        x.controls.limits.pop(c["account"], None)
    return 0


def set_controls(x: "Exchange", c: dict[str, Any]) -> int:
    """SetControls, without a beta."""
    assert not c["beta"]
    x.controls.gating = bool(c["gating"])
    return 0


def set_gate(x: "Exchange", c: dict[str, Any]) -> int:
    """SetGate: everybody's permissions are looked at again."""
    x.controls.gates.pop(c["place"], None)
    if c["decision"]:
        x.controls.gates[c["place"]] = c
    for owner in sorted(x.owners):
        if owner > 1:
            _decide(x, owner, False)
    return 0


def set_owner_profile(x: "Exchange", c: dict[str, Any]) -> int:
    """SetOwnerProfile."""
    if c["owner"] not in x.owners or c["owner"] < 2:
        return x.refuse(oe.REASON_UNKNOWN_OWNER, c["owner"], 0)
    x.controls.profiles[c["owner"]] = c
    _decide(x, c["owner"], True)
    return 0


def _decide(x: "Exchange", owner: int, said: bool) -> None:
    profile = {"country": 0, "licence": 0, "clientClass": 0, "invited": 0, "validUntil": None}
    profile |= x.controls.profiles.get(owner, {})
    permissions = 0
    for kind in range(1, 8):
        fitting = [
            gate["decision"] for _, gate in sorted(x.controls.gates.items())
            if all(gate[n] in (0, profile[n]) for n in ("country", "licence", "clientClass"))
            and gate["kind"] in (0, kind)
        ]
        permissions |= ((fitting[0] if fitting else DENY) - 1) << 2 * kind
    if permissions == x.controls.permissions.get(owner, 0) and not said:
        return
    x.controls.permissions[owner] = permissions
    x.emit(0, "OwnerPermitted", owner=owner, decision=x.sequence, permissions=permissions,
           validUntil=profile["validUntil"], country=profile["country"],
           licence=profile["licence"], clientClass=profile["clientClass"],
           invited=profile["invited"])


def set_kill_switch(x: "Exchange", c: dict[str, Any]) -> int:
    """SetKillSwitch."""
    which = c["level"], c["subject"]
    if c["active"]:
        x.controls.killed.add(which)
        x.start("kill", c["subject"], _killing(x, *which))
    else:
        x.controls.killed.discard(which)
        _changed(x, which, 0, 0)
    return 0


def set_client_protection(x: "Exchange", c: dict[str, Any]) -> int:
    """SetClientProtection, without a limit of losses."""
    assert not c["dailyLoss"]
    if c["owner"] not in x.owners:
        return x.refuse(oe.REASON_UNKNOWN_OWNER, c["owner"], 0)
    before, until = x.controls.excluded.get(c["owner"], 0), c["excludedUntil"] or 0
    if before > x.time and until < before:
        return x.refuse(oe.REASON_SELF_EXCLUDED, before - x.time, 0)
    x.controls.excluded[c["owner"]] = until
    _limit_deposits(x, c["owner"], c["dailyDeposits"])
    if until > x.time:
        x.start("kill", c["owner"], _killing(x, EXCLUSION, c["owner"]))
    return 0


def client_protection(x: "Exchange", c: dict[str, Any]) -> None:
    """ClientProtectionRequest of an exclusion or a cap on deposits."""
    account = x.account_of(c["account"])
    reason, begins, owner = x.judge_account(account), 0, 0
    if reason == 0 and x.session == 0:
        reason = x.refuse(oe.REASON_NOT_AUTHORIZED, account, 0)
    if reason == 0:
        owner = x.accounts[account].owner
        reason, begins = _ask(x, owner, c)
    until = x.controls.excluded.get(owner, 0)
    x.emit(
        x.session, "ClientProtectionReport", requestId=c["requestId"], account=account,
        effectiveTime=0 if reason else begins, excludedUntil=until if until > x.time else None,
        dailyLoss=0, dailyDeposits=x.controls.deposits.get(owner, [0])[0],
        detail=x.detail if reason else 0, limit=x.limit if reason else 0, reason=reason,
        action=c["action"], echo=c["echo"],
    )


def _ask(x: "Exchange", owner: int, c: dict[str, Any]) -> tuple[int, int]:
    _mature(x, owner)
    until, action = c["until"] or 0, c["action"]
    if action == oe.CLIENT_PROTECTION_ACTION_SELF_EXCLUDE:
        before = x.controls.excluded.get(owner, 0)
        if until <= x.time:
            return x.refuse(oe.REASON_INVALID_FIELD, until, x.time), 0
        if before > x.time and until < before:
            return x.refuse(oe.REASON_SELF_EXCLUDED, before - x.time, 0), x.time
        x.controls.excluded[owner] = until
        x.start("kill", owner, _killing(x, EXCLUSION, owner))
        return 0, x.time
    if c["amount"] < 0:
        return x.refuse(oe.REASON_INVALID_FIELD, c["amount"], 0), 0
    assert action == oe.CLIENT_PROTECTION_ACTION_LIMIT_DAILY_DEPOSITS
    return 0, _limit_deposits(x, owner, c["amount"])


def _mature(x: "Exchange", owner: int) -> list[int]:
    held = x.controls.deposits.setdefault(owner, [0, 0, 0, 0, 0])
    if held[2] and x.time >= held[2]:
        held[0], held[2] = held[1], 0
    return held


def _limit_deposits(x: "Exchange", owner: int, most: int) -> int:
    """Tighter at once, looser a day later; from when on."""
    held = _mature(x, owner)
    held[2] = 0
    if held[0] and (most == 0 or most > held[0]):
        held[1], held[2] = most, x.time + DAY_NS
        return held[2]
    held[0] = most
    return x.time


def judge_deposit(x: "Exchange", account: int, worth: int) -> int:
    """Whether a deposit of so many USDC units is within its owner's cap; it is counted."""
    if account not in x.accounts:
        return 0
    held = _mature(x, x.accounts[account].owner)
    if x.time - held[3] >= DAY_NS:
        held[3], held[4] = x.time - x.time % DAY_NS, 0
    if held[0] and held[4] + worth > held[0]:
        return x.refuse(oe.REASON_DEPOSIT_LIMIT, held[4] + worth, held[0])
    held[4] += worth
    return 0


def set_market_conflict(x: "Exchange", c: dict[str, Any]) -> int:
    """SetMarketConflict."""
    if c["owner"] not in x.owners or c["owner"] < 2:
        return x.refuse(oe.REASON_UNKNOWN_OWNER, c["owner"], 0)
    if c["event"] not in x.events_known:
        return x.refuse(oe.REASON_UNKNOWN_EVENT, c["event"], 0)
    which = c["owner"], c["event"]
    if c["active"]:
        x.controls.conflicts.add(which)
        x.start("kill", c["owner"], _killing(x, CONFLICT, c["owner"]))
    else:
        x.controls.conflicts.discard(which)
    return 0


def set_event_dispute(x: "Exchange", c: dict[str, Any]) -> int:
    """SetEventDispute."""
    event = x.events_known.get(c["event"])
    if event is None:
        return x.refuse(oe.REASON_UNKNOWN_EVENT, c["event"], 0)
    if not c["active"]:
        x.controls.disputed.discard(c["event"])
        return 0
    if event.state:
        return x.refuse(oe.REASON_INVALID_TRANSITION, event.state, 0)
    x.controls.disputed.add(c["event"])
    x.start("kill", c["event"], _killing(x, DISPUTE, c["event"]))
    return 0


def _killing(x: "Exchange", level: int, subject: int) -> Steps:
    """One account after the other, newest orders first."""
    count = due = 0
    for number in range(1, max(x.accounts) + 1):
        if due:
            yield due
        due = 0
        account = x.accounts.get(number)
        theirs = level in (OWNER, EXCLUSION, CONFLICT)
        if account is None or not account.orders or (theirs and account.owner != subject):
            due = int(number % 64 == 0)
            continue
        for order in list(account.orders):
            if order.state in (RESTING, STOPPED) and _in_scope(x, order, level, subject):
                if due:
                    yield due
                if order.state in (RESTING, STOPPED):
                    cancel(x, order, REASONS.get(level, oe.REASON_KILL_SWITCH))
                    count += 1
                    due = 1
    _changed(x, (level, subject), 1, count)
    return due


def _in_scope(x: "Exchange", order: Order, level: int, subject: int) -> bool:
    book = x.instruments[order.instrument]
    return {
        OWNER: True, EXCLUSION: True, VENUE: True, SESSION: order.session == subject,
        CONFLICT: (subject, book.event) in x.controls.conflicts,
        MARKET: order.instrument == subject,
        PRODUCT: book.kind == subject, DISPUTE: book.event == subject,
    }[level]


def _changed(x: "Exchange", which: tuple[int, int], on: int, count: int) -> None:
    x.emit(0, "KillSwitchChanged", level=which[0], subject=which[1], active=on, canceled=count)
