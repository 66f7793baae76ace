"""The rules a configuration keeps between its parts: names resolve, steps divide, sizes fit.

Each is checked once, here, and broken ones are answered by one line with the key path.
"""

from collections.abc import Iterable
from datetime import datetime
from ipaddress import ip_network

from core.config import Configuration, ConfigurationError, decimal_text
from core.venue import (
    FIRST_ACCOUNT,
    FIRST_OWNER,
    FIXED_SCALE,
    BinarySession,
    FixSession,
    Instrument,
)

KEY_HEX_LENGTH = 64  # an Ed25519 public key
OUTCOMES_MAX = 32


def check(configuration: Configuration) -> None:
    """Raise ConfigurationError for the first broken rule."""
    _sizes(configuration)
    _names(configuration)
    _rooms(configuration)
    _references(configuration)
    for position, instrument in enumerate(configuration.instrument):
        _instrument(configuration, instrument, f"instrument[{position}]")
    _events(configuration)
    _deposits(configuration)
    _sessions(configuration)


def _demand(holds: bool, path: str, rule: str) -> None:
    if not holds:
        raise ConfigurationError(f"{path}: {rule}")


def _sizes(configuration: Configuration) -> None:
    for name in configuration.rings.__struct_fields__:
        size = getattr(configuration.rings, name)
        _demand(size & (size - 1) == 0, f"rings.{name}", f"expected a power of two, was {size}")


def _unique(path: str, key: str, names: Iterable[object]) -> None:
    seen: dict[object, int] = {}
    for position, name in enumerate(names):
        first = seen.setdefault(name, position)
        _demand(
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
    _unique("fix.session and binary.session", "session", (s.session for s in everyone))
    if configuration.asset:
        first = configuration.asset[0]
        _demand(
            first.name == "USDC" and first.decimals == 6, "asset[0]",
            f"expected USDC with 6 decimals, was {first.name} with {first.decimals}",
        )
    for number, asset in enumerate(configuration.asset):
        base = asset.weight_base_millionths
        _demand(
            asset.weight_millionths <= base <= 10_000_000, f"asset[{number}]",
            f"expected weight_base_millionths from the weight to 10,000,000, was {base}",
        )
        _demand(
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
        _demand(count <= room, f"limits.{name}", f"{count} needed for {path}, was {room}")


def _references(configuration: Configuration) -> None:
    assets = {a.name for a in configuration.asset}
    owners = {o.name for o in configuration.owner}
    for position, account in enumerate(configuration.account):
        _demand(
            account.owner in owners, f"account[{position}].owner", f"no owner {account.owner}")
    for position, source in enumerate(configuration.oracle.source):
        path = f"oracle.source[{position}]"
        _demand(source.asset in assets, f"{path}.asset", f"no asset {source.asset}")
        _demand(
            source.kind != "simulated" or source.start > 0, f"{path}.start",
            "a simulated source needs a positive start",
        )
        _demand(source.kind != "file" or bool(source.path), f"{path}.path", "a file needs a path")
        _demand(source.kind != "http" or bool(source.url), f"{path}.url", "a server needs a url")
        venue = bool(source.host and source.port and source.symbol and source.target)
        _demand(source.kind != "fix" or venue, path, "a venue needs host, port, symbol, target")
    for position, series in enumerate(configuration.oracle.series):
        path = f"oracle.series[{position}]"
        _demand(series.asset in assets, f"{path}.asset", f"no asset {series.asset}")
        _demand(series.window_seconds <= series.period_seconds, f"{path}.window_seconds",
                f"expected at most {series.period_seconds}, was {series.window_seconds}")


def _instrument(configuration: Configuration, listed: Instrument, path: str) -> None:
    decimals = {a.name: a.decimals for a in configuration.asset}
    _demand(listed.quote in decimals, f"{path}.quote", f"no asset {listed.quote}")
    _demand(listed.tick > 0, f"{path}.tick", "expected a positive decimal")
    _demand(listed.lot > 0, f"{path}.lot", "expected a positive decimal")
    if listed.kind == "prediction":
        events = {e.symbol for e in configuration.event}
        _demand(listed.event in events, f"{path}.event", f"no event {listed.event or '(none)'}")
    else:
        _demand(listed.base in decimals, f"{path}.base", f"no asset {listed.base or '(none)'}")
        _demand(not listed.event, f"{path}.event", f"a {listed.kind} has no event")
    if listed.kind == "spot":
        unit = 10 ** (8 - decimals[listed.base])
        _demand(
            listed.lot % unit == 0, f"{path}.lot",
            f"expected a multiple of {decimal_text(unit)} {listed.base}",
        )
    # tick and lot both have exponent -8: their product must be whole in units of the quote asset.
    unit = 10 ** (16 - decimals[listed.quote])
    _demand(
        listed.tick * listed.lot % unit == 0, f"{path}.tick",
        f"tick {decimal_text(listed.tick)} x lot {decimal_text(listed.lot)} isn't a whole number "
        f"of the smallest unit of {listed.quote}",
    )
    if listed.kind in ("prediction", "price_linked"):
        _demand(
            FIXED_SCALE % listed.tick == 0, f"{path}.tick", "expected a whole number of ticks in 1")
    _price_link(listed, path)


def _price_link(listed: Instrument, path: str) -> None:
    linked = listed.kind == "price_linked"
    _demand(linked == bool(listed.condition), f"{path}.condition",
            "expected above, below or range" if linked else f"a {listed.kind} has no condition")
    if not linked:
        return
    if listed.condition in ("above", "range"):
        _demand(listed.low > 0, f"{path}.low", "expected a positive price")
    if listed.condition in ("below", "range"):
        _demand(listed.high > 0, f"{path}.high", "expected a positive price")
    if listed.condition == "range":
        _demand(listed.low < listed.high, f"{path}.high", "expected more than low")
    _demand(bool(listed.expires) != bool(listed.expires_in_seconds), f"{path}.expires",
            "expected either expires or expires_in_seconds")
    _time(listed.expires, f"{path}.expires")


def _time(text: str, path: str) -> None:
    try:
        zoned = not text or datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        zoned = False
    _demand(zoned, path, f'expected a time like "2027-01-31T12:00:00Z", was {text}')


def _events(configuration: Configuration) -> None:
    for position, event in enumerate(configuration.event):
        path = f"event[{position}]"
        outcomes = sum(i.event == event.symbol for i in configuration.instrument)
        _demand(
            2 <= outcomes <= OUTCOMES_MAX, path,
            f"expected 2 to {OUTCOMES_MAX} instruments with event = {event.symbol}, was {outcomes}",
        )
        signers = (*event.reporters, *event.disputers, *event.key_accounts)
        for key in (*signers, *((event.arbiter,) if event.arbiter else ())):
            _demand(_is_key(key), f"{path}.reporters",
                    f"expected Ed25519 public keys of {KEY_HEX_LENGTH} hexadecimal digits")
        _demand(not event.reporters or event.quorum <= len(event.reporters), f"{path}.quorum",
                f"expected at most {len(event.reporters)}, was {event.quorum}")
        for key in event.disputers:
            _demand(key in event.key_accounts, f"{path}.key_accounts",
                    f"no account of {key} that could pay the bond of a dispute")
        for name in event.key_accounts.values():
            _demand(any(a.name == name for a in configuration.account), f"{path}.key_accounts",
                    f"no account {name}")
        _demand(0 <= event.void_price <= FIXED_SCALE, f"{path}.void_price", "expected 0 to 1")
        _time(event.cutoff, f"{path}.cutoff")


def _deposits(configuration: Configuration) -> None:
    decimals = {a.name: a.decimals for a in configuration.asset}
    for position, account in enumerate(configuration.account):
        for asset, amount in account.deposits.items():
            path = f"account[{position}].deposits.{asset}"
            _demand(asset in decimals, path, f"no asset {asset}")
            unit = 10 ** (8 - decimals[asset])
            _demand(amount > 0 and amount % unit == 0, path,
                    f"expected a positive multiple of {decimal_text(unit)}")


def _sessions(configuration: Configuration) -> None:
    for position, fix in enumerate(configuration.fix.session):
        path = f"fix.session[{position}]"
        _access(configuration, fix, (fix.account, *fix.accounts), path)
        needed = {"hmac": "secret", "ed25519": "public_key", "password": "password", "open": ""}
        key = needed[fix.authentication]
        _demand(not key or bool(getattr(fix, key)), f"{path}.{key}",
                f"needed for authentication {fix.authentication}")
        _demand(not fix.public_key or _is_key(fix.public_key), f"{path}.public_key",
                f"expected {KEY_HEX_LENGTH} hexadecimal digits")
        _demand(fix.heartbeat_seconds_min <= fix.heartbeat_seconds_max,
                f"{path}.heartbeat_seconds_min", "expected at most heartbeat_seconds_max")
    for position, binary in enumerate(configuration.binary.session):
        path = f"binary.session[{position}]"
        _access(configuration, binary, binary.accounts, path)
        _demand(binary.keepalive_milliseconds_min <= binary.keepalive_milliseconds_max,
                f"{path}.keepalive_milliseconds_min", "expected at most keepalive_milliseconds_max")


def _access(
    configuration: Configuration, session: FixSession | BinarySession, accounts: Iterable[str],
    path: str,
) -> None:
    """A session has an owner, reaches accounts of that owner only, and from networks that exist."""
    owners = {o.name for o in configuration.owner}
    owner_of = {a.name: a.owner for a in configuration.account}
    _demand(session.owner in owners, f"{path}.owner", f"no owner {session.owner}")
    for account in accounts:
        _demand(account in owner_of, f"{path}.account", f"no account {account}")
        _demand(owner_of[account] == session.owner, f"{path}.account",
                f"{account} belongs to {owner_of[account]}, not to {session.owner}")
    for network in session.ip_allow:
        try:
            ip_network(network)
        except ValueError:
            _demand(False, f"{path}.ip_allow", f"expected networks like 10.0.0.0/8, was {network}")


def _is_key(text: str) -> bool:
    try:
        return len(text) == KEY_HEX_LENGTH and len(bytes.fromhex(text)) == KEY_HEX_LENGTH // 2
    except ValueError:
        return False
