"""Agents under the three schedulers, and the ways to wait."""

import os
import signal
import threading
import time

import pytest

from core.agent import StopFlag, run_agent, run_until, run_until_quiet, step
from core.doorbell import Doorbell
from core.idle import Adaptive, Spin, adaptive
from core.status import StatusTable

SLEEPER = """
import signal, sys, time
from pathlib import Path
from core.agent import StopFlag, run_agent
from core.doorbell import Doorbell
from core.idle import Adaptive
from core.status import StatusTable
row = StatusTable.open(sys.argv[1]).take("core")
bell = Doorbell(Path(sys.argv[2]), "core")
flag = StopFlag()
def stop(number, frame):
    flag.stopping = True
    bell.ring()
signal.signal(signal.SIGTERM, stop)
class Nothing:
    polls = 0
    def poll(self):
        self.polls += 1
        return 0
agent = Nothing()
print("ready", flush=True)
begin = time.process_time()
run_agent(agent, Adaptive(bell, row, timeout_seconds=60), flag)
print(agent.polls, time.process_time() - begin, flush=True)
"""


class Queue:
    """An agent that works off a list, and may pass its items on."""

    def __init__(self, items=(), target=None):
        self.items = list(items)
        self.target = target
        self.done = []
        self.polls = 0

    def poll(self):
        self.polls += 1
        if not self.items:
            return 0
        item = self.items.pop(0)
        self.done.append(item)
        if self.target is not None:
            self.target.items.append(item)
        return 1


class Until:
    """Stops after so many polls of an agent."""

    def __init__(self, agent, polls):
        self.agent = agent
        self.polls = polls

    @property
    def stopping(self):
        return self.agent.polls >= self.polls


@pytest.fixture
def row(instance):
    table = StatusTable.attach_or_create(instance)
    yield table.take("core")
    table.close()


@pytest.fixture
def bell(tmp_path):
    made = Doorbell(tmp_path, "core")
    yield made
    made.close()


def test_an_agent_is_polled_until_it_is_to_stop():
    agent = Queue(range(5))
    assert run_agent(agent, Spin(), Until(agent, 8)) == 5
    assert agent.polls == 8


def test_agents_are_stepped_in_the_order_given():
    last = Queue()
    first = Queue([1, 2, 3], last)
    assert step([last, first]) == 1
    assert step([first, last]) == 2
    assert run_until_quiet([first, last]) == 3
    assert last.done == [1, 2, 3]
    assert run_until_quiet([first, last]) == 0


def test_agents_that_never_rest_are_an_error():
    a = Queue([1])
    a.target = a
    with pytest.raises(RuntimeError, match="never came to rest: rounds=50 work=50"):
        run_until_quiet([a], 50)
    with pytest.raises(RuntimeError, match="never got there"):
        run_until([a], lambda: False, 50)
    run_until([a], lambda: a.polls > 120, 50)


def test_an_agents_exception_ends_it_awake(row, bell):
    class Broken:
        def __init__(self):
            self.polls = 0

        def poll(self):
            self.polls += 1
            if self.polls > 10:
                raise ValueError("broken")
            return 0

    with pytest.raises(ValueError, match="broken"):
        run_agent(Broken(), Adaptive(bell, row, spins=1, timeout_seconds=0), StopFlag())
    assert not row.asleep


def test_waiting_goes_from_spinning_to_sleep(row, bell):
    idle = Adaptive(bell, row, spins=3, linger_ns_max=0, timeout_seconds=0.001)
    for _ in range(3):
        idle.idle(0)
        assert not row.asleep
    idle.idle(0)  # Armed: the next poll is the second look.
    assert row.asleep
    assert idle.sleeps == 0
    idle.idle(0)
    assert (idle.sleeps, row.asleep) == (1, True)  # Time over, still nothing: sleep again.
    idle.idle(0)
    assert idle.sleeps == 2
    idle.idle(1)
    assert not row.asleep
    idle.idle(0)
    assert not row.asleep


class Clock:
    """Nanoseconds, moved by hand."""

    def __init__(self):
        self.now = 1

    def __call__(self):
        return self.now


def sleep_once(idle, clock, slept_ns, row):
    """Go to sleep, however long lingering takes, and find work after a while."""
    while not row.asleep:
        idle.idle(0)
        clock.now += 1_000
    clock.now += slept_ns
    idle.idle(1)


def test_short_sleeps_make_it_linger_and_long_ones_stop_it(row, bell):
    clock = Clock()
    idle = Adaptive(bell, row, spins=0, linger_ns_max=50_000, clock=clock)
    lingered = [0]
    for slept_ns in (5_000, 5_000, 5_000, 5_000, 5_000, 10**6, 10**6, 10**6):
        sleep_once(idle, clock, slept_ns, row)
        lingered.append(idle.linger_ns)
    assert lingered == [0, 10_000, 20_000, 40_000, 50_000, 50_000, 25_000, 12_500, 0]


def test_lingering_is_polling_on_until_its_time_is_over(row, bell):
    clock = Clock()
    idle = Adaptive(bell, row, spins=2, linger_ns_max=50_000, timeout_seconds=0, clock=clock)
    sleep_once(idle, clock, 0, row)
    assert idle.linger_ns == 10_000
    for _ in range(2 + 10):  # Two spins, then ten microseconds at one a poll.
        idle.idle(0)
        assert not row.asleep
        clock.now += 1_000
    idle.idle(0)
    clock.now += 1_000
    idle.idle(0)
    assert row.asleep


def test_messages_in_quick_succession_never_meet_a_sleeper(row, bell):
    clock = Clock()
    idle = Adaptive(bell, row, spins=1, linger_ns_max=200_000, timeout_seconds=0, clock=clock)
    sleeps = []
    for _ in range(20):
        asleep = False
        for _ in range(100):  # A message each hundred microseconds.
            idle.idle(0)
            asleep = asleep or row.asleep
            clock.now += 1_000
        sleeps.append(asleep)
        idle.idle(1)
    assert sleeps == [True] * 5 + [False] * 15


def test_work_found_by_the_second_look_prevents_the_sleep(row, bell):
    idle = Adaptive(bell, row, spins=0, linger_ns_max=0, timeout_seconds=60)
    idle.idle(0)
    assert row.asleep
    idle.idle(1)
    assert (row.asleep, idle.sleeps) == (False, 0)


def test_a_bell_ends_the_sleep_and_spinning_begins_anew(row, bell):
    idle = Adaptive(bell, row, spins=1, linger_ns_max=0, timeout_seconds=60)
    idle.idle(0)
    idle.idle(0)
    timer = threading.Timer(0.05, bell.ring_if_asleep, (row,))
    timer.start()
    begin = time.monotonic()
    idle.idle(0)
    assert time.monotonic() - begin < 30
    timer.join()
    assert (row.asleep, idle.sleeps) == (False, 1)
    assert not bell.wait(0)
    idle.idle(0)
    assert not row.asleep


def test_a_sleeping_process_takes_no_time_and_ends_at_once_when_asked(
    instance, row, tmp_path, spawn
):
    process = spawn(SLEEPER, instance, tmp_path)
    assert process.stdout.readline() == "ready\n"
    while not row.asleep:
        time.sleep(0.01)
    time.sleep(0.5)
    begin = time.monotonic()
    process.send_signal(signal.SIGTERM)
    polls, seconds = process.stdout.readline().split()
    assert time.monotonic() - begin < 5  # Not the sixty seconds of the timeout.
    assert int(polls) < 100
    assert float(seconds) < 0.2
    assert process.wait() == 0
    assert not row.asleep


@pytest.mark.parametrize(
    ("policy", "real_time", "waits"),
    [("fsync", True, (0, 0)), ("async", True, (7, 9)), ("fsync", False, (7, 9))],
)
def test_real_time_keeps_nobody_from_the_disk(
    policy, real_time, waits, bell, row, monkeypatch
):
    """The kernel's answer is stood in for: a test in real time would be ahead of all others."""
    scheduler = os.SCHED_FIFO if real_time else os.SCHED_OTHER
    monkeypatch.setattr(os, "sched_getscheduler", lambda pid: scheduler)
    idle = adaptive(bell, row, policy, spins=7, linger_ns_max=9)
    assert (idle.spins, idle.linger_ns_max) == waits
