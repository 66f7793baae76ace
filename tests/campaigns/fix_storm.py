"""Crowds at the FIX gateway, rude ones too, and what a desk that trades meanwhile notices of them.

    python -m tests.campaigns.fix_storm --seconds 10 --sessions 500

The real exchange; a probe in a process of its own sends orders at a steady rate and times the first
report of each from the moment it was due. In turn: nobody else; every session logged on at once,
beating; logons and logouts as fast as they come; wrong signatures as fast as they come; clients
that ask for everything again and read nothing; connections that say half a Logon. Prints a row for
each, with what happened and the memory of the gateway. Exit code 0 only if every order of the probe
was answered and the gateway is the same process as before.
"""

import argparse
import asyncio
import contextlib
import json
import multiprocessing
import socket
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, NamedTuple

from gateway.fix.message import frame
from gateway.fix.times import time_text
from tests.gateway.fix.exchange import SESSION, VENUE, running
from tools.supervisor.exchange import Exchange

RATE = 200  # orders a second of the probe
SOCKETS_MAX = 60  # at a time, where they come and go
PROBE = "PROBE"
SIGNED = "SIGNED"
FIRST = 200  # number of the probe's session; below are the default venue's binary ones
Address = tuple[str, int]


def message(sender: str, number: int, kind: str, fields: str) -> bytes:
    """A whole message; `|` between the fields."""
    text = f"35={kind}|34={number}|49={sender}|52={time_text(time.time_ns())}|56=EXEC|{fields}"
    return frame(b"FIX.4.4", text.replace("|", "\x01").encode() + b"\x01")


class Row(NamedTuple):
    """What one phase was like; latencies in microseconds, memory in MiB."""

    phase: str
    done: str
    orders: int
    unanswered: int
    p50: float
    p99: float
    highest: float
    memory: float


# ---- the probe -----------------------------------------------------------------------------------


def probe(address: Address, seconds: float, out: Any) -> None:
    """Orders at a steady rate; puts the latency of each, None where none came, into the queue."""
    link = entered(address)
    due: dict[bytes, float] = {}
    found: list[float] = []
    held, number, began, start = b"", 2, time.monotonic(), time.time_ns()
    count = int(seconds * RATE)
    end = began + seconds + 5
    while (number - 2 < count or due) and time.monotonic() < end:
        now = time.monotonic()
        while number - 2 < count and now >= began + (number - 2) / RATE:
            identity = f"{start}-{number}"
            due[identity.encode()] = began + (number - 2) / RATE
            link.sendall(message(
                PROBE, number, "D", f"11={identity}|55=BTC-USDC|54=1|38=0.001|40=2|44=1000|59=3"
                                    f"|60={time_text(time.time_ns())}"))
            number += 1
        with contextlib.suppress(BlockingIOError):
            held += link.recv(1 << 16)
            now = time.monotonic()
            *whole, held = held.split(b"\x0110=")  # what is held begins with a sum
            for part in whole:
                sent = due.pop(part.partition(b"\x0111=")[2].partition(b"\x01")[0], None)
                if sent is not None:
                    found.append(now - sent)
            continue
        time.sleep(0.0002)
    link.close()
    out.put((count, count - len(found), found))


def entered(address: Address) -> socket.socket:
    """The probe's connection, logged on; the last one's end may not have been noticed yet."""
    for _ in range(100):
        link = socket.create_connection(address)
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        link.sendall(message(PROBE, 1, "A", "98=0|108=30|141=Y"))
        with contextlib.suppress(ConnectionError):
            if link.recv(4096):
                link.setblocking(False)
                return link
        link.close()
        time.sleep(0.1)
    raise ConnectionError("the probe isn't let in")


def timed(exchange: Exchange, phase: str, seconds: float, what: Callable[[], str]) -> Row:
    """Run a phase beside the probe."""
    context = multiprocessing.get_context("spawn")
    out: Any = context.Queue()
    process = context.Process(target=probe, args=(exchange.address("fix"), seconds, out))
    process.start()
    done = what()
    count, missing, found = out.get(timeout=seconds + 60)
    process.join()
    micro = sorted(1e6 * latency for latency in found) or [0.0]
    return Row(phase, done, count, missing, statistics.median(micro),
               micro[int(0.99 * (len(micro) - 1))], micro[-1], memory_of(exchange))


def memory_of(exchange: Exchange) -> float:
    """Resident memory of the gateway, MiB."""
    text = Path(f"/proc/{exchange.pid('fix')}/status").read_text()
    return int(text.partition("VmRSS:")[2].split()[0]) / 1024


# ---- the crowds ----------------------------------------------------------------------------------


class Crowd:
    """Connections of one phase, all on one event loop; `end` is when to stop."""

    def __init__(self, address: Address, seconds: float, names: list[str]) -> None:
        self.address, self.names = address, names
        self.seconds = seconds
        self.end = 0.0
        self.counts: dict[str, int] = {}

    def count(self, what: str) -> None:
        """One more of these."""
        self.counts[what] = self.counts.get(what, 0) + 1

    def run(self, one: Callable[[int], Awaitable[None]], many: int) -> str:
        """Do something many times at once until the time is over; what was counted."""
        self.end = time.monotonic() + self.seconds

        async def everybody() -> None:
            await asyncio.gather(*(one(n) for n in range(many)))

        asyncio.run(everybody())
        return ", ".join(f"{count} {what}" for what, count in sorted(self.counts.items()))

    async def logged_on(self, name: str, beat: int) -> tuple[
        asyncio.StreamReader, asyncio.StreamWriter
    ]:
        """A connection whose Logon was answered."""
        reader, writer = await asyncio.open_connection(*self.address)
        writer.write(message(name, 1, "A", f"98=0|108={beat}|141=Y"))
        answer = await asyncio.wait_for(reader.readuntil(b"\x0110="), 60)
        self.count("logons" if b"\x0135=A\x01" in answer else "refusals")
        return reader, writer

    async def stay(self, n: int) -> None:
        """Log on and beat until the end."""
        reader, writer = await self.logged_on(self.names[n], 5)
        if "all on after (ms)" not in self.counts and self.counts["logons"] == len(self.names):
            self.counts["all on after (ms)"] = round(
                1e3 * (self.seconds - self.end + time.monotonic()))
        number = 2
        while (left := self.end - time.monotonic()) > 0:
            with contextlib.suppress(TimeoutError):
                if not await asyncio.wait_for(reader.read(65536), min(left, 2)):
                    self.count("lost")
                    return
            writer.write(message(self.names[n], number, "0", "58=here"))
            number += 1
        writer.close()

    async def come_and_go(self, n: int) -> None:
        """Log on and out, again and again."""
        while time.monotonic() < self.end:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                reader, writer = await self.logged_on(self.names[n], 30)
                writer.write(message(self.names[n], 2, "5", "58=bye"))
                await asyncio.wait_for(reader.read(), 60)
                writer.close()

    async def sign_wrongly(self, _n: int) -> None:
        """Send a Logon with a signature that isn't one, again and again."""
        while time.monotonic() < self.end:
            reader, writer = await asyncio.open_connection(*self.address)
            writer.write(message(SIGNED, 1, "A", "98=0|108=30|95=8|96=d3Jvbmc="))
            with contextlib.suppress(ConnectionError):
                answer = await asyncio.wait_for(reader.read(), 60)
                self.count("wrong signatures" if b"credentials" in answer else "cut off")
            writer.close()

    async def read_nothing(self, n: int) -> None:
        """Fill the session's past, ask for all of it again and again, and don't read."""
        name = self.names[n]
        _, writer = await self.logged_on(name, 30)
        number = 2
        for _ in range(500):
            writer.write(message(name, number, "D", f"11=s{number}|55=BTC-USDC|54=1|38=0|40=2|44=1"
                                                    f"|60={time_text(time.time_ns())}"))
            number += 1
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        while time.monotonic() < self.end:
            writer.write(message(name, number, "2", "7=1|16=0"))
            number += 1
            self.count("requests unread")
            await asyncio.sleep(0.05)
            if writer.is_closing():
                self.count("cut off")
                return
        writer.transport.abort()

    async def say_half(self, _n: int) -> None:
        """Connect, say half a Logon, and wait to be cut off."""
        while time.monotonic() < self.end:
            reader, writer = await asyncio.open_connection(*self.address)
            writer.write(message("HALF", 1, "A", "98=0|108=30")[:40])
            with contextlib.suppress(ConnectionError, TimeoutError):
                await asyncio.wait_for(reader.read(), max(0.1, self.end - time.monotonic()))
                self.count("half logons cut off")
            writer.close()


def phases(exchange: Exchange, seconds: float, names: list[str]) -> list[Row]:
    """All of them in turn."""
    address = exchange.address("fix")
    few = min(SOCKETS_MAX, len(names))
    pid = exchange.pid("fix")
    rows = [timed(exchange, "quiet", seconds, lambda: "")]

    def crowd(phase: str, act: str, many: int) -> None:
        people = Crowd(address, seconds, names)
        rows.append(timed(exchange, phase, seconds,
                          lambda: people.run(getattr(people, act), many)))

    crowd("all logged on at once", "stay", len(names))
    crowd("logons and logouts", "come_and_go", few)
    crowd("wrong signatures", "sign_wrongly", few)
    crowd("slow readers", "read_nothing", min(20, few))
    crowd("half a Logon", "say_half", 4 * few)
    rows.append(timed(exchange, "quiet again", seconds, lambda: ""))
    assert exchange.pid("fix") == pid, "the gateway is another process"
    return rows


def venue(names: list[str]) -> str:
    """A venue with these sessions, the probe's, and one that must sign."""
    text = VENUE + "logon_seconds = 2.0\n"
    for number, name in enumerate([PROBE, *names], FIRST):
        text += SESSION.format(number=number, name=name, owner="desk-south", more="")
    signed = SESSION.format(
        number=FIRST + len(names) + 1, name=SIGNED, owner="desk-south", more="")
    return text + signed.replace('"open"', '"hmac"\nsecret = "a secret of some length"')


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--sessions", type=int, default=500)
    parser.add_argument("--json", type=Path)
    chosen = parser.parse_args()
    names = [f"CROWD{number}" for number in range(chosen.sessions)]
    with tempfile.TemporaryDirectory() as path, running(
            Path(path), f"storm-{time.time_ns() & 0xFFFF_FFFF:x}", venue(names)) as exchange:
        rows = phases(exchange, chosen.seconds, names)
    sys.stdout.write("| phase | orders | unanswered | p50 µs | p99 µs | max µs | MiB | what |\n"
                     "|---|---:|---:|---:|---:|---:|---:|---|\n")
    for row in rows:
        sys.stdout.write(f"| {row.phase} | {row.orders} | {row.unanswered} | {row.p50:.0f} | "
                         f"{row.p99:.0f} | {row.highest:.0f} | {row.memory:.0f} | {row.done} |\n")
    if chosen.json:
        chosen.json.write_text(json.dumps([row._asdict() for row in rows], indent=1))
    return 1 if any(row.unanswered for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
