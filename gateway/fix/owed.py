"""What sessions are owed when their numbers begin again: reports that they may not have.

    … 8 8 8 8 8 closed … 8 … opened, numbers from 1 │ 8 8 8 …
          └ unproven ┘  └ away                       └ told again, 97=Y, under new numbers

A client that ended in order has probably read what it never said it has: that comes a while after
the Logon, when there is time for it. What is surely or probably unread comes at once.

They are found in the archive and numbered in slices, so that nobody waits for a long search or for
a client that reads slowly. A connection that ends meanwhile leaves the rest to the next one. What
was told again stands in the stream itself, so a gateway that is started anew goes on where the one
before was ended: what it finds unproven it tells unless that was told again since.
"""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from core.errors import EventsLost
from core.jit import jit
from gateway.fix.records import EVENT_BODY_AT
from gateway.fix.references import AGAIN, KIND_SHIFT, numbers_kind
from gateway.fix.resend import WAITING_MAX, locate
from gateway.fix.search import FRAME_BYTES_MAX, Searches, is_of_own_order, stretches
from sbe.generated import control
from sbe.raw import load_i32, load_i64, load_u32, store_i64

if TYPE_CHECKING:
    from gateway.fix.client import Client
    from gateway.fix.gateway import FixGateway
    from gateway.fix.logon import Entry

SLICE_BYTES = 1 << 20
ROOM = 1 << 13  # reports in a slice
AT_ONCE = 64  # numbers taken in one step
ASK_BEHIND = 100  # so many told again are asked about at once, lest they come a third time
OLD_MAX = 10_000  # stretches remembered of the time before this gateway
REPORTS, TOLD_AGAIN = 1, 2


class Lost(NamedTuple):
    """Reports that a client may not have: those between two positions, numbered above one."""

    start: int
    end: int
    above: int
    away: bool = False  # they came while nobody was there
    old: bool = False  # from before this gateway: some may have been told again since
    later: bool = False  # they have probably been read


@jit
def find_reports(
    a: int, length: int, stop: int, position: int, session: int, above: int, kinds: int,
    out: int, room: int,
) -> int:
    """Reports a session was told, in frames that begin before `stop`; the bytes dealt with.

    a: address of the bytes, position: theirs in the stream. above: only those with a higher number.
    kinds: REPORTS, or TOLD_AGAIN for those told again (97=Y), which are found by the number taken
    for that; or both. out: their count, then for each where it is, and where it was told; room: so
    many. It stops when that is used up.
    """
    at = 0
    while at < stop and at + 32 <= length:
        size = load_i32(a + at)
        if size < 32 or at + size > length:
            break
        frame = a + at
        place = -1
        if load_i32(frame + 4) == session and load_u32(frame + EVENT_BODY_AT + 8) > above:
            if kinds & REPORTS and is_of_own_order(frame):
                place = position + at
            template = control.header_template(frame + 16)
            numbers = template == control.SESSION_NUMBERS_ASSIGNED_TEMPLATE
            if numbers and kinds & TOLD_AGAIN and numbers_kind(frame) == AGAIN:
                reference = control.session_numbers_assigned_reference(frame + EVENT_BODY_AT)
                place = reference & ((1 << KIND_SHIFT) - 1)
        if place >= 0:
            count = load_i64(out)
            if count >= room:
                break
            store_i64(out + 8 + 16 * count, place)
            store_i64(out + 16 + 16 * count, position + at)
            store_i64(out, count + 1)
        at += size
    return at


class Finder:
    """A session's reports between two positions, a slice at a time, the oldest stretch first."""

    def __init__(
        self, gateway: "FixGateway", session: int, start: int, end: int, above: int, kinds: int,
    ) -> None:
        self._gateway, self._session, self._above, self._kinds = gateway, session, above, kinds
        self._stretches = stretches(gateway.context, session, start, end)
        self._out = np.zeros(1 + 2 * ROOM, np.int64)

    @property
    def done(self) -> bool:
        """Whether all was looked through."""
        return not self._stretches

    def step(self) -> list[tuple[int, int]]:
        """Look through a slice: where reports are, and where they were told."""
        begin, stop = self._stretches.pop()
        length = min(SLICE_BYTES, stop - begin)
        try:
            data = self._gateway.read(begin, length + FRAME_BYTES_MAX)
        except EventsLost:
            return []
        self._out[0] = 0
        array = np.frombuffer(data, np.uint8)
        used = int(find_reports(
            int(array.ctypes.data) if len(data) else 0, len(data), length, begin, self._session,
            self._above, self._kinds, int(self._out.ctypes.data), ROOM))
        if used and begin + used < stop:
            self._stretches.append((begin + used, stop))
        pairs = self._out[1 : 1 + 2 * int(self._out[0])].reshape(-1, 2)
        return [(place, told) for place, told in pairs.tolist()]


class Telling:
    """One session's reports being told again; `step` takes a turn until it gives False.

    take: takes a number for the report at a position.
    """

    def __init__(
        self, gateway: "FixGateway", session: int, take: Callable[[int], None]
    ) -> None:
        self._gateway, self._session, self._take = gateway, session, take
        self.owed: list[Lost] = []
        self.running = False
        self.client: Client | None = None
        self.due = 0.0  # when what is for later is told, in the time of the event loop
        self._begun: Lost | None = None
        self._finder: Finder | None = None
        self._since: Finder | None = None  # looks for what was told again since old times
        self._again: dict[int, int] = {}  # that: where a report is, where it was told last
        self._again_known = False
        self._found: list[int] = []
        self._told = 0  # since the last TestRequest behind them

    def step(self) -> bool:
        """The next slice, or the next numbers; False at the end, or if the client is gone."""
        client = self.client
        if client is None or not client.is_open:
            self.running = False
        elif client.session.live and client.waiting < WAITING_MAX:
            self.running = self._go_on()
        return self.running

    def _go_on(self) -> bool:
        if self._found:
            for position in self._found[:AT_ONCE]:
                self._take(position)
            self._told += len(self._found[:AT_ONCE])
            del self._found[:AT_ONCE]
            self._gateway.ring_core()
        elif (lost := self.next) is None:
            self._end()
            return False
        elif lost.old and not self._again_known:
            self._look_at_what_was_told()
        else:
            self._look(lost)
        return True

    def _end(self) -> None:
        self._again, self._again_known = {}, False
        client = self.client
        if self._told >= ASK_BEHIND and client is not None:
            self._told = 0
            client.session.ask_for_a_receipt(self._gateway.now())
            self._gateway.carry_out(client)

    def forget_within(self, lost: Lost) -> None:
        """All of these numbers is about to be owed: no need for what is within them as well."""
        if lost.above == 0:
            self.owed = [
                one for one in self.owed if one.end <= lost.start or one is self._begun]

    @property
    def is_due(self) -> bool:
        """Whether there is something to do now."""
        return bool(self._found) or self.next is not None

    @property
    def next(self) -> Lost | None:
        """What it is time for; one that was begun is ended first."""
        if self._begun is not None:
            return self._begun
        now = asyncio.get_running_loop().time()
        return next((lost for lost in self.owed if not lost.later or now >= self.due), None)

    def _look_at_what_was_told(self) -> None:
        """Before anything of old times: what was told again since, by whichever gateway."""
        if self._since is None:
            self._since = Finder(
                self._gateway, self._session, min(lost.end for lost in self.owed),
                self._gateway.position, 0, TOLD_AGAIN)
        if not self._since.done:
            self._again.update(self._since.step())
        if self._since.done:
            self._since, self._again_known = None, True

    def _look(self, lost: Lost) -> None:
        """The next slice of what is owed."""
        self._begun = lost
        if self._finder is None:
            self._finder = Finder(
                self._gateway, self._session, lost.start, lost.end, lost.above,
                REPORTS | TOLD_AGAIN)
        if not self._finder.done:
            again = self._again if lost.old else {}
            self._found = sorted({
                place for place, _ in self._finder.step() if again.get(place, -1) < lost.end})
        if self._finder.done:
            self.owed.remove(lost)
            self._begun = self._finder = None


class Owed:
    """See the module; one for the gateway. `take` takes a number for a report of a session."""

    def __init__(
        self, gateway: "FixGateway", searches: Searches, later_seconds: float,
        take: Callable[[int, int], None],
    ) -> None:
        self._gateway, self._searches, self._take = gateway, searches, take
        self.live = False  # all that was before the gateway's start was walked
        self._later_seconds = later_seconds
        # By session: where its numbers began, and which of them the client has; where it was last
        # left, if nobody is there; what it may not have of these numbers.
        self._begun: dict[int, int] = {}
        self._proved: dict[int, int] = {}
        self._left: dict[int, int] = {}
        self._lost: dict[int, Lost] = {}
        self._tellings: dict[int, Telling] = {}

    def opened(
        self, fields: dict[str, Any], position: int, entry: "Entry | None", reset_from: int,
        proved: int,
    ) -> None:
        """A session was opened, or its numbers were set: if they begin, what was lost comes again.

        entry: the Logon that asked for it if its connection is ours. reset_from: where it asked
        within a session; proved: what the client was known to have then.
        """
        session = fields["session"]
        if fields["nextOutbound"] == 1:
            self._begin_again(session, position, reset_from, proved)
        else:
            self._lost.pop(session, None)
        if fields["connection" if "connection" in fields else "reference"]:
            self._left.pop(session, None)
        if entry is None:
            return
        telling = self._telling(session)
        if not entry.misses_what_was_lost:
            telling.owed = [lost for lost in telling.owed if lost.away]
        loop = asyncio.get_running_loop()
        telling.client = self._gateway.client_of(session)
        telling.due = loop.time() + self._later_seconds
        self._begin(telling)
        if any(lost.later for lost in telling.owed):
            loop.call_at(telling.due + 0.001, self._begin, telling)

    def _begin(self, telling: Telling) -> None:
        if telling.is_due and not telling.running:
            telling.running = True
            self._searches.begin(telling)

    def _begin_again(self, session: int, position: int, reset_from: int, proved: int) -> None:
        """Numbers are over: what they did not bring comes again, as soon as somebody is there."""
        lost, left = self._lost.pop(session, None), self._left.get(session)
        if left is None and session in self._begun:  # in the middle of a session
            had = max(proved, self._proved.get(session, 0))
            lost = Lost(self._begun[session], position, had, later=True)
        if lost is not None:
            self._telling(session).forget_within(lost)
        self._begun[session], self._proved[session] = position, 0
        away = left or reset_from
        ranges = [lost] if lost else []
        ranges += [Lost(away, position, 0, away=True)] if away else []
        if left is not None:
            self._left[session] = position
        if ranges:
            self._owe(session, ranges)

    def logon_numbered(self, fields: dict[str, Any], position: int) -> None:
        """A Logon of ours that began the numbers isn't the first of them: what is won't be missed.

        QuickFIX takes a Logon with 141=Y for number 1 whatever it bears, and asks from there on.
        """
        session = fields["session"]
        self._owe(session, [Lost(self._begun[session], position, 0, away=True)])
        if self.live:
            self._begin(self._telling(session))

    def _owe(self, session: int, ranges: list[Lost]) -> None:
        telling = self._telling(session)
        telling.owed += [lost._replace(old=not self.live) for lost in ranges]
        if not self.live:
            del telling.owed[:-OLD_MAX]

    def _telling(self, session: int) -> Telling:
        if session not in self._tellings:
            self._tellings[session] = Telling(
                self._gateway, session, lambda at: self._take(session, at))
        return self._tellings[session]

    def closed(self, fields: dict[str, Any], position: int) -> None:
        """A session was left: what comes for it from here on is not delivered."""
        session, begun = fields["session"], self._begun.get(fields["session"], 0)
        proved = max(fields["acknowledged"], self._proved.get(session, 0))
        self._proved[session] = proved
        found = locate(self._gateway.context, session, proved + 1, self._gateway.begin)
        start = found if found is not None and begun <= found <= position else begun
        self._left[session] = position
        self._lost[session] = Lost(start, position, proved, later=bool(fields["logout"]))
