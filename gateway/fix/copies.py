"""Reports that go out a second time under a number of their own: drop copies and possible resends.

The number is taken with a reference that says which event it is for (gateway/fix/replay.py), so a
copy is as recoverable as an original: any gateway finds the event behind the number and writes the
same message again.

    drop copy     each report of the owner's orders, to the owner's drop-copy sessions
    again         97=Y: reports from before a Logon that set numbers back, which the client may
                  not have; and the answer to an order marked PossResend that is known already
    capture       each trade of an account, to the sessions that subscribed by AD
    balance       money that came or went, to the sessions that subscribed by BB
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from core.errors import EventsLost
from core.jit import jit
from core.messages import decode_body
from gateway.fix.backlog import Backlog
from gateway.fix.message import Message, parse
from gateway.fix.replay import AGAIN, CAPTURE, COPY, KIND_SHIFT, numbers_kind
from gateway.fix.report import POSSIBLE_RESEND
from gateway.fix.resend import copy_reference, locate
from gateway.fix.search import (
    FRAME_BYTES_MAX,
    Backward,
    Forward,
    Searches,
    stretches,
)
from gateway.fix.trades import trade_fields
from sbe.generated import control
from sbe.generated import order_entry as oe
from sbe.raw import load_i32, load_i64, load_u32, store_i64

if TYPE_CHECKING:
    from gateway.fix.client import Client
    from gateway.fix.gateway import FixGateway
    from gateway.fix.logon import Entry
    from gateway.fix.session import Session

FOUND_MAX = 4096
EVENT_HEADER = 24


class Lost(NamedTuple):
    """Reports that a client may not have: those between two positions, numbered above one."""

    start: int
    end: int
    above: int
    away: bool = False  # they came while nobody was there


@jit
def find_reports(
    a: int, length: int, stop: int, position: int, session: int, above: int, out: int, room: int
) -> int:
    """Positions of reports a session was told, in frames that begin before `stop`, newest last.

    One that was told again (97=Y) is found by the number taken for that, too. above: only those
    with a higher number. out: room for that many words after one that holds
    their count; the oldest give way. Answers how many bytes were dealt with.
    """
    at = 0
    while at < stop and at + 32 <= length:
        size = load_i32(a + at)
        if size < 32 or at + size > length:
            break
        frame = a + at
        place = -1
        if load_i32(frame + 4) == session and load_u32(frame + EVENT_HEADER + 8) > above:
            template = oe.header_template(frame + 16)
            if template == oe.EXECUTION_REPORT_TEMPLATE:
                place = position + at
            numbers = template == control.SESSION_NUMBERS_ASSIGNED_TEMPLATE
            if numbers and numbers_kind(frame) == AGAIN:
                reference = control.session_numbers_assigned_reference(frame + EVENT_HEADER)
                place = reference & ((1 << KIND_SHIFT) - 1)
        if place >= 0:
            count = load_i64(out)
            store_i64(out + 8 + 8 * (count % room), place)
            store_i64(out, count + 1)
        at += size
    return at


class Copies:
    """See the module; one for the gateway."""

    def __init__(self, gateway: "FixGateway") -> None:
        self._gateway = gateway
        # By session: where its numbers began, and which of them the client has; where it was last
        # left; what it may not have of these numbers, and of those before.
        self._begun: dict[int, int] = {}
        self._proved: dict[int, int] = {}
        self._closed: dict[int, int] = {}
        self._lost: dict[int, Lost] = {}
        self._owed: dict[int, list[Lost]] = {}
        self.live = False  # all that was before the gateway's start was walked
        self._listeners: dict[int, list[int]] = {}  # owner: drop-copy sessions
        self._listening: set[int] = set()  # of these those that have all there was before
        self._behind: dict[int, Backlog] = {}
        self._searches = Searches()

    def refresh(self) -> None:
        """Sessions came or went: who wants copies?"""
        listeners: dict[int, list[int]] = {}
        gateway = self._gateway
        for number in gateway.profiles.by_number:
            known = gateway.reference.sessions.get(number)
            if gateway.client_of(number) is None:
                self._listening.discard(number)
                if number in self._behind:
                    self._behind.pop(number).stopped = True
            elif number in self._listening and known is not None:
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

    def session_opened(
        self, fields: dict[str, Any], position: int, entry: "Entry | None", reset_from: int
    ) -> None:
        """A session was opened, or its numbers were set: if they begin, what was lost comes again.

        entry: the Logon that asked for it if its connection is ours. reset_from: where it asked
        within a session; the connection stood, so nothing before is lost.
        """
        session = fields["session"]
        if entry is not None and entry.session.drop_copy and session not in self._listening:
            self._catch_up(session, fields["nextOutbound"] - 1, position)
        if fields["nextOutbound"] != 1:
            self._lost.pop(session, None)
        else:
            self._begun[session], self._proved[session] = position, 0
            self._owe(session, reset_from or self._closed.get(session), position)
            if fields["nextInbound"] != 1:
                return
        if entry is not None:
            positions: set[int] = set()
            for lost in self._owed.pop(session, []):
                if lost.away or entry.misses_what_was_lost:
                    positions.update(self._find(session, lost.start, lost.end, lost.above))
            self.again(session, sorted(positions)[-FOUND_MAX:])

    def _owe(self, session: int, left: int | None, position: int) -> None:
        """Numbers are over: what they did not bring comes again, as soon as somebody is there.

        left: where the session was left or the reset asked for. What was before the gateway was
        started, the one before has told again, or it is found by the numbers it took for that.
        """
        lost = self._lost.pop(session, None)
        if self.live and left is not None:
            owed = self._owed.setdefault(session, [])
            if lost is not None:
                owed.append(lost)
            owed.append(Lost(left, position, 0, away=True))

    def _catch_up(self, session: int, last: int, position: int) -> None:
        """A drop-copy session logged on: what it missed is copied first, if its numbers go on.

        last: its last number.
        """

        def listen() -> None:
            self._behind.pop(session, None)
            self._listening.add(session)
            self.refresh()

        gateway = self._gateway
        begin = locate(gateway.context, session, last, gateway.begin) if last else None
        known = gateway.reference.sessions.get(session)
        if begin is None or known is None:
            listen()
            return
        self._behind[session] = Backlog(
            gateway, session, known.owner, begin, position,
            lambda at: self._take_number(session, COPY, at), listen)
        self._behind[session].go_on()

    def session_closed(self, fields: dict[str, Any], position: int) -> None:
        """A session was left: what comes for it from here on is not delivered."""
        session, begun = fields["session"], self._begun.get(fields["session"], 0)
        last = fields["nextOutbound"] - 1
        told = last if fields["logout"] else fields["acknowledged"]
        proved = self._proved[session] = max(told, self._proved.get(session, 0))
        found = locate(self._gateway.context, session, proved + 1, self._gateway.begin)
        start = found if found is not None and begun <= found <= position else begun
        self._closed[session] = position
        self._lost[session] = Lost(start, position, proved)

    def reports(self, session: "Session", start: int, end: int) -> list[Message]:
        """The session's newest reports between two positions, oldest first, as it was told them."""
        found = (self.report_at(session, at) for at in self._find(session.id, start, end))
        return [report for report in found if report is not None]

    def report_at(self, session: "Session", position: int) -> Message | None:
        """The report at a position as the session was told it; None at 0 or if it is gone."""
        text = self.message(session, COPY, position, 0, 0) if position else None
        return None if text is None else parse(text)

    def look_for(
        self, session: "Session", begin: int, orders: list[int],
        found: Callable[[list[int]], None],
    ) -> None:
        """Find the newest reports of orders of the session (64-bit ids) behind a position."""
        self._searches.begin(Forward(
            self._gateway, session.id, max(begin, self._gateway.begin), orders, found))

    def look(self, client: "Client", orders: tuple[int, ...]) -> None:
        """Find the newest reports of orders that may have been entered at any time."""
        gateway = self._gateway

        def found(known: dict[int, int]) -> None:
            client.session.looked(known, gateway.now())
            gateway.carry_out(client)
            client.go_on()

        self._searches.begin(Backward(gateway, client, orders, found))

    def _find(self, session: int, start: int, end: int, above: int = 0) -> list[int]:
        """Positions of a session's newest reports between two, the oldest first."""
        found: list[int] = []
        out = np.zeros(FOUND_MAX + 1, np.int64)
        for begin, stop in stretches(self._gateway.context, session, start, end):
            try:
                data = self._gateway.read(begin, stop - begin + FRAME_BYTES_MAX)
            except EventsLost:
                break
            out[0] = 0
            array = np.frombuffer(data, np.uint8)
            find_reports(
                int(array.ctypes.data) if len(data) else 0, len(data), stop - begin, begin,
                session, above, int(out.ctypes.data), FOUND_MAX)
            found += out[1 : 1 + min(int(out[0]), FOUND_MAX)].tolist()
            if len(found) >= FOUND_MAX:
                break
        return sorted(found)[-FOUND_MAX:]

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
