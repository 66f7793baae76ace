"""The settlement sidecar: when to settle, what funding costs, and whether the books are right.

    every period    SettlementStart ─▶ PositionSettled … ─▶ SettlementCompleted
                                                                │ sum of the cycle = 0 ?
                    ReportBalances  ─▶ BalanceUpdate (Snapshot) … ─▶ BalancesReported
                      of what changed        │
                                             │ = ledger, at this very position ?
    every hour      ReportClock: how far the clock may be from UTC
                    FundingStart for each perpetual, at the mean premium since the last
    every 10 s      FundingEstimate where what that would be now has changed
    as they come    custody's receipts ─▶ Deposit;  withdrawals ⇄ custody (transfers.py)

Cycle numbers come from the events, so a new store goes on where the old one ended. While this
process is down nothing is settled: profit and loss stays in the positions and counts as equity.
"""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from core.clock import ClockReading
from core.producers import Producer
from core.sidecars.books import PERPETUAL
from core.sidecars.custody import Custody
from core.sidecars.follow import Result, Sidecar
from core.sidecars.settlement import funding, ledger, outflow, transfers
from core.sidecars.settlement.funding import Premiums
from core.sidecars.settlement.ledger import Ledger
from core.sidecars.settlement.outflow import Cap
from core.sidecars.settlement.transfers import Transfers

SECOND = 1_000_000_000
WHOLE_NS = 3600 * SECOND  # from one report of all balances to the next
ESTIMATE_NS = 10 * SECOND
CLOCK_NS = 3600 * SECOND  # from one record of how good the clock is to the next
OPEN, CLOSED = 2, 5  # TradingState: funding is due in everything from open to closed


class Settlement(Sidecar):
    """See the module. `custody` is the outside world; periods are in ns.

    caps, delays: of withdrawals, by asset and by owner (outflow.py). read_clock: how good the clock
    is, for the journal; by default nobody asks.
    """

    producer: ClassVar[Producer] = Producer.SETTLEMENT
    migrations: ClassVar[tuple[str, ...]] = (
        ledger.MIGRATION, transfers.MIGRATION, funding.MIGRATION, transfers.DUTIES,
        outflow.MIGRATION, outflow.DESTINATIONS, funding.CAPS, outflow.MEAN,
    )

    def __init__(
        self,
        *arguments: Any,
        custody: Custody,
        period_ns: int = 10 * SECOND,
        funding_ns: int = 3600 * SECOND,
        funding_bound: int = 10_000_000,  # 1e-9 of the notional
        caps: Mapping[int, Cap] | None = None,
        delays: Mapping[int, int] | None = None,
        read_clock: Callable[[], ClockReading] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(*arguments, **options)
        self.period_ns = period_ns
        self.funding_ns = funding_ns
        connection = self.store.connection
        self.ledger = Ledger(connection, self.reference)
        self.transfers = Transfers(self, custody, caps or {}, delays or {})
        self.premiums = Premiums(connection, funding_bound, funding_ns)
        self.cycle = int(self.store.note("cycle") or 0)
        self.differences = 0  # in the last reconciliation
        self._settled_at = int(self.store.note("settled_at") or 0)
        self._funded_at = int(self.store.note("funded_at") or 0)
        self._estimated: dict[int, tuple[int, int]] = {}  # rate and time, of this process
        self._estimated_at = 0
        self._reported_at = 0  # when all balances were asked for
        self._read_clock = read_clock
        self._clock_read_at = 0
        self._entered = False  # Whether the core has answered since this process was started.
        for template, handler in self.ledger.books.handlers.items():
            self.handle_template(template, handler)
        self.handle_fields("SettlementStarted", self._on_started)
        self.handle_fields("SettlementCompleted", self._on_completed)
        self.handle_fields("BalancesReported", self._on_reported)
        self.handle_fields("MarkPriceChanged", self.premiums.on_mark)
        self.handle_fields("FundingCompleted", self._on_funded)
        self.handle_fields("RiskParameterChanged", self.premiums.on_parameter)
        self.transfers.register()

    # ---- deciding --------------------------------------------------------------------------------

    def on_live(self) -> None:
        """Back, or here for the first time: are the books still right?

        The answer comes behind those to everything sent before, by whatever store: from there on
        it is known which receipts were credited.
        """
        now = self.clock()
        self._settled_at = self._settled_at or now
        self._funded_at = self._funded_at or now
        self._remember()
        self._report(whole=True)

    def _remember(self) -> None:
        self.store.set_note("settled_at", str(self._settled_at))
        self.store.set_note("funded_at", str(self._funded_at))

    def _report(self, whole: bool) -> None:
        self.ledger.begin_cycle()
        if whole:
            self._reported_at = self.clock()
        self.command("ReportBalances", cycle=self.cycle, changed=int(not whole))

    def decide(self, now: int) -> int:
        """Start what is due; never a second settlement before the first one has ended."""
        work = self.transfers.decide(now) if self._entered else 0
        idle = not (self.waits_for("SettlementStart") or self.waits_for("ReportBalances"))
        if idle and not self._running and _due(now, self._settled_at, self.period_ns):
            self._settled_at = now
            self._remember()
            self.command("SettlementStart", cycle=self.cycle + 1)
            work += 1
        if _due(now, self._funded_at, self.funding_ns):
            work += self._fund(now)
        if now - self._estimated_at >= ESTIMATE_NS and not self.waits_for("FundingEstimate"):
            work += self._estimate(now)
        if self._read_clock is not None and _due(now, self._clock_read_at, CLOCK_NS):
            self._clock_read_at = now
            self._report_clock(self._read_clock())
            work += 1
        return work

    @property
    def _running(self) -> bool:
        """Whether the core is in the middle of a cycle."""
        return self.store.note("running") == "1"

    def _report_clock(self, reading: ClockReading) -> None:
        self.command("ReportClock", offset=reading.offset, errorMax=reading.error_max,
                     errorEstimated=reading.error_estimated,
                     synchronised=int(reading.synchronised))
        if not reading.synchronised:
            self.log.warning("no time daemon keeps the clock", error_max_ns=reading.error_max)

    def _fund(self, now: int) -> int:
        self._funded_at = now
        self._remember()
        rates = self.premiums.close()
        started = 0
        for instrument in self.reference.instruments.values():
            rate = rates.get(instrument.number, 0)
            if instrument.kind == PERPETUAL and OPEN <= instrument.state < CLOSED and rate:
                self.command("FundingStart", instrument=instrument.number, rate=rate)
                started += 1
        self.log.info("funding", instruments=started)
        return started

    def _estimate(self, now: int) -> int:
        """Tell what the next funding would be, where that isn't known yet."""
        self._estimated_at, told = now, 0
        due = self._funded_at + self.funding_ns
        for number, rate in self.premiums.estimates().items():
            instrument = self.reference.instruments.get(number)
            if instrument is None or instrument.kind != PERPETUAL:
                continue
            known = OPEN <= instrument.state < CLOSED
            if known and self._estimated.get(number) != (rate, due):
                self._estimated[number] = rate, due
                self.command("FundingEstimate", instrument=number, rate=rate, fundingTime=due)
                told += 1
        return told

    def answered(self, name: str, result: Result) -> None:
        """A refused settlement is tried again in the next period; transfers have their own."""
        self._entered = self._entered or name == "ReportBalances"
        self.transfers.answered(name, result)

    def rekeyed(self, name: str, old: int, new: int) -> None:
        """A deposit keeps its receipt under the new key."""
        self.transfers.rekeyed(old, new)

    # ---- learning --------------------------------------------------------------------------------

    def _on_started(self, fields: dict[str, Any]) -> None:
        self.cycle = max(self.cycle, fields["cycle"])
        self.store.set_note("cycle", str(self.cycle))
        if not self.live:  # The core's time is a little later, much if this clock was set back.
            self._settled_at = max(self._settled_at, fields["header"]["transactTime"])
            self._remember()
        self.store.set_note("running", "1")

    def _on_completed(self, fields: dict[str, Any]) -> None:
        """The winners have what losers and fund gave, to the unit; now balances are compared."""
        self.store.set_note("running", "0")
        given = fields["debits"] + fields["advanced"]
        if given != fields["credits"] + fields["carried"]:
            self.alarm("settlement does not balance", cycle=fields["cycle"],
                       debits=fields["debits"], advanced=fields["advanced"],
                       credits=fields["credits"])
        self.log.info("settled", cycle=fields["cycle"], positions=fields["positions"],
                      paid=fields["credits"], owed_to_fund=fields["fundClaim"])
        if fields["waiting"]:
            self.log.warning("the liquidity fund is empty and winners wait",
                             cycle=fields["cycle"], waiting=fields["waiting"])
        if self.live:
            self._report(whole=_due(self.clock(), self._reported_at, WHOLE_NS))

    def _on_reported(self, fields: dict[str, Any]) -> None:
        time = fields["header"]["transactTime"]
        compared, self.differences = self.ledger.close_cycle(
            fields["cycle"], time, self.last_sequence
        )
        if self.differences:
            self.alarm("ledger differs from the core", cycle=fields["cycle"], compared=compared,
                       differences=self.differences)
        else:
            self.log.info("reconciled", cycle=fields["cycle"], balances=compared)

    def _on_funded(self, fields: dict[str, Any]) -> None:
        self.log.info("funded", instrument=fields["instrument"], rate=fields["rate"],
                      positions=fields["positions"])

    def before_commit(self) -> None:
        """Write the ledger, and say what does not fit it."""
        for account, asset, mine, theirs in self.ledger.new_differences(
            self.clock(), self.last_sequence
        ):
            self.alarm("balance differs from the core", account=account, asset=asset,
                       ledger=mine, core=theirs)
        self.ledger.save()
        self.premiums.save()


def _due(now: int, last: int, period: int) -> bool:
    """Whether a period has passed; a clock that was set back counts as one that has."""
    return now - last >= period or now < last - SECOND
