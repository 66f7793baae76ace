"""The ring against a deque, at every offset, full and empty, and with either side killed."""

import signal
from collections import deque

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from core import ring
from core.jit import jit
from core.memory import Segment, unlink_all
from core.ring import (
    Ring,
    frame_length,
    frame_valid,
    ring_abandon,
    ring_address,
    ring_claim,
    ring_consumed,
    ring_flush,
    ring_next,
    ring_peek,
    ring_publish,
    ring_readable,
    ring_release,
    ring_room,
    ring_seek,
)
from core.words import PENDING
from sbe.raw import fill, load_i32, load_i64, load_u8, store_i32, store_i64

CAPACITY = 4096


@jit
def put(r: int, length: int, number: int) -> bool:
    """Claim and fill a frame: length, number, then bytes that follow from the number."""
    a = ring_claim(r, length)
    if a == 0:
        return False
    store_i32(a, length)
    store_i64(a + 8, number)
    fill(a + 16, number & 255, length - 16)
    return True


@jit
def whole(a: int, length: int, number: int) -> bool:
    """Whether the frame at an address is the one that `put` wrote."""
    good = load_i32(a) == length and load_i64(a + 8) == number
    for offset in range(16, length):
        good = good and load_u8(a + offset) == number & 255
    return good


@jit
def length_of(number: int) -> int:
    """Lengths that never fall into step with the capacity: 32 to 480 bytes."""
    return 32 * (1 + number * 7 % 15)


@jit
def produce(r: int, first: int, count: int) -> int:
    """Put frames one after the other, waiting while the ring is full, publishing 1 to 4 at once."""
    number = first
    claimed = 0
    while number < first + count:
        if put(r, length_of(number), number):
            claimed += length_of(number)
            number += 1
            if number % 5 == 0 or number % 3 == 0:
                ring_publish(r, claimed)
                claimed = 0
        elif claimed:
            ring_publish(r, claimed)
            claimed = 0
    ring_flush(r)
    return number


@jit
def consume(r: int, first: int, count: int, spins: int) -> int:
    """Read so many frames in batches; the number of the first that was wrong or never came."""
    number = first
    position = ring_consumed(r)
    while number < first + count and spins > 0:
        readable = ring_readable(r)
        spins -= readable == position
        while position < readable and number < first + count:
            a = ring_address(r, position)
            length = load_i32(a)
            if not frame_valid(length, readable - position):
                return number
            if length != length_of(number) or not whole(a, length, number):
                return number
            position += length
            number += 1
        ring_release(r, position)
    return number


COMMON = """
import sys, time
from core.ring import *
from tests.core.test_ring import *
r = Ring.open(sys.argv[1], "commands.test").address
"""
PRODUCER = COMMON + "produce(r, 0, int(sys.argv[2])); print('done', flush=True)"
CRASHING_PRODUCER = (
    COMMON
    + """
number = int(sys.argv[2])
ring_abandon(r)
produce(r, 0, 0)
print("ready", flush=True)
while True:
    if put(r, length_of(number), number):
        ring_publish(r, length_of(number))
        number += 1
"""
)
DYING_PRODUCER = (
    COMMON
    + """
put(r, 64, 1); put(r, 64, 2); ring_publish(r, 128)
a = ring_claim(r, 64); store_i32(a, 64)
print("claimed", flush=True)
time.sleep(60)
"""
)
CRASHING_CONSUMER = (
    COMMON
    + """
number = int(sys.argv[2])
print("ready", flush=True)
while True:
    a = ring_peek(r)
    if a:
        assert whole(a, length_of(load_i64(a + 8)), load_i64(a + 8)), number
        ring_next(r)
"""
)
SPINNER = (
    COMMON
    + """
@jit
def spin(r):
    while ring_readable(r) == 0:
        pass
    return ring_readable(r)
spin.compile("(int64,)")
print("spinning", flush=True)
print(spin(r), flush=True)
"""
)


@pytest.fixture
def the_ring(instance):
    made = Ring.create(instance, "commands.test", CAPACITY)
    yield made
    made.close()


@pytest.fixture
def r(the_ring):
    return the_ring.address


def numbers(r):
    """Read everything there is, one frame after the other."""
    found = []
    while address := ring_peek(r):
        found.append(load_i64(address + 8))
        assert whole(address, load_i32(address), found[-1])
        ring_next(r)
    return found


def test_a_new_ring_is_empty(the_ring, r):
    assert ring_peek(r) == 0
    assert ring_readable(r) == ring_consumed(r) == the_ring.depth == 0
    assert ring_room(r) == CAPACITY


def test_frames_come_out_as_they_went_in(the_ring, r):
    for number in range(5):
        assert put(r, length_of(number), number)
        ring_publish(r, length_of(number))
    assert the_ring.depth == sum(map(length_of, range(5)))
    assert numbers(r) == [0, 1, 2, 3, 4]
    assert the_ring.depth == 0


def test_what_is_claimed_is_not_there_before_it_is_published(r):
    put(r, 64, 1)
    put(r, 96, 2)
    put(r, 32, 3)
    assert ring_peek(r) == 0
    ring_publish(r, 64 + 96)
    assert numbers(r) == [1, 2]
    ring_flush(r)
    assert numbers(r) == [3]


def test_abandoned_claims_were_never_there(r):
    put(r, 64, 1)
    ring_publish(r, 64)
    put(r, 96, 2)
    ring_abandon(r)
    put(r, 64, 3)
    ring_flush(r)
    assert numbers(r) == [1, 3]


def test_a_full_ring_refuses_and_recovers_to_the_byte(r):
    for number in range(CAPACITY // 64):
        assert put(r, 64, number)
    assert not put(r, 32, 99)
    assert ring_room(r) == 0
    ring_flush(r)
    assert not put(r, 32, 99)
    ring_next(r)
    assert not put(r, 96, 99)
    assert put(r, 64, 64)
    assert not put(r, 32, 99)
    ring_flush(r)
    assert numbers(r) == list(range(1, 65))


def test_one_frame_may_fill_the_ring_and_no_frame_may_be_larger(r):
    assert not put(r, CAPACITY + 32, 1)
    assert put(r, CAPACITY, 1)
    ring_flush(r)
    assert numbers(r) == [1]
    assert put(r, CAPACITY, 2)


@pytest.mark.parametrize("length", [32, 96, 2048, CAPACITY - 32, CAPACITY])
def test_a_frame_is_whole_wherever_it_begins(r, length):
    for number in range(0, CAPACITY // 32):
        assert put(r, length, number)
        ring_flush(r)
        assert ring_peek(r) == ring_address(r, ring_consumed(r))
        assert numbers(r) == [number]
        # On to an offset 32 bytes further than this frame began at.
        step = (32 - length) % CAPACITY
        if step:
            put(r, step, 0)
            ring_flush(r)
            numbers(r)
    assert ring_consumed(r) % CAPACITY == 0


def test_padding_never_shows_an_older_frame(r):
    for number in range(CAPACITY // 64):
        put(r, 64, 255 * (1 + number))
    ring_flush(r)
    numbers(r)
    a = ring_claim(r, 64)
    assert [load_u8(a + offset) for offset in range(32, 64)] == [0] * 32
    assert load_u8(a + 31) == 255 * 1 & 255


def test_a_batch_is_read_in_place_and_given_back_at_once(r):
    for number in range(10):
        put(r, length_of(number), number)
    ring_flush(r)
    assert consume(r, 0, 10, 1) == 10
    assert ring_consumed(r) == ring_readable(r)


@pytest.mark.parametrize(
    ("length", "available", "valid"),
    [
        (32, 32, True),
        (64, 100, True),
        (0, 64, False),
        (-32, 64, False),
        (40, 64, False),
        (96, 64, False),
    ],
)
def test_a_frame_length_is_checked(length, available, valid):
    assert frame_valid(length, available) is valid


def test_sizes_round_up_to_frames():
    assert [frame_length(size) for size in (1, 32, 33, 64, 65)] == [32, 32, 64, 64, 96]


def test_a_consumer_may_go_on_where_its_own_records_say(r):
    for number in range(4):
        put(r, 64, number)
    ring_flush(r)
    ring_next(r)
    ring_seek(r, 192)
    assert numbers(r) == [3]


# ---- two processes ----------------------------------------------------------------------------


def test_two_processes_hand_over_every_frame_whole(instance, the_ring, r, spawn):
    producer = spawn(PRODUCER, instance, 300_000)
    assert consume(r, 0, 300_000, 1 << 40) == 300_000
    assert producer.stdout.readline() == "done\n"
    assert the_ring.depth == 0
    assert ring_readable(r) > 1000 * CAPACITY


def test_a_producer_killed_while_writing_leaves_what_it_published(instance, the_ring, r, spawn):
    producer = spawn(DYING_PRODUCER, instance)
    assert producer.stdout.readline() == "claimed\n"
    producer.send_signal(signal.SIGKILL)
    producer.wait()
    assert load_i64(r + PENDING) == 192  # It died in the middle of a frame,
    assert numbers(r) == [1, 2]  # of which nobody ever learns.
    assert the_ring.take_producer() == 128
    put(r, 64, 3)
    ring_flush(r)
    assert numbers(r) == [3]


def test_producers_killed_at_any_moment_lose_and_double_nothing(instance, the_ring, r, spawn):
    expected = 0
    for _ in range(5):
        producer = spawn(CRASHING_PRODUCER, instance, expected)
        assert producer.stdout.readline() == "ready\n"
        expected = consume(r, expected, 2_000, 1 << 40)
        producer.send_signal(signal.SIGKILL)
        producer.wait()
        depth_frames = 0
        position = ring_consumed(r)
        while position < ring_readable(r):
            depth_frames += 1
            position += load_i32(ring_address(r, position))
        assert position == ring_readable(r)
        # Dense numbers, whole frames, to the last that was published.
        assert consume(r, expected, depth_frames, 1) == expected + depth_frames
        expected += depth_frames
    assert expected >= 10_000


def test_a_killed_consumer_is_followed_by_one_that_misses_nothing(instance, the_ring, r, spawn):
    number = 0
    for _ in range(3):
        consumer = spawn(CRASHING_CONSUMER, instance, number)
        assert consumer.stdout.readline() == "ready\n"
        number = produce(r, number, 3_000)
        consumer.send_signal(signal.SIGKILL)
        consumer.wait()
        assert 0 <= the_ring.depth <= CAPACITY
        if address := ring_peek(r):
            oldest = load_i64(address + 8)
            assert consume(r, oldest, number - oldest, 1) == number


def test_a_restarted_process_finds_its_ring_with_what_is_in_it(instance, spawn):
    code = """
import sys
from tests.core.test_ring import *
made = Ring.create(sys.argv[1], "commands.test", 4096)
put(made.address, 64, 7); ring_flush(made.address); put(made.address, 64, 8)
print("ready", flush=True)
sys.stdin.read()
"""
    owner = spawn(code, instance)
    assert owner.stdout.readline() == "ready\n"
    owner.send_signal(signal.SIGKILL)
    owner.wait()
    again = Ring.attach_or_create(instance, "commands.test", CAPACITY)
    assert not again.segment.created
    again.take_producer()
    put(again.address, 64, 9)
    ring_flush(again.address)
    assert numbers(again.address) == [7, 9]
    again.close()


def test_a_compiled_spin_sees_another_process_store(instance, the_ring, r, spawn):
    """With a plain load the compiler moves it out of the loop, and this hangs (style.md 4.4)."""
    spinner = spawn(SPINNER, instance)
    assert spinner.stdout.readline() == "spinning\n"
    put(r, 64, 1)
    ring_flush(r)
    spinner.stdin.close()
    assert spinner.stdout.readline() == "64\n"


# ---- against a deque --------------------------------------------------------------------------


class RingAgainstDeque(RuleBasedStateMachine):
    """Every order of claims, publications and reads does what a deque would."""

    def __init__(self) -> None:
        super().__init__()
        self.name = "test-model"
        unlink_all(self.name)
        self.ring = Ring(Segment.create(self.name, "commands.model", CAPACITY, mirrored=True))
        self.r = self.ring.address
        self.number = 0
        self.claimed: deque[tuple[int, int]] = deque()
        self.published: deque[tuple[int, int]] = deque()

    def used(self) -> int:
        return sum(length for length, _ in [*self.claimed, *self.published])

    @rule(words=st.integers(1, CAPACITY // 32 + 1))
    def claim(self, words: int) -> None:
        length = 32 * words
        fits = self.used() + length <= CAPACITY
        assert put(self.r, length, self.number) is fits
        if fits:
            self.claimed.append((length, self.number))
        self.number += 1

    @precondition(lambda self: self.claimed)
    @rule(data=st.data())
    def publish_some(self, data: st.DataObject) -> None:
        count = data.draw(st.integers(1, len(self.claimed)))
        frames = [self.claimed.popleft() for _ in range(count)]
        ring_publish(self.r, sum(length for length, _ in frames))
        self.published.extend(frames)

    @rule()
    def flush(self) -> None:
        ring_flush(self.r)
        self.published.extend(self.claimed)
        self.claimed.clear()

    @rule()
    def abandon(self) -> None:
        ring_abandon(self.r)
        self.claimed.clear()

    @rule()
    def take_one(self) -> None:
        address = ring_peek(self.r)
        assert (address != 0) is bool(self.published)
        if self.published:
            assert whole(address, *self.published.popleft())
            ring_next(self.r)

    @rule(limit=st.integers(0, 20))
    def take_batch(self, limit: int) -> None:
        position, readable = ring_consumed(self.r), ring_readable(self.r)
        while position < readable and limit:
            length, number = self.published.popleft()
            assert frame_valid(length, readable - position)
            assert whole(ring_address(self.r, position), length, number)
            position += length
            limit -= 1
        ring_release(self.r, position)

    @invariant()
    def room_and_depth_add_up(self) -> None:
        assert ring_room(self.r) == CAPACITY - self.used()
        assert self.ring.depth == sum(length for length, _ in self.published)

    def teardown(self) -> None:
        self.ring.close()
        unlink_all(self.name)


RingAgainstDeque.TestCase.settings = settings(
    max_examples=150, stateful_step_count=60, deadline=None
)
TestRingAgainstDeque = RingAgainstDeque.TestCase


def test_the_drawing_says_where_the_words_are():
    text = ring.__doc__ or ""
    for name in ("CAPACITY", "PENDING", "FREE_UNTIL", "PUBLISHED", "CONSUMED", "SEEN"):
        offset, title = getattr(ring, name), name.lower().replace("_", " ")
        assert f"\n    {offset:4}  {title}" in text, name
