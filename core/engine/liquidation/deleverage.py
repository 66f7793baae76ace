"""Auto-deleveraging: who on the other side has gained most by the greatest leverage gives way.

    rank = (profit / notional) × (notional / equity) = profit / equity

The holders of the instrument are ranked in slices, the best 32 kept; they then take the position
over at its bankruptcy price, in the order of their rank, a few behind each command. When they were
not enough the ranking begins again. Accounts that are being liquidated themselves come last.
"""

import sbe.generated.order_entry as oe
from core.engine.liquidation.order import whole_shares
from core.engine.liquidation.transfer import bankruptcy_value, hand_over
from core.engine.margin.door import margin_levels
from core.engine.money import MILLION, multiply_divide
from core.jit import jit
from core.linked import linked
from core.risk_records import RANKED_MAX

RANKED_SLICE = 32
TAKERS_SLICE = 4
_LAST = -(1 << 62)


@jit
def start_ranking(s, number, liquidation):
    """Begin to rank the other side of a position; False while another ranking runs."""
    ranking = s.deleveraging
    if ranking.liquidation != 0 and ranking.liquidation != liquidation:
        return False
    position = s.positions[number]
    ranking.liquidation = liquidation
    ranking.instrument = position.instrument
    ranking.side = 1 if position.quantity < 0 else -1
    ranking.cursor = s.instruments[position.instrument].first_holder
    ranking.count = 0
    ranking.taken = 0
    return True


@linked
def rank_slice(s):
    """Rank some more holders; whether all have been."""
    ranking = s.deleveraging
    for _ in range(RANKED_SLICE):
        number = ranking.cursor
        if number == 0:
            return True
        position = s.positions[number]
        if position.instrument != ranking.instrument:
            ranking.cursor = s.instruments[ranking.instrument].first_holder
            ranking.count = 0
            return False
        if position.quantity * ranking.side > 0:
            _keep(ranking, number, _rank(s, position))
        ranking.cursor = position.holder_next
    return ranking.cursor == 0


@jit
def _rank(s, position):
    """Parts per million of its equity that a holder has gained by the position."""
    if s.accounts[position.account].liquidation != 0:
        return _LAST
    margin_levels(s, position.account)
    equity = max(1, s.work.scratch[0])
    mark = s.instruments[position.instrument].mark_value
    profit = position.quantity * mark - position.entry_value
    if profit <= 0:
        return max(_LAST + 1, profit)  # Below all who gained, the smaller loss first.
    return multiply_divide(min(profit, 1 << 50), MILLION, equity)


@jit
def _keep(ranking, number, rank):
    """Put a position into the ranking where it belongs, if it is among the best."""
    place = ranking.count
    if place == RANKED_MAX:
        if rank <= ranking.rank[place - 1]:
            return
        place -= 1
    else:
        ranking.count += 1
    while place > 0 and ranking.rank[place - 1] < rank:
        ranking.rank[place] = ranking.rank[place - 1]
        ranking.position[place] = ranking.position[place - 1]
        place -= 1
    ranking.rank[place] = rank
    ranking.position[place] = number


@linked
def deleverage_slice(s, record, number, equity, recover):
    """Let the next few take the position over; lots taken. `taken` reaches `count` at the end."""
    ranking = s.deleveraging
    taken = 0
    for _ in range(TAKERS_SLICE):
        position = s.positions[number]
        held = abs(position.quantity)
        if ranking.taken >= ranking.count or held == 0:
            break
        taker = ranking.position[ranking.taken]
        ranking.taken += 1
        other = s.positions[taker]
        same = other.instrument == ranking.instrument and other.quantity * ranking.side > 0
        if not same or other.account == position.account:
            continue
        lots = min(held, abs(other.quantity))
        margin_levels(s, other.account)
        able = max(0, s.work.scratch[0])
        value = bankruptcy_value(s, number, lots, equity)
        refund = min(able, whole_shares(recover, lots, held))
        given = whole_shares(equity, lots, held)
        stage = oe.LIQUIDATION_STAGE_DELEVERAGING
        hand_over(s, record, number, taker, lots, value, stage, refund)
        record.stake = max(0, record.stake - given)
        equity -= given
        recover -= refund
        taken += lots
    return taken


@jit
def end_ranking(s):
    """Nobody is being deleveraged any more."""
    s.deleveraging.liquidation = 0
    s.deleveraging.count = 0
    s.deleveraging.taken = 0
    s.deleveraging.cursor = 0
