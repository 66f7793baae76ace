"""The memory behind the compiled half: hash tables, instrument texts, connections, the context.

`Context` owns the arrays and keeps them filled from the reference data; compiled code gets
`context.address` and `connection.address`. Nothing is allocated per message.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from core.reference import ReferenceData
from gateway.fix import records
from gateway.fix.history import INDEX_ROWS_START
from gateway.fix.names import id_hash
from gateway.fix.orders import VALUES_BYTES
from gateway.fix.texts import cancel_texts, refusals

ROWS_CAPACITY = 4096
MONEY_DECIMALS = 6  # where an asset isn't known: those of USDC
_POSITION, _SENT = records.T_POSITION >> 3, records.C_SENT >> 3  # in words
SCRATCH_BYTES = max(VALUES_BYTES, 8192)


class Names:
    """A hash table from names to numbers, grown by doubling."""

    def __init__(self, rows: int = 64) -> None:
        self.array = np.zeros(rows, records.SYMBOL)
        self.used = 0

    @property
    def address(self) -> int:
        """Of the first row."""
        return int(self.array.ctypes.data)

    @property
    def mask(self) -> int:
        """Rows less one."""
        return len(self.array) - 1

    def fill(self, names: Iterable[tuple[str, int, int]]) -> None:
        """Forget all and take (name, number, owner); a name longer than a row holds is left out."""
        usable = [(n.encode(), number, owner) for n, number, owner in names]
        usable = [entry for entry in usable if 0 < len(entry[0]) <= records.NAME_BYTES]
        rows = 64
        while rows < 2 * len(usable):
            rows *= 2
        self.array = np.zeros(rows, records.SYMBOL)
        self.used = len(usable)
        for name, number, owner in usable:
            self._put(name, number, owner)

    def _put(self, name: bytes, number: int, owner: int) -> None:
        slot = hash_of(name) & self.mask
        while self.array[slot]["length"]:
            slot = (slot + 1) & self.mask
        row = self.array[slot]
        row["length"], row["number"], row["owner"] = len(name), number, owner
        row["name"][: len(name)] = np.frombuffer(name, np.uint8)


def hash_of(text: bytes) -> int:
    """The 64-bit form of a client order id, as the compiled `id_hash` makes it (signed)."""
    buffer = np.frombuffer(text + bytes(8), np.uint8)
    return int(id_hash(int(buffer.ctypes.data), len(text)))


def unsigned(value: int) -> int:
    """A signed 64-bit value as the unsigned one of the same bits."""
    return value & 0xFFFF_FFFF_FFFF_FFFF


class Connection:
    """The record of one connected client, its send buffer, and views that Python uses."""

    def __init__(self, send_bytes: int) -> None:
        self._record: Any = np.zeros(1, records.CONNECTION)
        self.fields: Any = self._record[0]
        #: The record as 64-bit words, which Python reads faster than its fields.
        self.words = self._record.view(np.int64).data
        self._send: Any = np.zeros(send_bytes, np.uint8)
        self.send_view = self._send.data
        self.fields["send"] = self._send.ctypes.data
        self.fields["send_capacity"] = send_bytes
        self.fields["time_cache"][0] = -1
        self.address = int(self._record.ctypes.data)

    def text(self, name: str, value: bytes) -> None:
        """Set a byte field and its length."""
        room = self.fields[name]
        if len(value) > len(room):
            raise ValueError(f"{name} holds {len(room)} bytes, was {len(value)}")
        room[:] = 0
        room[: len(value)] = np.frombuffer(value, np.uint8)
        self.fields[f"{name}_length"] = len(value)

    def take_sent(self) -> bytes:
        """The bytes in the send buffer, which is empty afterwards."""
        count = int(self.words[_SENT])
        self.words[_SENT] = 0
        return bytes(self.send_view[:count])


class Context:
    """The tables all connections share; see `records.CONTEXT`."""

    def __init__(self, sessions_max: int) -> None:
        self._record: Any = np.zeros(1, records.CONTEXT)
        self.fields: Any = self._record[0]
        self.words = self._record.view(np.int64).data
        self.address = int(self._record.ctypes.data)
        self._symbols, self._accounts = Names(), Names()
        self._instruments = np.zeros(1, records.INSTRUMENT)
        self._reasons = _reason_rows(cancel_texts())
        self._refusals = _refusal_rows(refusals())
        self._sessions = np.zeros(sessions_max, np.int64)
        self.rows = np.zeros((ROWS_CAPACITY, 2), np.int64)
        self.index = np.zeros((INDEX_ROWS_START, 4), np.int64)
        self.dirty = np.zeros(sessions_max, np.int64)
        self._blocks = np.full(sessions_max, -1, np.int64)
        self.numbers = np.zeros(sessions_max, np.int64)
        self._opening = np.zeros(sessions_max, np.int64)
        self._scratch = np.zeros(SCRATCH_BYTES, np.uint8)
        self.fields["reasons"] = self._reasons.ctypes.data
        self.fields["reason_count"] = len(self._reasons)
        self.fields["refusals"] = self._refusals.ctypes.data
        self.fields["refusal_count"] = len(self._refusals)
        self.fields["sessions"] = self._sessions.ctypes.data
        self.fields["session_count"] = sessions_max
        self.fields["rows"] = self.rows.ctypes.data
        self.fields["rows_capacity"] = ROWS_CAPACITY
        self.fields["dirty"] = self.dirty.ctypes.data
        self.fields["blocks"] = self._blocks.ctypes.data
        self.fields["numbers"] = self.numbers.ctypes.data
        self.fields["opening"] = self._opening.ctypes.data
        self.fields["scratch"] = self._scratch.ctypes.data
        self.fields["day"] = -1
        self.use_index(self.index)
        self._point()

    @property
    def scratch(self) -> int:
        """Address of room for one message."""
        return int(self.fields["scratch"])

    @property
    def position(self) -> int:
        """Of the next event to look at."""
        return int(self.words[_POSITION])

    @position.setter
    def position(self, value: int) -> None:
        self.words[_POSITION] = value

    def use_index(self, index: "np.ndarray[Any, Any]") -> None:
        """Let the history write into this array from now on."""
        self.index = index
        self.fields["index"] = index.ctypes.data
        self.fields["index_capacity"] = len(index)

    def attach(self, session: int, connection: Connection | None) -> None:
        """Say which connection a session's reports go to; None for no one."""
        self._sessions[session] = connection.address if connection is not None else 0

    def refresh(
        self, reference: ReferenceData, grants: Iterable[tuple[str, int, int]]
    ) -> None:
        """Fill the tables from what is known now.

        grants: (name of an account, its number, session that may name it).
        """
        self._symbols.fill((i.symbol, i.number, 0) for i in reference.instruments.values())
        self._accounts.fill(grants)
        count = max(reference.instruments, default=0) + 1
        self._instruments = np.zeros(count, records.INSTRUMENT)
        self._instruments["decimals"] = MONEY_DECIMALS
        for number, instrument in reference.instruments.items():
            row = self._instruments[number]
            _put_text(row, "symbol", instrument.symbol)
            quote = reference.assets.get(instrument.quote_asset)
            row["decimals"] = quote.decimals if quote else MONEY_DECIMALS
            _put_text(row, "currency", quote.name if quote else "")
        self._point()

    def _point(self) -> None:
        fields = self.fields
        fields["symbols"], fields["symbol_mask"] = self._symbols.address, self._symbols.mask
        fields["accounts"], fields["account_mask"] = self._accounts.address, self._accounts.mask
        fields["instruments"] = self._instruments.ctypes.data
        fields["instrument_count"] = len(self._instruments)


def _put_text(row: Any, name: str, value: str) -> None:
    data = value.encode()[: records.NAME_BYTES]
    row[name][: len(data)] = np.frombuffer(data, np.uint8)
    row[f"{name}_length"] = len(data)


def _reason_rows(texts: Mapping[int, bytes]) -> "np.ndarray[Any, Any]":
    rows = np.zeros(max(texts) + 1, records.REASON)
    for code, text in texts.items():
        row = rows[code]
        row["text"][: len(text)] = np.frombuffer(text, np.uint8)
        row["length"] = len(text)
    return rows


def _refusal_rows(templates: Mapping[int, tuple[int, bytes]]) -> "np.ndarray[Any, Any]":
    rows = np.zeros(max(templates) + 1, records.REFUSAL)
    for reason, (code, text) in templates.items():
        row = rows[reason]
        row["code"] = code
        row["text"][: len(text)] = np.frombuffer(text, np.uint8)
        row["length"] = len(text)
    return rows
