"""The sequencer: one order of all commands, each stamped, kept and applied before the next.

    commands.<producer> rings          sequenced ring            event log
    ──────────────────────┐            (journal process)         (everyone)
      admin  ─┐           │  copy,          ▲                       ▲
      fix    ─┼─ round ───┼─ stamp ─────────┤ publish 1st           │ publish 2nd
      binary ─┤  robin    │  (sequence,     │                       │
      …      ─┘           │   time)     ──► engine.apply ───────────┘
    ──────────────────────┘
                 ▲ released 3rd

The order of the three publications is what makes a crash harmless: a command that is not in
`sequenced` never happened, one that is there will be replayed, and how far a producer's ring is
consumed is part of the state. Time is read here and nowhere behind: the engine sees only stamps.

A command is taken only when its worst case fits: its own frame in `sequenced`, and
COMMAND_EVENTS_MAX bytes in the event log.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.atomics import clock_realtime_ns, fence_release, sched_yield, store_release
from core.engine.foresight import (
    GLANCE,
    GRASP,
    LOOK,
    REACH,
    TOUCH,
    glance,
    grasp,
    look,
    reach,
    touch,
)
from core.engine.run import apply
from core.events import log_publish, log_room
from core.jit import jit
from core.memory import HEADER_SIZE
from core.records import PRODUCERS
from core.ring import (
    frame_valid,
    ring_address,
    ring_claim,
    ring_consumed,
    ring_flush,
    ring_readable,
    ring_release,
)
from core.wake import ring_addressed
from core.words import CAPACITY, CLAIM_STEP_MAX, CLAIMED, PENDING
from sbe.generated.control import (
    DECIDE_RISK_PROPOSAL_TEMPLATE,
    SET_RISK_PARAMETER_TEMPLATE,
    decide_risk_proposal_signer,
    header_template,
    set_risk_parameter_signer,
    write_tick_header,
)
from sbe.raw import copy, fill, load_i32, load_i64, store_i16, store_i32, store_i64

# More than any one command emits: FILLS_MAX trades, OPEN_ORDERS_MAX cancels and the slices behind.
COMMAND_EVENTS_MAX = 4 << 20
_TICK_LENGTH = 64
_TURN = 64  # Commands of one producer before the next has its turn.
_SAME_TIME = 8  # Commands that waited together are stamped alike: the clock was 4 % of all time.
_ROUNDS = 8  # Of turns, each published, before the process looks after itself again.
_SEQUENCE_AT = 16
_TIME_AT = 24
_HEADER_AT = 32
_BODY_AT = 40


@jit
def sequence_commands(
    state: NDArray[Any], rings: NDArray[np.int64], sequenced: int, log: int,
    bells: NDArray[np.int64], published: int, told: int, signed: NDArray[np.int64], offers: int,
) -> int:
    """Take what the producers have sent, up to _ROUNDS × _TURN commands each; how many there were.

    rings: int64[PRODUCERS], addresses of the producers' rings, 0 where there is none.
    signed: int64[PRODUCERS], by producer the position of the last signed command that was looked
    at; at 0 the producer whose next command waits for that (core.signatures), else 0.
    bells: int64[n, 3], of each process to be woken: see `core.wake.ring_addressed`.
    published: address of the status word for the newest sequence.
    told: address of int64[PRODUCERS], the last sequence of which sessions of each were told.
    offers: how often to offer the processor and look again where there was nothing: whoever is
    served by what was just published, or sends the next command, may be waiting for it.
    """
    s = state[0]
    taken = 0
    for _ in range(_ROUNDS):
        count = _round(s, rings, sequenced, log, bells, published, told, signed)
        taken += count
        if count == 0:
            if offers == 0 or signed[0] != 0:
                break
            offers -= 1
            sched_yield()
    return taken


@jit
def _round(
    s: Any, rings: NDArray[np.int64], sequenced: int, log: int, bells: NDArray[np.int64],
    published: int, told: int, signed: NDArray[np.int64],
) -> int:
    """A turn of each producer, published at its end; commands taken."""
    first = s.sequence
    s.work.addressed = 0
    for producer in range(1, PRODUCERS):
        if rings[producer] != 0:
            _take_turn(s, rings[producer], producer, sequenced, log, signed)
    if s.sequence == first and _time_presses(s):
        _tick(s, sequenced, log)
    if s.sequence == first:
        return 0
    if s.work.addressed != 0:  # Who reads the commands finds there who waits for them.
        for producer in range(1, PRODUCERS):
            if s.work.addressed >> producer & 1:
                store_i64(told + 8 * producer, s.sequence)
    ring_flush(sequenced)
    store_i64(log + PENDING, s.event_position)
    log_publish(log, s.event_position)
    store_release(published, s.sequence)
    for producer in range(1, PRODUCERS):
        if rings[producer] != 0:
            ring_release(rings[producer], s.work.consumed[producer])
    ring_addressed(bells, s.work.addressed)
    taken: int = s.sequence - first
    return taken


@jit
def _take_turn(
    s: Any, ring: int, producer: int, sequenced: int, log: int, signed: NDArray[np.int64]
) -> None:
    """Stamp and apply up to _TURN commands of one producer; notes how far its ring is done."""
    position = ring_consumed(ring)
    readable = ring_readable(ring)
    glanced = _foresee_many(s, ring, position, readable, GLANCE)
    looked = _foresee_many(s, ring, position, readable, LOOK)
    reached = _foresee_many(s, ring, position, readable, REACH)
    touched = _foresee_many(s, ring, position, readable, TOUCH)
    grasped = _foresee_many(s, ring, position, readable, GRASP)
    now = 0
    for number in range(_TURN):
        if position >= readable:
            break
        if number % _SAME_TIME == 0:
            now = clock_realtime_ns()
        glanced = _foresee(s, ring, glanced, readable, GLANCE)
        looked = _foresee(s, ring, looked, readable, LOOK)
        reached = _foresee(s, ring, reached, readable, REACH)
        touched = _foresee(s, ring, touched, readable, TOUCH)
        grasped = _foresee(s, ring, grasped, readable, GRASP)
        frame = ring_address(ring, position)
        length = load_i32(frame)
        if not frame_valid(length, readable - position):
            position = readable  # A producer that writes no frames is cut off from what it wrote.
            break
        if _is_signed(frame) and signed[producer] != position:
            signed[0] = producer
            break
        stamped = _room_for(s, length, sequenced, log)
        if stamped == 0:
            break
        copy(stamped, frame, length)
        store_i16(stamped + 4, producer)
        position += length
        store_i32(stamped + 12, position >> 5)
        _stamp_and_apply(s, stamped, now)
    s.work.consumed[producer] = position


@jit
def _is_signed(frame: int) -> bool:
    """Whether a command says that somebody has signed it."""
    template = header_template(frame + _HEADER_AT)
    if template == SET_RISK_PARAMETER_TEMPLATE:
        return bool(set_risk_parameter_signer(frame + _BODY_AT) != 0)
    if template == DECIDE_RISK_PROPOSAL_TEMPLATE:
        return bool(decide_risk_proposal_signer(frame + _BODY_AT) != 0)
    return False


@jit
def _foresee_many(s: Any, ring: int, position: int, readable: int, ahead: int) -> int:
    """Let the engine see the commands up to so far ahead; the position behind them."""
    for _ in range(ahead):
        position = _foresee(s, ring, position, readable, ahead)
    return position


@jit
def _foresee(s: Any, ring: int, position: int, readable: int, ahead: int) -> int:
    """Let the engine see a command so far ahead in the ring; the position behind it."""
    if position >= readable:
        return position
    frame = ring_address(ring, position)
    length = load_i32(frame)
    if not frame_valid(length, readable - position):
        return readable
    if ahead == GLANCE:
        glance(s, frame)
    elif ahead == LOOK:
        look(s, frame)
    elif ahead == REACH:
        reach(s, frame)
    elif ahead == TOUCH:
        touch(s, frame)
    else:
        grasp(s, frame)
    return position + length


@jit
def _room_for(s: Any, length: int, sequenced: int, log: int) -> int:
    """The address for a command of this length in `sequenced`, 0 while there is no room."""
    store_i64(log + PENDING, s.event_position)
    if log_room(log) < COMMAND_EVENTS_MAX:
        return 0
    end = s.event_position + COMMAND_EVENTS_MAX
    if end > load_i64(log + CLAIMED):
        # Readers must know what may be overwritten before it is.
        store_release(log + CLAIMED, (end + CLAIM_STEP_MAX) & -CLAIM_STEP_MAX)
        fence_release()
    return ring_claim(sequenced, length)


@jit
def _stamp_and_apply(s: Any, frame: int, now: int) -> None:
    """Give a command its sequence and a time that never falls, and let it happen."""
    store_i64(frame + _SEQUENCE_AT, s.sequence + 1)
    store_i64(frame + _TIME_AT, max(s.time, now))
    apply(s, frame)


@jit
def _time_presses(s: Any) -> bool:
    """Whether something waits for nothing but a command to follow."""
    if s.jobs != 0 or s.trigger_pending != 0 or s.auction_pending != 0:
        return True
    if s.watching != 0:
        return True
    now = clock_realtime_ns()
    due = s.expiries > 0 and s.expiry[1].time <= now
    due = due or (s.liquidations > 0 and s.liquidation_due <= now) or 0 < s.risk_due <= now
    return bool(due or 0 < s.next_timer <= now)


@jit
def _tick(s: Any, sequenced: int, log: int) -> None:
    """The sequencer's own command: time has passed."""
    frame = _room_for(s, _TICK_LENGTH, sequenced, log)
    if frame == 0:
        return
    fill(frame, 0, _TICK_LENGTH)
    store_i32(frame, _TICK_LENGTH)
    write_tick_header(frame + 32)
    _stamp_and_apply(s, frame, clock_realtime_ns())


@jit
def replay_commands(state: NDArray[Any], address: int, end: int, events_max: int) -> int:
    """Apply stamped frames from one address on, until `end` or so many bytes of events.

    Returns the address behind the last command applied. The caller has bound the events to memory
    that holds events_max + COMMAND_EVENTS_MAX.
    """
    s = state[0]
    limit = s.event_position + events_max
    while address < end and s.event_position < limit:
        apply(s, address)
        address += load_i32(address)
    return address


def event_memory(log: int) -> tuple[int, int]:
    """Address and size of an event log's data, for `engine.run.bind_events`."""
    return log + HEADER_SIZE, load_i64(log + CAPACITY)


