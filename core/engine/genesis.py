"""The exchange before its first command: the house and its accounts.

Owner 1 is the house; its accounts hold fees, insurance, what settlement has collected and not yet
paid, what the lending pool keeps, withdrawals under way, the remainders of roundings, the pledges
of backstop providers, and what stands in for losers who cannot borrow. They are accounts like any
other, so that conservation can be checked over all of them.
"""

from typing import Any

from numpy.typing import NDArray

from core.records import FEES, HOUSE_ACCOUNTS, HOUSE_OWNER, LAYOUT_VERSION

NAMES = {
    1: "fees", 2: "insurance", 3: "clearing", 4: "pool", 5: "withdrawals", 6: "rounding",
    7: "backstop", 8: "liquidity",
}
# Risk parameters that hold everywhere, until they are set; liquidation begins when it is enabled.
_SECOND = 1_000_000_000
RISK = {
    "interval": _SECOND // 10, "slice": 100_000, "whole": 50_000_000,
    "fillable_spread": 1_000_000, "fillable_minimum": 2_500, "degraded_wait": 60 * _SECOND,
    "backstop_notice": 86_400 * _SECOND, "loosening_delay": 86_400 * _SECOND,
    "proposal_life": 86_400 * _SECOND,
}


_ACTIVE = 1

def found_house(state: NDArray[Any]) -> None:
    """Write the house into a state of zeros. Plain Python: it runs once."""
    s = state[0]
    s["layout_version"] = LAYOUT_VERSION
    for parameter, value in RISK.items():
        s["risk"][parameter] = value
    owner = s["owners"][HOUSE_OWNER]
    owner["registered"] = 1
    owner["name"][:5] = list(b"house")
    for account in range(FEES, HOUSE_ACCOUNTS):
        record = s["accounts"][account]
        record["owner"] = HOUSE_OWNER
        record["state"] = _ACTIVE
        name = NAMES[account].encode()
        record["name"][: len(name)] = list(name)
