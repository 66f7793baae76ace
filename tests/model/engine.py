"""The real engine, command by command through the replay's entry, saying what the model says.

    engine = Engine()
    engine.apply(Command("Deposit", {...}))    [Said(session, number, name, fields), …]
    engine.picture()                           balances, positions and books, as plain values
"""

import ctypes
from types import SimpleNamespace
from typing import Any

import sbe.generated.order_entry as oe
from core.link import COMMAND_HEADER, COMMAND_HEADER_SIZE
from core.messages import decode, encode
from core.records import RESTING as ENGINE_RESTING
from core.records import STOPPED as ENGINE_STOPPED
from core.recovery import Replayer, make_state
from core.sequencer import event_memory
from core.words import FRAME_ALIGNMENT
from tests.core.engine.exchange import LIMITS, _check
from tests.model.exchange import Command, Exchange, Said
from tests.model.records import RESTING, STOPPED

# What the model says; the engine says more (registrations, prices), which is not compared.
VOCABULARY = frozenset(
    (
        "ExecutionReport", "OrderCancelReject", "OrderMassCancelReport", "MassQuoteAck",
        "ProtectionTriggered", "BusinessReject", "CommandResult", "BalanceUpdate",
        "PositionSettled", "PositionResolved", "FundingPayment", "FundingCompleted",
        "SettlementCompleted", "ResolutionCompleted", "TradingStateChanged", "MarginReport",
        "TransferReport", "WithdrawalReport", "WithdrawalRuleReport", "ClientProtectionReport",
        "KillSwitchChanged", "OwnerPermitted", "OrderPreview", "PositionReport", "AccountReportEnd",
        "SessionOpened",
    )
)
WORST = ("worstAsset", "worstMove", "worstExpiry", "worstOutcome")  # The model has no scan.
Picture = dict[str, dict[Any, Any]]


def frame(command: Command, sequence: int, body: bytes | None = None) -> bytes:
    """A command as the journal holds it; `body` if the message is to be other than its fields."""
    body = encode(command.name, command.fields) if body is None else body
    length = (COMMAND_HEADER_SIZE + len(body) + FRAME_ALIGNMENT - 1) & -FRAME_ALIGNMENT
    head = bytearray(COMMAND_HEADER.pack(length, command.producer, 0, command.session, 0))
    head[16:24] = sequence.to_bytes(8, "little")
    head[24:32] = command.time.to_bytes(8, "little")
    return (bytes(head) + body).ljust(length, b"\0")


class Engine:
    """A state, and what the last command made it say."""

    def __init__(self, limits: SimpleNamespace = LIMITS) -> None:
        self.limits = limits
        self.state = make_state(limits)
        self._replayer = Replayer(self.state, self._collect)
        self._bytes = b""

    def _collect(self, log: int, start: int, end: int) -> None:
        address, size = event_memory(log)
        self._bytes += ctypes.string_at(address + (start & (size - 1)), end - start)

    def apply(self, command: Command, body: bytes | None = None) -> list[Said]:
        """Apply a command; its events that are in the vocabulary."""
        self._bytes = b""
        self._replayer.apply(memoryview(frame(command, self._replayer.sequence + 1, body)))
        broken = _check(self.state)
        assert broken == 0, f"invariant {broken} of core.engine.check is broken"
        return list(read_events(self._bytes))

    def picture(self) -> Picture:
        """What the state holds that a model can be held to."""
        s = self.state[0]
        accounts = s["accounts"]
        balances = accounts["assets"]["balance"]
        used = s["positions"][1 : int(s["positions_used"]) + 1]
        held = used[used["account"] != 0]
        claims = held["unsettled"] - held["quantity"] * held["settled_value"]
        positions = zip(
            held["account"].tolist(), held["instrument"].tolist(), held["quantity"].tolist(),
            held["entry_value"].tolist(), held["realized"].tolist(), claims.tolist(), strict=True,
        )
        kinds = s["instruments"]["kind"].tolist()
        return {
            "balances": {
                (int(account), int(asset)): int(balances[account, asset])
                for account, asset in zip(*balances.nonzero(), strict=True)
            },
            "positions": {
                (account, number): (quantity, entry, realized, claim if kinds[number] == 2 else 0)
                for account, number, quantity, entry, realized, claim in positions
            },
            "books": self._books(),
        }

    def _books(self) -> dict[Any, Any]:
        s = self.state[0]
        orders = s["orders"][: int(s["orders_used"]) + 1]
        where = {
            name: orders[name].tolist()
            for name in ("instrument", "side", "tick", "visible", "leaves", "next")
        }
        triggers = s["details"]["trigger_type"]
        books: dict[Any, Any] = {}
        states, before = orders["state"], orders["previous"]
        waiting = (states == ENGINE_RESTING) | (states == ENGINE_STOPPED)
        for slot in (waiting & (before == 0)).nonzero()[0].tolist():
            stop = int(triggers[slot]) if states[slot] == ENGINE_STOPPED else 0
            key = (where["instrument"][slot], stop, where["side"][slot], where["tick"][slot])
            queue, place = [], slot
            while place:
                queue.append((place, where["visible"][place], where["leaves"][place]))
                place = where["next"][place]
            books[key] = queue
        return books

    def close(self) -> None:
        """Give the memory back."""
        self._replayer.close()


def read_events(data: bytes) -> Any:
    """The events in a stretch of the stream that are in the vocabulary."""
    position = 0
    while position < len(data):
        length = int.from_bytes(data[position : position + 4], "little")
        session = int.from_bytes(data[position + 4 : position + 8], "little")
        name, fields = decode(data[position + 16 : position + length])
        header = fields.pop("header")
        for key in WORST:
            fields.pop(key, None)
        for key in ("execType", "ordStatus"):
            if isinstance(fields.get(key), int):
                fields[key] = chr(fields[key])
        if name in VOCABULARY:
            yield Said(session, header["msgSeqNum"], name, fields)
        position += length


def model_picture(x: Exchange) -> Picture:
    """The same of the model."""
    books: dict[Any, Any] = {}
    for number, book in x.instruments.items():
        for side, levels in book.levels.items():
            for tick, orders in levels.items():
                books[number, 0, side, tick] = [(o.slot, o.visible, o.leaves) for o in orders]
        for (trigger, side), stops in book.stops.items():
            for tick, orders in stops.items():
                books[number, trigger, side, tick] = [(o.slot, 0, o.leaves) for o in orders]
    assert {o.slot for o in x.records.values() if o.state in (RESTING, STOPPED)} == {
        slot for queue in books.values() for slot, _, _ in queue
    }
    return {
        "balances": {
            (number, asset): amount for number, account in x.accounts.items()
            for asset, amount in account.balances.items() if amount
        },
        "positions": {
            key: (p.quantity, p.entry_value, p.realized, p.claim)
            for key, p in x.positions.items()
        },
        "books": books,
    }


def conserved(x: Exchange) -> bool:
    """Whether every asset adds up to what came in less what went out."""
    return all(
        sum(account.balances.get(asset.number, 0) for account in x.accounts.values())
        == asset.deposited - asset.withdrawn
        for asset in x.assets.values()
    )


def crossed(x: Exchange) -> list[int]:
    """Open books whose best prices cross."""
    return [
        book.number for book in x.instruments.values()
        if book.state == oe.TRADING_STATE_OPEN
        and book.best(1) is not None and book.crosses(1, book.best(1) or 0)
    ]
