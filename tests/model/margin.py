"""The margin of the model: everything added up anew, an event's worst case by trying all of them.

    free = collateral + Σ perpetual profit − Σ requirements + Σ worst cases of events

An order is a tuple (instrument, side, tick, lots); what is asked for is judged beside the account's
open ones. The size factor of perpetuals is not modelled: the model's instruments have none.
"""

from collections import defaultdict
from typing import TYPE_CHECKING

import sbe.generated.order_entry as oe
from tests.model.books import MILLION, fee, position_of, up
from tests.model.caps import judge_share
from tests.model.records import Account, Asset, Instrument, Position

if TYPE_CHECKING:
    from tests.model.exchange import Exchange

BUY, SELL = oe.SIDE_BUY, oe.SIDE_SELL
LIVE, DEGRADED, STALE = 0, 1, 2
Wanted = tuple[int, int, int, int]


def worth_down(asset: Asset, amount: int) -> int:
    """USDC units at the index, rounded down; 0 without one."""
    return amount * asset.index // (100 * asset.unit) if asset.number else amount


def worth_up(asset: Asset, amount: int) -> int:
    """USDC units at the index, rounded up."""
    return up(amount * asset.index, 100 * asset.unit) if asset.number else amount


def orders_of(x: "Exchange", account: Account, extra: Wanted | None) -> list[Wanted]:
    """The orders margin is held for."""
    held = [
        (order.instrument, order.side, order.reserved_tick, order.reserved)
        for order in x.reserving if order.account == account.number and order.reserved > 0
    ]
    return [*held, extra] if extra is not None else held


def reserved(x: "Exchange", orders: list[Wanted]) -> dict[int, int]:
    """What orders would take out of balances."""
    taken: dict[int, int] = defaultdict(int)
    for number, side, tick, lots in orders:
        book = x.instruments[number]
        if side == BUY and not book.is_perpetual:
            taken[book.quote] += book.value(tick, lots)
        elif side == SELL and book.is_spot:
            taken[book.base] += lots * book.base_per_lot
    return taken


def collateral(
    x: "Exchange", account: Account, orders: list[Wanted], initial: bool
) -> tuple[int, int]:
    """Value of the balances, and what haircuts and debts require."""
    value = required = 0
    taken = reserved(x, orders)
    for number, asset in x.assets.items():
        balance = account.balances.get(number, 0)
        debt = max(0, taken[number] - balance)
        haircut = asset.haircut_initial if initial else asset.haircut_maintenance
        rate = asset.borrow_margin_initial if initial else asset.borrow_margin_maintenance
        if number == 0:
            value += balance
        elif balance >= 0:
            value += worth_down(asset, balance)
            required += up(worth_down(asset, balance) * haircut, MILLION)
            required += up(balance * asset.uncounted, 100 * asset.unit) if initial else 0
        else:
            value -= worth_up(asset, -balance)
        required += up(worth_up(asset, debt) * rate, MILLION)
    return value, required


def perpetual(
    book: Instrument, position: Position | None, orders: list[Wanted], base: int
) -> int:
    """The worse end of the range, with each order that loses there or on the way to its limit.

    Who is not short and sells nothing loses at most what he has and bids.
    """
    held = position.quantity if position is not None else 0
    worst, most = 0, held * book.mark_value
    for move in (-base, base):
        loss = -held * book.mark_value * move
        for _, side, tick, lots in orders:
            sign = 1 if side == BUY else -1
            worth = lots * book.mark_value
            worse = max(0, sign * (book.value(tick, lots) - worth))
            loss += max(0, worse * MILLION - sign * worth * move)
        worst = max(worst, loss)
    if held >= 0 and all(side == BUY for _, side, _, _ in orders):
        most += sum(book.value(tick, lots) for _, _, tick, lots in orders)
        worst = min(worst, most * MILLION)
    return up(worst, MILLION)


def spot(x: "Exchange", book: Instrument, orders: list[Wanted], initial: bool) -> int:
    """What a pair's orders lose against the index, and the haircut on what they would bring."""
    base, quote = x.assets[book.base], x.assets[book.quote]
    required = 0
    bought = sum(lots for _, side, _, lots in orders if side == BUY) * book.base_per_lot
    sold = sum(lots for _, side, _, lots in orders if side == SELL) * book.base_per_lot
    pays = sum(book.value(tick, lots) for _, side, tick, lots in orders if side == BUY)
    gets = sum(book.value(tick, lots) for _, side, tick, lots in orders if side == SELL)
    if bought:
        haircut = base.haircut_initial if initial else base.haircut_maintenance
        required += max(0, worth_up(quote, pays) - worth_down(base, bought))
        required += up(worth_up(base, bought) * haircut, MILLION)
    if sold:
        required += max(0, worth_up(base, sold) - worth_down(quote, gets))
        if book.quote != 0:
            haircut = quote.haircut_initial if initial else quote.haircut_maintenance
            required += up(worth_up(quote, gets) * haircut, MILLION)
    return required


def linear(x: "Exchange", account: Account, orders: list[Wanted], initial: bool) -> int:
    """The requirement of all spot pairs and perpetuals."""
    total = 0
    for number, book in x.instruments.items():
        mine = [order for order in orders if order[0] == number]
        if book.is_perpetual:
            rate = book.margin_initial if initial else book.margin_maintenance
            total += perpetual(book, x.positions.get((account.number, number)), mine, rate)
        elif book.is_spot:
            total += spot(x, book, mine, initial)
    return total


def profit(x: "Exchange", account: Account) -> int:
    """Of all perpetuals, at their marks."""
    return sum(
        position.quantity * x.instruments[number].mark_value + position.claim
        for (holder, number), position in x.positions.items()
        if holder == account.number and x.instruments[number].is_perpetual
    )


def payoff(x: "Exchange", account: Account, number: int, orders: list[Wanted], true: bool) -> int:
    """Of an outcome that comes true or not, with exactly those orders traded that lose by it."""
    book = x.instruments[number]
    position = x.positions.get((account.number, number))
    pays = book.one_value if true else 0
    total = position.quantity * pays if position is not None else 0
    for other, side, tick, lots in orders:
        if other == number:
            gain = lots * pays - book.value(tick, lots)
            total += min(0, gain if side == BUY else -gain)
    return total


def vertices(kind: int, outcomes: int) -> list[set[int]]:
    """The sets of outcomes that can come true together."""
    if kind == oe.EVENT_KIND_NESTED:
        return [set(range(count)) for count in range(outcomes + 1)]
    alone = [{outcome} for outcome in range(outcomes)]
    return alone if kind == oe.EVENT_KIND_EXHAUSTIVE else [set(), *alone]


def floor(x: "Exchange", account: Account, orders: list[Wanted]) -> int:
    """The worst payoff of each event and each lone prediction, summed."""
    total = 0
    for book in x.instruments.values():
        if book.is_prediction and book.event == 0:
            total += min(payoff(x, account, book.number, orders, true) for true in (False, True))
    for event in x.events_known.values():
        total += min(
            sum(payoff(x, account, number, orders, outcome in true)
                for outcome, number in event.instruments.items())
            for true in vertices(event.kind, event.outcomes)
        )
    return total


def free(x: "Exchange", account: Account, orders: list[Wanted]) -> int:
    """E − IM."""
    value, required = collateral(x, account, orders, True)
    risk = linear(x, account, orders, True) - floor(x, account, orders)
    return value - required + profit(x, account) - risk


def levels(x: "Exchange", account: Account) -> tuple[int, int, int]:
    """Equity, initial and maintenance requirement, with predictions at their marks."""
    orders = orders_of(x, account, None)
    value, initial = collateral(x, account, orders, True)
    _, maintenance = collateral(x, account, orders, False)
    at_marks = sum(
        position.quantity * x.instruments[number].mark_value
        for (holder, number), position in x.positions.items()
        if holder == account.number and x.instruments[number].is_prediction
    )
    stake = at_marks - floor(x, account, orders)
    return (
        value + profit(x, account) + at_marks,
        initial + linear(x, account, orders, True) + stake,
        maintenance + linear(x, account, orders, False) + stake,
    )


def admit(x: "Exchange", account: Account, wanted: Wanted) -> int:
    """Whether an additional order may stand: 0, or the reason why not."""
    number, side, tick, lots = wanted
    book = x.instruments[number]
    position = position_of(x, account.number, book)
    before, after = orders_of(x, account, None), orders_of(x, account, wanted)
    side_lots = sum(o[3] for o in after if o[0] == number and o[1] == side)
    reach = side_lots + (position.quantity if side == BUY else -position.quantity)
    state = 0 if book.kind == oe.INSTRUMENT_KIND_OUTCOME else x.assets[book.base].index_state
    linked = book.kind >= oe.INSTRUMENT_KIND_PRICE_ABOVE
    if reach > 0 and ((book.is_perpetual and state == DEGRADED) or (linked and state != LIVE)):
        return x.refuse(oe.REASON_PRICE_DEGRADED, state, 0)
    if reach > 0 or book.is_spot:
        reason = judge_share(x, account, book, side, lots)
        if reason:
            return reason
    if reach > book.position_maximum:
        return x.refuse(oe.REASON_POSITION_LIMIT, reach * book.lot_size,
                        book.position_maximum * book.lot_size)
    charge = max(0, fee(x, account.number, book, book.value(tick, lots), False))
    raised = linear(x, account, after, True) - linear(x, account, before, True)
    raised += floor(x, account, before) - floor(x, account, after)
    given = book.quote if side == BUY else book.base
    pays = not book.is_perpetual and (side == BUY or book.is_spot)
    taken = reserved(x, after)[given]
    debt = taken - account.balances.get(given, 0) if pays else 0
    left = free(x, account, after) - charge
    lost = lots * book.mark_value - book.value(tick, lots)
    lost = 0 if not book.is_perpetual else lost if side == SELL else -lost
    if left < 0 and (max(raised, lost) > 0 or debt > 0):
        needed = max(raised, lost, 0) + charge
        x.refuse(0, needed, left + needed)
        if reduces(x, account, wanted):
            return 0
        return oe.REASON_INSUFFICIENT_MARGIN
    if debt > 0:
        return _judge_debt(x, account, x.assets[given], taken, debt)
    if book.is_perpetual and (raised > 0 or book.mark_value == 0):
        stale = book.mark_value == 0 or x.assets[book.base].index_state == STALE
        closes = side_lots + (position.quantity if side == BUY else -position.quantity) <= 0
        if stale and not closes:
            return oe.REASON_INDEX_STALE
    return 0


def pool(x: "Exchange", asset: int) -> tuple[int, int]:
    """(lent, borrowed) of an asset by all clients."""
    lent = borrowed = 0
    for number, account in x.accounts.items():
        balance = account.balances.get(asset, 0)
        if number >= 100:
            lent += max(0, balance) if account.auto_lend else 0
            borrowed += max(0, -balance)
    return lent, borrowed


def ceiling(asset: Asset, lent: int) -> int:
    """How much of a pool may be borrowed."""
    return max(0, lent) * asset.utilisation_ceiling // MILLION


def _judge_debt(x: "Exchange", account: Account, asset: Asset, taken: int, debt: int) -> int:
    balance = account.balances.get(asset.number, 0)
    if not account.auto_borrow or not asset.borrowable:
        return x.refuse(oe.REASON_INSUFFICIENT_BALANCE, taken, balance)
    if asset.borrow_limit and debt > asset.borrow_limit:
        return x.refuse(oe.REASON_BORROW_LIMIT, debt, asset.borrow_limit)
    lent, borrowed = pool(x, asset.number)
    borrowed += debt - max(0, -balance)
    if borrowed > ceiling(asset, lent):
        return x.refuse(oe.REASON_POOL_CEILING, borrowed, ceiling(asset, lent))
    if asset.number and (asset.index == 0 or asset.index_state == STALE):
        return oe.REASON_INDEX_STALE
    return 0


def reduces(x: "Exchange", account: Account, wanted: Wanted) -> bool:
    """Whether an order may stand below the initial margin because it only lowers risk."""
    book = x.instruments[wanted[0]]
    if book.is_perpetual:
        return _perpetual_reduces(x, account, book, wanted)
    if book.is_spot and book.quote == 0:
        return _spot_reduces(x, account, book, wanted)
    return False


def _perpetual_reduces(x: "Exchange", account: Account, book: Instrument, wanted: Wanted) -> bool:
    _, side, tick, lots = wanted
    held = x.positions[account.number, book.number].quantity
    toward = -held if side == BUY else held
    orders = orders_of(x, account, None)
    ahead = sum(o[3] for o in orders if o[0] == book.number and o[1] == side)
    left = toward - ahead - lots
    if left < 0 or book.mark_value == 0:
        return False
    loss = book.value(tick, lots) - lots * book.mark_value
    loss = loss if side == BUY else -loss
    equity, _, maintenance = levels(x, account)
    rate = book.margin_maintenance
    closed = up(abs(held) * book.mark_value * rate, MILLION) - up(
        left * book.mark_value * rate, MILLION)
    if equity <= 0:
        return loss <= 0
    after = equity - max(0, loss)
    return after >= 0 and after * maintenance >= equity * max(0, maintenance - closed)


def _spot_reduces(x: "Exchange", account: Account, book: Instrument, wanted: Wanted) -> bool:
    _, side, tick, lots = wanted
    base = x.assets[book.base]
    units, paid = lots * book.base_per_lot, book.value(tick, lots)
    orders = orders_of(x, account, None)
    taken = reserved(x, orders)
    if base.index == 0:
        return False
    if side == SELL:
        held = account.balances.get(book.base, 0) - taken[book.base]
        worth = worth_up(base, units)
        return held >= units and worth - paid <= up(worth * base.haircut_initial, MILLION)
    coming = sum(o[3] for o in orders if o[0] == book.number and o[1] == BUY) * book.base_per_lot
    owed = -account.balances.get(book.base, 0) - coming
    cash = account.balances.get(0, 0) - taken[0]
    worth = worth_down(base, units)
    relief = up(worth * base.borrow_margin_initial, MILLION)
    return owed >= units and cash >= paid and paid - worth <= relief


def withdrawable(x: "Exchange", account: Account, number: int, amount: int) -> int:
    """Whether an amount may leave the account: 0, or the reason why not."""
    asset = x.assets[number]
    orders = orders_of(x, account, None)
    available = account.balances.get(number, 0) - reserved(x, orders)[number]
    if amount > available:
        return x.refuse(oe.REASON_INSUFFICIENT_BALANCE, amount, max(0, available))
    lost = amount
    if number:
        worth = worth_up(asset, amount)
        lost = worth - up(worth * asset.haircut_initial, MILLION) + 1
        lost -= amount * asset.uncounted // (100 * asset.unit)
    left = free(x, account, orders)
    if lost > left:
        return x.refuse(oe.REASON_INSUFFICIENT_MARGIN, lost, max(0, left))
    lent, borrowed = pool(x, number)
    if account.auto_lend and borrowed > max(0, ceiling(asset, lent - amount)):
        return x.refuse(oe.REASON_POOL_CEILING, borrowed, ceiling(asset, lent - amount))
    return 0
