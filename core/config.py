"""The configuration of one exchange: its sections, how files are read, what makes one wrong.

Every default works without a file. A wrong file is answered by one `ConfigurationError` that names
the key path and the rule:

    rings.command_bytes: expected a power of two, was 70000

The supervisor merges the user's file over the shipped defaults and writes the whole as
`config.json` into the run directory; every process reads that one.
"""

import math
import os
import tomllib
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import msgspec.inspect
from msgspec import Meta

from core.market_rules import Event
from core.venue import (
    FIXED_SCALE,
    Account,
    Asset,
    BinarySession,
    Fee,
    Fixed,
    FixSession,
    Instrument,
    Numbers,
    Owner,
    PositiveInt,
    Section,
    Share,
    Symbol,
    UnsignedInt,
)

Port = Annotated[int, Meta(ge=0, le=65535)]  # 0: the supervisor picks a free one
Seconds = Annotated[float, Meta(gt=0, le=86_400 * 366)]
PowerOfTwoBytes = Annotated[int, Meta(ge=65_536, le=1 << 40)]

# The tables that together describe a venue: a file that has one of them takes none from the
# defaults, because half a venue of ours and half of theirs would be neither.
VENUE = ("asset", "instrument", "event", "owner", "account", "fee")


class ConfigurationError(Exception):
    """The configuration is wrong; the text is one line naming the key path and the rule."""


class Exchange(Section, frozen=True, kw_only=True):
    """The instance as a whole.

    `policy` is the promise behind an acknowledgement: `fsync` survives a power cut, `async` the
    death of any process, `none` nothing (benchmarks only). `idle` is how processes wait.
    """

    instance: Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9-]{0,31}$")] = "onebook"
    data: str = ""
    rundir: str = ""
    policy: Literal["fsync", "async", "none"] = "fsync"
    idle: Literal["adaptive", "spin"] = "adaptive"
    snapshot_seconds: UnsignedInt = 300


class Limits(Section, frozen=True, kw_only=True):
    """How much of everything there is room for; fixed when the state is first created."""

    assets_max: Annotated[int, Meta(ge=1, le=1 << 10)] = 16
    owners_max: Annotated[int, Meta(ge=1, le=1 << 20)] = 1 << 10
    accounts_max: Annotated[int, Meta(ge=1, le=1 << 20)] = 1 << 10
    positions_max: Annotated[int, Meta(ge=1, le=1 << 24)] = 1 << 14
    instruments_max: Annotated[int, Meta(ge=1, le=1 << 14)] = 1 << 8
    events_max: Annotated[int, Meta(ge=1, le=1 << 12)] = 1 << 6
    orders_max: Annotated[int, Meta(ge=1, le=1 << 24)] = 1 << 17
    levels_max: Annotated[int, Meta(ge=1, le=1 << 24)] = 1 << 16
    sessions_max: Annotated[int, Meta(ge=1, le=1 << 14)] = 1 << 10


class Rings(Section, frozen=True, kw_only=True):
    """Sizes in bytes of the rings between the processes; powers of two."""

    command_bytes: PowerOfTwoBytes = 1 << 22
    sequenced_bytes: PowerOfTwoBytes = 1 << 24
    events_bytes: PowerOfTwoBytes = 1 << 26


class Journal(Section, frozen=True, kw_only=True):
    """The journal's files: `segment_bytes` each, a batch of commands at most `frame_bytes`."""

    segment_bytes: Annotated[int, Meta(ge=1 << 20, le=1 << 32)] = 1 << 26
    archive_segment_bytes: Annotated[int, Meta(ge=1 << 20, le=1 << 32)] = 1 << 26


class FixGateway(Section, frozen=True, kw_only=True):
    """The FIX acceptor; `session` lists the counterparties. With a certificate it speaks TLS."""

    host: str = "127.0.0.1"
    port: Port = 7001
    session: tuple[FixSession, ...] = ()
    logon_seconds: Seconds = 8.0
    repeat_seconds: Seconds = 30.0  # after a Logon, until what was probably read is told again
    connections_max: PositiveInt = 1024
    send_buffer_bytes: PositiveInt = 1 << 22  # a client further behind than this is cut off
    tls_certificate: str = ""  # files in PEM
    tls_key: str = ""


class BinaryGateway(Section, frozen=True, kw_only=True):
    """The SBE-over-TCP acceptor; `session` lists the counterparties."""

    host: str = "127.0.0.1"
    port: Port = 7002
    session: tuple[BinarySession, ...] = ()
    negotiate_seconds: Seconds = 10.0
    connections_max: PositiveInt = 256
    send_buffer_bytes: PositiveInt = 1 << 22


class Feed(Section, frozen=True, kw_only=True):
    """The market data feed: packets over TCP to who connects, as datagrams to one address."""

    enabled: bool = True
    host: str = "127.0.0.1"
    port: Port = 7003
    udp_host: str = "127.0.0.1"  # of one receiver, or a multicast group
    udp_port: Port = 7004  # 0: no datagrams
    udp_interface: str = ""  # address of the interface for multicast
    snapshot_seconds: Seconds = 1.0  # a snapshot of every instrument within this time
    stream_bytes: PowerOfTwoBytes = 1 << 26  # how far behind a TCP receiver may be


class OracleSource(Section, frozen=True, kw_only=True):
    """One source of an asset's price, with its weight and its limits of age and deviation.

    `simulated` is a seeded random walk from `start`; `file` follows lines `time,price` appended to
    `path`; `http` asks `url` for JSON, in which `json_path` (names and places joined by dots) leads
    to the price; `websocket` hears such JSON from `url` after it has sent `subscribe`; `fix` is the
    mid of `symbol` at a FIX 4.4 venue; `book` that of our own spot book of the asset, which weighs
    no more than the mean of the others and cannot make an index alone.
    """

    name: Annotated[str, Meta(min_length=1)]
    asset: Symbol
    kind: Literal["simulated", "file", "http", "websocket", "fix", "book"] = "simulated"
    path: str = ""
    host: str = ""
    port: Annotated[int, Meta(ge=0, le=65_535)] = 0
    symbol: str = ""
    sender: str = "ONEBOOK"
    target: str = ""
    username: str = ""
    password: str = ""
    url: str = ""
    json_path: str = "price"
    subscribe: str = ""
    start: Fixed = Fixed(0)
    seed: int = 0
    volatility_millionths: Share = 800_000  # a year, of the simulated walk
    weight: PositiveInt = 1
    stale_seconds: Seconds = 5.0
    deviation_millionths: Share = 20_000


class OracleSeries(Section, frozen=True, kw_only=True):
    """A recurring prediction: each `period_seconds` (whole minutes, UTC) whether `asset` goes up.

    Decided by the index averaged over the last `window_seconds` of the period against the same of
    the period before.
    """

    asset: Symbol
    period_seconds: Annotated[int, Meta(ge=60, le=86_400, multiple_of=60)]
    window_seconds: PositiveInt = 30
    tick: Fixed = Fixed(1_000_000)
    lot: Fixed = Fixed(100_000_000)


class Oracle(Section, frozen=True, kw_only=True):
    """Indices, marks and outcomes."""

    enabled: bool = True
    interval_seconds: Seconds = 1.0
    sources_min: PositiveInt = 3  # besides our own book
    premium_seconds: Seconds = 300.0
    premium_band_millionths: Share = 10_000
    stable_seconds: Annotated[float, Meta(ge=0, le=86_400 * 366)] = 3600.0  # 0: no stable price
    source: tuple[OracleSource, ...] = ()
    series: tuple[OracleSeries, ...] = ()


class Custody(Section, frozen=True, kw_only=True):
    """Who holds the assets: a process at a Unix `socket`, or if that is empty a file of our own."""

    socket: str = ""
    timeout_seconds: Seconds = 0.25


class Settlement(Section, frozen=True, kw_only=True):
    """Profit and loss into USDC every `period_seconds`, funding every `funding_seconds`."""

    enabled: bool = True
    period_seconds: Seconds = 10.0
    funding_seconds: Seconds = 3600.0
    funding_bound_millionths: Share = 10_000


class Lending(Section, frozen=True, kw_only=True):
    """The pool: interest accrues each `period_seconds` along a utilisation curve with a kink."""

    enabled: bool = True
    period_seconds: Seconds = 60.0
    optimal_millionths: Share = 800_000
    rate_base_millionths: UnsignedInt = 0  # a year
    rate_optimal_millionths: UnsignedInt = 80_000
    rate_full_millionths: UnsignedInt = 600_000
    throttle_threshold_millionths: Share = 850_000  # up to it a pool may be used at once
    throttle_fraction_millionths: Share = 250_000  # of the rest, each period


class Reserves(Section, frozen=True, kw_only=True):
    """Proof of reserves: a signed attestation each `period_seconds` and on request."""

    enabled: bool = True
    period_seconds: Seconds = 3600.0
    key_file: str = ""  # Ed25519, made on first use under the data directory if empty


class Signer(Section, frozen=True, kw_only=True):
    """Who may speak for a role about risk parameters: an Ed25519 key, hexadecimal."""

    name: Annotated[str, Meta(min_length=1, max_length=48)]
    role: Literal["risk", "operations"]
    public_key: str


class Risk(Section, frozen=True, kw_only=True):
    """How accounts below their maintenance margin are closed, and who may change risk parameters.

    Said to the core once, when the venue is founded; from then on `onebook admin risk` changes it.
    """

    liquidation: bool = True
    interval_seconds: Seconds = 0.1
    slice_millionths: Share = 100_000
    whole: Fixed = Fixed(50 * FIXED_SCALE)  # USDC: with less missing a position is closed whole
    fillable_spread_millionths: Share = 1_000_000
    fillable_minimum_millionths: Share = 2_500
    degraded_seconds: Seconds = 60.0
    backstop_notice_seconds: Seconds = 86_400.0
    loosening_delay_seconds: Seconds = 86_400.0
    proposal_seconds: Seconds = 86_400.0
    listing_ramp: Fixed = Fixed(1_000_000 * FIXED_SCALE)  # USDC a day of an asset listed later
    signer: tuple[Signer, ...] = ()  # If empty, a key of each role is made in the data directory.


class Configuration(Section, frozen=True, kw_only=True):
    """All of it."""

    exchange: Exchange = Exchange()
    limits: Limits = Limits()
    rings: Rings = Rings()
    journal: Journal = Journal()
    fix: FixGateway = FixGateway()
    binary: BinaryGateway = BinaryGateway()
    feed: Feed = Feed()
    oracle: Oracle = Oracle()
    custody: Custody = Custody()
    settlement: Settlement = Settlement()
    lending: Lending = Lending()
    reserves: Reserves = Reserves()
    risk: Risk = Risk()
    asset: tuple[Asset, ...] = ()
    instrument: tuple[Instrument, ...] = ()
    event: tuple[Event, ...] = ()
    owner: tuple[Owner, ...] = ()
    account: tuple[Account, ...] = ()
    fee: tuple[Fee, ...] = ()

    def numbers(self) -> Numbers:
        """The numbers that the core knows the names of this venue by."""
        return Numbers(self.asset, self.instrument, self.event, self.owner, self.account)


def load(path: str | os.PathLike[str]) -> Configuration:
    """Read a TOML or JSON file, alone. Raises ConfigurationError."""
    return decode(read(path))


def read(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The tables of a TOML (or, by its ending, JSON) file, not yet checked."""
    file = Path(path)
    try:
        content = file.read_bytes()
        if file.suffix == ".json":
            tables: dict[str, Any] = msgspec.json.decode(content, type=dict[str, Any])
        else:
            tables = tomllib.loads(content.decode())
    except OSError as error:
        raise ConfigurationError(f"{file}: {error.strerror or error}") from error
    except (tomllib.TOMLDecodeError, msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{file}: {error}") from error
    return tables


def merge(defaults: Mapping[str, Any], chosen: Mapping[str, Any]) -> dict[str, Any]:
    """`chosen` over `defaults`: tables key by key, lists as a whole, a venue as a whole."""
    base = dict(defaults)
    if any(name in chosen for name in VENUE):
        base = {name: value for name, value in base.items() if name not in VENUE}
        for gateway in ("fix", "binary"):
            base[gateway] = {k: v for k, v in base.get(gateway, {}).items() if k != "session"}
        oracle = base.get("oracle", {}).items()
        base["oracle"] = {k: v for k, v in oracle if k not in ("source", "series")}
    return _overlay(base, chosen)


def _overlay(base: Mapping[str, Any], chosen: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for name, value in chosen.items():
        below = merged.get(name)
        both = isinstance(below, Mapping) and isinstance(value, Mapping)
        merged[name] = _overlay(below, value) if both else value  # type: ignore[arg-type]
    return merged


def decode(tables: Mapping[str, Any]) -> Configuration:
    """Check plain tables and turn them into a `Configuration`. Raises ConfigurationError."""
    from core.rules import check  # the cross-checks read this module's types

    try:
        configuration = msgspec.convert(tables, Configuration, dec_hook=_decode_fixed)
    except msgspec.ValidationError as error:
        rule, _, path = str(error).rpartition(" - at `$")
        if not rule:
            rule, path = path, ""
        where = path.strip("`").lstrip(".") or "file"
        raise ConfigurationError(f"{where}: {_plain(rule)}{_choices(rule, where)}") from error
    check(configuration)
    return configuration


def encode(configuration: Configuration) -> bytes:
    """The configuration as a JSON file, which `load` reads."""
    return msgspec.json.encode(configuration, enc_hook=decimal_text)


def _choices(rule: str, where: str) -> str:
    """The values allowed at a key path, when the broken rule is that there is a closed list."""
    if not rule.startswith("Invalid enum value"):
        return ""
    kind: Any = msgspec.inspect.type_info(Configuration)
    for key in where.split("."):
        fields = {field.encode_name: field.type for field in kind.fields}
        kind = fields[key.partition("[")[0]]
        kind = getattr(kind, "item_type", kind)
    return f", expected one of {', '.join(str(value) for value in kind.values)}"


def _plain(rule: str) -> str:
    """A msgspec message as the rest of ours: lower case first, no Python type names."""
    for python, plain in (
        ("`", ""), ("Object contains", "there is an"), ("Object missing", "has no"),
        (", got ", ", was "),
    ):
        rule = rule.replace(python, plain)
    return rule[:1].lower() + rule[1:]


def _decode_fixed(kind: type, value: object) -> object:
    if kind is not Fixed:
        raise TypeError(f"no decoder for {kind}")
    return fixed(value)


def fixed(value: object) -> Fixed:
    """A decimal string (or whole number) as int64 with exponent -8, exactly. Raises ValueError."""
    if isinstance(value, float):
        raise ValueError(f'expected a decimal in quotes, like "0.01", was {value}')
    try:
        scaled = Decimal(str(value)) * FIXED_SCALE
        exact = math.isfinite(scaled) and scaled == int(scaled)
    except (InvalidOperation, OverflowError):
        raise ValueError(f'expected a decimal in quotes, like "0.01", was {value!r}') from None
    if not exact:
        raise ValueError(f"expected at most 8 decimals, was {value}")
    if not -(2**63) < scaled < 2**63:
        raise ValueError(f"expected a number within int64 at exponent -8, was {value}")
    return Fixed(int(scaled))


def decimal_text(value: int) -> str:
    """The shortest decimal that `fixed` turns into `value`."""
    text = f"{Decimal(value) / FIXED_SCALE:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
