"""A day of desks on QuickFIX, compressed: logons, trades, drops, resends, resets, the day's change.

    python -m tests.campaigns.fix_day --seconds 600
    python -m tests.campaigns.fix_day --hours 8 --seed 7

Six sessions of two owners trade with each other through QuickFIX (C++, the `quickfix` package, with
our dictionary and validation on), each behind a proxy that loses its connection at random bytes.
Two go on with their numbers all day (one of them FIX 4.4, one FIXT.1.1), two begin a new day in the
middle of the run, two set their numbers back at every logon. They order, replace, cancel, cancel
all, ask for instruments, positions, collateral, market data, previews and trades, request resends
of anything, and skip numbers. Gateway and core are killed. Each owner has a drop-copy session.

At the end what each desk was told is held to the exchange: its open orders and positions, summed up
from its reports, are those that the exchange tells; both sides have the same next numbers; every
report in the archive has come to the session and to the drop copy, none twice without being marked
a possible resend; nothing was rejected by either side, nobody was told that a number is too low,
and every session still answers. Prints progress and what was counted; exit code 0 only if all held.
"""

import argparse
import contextlib
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

from gateway.fix.times import DAY, SECOND, clock_text
from sbe.generated import order_entry as oe
from tests.campaigns.fix_day_desk import Desk
from tests.campaigns.fix_disconnects import Cutter
from tests.campaigns.verdict import Archive, consistent, first_few
from tests.gateway.fix.counterparty import Counterparty, connected, field
from tests.gateway.fix.exchange import SESSION, VENUE, running
from tools.supervisor.exchange import Exchange

PATIENCE = 60.0
START_SECONDS = 4  # until the exchange is there, if nothing is to be compiled
REPEAT_SECONDS = 4.0  # after a logon, until what was probably read comes again
AFTER_SECONDS = 3  # the day's change at least
SHORTEST = 15
CHANGE, KILLS = 0.6, ((0.2, "core"), (0.35, "fix"), (0.8, "core"), (0.9, "fix"))  # of the run
SAY_SECONDS = 10.0
MEAN_BYTES = 20_000  # that pass before a cut
NORTH, SOUTH = "desk-north", "desk-south"
# Name, owner, version, and whether it has days (D), resets (R) or goes on (C).
PARTIES = (
    ("NC", NORTH, "FIX.4.4", "C"), ("ND", NORTH, "FIX.4.4", "D"), ("NR", NORTH, "FIX.4.4", "R"),
    ("SC", SOUTH, "FIXT.1.1", "C"), ("SD", SOUTH, "FIXT.1.1", "D"), ("SR", SOUTH, "FIX.4.4", "R"))
COPIES = (("NCOPY", NORTH), ("SCOPY", SOUTH))
Say = Callable[[str], None]


def venue(day_ends: str) -> str:
    """A venue with these sessions; the day of those that have one ends at HH:MM:SS."""
    sessions = [(name, owner, f'reset_time = "{day_ends}"' if kind == "D" else "")
                for name, owner, _, kind in PARTIES]
    sessions += [(name, owner, "drop_copy = true") for name, owner in COPIES]
    return VENUE + f"repeat_seconds = {REPEAT_SECONDS}\n" + "".join(
        SESSION.format(number=number, name=name, owner=owner, more=more)
        for number, (name, owner, more) in enumerate(sessions, 1))


class CompressedDay:
    """One run; `run` gives what did not hold."""

    def __init__(self, folder: Path, seconds: float, seed: int, say: Say) -> None:
        self._folder, self._seconds, self._seed, self._say = folder, seconds, seed, say
        self._change = 0  # ns UTC of the day's change
        self.desks: list[Desk] = []
        self.copies: dict[str, Counterparty] = {}
        self._cutters: list[Cutter] = []
        self._faults: list[str] = []

    def run(self) -> list[str]:
        """Start an exchange with a day that ends in the middle of the run, and judge."""
        name = f"day-{self._seed:x}"
        left = START_SECONDS
        while not self._change:
            ends = int(time.time() + left + CHANGE * self._seconds) * SECOND
            with running(self._folder, name, venue(clock_text(ends, 0))) as exchange:
                if ends - time.time_ns() > CHANGE / 2 * self._seconds * SECOND:
                    self._change = ends
                    self._day(exchange)
                else:
                    self._say("it took too long to start, as with compiling it does; once more")
                    left *= 2
        return [*self._faults, *self.held_to_the_archive()]

    def _day(self, exchange: Exchange) -> None:
        with contextlib.ExitStack() as stack:
            self._connect(exchange, stack)
            self._trouble(exchange)
            for cutter in self._cutters:
                cutter.cutting = False
            for desk in self.desks:
                desk.stop()
            try:
                for desk in self.desks:
                    desk.application.wait_until(True, PATIENCE)
            except AssertionError as error:
                self._faults.append(f"somebody does not come back: {error}")
                return
            time.sleep(REPEAT_SECONDS + AFTER_SECONDS)
            self._faults += self.held_to_the_exchange()
            self._count()

    def _connect(self, exchange: Exchange, stack: contextlib.ExitStack) -> None:
        address = exchange.address("fix")
        change, before = (clock_text(self._change - back, 0) for back in (0, SECOND))
        more = {"C": "ResetOnLogon=N", "R": "ResetOnLogon=Y",
                "D": f"ResetOnLogon=N\nStartTime={change}\nEndTime={before}"}

        def connect(port: int, name: str, begin: str, kind: str) -> Counterparty:
            own = self._folder / name
            own.mkdir()
            return stack.enter_context(connected(port, own, name, begin, more[kind]))

        for name, owner in COPIES:
            self.copies[owner] = connect(address[1], name, "FIX.4.4", "C")
            self.copies[owner].wait_until(True, PATIENCE)
        for place, (name, owner, begin, kind) in enumerate(PARTIES):
            cutter = Cutter(
                address, Random(f"{self._seed} {place}"), MEAN_BYTES, lost=kind != "C")
            self._cutters.append(cutter)
            stack.callback(cutter.stop)
            application = connect(cutter.port, name, begin, kind)
            self.desks.append(Desk(
                name, owner, kind, application, Random(f"{self._seed} desk {place}")))
            stack.callback(self.desks[-1].stop)

    def _trouble(self, exchange: Exchange) -> None:
        """Time passes, connections are cut by themselves, processes are killed."""
        began = said = time.monotonic()
        kills = list(KILLS)
        while time.monotonic() < began + self._seconds or (
                time.time_ns() < self._change + AFTER_SECONDS * SECOND):
            passed = time.monotonic() - began
            if kills and passed > kills[0][0] * self._seconds:
                name = kills.pop(0)[1]
                exchange.wait_running(name, other_than=exchange.kill(name), seconds=PATIENCE)
                self._say(f"{passed:6.0f} s   {name} was killed and is back")
            if time.monotonic() - said > SAY_SECONDS:
                said = time.monotonic()
                self._count()
            time.sleep(0.05)

    def _count(self) -> None:
        """Say what happened so far."""
        admin = [m for desk in self.desks for m in desk.application.admin]
        told = Counter(field(m, 35) for desk in self.desks for m in desk.application.received)
        seen = Counter((m[0], field(m, 35)) for m in admin)
        fills = sum(field(m, 150) == "F" for c in self.copies.values() for m in c.received)
        again = sum(field(m, 97) == "Y" for desk in self.desks for m in desk.application.received)
        cuts = sum(cutter.cuts for cutter in self._cutters)
        self._say(
            f"{sum(desk.sent for desk in self.desks):,} messages, {fills:,} fills, {cuts} cuts, "
            f"{seen['<', 'A']} logons, resends asked for: {seen['>', '2']} by desks, "
            f"{seen['<', '2']} by the exchange, {again} possible resends, "
            f"told {dict(sorted(told.items()))}")

    # ---- the verdict ---------------------------------------------------------------------------

    def held_to_the_exchange(self) -> Iterator[str]:
        """What the desks know, and what the exchange says to the same question."""
        for desk in self.desks:
            yield from desk.settled()
        for desk in self.desks:
            yield from desk.faults()
        for owner in (NORTH, SOUTH):
            mine = [desk for desk in self.desks if desk.owner == owner]
            open_orders = [order for desk in mine for order in desk.open_orders()]
            yield from mine[0].told_otherwise(
                sorted(open_orders), self.copies[owner].received)
        for desk in self.desks:
            yield from desk.left()

    def held_to_the_archive(self) -> Iterator[str]:
        """Every report reached who it was for; numbers agree; the archive agrees with itself."""
        archive = Archive(self._folder / "data")
        yield from first_few(consistent(archive))
        reports = [r for r in archive.reports if r["execType"] != oe.EXEC_TYPE_ORDER_STATUS]
        for number, desk in enumerate(self.desks, 1):
            told = {str(r["execId"]) for r in reports if r["session"] == number}
            yield from _same(desk.name, told, set(desk.reports()))
            if desk.kind == "D" and not archive.beginnings[number]:
                yield f"{desk.name}: no new day"
            mine, theirs = desk.numbers(self._folder / desk.name), archive.next_numbers[number]
            if mine != theirs:
                yield f"{desk.name}: its next numbers are {mine}, the exchange's {theirs}"
        for (name, owner), place in zip(COPIES, (0, 3), strict=True):
            sessions = {place + 1, place + 2, place + 3}
            told = {str(r["execId"]) for r in reports if r["session"] in sessions}
            copied = {field(m, 17) for m in self.copies[owner].received
                      if field(m, 35) == "8" and field(m, 150) != "I" and field(m, 37) != "NONE"}
            yield from _same(name, told, copied)
        fills = sum(r["execType"] == oe.EXEC_TYPE_TRADE for r in reports)
        if not fills:
            yield "nobody traded"
        self._say(f"{len(reports):,} reports in the archive, {fills // 2:,} trades")


def _same(name: str, told: set[str], heard: set[str]) -> Iterator[str]:
    if told - heard:
        lost = sorted(told - heard, key=int)
        yield f"{name}: {len(lost)} of {len(told)} reports never came: {lost[:5]}"
    if heard - told:
        more = sorted(heard - told)
        yield f"{name}: {len(more)} reports aren't in the archive: {more[:5]}"


def main() -> int:
    """The command line; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--seconds", type=float, default=120.0)
    length.add_argument("--hours", type=float)
    parser.add_argument("--seed", type=int, default=time.time_ns() & 0xFFFF_FFFF)
    chosen = parser.parse_args()
    seconds = chosen.seconds if chosen.hours is None else chosen.hours * 3600
    if not SHORTEST <= seconds < DAY / SECOND:
        parser.error(f"a run takes {SHORTEST} seconds to less than a day")
    print(f"seed {chosen.seed}", flush=True)
    with tempfile.TemporaryDirectory() as path:
        day = CompressedDay(
            Path(path), seconds, chosen.seed, lambda line: print(line, flush=True))
        faults = day.run()
    for fault in faults:
        print(f"FAULT: {fault}")
    print("it did not hold" if faults else "everything held")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
