"""The rules a configuration keeps between its parts: names resolve, steps divide, sizes fit.

Each is checked once, here, and broken ones are answered by one line with the key path.
"""

from collections.abc import Iterable
from ipaddress import ip_network

from core.config import Configuration, decimal_text
from core.demand import KEY_HEX_LENGTH, demand, demand_time, is_key
from core.market_checks import check_events, check_topic
from core.venue import (
    FIRST_ACCOUNT,
    FIRST_OWNER,
    FIXED_SCALE,
    BinarySession,
    FixSession,
    Instrument,
)


def check(configuration: Configuration) -> None:
    """Raise ConfigurationError for the first broken rule."""
    _sizes(configuration)
    _names(configuration)
    _rooms(configuration)
    _references(configuration)
    for position, instrument in enumerate(configuration.instrument):
        _instrument(configuration, instrument, f"instrument[{position}]")
    check_events(configuration)
    _deposits(configuration)
    _sessions(configuration)


def _sizes(configuration: Configuration) -> None:
    for name in configuration.rings.__struct_fields__:
        size = getattr(configuration.rings, name)
        demand(size & (size - 1) == 0, f"rings.{name}", f"expected a power of two, was {size}")


def _unique(path: str, key: str, names: Iterable[object]) -> None:
    seen: dict[object, int] = {}
    for position, name in enumerate(names):
        first = seen.setdefault(name, position)
        demand(
            first == position, f"{path}[{position}].{key}",
            f"{name} is already the {key} of {path}[{first}]",
        )


def _names(configuration: Configuration) -> None:
    _unique("asset", "name", (a.name for a in configuration.asset))
    _unique("owner", "name", (o.name for o in configuration.owner))
    _unique("account", "name", (a.name for a in configuration.account))
    _unique("instrument", "symbol", (i.symbol for i in configuration.instrument))
    _unique("event", "symbol", (e.symbol for e in configuration.event))
    _unique("fee", "tier and kind", ((f.tier, f.kind) for f in configuration.fee))
    _unique("fix.session", "sender_comp_id", (
        (s.sender_comp_id, s.target_comp_id) for s in configuration.fix.session))
    _unique("binary.session", "key_id", (s.key_id for s in configuration.binary.session))
    everyone: tuple[FixSession | BinarySession, ...] = (
        *configuration.fix.session, *configuration.binary.session)
    signers = configuration.risk.signer
    _unique("risk.signer", "name", (s.name for s in signers))
    _unique("risk.signer", "public_key", (s.public_key.lower() for s in signers))
    for position, signer in enumerate(signers):
        demand(is_key(signer.public_key), f"risk.signer[{position}].public_key",
                f"expected {KEY_HEX_LENGTH} hexadecimal digits")
    _unique("fix.session and binary.session", "session", (s.session for s in everyone))
    if configuration.asset:
        first = configuration.asset[0]
        demand(
            first.name == "USDC" and first.decimals == 6, "asset[0]",
            f"expected USDC with 6 decimals, was {first.name} with {first.decimals}",
        )
    for number, asset in enumerate(configuration.asset):
        base = asset.weight_base_millionths
        demand(
            asset.weight_millionths <= base <= 10_000_000, f"asset[{number}]",
            f"expected weight_base_millionths from the weight to 10,000,000, was {base}",
        )
        demand(
            asset.hedge_maintenance_millionths <= asset.hedge_initial_millionths,
            f"asset[{number}]", "expected a hedge share for maintenance up to the initial one",
        )


def _rooms(configuration: Configuration) -> None:
    """Everything listed fits the limits; numbers that are the core's own need room too."""
    limits = configuration.limits
    numbers = [s.session for s in configuration.fix.session]
    numbers += [s.session for s in configuration.binary.session]
    for path, count, name in (
        ("asset", len(configuration.asset), "assets_max"),
        ("instrument", len(configuration.instrument) + 1, "instruments_max"),
        ("event", len(configuration.event) + 1, "events_max"),
        ("owner", FIRST_OWNER + len(configuration.owner), "owners_max"),
        ("account", FIRST_ACCOUNT + len(configuration.account), "accounts_max"),
        ("session", max(numbers, default=0) + 1, "sessions_max"),
    ):
        room = getattr(limits, name)
        demand(count <= room, f"limits.{name}", f"{count} needed for {path}, was {room}")


def _references(configuration: Configuration) -> None:
    assets = {a.name for a in configuration.asset}
    owners = {o.name for o in configuration.owner}
    for position, account in enumerate(configuration.account):
        demand(
            account.owner in owners, f"account[{position}].owner", f"no owner {account.owner}")
    for position, source in enumerate(configuration.oracle.source):
        path = f"oracle.source[{position}]"
        demand(source.asset in assets, f"{path}.asset", f"no asset {source.asset}")
        demand(
            source.kind != "simulated" or source.start > 0, f"{path}.start",
            "a simulated source needs a positive start",
        )
        demand(source.kind != "file" or bool(source.path), f"{path}.path", "a file needs a path")
        served = {"http": ("http://", "https://"), "websocket": ("ws://", "wss://")}
        begins = served.get(source.kind, ("",))
        demand(source.url.startswith(begins), f"{path}.url",
               f"a {source.kind} source needs a url with {' or '.join(begins)}, "
               f"was {source.url or '(none)'}")
        venue = bool(source.host and source.port and source.symbol and source.target)
        demand(source.kind != "fix" or venue, path, "a venue needs host, port, symbol, target")
    for position, series in enumerate(configuration.oracle.series):
        path = f"oracle.series[{position}]"
        demand(series.asset in assets, f"{path}.asset", f"no asset {series.asset}")
        demand(series.window_seconds <= series.period_seconds, f"{path}.window_seconds",
                f"expected at most {series.period_seconds}, was {series.window_seconds}")


def _instrument(configuration: Configuration, listed: Instrument, path: str) -> None:
    decimals = {a.name: a.decimals for a in configuration.asset}
    demand(listed.quote in decimals, f"{path}.quote", f"no asset {listed.quote}")
    demand(listed.tick > 0, f"{path}.tick", "expected a positive decimal")
    demand(listed.lot > 0, f"{path}.lot", "expected a positive decimal")
    if listed.kind == "prediction":
        events = {e.symbol for e in configuration.event}
        demand(listed.event in events, f"{path}.event", f"no event {listed.event or '(none)'}")
    else:
        demand(listed.base in decimals, f"{path}.base", f"no asset {listed.base or '(none)'}")
        demand(not listed.event, f"{path}.event", f"a {listed.kind} has no event")
    if listed.kind == "spot":
        unit = 10 ** (8 - decimals[listed.base])
        demand(
            listed.lot % unit == 0, f"{path}.lot",
            f"expected a multiple of {decimal_text(unit)} {listed.base}",
        )
    # tick and lot both have exponent -8: their product must be whole in units of the quote asset.
    unit = 10 ** (16 - decimals[listed.quote])
    demand(
        listed.tick * listed.lot % unit == 0, f"{path}.tick",
        f"tick {decimal_text(listed.tick)} x lot {decimal_text(listed.lot)} isn't a whole number "
        f"of the smallest unit of {listed.quote}",
    )
    if listed.interest_scale_start or listed.interest_scale_end:
        demand(listed.interest_scale_start < listed.interest_scale_end,
                f"{path}.interest_scale_end", "expected more than interest_scale_start")
    if listed.kind in ("prediction", "price_linked"):
        demand(
            FIXED_SCALE % listed.tick == 0, f"{path}.tick", "expected a whole number of ticks in 1")
    _price_link(listed, path)
    check_topic(listed.title, f"{path}.title")


def _price_link(listed: Instrument, path: str) -> None:
    linked = listed.kind == "price_linked"
    demand(linked == bool(listed.condition), f"{path}.condition",
            "expected above, below or range" if linked else f"a {listed.kind} has no condition")
    if not linked:
        return
    if listed.condition in ("above", "range"):
        demand(listed.low > 0, f"{path}.low", "expected a positive price")
    if listed.condition in ("below", "range"):
        demand(listed.high > 0, f"{path}.high", "expected a positive price")
    if listed.condition == "range":
        demand(listed.low < listed.high, f"{path}.high", "expected more than low")
    demand(bool(listed.expires) != bool(listed.expires_in_seconds), f"{path}.expires",
            "expected either expires or expires_in_seconds")
    demand_time(listed.expires, f"{path}.expires")


def _deposits(configuration: Configuration) -> None:
    decimals = {a.name: a.decimals for a in configuration.asset}
    for position, account in enumerate(configuration.account):
        for asset, amount in account.deposits.items():
            path = f"account[{position}].deposits.{asset}"
            demand(asset in decimals, path, f"no asset {asset}")
            unit = 10 ** (8 - decimals[asset])
            demand(amount > 0 and amount % unit == 0, path,
                    f"expected a positive multiple of {decimal_text(unit)}")


def _sessions(configuration: Configuration) -> None:
    for position, fix in enumerate(configuration.fix.session):
        path = f"fix.session[{position}]"
        _access(configuration, fix, (fix.account, *fix.accounts), path)
        needed = {"hmac": "secret", "ed25519": "public_key", "password": "password", "open": ""}
        key = needed[fix.authentication]
        demand(not key or bool(getattr(fix, key)), f"{path}.{key}",
                f"needed for authentication {fix.authentication}")
        demand(not fix.public_key or is_key(fix.public_key), f"{path}.public_key",
                f"expected {KEY_HEX_LENGTH} hexadecimal digits")
        demand(fix.heartbeat_seconds_min <= fix.heartbeat_seconds_max,
                f"{path}.heartbeat_seconds_min", "expected at most heartbeat_seconds_max")
    for position, binary in enumerate(configuration.binary.session):
        path = f"binary.session[{position}]"
        _access(configuration, binary, binary.accounts, path)
        demand(binary.keepalive_milliseconds_min <= binary.keepalive_milliseconds_max,
                f"{path}.keepalive_milliseconds_min", "expected at most keepalive_milliseconds_max")


def _access(
    configuration: Configuration, session: FixSession | BinarySession, accounts: Iterable[str],
    path: str,
) -> None:
    """A session has an owner, reaches accounts of that owner only, and from networks that exist."""
    owners = {o.name for o in configuration.owner}
    owner_of = {a.name: a.owner for a in configuration.account}
    demand(session.owner in owners, f"{path}.owner", f"no owner {session.owner}")
    for account in accounts:
        demand(account in owner_of, f"{path}.account", f"no account {account}")
        demand(owner_of[account] == session.owner, f"{path}.account",
                f"{account} belongs to {owner_of[account]}, not to {session.owner}")
    for network in session.ip_allow:
        try:
            ip_network(network)
        except ValueError:
            demand(False, f"{path}.ip_allow", f"expected networks like 10.0.0.0/8, was {network}")
