"""What the exchange lists and who trades on it, as the configuration says it.

Names refer to names: an instrument to its assets, an account to its owner, a session to its owner
and accounts. The core knows only numbers. A number is the place in the file, so a venue grows by
appending (`Numbers`):

    [[asset]]       0, 1, ..  (0 is USDC)      [[owner]]    2, 3, ..     (1 is the house)
    [[instrument]]  1, 2, ..                   [[account]]  100, 101, .. (below: the house's)
    [[event]]       1, 2, ..                   sessions     their `session`, chosen by hand

Prices, quantities and amounts are decimal strings and become `Fixed`: int64 with exponent -8.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Literal

from msgspec import Meta, Struct

if TYPE_CHECKING:
    from core.market_rules import Event

FIXED_SCALE = 10**8  # `Fixed` units in 1

Name = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.:-]{0,47}$")]
Symbol = Annotated[str, Meta(pattern=r"^[A-Z0-9][A-Z0-9_.-]{0,31}$")]
Share = Annotated[int, Meta(ge=0, le=1_000_000)]  # millionths of a whole
SymbolOrNone = Annotated[str, Meta(pattern=r"^$|^[A-Z0-9][A-Z0-9_.-]{0,31}$")]
ClockOrNone = Annotated[str, Meta(pattern=r"^$|^([01]\d|2[0-3]):[0-5]\d:[0-5]\d$")]
Kind = Literal["spot", "perpetual", "prediction", "price_linked"]
FeeTier = Annotated[int, Meta(ge=0, le=7)]
CancelOnDisconnect = Literal["none", "session", "accounts"]
PositiveInt = Annotated[int, Meta(ge=1)]
UnsignedInt = Annotated[int, Meta(ge=0)]


class Fixed(int):
    """A number with exponent -8, as prices and quantities have on the wire."""


class Section(Struct, frozen=True, forbid_unknown_fields=True):
    """One table of the configuration: immutable, and strict about its keys."""


class Asset(Section, frozen=True, kw_only=True):
    """Something an account holds a balance of; `decimals` fixes its smallest unit (USDC: 6).

    The haircut is the share of its index value that doesn't count as collateral, the borrow margin
    the share of a debt's value that is required on top; both initially and for maintenance.

    With a `weight` its balance, perpetuals and price links are judged as one: a hedged notional
    then requires the hedge share, and what is left of the balance counts by its weight, or by
    base / (1 + penalty √value) if that is less; price risk is the first perpetual's margin base.
    """

    name: Symbol
    decimals: Annotated[int, Meta(ge=0, le=8)]
    haircut_initial_millionths: Share = 1_000_000
    haircut_maintenance_millionths: Share = 1_000_000
    lendable: bool = False
    borrowable: bool = False
    borrow_margin_initial_millionths: Share = 20_000
    borrow_margin_maintenance_millionths: Share = 10_000
    borrow_max: Fixed = Fixed(0)  # of one account; 0: as much as its margin allows
    utilisation_ceiling_millionths: Share = 950_000
    reserve_share_millionths: Share = 100_000
    withdrawal_cap: Fixed = Fixed(0)  # that may leave within the window, of all accounts; 0: any
    withdrawal_account_cap: Fixed = Fixed(0)  # of one account
    withdrawal_account_share_millionths: Share = 0  # the same, of the asset's mean of a day
    withdrawal_window_seconds: PositiveInt = 86_400
    withdrawal_share_millionths: Share = 0  # of its mean of a day that may be gone; 0: any
    collateral_cap: Fixed = Fixed(0)  # USDC of all there is that count for new risk; 0: all
    collateral_ramp: Fixed = Fixed(0)  # USDC a day by which that grows from nothing; 0: at once
    weight_millionths: Share = 0  # 0: each part is judged alone, the balance by its haircut
    weight_base_millionths: UnsignedInt = 1_100_000
    weight_penalty_billionths: UnsignedInt = 20_000  # per square root of a whole USDC
    hedge_initial_millionths: Share = 5_000
    hedge_maintenance_millionths: Share = 2_500


class Instrument(Section, frozen=True, kw_only=True):
    """A book: spot pair, perpetual, outcome of an event, or a prediction linked to a price.

    `tick` and `lot` are the steps of price and quantity. `prediction` is one outcome of `event`
    and pays 1 if it comes true. `price_linked` pays 1 if at the expiry the index of `base` is at or
    above `low`, below `high`, or in the range `low <= index < high`. The expiry is `expires`
    (RFC 3339) or, for a venue that should work on any day, `expires_in_seconds` after the listing.
    A perpetual's requirement is `max(base, factor * sqrt(notional)) * notional`.
    """

    symbol: Symbol
    kind: Kind
    base: SymbolOrNone = ""
    event: SymbolOrNone = ""
    quote: Symbol = "USDC"
    tick: Fixed
    lot: Fixed
    quantity_min: Fixed = Fixed(0)  # 0: one lot
    quantity_max: Fixed = Fixed(0)  # 0: as far as exact arithmetic reaches
    price_max: Fixed = Fixed(0)  # 0: as far as exact arithmetic reaches
    position_max: Fixed = Fixed(0)  # of one account; 0: none
    price_band_millionths: Share = 0  # how far from the mark a limit price may be; 0: anywhere
    premium_band_millionths: Share = 0  # how far from the index with its mean premium; 0: anywhere
    insurance_cap: Fixed = Fixed(0)  # USDC that the insurance account may lose in this market
    open_interest_max: Fixed = Fixed(0)  # 0: none
    owner_position_max: Fixed = Fixed(0)  # over all accounts of one owner; 0: none
    owner_interest_share_millionths: Share = 0  # of the open interest, the same; 0: any
    owner_interest_free: Fixed = Fixed(0)  # up to which it may be any share
    interest_scale_start: Fixed = Fixed(0)  # USDC of open interest from which on a perpetual's
    interest_scale_end: Fixed = Fixed(0)  # initial base rises, up to `most` at the end; 0: never
    interest_scale_most_millionths: Annotated[int, Meta(ge=0, le=900_000)] = 0
    funding_rate_cap_millionths: Share = 0  # of the notional in one funding, either way; 0: none
    margin_base_initial_millionths: Share = 100_000
    margin_base_maintenance_millionths: Share = 60_000
    margin_factor_initial_billionths: UnsignedInt = 20_000  # per root of a whole USDC of notional
    margin_factor_maintenance_billionths: UnsignedInt = 12_000
    condition: Literal["", "above", "below", "range"] = ""
    low: Fixed = Fixed(0)
    high: Fixed = Fixed(0)
    expires: str = ""
    expires_in_seconds: UnsignedInt = 0
    averaging_seconds: PositiveInt = 30
    title: str = ""
    rules: str = ""
    auction: bool = False  # start in pre-open, for an auction, instead of open


class Owner(Section, frozen=True, kw_only=True):
    """Who is behind a set of accounts: self-trade prevention and limits work by owner."""

    name: Name
    fee_tier: FeeTier = 0
    self_trade_prevention: Literal["taker", "maker", "both", "decrement"] = "taker"
    withdrawal_delay_seconds: UnsignedInt = 0  # of his choice: time to notice that it was not he


class Fee(Section, frozen=True, kw_only=True):
    """What one tier pays for one kind of instrument, in millionths of the value traded."""

    tier: FeeTier = 0
    kind: Kind
    maker_millionths: Annotated[int, Meta(ge=-10_000, le=100_000)]  # below zero: a rebate
    taker_millionths: Annotated[int, Meta(ge=0, le=100_000)]


class Account(Section, frozen=True, kw_only=True):
    """One balance sheet. `deposits` (asset to amount) are credited once, when it is created."""

    name: Name
    owner: Name
    deposits: dict[Symbol, Fixed] = {}
    auto_lend: bool = True
    auto_borrow: bool = True


FixVersion = Literal["FIX.4.4", "FIXT.1.1"]


class FixSession(Section, frozen=True, kw_only=True):
    """A FIX counterparty: who it is, how it proves that, and what it may do."""

    session: PositiveInt
    sender_comp_id: Annotated[str, Meta(min_length=1, max_length=32)]  # the client's
    target_comp_id: Annotated[str, Meta(min_length=1, max_length=32)] = "ONEBOOK"
    owner: Name
    account: Name  # used where an order names none
    accounts: tuple[Name, ...] = ()  # further ones it may name
    authentication: Literal["hmac", "ed25519", "password", "open"] = "hmac"
    secret: str = ""
    public_key: str = ""  # Ed25519, hexadecimal
    password: str = ""
    versions: tuple[FixVersion, ...] = ("FIX.4.4", "FIXT.1.1")
    heartbeat_seconds_min: PositiveInt = 1
    heartbeat_seconds_max: PositiveInt = 3600
    sending_time_seconds: PositiveInt = 120  # how far a SendingTime may be from our clock
    reset_on_logon: bool = False  # start from 1 at every logon; else only when the client asks
    reset_on_logout: bool = False
    reset_on_disconnect: bool = False
    reset_time: ClockOrNone = ""  # UTC, each day; empty: a continuous session
    possible_resend: Literal["report", "ignore"] = "report"  # a PossResend of an order we know
    cancel_on_disconnect: CancelOnDisconnect = "none"
    cancel_window_milliseconds: UnsignedInt = 0
    throttle: UnsignedInt = 0  # orders a second, 0: no limit
    ip_allow: tuple[str, ...] = ()  # networks, empty: from anywhere
    drop_copy: bool = False  # receives reports of its accounts, sends no orders


class BinarySession(Section, frozen=True, kw_only=True):
    """A binary counterparty; it signs with HMAC-SHA256 under `secret`."""

    session: PositiveInt
    key_id: Annotated[str, Meta(min_length=1, max_length=16)]
    secret: Annotated[str, Meta(min_length=16)]
    owner: Name
    accounts: Annotated[tuple[Name, ...], Meta(min_length=1)]
    keepalive_milliseconds_min: PositiveInt = 100
    keepalive_milliseconds_max: PositiveInt = 60_000
    cancel_on_disconnect: CancelOnDisconnect = "session"
    cancel_window_milliseconds: UnsignedInt = 0
    throttle: UnsignedInt = 0
    ip_allow: tuple[str, ...] = ()



# Numbers below these are the core's own: the house is owner 1, with accounts for fees, insurance…
FIRST_OWNER = 2
FIRST_ACCOUNT = 100


class Numbers:
    """The numbers that the core knows names by: the places in the configuration's lists."""

    def __init__(
        self, assets: Iterable[Asset], instruments: Iterable[Instrument], events: Iterable["Event"],
        owners: Iterable[Owner], accounts: Iterable[Account],
    ) -> None:
        self.assets = {a.name: number for number, a in enumerate(assets)}
        self.instruments = {i.symbol: number for number, i in enumerate(instruments, 1)}
        self.events = {e.symbol: number for number, e in enumerate(events, 1)}
        self.owners = {o.name: number for number, o in enumerate(owners, FIRST_OWNER)}
        self.accounts = {a.name: number for number, a in enumerate(accounts, FIRST_ACCOUNT)}
