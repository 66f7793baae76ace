"""The oracle sidecar: what things are worth each second, and what came true.

    sources ─▶ index of each underlying ─▶ SetIndexPrice
                     │        books ─▶ premium ─▶ SetMarkPrice of perpetuals and predictions
                     │                 marks ───▶ SetRiskArray of price links (risk_arrays.py)
                     ▼
    recorded index ─▶ average over the window before an expiry ─▶ ResolveInstrument
    signed reports ─▶ quorum ─▶ proposal ─▶ delay ─▶ final ─▶ ResolveEvent          (outcomes.py)

Prices are passing commands: worthless when late, never sent twice. Resolutions are kept until the
core has answered. While this process is down marks stand still and nothing resolves; trading goes
on until an operator says otherwise.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar

from core.link import Event
from core.producers import Producer
from core.reference import Instrument
from core.sidecars.books import ONE, PERPETUAL, SPOT
from core.sidecars.depth import REPORT, Depth
from core.sidecars.follow import Result, Sidecar
from core.sidecars.oracle import bonds, history, holdings, outcomes
from core.sidecars.oracle.history import Sample
from core.sidecars.oracle.index import LIVE, STALE, Index, IndexPrice, Weighed
from core.sidecars.oracle.marks import (
    BOOK_SECONDS,
    PRICE_ABOVE,
    PRICE_BELOW,
    PRICE_RANGE,
    Average,
    Mark,
    Premium,
    chance,
    linked_mark,
    outcome_mark,
    years_until,
)
from core.sidecars.oracle.outcomes import Outcomes
from core.sidecars.oracle.risk_arrays import Link, Ranges, risk_arrays
from core.sidecars.oracle.rules import MIGRATION as RULES_MIGRATION
from core.sidecars.oracle.rules import Rules
from core.sidecars.oracle.series import Series
from core.sidecars.oracle.sources import SECOND, BookSource
from core.sidecars.oracle.stable import Stable

OUTCOME = 3
LINKED = (PRICE_ABOVE, PRICE_BELOW, PRICE_RANGE)
OPEN_STATES = range(1, 6)  # PreOpen to Closed
CLOSED, RESOLVED = 5, 7
IMPACT_NOTIONAL = 10_000 * ONE * ONE  # USDC, exponent −16
DUMP_NS = 60 * SECOND
AVERAGING_NS = 30 * SECOND
VOLATILITY = 0.6
NO_INDEX = IndexPrice(0, LIVE, 0, ())  # Of what depends on none.
MARGIN_BASE_INITIAL, MARGIN_BASE_MAINTENANCE = 20, 21  # RiskParameter
APPLIED = 1  # RiskProposalState

MIGRATION = """
    CREATE TABLE premium (
        instrument INTEGER PRIMARY KEY,
        mean REAL NOT NULL,
        time INTEGER NOT NULL,
        mark INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE depth (one INTEGER PRIMARY KEY CHECK (one = 1), position INTEGER, data BLOB);
"""


class Oracle(Sidecar):
    """See the module.

    sources: of each asset, by its name. averaging_ns: of instruments that have their own window, by
    symbol. volatility: a year, by asset name. ranges: what the joint scan of an asset's price links
    spans, by its name; none is sent of others. rules: of events, by number. documents:
    what is hashed in listings. since: events from a
    position on, to rebuild the books with after a restart.
    """

    producer: ClassVar[Producer] = Producer.ORACLE
    migrations: ClassVar[tuple[str, ...]] = (
        MIGRATION, history.MIGRATION, outcomes.MIGRATION, holdings.MIGRATION, bonds.MIGRATION,
        RULES_MIGRATION,
    )

    def __init__(
        self,
        *arguments: Any,
        sources: Mapping[str, Sequence[Weighed]],
        since: Callable[[int], Iterable[Event]],
        sources_min: int = 2,
        interval_ns: int = SECOND,
        premium_seconds: float = 300.0,
        premium_band: float = 0.01,
        stable_seconds: float = 0.0,
        averaging_ns: Mapping[str, int] | None = None,
        volatility: Mapping[str, float] | None = None,
        ranges: Mapping[str, Ranges] | None = None,
        rules: Mapping[int, Rules] | None = None,
        documents: Sequence[bytes] = (),
        series: Sequence[Series] = (),
        **options: Any,
    ) -> None:
        super().__init__(*arguments, **options)
        self.depth = Depth()
        self.outcomes = Outcomes(self, rules or {}, documents)
        self._indices = {name: Index(listed, sources_min) for name, listed in sources.items()}
        self._sources_min = sources_min
        self._interval_ns = interval_ns
        self._premium_seconds, self._premium_band = premium_seconds, premium_band
        self._stable_seconds = stable_seconds
        self._stables: dict[int, Stable] = {}
        self._averaging_ns = averaging_ns or {}
        self._volatility = volatility or {}
        self._ranges = ranges or {}
        self._series = series
        self._premiums: dict[int, Premium] = {}
        self._averages: dict[int, Average] = {}
        self._sent_marks: dict[int, int] = {}
        self._tried: set[str] = set()  # symbols of series asked for, listed or refused
        self._next = 0
        self._dump_at = 0
        self._load(since)
        self.handle_template(REPORT, self._on_report)
        self.handle("PositionTransferred", self.outcomes.holdings.on_transferred)
        self.handle("PositionResolved", self.outcomes.holdings.on_resolved)
        self.handle_fields("IndexPriceChanged", self._on_index)
        self.handle_fields("InstrumentResolved", self.outcomes.on_resolved)
        self.handle_fields("RiskParameterChanged", self._on_parameter)
        self.handle_fields("MarkPriceChanged", self._on_mark)
        self.handle_fields("InstrumentListed", self._on_listed)

    def _load(self, since: Callable[[int], Iterable[Event]]) -> None:
        """Premiums from the store; the books from the last dump and the events behind it."""
        select = self.store.connection.execute
        for instrument, mean, time, mark in select("SELECT * FROM premium"):
            premium = self._premiums[instrument] = self._premium()
            premium.mean, premium.time, premium.mark = mean, time, mark
        for name in self._ranges:  # Changed since the configuration was written.
            noted = self.store.note(f"ranges {name}")
            if noted is not None:
                self._ranges = {**self._ranges, name: Ranges(*map(int, noted.split()))}
        row = select("SELECT position, data FROM depth").fetchone()
        position = 0
        if row is not None:
            position = row[0]
            self.depth.load(row[1])
        for event in since(position):
            if event.position >= self.store.position:
                break
            if event.template == REPORT:
                self.depth.apply(event)

    # ---- deciding --------------------------------------------------------------------------------

    def decide(self, now: int) -> int:
        """Each interval new prices; whatever is due of outcomes."""
        work = self.outcomes.decide(now)
        if self._next - self._interval_ns <= now < self._next:
            return work
        self._next = now - now % self._interval_ns + self._interval_ns
        for asset in list(self.reference.assets.values()):
            index = self._indices.get(asset.name)
            price = index.update(now) if index is not None else None
            if price is not None:
                stable = self._stable(asset.number)
                if price.state == LIVE:
                    stable.update(price.price, now)
                self.command("SetIndexPrice", passing=True, asset=asset.number, state=price.state,
                             sources=price.sources, price=price.price, stable=stable.price)
                work += 1 + self._mark_all(asset.number, asset.name, price, now)
        work += sum(self._recur(series, now) for series in self._series)
        for instrument in self._open():
            if instrument.kind == OUTCOME:
                last = self.depth.last.get(instrument.number)
                mid = self.depth.mid(instrument.number)
                mark = outcome_mark(mid, last, instrument.tick_size)
                work += self._set_mark(instrument, mark, NO_INDEX)
        if now - self._dump_at >= DUMP_NS:
            self._dump(now)
        return work

    def _open(self) -> list[Instrument]:
        instruments = self.reference.instruments.values()
        return [i for i in instruments if i.state in OPEN_STATES]

    def _mark_all(self, asset: int, name: str, index: IndexPrice, now: int) -> int:
        """Marks of everything that follows an asset; frozen while its index is stale."""
        sent = 0
        for instrument in self._open():
            if instrument.base_asset != asset or instrument.kind not in (PERPETUAL, *LINKED):
                continue
            expires = instrument.kind in LINKED and instrument.expiry is not None
            if expires and now >= (instrument.expiry or 0):
                sent += self._resolve(instrument, now)
                continue
            if index.state == STALE:
                continue
            if instrument.kind == PERPETUAL:
                mark = self._perpetual(instrument, index, now)
            else:
                volatility = self._volatility.get(name, VOLATILITY)
                mark = self._linked(instrument, index.price, now, volatility)
            sent += self._set_mark(instrument, mark, index)
        if index.state != STALE and name in self._ranges:
            sent += self._set_risk_arrays(asset, name, index.price, now)
        return sent

    def _set_risk_arrays(self, asset: int, name: str, index: int, now: int) -> int:
        """What the asset's price links would be worth if it moved, at their marks of now."""
        links = [
            Link(i.number, i.kind, i.lower_strike or 0, i.upper_strike or 0, i.expiry,
                 self._sent_marks[i.number])
            for i in self._open()
            if i.base_asset == asset and i.kind in LINKED and i.number in self._sent_marks
            and i.expiry is not None and i.expiry > now
        ]
        if not links:
            return 0
        volatility = self._volatility.get(name, VOLATILITY)
        fields = risk_arrays(links, index, now, volatility, self._ranges[name])
        self.command("SetRiskArray", passing=True, asset=asset, **fields)
        return 1

    def _stable(self, asset: int) -> Stable:
        return self._stables.setdefault(asset, Stable(self._stable_seconds))

    def _premium(self) -> Premium:
        return Premium(self._premium_seconds, self._premium_band)

    def _perpetual(self, instrument: Instrument, index: IndexPrice, now: int) -> Mark:
        """Index and premium; while the index is degraded, by the last good mean of the premium."""
        number = instrument.number
        premium = self._premiums.get(number)
        if premium is None:
            premium = self._premiums[number] = self._premium()
        book = self.depth.impact_mid(number, IMPACT_NOTIONAL)
        premium.sample(now, index.price, book if index.state == LIVE else None)
        mark = premium.update(index.price, 1)._replace(book=book)
        self.store.connection.execute(
            "INSERT OR REPLACE INTO premium VALUES (?, ?, ?, ?)",
            (number, premium.mean, premium.time, premium.mark),
        )
        return mark

    def _linked(
        self, instrument: Instrument, index: int, now: int, volatility: float
    ) -> Mark:
        years = years_until(instrument.expiry or now, now)
        model = chance(instrument.kind, index, instrument.lower_strike, instrument.upper_strike,
                       years, volatility)
        number = instrument.number
        book = self._averages.setdefault(number, Average(BOOK_SECONDS))
        mean = book.sample(now, self.depth.mid(number))
        return linked_mark(model, mean, self.depth.last.get(number), now, instrument.tick_size)

    def _set_mark(self, instrument: Instrument, mark: Mark | None, index: IndexPrice) -> int:
        """A mark, if it says something new; a perpetual's always does."""
        if mark is None or (
            instrument.kind != PERPETUAL
            and self._sent_marks.get(instrument.number) == mark.price
        ):
            return 0
        self._sent_marks[instrument.number] = mark.price
        self.command("SetMarkPrice", passing=True, instrument=instrument.number, rule=mark.rule,
                     price=mark.price, index=index.price, premium=mark.premium, book=mark.book,
                     model=mark.model, lastTrade=mark.last_trade, sources=index.sources,
                     indexState=index.state)
        return 1

    def _resolve(self, instrument: Instrument, now: int) -> int:
        """An expiry has passed: the recorded index says which side of the strike it was."""
        assert instrument.expiry is not None
        window = self._window(instrument.symbol)
        if self.outcomes.is_resolving(instrument.number):
            return 0
        found = history.settlement_average(
            self.store.connection, instrument.base_asset, instrument.expiry, window, now
        )
        if found is not None:
            return self.outcomes.resolve_linked(instrument, *found, window_ns=window, now=now)
        if instrument.state < CLOSED and not self.waits_for("SetTradingState"):
            self.command("SetTradingState", instrument=instrument.number, state=CLOSED)
            return 1
        return 0

    def _window(self, symbol: str) -> int:
        """Over which time the index is averaged for an expiry."""
        for series in self._series:
            if series.has(symbol):
                return series.window_ns
        return self._averaging_ns.get(symbol, AVERAGING_NS)

    def _recur(self, series: Series, now: int) -> int:
        """List the market of this period, delist those that are paid."""
        work = 0
        reference = self.reference
        for instrument in list(reference.instruments.values()):
            paid = instrument.state == RESOLVED and series.has(instrument.symbol)
            if paid and not self.waits_for("DelistInstrument"):
                self.command("DelistInstrument", instrument=instrument.number)
                work += 1
        symbol = series.symbol(now - now % series.period_ns)
        asset = reference.assets_by_name.get(series.asset)
        if asset is None or symbol in reference.instruments_by_symbol:
            return work
        if self.waits_for("ListInstrument") or symbol in self._tried:
            return work
        listing = series.listing(
            self.store.connection, asset.number, now, reference.instruments
        )
        if listing is None:
            return work
        self._tried.add(symbol)
        self.command("ListInstrument", **listing)
        return work + 1

    def answered(self, name: str, result: Result) -> None:
        """What became of a resolution."""
        self.outcomes.answered(name, result)

    def rekeyed(self, name: str, old: int, new: int) -> None:
        """A resolution goes out under another key."""
        self.outcomes.rekeyed(old, new)

    # ---- learning --------------------------------------------------------------------------------

    def _on_index(self, fields: dict[str, Any]) -> None:
        asset = fields["asset"]
        sample = Sample(
            fields["header"]["transactTime"], self.last_sequence, fields["price"], fields["state"]
        )
        history.record(self.store.connection, asset, sample)
        known = self.reference.assets.get(asset)
        index = self._indices.get(known.name) if known is not None else None
        if index is not None and not self.live and sample.state == LIVE:
            index.resume(sample.price, sample.time)
            self._stable(asset).resume(fields["stable"], sample.time)

    def _on_parameter(self, fields: dict[str, Any]) -> None:
        """A margin base of an underlying's first perpetual moved: so does the scan's range."""
        instrument = self.reference.instruments.get(fields["scope"])
        of_margin = fields["parameter"] in (MARGIN_BASE_INITIAL, MARGIN_BASE_MAINTENANCE)
        if instrument is None or not of_margin or fields["state"] != APPLIED:
            return
        known = self.reference.assets.get(instrument.base_asset)
        leads = instrument.kind == PERPETUAL and self._leads(instrument)
        if known is None or known.name not in self._ranges or not leads:
            return
        changed = "initial" if fields["parameter"] == MARGIN_BASE_INITIAL else "maintenance"
        self._set_range(known.name, changed, fields["value"])

    def _set_range(self, asset: str, kind: str, value: int) -> None:
        ranges = self._ranges[asset]._replace(**{kind: value})
        self._ranges = {**self._ranges, asset: ranges}
        self.store.set_note(f"ranges {asset}", f"{ranges.initial} {ranges.maintenance}")

    def _on_mark(self, fields: dict[str, Any]) -> None:
        """The core says which initial base a perpetual's open interest asks for."""
        instrument = self.reference.instruments.get(fields["instrument"])
        if instrument is None or instrument.kind != PERPETUAL or not fields["initialBase"]:
            return
        known = self.reference.assets.get(instrument.base_asset)
        if known is None or known.name not in self._ranges:
            return
        if fields["initialBase"] != self._ranges[known.name].initial and self._leads(instrument):
            self._set_range(known.name, "initial", fields["initialBase"])

    def _leads(self, instrument: Instrument) -> bool:
        """Whether a perpetual's margin bases are its underlying's: it is the first."""
        numbers = (i.number for i in self.reference.instruments.values()
                   if i.kind == PERPETUAL and i.base_asset == instrument.base_asset)
        return instrument.number == min(numbers)

    def _on_report(self, event: Event) -> None:
        self.depth.apply(event)
        self.outcomes.holdings.on_report(event)

    def before_commit(self) -> None:
        """Write who holds what."""
        self.outcomes.holdings.save()

    def _on_listed(self, fields: dict[str, Any]) -> None:
        """A number may have been another market's before: nothing of that one concerns this one."""
        number = fields["instrument"]
        self._sent_marks.pop(number, None)
        self._premiums.pop(number, None)
        self.depth.forget(number)
        self.outcomes.forget_linked(number)

    def _dump(self, now: int) -> None:
        self._dump_at = now
        self.store.connection.execute(
            "INSERT OR REPLACE INTO depth VALUES (1, ?, ?)",
            (self.follower.position, self.depth.dump()),
        )

    def add_source(self, asset: str, source: Weighed) -> None:
        """One more source of an asset's index."""
        index = self._indices.get(asset)
        if index is None:
            index = self._indices[asset] = Index((), self._sources_min)
        index.add(source)

    def book_source(self, asset: str) -> BookSource:
        """Our own spot book of an asset, as one source among others."""

        def mid() -> int | None:
            for instrument in self.reference.instruments.values():
                base = self.reference.assets.get(instrument.base_asset)
                if instrument.kind == SPOT and base is not None and base.name == asset:
                    return self.depth.mid(instrument.number)
            return None

        return BookSource(mid)
