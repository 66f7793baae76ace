"""What a session wants done. A session has no socket, no ring and no clock; it says this instead.

    Reply       a session message to the client
    Open        SessionOpen to the core; its answer comes back by the connection's number
    Close       SessionClose to the core
    Bind        from here on orders go to the ring and events to the socket
    Retransmit  events from the archive, then live ones go on
    Disconnect  once everything before it has left
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias


@dataclass(frozen=True, slots=True)
class Reply:
    """A message of schema order_entry to the client."""

    name: str
    fields: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Open:
    """Ask the core for the session; `reset` starts both directions at 1 under a new version."""

    session: int
    version: int
    reset: bool
    cancel_on_disconnect: int
    cancel_window: int  # ms
    signed_time: int = 0  # ns UTC; the core refuses what opened the session before
    signed_mark: int = 0


@dataclass(frozen=True, slots=True)
class Close:
    """Tell the core that the connection is over."""

    session: int
    logout: bool


@dataclass(frozen=True, slots=True)
class Bind:
    """The session is established: `expected` is the next number its client may use."""

    session: int
    expected: int
    throttle: int  # messages a second, 0 for no limit


@dataclass(frozen=True, slots=True)
class Retransmit:
    """Send the events `first` to `first + count − 1` once more."""

    request_timestamp: int
    first: int
    count: int


@dataclass(frozen=True, slots=True)
class Disconnect:
    """End the connection; `reason` is for the log."""

    reason: str


Effect: TypeAlias = Reply | Open | Close | Bind | Retransmit | Disconnect
