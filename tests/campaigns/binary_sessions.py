"""Drop, repeat and cut what binary sessions send, and kill gateway and core beneath them.

    python -m tests.campaigns.binary_sessions --seconds 120 --seed 7

The exchange and the parties of `tests.campaigns.kills`, with a wire between each market maker and
the gateway that loses one application message in fifty, repeats one in twenty, and breaks at any
byte in either direction. Held afterwards, with all else that `verdict` says: every order was taken
exactly once or not at all, as its sender was told; every event arrived exactly once, or again
marked as possibly sent before. Exit code 0 only if all held.
"""

import argparse
import asyncio
import contextlib
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from random import Random
from typing import Any

from gateway.binary.frames import SOFH_SIZE
from sbe.generated import order_entry as oe
from tests.campaigns.kills import BACK_SECONDS, Campaign
from tests.campaigns.parties import BinaryParty, Party

LOST, REPEATED = 0.02, 0.05  # of application messages from the client
CUT_FORTH, CUT_BACK = 0.002, 0.002  # of messages there, of what a read gives back
FIRST_APPLICATION = oe.NEW_ORDER_SINGLE_TEMPLATE
KILL_SECONDS = 8.0  # from one kill to the next, at most
CHUNK = 1 << 14


class Wire:
    """A TCP relay in front of a gateway that spoils what passes until it is told to be calm."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.calm = False
        self.lost = self.repeated = self.cut = 0
        self.address = ("", 0)
        self._target = ("", 0)
        self._server: asyncio.Server | None = None
        self._relays: set[asyncio.Task[None]] = set()

    async def open(self, target: tuple[str, int]) -> None:
        """Listen on a free port, and relay from there to `target`."""
        self._target = target
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.address = self._server.sockets[0].getsockname()[:2]

    def settle(self) -> None:
        """Spoil nothing any more, and break what is connected a last time."""
        self.calm = True
        for relay in self._relays:
            relay.cancel()

    async def close(self) -> None:
        """Stop relaying."""
        self.settle()
        if self._server is not None:
            self._server.close()
        await asyncio.gather(*self._relays, return_exceptions=True)

    async def _accept(self, reader: Any, writer: Any) -> None:
        relay = asyncio.create_task(self._relay(reader, writer))
        self._relays.add(relay)
        relay.add_done_callback(self._relays.discard)

    async def _relay(self, reader: Any, writer: Any) -> None:
        writers = [writer]
        try:
            far_reader, far_writer = await asyncio.open_connection(*self._target)
            writers.append(far_writer)
            pumps = [self._forth(reader, far_writer), self._back(far_reader, writer)]
            tasks = [asyncio.create_task(pump) for pump in pumps]
            try:
                await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
        except OSError:
            pass  # The gateway is away; so is the wire.
        finally:
            for each in writers:
                each.close()

    def _breaks(self, chance: float) -> bool:
        breaks = not self.calm and self.random.random() < chance
        self.cut += breaks
        return breaks

    async def _forth(self, reader: Any, writer: Any) -> None:
        """Messages of the client."""
        with contextlib.suppress(asyncio.IncompleteReadError, OSError):
            while True:
                head = await reader.readexactly(SOFH_SIZE)
                frame = head + await reader.readexactly(
                    int.from_bytes(head[:4], "big") - SOFH_SIZE)
                template = int.from_bytes(frame[SOFH_SIZE + 2 : SOFH_SIZE + 4], "little")
                copies = 1 if self.calm or template < FIRST_APPLICATION else self._copies()
                if self._breaks(CUT_FORTH):
                    writer.write(frame[: self.random.randrange(len(frame))])
                    await writer.drain()
                    return
                writer.write(frame * copies)
                await writer.drain()

    def _copies(self) -> int:
        fate = self.random.random()
        if fate < LOST:
            self.lost += 1
            return 0
        self.repeated += fate < LOST + REPEATED
        return 2 if fate < LOST + REPEATED else 1

    async def _back(self, reader: Any, writer: Any) -> None:
        """Bytes of the gateway."""
        with contextlib.suppress(OSError):
            while data := await reader.read(CHUNK):
                if self._breaks(CUT_BACK):
                    writer.write(data[: self.random.randrange(len(data))])
                    await writer.drain()
                    return
                writer.write(data)
                await writer.drain()


class WireCampaign(Campaign):
    """The kill campaign with a bad wire in front of each market maker."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.wires: list[Wire] = []

    async def _trade(self, trouble: Callable[[], Awaitable[None]]) -> None:
        self.wires = [Wire(Random(self.random.random())) for _ in range(2)]
        for wire in self.wires:
            await wire.open(self.exchange.address("binary"))
        await super()._trade(trouble)
        for wire in self.wires:
            await wire.close()
            self.say(f"a wire lost {wire.lost}, repeated {wire.repeated}, broke {wire.cut} times")

    def _make_parties(self) -> list[Party]:
        parties = super()._make_parties()
        makers = [party for party in parties if isinstance(party, BinaryParty)]
        for maker, wire in zip(makers, self.wires, strict=True):
            maker.client.host, maker.client.port = wire.address
        return parties

    async def _quiet(self) -> None:
        for party in self.parties:
            party.trading = False
        before = [party.connections for party in self.parties[: len(self.wires)]]
        for wire in self.wires:
            wire.settle()
        async with asyncio.timeout(BACK_SECONDS):
            while any(  # noqa: ASYNC110
                party.connections == count or not party.connected
                for party, count in zip(self.parties, before, strict=False)
            ):
                await asyncio.sleep(0.05)
        await super()._quiet()

    async def killing(self, seconds: float) -> None:
        """Trouble: gateway or core die now and then, for so long."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            await asyncio.sleep(min(left, self.random.uniform(1.0, KILL_SECONDS)))
            name = self.random.choice(("binary", "core"))
            pid = self.exchange.kill(name)
            await asyncio.to_thread(
                self.exchange.wait_running, name, other_than=pid, seconds=BACK_SECONDS)
            self.say(f"{name} was killed and is back")


def main() -> int:
    """The command line; the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--seed", type=int, default=time.time_ns() % 10**6)
    parser.add_argument("--policy", choices=("async", "fsync"), default="async")
    parser.add_argument("--rate", type=float, default=300.0, help="messages a second and maker")
    given = parser.parse_args()
    print(f"seed {given.seed}, policy {given.policy}, {given.seconds:g} s", flush=True)
    with tempfile.TemporaryDirectory() as directory:
        campaign = WireCampaign(
            Path(directory), seed=given.seed, policy=given.policy, rate=given.rate,
            say=lambda line: print(line, flush=True),
        )
        faults = campaign.run(lambda: campaign.killing(given.seconds))
    for fault in faults:
        print(f"FAULT: {fault}")
    print("it did not hold" if faults else "everything held")
    return 1 if faults else 0


if __name__ == "__main__":
    raise SystemExit(main())
