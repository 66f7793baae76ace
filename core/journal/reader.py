"""Reading the journal: from any sequence, with the chain checked, also while it is written.

`Walker` goes from frame to frame and stops where no frame follows. What that place means is judged
by `Walker.tail`, which a writer and a recovery ask and a live follower does not:

```
... frame 7 │ zeros                        the end
... frame 7 │ torn bytes, zeros            a write was cut short: the end is behind frame 7
... frame 7 │ torn bytes │ frame 9         JournalDamaged: frame 8 was there, and is not any more
```
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from core.journal import frame, segment
from core.journal.disk import Disk, data_end
from core.journal.errors import JournalDamaged, JournalGap
from core.journal.frame import START, Chain, Frame, Kind

VerifyDigest = Callable[[int, bytes], None]


class Tail(NamedTuple):
    """Where the journal ends: the file, the offset behind its last frame, and what is behind it."""

    path: Path
    offset: int
    torn_bytes: int


class Walker:
    """Goes through the journal frame by frame, starting in the segment that holds `sequence`.

    `chain` is where the journal stands behind the frame last returned (None before the first frame
    of a journal whose beginning has been removed); `path` and `offset` are where the next begins.
    """

    def __init__(self, disk: Disk, data: Path, sequence: int = 1) -> None:
        self._disk = disk
        self._data = data
        self.path = Path()
        self.offset = 0
        self.chain: Chain | None = START
        self._first = 0
        self._view = memoryview(b"")
        found = segment.segments(disk, data)
        if not found:
            return
        if found[0].first > sequence:
            raise JournalGap(
                f"journal begins at command {found[0].first}, command {sequence} was asked for"
            )
        at = max(i for i, item in enumerate(found) if item.first <= sequence)
        self._enter(found[at])
        while at > 0 and frame.parse(self._view, 0) is None:
            at -= 1  # The chain comes from the segment before one that is still empty.
            self._enter(found[at])
        if self._first > 1:
            self.chain = None

    def advance(self) -> Frame | None:
        """The next frame, or None where none follows (yet). Raises `JournalDamaged`."""
        while True:
            found = self._frame_here()
            if found is not None:
                self.offset += found.size
                self.chain = found.chain()
                return found
            if not self._next_segment():
                return None

    def tail(self) -> Tail | None:
        """Judge the place where `advance` returned None; raises `JournalDamaged`.

        None means that a writer has gone on meanwhile: advance again.
        """
        number = self.chain.number if self.chain else 0
        end = data_end(self._view, self.offset)
        later = frame.find(self._view, self.offset, end, lambda other: other.number > number)
        if later >= 0:
            if self._frame_here() is not None:
                return None
            durable = self._was_durable(later, end, number + 1)
            raise self._damaged(
                f"frame {number + 1} is not whole, but a later one stands at offset {later}"
                + (" and says it was durable" if durable else "; it had not been synced yet"),
                durable,
            )
        return Tail(self.path, self.offset, end - self.offset)

    def to_the_end(self) -> Iterator[Frame]:
        """All frames from here to the end of the journal, its tail judged."""
        while True:
            while (found := self.advance()) is not None:
                yield found
            if self.tail() is not None:
                return

    def _enter(self, item: segment.Segment) -> None:
        self.path = item.path
        self.offset = 0
        self._first = item.first
        self._view = self._disk.view(item.path)

    def _frame_here(self) -> Frame | None:
        found = frame.parse(self._view, self.offset)
        if found is None:
            return None
        if self.chain is None:
            return found if found.first == self._first else None
        return found if found.follows(self.chain) else None

    def _next_segment(self) -> bool:
        """Enter what comes behind the end of this view: more of the file, or the next file."""
        if self._first == 0:
            found = segment.segments(self._disk, self._data)
            if found and found[0].first != 1:
                raise JournalGap(f"journal begins at command {found[0].first}, expected 1")
        else:
            if self._disk.size(self.path) > len(self._view):
                self._view = self._disk.view(self.path)
                return True
            found = [s for s in segment.segments(self._disk, self._data) if s.first > self._first]
        if not found:
            return False
        if self._first and self._frame_here() is not None:
            return True  # It was written while we looked.
        self._check_full(found[0])
        self._enter(found[0])
        return True

    def _check_full(self, following: segment.Segment) -> None:
        """A segment with a successor must end with its last frame and lead on to the successor."""
        sequence = self.chain.sequence if self.chain else self._first - 1
        if data_end(self._view, self.offset) != self.offset:
            raise self._damaged(f"no whole frame here, and {following.path.name} follows")
        if following.first != sequence + 1:
            raise self._damaged(f"ends with command {sequence}, but {following.path.name} follows")

    def _was_durable(self, start: int, end: int, number: int) -> bool:
        """Whether a frame in `[start, end)` knew frame `number` to be on the disk."""
        return frame.find(self._view, start, end, lambda other: other.durable >= number) >= 0

    def _damaged(self, reason: str, durable: bool = True) -> JournalDamaged:
        return JournalDamaged(self.path, self.offset, reason, durable)


def read_from(
    disk: Disk, data: Path, sequence: int, verify_digest: VerifyDigest | None = None
) -> Iterator[memoryview]:
    """Whole command frames from `sequence` to the end of the journal, a batch at a time.

    Each batch is a read-only view into a mapped file. `verify_digest(sequence, digest)` is called
    for each state digest once the commands up to its sequence, at least, were handed out. Raises
    `JournalDamaged`, and `JournalGap` if the journal doesn't reach to `sequence − 1`.
    """
    walker = Walker(disk, data, sequence)
    for found in walker.to_the_end():
        if found.kind == Kind.COMMANDS and found.last >= sequence:
            yield frame.skip(found.payload, sequence)
        elif found.kind == Kind.DIGEST and verify_digest is not None:
            number, digest = found.digest()
            if number >= sequence:
                verify_digest(number, digest)
    last = walker.chain.sequence if walker.chain else 0
    if last < sequence - 1:
        raise JournalGap(f"journal ends at command {last}, command {sequence - 1} was expected")


class Follower:
    """Reads a journal while another process writes it, and never reads a frame twice."""

    def __init__(self, disk: Disk, data: Path, sequence: int) -> None:
        self._disk = disk
        self._data = data
        self.sequence = sequence
        self._walker: Walker | None = None

    def poll(self) -> memoryview | None:
        """The next batch of whole command frames, or None if there is none yet."""
        if self._walker is None:
            if not segment.segments(self._disk, self._data):
                return None
            self._walker = Walker(self._disk, self._data, self.sequence)
        while (found := self._walker.advance()) is not None:
            if found.kind == Kind.COMMANDS and found.last >= self.sequence:
                batch = frame.skip(found.payload, self.sequence)
                self.sequence = found.last + 1
                return batch
        return None
