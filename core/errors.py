"""What can go wrong below the engine, as one tree; every message is one line for a person.

CoreError
 ├─ SegmentError              a shared-memory segment cannot be used
 │   ├─ SegmentMissing        there is none of this name: the instance is not running
 │   ├─ SegmentInUse          a live process owns it: refuse, harm nothing
 │   ├─ SegmentVersion        made by another version of Onebook: refuse, harm nothing
 │   ├─ SegmentMismatch       it exists with another size or shape than the configuration asks
 │   ├─ SegmentDamaged        not a segment at all, or cut short
 │   └─ SegmentNoSpace        shared memory is full; nothing was created
 ├─ EventsLost                a reader's events are in neither the log nor the archive
 └─ StatusFull                more processes than the status table has rows
"""


class CoreError(Exception):
    """Anything the core or its shared memory refuses."""


class SegmentError(CoreError):
    """A shared-memory segment cannot be used."""


class SegmentMissing(SegmentError):
    """There is no segment of this name; its instance is not running."""


class SegmentInUse(SegmentError):
    """A live process owns the segment."""


class SegmentVersion(SegmentError):
    """The segment was made by another version of Onebook."""


class SegmentMismatch(SegmentError):
    """The segment exists with another size or shape than was asked for."""


class SegmentDamaged(SegmentError):
    """The file is not a segment, or it is cut short."""


class SegmentNoSpace(SegmentError):
    """Shared memory is full; nothing was created."""


class EventsLost(CoreError):
    """Events a reader still needs are in neither the log nor the archive."""


class StatusFull(CoreError):
    """More processes than the status table has rows."""
