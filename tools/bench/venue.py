"""A venue of any size, as the command frames that make it: for benches, replays and tests.

    stream = CommandStream()
    stream.add("RegisterOwner", owner=100, …)       keys are filled in
    stream.add("NewOrderSingle", sender=7, …)      sequence and time are stamped densely
    stream.frames()                                 uint8 array for `run_batch` or a ring
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.link import COMMAND_HEADER, COMMAND_HEADER_SIZE
from core.messages import encode
from core.producers import Producer
from core.words import FRAME_ALIGNMENT

ONE = 100_000_000  # 1 with exponent -8
START_NS = 1_750_000_000_000_000_000
SECOND_NS = 1_000_000_000
UNKEYED = frozenset(
    ("SessionOpen", "SessionClose", "SessionNumbers", "SessionReset", "SessionInbound",
     "SessionSigned", "Tick")
)


class CommandStream:
    """Stamped commands, one behind the other, as a journal holds them."""

    def __init__(
        self, producer: int = Producer.TOOLS, sequence: int = 0, time_ns: int = START_NS
    ) -> None:
        self.producer = int(producer)
        self.sequence = sequence
        self.time_ns = time_ns
        self.key = 0
        self._position = 0
        self._frames: list[bytes] = []
        self._numbers: dict[int, int] = {}

    def add(self, message: str, /, *, sender: int = 0, **fields: Any) -> int:
        """Append a command; its sequence. Client messages get the session's next number."""
        self.sequence += 1
        if "header" not in fields and message in CLIENT_MESSAGES:
            number = self._numbers.get(sender, 0) + 1 if sender else 0
            self._numbers[sender] = number
            fields["header"] = {"sendingTime": self.time_ns, "msgSeqNum": number}
        elif message not in CLIENT_MESSAGES | UNKEYED and "key" not in fields:
            self.key += 1
            fields["key"] = self.key
        body = encode(message, fields)
        length = (COMMAND_HEADER_SIZE + len(body) + FRAME_ALIGNMENT - 1) & -FRAME_ALIGNMENT
        self._position += length
        position = (self._position >> 5) & 0xFFFFFFFF
        head = bytearray(COMMAND_HEADER.pack(length, self.producer, 0, sender, position))
        head[16:24] = self.sequence.to_bytes(8, "little")
        head[24:32] = self.time_ns.to_bytes(8, "little")
        self._frames.append((bytes(head) + body).ljust(length, b"\0"))
        return self.sequence

    def pass_time(self, nanoseconds: int) -> None:
        """Let later commands come later."""
        self.time_ns += nanoseconds

    def take(self) -> NDArray[np.uint8]:
        """The frames since the last call, as one array."""
        data = np.frombuffer(b"".join(self._frames), np.uint8).copy()
        self._frames.clear()
        return data


CLIENT_MESSAGES = frozenset(
    (
        "NewOrderSingle", "OrderCancelReplaceRequest", "OrderCancelRequest",
        "OrderMassCancelRequest", "MassQuote", "QuoteCancel", "ProtectionReset",
        "OrderStatusRequest", "SetCancelTimer", "ProtectionSet", "AccountRequest",
        "OpenOrdersRequest", "TransferRequest", "WithdrawalRequest",
        "OrderPreviewRequest", "TradingHalt",
    )
)

ORDER_DEFAULTS: dict[str, Any] = {
    "price": None, "ordType": "Limit", "timeInForce": "GoodTillCancel", "execInst": 0,
    "stopPx": None, "displayQty": None, "expireTime": None, "tag": 0,
    "selfTradePrevention": 0, "triggerType": 0, "outcomeSide": 0, "echo": b"",
}
ORDER_TYPES = {"Market": 1, "Limit": 2, "Stop": 3, "StopLimit": 4}
FORCES = {"Day": 0, "GoodTillCancel": 1, "ImmediateOrCancel": 3, "FillOrKill": 4, "GoodTillDate": 6}


def new_order(stream: CommandStream, *, sender: int = 0, **fields: Any) -> int:
    """Append a NewOrderSingle; what isn't given has its ordinary value."""
    values = ORDER_DEFAULTS | fields
    values["ordType"] = ORDER_TYPES.get(values["ordType"], values["ordType"])
    values["timeInForce"] = FORCES.get(values["timeInForce"], values["timeInForce"])
    return stream.add("NewOrderSingle", sender=sender, **values)


def found_venue(
    stream: CommandStream, *, instruments: int, accounts: int, kind: str = "Perpetual",
    mark: int = 2048,
) -> None:
    """Assets USDC and BTC, `instruments` books, `accounts` rich accounts of an owner each.

    Instruments are 1 … , owners and accounts 100 … . Ticks and lots are 0.01. mark: and index, in
    ticks.
    """
    asset: dict[str, Any] = {
        "lendable": 1, "borrowable": 1, "haircutInitial": 0, "haircutMaintenance": 0,
        "borrowMarginInitial": 20_000, "borrowMarginMaintenance": 10_000,
        "borrowLimit": 10**15, "utilisationCeiling": 900_000, "reserveShare": 100_000,
    }
    stream.add("RegisterAsset", name="USDC", asset=0, decimals=6, **asset)
    stream.add("RegisterAsset", name="BTC", asset=1, decimals=8, **asset)
    stream.add("SetIndexPrice", asset=1, state=0, sources=3, price=mark * ONE // 100)
    for owner in range(100, 100 + accounts):
        stream.add("RegisterOwner", owner=owner, name=f"owner {owner}", feeTier=0,
                   selfTradePrevention=0)
        stream.add("RegisterAccount", account=owner, owner=owner, name="main", autoLend=1,
                   autoBorrow=1)
        stream.add("Deposit", account=owner, asset=0, amount=10**13)
    for number in range(1, 1 + instruments):
        list_instrument(stream, number, kind)
        stream.add("SetMarkPrice", instrument=number, rule=0, price=mark * ONE // 100,
                   index=mark * ONE // 100, premium=0)


def list_instrument(stream: CommandStream, number: int, kind: str, **fields: Any) -> None:
    """Append a ListInstrument with ordinary terms."""
    kinds = {"Spot": 1, "Perpetual": 2, "Outcome": 3, "PriceAbove": 4, "PriceBelow": 5,
             "PriceRange": 6}
    values: dict[str, Any] = {
        "instrument": number, "symbol": f"I{number}-{kind.upper()}", "kind": kinds[kind],
        "state": 2, "baseAsset": 1, "quoteAsset": 0, "event": 0, "outcome": 0,
        "tickSize": ONE // 100, "lotSize": ONE // 100, "minimumQty": ONE // 100,
        "maximumQty": 1_000_000 * ONE, "maximumPrice": 40 * ONE, "lowerStrike": None,
        "upperStrike": None, "expiry": None, "marginBaseInitial": 100_000,
        "marginBaseMaintenance": 60_000, "marginFactorInitial": 20_000,
        "marginFactorMaintenance": 12_000, "positionLimit": 0, "priceBand": 0,
        "rulesHash": bytes(32), "title": "",
    }
    stream.add("ListInstrument", **(values | fields))
