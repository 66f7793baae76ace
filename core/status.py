"""The status table: one row per process, and the words that gate what may leave a gateway.

Segment `status`, data area; every word a little-endian int64:

      0  durable_sequence     last command on disk             journal → gateways
    128  published_sequence   last command in `sequenced`      core → gateways
    256  core_generation      how often the core has started   core → everyone
    384  core_ready           1 while the core takes commands  core → gateways
    512  told, 16 words       by producer, the last command of
                              which its sessions were told   core → journal
    640  … 1023               unused
   1024  row 0, row 1, …      128 bytes each, one per process

A row is two cache lines. The first is looked at by everyone who may have to wake the process, and
changes only when it falls asleep; the second is its own scratch pad:

          0         8         16        24        32        40        48        56
      0   name (16 bytes)     | pid     | start   | state   | asleep  | generat.| unused  |
     64   heartbeat | position| work    | idle    | counters (4)                          |

`heartbeat` is ns UTC; `position` is how far the process has read the event log; `work` and `idle`
count polls that found something to do and that did not; `counters` are the process' own.

Nothing here imports numba. Words are read and written by `core.words.load_word` and `store_word`;
compiled code takes the addresses (`durable_address`, …) and core/atomics.py.
"""

import fcntl
import os
import time
from enum import IntEnum
from typing import Any

import numpy as np

from core.errors import StatusFull
from core.memory import Segment, is_running, process_start
from core.words import load_word, store_word

KIND = "status"

DURABLE_SEQUENCE = 0
PUBLISHED_SEQUENCE = 128
CORE_GENERATION = 256
CORE_READY = 384
TOLD = 512
ROWS = 1024
ROW_SIZE = 128
ROWS_MAX = 24
ASLEEP = 40
POSITION = 72
DATA_SIZE = 4096

ROW = np.dtype(
    [
        ("name", "S16"),
        ("pid", "<i8"),
        ("start", "<i8"),
        ("state", "<i8"),
        ("asleep", "<i8"),
        ("generation", "<i8"),
        ("unused", "<i8"),
        ("heartbeat", "<i8"),
        ("position", "<i8"),
        ("work", "<i8"),
        ("idle", "<i8"),
        ("counters", "<i8", (4,)),
    ]
)
assert ROW.fields is not None
assert ROW.itemsize == ROW_SIZE
assert ROW.fields["asleep"][1] == ASLEEP
assert ROW.fields["position"][1] == POSITION
assert ROWS + ROWS_MAX * ROW_SIZE <= DATA_SIZE


class State(IntEnum):
    """What a process says of itself."""

    ABSENT = 0
    STARTING = 1
    RUNNING = 2
    STOPPING = 3
    STOPPED = 4


class StatusRow:
    """One process' row; `address` and `asleep_address` are for compiled code."""

    def __init__(self, table: "StatusTable", number: int) -> None:
        self.number = number
        self.address = table.segment.data_address + ROWS + number * ROW_SIZE
        self.asleep_address = self.address + ASLEEP
        self.position_address = self.address + POSITION
        self._row = table.rows[number]

    @property
    def fields(self) -> Any:
        """The row as a numpy structured scalar over the shared memory; see `ROW`."""
        return self._row

    @property
    def name(self) -> str:
        """The name of the process."""
        return bytes(self._row["name"]).decode()

    @property
    def pid(self) -> int:
        """Its process id; 0 if it never started."""
        return int(self._row["pid"])

    @property
    def state(self) -> State:
        """What it says of itself."""
        return State(int(self._row["state"]))

    @state.setter
    def state(self, state: State) -> None:
        self._row["state"] = state

    @property
    def alive(self) -> bool:
        """Whether the very process that took the row still runs."""
        return is_running(self.pid, int(self._row["start"]))

    @property
    def asleep(self) -> bool:
        """Whether it waits on its doorbell."""
        return load_word(self.asleep_address) != 0

    @property
    def position(self) -> int:
        """How far it has read the event log."""
        return load_word(self.position_address)

    @position.setter
    def position(self, position: int) -> None:
        store_word(self.position_address, position)

    def beat(self, now_ns: int | None = None) -> None:
        """Write the heartbeat (ns UTC; now if None)."""
        self._row["heartbeat"] = time.time_ns() if now_ns is None else now_ns

    def age_ns(self, now_ns: int) -> int:
        """How old the heartbeat is."""
        return now_ns - int(self._row["heartbeat"])


def _word(offset: int, meaning: str) -> property:
    def read(table: "StatusTable") -> int:
        return load_word(table.segment.data_address + offset)

    def write(table: "StatusTable", value: int) -> None:
        store_word(table.segment.data_address + offset, value)

    return property(read, write, doc=meaning)


class StatusTable:
    """The table of one instance. The supervisor creates it, everyone else opens it."""

    durable_sequence = _word(DURABLE_SEQUENCE, "Last command known to be on disk.")
    published_sequence = _word(PUBLISHED_SEQUENCE, "Last command in the ring `sequenced`.")
    core_generation = _word(CORE_GENERATION, "How often the core has started; 0: never yet.")
    core_ready = _word(CORE_READY, "1 while the core takes commands, else 0.")

    def __init__(self, segment: Segment) -> None:
        self.segment = segment
        self.rows: Any = segment.array(ROW, ROWS_MAX, ROWS)
        self.durable_address = segment.data_address + DURABLE_SEQUENCE
        self.published_address = segment.data_address + PUBLISHED_SEQUENCE
        self.generation_address = segment.data_address + CORE_GENERATION
        self.ready_address = segment.data_address + CORE_READY
        self.told_address = segment.data_address + TOLD

    def told(self, producer: int) -> int:
        """The last command of which a session of this producer was told."""
        return load_word(self.told_address + 8 * producer)

    @classmethod
    def attach_or_create(cls, instance: str, owner: int | None = None) -> "StatusTable":
        """The table a dead owner left, or a new one."""
        return cls(Segment.attach_or_create(instance, KIND, DATA_SIZE, False, owner))

    @classmethod
    def open(cls, instance: str, writable: bool = True) -> "StatusTable":
        """The table of a running instance. Raises SegmentMissing."""
        return cls(Segment.open(instance, KIND, writable))

    def find(self, name: str) -> StatusRow | None:
        """The row of a process, or None if it never had one."""
        wanted = name.encode()
        for number in range(ROWS_MAX):
            if bytes(self.rows[number]["name"]) == wanted:
                return StatusRow(self, number)
        return None

    def row(self, name: str) -> StatusRow:
        """The row of a process, made if there is none: for whoever must be able to wake it.

        Raises StatusFull.
        """
        if not 0 < len(name.encode()) <= 16:
            raise ValueError(f"a process name has 1 to 16 bytes: {name!r}")
        with open(self.segment.path, "rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            row = self.find(name)
            if row is None:
                free = np.flatnonzero(self.rows["name"] == b"")
                if len(free) == 0:
                    raise StatusFull(f"the status table has no room for {name}: rows={ROWS_MAX}")
                self.rows[free[0]]["name"] = name.encode()
                row = StatusRow(self, int(free[0]))
            return row

    def take(self, name: str) -> StatusRow:
        """The row of this process, marked with its pid and start time; its position is kept."""
        row = self.row(name)
        fields = row.fields
        fields["pid"] = os.getpid()
        fields["start"] = process_start(os.getpid())
        fields["generation"] += 1
        store_word(row.asleep_address, 0)
        row.beat()
        row.state = State.STARTING
        return row

    def named(self) -> list[StatusRow]:
        """The rows in use, in the order in which they were first taken."""
        return [StatusRow(self, n) for n in range(ROWS_MAX) if self.rows[n]["name"] != b""]

    def close(self) -> None:
        """Unmap; rows and addresses are invalid from here on."""
        self.rows = None
        self.segment.close()
