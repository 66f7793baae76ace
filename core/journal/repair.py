"""Cutting off what a power cut under `async` left behind a hole; only ever by an operator's word.

Under `async` frames reach the disk in any order until the next sync, so after a power cut a frame
may be missing while later ones are there. Nothing was promised about any of them, but the start
doesn't decide that by itself: it stops, and this is what the operator can do then.

```
... frame 7 │ hole │ frame 9 │ frame 10          nothing in 9 and 10 says that 8 was ever durable
... frame 7 │ zeros                              after the cut
```
"""

from pathlib import Path
from typing import NamedTuple

from core.journal import frame, segment
from core.journal.disk import Disk, data_end, zero
from core.journal.errors import JournalDamaged
from core.journal.reader import Walker


class Cut(NamedTuple):
    """What was cut: where, how many bytes, the last command left and the last one given up."""

    path: Path
    offset: int
    bytes: int
    last_kept: int
    last_lost: int


def cut_unsynced(disk: Disk, data: Path) -> Cut | None:
    """Cut the journal at a hole that never was durable; None if there is nothing to cut.

    Takes the directory's lock. Raises `JournalDamaged`, changing nothing, if what is missing had
    been on the disk, and `DataBusy` beside a running journal process.
    """
    segment.check_version(disk, data)
    lock = disk.lock(data / segment.LOCK_NAME)
    try:
        found = segment.segments(disk, data)
        walker = Walker(disk, data, found[0].first if found else 1)
        try:
            for _ in walker.to_the_end():
                pass
        except JournalDamaged as damage:
            if damage.durable:
                raise
            kept = walker.chain.sequence if walker.chain else 0
            return _cut(disk, damage.segment, damage.offset, kept)
        return None
    finally:
        disk.close(lock)


def _cut(disk: Disk, path: Path, offset: int, kept: int) -> Cut:
    view = disk.view(path)
    end = data_end(view, offset)
    lost = kept
    at = frame.find(view, offset, end, lambda _: True)
    while at >= 0:
        found = frame.parse(view, at)
        assert found is not None
        lost = max(lost, found.last)
        at = frame.find(view, at + found.size, end, lambda _: True)
    handle = disk.open(path)
    try:
        zero(disk, handle, offset, end)
        disk.sync(handle)
    finally:
        disk.close(handle)
    return Cut(path, offset, end - offset, kept, lost)
