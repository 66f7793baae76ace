"""The event log: one writer that never waits for a reader, any number of readers that can tell.

The log is a byte stream of frames over a mirrored segment, like a ring (core/ring.py), with one
difference: only the archiver (the journal process) holds the writer back. Everybody else keeps a
position of their own and may be *lapped*: overwritten while away or even while copying.

                    oldest whole byte
    claimed − capacity |      archived       published      claimed (rounded up)
    -------------------+----------+-------------+--------------+
     overwritten       |##########|#############|  being       |
    -------------------+----------+-------------+--------------+
                                   frames         written

Control words in the segment's header, each on its own pair of cache lines:

      24  capacity    the data size, in bytes                  written at creation
    1152  pending     end of what the writer has claimed       writer, private
    1160  archived    the archiver's position, as last seen    writer, private
    1280  published   end of what readers may read             writer → readers
    1408  archived    end of what the archiver has stored      archiver → writer
    1536  claimed     nothing from here on is touched yet      writer → readers

A reader copies first and asks afterwards. The writer moves `claimed` forward *before* it writes
a byte there (with a release fence in between), so a reader that copied from `position` and then,
behind an acquire fence, still finds `position >= claimed − capacity` has copied whole bytes. To
keep that word out of the writer's way it moves in steps of an eighth of the log, at most 64 KiB.

Plain Python reads the log, and the archive behind it, by core/stream.py. A log is handed to
compiled code as one int64, `log`: the address of its segment's header.
"""

from core.atomics import fence_acquire, fence_release, load_acquire, store_release
from core.jit import jit
from core.memory import HEADER_SIZE
from core.words import (
    ARCHIVED,
    ARCHIVED_SEEN,
    CAPACITY,
    CLAIM_STEP_MAX,
    CLAIMED,
    PENDING,
    PUBLISHED,
)
from sbe.raw import copy, fill, load_i64, store_i64

# ---- writer -----------------------------------------------------------------------------------


@jit
def log_address(log: int, position: int) -> int:
    """The address of a position."""
    return log + HEADER_SIZE + (position & (load_i64(log + CAPACITY) - 1))


@jit
def claim_step(log: int) -> int:
    """By how many bytes `claimed` moves at a time; a power of two."""
    return min(load_i64(log + CAPACITY) >> 3, CLAIM_STEP_MAX)


@jit
def log_room(log: int) -> int:
    """Bytes the writer may claim without overwriting what is not archived yet.

    One step of the log is kept free, so that what is not archived never looks overwritten. While
    more than half is free this is what was last seen, and touches no shared line.
    """
    capacity = load_i64(log + CAPACITY)
    pending = load_i64(log + PENDING)
    room = load_i64(log + ARCHIVED_SEEN) + capacity - claim_step(log) - pending
    if room < capacity >> 1:
        archived = load_acquire(log + ARCHIVED)
        store_i64(log + ARCHIVED_SEEN, archived)
        room = archived + capacity - claim_step(log) - pending
    return room


@jit
def log_claim(log: int, length: int) -> int:
    """The address of the next frame, of `length` bytes (a positive multiple of 32). Never blocks.

    The caller has asked `log_room` before. The last 32 bytes are zeroed, so that the padding of
    equal events is equal.
    """
    pending = load_i64(log + PENDING)
    end = pending + length
    if end > load_i64(log + CLAIMED):
        step = claim_step(log)
        store_release(log + CLAIMED, (end + step - 1) & -step)
        fence_release()
    store_i64(log + PENDING, end)
    address = log_address(log, pending)
    fill(address + length - 32, 0, 32)
    return address


@jit
def log_position(log: int) -> int:
    """The end of what the writer has claimed: where the next frame will begin."""
    return load_i64(log + PENDING)


@jit
def log_publish(log: int, position: int) -> None:
    """Let readers have everything before `position`."""
    store_release(log + PUBLISHED, position)


@jit
def log_resume(log: int, position: int) -> bool:
    """A restarted writer, or one with a new log, goes on at `position`.

    Beyond what was published, everything before `position` counts as overwritten: it is not here.
    False, and nothing done, if more than that is published: published bytes may be being read and
    are never rewritten, not even with the same values. A replay writes into a log of its own, and
    `log_transfer` brings over what is new.
    """
    published = load_i64(log + PUBLISHED)
    if position < published:
        return False
    if position > published:
        claimed = max(load_i64(log + CLAIMED), position + load_i64(log + CAPACITY))
        store_release(log + CLAIMED, claimed)
        fence_release()
        store_release(log + PUBLISHED, position)
    store_i64(log + PENDING, position)
    store_i64(log + ARCHIVED_SEEN, load_acquire(log + ARCHIVED))
    return True


@jit
def log_transfer(log: int, source: int, end: int) -> bool:
    """Append and publish what `source`, a log of equal positions, holds before `end`.

    False if there is no room for it yet (then nothing was done); at most `log_room` of an empty
    log can be brought over at once. For the writer's end only.
    """
    start = load_i64(log + PUBLISHED)
    if end <= start:
        return True
    assert not log_lapped(source, start), "Invariant: the source still holds what the log lacks."
    store_i64(log + PENDING, start)
    if log_room(log) < end - start:
        return False
    address = log_claim(log, end - start)
    copy(address, log_address(source, start), end - start)
    log_publish(log, end)
    return True


# ---- archiver ---------------------------------------------------------------------------------


@jit
def log_archived(log: int) -> int:
    """The position up to which the archiver has stored the stream."""
    return load_acquire(log + ARCHIVED)


@jit
def log_archive(log: int, position: int) -> None:
    """The archiver has stored everything before `position`; the writer may overwrite it."""
    store_release(log + ARCHIVED, position)


# ---- readers ----------------------------------------------------------------------------------


@jit
def log_published(log: int) -> int:
    """The position up to which there are frames to read."""
    return load_acquire(log + PUBLISHED)


@jit
def log_oldest(log: int) -> int:
    """The oldest position that is certainly not overwritten yet (it may be at any moment)."""
    return max(load_acquire(log + CLAIMED) - load_i64(log + CAPACITY), 0)


@jit
def log_lapped(log: int, position: int) -> bool:
    """After copying from `position`: whether any of it may have been overwritten meanwhile."""
    fence_acquire()
    return position < load_acquire(log + CLAIMED) - load_i64(log + CAPACITY)
