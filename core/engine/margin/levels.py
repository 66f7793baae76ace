"""An account's three numbers in full: equity, initial and maintenance requirement.

The checks of the door need only the difference E − R, in which the marks of predictions cancel;
reports and the rules for accounts in trouble want the numbers themselves, less what perpetuals and
price links save together.
"""

import sbe.generated.order_entry as oe
from core.engine.margin.collateral import collateral
from core.engine.margin.linear import (
    perpetual_maintenance,
    spot_order_haircut,
    spot_order_loss,
)
from core.engine.margin.whole import saved
from core.linked import linked


@linked
def levels(s, account):
    """(equity, initial, maintenance) of an account whose linear sums are those of now."""
    holder = s.accounts[account]
    value, initial = collateral(s, account, True)
    _, maintenance = collateral(s, account, False)
    at_marks = 0
    number = holder.first_position
    while number != 0:
        position = s.positions[number]
        book = s.instruments[position.instrument]
        if book.kind >= oe.INSTRUMENT_KIND_OUTCOME:
            at_marks += position.quantity * book.mark_value
        elif book.kind == oe.INSTRUMENT_KIND_PERPETUAL:
            maintenance += perpetual_maintenance(position, book)
        else:
            maintenance += spot_order_loss(s, position, book)
            maintenance += spot_order_haircut(s, position, book, False)
        number = position.account_next
    stake = at_marks - holder.floor
    equity = value + holder.profit + at_marks
    initial += holder.initial + stake - saved(s, account, True)
    return equity, initial, maintenance + stake - saved(s, account, False)
