"""Caps of the model that are risk parameters: collateral, withdrawals, shares of open interest.

Liquidation is never enabled in the model's runs, so a parameter takes effect at once.
"""

from typing import TYPE_CHECKING, Any

import sbe.generated.control as control
import sbe.generated.order_entry as oe
from tests.model.books import MILLION, WITHDRAWALS
from tests.model.records import Account, Asset, Instrument

if TYPE_CHECKING:
    from tests.model.exchange import Exchange

SECOND, DAY = 10**9, 86_400 * 10**9
OF_ASSETS = {
    control.RISK_PARAMETER_COLLATERAL_CAP: "cap",
    control.RISK_PARAMETER_COLLATERAL_RAMP: "ramp",
    control.RISK_PARAMETER_WITHDRAWAL_SHARE: "share",
}
OF_MARKETS = {
    control.RISK_PARAMETER_OWNER_INTEREST_SHARE: "interest_share",
    control.RISK_PARAMETER_OWNER_INTEREST_FREE: "interest_free",
}


def set_risk_parameter(x: "Exchange", c: dict[str, Any]) -> int:
    """SetRiskParameter with a value within its bounds."""
    if c["parameter"] in OF_ASSETS:
        asset = x.assets[c["scope"]]
        setattr(asset, OF_ASSETS[c["parameter"]], c["value"])
        follow_collateral(x, asset)
    else:
        setattr(x.instruments[c["scope"]], OF_MARKETS[c["parameter"]], c["value"])
    return 0


def follow_collateral(x: "Exchange", asset: Asset) -> None:
    """What of an asset's index doesn't count, because there is more of it than may."""
    asset.uncounted = 0
    if not asset.number or not asset.index or not (asset.cap or asset.ramp):
        return
    most = asset.cap or 1 << 56
    if asset.ramp:
        most = min(most, asset.ramp * max(0, x.time - asset.registered) // DAY)
    borrowed = sum(max(0, -a.balances.get(asset.number, 0)) for n, a in x.accounts.items()
                   if n >= 100)
    units = asset.deposited - asset.withdrawn + borrowed
    worth = -(-units * asset.index // (100 * asset.unit))
    if worth > most:
        beyond = asset.index * (worth - most) // worth
        beyond = min(beyond, asset.index - asset.index // 1000)
        asset.uncounted = beyond * (MILLION - asset.haircut_initial) // MILLION


def there(x: "Exchange", number: int) -> int:
    """Units of an asset that have not left and are not about to."""
    asset = x.assets[number]
    return asset.deposited - asset.withdrawn - x.balance(WITHDRAWALS, number)


def follow_mean(x: "Exchange", number: int) -> None:
    """The mean of 24 hours, before what there is changes."""
    asset = x.assets[number]
    passed = min(DAY, x.time - asset.mean_at)
    if passed >= SECOND:
        gap = there(x, number) - asset.mean
        step = abs(gap) * passed // DAY
        asset.mean += step if gap > 0 else -step
        asset.mean_at = x.time


def judge_outflow(x: "Exchange", number: int, amount: int) -> int:
    """The circuit breaker."""
    asset = x.assets[number]
    if not asset.share:
        return 0
    follow_mean(x, number)
    room = there(x, number) - (asset.mean - asset.mean * asset.share // MILLION)
    if amount > room:
        return x.refuse(oe.REASON_WITHDRAWAL_BREAKER, amount, max(0, room))
    return 0


def judge_share(
    x: "Exchange", account: Account, book: Instrument, side: int, lots: int
) -> int:
    """What an owner may hold of a market's open interest."""
    if not book.interest_share or book.is_spot:
        return 0
    buys = side == oe.SIDE_BUY
    held = lots
    for other in x.accounts.values():
        if other.owner == account.owner:
            position = x.positions.get((other.number, book.number))
            quantity = position.quantity if position is not None else 0
            waiting = sum(o.reserved for o in x.reserving if o.account == other.number
                          and o.instrument == book.number and o.side == side)
            held += max(0, waiting + (quantity if buys else -quantity))
    total = sum(max(0, position.quantity) for (_, number), position in x.positions.items()
                if number == book.number)
    most = max(book.interest_free, total * book.interest_share // MILLION)
    if held > most:
        return x.refuse(oe.REASON_INTEREST_SHARE, held * book.lot_size, most * book.lot_size)
    return 0
