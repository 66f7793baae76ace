"""What can go wrong with the files, as a tree of four answers an operator can act on.

```
JournalError
├── DataVersion      the directory was written by another version: nothing is touched
├── DataBusy         a live process owns the directory
├── JournalDamaged   a bad frame before a good one: nothing is touched, the place is named
├── JournalGap       commands are missing between two places that should meet
└── DiskError        the disk refused: the writer is dead from here on, never retried
    ├── DiskFull     no space (or a quota, or a file size limit): stop accepting, make room, restart
    └── DiskFailed   a write or a sync failed: what the disk holds is unknown, restart and recover
```
"""

from pathlib import Path

from core.errors import CoreError


class JournalError(CoreError):
    """Every error of this package; its text is one clear line."""


class DataVersion(JournalError):
    """The data directory belongs to another version of Onebook."""


class DataBusy(JournalError):
    """Another live process writes into this data directory."""


class JournalDamaged(JournalError):
    """A whole frame stands behind a place where no whole frame is: data was lost or altered.

    `durable` is False if nothing says that what stood there had ever been synced, as a power cut
    under `async` may leave it; only then may an operator cut it off (`onebook journal cut`).
    """

    def __init__(self, segment: Path, offset: int, reason: str, durable: bool = True) -> None:
        super().__init__(f"journal damaged: segment {segment.name} offset {offset}: {reason}")
        self.segment = segment
        self.offset = offset
        self.reason = reason
        self.durable = durable


class JournalGap(JournalError):
    """A sequence number that should be next is not there."""


class DiskError(JournalError):
    """The disk refused; the object that met this must not be used again."""


class DiskFull(DiskError):
    """No space left, quota reached, or file size limit reached."""


class DiskFailed(DiskError):
    """A write, allocation or sync failed for another reason than space."""
