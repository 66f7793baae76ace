"""How much of an asset counts for new risk: a cap over all accounts, which may grow by the day.

    counted = min(cap, ramp × days since it was registered) / (all there is of it × index)

What is above the cap is taken off everybody's in the same proportion, where initial margin counts a
balance at the worse of index and slow price: so much of its price as its haircut leaves of it does
not count. Nobody is liquidated because others brought more, as maintenance does not follow; a
thousandth counts always, more than what is rounded. Looked at with each index and each deposit.
"""

from core.engine.money import (
    MILLION,
    UNITS_MAX,
    multiply_divide,
    share_down,
    value_up,
)
from core.jit import jit
from core.linked import linked

DAY_NS = 86_400_000_000_000
_THOUSANDTH = 1000


@jit
def is_capped(asset):
    """Whether not all there is of an asset may count."""
    return asset.collateral_cap | asset.collateral_ramp != 0


@jit
def _most(s, asset):
    """USDC units of all there is of an asset that count now."""
    most = UNITS_MAX if asset.collateral_cap == 0 else asset.collateral_cap
    passed = max(0, s.work.time - asset.ramp_start)
    if asset.collateral_ramp != 0 and passed // DAY_NS < UNITS_MAX // asset.collateral_ramp:
        most = min(most, multiply_divide(asset.collateral_ramp, passed, DAY_NS))
    return most


@linked
def follow_collateral(s, number):
    """How far below its index a balance counts for new risk, and above it a debt."""
    asset = s.assets[number]
    price, stable = asset.index_price, asset.stable_price
    asset.above_stable = max(0, price - stable) if stable > 0 else 0
    asset.below_stable = max(0, stable - price) if stable > 0 else 0
    if number == 0 or price == 0 or not is_capped(asset):
        return
    most = _most(s, asset)
    worth = value_up(asset, asset.deposited - asset.withdrawn + asset.borrowed)
    if worth > most:
        beyond = multiply_divide(price, worth - most, worth)
        beyond = min(beyond, price - price // _THOUSANDTH)
        beyond = share_down(beyond, MILLION - asset.haircut_initial)
        asset.above_stable = max(asset.above_stable, beyond)
