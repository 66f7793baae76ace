"""The journal process itself: killed under load, stopped by signal, out of disk, refused."""

import json
import os
import random
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from core.doorbell import Doorbell
from core.journal.archive import EventArchive
from core.journal.disk import RealDisk
from core.journal.reader import Walker, read_from
from core.journal.writer import Journal
from core.producers import Producer
from core.status import State, StatusTable
from core.words import store_word
from tests.core.journal.core_side import CoreSide, all_commands, all_events

CHECKOUT = Path(__file__).resolve().parents[3]


class Running:
    """A journal process over a data directory, with this test as its core."""

    def __init__(self, directory: Path, instance: str, policy: str) -> None:
        self.data = directory / "data"
        self.rundir = directory / "run"
        self.rundir.mkdir()
        self.status = StatusTable.attach_or_create(instance)
        self.core = CoreSide(instance)
        self.process: subprocess.Popen[bytes] | None = None
        config = directory / "config.json"
        config.write_text(
            json.dumps(
                {
                    "exchange": {"instance": instance, "policy": policy},
                    "journal": {"segment_bytes": 1 << 20, "archive_segment_bytes": 1 << 20},
                }
            )
        )
        self._options = [
            "--instance", instance, "--data", str(self.data), "--rundir", str(self.rundir),
            "--config", str(config),
        ]  # fmt: skip
        self.log = directory / "log"

    def start(self, prepare: Callable[[], None] | None = None) -> "subprocess.Popen[bytes]":
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "core.journal", *self._options],
                cwd=CHECKOUT, stderr=log, preexec_fn=prepare,
            )  # fmt: skip
        return self.process

    def publish_until(self, reached: Callable[[], bool], seconds: float = 60) -> None:
        """Publish as fast as there is room, until so."""
        end = time.monotonic() + seconds
        while not reached():
            assert time.monotonic() < end, self.log.read_text()
            if self.core.publish(200) == 0:
                time.sleep(0.001)

    def wait_until_durable(self) -> None:
        """Until the journal has, and has rung for, all that was published."""
        end = time.monotonic() + 60
        while self.status.durable_sequence < self.core.sequence:
            assert time.monotonic() < end, self.log.read_text()
            time.sleep(0.001)
        time.sleep(0.01)  # It rings right behind.

    def check_files(self) -> None:
        last = self.core.sequence
        assert b"".join(read_from(RealDisk(), self.data, 1)) == all_commands(1, last)
        archive = EventArchive(self.data)
        assert archive.read(0, archive.end()) == all_events(1, last)

    def close(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
        self.core.ring.close()
        self.core.log.close()
        self.status.close()


@pytest.fixture
def running(tmp_path: Path, instance: str, request: pytest.FixtureRequest) -> Iterator[Running]:
    made = Running(tmp_path, instance, getattr(request, "param", "fsync"))
    yield made
    made.close()


def kill_under_load(running: Running, kills: int, seed: int) -> None:
    """SIGKILL at random moments; what was durable stays, nothing is lost and nothing doubled."""
    source = random.Random(seed)
    durable = 0
    for _ in range(kills):
        process = running.start()
        target = running.status.durable_sequence + source.randrange(200, 4000)
        running.publish_until(lambda end=target: running.status.durable_sequence >= end)
        process.send_signal(signal.SIGKILL)
        running.core.publish(50)
        process.wait()
        assert running.status.durable_sequence >= durable
        durable = running.status.durable_sequence
        journaled = sum(len(part) for part in read_from(RealDisk(), running.data, 1))
        assert journaled >= len(all_commands(1, durable))
    process = running.start()
    end = running.core.sequence + 5000
    running.publish_until(lambda: running.core.sequence >= end)
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 0, running.log.read_text()
    assert running.status.durable_sequence == running.core.sequence
    running.check_files()
    epochs = {frame.epoch for frame in Walker(RealDisk(), running.data).to_the_end()}
    assert epochs == set(range(1, kills + 2))


@pytest.mark.parametrize("running", ["async", "fsync"], indirect=True)
def test_killed_under_load_it_loses_and_doubles_nothing(running: Running) -> None:
    kill_under_load(running, kills=3, seed=1)


@pytest.mark.slow
@pytest.mark.parametrize("running", ["async", "fsync"], indirect=True)
def test_killed_under_load_many_times(running: Running) -> None:
    kill_under_load(running, kills=int(os.environ.get("ONEBOOK_KILLS", "8")), seed=2)


def test_sigterm_drains_syncs_and_ends_with_zero(running: Running) -> None:
    process = running.start()
    running.publish_until((running.rundir / "journal.ready").exists)
    running.publish_until(lambda: running.status.durable_sequence > 1000)
    row = running.status.find("journal")
    assert row is not None
    assert (row.pid, row.state) == (process.pid, State.RUNNING)
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 0
    assert row.state == State.STOPPED
    assert row.position == running.core.events_end
    running.check_files()


def test_it_says_when_it_is_ready(running: Running) -> None:
    process = running.start()
    running.publish_until((running.rundir / "journal.ready").exists)
    ready = json.loads((running.rundir / "journal.ready").read_text())
    assert ready == {"pid": process.pid, "sequence": ready["sequence"], "policy": "fsync"}
    assert 0 <= ready["sequence"] <= running.core.sequence


def test_a_gateway_that_sleeps_is_woken_when_its_command_is_durable(running: Running) -> None:
    running.start()
    running.publish_until((running.rundir / "journal.ready").exists)
    told = running.status.told_address + 8 * Producer.FIX
    gateways = [(running.status.row(n), Doorbell(running.rundir, n)) for n in ("fix", "binary")]
    time.sleep(0.5)  # The journal looks for gateways ten times a second.
    running.core.publish(1)  # Whoever was not known until now is rung once, told or not.
    running.wait_until_durable()
    for row, bell in gateways:
        bell.arm(row)
    for _ in range(5):
        store_word(told, running.core.sequence + 1)
        running.core.publish(1)
        assert gateways[0][1].wait(30)
        assert running.status.durable_sequence == running.core.sequence
        assert gateways[0][1].drain() == 1
        gateways[0][1].arm(gateways[0][0])
        running.core.publish(1)  # of which nobody is told
        running.wait_until_durable()
        assert [bell.drain() for _, bell in gateways] == [0, 0]
    for _, bell in gateways:
        bell.close()


@pytest.mark.parametrize("running", ["async"], indirect=True)
def test_out_of_disk_it_stops_with_one_clear_line_and_harms_nothing(running: Running) -> None:
    """A file size limit stands for the full disk: it, too, fails in the middle of a write."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, ((1 << 20) - 4096, resource.RLIM_INFINITY))

    process = running.start(limit)
    running.publish_until(lambda: process.poll() is not None)
    assert process.returncode == 3
    reason = (running.rundir / "journal.refused").read_text()
    assert reason.endswith(": cannot allocate 1,048,576 bytes: File too large\n")
    assert reason.startswith(str(running.data))
    acknowledged = running.status.durable_sequence
    assert b"".join(read_from(RealDisk(), running.data, 1)) == all_commands(1, acknowledged)
    process = running.start()  # Somebody made room.
    running.publish_until(lambda: running.status.durable_sequence > acknowledged + 5000)
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 0
    running.check_files()


def test_a_second_process_on_the_same_directory_is_refused(running: Running) -> None:
    journal = Journal(running.data)
    process = running.start()
    assert process.wait(30) == 3
    assert "in use by another process" in (running.rundir / "journal.refused").read_text()
    journal.close()


def test_a_damaged_journal_is_refused_with_segment_and_offset(running: Running) -> None:
    process = running.start()
    running.publish_until(lambda: running.status.durable_sequence > 1000)
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 0
    segment = sorted((running.data / "journal").glob("*.journal"))[0]
    with segment.open("r+b") as file:
        file.seek(128 + 50)
        file.write(b"\xff\xff")
    before = segment.read_bytes()
    process = running.start()
    assert process.wait(30) == 3
    reason = (running.rundir / "journal.refused").read_text()
    assert reason.startswith(f"journal damaged: segment {segment.name} offset 128: ")
    assert reason.count("\n") == 1
    assert segment.read_bytes() == before
