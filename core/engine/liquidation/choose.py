"""What to close first: the order that frees most maintenance margin for what it may cost.

    candidates   each perpetual and prediction, a part of it
                 the perpetual of an underlying on which price links are held, either way: a hedge
                 each asset owed, a part of it bought back
                 after all these, conversion: each asset held, a part of it sold for USDC
                 last, to repay USDC only: outcomes held, which require nothing
    freed        MM now − MM with so much less, by the margin room itself
    cost         |mark − best price| × lots + fee

A candidate whose book has nothing within the fillable price is none.
"""

import sbe.generated.order_entry as oe
from core.engine.fees import fill_fee
from core.engine.liquidation.order import fillable_tick, lot_margin, lot_value, part_of
from core.engine.liquidation.report import maintenance_without
from core.engine.margin.grid import arrays_are_fresh
from core.engine.money import share_up
from core.engine.positions import position_of
from core.engine.relation import product_above
from core.jit import jit
from core.linked import linked

CANDIDATES_MAX = 64

# What was chosen, in work.choice: position, side, lots, tick, freed, cost.
POSITION, SIDE, LOTS, TICK, FREED, COST = 0, 1, 2, 3, 4, 5


@linked
def choose(s, account, whole):
    """Find the best candidate into work.choice; whether there is one. `whole`: close it all.

    Equity and requirements are those of `remember`.
    """
    choice = s.work.choice
    choice[POSITION] = 0
    choice[FREED] = 0
    choice[COST] = 1
    share = 1_000_000 if whole else s.risk.slice
    links = _positions(s, account, share, False)
    while links != 0:
        bit = links & -links
        links ^= bit
        _hedges(s, account, bit, share)
    _assets(s, account, share, False)
    if choice[POSITION] == 0:
        _assets(s, account, share, True)
    if choice[POSITION] == 0 and s.accounts[account].assets[0].balance < 0:
        _positions(s, account, share, True)
    return choice[POSITION] != 0


@jit
def _positions(s, account, share, outcomes_held):
    """Judge the closing of each position; the underlyings with price links, as bits."""
    links = 0
    looked = 0
    number = s.accounts[account].first_position
    while number != 0 and looked < CANDIDATES_MAX:
        position = s.positions[number]
        book = s.instruments[position.instrument]
        following = position.account_next
        if position.quantity != 0:
            looked += 1
            held = book.kind == oe.INSTRUMENT_KIND_OUTCOME and position.quantity > 0
            if book.kind >= oe.INSTRUMENT_KIND_PRICE_ABOVE:
                links |= 1 << book.base
            if held == outcomes_held:
                side = oe.SIDE_SELL if position.quantity > 0 else oe.SIDE_BUY
                _judge(s, number, side, part_of(abs(position.quantity), share))
        number = following
    return links


@jit
def _judge(s, number, side, lots):
    """Make a position's order the choice if it frees more for its cost than the one before."""
    position = s.positions[number]
    book = s.instruments[position.instrument]
    tick = fillable_tick(s, book, side, s.work.equity, s.work.maintenance)
    if tick == 0:
        return
    signed = lots if side == oe.SIDE_BUY else -lots
    freed = s.work.maintenance - maintenance_without(s, number, signed)
    _weigh(s, number, side, lots, tick, freed)


@jit
def _weigh(s, number, side, lots, tick, freed):
    position = s.positions[number]
    book = s.instruments[position.instrument]
    choice = s.work.choice
    price = (book.best[2 - side] - 1) * book.value_per_tick_lot
    mark = lot_value(s, book)
    worse = price - mark if side == oe.SIDE_BUY else mark - price
    fee = max(0, fill_fee(s, position.account, position.instrument, price * lots, False))
    cost = max(0, worse) * lots + fee + 1
    if freed > 0 and product_above(freed, choice[COST], choice[FREED], cost):
        choice[POSITION] = number
        choice[SIDE] = side
        choice[LOTS] = lots
        choice[TICK] = tick
        choice[FREED] = freed
        choice[COST] = cost


@jit
def _hedges(s, account, bit, share):
    """Judge buying and selling the perpetual of an underlying against the links on it."""
    for underlying in range(1, len(s.assets)):
        if bit == 1 << underlying:
            grid = s.risk_grids[underlying]
            if not arrays_are_fresh(s, grid):
                return
            book = s.instruments[grid.perpetual]
            unit = share_up(book.mark_value, grid.sigma_maintenance)
            if book.state != oe.TRADING_STATE_OPEN or unit == 0:
                return
            number = position_of(s, account, grid.perpetual)
            if number == 0:
                return
            lots = max(1, share_up(s.work.maintenance, min(share, s.risk.slice)) // unit)
            _judge(s, number, oe.SIDE_BUY, lots)
            _judge(s, number, oe.SIDE_SELL, lots)


@jit
def pair_of(s, asset):
    """The first open pair of an asset against USDC, 0 when there is none."""
    number = s.assets[asset].first_instrument
    while number != 0:
        book = s.instruments[number]
        traded = book.kind == oe.INSTRUMENT_KIND_SPOT and book.quote == 0
        if traded and book.state == oe.TRADING_STATE_OPEN:
            return number
        number = book.next_of_underlying
    return 0


@jit
def _assets(s, account, share, held):
    """Judge selling what is held of each asset, or buying back what is owed."""
    for asset in range(1, len(s.assets)):
        balance = s.accounts[account].assets[asset].balance
        wanted = balance > 0 if held else balance < 0
        instrument = pair_of(s, asset) if wanted else 0
        if instrument != 0:
            book = s.instruments[instrument]
            lots = abs(balance) // book.base_per_lot
            if balance < 0 and lots * book.base_per_lot != -balance:
                lots += 1
            number = position_of(s, account, instrument) if lots > 0 else 0
            side = oe.SIDE_SELL if balance > 0 else oe.SIDE_BUY
            tick = 0
            if number != 0:
                tick = fillable_tick(s, book, side, s.work.equity, s.work.maintenance)
            if tick != 0:
                lots = part_of(lots, share)
                _weigh(s, number, side, lots, tick, _asset_freed(s, account, book, side, lots))


@jit
def _asset_freed(s, account, book, side, lots):
    """About what trading an asset for USDC frees: its own margin, and that of a debt repaid."""
    freed = lot_margin(s, book, side) * lots
    owed = -s.accounts[account].assets[0].balance
    if side == oe.SIDE_SELL and owed > 0:
        repaid = min(owed, lot_value(s, book) * lots)
        freed += share_up(repaid, s.assets[0].borrow_margin_maintenance)
    return freed
