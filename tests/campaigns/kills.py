"""Kill processes of the real exchange at random under load; nothing acknowledged may change.

    python -m tests.campaigns.kills --kills 100 --seed 7 --policy async

Two binary market makers and a FIX desk trade on six instruments with each other. At random moments
a random process gets SIGKILL, sometimes a second one before the first is back. Clients go on with
their sessions and ask for what they missed. At the end everything that they were ever told is held
to the event archive, the archive to the state, the state to a replay of the journal (`verdict.py`).
Prints a line for each kill and a verdict. Exit code 0 only if all held.
"""

import argparse
import asyncio
import contextlib
import sys
import tempfile
import time
import uuid
from collections.abc import Awaitable, Callable
from pathlib import Path
from random import Random

from core import memory
from core.config import Limits
from core.link import EventFollower
from core.memory import Segment
from core.recovery import digest_of, state_bytes
from core.state import state_dtype
from core.status import StatusTable
from sbe.generated import order_entry as oe
from tests.campaigns.parties import BinaryParty, FixParty, Party
from tests.campaigns.verdict import (
    Archive,
    balanced,
    consistent,
    first_few,
    reconciled,
    replayed,
    told,
)
from tools.supervisor.exchange import Exchange, ExchangeError

TARGETS = (
    "journal", "core", "fix", "binary", "settlement", "lending", "oracle", "reserves", "follower",
)
CONFIG = """
[exchange]
snapshot_seconds = 10
[fix]
port = 0
[binary]
port = 0
[feed]
enabled = false
[settlement]
period_seconds = 1.0
[lending]
period_seconds = 1.0
"""
BACK_SECONDS = 90.0
QUIET_SECONDS = 30.0
SECOND_KILL = 0.25  # how often another process dies before the first is back


class Campaign:
    """One exchange, its parties, and the trouble they are in. `venue` is the configuration."""

    def __init__(
        self, directory: Path, *, seed: int, policy: str, rate: float, say: Callable[[str], None],
        venue: str = CONFIG,
    ) -> None:
        self.random = Random(seed)
        self.policy = policy
        self.say = say
        self.log = directory / "log.jsonl"
        self.data = directory / "data"
        self.instance = f"kills-{uuid.uuid4().hex[:8]}"
        config = directory / "venue.toml"
        config.write_text(venue)
        self.limits = Limits()
        self.exchange = Exchange(
            ["--config", str(config), "--instance", self.instance, "--data", str(self.data),
             "--policy", policy],
            log=self.log,
        )
        self.rate = rate
        self.parties: list[Party] = []
        self.faults: list[str] = []
        self._digest: tuple[int, str] = (0, "")
        self._until = 0

    # ---- while it runs -------------------------------------------------------------------------

    def run(self, trouble: Callable[[], Awaitable[None]]) -> list[str]:
        """The whole campaign, `trouble` in the middle of the load; what did not hold."""
        self.exchange.start(sys.stderr)
        try:
            for name in TARGETS:
                self.exchange.wait_running(name, seconds=BACK_SECONDS)
            asyncio.run(self._trade(trouble))
            code = self.exchange.stop()
            if code != 0:
                self.faults.append(f"it stopped with exit code {code}")
        except (ExchangeError, TimeoutError) as error:
            self.faults.append(str(error))
            self.exchange.stop()
        finally:
            self.exchange.close()
        left = memory.segments(self.instance)
        if left:
            self.faults.append(f"left in shared memory: {left}")
            memory.unlink_all(self.instance)
        return self.faults + self._judge()

    async def kills(self, kills: int, spread: float) -> None:
        """Trouble: so many processes die, up to `spread` seconds apart."""
        done = 0
        while done < kills:
            done += await self._kill(done + 1, kills - done)
            await asyncio.sleep(self.random.uniform(0.0, spread))

    async def _trade(self, trouble: Callable[[], Awaitable[None]]) -> None:
        self.parties = self._make_parties()
        tasks = [asyncio.create_task(party.run()) for party in self.parties]
        for party in self.parties:
            await asyncio.wait_for(party.began.wait(), BACK_SECONDS)
        await asyncio.sleep(1.0)
        await trouble()
        for task in tasks:
            if task.done():
                task.result()
        await self._quiet()
        for party in self.parties:
            party.over = True
            await party.leave()
        await asyncio.gather(*tasks)

    def _make_parties(self) -> list[Party]:
        binary, fix = self.exchange.address("binary"), self.exchange.address("fix")
        randoms = [Random(self.random.random()) for _ in range(3)]
        public = ": for trying out only"
        return [
            BinaryParty("maker-one", 101, 102, "maker-one" + public, binary, randoms[0],
                        self.rate, oe.CANCEL_ON_DISCONNECT_SESSION),
            BinaryParty("maker-two", 102, 103, "maker-two" + public, binary, randoms[1],
                        self.rate, oe.CANCEL_ON_DISCONNECT_NONE),
            FixParty("DESK-NORTH", 1, "desk-north" + public, fix, randoms[2], self.rate / 4),
        ]

    async def _kill(self, number: int, left: int) -> int:
        """Kill one process, perhaps another on top of it, and wait for both; how many died."""
        names = [self.random.choice(TARGETS)]
        if left > 1 and self.random.random() < SECOND_KILL:
            names.append(self.random.choice([name for name in TARGETS if name not in names]))
        pause = self.random.uniform(0.0, 1.0)
        begin = time.monotonic()
        killed: dict[str, int] = {}
        for name in names:
            if killed:
                await asyncio.sleep(pause)
            killed[name] = self.exchange.kill(name)
        for name, pid in killed.items():
            await asyncio.to_thread(
                self.exchange.wait_running, name, other_than=pid, seconds=BACK_SECONDS
            )
        back = time.monotonic() - begin
        sent = sum(len(party.sent) for party in self.parties)
        heard = sum(party.last_number for party in self.parties)
        status = StatusTable.open(self.instance, writable=False)
        sequence = status.published_sequence
        status.close()
        self.say(f"{number:4} {' + '.join(names):24} back in {back:5.2f} s   command {sequence:,}, "
                 f"{sent:,} orders sent, {heard:,} events received")
        return len(names)

    async def _quiet(self) -> None:
        """Let everybody hear the rest, and look at the state that came out of it all."""
        for party in self.parties:
            party.trading = False
        follower = EventFollower(self.instance, self.data)
        due: dict[int, int] = {}
        for event in follower:
            number = int.from_bytes(event.body[8:12], "little")
            if event.session and number:
                due[event.session] = number
        self._until = follower.position
        follower.close()
        deadline = time.monotonic() + QUIET_SECONDS
        while any(p.last_number < due.get(p.session, 0) for p in self.parties):
            if time.monotonic() > deadline:
                break  # The verdict says who is missing what.
            await asyncio.sleep(0.05)
        self._digest = await asyncio.to_thread(self._look)

    def _look(self) -> tuple[int, str]:
        """A command's number and the digest of the live core's state behind it."""
        segment = Segment.open(self.instance, "state", writable=False)
        live = segment.array(state_dtype(self.limits), 1)
        try:
            deadline = time.monotonic() + QUIET_SECONDS
            while time.monotonic() < deadline:
                copy = live.copy()
                time.sleep(0.01)
                if state_bytes(live) == state_bytes(copy):
                    return int(copy["sequence"][0]), digest_of(copy)
            raise TimeoutError("the core never stood still for a look at its state")
        finally:
            del live
            with contextlib.suppress(BufferError):
                segment.close()

    # ---- afterwards ----------------------------------------------------------------------------

    def _judge(self) -> list[str]:
        archive = Archive(self.data)
        sequence, digest = self._digest
        replica, faults = replayed(self.data, self.limits, sequence, digest)
        for party in self.parties:
            faults += first_few(told(archive, party, self._until))
        faults += first_few(consistent(archive))
        faults += first_few(balanced(archive, replica.record))
        faults += first_few(reconciled(self.data, self.log))
        trades = sum(r["execType"] == oe.EXEC_TYPE_TRADE for r in archive.reports) // 2
        self.say(f"{replica.sequence:,} commands replayed, state {digest} at {sequence:,}; "
                 f"{archive.events:,} events, {trades:,} trades")
        for party in self.parties:
            self.say(f"{party.name}: {party.connections} connections, {len(party.sent):,} orders, "
                     f"{len(party.refused):,} refused, {party.last_number:,} events, "
                     "each held to the archive")
        replica.close()
        return faults


def main() -> int:
    """The command line; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=time.time_ns() % 10**6)
    parser.add_argument("--policy", choices=("async", "fsync"), default="async")
    parser.add_argument("--rate", type=float, default=120.0, help="messages a second and maker")
    parser.add_argument("--spread", type=float, default=1.0, help="seconds between kills, at most")
    parser.add_argument("--keep", type=Path, help="a directory for data and log, kept afterwards")
    given = parser.parse_args()
    print(f"seed {given.seed}, policy {given.policy}, {given.kills} kills", flush=True)
    with tempfile.TemporaryDirectory() as passing:
        directory = given.keep or Path(passing)
        directory.mkdir(parents=True, exist_ok=True)
        campaign = Campaign(
            directory, seed=given.seed, policy=given.policy, rate=given.rate,
            say=lambda line: print(line, flush=True),
        )
        faults = campaign.run(lambda: campaign.kills(given.kills, given.spread))
    for fault in faults:
        print(f"FAULT: {fault}")
    print("it did not hold" if faults else "everything held")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
