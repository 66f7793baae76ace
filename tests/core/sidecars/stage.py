"""A stage for sidecars: a real event log, archive and rings, and a core that does as it is told.

The core here is a stand-in without books: it stamps commands, refuses keys it has had, answers
each and emits the events a test asks for. Everything the sidecar touches is the real thing: shared
memory, archive files, SQLite.
"""

import ctypes
from collections.abc import Callable
from pathlib import Path
from typing import Any

from core import words
from core.journal.archive import ArchiveWriter
from core.link import COMMAND_HEADER, EVENT_HEADER, CommandLink, EventFollower
from core.memory import HEADER_SIZE, Segment
from core.messages import decode, encode
from core.producers import Producer
from core.sidecars.store import Store

LOG_BYTES = 1 << 20
BTC, USDC = 1, 0
SPOT, PERPETUAL, OUTCOME, ABOVE = 1, 2, 3, 4
ONE = 10**8

Command = tuple[int, str, dict[str, Any]]
# Fields that few tests have anything to say about.
UNSAID: dict[str, dict[str, Any]] = {
    "WithdrawalChanged": {"releaseTime": 0, "destination": ""},
    "SettlementCompleted": {"advanced": 0, "carried": 0, "fundClaim": 0, "waiting": 0},
    "PositionSettled": {"left": 0},
    "IndicesAccrued": {"utilisationBound": 0},
}


class Stage:
    """See the module. `now` is the clock, ns; `commands` are those the core has taken."""

    def __init__(self, instance: str, directory: Path, log_bytes: int = LOG_BYTES) -> None:
        self.instance = instance
        self.directory = directory
        self.now = 1_700_000_000_000_000_000
        self.sequence = 0
        self.durable: int | None = None  # None: everything is
        self.position = 0
        self.log = Segment.create(instance, "events", log_bytes, True)
        self.archive = ArchiveWriter(directory)
        self.last_keys: dict[int, int] = {}
        self.commands: list[Command] = []
        self.refuse: dict[str, int] = {}
        self.on_command: Callable[[str, dict[str, Any]], None] = lambda _name, _fields: None

    # ---- what a sidecar needs --------------------------------------------------------------------

    def store(self, name: str, migrations: tuple[str, ...] = ()) -> Store:
        return Store(self.directory / "sidecars", name, migrations)

    def follower(self) -> EventFollower:
        return EventFollower(self.instance, self.directory, gate=self.gate)

    def link(self, producer: Producer) -> CommandLink:
        return CommandLink(self.instance, producer, capacity=1 << 16)

    def gate(self) -> int:
        return self.sequence if self.durable is None else self.durable

    def clock(self) -> int:
        return self.now

    # ---- the core's side -------------------------------------------------------------------------

    def emit(self, message: str, /, session: int = 0, **fields: Any) -> None:
        """One event under the sequence number in hand."""
        header = {"transactTime": self.now, "msgSeqNum": 0, "lastAppliedSeqNo": 0}
        data = encode(message, {"header": header, **UNSAID.get(message, {}), **fields})
        length = (16 + len(data) + 31) & ~31
        frame = EVENT_HEADER.pack(length, session, self.sequence, 0, 0, 0, 0)[:16] + data
        self.publish(frame.ljust(length, b"\0"))

    def publish(self, frames: bytes) -> None:
        """Whole event frames, into the log and the archive."""
        base = self.log.address
        end = self.position + len(frames)
        claimed = (end + 4095) & ~4095
        words.store_word(base + words.CLAIMED, max(claimed, words.load_word(base + words.CLAIMED)))
        address = base + HEADER_SIZE + (self.position & (self.log.size - 1))
        ctypes.memmove(address, frames, len(frames))
        words.store_word(base + words.PUBLISHED, end)
        self.position = end
        self.archive.append(frames)

    def next(self) -> None:
        """The next command begins."""
        self.sequence += 1

    def take(self, link: CommandLink) -> list[Command]:
        """Take what is in a producer's ring, as the core does; the commands done."""
        done = []
        base = link.ring
        while (at := words.load_word(base + words.CONSUMED)) < words.load_word(
            base + words.PUBLISHED
        ):
            address = base + HEADER_SIZE + (at & (link.capacity - 1))
            length, producer, _, _, position = COMMAND_HEADER.unpack(ctypes.string_at(address, 32))
            name, fields = decode(ctypes.string_at(address + 32, length - 32))
            assert position == (at + length) >> 5
            self.next()
            if self._apply(producer, name, fields):
                done.append((producer, name, fields))
            words.store_word(base + words.CONSUMED, at + length)
        self.commands += done
        return done

    def _apply(self, producer: int, name: str, fields: dict[str, Any]) -> bool:
        key, last = fields["key"], self.last_keys.get(producer, 0)
        if key <= last:
            self.answer(producer, name, key, reason=47, limit=last)
            return False
        self.last_keys[producer] = key
        reason = self.refuse.get(name, 0)
        if reason == 0:
            self.on_command(name, fields)
        self.answer(producer, name, key, reason=reason)
        return reason == 0

    def answer(self, producer: int, name: str, key: int, reason: int, limit: int = 0) -> None:
        from core.messages import template

        self.emit("CommandResult", key=key, producer=producer, refTemplateId=template(name),
                  reason=reason, detail=0, limit=limit)

    # ---- a small venue ---------------------------------------------------------------------------

    def venue(self) -> None:
        """USDC and BTC; instruments 1 spot, 2 perpetual, 3 and 4 the outcomes of event 1."""
        self.next()
        for number, name, decimals in ((0, "USDC", 6), (1, "BTC", 8)):
            self.emit("AssetRegistered", asset=number, decimals=decimals, lendable=1, borrowable=1,
                      name=name, haircutInitial=0, haircutMaintenance=0,
                      utilisationCeiling=900_000, reserveShare=100_000)
        for account in (100, 101, 102, 103, 104):
            self.emit("OwnerRegistered", owner=account, name=f"owner-{account}")
            self.emit("AccountRegistered", account=account, owner=account, name=f"desk-{account}",
                      autoLend=int(account != 102))
        self.emit("EventRegistered", event=1, kind=1, outcomes=2, rulesHash=bytes(32), title="Cup")
        self.instrument(1, "BTC-USDC", SPOT, base=1, tick=10**6, lot=10**4)
        self.instrument(2, "BTC-PERP", PERPETUAL, base=1, tick=10**7, lot=10**4)
        self.instrument(3, "CUP-A", OUTCOME, event=1, outcome=0, tick=10**6, lot=ONE)
        self.instrument(4, "CUP-B", OUTCOME, event=1, outcome=1, tick=10**6, lot=ONE)

    def instrument(
        self, number: int, symbol: str, kind: int, *, base: int = 0, event: int = 0,
        outcome: int = 0, tick: int, lot: int, **more: Any,
    ) -> None:
        fields = {
            "instrument": number, "symbol": symbol, "kind": kind, "state": 2, "baseAsset": base,
            "quoteAsset": 0, "event": event, "outcome": outcome, "tickSize": tick, "lotSize": lot,
            "minimumQty": lot, "maximumQty": lot * 10**6, "maximumPrice": tick * 10**7,
            "lowerStrike": None, "upperStrike": None, "expiry": None,
            "valuePerTickLot": tick * lot // 10**10, "rulesHash": bytes(32), "title": symbol,
        }
        self.emit("InstrumentListed", **(fields | more))

    def trade(
        self, instrument: int, buyer: int, seller: int, price: int, quantity: int, *,
        fees: tuple[int, int] = (0, 0), trade: int = 1, no: tuple[bool, bool] = (False, False),
    ) -> None:
        """Two reports of one trade, the seller the maker; price and side in each one's terms."""
        self.next()
        for account, side, fee, in_no in (
            (seller, 2, fees[1], no[1]), (buyer, 1, fees[0], no[0]),
        ):
            self.report(
                account=account, instrument=instrument, side=3 - side if in_no else side,
                lastPx=ONE - price if in_no else price, lastQty=quantity, fee=fee, tradeId=trade,
                outcomeSide=int(in_no), execType="Trade", ordStatus="Filled",
                lastLiquidity=1 if account == seller else 2,
            )

    def report(self, **fields: Any) -> None:
        """An ExecutionReport, all the rest of it plain."""
        plain: dict[str, Any] = {
            "orderId": 1, "clOrdId": 1, "execId": 1, "price": None, "orderQty": 0, "cumQty": 0,
            "leavesQty": 0, "cumValue": 0, "ordType": 2, "timeInForce": 1, "execInst": 0,
            "reason": 0, "lastPx": None, "lastQty": None, "tradeId": None, "fee": 0,
            "stopPx": None, "visibleQty": 0, "expireTime": None, "origClOrdId": 0, "detail": 0,
            "limit": 0, "displayQty": None, "tag": 0, "flags": 0, "lastLiquidity": 0,
            "outcomeSide": 0, "selfTradePrevention": 0, "triggerType": 0, "quoteSetId": 0,
            "owner": fields.get("account", 0), "echo": b"",
        }
        self.emit("ExecutionReport", **(plain | fields))

    def balance(
        self, account: int, asset: int, reason: int, change: int, balance: int, counter: int = 0,
        request: int = 0,
    ) -> None:
        """A BalanceUpdate."""
        self.emit("BalanceUpdate", requestId=request, account=account, asset=asset, reason=reason,
                  change=change, balance=balance, instrument=None, counterAccount=counter,
                  lent=0, earned=0, echo=b"")
