"""Long work of the model: generators that say what each step costs; the exchange pays in slices."""

from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING, Any

import sbe.generated.order_entry as oe
from tests.model.books import (
    CLEARING,
    LIQUIDITY,
    ROUNDING,
    balance_update,
    credit,
    enter,
    move,
)
from tests.model.matching import cancel
from tests.model.records import Event, Instrument, Position
from tests.model.settling import collect, due, fund, funding, pay_claim, pay_waiting

if TYPE_CHECKING:
    from tests.model.exchange import Exchange

Steps = Generator[int, None, int | None]  # what each step costs, at the end what the last one did


def settlement(x: "Exchange") -> Steps:
    """Every perpetual's holders: who owes, who has waited, who is owed."""
    for position in _holders(x):
        book = x.instruments[position.instrument]
        if position.settled_cut != book.settled_cut and due(position, book) < 0:
            collect(x, position)
        yield 1
    missing = x.short - x.fund_claim
    advanced = min(missing, max(0, x.balance(LIQUIDITY, 0)))
    if advanced:
        move(x, LIQUIDITY, CLEARING, 0, advanced)
        x.fund_claim += advanced
        x.pot += advanced
        balance_update(
            x, LIQUIDITY, 0, oe.BALANCE_REASON_SETTLEMENT, -advanced, CLEARING, 0)
    if _waiting(x):
        for position in _holders(x):
            if position.waiting:
                pay_waiting(x, position)
            yield 1
    for position in _holders(x):
        book = x.instruments[position.instrument]
        if position.due or position.settled_cut != book.settled_cut:
            pay_claim(x, position)
        yield 1
    count, debits, credits = x.settled
    carried = x.carried
    assert (x.pot, carried + debits + advanced) == (0, credits)
    assert x.fund_claim + _waiting(x) == x.short
    x.emit(0, "SettlementCompleted", cycle=x.cycle, positions=count, debits=debits,
           credits=credits, advanced=advanced, carried=-carried, fundClaim=x.fund_claim,
           waiting=_waiting(x))


def _holders(x: "Exchange") -> Iterator[Position]:
    """All positions in perpetuals, as each market holds them when its turn comes."""
    for number in sorted(x.instruments):
        if x.instruments[number].is_perpetual:
            yield from list(x.instruments[number].holders)


def _waiting(x: "Exchange") -> int:
    return sum(position.waiting for position in x.positions.values())


def start_settlement(x: "Exchange", c: dict[str, Any]) -> int:
    """SettlementStart: the marks of this instant decide."""
    if any(job.kind == "settlement" for job in x.jobs):
        return x.refuse(oe.REASON_IN_PROGRESS, c["cycle"], x.cycle)
    if c["cycle"] <= x.cycle:
        return x.refuse(oe.REASON_INVALID_TRANSITION, c["cycle"], x.cycle)
    x.cycle = c["cycle"]
    x.settled, x.short, x.carried = [0, 0, 0], 0, x.pot
    for book in x.instruments.values():
        if book.is_perpetual and book.mark_value > 0:
            book.settled_mark = book.mark
            book.settled_value = book.mark_value
            book.settled_cut += 1
    x.start("settlement", 0, settlement(x))
    return 0


def funding_job(x: "Exchange", book: Instrument, holders: list[Position]) -> Steps:
    """The holders of one perpetual, payers first."""
    for phase in (0, 1):
        for position in holders:
            behind = position.funded_cut != book.funded_cut
            if behind and (phase == 1 or funding(position, book) < 0):
                fund(x, position)
            yield 1
        holders = list(book.holders)
        if phase == 0:
            yield 1
    rounded = book.funding_remainder
    assert rounded >= 0
    assert book.funding_pot >= 0
    remainder = min(rounded, book.funding_pot)
    if remainder:
        move(x, CLEARING, ROUNDING, book.quote, remainder)
        balance_update(
            x, ROUNDING, book.quote, oe.BALANCE_REASON_FUNDING, remainder, CLEARING, 0)
    x.pot += book.funding_pot - remainder
    x.carried += book.funding_pot - remainder
    x.fund_claim += rounded - remainder
    book.funding_remainder = book.funding_pot = 0
    x.emit(0, "FundingCompleted", instrument=book.number, rate=book.funding_rate,
           positions=book.funding_positions, remainder=remainder)


def start_funding(x: "Exchange", c: dict[str, Any]) -> int:
    """FundingStart: quantities and mark are those of now."""
    book = x.instruments[c["instrument"]]
    if book.mark_value == 0:
        return oe.REASON_INDEX_STALE
    if any((job.kind, job.subject) == ("funding", book.number) for job in x.jobs):
        return x.refuse(oe.REASON_IN_PROGRESS, book.number, 0)
    book.funded_cut += 1
    book.funding_rate = c["rate"]
    book.funding_value = book.mark_value
    book.funding_positions = book.funding_remainder = book.funding_pot = 0
    x.start("funding", book.number, funding_job(x, book, list(book.holders)))
    return 0


def cancel_all(x: "Exchange", account: int, number: int, reason: int) -> Steps:
    """An account's orders in an instrument, newest first; the last one costs two."""
    while True:
        mine = [o for o in x.accounts[account].orders if o.instrument == number]
        if mine:
            cancel(x, mine[0], reason)
        yield 1 + (len(mine) == 1)
        if len(mine) <= 1:
            return


def closing(x: "Exchange", book: Instrument, holders: list[Position]) -> Steps:
    """A market that closes gives its orders back; it ends with its last step."""
    for position in holders:
        account = x.accounts[position.account]
        for cost in cancel_all(x, account.number, book.number, oe.REASON_MARKET_CLOSED):
            more = any(order.instrument == book.number for order in account.orders)
            if position is holders[-1] and not more:
                return cost
            yield cost
    return 0


def resolution(x: "Exchange", numbers: list[int], event: Event | None) -> Steps:
    """Orders go, those who owe pay, those who are owed are paid, positions are forgotten."""
    for number in numbers:
        yield 1
        for position in list(x.instruments[number].holders) if number else []:
            yield from cancel_all(x, position.account, number, oe.REASON_RESOLUTION)
    for debits in (True, False):
        yield 1
        for number in numbers:
            yield 1
            for position in list(x.instruments[number].holders) if number else []:
                yield _pay(x, position, numbers, debits)
    yield 1
    for number in numbers:
        yield 1
        for position in list(x.instruments[number].holders) if number else []:
            x.instruments[number].holders.remove(position)
            del x.positions[position.account, number]
            yield 1
    for number in filter(None, numbers):
        book = x.instruments[number]
        x.emit(0, "ResolutionCompleted", instrument=number, positions=book.resolved_positions,
               paid=book.resolved_paid)
        x.change_state(book, oe.TRADING_STATE_RESOLVED)
    if event is not None:
        event.state = 2


def _pay(x: "Exchange", position: Position, numbers: list[int], debits: bool) -> int:
    """Pay an account's whole stake in the event at once, if it is its turn; what that costs."""
    siblings = [x.positions.get((position.account, number)) for number in numbers]
    held = [other for other in siblings if other is not None and other.quantity]
    values = {number: _payout_value(x.instruments[number]) for number in numbers if number}
    total = sum(other.quantity * values[other.instrument] for other in held)
    if not held or (total < 0) != debits:
        return 1
    for other in held:
        book = x.instruments[other.instrument]
        quantity, amount = other.quantity, other.quantity * values[book.number]
        book.resolved_positions += 1
        book.resolved_paid += max(0, amount)
        enter(other, -quantity, -amount)
        credit(x, other.account, book.quote, amount)
        credit(x, CLEARING, book.quote, -amount)
        x.emit(
            x.accounts[other.account].follower, "PositionResolved",
            account=other.account, instrument=book.number,
            position=quantity * book.lot_size, payout=book.payout, amount=amount,
            balance=x.balance(other.account, book.quote),
        )
    return len(held)


def _payout_value(book: Instrument) -> int:
    return book.payout // book.grain * book.value_per_grain


def resolve_event(x: "Exchange", c: dict[str, Any]) -> int:
    """ResolveEvent with payouts that are a point of the event's hull."""
    event = x.events_known[c["event"]]
    if event.state:
        return x.refuse(oe.REASON_INVALID_TRANSITION, event.state, 0)
    event.state = 1
    x.controls.disputed.discard(event.number)
    numbers = [event.instruments.get(outcome, 0) for outcome in range(event.outcomes)]
    for number, entry in zip(numbers, c["payouts"], strict=True):
        if number:
            x.instruments[number].payout = entry["payout"]
            x.change_state(x.instruments[number], oe.TRADING_STATE_RESOLVING)
    x.start("resolution", event.number, resolution(x, numbers, event))
    return 0


def resolve_instrument(x: "Exchange", c: dict[str, Any]) -> int:
    """ResolveInstrument of a prediction that stands alone."""
    book = x.instruments[c["instrument"]]
    if book.state > oe.TRADING_STATE_CLOSED:
        return x.refuse(oe.REASON_INVALID_TRANSITION, book.state, 0)
    book.payout = c["payout"]
    x.change_state(book, oe.TRADING_STATE_RESOLVING)
    x.start("resolution", -book.number, resolution(x, [book.number], None))
    return 0
