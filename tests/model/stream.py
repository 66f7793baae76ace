"""Random command streams for a venue of any kind, the same for the same seed.

    stream = Stream(seed, model)
    stream.found()            the commands that make the venue
    stream.next()             one more command, chosen by looking at the model as it stands

A seed also decides what the run is about: which instruments there are, and how rich accounts are.
Most commands are good ones near the market; some are wrong in every way a client can be wrong.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

import sbe.generated.order_entry as oe
from tests.model.books import LIQUIDITY
from tests.model.control_stream import control
from tests.model.exchange import Command, Exchange
from tests.model.records import DONE, ONE, RESTING, STOPPED, Instrument, Order

START_NS = 1_700_000_000 * 10**9
SECOND_NS = 10**9
USDC, BTC, ETH = 0, 1, 2
ACCOUNTS = {100: 100, 101: 101, 102: 102, 103: 103, 104: 104, 105: 100, 106: 101, 107: 104}
CROWD = {108 + number: 100 + number % 5 for number in range(36)}
PREVENTION = {100: 1, 101: 2, 102: 3, 103: 4, 104: 5}  # 104 is an omnibus owner
MONEY = {USDC: (30 * 10**6, 10**15), BTC: (ONE // 50, 10**13), ETH: (ONE // 10, 10**13)}
INDEX = {BTC: 1000 * ONE, ETH: 200 * ONE}
SPOT, PERPETUAL, OUTCOME, ABOVE, BELOW, RANGE = range(1, 7)
HOMES = ("", "bc1q-warm", "bc1q-cold", "bank 7")  # where withdrawals go

# number: (kind, base, quote, event, outcome, tick, lot, highest price, where it trades in ticks)
CATALOGUE: dict[int, tuple[int, int, int, int, int, int, int, int, int]] = {
    1: (SPOT, BTC, USDC, 0, 0, ONE, ONE // 1000, 4000 * ONE, 1000),
    2: (PERPETUAL, BTC, USDC, 0, 0, ONE, ONE // 1000, 4000 * ONE, 1000),
    3: (PERPETUAL, ETH, USDC, 0, 0, ONE // 2, ONE // 100, 2000 * ONE, 400),
    4: (SPOT, ETH, BTC, 0, 0, ONE // 1000, ONE // 100, ONE, 200),
    5: (OUTCOME, 0, USDC, 1, 0, ONE // 100, ONE, 0, 50),
    6: (OUTCOME, 0, USDC, 1, 1, ONE // 100, ONE, 0, 30),
    7: (OUTCOME, 0, USDC, 1, 2, ONE // 100, ONE, 0, 20),
    8: (OUTCOME, 0, USDC, 2, 0, ONE // 100, ONE, 0, 60),
    9: (OUTCOME, 0, USDC, 2, 1, ONE // 100, ONE, 0, 40),
    10: (OUTCOME, 0, USDC, 3, 0, ONE // 100, ONE, 0, 70),
    11: (OUTCOME, 0, USDC, 3, 1, ONE // 100, ONE, 0, 50),
    12: (ABOVE, BTC, USDC, 0, 0, ONE // 20, ONE, 0, 10),
    13: (OUTCOME, 0, USDC, 0, 0, ONE // 100, ONE, 0, 50),
}
EVENTS = {1: (oe.EVENT_KIND_EXCLUSIVE, 3), 2: (oe.EVENT_KIND_EXHAUSTIVE, 2),
          3: (oe.EVENT_KIND_NESTED, 3)}
THEMES = ([1, 2], [2, 3], [1, 4], [5, 6, 7], [8, 9, 2], [10, 11, 12], [2, 5, 6, 7], [1, 2, 13])


class Stream:
    """Commands from a seed."""

    def __init__(self, seed: int, x: Exchange) -> None:
        self.random = np.random.default_rng(seed)
        self.x = x
        self.time = START_NS
        self.key = 0
        self.client_id = 0
        self.cycle = 0
        self.theme = THEMES[seed % len(THEMES)]
        # More positions than one slice of a settlement visits.
        self.accounts = ACCOUNTS | CROWD if seed % 5 == 4 else ACCOUNTS
        self.poor = seed // len(THEMES) % 2 == 1
        self.killed: list[tuple[int, int]] = []
        self.choices = self._choices()
        if seed % 7 == 3:
            self.choices.append((2.0, lambda: control(self)))
        weights = np.array([weight for weight, _ in self.choices], float)
        self.weights = np.cumsum(weights / weights.sum())

    # ---- dice ---------------------------------------------------------------------------------

    def chance(self, part: float) -> bool:
        """Whether something of this probability happens."""
        return bool(self.random.random() < part)

    def below(self, limit: int) -> int:
        """A number from 0."""
        return int(self.random.integers(limit))

    def pick(self, values: Any) -> Any:
        """One of them."""
        values = list(values)
        return values[self.below(len(values))]

    # ---- genesis ------------------------------------------------------------------------------

    def keyed(self, name: str, /, **fields: Any) -> Command:
        """A command of an operator or sidecar."""
        self.key += 1
        return Command(name, {"key": self.key} | fields, time=self.time)

    def found(self) -> Iterator[Command]:
        """What there is before anybody trades."""
        for asset, (name, decimals) in enumerate((("USDC", 6), ("BTC", 8), ("ETH", 8))):
            yield self.keyed(
                "RegisterAsset", asset=asset, name=name, decimals=decimals, lendable=1,
                borrowable=1, haircutInitial=100_000 if asset else 0,
                haircutMaintenance=60_000 if asset else 0,
                borrowMarginInitial=200_000 if asset else 10_000,
                borrowMarginMaintenance=100_000 if asset else 5_000,
                borrowLimit=20 * ONE if asset == BTC else 0, utilisationCeiling=900_000,
                reserveShare=100_000)
        for asset, price in INDEX.items():
            yield self.keyed("SetIndexPrice", asset=asset, state=0, sources=3, price=price)
        for tier in (0, 1):
            for kind in range(1, 7):
                yield self.keyed("SetFees", tier=tier, kind=kind, makerFee=(-50, 20)[tier],
                                 takerFee=(350, 500)[tier])
        for owner, mode in PREVENTION.items():
            yield self.keyed("RegisterOwner", owner=owner, name=f"owner {owner}",
                             feeTier=owner % 2, selfTradePrevention=mode)
        for account, owner in self.accounts.items():
            yield self.keyed("RegisterAccount", account=account, owner=owner,
                             name=f"account {account}", autoLend=int(account != 103),
                             autoBorrow=int(account != 102))
        for number, owner in enumerate(PREVENTION, start=1):
            yield self.keyed("RegisterSession", session=number, owner=owner, account=owner,
                             kind=oe.SESSION_KIND_FIX, name=f"session {number}")
        yield from self._found_instruments()
        yield from self._found_money()

    def _found_instruments(self) -> Iterator[Command]:
        for event, (kind, outcomes) in EVENTS.items():
            yield self.keyed("RegisterEvent", event=event, kind=kind, outcomes=outcomes,
                             rulesHash=bytes(32), title=b"")
        for number in self.theme:
            kind, base, quote, event, outcome, tick, lot, highest, _ = CATALOGUE[number]
            preopen = self.chance(0.3)
            yield self.keyed(
                "ListInstrument", instrument=number, symbol=f"I{number}", kind=kind,
                state=1 if preopen else 2, baseAsset=base, quoteAsset=quote, event=event,
                outcome=outcome, tickSize=tick, lotSize=lot, minimumQty=lot,
                maximumQty=200 * lot, maximumPrice=highest,
                lowerStrike=1000 * ONE if kind in (ABOVE, RANGE) else None,
                upperStrike=1000 * ONE if kind == BELOW else None, expiry=None,
                marginBaseInitial=100_000, marginBaseMaintenance=60_000, marginFactorInitial=0,
                marginFactorMaintenance=0, positionLimit=90 * lot if self.chance(0.4) else 0,
                priceBand=100_000 if kind == PERPETUAL else 0, rulesHash=bytes(32), title=b"")
            if kind == PERPETUAL:
                yield self.mark(number)

    def _found_money(self) -> Iterator[Command]:
        for account in self.accounts:
            for asset, (poor, rich) in MONEY.items():
                yield self.keyed("Deposit", account=account, asset=asset,
                                 amount=poor if self.poor else rich)

    # ---- one more -----------------------------------------------------------------------------

    def next(self) -> Command:
        """The next command."""
        if self.chance(0.003):
            self.time += 20_000 * SECOND_NS
        elif self.chance(0.7):
            self.time += self.below(400_000_000)
        make = self.choices[int(np.searchsorted(self.weights, self.random.random()))][1]
        return make()

    def _choices(self) -> list[tuple[float, Callable[[], Command]]]:
        return [
            (45, self.new_order), (10, self.cancel), (14, self.replace), (1.5, self.mass_cancel),
            (8, self.mass_quote), (0.7, self.quote_cancel), (1.2, self.protection_set),
            (1.5, self.protection_reset), (1, self.order_status), (4, self.preview),
            (0.5, self.cancel_timer), (1.5, self.account_request), (1, self.transfer),
            (0.7, self.withdrawal), (0.4, self.withdrawal_rule), (0.2, self.refill),
            (0.7, self.withdrawal_step), (0.5, self.deposit), (4, self.some_mark),
            (2, self.some_index), (1.5, self.settlement), (1, self.funding),
            (2.5, self.trading_state), (0.6, self.account_state), (1, self.session),
            (0.05, self.resolve), (1.5, lambda: Command("Tick", {}, time=self.time, producer=0)),
        ]

    def client(self, name: str, account: int, /, **fields: Any) -> Command:
        """A client's message: of the account's session, or of no session."""
        owner = self.accounts[account]
        session = 0 if self.chance(0.25) else owner - 99
        if self.chance(0.01):
            session = 1 + self.below(len(PREVENTION))
        number = self.x.sessions[session].next_inbound if session else 0
        if session and self.x.sessions[session].account == account and self.chance(0.2):
            account = 0
        elif self.chance(0.003):
            account = 150
        header = {"sendingTime": self.time, "msgSeqNum": number}
        return Command(name, {"header": header, "account": account} | fields, session, 8,
                       self.time)

    def instrument(self) -> Instrument:
        """One of the run's."""
        book: Instrument = self.x.instruments[self.pick(self.theme)]
        return book

    def price(self, book: Instrument, spread: int = 4) -> int:
        """Near where it trades, on a tick; seldom anywhere."""
        middle = CATALOGUE[book.number][-1]
        if self.chance(0.01):
            return int(self.pick([0, -ONE, book.tick_size // 2, 10**12, ONE, book.tick_size]))
        spread = min(spread, middle - 1)
        return (middle + self.below(2 * spread + 1) - spread) * book.tick_size

    def quantity(self, book: Instrument) -> int:
        """A few lots; seldom too many or none."""
        if self.chance(0.01):
            return int(self.pick([0, -book.lot_size, book.lot_size // 2, 300 * book.lot_size]))
        return (1 + self.below(12)) * book.lot_size * (1 if self.chance(0.9) else 10)

    def new_id(self) -> int:
        """A client order id; seldom one that was used, or none."""
        self.client_id += 1
        if self.chance(0.02):
            return max(0, self.client_id - 1 - self.below(40))
        return self.client_id

    def new_order(self) -> Command:
        """NewOrderSingle."""
        book = self.instrument()
        kind = int(self.random.choice([1, 2, 3, 4], p=[0.1, 0.74, 0.08, 0.08]))
        force = int(self.random.choice([0, 1, 3, 4, 6], p=[0.05, 0.6, 0.12, 0.1, 0.13]))
        wide = 12 if kind in (3, 4) else 4
        limited = kind in (2, 4) if not self.chance(0.01) else self.chance(0.5)
        instructions = 0
        if kind == 2 and force in (0, 1, 6) and self.chance(0.12):
            instructions |= oe.EXEC_INST_POST_ONLY
        instructions |= oe.EXEC_INST_REDUCE_ONLY if self.chance(0.15) else 0
        instructions |= oe.EXEC_INST_SURVIVE_DISCONNECT if self.chance(0.1) else 0
        quantity = self.quantity(book)
        shown = (1 + self.below(4)) * book.lot_size if self.chance(0.2) else None
        side = 1 + self.below(2)
        no_side = book.is_prediction and self.chance(0.4)
        price, stop = self.price(book), self.price(book, wide)
        if no_side:
            price, stop = ONE - price, ONE - stop
        expire = self.time + self.below(600) * SECOND_NS if force == 6 else None
        return self.client(
            "NewOrderSingle", self.pick(self.accounts), clOrdId=self.new_id(),
            price=price if limited else None, orderQty=quantity,
            instrument=book.number if not self.chance(0.003) else 30, side=side, ordType=kind,
            timeInForce=force, execInst=instructions,
            stopPx=stop if kind in (3, 4) and not self.chance(0.01) else None, displayQty=shown,
            expireTime=expire if not self.chance(0.01) else None, tag=self.below(9),
            selfTradePrevention=self.below(6) if self.chance(0.3) else 0,
            triggerType=self.below(4) if kind in (3, 4) else int(self.chance(0.003)),
            outcomeSide=1 if no_side else int(self.chance(0.003)), echo=bytes(self.below(3)))

    def some_order(self) -> Order | None:
        """An open order as a rule, else one that ended."""
        wanted = (RESTING, STOPPED) if self.chance(0.95) else (DONE,)
        orders = [o for o in self.x.records.values() if o.state in wanted and o.status != "8"]
        return self.pick(orders) if orders else None

    def naming(self, name: str, order: Order | None, **fields: Any) -> Command:
        """A client's message about an order, named by either side's number."""
        account = order.account if order is not None else self.pick(self.accounts)
        if self.chance(0.01):
            account = self.pick(self.accounts)
        command = self.client(name, account, **fields)
        own = order is not None and order.client_id > 0 and command.session == order.session
        by_client = own and self.chance(0.7)
        key = "clOrdId" if name == "OrderStatusRequest" else "origClOrdId"
        command.fields[key] = order.client_id if by_client and order is not None else 0
        command.fields["orderId"] = None if by_client or order is None else order.order_id
        return command

    def cancel(self) -> Command:
        """OrderCancelRequest."""
        order = self.some_order()
        return self.naming("OrderCancelRequest", order, clOrdId=self.new_id(),
                           instrument=order.instrument if order is not None else 0, echo=b"c")

    def order_status(self) -> Command:
        """OrderStatusRequest of an order that is there."""
        order = self.some_order()
        if order is None:
            return self.cancel()
        command = self.client("OrderStatusRequest", order.account, clOrdId=0,
                              orderId=order.order_id, requestId=1, echo=b"")
        command.fields["account"] = order.account
        if command.session and self.x.sessions[command.session].owner != order.owner:
            command.session = command.fields["header"]["msgSeqNum"] = 0
        return command

    def preview(self) -> Command:
        """OrderPreviewRequest: mostly what might be ordered."""
        command = self.new_order()
        known = self.some_order() if self.chance(0.05) else None
        taken = max(0, known.client_id) if known is not None else 0
        own = command.fields | {"clOrdId": taken, "requestId": self.below(99)}
        return Command("OrderPreviewRequest", own, command.session, 8, self.time)

    def replace(self) -> Command:
        """OrderCancelReplaceRequest."""
        order = self.some_order()
        book = self.x.instruments[order.instrument] if order is not None else self.instrument()
        price = stop = quantity = shown = None
        if order is not None and order.limit_tick is not None and self.chance(0.6):
            price = self.price(book)
            price = ONE - price if order.no_terms else price
        if order is not None and order.state == STOPPED and self.chance(0.5):
            stop = self.price(book, 12)
            stop = ONE - stop if order.no_terms else stop
        if self.chance(0.6):
            lots = order.quantity if order is not None else 1
            quantity = max(0, lots + self.below(9) - 5) * book.lot_size
        if self.chance(0.1):
            shown = (1 + self.below(5)) * book.lot_size
        return self.naming(
            "OrderCancelReplaceRequest", order, clOrdId=self.new_id(), price=price,
            orderQty=quantity, stopPx=stop, displayQty=shown, instrument=book.number, echo=b"r")

    def mass_cancel(self) -> Command:
        """OrderMassCancelRequest."""
        scope = 1 + self.below(5)
        return self.client(
            "OrderMassCancelRequest", self.pick(self.accounts), clOrdId=self.new_id(),
            instrument=self.instrument().number, underlying=self.below(3), scope=scope,
            kind=1 + self.below(4), side=self.below(3), echo=b"m")

    def mass_quote(self) -> Command:
        """MassQuote."""
        entries = []
        for number in self.theme:
            book = self.x.instruments[number]
            bid, offer = sorted((self.price(book, 3), self.price(book, 3)))
            offer += book.tick_size if self.chance(0.95) else 0
            entries.append({
                "instrument": number if not self.chance(0.005) else 31,
                "bidPx": bid if self.chance(0.9) else None, "bidSize": self.quantity(book),
                "offerPx": offer if self.chance(0.9) else None, "offerSize": self.quantity(book)})
        return self.client(
            "MassQuote", self.pick([100, 101, 104]), quoteId=self.below(1000),
            quoteSetId=self.below(2), resetProtection=int(self.chance(0.1)), quotes=entries)

    def quote_cancel(self) -> Command:
        """QuoteCancel."""
        return self.client("QuoteCancel", self.pick([100, 101, 104]), quoteId=1,
                           instrument=self.pick([None, *self.theme]))

    def protection_set(self) -> Command:
        """ProtectionSet."""
        book = self.instrument()
        return self.client(
            "ProtectionSet", self.pick([100, 101, 104]), window=self.below(5) * SECOND_NS,
            quantityLimit=self.below(3) * 15 * book.lot_size,
            valueLimit=self.below(2) * 50_000_000, countLimit=self.below(5),
            underlying=book.base if not self.chance(0.05) else 3)

    def protection_reset(self) -> Command:
        """ProtectionReset."""
        return self.client("ProtectionReset", self.pick([100, 101, 104]),
                           underlying=self.instrument().base)

    def cancel_timer(self) -> Command:
        """SetCancelTimer."""
        return self.client("SetCancelTimer", self.pick(self.accounts),
                           milliseconds=self.pick([0, 1000, 5000]))

    def account_request(self) -> Command:
        """AccountRequest; more often than not to be told what changes."""
        return self.client("AccountRequest", self.pick(self.accounts), requestId=7, echo=b"a",
                           subscriptionRequestType=self.pick([None, 0, 1, 1, 1, 1, 2]))

    def transfer(self) -> Command:
        """TransferRequest."""
        account = self.pick(self.accounts)
        owner = self.accounts[account]
        mine = [other for other, its in self.accounts.items() if its == owner]
        return self.client("TransferRequest", account, requestId=self.below(99), echo=b"",
                           toAccount=self.pick(mine if self.chance(0.9) else self.accounts),
                           asset=self.below(3), amount=self.below(10**8) - 100)

    def withdrawal(self) -> Command:
        """WithdrawalRequest."""
        return self.client("WithdrawalRequest", self.pick(self.accounts), asset=self.below(3),
                           amount=self.below(10**8), requestId=self.below(99), echo=b"w",
                           destination=self.pick(HOMES))

    def withdrawal_rule(self) -> Command:
        """WithdrawalRule."""
        return self.client("WithdrawalRule", self.pick(self.accounts), requestId=self.below(99),
                           echo=b"", action=1 + self.below(4), destination=self.pick(HOMES),
                           delay=self.pick([0, 0, 60, 40_000, 3_000_000]))

    def refill(self) -> Command:
        """Deposit into the liquidity fund, seldom as much as is needed."""
        return self.keyed("Deposit", account=LIQUIDITY, asset=0, amount=self.below(10**8))

    def withdrawal_step(self) -> Command:
        """WithdrawalStep of one under way, or of none."""
        number = self.pick(self.x.withdrawals) if self.x.withdrawals else 77
        return self.keyed("WithdrawalStep", withdrawalId=number, state=1 + self.below(4))

    def deposit(self) -> Command:
        """Deposit."""
        return self.keyed("Deposit", account=self.pick(self.accounts), asset=self.below(3),
                          amount=self.below(10**7))

    def mark(self, number: int) -> Command:
        """SetMarkPrice near where it trades, off the grid."""
        middle, tick = CATALOGUE[number][-1], CATALOGUE[number][5]
        reach = middle // 6 if self.chance(0.15) else 4  # Now and then accounts get into trouble.
        price = (middle + self.below(2 * reach + 1) - reach) * tick + self.below(tick)
        return self.keyed("SetMarkPrice", instrument=number, rule=0, price=price, index=0,
                          premium=0)

    def some_mark(self) -> Command:
        """A mark of one of the run's."""
        return self.mark(self.pick(self.theme))

    def some_index(self) -> Command:
        """SetIndexPrice; seldom stale, seldom far."""
        asset = self.pick(INDEX)
        step = INDEX[asset] // (5_000 if self.chance(0.15) else 100_000)
        price = INDEX[asset] + (self.below(2001) - 1000) * step
        state = 2 if self.chance(0.05) else int(self.chance(0.03))
        return self.keyed("SetIndexPrice", asset=asset, state=state, sources=3, price=price)

    def settlement(self) -> Command:
        """SettlementStart."""
        self.cycle += 0 if self.chance(0.05) else 1
        return self.keyed("SettlementStart", cycle=self.cycle)

    def funding(self) -> Command:
        """FundingStart of a perpetual, if the run has one."""
        mine = [number for number in self.theme if CATALOGUE[number][0] == PERPETUAL]
        if not mine:
            return self.settlement()
        often = 1 if self.chance(0.7) else 200  # Now and then more than payers have.
        return self.keyed("FundingStart", instrument=self.pick(mine),
                          rate=(self.below(2_000_001) - 1_000_000) * often)

    def trading_state(self) -> Command:
        """SetTradingState, mostly back to where trading goes on."""
        book = self.instrument()
        state = int(self.random.choice([1, 2, 3, 4, 5, 6], p=[0.14, 0.71, 0.05, 0.05, 0.04, 0.01]))
        closed = [b.number for b in self.x.instruments.values() if b.state in (1, 3, 4, 5)]
        number = self.pick(closed) if state == 2 and closed else book.number
        return self.keyed("SetTradingState", instrument=number, state=state)

    def account_state(self) -> Command:
        """SetAccountState, mostly back to active."""
        restricted = [n for n, a in self.x.accounts.items() if a.state != 1]
        number = self.pick(restricted) if restricted else self.pick(self.accounts)
        return self.keyed("SetAccountState", account=number,
                          state=1 if restricted and self.chance(0.8) else 1 + self.below(4))

    def session(self) -> Command:
        """SessionOpen, signed now and then and not always anew, SessionSigned or SessionClose."""
        number = 1 + self.below(len(PREVENTION))
        connection = self.x.sessions[number].connection
        if connection:
            fields: dict[str, Any] = {"connection": connection, "logout": 0, "acknowledged": 0}
            return Command("SessionClose", fields, number, 8, self.time)
        now, second = self.time - self.time % 10**9, 10**9
        signed = {"signedTime": now - self.below(12) * second, "signedMark": self.below(2)}
        if self.chance(0.1):
            return Command("SessionSigned", signed, number, 8, self.time)
        signed["signedTime"] *= self.below(2)
        fields = signed | {"versionId": 0, "nextInbound": 0, "reset": int(self.chance(0.1)),
                  "cancelOnDisconnect": self.below(3), "cancelWindow": self.below(4) * 500,
                  "connection": 1 + self.below(1000)}
        return Command("SessionOpen", fields, number, 8, self.time)

    def resolve(self) -> Command:
        """ResolveEvent or ResolveInstrument of what the run has; a run goes on without it."""
        numbers = [n for n in self.theme if CATALOGUE[n][0] >= OUTCOME]
        alone = [n for n in numbers if CATALOGUE[n][3] == 0]
        if self.x.auction_pending or not numbers:
            return self.deposit()
        number = self.pick(numbers)
        if number in alone:
            return self.keyed("ResolveInstrument", instrument=number, payout=self.pick([0, ONE]),
                              settlementPrice=ONE, evidenceHash=bytes(32))
        event = CATALOGUE[number][3]
        payouts = {1: [0, ONE, 0], 2: [ONE // 4, 3 * ONE // 4], 3: [ONE, ONE // 2, 0]}[event]
        return self.keyed("ResolveEvent", event=event, evidenceHash=bytes(32),
                          payouts=[{"payout": payout} for payout in payouts])
