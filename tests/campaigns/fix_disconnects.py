"""Cut QuickFIX's connections at random bytes, a thousand times; no session may lose its place.

    python -m tests.campaigns.fix_disconnects --count 1000

QuickFIX (C++, the `quickfix` package) trades with the real exchange, several sessions at once, each
through a proxy that passes a random number of bytes in either direction and then cuts, now with a
reset and now with a plain end, in the middle of a message as often as not. Neither side ever starts
its numbers again. At the end every order sent was reported new exactly once and is cancelled
exactly once, every execution came once, no message was rejected, nobody was told that a number is
too low, and both sides agree on the next numbers. Prints the seed and what was counted; exit code 0
only if all held.
"""

import argparse
import asyncio
import contextlib
import socket
import struct
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

from gateway.fix.times import time_text
from tests.gateway.fix.counterparty import Counterparty, connected, field
from tests.gateway.fix.exchange import SESSION, VENUE, running

SESSIONS_MAX = 10
MEAN_BYTES = 1500  # that pass before a cut
PAUSE_SECONDS = 0.02  # between the orders of a session
PATIENCE = 60.0
SYMBOL, PRICE, QUANTITY = "BTC-USDC", "1000", "0.001"


class Cutter:
    """A proxy on a thread of its own: cuts each connection after so many bytes, while it may.

    lost: always by a reset. An orderly end would tell the exchange that all it sent was read.
    """

    def __init__(
        self, target: tuple[str, int], random: Random, mean_bytes: int = MEAN_BYTES,
        lost: bool = False,
    ) -> None:
        self._lost = lost
        self.cuts = 0
        self.cutting = True
        self.port = 0
        self._target, self._random, self._mean_bytes = target, random, mean_bytes
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._run(),))
        self._thread.start()
        assert self._ready.wait(PATIENCE)

    async def _run(self) -> None:
        self._stop = asyncio.Event()
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stop.wait()
        server.close()
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()
        await asyncio.sleep(0.05)  # for their connections to be closed

    def stop(self) -> None:
        """End it."""
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(PATIENCE)
        self._loop.close()

    async def _serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        try:
            far_reader, far_writer = await asyncio.open_connection(*self._target)
        except OSError:
            writer.transport.abort()
            return
        first = self._random.random() < 0.5
        budget = int(self._random.expovariate(1 / self._mean_bytes))
        budgets = (budget, 1 << 60) if first else (1 << 60, budget)
        both = [asyncio.ensure_future(self._pass(reader, far_writer, budgets[0])),
                asyncio.ensure_future(self._pass(far_reader, writer, budgets[1]))]
        hard = self._random.random() < 0.5
        with contextlib.suppress(asyncio.CancelledError):  # By `stop`.
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        for task in both:
            task.cancel()
        for end in (writer, far_writer):
            if self._lost and not end.transport.is_closing():
                with contextlib.suppress(OSError):  # It is gone already.
                    end.get_extra_info("socket").setsockopt(
                        socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            if hard or self._lost:
                end.transport.abort()
            else:
                end.close()

    async def _pass(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, budget: int
    ) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65536):
                if self.cutting and len(data) >= budget:
                    writer.write(data[:budget])
                    await writer.drain()
                    self.cuts += 1
                    return
                budget -= len(data)
                writer.write(data)
                await writer.drain()


class Party:
    """One session: orders all the time, and what became of them."""

    def __init__(self, name: str, application: Counterparty) -> None:
        self.name, self.application = name, application
        self.sent = 0
        self.stopping = threading.Event()
        self._thread = threading.Thread(target=self._trade)
        self._thread.start()

    def _trade(self) -> None:
        while not self.stopping.is_set():
            if self.application.session is not None:
                self.sent += 1
                stamp = time_text(time.time_ns())
                self.application.send(
                    "D", f"11={self.name}-{self.sent}|55={SYMBOL}|54=1|38={QUANTITY}|40=2"
                         f"|44={PRICE}|59=3|60={stamp}")
            time.sleep(PAUSE_SECONDS)

    def stop(self) -> None:
        """No more orders."""
        self.stopping.set()
        self._thread.join(PATIENCE)

    def wrong(self) -> str:
        """What did not hold, once all is quiet; empty if all did."""
        end = time.monotonic() + PATIENCE
        reports = self._reports()
        while len(reports) < 2 * self.sent and time.monotonic() < end:
            time.sleep(0.1)
            reports = self._reports()
        kinds = Counter((field(r, 11), field(r, 150)) for r in reports)
        wanted = Counter((f"{self.name}-{n}", kind)
                         for n in range(1, self.sent + 1) for kind in "04")
        if kinds != wanted:
            odd = [(k, kinds[k], wanted[k]) for k in kinds | wanted if kinds[k] != wanted[k]]
            return f"{self.name}: reports (id, kind), found, wanted: {odd[:5]} of {len(odd)}"
        executions = Counter(field(r, 17) for r in reports)
        if len(executions) != len(reports):
            return f"{self.name}: an execution was told twice"
        rejected = [m for m in self.application.admin if field(m, 35) == "3"]
        low = [m for m in self.application.admin if "too low" in m]
        resets = [m for m in self.application.admin[2:] if field(m, 141) == "Y"]
        for what, found in (("rejects", rejected), ("too low", low), ("resets", resets)):
            if found:
                return f"{self.name}: {what}: {found[0]}"
        return ""

    def _reports(self) -> list[str]:
        return [m for m in list(self.application.received) if field(m, 35) == "8"]


def campaign(address: tuple[str, int], folder: Path, names: list[str], count: int,
             seed: int) -> tuple[str, dict[str, Any]]:
    """So many cuts over these sessions; what was wrong (empty: nothing), and figures."""
    cutters, parties = [], []
    with contextlib.ExitStack() as stack:
        for place, name in enumerate(names):
            cutter = Cutter(address, Random(f"{seed} {place}"))
            cutters.append(cutter)
            stack.callback(cutter.stop)
            own = folder / name
            own.mkdir()
            application = stack.enter_context(connected(
                cutter.port, own, name, more="ResetOnLogon=N\nReconnectInterval=1"))
            parties.append(Party(name, application))
            stack.callback(parties[-1].stop)
        began = time.monotonic()
        while sum(cutter.cuts for cutter in cutters) < count:
            if time.monotonic() - began > PATIENCE + 6 * count:
                return "the cuts ceased: somebody does not come back", {}
            time.sleep(0.1)
        for cutter in cutters:
            cutter.cutting = False
        seconds = time.monotonic() - began
        for party in parties:
            party.stop()
        wrong = ""
        for party in parties:
            party.application.wait_until(True, PATIENCE)
            wrong = wrong or party.wrong()
    return wrong, {
        "cuts": sum(cutter.cuts for cutter in cutters), "seconds": round(seconds, 1),
        "orders": sum(party.sent for party in parties),
        "resends": sum(field(m, 35) == "2" for party in parties for m in party.application.admin)}


def venue(names: list[str]) -> str:
    """A venue with these sessions."""
    return VENUE + "".join(
        SESSION.format(number=number, name=name, owner="desk-north", more="")
        for number, name in enumerate(names, 1))


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--sessions", type=int, default=SESSIONS_MAX)
    parser.add_argument("--seed", type=int, default=time.time_ns() & 0xFFFF_FFFF)
    chosen = parser.parse_args()
    names = [f"CUT{number}" for number in range(chosen.sessions)]
    with tempfile.TemporaryDirectory() as path:
        folder = Path(path)
        with running(folder, f"cut-{chosen.seed:x}", venue(names)) as exchange:
            wrong, figures = campaign(
                exchange.address("fix"), folder, names, chosen.count, chosen.seed)
    sys.stdout.write(f"seed {chosen.seed}: {figures}: {wrong or 'all held'}\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
