"""What the demo sees: the released events, followed as any tool may, and what they add up to."""

from collections import Counter, deque
from pathlib import Path
from typing import Any

from core.link import CommandLink, Event, EventFollower, released
from core.messages import decode_body, template
from core.producers import Producer
from core.reference import ReferenceData
from core.sidecars.books import Books
from core.status import StatusTable
from sbe.generated import order_entry as oe

REPORT = oe.EXECUTION_REPORT_TEMPLATE
MARGIN = template("MarginReport")
SETTLED = template("PositionSettled")
RESOLVED = template("PositionResolved")
RESOLUTION = template("InstrumentResolved")
COMPLETED = template("SettlementCompleted")
_EXEC_TYPE = oe.EXECUTION_REPORT_EXEC_TYPE_OFFSET
TRADES_SHOWN = 8


class Observer:
    """Follows the exchange from its first event; `poll` takes what is new."""

    def __init__(self, instance: str, data: Path, policy: str, status: StatusTable) -> None:
        self.reference = ReferenceData()
        self.books = Books(self.reference)
        self.events = 0
        self.sequence = 0
        self.kinds: Counter[int] = Counter()
        self.trades: deque[dict[str, Any]] = deque(maxlen=TRADES_SHOWN)
        self.trade_ids: Counter[int] = Counter()
        self.margin: dict[int, dict[str, Any]] = {}
        self.settled: deque[dict[str, Any]] = deque(maxlen=64)
        self.resolved: list[dict[str, Any]] = []
        self.payouts: list[dict[str, Any]] = []
        self.completed_settlements: list[dict[str, Any]] = []
        self.gaps = 0
        self._follower = EventFollower(
            instance, data, gate=released(status, policy)
        )
        self._link = CommandLink(instance, Producer.TOOLS)
        self._request = 0

    def poll(self) -> int:
        """Take the released events there are; how many."""
        before = self.events
        for event in self._follower:
            self._take(event)
        return self.events - before

    def _take(self, event: Event) -> None:
        self.events += 1
        self.gaps += not self.sequence <= event.sequence  # Never back; commands may be silent.
        self.sequence = event.sequence
        self.kinds[event.template] += 1
        self.reference.apply(event.template, event.body)
        self.books.apply(event)
        if event.template == REPORT:
            if event.body[_EXEC_TYPE] == oe.EXEC_TYPE_TRADE:
                trade = decode_body(event.template, event.body)
                self.trades.append(trade)
                self.trade_ids[trade["tradeId"]] += 1
        elif event.template == MARGIN:
            fields = decode_body(event.template, event.body)
            self.margin[fields["account"]] = fields
        elif event.template == SETTLED:
            self.settled.append(decode_body(event.template, event.body))
        elif event.template == RESOLUTION:
            self.resolved.append(decode_body(event.template, event.body))
        elif event.template == COMPLETED:
            self.completed_settlements.append(decode_body(event.template, event.body))
        elif event.template == RESOLVED:
            self.payouts.append(decode_body(event.template, event.body))

    def ask_margin(self, account: int) -> None:
        """Ask the core for an account's margin; the answer comes as an event."""
        self._request += 1
        self._link.send(
            "AccountRequest",
            {
                "header": {"sendingTime": 0, "msgSeqNum": 0}, "account": account,
                "requestId": self._request, "echo": b"",
            },
        )

    def instrument(self, symbol: str) -> int:
        """The number of a symbol."""
        return self.reference.instruments_by_symbol[symbol].number

    def account(self, name: str) -> int:
        """The number of an account."""
        return self.reference.accounts_by_name[name].number

    def mark(self, symbol: str) -> int | None:
        """The mark of an instrument, exponent −8."""
        return self.reference.instruments_by_symbol[symbol].mark

    def balance(self, account: int, asset: int = 0) -> int:
        """Units that an account holds of an asset."""
        return self.books.balances.get((account, asset), 0)

    def position(self, account: int, instrument: int) -> int:
        """Signed quantity, exponent −8."""
        found = self.books.positions.get((account, instrument))
        return found.quantity if found is not None else 0
