"""A journal frame: a batch of sequenced commands under one chained hash.

```
  0  u32  magic  "OBJF"
  4  u16  version of this layout
  6  u16  kind              1 commands, 2 state digest, 3 takeover, 4 close
  8  i64  epoch             of the writer; grows with every takeover, never falls
 16  i64  frame number      dense from 1 over the life of the journal
 24  i64  first sequence    of the commands in it; last + 1 if there are none
 32  i64  last sequence     journaled when this frame is
 40  i64  payload length    bytes, a multiple of 32
 48  i64  durable frame     the newest frame known to be on the disk when this one was written
 56  i64  zero
 64  32 B hash_prev         hash of the frame before; zeros in frame 1
 96  32 B hash              BLAKE3 of bytes 0..95 and the payload
128  payload                command frames exactly as they stood in the `sequenced` ring
```

Kinds 3 and 4 have no payload. A state digest's payload is `i64 sequence, 24 zero bytes, 32 bytes of
digest`: the state of the core behind that command, to be reproduced by a replay.

The first 32 bytes of a command frame, which this module walks but never changes:

```
  0  i32  length            whole command frame, a multiple of 32
  4  ...
 16  i64  sequence          dense from 1
 24  i64  time
```

Because `hash` covers `hash_prev`, one good frame vouches for the whole journal before it.
"""

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

from blake3 import blake3

from core.journal.disk import Buffer
from core.journal.errors import JournalGap

MAGIC = b"OBJF"
VERSION = 1
HEADER_SIZE = 128
ALIGNMENT = 32
HASH_SIZE = 32
GENESIS = bytes(HASH_SIZE)
COMMAND_HEADER_SIZE = 32

_HEADER = struct.Struct("<4sHH7q32s")
_DIGEST = struct.Struct("<q24x32s")
_COMMAND = struct.Struct("<i12xq")
_HASHED_SIZE = _HEADER.size
assert _HASHED_SIZE == HEADER_SIZE - HASH_SIZE
assert _DIGEST.size % ALIGNMENT == 0


class Kind(IntEnum):
    """What a frame says."""

    COMMANDS = 1
    DIGEST = 2
    TAKEOVER = 3
    CLOSE = 4


_KINDS = frozenset(Kind)


class Chain(NamedTuple):
    """Where the journal stands behind a frame: all that the next frame depends on."""

    sequence: int
    number: int
    epoch: int
    hash: bytes


START = Chain(0, 0, 0, GENESIS)


@dataclass(frozen=True, slots=True)
class Frame:
    """One whole frame as read: its hash was right, its place in the chain is yet to be judged."""

    kind: Kind
    epoch: int
    number: int
    first: int
    last: int
    durable: int
    hash_prev: bytes
    hash: bytes
    payload: memoryview

    @property
    def size(self) -> int:
        """Bytes on disk, header included."""
        return HEADER_SIZE + len(self.payload)

    def chain(self) -> Chain:
        return Chain(self.last, self.number, self.epoch, self.hash)

    def follows(self, chain: Chain) -> bool:
        """Whether this is the very next frame behind `chain`."""
        return (
            self.number == chain.number + 1
            and self.hash_prev == chain.hash
            and self.first == chain.sequence + 1
            and self.last >= chain.sequence
            and self.epoch >= chain.epoch
        )

    def digest(self) -> tuple[int, bytes]:
        """Sequence and state digest of a frame of kind DIGEST."""
        sequence, digest = _DIGEST.unpack(self.payload)
        return sequence, digest


def pack(
    kind: Kind, chain: Chain, last: int, epoch: int, durable: int, payload: Buffer
) -> tuple[bytes, Chain]:
    """Header of the frame behind `chain`, and the chain behind that frame."""
    assert len(payload) % ALIGNMENT == 0, "Invariant: payload length is a multiple of 32."
    head = _HEADER.pack(
        MAGIC,
        VERSION,
        kind,
        epoch,
        chain.number + 1,
        chain.sequence + 1,
        last,
        len(payload),
        durable,
        0,
        chain.hash,
    )
    digest = blake3(head).update(payload).digest()
    return head + digest, Chain(last, chain.number + 1, epoch, digest)


def pack_digest(sequence: int, digest: bytes) -> bytes:
    """Payload of a DIGEST frame; `digest` has 32 bytes at most and is padded with zeros."""
    assert len(digest) <= HASH_SIZE, f"Expected at most {HASH_SIZE} bytes, was {len(digest)}."
    return _DIGEST.pack(sequence, digest)


def parse(view: memoryview, offset: int) -> Frame | None:
    """The frame at `offset` if it is whole and its hash right, else None."""
    if offset + HEADER_SIZE > len(view):
        return None
    fields = _HEADER.unpack_from(view, offset)
    magic, version, kind, epoch, number, first, last, length, durable, _zero, hash_prev = fields
    end = offset + HEADER_SIZE + length
    if magic != MAGIC or version != VERSION or kind not in _KINDS:
        return None
    if length < 0 or length % ALIGNMENT or end > len(view):
        return None
    payload = view[offset + HEADER_SIZE : end]
    stored = bytes(view[offset + _HASHED_SIZE : offset + HEADER_SIZE])
    if blake3(view[offset : offset + _HASHED_SIZE]).update(payload).digest() != stored:
        return None
    return Frame(Kind(kind), epoch, number, first, last, durable, hash_prev, stored, payload)


def find(view: memoryview, start: int, end: int, accept: Callable[[Frame], bool]) -> int:
    """Offset of the first whole frame in `[start, end)` that `accept` takes, or −1."""
    step = 1 << 20
    for low in range(start, end, step):
        chunk = bytes(view[low : min(end, low + step + len(MAGIC) - 1)])
        at = chunk.find(MAGIC)
        while at >= 0:
            frame = parse(view, low + at) if (low + at) % ALIGNMENT == 0 else None
            if frame is not None and accept(frame):
                return low + at
            at = chunk.find(MAGIC, at + 1)
    return -1


def commands(view: memoryview) -> Iterator[tuple[int, memoryview]]:
    """Each whole command frame in `view` with its sequence number."""
    offset = 0
    while offset < len(view):
        length, sequence = _COMMAND.unpack_from(view, offset)
        yield sequence, view[offset : offset + length]
        offset += length


def scan(view: memoryview, expected: int) -> int:
    """Check that `view` holds whole command frames numbered densely from `expected`.

    Returns the last sequence number; raises `JournalGap` on anything else. The journal process
    puts a compiled function of the same meaning in its place.
    """
    offset = 0
    end = len(view)
    while offset < end:
        if offset + COMMAND_HEADER_SIZE > end:
            raise JournalGap(f"batch ends within a command frame at byte {offset}")
        length, sequence = _COMMAND.unpack_from(view, offset)
        if length < COMMAND_HEADER_SIZE or length % ALIGNMENT or offset + length > end:
            raise JournalGap(f"command frame length is not valid at byte {offset}: {length}")
        if sequence != expected:
            raise JournalGap(f"expected command {expected}, was {sequence}")
        expected += 1
        offset += length
    return expected - 1


def skip(view: memoryview, sequence: int) -> memoryview:
    """`view`, which holds whole command frames, from the command numbered `sequence` on."""
    offset = 0
    while offset < len(view):
        length, number = _COMMAND.unpack_from(view, offset)
        if number >= sequence:
            break
        offset += length
    return view[offset:]
