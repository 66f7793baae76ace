"""Clients that send garbage, half a message, or don't read: they lose their own session only.

Two market makers and a desk trade on the real exchange meanwhile. None of them may lose its
connection, wait long for an answer or miss a message, and no process may die.
"""

import asyncio
import contextlib
import os
import socket
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from random import Random

import pytest

from gateway.binary.frames import framed
from sbe.generated import order_entry as oe
from tests.campaigns.kills import Campaign
from tests.campaigns.parties import MARKETS, ONE, BinaryParty, FixParty
from tools.clients.binary import BUY, SessionEnded

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

VENUE = """
[settlement]
period_seconds = 1.0
[feed]
enabled = false
[fix]
port = 0
logon_seconds = 2.0
send_buffer_bytes = 65536
[binary]
port = 0
negotiate_seconds = 2.0
send_buffer_bytes = 65536
""" + "".join(
    f"""
[[binary.session]]
session = {session}
key_id = "{name}"
secret = "{name}: for trying out only"
owner = "{name}"
accounts = ["{name}"]
"""
    for session, name in ((101, "maker-one"), (102, "maker-two"), (103, "desk-south"))
)
PATIENCE = 20.0
UNREAD_ROUNDS = 4000
SLOW = oe.TERMINATION_CODE_SLOW_CONSUMER
Address = tuple[str, int]


async def cut_off(address: Address, data: bytes) -> None:
    """Send bytes; the gateway must end the connection by itself."""
    reader, writer = await asyncio.open_connection(*address)
    with contextlib.suppress(ConnectionError):
        writer.write(data)
        await asyncio.wait_for(reader.read(), PATIENCE)
    writer.transport.abort()


def garbage(random: Random) -> list[bytes]:
    """Things that are no messages, for both doors."""
    return [
        random.randbytes(3000),
        b"\xff" * 64,
        b"\0" * 4096,
        framed(random.randbytes(200)),
        (200).to_bytes(4, "big") + b"\x50\xeb" + bytes(50),  # the mark the wrong way round
        (1 << 31).to_bytes(4, "big") + b"\xeb\x50",
        (100).to_bytes(4, "big") + b"\xeb\x50" + bytes(20),  # half of it, for ever
        b"8=FIX.4.4\x019=99999999\x0135=A\x01",
        b"8=FIX.4.4\x019=5\x0135=A\x0110=000\x01",
        b"8=FIX.4.4\x019=70\x0135=A\x0134=1\x01",  # half of it, for ever
        b"GET / HTTP/1.1\r\nHost: exchange\r\n\r\n",
    ]


def binary_victim(address: Address, random: Random) -> BinaryParty:
    secret = "desk-south: for trying out only"
    return BinaryParty("desk-south", 103, 101, secret, address, random, 1.0,
                       oe.CANCEL_ON_DISCONNECT_SESSION)


async def garbage_inside_a_binary_session(party: BinaryParty, data: bytes) -> None:
    await party.connect()
    wire = party.client._wire
    assert wire is not None
    wire.write(data)
    await asyncio.wait_for(wire.gone.wait(), PATIENCE)


async def unread_binary(party: BinaryParty) -> None:
    """Ask for all open orders again and again without reading a byte of the answers."""
    await party.connect()
    wire = party.client._wire
    assert wire is not None
    for _ in range(30):
        market = MARKETS[4]
        party.client.new_order(account=party.account, instrument=market.number, side=BUY,
                               price=ONE // 100, quantity=ONE)
    await asyncio.sleep(0.5)
    wire._transport.pause_reading()
    with contextlib.suppress(SessionEnded):
        for request in range(UNREAD_ROUNDS):
            party.client.send("OpenOrdersRequest", account=party.account, requestId=request,
                              echo=b"")
            if request % 10 == 0:
                await asyncio.sleep(0.005)
    wire._transport.resume_reading()
    await asyncio.wait_for(wire.gone.wait(), PATIENCE)


async def half_a_fix_message(party: FixParty) -> None:
    """Garbage in a session, which FIX passes over, then half an order and no more."""
    await party.connect()
    writer = party._writer
    assert writer is not None
    writer.write(b"8=FIX.4.4\x019=12\x0135=D\x0134=2\x0110=000\x01" + b"no message at all")
    await asyncio.sleep(0.2)
    assert party.connected
    writer.write(b"8=FIX.4.4\x019=120\x0135=D\x0134=2\x0149=DESK-SOUTH\x01")
    await asyncio.sleep(0.2)
    party._drop()


async def unread_fix(party: FixParty) -> None:
    """Ask for everything again and again without reading a byte of it."""
    await party.connect()
    writer = party._writer
    assert writer is not None
    party._send("x", [(320, "all"), (559, 4)])
    await asyncio.sleep(0.3)
    assert party._reading is not None
    party._reading.cancel()
    transport = writer.transport
    transport.pause_reading()
    sock = transport.get_extra_info("socket")
    # What the kernel would keep for us is a patience of its own.
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    for request in range(UNREAD_ROUNDS):
        if transport.is_closing():
            break
        party._send("x", [(320, f"all{request}"), (559, 4)])
        if request % 10 == 0:
            await asyncio.sleep(0.005)
    if not transport.is_closing():
        await asyncio.wait_for(asyncio.to_thread(_ends, sock.fileno()), PATIENCE)
    transport.abort()
    party._writer = None


def _ends(descriptor: int) -> None:
    """Read what is there until the other side's end."""
    with socket.socket(fileno=os.dup(descriptor)) as copy, contextlib.suppress(OSError):
        copy.setblocking(True)
        while copy.recv(1 << 16):
            pass


async def longest_wait(campaign: Campaign, trouble: Awaitable[None]) -> float:
    """The longest that any party heard nothing while `trouble` went on, in seconds."""
    task = asyncio.ensure_future(trouble)
    heard = {party.name: (party.last_number, time.monotonic()) for party in campaign.parties}
    longest = 0.0
    while not task.done():
        await asyncio.sleep(0.02)
        now = time.monotonic()
        for party in campaign.parties:
            number, since = heard[party.name]
            longest = max(longest, now - since)
            if party.last_number != number:
                heard[party.name] = (party.last_number, now)
    await task
    return longest


def test_each_loses_its_own_session_only(tmp_path: Path) -> None:
    campaign = Campaign(tmp_path, seed=8, policy="async", rate=60.0, say=lambda line: None,
                        venue=VENUE)
    random = Random(9)
    waits: dict[str, float] = {}
    pids: dict[str, int] = {}

    async def attack() -> None:
        exchange = campaign.exchange
        binary, fix = exchange.address("binary"), exchange.address("fix")
        pids.update((name, exchange.pid(name)) for name in ("core", "binary", "fix", "journal"))
        victim = binary_victim(binary, random)
        desk = FixParty("DESK-SOUTH", 2, "desk-south: for trying out only", fix, random, 1.0)

        async def at_the_door() -> None:
            await asyncio.gather(*(
                cut_off(address, data) for address in (binary, fix) for data in garbage(random)
            ))

        async def inside() -> None:
            for data in (random.randbytes(500), framed(bytes(40)), framed(b"\x30\0\x64\0\1\0")):
                await garbage_inside_a_binary_session(victim, data)

        attacks: list[tuple[str, Callable[[], Awaitable[None]]]] = [
            ("garbage", at_the_door), ("inside", inside),
            ("half", lambda: half_a_fix_message(desk)),
            ("unread binary", lambda: unread_binary(victim)),
            ("unread fix", lambda: unread_fix(desk)),
        ]
        for name, one in attacks:
            waits[name] = await longest_wait(campaign, one())
        await victim.connect()  # The session goes on where it was, nothing of it is lost.
        campaign.parties.append(victim)
        for name, pid in pids.items():
            assert exchange.pid(name) == pid, f"{name} died"

    assert campaign.run(attack) == []
    assert {party.name: party.connections for party in campaign.parties[:3]} == {
        "maker-one": 1, "maker-two": 1, "DESK-NORTH": 1,
    }
    assert max(waits.values()) < 5.0, waits
    log = (tmp_path / "log.jsonl").read_text()
    assert f'"session":103,"reason":"terminated with code {SLOW}"' in log
    assert '"session":2,"reason":"slow consumer: send buffer full"' in log
