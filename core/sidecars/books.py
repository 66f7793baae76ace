"""Money and positions of every account, derived from events alone.

`Books.apply` turns each event that moves money into postings: an amount of one asset that goes from
a contra account to an account, so that every posting balances by itself.

    event                                  to account      from contra
    ExecutionReport, spot trade            ± base          CLEARING
                                           ∓ quote value   CLEARING
    ExecutionReport, prediction trade      ∓ quote value   CLEARING      in YES terms
    ExecutionReport, any trade             − fee           FEES
    PositionSettled, PositionResolved      amount          CLEARING
    PositionTransferred of a prediction    − value         CLEARING
    FundingPayment                         amount          CLEARING
    BalanceUpdate, transfer                change          TRANSIT
    BalanceUpdate, deposit or withdrawal   change          OUTSIDE, or the account of held ones
    BalanceUpdate, else                    change          its counterAccount

OUTSIDE is the world; CLEARING and TRANSIT come back to zero when a trade, a transfer, a settlement
or a payout is complete. Perpetual trades move no money but fees: their `cost` changes, and what the
position is worth above it becomes money when it is settled.

Amounts are whole units of the asset, prices and quantities have exponent −8, positions of
predictions are in YES terms.
"""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

from core.link import Event
from core.messages import template
from core.reference import Instrument, ReferenceData
from core.sidecars.pick import NULL_UINT32, offset_of, pick, pick_plain

OUTSIDE, FEES, INSURANCE, CLEARING, POOL, WITHDRAWALS, ROUNDING = 0, 1, 2, 3, 4, 5, 6
BACKSTOP_FUND, LIQUIDITY = 7, 8
TRANSIT = -1

ONE = 10**8
POWERS: tuple[int, ...] = tuple(10**n for n in range(17))
SPOT, PERPETUAL = 1, 2

# BalanceReason of the schema; trades and fees have no BalanceUpdate of their own.
SNAPSHOT, DEPOSIT, WITHDRAWAL, WITHDRAWAL_RETURNED, TRANSFER_IN, TRANSFER_OUT = 0, 1, 2, 3, 4, 5
SETTLEMENT, FUNDING, PAYOUT, BORROW_INTEREST, LEND_INTEREST, TRADE, FEE = 6, 7, 8, 9, 10, 11, 12
LIQUIDATION = 13

REASONS = (
    "snapshot", "deposit", "withdrawal", "withdrawal returned", "transfer in", "transfer out",
    "settlement", "funding", "payout", "borrow interest", "lend interest", "trade", "fee",
    "liquidation", "backstop pledge",
)

_BUY = 1
_NO = 1
_EXEC_TRADE = ord("F")
_EXEC_TYPE = offset_of("ExecutionReport", "execType")

_trade = pick_plain("ExecutionReport", "header.transactTime", "account", "instrument",
                    "side", "lastPx", "lastQty", "tradeId", "fee", "outcomeSide")
_balance = pick("BalanceUpdate", "header.transactTime", "requestId", "account",
                "asset", "reason", "change", "balance", "instrument", "counterAccount")
_funding = pick("FundingPayment", "header.transactTime", "account", "instrument", "amount",
                "balance", "due")
_settled = pick("PositionSettled", "header.transactTime", "account", "instrument", "amount",
                "balance", "cycle")
_resolved = pick("PositionResolved", "header.transactTime", "account", "instrument", "amount",
                 "balance")
_transferred = pick("PositionTransferred", "header.transactTime", "account", "instrument",
                    "quantity", "value", "balance")


class Posting(NamedTuple):
    """`amount` units of `asset` went from `contra` to `account`; below zero the other way."""

    time: int
    sequence: int
    account: int
    contra: int
    asset: int
    amount: int
    reason: int
    instrument: int
    reference: int  # trade, cycle or request, as the reason has it


_new = partial(tuple.__new__, Posting)  # from a tuple; half the cost of naming each field


class Stated(NamedTuple):
    """A balance as the core itself stated it, right behind what has been posted so far."""

    account: int
    asset: int
    balance: int
    snapshot: bool


@dataclass(slots=True)
class Position:
    """Signed quantity (exponent −8), and for perpetuals what it cost since the last settlement."""

    quantity: int = 0
    cost: int = 0  # quote units


class Books:
    """Balances and positions of every account, brought forward event by event.

    `posted` takes every posting, `stated` every balance that the core stated. `changed` collects
    the keys of balances and positions that differ from what was last saved; the owner clears it.
    """

    def __init__(
        self,
        reference: ReferenceData,
        posted: Callable[[Posting], object] | None = None,
        stated: Callable[[Stated], object] | None = None,
    ) -> None:
        self.reference = reference
        self.balances: defaultdict[tuple[int, int], int] = defaultdict(int)  # ask by `get`
        self.positions: dict[tuple[int, int], Position] = {}
        self.changed_balances: set[tuple[int, int]] = set()
        self.changed_positions: set[tuple[int, int]] = set()
        self._terms: dict[int, tuple[Instrument, int, int, int, int, int]] = {}
        self._posted = posted
        self._stated = stated
        self.handlers: dict[int, Callable[[Event], None]] = {
            template("ExecutionReport"): self._on_report,
            template("BalanceUpdate"): self._on_balance,
            template("FundingPayment"): self._on_funding,
            template("PositionSettled"): self._on_settled,
            template("PositionResolved"): self._on_resolved,
            template("PositionTransferred"): self._on_transferred,
        }

    def apply(self, event: Event) -> None:
        """Bring the books forward by one event; those that move nothing are passed over."""
        handler = self.handlers.get(event.template)
        if handler is not None:
            handler(event)

    def post(self, posting: Posting) -> None:
        """Move money, and tell whoever keeps the ledger."""
        _, _, account, contra, asset, amount, _, _, _ = posting
        if amount == 0:
            return
        balances, key, other = self.balances, (account, asset), (contra, asset)
        balances[key] += amount
        balances[other] -= amount
        self.changed_balances.update((key, other))
        if self._posted is not None:
            self._posted(posting)

    def changed_position_rows(
        self,
    ) -> tuple[list[tuple[int, int, int, int]], list[tuple[int, int]]]:
        """What to save: (account, instrument, quantity, cost) of those that are something, and the
        keys of those that have become nothing, which are forgotten here.
        """
        kept, gone = [], []
        for key in self.changed_positions:
            position = self.positions[key]
            if position.quantity or position.cost:
                kept.append((*key, position.quantity, position.cost))
            else:
                gone.append(key)
                del self.positions[key]
        self.changed_positions.clear()
        return kept, gone

    def total(self, asset: int) -> int:
        """What all accounts together hold of an asset; equals deposits less withdrawals."""
        return -self.balances.get((OUTSIDE, asset), 0)

    # ---- events ----------------------------------------------------------------------------------

    def _on_report(self, event: Event) -> None:
        """A trade: most events are, so this reads no field by name and asks for nothing twice."""
        body = event.body
        if body[_EXEC_TYPE] != _EXEC_TRADE:
            return
        time, account, number, side, price, quantity, trade, fee, outcome = _trade(body)
        terms = self._terms.get(number)
        if terms is None or terms[0] is not self.reference.instruments[number]:
            terms = self._learn(number)
        _, kind, base, base_unit, quote, quote_unit = terms
        if side != _BUY:
            quantity = -quantity
        if outcome == _NO and kind > PERPETUAL:
            price, quantity = ONE - price, -quantity
        value = price * quantity // quote_unit
        sequence, post = event.sequence, self.post
        if kind == SPOT:
            units = quantity // base_unit
            post(_new((time, sequence, account, CLEARING, base, units, TRADE, number, trade)))
        else:
            position = self._position(account, number)
            position.quantity += quantity
            if kind == PERPETUAL:
                position.cost += value
        if kind != PERPETUAL:
            post(_new((time, sequence, account, CLEARING, quote, -value, TRADE, number, trade)))
        if fee:
            post(_new((time, sequence, account, FEES, quote, -fee, FEE, number, trade)))

    def _learn(self, number: int) -> tuple[Instrument, int, int, int, int, int]:
        """What a trade needs of an instrument; its number may be another's one day."""
        instrument = self.reference.instruments[number]
        assets, base, quote = self.reference.assets, instrument.base_asset, instrument.quote_asset
        base_unit = POWERS[8 - assets[base].decimals] if instrument.kind == SPOT else 0
        terms = (
            instrument, instrument.kind, base, base_unit, quote,
            POWERS[16 - assets[quote].decimals],
        )
        self._terms[number] = terms
        return terms

    def _on_balance(self, event: Event) -> None:
        b = _balance(event.body)
        contra = TRANSIT if b.reason in (TRANSFER_IN, TRANSFER_OUT) else b.counterAccount
        if b.reason != SNAPSHOT:
            instrument = 0 if b.instrument == NULL_UINT32 else b.instrument
            # A client's request is unsigned; the integers of ledgers are signed.
            reference = b.requestId - (b.requestId >> 63 << 64)
            self.post(Posting(b.header_transactTime, event.sequence, b.account, contra, b.asset,
                              b.change, b.reason, instrument, reference))
        self._state(b.account, b.asset, b.balance, b.reason == SNAPSHOT)

    def _on_funding(self, event: Event) -> None:
        f = _funding(event.body)
        asset = self.reference.instruments[f.instrument].quote_asset
        self.post(Posting(f.header_transactTime, event.sequence, f.account, CLEARING, asset,
                          f.amount, FUNDING, f.instrument, 0))
        self._position(f.account, f.instrument).cost += f.amount - f.due  # The rest is unsettled.
        self._state(f.account, asset, f.balance)

    def _on_settled(self, event: Event) -> None:
        p = _settled(event.body)
        instrument = self.reference.instruments[p.instrument]
        self.post(Posting(p.header_transactTime, event.sequence, p.account, CLEARING,
                          instrument.quote_asset, p.amount, SETTLEMENT, p.instrument, p.cycle))
        # What was paid out is no longer owed. The position may have changed since the cut.
        self._position(p.account, p.instrument).cost += p.amount
        self._state(p.account, instrument.quote_asset, p.balance)

    def _on_resolved(self, event: Event) -> None:
        p = _resolved(event.body)
        asset = self.reference.instruments[p.instrument].quote_asset
        self.post(Posting(p.header_transactTime, event.sequence, p.account, CLEARING, asset,
                          p.amount, PAYOUT, p.instrument, 0))
        self._position(p.account, p.instrument).quantity = 0
        self._state(p.account, asset, p.balance)

    def _on_transferred(self, event: Event) -> None:
        """A position changed hands without the book, in a liquidation."""
        t = _transferred(event.body)
        instrument = self.reference.instruments[t.instrument]
        position = self._position(t.account, t.instrument)
        position.quantity += t.quantity
        if instrument.kind == PERPETUAL:
            position.cost += t.value
        else:
            self.post(Posting(t.header_transactTime, event.sequence, t.account, CLEARING,
                              instrument.quote_asset, -t.value, LIQUIDATION, t.instrument, 0))
        self._state(t.account, instrument.quote_asset, t.balance)

    # ---- arithmetic ------------------------------------------------------------------------------

    def value_of(self, instrument: Instrument, price: int, quantity: int) -> int:
        """Price times quantity in quote units; exact on the instrument's steps."""
        unit = POWERS[16 - self.reference.assets[instrument.quote_asset].decimals]
        return price * quantity // unit

    def _position(self, account: int, instrument: int) -> Position:
        key = (account, instrument)
        self.changed_positions.add(key)
        position = self.positions.get(key)
        if position is None:
            position = self.positions[key] = Position()
        return position

    def _state(self, account: int, asset: int, balance: int, snapshot: bool = False) -> None:
        if self._stated is not None:
            self._stated(Stated(account, asset, balance, snapshot))
