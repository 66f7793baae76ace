"""A day of desks on QuickFIX, compressed: logons, trades, drops, resends, resets, the day's change.

    python -m tests.campaigns.fix_day --seconds 300
    python -m tests.campaigns.fix_day --hours 8

Six sessions of two owners trade with each other through QuickFIX (C++, the `quickfix` package, with
our dictionary and validation on), each behind a proxy that loses its connection at random bytes.
Two go on with their numbers all day (one of them FIX 4.4, one FIXT.1.1), two begin a new day in the
middle of the run, two set their numbers back at every logon. They order, replace, cancel, cancel
all, and ask for instruments, positions, collateral, market data and trades. The gateway is killed
once. Each owner has a drop-copy session which nobody disturbs.

At the end every report the drop copy heard of a session's orders has come to that session, none
under two numbers but marked as a possible resend, nothing was rejected by either side, nobody was
told that a number is too low, and all sessions still answer. Prints what was counted, and exits
with 0 only if all held.
"""

import argparse
import contextlib
import json
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

from gateway.fix.times import DAY, SECOND, clock_text, time_text
from tests.campaigns.fix_disconnects import Cutter
from tests.gateway.fix.counterparty import Counterparty, connected, field
from tests.gateway.fix.exchange import SESSION, VENUE, running
from tools.supervisor.exchange import Exchange

PATIENCE = 60.0
PAUSE_SECONDS = 0.02
SYMBOL, MIDDLE, QUANTITY = "BTC-USDC", 1000, "0.0001"
CHANGE, KILL = 0.6, 0.35  # of the run: when the day changes, when the gateway is killed
MEAN_BYTES = 20_000  # that pass before a cut
NORTH, SOUTH = "desk-north", "desk-south"
# Name, owner, version, and whether it has days (D), resets (R) or goes on (C).
PARTIES = (
    ("NC", NORTH, "FIX.4.4", "C"), ("ND", NORTH, "FIX.4.4", "D"), ("NR", NORTH, "FIX.4.4", "R"),
    ("SC", SOUTH, "FIXT.1.1", "C"), ("SD", SOUTH, "FIXT.1.1", "D"), ("SR", SOUTH, "FIX.4.4", "R"))
COPIES = (("NCOPY", NORTH), ("SCOPY", SOUTH))
QUESTIONS = (
    ("x", "320={id}|559=4"), ("e", "324={id}|263=0|55=BTC-USDC"), ("g", "335={id}|263=0"),
    ("AN", "710={id}|724=0|1={owner}|60={now}"), ("BB", "909={id}"),
    ("V", "262={id}|263=0|264=5|267=2|269=0|269=1|146=1|55=BTC-USDC"),
    ("AF", "584={id}|585=7"), ("U1", "21037={id}|55=BTC-USDC|54=1|38=0.0001|40=2|44=1000|60={now}"))


class Desk:
    """One session that does what a desk does, at random."""

    def __init__(
        self, name: str, owner: str, kind: str, application: Counterparty, random: Random
    ) -> None:
        self.name, self.owner, self.kind, self.application = name, owner, kind, application
        self.sent = self.asked = 0
        self._random = random
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._trade)
        self._thread.start()

    def stop(self) -> None:
        """Nothing more is sent."""
        self._stopping.set()
        self._thread.join(PATIENCE)

    def _trade(self) -> None:
        while not self._stopping.is_set():
            if self.application.up.is_set():
                self.act()
            time.sleep(PAUSE_SECONDS)

    def act(self) -> None:
        """Send one thing."""
        self.sent += 1
        identity, stamp, choice = f"{self.name}-{self.sent}", time_text(time.time_ns()), \
            self._random.random()
        side = self._random.choice((1, 2))
        order = f"55={SYMBOL}|54={side}|60={stamp}"
        known = f"{self.name}-{self._random.randint(max(1, self.sent - 20), self.sent)}"
        if choice < 0.6:
            price = MIDDLE + self._random.randint(-2, 2)
            terms = self._random.choice((1, 1, 3))
            self.application.send(
                "D", f"11={identity}|{order}|38={QUANTITY}|40=2|44={price}|59={terms}")
        elif choice < 0.75:
            self.application.send("F", f"11={identity}|41={known}|{order}")
        elif choice < 0.85:
            self.application.send(
                "G", f"11={identity}|41={known}|{order}|38={QUANTITY}|40=2|44={MIDDLE}")
        elif choice < 0.9:
            self.application.send("q", f"11={identity}|530=6|60={stamp}")
        else:
            self.asked += 1
            kind, text = self._random.choice(QUESTIONS)
            self.application.send(
                kind, text.format(id=identity, now=stamp, owner=self.owner))

    def reports(self) -> dict[str, list[str]]:
        """What was told of own orders, by ExecID (17); answers to questions left out."""
        told: dict[str, list[str]] = {}
        for message in list(self.application.received):
            if field(message, 35) == "8" and field(message, 150) != "I":
                told.setdefault(field(message, 17), []).append(message)
        return told

    def wrong(self, copied: set[str]) -> str:
        """What did not hold, given the ExecIDs of the drop copy; empty if all did."""
        end = time.monotonic() + PATIENCE
        while copied - self.reports().keys() and time.monotonic() < end:
            time.sleep(0.1)
        reports, admin = self.reports(), list(self.application.admin)
        missing = sorted(copied - reports.keys())
        if missing:
            return f"{self.name}: {len(missing)} of {len(copied)} reports never came: {missing[:5]}"
        twice = [told[1] for told in reports.values()
                 if sum(field(m, 97) != "Y" for m in told) > 1]
        resets = [m for m in admin if m.startswith("<") and field(m, 141) == "Y"]
        found = {
            "told twice": twice, "rejected": [m for m in admin if field(m, 35) == "3"],
            "too low": [m for m in admin if "too low" in m],
            "reset": [] if self.kind == "R" else resets,
            "not understood": [m for m in self.application.received if field(m, 35) == "j"]}
        return next((f"{self.name}: {what}: {ms[0]}" for what, ms in found.items() if ms), "")


def venue(day_ends: str) -> str:
    """A venue with these sessions; the day of those that have one ends at HH:MM:SS."""
    sessions = [(name, owner, f'reset_time = "{day_ends}"' if kind == "D" else "")
                for name, owner, _, kind in PARTIES]
    sessions += [(name, owner, "drop_copy = true") for name, owner in COPIES]
    return VENUE + "".join(
        SESSION.format(number=number, name=name, owner=owner, more=more)
        for number, (name, owner, more) in enumerate(sessions, 1))


def compressed_day(
    exchange: Exchange, config: Path, seconds: float, seed: int
) -> tuple[str, dict[str, Any]]:
    """The whole day on a running exchange; what was wrong (empty: nothing), and figures."""
    change = time.time_ns() + int(CHANGE * seconds * SECOND)
    ends, before = clock_text(change, 0), clock_text(change - SECOND, 0)
    config.write_text(venue(ends))
    exchange.wait_running("fix", other_than=exchange.kill("fix"))  # It reads when its days end.
    address, folder = exchange.address("fix"), config.parent
    more = {"C": "ResetOnLogon=N", "R": "ResetOnLogon=Y",
            "D": f"ResetOnLogon=N\nStartTime={ends}\nEndTime={before}"}
    desks: list[Desk] = []
    cutters: list[Cutter] = []
    copies: dict[str, Counterparty] = {}
    with contextlib.ExitStack() as stack:

        def connect(port: int, name: str, begin: str, kind: str) -> Counterparty:
            own = folder / name
            own.mkdir()
            return stack.enter_context(connected(
                port, own, name, begin, f"{more[kind]}\nReconnectInterval=1"))

        for name, owner in COPIES:
            copies[owner] = connect(address[1], name, "FIX.4.4", "C")
            copies[owner].wait_until(True, PATIENCE)
        for place, (name, owner, begin, kind) in enumerate(PARTIES):
            cutter = Cutter(
                address, Random(f"{seed} {place}"), MEAN_BYTES, lost=kind != "C")
            cutters.append(cutter)
            stack.callback(cutter.stop)
            application = connect(cutter.port, name, begin, kind)
            desks.append(Desk(name, owner, kind, application, Random(f"{seed} desk {place}")))
            stack.callback(desks[-1].stop)
        began = time.monotonic()
        time.sleep(KILL * seconds)
        exchange.kill("fix")
        while time.monotonic() < began + seconds or time.time_ns() < change + 5 * SECOND:
            time.sleep(0.1)
        for cutter in cutters:
            cutter.cutting = False
        for desk in desks:
            desk.stop()
        for desk in desks:
            desk.application.wait_until(True, PATIENCE)
        wrong = _judge(desks, copies)
    return wrong, _figures(desks, cutters, copies)


def _judge(desks: list[Desk], copies: dict[str, Counterparty]) -> str:
    for desk in desks:  # Each still answers, and nothing is left on the book.
        before = len(desk.application.received)
        desk.application.send("q", f"11=end|530=6|60={time_text(time.time_ns())}")
        end = time.monotonic() + PATIENCE
        while not any(field(m, 11) == "end" and field(m, 35) == "r"
                      for m in list(desk.application.received)[before:]):
            if time.monotonic() > end:
                return f"{desk.name} isn't answered any more"
            time.sleep(0.05)
    time.sleep(1.0)
    for desk in desks:
        copied = {
            field(m, 17) for m in list(copies[desk.owner].received)
            if field(m, 35) == "8" and f"{field(m, 11)}-".startswith(f"{desk.name}-")}
        wrong = desk.wrong(copied)
        if wrong:
            return wrong
    bought, sold = (sum(
        field(m, 150) == "F" and field(m, 54) == side
        for copy in copies.values() for m in copy.received) for side in "12")
    if not bought == sold > 0:
        return f"{bought} fills of buyers, {sold} of sellers"
    days = {desk.name: sum(m.startswith("<") and field(m, 35) == "A" and field(m, 34) == "1"
                           for m in desk.application.admin) for desk in desks}
    unchanged = [desk.name for desk in desks if desk.kind == "D" and days[desk.name] < 2]
    return f"no new day for {unchanged}" if unchanged else ""


def _figures(
    desks: list[Desk], cutters: list[Cutter], copies: dict[str, Counterparty]
) -> dict[str, Any]:
    admin = [m for desk in desks for m in desk.application.admin]
    received = [m for desk in desks for m in desk.application.received]
    return {
        "messages": sum(desk.sent for desk in desks), "received": len(received),
        "cuts": sum(cutter.cuts for cutter in cutters),
        "logons": sum(m.startswith("<") and field(m, 35) == "A" for m in admin),
        "resends": sum(field(m, 35) == "2" for m in admin),
        "resets": sum(m.startswith("<") and field(m, 141) == "Y" for m in admin),
        "possible resends": sum(field(m, 97) == "Y" for m in received),
        "fills": sum(field(m, 150) == "F" for c in copies.values() for m in c.received),
        "kinds": dict(sorted(Counter(field(m, 35) for m in received).items()))}


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--seconds", type=float, default=120.0)
    length.add_argument("--hours", type=float)
    parser.add_argument("--seed", type=int, default=time.time_ns() & 0xFFFF_FFFF)
    chosen = parser.parse_args()
    seconds = chosen.seconds if chosen.hours is None else chosen.hours * 3600
    if not 20 <= seconds < DAY / SECOND:
        parser.error("a run takes 20 seconds to less than a day")
    with tempfile.TemporaryDirectory() as path:
        config = Path(path) / "venue.toml"
        config.write_text(venue(clock_text(time.time_ns() - 3600 * SECOND, 0)))
        name = f"day-{chosen.seed:x}"
        with running(Path(path), name, config.read_text()) as exchange:
            wrong, figures = compressed_day(exchange, config, seconds, chosen.seed)
    sys.stdout.write(f"seed {chosen.seed}: {json.dumps(figures)}: {wrong or 'all held'}\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
