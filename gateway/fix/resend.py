"""Answers a ResendRequest from the event stream, in slices, so that nobody else has to wait."""

import asyncio
import ctypes
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

import numpy as np

from core.errors import EventsLost
from core.messages import decode_body
from gateway.fix import replay as kernel
from gateway.fix.actions import Replay
from gateway.fix.records import EVENT_BODY_AT
from gateway.fix.replay import STATE_WORDS, finish_replay, open_gap
from gateway.fix.report import REPORT_BYTES_MAX, put_gap
from gateway.fix.tables import Connection, Context
from sbe.generated import control

if TYPE_CHECKING:
    from gateway.fix.client import Client
    from gateway.fix.gateway import FixGateway

WAITING_MAX = 1 << 18  # bytes a client has not taken before its resend goes on
PAUSE_SECONDS = 0.001  # between two slices
READ_BYTES = 1 << 20
OUT_BYTES = 1 << 18
SLICE_BYTES = 4 << 20  # of the stream, in one step
UNDER_WAY_MAX = 1000  # requests of a client that were not answered to the end


class Stream(Protocol):
    """The event stream from any position."""

    def read(self, position: int, limit: int) -> bytes:
        """Bytes from a position on."""


def locate(context: Context, session: int, number: int, begin: int) -> int | None:
    """A position at or before the session's event `number`; `begin` if the index starts later.

    None if the session has no numbered events at all since its numbers began again.
    """
    rows = context.index[: int(context.fields["index_count"])]
    mine = rows[rows[:, 0] == session]
    resets = np.flatnonzero(mine[:, 1] == 0)
    if len(resets):
        mine = mine[resets[-1] + 1 :]
    if not len(mine):
        return None
    before = mine[mine[:, 1] <= number]
    position = int(before[-1, 2]) if len(before) else int(mine[0, 2])
    return max(position, begin)


class Resend:
    """One request being answered; `step` until it gives True.

    render: makes the message of an event Python must put into words, given its bytes, its number,
    the time and its position; None for a gap. out: room to write a slice to, which all share.
    """

    def __init__(
        self, stream: Stream, record: Connection, context: Context, position: int | None,
        limit: int, session: int, begin: int, end: int,
        render: Callable[[bytes, int, int, int], bytes | None],
        out: "np.ndarray[tuple[int], np.dtype[np.uint8]]",
    ) -> None:
        self._stream, self._record, self._context = stream, record, context
        self._position, self._limit = position, limit
        self._render = render
        self._state = np.zeros(STATE_WORDS, np.int64)
        self._state[0], self._state[1], self._state[2] = session, begin, end
        self._out = out

    @property
    def _address(self) -> int:
        return int(self._state.ctypes.data)

    @property
    def done(self) -> bool:
        """Whether all was sent."""
        return bool(self._state[6])

    def step(self, now: int) -> bytes:
        """Go on for a slice; what to send."""
        self._state[5] = 0
        pieces: list[bytes] = []
        budget = SLICE_BYTES
        while not self.done and budget > 0 and sum(map(len, pieces)) < OUT_BYTES:
            data = self._read()
            if not data:
                finish_replay(
                    self._address, self._record.address, int(self._out.ctypes.data), now)
                self._take(pieces)
                break
            used = self._walk(data, now)
            self._take(pieces)
            if not self.done and used + EVENT_BODY_AT + 16 <= len(data):
                used += self._one_by_python(data, used, now, pieces)
            if used == 0 and not self.done:
                break
            self._position = (self._position or 0) + used
            budget -= used
        return b"".join(pieces)

    def _read(self) -> bytes:
        if self._position is None or self._position >= self._limit:
            return b""
        try:
            return self._stream.read(
                self._position, min(READ_BYTES, self._limit - self._position))
        except EventsLost:
            return b""

    def _walk(self, data: bytes, now: int) -> int:
        array = np.frombuffer(data, np.uint8)
        return int(kernel.replay(
            self._address, self._record.address, self._context.address, int(array.ctypes.data),
            len(data), int(self._out.ctypes.data), OUT_BYTES, now))

    def _take(self, pieces: list[bytes]) -> None:
        written = int(self._state[5])
        if written:
            pieces.append(self._out[:written].tobytes())
            self._state[5] = 0

    def _one_by_python(self, data: bytes, at: int, now: int, pieces: list[bytes]) -> int:
        """Deal with the event the kernel stopped at; its length, 0 if it isn't whole."""
        size = int.from_bytes(data[at : at + 4], "little")
        if at + size > len(data):
            return 0
        if int.from_bytes(data[at + 4 : at + 8], "little") != int(self._state[0]):
            return 0  # It stopped for want of room.
        frame = data[at : at + size]
        number = int.from_bytes(frame[32:36], "little")
        template = int.from_bytes(frame[18:20], "little")
        time = int.from_bytes(frame[24:32], "little")
        last = number
        if template == control.SESSION_NUMBERS_ASSIGNED_TEMPLATE:
            fields = decode_body(template, frame[EVENT_BODY_AT:])
            last += fields["count"] - 1
        position = (self._position or 0) + at
        for one in range(max(number, int(self._state[1])), min(last, int(self._state[2])) + 1):
            again = self._render(frame, one, now, position)
            self._one(again, one, time, now, pieces)
            self._state[1] = one + 1
        if last >= int(self._state[2]):
            finish_replay(self._address, self._record.address, int(self._out.ctypes.data), now)
            self._take(pieces)
        return size

    def _one(
        self, again: bytes | None, number: int, time: int, now: int, pieces: list[bytes]
    ) -> None:
        if again is None:
            open_gap(self._address, time)
            return
        kernel.close_gap(
            self._address, self._record.address, int(self._out.ctypes.data), number, now)
        self._take(pieces)
        pieces.append(again)


def gap_message(record: Connection, number: int, time: int) -> bytes:
    """A SequenceReset-GapFill over one number, for an event that FIX has no message for."""
    out = ctypes.create_string_buffer(REPORT_BYTES_MAX)
    length = int(put_gap(ctypes.addressof(out), record.address, number, number + 1, time, 0))
    return out.raw[:length]


class Resends:
    """The requests of all sessions, a slice of each in turn."""

    def __init__(self, gateway: "FixGateway") -> None:
        self._gateway = gateway
        self._out = np.zeros(OUT_BYTES, np.uint8)

    def start(self, client: "Client", action: Replay) -> None:
        """Answer a request, behind those of the client that are under way."""
        gateway, session = self._gateway, client.session
        if len(client.resends) >= UNDER_WAY_MAX:
            session.say_goodbye(
                f"more than {UNDER_WAY_MAX} ResendRequests and their answers unread",
                gateway.now())
            gateway.carry_out(client)
            return
        position = locate(gateway.context, session.id, action.begin, gateway.begin)
        client.resends.append(Resend(
            gateway, client.record, gateway.context, position, gateway.position, session.id,
            action.begin, action.end,
            lambda frame, number, now, at: gateway.word(client, frame, number, now, at),
            self._out))
        session.receipts.resending = True
        if not client.resending:
            self._go_on(client)

    def _go_on(self, client: "Client") -> None:
        """The next slice of a client's resends, if it reads; others get their turn in between."""
        client.resending = False
        if not client.resends or not client.is_open:
            return
        if client.waiting < WAITING_MAX:
            now = time.time_ns()
            data = client.resends[0].step(now)
            if data:
                client.write(data)
                client.session.wrote(now)
            if client.resends[0].done:
                client.resends.pop(0)
                client.session.receipts.resending = bool(client.resends)
        if client.resends:
            client.resending = True
            asyncio.get_running_loop().call_later(PAUSE_SECONDS, self._go_on, client)
