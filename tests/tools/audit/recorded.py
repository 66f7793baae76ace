"""Days at a venue, recorded as the processes would: the real engine, a journal and an archive.

    day = Day()
    day.trade_honestly(seed=1)      two makers and four takers, for an hour
    day.write(directory)            a data directory

Owners and accounts are 100 … 107, one each; 106 and 107 do nothing but what a test makes them do.
Instruments: 1 a perpetual, 2 and 3 the outcomes of an event, 4 whether the underlying is above
20.50 in an hour.
"""

import ctypes
from pathlib import Path
from random import Random

from core.config import Limits
from core.events import log_address
from core.journal import frame
from core.journal.archive import ArchiveWriter
from core.journal.writer import Journal, Policy
from core.recovery import Replica
from tools.bench.venue import (
    ONE,
    SECOND_NS,
    START_NS,
    CommandStream,
    found_venue,
    list_instrument,
    new_order,
)

CENT = ONE // 100
PERP, YES, OTHER, ABOVE = 1, 2, 3, 4
MAKERS, TAKERS = (100, 101), (102, 103, 104, 105)
ONE_CROOK, OTHER_CROOK = 106, 107
HOUR = 3600
STRIKE = 2050  # cents
EXPIRY = START_NS + HOUR * SECOND_NS


class Day:
    """See the module. Prices are in cents; a prediction's are cents of one."""

    def __init__(self) -> None:
        self.stream = CommandStream()
        found_venue(self.stream, instruments=1, accounts=8)
        lot = {"tickSize": CENT, "lotSize": ONE, "minimumQty": ONE, "maximumPrice": 0}
        self.stream.add("RegisterEvent", event=1, kind=1, outcomes=2, rulesHash=bytes(32),
                        title="Cup")
        for outcome, number in enumerate((YES, OTHER)):
            list_instrument(self.stream, number, "Outcome", event=1, outcome=outcome, **lot)
        list_instrument(self.stream, ABOVE, "PriceAbove", lowerStrike=STRIKE * CENT,
                        expiry=EXPIRY, **lot)
        self.fair = {PERP: 2045, YES: 60, OTHER: 30, ABOVE: 45}
        self.client_order_id = 0

    @property
    def seconds(self) -> float:
        """Since the day began."""
        return (self.stream.time_ns - START_NS) / SECOND_NS

    def order(self, account: int, instrument: int, side: str, price: int, quantity: int,
              force: str = "GoodTillCancel") -> int:
        """A limit order; its client's number."""
        self.client_order_id += 1
        new_order(
            self.stream, account=account, clOrdId=self.client_order_id, instrument=instrument,
            side=1 if side == "buy" else 2, price=price * CENT, orderQty=quantity * ONE,
            timeInForce=force, tag=account,
        )
        return self.client_order_id

    def take(self, account: int, instrument: int, side: str, quantity: int) -> None:
        """Take from the book, at most five cents off the fair price."""
        worst = self.fair[instrument] + (5 if side == "buy" else -5)
        self.order(account, instrument, side, worst, quantity, "ImmediateOrCancel")

    def cancel_all(self, account: int, instrument: int) -> None:
        """Take all orders of an account out of a market."""
        self.stream.add("OrderMassCancelRequest", account=account, clOrdId=0, instrument=instrument,
                        underlying=0, scope=2, kind=0, side=0, echo=b"")

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.stream.pass_time(int(seconds * SECOND_NS))

    def quote(self, maker: int, instrument: int) -> None:
        """New quotes on two levels of both sides."""
        self.cancel_all(maker, instrument)
        for level in (3, 5):
            for side, step in (("buy", -level), ("sell", level)):
                if 1 <= self.fair[instrument] + step <= 99 or instrument == PERP:
                    self.order(maker, instrument, side, self.fair[instrument] + step, 40)

    def trade_honestly(self, seed: int, until: float = HOUR) -> None:
        """Makers quote, takers take; the outcome's price drifts to what it will pay."""
        random = Random(seed)
        while self.seconds < until:
            self.wait(random.uniform(2, 6))
            instrument = random.choice((PERP, PERP, YES, OTHER, ABOVE))
            if random.random() < 0.5:
                self._drift(random)
                for maker in MAKERS:
                    self.quote(maker, instrument)
            else:
                side = random.choice(("buy", "sell"))
                self.take(random.choice(TAKERS), instrument, side, random.randint(1, 9))

    def _drift(self, random: Random) -> None:
        self.fair[PERP] = min(2060, max(2030, self.fair[PERP] + random.randint(-1, 1)))
        self.fair[ABOVE] = min(94, max(6, 50 + 3 * (self.fair[PERP] - STRIKE)))
        known = max(0.0, (self.seconds - HOUR / 2) / (HOUR / 2))
        self.fair[YES] = round(60 + 34 * known)
        self.fair[OTHER] = round(30 - 24 * known)

    def resolve(self) -> None:
        """The first outcome comes true, and the underlying is above."""
        self.stream.time_ns = max(self.stream.time_ns, EXPIRY + SECOND_NS)
        self.stream.add("ResolveEvent", event=1, evidenceHash=bytes(32),
                        payouts=[{"payout": ONE}, {"payout": 0}])
        self.stream.add("ResolveInstrument", instrument=ABOVE, payout=ONE,
                        settlementPrice=(STRIKE + 1) * CENT, evidenceHash=bytes(32))
        for _ in range(20):
            self.wait(1)
            self.stream.add("Tick")

    def write(self, data: Path) -> int:
        """Execute what there is and write it as a data directory; the last command."""
        commands = memoryview(self.stream.take().tobytes())
        journal, archive = Journal(data, Policy.ASYNC), ArchiveWriter(data)
        journal.takeover(1)
        replica = Replica(
            Limits(), None,
            events=lambda log, start, end: archive.append(
                ctypes.string_at(log_address(log, start), end - start)
            ) and None,
        )  # fmt: skip
        last = max(sequence for sequence, _ in frame.commands(commands))
        for until in range(500, last + 500, 500):
            batch = frame.skip(commands, replica.sequence + 1)
            batch = batch[: len(batch) - len(frame.skip(batch, min(until, last) + 1))]
            replica.apply(batch)
            journal.append(batch)
        for part in (journal, archive, replica):
            part.close()
        return last
