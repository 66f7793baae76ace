"""What the tests of the FIX gateway share: messages, a venue, a scanner over private memory."""

import itertools
from datetime import UTC, datetime
from typing import Any

import numpy as np
from hypothesis import strategies as st

from core.memory import HEADER_SIZE
from core.messages import decode, encode, layout, template
from core.reference import ReferenceData
from core.words import CAPACITY, CONSUMED, FREE_UNTIL, PENDING, PUBLISHED
from gateway.fix import records
from gateway.fix.message import frame
from gateway.fix.scan import scan
from gateway.fix.tables import Connection, Context

NOW = 1_790_000_000_123_000_000
RING_BYTES = 1 << 16


def stamp(time_ns: int = NOW, digits: int = 3) -> bytes:
    """A UTCTimestamp with so many decimals of the second."""
    moment = datetime.fromtimestamp(time_ns // 10**9, UTC).strftime("%Y%m%d-%H:%M:%S")
    decimals = f"{time_ns % 10**9:09d}000"[:digits]
    return (moment + ("." + decimals if digits else "")).encode()


def fix(text: str, begin: bytes = b"FIX.4.4") -> bytes:
    """A whole message from its fields after the length, `|` between them."""
    return frame(begin, text.replace("|", "\x01").rstrip("\x01").encode("latin-1") + b"\x01")


def header(kind: str, number: int, sender: str = "CLIENT", target: str = "EXEC") -> str:
    """The standard header after the length."""
    return f"35={kind}|34={number}|49={sender}|52={stamp().decode()}|56={target}"


ORDER = f"55=BTC-USDC|54=1|38=1.5|40=2|44=64000.5|59=1|60={stamp().decode()}"


def complete(name: str, fields: dict[str, Any]) -> dict[str, Any]:
    """Fields of a message with zeros for those a test does not care about."""
    absent = {field.name for field in layout(name).fields} - set(fields) - {"header"}
    return dict.fromkeys(absent, 0) | fields


def event(name: str, /, **fields: Any) -> tuple[int, bytes]:
    """Template and body of an event."""
    head = {"transactTime": NOW, "msgSeqNum": 0, "lastAppliedSeqNo": 0}
    data = encode(name, complete(name, {"header": head} | fields))[8:]
    return template(name), data + bytes(-len(data) % 32)


def listed(number: int, symbol: str, kind: int = 1, **fields: Any) -> tuple[int, bytes]:
    """The listing of an instrument quoted in USDC."""
    plain: dict[str, Any] = {
        "state": 2, "baseAsset": 1, "quoteAsset": 0, "event": 0, "outcome": 0,
        "tickSize": 5 * 10**7, "lotSize": 10**3, "minimumQty": 10**3, "maximumQty": 10**14,
        "maximumPrice": 10**15, "lowerStrike": None, "upperStrike": None, "expiry": None,
        "valuePerTickLot": 5, "rulesHash": bytes(32), "title": symbol,
    }
    known = {"instrument": number, "symbol": symbol, "kind": kind}
    return event("InstrumentListed", **(plain | known | fields))


def venue() -> ReferenceData:
    """A small venue: two assets, three instruments, two owners."""
    data = ReferenceData()
    asset = {
        "lendable": 1, "borrowable": 1, "haircutInitial": 0, "haircutMaintenance": 0,
        "utilisationCeiling": 950_000, "reserveShare": 100_000,
    }
    for definition in (
        event("AssetRegistered", asset=0, decimals=6, name="USDC", **asset),
        event("AssetRegistered", asset=1, decimals=8, name="BTC", **asset),
        event("OwnerRegistered", owner=100, name="acme"),
        event("AccountRegistered", account=100, owner=100, name="acme.main", autoLend=1),
        event("AccountRegistered", account=101, owner=100, name="acme.sub", autoLend=1),
        event("AccountRegistered", account=102, owner=101, name="other", autoLend=1),
        event("SessionRegistered", session=7, owner=100, account=100, kind=1, name="CLIENT"),
        listed(1, "BTC-USDC"),
        listed(2, "BTC-PERP", kind=2),
        event("EventRegistered", event=1, kind=2, outcomes=2, rulesHash=bytes(32), title="Who?"),
        listed(3, "WIN-A", kind=3, event=1, tickSize=10**6, lotSize=10**8, valuePerTickLot=10_000),
    ):
        assert data.apply(*definition)
    return data


class Memory:
    """A ring in private memory without its mirror: tests stay short of its end."""

    def __init__(self) -> None:
        self._array = np.zeros(HEADER_SIZE + 2 * RING_BYTES, np.uint8)
        self.address = int(self._array.ctypes.data)
        self._word(CAPACITY, RING_BYTES)
        self.rewind()

    def _word(self, offset: int, value: int | None = None) -> int:
        view = self._array[offset : offset + 8].view(np.int64)
        if value is not None:
            view[0] = value
        return int(view[0])

    def rewind(self) -> None:
        """Empty the ring."""
        for offset in (PENDING, PUBLISHED, CONSUMED):
            self._word(offset, 0)
        self._word(FREE_UNTIL, RING_BYTES)

    def fill_up(self) -> None:
        """Leave no room."""
        self._word(PENDING, RING_BYTES)
        self._word(FREE_UNTIL, RING_BYTES)
        self._word(CONSUMED, 0)

    def frames(self) -> list[bytes]:
        """The published frames; the ring is empty afterwards."""
        found, at, end = [], 0, self._word(PUBLISHED)
        data = self._array[HEADER_SIZE:].tobytes()
        while at < end:
            length = int.from_bytes(data[at : at + 4], "little")
            found.append(data[at : at + length])
            at += length
        self.rewind()
        return found


class Scanner:
    """The compiled scanner with a connection of session 7, logged on and waiting for number 2."""

    def __init__(self, begin: bytes = b"FIX.4.4") -> None:
        self.memory = Memory()
        self.context = Context(64)
        self.ready = np.ones(1, np.int64)
        self.context.refresh(
            venue(), [("acme.main", 100, 7), ("acme.sub", 101, 7), ("other", 102, 8)])
        self.context.fields["ring"] = self.memory.address
        self.context.fields["producer"] = 2
        self.context.fields["core_ready"] = self.ready.ctypes.data
        self.connection = Connection(1 << 16)
        self.connection.text("begin", b"8=" + begin + b"\x019=")
        self.connection.text("sender", b"CLIENT")
        self.connection.text("target", b"EXEC")
        self.connection.text("prefix", b"49=EXEC\x0156=CLIENT\x01")
        self.fields = self.connection.fields
        self.fields["session"], self.fields["account"] = 7, 100
        self.fields["window_ns"] = 120 * 10**9
        self.fields["expected"] = 2
        self.fields["flags"] = records.FLAG_READY | records.FLAG_LIVE

    def feed(self, *pieces: bytes) -> list[tuple[str, Any]]:
        """What comes out, in order: frames, messages for Python, or the end."""
        out: list[tuple[str, Any]] = []
        held = b""
        for piece in pieces:
            held += piece
            array = np.frombuffer(held + bytes(64), np.uint8)
            self.fields["consumed"] = 0
            while True:
                answer = scan(
                    self.connection.address, self.context.address, int(array.ctypes.data),
                    len(held), NOW,
                )
                out += [("frame", command(data)) for data in self.memory.frames()]
                if answer == records.NEED_MORE:
                    break
                if answer == records.TOO_LONG:
                    return [*out, ("too long", None)]
                start, length = int(self.fields["row_offset"]), int(self.fields["row_length"])
                kind = "busy" if answer == records.BUSY else "message"
                out.append((kind, held[start : start + length]))
            held = held[int(self.fields["consumed"]) :]
        return out


def command(data: bytes) -> tuple[int, str, dict[str, Any]]:
    """Session, name and fields of a command frame."""
    name, fields = decode(data[32:])
    return int.from_bytes(data[8:12], "little"), name, flat(fields)


def flat(fields: dict[str, Any]) -> dict[str, Any]:
    """Decimals as their mantissa."""
    return {
        key: value["mantissa"] if isinstance(value, dict) and "mantissa" in value else value
        for key, value in fields.items()
    }


def decimals() -> st.SearchStrategy[tuple[bytes, int]]:
    """Decimal texts in every shape FIX allows, each with its value at exponent −8."""

    def text(parts: tuple[int, int, int, int]) -> tuple[bytes, int]:
        whole, fraction, digits, zeros = parts
        fraction %= 10**digits
        value = whole * 10**8 + fraction * 10 ** (8 - digits)
        decimal = f".{fraction:0{digits}d}" if digits else ""
        return f"{'0' * zeros}{whole}{decimal}".encode(), value

    return st.tuples(
        st.integers(0, 10**9), st.integers(0, 10**8), st.integers(0, 8), st.integers(0, 3)
    ).map(text)


ids = itertools.count(1)
