"""The whole exchange by `onebook up`: real processes from the first start to an orderly end."""

import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from core import memory
from core.config import load
from tools.commands.margin import margin
from tools.commands.up import DEFAULTS
from tools.inspection import Snapshot, look
from tools.supervisor.exchange import Exchange, ExchangeError
from tools.supervisor.processes import enabled

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

FREE_PORTS = """
[fix]
port = 0
[binary]
port = 0
[feed]
port = 0
udp_port = 0
[exchange]
snapshot_seconds = 1
"""
PROCESSES = [spec.name for spec in enabled(load(DEFAULTS))]
GATEWAYS = ("fix", "binary", "feed")

Up = Callable[..., Exchange]


@pytest.fixture
def up(tmp_path: Path, instance: str) -> Iterator[Up]:
    """Start an exchange; what is still running at the end is stopped."""
    config = tmp_path / "venue.toml"
    config.write_text(FREE_PORTS)
    started: list[Exchange] = []

    def start(*arguments: str, name: str = instance) -> Exchange:
        data = tmp_path / f"data-{name}"
        exchange = Exchange(
            ["--config", str(config), "--instance", name, "--data", str(data), *arguments],
            log=tmp_path / "log.jsonl",
        )
        exchange.start()
        started.append(exchange)
        return exchange

    yield start
    for exchange in started:
        exchange.close()


def wait(reached: Callable[[], bool], what: str, seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


def states(seen: Snapshot) -> dict[str, str]:
    return {process.name: process.state for process in seen.processes}


def test_from_the_first_start_to_the_second(up: Up, instance: str, tmp_path: Path) -> None:
    exchange = up("--policy", "async")
    for gateway in GATEWAYS:
        with socket.create_connection(exchange.address(gateway), timeout=5):
            pass
    wait(lambda: set(PROCESSES) < set(states(look(instance))), "the follower never came")
    wait(lambda: set(states(look(instance)).values()) == {"running"}, "not everybody runs")
    seen = look(instance)
    assert seen.core_ready
    assert seen.core_generation == 1
    assert seen.published_sequence > 60
    assert {ring.name for ring in seen.rings} >= {"sequenced", "commands.fix", "commands.binary"}
    assert margin(account="100", instance=instance) == 0
    assert margin(account="100", instance=instance, what_if=["buy 0.1 BTC-PERP @ 90000"]) == 0
    assert exchange.stop() == 0
    assert not memory.segments(instance)
    data = Path(exchange.ready["data"])
    assert not (data / "run").exists()

    again = up("--policy", "async")
    assert look(instance).published_sequence >= seen.published_sequence
    assert (tmp_path / "log.jsonl").read_text().count('"event":"genesis done"') == 1
    assert again.stop(signal.SIGINT) == 0
    assert not memory.segments(instance)


def test_every_process_comes_back(up: Up, instance: str) -> None:
    exchange = up()
    for name in PROCESSES:
        exchange.wait_running(name)
        killed = exchange.kill(name)
        # A patient one gets little of a processor that others are compiling on.
        exchange.wait_running(name, other_than=killed, seconds=120)
    wait(lambda: look(instance).core_ready, "the core takes no commands again")
    seen = look(instance)
    assert seen.core_generation == 2
    restarts = {p.name: p.restarts for p in seen.processes if p.name in PROCESSES}
    assert min(restarts.values()) >= 1
    for gateway in GATEWAYS:
        with socket.create_connection(exchange.address(gateway), timeout=5):
            pass
    assert exchange.stop() == 0
    assert not memory.segments(instance)


def test_a_killed_supervisor_leaves_nobody_behind(up: Up, instance: str) -> None:
    exchange = up()
    sequence = look(instance).published_sequence
    os.kill(int(exchange.ready["pid"]), signal.SIGKILL)
    wait(lambda: not list(memory.live_owners(instance)), "segments still have owners")
    again = up()
    assert look(instance).published_sequence >= sequence
    assert again.stop() == 0
    assert not memory.segments(instance)


def test_two_exchanges_side_by_side(up: Up, instance: str) -> None:
    first, second = up(), up(name=f"{instance}-b")
    assert first.address("fix") != second.address("fix")
    with pytest.raises(ExchangeError, match="is in use by a running exchange"):
        up()
    assert second.stop() == 0
    assert look(instance).core_ready
    assert first.stop() == 0
