"""Where an order that margin refuses would lose most: a move of its underlying, or an outcome.

    of an underlying    the node (a move) and the level (links settled up to an expiry) that decide
                        the scan of the whole unit with the order in it
    of an event         the outcome whose coming true leaves least, if any

Looked for only once an order is refused; what is found stands in the reject.
"""

import sbe.generated.order_entry as oe
from core.engine.margin.rates import amount
from core.engine.margin.whole import unit_saved
from core.jit import jit
from core.linked import linked
from core.records import RISK_LEVELS_MAX
from core.wide import low, times, wide

_MILLION = 1_000_000


@linked
def note_worst(s, number):
    """Write work.worst_*: a position is judged with the order counted, which is also asked for."""
    work = s.work
    position = s.positions[number]
    book = s.instruments[position.instrument]
    work.worst_asset = 0
    work.worst_move = 0
    work.worst_expiry = 0
    work.worst_outcome = 0
    if book.base != 0:
        _note_scenario(s, position.account, book.base)
    elif position.group != 0:
        work.worst_outcome = _worst_outcome(s, s.groups[position.group])
    elif position.quantity - position.open_sell < 0:
        work.worst_outcome = position.instrument


@jit
def _note_scenario(s, account, underlying):
    unit_saved(s, account, underlying, True)
    found = s.work.result
    s.work.worst_asset = underlying
    if found.node < 0:
        return
    s.work.worst_move = low(times(wide(_MILLION), amount(s.work.nodes[found.node].move)))
    level = found.column // 2
    if s.work.unit.columns > 1 and 0 < level <= RISK_LEVELS_MAX:
        s.work.worst_expiry = s.risk_grids[underlying].level[level - 1]


@jit
def _worst_outcome(s, group):
    """The instrument of the outcome whose coming true leaves least; 0 where none does."""
    event = s.event_groups[group.event]
    run = group.none
    least, worst = run, 0
    for outcome in range(group.outcomes):
        if group.kind != oe.EVENT_KIND_NESTED:
            run = group.none
        run += group.gain[outcome]
        if run < least or (outcome == 0 and group.kind == oe.EVENT_KIND_EXHAUSTIVE):
            least, worst = run, event.instrument[outcome]
    return worst
