"""A ring of frames between two processes: one producer, one consumer, no lock, no wrap.

The ring is a byte stream over a mirrored segment. A *position* counts bytes since the ring was
made and never falls; its address is `data + (position & mask)`. As the data is mapped twice, back
to back, a frame that runs over the end simply runs on. A frame is a multiple of 32 bytes and
begins with its length as an i32; the rest is its owner's.

        consumed            published        pending
           |  frames to read   |  being written |            the three cases:
    -------+-------------------+----------------+--------    consumed == published   empty
    ^ free |###################|................| free ^     pending - consumed == capacity  full
                                                             otherwise       frames in between

Control words in the segment's header, each on its own pair of cache lines (the processor fetches
lines in pairs); the two sides never write the same pair:

      24  capacity    the data size, in bytes                  written at creation
    1152  pending     end of what the producer has claimed   producer, private
    1160  free until  consumed + capacity, as last seen      producer, private
    1280  published   end of what the consumer may read      producer → consumer
    1408  consumed    end of what the producer may reuse     consumer → producer
    1536  seen        published, as last seen                consumer, private

Publication rule: frames are written first, then `published` is stored with release; the consumer
loads it with acquire. What a producer claimed and did not publish before it died was never there.

A new segment is all zeros, and that is an empty ring; there is nothing to initialise. A ring is
handed to compiled code as one int64, `r`: the address of its segment's header.
"""

from core.atomics import load_acquire, store_release
from core.jit import jit
from core.memory import HEADER, HEADER_SIZE, Segment
from core.words import CAPACITY, CONSUMED, FREE_UNTIL, PENDING, PUBLISHED, SEEN
from sbe.raw import fill, load_i32, load_i64, store_i64

assert HEADER.fields is not None
assert HEADER.fields["data_size"][1] == CAPACITY


@jit
def frame_length(size: int) -> int:
    """The length of a frame that holds `size` bytes: the next multiple of 32."""
    return (size + 31) & ~31


@jit
def ring_address(r: int, position: int) -> int:
    """The address of a position."""
    return r + HEADER_SIZE + (position & (load_i64(r + CAPACITY) - 1))


# ---- producer ---------------------------------------------------------------------------------


@jit
def ring_claim(r: int, length: int) -> int:
    """Room for a frame of `length` bytes (a positive multiple of 32); its address, or 0 if full.

    The last 32 bytes of it are zeroed, so that padding never carries an older frame's bytes.
    Several claims may follow one another before they are published together.
    """
    pending = load_i64(r + PENDING)
    end = pending + length
    if end > load_i64(r + FREE_UNTIL):
        free_until = load_acquire(r + CONSUMED) + load_i64(r + CAPACITY)
        store_i64(r + FREE_UNTIL, free_until)
        if end > free_until:
            return 0
    store_i64(r + PENDING, end)
    address = ring_address(r, pending)
    fill(address + length - 32, 0, 32)
    return address


@jit
def ring_publish(r: int, length: int) -> None:
    """Let the consumer have the next `length` claimed bytes: one claim's, or the sum of several."""
    store_release(r + PUBLISHED, load_i64(r + PUBLISHED) + length)


@jit
def ring_flush(r: int) -> None:
    """Let the consumer have everything claimed."""
    store_release(r + PUBLISHED, load_i64(r + PENDING))


@jit
def ring_abandon(r: int) -> None:
    """Forget claims that were not published; also what a restarted producer begins with."""
    store_i64(r + PENDING, load_acquire(r + PUBLISHED))
    store_i64(r + FREE_UNTIL, load_acquire(r + CONSUMED) + load_i64(r + CAPACITY))


@jit
def ring_room(r: int) -> int:
    """Bytes the producer may claim at this moment."""
    return load_acquire(r + CONSUMED) + load_i64(r + CAPACITY) - load_i64(r + PENDING)


# ---- consumer ---------------------------------------------------------------------------------


@jit
def ring_readable(r: int) -> int:
    """The position up to which frames are there to read."""
    return load_acquire(r + PUBLISHED)


@jit
def ring_consumed(r: int) -> int:
    """The position up to which the consumer has given frames back."""
    return load_acquire(r + CONSUMED)


@jit
def ring_release(r: int, position: int) -> None:
    """Give everything before `position` back to the producer."""
    store_release(r + CONSUMED, position)


@jit
def ring_peek(r: int) -> int:
    """The address of the oldest frame, or 0 if there is none."""
    position = load_i64(r + CONSUMED)
    if position >= load_i64(r + SEEN):
        readable = load_acquire(r + PUBLISHED)
        store_i64(r + SEEN, readable)
        if position >= readable:
            return 0
    return ring_address(r, position)


@jit
def ring_next(r: int) -> int:
    """Give the peeked frame back; the position after it."""
    position = load_i64(r + CONSUMED)
    position += load_i32(ring_address(r, position))
    store_release(r + CONSUMED, position)
    return position


@jit
def frame_valid(length: int, available: int) -> bool:
    """Whether a frame's length can be true, with so many bytes from its start to `readable`."""
    return 32 <= length <= available and length & 31 == 0


@jit
def ring_seek(r: int, position: int) -> None:
    """A restarted consumer's way to go on where its own records say, not where the ring does."""
    store_i64(r + SEEN, load_acquire(r + PUBLISHED))
    store_release(r + CONSUMED, position)


class Ring:
    """A ring as an object: makes and opens the segment; `address` is what compiled code takes."""

    def __init__(self, segment: Segment) -> None:
        self.segment = segment
        self.address = segment.address
        self.capacity = segment.size

    @classmethod
    def create(cls, instance: str, kind: str, capacity: int, owner: int | None = None) -> "Ring":
        """A new ring of `capacity` bytes (a power of two, at least one page)."""
        return cls(Segment.create(instance, kind, capacity, True, owner))

    @classmethod
    def attach_or_create(
        cls, instance: str, kind: str, capacity: int, owner: int | None = None
    ) -> "Ring":
        """The ring a dead owner left, with what is in it, or a new one."""
        return cls(Segment.attach_or_create(instance, kind, capacity, True, owner))

    @classmethod
    def open(cls, instance: str, kind: str, writable: bool = True) -> "Ring":
        """An existing ring, to produce into, consume from, or (not writable) look at."""
        return cls(Segment.open(instance, kind, writable))

    def take_producer(self) -> int:
        """Become the producer, forgetting what a dead one claimed; the position to go on at."""
        ring_abandon(self.address)
        return self.published

    @property
    def published(self) -> int:
        """The position up to which frames were published."""
        return ring_readable(self.address)

    @property
    def consumed(self) -> int:
        """The position up to which frames were consumed."""
        return ring_consumed(self.address)

    @property
    def depth(self) -> int:
        """Bytes published and not consumed."""
        return self.published - self.consumed

    def close(self) -> None:
        """Unmap."""
        self.segment.close()
        self.address = 0
