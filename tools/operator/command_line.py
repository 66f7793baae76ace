"""`onebook admin` beside its risk parameters: the kill switch, product gates, what accounts send.

Each is a command in the journal, and done when the core has answered. `onebook audit controls`
lists what was said. Exit code 1 if the core refuses.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from core.config import ConfigurationError, fixed
from core.errors import CoreError
from tools.operator.controls import DECISIONS, PRODUCTS, country_number, parts_per_million, usdc
from tools.operator.controls import kill as switch
from tools.operator.desk import Desk, OperatorError, number_of
from tools.stores import data_directory, fail, moment


@Parameter(name="*")
@dataclass(frozen=True, slots=True)
class Place:
    """Which exchange.

    Parameters
    ----------
    instance
        Name of the exchange.
    data
        Its data directory, if not that of the instance.
    """

    instance: str = "onebook"
    data: Path | None = None


Where = Annotated[Place, Parameter()]
_HERE = Place()


def at_the_desk(place: Place, act: Callable[[Desk], str]) -> int:
    """Do something at the desk and print what it says; the exit code."""
    try:
        with Desk(place.instance, data_directory(place.instance, place.data)) as desk:
            print(act(desk))
    except (ConfigurationError, CoreError, OSError) as error:
        return fail(error)
    return 0


def kill(
    level: Literal["owner", "session", "market", "product", "venue"], subject: str = "", *,
    lift: bool = False, place: Where = _HERE,
) -> int:
    """Stop everything in a scope and cancel all of its orders, or let it go on.

    Parameters
    ----------
    level
        What is stopped. A session is an API key.
    subject
        The owner, session, instrument (by name or number) or product: spot, perpetual, outcome,
        above, below, range.
    lift
        Let it go on.
    """

    def act(desk: Desk) -> str:
        done = switch(desk, level, subject, not lift)
        if lift:
            return f"{level} {subject}".strip() + " may go on"
        return f"{level} {subject}".strip() + f" is stopped, {done['canceled']} orders cancelled"

    return at_the_desk(place, act)


def owner(
    name: str, *, country: str = "", licence: int = 0, client_class: int = 0,
    invited: bool = False, valid_until: datetime | None = None, place: Where = _HERE,
) -> int:
    """Say all that gates need to know of an owner; what isn't given is unknown.

    Parameters
    ----------
    name
        Name or number of the owner.
    country
        Two letters, ISO 3166.
    licence
        Number of the entity whose client it is.
    client_class
        The venue's own number of a class, like retail, professional, staff.
    invited
        To the beta.
    valid_until
        When the profile must have been looked at again (UTC): from then on it may only close.
    """
    until = None
    if valid_until is not None:
        until = int(valid_until.replace(tzinfo=UTC).timestamp()) * 10**9

    def act(desk: Desk) -> str:
        number = number_of(desk.configuration.numbers().owners, name, "owner")
        desk.send("SetOwnerProfile", owner=number, country=country_number(country),
                  licence=licence, clientClass=client_class, invited=int(invited),
                  validUntil=until)  # fmt: skip
        said = desk.wait("OwnerPermitted", lambda e: e["owner"] == number)
        words = [
            f"{product} {('denied', 'close only', 'allowed')[said['permissions'] >> 2 * kind & 3]}"
            for product, kind in PRODUCTS.items()
        ]
        return f"decision {said['decision']}: " + ", ".join(words)

    return at_the_desk(place, act)


def gate(
    number: int, decision: Literal["empty", "deny", "close-only", "allow"], *, country: str = "",
    licence: int = 0, client_class: int = 0,
    product: Literal["", "spot", "perpetual", "outcome", "above", "below", "range"] = "",
    place: Where = _HERE,
) -> int:
    """Set a gate: who may trade what. The first that fits decides; where none fits, it is denied.

    Parameters
    ----------
    number
        Its place, 0 to 255; the lower is asked first.
    decision
        What it says; empty takes it away.
    country
        Two letters; any if not given.
    licence
        Any if not given.
    client_class
        Any if not given.
    product
        Any if not given.
    """

    def act(desk: Desk) -> str:
        desk.send("SetGate", place=number, decision=DECISIONS[decision], licence=licence,
                  country=country_number(country), clientClass=client_class,
                  kind=PRODUCTS.get(product, 0))  # fmt: skip
        return f"gate {number}: {decision}"

    return at_the_desk(place, act)


def enforce(
    *, gates: bool = False, beta: bool = False, beta_start: datetime | None = None,
    notional: str = "0", ramp: str = "0", equity: str = "0", loss: str = "0", interest: str = "0",
    place: Where = _HERE,
) -> int:
    """Enforce the gates, or an invite-only beta with its caps; what isn't given is off.

    Parameters
    ----------
    gates
        Without a gate's permission nothing may be traded.
    beta
        Only who is invited trades.
    beta_start
        From which the ramp counts (UTC); now if not given.
    notional
        USDC of an owner's positions and orders.
    ramp
        USDC by which that cap grows a day.
    equity
        USDC of an owner above which nothing is added.
    loss
        USDC an owner may have lost.
    interest
        USDC of open interest of all markets together.
    """
    start = (beta_start or datetime.now(UTC)).replace(tzinfo=UTC)

    def act(desk: Desk) -> str:
        desk.send("SetControls", gating=int(gates), beta=int(beta), notionalCap=usdc(notional),
                  betaStart=int(start.timestamp()) * 10**9, notionalRamp=usdc(ramp),
                  equityCap=usdc(equity), lossCap=usdc(loss), interestCap=usdc(interest))
        said = [name for name, on in (("gates", gates), ("beta", beta)) if on]
        return "enforced: " + (", ".join(said) or "nothing")

    return at_the_desk(place, act)


def limits(
    account: str = "", *, value: str = "0", daily_value: str = "0", open_orders: int = 0,
    per_second: int = 0, burst: int = 1, pause_milliseconds: int = 0, order_to_trade: int = 0,
    free_orders: int = 0, executions: int = 0, execution_seconds: int = 0,
    volume_percent: str = "0", volume_free: str = "0", place: Where = _HERE,
) -> int:
    """Limit what an account sends, or every account without limits of its own; 0 is no limit.

    Parameters
    ----------
    account
        Name or number; every other one if not given.
    value
        USDC of one order.
    daily_value
        USDC of all orders sent in a day of UTC.
    open_orders
        How many may stand.
    per_second
        Orders, replaces and quotes, in the long run.
    burst
        How many may come at once.
    pause_milliseconds
        After a breach only cancels are taken for so long.
    order_to_trade
        Orders, replaces and quotes for each trade of a day of UTC; beyond them only cancels.
    free_orders
        So many a day need no trade.
    executions
        Trades within execution_seconds after which only cancels are taken, until this command is
        given for the account again.
    execution_seconds
        How long such a window is.
    volume_percent
        Of what its market traded in 24 hours, that one order may be.
    volume_free
        USDC up to which an order may be any share of that.
    """

    def act(desk: Desk) -> str:
        number = 0
        if account:
            number = number_of(desk.configuration.numbers().accounts, account, "account")
        desk.send("SetOrderLimits", account=number, value=usdc(value), perSecond=per_second,
                  dailyValue=usdc(daily_value), openOrders=open_orders, burst=burst,
                  pauseMilliseconds=pause_milliseconds, orderToTrade=order_to_trade,
                  freeOrders=free_orders, executions=executions,
                  executionSeconds=execution_seconds, volumeFree=usdc(volume_free),
                  volumeShare=parts_per_million(volume_percent))  # fmt: skip
        return f"limits of {account or 'every other account'} are set"

    return at_the_desk(place, act)


def withdraw(
    account: str, asset: str, amount: str, *, to: str = "", place: Where = _HERE
) -> int:
    """Take an asset out for an account: by its owner's rules, which no operator can change.

    Parameters
    ----------
    account
        Name or number.
    asset
        Its name.
    amount
        A decimal.
    to
        Where custody is to send it; if not given, where it knows the account to be at home.
    """

    def act(desk: Desk) -> str:
        numbers = desk.configuration.numbers()
        known = {found.name: found.decimals for found in desk.configuration.asset}
        if asset not in known:
            raise OperatorError(f"the configuration has no asset of the name {asset}")
        units, rest = divmod(fixed(amount) * 10 ** known[asset], 10**8)
        if rest or units <= 0:
            raise OperatorError(f"{amount} isn't above 0 with at most {known[asset]} decimals")
        said = desk.ask(
            "WithdrawalRequest", "WithdrawalReport", asset=numbers.assets[asset], amount=units,
            account=number_of(numbers.accounts, account, "account"), destination=to,
        )
        return f"withdrawal {said['withdrawalId']} is held until {moment(said['releaseTime'])}"

    return at_the_desk(place, act)


def protect(
    owner: str, *, excluded_until: datetime | None = None, loss: str = "0", deposits: str = "0",
    place: Where = _HERE,
) -> int:
    """Keep an owner from what he asks to be kept from; what isn't given is taken away.

    Tighter at once, looser a day later; an exclusion can't end before it was to end. Clients ask
    for the same themselves, by their sessions.

    Parameters
    ----------
    owner
        Name or number.
    excluded_until
        Until then (UTC) all orders are cancelled and positions may only be closed.
    loss
        USDC of a day of UTC after which positions may only be closed.
    deposits
        USDC that a day's deposits (UTC) may come to.
    """
    until = None
    if excluded_until is not None:
        until = int(excluded_until.replace(tzinfo=UTC).timestamp()) * 10**9

    def act(desk: Desk) -> str:
        number = number_of(desk.configuration.numbers().owners, owner, "owner")
        desk.send("SetClientProtection", owner=number, excludedUntil=until, dailyLoss=usdc(loss),
                  dailyDeposits=usdc(deposits))
        said = [f"excluded until {excluded_until:%Y-%m-%d %H:%M} UTC"] if excluded_until else []
        said += [f"may lose {loss} USDC a day"] if usdc(loss) else []
        said += [f"may deposit {deposits} USDC a day"] if usdc(deposits) else []
        return f"{owner}: " + (", ".join(said) or "nothing of his own")

    return at_the_desk(place, act)


def conflict(owner: str, event: str, *, lift: bool = False, place: Where = _HERE) -> int:
    """Bar an owner who may decide an event from trading it; his orders in it are cancelled.

    Reporters and arbiter of a market's rules are barred at its listing, by the accounts of their
    keys; this is for whoever else decides, or once did.

    Parameters
    ----------
    owner
        Name or number.
    event
        Symbol or number.
    lift
        Let him trade it again.
    """

    def act(desk: Desk) -> str:
        numbers = desk.configuration.numbers()
        desk.send("SetMarketConflict", owner=number_of(numbers.owners, owner, "owner"),
                  event=number_of(numbers.events, event, "event"), active=int(not lift))
        return f"{owner} may {'trade' if lift else 'not trade'} {event}"

    return at_the_desk(place, act)


#: What `onebook admin` mounts.
COMMANDS = (kill, owner, gate, enforce, limits, withdraw, protect, conflict)
