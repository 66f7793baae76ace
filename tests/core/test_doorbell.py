"""Sleepers are woken, always; the awake are left alone; nobody pays for a bell not rung."""

import stat
import time

import numpy as np
import pytest

from core.doorbell import Doorbell, bell_path
from core.status import StatusTable
from core.wake import FOR_ANYTHING, ring_addressed, ring_bell
from core.words import store_word

# Two processes hand a number back and forth and sleep without a timeout worth the name: one lost
# wake-up is seen after a minute. The child wakes by compiled code, the parent by plain Python.
PARTNER = """
import sys
from pathlib import Path
from core.doorbell import Doorbell
from core.status import StatusTable
from core.wake import ring_bell
from tests.core.test_doorbell import await_number
table = StatusTable.open(sys.argv[1])
mine, theirs = table.row("child"), table.row("parent")
own = Doorbell(Path(sys.argv[2]), "child")
other = Doorbell(Path(sys.argv[2]), "parent")
ring_bell(other.fileno(), theirs.asleep_address)
print("ready", flush=True)
for number in range(int(sys.argv[3])):
    await_number(own, mine, theirs, 2 * number + 1)
    mine.position = 2 * number + 2
    ring_bell(other.fileno(), theirs.asleep_address)
print("done", flush=True)
"""


def await_number(bell, row, source, number):
    """Sleep until `source.position` is at least `number`, as core/doorbell.py draws it."""
    while source.position < number:
        bell.arm(row)
        if source.position < number:
            assert bell.wait(60), "a wake-up was lost"
        bell.disarm(row)


@pytest.fixture
def table(instance):
    made = StatusTable.attach_or_create(instance)
    yield made
    made.close()


@pytest.fixture
def bell(tmp_path):
    made = Doorbell(tmp_path, "core")
    yield made
    made.close()


def test_a_bell_is_a_private_fifo_and_may_be_there_already(tmp_path, bell):
    mode = bell_path(tmp_path, "core").stat().st_mode
    assert stat.S_ISFIFO(mode)
    assert stat.S_IMODE(mode) == 0o600
    again = Doorbell(tmp_path, "core")
    again.ring()
    assert bell.wait(0)
    assert bell.drain() == 1
    again.close()
    again.close()
    bell.unlink()
    bell.unlink()
    assert not bell.path.exists()


def test_a_file_in_its_place_is_refused(tmp_path):
    (tmp_path / "core.bell").write_text("")
    with pytest.raises(FileExistsError):
        Doorbell(tmp_path, "core")


def test_only_a_sleeper_is_rung(table, bell):
    row = table.take("core")
    assert not bell.ring_if_asleep(row)
    assert not ring_bell(bell.fileno(), row.asleep_address)
    assert not bell.wait(0)
    bell.arm(row)
    assert row.asleep
    assert bell.ring_if_asleep(row)
    assert not bell.ring_if_asleep(row)
    assert bell.wait(0)
    bell.disarm(row)
    assert not row.asleep
    assert not bell.wait(0)


def test_of_several_compiled_wakers_one_writes(table, bell):
    row = table.take("core")
    bell.arm(row)
    assert ring_bell(bell.fileno(), row.asleep_address)
    assert not ring_bell(bell.fileno(), row.asleep_address)
    assert bell.drain() == 1


def test_of_many_only_the_sleepers_are_rung(table, tmp_path):
    names = ["fix", "binary", "journal"]
    bells = [Doorbell(tmp_path, name) for name in names]
    rows = [table.row(name) for name in names]
    pairs = zip(bells, rows, strict=True)
    addresses = np.array([(bell.fileno(), row.asleep_address, 0) for bell, row in pairs])
    bells[0].arm(rows[0])
    bells[2].arm(rows[2])
    ring_addressed(addresses, 0)
    ring_addressed(addresses, 0)
    assert [bell.drain() for bell in bells] == [1, 0, 1]
    for bell in bells:
        bell.close()


def test_a_full_bell_harms_nobody(table, bell):
    row = table.take("core")
    for _ in range(70_000):
        bell.ring()
    bell.arm(row)
    assert bell.ring_if_asleep(row)
    bell.arm(row)
    assert ring_bell(bell.fileno(), row.asleep_address)
    assert bell.drain() == 65_536
    assert not bell.wait(0)


def test_a_wait_ends_when_its_time_is_over(bell):
    begin = time.monotonic()
    assert not bell.wait(0.05)
    assert 0.04 < time.monotonic() - begin < 5


def test_no_wake_up_is_ever_lost(instance, table, tmp_path, spawn):
    mine, theirs = table.row("parent"), table.row("child")
    own, other = Doorbell(tmp_path, "parent"), Doorbell(tmp_path, "child")
    rounds = 5_000
    partner = spawn(PARTNER, instance, tmp_path, rounds)
    assert partner.stdout.readline() == "ready\n"
    for number in range(rounds):
        mine.position = 2 * number + 1
        other.ring_if_asleep(theirs)
        await_number(own, mine, theirs, 2 * number + 2)
    assert partner.stdout.readline() == "done\n"
    own.close()
    other.close()


def test_sleepers_are_rung_for_what_is_addressed_to_them(table, tmp_path):
    names = ["fix", "binary", "feed", "watcher"]
    bells = [Doorbell(tmp_path, name) for name in names]
    rows = [table.row(name) for name in names]
    bits = [4, 8, 0, 16]
    triples = zip(bells, rows, bits, strict=True)
    addresses = np.array([(bell.fileno(), row.asleep_address, bit) for bell, row, bit in triples])
    for bell, row in zip(bells, rows, strict=True):
        bell.arm(row)
    ring_addressed(addresses, 8)
    assert [bell.drain() for bell in bells] == [0, 1, 1, 0]
    store_word(rows[3].asleep_address, FOR_ANYTHING)
    ring_addressed(addresses, 4)
    assert [bell.drain() for bell in bells] == [1, 0, 0, 1]
    for bell in bells:
        bell.close()
