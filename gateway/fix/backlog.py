"""What a drop-copy session missed while it was away: reports found in the archive, copied late.

    … ER ER 502→ER ER … closed … ER ER ER … opened … ER ER │ listens
                      └──────────── copied now, in slices ─┘

Where the copies ended stands in the stream itself: a number taken for a copy names the report's
position, which is far behind if copying was cut short. So it makes no difference which gateway
copied last, or how it ended.
"""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from core.errors import EventsLost
from core.jit import jit
from gateway.fix.records import EVENT_BODY_AT
from gateway.fix.references import COPY, KIND_SHIFT, numbers_kind
from sbe.generated import control
from sbe.generated import order_entry as oe
from sbe.raw import load_i32, load_i64, load_u32, store_i64

if TYPE_CHECKING:
    from gateway.fix.gateway import FixGateway

SLICE_BYTES = 4 << 20
ROOM = 1 << 16  # reports in a slice
AT_ONCE = 256  # numbers taken in one step
PAUSE_SECONDS = 0.001


@jit
def find_missed(
    a: int, length: int, position: int, session: int, owner: int, out: int, room: int
) -> int:
    """Reports of an owner in `length` bytes of the stream; how many bytes were dealt with.

    a: address of the bytes, position: theirs in the stream. out: how many reports, the newest
    report that was copied to the session (0: none here), then room for so many positions.
    """
    at = 0
    while at + 32 <= length:
        frame = a + at
        size = load_i32(frame)
        if size < 32 or at + size > length:
            break
        template = oe.header_template(frame + 16)
        kind = oe.execution_report_exec_type(frame + EVENT_BODY_AT)
        status = kind == oe.EXEC_TYPE_ORDER_STATUS  # an answer to whoever asked
        report = template == oe.EXECUTION_REPORT_TEMPLATE and not status
        of_owner = frame + EVENT_BODY_AT + oe.EXECUTION_REPORT_OWNER_OFFSET
        if report and load_u32(of_owner) == owner:
            count = load_i64(out)
            if count >= room:
                break
            store_i64(out + 16 + 8 * count, position + at)
            store_i64(out, count + 1)
        numbered = template == control.SESSION_NUMBERS_ASSIGNED_TEMPLATE
        if numbered and load_i32(frame + 4) == session and numbers_kind(frame) == COPY:
            reference = control.session_numbers_assigned_reference(frame + EVENT_BODY_AT)
            store_i64(out + 8, reference & ((1 << KIND_SHIFT) - 1))
        at += size
    return at


class Backlog:
    """One session's; `copy` takes a number for a report, `listen` is called when all are copied."""

    def __init__(
        self, gateway: "FixGateway", session: int, owner: int, begin: int, opened: int,
        copy: Callable[[int], None], listen: Callable[[], None],
    ) -> None:
        """begin: a position before the session's last number. opened: where it was opened."""
        self._gateway, self._session, self._owner = gateway, session, owner
        self._position, self._opened, self._begin = begin, opened, begin
        self._copy, self._listen = copy, listen
        self._missed: list[int] = []
        self._out = np.zeros(ROOM + 2, np.int64)
        self.stopped = False

    def go_on(self) -> None:
        """The next slice, or the next numbers; others get their turn in between."""
        if self.stopped:
            return
        if self._missed and self._position >= self._opened:
            now, self._missed = self._missed[:AT_ONCE], self._missed[AT_ONCE:]
            for position in now:
                self._copy(position)
            self._gateway.ring_core()
        elif self._position >= self._gateway.position or not self._read():
            if not self._missed:
                self._listen()
                return
            self._opened = self._position
        asyncio.get_running_loop().call_later(PAUSE_SECONDS, self.go_on)

    def _read(self) -> bool:
        """Look through a slice; False if there is none."""
        room = min(SLICE_BYTES, self._gateway.position - self._position)
        try:
            data = self._gateway.read(self._position, room)
        except EventsLost:
            return False
        if not data:
            return False
        self._out[:2] = 0
        array = np.frombuffer(data, np.uint8)
        used = int(find_missed(
            int(array.ctypes.data), len(data), self._position, self._session, self._owner,
            int(self._out.ctypes.data), ROOM))
        self._position += used
        copied = int(self._out[1])
        self._missed += self._out[2 : 2 + int(self._out[0])].tolist()
        if copied:
            self._missed = [position for position in self._missed if position > copied]
        if 0 < copied < self._begin:  # The last one was cut short: it goes on where that ended.
            self._begin = self._position = copied
            self._missed = []
        return used > 0
