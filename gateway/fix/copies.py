"""Reports that go out a second time under a number of their own: drop copies and possible resends.

The number is taken with a reference that says which event it is for (gateway/fix/replay.py), so a
copy is as recoverable as an original: any gateway finds the event behind the number and writes the
same message again.

    drop copy     each report of the owner's orders, to the owner's drop-copy sessions
    again         97=Y: reports that fell between a disconnect and a Logon that set numbers back,
                  and the answer to an order marked PossResend that is known already
    capture       each trade of an account, to the sessions that subscribed by AD
    balance       money that came or went, to the sessions that subscribed by BB
"""

from typing import TYPE_CHECKING, Any

import numpy as np

from core.errors import EventsLost
from core.jit import jit
from core.messages import decode_body
from gateway.fix.message import Message, parse
from gateway.fix.replay import AGAIN, CAPTURE, COPY
from gateway.fix.report import POSSIBLE_RESEND
from gateway.fix.resend import copy_reference, locate
from gateway.fix.trades import trade_fields
from sbe.generated import order_entry as oe
from sbe.raw import load_i32, load_i64, store_i64

if TYPE_CHECKING:
    from gateway.fix.gateway import FixGateway
    from gateway.fix.session import Session

READ_BYTES = 1 << 20
FOUND_MAX = 1024
EVENT_HEADER = 24
_CLIENT_ID = oe.EXECUTION_REPORT_CL_ORD_ID_OFFSET


@jit
def find_reports(
    a: int, length: int, position: int, session: int, order: int, out: int, room: int
) -> int:
    """Positions of a session's reports (of one ClOrdID if `order` isn't 0), the newest last.

    out: room for that many words after one that holds their count; the oldest give way. Answers
    how many bytes are whole frames.
    """
    at = 0
    while at + 32 <= length:
        size = load_i32(a + at)
        if size < 32 or at + size > length:
            break
        frame = a + at
        wanted = load_i32(frame + 4) == session
        wanted &= oe.header_template(frame + 16) == oe.EXECUTION_REPORT_TEMPLATE
        if wanted and (order == 0 or load_i64(frame + EVENT_HEADER + _CLIENT_ID) == order):
            count = load_i64(out)
            store_i64(out + 8 + 8 * (count % room), position + at)
            store_i64(out, count + 1)
        at += size
    return at


class Copies:
    """See the module; one for the gateway."""

    def __init__(self, gateway: "FixGateway") -> None:
        self._gateway = gateway
        self._closed: dict[int, int] = {}  # session: position of its last SessionClosed
        self._listeners: dict[int, list[int]] = {}  # owner: drop-copy sessions

    def refresh(self) -> None:
        """Sessions came or went: who wants copies?"""
        listeners: dict[int, list[int]] = {}
        gateway = self._gateway
        for number, entry in gateway.profiles.by_number.items():
            known = gateway.reference.sessions.get(number)
            if entry.drop_copy and known is not None and gateway.client_of(number) is not None:
                listeners.setdefault(known.owner, []).append(number)
        self._listeners = listeners
        gateway.watch()

    @property
    def listening(self) -> bool:
        """Whether a drop-copy session is there."""
        return bool(self._listeners)

    def report(self, frame: bytes, position: int) -> None:
        """A report of anybody: copy it to the drop-copy sessions of its owner."""
        at = EVENT_HEADER + oe.EXECUTION_REPORT_OWNER_OFFSET
        owner = int.from_bytes(frame[at : at + 4], "little")
        for session in self._listeners.get(owner, ()):
            self._take_number(session, COPY, position)
        for reader in self._gateway.trades.report(frame):
            self._take_number(reader.id, CAPTURE, position)

    def balance(self, frame: bytes, position: int) -> None:
        """Money came, went or was moved: tell those who watch the account."""
        at = EVENT_HEADER + oe.BALANCE_UPDATE_ACCOUNT_OFFSET
        account = int.from_bytes(frame[at : at + 4], "little")
        for reader in self._gateway.balances.watchers(account):
            self._take_number(reader.id, COPY, position)

    def again(self, session: int, positions: list[int]) -> None:
        """Send reports again under new numbers, marked as possible resends."""
        for position in positions:
            self._take_number(session, AGAIN, position)

    def _take_number(self, session: int, kind: int, position: int) -> None:
        fields = {"count": 1, "reference": copy_reference(kind, position), "text": ""}
        self._gateway.command("SessionNumbers", fields, session)

    def session_closed(self, fields: dict[str, Any], position: int) -> None:
        """A session was left: what comes for it from here on is not delivered."""
        self._closed[fields["session"]] = position

    def redeliver(self, session: int, position: int, start: int | None = None) -> None:
        """A Logon set the numbers back: reports nobody received come again.

        Those are the ones since the session was left, or since `start`.
        """
        start = self._closed.get(session) if start is None else start
        if start is not None:
            self.again(session, self._find(session, 0, start, position))

    def find_report(self, session: int, order: int) -> int | None:
        """Position of the newest report of an order of the session, by its 64-bit id."""
        gateway = self._gateway
        start = locate(gateway.context, session, 1, gateway.begin)
        if start is None:
            return None
        signed = order - (1 << 64) if order >= 1 << 63 else order
        found = self._find(session, signed, start, gateway.position)
        return found[-1] if found else None

    def reports(self, session: "Session", position: int) -> list[Message]:
        """The session's newest reports from a position on, oldest first, as it was sent them."""
        found = self._find(session.id, 0, position, self._gateway.position)
        texts = (self.message(session, COPY, at, 0, 0) for at in found)
        return [parse(text) for text in texts if text is not None]

    def _find(self, session: int, order: int, start: int, end: int) -> list[int]:
        out = np.zeros(FOUND_MAX + 1, np.int64)
        position = start
        while position < end:
            try:
                data = self._gateway.read(position, min(READ_BYTES, end - position))
            except EventsLost:
                break
            array = np.frombuffer(data, np.uint8)
            used = int(find_reports(
                int(array.ctypes.data) if len(data) else 0, len(data), position, session, order,
                int(out.ctypes.data), FOUND_MAX))
            if used == 0:
                break
            position += used
        count = int(out[0])
        return sorted(out[1 : 1 + min(count, FOUND_MAX)].tolist())

    def message(
        self, session: "Session", kind: int, position: int, number: int, again: int
    ) -> bytes | None:
        """The copy of the event at a position, for a session; None if it is gone."""
        try:
            head = self._gateway.read(position, 32)
            size = int.from_bytes(head[:4], "little")
            frame = self._gateway.read(position, size)
        except EventsLost:
            return None
        if len(frame) < size or size < 32:
            return None
        if kind == CAPTURE:
            trade = "AE", trade_fields(frame, self._gateway.reference, [])
            return session.spell(trade, number, _time(frame), again)
        if int.from_bytes(frame[18:20], "little") == oe.BALANCE_UPDATE_TEMPLATE:
            fields = decode_body(oe.BALANCE_UPDATE_TEMPLATE, frame[EVENT_HEADER:])
            told = self._gateway.accounts.balance(session.id, fields)
            return None if told is None else session.spell(told, number, _time(frame), again)
        mark = again or (POSSIBLE_RESEND if kind == AGAIN else 0)
        return self._gateway.report(session.connection, frame, number, mark)


def _time(frame: bytes) -> int:
    """The transactTime of an event."""
    return int.from_bytes(frame[EVENT_HEADER : EVENT_HEADER + 8], "little")
