"""Our own FIX clients against an acceptor we did not write: QuickFIX (C++), validating by our
dictionary what they say, and sending again what they missed."""

import asyncio
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import simplefix

from tools.clients.fix import FixClient
from tools.clients.fix_desk import FixDesk, run_script

pytest.importorskip("quickfix")

ORDER = "55=BTC-USDC|54=1|38=0.001|40=2|44=100|59=1|60={time}"


class Acceptor:
    """The process; `said` is all that came and went."""

    def __init__(self, folder: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = int(free.getsockname()[1])
        self.said: list[str] = []
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.tools.clients.quickfix_acceptor", str(folder),
             str(self.port)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.said.append(line.strip())

    @property
    def up(self) -> bool:
        """Whether a client is logged on."""
        return next((line == "up" for line in reversed(self.said) if line in ("up", "down")), False)

    def report(self, identity: str) -> None:
        """Let it send an execution report."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"report {identity}\n")
        self.process.stdin.flush()

    def rejects(self) -> list[str]:
        """Session rejects either way, and words about numbers."""
        return [line for line in self.said if "|35=3|" in line or "too low" in line]

    def close(self) -> None:
        """Kill it."""
        self.process.kill()
        self.process.wait()
        self._reader.join()
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            pipe.close()


@pytest.fixture
def acceptor(tmp_path: Path) -> Iterator[Acceptor]:
    """A QuickFIX acceptor that listens."""
    found = Acceptor(tmp_path)
    try:
        asyncio.run(_becomes(lambda: "ready" in found.said))
        yield found
    finally:
        found.close()


async def _becomes(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end
        await asyncio.sleep(0.01)


def _identities(messages: list[simplefix.FixMessage]) -> list[str]:
    return [bytes(m.get(11)).decode() for m in messages if m.get(35) == b"8"]


def test_the_client_logs_on_trades_drops_and_gets_what_it_missed(
    acceptor: Acceptor
) -> None:
    asyncio.run(_trade_and_drop(acceptor))
    assert not acceptor.rejects()


async def _trade_and_drop(there: Acceptor) -> None:
    heard: list[simplefix.FixMessage] = []
    client = FixClient("127.0.0.1", there.port, sender="DESK", secret="of some length")
    client.on_message = heard.append

    def order(identity: str) -> None:
        text = f"11={identity}|{ORDER}".replace("{time}", time.strftime("%Y%m%d-%H:%M:%S",
                                                                        time.gmtime()))
        fields = [part.partition("=") for part in text.split("|")]
        client.send("D", [(int(tag), value) for tag, _, value in fields])

    await client.connect()
    order("A1")
    await _becomes(lambda: _identities(heard) == ["A1"])
    client.abort()
    await _becomes(lambda: not there.up)
    for identity in ("A2", "A3"):
        there.report(identity)
    await client.connect(resume=True)
    await _becomes(lambda: _identities(heard) == ["A1", "A2", "A3"])
    client.next_out += 3  # Lost on the way, as it seems to the acceptor.
    order("A4")
    order("A5")
    await _becomes(lambda: any("|35=4|" in line for line in there.said if line[0] == "<"))
    order("A6")
    await _becomes(lambda: "A6" in _identities(heard))
    await client.close()


def test_a_scenario_of_the_interactive_client(acceptor: Acceptor) -> None:
    desk = FixDesk("127.0.0.1", acceptor.port, sender="DESK")
    run_script(desk, f"""
        logon 141=Y
        > D 11={{+id}}|{ORDER}
        < 8 11={{id}}|150=0|34=2
        > 1 112=BEAT
        < 0 112=BEAT|34=3
        drop
        wait 0.3
        logon resume
        > 2 7=2|16=0
        < 8 11={{id}}|34=2|43=Y
        until 4 34=3|43=Y|123=Y
        > D 11={{+other}}|{ORDER}
        until 8 11={{other}}
        logout
    """.splitlines())
    assert not acceptor.rejects()
