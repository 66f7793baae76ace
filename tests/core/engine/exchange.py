"""A whole engine in one process, driven command by command through its real entry.

    house = Exchange()                      an empty state, its events in memory
    house.send("Deposit", account=100, …)   one command, stamped and applied
    house.events                            what it said, decoded: (session, name, fields)

`populate` registers assets, owners, accounts and one instrument of each kind, which most tests
start from. After every command the invariants of core.engine.check hold, or the test ends there.
"""

import struct
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.engine.check import check
from core.engine.run import apply, bind_events
from core.jit import jit
from core.messages import SCHEMA_DIRECTORY, decode, template
from core.state import new_state
from sbe.codec import Codec

# Not strict: commands that the gateways would never let through must not harm the core either.
CODECS = [Codec.load(SCHEMA_DIRECTORY / f"{name}.xml", strict=False)
          for name in ("order_entry", "control")]
EVENT_BYTES = 1 << 24
SPILL = 1 << 20  # more than any event; in an exchange the ring is mapped a second time there
SECOND = 1_000_000_000
START = 1_700_000_000 * SECOND
ONE = 10**8
USDC, BTC, ETH = 0, 1, 2
SPOT, PERP, ALPHA, BETA, GAMMA, ABOVE, LONE = 1, 2, 3, 4, 5, 6, 7
CUP = 1
ANN, BOB, CAT, DAN = 100, 101, 102, 103
FEES, INSURANCE, CLEARING, POOL, WITHDRAWALS, ROUNDING, LIQUIDITY = 1, 2, 3, 4, 5, 6, 8

LIMITS = SimpleNamespace(
    assets_max=4, owners_max=128, accounts_max=400, positions_max=1024, instruments_max=32,
    events_max=8, orders_max=512, levels_max=1024, sessions_max=16,
)


@jit
def _apply_one(state: Any, frame: int) -> None:
    apply(state[0], frame)


@jit
def _check(state: Any) -> int:
    return check(state[0])


# Fields that few tests have anything to say about.
UNSAID: dict[str, dict[str, Any]] = {
    "WithdrawalRequest": {"destination": ""}, "AccrueInterest": {"utilisationBound": 0},
    "ReportBalances": {"changed": 0},
    "WithdrawalRule": {"delay": 0, "destination": "", "echo": b""},
}


class Exchange:
    """An engine and the events it has emitted."""

    def __init__(self, limits: Any = LIMITS, checked: bool = True) -> None:
        self.state = new_state(limits)
        self._memory = self.event_memory()
        bind_events(self.state, self._memory.ctypes.data, EVENT_BYTES)
        self.checked = checked
        self.sequence = 0
        self.time = START
        self.keys: dict[int, int] = {}
        self.numbers: dict[int, int] = {}
        self.events: list[tuple[int, str, dict[str, Any]]] = []

    def event_memory(self) -> NDArray[np.uint8]:
        """Where events go; an event that begins before the end is written on behind it."""
        return np.zeros(EVENT_BYTES + SPILL, "u1")

    @property
    def s(self) -> Any:
        """The state's record."""
        return self.state[0]

    def apply(self, message: bytes, session: int = 0, producer: int = 1) -> None:
        """Stamp an encoded message, apply it, collect its events, check the invariants."""
        self.sequence += 1
        self.time += 1000
        length = (32 + len(message) + 31) & -32
        header = struct.pack(
            "<ihhiIqq", length, producer, 0, session, 0, self.sequence, self.time)
        frame = np.frombuffer(header.ljust(32, b"\0") + message.ljust(length - 32, b"\0"), "u1")
        before = int(self.s["event_position"])
        _apply_one(self.state, frame.ctypes.data)
        self._collect(before)
        if self.checked:
            broken = _check(self.state)
            assert broken == 0, f"invariant {broken} broken by command {self.sequence}"

    def _collect(self, position: int) -> None:
        self.events = []
        end = int(self.s["event_position"])
        assert end - position <= EVENT_BYTES
        while position < end:
            place = position & (EVENT_BYTES - 1)
            length, session = struct.unpack_from("<ii", self._memory, place)
            data = self._memory[place : place + length].tobytes()
            self.events.append((session, *decode(data[16:])))
            position += length

    def send(self, name: str, sender: int = 0, producer: int = 1, /, **fields: Any) -> int:
        """A command of an operator or sidecar; its reason (0 done)."""
        if name in ("Tick", "SessionOpen", "SessionClose", "SessionNumbers", "SessionReset",
                    "SessionInbound", "SessionSigned"):
            self.apply(encode(name, fields), sender, producer)
            return 0
        if "key" not in fields:
            self.keys[producer] = self.keys.get(producer, 0) + 1
            fields["key"] = self.keys[producer]
        self.apply(encode(name, UNSAID.get(name, {}) | fields), sender, producer)
        results = self.named("CommandResult")
        assert len(results) == 1
        return int(results[0]["reason"])

    def request(self, name: str, session: int = 0, /, **fields: Any) -> None:
        """A client's message, with the session's next number."""
        number = 0
        if session:
            number = int(self.s["sessions"][session]["next_inbound"])
        fields["header"] = {"sendingTime": self.time, "msgSeqNum": number}
        self.apply(encode(name, UNSAID.get(name, {}) | fields), session, 3)

    def named(self, name: str) -> list[dict[str, Any]]:
        """The events of the last command that have this name."""
        return [fields for _, event, fields in self.events if event == name]

    # ---- what tests say often -----------------------------------------------------------------

    def order(self, account: int, instrument: int, side: str, quantity: float, price: float | None,
              **more: Any) -> dict[str, Any]:
        """A new limit (or market) order; its first report."""
        fields: dict[str, Any] = {
            "account": account, "clOrdId": self.sequence + 1, "instrument": instrument,
            "side": 1 if side == "buy" else 2, "ordType": 2 if price is not None else 1,
            "timeInForce": 1, "orderQty": whole(quantity), "tag": 0, "selfTradePrevention": 0,
            "triggerType": 0, "outcomeSide": 0, "echo": b"",
        }
        if price is not None:
            fields["price"] = whole(price)
        self.request("NewOrderSingle", **(fields | more))
        return next(e for e in self.named("ExecutionReport") if e["clOrdId"] == fields["clOrdId"])

    def trade(self, buyer: int, seller: int, instrument: int, quantity: float,
              price: float) -> None:
        """A trade at a price between two accounts, with nothing else on the book there."""
        first = self.order(seller, instrument, "sell", quantity, price)
        assert first["reason"] == 0, first
        second = self.order(buyer, instrument, "buy", quantity, price)
        assert second["reason"] == 0, second
        assert len([e for e in self.named("ExecutionReport") if e["execType"] == ord("F")]) == 2

    def cancel(self, report: dict[str, Any]) -> None:
        """Cancel the order a report is about."""
        self.request("OrderCancelRequest", account=report["account"], clOrdId=0, origClOrdId=0,
                     orderId=report["orderId"], instrument=report["instrument"], echo=b"")

    def tick(self, times: int = 1) -> None:
        """Let time pass, and the jobs go on."""
        for _ in range(times):
            self.send("Tick", 0, 0)

    def finish_jobs(self) -> list[tuple[int, str, dict[str, Any]]]:
        """Tick until no job is left; all events of those ticks."""
        events = []
        while self.s["jobs"] > 0:
            self.tick()
            events += self.events
        return events

    def balance(self, account: int, asset: int = USDC) -> int:
        """Units of an asset as they stand, interest since the last touch not included."""
        return int(self.s["accounts"][account]["assets"][asset]["balance"])

    def position(self, account: int, instrument: int) -> Any:
        """The position's record, None when there is none."""
        for record in self.s["positions"][1 : int(self.s["positions_used"]) + 1]:
            if record["account"] == account and record["instrument"] == instrument:
                return record
        return None

    def margin(self, account: int) -> tuple[int, int, int]:
        """(equity, initial, maintenance) as the account is told."""
        self.request("AccountRequest", account=account, requestId=1, echo=b"")
        report = self.named("MarginReport")[0]
        return report["equity"], report["initialMargin"], report["maintenanceMargin"]

    def mark(self, instrument: int, price: float) -> None:
        """Set a mark."""
        assert self.send("SetMarkPrice", 0, 6, instrument=instrument, rule=0,
                         price=whole(price), index=0, premium=0) == 0

    def index(self, asset: int, price: float, state: int = 0) -> None:
        """Set an index."""
        assert self.send("SetIndexPrice", 0, 6, asset=asset, state=state, sources=3,
                         price=whole(price)) == 0

    def deposit(self, account: int, amount: float, asset: int = USDC) -> None:
        """Deposit whole coins."""
        units = round(amount * int(self.s["assets"][asset]["unit"]))
        assert self.send("Deposit", 0, 4, account=account, asset=asset, amount=units) == 0

    # ---- genesis ------------------------------------------------------------------------------

    def asset(self, number: int, name: str, decimals: int, **more: Any) -> int:
        """Register an asset; defaults: collateral at 90/94 %, borrowable at 20/10 %."""
        fields = {
            "asset": number, "name": name, "decimals": decimals, "lendable": 1, "borrowable": 1,
            "haircutInitial": 100_000 if number else 0,
            "haircutMaintenance": 60_000 if number else 0,
            "borrowMarginInitial": 200_000 if number else 10_000,
            "borrowMarginMaintenance": 100_000 if number else 5_000,
            "borrowLimit": 0, "utilisationCeiling": 900_000, "reserveShare": 100_000,
        }
        return self.send("RegisterAsset", **(fields | more))

    def account(self, number: int, owner: int, auto_borrow: int = 1) -> None:
        """Register an account, and its owner when it is new."""
        if self.s["owners"][owner]["registered"] == 0:
            assert self.send("RegisterOwner", owner=owner, name=f"owner {owner}", feeTier=0,
                             selfTradePrevention=1) == 0
        assert self.send("RegisterAccount", account=number, owner=owner, name=f"account {number}",
                         autoLend=1, autoBorrow=auto_borrow) == 0

    def list(self, number: int, kind: int, tick: float, lot: float, **more: Any) -> int:
        """List an instrument."""
        fields: dict[str, Any] = {
            "instrument": number, "symbol": f"I{number}", "kind": kind, "state": 2,
            "baseAsset": BTC, "quoteAsset": USDC, "event": 0, "outcome": 0,
            "tickSize": whole(tick), "lotSize": whole(lot), "minimumQty": 0, "maximumQty": 0,
            "maximumPrice": 0, "marginBaseInitial": 100_000, "marginBaseMaintenance": 60_000,
            "marginFactorInitial": 20_000, "marginFactorMaintenance": 12_000, "positionLimit": 0,
            "priceBand": 0, "rulesHash": bytes(32), "title": b"",
        }
        return self.send("ListInstrument", **(fields | more))

    def populate(self) -> "Exchange":
        """Three assets, four accounts of four owners, one instrument of each kind, an event."""
        assert self.asset(USDC, "USDC", 6) == 0
        assert self.asset(BTC, "BTC", 8) == 0
        assert self.asset(ETH, "ETH", 8) == 0
        for account in (ANN, BOB, CAT, DAN):
            self.account(account, account)
        assert self.list(SPOT, 1, 0.01, 0.0001) == 0
        assert self.list(PERP, 2, 0.1, 0.0001) == 0
        assert self.send("RegisterEvent", event=CUP, kind=1, outcomes=3, rulesHash=bytes(32),
                         title=b"cup") == 0
        for outcome, number in enumerate((ALPHA, BETA, GAMMA)):
            assert self.list(number, 3, 0.01, 1, event=CUP, outcome=outcome) == 0
        assert self.list(ABOVE, 4, 0.01, 1, lowerStrike=whole(100_000), expiry=START) == 0
        assert self.list(LONE, 3, 0.01, 1) == 0
        self.index(BTC, 100_000)
        self.index(ETH, 4_000)
        self.mark(PERP, 100_000)
        return self


def encode(name: str, fields: dict[str, Any]) -> bytes:
    """A whole message of either schema."""
    return CODECS[template(name) >= 400].encode(name, fields)


def whole(value: float) -> int:
    """A decimal as int64 with exponent −8."""
    return round(value * ONE)
