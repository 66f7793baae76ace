"""The journal: every command the core will ever obey, in order, hashed into one chain.

```
sequenced ring ─► JournalAgent ─► Journal.append ─► segment files ─► read_from ─► core (recovery)
                       │               │                                     └──► follower, tools
                  events log           └► durable_sequence ─► gateways release reports
                       └► EventArchive ─► readers that were lapped, resends
```

Four verbs stand between the exchange and where its commands are kept, so that a replicated log can
take the place of the local files: `Journal.append`, `read_from`, `last`, `takeover`.

Nothing here but `core.journal.process` imports numba.
"""

from core.journal.archive import EventArchive
from core.journal.errors import (
    DataBusy,
    DataVersion,
    DiskError,
    DiskFailed,
    DiskFull,
    JournalDamaged,
    JournalError,
    JournalGap,
)
from core.journal.writer import Journal, Policy

__all__ = [
    "DataBusy",
    "DataVersion",
    "DiskError",
    "DiskFailed",
    "DiskFull",
    "EventArchive",
    "Journal",
    "JournalDamaged",
    "JournalError",
    "JournalGap",
    "Policy",
]
