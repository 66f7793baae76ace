"""What exists on the exchange, by number and by name, learned from the events that define it.

Every process that speaks to people or to clients keeps one: the core works with numbers only.

    reference = ReferenceData()
    for event in follower:
        reference.apply(event.template, event.body)  # True if it defined or changed something

Applying an event twice leaves the same data, so a process may start reading anywhere before the
definitions it needs. No numba here.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from core.messages import decode_body, template

Fields = dict[str, Any]


@dataclass(slots=True)
class Asset:
    """Something accounts hold a balance of; its unit is 10 to the power of −`decimals`."""

    number: int
    name: str
    decimals: int
    lendable: bool
    borrowable: bool
    haircut_initial: int  # parts per million of the value not counted as collateral
    haircut_maintenance: int
    utilisation_ceiling: int  # parts per million
    reserve_share: int  # parts per million
    index: int | None = None  # last index price, exponent −8
    index_state: int = 2  # 0 live, 1 degraded, 2 stale
    index_sources: int = 0
    index_time: int = 0  # ns UTC


@dataclass(slots=True)
class Owner:
    """Who is behind a set of accounts."""

    number: int
    name: str


@dataclass(slots=True)
class Account:
    """One balance sheet; `state` is an AccountState."""

    number: int
    owner: int
    name: str
    state: int = 1
    auto_lend: bool = True


@dataclass(slots=True)
class Session:
    """A client's door: `kind` 1 FIX, 2 binary; `account` is meant when a message names none."""

    number: int
    owner: int
    account: int
    kind: int
    name: str


@dataclass(slots=True)
class Event:
    """A question with outcomes; `kind` is an EventKind, `instruments` in the order of outcomes."""

    number: int
    kind: int
    outcomes: int
    rules_hash: bytes
    title: str
    instruments: list[int] = field(default_factory=list)
    listed_time: int = 0  # ns UTC


@dataclass(slots=True)
class Instrument:
    """A book. Prices and quantities have exponent −8; times are ns UTC; None is not set."""

    number: int
    symbol: str
    kind: int  # InstrumentKind
    state: int  # TradingState
    base_asset: int
    quote_asset: int
    event: int  # 0: none
    outcome: int
    tick_size: int
    lot_size: int
    minimum_quantity: int
    maximum_quantity: int
    maximum_price: int
    lower_strike: int | None
    upper_strike: int | None
    expiry: int | None
    value_per_tick_lot: int  # units of the quote asset
    rules_hash: bytes
    title: str
    listed_time: int = 0
    state_time: int = 0
    mark: int | None = None
    mark_index: int | None = None
    premium: int = 0  # 1e-9
    mark_time: int = 0
    funding_rate: int = 0  # 1e-9 of the notional, of the last funding
    funding_time: int = 0
    next_funding_rate: int = 0  # an estimate
    next_funding_time: int = 0  # 0: none is known
    auction_price: int | None = None
    auction_quantity: int | None = None
    payout: int | None = None  # of one YES, once resolved
    settlement_price: int | None = None


class ReferenceData:
    """All definitions known so far; `version` rises with every definition that is new or changed.

    Prices move without a new version, states and listings do not.
    """

    def __init__(self) -> None:
        self.version = 0
        self.assets: dict[int, Asset] = {}
        self.assets_by_name: dict[str, Asset] = {}
        self.owners: dict[int, Owner] = {}
        self.owners_by_name: dict[str, Owner] = {}
        self.accounts: dict[int, Account] = {}
        self.accounts_by_name: dict[str, Account] = {}
        self.sessions: dict[int, Session] = {}
        self.sessions_by_name: dict[str, Session] = {}
        self.events: dict[int, Event] = {}
        self.instruments: dict[int, Instrument] = {}
        self.instruments_by_symbol: dict[str, Instrument] = {}
        handlers: dict[str, Callable[[Fields], None]] = {
            "AssetRegistered": self._asset,
            "OwnerRegistered": self._owner,
            "AccountRegistered": self._account,
            "SessionRegistered": self._session,
            "InstrumentListed": self._instrument,
            "EventRegistered": self._event,
            "TradingStateChanged": self._state,
            "AccountStateChanged": self._account_state,
            "IndexPriceChanged": self._index,
            "MarkPriceChanged": self._mark,
            "FundingCompleted": self._funding,
            "FundingEstimated": self._funding_estimate,
            "InstrumentResolved": self._resolved,
        }
        self._handlers = {template(name): handler for name, handler in handlers.items()}

    def apply(self, template_id: int, body: memoryview | bytes) -> bool:
        """Learn from one event; False if it is of no concern here.

        body: the message from its root block on, as `EventFollower` yields it.
        """
        handler = self._handlers.get(template_id)
        if handler is None:
            return False
        handler(decode_body(template_id, body))
        return True

    def account_of(self, session: int, name: str) -> Account | None:
        """The account `name` if the session may act for it: its own, or another of its owner."""
        known, account = self.sessions.get(session), self.accounts_by_name.get(name)
        if known is None or account is None or account.owner != known.owner:
            return None
        return account

    def account_name(self, number: int) -> str:
        """What an account is called; its number where nothing is known of it."""
        account = self.accounts.get(number)
        return account.name if account else str(number)

    def event_of(self, instrument: Instrument) -> Event | None:
        """The event an outcome belongs to."""
        return self.events.get(instrument.event) if instrument.event else None

    # ---- definitions ---------------------------------------------------------------------------

    def _asset(self, f: Fields) -> None:
        before = self.assets.get(f["asset"])
        asset = Asset(
            f["asset"], f["name"], f["decimals"], bool(f["lendable"]), bool(f["borrowable"]),
            f["haircutInitial"], f["haircutMaintenance"], f["utilisationCeiling"],
            f["reserveShare"],
        )
        if before is not None:
            asset.index, asset.index_state = before.index, before.index_state
            asset.index_sources, asset.index_time = before.index_sources, before.index_time
        self.assets[asset.number] = self.assets_by_name[asset.name] = asset
        self.version += 1

    def _owner(self, f: Fields) -> None:
        owner = Owner(f["owner"], f["name"])
        self.owners[owner.number] = self.owners_by_name[owner.name] = owner
        self.version += 1

    def _account(self, f: Fields) -> None:
        before = self.accounts.get(f["account"])
        state = before.state if before else 1
        account = Account(f["account"], f["owner"], f["name"], state, bool(f["autoLend"]))
        self.accounts[account.number] = self.accounts_by_name[account.name] = account
        self.version += 1

    def _session(self, f: Fields) -> None:
        session = Session(f["session"], f["owner"], f["account"], f["kind"], f["name"])
        self.sessions[session.number] = self.sessions_by_name[session.name] = session
        self.version += 1

    def _event(self, f: Fields) -> None:
        before = self.events.get(f["event"])
        self.events[f["event"]] = Event(
            f["event"], f["kind"], f["outcomes"], f["rulesHash"], f["title"],
            before.instruments if before else [],
            before.listed_time if before else f["header"]["transactTime"],
        )
        self.version += 1

    def _instrument(self, f: Fields) -> None:
        time = f["header"]["transactTime"]
        instrument = Instrument(
            f["instrument"], f["symbol"], f["kind"], f["state"], f["baseAsset"],
            f["quoteAsset"], f["event"], f["outcome"], f["tickSize"], f["lotSize"],
            f["minimumQty"], f["maximumQty"], f["maximumPrice"], f["lowerStrike"],
            f["upperStrike"], f["expiry"], f["valuePerTickLot"], f["rulesHash"],
            f["title"], listed_time=time, state_time=time,
        )
        before = self.instruments.get(instrument.number)
        if before is not None:  # A series' market of long ago had the number.
            del self.instruments_by_symbol[before.symbol]
        self.instruments[instrument.number] = instrument
        self.instruments_by_symbol[instrument.symbol] = instrument
        event = self.events.get(instrument.event) if instrument.event else None
        if event is not None and instrument.number not in event.instruments:
            event.instruments.append(instrument.number)
            event.instruments.sort(key=lambda number: self.instruments[number].outcome)
        self.version += 1

    # ---- changes -------------------------------------------------------------------------------

    def _state(self, f: Fields) -> None:
        instrument = self.instruments.get(f["instrument"])
        if instrument is not None:
            instrument.state = f["state"]
            instrument.state_time = f["header"]["transactTime"]
            if f["auctionPrice"] is not None:
                instrument.auction_price = f["auctionPrice"]
                instrument.auction_quantity = f["auctionQty"]
            self.version += 1

    def _account_state(self, f: Fields) -> None:
        account = self.accounts.get(f["account"])
        if account is not None:
            account.state = f["state"]
            self.version += 1

    def _index(self, f: Fields) -> None:
        asset = self.assets.get(f["asset"])
        if asset is not None:
            asset.index, asset.index_state = f["price"], f["state"]
            asset.index_sources, asset.index_time = f["sources"], f["header"]["transactTime"]

    def _mark(self, f: Fields) -> None:
        instrument = self.instruments.get(f["instrument"])
        if instrument is not None:
            instrument.mark, instrument.mark_index = f["price"], f["index"]
            instrument.premium, instrument.mark_time = f["premium"], f["header"]["transactTime"]

    def _funding(self, f: Fields) -> None:
        instrument = self.instruments.get(f["instrument"])
        if instrument is not None:
            instrument.funding_rate = f["rate"]
            instrument.funding_time = f["header"]["transactTime"]

    def _funding_estimate(self, f: Fields) -> None:
        instrument = self.instruments.get(f["instrument"])
        if instrument is not None:
            instrument.next_funding_rate = f["rate"]
            instrument.next_funding_time = f["fundingTime"]

    def _resolved(self, f: Fields) -> None:
        instrument = self.instruments.get(f["instrument"])
        if instrument is not None:
            instrument.payout, instrument.settlement_price = f["payout"], f["settlementPrice"]
            self.version += 1
