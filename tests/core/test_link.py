"""Commands in and events out, over real shared memory, held to the compiled ring and log."""

import ctypes
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from core.errors import EventsLost
from core.events import log_resume
from core.link import COMMAND_HEADER, CommandLink, EventFollower
from core.memory import Segment
from core.messages import decode, encode, template
from core.producers import Producer, producer_name, producer_number, ring_kind
from core.ring import Ring, ring_next, ring_peek
from tests.core.sidecars.stage import Stage

DEPOSIT = {"account": 100, "asset": 0, "amount": 5}


def test_producers_keep_their_numbers_and_names() -> None:
    names = [producer_name(number) for number in range(10)]
    assert names == ["core", "admin", "fix", "binary", "settlement", "lending", "oracle",
                     "reserves", "tools", "spare9"]
    assert [producer_number(name) for name in names] == list(range(10))
    assert ring_kind(Producer.ORACLE) == "commands.oracle"
    with pytest.raises(ValueError, match="producer=16"):
        producer_name(16)
    with pytest.raises(ValueError, match="nobody"):
        producer_number("nobody")


def test_the_compiled_consumer_reads_what_the_link_writes(instance: str) -> None:
    link = CommandLink(instance, "settlement", capacity=1 << 16)
    ring = Ring.open(instance, ring_kind(Producer.SETTLEMENT))
    for round_ in range(3000):  # Several times round the ring.
        assert link.send("Deposit", {"key": round_ + 1, **DEPOSIT}, session=7)
        address = ring_peek(ring.address)
        length, producer, _, session, position = COMMAND_HEADER.unpack(
            ctypes.string_at(address, COMMAND_HEADER.size)
        )
        message = ctypes.string_at(address + COMMAND_HEADER.size, length - COMMAND_HEADER.size)
        assert decode(message) == ("Deposit", {"key": round_ + 1, **DEPOSIT})
        assert (producer, session) == (Producer.SETTLEMENT, 7)
        assert position == ring_next(ring.address) >> 5
    ring.close()
    link.close()


def test_a_full_ring_says_so_and_changes_nothing(instance: str) -> None:
    link = CommandLink(instance, "lending", capacity=4096)
    sent = 0
    while link.send("Deposit", {"key": sent + 1, **DEPOSIT}):
        sent += 1
    assert sent == 4096 // 64
    ring = Ring.open(instance, ring_kind(Producer.LENDING))
    ring_next(ring.address)
    assert link.send("Deposit", {"key": 99, **DEPOSIT})
    assert not link.send("Deposit", {"key": 100, **DEPOSIT})
    assert link.depth == 4096
    ring.close()
    link.close()


def test_what_was_sent_outlives_its_sender(
    instance: str, spawn: Callable[..., "subprocess.Popen[str]"]
) -> None:
    code = (
        "import sys\n"
        "from core.link import CommandLink\n"
        "link = CommandLink(sys.argv[1], 'oracle', capacity=1 << 16)\n"
        "link.send('Deposit', {'key': 1, 'account': 100, 'asset': 0, 'amount': 5})\n"
        "print('sent', flush=True)\n"
        "sys.stdin.readline()\n"
    )
    process = spawn(code, instance)
    assert process.stdout is not None
    assert process.stdout.readline() == "sent\n"
    process.kill()
    process.wait()
    link = CommandLink(instance, "oracle", capacity=1 << 16)
    assert link.depth == 64
    assert link.send("Deposit", {"key": 2, **DEPOSIT})
    assert link.depth == 128
    link.close()


def test_no_numba_in_a_process_that_only_links() -> None:
    code = "import sys, core.link; sys.exit('numba' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.fixture
def stage(instance: str, tmp_path: Path) -> Stage:
    """An event log and an archive without a core of its own."""
    return Stage(instance, tmp_path)


def _sequences(follower: EventFollower) -> list[int]:
    return [event.sequence for event in follower]


def _ticks(stage: Stage, count: int) -> None:
    for _ in range(count):
        stage.next()
        stage.emit("SettlementStarted", cycle=stage.sequence)


def test_a_follower_reads_each_released_event_once(stage: Stage) -> None:
    follower = stage.follower()
    assert _sequences(follower) == []
    _ticks(stage, 5)
    stage.durable = 3
    events = list(follower)
    assert [event.sequence for event in events] == [1, 2, 3]
    assert decode(events[2].message)[1]["cycle"] == 3
    assert events[1].template == template("SettlementStarted")
    assert follower.lag == stage.position - follower.position > 0
    stage.durable = 5
    assert _sequences(follower) == [4, 5]
    assert _sequences(EventFollower(stage.instance, None, events[3 - 1].position)) == [3, 4, 5]
    assert follower.position == stage.position


def test_an_interrupted_iteration_goes_on_behind_the_last_event_seen(stage: Stage) -> None:
    follower = stage.follower()
    _ticks(stage, 4)
    for event in follower:
        if event.sequence == 2:
            break
    assert _sequences(follower) == [3, 4]


def test_an_overtaken_follower_goes_on_from_the_archive(instance: str, tmp_path: Path) -> None:
    stage = Stage(instance, tmp_path, log_bytes=1 << 16)
    follower = stage.follower()
    _ticks(stage, 10)
    assert _sequences(follower) == list(range(1, 11))
    _ticks(stage, 10_000)  # Several times the log.
    assert _sequences(follower) == list(range(11, 10_011))
    blind = EventFollower(instance, None)
    with pytest.raises(EventsLost, match="position 0"):
        _sequences(blind)


def test_a_log_made_anew_in_the_middle_of_the_stream(stage: Stage) -> None:
    """A core started on old data has a fresh segment that begins where the archive ends."""
    follower = stage.follower()
    _ticks(stage, 100)
    stage.log.unlink()
    middle = stage.position
    stage.log = Segment.create(stage.instance, "events", stage.log.size, True)
    assert log_resume(stage.log.address, middle)
    _ticks(stage, 3)
    assert follower.reopen()
    assert not follower.reopen()
    assert _sequences(follower) == list(range(1, 104))
    assert follower.position == stage.position


def test_every_message_survives_the_way_out_and_back() -> None:
    fields = {"key": 3, "event": 9, "evidenceHash": bytes(range(32)),
              "payouts": [{"payout": 0}, {"payout": 10**8}]}
    assert decode(encode("ResolveEvent", fields) + bytes(5)) == ("ResolveEvent", fields)
