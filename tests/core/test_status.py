"""The status table: rows are found by name, survive their process, and say whether it lives."""

import os
import signal
import time

import pytest

from core import status
from core.errors import SegmentMissing, StatusFull
from core.status import ROW, ROWS_MAX, State, StatusTable

TAKER = """
import sys
from core.status import State, StatusTable
table = StatusTable.open(sys.argv[1])
row = table.take(sys.argv[2])
row.state = State.RUNNING
row.position = 4096
print("ready", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def table(instance):
    made = StatusTable.attach_or_create(instance)
    yield made
    made.close()


def test_the_words_are_shared_and_apart(instance, table):
    other = StatusTable.open(instance)
    names = ("durable_sequence", "published_sequence", "core_generation", "core_ready")
    for number, name in enumerate(names, 1):
        assert getattr(other, name) == 0
        setattr(table, name, number << 40)
    assert [getattr(other, name) >> 40 for name in names] == [1, 2, 3, 4]
    addresses = [
        table.durable_address,
        table.published_address,
        table.generation_address,
        table.ready_address,
    ]
    assert len({address // 128 for address in addresses}) == 4
    other.close()


def test_a_row_is_taken_and_found(instance, table):
    row = table.take("core")
    assert (row.name, row.pid, row.state, row.alive) == ("core", os.getpid(), State.STARTING, True)
    assert not row.asleep
    row.beat()
    assert 0 <= row.age_ns(time.time_ns()) < 10**9
    row.beat(5)
    assert row.age_ns(12) == 7
    other = StatusTable.open(instance, writable=False)
    found = other.find("core")
    assert found is not None
    assert (found.number, found.pid) == (row.number, os.getpid())
    assert other.find("journal") is None
    assert [named.name for named in other.named()] == ["core"]
    with pytest.raises(ValueError, match="read-only"):
        found.state = State.STOPPED
    other.close()


def test_the_row_of_a_process_that_has_not_started_can_be_waited_on(table):
    row = table.row("fix")
    assert (row.pid, row.alive, row.state) == (0, False, State.ABSENT)
    assert table.take("fix").number == row.number


def test_a_killed_process_is_seen_dead_and_its_successor_gets_its_position(instance, table, spawn):
    process = spawn(TAKER, instance, "settlement")
    assert process.stdout.readline() == "ready\n"
    row = table.find("settlement")
    assert (row.alive, row.state, row.position) == (True, State.RUNNING, 4096)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not row.alive
    successor = spawn(TAKER.replace("row.position = 4096", ""), instance, "settlement")
    assert successor.stdout.readline() == "ready\n"
    assert (row.alive, row.pid, row.position) == (True, successor.pid, 4096)
    assert row.fields["generation"] == 2


def test_processes_that_start_at_once_get_rows_of_their_own(instance, table, spawn):
    names = [f"p{number}" for number in range(6)]
    processes = [spawn(TAKER, instance, name) for name in names]
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    assert sorted(row.name for row in table.named()) == names
    assert {row.pid for row in table.named()} == {process.pid for process in processes}


def test_a_full_table_says_so(table):
    for number in range(ROWS_MAX):
        table.row(f"p{number}")
    table.row("p0")
    with pytest.raises(StatusFull, match=f"no room for one-more: rows={ROWS_MAX}"):
        table.row("one-more")


@pytest.mark.parametrize("name", ["", "a" * 17, "é" * 9])
def test_a_name_must_fit(table, name):
    with pytest.raises(ValueError, match="1 to 16 bytes"):
        table.row(name)


def test_a_table_that_is_not_there_says_so(instance):
    with pytest.raises(SegmentMissing, match="not running"):
        StatusTable.open(instance)


def test_a_row_is_two_cache_lines_with_what_others_look_at_on_the_first():
    assert ROW.itemsize == 128
    first = {name for name in ROW.names if ROW.fields[name][1] < 64}
    assert first == {"name", "pid", "start", "state", "asleep", "generation", "unused"}
    assert status.ROWS % 128 == 0
