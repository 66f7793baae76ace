"""What the tests of the controls share: a house with money in it, and the commands in short."""

from typing import Any

from tests.core.engine.exchange import ANN, BOB, CAT, Exchange

ALL = (ANN, BOB, CAT)


def furnished() -> Exchange:
    """Three accounts with 100,000 USDC each."""
    house = Exchange().populate()
    for account in ALL:
        house.deposit(account, 100_000)
    return house


def limits(house: Exchange, account: int = 0, **given: int) -> int:
    """SetOrderLimits; what isn't given is no limit."""
    names = ("openOrders", "value", "dailyValue", "perSecond", "burst", "pauseMilliseconds",
             "orderToTrade", "freeOrders", "executions", "executionSeconds", "volumeShare",
             "volumeFree")
    return house.send("SetOrderLimits", account=account, **(dict.fromkeys(names, 0) | given))


def protect(
    house: Exchange, owner: int, until: int | None = None, loss: int = 0, deposits: int = 0
) -> int:
    """SetClientProtection."""
    return house.send("SetClientProtection", owner=owner, excludedUntil=until, dailyLoss=loss,
                      dailyDeposits=deposits)


def controls(house: Exchange, **given: int) -> int:
    """SetControls; what isn't given is off."""
    names = ("betaStart", "notionalCap", "notionalRamp", "equityCap", "lossCap", "interestCap",
             "gating", "beta")
    return house.send("SetControls", **(dict.fromkeys(names, 0) | given))


def profile(house: Exchange, owner: int, **given: Any) -> int:
    """SetOwnerProfile; what isn't given is unknown."""
    fields = {"country": 0, "licence": 0, "clientClass": 0, "invited": 0, "validUntil": None}
    return house.send("SetOwnerProfile", owner=owner, **(fields | given))


def gate(house: Exchange, place: int, decision: int, **given: int) -> int:
    """SetGate; what isn't given fits everybody."""
    fields = {"country": 0, "licence": 0, "clientClass": 0, "kind": 0}
    return house.send("SetGate", place=place, decision=decision, **(fields | given))


def country(letters: str) -> int:
    """ISO 3166 as a number."""
    return ord(letters[0]) << 8 | ord(letters[1])
